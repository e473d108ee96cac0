"""Products of NumPy in the form that acts on stacks of planes: mostly one matrix product.

Each function takes two arrays and whether each is a number, whose first axis is that of the planes
(as bool, which counts leading axes), and returns a `Form`, or None where it has none: NumPy's call
on every pair of planes then decides, and raises where NumPy raises. Transposed views are left to
BLAS, not copied.
"""

from __future__ import annotations

import math

import numpy as np

from mcx.planes import aligned
from mcx.verbs.folding import Form, matrix_product

# So many products of a matrix with vectors take longer than one with the matrix of these vectors
# (sizes 200 to 1000; the other way round up to 3).
_MANY = 8


def matmul(x, y, kx, ky):
    """Return the form of np.matmul."""
    first, second = x.shape[kx:], y.shape[ky:]
    if not first or not second or first[-1] != second[-2 if len(second) > 1 else 0]:
        return None
    left = x if len(first) > 1 else x[..., None, :]
    right = y if len(second) > 1 else y[..., None]
    if len(first) > 2 or len(second) > 2:
        try:
            batch = np.broadcast_shapes(first[:-2], second[:-2])
        except ValueError:
            return None
        final = (*batch, *first[-2:-1], *(second[-1:] if len(second) > 1 else ()))
    else:
        batch, final = (), (*first[:-1], *second[1:])
    return _matrices(left, right, kx, ky, batch, final)


def _matrices(left, right, kx, ky, batch, final):
    """Return the form of a product of (stacks of) matrices."""
    if ky and not kx and right.shape[-1] == 1 and right.shape[0] >= _MANY:
        # The rows of a stack of vectors are one matrix; columns would be one product each.
        left, right = left.swapaxes(-1, -2), right.swapaxes(-1, -2)
        shape = (*batch, 1, left.shape[-1])
        return _aligned(_transposed_product, left, right, kx, ky, shape, final)
    shape = (*batch, left.shape[-2], right.shape[-1])
    return _aligned(matrix_product, left, right, kx, ky, shape, final)


def _transposed_product(x, y, out):
    matrix_product(y, x, out)


def _aligned(product, left, right, kx, ky, shape, final):
    """Return a form with the axis of planes in front of all axes of the other operand."""
    if kx:
        left = aligned(left, right.ndim - ky)
    if ky:
        right = aligned(right, left.ndim - kx)
    dtype = left.dtype if left.dtype == right.dtype else np.result_type(left.dtype, right.dtype)
    return Form(product, left, right, shape, final, dtype)


def matvec(x, y, kx, ky):
    """Return the form of np.matvec."""
    if x.ndim - kx < 2 or not y.ndim - ky:
        return None
    return _columns(matmul(x, y[..., None], kx, ky), -1)


def vecmat(x, y, kx, ky):
    """Return the form of np.vecmat; it conjugates a complex vector."""
    if y.ndim - ky < 2 or not x.ndim - kx or x.dtype.kind == "c":
        return None
    return _columns(matmul(x[..., None, :], y, kx, ky), -2)


def _columns(form, axis: int):
    """Return a form without the axis that stood for a vector's missing one."""
    if form is None:
        return None
    final = list(form.final)
    del final[axis]
    return form._replace(final=tuple(final))


def vecdot(x, y, kx, ky):
    """Return the form of np.vecdot along the last axis."""
    first, second = x.shape[kx:], y.shape[ky:]
    if not first or not second or first[-1] != second[-1]:
        return None
    try:
        shape = np.broadcast_shapes(first[:-1], second[:-1])
    except ValueError:
        return None
    return _aligned(_vecdot, x, y, kx, ky, shape, shape)


def _vecdot(x, y, out):
    np.vecdot(x, y, out=out)


def tensordot(x, y, kx, ky, axes=2):
    """Return the form of np.tensordot: planes are one more free axis."""
    nx, ny = x.ndim - kx, y.ndim - ky
    try:
        first, second = axes
        first, second = (list(a) if np.iterable(a) else [a] for a in (first, second))
    except TypeError:
        first, second = list(range(nx - axes, nx)), list(range(axes))
    if len(first) != len(second) or not all(
        -nx <= a < nx and -ny <= b < ny for a, b in zip(first, second, strict=True)
    ):
        return None
    pairs = sorted((a % nx, b % ny) for a, b in zip(first, second, strict=True))
    first, second = [a for a, _ in pairs], [b for _, b in pairs]
    one_each = len(set(first)) == len(pairs) == len(set(second))
    if not one_each or any(x.shape[kx + a] != y.shape[ky + b] for a, b in pairs):
        return None
    rows = [k for k in range(nx) if k not in first]
    columns = [k for k in range(ny) if k not in second]
    final = (*(x.shape[kx + k] for k in rows), *(y.shape[ky + k] for k in columns))
    left, right = _matrix(x, kx, rows, first), _matrix(y, ky, second, columns)
    return _matrices(left, right, kx, ky, (), final)


def _matrix(x, k: int, rows, columns):
    """Return an array as a (stack of) matrix: some axes as rows, the others as columns.

    It is a view where the axes of each group lie in order, transposed or not.
    """
    shape = x.shape[k:]
    height, width = (math.prod(shape[a] for a in axes) for axes in (rows, columns))
    lead = x.shape[:k]
    order = (*range(k), *(k + a for a in (*rows, *columns)))
    return x.transpose(order).reshape(*lead, height, width)


def dot(x, y, kx, ky):
    """Return the form of np.dot."""
    nx, ny = x.ndim - kx, y.ndim - ky
    if not nx or not ny:
        return _multiplied(x, y, kx, ky, x.shape[kx:] or y.shape[ky:])
    if nx < 3 and ny < 3:
        return matmul(x, y, kx, ky)
    return tensordot(x, y, kx, ky, ((nx - 1,), (max(ny - 2, 0),)))


def inner(x, y, kx, ky):
    """Return the form of np.inner."""
    if x.ndim == kx or y.ndim == ky:
        return _multiplied(x, y, kx, ky, x.shape[kx:] or y.shape[ky:])
    return tensordot(x, y, kx, ky, (-1, -1))


def vdot(x, y, kx, ky):
    """Return the form of np.vdot; it conjugates a complex array."""
    if x.dtype.kind == "c":
        return None
    return matmul(_raveled(x, kx), _raveled(y, ky), kx, ky)


def outer(x, y, kx, ky):
    """Return the form of np.outer."""
    left, right = _raveled(x, kx), _raveled(y, ky)
    final = (left.shape[-1], right.shape[-1])
    return _multiplied(left[..., None], right, kx, ky, final)


def linalg_outer(x, y, kx, ky):
    """Return the form of np.linalg.outer, of vectors only."""
    return outer(x, y, kx, ky) if x.ndim - kx == y.ndim - ky == 1 else None


def kron(x, y, kx, ky):
    """Return the form of np.kron."""
    first, second = x.shape[kx:], y.shape[ky:]
    ndim = max(len(first), len(second))
    first, second = ((1,) * (ndim - len(s)) + s for s in (first, second))
    left = x.reshape(*x.shape[:kx], *(n for a in first for n in (a, 1)))
    right = y.reshape(*y.shape[:ky], *(n for b in second for n in (1, b)))
    final = tuple(a * b for a, b in zip(first, second, strict=True))
    form = _multiplied(left, right, kx, ky, final)
    return form._replace(shape=tuple(n for ab in zip(first, second, strict=True) for n in ab))


def _raveled(x, k: int):
    return x.reshape(*x.shape[:k], math.prod(x.shape[k:]))


def _multiplied(x, y, kx, ky, shape):
    """Return the form of a product of elements."""
    return _aligned(_multiply, x, y, kx, ky, shape, shape)


def _multiply(x, y, out):
    np.multiply(x, y, out=out)
