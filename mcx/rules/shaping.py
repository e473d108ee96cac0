"""Shapes, joining, splitting, tiling, rearranging: all linear, views where NumPy makes views."""

from __future__ import annotations

import numpy as np

from mcx.dispatch import positional, register, unsupported, value_of
from mcx.rules.axes import along
from mcx.rules.versions import available
from mcx.verbs import Composed, Linear

SINGLE = (
    np.reshape, np.ravel, np.transpose, np.matrix_transpose, np.swapaxes, np.moveaxis, np.rollaxis,
    np.squeeze, np.expand_dims, np.broadcast_to, np.diagonal, np.diag, np.diagflat, np.tril,
    np.triu,
    np.flip, np.fliplr, np.flipud, np.rot90, np.roll, np.tile, np.repeat, np.take,
    np.take_along_axis, np.delete, np.copy, np.split, np.array_split, np.hsplit,
    np.vsplit, np.dsplit, np.lib.stride_tricks.sliding_window_view,
    np.linalg.diagonal, np.linalg.matrix_transpose,
    *available("unstack"),
)  # fmt: skip
for _func in SINGLE:
    register(_func, Linear((0,)))

# The operands are a sequence in the first argument.
JOINING = (np.concatenate, np.stack, np.hstack, np.vstack, np.dstack, np.column_stack, np.block)
for _func in JOINING:
    register(_func, Linear((0,)))

register(np.append, Linear((0, 1)))
for _func in (np.extract, np.compress):
    register(_func, Linear((1,)))


class _AtLeast(Linear):
    """atleast_nd: every argument by itself."""

    def apply(self, func, args, kwargs, like=None):
        if len(args) == 1:
            return super().apply(func, args, kwargs, like)
        return tuple(func(x) for x in args)


for _func in (np.atleast_1d, np.atleast_2d, np.atleast_3d):
    register(_func, _AtLeast((0,)))


class _BroadcastArrays(Linear):
    """broadcast_arrays: every argument by itself, to the common shape."""

    def apply(self, func, args, kwargs, like=None):
        shape = np.broadcast_shapes(*(np.shape(x) for x in args))
        return tuple(np.broadcast_to(x, shape) for x in args)


register(np.broadcast_arrays, _BroadcastArrays())

# Modes of np.pad that choose among elements; the others are linear in the array, the constant of
# mode "constant" is the value's.
_STATISTICS = {"maximum": np.max, "minimum": np.min, "median": np.median}


class _Pad(Linear):
    def apply(self, func, args, kwargs, like=None):
        mode = args[2] if len(args) > 2 else kwargs.get("mode", "constant")
        if callable(mode):
            raise unsupported(func, (args, kwargs), "mode= as a function writes into plain arrays")
        rule = Composed(_padded) if mode in _STATISTICS else super()
        return rule.apply(func, args, kwargs, like)


def _padded(array, pad_width, mode, stat_length=None):
    """Return an array padded, axis by axis, with a statistic of the elements at each end."""
    if isinstance(pad_width, dict):
        pad_width = [pad_width.get(k, pad_width.get(k - array.ndim, 0)) for k in range(array.ndim)]
        pad_width = [np.broadcast_to(width, 2) for width in pad_width]
    widths = np.broadcast_to(pad_width, (array.ndim, 2)).tolist()
    lengths = np.broadcast_to(np.inf if stat_length is None else stat_length, (array.ndim, 2))
    for axis, (before, after) in enumerate(widths):
        if not before + after:
            continue
        count = array.shape[axis]
        first, last = (int(min(length, count)) for length in lengths[axis])
        ends = [
            _STATISTICS[mode](along(array, axis, part), axis=axis, keepdims=True)
            for part in (slice(first), slice(count - last, None))
        ]
        left, right = (np.repeat(*end, axis) for end in zip(ends, (before, after), strict=True))
        array = np.concatenate([left, array, right], axis)
    return array


register(np.pad, _Pad((0,), value_only=("constant_values", "end_values")))


class _AsType(Linear):
    """Another floating-point type; integers and truth values are piecewise constant: plain."""

    def apply(self, func, args, kwargs, like=None):
        args, kwargs = positional(func, args, kwargs, 2)
        if len(args) > 1 and np.dtype(args[1]).kind in "biu":
            return func(*value_of(tuple(args)), **kwargs)
        return super().apply(func, args, kwargs, like)


for _func in (np.astype, np.ndarray.astype):  # the method, of any array type
    register(_func, _AsType((0,)))
