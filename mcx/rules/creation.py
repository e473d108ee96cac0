"""New arrays in the image of a number."""

from __future__ import annotations

import numpy as np

from mcx.dispatch import check_dtype, numbers_of, register, unsupported
from mcx.nested import stacked
from mcx.record import shares_memory
from mcx.verbs import Composed, Fresh

for _func in (
    np.zeros_like, np.ones_like, np.empty_like, np.zeros, np.ones, np.empty,
    np.eye, np.identity,
):  # fmt: skip
    register(_func, Fresh(None))


class FreshOr(Fresh):
    """A new array in the image of a number; where arguments hold numbers, made by a formula."""

    def __init__(self, formula=None):
        super().__init__(None)
        self.formula = formula

    def apply(self, func, args, kwargs, like=None):
        if not numbers_of((args, kwargs)):
            made = super().apply(func, args, kwargs, like)
            shared = any(shares_memory(made, x) for x in args)
            return np.copy(made) if shared else made  # a number never writes to a plain array
        if self.formula is None:
            raise unsupported(func, (args, kwargs), "an argument that must be plain is a number")
        return self.formula(*args, **kwargs)


def zeros_for(numbers, shape, dtype):
    """Return zeros that have room for the planes of all the numbers."""
    room = sum(np.zeros_like(number, shape=(), dtype=dtype) for number in numbers)
    return np.zeros_like(room, shape=shape, dtype=dtype)


def _full(shape, fill_value, dtype=None, order="C", *, device=None):
    fill = stacked(fill_value)
    return np.full_like(fill, fill, dtype=dtype, order=order, shape=shape)


def _full_like(a, fill_value, dtype=None, order="K", subok=True, shape=None, *, device=None):
    dtype = np.dtype(a.dtype if dtype is None else dtype)
    check_dtype(dtype, "numpy.full_like: dtype")
    fill = fill_value if np.isscalar(fill_value) else stacked(fill_value)
    target = zeros_for(numbers_of((a, fill)), a.shape if shape is None else shape, dtype)
    target[...] = fill
    return np.copy(target, order=order) if order == "F" else target


register(np.full, FreshOr(_full))
register(np.full_like, Composed(_full_like))
