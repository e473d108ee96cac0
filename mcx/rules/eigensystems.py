"""Eigenvalues and eigenvectors at any order.

Repeated eigenvalues are no functions of the matrix that could be differentiated in all directions
at once, nor are their eigenvectors; the subspace of both is. With A V = V B, W the inverse of V and
B = diag(w) + E, where E is zero but between repeated eigenvalues,

    dV = V Ω,   dW = −Ω W,   dw = diag(T),   dE = the part of T between repeated eigenvalues,
    T = W dA V − (Ω E − E Ω),   Ω_ij = T_ij / (w_j − w_i), 0 between repeated eigenvalues,

is a differential without a division by zero. As E has no value, T follows from itself in as many
rounds as there are orders. Simple eigenvalues and their vectors are right at every order, whatever
the others do; the derivatives of repeated ones are NaN, with a warning.

Eigenvalues count as repeated if they differ by no more than what rounding can have moved them:
16 eps |A| times their condition |W_i| |V_i|, which is 1 for a Hermitian matrix.

Vectors have the length and the phase that LAPACK gives them: unit 2-norm; of a complex vector one
entry is real, the first one (eigh, UPLO="L"), the last one ("U") or the largest (eig).

References
----------
T. Kato, "Perturbation Theory for Linear Operators", 2nd ed., Springer 1976, chapter II: subspaces
of repeated eigenvalues and their transformation functions.
S. Walter and L. Lehmann, "Algorithmic differentiation in Python with AlgoPy", J. Comput. Sci. 4
(2013), 334-344.
"""

from __future__ import annotations

import numpy as np

from mcx.dispatch import value_of
from mcx.rules.matrices import adjoint, eps_of, frobenius, hermitian, spoiled, warn_of_nan
from mcx.verbs import Lifted, primitive


def _differential(state, a, w, v, inverse, repeated):
    w, v, inverse, between = state
    clustered = bool(np.any(repeated))
    rounds = getattr(between, "order", 0) if clustered else 0
    together = repeated | _identity(repeated)
    gaps = np.where(together, 1, w[..., None, :] - w[..., :, None])
    slopes = np.where(together, 0, 1 / gaps)

    def push(da):
        first = change = inverse @ da @ v
        for _ in range(rounds):
            turn = slopes * change
            change = first - (turn @ between - between @ turn)
        turn = slopes * change
        dw = np.diagonal(change, axis1=-2, axis2=-1)
        yield np.real(dw) if w.dtype.kind == "f" else dw
        yield v @ turn
        yield -(turn @ inverse)
        yield np.where(repeated, change, 0) if clustered else None

    return push


def _between(result, a, w, v, inverse, repeated):
    return inverse, np.zeros_like(v)


invariant = primitive(lambda a, w, v, *_: (w, v), Lifted(_differential, _between))


def _identity(matrix):
    """Return the mask of the diagonal of square matrices."""
    return np.identity(matrix.shape[-1], dtype=bool, like=matrix)


def repeated_in(w, tolerance):
    """Return the mask of pairs of numbers that differ by no more than a tolerance of either."""
    near = np.maximum(tolerance[..., :, None], tolerance[..., None, :])
    close = abs(w[..., :, None] - w[..., None, :]) <= near
    return close & ~_identity(close)


def resolution(w):
    """Return how far rounding can have moved each eigenvalue of a Hermitian matrix."""
    return 16 * eps_of(w) * frobenius(w, -1)[..., None] + np.zeros_like(w)


def of_hermitian(value, a, uplo="L"):
    """Return eigenvalues, eigenvectors, and which eigenvalues are repeated, from those of NumPy."""
    w, v = value
    repeated = repeated_in(w, resolution(w))
    matrix = hermitian(a, uplo.upper() == "U")
    w, v = invariant(matrix, w, v, adjoint(v), repeated)
    return w, v, np.any(repeated, axis=-1)


def eigh(value, a, UPLO="L"):
    """Return eigenvalues and eigenvectors of the Hermitian matrix that a triangle stands for."""
    w, v, lost = of_hermitian(value, a, UPLO)
    v = phased(v, -1 if UPLO.upper() == "U" else 0)
    warn_of_nan("linalg.eigh", "eigenvalues repeated", lost)
    return spoiled(w, lost), spoiled(v, lost[..., None, :])


def eigvalsh(a, UPLO="L"):
    """Return eigenvalues of the Hermitian matrix that a triangle stands for."""
    w, _, lost = of_hermitian(np.linalg.eigh(value_of(a), UPLO), a, UPLO)
    warn_of_nan("linalg.eigvalsh", "eigenvalues repeated", lost)
    return spoiled(w, lost)


def _of_matrix(value, a):
    """Return eigenvalues, eigenvectors of any length, and which eigenvalues are repeated."""
    (w, v), plain = value, value_of(a)
    eps = eps_of(w)
    stretch = np.linalg.svd(v, compute_uv=False)
    defective = np.any(stretch <= 16 * eps * stretch[..., :1], axis=-1)[..., None, None]
    inverse = np.linalg.inv(np.where(defective, _identity(v), v))
    condition = np.linalg.norm(inverse, axis=-1) * np.linalg.norm(v, axis=-2)
    repeated = repeated_in(w, 16 * eps * frobenius(plain, (-2, -1))[..., None] * condition)
    repeated |= defective & ~_identity(repeated)
    w, v = invariant(a, w, v, inverse, repeated)
    return w, v, np.any(repeated, axis=-1)


def eig(value, a):
    """Return eigenvalues and eigenvectors of unit length."""
    w, v, lost = _of_matrix(value, a)
    v = phased(v / np.sqrt(np.sum(_squares(v), axis=-2, keepdims=True)))
    warn_of_nan("linalg.eig", "eigenvalues repeated", lost)
    return spoiled(w, lost), spoiled(v, lost[..., None, :])


def eigvals(a):
    """Return eigenvalues."""
    w, _, lost = _of_matrix(np.linalg.eig(value_of(a)), a)
    warn_of_nan("linalg.eigvals", "eigenvalues repeated", lost)
    return spoiled(w, lost)


def _squares(x):
    """Return |x|² elementwise."""
    return np.real(x) ** 2 + np.imag(x) ** 2 if x.dtype.kind == "c" else x * x


def phased(v, row=None):
    """Return complex vectors, columns of V, with phases such that one entry keeps its own.

    It is the entry of a row unless that is (nearly) zero, and the largest one otherwise.
    """
    plain = value_of(v)
    if plain.dtype.kind != "c" or not plain.size:
        return v
    real = (plain.imag == 0) * eps_of(plain) ** 0.5  # of two equal entries LAPACK makes one real
    size = abs(plain) * (1 + real)
    place = np.argmax(size, axis=-2)
    if row is not None:
        row %= plain.shape[-2]
        place = np.where(size[..., row, :] > eps_of(plain) ** 0.5, row, place)
    entry = np.take_along_axis(v, place[..., None, :], axis=-2)
    plain = value_of(entry)
    return v * (np.conj(entry) / np.sqrt(_squares(entry)) * (plain / abs(plain)))
