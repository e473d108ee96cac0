"""What the rules of matrix factorizations share; stacks of matrices lie along the last two axes."""

from __future__ import annotations

import functools
import warnings

import numpy as np

from mcx.array import Multicomplex
from mcx.dispatch import numbers_of, unsupported, value_of
from mcx.tree import tree_map
from mcx.verbs import Composed

_SMALL = 48  # up to this size NumPy's inverse is the faster one of triangles too (measured)


class Factorization(Composed):
    """A formula over differentials of factorizations, in the limit algebra alone."""

    def apply(self, func, args, kwargs, like=None):
        numbers = numbers_of((args, kwargs))
        if any(isinstance(n, Multicomplex) and n.algebra.exact for n in numbers):
            raise unsupported(
                func, numbers, "it has no recursion in the exact reading; leave h out"
            )
        return super().apply(func, args, kwargs, like)


class Decomposition(Factorization):
    """One that begins with NumPy's own result: ``formula(value, *args, **kwargs)``."""

    def apply(self, func, args, kwargs, like=None):
        value = func(*value_of(tuple(args)), **{k: value_of(v) for k, v in kwargs.items()})

        @functools.wraps(func)
        def known(*_, **__):
            return tree_map(np.copy, value)  # the formula keeps its own, a recorded one for long

        return Factorization(functools.partial(self.formula, value)).apply(known, args, kwargs)


def adjoint(a):
    """Return Aᴴ."""
    turned = np.matrix_transpose(a)
    return np.conj(turned) if a.dtype.kind == "c" else turned


def halved(a, upper: bool = False):
    """Return the lower (or upper) triangle with half the diagonal: X, if A = X + Xᴴ."""
    part = np.triu if upper else np.tril
    return (part(a) + part(a, 1 if upper else -1)) / 2


def triangular_inverse(a):
    """Return the inverse of an upper triangular matrix, by blocks down to small ones.

    LAPACK finds its pivots on the diagonal, and back substitution does not depend on how rows and
    columns are scaled; of a lower triangular matrix it would exchange rows.
    """
    n = a.shape[-1]
    if n <= _SMALL:
        return np.linalg.inv(a)
    k = n // 2
    first, last = triangular_inverse(a[..., :k, :k]), triangular_inverse(a[..., k:, k:])
    corner = -(first @ (a[..., :k, k:] @ last))
    left = np.concatenate([first, np.zeros_like(a[..., k:, :k])], axis=-2)
    return np.concatenate([left, np.concatenate([corner, last], axis=-2)], axis=-1)


def hermitian(a, upper: bool = False):
    """Return the Hermitian matrix of which LAPACK reads the lower (or upper) triangle of A alone.

    Imaginary parts of the diagonal are ignored, as there.
    """
    half = halved(a, upper)
    return half + adjoint(half)


def complement(q, basis):
    """Return an orthonormal basis of the complement of the orthonormal columns of Q.

    It is a function of Q: the given basis, of the complement at the value, is projected and
    orthonormalized in the order of its columns. To first order it does not rotate in itself.
    """
    projected = basis - q @ (adjoint(q) @ basis)
    return projected @ adjoint(np.linalg.inv(np.linalg.cholesky(adjoint(projected) @ projected)))


def frobenius(a, axis):
    """Return the Frobenius norm of plain arrays, without overflow."""
    if not a.size:
        return np.sum(abs(a), axis=axis)
    largest = np.max(abs(a), axis=axis, keepdims=True)
    scaled = np.linalg.norm(a / np.where(largest > 0, largest, 1), axis=axis)
    return scaled * np.squeeze(largest, axis=axis)


def eps_of(a):
    """Return the machine epsilon of the coefficients."""
    return float(np.finfo(a.dtype).eps)


def spoiled(x, where):
    """Return x with NaN in all its planes at some places; the values will be those of NumPy."""
    if not np.any(where):
        return x
    return x * np.where(where, np.nan, 1).astype(value_of(x).real.dtype)


def warn_of_nan(function: str, what: str, where) -> None:
    """Warn that derivatives at some places do not exist and are NaN."""
    if np.any(where):
        warnings.warn(
            f"numpy.{function}: {what} to working precision; what has no derivatives there has NaN",
            RuntimeWarning,
            stacklevel=3,
        )
