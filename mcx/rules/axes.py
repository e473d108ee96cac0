"""Axes of reductions, and how elements along them are combined."""

from __future__ import annotations

import math

import numpy as np


def axes_of(axis, ndim: int) -> tuple[int, ...]:
    """Return the axes of a reduction as a tuple of non-negative ints.

    Like NumPy, a reduction of a scalar takes axis 0 or -1 for no axis.
    """
    if axis is None or (not ndim and not isinstance(axis, tuple) and axis in (0, -1)):
        return tuple(range(ndim))
    axes = axis if isinstance(axis, tuple) else (axis,)
    return tuple(np.lib.array_utils.normalize_axis_index(int(k), ndim) for k in axes)


def merged(x, axes: tuple[int, ...]):
    """Return x with the given axes merged into one first axis."""
    if len(axes) == 1:
        return np.moveaxis(x, axes[0], 0)
    moved = np.moveaxis(x, axes, range(len(axes)))
    shape = np.shape(moved)
    return np.reshape(moved, (math.prod(shape[: len(axes)]), *shape[len(axes) :]))


def keeps(keepdims) -> bool:
    """Return keepdims= as a bool: NumPy takes any truth value, and its mark for not given."""
    return keepdims is not np._NoValue and bool(keepdims)


def kept(result, axes: tuple[int, ...], keepdims):
    """Return the result with axes of length 1 where keepdims= asks for them."""
    return np.expand_dims(result, axes) if keeps(keepdims) else result


def given(**options) -> dict:
    """Return the options that are not NumPy's mark for not given."""
    return {name: option for name, option in options.items() if option is not np._NoValue}


def along(x, axis: int, part):
    """Return x[part] along one axis."""
    return x[(slice(None),) * (axis % np.ndim(x)) + (part,)]


def arrayed(x):
    """Return x, or the array of it where it is a scalar or a sequence."""
    return x if hasattr(x, "dtype") else np.asarray(x)


def combined(ufunc, items):
    """Return an associative ufunc of all items along the first axis, in pairs of halves."""
    while len(items) > 1:
        half = len(items) // 2
        pairs = ufunc(items[:half], items[half : 2 * half])
        items = np.concatenate([pairs, items[2 * half :]]) if len(items) % 2 else pairs
    return items[0] if len(items) else np.sum(items, axis=0) + ufunc.identity


def scanned(ufunc, items):
    """Return an associative ufunc of the items up to each, along the first axis.

    Items are combined in neighbouring pairs, which are scanned likewise: less than 2n calls on
    elements in 2 log2(n) calls of the ufunc.

    References
    ----------
    R. Ladner and M. Fischer, "Parallel prefix computation", J. ACM 27 (1980), 831-838.
    """
    count = len(items)
    if count < 2:
        return items
    odd = scanned(ufunc, ufunc(items[: count - 1 : 2], items[1::2]))
    even = items[:1]
    if count > 2:
        even = np.concatenate([even, ufunc(odd[: (count - 1) // 2], items[2::2])])
    both = np.stack([even[: count // 2], odd], axis=1)
    both = np.reshape(both, (count // 2 * 2, *np.shape(items)[1:]))
    return np.concatenate([both, even[-1:]]) if count % 2 else both


def weights_along(weights, shape, axes: tuple[int, ...]):
    """Return weights of all elements of a shape, given for all of them or along the axes alone."""
    if np.shape(weights) != tuple(shape):
        ordered = sorted(range(len(axes)), key=axes.__getitem__)
        weights = np.transpose(weights, ordered)
        weights = np.reshape(weights, [n if k in axes else 1 for k, n in enumerate(shape)])
    return np.broadcast_to(weights, shape)
