"""Exponential, sine and cosine integrals, and the dilogarithm: integrals of quotients by x."""

from __future__ import annotations

import math

import numpy as np
from scipy import special

from mcx.special.coefficients import choice, integrated, quotient, reciprocals
from mcx.special.quadrature import UNIT_INTERVAL, moments


def _near(a, n: int):
    """Tell where quotients by x are taken as integrals over [0, 1]; return it and a there."""
    near = np.abs(a) < n + 4
    return near, np.where(near, a, 0)


def relative_exponential(a, n: int):
    """Coefficients 0 to n − 1 of (e^x − 1)/x = ∫ e^(xs) ds, all positive."""
    near, inside = _near(a, n)
    found = moments(((w * np.exp(inside * s), s) for s, w in UNIT_INTERVAL), n)
    found = [m / math.factorial(k) for k, m in enumerate(found)]
    outside = np.where(near, n + 4, a)
    whole = [np.expm1(outside)]
    whole += [np.exp(outside) / math.factorial(k) for k in range(1, n)]
    far = quotient(outside, whole)
    return choice(near, found, far)


def exprel(a, y, n):
    """(e^x − 1)/x."""
    return relative_exponential(a, n + 1)[1:]


def _decaying(a, n: int):
    """Coefficients of e^(−x)/x at a > 0: sums of terms of one sign."""
    scale, terms = np.exp(-a), []
    inverse = reciprocals(a, n)
    for k in range(n):
        signed = (inverse[j] * ((-1.0) ** (k - j) / math.factorial(k - j)) for j in range(k + 1))
        terms.append(scale * sum(signed))
    return terms


def exp1(a, y, n):
    """E_1' = −e^(−x)/x."""
    return [-term for term in integrated(_decaying(a, n))]


def expi(a, y, n):
    """Ei' = e^x/x = 1/x + (e^x − 1)/x right of 0; left of it −E_1(−x)."""
    right = [u + v for u, v in zip(reciprocals(a, n), relative_exponential(a, n), strict=True)]
    left = _decaying(np.where(a < 0, -a, 1), n)
    left = [c * (-1.0) ** (k + 1) for k, c in enumerate(left)]
    return integrated(choice(a < 0, left, right))


def expn(a, y, n, order):
    """E_p' = −E_(p−1), down to E_0 = e^(−x)/x and its derivatives."""
    order = np.asarray(order)
    base = _decaying(a, n + 1)
    terms = []
    for k in range(1, n + 1):
        known = special.expn(np.maximum(order - k, 0), a) * ((-1.0) ** k / math.factorial(k))
        beyond = np.zeros_like(known)
        for j in range(1, k + 1):  # p = k − j below 0: the derivative of order j of E_0
            sign = (-1.0) ** (k - j) * math.factorial(j) / math.factorial(k)
            beyond = np.where(k - order == j, sign * base[j], beyond)
        terms.append(np.where(order >= k, known, beyond))
    return terms


def _waves(a, n: int, hyperbolic: bool):
    """Coefficients of sin and cos (or sinh and cosh)."""
    if hyperbolic:
        cycle = [np.sinh(a), np.cosh(a)] * 2
    else:
        sin, cos = np.sin(a), np.cos(a)
        cycle = [sin, cos, -sin, -cos]
    table = [cycle[k % 4] / math.factorial(k) for k in range(n + 1)]
    return table[:n], [term * (k + 1) for k, term in enumerate(table[1:])]


def _wave_over_x(hyperbolic: bool):
    """Return the series of ∫ sin(x)/x = ∫∫ cos(xs) ds, or of ∫ sinh(x)/x."""

    def series(a, y, n):
        near, inside = _near(a, n)
        found = [np.zeros_like(a)] * n
        for s, w in UNIT_INTERVAL:
            cosine = _waves(inside * s, n, hyperbolic)[1]
            found = [t + (w * s**k) * c for k, (t, c) in enumerate(zip(found, cosine, strict=True))]
        outside = np.where(near, n + 4, a)
        far = quotient(outside, _waves(outside, n, hyperbolic)[0])
        return integrated(choice(near, found, far))

    return series


def cosine_integral(a, y, n):
    """Ci' = cos(x)/x."""
    return integrated(quotient(a, _waves(a, n, False)[1]))


def hyperbolic_cosine_integral(a, y, n):
    """Chi' = cosh(x)/x, half of e^x/x and e^(−x)/x."""
    size = np.abs(a)
    growing = [
        u + v for u, v in zip(reciprocals(size, n), relative_exponential(size, n), strict=True)
    ]
    both = [(u + v) / 2 for u, v in zip(growing, _decaying(size, n), strict=True)]
    sign = np.where(a < 0, -1, 1)
    return integrated(c * sign ** (k + 1) for k, c in enumerate(both))


def spence(a, y, n):
    """−log(x)/(x − 1) = −∫ ds/(1 + (x − 1)s) is f': moments near 1, quotients elsewhere."""
    u = a - 1
    near = (u > -0.6) & (u < 2)
    inside = np.where(near, u, 0)
    terms = ((w / (1 + inside * s), -s / (1 + inside * s)) for s, w in UNIT_INTERVAL)
    found = moments(terms, n)
    outside = np.where(near, 3, a)
    logs = [np.log(outside), *integrated(reciprocals(outside, n - 1)[: n - 1])]
    far = quotient(outside - 1, logs)
    return [-term for term in integrated(choice(near, found, far))]


sine_integral = _wave_over_x(False)
hyperbolic_sine_integral = _wave_over_x(True)
