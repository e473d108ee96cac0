"""Sums, products, differences, extrema and variances."""

from __future__ import annotations

import math

import numpy as np

from mcx.dispatch import cast, is_number, register, value_of
from mcx.rules.axes import (
    along,
    arrayed,
    axes_of,
    combined,
    given,
    keeps,
    kept,
    merged,
    scanned,
)
from mcx.rules.versions import available
from mcx.verbs import Composed, Linear, Reduction, Selection


def _sum_from(a, axis=None, dtype=None, out=None, keepdims=False, initial=0, where=np._NoValue):
    total = np.sum(a, axis=axis, dtype=dtype, keepdims=keeps(keepdims), **given(where=where))
    return total + initial


class _Sum(Reduction):
    """np.sum; the initial value may be a number."""

    def apply(self, func, args, kwargs, like=None):
        initial = args[5] if len(args) > 5 else kwargs.get("initial")
        rule = Composed(_sum_from) if is_number(initial) else super()
        return rule.apply(func, args, kwargs, like)


register(np.sum, _Sum((0,), value_only=("initial",)))
register(np.mean, Reduction((0,)))
for _func in (np.cumsum, np.trace, np.linalg.trace, *available("cumulative_sum")):
    register(_func, Linear((0,)))


def _diff(a, n=1, axis=-1, prepend=np._NoValue, append=np._NoValue):
    a = arrayed(a)
    if n == 0:
        return a
    ends = [
        end if end is np._NoValue or np.ndim(end) else _slab(end, a.shape, axis)
        for end in (prepend, append)
    ]
    parts = [part for part in (ends[0], a, ends[1]) if part is not np._NoValue]
    a = np.concatenate(parts, axis=axis) if len(parts) > 1 else a
    for _ in range(n):
        a = along(a, axis, slice(1, None)) - along(a, axis, slice(None, -1))
    return a


def _slab(x, shape, axis: int):
    """Return a scalar as an array of the given shape but for length 1 along one axis."""
    shape = list(shape)
    shape[axis] = 1
    return np.broadcast_to(x, tuple(shape))


def _trapezoid(y, x=None, dx=1.0, axis=-1):
    y, width = arrayed(y), dx
    if x is not None:
        width = np.diff(x, axis=axis if np.ndim(x) > 1 else -1)
        if np.ndim(x) == 1:
            width = np.reshape(width, (-1, *(1,) * (y.ndim - 1 - axis % y.ndim)))
    total = along(y, axis, slice(1, None)) + along(y, axis, slice(None, -1))
    return np.sum(width * total / 2.0, axis=axis)


def passing_nan(find, worst):
    """Return argmax or argmin along the first axis, of NaN only where there is nothing else."""

    def found(a, axis):
        nan = np.isnan(a)
        best = find(np.where(nan, worst, a), axis=axis)
        is_nan = np.take_along_axis(nan, np.expand_dims(best, axis), axis)
        return np.where(np.squeeze(is_nan, axis), np.argmax(~nan, axis=axis), best)

    return found


class Extremum(Selection):
    """An extremum along axes: of equal elements the first, of the initial value the elements.

    `find` is argmax or its like, `worst` what loses against every element.
    """

    def __init__(self, find, worst):
        super().__init__((0,), self._choice)
        self.find, self.worst = find, worst

    def apply(self, func, args, kwargs, like=None):
        initial = args[4] if len(args) > 4 else kwargs.get("initial")
        if initial is None or initial is np._NoValue:
            return super().apply(func, args, kwargs, like)
        return Composed(self._with_initial).apply(func, args, kwargs, like)

    def _choice(self, a, axis=None, out=None, keepdims=False, initial=None, where=True):
        axes = axes_of(axis, np.ndim(a))
        winner = np.expand_dims(self.find(merged(a, axes), axis=0), 0)
        return lambda u: kept(np.take_along_axis(merged(u, axes), winner, 0)[0], axes, keepdims)

    def _with_initial(self, a, axis=None, out=None, keepdims=False, initial=None, where=True):
        axes = axes_of(axis, a.ndim)
        items = merged(a if where is np._NoValue else np.where(where, a, self.worst), axes)
        items = np.concatenate([items, np.broadcast_to(initial, (1, *items.shape[1:]))])
        winner = np.expand_dims(self.find(value_of(items), axis=0), 0)
        return kept(np.take_along_axis(items, winner, 0)[0], axes, keepdims)


for _func in dict.fromkeys((np.max, np.amax)):
    register(_func, Extremum(np.argmax, -np.inf))
for _func in dict.fromkeys((np.min, np.amin)):
    register(_func, Extremum(np.argmin, np.inf))


def _sort(a, axis=-1, kind=None, order=None, *, stable=None):
    if axis is None:
        order = np.argsort(np.ravel(a), kind="stable")
        return lambda u: np.ravel(u)[order]
    order = np.argsort(a, axis=axis, kind="stable")
    return lambda u: np.take_along_axis(u, order, axis)


register(np.sort, Selection((0,), _sort))


def _prod(
    a, axis=None, dtype=None, out=None, keepdims=False, initial=np._NoValue, where=np._NoValue
):
    """Products of pairs: exact with any number of zeros among the factors."""
    a = a if dtype is None else cast(a, dtype)
    a = a if where is np._NoValue else np.where(where, a, 1)
    axes = axes_of(axis, a.ndim)
    product = combined(np.multiply, merged(a, axes))
    if initial is not np._NoValue and initial is not None:
        product = product * initial
    return kept(product, axes, keepdims)


def _cumprod(a, axis=None, dtype=None, out=None):
    a = a if dtype is None else cast(a, dtype)
    if axis is None or not a.ndim:
        a, axis = np.ravel(a), 0
    return np.moveaxis(scanned(np.multiply, np.moveaxis(a, axis, 0)), 0, axis)


def _cumulative_prod(x, /, *, axis=None, dtype=None, out=None, include_initial=False):
    x = np.atleast_1d(x)
    axis = 0 if axis is None else axis
    products = _cumprod(x, axis, dtype)
    if not include_initial:
        return products
    return np.concatenate([_slab(np.ones_like(products, shape=()), x.shape, axis), products], axis)


def magnitude2(x):
    """|x|² elementwise, analytic in the real parameters."""
    return x * x if x.dtype.kind == "f" else np.real(x) ** 2 + np.imag(x) ** 2


def length(x, axes, keepdims=False):
    """√Σ|x|² over the axes, with gradient 0 at 0, scaled so that no square overflows."""
    most = np.max if x.size else np.sum  # nothing has no largest element, but the sum 0
    largest = most(np.abs(value_of(x)), axis=axes, keepdims=True)
    scale = np.where((largest == 0) | ~np.isfinite(largest), 1, largest)
    total = np.sum(magnitude2(x / scale), axis=axes, keepdims=True)
    zero = value_of(total) == 0
    length = np.where(zero, 0, np.sqrt(np.where(zero, 1, total)) * scale)
    return length if keeps(keepdims) else np.squeeze(length, axes)


def _centred(a, axis, dtype, where, mean):
    """Return a − mean, 0 where where= is False, the axes, and how many elements there are."""
    a = arrayed(a)
    if dtype is not None:
        a = cast(a, np.result_type(a.dtype, dtype) if np.dtype(dtype).kind in "fc" else dtype)
    axes = axes_of(axis, a.ndim)
    count = math.prod(a.shape[k] for k in axes)
    if where is not np._NoValue:
        where = np.broadcast_to(where, a.shape)
        count = np.sum(where, axis=axes, keepdims=True)
        a = np.where(where, a, 0)
    if mean is np._NoValue:
        mean = np.sum(a, axis=axes, keepdims=True) / count
    return (a - mean if where is np._NoValue else np.where(where, a - mean, 0)), axes, count


def _spread(measure):
    """Return var or std from measure(a − mean, axes, degrees of freedom)."""

    def spread(
        a, axis=None, dtype=None, out=None, ddof=0, keepdims=False, *, where=np._NoValue,
        mean=np._NoValue, correction=np._NoValue,
    ):  # fmt: skip
        ddof = ddof if correction is np._NoValue else correction
        with np.errstate(divide="ignore", invalid="ignore"):  # NumPy's own call warns
            d, axes, count = _centred(a, axis, dtype, where, mean)
            result = measure(d, axes, np.maximum(count - ddof, 0))
        return result if keeps(keepdims) else np.squeeze(result, axes)

    return spread


var = _spread(lambda d, axes, n: np.sum(magnitude2(d), axis=axes, keepdims=True) / n)
std = _spread(lambda d, axes, n: length(d, axes, True) / np.sqrt(n))


COMPOSED = {
    np.cumprod: _cumprod,
    np.diff: _diff,
    np.trapezoid: _trapezoid,
    np.prod: _prod,
    np.var: var,
    np.std: std,
    **dict.fromkeys(available("cumulative_prod"), _cumulative_prod),
}
for _func, _formula in COMPOSED.items():
    register(_func, Composed(_formula))
