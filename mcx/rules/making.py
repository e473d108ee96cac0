"""New arrays: from nested lists, by ranges and grids, by insertion and by choice among arrays."""

from __future__ import annotations

import math

import numpy as np

from mcx.dispatch import cast, is_number, numbers_of, register, value_of
from mcx.errors import UnsupportedFunctionError
from mcx.nested import stacked
from mcx.rules.creation import FreshOr, zeros_for
from mcx.verbs import Composed, Direct, Fresh, Linear

# Conversions: np.array([z0, 1.0], like=z).


# array-api-compat, and SciPy with it, asks for copies in NumPy's private way.
_COPY = {np._CopyMode.IF_NEEDED: None, np._CopyMode.ALWAYS: True, np._CopyMode.NEVER: False}


def _array(object, dtype=None, *, copy=True, order="K", subok=True, ndmin=0, ndmax=0):
    x, copy = stacked(object), _COPY.get(copy, copy)
    if 0 < ndmax < x.ndim:
        raise UnsupportedFunctionError(
            f"numpy.array: ndmax={ndmax} would leave arrays of objects, which have no planes; "
            f"expected at least {x.ndim}"
        )
    if dtype is not None and x.dtype != np.dtype(dtype):
        x = cast(x, dtype)
    flags = x.flags
    moved = (order == "C" and not flags.c_contiguous) or (order == "F" and not flags.f_contiguous)
    if copy is False and (moved or x is not object):
        raise ValueError("numpy.array: copy=False, but a copy cannot be avoided; use copy=None")
    if moved or (copy and x is object):
        x = np.copy(x, order=order)
    return np.reshape(x, (1,) * (ndmin - x.ndim) + x.shape) if ndmin > x.ndim else x


def _asarray(a, dtype=None, order=None, *, device=None, copy=None):
    x = _array(a, dtype, copy=copy, order=order or "K")
    if device is not None and device != x.device:
        raise ValueError(f"numpy.asarray: device: expected {x.device!r}, got {device!r}")
    return x


def _require(a, dtype=None, requirements=None):
    np.require(np.empty(0), None, requirements)  # raises for names that do not exist
    wanted = {name.upper()[0] for name in requirements or ()}
    order = "C" if "C" in wanted else "F" if "F" in wanted else "K"
    x = _array(a, dtype, copy=None, order=order)
    copied = "O" in wanted or ("W" in wanted and not x.flags.writeable)
    return np.copy(x, order=order) if copied and x is a else x


CONVERSIONS = {
    np.array: _array,
    np.asarray: _asarray,
    np.asanyarray: _asarray,
    np.ascontiguousarray: lambda a, dtype=None: _array(a, dtype, copy=None, order="C", ndmin=1),
    np.asfortranarray: lambda a, dtype=None: _array(a, dtype, copy=None, order="F"),
    np.require: _require,
}
for _func, _formula in CONVERSIONS.items():
    register(_func, FreshOr(_formula))

# What is read has no derivatives.
for _func in (
    np.tri, np.frombuffer, np.fromfile, np.fromiter, np.fromstring, np.genfromtxt, np.loadtxt,
):  # fmt: skip
    register(_func, FreshOr())


class _FromFunction(Fresh):
    """np.fromfunction(function, shape, like=z): the function may return numbers."""

    def apply(self, func, args, kwargs, like=None):
        result = func(*args, **kwargs, like=like._buffer)
        return result if is_number(result) else np.array(result, like=like)


register(np.fromfunction, _FromFunction(None))


# Ranges and grids.


def _as(result, dtype):
    return result if dtype is None else cast(result, dtype)


def _range(start, stop=None, step=1, dtype=None, *, device=None):
    start, stop = (0, start) if stop is None else (start, stop)
    bounds = [value_of(x) for x in (start, stop, step)]
    count = len(np.arange(*(x.item() if hasattr(x, "item") else x for x in bounds)))
    steps = np.arange(count, like=numbers_of((start, stop, step))[0]._buffer)
    return _as(start + step * steps + 0 * stop, dtype)


class _Range(Fresh):
    """np.arange(start, stop, step, like=z): the three may be numbers."""

    formula = Composed(_range)

    def apply(self, func, args, kwargs, like=None):
        if not numbers_of((args, kwargs)):
            return super().apply(func, args, kwargs, like)

        def arange(*args, **kwargs):
            inner = numbers_of((args, kwargs))
            return np.arange(*args, **kwargs, like=inner[0] if inner else like._buffer)

        return self.formula.apply(arange, args, kwargs, like)


def _geomspace(start, stop, num=50, endpoint=True, dtype=None, axis=0):
    """start^(1−t)·stop^t, turned by the direction of start, which may be negative or complex."""
    start, stop = stacked(start), stacked(stop)
    if np.any(value_of(start) == 0) or np.any(value_of(stop) == 0):
        raise ValueError("numpy.geomspace: expected start and stop without zeros")
    sign = start / np.abs(start) if start.dtype.kind == "c" else np.sign(value_of(start))
    start, stop = start / sign, stop / sign
    ends = np.zeros_like(np.abs(value_of(start) * value_of(stop)))
    t = np.linspace(ends, ends + 1, num, endpoint)
    return _as(np.moveaxis(sign * start ** (1 - t) * stop**t, 0, axis), dtype)


def _logspace(start, stop, num=50, endpoint=True, base=10.0, dtype=None, axis=0):
    if np.ndim(base):
        ndim = max(map(np.ndim, (start, stop, base)))
        start, stop, base = (
            np.reshape(stacked(x), (1,) * (ndim - np.ndim(x)) + np.shape(x))
            for x in (start, stop, base)
        )
        base = np.expand_dims(base, axis)
    return _as(np.power(base, np.linspace(start, stop, num, endpoint, axis=axis)), dtype)


def _meshgrid(*xi, copy=True, sparse=False, indexing="xy"):
    if indexing not in ("xy", "ij"):
        raise ValueError(f"numpy.meshgrid: indexing: expected 'xy' or 'ij', got {indexing!r}")
    axes = list(range(len(xi)))
    if indexing == "xy":
        axes[:2] = reversed(axes[:2])
    grids = [
        np.reshape(x, (1,) * axis + (-1,) + (1,) * (len(xi) - axis - 1))
        for axis, x in zip(axes, xi, strict=True)
    ]
    grids = grids if sparse else np.broadcast_arrays(*grids)
    return tuple(x.copy() for x in grids) if copy else grids


def _open_mesh(*args):
    """Reshape numbers, as NumPy does arrays of floats; plain masks and integers are indices."""
    plain = np.ix_(*value_of(args))
    return tuple(
        np.reshape(x, mesh.shape) if is_number(x) else mesh
        for x, mesh in zip(args, plain, strict=True)
    )


register(np.arange, _Range(None))
register(np.linspace, Linear((0, 1)))
register(np.geomspace, Composed(_geomspace))
register(np.logspace, Composed(_logspace))
register(np.meshgrid, Direct(_meshgrid))
register(np.ix_, Direct(_open_mesh))


# Insertion, repetition, choice among arrays.


def _piecewise(x, condlist, funclist, *args, **kw):
    if np.isscalar(condlist) or (np.ndim(condlist[0]) == 0 and np.ndim(x)):
        condlist = [condlist]
    masks = [c.astype(bool) if hasattr(c, "astype") else np.array(c, bool) for c in condlist]
    if len(funclist) == len(masks) + 1:
        masks.append(~np.any(np.stack(masks), axis=0))
    if len(funclist) != len(masks):
        raise ValueError(
            f"numpy.piecewise: with {len(masks)} condition(s), expected {len(masks)} or "
            f"{len(masks) + 1} functions, got {len(funclist)}"
        )
    pieces = [
        (mask, piece(x[mask], *args, **kw) if callable(piece) else piece)
        for mask, piece in zip(masks, funclist, strict=True)
        if np.any(mask)
    ]
    room = zeros_for([x, *numbers_of(pieces)], (), x.dtype)
    y = np.zeros_like(np.zeros_like(x) + room)  # laid out as x
    for mask, piece in pieces:
        y[mask] = piece
    return y


register(np.insert, Linear((0, 2)))
register(np.resize, Linear((0,)))
register(np.choose, Linear((1,)))
register(np.select, Linear((1, 2)))
register(np.piecewise, Direct(_piecewise))


# Functions along axes.


def _apply_along_axis(func1d, axis, arr, *args, **kwargs):
    axis = np.lib.array_utils.normalize_axis_index(axis, arr.ndim)
    moved = np.moveaxis(arr, axis, -1)
    outer = moved.shape[:-1]
    if not math.prod(outer):
        raise ValueError(
            f"numpy.apply_along_axis: arr: expected axes of positive length beside axis {axis}, "
            f"got shape {arr.shape}"
        )
    parts = [stacked(func1d(moved[(*k, ...)], *args, **kwargs)) for k in np.ndindex(outer)]
    shape, dtype = parts[0].shape, parts[0].dtype
    joined = np.reshape(np.stack(parts), (*outer, *shape))
    to = tuple(range(axis, axis + len(shape)))
    result = np.moveaxis(joined, tuple(range(len(outer), joined.ndim)), to)
    return result if result.dtype == dtype else cast(result, dtype)


def _apply_over_axes(func, a, axes):
    for axis in axes if np.ndim(axes) else (axes,):
        axis = axis + a.ndim if axis < 0 else axis
        result = func(a, axis)
        result = result if result.ndim == a.ndim else np.expand_dims(result, axis)
        if result.ndim != a.ndim:
            raise ValueError(
                f"numpy.apply_over_axes: func: expected a result of {a.ndim} or {a.ndim - 1} "
                f"axes, got shape {result.shape}"
            )
        a = result
    return a


register(np.apply_along_axis, Direct(_apply_along_axis))
register(np.apply_over_axes, Direct(_apply_over_axes))
