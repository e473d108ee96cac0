"""Entropies, divergences, Box-Cox transformations and losses: formulas in NumPy syntax.

x·log(y) is 0 where x is, whatever y is; its slope there along x is log(y).
"""

from __future__ import annotations

import numpy as np
from scipy import special

from mcx.dispatch import is_number, value_of
from mcx.special.coefficients import integrated, reciprocals
from mcx.special.quadrature import UNIT_INTERVAL, moments
from mcx.verbs import Analytic, primitive

# x·log(0) at x = 0: value 0, slope −inf.
_falling = primitive(
    lambda x: 0 * x,
    Analytic(
        lambda a, y, n: [np.full_like(a, -np.inf)] + [np.zeros_like(a)] * (n - 1), compiled=()
    ),
)


def _log1prel_series(a, y, n):
    """Coefficients of log(1 + x)/x = ∫ ds/(1 + xs), for |x| ≤ ½."""
    terms = ((w / (1 + a * s), -s / (1 + a * s)) for s, w in UNIT_INTERVAL)
    return moments(terms, n + 1)[1:]


_log1prel = primitive(
    lambda x: np.where(x == 0, 1, np.log1p(x)) / np.where(x == 0, 1, x),
    Analytic(_log1prel_series, compiled=()),
)


def entr(a, y, n):
    """−x·log(x)."""
    a = np.where(a < 0, np.nan, a)
    return integrated([-np.log(a) - 1, *(-c for c in integrated(reciprocals(a, n - 1)[: n - 1]))])


def _times_log(x, y, log, one: float):
    """Return x·log(y) for a logarithm that is 0 at `one`."""
    zero = value_of(x) == 0
    if not is_number(x):
        return x * log(np.where(zero, one, y))
    singular = zero & np.isinf(_plainly(log, y))
    if not np.any(singular):
        return x * log(y)
    steep = _falling(np.where(singular, x, 0))
    return np.where(singular, steep, x * log(np.where(singular, one, y)))


def _plainly(log, y):
    with np.errstate(all="ignore"):
        return log(value_of(y))


def xlogy(x, y):
    """x·log(y)."""
    return _times_log(x, y, np.log, 1.0)


def xlog1py(x, y):
    """x·log(1 + y)."""
    return _times_log(x, y, np.log1p, 0.0)


def _log_ratio(x, y):
    """Return log(x/y) whose value has all digits where x and y are close, or huge."""
    log = np.log(x) - np.log(y)
    a, b = value_of(x), value_of(y)
    with np.errstate(all="ignore"):
        ratio = a / b
        value = np.where((ratio > 0.5) & (ratio < 2), np.log1p((a - b) / b), np.log(ratio))
    return log + np.where(np.isfinite(value), value - value_of(log), 0).astype(log.dtype)


def rel_entr(x, y):
    """x·log(x/y); as −entr(x) − x·log(y) where 1/x² overflows, or x is 0."""
    a = value_of(x)
    if not is_number(x):
        return x * _log_ratio(np.where(a == 0, 1, x), np.where(a == 0, 1, y))
    tiny = a < np.finfo(x.dtype).tiny ** 0.5
    large = np.where(tiny, 1, x) * _log_ratio(np.where(tiny, 1, x), np.where(tiny, 1, y))
    small = -special.entr(np.where(tiny, x, 1)) - x * np.log(np.where(tiny & (a != 0), y, 1))
    return np.where(tiny, small, large)


def kl_div(x, y):
    """x·log(x/y) − x + y."""
    return rel_entr(x, y) - x + y


def boxcox(x, p):
    """(x^p − 1)/p; near p·log(x) = 0, log(x) times (e^u − 1)/u there."""
    b = value_of(p)
    near = _is_small(b * _plainly(np.log, x), b)
    log = np.log(np.where(near, x, 1))
    far = (np.power(np.where(near, 1, x), p) - 1) / np.where(b == 0, 1, p)
    return np.where(near, log * special.exprel(np.where(near, p, 0) * log), far)


def boxcox1p(x, p):
    """((1 + x)^p − 1)/p, as `boxcox`; 1 + x is exact left of −½."""
    b = value_of(p)
    near = _is_small(b * _plainly(np.log1p, x), b)
    left = value_of(x) < -0.5
    log = np.log1p(np.where(left & ~near, 0, x))
    power = np.where(left, np.power(1 + x, p) - 1, np.expm1(p * log))
    divisor = np.where(b == 0, 1, p)
    return np.where(near, log * special.exprel(np.where(near, p, 0) * log), power / divisor)


def _is_small(exponent, p):
    return (np.abs(exponent) <= 1) | (p == 0)


def inv_boxcox(y, p):
    """(1 + py)^(1/p); near py = 0 exp(y·log(1 + u)/u) there. Also 1 more than inv_boxcox1p."""
    product = p * y
    near = np.abs(value_of(product)) <= 0.5
    exponent = y * _log1prel(np.where(near, product, 0))
    base, root = np.where(near, 1, 1 + product), 1 / np.where(near, 1, p)
    return np.where(near, np.exp(np.where(near, exponent, 0)), np.power(base, root))


def huber(delta, r):
    """r²/2 for |r| ≤ δ, beyond δ(|r| − δ/2)."""
    inside = np.abs(value_of(r)) <= value_of(delta)
    return np.where(inside, 0.5 * r * r, delta * (np.abs(r) - 0.5 * delta))


def pseudo_huber(delta, r):
    """δ²(√(1 + u²) − 1) at u = r/δ, in one form for |u| < 1 and another beyond."""
    near = np.abs(value_of(r)) < value_of(delta)
    u = r / np.where(near, delta, 1)
    u = np.where(near, u, 0)
    return np.where(near, r * r / (1 + np.sqrt(1 + u * u)), delta * (np.hypot(delta, r) - delta))


def owens_t(state, h, a):
    """Return dT of Owen's T(h, a)."""

    def push(dh, da):
        terms = []
        if dh is not None:
            slope = special.erf(a * h * 0.5**0.5) * np.exp(-0.5 * h * h)
            terms.append((-0.5 / (2 * np.pi) ** 0.5) * slope * dh)
        if da is not None:
            square = 1 + a * a
            terms.append(np.exp(-0.5 * h * h * square) / (2 * np.pi * square) * da)
        return (sum(terms[1:], terms[0]),)

    return push
