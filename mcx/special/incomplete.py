"""Incomplete gamma and beta functions and Student's distribution, by their densities.

The derivative of each is a density whose logarithm has a rational derivative: its coefficients
follow by a three-term recurrence, its value in the form that keeps its digits at large parameters.

References
----------
C. Loader, "Fast and accurate computation of binomial probabilities", 2000.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import special

from mcx import series
from mcx.special.coefficients import integrated, product
from mcx.special.quadrature import UNIT_INTERVAL, moments

_LARGE = 20.0  # parameters from which on the logarithms of gamma functions would cancel


def _deviance(m, x):
    """Return x − m − m·log(x/m), by ∫ s/(1 + hs) ds over [0, 1] times m·h² where h = x/m − 1."""
    h = (x - m) / m
    near = np.abs(h) < 0.5
    inside = np.where(near, h, 0)
    (integral,) = moments(((w * s / (1 + inside * s), 0) for s, w in UNIT_INTERVAL), 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        far = x - m - m * np.log(x / m)
    return np.where(near, m * inside * inside * integral, far)


def _stirling_error(m):
    """Return log Γ(m + 1) − log(√(2πm) (m/e)^m)."""
    large = np.maximum(m, _LARGE)
    u = 1 / (large * large)
    tail = (1 / 12 - u * (1 / 360 - u * (1 / 1260 - u * (1 / 1680 - u / 1188)))) / large
    small = np.minimum(m, _LARGE)
    exact = special.gammaln(small + 1) - (small + 0.5) * np.log(small) + small
    return np.where(m > _LARGE, tail, exact - 0.5 * math.log(2 * math.pi))


def _gamma_density(p, x):
    """Return x^(p − 1) e^(−x)/Γ(p)."""
    small, m = np.minimum(p, _LARGE), np.maximum(p, _LARGE) - 1
    direct = np.power(x, small - 1) * np.exp(-x) / special.gamma(small)
    scaled = np.exp(-_stirling_error(m) - _deviance(m, x)) / np.sqrt(2 * math.pi * m)
    return np.where(p < _LARGE, direct, scaled)


def _beta_density(p, q, x):
    """Return x^(p − 1) (1 − x)^(q − 1)/B(p, q)."""
    rest, total = 1 - x, p + q
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        direct = np.power(x, p - 1) * np.power(rest, q - 1) / special.beta(p, q)
        exponent = _stirling_error(total) - _stirling_error(p) - _stirling_error(q)
        exponent = exponent - _deviance(p, total * x) - _deviance(q, total * rest)
        factor = np.sqrt(p * q / (2 * math.pi * total)) / (x * rest)
        return np.where(total < 2 * _LARGE, direct, factor * np.exp(exponent))


def _below(power, n: int):
    """Tell whether derivatives up to n of x^power reach the end of a polynomial."""
    return (power == np.rint(power)) & (power < n)


def _reciprocal_beta(p, q):
    """Return 1/B(p, q) for a whole p below the order."""
    return special.poch(q, p) / special.gamma(p)


def gammainc(a, y, n, p):
    """P(p, x)' = x^(p−1) e^(−x)/Γ(p) =: g, with x g' = (p − 1 − x) g.

    A whole power p − 1 has no singularity at 0, which the recurrence would bring in: there the
    product of the power and the exponential.
    """
    power = np.asarray(p, dtype=float) - 1
    terms = [_gamma_density(power + 1, a)]
    at = np.where(a == 0, 1, a)
    for k in range(n - 1):
        before = terms[k - 1] if k else 0
        terms.append(((power - a - k) * terms[k] - before) / (at * (k + 1)))
    by_zero = (a == 0) | (_below(power, n) & (a < n / 2))
    x = np.where(by_zero, a, 1)
    decay = [np.exp(-x) * ((-1.0) ** k / math.factorial(k)) for k in range(n)]
    scale = special.rgamma(power + 1)
    near = product([np.power(x, power), *series.power(x, power, n)[: n - 1]], decay)
    return integrated(np.where(by_zero, scale * u, v) for u, v in zip(near, terms, strict=True))


def gammaincc(a, y, n, p):
    """1 − P(p, x)."""
    return [-term for term in gammainc(a, y, n, p)]


def betainc(a, y, n, p, q):
    """I_x(p, q)' = x^(p−1) (1 − x)^(q−1)/B =: g, x(1 − x) g' = (p − 1 − (p + q − 2)x) g.

    Near an end with a whole power, the product of the two powers, as in `gammainc`.
    """
    p, q = np.asarray(p, dtype=float) - 1, np.asarray(q, dtype=float) - 1
    terms = [_beta_density(p + 1, q + 1, a)]
    both = a * (1 - a)
    inside = np.where(both == 0, 1, both)
    for k in range(n - 1):
        total = (p - (p + q) * a - (1 - 2 * a) * k) * terms[k]
        if k:
            total = total + (k - 1 - (p + q)) * terms[k - 1]
        terms.append(total / (inside * (k + 1)))
    left = _below(p, n) & (a * (1 + np.abs(q)) < n / 2) & (a < 0.5)
    right = _below(q, n) & ((1 - a) * (1 + np.abs(p)) < n / 2) & (a > 0.5)
    by_end = (both == 0) | left | right
    x = np.where(by_end, a, 0.5)
    u = [np.power(x, p), *series.power(x, p, n)[: n - 1]]
    v = [np.power(1 - x, q), *series.power(1 - x, q, n)[: n - 1]]
    v = [c * (-1.0) ** k for k, c in enumerate(v)]
    with np.errstate(all="ignore"):
        scale = 1 / special.beta(p + 1, q + 1)
        scale = np.where(left, _reciprocal_beta(p + 1, q + 1), scale)
        scale = np.where(right, _reciprocal_beta(q + 1, p + 1), scale)
    ends = product(u, v)
    return integrated(np.where(by_end, scale * c, d) for c, d in zip(ends, terms, strict=True))


def betaincc(a, y, n, p, q):
    """1 − I_x(p, q)."""
    return [-term for term in betainc(a, y, n, p, q)]


def stdtr(a, y, n, df):
    """Density g = c (1 + x²/ν)^(−(ν+1)/2): (ν + x²) g' = −(ν + 1) x g; normal for infinite ν."""
    df = np.minimum(np.asarray(df, dtype=float), 1e30)
    power = -(df + 1) / 2
    m = df / 2
    factor = _stirling_error(m + 0.5) - _stirling_error(m) - _deviance(m, m + 0.5)
    terms = [np.exp(factor + power * np.log1p(a * a / df)) / math.sqrt(2 * math.pi)]
    for k in range(n - 1):
        total = 2 * (power - k) * a * terms[k]
        if k:
            total = total + (2 * power - k + 1) * terms[k - 1]
        terms.append(total / ((df + a * a) * (k + 1)))
    return integrated(terms)
