"""Taylor coefficients of scalar functions, in forms that lose no digits.

Every function here takes the value a, y = f(a) as NumPy computed it, and an order n ≥ 1,
and returns [f'(a), f''(a)/2!, …, f⁽ⁿ⁾(a)/n!] as plain arrays. Recurrences add terms of one sign,
or are three-term recurrences of Legendre polynomials: tails and zeros keep their digits.
"""

from __future__ import annotations

import math
import operator

import numpy as np


def by_real(combine, c, k):
    """Return c·k or c/k (operator.mul or truediv) for a real k; an infinite complex c has no 0·inf.

    NumPy makes k complex, and ∞ times its imaginary part, 0, is NaN.
    """
    if not hasattr(c, "dtype") or c.dtype.kind != "c":
        return combine(c, k)
    out = np.empty_like(c)
    out.real, out.imag = combine(c.real, k), combine(c.imag, k)
    return out


def _powers(first, ratio, n: int):
    """Return [first, first·ratio, …] with n terms."""
    terms = [first]
    for _ in range(n - 1):
        terms.append(terms[-1] * ratio)
    return terms


def _cycle(n: int, *derivatives):
    """Return the coefficients of a function whose derivatives repeat in the given cycle."""
    return [
        by_real(operator.truediv, derivatives[k % len(derivatives)], math.factorial(k + 1))
        for k in range(n)
    ]


def exponential(a, y, n):
    return _cycle(n, y)


def exponential2(a, y, n):
    return [y * (math.log(2.0) ** k / math.factorial(k)) for k in range(1, n + 1)]


def expm1(a, y, n):
    return _cycle(n, np.exp(a))


def _logarithm_at(u, scale: float, n: int):
    """Coefficients of scale·log at the point whose reciprocal is u: scale·(−1)^(k−1) u^k / k."""
    return [t * (scale / k) for k, t in enumerate(_powers(u, -u, n), 1)]


def logarithm(base_log: float):
    """Return the series of the logarithm to the base whose natural logarithm is given."""
    return lambda a, y, n: _logarithm_at(1 / a, 1 / base_log, n)


def log1p(a, y, n):
    return _logarithm_at(1 / (1 + a), 1.0, n)


def reciprocal(a, y, n):
    return _powers(-y * y, -y, n)


def square(a, y, n):
    terms = [2 * a]
    if n > 1:
        terms.append(np.ones_like(a))
    return terms + [np.zeros_like(a)] * (n - 2)


def binomials(p, n: int):
    """Return the binomial coefficients (p over 1), …, (p over n) for a real p."""
    terms, term = [], 1.0
    for k in range(n):
        term = term * (p - k) / (k + 1)
        terms.append(term)
    return terms


def power(a, p, n):
    """Coefficients of x^p at a, 0 (not 0·inf) where p is an integer below the order."""
    terms = []
    for k, binomial in enumerate(binomials(p, n), 1):
        gone = binomial == 0
        if np.ndim(p):
            factor = np.power(a, np.where(gone, 0, p - k)) * binomial
            terms.append(np.where(gone, np.zeros_like(factor), factor))
        else:
            terms.append(np.zeros_like(a) if gone else np.power(a, p - k) * binomial)
    return terms


def root(p: float):
    """Return the series of x^p for the fraction p of a root, from y = a^p and a alone."""

    def series(a, y, n):
        slope = p / y if p == 0.5 else p / (y * y)
        terms = [slope]
        for k in range(1, n):
            terms.append(terms[-1] * ((p - k) / (k + 1)) / a)
        return terms

    return series


def sine(a, y, n):
    c = np.cos(a)
    return _cycle(n, c, -y, -c, y)


def cosine(a, y, n):
    s = np.sin(a)
    return _cycle(n, -s, -y, s, y)


def hyperbolic_sine(a, y, n):
    return _cycle(n, np.cosh(a), y)


def hyperbolic_cosine(a, y, n):
    return _cycle(n, np.sinh(a), y)


def _convolved(f, g, k: int):
    """Return Σ f_i g_(k−i), i = 0..k."""
    total = f[0] * g[k]
    for i in range(1, k + 1):
        total = total + f[i] * g[k - i]
    return total


def tangent(a, y, n):
    """Tan' = 1 + tan²; all terms of one sign. For complex a, tan a = −i·tanh(ia)."""
    if a.dtype.kind == "c":
        inner = _tanh_from(_turned(y), _sech2(_turned(a)), n)
        return [term * 1j**k for k, term in enumerate(inner)]
    terms = [y, 1 + y * y]
    for k in range(1, n):
        terms.append(_convolved(terms, terms, k) / (k + 1))
    return terms[1:]


def _tanh_from(y, s, n):
    """Coefficients of tanh from y = tanh and s = sech² at the point: y' = s, s' = −2ys."""
    ys, ss = [y], [s]
    for k in range(n):
        ys.append(ss[k] / (k + 1))
        ss.append(_convolved(ys, ss, k) * (-2.0 / (k + 1)))
    return ys[1:]


def _magnitude(a):
    """Return |a| for real a; for complex a the one of ±a with real part ≥ 0, which is analytic."""
    return np.abs(a) if a.dtype.kind != "c" else np.where(np.real(a) < 0, -a, a)


def _turned(a):
    """Return i·a for complex a, with the signs of its zeros."""
    out = np.empty_like(a)
    out.real, out.imag = -a.imag, a.real
    return out


def _complement_root(a):
    """√(1 − a²) for complex a; on a cut the side named by the sign of a zero, which 1 + a drops."""
    return np.sqrt(-(a - 1)) * np.sqrt(a - (-1))


def _sech2(a):
    """sech² = 4e/(1+e)² with e = exp(−2|a|); 1 − tanh² is wrong in the tails."""
    e = np.exp(-_magnitude(a))
    e = e * e  # 2a may overflow
    return 4 * e / ((1 + e) * (1 + e))


def hyperbolic_tangent(a, y, n):
    return _tanh_from(y, _sech2(a), n)


def softplus(d, n):
    """Coefficients (from order 1) of log(1 + e^d): the logistic function and its derivatives."""
    e = np.exp(-_magnitude(d))
    slope = np.where(np.real(d) < 0, e, 1) / (1 + e)
    half = d / 2
    inner = _tanh_from(np.tanh(half), _sech2(half), max(n - 1, 1))
    return [slope, *(c * (0.5**k / k) for k, c in enumerate(inner[: n - 1], 2))]


def _reciprocal_quadratic(u, v, sign: float, n: int, alternate: float):
    """V_k/k of (u + jv)^k with j² = sign: the derivatives of arctan (−1) and arctanh (+1)."""
    real, unit, terms = u, v, []
    for k in range(1, n + 1):
        terms.append(unit * (alternate ** (k + 1) / k))
        real, unit = real * u + sign * (unit * v), real * v + unit * u
    return terms


def _reciprocal_length(a):
    """1/√(1 + a²), without overflow."""
    return 1 / (np.hypot(a, 1) if a.dtype.kind != "c" else _complement_root(_turned(a)))


def arctangent(a, y, n):
    scale = _reciprocal_length(a)
    return _reciprocal_quadratic((a * scale) * scale, scale * scale, -1.0, n, -1.0)


def hyperbolic_arctangent(a, y, n):
    v = 1 / ((1 - a) * (1 + a))
    return _reciprocal_quadratic(a * v, v, 1.0, n, 1.0)


def _legendre_root(ratio, scale, sign: float, n: int):
    """Coefficients of f where f' = (±1 ± x²)^(−1/2), by Legendre's recurrence.

    (k+1) g_(k+1) = (2k+1)·ratio·g_k + sign·k·scale²·g_(k−1), g_0 = scale; f_(k+1) = g_k/(k+1).
    """
    g = [scale, ratio * scale]
    for k in range(1, n - 1):
        g.append(((2 * k + 1) * ratio * g[k] + sign * k * (scale * scale * g[k - 1])) / (k + 1))
    return [term / (k + 1) for k, term in enumerate(g[:n])]


def arcsine(a, y, n):
    if a.dtype.kind == "c":
        scale = 1 / _complement_root(a)
        return _legendre_root((a * scale) * scale, scale, 1.0, n)
    w = (1 - a) * (1 + a)
    return _legendre_root(a / w, 1 / np.sqrt(w), 1.0, n)


def arccosine(a, y, n):
    return [-term for term in arcsine(a, y, n)]


def hyperbolic_arcsine(a, y, n):
    scale = _reciprocal_length(a)
    return _legendre_root(-(a * scale) * scale, scale, -1.0, n)


def hyperbolic_arccosine(a, y, n):
    scale = 1 / (np.sqrt(a - 1) * np.sqrt(a - (-1)))  # a + 1 drops the sign of a zero
    return _legendre_root(-(a * scale) * scale, scale, -1.0, n)
