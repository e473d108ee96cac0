"""The gamma family: Γ, its logarithm and reciprocal, ψ, Hurwitz' zeta and the beta functions."""

from __future__ import annotations

import math

import numpy as np
from scipy import special

from mcx.dispatch import value_of
from mcx.special.coefficients import choice, integrated, product, shifted


def _zeta_terms(a, n: int):
    """ψ'(a), ψ''(a)/2!, … by Hurwitz' zeta function: (−1)^(k+1) ζ(k + 1, a)."""
    return [special.zeta(k + 1, a) * (-1.0) ** (k + 1) for k in range(1, n + 1)]


def digamma(a, y, n):
    """ψ."""
    return _zeta_terms(a, n)


def gammaln(a, y, n):
    """log|Γ|."""
    return integrated([special.psi(a), *_zeta_terms(a, n - 1)])


def gamma(a, y, n):
    """By y' = ψ·y."""
    psi, terms = [special.psi(a), *_zeta_terms(a, n - 1)], [y]
    for k in range(n):
        terms.append(sum(p * terms[k - j] for j, p in enumerate(psi[: k + 1])) / (k + 1))
    return terms[1:]


# 1/Γ(x) = Σ c_k x^k (Abramowitz and Stegun, 6.1.34).
_RECIPROCAL = (
    0.0, 1.0, 0.57721566490153286, -0.65587807152025388, -0.042002635034095236,
    0.16653861138229149, -0.042197734555544337, -0.0096219715278769736, 0.0072189432466630995,
    -0.0011651675918590651, -0.00021524167411495097, 0.00012805028238811619,
    -2.0134854780788239e-5, -1.2504934821426707e-6, 1.1330272319816959e-6, -2.0563384169776071e-7,
    6.1160951044814158e-9, 5.0020076444692229e-9, -1.1812745704870201e-9, 1.0434267116911005e-10,
    7.7822634399050713e-12, -3.6968056186422057e-12, 5.100370287454476e-13,
    -2.0583260535665068e-14, -5.348122539423018e-15, 1.2267786282382608e-15,
    -1.1812593016974588e-16, 1.1866922547516003e-18, 1.4123806553180318e-18,
    -2.2987456844353702e-19, 1.7144063219273374e-20, 1.3373517304936931e-22,
    -2.0542335517666728e-22, 2.7360300486079998e-23, -1.7323564459105166e-24,
    -2.3606190244992873e-26, 1.8649829417172944e-26, -2.2180956242071972e-27,
    1.2977819749479937e-28, 1.1806974749665284e-30, -1.1245843492770881e-30,
    1.2770851751408662e-31, -7.3914511696151408e-33, 1.1347502575542158e-35, 4.639134641058722e-35,
)  # fmt: skip


def rgamma(a, y, n):
    """By y' = −ψ·y; left of 0 by 1/Γ(x) = Γ(1 − x) sin(πx)/π, finite at the poles of Γ.

    Between them by the series at 0, of which high coefficients are much smaller than all others.
    """
    right = np.maximum(a, 0.5)
    psi, terms = [special.psi(right), *_zeta_terms(right, n - 1)], [y]
    for k in range(n):
        terms.append(-sum(p * terms[k - j] for j, p in enumerate(psi[: k + 1])) / (k + 1))
    left = np.minimum(a, 0.5)
    mirrored = [special.gamma(1 - left)]
    mirrored += gamma(1 - left, mirrored[0], n)
    mirrored = [c * (-1.0) ** k for k, c in enumerate(mirrored)]
    whole = np.rint(left)
    angle = math.pi * (left - whole)
    sign = 1 - 2 * np.remainder(whole, 2)
    cycle = (np.sin(angle) * sign, np.cos(angle) * sign)
    sine = [
        cycle[k % 2] * ((-1) ** (k // 2) * math.pi ** (k - 1) / math.factorial(k))
        for k in range(n + 1)
    ]
    reflected = product(mirrored, sine)[1:]
    if n > len(_RECIPROCAL) // 2:
        return choice(a < 0.5, reflected, terms[1:])
    middle = shifted(_RECIPROCAL, np.clip(a, -0.25, 1.1), n + 1)[1:]
    return choice(a < -0.25, reflected, choice(a < 1.1, middle, terms[1:]))


def hurwitz_zeta(a, y, n, s):
    """ζ(s, a) by its second argument: binomials of −s times ζ(s + k, a)."""
    terms, binomial = [], 1.0
    for k in range(1, n + 1):
        binomial = binomial * (1 - s - k) / k
        terms.append(binomial * special.zeta(s + k, a))
    return terms


# B_2k/(2k), of the asymptotic series of ψ.
_STIRLING = (1 / 12, -1 / 120, 1 / 252, -1 / 240, 1 / 132, -691 / 32760, 1 / 12, -3617 / 8160)
_SHIFT = 10


def _psi_step(x, y):
    """Return ψ(x + y) − ψ(x) for x, y > 0 without cancellation where y is small against x.

    By the recurrence up to x + 10, and there by the difference of the asymptotic series.
    """
    total = 0.0
    for j in range(_SHIFT):
        total = total + y / ((x + j) * (x + y + j))
    x = x + _SHIFT
    u, v = 1 / x, 1 / (x + y)
    gap, p, q = y * u * v, u * u, v * v
    series, quotient, power = 0.0, 0.0, 1.0  # (p^k − q^k)/(p − q) and q^(k−1)
    for c in _STIRLING:
        quotient, power = p * quotient + power, power * q
        series = series + c * quotient
    return total + np.log1p(y * u) + gap / 2 + gap * (u + v) * series


def psi_difference(x, y):
    """Return ψ(x + y) − ψ(x), in NumPy syntax."""
    a, b = value_of(x), value_of(y)
    small = (a > 0) & (b > 0) & ((b < a) | (a > 1e3))
    step = _psi_step(np.where(small, x, 1.0), np.where(small, y, 1.0))
    return np.where(small, step, special.psi(x + y) - special.psi(x))


def _betaln_tangent(x, y, dx, dy):
    """Return d log|B(x, y)|; None is the tangent of a plain argument."""
    terms = []
    if dx is not None:
        terms.append(psi_difference(x, y) * dx)
    if dy is not None:
        terms.append(psi_difference(y, x) * dy)
    return -sum(terms[1:], terms[0])


def beta(state, x, y):
    """Return dB = B·d log|B|."""
    return lambda dx, dy: (state[0] * _betaln_tangent(x, y, dx, dy),)


def betaln(state, x, y):
    """Return d log|B(x, y)| = (ψ(x) − ψ(x + y)) dx + (ψ(y) − ψ(x + y)) dy."""
    return lambda dx, dy: (_betaln_tangent(x, y, dx, dy),)
