"""Elementwise mathematics: arithmetic, powers, exponentials, trigonometry, roundings, extrema."""

from __future__ import annotations

import functools
import math

import numpy as np

from mcx import exact, recurrences, series
from mcx.array import Multicomplex
from mcx.dispatch import is_number, positional, register, unsupported, value_of
from mcx.kernels import program
from mcx.planes import inner
from mcx.recurrences import RECURRENCES
from mcx.verbs import (
    Analytic,
    Bivariate,
    Choice,
    Composed,
    Constant,
    Direct,
    Divide,
    Elementwise,
    Linear,
    Multilinear,
    Sum,
    primitive,
)
from mcx.verbs.base import zero_like
from mcx.verbs.elementwise import PRODUCT

ANALYTIC = {
    np.exp: series.exponential,
    np.exp2: series.exponential2,
    np.expm1: series.expm1,
    np.log: series.logarithm(1.0),
    np.log2: series.logarithm(math.log(2.0)),
    np.log10: series.logarithm(math.log(10.0)),
    np.log1p: series.log1p,
    np.sqrt: series.root(0.5),
    np.cbrt: series.root(1.0 / 3.0),
    np.square: series.square,
    np.reciprocal: series.reciprocal,
    np.sin: series.sine,
    np.cos: series.cosine,
    np.tan: series.tangent,
    np.sinh: series.hyperbolic_sine,
    np.cosh: series.hyperbolic_cosine,
    np.tanh: series.hyperbolic_tangent,
    np.arcsin: series.arcsine,
    np.arccos: series.arccosine,
    np.arctan: series.arctangent,
    np.arcsinh: series.hyperbolic_arcsine,
    np.arccosh: series.hyperbolic_arccosine,
    np.arctanh: series.hyperbolic_arctangent,
}
for _func, _series in ANALYTIC.items():
    register(_func, Analytic(_series, exact.FUNCTIONS.get(_func), RECURRENCES[_func]))

LINEAR = (np.positive, np.negative, np.conjugate,
          np.deg2rad, np.rad2deg, np.degrees, np.radians)  # fmt: skip
for _func in LINEAR:
    register(_func, Elementwise((0,)))
for _func in (np.real, np.imag, np.ldexp):
    register(_func, Linear((0,)))

CONSTANT = (np.floor, np.ceil, np.trunc, np.rint, np.floor_divide,
            np.round, np.around, np.fix, np.spacing)  # fmt: skip
for _func in dict.fromkeys(CONSTANT):
    register(_func, Constant())

register(np.add, Sum(1))
register(np.subtract, Sum(-1))
register(np.multiply, Multilinear((0, 1), elementwise=PRODUCT))
register(np.divide, Divide())

softplus = primitive(
    lambda d: np.logaddexp(d, 0),
    Analytic(lambda a, y, n: series.softplus(a, n), None, recurrences.softplus, compiled=()),
)


def _power(x, p):
    """x^p: by the binomial series at a plain p, by e^(p·log x) around the value otherwise."""
    if not is_number(p):
        return _plain_power(x, p)
    if not hasattr(x, "dtype"):
        x = np.result_type(p.dtype, x).type(x)  # a Python scalar takes the type of the exponent
    base, exponent = value_of(x), value_of(p)
    zero = base == 0
    safe = np.where(zero, 1, base)
    argument = (p - exponent) * np.log(safe)
    if is_number(x):
        argument = argument + p * np.log(np.where(zero, 1, x) / safe)
        at_zero = np.power(x, np.where(zero, exponent, 1))
        infinite = _moves(p) & (exponent <= p.order)
        at_zero = at_zero * np.where(infinite, np.nan, 1).astype(at_zero.dtype)  # every plane
    else:
        at_zero = p * np.where(exponent > 0, 0, np.nan).astype(p.dtype)
    with np.errstate(divide="ignore"):
        size = np.power(base, exponent)
    return np.where(zero, at_zero, np.exp(argument) * np.where(zero, 1, size))


def _moves(p):
    """Tell where a number has a tangent: at base 0 log(base) times it is infinite or undefined."""
    return np.any(p._planes[1:] != 0, axis=0) if isinstance(p, Multicomplex) else True


def _plain_power(x, p):
    if type(p) is np.float64 and x.dtype == p.dtype:
        p = float(p)
    rule = _power_rule(p) if type(p) in (int, float) else _rule_of_exponents(p)
    shape = np.broadcast_shapes(np.shape(x), np.shape(p))
    x = x if np.shape(x) == shape else np.broadcast_to(x, shape)

    def power(a, out=None):
        return np.power(a, p, out=out)

    return rule.apply(power, (x,), {})


@functools.lru_cache(maxsize=256)
def _power_rule(p):
    """Return the rule of x^p for one exponent: a kernel belongs to it."""
    return Analytic(
        lambda a, y, n: series.power(a, p, n),
        lambda planes: exact.power(planes, p),
        lambda z, y0, live, dot: recurrences.power(z, y0, p, live, dot),
        compiled=(program.composition,),  # the recurrence looks at its numbers
    )


def _rule_of_exponents(p):
    return Analytic(
        lambda a, y, n: series.power(a, p, n), lambda planes: exact.power(planes, p), compiled=()
    )


def _hypot_planes(x, y, table):
    """R = ξ + ρ in the frame turned by the value: ρ (2ξ + ρ) = ζ², so nothing cancels.

    ξ = (aX + bY)/r lies along (a, b), ζ = (aY − bX)/r across it; at r = 0 the gradient is 0.
    """
    r = np.hypot(x[0], y[0])
    scale = np.where(r == 0, 1, r)
    cos, sin = x[0] / scale, y[0] / scale
    along, across = cos * x + sin * y, cos * y - sin * x
    square = inner(across, across, table)
    rho = square / (2 * scale)
    for _ in range(table.order - 2):
        rho = (square - inner(rho, 2 * along + rho, table)) / (2 * scale)
    return along + rho


def _hypot_partials(x, y):
    r = np.hypot(x, y)
    scale = np.where(value_of(r) == 0, 1, r)
    return x / scale, y / scale


register(np.hypot, Bivariate(_hypot_planes, _hypot_partials))


def _arctan2(y, x):
    b, a = value_of(y), value_of(x)
    r = np.hypot(a, b)
    cos, sin = a / r, b / r
    return np.arctan((cos * y - sin * x) / (cos * x + sin * y))


def _logaddexp(x, y, unit: float = 1.0):
    """Larger + softplus(smaller − larger), in units of `unit`.

    A plain operand has no derivative to lose: softplus(z − c), whose value NumPy's call replaces.
    """
    if not is_number(x) or not is_number(y):
        distance = y - x if is_number(y) else x - y
        return softplus(distance) if unit == 1 else softplus(distance * unit) / unit
    first = value_of(x) >= value_of(y)
    large, small = np.where(first, x, y), np.where(first, y, x)
    return large + softplus((small - large) * unit) / unit


def _fmod(x, y):
    """Subtract q·y, the whole quotient q from the exact remainder: x/y may round to the next."""
    a, b = value_of(x), value_of(y)
    return x - np.rint((a - np.fmod(a, b)) / b) * y


def _remainder(x, y):
    return x - np.floor_divide(value_of(x), value_of(y)) * y


def _float_power(x, p):
    wide = [
        n.astype(np.result_type(n.dtype, np.float64)) if hasattr(n, "dtype") else n for n in (x, p)
    ]
    return np.power(*wide)


COMPOSED = {
    np.power: _power,
    np.arctan2: _arctan2,
    np.logaddexp: _logaddexp,
    np.logaddexp2: lambda x, y: _logaddexp(x, y, math.log(2.0)),
    np.fmod: _fmod,
    np.remainder: _remainder,
    np.float_power: _float_power,
    np.nextafter: lambda x, y: x + np.zeros_like(y),  # x and a step that is constant
}
for _func, _formula in COMPOSED.items():
    register(_func, Composed(_formula))


def _winner(better):
    """Return the choice of a binary extremum: NumPy's winner, the first operand at ties."""

    def choose(a, b):
        with np.errstate(invalid="ignore"):  # complex NaN: NumPy's own call does not warn
            first = better(a, b)
        return lambda u, v: np.where(first, u, v)

    return choose


def _by_sign(a):
    """|z| = sign(a)·z at the value a, 0 at 0."""
    sign = np.sign(a)
    return lambda u: sign * u


_COMPLEX_ABSOLUTE = Composed(lambda z: np.hypot(np.real(z), np.imag(z)))


class _Absolute(Choice):
    """|z|; of complex coefficients √(re² + im²), which is not a choice among elements."""

    def apply(self, func, args, kwargs, like=None):
        if args[0].dtype.kind == "c":
            return _COMPLEX_ABSOLUTE.apply(func, args, kwargs, like)
        return super().apply(func, args, kwargs, like)


def _direction(z):
    """z/|z| for complex z; constant at 0, where it has no derivative."""
    zero = value_of(z) == 0
    return np.where(zero, 0, z / np.where(zero, 1, np.abs(z)))


_COMPLEX_SIGN = Composed(_direction)


class _Sign(Constant):
    """sign(z): piecewise constant for real coefficients; z/|z| for complex ones."""

    def apply(self, func, args, kwargs, like=None):
        if args[0].dtype.kind == "c":
            return _COMPLEX_SIGN.apply(func, args, kwargs, like)
        return super().apply(func, args, kwargs, like)


def _copysign(a, b):
    same = np.signbit(a) == np.signbit(b)
    return lambda u: np.where(same, u, -u)


def _clip(a, low, high):
    """Return the choice between the argument, which wins at a bound, and the bounds."""
    below = ~(a >= low)
    above = ~(np.where(below, low, a) <= high)
    return lambda u, v, w: np.where(above, w, np.where(below, v, u))


class _Clip(Choice):
    """np.clip in both spellings, and the ufunc that ndarray.clip calls; no bound is infinite."""

    def apply(self, func, args, kwargs, like=None):
        given = dict(zip(("a", "a_min", "a_max"), args, strict=False)) | kwargs
        bounds = {k: given.pop(k) for k in ("a_min", "a_max", "min", "max") if k in given}
        number, options = given.pop("a"), given
        if kwargs:  # raises where both spellings are mixed
            np.clip(np.empty(0), **{k: x if x is None else 0.0 for k, x in bounds.items()})
        low = bounds.get("a_min") if bounds.get("min") is None else bounds["min"]
        high = bounds.get("a_max") if bounds.get("max") is None else bounds["max"]
        low, high = -np.inf if low is None else low, np.inf if high is None else high
        if "where" in options:
            raise unsupported(np.clip, (args, kwargs), "where= has no rule; use np.where")
        if options:
            return np._core.umath.clip(number, low, high, **options)
        return super().apply(np.clip, (number, low, high), {}, like)


class _Where(Choice):
    """np.where; with the condition alone it names indices, by the value."""

    def apply(self, func, args, kwargs, like=None):
        if len(args) == 1:
            return np.where(value_of(args[0]))
        return super().apply(func, args, kwargs, like)


def _nan_to_num(x, copy=True, nan=0.0, posinf=None, neginf=None):
    finite = np.isfinite(x)
    return lambda u: np.where(finite, u, 0)


class _NanToNum(Choice):
    """np.nan_to_num; with copy=False the number itself is written to."""

    def apply(self, func, args, kwargs, like=None):
        args, kwargs = positional(func, args, kwargs, 2)
        if len(args) < 2 or args[1]:
            return super().apply(func, args, kwargs, like)
        args[0][...] = super().apply(func, (args[0], True, *args[2:]), kwargs, like)
        return args[0]


SELECTIONS = {
    np.maximum: Choice((0, 1), _winner(lambda a, b: (a >= b) | np.isnan(a))),
    np.minimum: Choice((0, 1), _winner(lambda a, b: (a <= b) | np.isnan(a))),
    np.fmax: Choice((0, 1), _winner(lambda a, b: (a >= b) | np.isnan(b))),
    np.fmin: Choice((0, 1), _winner(lambda a, b: (a <= b) | np.isnan(b))),
    np.absolute: _Absolute((0,), _by_sign),
    np.fabs: Choice((0,), _by_sign),
    np.copysign: Choice((0,), _copysign, deciding=(1,)),
    np.heaviside: Choice((0, 1), lambda a, b: lambda u, v: np.where(a == 0, v, zero_like(u))),
    np.clip: _Clip((0, 1, 2), _clip),
    np._core.umath.clip: _Clip((0, 1, 2), _clip),
    np.nan_to_num: _NanToNum((0,), _nan_to_num),
    np.where: _Where((1, 2), lambda c, x, y: lambda u, v: np.where(c, u, v), deciding=(0,)),
}
for _func, _rule in SELECTIONS.items():
    register(_func, _rule)

register(np.sign, _Sign())


_FRACTION = Choice((0,), lambda a: lambda u: u)


def _modf(x):
    return _FRACTION.apply(lambda a: np.modf(a)[0], (x,), {}), np.trunc(x)


register(np.divmod, Direct(lambda x, y: (np.floor_divide(x, y), np.remainder(x, y))))
register(np.modf, Direct(_modf))
