"""Roots of polynomials, and polynomials of given roots or of a matrix, at any order."""

from __future__ import annotations

import numpy as np

from mcx.array import Multicomplex
from mcx.dispatch import positional, value_of
from mcx.nested import stacked
from mcx.rules.matrices import Factorization, eps_of, spoiled, warn_of_nan
from mcx.verbs import Lifted, primitive


def _horner(p, z):
    y = np.zeros_like(z)
    for k in range(p.shape[-1]):
        y = y * z + p[..., k, None]
    return y


def _derived(p):
    """Return the coefficients of the derivative of a polynomial."""
    degrees = np.arange(p.shape[-1] - 1, -1, -1, like=value_of(p)).astype(value_of(p).real.dtype)
    return (p * degrees)[..., :-1]


def _root_differential(state, p, _):
    (z,) = state
    slope = _horner(_derived(p), z)
    slope = np.where(slope == 0, 1, slope)
    return lambda dp: (-_horner(dp, z) / slope,)


_branches = primitive(lambda p, z: z, Lifted(_root_differential))


def roots(p):
    """Return the roots of a polynomial: where p(z) = 0, dz = −dp(z) / p'(z).

    A coefficient that is zero at the value counts all the same: in front it belongs to a root at
    infinity, which NumPy leaves out, at the end to a root 0. Roots are multiple if they differ by
    no more than rounding of the coefficients can have moved them. Their derivatives are NaN, with
    a warning, but for roots 0 whose coefficients do not move.
    """
    p = np.atleast_1d(p)
    z = np.roots(value_of(p))
    lost = _multiple(value_of(p), z)
    if _still(p, int(np.sum(z == 0))):
        lost &= z != 0
    warn_of_nan("roots", "roots multiple", lost)
    return spoiled(_branches(p, z), lost)


def _multiple(p, z):
    """Tell which roots of a plain polynomial cannot be told from another."""
    slope = abs(_horner(_derived(p), z))
    moved = 16 * eps_of(z) * len(p) * _horner(abs(p), abs(z)) / np.where(slope > 0, slope, 1)
    gaps = np.where(np.identity(len(z), dtype=bool, like=z), np.inf, abs(z[:, None] - z))
    return np.any(gaps <= np.where(slope > 0, moved, np.inf)[:, None], axis=-1)


def _still(p, count: int) -> bool:
    """Tell whether the last coefficients do not move."""
    return isinstance(p, Multicomplex) and not np.any(p._planes[1:, p.shape[-1] - count :])


def polynomial(seq_of_zeros):
    """Return the coefficients of the polynomial of given roots, or that of a square matrix."""
    z = np.atleast_1d(seq_of_zeros)
    if z.ndim == 2:
        return _characteristic(z)
    zero = np.zeros_like(z, shape=(1,))
    p = zero + 1
    for k in range(z.shape[0]):
        p = np.concatenate([p, zero]) - np.concatenate([zero, z[k] * p])
    return p if z.shape[0] else 1.0


def _coefficients(z):
    """Return np.poly of plain roots or of a matrix: complex ones stay so, whatever their values."""
    p = np.poly(z)
    return p.astype(np.result_type(p, z)) if np.ndim(p) else p


def _characteristic_differential(state, a):
    """Return the differential of det(zI − A): dp_k = −tr(M_k dA), M_k = A M_(k−1) + p_(k−1) I."""
    (p,) = state
    identity = np.identity(a.shape[-1], dtype=a.dtype, like=value_of(a))
    factors = [identity]
    for k in range(1, a.shape[-1]):
        factors.append(a @ factors[-1] + p[k] * identity)

    def push(da):
        slopes = [-np.sum(np.matrix_transpose(m) * da, axis=(-2, -1)) for m in factors]
        return (np.stack([np.zeros_like(slopes[0]), *slopes], axis=-1),)

    return push


_characteristic = primitive(_coefficients, Lifted(_characteristic_differential))


class OfSequence(Factorization):
    """A function of one array, of which a sequence of numbers or a np.poly1d may take the place."""

    def apply(self, func, args, kwargs, like=None):
        (x,), _ = positional(func, args, kwargs, 1)
        x = stacked(x.coeffs if isinstance(x, np.poly1d) else x)
        return super().apply(func, (x,), {}, like)


class Polynomial(OfSequence):
    """np.poly, whose result is as complex as its argument.

    NumPy takes the real part where the roots are closed under conjugation; derivatives need not be.
    """

    def planes(self, func, args, kwargs, like):
        return super().planes(_coefficients, args, kwargs, like)

    def record(self, func, args, kwargs, tape):
        return super().record(_coefficients, args, kwargs, tape)
