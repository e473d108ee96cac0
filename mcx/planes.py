"""Arithmetic on plane buffers: arrays of shape (planes, *shape), NumPy's or any array with its API.

Plane 0 is the value. Everything here is plain NumPy syntax on whole planes; the tables of
`mcx.algebra` say which planes meet.
"""

from __future__ import annotations

import numpy as np

from mcx.algebra import Algebra, Table, embedding
from mcx.support import planes_in

AS_STRIDED: dict = {}  # array type -> its as_strided, which NumPy does not dispatch


def as_strided_of(array_type):
    """Return the as_strided of an array type other than ndarray: CuPy's, or one entered above."""
    if array_type not in AS_STRIDED:
        from cupy.lib.stride_tricks import as_strided  # a CuPy array exists, so CuPy is loaded

        AS_STRIDED[array_type] = as_strided
    return AS_STRIDED[array_type]


def aligned(planes, ndim: int):
    """Return the buffer with axes inserted after the plane axis, so that shapes broadcast."""
    missing = ndim - (planes.ndim - 1)
    if missing <= 0:
        return planes
    return planes.reshape(planes.shape[0], *(1,) * missing, *planes.shape[1:])


def together(x, y):
    """Return two buffers aligned to the larger number of dimensions."""
    ndim = max(x.ndim, y.ndim) - 1
    return aligned(x, ndim), aligned(y, ndim)


def embed(planes, small: Algebra, large: Algebra):
    """Return the buffer of a number of `small` as one of `large`; the planes it lacks are zero."""
    if small is large:
        return planes
    out = np.zeros_like(planes, shape=(large.size, *planes.shape[1:]))
    out[embedding(small, large)] = planes
    return out


def from_value(value, algebra: Algebra):
    """Return the buffer of a number with the given value and no other plane."""
    out = np.zeros_like(value, shape=(algebra.size, *value.shape))
    out[0, ...] = value
    return out


def memory_order(array) -> tuple[int, ...]:
    """Return the axes of an array from the largest stride to the smallest."""
    return tuple(sorted(range(array.ndim), key=lambda k: -abs(array.strides[k])))


def buffer_like(plane, size: int, zeros: bool = False, dtype=None):
    """Return a new buffer whose planes have the shape and memory layout of the given one."""
    make = np.zeros_like if zeros else np.empty_like
    if plane.ndim < 2 or plane.flags.c_contiguous:
        return make(plane, shape=(size, *plane.shape), dtype=dtype)
    order = memory_order(plane)
    out = make(plane, shape=(size, *(plane.shape[k] for k in order)), dtype=dtype)
    return np.transpose(out, (0, *(1 + order.index(k) for k in range(plane.ndim))))


def assembled(parts, live: int, size: int):
    """Return the buffer with the given live planes (arrays or scalars of one shape), others 0."""
    dtype = np.result_type(*parts) if len(parts) > 1 else parts[0].dtype
    out = buffer_like(parts[0], size, zeros=len(parts) < size, dtype=dtype)
    rows = range(size) if len(parts) == size else planes_in(live)
    for k, part in zip(rows, parts, strict=True):
        out[k, ...] = part
    return out


def add_at(out, where, term, sign: int = 1):
    """Add (or subtract) the term to some planes of the buffer."""
    combine = np.add if sign > 0 else np.subtract
    if isinstance(where, slice):
        combine(out[where], term, out=out[where])
    else:
        out[where] = combine(out[where], term)


def multiply(x, y, table: Table):
    """Return the product of two buffers over the same table."""
    x, y = together(x, y)
    out = x[0] * y
    add_at(out, slice(1, None), x[1:] * y[0])
    for a, b, c, sign in table.steps:
        add_at(out, c, x[a] * y[b], sign)
    return out


def inner(x, y, table: Table):
    """Return the product of what two buffers are beyond their values (which are not read)."""
    x, y = together(x, y)
    out = np.zeros_like(x[:1] * y)
    for a, b, c, sign in table.steps:
        add_at(out, c, x[a] * y[b], sign)
    return out


def divide(x, y, table: Table):
    """Return x / y in the limit algebra by one pass through the table, by degree.

    From q · y = x follows q_c = (x_c − Σ q_a y_b) / y_0 over b ≠ 0, a + b = c.
    """
    x, y = together(x, y)
    value = x[0] / y[0]
    rest = np.empty_like(value, shape=(table.size, *value.shape))
    rest[...] = x
    out = np.empty_like(rest)
    out[0, ...] = value
    for members, steps in table.levels:
        if members != slice(0, 1):
            out[members] = rest[members] / y[0]
        for a, b, c, _ in steps:
            add_at(rest, c, out[a] * y[b], -1)
    return out


def times_unless_zero(coefficient, tangent):
    """Return the product, 0 where the tangent is 0: an infinite slope that nothing moves along."""
    with np.errstate(invalid="ignore"):
        return np.where(tangent == 0, 0, coefficient * tangent)


def compose(coefficients, planes, table: Table):
    """Return f(z) in the limit algebra from Taylor coefficients at the value, by Horner's rule.

    Parameters
    ----------
    coefficients : list of arrays
        f(a), f'(a), f''(a)/2!, … up to the order of the table; a is plane 0.
    planes : buffer of z
    table : Table
    """
    value, *higher = coefficients
    finite = all(np.isfinite(c).all() for c in higher)
    times = np.multiply if finite else times_unless_zero
    out = np.empty_like(planes, dtype=np.result_type(value.dtype, planes.dtype))
    out[1:] = times(higher[-1], planes[1:])
    for coefficient in reversed(higher[:-1]):
        tangent = np.empty_like(out)
        tangent[1:] = times(coefficient, planes[1:])
        for a, b, c, _ in table.steps:
            add_at(tangent, c, times(out[a], planes[b]))
        out = tangent
    out[0, ...] = value
    return out
