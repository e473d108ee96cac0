"""What NumPy functions that do not dispatch do with numbers, behind an open door.

A substitute is called as ``substitute(door, original, *args, **kwargs)`` with the arguments of the
original; `door.constant(array)` makes an array that can hold the ambient numbers.
"""

from __future__ import annotations

from itertools import islice

import numpy as np

from mcx.array import Multicomplex
from mcx.dispatch import RULES, is_number, numbers_of, unsupported, value_of
from mcx.nested import stacked
from mcx.surface import Surface

_asarray = np.asarray
_AxisConcatenator = next(cls for cls in type(np.r_).__mro__ if "__getitem__" in vars(cls))


def _converted(door, original, *args, **kwargs):
    """Convert numbers and nested lists of them by the rule that the function has for like=z."""
    numbers = numbers_of((args, kwargs))
    if not numbers:
        return original(*args, **kwargs)
    return RULES[original].apply(original, args, kwargs, numbers[0])


def _number(nested, dtype=None):
    return _converted(None, _asarray, nested, dtype)


def _finite(door, original, a, dtype=None, order=None):
    if not numbers_of([a]):
        return original(a, dtype, order)
    number = _converted(door, _asarray, a, dtype, order)
    if not np.all(np.isfinite(value_of(number))):
        raise ValueError("array must not contain infs or NaNs")
    return number


def _fresh(door, original, *args, **kwargs):
    return door.constant(original(*args, **kwargs))


def _fresh_like(door, original, prototype, *args, **kwargs):
    value = original(value_of(prototype), *args, **kwargs)
    return door.constant(value, *numbers_of([prototype]))


def _filled(door, original, shape, fill_value, dtype=None, order="C", **kwargs):
    if not numbers_of([fill_value]):
        return door.constant(original(shape, fill_value, dtype, order, **kwargs))
    fill = stacked(fill_value)
    out = door.constant(original(shape, 0, dtype or fill.dtype, order), fill)
    out[...] = fill
    return out


def _filled_like(door, original, a, fill_value, *args, **kwargs):
    if not numbers_of([fill_value]):
        return _fresh_like(door, original, a, fill_value, *args, **kwargs)
    fill = stacked(fill_value)
    value = original(value_of(a), 0, *args, **kwargs)
    out = door.constant(value, fill, *numbers_of([a]))
    out[...] = fill
    return out


def _fromiter(door, original, iter, dtype, count=-1, **kwargs):
    items = list(iter if count < 0 else islice(iter, count))
    if not numbers_of(items):
        return original(items, dtype, count, **kwargs)
    if len(items) < count:
        raise ValueError(f"numpy.fromiter: expected {count} items, got {len(items)}")
    return _number(items, dtype)


def _isscalar(door, original, element):
    return element.ndim == 0 if is_number(element) else original(element)


def _ndenumerate(door, original, arr):
    if not is_number(arr):
        return original(arr)
    return ((index, arr[index]) for index in np.ndindex(arr.shape))


def _vectorized(door, original, self, *args, **kwargs):
    """Call the function of np.vectorize element by element, and join its results."""
    plain = not numbers_of((args, kwargs))
    if plain and (not door.all_numbers() or self.signature is not None):
        return original(self, *args, **kwargs)
    if self.signature is not None:
        raise unsupported(np.vectorize, (args, kwargs), "signature= has no rule")
    given = {**dict(enumerate(args)), **kwargs}
    looped = {key: _elements(item) for key, item in given.items() if key not in self.excluded}
    shape = np.broadcast_shapes(*map(np.shape, looped.values()))
    looped = {key: np.broadcast_to(item, shape) for key, item in looped.items()}

    def call(index):
        now = {**given, **{key: item[index] for key, item in looped.items()}}
        keywords = {key: now.pop(key) for key in kwargs}
        return self.pyfunc(*now.values(), **keywords)

    if 0 in shape:
        return original(self, *value_of(args), **{k: value_of(item) for k, item in kwargs.items()})
    results = [call(index) for index in np.ndindex(shape)]
    if not isinstance(results[0], tuple):
        return _result(results, shape, self.otypes and self.otypes[0])
    parts = zip(*results, strict=True)
    types = self.otypes or (None,) * len(results[0])
    return tuple(_result(part, shape, kind) for part, kind in zip(parts, types, strict=True))


def _elements(x):
    return stacked(x) if numbers_of([x]) else np.asarray(x, dtype=object)


def _result(results, shape, dtype):
    """Return the results of np.vectorize as one array, by default of the dtype of the first."""
    first = results[0] if is_number(results[0]) else np.asarray(results[0])
    return np.reshape(_number(list(results), dtype or first.dtype), shape)


def _concatenated(door, original, self, key):
    """Return np.r_[…] or np.c_[…] of numbers and plain items."""
    if not numbers_of([key]):
        return original(self, key)
    key = key if isinstance(key, tuple) else (key,)
    if any(isinstance(item, str) for item in key):
        raise unsupported(np.concatenate, (key,), "directives in np.r_ and np.c_ have no rule")
    return np.concatenate([_piece(original, self, item) for item in key], axis=self.axis)


def _piece(original, self, item):
    if not numbers_of([item]):
        return original(self, (item,))
    item = stacked(item)
    if item.ndim >= self.ndmin:
        return item
    missing = self.ndmin - item.ndim
    start = self.trans1d if self.trans1d >= 0 else self.trans1d + missing + 1
    after = missing - start if item.ndim else missing
    return item[(None,) * (missing - after) + (...,) + (None,) * after]


def _strided(door, original, x, shape=None, strides=None, subok=False, writeable=True):
    """Return the view of every plane; a tangent that is recorded has strides of its own."""
    if not is_number(x):
        return original(x, shape, strides, subok, writeable)
    if not isinstance(x, Multicomplex):
        raise unsupported(original, (x,), "memory that is recorded has no strides")
    planes = x._planes
    shape = x.shape if shape is None else tuple(shape)
    strides = x.strides if strides is None else tuple(strides)
    shape, strides = (planes.shape[0], *shape), (planes.strides[0], *strides)
    view = original(planes, shape, strides, writeable=writeable)
    return Multicomplex(view, x.algebra, x._support)


def _item(door, original, self, *args):
    """Return an element as a number."""
    if not args and self.size != 1:
        raise ValueError(f"item: expected an array of size 1 or an index, got shape {self.shape}")
    index = args or (0,)
    index = index[0] if len(index) == 1 else index
    return self[index] if isinstance(index, tuple) else np.ravel(self)[index]


def _tolist(door, original, self):
    """Return nested lists of the elements as numbers."""
    return [_tolist(door, original, item) for item in self] if self.ndim else self


FUNCTIONS = {
    np.array: _converted,
    np.asarray: _converted,
    np.asanyarray: _converted,
    np.ascontiguousarray: _converted,
    np.asfortranarray: _converted,
    np.require: _converted,
    np.asarray_chkfinite: _finite,
    np.fromiter: _fromiter,
    np.zeros: _fresh,
    np.ones: _fresh,
    np.empty: _fresh,
    np.eye: _fresh,
    np.identity: _fresh,
    np.full: _filled,
    np.zeros_like: _fresh_like,
    np.ones_like: _fresh_like,
    np.empty_like: _fresh_like,
    np.full_like: _filled_like,
    np.isscalar: _isscalar,
    np.ndenumerate: _ndenumerate,
    np.lib.stride_tricks.as_strided: _strided,
}

# (class, method, substitute): objects of these classes may have been made before the door.
ATTRIBUTES = (
    (np.vectorize, "__call__", _vectorized),
    (_AxisConcatenator, "__getitem__", _concatenated),
    (Surface, "item", _item),
    (Surface, "tolist", _tolist),
)
