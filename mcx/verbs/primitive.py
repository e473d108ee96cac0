"""Functions of our own and of the user that dispatch as NumPy's do."""

from __future__ import annotations

import functools

import numpy as np

from mcx.array import Multicomplex
from mcx.dispatch import is_number, numbers_of, unsupported
from mcx.kernels import program
from mcx.memory import new_buffer
from mcx.support import planes_in, supported
from mcx.verbs.analytic import Analytic
from mcx.verbs.base import Rule, is_moving, lifted, live_among, number_on
from mcx.verbs.linear import Linear
from mcx.verbs.multilinear import Multilinear, product_sums


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
        Whether the series is arithmetic, comparisons (which count as 0 and 1) and NumPy functions
        alone, of which a kernel can be compiled; False where it has np.where.

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


def register_linear(func=None, *, shape=None):
    """Make a function that is linear in its first argument work on Multicomplex arrays.

    Parameters
    ----------
    func : callable
        ``func(x, *static)`` on plain arrays, linear in x; the rest is not differentiated. With
        `shape` it is ``func(x, *static, out)`` and writes its result into `out`.
    shape : callable, optional
        ``shape(x.shape, *static)`` is the shape of the result, whose memory mcx then provides: the
        planes of a number are written where they belong.

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
    return primitive(_providing_memory(func, shape), LinearInto(func, shape))


def register_bilinear(func=None, *, shape=None):
    """Make a function that is linear in each of its first two arguments work on Multicomplex.

    Parameters
    ----------
    func : callable
        ``func(x, y, *static)`` on plain arrays, linear in x and in y. With `shape` it is
        ``func(pairs, *static, out)`` and writes the sum over all pairs (x, y) into `out`: what a
        derivative of a product is made of then takes one call.
    shape : callable, optional
        ``shape(x.shape, y.shape, *static)`` is the shape of the result.

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
    def of_two(x, y, *static):
        out = _memory((x, y), shape(np.shape(x), np.shape(y), *static))
        func([(x, y)], *static, out=out)
        return out

    return primitive(of_two, BilinearInto(func, shape))


def _providing_memory(func, shape):
    """Return func(x, *static) for a func(x, *static, out)."""

    @functools.wraps(func)
    def providing(x, *static):
        out = _memory((x,), shape(np.shape(x), *static))
        func(x, *static, out=out)
        return out

    return providing


def _memory(operands, shape, planes: int = 0, zeros=()):
    """Return memory for a result of operands (or for so many planes of it), some planes zero."""
    shape = (planes, *shape) if planes else shape
    dtype = np.result_type(*(x.dtype for x in operands))
    if all(type(x) is np.ndarray for x in operands):
        return new_buffer(shape, dtype, zeros)
    like = next(x for x in operands if type(x) is not np.ndarray)
    out = np.empty_like(like, shape=shape, dtype=dtype)
    for k in zeros:
        out[k, ...] = 0
    return out


class LinearInto(Linear):
    """A linear function that writes its result into memory that it is given."""

    def __init__(self, func, shape):
        super().__init__((0,))
        self.func, self.shape = func, shape

    def planes(self, func, args, kwargs, like):
        number, *static = args
        _expect_plain(func, args, static, kwargs)
        planes, algebra, live = number._planes, number.algebra, planes_in(number.live)
        dead = [k for k in range(algebra.size) if not number.live >> k & 1]
        out = _memory((planes,), self.shape(number.shape, *static), algebra.size, dead)
        for k in live:
            self.func(planes[k, ...], *static, out=out[k, ...])
        return Multicomplex(out, algebra, supported(number.live, algebra))


class BilinearInto(Rule):
    """A bilinear function that writes the sum over pairs of operands into memory it is given."""

    verb = "bilinear"

    def __init__(self, func, shape):
        super().__init__((0, 1))
        self.func, self.shape = func, shape

    def planes(self, func, args, kwargs, like):
        x, y, *static = args
        _expect_plain(func, args, static, kwargs)
        numbers = numbers_of((x, y))
        algebra = lifted(numbers)
        sums, live = product_sums(algebra, [n for n in (x, y) if is_number(n)])
        dead = [k for k in range(algebra.size) if k not in sums]
        buffers = [n._planes if is_number(n) else n for n in (x, y)]
        shape = self.shape(np.shape(x), np.shape(y), *static)
        out = _memory(buffers, shape, algebra.size, dead)
        for plane, terms in sums.items():
            pairs = [_pair(x, y, rows, sign) for rows, sign in terms]
            self.func(pairs, *static, out=out[plane, ...])
        return Multicomplex(out, algebra, supported(live, algebra))

    def record(self, func, args, kwargs, tape):
        x, y, *static = args
        _expect_plain(func, args, static, kwargs)
        number = func(number_on(x, tape), number_on(y, tape), *static)
        moving = [k for k, n in enumerate((x, y)) if is_moving(n, tape)]
        if len(moving) == 2:
            held = tape.hold(x), tape.hold(y)
        else:
            held = [None if k in moving else tape.hold(n) for k, n in enumerate((x, y))]

        def step(*tangents):
            if len(moving) == 1:
                k = moving[0]
                return func(*(tangents[0] if j == k else n for j, n in enumerate(held)), *static)
            return self._sum(func, [(tangents[0], held[1]), (held[0], tangents[1])], static)

        return tape.emit(number, step, [args[k] for k in moving])

    def _sum(self, func, pairs, static):
        """Return the sum over two pairs, one tangent in each, in one call for every plane."""
        operands = [x for pair in pairs for x in pair]
        numbers = numbers_of(operands)
        shape = self.shape(*(np.shape(x) for x in pairs[0]), *static)
        if not numbers:
            out = _memory(operands, shape)
            self.func(pairs, *static, out=out)
            return out
        algebra = getattr(numbers[0], "algebra", None)
        if len(numbers) > 2 or any(getattr(n, "algebra", None) is not algebra for n in numbers):
            return func(*pairs[0], *static) + func(*pairs[1], *static)
        live = live_among(numbers, algebra)
        dead = [k for k in range(algebra.size) if not live >> k & 1]
        buffers = [x._planes if is_number(x) else x for x in operands]
        out = _memory(buffers, shape, algebra.size, dead)
        for k in planes_in(live):
            at_k = [tuple(x._planes[k] if is_number(x) else x for x in pair) for pair in pairs]
            self.func(at_k, *static, out=out[k, ...])
        return Multicomplex(out, algebra, supported(live, algebra))


def _pair(x, y, rows, sign: int):
    """Return the planes of two operands (numbers or plain) that make one term of a product."""
    rows = iter(rows)
    x, y = (n._planes[next(rows), ...] if is_number(n) else n for n in (x, y))
    return (x if sign > 0 else -x), y


def _expect_plain(func, args, static, kwargs):
    """Raise where a number stands in place of a static argument, or by keyword."""
    if kwargs or numbers_of(static):
        raise unsupported(func, (args, kwargs), "arguments after the operands must be plain")
