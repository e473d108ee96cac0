"""Table of the functions of scipy.special, continued: families with parameters, two arguments."""

import math

import numpy as np
from core.cases import ORDER, ORIGIN, Binary, distance
from core.oracles import degrees, partials
from core.special_cases import LINE, SCALE, UNITY, Row
from mpmath import mp
from scipy import special

POSITIVE = (1e-3, 0.5, 1.0, 3.0, 8.0, 20.0)
WAVES = (0.0, 1e-9, 0.5, 1.0, -3.0, 8.0, 11.875, 12.125, 50.0)
BELOW_ONE = (0.0, 1e-9, 0.1, 0.4375, 0.5, 0.9, 0.999, -0.5, -3.0, -7.875, -8.0, -100.0)
TO_ONE = lambda x: min(1 - x, max(1.0, abs(x) / 2))  # noqa: E731 - a row of the table


def _over_x(func, at_zero=0):
    return lambda z: func(z) / z if z else mp.mpf(at_zero)


INTEGRALS = (
    Row(
        special.exp1, _over_x(lambda z: -mp.exp(-z)), (*POSITIVE, 80.0), (600.0,), SCALE,
        by_slope=True,
    ),
    Row(
        special.expi, _over_x(mp.exp), (*POSITIVE, 0.3725, 13.0, -1e-3, -1.0, -20.0), (600.0,),
        SCALE, by_slope=True,
    ),
    *(
        Row(
            special.expn, lambda z, p=p: mp.expint(p, z), POSITIVE[p > 3 :], (), SCALE,
            parameters=(p,),
        )
        for p in (0, 1, 3, 9)
    ),
    Row(special.sici, _over_x(mp.sin, 1), WAVES, part=0, by_slope=True),
    Row(special.sici, _over_x(mp.cos), (*POSITIVE, 12.0), (), SCALE, part=1, by_slope=True),
    Row(special.shichi, _over_x(mp.sinh, 1), WAVES, part=0, by_slope=True),
    Row(special.shichi, _over_x(mp.cosh), (*POSITIVE, 12.0), (), SCALE, part=1, by_slope=True),
    Row(
        special.spence,
        lambda z: -mp.log(z) / (z - 1) if z != 1 else mp.mpf(-1),
        (1e-10, 1e-3, 0.1, 0.3975, 0.40625, 1.0, 1.0009765, 2.0, 2.9375, 3.0, 100.0),
        (1e10,),
        ORIGIN,
        by_slope=True,
    ),
)  # fmt: skip

ELLIPTIC = (
    Row(special.ellipk, mp.ellipk, BELOW_ONE, (1 - 1e-9, -1e4), TO_ONE),
    Row(special.ellipe, mp.ellipe, BELOW_ONE, (1 - 1e-9, -1e4), TO_ONE),
    Row(
        special.ellipkm1, lambda z: mp.ellipk(1 - z), (1e-5, 0.1, 0.5, 0.9, 1.0, 2.0, 9.0, 30.0),
        (1e-30,), ORIGIN, digits=140,
    ),
)  # fmt: skip


def _gamma_density(p, sign=1):
    return lambda z: sign * mp.exp((p - 1) * mp.log(z) - z - mp.loggamma(p))


def _beta_density(p, q, sign=1):
    def density(z):
        powers = (p - 1) * mp.log(z) + (q - 1) * mp.log(1 - z)
        return sign * mp.exp(powers + mp.loggamma(p + q) - mp.loggamma(p) - mp.loggamma(q))

    return density


def _student(df):
    def density(z):
        v = mp.mpf(df)
        norm = mp.exp(mp.loggamma((v + 1) / 2) - mp.loggamma(v / 2)) / mp.sqrt(v * mp.pi)
        return norm * (1 + z * z / v) ** (-(v + 1) / 2)

    return density


def _near_mode(p):
    return tuple(float(np.float32(p * f)) for f in (0.5, 0.9, 1.0, 1.3))


def _row(ufunc, slope, points, radius, *parameters):
    return Row(ufunc, slope, points, (), radius, parameters, by_slope=True)


ONE = lambda x: 1.0  # noqa: E731 - a row of the table
BRIEF = lambda x: 1e-3  # noqa: E731 - a row of the table
INSIDE = (1e-3, 0.1, 0.3125, 0.5, 0.9, 0.999)

DISTRIBUTIONS = (
    *(
        _row(special.gammainc, _gamma_density(p), (*POSITIVE, *_near_mode(p)), radius, p)
        for p, radius in ((0.25, SCALE), (1, ONE), (2, ONE), (3, ONE), (5.5, SCALE), (20, SCALE))
    ),
    *(
        _row(special.gammainc, _gamma_density(p), _near_mode(p), lambda x: math.sqrt(x) / 4, p)
        for p in (100, 10000)
    ),
    _row(special.gammaincc, _gamma_density(2.5, -1), POSITIVE, SCALE, 2.5),
    _row(special.chdtr, lambda z: _gamma_density(2.5)(z / 2) / 2, POSITIVE, SCALE, 5),
    _row(special.chdtrc, lambda z: -_gamma_density(2.5)(z / 2) / 2, POSITIVE, SCALE, 5),
    *(
        _row(special.betainc, _beta_density(p, q), INSIDE, UNITY, p, q)
        for p, q in ((0.5, 0.5), (2, 3), (2.5, 1.5), (1, 4), (30, 40))
    ),
    _row(special.betainc, _beta_density(2, 9000), (1e-8, 1e-4, 1e-3, 5e-3), BRIEF, 2, 9000),
    _row(
        special.betainc, _beta_density(1000, 2000), (0.25, 0.328125, 0.34375, 0.5),
        lambda x: 0.005, 1000, 2000,
    ),
    _row(special.betaincc, _beta_density(2.5, 1.5, -1), INSIDE, UNITY, 2.5, 1.5),
    *(_row(special.stdtr, _student(df), LINE, lambda x: 1.0, df) for df in (1, 2.5, 30, 1e6)),
)  # fmt: skip


def _gegenbauer(degree, p, z):
    return sum(
        (-1) ** k * mp.rf(p, degree - k) * (2 * z) ** (degree - 2 * k)
        / (mp.factorial(k) * mp.factorial(degree - 2 * k))
        for k in range(degree // 2 + 1)
    )  # fmt: skip


def _chebyshev(z):
    return _gegenbauer(5, 1, z)


POLYNOMIAL = (0.0, 0.25, -0.5, 0.875, 1.5)

HYPERGEOMETRIC = (
    Row(special.hyp0f1, lambda z: mp.hyp0f1(1.5, z), LINE, parameters=(1.5,)),
    Row(special.hyp1f1, lambda z: mp.hyp1f1(0.5, 2.25, z), LINE, parameters=(0.5, 2.25)),
    Row(
        special.hyp2f1, lambda z: mp.hyp2f1(0.5, 1.25, 2.75, z), (0.0, 0.25, -0.5, 0.5),
        parameters=(0.5, 1.25, 2.75), radius=distance(1),
    ),
    Row(special.eval_legendre, lambda z: mp.legendre(5, z), POLYNOMIAL, parameters=(5,)),
    Row(special.eval_chebyt, lambda z: mp.chebyt(5, z), POLYNOMIAL, parameters=(5,)),
    Row(special.eval_chebyu, _chebyshev, POLYNOMIAL, parameters=(5,)),
    Row(special.eval_chebyc, lambda z: 2 * mp.chebyt(5, z / 2), POLYNOMIAL, parameters=(5,)),
    Row(special.eval_chebys, lambda z: _chebyshev(z / 2), POLYNOMIAL, parameters=(5,)),
    Row(special.eval_sh_legendre, lambda z: mp.legendre(5, 2 * z - 1), POLYNOMIAL, parameters=(5,)),
    Row(special.eval_sh_chebyt, lambda z: mp.chebyt(5, 2 * z - 1), POLYNOMIAL, parameters=(5,)),
    Row(special.eval_sh_chebyu, lambda z: _chebyshev(2 * z - 1), POLYNOMIAL, parameters=(5,)),
    Row(
        special.eval_gegenbauer, lambda z: _gegenbauer(5, mp.mpf(0.75), z), POLYNOMIAL,
        parameters=(5, 0.75),
    ),
    Row(
        special.eval_jacobi, lambda z: mp.jacobi(5, 0.75, 1.5, z), POLYNOMIAL,
        parameters=(5, 0.75, 1.5),
    ),
    Row(special.eval_laguerre, lambda z: mp.laguerre(5, 0, z), POLYNOMIAL, parameters=(5,)),
    Row(
        special.eval_genlaguerre, lambda z: mp.laguerre(5, 0.75, z), POLYNOMIAL,
        parameters=(5, 0.75),
    ),
    Row(special.eval_hermite, lambda z: mp.hermite(5, z), POLYNOMIAL, parameters=(5,)),
    Row(
        special.eval_hermitenorm,
        lambda z: 2 ** mp.mpf(-2.5) * mp.hermite(5, z / mp.sqrt(2)), POLYNOMIAL, parameters=(5,),
    ),
)  # fmt: skip


def _mixed(func, radii, digits=80):
    """Return the partials of an mpmath function, with the radii at a point."""

    def found(x, y):
        return partials(func, x, y, ORDER + 1, radii(x, y), digits)

    return found


def _owens(h, a):
    """Return the partials of Owen's T from those of its derivatives by h and by a."""
    by_h = partials(_owens_by_h, h, a, ORDER, (1.0, 1.0))
    by_a = partials(_owens_by_a, h, a, ORDER, (1.0, 0.5))
    table = {(0, 0): np.longdouble(float(special.owens_t(h, a)))}
    for i, j in degrees(ORDER + 1)[1:]:
        table[i, j] = by_h[i - 1, j] if i else by_a[i, j - 1]
    return table


def _owens_by_h(h, a):
    root = mp.sqrt(2)
    return -mp.exp(-h * h / 2) * mp.erf(a * h / root) / (2 * root * mp.sqrt(mp.pi))


def _owens_by_a(h, a):
    return mp.exp(-h * h * (1 + a * a) / 2) / (2 * mp.pi * (1 + a * a))


def _boxcox(x, p):
    return (mp.power(x, p) - 1) / p if p else mp.log(x)


def _boxcox_scales(x, p):
    radius = min(x, 20 / (1 + abs(p)))
    return radius, 1 / (radius / x + abs(math.log(x)))


def _inv_boxcox(y, p):
    return mp.power(1 + p * y, 1 / p) if p else mp.exp(y)


def _betaln(u, v):
    return mp.loggamma(u) + mp.loggamma(v) - mp.loggamma(u + v)


def _pseudo_huber(d, r):
    return d * d * (mp.sqrt(1 + (r / d) ** 2) - 1)


def _huber(d, r):
    """Return the partials of Huber's loss, a polynomial on each side of δ."""
    d, r = np.longdouble(d), np.longdouble(r)
    table = {key: np.longdouble(0) for key in degrees(ORDER + 1)}
    if abs(r) <= d:
        return table | {(0, 0): r * r / 2, (0, 1): r, (0, 2): np.longdouble(1)}
    s = np.sign(r)
    return table | {(0, 0): d * (abs(r) - d / 2), (1, 0): abs(r) - d, (2, 0): np.longdouble(-1),
                    (0, 1): d * s, (1, 1): s}  # fmt: skip


def _scales(x, y):
    return abs(x), abs(y)


AMOUNTS = ((1.0, 2.0), (0.5, 0.5), (1e-3, 3.0), (4.0, 1e-3), (3.0, 3.0009765))
BOXCOX = ((2.0, 0.5), (0.5, -1.5), (3.0, 0.0), (1.0, 2.0), (2.0, 1e-6), (1e-3, -3.0), (1e-3, 4.0))
SHAPES = ((0.5, 0.5), (2.0, 3.0), (1e-3, 4.0), (30.0, 1e-3), (1e4, 2.0), (1e4, 2e4), (0.5, 0.75))

TWO = (
    Binary(special.xlogy, _mixed(lambda u, v: u * mp.log(v), _scales), AMOUNTS),
    Binary(
        special.xlog1py,
        _mixed(lambda u, v: u * mp.log1p(v), lambda x, y: (1, min(1, 1 + y))),
        ((0.0, 0.5), (1.0, 1e-9), (-2.0, -0.5), (3.0, 4.0)),
    ),
    Binary(
        special.rel_entr, _mixed(lambda u, v: u * mp.log(u / v), _scales), AMOUNTS,
        ((1e300, 2e300), (1e-200, 1e150)),
    ),
    Binary(
        special.kl_div, _mixed(lambda u, v: u * mp.log(u / v) - u + v, _scales), AMOUNTS,
    ),
    Binary(special.boxcox, _mixed(_boxcox, _boxcox_scales, 120), BOXCOX),
    Binary(
        special.boxcox1p,
        _mixed(lambda x, p: _boxcox(1 + x, p), lambda x, p: _boxcox_scales(1 + x, p), 120),
        ((1.0, 0.5), (-0.75, -1.5), (2.0, 0.0), (0.0, 2.0), (0.03125, 1e-6), (-0.999, 4.0)),
        ((1e-9, 1e10),),
    ),
    *(
        Binary(
            ufunc,
            _mixed(lambda y, p, c=c: _inv_boxcox(y, p) - c, lambda y, p: (0.3, 0.1), 120),
            ((1.0, 0.5), (-1.0, 0.75), (2.0, 0.0), (0.0, 2.0), (3.0, 0.125), (-2.0, -0.5)),
        )
        for ufunc, c in ((special.inv_boxcox, 0), (special.inv_boxcox1p, 1))
    ),
    Binary(special.huber, _huber, ((1.0, 0.5), (1.0, -3.0), (0.25, 0.25), (2.0, 1e4))),
    Binary(
        special.pseudo_huber, _mixed(_pseudo_huber, lambda d, r: (0.5 * d, 0.5 * d)),
        ((1.0, 0.5), (1.0, -3.0), (0.25, 0.25), (2.0, 1e-3), (2.0, 1e3), (3.0, 0.0)),
    ),
    Binary(special.betaln, _mixed(_betaln, _scales), SHAPES),
    Binary(special.beta, _mixed(mp.beta, _scales), SHAPES[:4]),
    Binary(special.owens_t, _owens, ((1.0, 2.0), (-0.5, 0.25), (3.0, -1.0), (0.0, 1.0))),
)  # fmt: skip
