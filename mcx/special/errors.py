"""Error functions, the normal distribution and their inverses; Dawson's and Fresnel's integrals."""

from __future__ import annotations

import math
from decimal import Decimal, localcontext
from functools import lru_cache

import numpy as np
from scipy import special

from mcx.special.coefficients import choice, integrated, logarithm, shifted
from mcx.special.quadrature import HALF_LINE, moments

_ROOT_PI = math.sqrt(math.pi)
_ROOT_2 = math.sqrt(2.0)


def gaussian(scale: float, rate: float):
    """Return the series of an antiderivative of E = scale·e^(−rate·x²): E' = −2·rate·x·E."""

    def series(a, y, n):
        if a.dtype.kind != "c":
            a = np.clip(a, -1e3, 1e3)  # where E is 0 (or infinite) for good
        terms = [scale * np.exp(-rate * a * a)]
        for k in range(n - 1):
            before = terms[k - 1] if k else 0
            terms.append((-2 * rate / (k + 1)) * (a * terms[k] + before))
        return integrated(terms)

    return series


def _scaled_right(a, n):
    """Coefficients 0 to n of erfcx at a ≥ 0, (2/√π) ∫ e^(−s² − 2as) (−2s)^k/k! ds over s > 0."""
    scale = 1 / (1 + 2 * a)
    terms = (
        ((2 / _ROOT_PI) * w * scale * np.exp(-((s * scale) ** 2) - s * (2 * a * scale)), s * scale)
        for s, w in HALF_LINE
    )
    return [m * ((-2.0) ** k / math.factorial(k)) for k, m in enumerate(moments(terms, n + 1))]


def erfcx(a, y, n):
    """By y' = 2ay − 2/√π left of 0, where the terms have one sign; by moments right of it."""
    left = np.minimum(a, 0)
    terms = [y, 2 * left * y - 2 / _ROOT_PI]
    for k in range(1, n):
        terms.append((2 / (k + 1)) * (left * terms[k] + terms[k - 1]))
    right = _scaled_right(np.clip(a, 0, 1e300), n)
    return choice(a < 0, terms[1:], right[1:])


def _mills(x, first, n: int):
    """Coefficients 0 to n − 1 of m = (log Φ)', which obeys m' = −m(x + m)."""
    m = [first]
    for k in range(n - 1):
        total = x * m[k] + (m[k - 1] if k else 0)
        for j in range(k + 1):
            total = total + m[j] * m[k - j]
        m.append(-total / (k + 1))
    return m


@lru_cache(maxsize=1)
def _mills_at_minus_one():
    """Coefficients of m at −1, which decay like 4^(−k): their recurrence cancels, in 60 digits."""
    with localcontext(prec=60):
        first = Decimal("1.5251352761609812090890905363905787133071163649206033355463139")
        return [float(c) for c in _mills(-1, first, 110)]


def log_ndtr(a, y, n):
    """By m' = −m(x + m) for m = (log Φ)' from 1 on, by the series at −1 between −3 and 1.

    Left of −3, log Φ = −x²/2 + log(erfcx(−x/√2)/2).
    """
    x = np.clip(a, 1, 1e3)
    right = _mills(x, math.sqrt(2 / math.pi) / special.erfcx(-x / _ROOT_2), n)
    middle = shifted(_mills_at_minus_one(), np.clip(a, -3, 1) + 1, n)
    z = -np.minimum(a, -3) / _ROOT_2
    left = logarithm(_scaled_right(np.minimum(z, 1e300), n))
    left = [c * (-1 / _ROOT_2) ** k for k, c in enumerate(left, 1)]
    left[0] = left[0] - a
    if n > 1:
        left[1] = left[1] - 0.5
    return choice(a < -3, left, integrated(choice(a < 1, middle, right)))


def _quantile(y, growth, slope: float, rate: float, n: int):
    """Coefficients of y ≥ 0 with y' = slope·E, E = e^(rate·y²) = `growth`: all of one sign."""
    ys, es, squares = [y], [growth], [y * y]
    for k in range(n):
        ys.append(slope * es[k] / (k + 1))
        squares.append(sum(ys[i] * ys[k + 1 - i] for i in range(1, k + 1)) + 2 * y * ys[k + 1])
        total = sum(j * squares[j] * es[k + 1 - j] for j in range(1, k + 2))
        es.append(total * (rate / (k + 1)))
    return ys[1:]


def _over(numerator, gap):
    """Return numerator/gap, infinite where the gap is 0."""
    return np.where(gap == 0, 1, numerator) / gap


def erfinv(a, y, n):
    """By y' = (√π/2) e^(y²), where e^(y²) = erfcx(|y|)/(1 − |x|)."""
    size = np.abs(y)
    terms = _quantile(size, _over(special.erfcx(size), 1 - np.abs(a)), _ROOT_PI / 2, 1.0, n)
    sign = np.where(a < 0, -1, 1)
    return [c * sign ** (k + 1) for k, c in enumerate(terms, 1)]


def erfcinv(a, y, n):
    """By y' = −(√π/2) e^(y²), where e^(y²) = erfcx(|y|)/min(x, 2 − x)."""
    size = np.abs(y)
    growth = _over(special.erfcx(size), np.minimum(a, 2 - a))
    terms = _quantile(size, growth, _ROOT_PI / 2, 1.0, n)
    return [np.where(a < 1, (-1.0) ** k, -1.0) * c for k, c in enumerate(terms, 1)]


def ndtri(a, y, n):
    """By y' = √(2π) e^(y²/2), where 2 e^(y²/2) = erfcx(|y|/√2)/min(x, 1 − x)."""
    size = np.abs(y)
    growth = _over(special.erfcx(size / _ROOT_2) / 2, np.minimum(a, 1 - a))
    terms = _quantile(size, growth, math.sqrt(2 * math.pi), 0.5, n)
    return [np.where(a < 0.5, -((-1.0) ** k), 1.0) * c for k, c in enumerate(terms, 1)]


# ∫ e^(−t²)/(x − t) dt runs below the pole, on the line Im t = −1.5.
_CONTOUR = [complex(0.15 * j, -1.5) for j in range(-46, 47)]


def dawsn(a, y, n):
    """By y' = 1 − 2ay near 0; beyond, y = (√π/2) Im w with w = (i/π) ∫ e^(−t²)/(a − t) dt."""
    x = np.clip(a, -1, 1)
    near = [y, 1 - 2 * x * y]
    for k in range(1, n):
        near.append((-2 / (k + 1)) * (x * near[k] + near[k - 1]))
    x = np.clip(a, -1e170, 1e170)
    terms = (((0.15 / (2 * _ROOT_PI)) * np.exp(-t * t) / (x - t), -1 / (x - t)) for t in _CONTOUR)
    far = moments(terms, n + 1)
    return choice(np.abs(a) < 1, near[1:], [term.real for term in far[1:]])


def _fresnel_wave(a, n):
    """Coefficients of cos and sin of πx²/2: E' = iπx·E."""
    angle = (math.pi / 2) * (a * a)
    cos, sin = [np.cos(angle)], [np.sin(angle)]
    for k in range(n - 1):
        c, s = (a * f[k] + (f[k - 1] if k else 0) for f in (cos, sin))
        cos.append(s * (-math.pi / (k + 1)))
        sin.append(c * (math.pi / (k + 1)))
    return cos, sin


def fresnel_sine(a, y, n):
    """S' = sin(πx²/2)."""
    return integrated(_fresnel_wave(a, n)[1])


def fresnel_cosine(a, y, n):
    """C' = cos(πx²/2)."""
    return integrated(_fresnel_wave(a, n)[0])


ERF = gaussian(2 / _ROOT_PI, 1.0)
ERFC = gaussian(-2 / _ROOT_PI, 1.0)
ERFI = gaussian(2 / _ROOT_PI, -1.0)
NDTR = gaussian(1 / math.sqrt(2 * math.pi), 0.5)
