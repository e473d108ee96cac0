"""Polynomials by their coefficients: values, arithmetic, derivatives, integrals and fits.

Where NumPy drops leading coefficients that are 0, the value plane alone decides, as it does in
every choice: the shape of a result is that of NumPy's.
"""

from __future__ import annotations

import functools

import numpy as np

from mcx.dispatch import positional, register, value_of
from mcx.rules.calculus import as_array
from mcx.rules.versions import available
from mcx.tree import tree_map
from mcx.verbs import Composed


class _OfPolynomials(Composed):
    """A function of polynomials: where one of them is a np.poly1d, so are the results."""

    def apply(self, func, args, kwargs, like=None):
        args, kwargs = positional(func, args, kwargs, 2)
        wraps = any(isinstance(x, np.poly1d) for x in args)
        result = super().apply(func, tuple(map(_unwrapped, args)), kwargs, like)
        return tree_map(np.poly1d, result) if wraps else result


class _Values(Composed):
    """Values of a polynomial; at a np.poly1d the composition of the two."""

    def apply(self, func, args, kwargs, like=None):
        (p, x), kwargs = positional(func, args, kwargs, 2)
        p = as_array(_unwrapped(p))
        if isinstance(x, np.poly1d):
            return functools.reduce(lambda y, coefficient: y * x + coefficient, p, 0)
        return super().apply(func, (p, as_array(x)), kwargs, like)


def _unwrapped(p):
    return p.coeffs if isinstance(p, np.poly1d) else p


def _polyval(p, x):
    y = np.zeros_like(x)
    for coefficient in p:
        y = y * x + coefficient
    return y


def _aligned(a1, a2):
    """Return two polynomials with leading zeros, to the same number of coefficients."""
    pair = [np.atleast_1d(as_array(a)) for a in (a1, a2)]
    size = max(map(len, pair))
    return [np.concatenate([np.zeros_like(a, shape=(size - len(a),)), a]) for a in pair]


def _polyadd(a1, a2):
    a1, a2 = _aligned(a1, a2)
    return a1 + a2


def _polysub(a1, a2):
    a1, a2 = _aligned(a1, a2)
    return a1 - a2


def _polymul(a1, a2):
    return np.convolve(_trimmed(a1), _trimmed(a2))


def _trimmed(a):
    """Return a polynomial without leading zeros, with one coefficient at least."""
    a = np.atleast_1d(as_array(a))
    first = np.flatnonzero(value_of(a))
    return a[first[0] if len(first) else len(a) - 1 :]


def _polydiv(u, v):
    u, v = (np.atleast_1d(as_array(a)) + 0.0 for a in (u, v))
    leading = u[0] + v[0]
    n, steps = len(v), len(u) - len(v) + 1
    quotient = np.zeros_like(leading, shape=(max(steps, 1),))
    rest = np.zeros_like(leading, shape=np.shape(u))
    rest[...] = u
    scale = 1.0 / v[0]
    for k in range(steps):
        factor = scale * rest[k]
        quotient[k] = factor
        rest[k : k + n] = rest[k : k + n] - factor * v
    while len(rest) > 1 and np.allclose(rest[0], 0, rtol=1e-14):
        rest = rest[1:]
    return quotient, rest


def _polyder(p, m=1):
    p = as_array(p)
    for _ in range(int(m)):
        p = p[:-1] * np.arange(len(p) - 1, 0, -1)
    return p


def _polyint(p, m=1, k=None):
    p, m = as_array(p), int(m)
    constants = np.atleast_1d(as_array(0.0 if k is None else k))
    if len(constants) == 1:
        constants = np.broadcast_to(constants, (m,))
    for constant in constants[:m]:
        p = np.concatenate([p / np.arange(len(p), 0, -1), constant[np.newaxis]])
    return p


POLYNOMIALS = {
    np.polyadd: _polyadd,
    np.polysub: _polysub,
    np.polymul: _polymul,
    np.polydiv: _polydiv,
    np.polyder: _polyder,
    np.polyint: _polyint,
}
for _func, _formula in POLYNOMIALS.items():
    register(_func, _OfPolynomials(_formula))
register(np.polyval, _Values(_polyval))


def _vander(x, N=None, increasing=False):
    x = as_array(x)
    x = x.astype(np.promote_types(x.dtype, int))
    powers = [np.ones_like(x)]
    for _ in range(1, len(x) if N is None else N):
        powers.append(powers[-1] * x)
    powers = powers[:N]
    if not powers:
        return np.zeros_like(x, shape=(len(x), 0))
    return np.stack(powers if increasing else powers[::-1], axis=1)


def _polyfit(x, y, deg, rcond=None, full=False, w=None, cov=False):
    """Least squares in powers of x, the columns scaled to length 1 as NumPy does."""
    x, y = as_array(x) + 0.0, as_array(y) + 0.0
    rcond = len(x) * np.finfo(x.dtype).eps if rcond is None else rcond
    powers = np.vander(x, int(deg) + 1)
    if w is not None:
        w = as_array(w) + 0.0
        powers = powers * w[:, np.newaxis]
        y = y * (w[:, np.newaxis] if y.ndim == 2 else w)
    scale = np.sqrt(np.sum(powers * powers, axis=0))
    powers = powers / scale
    if full:
        scaled, *others = np.linalg.lstsq(powers, y, rcond)
        return (scaled.T / scale).T, *others, rcond
    scaled = np.linalg.pinv(powers, rcond) @ y
    c = (scaled.T / scale).T
    if not cov:
        return c
    base = np.linalg.inv(powers.T @ powers) / np.outer(scale, scale)
    if cov != "unscaled":
        rest = y - powers @ scaled
        squares = np.sum(np.real(np.conj(rest) * rest), axis=0)
        factor = squares / (len(x) - len(scale))
    else:
        factor = 1
    return c, (base if y.ndim == 1 else base[:, :, np.newaxis]) * factor


def _at(x, c, tensor: bool):
    """Horner's rule from the last of the coefficients along the first axis."""
    c = c.reshape((*c.shape, *(1,) * np.ndim(x))) if tensor else c
    total = c[-1] + x * 0
    for k in range(len(c) - 2, -1, -1):
        total = c[k] + total * x
    return total


def _polyval2d(x, y, c):
    x, y, c = (as_array(a) for a in (x, y, c))
    return _at(y, _at(x, np.atleast_1d(c), tensor=True), tensor=False)


def _polygrid2d(x, y, c):
    x, y, c = (as_array(a) for a in (x, y, c))
    return _at(y, _at(x, np.atleast_1d(c), tensor=True), tensor=True)


COMPOSED = {
    np.vander: _vander,
    np.polyfit: _polyfit,
    **dict.fromkeys(available("polynomial.polynomial.polyval2d"), _polyval2d),
    **dict.fromkeys(available("polynomial.polynomial.polygrid2d"), _polygrid2d),
}
for _func, _formula in COMPOSED.items():
    register(_func, Composed(_formula))
