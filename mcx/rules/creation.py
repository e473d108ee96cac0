"""New arrays in the image of a number."""

from __future__ import annotations

import numpy as np

from mcx.dispatch import positional, register
from mcx.verbs import Composed, Fresh

for _func in (
    np.zeros_like, np.ones_like, np.empty_like, np.zeros, np.ones, np.empty,
    np.eye, np.identity,
):  # fmt: skip
    register(_func, Fresh(None))


class _Full(Fresh):
    """np.full(shape, fill_value, like=z): the fill value may be a number."""

    def apply(self, func, args, kwargs, like=None):
        shape, fill_value = positional(func, args, kwargs, 2)[0]
        return np.zeros(shape, kwargs.get("dtype"), like=like) + fill_value


def _full_like(a, fill_value, dtype=None, order="K", subok=True, shape=None, *, device=None):
    target = np.zeros_like(a, dtype=dtype, shape=shape)
    if target.dtype.kind not in "fc":
        raise TypeError(
            f"numpy.full_like: dtype: expected a float type for a Multicomplex, got {target.dtype}"
        )
    return target + fill_value


register(np.full, _Full())
register(np.full_like, Composed(_full_like))
