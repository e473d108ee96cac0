"""Operations on lists of Taylor coefficients at a point."""

from __future__ import annotations

import math

import numpy as np


def integrated(terms) -> list:
    """Return coefficients 1, 2, … of the antiderivative of Σ terms[k] t^k."""
    return [term / k for k, term in enumerate(terms, 1)]


def scaled(terms, rate) -> list:
    """Return coefficients 1, 2, … of f(rate·x) from those of f."""
    return [term * rate**k for k, term in enumerate(terms, 1)]


def product(u, v) -> list:
    """Return the product of two series of the same length."""
    return [sum(u[j] * v[k - j] for j in range(k + 1)) for k in range(len(u))]


def reciprocals(a, n: int) -> list:
    """Return coefficients 0 to n − 1 of 1/x."""
    terms = [1 / a]
    for _ in range(n - 1):
        terms.append(-terms[-1] / a)
    return terms


def quotient(a, numerator) -> list:
    """Return the coefficients of f/x at a from those of f: stable where |a| > their number."""
    terms, before = [], 0
    for f in numerator:
        before = (f - before) / a
        terms.append(before)
    return terms


def logarithm(f) -> list:
    """Return coefficients 1, 2, … of log f from those of f, the value included."""
    terms = []
    for k in range(1, len(f)):
        total = k * f[k]
        for j, term in enumerate(terms, 1):
            total = total - j * term * f[k - j]
        terms.append(total / (k * f[0]))
    return terms


def shifted(c, t, n: int) -> list:
    """Return the first n coefficients at t of the series Σ c_j t^j."""
    terms = []
    for k in range(n):
        total = np.zeros_like(t)
        for j in range(len(c) - 1, k - 1, -1):
            total = total * t + math.comb(j, k) * c[j]
        terms.append(total)
    return terms


def choice(condition, u, v) -> list:
    """Return the coefficients of u where the condition holds, of v elsewhere."""
    return [np.where(condition, left, right) for left, right in zip(u, v, strict=True)]


def of_argument(series, slope: float, shift: float = 0.0, factor: float = 1.0):
    """Return the series of factor·f(slope·x + shift) from that of f."""

    def inner(a, y, n, *parameters):
        terms = series(slope * a + shift, y / factor, n, *parameters)
        return [factor * c for c in scaled(terms, slope)]

    return inner
