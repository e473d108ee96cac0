"""The methods of ufuncs of two operands: reduce, accumulate, reduceat, outer."""

from __future__ import annotations

import functools
import itertools

import numpy as np

from mcx.dispatch import METHODS, RULES, cast, is_number
from mcx.rules.axes import axes_of, combined, kept, merged, scanned
from mcx.rules.reductions import Extremum, passing_nan
from mcx.verbs import Composed, Linear, Value

ASSOCIATIVE = (np.add, np.multiply, np.maximum, np.minimum, np.fmax, np.fmin, np.hypot,
               np.logaddexp, np.logaddexp2)  # fmt: skip

# NumPy's reduce of these is wrong along a contiguous axis where its loops use AVX-512 (2.0 to 2.4):
# np.power.reduce([2.0, 3.0, 2.0, 0.5]) is not ((2³)²)^½. Here they are applied one by one.
UNSOUND = (np.power, np.arctan2)


def _cast(a, dtype):
    return a if dtype is None else cast(a, dtype)


def _reduced(ufunc):
    def reduce(a, axis=0, dtype=None, keepdims=False, initial=None, where=True):
        axes = axes_of(axis, a.ndim)
        items = merged(_cast(a, dtype), axes)
        initial = None if initial is np._NoValue else initial
        start = ufunc.identity if initial is None else initial
        start = 0 if start is None else start
        if where is not True:
            mask = merged(np.broadcast_to(where, a.shape), axes)
            result = _reduced_where(ufunc, items, mask, start)
        elif not len(items):
            result = np.sum(items, axis=0) + start
        elif ufunc in ASSOCIATIVE:
            result = combined(ufunc, items)
            result = result if initial is None else ufunc(initial, result)
        else:
            result = functools.reduce(ufunc, items if initial is None else (initial, *items))
        return kept(result, axes, keepdims)

    return reduce


def _reduced_where(ufunc, items, mask, start):
    """Return the reduction of the items where the mask is True, one after the other."""
    total = np.zeros_like(items, shape=items.shape[1:]) + start
    for item, chosen in zip(items, mask, strict=True):
        with np.errstate(all="ignore"):  # also of elements that are not chosen
            both = ufunc(total, item)
        total = np.where(chosen, both, total)
    return total


def _accumulated(ufunc):
    def accumulate(a, axis=0, dtype=None):
        items = np.moveaxis(_cast(a, dtype), axis, 0)
        if ufunc in ASSOCIATIVE or not len(items):
            return np.moveaxis(scanned(ufunc, items), 0, axis)
        return np.stack(list(itertools.accumulate(items, ufunc)), axis=axis)

    return accumulate


def _reduced_at(ufunc):
    part = _reduced(ufunc) if ufunc in UNSOUND else ufunc.reduce

    def reduceat(a, indices, axis=0, dtype=None):
        items = np.moveaxis(_cast(a, dtype), axis, 0)
        if not len(indices):
            return np.moveaxis(items[:0], 0, axis)
        parts = [
            part(items[start : max(end, start + 1)])
            for start, end in zip(indices, [*indices[1:], len(items)], strict=True)
        ]
        return np.stack(parts, axis=axis)

    return reduceat


def _outer(ufunc):
    def outer(x, y, **kwargs):
        x = x if is_number(x) else np.asarray(x)
        return ufunc(np.reshape(x, (*np.shape(x), *(1,) * np.ndim(y))), y, **kwargs)

    return outer


def _own(ufunc, name: str):
    """Return what finds the value: NumPy's method, or where that is unsound, the formula."""
    own = getattr(ufunc, name)
    if ufunc not in UNSOUND or name not in ("reduce", "reduceat"):
        return own

    def sound(*args, **kwargs):
        own(*args, **kwargs)  # raises what it raises
        return _FORMULAS[name](ufunc)(*args, **kwargs)

    return sound


def _ruled(ufunc, name: str, rule):
    """Return a ufunc's method on numbers by a rule."""
    own = _own(ufunc, name)

    def method(*args, **kwargs):
        return rule.apply(own, args, kwargs)

    return method


def _total(func):
    """Return the method .reduce of a ufunc through the function that is it."""
    return lambda a, axis=0, **kwargs: func(a, axis=axis, **kwargs)


def _extreme(func):
    """Return the method .reduce of a ufunc through the function that is it but has no dtype=."""
    return lambda a, axis=0, dtype=None, **kwargs: func(_cast(a, dtype), axis=axis, **kwargs)


class _Difference(Linear):
    """np.subtract.reduce; the initial value, from which all is subtracted, may be a number."""

    def apply(self, func, args, kwargs, like=None):
        if is_number(kwargs.get("initial")):
            return Composed(_difference_from).apply(func, args, kwargs, like)
        return super().apply(func, args, kwargs, like)


def _difference_from(a, axis=0, dtype=None, keepdims=False, initial=0, where=True):
    return initial - np.sum(a, axis=axis, dtype=dtype, keepdims=keepdims, where=where)


METHODS[np.add, "reduce"] = _total(np.sum)
METHODS[np.multiply, "reduce"] = _total(np.prod)
METHODS[np.maximum, "reduce"] = _extreme(np.max)
METHODS[np.minimum, "reduce"] = _extreme(np.min)

_RULES = {
    (np.add, "accumulate"): Linear((0,)),
    (np.add, "reduceat"): Linear((0,)),
    (np.subtract, "reduce"): _Difference((0,), value_only=("initial",)),
    (np.subtract, "accumulate"): Linear((0,)),
    (np.subtract, "reduceat"): Linear((0,)),
}
METHODS.update({key: _ruled(*key, rule) for key, rule in _RULES.items()})

for _func, _find, _worst in ((np.fmax, np.argmax, -np.inf), (np.fmin, np.argmin, np.inf)):
    _rule = Extremum(passing_nan(_find, _worst), _worst)
    METHODS[_func, "reduce"] = _extreme(_ruled(_func, "reduce", _rule))

_FORMULAS = {
    "reduce": _reduced, "accumulate": _accumulated, "reduceat": _reduced_at, "outer": _outer,
}  # fmt: skip
for _func in [f for f in RULES if isinstance(f, np.ufunc) and (f.nin, f.nout) == (2, 1)]:
    if _func.signature is None:
        for _name, _formula in _FORMULAS.items():
            _rule = Value(None) if RULES[_func].verb == "value" else Composed(_formula(_func))
            METHODS.setdefault((_func, _name), _ruled(_func, _name, _rule))
