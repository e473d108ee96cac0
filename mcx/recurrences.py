"""Analytic functions of a Taylor series in one direction, each by a recurrence of its own.

A buffer z of shape (n + 1, *shape) holds the series z(t) = Σ z_k t^k. Composing f with it by
Horner's rule costs n products of series; the recurrences here cost one to three in all, because f
obeys a differential equation y′ = w·z′ whose w is known: k y_k = Σ_j (j z_j) w_(k−j).

Every recurrence is called as ``recurrence(z, y0, live, dot)`` and returns the buffer of f(z):

- y0 is f at the value z_0, as NumPy computed it, and becomes plane 0 as it is;
- live lists the planes k ≥ 1 of z that are not known to be zero, ascending; no other is read, and
  f(x + t), where live is (1,), costs O(n) unless its equation is quadratic in f (tan, tanh);
- dot(u, v, pairs, out) is the inner loop: out = Σ u[i]·v[j] over the pairs (i, j), in that order.
  `out` may be a plane of u or v that no pair names.

Slopes at the value come from `mcx.series`, in the forms that keep their digits in the tails. At a
singular point (√0, log 0, arcsin 1) and where a number overflows, planes come out infinite or NaN.
Horner's rule has the answer there (an infinite slope that nothing moves along contributes 0), so
the caller runs a recurrence with floating-point warnings off and, where a plane of the result is
not finite or the result is None, composes the whole array by Horner's rule instead.

References
----------
A. Griewank and A. Walther, "Evaluating Derivatives", 2nd ed., SIAM 2008, section 13.2.
"""

from __future__ import annotations

import math
from functools import lru_cache, partial

import numpy as np

from mcx import series


def dot(u, v, pairs, out):
    """Write Σ u[i]·v[j] over the pairs (i, j), added in their order, to `out`."""
    if not pairs:
        out[...] = 0
        return
    (i, j), *others = pairs
    np.multiply(u[i], v[j], out=out)
    for i, j in others:
        np.add(out, u[i] * v[j], out=out)


@lru_cache(maxsize=1024)
def _pairs(left, right, size: int):
    """Return, for each plane k, the pairs (i, k − i) with i in `left` and k − i in `right`."""
    return tuple(tuple((i, k - i) for i in left if k - i in right) for k in range(size))


def _started(z, value):
    """Return a new buffer like z with its plane 0."""
    out = np.empty_like(z, dtype=getattr(value, "dtype", None))
    out[0, ...] = value
    return out


def _scaled(z, planes, factor):
    """Return a buffer with the given planes of z times a factor; the others are not set."""
    out = np.empty_like(z)
    for k in planes:
        np.multiply(z[k], factor, out=out[k, ...])
    return out


def _product(x, y, left, right, dot):
    """Return the product of two series with the given non-zero planes, and its non-zero planes."""
    out = np.empty_like(x)
    pairs = _pairs(left, right, len(x))
    for k, some in enumerate(pairs):
        dot(x, y, some, out[k, ...])
    return out, tuple(k for k, some in enumerate(pairs) if some)


def _integration(z, live, dot, rate: float = 1.0):
    """Return integrate(w, out, k), which sets plane k ≥ 1 of the integral of rate·w·z′."""
    pairs = _pairs(live, range(len(z)), len(z))
    slope = np.empty_like(z)
    for j in live:
        np.multiply(z[j], rate * j, out=slope[j, ...])

    def integrate(w, out, k):
        dot(slope, w, pairs[k], out[k, ...])
        np.divide(out[k], k, out=out[k, ...])

    return integrate


def _integral(w, z, y0, live, dot):
    """Return y with y′ = w·z′ and plane 0 as given, all of w being known."""
    out, integrate = _started(z, y0), _integration(z, live, dot)
    for k in range(1, len(z)):
        integrate(w, out, k)
    return out


def _exponential(z, y0, start, rate, live, dot):
    """y′ = rate·y·z′ from `start`, which y0 replaces in the end: their difference is constant."""
    out, integrate = _started(z, start), _integration(z, live, dot, rate)
    for k in range(1, len(z)):
        integrate(out, out, k)
    out[0, ...] = y0
    return out


def _logarithm(z, y0, slope, scale, live, dot):
    """(k y_k) = scale·(k r_k) − Σ r_j ((k − j) y_(k−j)) with r = z/z_0, here (slope/scale)·z."""
    ratio = _scaled(z, live, -slope / scale)
    out, moment = _started(z, y0), np.empty_like(z)
    for k, pairs in enumerate(_pairs(live, range(1, len(z)), len(z))[1:], 1):
        dot(ratio, moment, pairs, moment[k, ...])
        if k in live:
            np.subtract(moment[k], ratio[k] * (scale * k), out=moment[k, ...])
        np.divide(moment[k], k, out=out[k, ...])
    return out


def _oscillation(z, y0, slope, sign, live, dot):
    """y′ = w·z′, w′ = sign·y·z′: sine and cosine (−1), hyperbolic sine and cosine (+1)."""
    out, w = _started(z, y0), _started(z, slope)
    integrate, turn = _integration(z, live, dot), _integration(z, live, dot, sign)
    for k in range(1, len(z)):
        integrate(w, out, k)
        turn(out, w, k)
    return out


def _tangent(z, y0, slope, sign, live, dot):
    """y′ = w·z′, w = 1 + sign·y²: the tangent (+1) and the hyperbolic tangent (−1)."""
    out, square = _started(z, y0), _started(z, slope * sign)  # sign·w: that of y² but for plane 0
    planes, integrate = range(len(z)), _integration(z, live, dot, sign)
    for k, pairs in enumerate(_pairs(planes, planes, len(z))[1:], 1):
        integrate(square, out, k)
        dot(out, out, pairs, square[k, ...])
    return out


def _raise(out, ratio, scale, p, live, dot):
    """Fill planes k ≥ 1 of y = y_0 (1 + s r)^p: k y_k = Σ (p j − (k − j)) s r_j y_(k−j)."""
    weighted = np.empty_like(ratio)
    for k, pairs in enumerate(_pairs(live, range(len(out)), len(out))[1:], 1):
        for j, i in pairs:
            np.multiply(ratio[j], scale * (p * j - i) / k, out=weighted[j, ...])
        dot(weighted, out, pairs, out[k, ...])
    return out


def _root(z, y0, p, live, dot):
    """z^p = z_0^p (z/z_0)^p for a p that leaves z_0^p no room to underflow."""
    return _raise(_started(z, y0), _scaled(z, live, 1 / z[0]), 1.0, p, live, dot)


def _arcs(z, y0, slope, form, live, dot):
    """y′ = (c + sign·z²)^p·z′ for form (sign, p), p −1/2 or −1, and slope (c + sign·z_0²)^(−1/2).

    In units of the slope, x = slope·z, nothing overflows: y′ = v·x′ with v = v_0 (1 + sign·(x² −
    x_0²))^p, where v_0 is 1, or the slope where p is −1.
    """
    (sign, p), support = form, (0, *live)
    x = _scaled(z, support, slope)
    square, moving = _product(x, x, support, support, dot)
    v = _started(z, slope if p == -1.0 else np.ones_like(slope))
    return _integral(_raise(v, square, sign, p, moving[1:], dot), x, y0, live, dot)


def square(z, y0, live, dot):
    """Return z²."""
    support = (0, *live)
    out, _ = _product(z, z, support, support, dot)
    out[0, ...] = y0
    return out


def power(z, y0, p, live, dot):
    """Return z^p for a plain number p; None where that is for Horner's rule to find.

    A whole p from 2 to n is a matter of products, exact at base 0 too. Any other goes by
    k z_0 y_k = Σ (p j − (k − j)) z_j y_(k−j), which cannot start from a power that underflows while
    its derivatives do not: a base at or near 0 under a positive p. None then, and for p = 0 or 1.
    """
    p = np.asarray(p).item()
    z = z.astype(y0.dtype, copy=False)
    if p in range(2, len(z)):
        support = (0, *live)
        out, planes = z, support
        for bit in f"{int(p.real):b}"[1:]:
            out, planes = _product(out, out, planes, planes, dot)
            if bit == "1":
                out, planes = _product(out, z, planes, support, dot)
        out[0, ...] = y0
        return out
    if p in (0, 1) or (p.real > 0 and np.any(np.abs(y0) < np.finfo(y0.dtype).tiny)):
        return None
    return _root(z, y0, p, live, dot)


def softplus(z, y0, live, dot):
    """Return log(1 + e^z): y′ = w·z′ with the logistic function w = (1 + tanh(z/2))/2."""
    half = _scaled(z, (0, *live), 0.5)
    y = np.tanh(half[0])
    sech2 = series.hyperbolic_tangent(half[0], y, 1)[0]
    w = _tangent(half, y, sech2, -1.0, live, dot) * 0.5
    w[0, ...] = series.softplus(z[0], 1)[0]
    return _integral(w, z, y0, live, dot)


def _by_slope(family, of, parameter, z, y0, live, dot):
    """Run a family that starts from a slope: the first coefficient of the series `of`."""
    (slope,) = of(z[0], y0, 1)
    return family(z, y0, slope, parameter, live, dot)


# Families that start from a slope: the series that it comes from, and the family's parameter.
_FAMILIES = {
    np.expm1: (_exponential, series.expm1, 1.0),
    np.log: (_logarithm, series.logarithm(1.0), 1.0),
    np.log2: (_logarithm, series.logarithm(math.log(2.0)), 1 / math.log(2.0)),
    np.log10: (_logarithm, series.logarithm(math.log(10.0)), 1 / math.log(10.0)),
    np.log1p: (_logarithm, series.log1p, 1.0),
    np.sin: (_oscillation, series.sine, -1.0),
    np.cos: (_oscillation, series.cosine, -1.0),
    np.sinh: (_oscillation, series.hyperbolic_sine, 1.0),
    np.cosh: (_oscillation, series.hyperbolic_cosine, 1.0),
    np.tan: (_tangent, series.tangent, 1.0),
    np.tanh: (_tangent, series.hyperbolic_tangent, -1.0),
    np.arcsin: (_arcs, series.arcsine, (-1.0, -0.5)),
    np.arccos: (_arcs, series.arccosine, (-1.0, -0.5)),
    np.arctanh: (_arcs, series.arcsine, (-1.0, -1.0)),
    np.arcsinh: (_arcs, series.hyperbolic_arcsine, (1.0, -0.5)),
    np.arccosh: (_arcs, series.hyperbolic_arccosine, (1.0, -0.5)),
    np.arctan: (_arcs, series.hyperbolic_arcsine, (1.0, -1.0)),
}

RECURRENCES = {func: partial(_by_slope, *row) for func, row in _FAMILIES.items()} | {
    np.exp: lambda z, y0, live, dot: _exponential(z, y0, y0, 1.0, live, dot),
    np.exp2: lambda z, y0, live, dot: _exponential(z, y0, y0, math.log(2.0), live, dot),
    np.square: square,
    np.reciprocal: lambda z, y0, live, dot: _root(z, y0, -1.0, live, dot),
    np.sqrt: lambda z, y0, live, dot: _root(z, y0, 0.5, live, dot),
    np.cbrt: lambda z, y0, live, dot: _root(z, y0, 1 / 3, live, dot),
}
