"""Functions of our own and of the user that dispatch as NumPy's do."""

from __future__ import annotations

import functools
import re

import numpy as np

from mcx.dispatch import is_number, name_of, numbers_of, unsupported
from mcx.kernels import program
from mcx.kernels.launch import in_blocks
from mcx.verbs.analytic import Analytic
from mcx.verbs.into import BilinearInto, LinearInto, in_floats, memory
from mcx.verbs.linear import Linear
from mcx.verbs.multilinear import Multilinear


def primitive(func, rule):
    """Return a function that runs `func` on plain arrays and the rule on numbers."""

    @functools.wraps(func)
    def dispatching(*args, **kwargs):
        if numbers_of(args) or (kwargs and numbers_of(kwargs)):
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
        Whether the series is arithmetic, comparisons as factors (which count as 0 and 1) and NumPy
        functions alone, of which a kernel can be compiled; False where it has np.where.

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
        def into(x, /, out=None):
            return in_blocks(func, x, out)

        def checked(a, y, n):
            terms = series(a, y, n)
            if len(terms) != n:
                raise ValueError(
                    f"{name_of(func)}: series: expected the {n} coefficients of orders 1 to {n}, "
                    f"got {len(terms)}"
                )
            return terms

        # Kernels are named after it, in source and files; messages have the qualified name.
        into.__name__ = re.sub(r"\W", "_", into.__name__, flags=re.ASCII)[:60]
        return primitive(into, _OfOne(checked, compiled=(program.composition,) * traced))

    return decorate


class _OfOne(Analytic):
    """An analytic function that has no other arguments than its operand."""

    def apply(self, func, args, kwargs, like=None):
        if len(args) != 1 or kwargs or not is_number(args[0]):
            raise unsupported(func, (args, kwargs), "it takes one number and nothing else")
        return super().apply(func, args, kwargs, like)


def register_linear(func=None, *, shape=None):
    """Make a function that is linear in its first argument work on Multicomplex arrays.

    Parameters
    ----------
    func : callable
        ``func(x, *static)`` on plain arrays, linear in x; the rest is not differentiated. With
        `shape` it is ``func(x, *static, out)`` and writes its result into `out`.
    shape : callable, optional
        ``shape(x.shape, *static)`` is the shape of the result, whose memory mcx then provides: the
        planes of a number are written where they belong. Its dtype is that of x.

    Returns
    -------
    callable
        ``func(x, *static)``, which also accepts numbers as x; a decorator where func is not given.

    Examples
    --------
    >>> import mcx, numpy as np
    >>> double = mcx.register_linear(lambda x: 2.0 * x)
    >>> mcx.derivative(lambda x: double(x) ** 2, 3.0).item()
    24.0
    >>> @mcx.register_linear(shape=lambda shape: shape[1:])
    ... def differences(x, out):
    ...     np.subtract(x[1], x[0], out=out)
    >>> differences(mcx.perturb(np.array([1.0, 4.0]), np.array([0.0, 1.0]))).im(1).item()
    1.0
    """
    if func is None:
        return functools.partial(register_linear, shape=shape)
    if shape is None:
        return primitive(func, Linear((0,)))

    @functools.wraps(func)
    def of_one(x, /, *static):
        out = memory((x,), shape(np.shape(x), *static))
        func(in_floats(x, out), *static, out=out)
        return out

    return primitive(of_one, LinearInto(func, shape))


def register_bilinear(func=None, *, shape=None):
    """Make a function that is linear in each of its first two arguments work on Multicomplex.

    Parameters
    ----------
    func : callable
        ``func(x, y, *static)`` on plain arrays, linear in x and in y. With `shape` it is
        ``func(pairs, *static, out)`` and writes the sum over all pairs (x, y) into `out`: what a
        derivative of a product is made of then takes one call.
    shape : callable, optional
        ``shape(x.shape, y.shape, *static)`` is the shape of the result; its dtype is the common one
        of x and y.

    Returns
    -------
    callable
        ``func(x, y, *static)``, which also accepts numbers as x, y or both; a decorator where func
        is not given.

    Examples
    --------
    >>> import mcx, numpy as np
    >>> inner = mcx.register_bilinear(lambda x, y: (x * y).sum())
    >>> mcx.gradient(lambda x: inner(x, x), np.array([1.0, 2.0]))
    array([2., 4.])
    >>> @mcx.register_bilinear(shape=lambda x, y: ())
    ... def dot(pairs, out):
    ...     out[...] = sum(x @ y for x, y in pairs)
    >>> mcx.gradient(lambda x: dot(x, x), np.array([1.0, 2.0]))
    array([2., 4.])
    """
    if func is None:
        return functools.partial(register_bilinear, shape=shape)
    if shape is None:
        return primitive(func, Multilinear((0, 1)))

    @functools.wraps(func)
    def of_two(x, y, /, *static):
        out = memory((x, y), shape(np.shape(x), np.shape(y), *static))
        func([(in_floats(x, out), in_floats(y, out))], *static, out=out)
        return out

    return primitive(of_two, BilinearInto(func, shape))
