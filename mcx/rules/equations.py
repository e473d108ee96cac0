"""Linear equations, inverses, least squares, condition numbers and matrix products."""

from __future__ import annotations

import functools
import math
import operator

import numpy as np

from mcx.dispatch import is_number, register, value_of
from mcx.errors import UnsupportedFunctionError
from mcx.rules.determinants import check_square, diagonal_matrix, without_singular
from mcx.rules.eigensystems import repeated_in, resolution
from mcx.rules.matrices import adjoint
from mcx.rules.matrices import hermitian as of_triangle
from mcx.rules.reductions import magnitude2
from mcx.verbs import Composed, Lifted, Value
from mcx.verbs.solving import Inverse, Solve

register(np.linalg.solve, Solve())
register(np.linalg.inv, Inverse())
register(np.linalg.matrix_rank, Value())


def _pinv(state, a, rcond=None, hermitian=False, *, rtol=None):
    """Golub and Pereyra's differential at constant rank, with no matrix of the longer side.

    dP = −P dA P + P Pᴴ dAᴴ (I − A P) + (I − P A) dAᴴ Pᴴ P
    """
    (p,) = state
    a = of_triangle(a) if hermitian else a
    wide = a.shape[-2] < a.shape[-1]
    a, p = (adjoint(a), adjoint(p)) if wide else (a, p)
    gram = p @ adjoint(p)

    def push(da):
        da = of_triangle(da) if hermitian else da
        da, dual = (adjoint(da), da) if wide else (da, adjoint(da))
        inner = dual @ adjoint(p)
        dp = gram @ (dual - (dual @ a) @ p) + (inner - p @ (a @ inner) - p @ da) @ p
        return (adjoint(dp) if wide else dp,)

    return push


def _check_cut(p, a, rcond=None, hermitian=False, *, rtol=None):
    """Refuse a cut through singular values that are not zero: there P is not A⁺ of constant rank.

    Returns nothing to add to the state.
    """
    a = of_triangle(a) if hermitian else a
    if a.size:
        rank = np.rint(np.real(np.trace(p @ a, axis1=-2, axis2=-1)))
        s = np.linalg.svd(a, compute_uv=False)
        noise = 100 * max(a.shape[-2:]) * np.finfo(a.dtype).eps
        if np.any(np.sum(s > noise * s[..., :1], axis=-1) > rank):
            raise UnsupportedFunctionError(
                "numpy.linalg.pinv (or lstsq) of a Multicomplex: expected singular values that are "
                "zero to rounding, or else above the cutoff rcond= or rtol=, got some between; "
                "lower the cutoff, or cut the factors of np.linalg.svd(a, full_matrices=False)"
            )
    return ()


register(np.linalg.pinv, Lifted(_pinv, _check_cut))


def _lstsq(a, b, rcond=None):
    """Solution A⁺ b with the cutoff of NumPy, its residuals where NumPy has them, and the rest."""
    dtype = np.result_type(*(x if hasattr(x, "dtype") else np.asarray(x) for x in value_of((a, b))))
    dtype = np.result_type(dtype, np.float32)
    a, b = (x.astype(dtype) if hasattr(x, "dtype") else np.asarray(x, dtype) for x in (a, b))
    _, residuals, *_ = np.linalg.lstsq(value_of(a), value_of(b), rcond)
    eps = np.finfo(np.float64).eps
    cutoff = eps * max(a.shape) if rcond is None else rcond
    x = np.linalg.pinv(a, eps if cutoff < 0 else cutoff) @ b
    if residuals.size:
        residuals = np.reshape(np.sum(magnitude2(b - a @ x), axis=0), (-1,))
    return x, residuals, None, _singular_values(a)


def _singular_values(a):
    """Return the singular values: NaN without a warning where one is repeated or zero."""
    s = np.linalg.svdvals(value_of(a))
    tolerance = resolution(s)
    if is_number(a) and np.any((s <= tolerance) | np.any(repeated_in(s, tolerance), axis=-1)):
        return np.full_like(s, np.nan) * np.sum(np.real(a))
    return np.linalg.svdvals(a)


def _matrix_power(a, n):
    check_square("matrix_power", a)
    n = operator.index(n)
    if n == 0:
        return np.zeros_like(a) + diagonal_matrix(np.ones_like(value_of(a)[..., 0]))
    power, result = np.linalg.inv(a) if n < 0 else a, None
    for k, bit in enumerate(reversed(f"{abs(n):b}")):
        power = power @ power if k else power
        if bit == "1":
            result = power if result is None else result @ power
    return result


def _multi_dot(arrays):
    """Product in the order of fewest multiplications."""
    arrays = [x if hasattr(x, "shape") else np.asarray(x) for x in arrays]
    if len(arrays) < 3:
        return np.dot(*arrays)
    first, last = arrays[0], arrays[-1]
    inner = [x.shape[0] for x in arrays[1:]]
    lengths = [first.shape[0] if first.ndim > 1 else 1, *inner, *last.shape[1:]]
    lengths = [*lengths, 1] if last.ndim == 1 else lengths

    @functools.cache
    def cheapest(i, j):
        """Return (multiplications, where to split) for the factors i, …, j − 1."""
        if j - i == 1:
            return 0, i
        sizes = ((k, lengths[i] * lengths[k] * lengths[j]) for k in range(i + 1, j))
        return min((cheapest(i, k)[0] + cheapest(k, j)[0] + size, k) for k, size in sizes)

    def product(i, j):
        k = cheapest(i, j)[1]
        return arrays[i] if j - i == 1 else product(i, k) @ product(k, j)

    return product(0, len(arrays))


def _tensorsolve(a, b, axes=None):
    a, b = (x if hasattr(x, "shape") else np.asarray(x) for x in (a, b))
    if axes is not None:
        order = list(range(a.ndim))
        for k in axes:
            order.remove(k)
            order.insert(a.ndim, k)
        a = np.transpose(a, order)
    shape = a.shape[b.ndim - a.ndim :]
    rows = math.prod(shape)
    return np.reshape(np.linalg.solve(np.reshape(a, (rows, rows)), np.ravel(b)), shape)


def _tensorinv(a, ind=2):
    shape = a.shape[ind:] + a.shape[:ind]
    return np.reshape(np.linalg.inv(np.reshape(a, (math.prod(a.shape[ind:]), -1))), shape)


def _cond(x, p=None):
    """Quotient of singular values, or ‖X‖ ‖X⁻¹‖."""
    if 0 in x.shape[-2:]:
        return np.linalg.cond(value_of(x), p)  # NumPy's error
    if p is None or p in (2, -2):
        s = np.linalg.svdvals(x)
        with np.errstate(all="ignore"):
            return s[..., -1] / s[..., 0] if p == -2 else s[..., 0] / s[..., -1]
    check_square("cond", x)
    x = without_singular(x)
    return np.linalg.norm(x, p, axis=(-2, -1)) * np.linalg.norm(np.linalg.inv(x), p, axis=(-2, -1))


COMPOSED = {
    np.linalg.cond: _cond,
    np.linalg.lstsq: _lstsq,
    np.linalg.matrix_power: _matrix_power,
    np.linalg.multi_dot: _multi_dot,
    np.linalg.tensorinv: _tensorinv,
    np.linalg.tensorsolve: _tensorsolve,
}
for _func, _formula in COMPOSED.items():
    register(_func, Composed(_formula))
