"""Table of the analytic and piecewise analytic ufuncs: functions, points, oracles.

A row of `UNARY` is crossed with order, dtype and directions by `test_unary.py`, a row of `BINARY`
by `test_binary.py`; `test_completeness.py` demands a row for every ufunc with derivatives.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from core.oracles import degrees, derivatives, partials
from mpmath import mp

ORDER = 6  # highest order tested


@dataclass(frozen=True)
class Unary:
    """A ufunc of one argument.

    Attributes
    ----------
    func : numpy.ufunc
    oracle : function of one mpmath number
    points : points at which float32 and float64 are tested
    wide : further points for float64 only
    radius : function of the point: distance to the next singularity (or scale of variation)
    digits : function of the point: decimal digits that the oracle carries
    """

    func: np.ufunc
    oracle: Callable
    points: tuple
    wide: tuple = ()
    radius: Callable = lambda x: 1.0
    digits: Callable = lambda x: 80 if abs(x) > 1 or x == 0 else 80 - 2 * int(math.log10(abs(x)))

    def __str__(self):
        return self.func.__name__

    def sample(self, dtype):
        """Return the points, exactly representable in the dtype."""
        points = np.array(self.points, dtype=np.float32).astype(dtype)
        return np.append(points, np.array(self.wide)) if dtype == np.float64 else points

    def derivatives(self, x):
        """Return f^(k)(x), k = 0..ORDER + 1, as long double, shape (ORDER + 2, *shape)."""
        rows = [
            derivatives(self.oracle, float(v), ORDER + 1, self.radius(v), self.digits(v))
            for v in map(float, x)
        ]
        return np.array(rows).T


@dataclass(frozen=True)
class Binary:
    """A ufunc of two arguments; `points` are pairs, `wide` those for float64 only.

    `partials(x, y)` returns {(i, j): derivative} up to i + j = ORDER + 1.
    """

    func: np.ufunc
    partials: Callable
    points: tuple
    wide: tuple = ()

    def __str__(self):
        return self.func.__name__

    def sample(self, dtype):
        """Return two arrays of points."""
        pairs = np.array(self.points, dtype=np.float32).astype(dtype)
        if dtype == np.float64 and self.wide:
            pairs = np.concatenate([pairs, np.array(self.wide)])
        return pairs[:, 0].copy(), pairs[:, 1].copy()

    def derivatives(self, x, y):
        """Return {(i, j): ∂x^i ∂y^j f} as long doubles, each of the shape of x."""
        rows = [self.partials(float(a), float(b)) for a, b in zip(x, y, strict=True)]
        return {key: np.array([row[key] for row in rows]) for key in rows[0]}


def distance(*singularities):
    """Return the function x -> distance to the nearest of some points of the complex plane."""
    return lambda x: min(abs(complex(x) - s) for s in singularities)


def _tan_radius(x):
    return abs(x - math.pi * (math.floor(x / math.pi) + 0.5))


def _exponential_digits(x):
    """Return the digits for functions that approach a constant like exp(-2|x|)."""
    return 80 + int(1.5 * abs(x)) if abs(x) > 1 else 110


SMOOTH = (0.0, 1e-12, -1e-3, 0.5, -1.0, 2.0, -3.5)
POSITIVE = (1e-30, 1e-3, 0.5, 1.0, 1.0009765625, 2.0, 1e4, 1e30)
INSIDE = (0.0, 1e-9, -1e-3, 0.5, -0.9, 0.999, -0.99999)  # of (-1, 1)
OUTSIDE = (1.00001, 1.001, 1.5, 2.0, 10.0, 1e4)  # beyond 1
LOG2, LOG10 = (lambda z: mp.log(z) / mp.log(2)), (lambda z: mp.log(z) / mp.log(10))
RADIANS = lambda z: z * mp.pi / 180  # noqa: E731 - a row of the table
DEGREES = lambda z: z * 180 / mp.pi  # noqa: E731 - a row of the table
IDENTITY = lambda z: z  # noqa: E731 - a row of the table
ORIGIN = distance(0)
ONES = distance(1, -1)
UNITS = distance(1j, -1j)

UNARY = (
    Unary(np.sin, mp.sin, (*SMOOTH, 100.0), (1e5,)),
    Unary(np.cos, mp.cos, (*SMOOTH, 100.0), (1e5,)),
    Unary(np.tan, mp.tan, (*SMOOTH, 1.5703125, 20.0), (1.5707963,), radius=_tan_radius),
    Unary(np.arcsin, mp.asin, INSIDE, (1 - 1e-12,), radius=ONES),
    Unary(np.arccos, mp.acos, INSIDE, (1 - 1e-12,), radius=ONES),
    Unary(np.arctan, mp.atan, (*SMOOTH, 1e4), (1e15,), radius=UNITS),
    Unary(np.sinh, mp.sinh, (*SMOOTH, 30.0, -30.0), (700.0, -700.0)),
    Unary(np.cosh, mp.cosh, (*SMOOTH, 30.0, -30.0), (700.0, -700.0)),
    Unary(
        np.tanh,
        mp.tanh,
        (*SMOOTH, 20.0, -20.0, 40.0),
        (400.0, -400.0, 300.0),
        digits=_exponential_digits,
    ),
    Unary(np.arcsinh, mp.asinh, (*SMOOTH, -1e4, 1e4), (-1e12, 1e-20), radius=UNITS),
    Unary(np.arccosh, mp.acosh, OUTSIDE, (1 + 1e-10, 1e12), radius=ONES),
    Unary(np.arctanh, mp.atanh, INSIDE, (1 - 1e-12,), radius=ONES),
    Unary(np.exp, mp.exp, (*SMOOTH, 80.0, -80.0), (700.0, -700.0)),
    Unary(np.exp2, lambda z: mp.power(2, z), (*SMOOTH, 100.0, -100.0), (1000.0, -1000.0)),
    Unary(np.expm1, mp.expm1, (*SMOOTH, 80.0, -80.0), (700.0, -700.0), digits=_exponential_digits),
    Unary(np.log, mp.log, POSITIVE, (1e-40, 1e40), radius=ORIGIN),
    Unary(np.log2, LOG2, POSITIVE, (1e-40, 1e40), radius=ORIGIN),
    Unary(np.log10, LOG10, POSITIVE, (1e-40, 1e40), radius=ORIGIN),
    Unary(
        np.log1p,
        mp.log1p,
        (0.0, 1e-12, -1e-12, 1e-3, -0.5, -0.999, 3.0, 1e4, 1e30),
        (-1 + 1e-10, 1e40),
        radius=distance(-1),
    ),
    Unary(np.sqrt, mp.sqrt, POSITIVE, (1e-40, 1e40), radius=ORIGIN),
    Unary(np.cbrt, lambda z: mp.cbrt(z), POSITIVE, (1e-40, 1e40), radius=ORIGIN),
    Unary(np.reciprocal, lambda z: 1 / z, (*POSITIVE, -0.1, -3.0), (1e-40,), radius=ORIGIN),
    Unary(np.square, lambda z: z * z, (*SMOOTH, 1e10), (1e150,), radius=lambda x: 1 + abs(x)),
    Unary(np.negative, lambda z: -z, SMOOTH),
    Unary(np.positive, IDENTITY, SMOOTH),
    Unary(np.conjugate, IDENTITY, SMOOTH),
    Unary(np.absolute, IDENTITY, (1e-12, 0.5, 3.0)),
    Unary(np.fabs, IDENTITY, (1e-12, 0.5, 3.0)),
    Unary(np.deg2rad, RADIANS, SMOOTH),
    Unary(np.radians, RADIANS, SMOOTH),
    Unary(np.rad2deg, DEGREES, SMOOTH),
    Unary(np.degrees, DEGREES, SMOOTH),
)

# Points left of zero, where the mpmath function is that of another branch.
LEFT = (
    Unary(np.absolute, lambda z: -z, (-1e-12, -0.5, -3.0)),
    Unary(np.fabs, lambda z: -z, (-1e-12, -0.5, -3.0)),
    Unary(np.cbrt, lambda z: -mp.cbrt(-z), (-1e-30, -0.5, -1.0, -8.0, -1e10), radius=ORIGIN),
    Unary(np.sign, lambda z: mp.mpf(-1), (-1e-12, -3.0)),
    Unary(np.sign, lambda z: mp.mpf(1), (1e-12, 3.0)),
    Unary(np.floor, lambda z: mp.mpf(2), (2.25, 2.875)),
    Unary(np.ceil, lambda z: mp.mpf(3), (2.25, 2.875)),
    Unary(np.trunc, lambda z: mp.mpf(-2), (-2.25, -2.875)),
    Unary(np.rint, lambda z: mp.mpf(3), (2.625, 3.375)),
)


def _power(x, y):
    return partials(_real_power, x, y, ORDER + 1, (abs(x), 1.0))


def _real_power(u, v):
    return mp.exp(v * mp.log(u))


def _hypot(x, y):
    r = 0.7 * math.hypot(x, y)
    return partials(_length, x, y, ORDER + 1, (r, r))


def _length(u, v):
    return mp.sqrt(u * u + v * v)


def _arctan2(y, x):
    r = 0.7 * math.hypot(x, y)
    angle = _angle_from_x if abs(x) >= abs(y) else _angle_from_y
    found = partials(angle, y, x, ORDER + 1, (r, r))
    return found | {(0, 0): np.longdouble(math.atan2(y, x))}  # the branch shifts the value alone


def _angle_from_x(y, x):
    return mp.atan(y / x)


def _angle_from_y(y, x):
    return -mp.atan(x / y)


def _logaddexp(base):
    log_base = mp.log(base)

    def softplus(z):
        return mp.log1p(mp.exp(z * log_base)) / log_base

    def found(x, y):
        """Differentiate the larger plus softplus(smaller − larger)."""
        s = derivatives(softplus, -abs(x - y), ORDER + 1, 1.0, 100)
        large = (1, 0) if x >= y else (0, 1)
        table = {key: (-1) ** key[large.index(1)] * s[sum(key)] for key in degrees(ORDER + 1)}
        return table | {(0, 0): max(x, y) + s[0], large: 1 - s[1]}

    return found


def _polynomial(**terms):
    """Return the partials of a function bilinear near the point, coefficients by name."""
    names = {"value": (0, 0), "x": (1, 0), "y": (0, 1), "xy": (1, 1)}

    def found(x, y):
        x, y = np.longdouble(x), np.longdouble(y)
        table = {key: np.longdouble(0) for key in degrees(ORDER + 1)}
        return table | {names[k]: np.longdouble(term(x, y)) for k, term in terms.items()}

    return found


def _divide(x, y):
    x, y, table = np.longdouble(x), np.longdouble(y), {}
    for i, j in degrees(ORDER + 1):
        power = (-1) ** j * math.factorial(j) / y ** (j + 1)
        table[i, j] = (x, np.longdouble(1))[i] * power if i < 2 else np.longdouble(0)
    return table


def _choice(takes_first):
    """Return the partials of a function that returns one of its arguments."""
    return _polynomial(
        value=lambda x, y: x if takes_first(x, y) else y,
        x=lambda x, y: takes_first(x, y),
        y=lambda x, y: not takes_first(x, y),
    )


PAIRS = ((0.0, 1.0), (1e-12, -2.0), (-3.5, 0.25), (7.0, 7.5), (-1e10, 1e5))
PLANE = ((3.0, 4.0), (-1.0, 0.5), (0.0, 2.0), (2.0, 0.0), (-0.0625, -8.0), (1e-3, -1e-3))
QUOTIENTS = ((5.5, 2.0), (-5.5, 2.0), (5.5, -2.0), (-0.25, -3.0), (1e6, 7.0))
EXPONENTS = ((3.0, -3.0), (0.0, 0.0), (-5.0, 2.0), (10.0, -10.0), (1.0, 1.0009765625))

BINARY = (
    Binary(
        np.add, _polynomial(value=lambda x, y: x + y, x=lambda x, y: 1, y=lambda x, y: 1), PAIRS
    ),
    Binary(
        np.subtract,
        _polynomial(value=lambda x, y: x - y, x=lambda x, y: 1, y=lambda x, y: -1),
        PAIRS,
    ),
    Binary(
        np.multiply,
        _polynomial(
            value=lambda x, y: x * y, x=lambda x, y: y, y=lambda x, y: x, xy=lambda x, y: 1
        ),
        PAIRS,
    ),
    Binary(np.divide, _divide, ((0.0, 1.0), (1e-12, -2.0), (-3.5, 0.25), (7.0, 1e-3), (1e4, 1e5))),
    Binary(np.power, _power, ((2.0, 3.0), (0.5, -1.5), (1e-3, 2.5), (10.0, 0.0), (1.0, 7.25))),
    Binary(np.float_power, _power, ((2.0, 3.0), (0.5, -1.5), (1e-3, 2.5), (10.0, 0.0))),
    Binary(np.hypot, _hypot, PLANE, ((1e200, 1e200), (3e-60, 4e-60))),
    Binary(np.arctan2, _arctan2, PLANE, ((1e40, -1e40),)),
    Binary(np.logaddexp, _logaddexp(mp.e), EXPONENTS, ((1000.0, -1000.0), (-300.0, 300.0))),
    Binary(np.logaddexp2, _logaddexp(mp.mpf(2)), EXPONENTS, ((1000.0, -1000.0), (-300.0, 300.0))),
    Binary(np.maximum, _choice(lambda x, y: x >= y), PAIRS),
    Binary(np.minimum, _choice(lambda x, y: x <= y), PAIRS),
    Binary(np.fmax, _choice(lambda x, y: x >= y), PAIRS),
    Binary(np.fmin, _choice(lambda x, y: x <= y), PAIRS),
    Binary(
        np.copysign,
        _polynomial(
            value=lambda x, y: np.copysign(x, y), x=lambda x, y: np.copysign(1, x) * np.sign(y)
        ),
        PAIRS[1:],
    ),
    Binary(
        np.remainder,
        _polynomial(
            value=lambda x, y: x - y * np.floor(x / y),
            x=lambda x, y: 1,
            y=lambda x, y: -np.floor(x / y),
        ),
        QUOTIENTS,
    ),
    Binary(
        np.fmod,
        _polynomial(
            value=lambda x, y: x - y * np.trunc(x / y),
            x=lambda x, y: 1,
            y=lambda x, y: -np.trunc(x / y),
        ),
        QUOTIENTS,
    ),
    Binary(np.floor_divide, _polynomial(value=lambda x, y: np.floor(x / y)), QUOTIENTS),
)

# x**n with a real exponent: (exponent, points, points for float64 only).
POWERS = (
    (0, (0.0, -2.0, 3.0), ()),
    (1, (0.0, -2.0, 3.0), ()),
    (2, (0.0, -2.0, 3.0), (1e100,)),
    (3, (0.0, -2.0, 0.125, 1e3), ()),
    (5, (0.0, -2.0, 0.125, 1e3), ()),
    (7, (0.0, -1.5, 2.0), ()),
    (-1, (-2.0, 0.125, 1e3), ()),
    (-2, (-2.0, 0.125, 1e3), ()),
    (-3, (-2.0, 0.125, 1e3), ()),
    (0.5, (1e-3, 1.0, 2.0, 1e10), ()),
    (-0.5, (1e-3, 1.0, 2.0, 1e3), ()),
    (2.5, (1e-3, 1.0, 2.0, 1e3), ()),
)


def power_derivatives(exponent, x):
    """Return d^k/dx^k x^exponent, k = 0..ORDER + 1, in long double."""
    x, rows, factor = np.asarray(x, np.longdouble), [], np.longdouble(1)
    for k in range(ORDER + 2):
        power = x ** np.longdouble(exponent - k) if factor and exponent != k else np.ones_like(x)
        rows.append(factor * power)
        factor *= exponent - k
    return np.array(rows)
