"""Shapes, joining, splitting, tiling, rearranging: all linear, views where NumPy makes views."""

from __future__ import annotations

import numpy as np

from mcx.dispatch import positional, register, value_of
from mcx.rules.versions import available
from mcx.verbs import Linear

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

# Modes of np.pad that are linear in the array; the constant of mode "constant" is the value's.
_LINEAR_PADS = ("constant", "edge", "linear_ramp", "mean", "reflect", "symmetric", "wrap", "empty")


class _Pad(Linear):
    def split(self, func, args, kwargs, keep=None):
        mode = args[2] if len(args) > 2 else kwargs.get("mode", "constant")
        if mode not in _LINEAR_PADS:
            raise ValueError(
                f"numpy.pad: mode: expected one of {', '.join(_LINEAR_PADS)} for a Multicomplex "
                f"(linear ones), got {mode!r}"
            )
        return super().split(func, args, kwargs, keep)


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
