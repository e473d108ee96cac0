"""Table of the functions of scipy.special with derivatives: points and independent oracles.

As in `cases.py`; a row may give the derivative of its function instead (`by_slope`), where that is
the definition (integrals) or the function approaches a constant.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from core.cases import ORIGIN, distance
from core.oracles import derivatives
from mpmath import mp
from scipy import special

HIGH = 10  # highest order tested


@dataclass(frozen=True)
class Row:
    """A function of one argument, the others fixed.

    Attributes
    ----------
    ufunc : the function that the row is for
    oracle : function of one mpmath number
    points : points at which float32 and float64 are tested
    wide : further points for float64 only
    radius : function of the point: distance to the next singularity (or scale of variation)
    parameters : arguments before the one that varies
    part : which of several results
    by_slope : whether the oracle is the derivative
    digits : decimal digits that the oracle carries
    """

    ufunc: np.ufunc
    oracle: Callable
    points: tuple
    wide: tuple = ()
    radius: Callable = lambda x: 1.0
    parameters: tuple = ()
    part: int | None = None
    by_slope: bool = False
    digits: int = 80

    def __str__(self):
        return "-".join(map(str, (self.ufunc.__name__, *self.parameters, self.part))).removesuffix(
            "-None"
        )

    def func(self, x):
        """Return the function at an array or number."""
        result = self.ufunc(*self.parameters, x)
        return result if self.part is None else result[self.part]

    def sample(self, dtype):
        """Return the points, exactly representable in the dtype."""
        points = np.array(self.points, dtype=np.float32).astype(dtype)
        return np.append(points, np.array(self.wide)) if dtype == np.float64 else points

    def derivatives(self, x):
        """Return f^(k)(x), k = 0..HIGH + 1, as long double, shape (HIGH + 2, *shape)."""
        known = HIGH if self.by_slope else HIGH + 1
        rows = [
            derivatives(self.oracle, v, known, self.radius(v), self.digits) for v in map(float, x)
        ]
        if self.by_slope:
            values = self.func(np.asarray(x, np.float64)).astype(np.longdouble)
            rows = [[value, *row] for value, row in zip(values, rows, strict=True)]
        return np.array(rows).T


def _inverse(func, slope, start):
    """Return the inverse of a function by Newton's method, from SciPy's value at the real part."""

    def inverse(z):
        w = mp.mpf(float(start(float(mp.re(z)))))
        for _ in range(60):
            step = (func(w) - z) / slope(w)
            w -= step
            if abs(step) < mp.mpf(10) ** (8 - mp.dps) * (1 + abs(w)):
                return w
        raise ArithmeticError("no convergence")

    return inverse


GAUSS = lambda z: 2 / mp.sqrt(mp.pi) * mp.exp(-z * z)  # noqa: E731 - a row of the table
NORMAL = lambda z: mp.exp(-z * z / 2) / mp.sqrt(2 * mp.pi)  # noqa: E731 - a row of the table
CDF = lambda z: mp.erfc(-z / mp.sqrt(2)) / 2  # noqa: E731 - a row of the table
LINE = (0.0, 1e-12, -1e-3, 0.5, -1.0, 2.0, -3.5)
HALF = (1e-3, 0.5, 1.0, 2.4048, 7.0, 30.0)
UNIT = (0.0, 1e-9, 0.3, -0.5, 0.9, -0.999)
END = distance(1, -1)
UNITY = distance(0, 1)
NARROW = lambda x: 1 / (1 + abs(x) / 4)  # noqa: E731 - a row of the table
SCALE = lambda x: min(1.0, abs(x)) if x else 1.0  # noqa: E731 - a row of the table
DEGREES = lambda x: 30.0  # noqa: E731 - a row of the table
GROWING = lambda x: 1 + abs(x) / 2  # noqa: E731 - a row of the table
POLES = lambda x: abs(x - round(x)) if x < 0.5 else x  # noqa: E731 - a row of the table

ERRORS = (
    Row(special.erf, GAUSS, (*LINE, 8.0), (20.0, -26.0), NARROW, by_slope=True),
    Row(special.erfc, lambda z: -GAUSS(z), (*LINE, 8.0), (20.0, -26.0), NARROW, by_slope=True),
    Row(
        special.erfi,
        lambda z: 2 / mp.sqrt(mp.pi) * mp.exp(z * z),
        LINE,
        (20.0,),
        NARROW,
        by_slope=True,
    ),
    Row(special.ndtr, NORMAL, (*LINE, 12.0), (30.0, -37.0), NARROW, by_slope=True),
    Row(
        special.erfcx,
        lambda z: mp.exp(z * z) * mp.erfc(z),
        (*LINE, 1e-2, 0.3, 5.0, 20.0),
        (100.0, -20.0),
        radius=lambda x: 1 + x / 2 if x > 0 else NARROW(x),
    ),
    Row(
        special.log_ndtr,
        lambda z: NORMAL(z) / CDF(z),
        (*LINE, 0.3, 1.0, -2.0, -3.0, 3.0, 8.0, -12.0, 12.0),
        (-40.0, 37.0),
        radius=NARROW,
        by_slope=True,
        digits=120,
    ),
    Row(
        special.erfinv,
        _inverse(mp.erf, GAUSS, special.erfinv),
        UNIT,
        (1 - 1e-10,),
        radius=END,
    ),
    Row(
        special.erfcinv,
        _inverse(mp.erfc, lambda w: -GAUSS(w), special.erfcinv),
        (1.0, 0.5, 1.5, 1e-2, 1.99, 1e-5),
        (1e-30, 2 - 1e-12),
        radius=distance(0, 2),
    ),
    Row(
        special.ndtri,
        _inverse(CDF, NORMAL, special.ndtri),
        (0.5, 0.3, 0.8, 1e-2, 0.99, 1e-5),
        (1e-30, 1 - 1e-12),
        radius=UNITY,
    ),
    Row(
        special.dawsn,
        lambda z: mp.sqrt(mp.pi) / 2 * mp.exp(-z * z) * mp.erfi(z),
        (*LINE, 0.924, -0.99, 1.5, 3.0, 6.0, -10.0),
        (30.0, 1e3),
        radius=lambda x: 1 + abs(x) / 5,
    ),
    Row(
        special.fresnel,
        lambda z: mp.sin(mp.pi * z * z / 2),
        (*LINE[2:], 0.0, -7.0),
        radius=lambda x: 1 / (1 + abs(x)),
        part=0,
        by_slope=True,
        digits=120,
    ),
    Row(
        special.fresnel,
        lambda z: mp.cos(mp.pi * z * z / 2),
        (*LINE[2:], 0.0, -7.0),
        radius=lambda x: 1 / (1 + abs(x)),
        part=1,
        by_slope=True,
        digits=120,
    ),
)

ELEMENTARY = (
    Row(
        special.expit,
        lambda z: mp.exp(-z) / (1 + mp.exp(-z)) ** 2,
        (*LINE, -30.0, 40.0, -80.0),
        (300.0, -700.0),
        by_slope=True,
    ),
    Row(
        special.log_expit,
        lambda z: 1 / (1 + mp.exp(z)),
        (*LINE, -30.0, 40.0, -80.0),
        (300.0, -700.0, -800.0),
        by_slope=True,
        digits=1000,
    ),
    Row(
        special.logit,
        lambda z: mp.log(z / (1 - z)),
        (1e-10, 0.1, 0.3, 0.5, 0.50001, 0.9, 0.9999),
        (1e-40, 1 - 1e-12),
        radius=UNITY,
    ),
    Row(special.exprel, lambda z: mp.expm1(z) / z, (1e-9, *LINE[2:], -8.0, 12.0, -30.0), (300.0,)),
    Row(special.expm1, mp.expm1, (*LINE, 50.0)),
    Row(special.log1p, mp.log1p, (0.0, 1e-9, -0.5, 3.0, 1e4), radius=distance(-1)),
    Row(special.cbrt, lambda z: mp.cbrt(z), (1e-3, 1.0, 1e4), radius=ORIGIN),
    Row(special.exp2, lambda z: mp.power(2, z), LINE),
    Row(special.exp10, lambda z: mp.power(10, z), (*LINE, 30.0), (300.0,)),
    Row(special.cosm1, lambda z: mp.cos(z) - 1, LINE),
    Row(special.sindg, lambda z: mp.sin(z * mp.pi / 180), (*LINE, 90.0, 1e3), radius=DEGREES),
    Row(special.cosdg, lambda z: mp.cos(z * mp.pi / 180), (*LINE, 90.0, 1e3), radius=DEGREES),
    Row(
        special.tandg,
        lambda z: mp.tan(z * mp.pi / 180),
        (*LINE, 45.0, 100.0),
        radius=lambda x: 10.0,
    ),
    Row(special.cotdg, lambda z: mp.cot(z * mp.pi / 180), (1e-9, 1.0, -2.0, 90.0), radius=SCALE),
    Row(
        special.entr,
        lambda z: -z * mp.log(z),
        (1e-30, 1e-3, 0.36787944, 1.0, 1e4),
        (1e-40,),
        radius=ORIGIN,
    ),
)

GAMMAS = (
    Row(
        special.psi,
        mp.digamma,
        (1e-8, 0.3, 1.0, 1.4616321, 2.0, 10.0, 1e4, -0.5, -1.3, -10.7),
        (-50.01,),
        radius=POLES,
    ),
    Row(special.gammaln, mp.loggamma, (1e-8, 0.3, 1.0, 1.4616321, 2.0, 1e4), (1e8,), radius=POLES),
    Row(special.loggamma, mp.loggamma, (1e-8, 0.3, 1.0, 1.4616321, 1e4), (1e8,), radius=POLES),
    Row(
        special.gammaln,
        lambda z: mp.log(mp.gamma(z) ** 2) / 2,
        (-0.5, -1.3, -10.7),
        radius=POLES,
    ),
    Row(
        special.gamma,
        mp.gamma,
        (1e-8, 0.3, 1.0, 1.4616321, 2.0, 10.0, 30.0, -0.5, -1.3, -10.7),
        (160.0, -50.01),
        radius=lambda x: min(2.0, POLES(x)),
    ),
    Row(
        special.rgamma,
        mp.rgamma,
        (*LINE, 0.3, 1.0, 1.4616321, 1.1, 10.0, -1.0, -2.0, -0.25, -10.7, -20.0),
        (100.0,),
    ),
    Row(
        special._ufuncs._zeta,
        lambda z: mp.zeta(2.5, z),
        (1e-3, 0.3, 1.0, 10.0, 1e4),
        radius=ORIGIN,
        parameters=(2.5,),
    ),
)


def _bessel(ufunc, oracle, order, points, radius=lambda x: 1.0):
    parameters = (order,) if ufunc.nin == 2 else ()
    return Row(ufunc, lambda z: oracle(order, z), points, radius=radius, parameters=parameters)


EVEN = (0.0, 1e-4, -0.5, 1.0, 2.4048, 7.0, 30.0, -100.0)
AIRY = (0.0, 1e-9, 1.0, -1.0, 5.0, -5.0, -30.0)
SQUARE_ROOT = lambda x: 1 / (1 + abs(x) ** 0.5)  # noqa: E731 - a row of the table

BESSEL = (
    _bessel(special.j0, mp.besselj, 0, EVEN),
    _bessel(special.j1, mp.besselj, 1, EVEN),
    _bessel(special.y0, mp.bessely, 0, HALF, SCALE),
    _bessel(special.y1, mp.bessely, 1, HALF, SCALE),
    _bessel(special.i0, mp.besseli, 0, EVEN[:-1]),
    _bessel(special.i1, mp.besseli, 1, EVEN[:-1]),
    _bessel(special.k0, mp.besselk, 0, HALF[:2], SCALE),
    _bessel(special.k1, mp.besselk, 1, HALF[1::3], SCALE),
    _bessel(special.jv, mp.besselj, 2, EVEN),
    _bessel(special.jv, mp.besselj, 2.5, HALF, SCALE),
    _bessel(special.jv, mp.besselj, -0.25, HALF, SCALE),
    _bessel(special.yv, mp.bessely, 2.5, HALF, SCALE),
    _bessel(special.yn, mp.bessely, 3, HALF, SCALE),
    _bessel(special.iv, mp.besseli, 2, EVEN[:-1]),
    _bessel(special.iv, mp.besseli, 2.5, HALF, SCALE),
    _bessel(special.iv, mp.besseli, -0.25, HALF, SCALE),
    _bessel(special.kv, mp.besselk, 2.5, HALF, SCALE),
    _bessel(special.kn, mp.besselk, 3, HALF[1::3], SCALE),
    Row(
        special.i0e,
        lambda z: mp.exp(-z) * mp.besseli(0, z),
        (1e-3, 0.5, 1.0, 10.0, 30.0, 49.0, 50.0, 100.0),
        (700.0, 1e6),
        radius=GROWING,
    ),
    Row(
        special.i1e,
        lambda z: mp.exp(-z) * mp.besseli(1, z),
        (1e-3, 0.5, 1.0, 10.0, 30.0, 49.0, 50.0, 100.0),
        (700.0, 1e6),
        radius=GROWING,
    ),
    Row(
        special.i0e,
        lambda z: mp.exp(z) * mp.besseli(0, z),
        (-0.5, -40.0),
        radius=GROWING,
    ),
    Row(
        special.i1e,
        lambda z: mp.exp(z) * mp.besseli(1, z),
        (-0.5, -40.0),
        radius=GROWING,
    ),
    Row(special.airy, lambda z: mp.airyai(z), (*AIRY, 8.0), radius=SQUARE_ROOT, part=0),
    Row(special.airy, lambda z: mp.airyai(z, 1), (*AIRY, 8.0), radius=SQUARE_ROOT, part=1),
    Row(special.airy, lambda z: mp.airybi(z), (*AIRY, 8.0), radius=SQUARE_ROOT, part=2),
    Row(special.airy, lambda z: mp.airybi(z, 1), (*AIRY, 8.0), radius=SQUARE_ROOT, part=3),
)
