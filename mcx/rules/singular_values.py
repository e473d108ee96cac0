"""Singular values and singular vectors at any order.

With A = U S Vᴴ (thin) and M = Uᴴ dA V, the rotations X = Uᴴ dU and Y = Vᴴ dV follow from

    (X + Y)_ij = (M + Mᴴ)_ij / (s_j − s_i),   (X − Y)_ij = (M − Mᴴ)_ij / (s_i + s_j),

which has no difference of squares, and the part of dU outside the columns of U is (I − U Uᴴ) dA V
S⁻¹. Where singular values are repeated or zero, all is taken from the Hermitian matrix [[0, A],
[Aᴴ, 0]], whose eigenvalues are ±s and further zeros: simple nonzero singular values and their
vectors are right at every order there too. The derivatives of repeated and of zero ones are NaN,
with a warning, but for the vectors of a zero if they are determined by it.

Of a pair of complex vectors one entry is real, as in LAPACK: the first of v, for a matrix of more
columns than rows the first of u. The further columns that full_matrices adds are determined but for
a rotation; `complement` says which one is taken.

References
----------
J. Townsend, "Differentiating the singular value decomposition", technical report, 2016.
"""

from __future__ import annotations

import numpy as np

from mcx.dispatch import value_of
from mcx.rules.eigensystems import invariant, of_hermitian, phased, repeated_in, resolution
from mcx.rules.matrices import adjoint, complement, spoiled, warn_of_nan
from mcx.verbs import Lifted, primitive


def _differential(state, a, *_):
    u, s, v = state
    (m, n), eye = a.shape[-2:], np.identity(s.shape[-1], dtype=bool, like=value_of(s))
    gaps = np.where(eye, 1, s[..., None, :] - s[..., :, None])
    slopes = np.where(eye, 0, 1 / gaps)
    sums = s[..., None, :] + s[..., :, None]

    def push(da):
        image = da @ v
        change = adjoint(u) @ image
        turned = adjoint(change)
        even, odd = (change + turned) * slopes / 2, (change - turned) / sums / 2
        du, dv = u @ (even + odd), v @ (even - odd)
        if m > n:
            du = du + (image - u @ change) / s[..., None, :]
        if n > m:
            dv = dv + (adjoint(da) @ u - v @ turned) / s[..., None, :]
        return du, np.real(np.diagonal(change, axis1=-2, axis2=-1)), dv

    return push


_thin = primitive(lambda a, u, s, v: (u, s, v), Lifted(_differential))


def _embedded(a, u, s, v, tolerance):
    """Return U, S and V by the eigenvectors of [[0, A], [Aᴴ, 0]].

    These are (u, v)/√2 and (u, −v)/√2, for s = 0 instead (u, 0) and (0, −v); and the complements.
    """
    (m, n), k = a.shape[-2:], s.shape[-1]
    zero = s <= tolerance
    s = np.where(zero, 0, s)
    one = np.where(zero, 1, 0.5**0.5).astype(s.dtype)[..., None, :]
    other = np.where(zero, 0, 0.5**0.5).astype(s.dtype)[..., None, :]
    upper = np.concatenate([u * one, u * other, _rest(u)], axis=-1)
    lower = np.concatenate([v * other, v * -one, _rest(v)], axis=-1)
    upper, lower = _beside(upper, n - k), _beside(lower, m - k, before=2 * k)
    basis = np.concatenate([upper, lower], axis=-2)
    w = np.concatenate([s, -s, np.zeros_like(s, shape=(*s.shape[:-1], m + n - 2 * k))], axis=-1)
    repeated = repeated_in(w, tolerance[..., :1] + np.zeros_like(w))
    matrix = np.concatenate([_beside(a, m, before=0), _beside(adjoint(a), n)], axis=-2)
    w, basis = invariant(matrix, w, basis, adjoint(basis), repeated)
    return basis[..., :m, :k] / one, w[..., :k], -basis[..., m:, k : 2 * k] / one


def _rest(q):
    """Return an orthonormal basis of the complement of the columns of Q, plain."""
    return np.linalg.qr(q, "complete")[0][..., q.shape[-1] :]


def _beside(a, count: int, before: int | None = None):
    """Return A with columns of zeros added, at the end or before a column."""
    before = a.shape[-1] if before is None else before
    zeros = np.zeros_like(a, shape=(*a.shape[:-1], count))
    return np.concatenate([a[..., :before], zeros, a[..., before:]], axis=-1)


def _completed(q, basis, lost, undetermined):
    """Return the columns of Q, NaN where lost, and those of a complement where one is asked for."""
    own = spoiled(q, lost[..., None, :])
    if not basis.shape[-1]:
        return own
    more = spoiled(complement(q, basis), undetermined[..., None, None])
    return np.concatenate([own, more], axis=-1)


_LOST = "singular values repeated or zero"


def svd(value, a, full_matrices=True, compute_uv=True, hermitian=False):
    """Return U, S and Vᴴ, or S alone."""
    if hermitian:
        return _of_hermitian(a, compute_uv)
    u, s, vh = value if compute_uv else np.linalg.svd(value_of(a), False)
    (m, n), k, v = a.shape[-2:], s.shape[-1], adjoint(vh)
    tolerance = resolution(s)
    zero, repeated = s <= tolerance, np.any(repeated_in(s, tolerance), axis=-1)
    lost = zero | repeated
    warn_of_nan("linalg.svd", _LOST, lost)
    parts = u[..., :k], s, v[..., :k]
    u1, s, v1 = _embedded(a, *parts, tolerance) if np.any(lost) else _thin(a, *parts)
    s = spoiled(s, lost)
    if not compute_uv:
        return s
    pairs = phased(np.concatenate([u1, v1], axis=-2), m if m >= n else 0)
    free = np.sum(zero, axis=-1, keepdims=True) - k + (a.dtype.kind == "c")
    some = np.any(zero, axis=-1)
    u = _completed(pairs[..., :m, :], u[..., k:], repeated | (zero & (m + free > 1)), some)
    v = _completed(pairs[..., m:, :], v[..., k:], repeated | (zero & (n + free > 1)), some)
    return u, s, adjoint(v)


def svdvals(value, x, /):
    """Return the singular values."""
    return svd(value, x, compute_uv=False)


def _of_hermitian(a, compute_uv):
    """Return U, S and Vᴴ by the eigenvectors: S is |w| in descending order."""
    w, u, lost = of_hermitian(np.linalg.eigh(value_of(a)), a)
    plain = value_of(w)
    order = np.argsort(abs(plain))[..., ::-1]
    signs = np.take_along_axis(np.copysign(1, plain), order, axis=-1)
    s = np.take_along_axis(w, order, axis=-1) * signs
    plain = value_of(s)
    tolerance = resolution(plain)
    without = (plain <= tolerance) | np.any(repeated_in(plain, tolerance), axis=-1)
    warn_of_nan("linalg.svd", _LOST, without)
    s = spoiled(s, without)
    if not compute_uv:
        return s
    u = np.take_along_axis(phased(u, 0), order[..., None, :], axis=-1)
    u = spoiled(u, np.take_along_axis(lost, order, axis=-1)[..., None, :])
    return u, s, adjoint(u * signs[..., None, :])
