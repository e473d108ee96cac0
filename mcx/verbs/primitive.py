"""Functions of our own and of the user that dispatch as NumPy's do."""

from __future__ import annotations

import functools

from mcx.dispatch import numbers_of
from mcx.kernels import program
from mcx.verbs.analytic import Analytic
from mcx.verbs.linear import Linear
from mcx.verbs.multilinear import Multilinear


def primitive(func, rule):
    """Return a function that runs `func` on plain arrays and the rule on numbers."""

    @functools.wraps(func)
    def dispatching(*args, **kwargs):
        if numbers_of(args):
            return rule.apply(dispatching, args, kwargs)
        return func(*args, **kwargs)

    return dispatching


def register_analytic(series, traced: bool = True):
    """Make an elementwise function of one array, given its Taylor series, work on Multicomplex.

    Parameters
    ----------
    series : callable
        ``series(a, y, n)`` returns the Taylor coefficients f'(a)/1!, …, f⁽ⁿ⁾(a)/n! in NumPy syntax,
        y = f(a).
    traced : bool
        Whether the series is arithmetic and NumPy functions alone, of which a kernel can be
        compiled; False where it chooses among elements (np.where, comparisons).

    Returns
    -------
    callable
        A decorator for ``func(x)`` on plain arrays.

    Examples
    --------
    >>> import math, mcx, numpy as np
    >>> @mcx.register_analytic(lambda a, y, n: [y / math.factorial(k) for k in range(1, n + 1)])
    ... def exponential(x):
    ...     return np.exp(x)
    >>> mcx.derivative(exponential, 0.0, order=3).item()
    1.0
    """

    def decorate(func):
        @functools.wraps(func)
        def into(x, out=None):
            y = func(x)
            if out is None:
                return y
            out[...] = y
            return out

        return primitive(into, Analytic(series, compiled=(program.composition,) * traced))

    return decorate


def register_linear(func):
    """Make a function that is linear in its first argument work on Multicomplex arrays.

    Parameters
    ----------
    func : callable
        ``func(x, *static, **static)`` on plain arrays, linear in x; the rest is not differentiated.

    Returns
    -------
    callable
        The same function, which also accepts numbers as x.

    Examples
    --------
    >>> import mcx, numpy as np
    >>> double = mcx.register_linear(lambda x: 2.0 * x)
    >>> mcx.derivative(lambda x: double(x) ** 2, 3.0).item()
    24.0
    """
    return primitive(func, Linear((0,)))


def register_bilinear(func):
    """Make a function that is linear in each of its first two arguments work on Multicomplex.

    Parameters
    ----------
    func : callable
        ``func(x, y, *static, **static)`` on plain arrays, linear in x and in y.

    Returns
    -------
    callable
        The same function, which also accepts numbers as x, y or both.

    Examples
    --------
    >>> import mcx, numpy as np
    >>> inner = mcx.register_bilinear(lambda x, y: (x * y).sum())
    >>> mcx.gradient(lambda x: inner(x, x), np.array([1.0, 2.0]))
    array([2., 4.])
    """
    return primitive(func, Multilinear((0, 1)))
