"""Norms of vectors and matrices."""

from __future__ import annotations

import numpy as np

from mcx.dispatch import register, unsupported, value_of
from mcx.rules.axes import axes_of, keeps, kept, merged
from mcx.rules.determinants import diagonal_matrix, is_exact
from mcx.rules.matrices import adjoint
from mcx.rules.reductions import length
from mcx.verbs import Composed, Lifted, primitive

_NAMED = (None, "fro", "f", "nuc", 1, -1, 2, -2, np.inf, -np.inf)  # the norms of matrices


def _of_vectors(x, ord, axis: int):
    """Norms of vectors along one axis. Order 0 counts: piecewise constant."""
    if ord is None or ord == 2:
        return length(x, (axis,))
    if ord == 0:
        return np.sum(np.zeros_like(np.real(x)) + (value_of(x) != 0), axis=axis)
    size = np.abs(x)
    if ord in (np.inf, -np.inf):
        return (np.max if ord > 0 else np.min)(size, axis=axis)
    total = np.sum(size**ord, axis=axis)
    if ord == 1:
        return total
    zero = value_of(total) == 0
    return np.where(zero, 0, np.where(zero, 1, total) ** (1.0 / ord))


def _of_matrices(x, ord, axes: tuple[int, int]):
    """Norms of matrices along two axes."""
    if ord in (None, "fro", "f"):
        return length(x, axes)
    x = np.moveaxis(x, axes, (-2, -1))
    if ord == "nuc":
        return _nuclear(x)
    if ord in (2, -2):
        return _extreme_singular_value(x, 0 if ord > 0 else -1)
    sums = np.sum(np.abs(x), axis=-2 if abs(ord) == 1 else -1)
    return (np.max if ord > 0 else np.min)(sums, axis=-1)


def _extreme_singular_value(x, place: int):
    """Return the largest or smallest singular value; of a matrix of zeros 0, with gradient 0."""
    plain = value_of(x)
    zero = np.all(plain == 0, axis=(-2, -1), keepdims=True)
    distinct = np.zeros_like(plain)
    for k in range(min(plain.shape[-2:])):
        distinct[..., k, k] = k + 1
    largest = np.linalg.svdvals(np.where(zero, distinct, x))[..., place]
    return np.where(zero[..., 0, 0], 0, largest)


def _polar_differential(state, y, norm, q, s):
    """Return d‖Y‖_* = Re tr Qᴴ dY and dQ = Q Ω + (dY − Q Qᴴ dY) H⁻¹ of the polar factors Y = Q H.

    Ω H + H Ω = C − Cᴴ with C = Qᴴ dY. As H = S + N with nilpotent N, Ω follows from itself in as
    many rounds as there are orders; nothing is divided by a difference of singular values.
    """
    _, q = state
    h = adjoint(q) @ y
    nilpotent = h - value_of(h)
    sums = s[..., np.newaxis] + s[..., np.newaxis, :]
    inverse = np.where(sums == 0, 0, 1 / np.where(sums == 0, 1, sums))
    square = y.shape[-2] == y.shape[-1] and bool(np.all(s > 0))
    inverse_h = None if square else np.linalg.inv(h + diagonal_matrix((s == 0).astype(s.dtype)))

    def push(dy):
        core = adjoint(q) @ dy
        yield np.real(np.trace(core, axis1=-2, axis2=-1))
        first = turn = (core - adjoint(core)) * inverse
        for _ in range(getattr(nilpotent, "order", 0)):
            moved = turn @ nilpotent
            turn = first - (moved - adjoint(moved)) * inverse
        dq = q @ turn
        if not square:
            rest = np.where((s > 0)[..., np.newaxis, :], dy - q @ core, 0)
            dq = dq + rest @ inverse_h
        yield dq

    return push


_polar = primitive(
    lambda y, norm, q, s: norm,
    Lifted(_polar_differential, lambda result, y, norm, q, s: (q,)),
)


def _nuclear(x):
    """‖X‖_* = tr H of X = Q H, smooth at repeated singular values too, though they are not.

    Columns of Q that belong to singular values 0, where it is not smooth, are 0 at the value.
    """
    if is_exact(x):
        reason = "it has no recursion in the exact reading; leave h out"
        raise unsupported(np.linalg.norm, (x,), reason)
    x = adjoint(x) if x.shape[-2] < x.shape[-1] else x
    u, s, vh = np.linalg.svd(value_of(x), full_matrices=False)
    q = u * (s > 0)[..., np.newaxis, :]
    return _polar(x @ adjoint(vh), np.sum(s, axis=-1), q, s)


def _norm(x, ord=None, axis=None, keepdims=False):
    axes = axes_of(axis, x.ndim)
    if (ord is None and axis is None) or x.size == 0:
        return length(x, axes, keepdims)
    named = ord in _NAMED if len(axes) == 2 else not isinstance(ord, str)
    if len(axes) > 2 or len(set(axes)) < len(axes) or not named:
        return np.linalg.norm(value_of(x), ord, axis)  # NumPy's error
    norms = _of_vectors(x, ord, *axes) if len(axes) == 1 else _of_matrices(x, ord, axes)
    return kept(norms, axes, keepdims)


def _matrix_norm(x, /, *, keepdims=False, ord="fro"):
    return np.linalg.norm(x, ord, (-2, -1), keepdims)


def _vector_norm(x, /, *, axis=None, keepdims=False, ord=2):
    axes = axes_of(axis, x.ndim)
    if ord == 2 or x.size == 0:
        return length(x, axes, keepdims)
    return kept(_of_vectors(merged(x, axes), ord, 0), axes, keeps(keepdims))


COMPOSED = {
    np.linalg.matrix_norm: _matrix_norm,
    np.linalg.norm: _norm,
    np.linalg.vector_norm: _vector_norm,
}
for _func, _formula in COMPOSED.items():
    register(_func, Composed(_formula))
