"""Arithmetic on plane buffers: arrays of shape (planes, *shape), NumPy's or any array with its API.

Plane 0 is the value. Everything here is plain NumPy syntax on whole planes; the tables of
`mcx.algebra` say which planes meet.
"""

from __future__ import annotations

import operator

import numpy as np

from mcx.algebra import Algebra, embedding
from mcx.memory import SMALLEST, new_buffer
from mcx.series import by_real
from mcx.support import planes_in
from mcx.table import Table, product_table

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
    out = buffer_like(value, algebra.size, zeros=True)
    out[0, ...] = value
    return out


def memory_order(array) -> tuple[int, ...]:
    """Return the axes of an array from the largest stride to the smallest."""
    return tuple(sorted(range(array.ndim), key=lambda k: -abs(array.strides[k])))


def empty_like(planes):
    """Return an unset buffer like a buffer."""
    if type(planes) is np.ndarray and planes.flags.c_contiguous:
        return new_buffer(planes.shape, planes.dtype)
    return np.empty_like(planes)


def zeros_like(planes):
    """Return zeros like a buffer."""
    out = empty_like(planes)
    out.fill(0)
    return out


def in_new_buffer(func, first, *others, reverse: bool = False):
    """Return func(first, …), a ufunc of a buffer, in memory that has been used before."""
    operands = (*others, first) if reverse else (first, *others)
    fits = type(first) is np.ndarray and first.nbytes >= SMALLEST and first.flags.c_contiguous
    for other in others if fits else ():
        if type(other) in (int, float):
            continue
        fits = fits and type(other) is np.ndarray and other.dtype == first.dtype
        fits = fits and other.flags.c_contiguous and other.shape == first.shape
    return func(*operands, out=new_buffer(first.shape, first.dtype)) if fits else func(*operands)


def buffer_like(plane, size: int, zeros: bool = False, dtype=None):
    """Return a new buffer whose planes have the shape and memory layout of the given one."""
    if type(plane) is np.ndarray and plane.flags.c_contiguous:
        return new_buffer((size, *plane.shape), np.dtype(dtype or plane.dtype), range(size * zeros))
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


def add_products(out, x, y, steps, times=np.multiply):
    """Add sign·x[A]·y[B] to out[C] for every step (A, B, C, sign), in order."""
    for a, b, c, sign in steps:
        combine = np.add if sign > 0 else np.subtract
        if isinstance(c, slice):
            combine(out[c], times(x[a], y[b]), out=out[c])
        else:
            out[c] = combine(out[c], times(x[a], y[b]))


def multiply(x, y, table: Table, times=np.multiply, add_products=add_products, steps=None):
    """Return the product of two buffers over the same table.

    `steps` are those of the live planes, `mcx.support.live_steps`, where some are dead.
    """
    x, y = together(x, y)
    if steps is None:
        out, added = times(x[0], y), table.steps
        np.add(out[1:], times(x[1:], y[0]), out=out[1:])
    else:
        first, added = steps
        out = buffer_like(x[0, ...] * y[0, ...], table.size, zeros=True)
        for a, b, c, _ in first:
            out[c] = times(x[a], y[b])
    add_products(out, x, y, added, times)
    return out


def inner(x, y, table: Table):
    """Return the product of what two buffers are beyond their values (which are not read)."""
    x, y = together(x, y)
    out = np.zeros_like(x[:1] * y)
    add_products(out, x, y, table.steps)
    return out


def divide(x, y, table: Table, add_products=add_products, levels=None):
    """Return x / y in the limit algebra by one pass through the table, by degree.

    From q · y = x follows q_c = (x_c − Σ q_a y_b) / y_0 over b ≠ 0, a + b = c. `levels` are those
    of the live planes, where some are dead.
    """
    x, y = together(x, y)
    value = x[0] / y[0]
    rest = buffer_like(value, table.size)
    rest[...] = x
    out = np.empty_like(rest) if levels is None else buffer_like(value, table.size, zeros=True)
    out[0, ...] = value
    for members, steps in table.levels if levels is None else levels:
        if members != slice(0, 1):
            out[members] = rest[members] / y[0]
        add_products(rest, out, y, steps)
    return out


def times_unless_zero(coefficient, tangent, out=None):
    """Return the product, 0 where the tangent is 0: an infinite slope that nothing moves along."""
    with np.errstate(invalid="ignore"):
        product = np.where(tangent == 0, 0, coefficient * tangent)
    if out is None:
        return product
    out[...] = product
    return out


def compose(series, planes, table: Table, times=np.multiply, add_products=add_products, live=None):
    """Return f(z) in the limit algebra from the Taylor coefficients of f at the value.

    Over a last factor of first order, z = z1 + Σ t_j z_j, it is f(z1) + Σ t_j f'(z1) z_j; otherwise
    Horner's rule.

    Parameters
    ----------
    series : list of arrays
        f(a), f'(a), f''(a)/2!, … up to the order of the table; a is plane 0.
    planes : buffer of z
    table : Table
    times : callable
        times(coefficient, tangent), `np.multiply` or `times_unless_zero`.
    add_products : callable
        What multiplies and adds planes.
    live : tuple (steps, rows), optional
        Where planes of z are dead: the steps of the products with live planes beyond the value, and
        the first rows, among them all that are live.

    References
    ----------
    J. Fike and J. Alonso, "The development of hyper-dual numbers for exact second-derivative
    calculations", AIAA 2011-886 (the case of two first-order factors).
    """
    *inner, last = table.lower_sets
    if inner and all(sum(index) <= 1 for index in last):
        part = product_table(tuple(inner), False)
        slopes = [by_real(operator.mul, c, k) for k, c in enumerate(series[1:], 1)]
        how = (part, times, add_products)
        out = empty_like(planes)
        out[: part.size] = compose(series[: part.order + 1], planes[: part.size], *how)
        slope = compose(slopes[: part.order + 1], planes[: part.size], *how)
        for start in range(part.size, table.size, part.size):
            block = slice(start, start + part.size)
            out[block] = multiply(slope, planes[block], *how)
        return out
    make = empty_like if live is None else zeros_like
    steps, rows = (table.steps, slice(0, None)) if live is None else live
    moving = slice(1, rows.stop)
    out = make(planes)
    times(series[-1], planes[moving], out=out[moving])
    for coefficient in reversed(series[1:-1]):
        tangent = make(planes)
        times(coefficient, planes[moving], out=tangent[moving])
        add_products(tangent, out, planes, steps, times)
        out = tangent
    out[0, ...] = series[0]
    return out


def composed(series, planes, table: Table, add_products=add_products, live=None):
    """Return `compose` of arrays, without 0·inf where a coefficient is not finite."""
    dtype = np.result_type(series[0].dtype, planes.dtype)
    planes = planes if planes.dtype == dtype else planes.astype(dtype)
    with np.errstate(all="ignore"):
        out = compose(series, planes, table, np.multiply, add_products, live)
    if np.isfinite(out).all():
        return out
    return compose(series, planes, table, times_unless_zero)
