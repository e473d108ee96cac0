"""Medians, quantiles and percentiles, with and without NaN.

A quantile, by any method, is the interpolation of two neighbours in sorted order. Its position
there is the quantile of the ranks 0, 1, …, n − 1, which NumPy's own function finds.
"""

from __future__ import annotations

import math

import numpy as np

from mcx.dispatch import is_number, register, signature_of, value_of
from mcx.errors import UnsupportedFunctionError
from mcx.rules.axes import arrayed, axes_of, kept, merged, weights_along
from mcx.verbs import Composed

# Methods whose position is continuous in q: n q + α + q (1 − α − β) − 1, cut off at both ends.
CONTINUOUS = {
    "interpolated_inverted_cdf": (0.0, 1.0),
    "hazen": (1 / 2, 1 / 2),
    "weibull": (0.0, 0.0),
    "linear": (1.0, 1.0),
    "median_unbiased": (1 / 3, 1 / 3),
    "normal_unbiased": (3 / 8, 3 / 8),
}


class _OrderStatistic(Composed):
    """A formula for order statistics, which leaves its input as it is."""

    def apply(self, func, args, kwargs, like=None):
        place = signature_of(func).index("overwrite_input")
        if len(args) > place:
            args = (*args[:place], False, *args[place + 1 :])
        kwargs = {name: x for name, x in kwargs.items() if name != "overwrite_input"}
        return super().apply(func, args, kwargs, like)


class _Sorted:
    """Items along the first axis, by the order of their values.

    `skips` says that NaN is left out; otherwise a quantile of items with NaN is the last, NaN.
    """

    def __init__(self, items, skips: bool):
        self.items, self.value = items, value_of(items)
        self.order = np.argsort(self.value, axis=0, kind="stable")
        nan = np.isnan(self.value)
        self.lost = np.all(nan, axis=0) if skips else np.any(nan, axis=0)
        self.left_out = nan & ~self.lost if skips and np.any(nan) else None
        self.last = len(items) - 1
        if self.left_out is not None:
            self.last = self.last - np.sum(self.left_out, axis=0)

    def positions(self, find, weights):
        """Return find(ranks), of shape (*shape of q, *rest)."""
        if self.left_out is None and weights is None:
            found = find(np.arange(float(len(self.items)), like=self.value))
            found = np.reshape(found, (*np.shape(found), *(1,) * (self.value.ndim - 1)))
        else:
            ranks = np.argsort(self.order, axis=0).astype(float)
            if self.left_out is not None:
                ranks = np.where(self.left_out, np.nan, ranks)
            found = find(ranks, axis=0, **({} if weights is None else {"weights": weights}))
        return np.where(self.lost, self.last, found)

    def at(self, ranks):
        """Return the items with the given whole ranks, (*shape of q, *rest)."""
        rest = self.value.shape[1:]
        count = math.prod(np.shape(ranks)[: np.ndim(ranks) - len(rest)])
        rows = np.reshape(ranks.astype(int), (count, *rest))
        rows = np.take_along_axis(self.order, rows, 0)
        return np.reshape(np.take_along_axis(self.items, rows, 0), np.shape(ranks))

    def between(self, positions):
        """Return the items at positions, interpolated."""
        low = np.floor(positions)
        items = self.at(low)
        return items + (self.at(np.ceil(positions)) - items) * (positions - low)

    def slopes(self, positions):
        """Return the derivative by the position: to the right, at the last item to the left."""
        low = np.maximum(np.minimum(np.floor(positions), self.last - 1), 0)
        return self.at(np.minimum(low + 1, self.last)) - self.at(low)


def _quantile(func, unit: float = 1.0, skips: bool = False):
    """Return the formula of a function of quantiles in multiples of a unit."""

    def quantile(
        a, q, axis=None, out=None, overwrite_input=False, method="linear", keepdims=False, *,
        weights=None,
    ):  # fmt: skip
        a = arrayed(a)
        if skips and np.ndim(q) > 1:
            raise UnsupportedFunctionError(
                f"numpy.{func.__name__} of a Multicomplex: q: expected a scalar or one dimension, "
                f"got {np.ndim(q)}, for which NumPy mixes up the axes of its result; pass q.ravel()"
            )
        # NumPy before 2.4 rounds q to the type of the data, which decides where there are steps.
        short = a.dtype == np.float32 and a.size < 1 << 24 and method not in CONTINUOUS
        kind = np.float32 if short else np.float64
        find = lambda ranks, **given: func(ranks.astype(kind), value_of(q), method=method, **given)
        return _statistic(find, skips, a, axis, keepdims, weights, (q, method, unit))

    return quantile


def _median(func, skips: bool = False):
    def median(a, axis=None, out=None, overwrite_input=False, keepdims=False):
        return _statistic(func, skips, a, axis, keepdims)

    return median


def _statistic(find, skips, a, axis, keepdims, weights=None, quantile=None):
    a = arrayed(a)
    given = axes_of(axis, a.ndim)
    axes = tuple(sorted(given))
    items = merged(a, axes)
    if not (a.size if skips else len(items)):
        return kept(np.sum(items, axis=0) * np.nan, axes, keepdims)
    ordered = _Sorted(items, skips)
    rows = weights
    if weights is not None:
        rows = merged(weights_along(value_of(weights), a.shape, given), axes)
    positions = ordered.positions(find, rows)
    with np.errstate(invalid="ignore"):  # where NumPy's own call warns
        result = ordered.between(positions)
        if quantile is not None and is_number(quantile[0]):
            shift = _shift(*quantile, ordered.last, positions)
            result = result + ordered.slopes(positions) * shift
    if skips and np.any(ordered.lost):
        result = result * np.where(ordered.lost, np.nan, 1)
    if is_number(weights):  # which decide, no more
        result = result + np.zeros_like(weights, shape=())
    added = result.ndim - (items.ndim - 1)
    return kept(result, tuple(k + added for k in axes), keepdims)


def _shift(q, method, unit, last, positions):
    """Return the position's change with q: a number of value 0."""
    alpha, beta = CONTINUOUS.get(method, (0.0, 0.0))
    q = np.reshape(q, (*np.shape(q), *(1,) * (np.ndim(positions) - np.ndim(q)))) / unit
    rate = last + 2 - alpha - beta
    place = rate * value_of(q) + alpha - 1
    moves = (place >= 0) & (place <= last) & (method in CONTINUOUS)
    return (q - value_of(q)) * np.where(moves, rate, 0.0)


for _func, _formula in {
    np.median: _median(np.median),
    np.nanmedian: _median(np.nanmedian, skips=True),
    np.quantile: _quantile(np.quantile),
    np.nanquantile: _quantile(np.nanquantile, skips=True),
    np.percentile: _quantile(np.percentile, 100.0),
    np.nanpercentile: _quantile(np.nanpercentile, 100.0, skips=True),
}.items():
    register(_func, _OrderStatistic(_formula))
