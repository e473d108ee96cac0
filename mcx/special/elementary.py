"""Logistic functions, angles in degrees, and Lambert's W: functions of exponentials and sines."""

from __future__ import annotations

import math

import numpy as np
from scipy import special

from mcx import series
from mcx.special.coefficients import scaled

_DEGREE = math.pi / 180


def expit(a, y, n):
    """1/(1 + e^(−x)), the derivative of softplus."""
    return [k * c for k, c in enumerate(series.softplus(a, n + 1)[1:], 2)]


def log_expit(a, y, n):
    """−softplus(−x)."""
    return [c * (-1.0) ** (k + 1) for k, c in enumerate(series.softplus(-a, n), 1)]


def logit(a, y, n):
    """Log(x) − log(1 − x)."""
    terms, left, right = [], 1, 1
    for k in range(1, n + 1):
        left, right = left * (-1 / a), right / (1 - a)
        terms.append((right - left) / k)
    return terms


def exp10(a, y, n):
    """10^x."""
    return scaled([y / math.factorial(k) for k in range(1, n + 1)], math.log(10.0))


def cosm1(a, y, n):
    """cos(x) − 1."""
    return series.cosine(a, np.cos(a), n)


def sindg(a, y, n):
    """sin(x°)."""
    return scaled(_cycle(n, special.cosdg(a), -y), _DEGREE)


def cosdg(a, y, n):
    """cos(x°)."""
    return scaled(_cycle(n, -special.sindg(a), -y), _DEGREE)


def _cycle(n: int, first, second):
    cycle = (first, second, -first, -second)
    return [cycle[k % 4] / math.factorial(k + 1) for k in range(n)]


def tandg(a, y, n):
    """tan(x°)."""
    return scaled(series.tangent(a, y, n), _DEGREE)


def cotdg(a, y, n):
    """Cot(x) = −tan(x − 90°), from cosine and sine: SciPy's own loses digits near 0."""
    value = special.cosdg(a) / special.sindg(a)
    return [-term for term in scaled(series.tangent(a, -value, n), _DEGREE)]


def lambertw(a, y, n, branch, tolerance):
    """W⁽ᵏ⁾ = (−1)^(k−1) e^(−kW) Q_k(u)/u^(2k−1) at u = 1 + W, the Q_k with positive coefficients.

    References
    ----------
    R. Corless, G. Gonnet, D. Hare, D. Jeffrey and D. Knuth, "On the Lambert W function", Advances
    in Computational Mathematics 5 (1996), 329-359.
    """
    u = 1 + y
    tiny = a == 0
    decay = np.where(np.abs(y) < 1, np.exp(-y), np.where(tiny, 1, y) / np.where(tiny, 1, a))
    q, terms, factor = [1], [], decay / u
    for k in range(1, n + 1):
        polynomial = sum(c * u**j for j, c in enumerate(q))
        terms.append(factor * polynomial * ((-1.0) ** (k - 1) / math.factorial(k)))
        factor = factor * decay / (u * u)
        shifted = [0, *(k * c for c in q)]
        q = [s + (2 * k - 1 - j) * c for j, (s, c) in enumerate(zip(shifted, [*q, 0], strict=True))]
    return terms
