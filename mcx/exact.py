"""Cⁿ itself: i_k² = −1. Functions of z = z1 + i_n z2 by recursion on z1, z2 ∈ Cⁿ⁻¹.

Each function takes and returns a plane buffer of shape (2ⁿ, *shape): z1 is its first half, z2 its
second. The recursion ends at n = 0 with NumPy's own function. Forms are those that keep the digits
of planes as small as hⁿ: never the idempotent form, never three-multiplication products.

References
----------
G. Lantoine, R. Russell, T. Dargent, "Using multicomplex variables for automatic computation of
high-order derivatives", ACM TOMS 38(3), 2012, section 2.
"""

from __future__ import annotations

import numpy as np

from mcx.planes import multiply
from mcx.table import Table, product_table, taylor_indices


def table_of(planes) -> Table:
    """Return the exact product table for a buffer of 2ⁿ planes."""
    units = planes.shape[0].bit_length() - 1
    return product_table((taylor_indices(1),) * units, True)


def _halves(z):
    half = z.shape[0] // 2
    return z[:half], z[half:]


def _join(z1, z2):
    return np.concatenate([z1, z2])


def _times(x, y):
    return multiply(x, y, table_of(x))


def _plus_one(z):
    out = z.copy()
    out[0, ...] = z[0] + 1
    return out


def _scale(z):
    """Return the power of two that brings the largest coefficient next to 1."""
    size = np.max(np.abs(z), axis=0)
    _, exponent = np.frexp(size)
    return np.ldexp(np.ones_like(size), -exponent)


def reciprocal(z):
    """1/z = (z1 − i_n z2) / (z1² + z2²), scaled by a power of two against overflow."""
    if z.shape[0] == 1:
        return 1 / z
    scale = _scale(z)
    z1, z2 = _halves(z * scale)
    inverse = reciprocal(_times(z1, z1) + _times(z2, z2)) * scale
    return _join(_times(z1, inverse), -_times(z2, inverse))


def divide(x, y):
    """X / y = x · (1/y)."""
    return _times(x, reciprocal(y))


def exp(z):
    """e^z = e^z1 (cos z2 + i_n sin z2)."""
    if z.shape[0] == 1:
        return np.exp(z)
    z1, z2 = _halves(z)
    size = exp(z1)
    return _join(_times(size, cos(z2)), _times(size, sin(z2)))


def sin(z):
    """Sin z = sin z1 cosh z2 + i_n cos z1 sinh z2."""
    if z.shape[0] == 1:
        return np.sin(z)
    z1, z2 = _halves(z)
    return _join(_times(sin(z1), cosh(z2)), _times(cos(z1), sinh(z2)))


def cos(z):
    """Cos z = cos z1 cosh z2 − i_n sin z1 sinh z2."""
    if z.shape[0] == 1:
        return np.cos(z)
    z1, z2 = _halves(z)
    return _join(_times(cos(z1), cosh(z2)), -_times(sin(z1), sinh(z2)))


def sinh(z):
    """Sinh z = sinh z1 cos z2 + i_n cosh z1 sin z2."""
    if z.shape[0] == 1:
        return np.sinh(z)
    z1, z2 = _halves(z)
    return _join(_times(sinh(z1), cos(z2)), _times(cosh(z1), sin(z2)))


def cosh(z):
    """Cosh z = cosh z1 cos z2 + i_n sinh z1 sin z2."""
    if z.shape[0] == 1:
        return np.cosh(z)
    z1, z2 = _halves(z)
    return _join(_times(cosh(z1), cos(z2)), _times(sinh(z1), sin(z2)))


def tan(z):
    """Tan z = sin z / cos z."""
    return divide(sin(z), cos(z))


def expm1(z):
    """e^z − 1 = expm1(z1) cos z2 − 2 sin²(z2/2) + i_n e^z1 sin z2."""
    if z.shape[0] == 1:
        return np.expm1(z)
    z1, z2 = _halves(z)
    half = sin(z2 / 2)
    real = _times(expm1(z1), cos(z2)) - 2 * _times(half, half)
    return _join(real, _times(exp(z1), sin(z2)))


def tanh(z):
    """Tanh z = sinh z / cosh z near 0, −s·expm1(−2sz)/(1 + e^(−2sz)) beyond, s the value's sign."""
    near = np.abs(z[0]) < 1
    inside = np.where(near, z, 0)
    sign = np.where(z[0] < 0, -1, 1).astype(z.dtype)
    power = -2 * sign * np.where(near, 0, z)
    beyond = -sign * divide(expm1(power), _plus_one(exp(power)))
    return np.where(near, divide(sinh(inside), cosh(inside)), beyond)


def log(z):
    """Log z = log z1 + ½ log1p((z2/z1)²) + i_n atan(z2/z1)."""
    if z.shape[0] == 1:
        return np.log(z)
    z1, z2 = _halves(z)
    ratio = divide(z2, z1)
    return _join(log(z1) + log1p(_times(ratio, ratio)) / 2, arctan(ratio))


def log1p(z):
    """log(1 + z): the same recursion with the value kept apart from the 1."""
    if z.shape[0] == 1:
        return np.log1p(z)
    z1, z2 = _halves(z)
    ratio = divide(z2, _plus_one(z1))
    return _join(log1p(z1) + log1p(_times(ratio, ratio)) / 2, arctan(ratio))


def _shifted(z, sign: float):
    """Return (z − a)/(1 + sign·a·z) for the value a: what the addition theorem leaves of z."""
    tangent = z.copy()
    tangent[0, ...] = 0
    return divide(tangent, _plus_one(sign * z[0] * z))


def _doubled(z, sign: float):
    """Return 2 z1/(1 − sign(z1² + z2²)) and 2 z2/(1 + sign(z1² + z2²))."""
    z1, z2 = _halves(z)
    squares = sign * (_times(z1, z1) + _times(z2, z2))
    return divide(2 * z1, _plus_one(-squares)), divide(2 * z2, _plus_one(squares))


def arctan(z):
    """Atan z = atan a + atan w, w = (z−a)/(1+az); atan w = ½ atan u + ½ i artanh v (`_doubled`)."""
    if z.shape[0] == 1:
        return np.arctan(z)
    u, v = _doubled(_shifted(z, 1.0), 1.0)
    out = _join(arctan(u), arctanh(v)) / 2
    out[0, ...] = out[0] + np.arctan(z[0])
    return out


def arctanh(z):
    """Artanh z = artanh a + artanh w, w = (z−a)/(1−az); artanh w = ½ artanh u + ½ i atan v."""
    if z.shape[0] == 1:
        return np.arctanh(z)
    u, v = _doubled(_shifted(z, -1.0), -1.0)
    out = _join(arctanh(u), arctan(v)) / 2
    out[0, ...] = out[0] + np.arctanh(z[0])
    return out


def sqrt(z):
    """√z = w1 + i_n z2/(2 w1), w1² = (z1 + |z|)/2, for a value > 0; i times that of −z below."""
    if z.shape[0] == 1:
        return np.sqrt(z)
    z1, z2 = _halves(z)
    ratio = divide(z2, z1)
    length = sqrt(_plus_one(_times(ratio, ratio)))
    first = _times(sqrt(z1), sqrt(_plus_one(length) / 2))
    return _join(first, divide(z2, 2 * first))


def integer_power(z, n: int):
    """zⁿ by repeated squaring; 1/z^|n| for negative n."""
    if n < 0:
        return reciprocal(integer_power(z, -n))
    if n == 0:
        out = np.zeros_like(z)
        out[0, ...] = 1
        return out
    half = integer_power(z, n // 2)
    even = _times(half, half)
    return _times(even, z) if n % 2 else even


def power(z, p):
    """z^p: repeated products for an integer p, else exp(p log z) with the value's power apart."""
    if np.ndim(p) == 0 and float(p).is_integer():
        return integer_power(z, int(p))
    relative = z / z[0]
    return exp(p * log(relative)) * np.power(z[0], p)


FUNCTIONS = {
    np.exp: exp,
    np.expm1: expm1,
    np.log: log,
    np.log1p: log1p,
    np.sin: sin,
    np.cos: cos,
    np.tan: tan,
    np.sinh: sinh,
    np.cosh: cosh,
    np.tanh: tanh,
    np.arctan: arctan,
    np.arctanh: arctanh,
    np.sqrt: sqrt,
    np.reciprocal: reciprocal,
    np.square: lambda z: _times(z, z),
}
