"""Slow oracles, independent of mcx: mpmath derivatives and the chain rule over set partitions.

Derivatives come from Cauchy's integral formula, evaluated by the trapezoidal rule on a circle, in
enough digits. Planes of f(z) come from Faà di Bruno's formula: the plane of a set T of units is the
sum over all partitions of T of f^(number of blocks) times the product of the planes of the blocks.
Everything is handed over in long double, whose exponent range holds every tail of float64.
"""

from functools import cache

import mpmath
import numpy as np
from mpmath import mp

POINTS = 32


def to_longdouble(x):
    """Return an mpmath number as long double."""
    with mp.workdps(40):
        return np.longdouble(mp.nstr(x, 25, min_fixed=1, max_fixed=0))


@cache
def _powers(points, order, dps):
    """Return w^-k for half the points w of the unit circle (none real) and k = 0..order."""
    with mp.workdps(dps):
        circle = [mp.expjpi(mpmath.mpf(2 * j + 1) / points) for j in range(points)]
        return circle, [[w**-k for k in range(order + 1)] for w in circle]


def _cauchy(f, x, order, radius, dps):
    """Return c_k r^k, k = 0..order, for the Taylor coefficients c_k of a real analytic f at x."""
    circle, powers = _powers(POINTS, order, dps)
    half = POINTS // 2
    terms = [f(mp.mpc(x) + radius * w) for w in circle[:half]]
    return [
        2 * sum((t * w[k] for t, w in zip(terms, powers, strict=False)), mp.mpc(0)).real / POINTS
        for k in range(order + 1)
    ]


def _cauchy2(f, x, y, order, radii, dps):
    """Return c_ij r^i s^j, i + j ≤ order, for the Taylor coefficients of f at (x, y)."""
    points = 24
    circle, powers = _powers(points, order, dps)
    inner = []
    for v in circle[: points // 2]:
        row = [f(x + radii[0] * u, y + radii[1] * v) for u in circle]
        inner.append(
            [sum(t * w[i] for t, w in zip(row, powers, strict=True)) for i in range(order + 1)]
        )
    return [
        2 * sum((r[i] * w[j] for r, w in zip(inner, powers, strict=False)), mp.mpc(0)).real
        / points**2
        for i, j in degrees(order)
    ]  # fmt: skip


def _resolved(compute, orders, digits):
    """Return Taylor coefficients on which circles of two radii agree to 25 digits.

    What lies below 10^(-0.75 digits) of the largest term, or below what aliasing adds to a term
    (1e-35 of those of positive order), is zero within the digits carried.
    """
    with mp.workdps(digits):
        found = []
        ratio = mpmath.mpf("0.77")
        one, two = compute(mpmath.mpf(1)), compute(ratio)
        higher = max(abs(c) for c, k in zip(one, orders, strict=True) if k)
        floor = max(mp.mpf(10) ** (-0.75 * digits) * max(map(abs, one)), mp.mpf("1e-35") * higher)
        for a, b, k in zip(one, two, orders, strict=True):
            b = b / ratio**k
            if abs(a) > floor and abs(a - b) > mpmath.mpf(10) ** -25 * abs(b):
                raise ArithmeticError(f"the oracle does not resolve order {k}; raise digits")
            found.append(b if abs(a) > floor else mpmath.mpf(0))
        return found


@cache
def derivatives(f, x, order, radius=1.0, digits=80):
    """Return [f(x), f'(x), …, f^(order)(x)] as long doubles.

    Parameters
    ----------
    f : function of one mpmath number, real on the real axis
    x : float
    order : int
    radius : float
        A distance within which f is analytic and does not vary by many orders of magnitude.
    digits : int
        Decimal digits carried; more where derivatives are that much smaller than the value.
    """
    r = mpmath.mpf(radius) / 16
    found = _resolved(
        lambda scale: _cauchy(f, x, order, scale * r, digits), list(range(order + 1)), digits
    )
    with mp.workdps(40):
        found[0] = f(mp.mpf(x))
        return [to_longdouble(c / r**k * mp.factorial(k)) for k, c in enumerate(found)]


def degrees(order):
    """Return all (i, j) with i + j ≤ order."""
    return [(i, total - i) for total in range(order + 1) for i in range(total + 1)]


@cache
def partials(f, x, y, order, radii=(1.0, 1.0), digits=80):
    """Return {(i, j): ∂x^i ∂y^j f(x, y)} for i + j ≤ order as long doubles."""
    r, s = (mpmath.mpf(radius) / 48 for radius in radii)
    orders = [i + j for i, j in degrees(order)]
    found = _resolved(
        lambda scale: _cauchy2(f, x, y, order, (scale * r, scale * s), digits), orders, digits
    )
    with mp.workdps(40):
        return {
            (i, j): to_longdouble(c / (r**i * s**j) * mp.factorial(i) * mp.factorial(j))
            for (i, j), c in zip(degrees(order), found, strict=True)
        }


def block_sums(*operands):
    """Return the sums over set partitions that Faà di Bruno's formula needs.

    Parameters
    ----------
    *operands : (planes, *shape) long double, the planes of z (and w) by bit mask

    Returns
    -------
    (planes, n + 1, …, *shape)
        Entry [T, i, j] is the sum, over the partitions of the set T of units into i blocks given to
        z and j blocks given to w, of the product of the blocks' planes.
    """
    size, shape = len(operands[0]), operands[0].shape[1:]
    counts = (size.bit_length(),) * len(operands)
    sums = np.zeros((size, *counts, *shape), np.longdouble)
    sums[(0,) * (1 + len(operands))] = 1
    for units in range(1, size):
        first = units & -units
        subset = rest = units ^ first
        while True:  # the block with the first unit is first | subset
            for axis, planes in enumerate(operands):
                more = np.moveaxis(sums[units], axis, 0)
                less = np.moveaxis(sums[rest ^ subset], axis, 0)
                more[1:] += planes[first | subset] * less[:-1]
            if not subset:
                break
            subset = (subset - 1) & rest
    return sums


def chain(f, planes, tiny=0.0):
    """Return the planes of f(z) and the scale of law 5, from derivatives and the planes of z.

    Parameters
    ----------
    f : (orders + 1, *shape) long double, f^(k) at the value plane, one order more than z has
    planes : (planes, *shape) long double, planes of z by bit mask
    tiny : float
        Smallest normal number of the format tested, below which no relative precision exists.

    Returns
    -------
    expected, scale : (planes, *shape)
        Error bounds are a multiple of eps times the scale
        Σ_π (|f^(k)| + |x f^(k+1)|) Π |z_B| over the partitions π with k blocks B.
    """
    n = len(planes).bit_length()
    condition = np.maximum(abs(f[:n]) + abs(planes[0] * f[1 : n + 1]), tiny)
    expected = np.sum(block_sums(planes) * f[:n], axis=1)
    return expected, np.sum(block_sums(abs(planes)) * condition, axis=1)


def chain2(f, left, right, tiny=0.0):
    """Return the planes of f(z, w) and the scale of law 5, from partial derivatives.

    Parameters
    ----------
    f : dict (i, j) -> array, ∂x^i ∂y^j f at the value planes, one order more than z and w have
    left, right : (planes, *shape) long double, planes of z and w by bit mask
    tiny : float
        As in `chain`.
    """
    n, (x, y) = len(left).bit_length() - 1, (left[0], right[0])
    sums, sizes = block_sums(left, right), block_sums(abs(left), abs(right))
    expected, scale = np.zeros_like(left), np.zeros_like(left)
    for i, j in degrees(n):
        condition = abs(f[i, j]) + abs(x * f[i + 1, j]) + abs(y * f[i, j + 1])
        expected += f[i, j] * sums[:, i, j]
        scale += np.maximum(condition, tiny) * sizes[:, i, j]
    return expected, scale


# Weights of the central difference of eighth order, at ±1, ±2, ±3, ±4 steps.
WEIGHTS = [np.longdouble(n) / d for n, d in ((4, 5), (-1, 5), (4, 105), (-1, 280))]


def along(f, step):
    """Return d/dt f(t) at 0 for an array-valued f, by central differences of eighth order."""
    terms = [w * (f(k * step) - f(-k * step)) for k, w in enumerate(WEIGHTS, start=1)]
    return sum(terms) / step


def directional_differences(f, x, p, q, dtype=np.longdouble):
    """Return Df(x)[p], Df(x)[q] and D²f(x)[p, q], f being evaluated in the given type."""
    x, p, q = (a.astype(np.longdouble) for a in (x, p, q))
    fine, coarse = np.longdouble(2) ** -9, np.longdouble(2) ** -8

    def at(s, t):
        return f((x + s * p + t * q).astype(dtype))

    return (
        along(lambda s: at(s, 0), fine),
        along(lambda t: at(0, t), fine),
        along(lambda s: along(lambda t: at(s, t), coarse), coarse),
    )
