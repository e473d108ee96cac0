"""Histograms and weighted counts.

Counts are piecewise constant in the data and linear in the weights; edges that come from the data's
smallest and largest element, or from the arguments, move with them, and densities with the edges.
"""

from __future__ import annotations

import numpy as np

from mcx.dispatch import is_number, register, value_of
from mcx.rules.axes import arrayed
from mcx.verbs import Composed, Linear

_IN_WEIGHTS = Linear((0,))


def _outer_edges(a, limits):
    """Return the first and the last edge of bins over the data, or over given limits."""
    if limits is not None:
        first, last = limits
    else:
        first, last = (np.min(a), np.max(a)) if a.size else (0.0, 1.0)
    if value_of(first) == value_of(last):
        return first - 0.5, last + 0.5
    return first, last


def _bin_edges(a, bins=10, range=None, weights=None):
    if np.ndim(bins):
        return bins
    a = np.ravel(arrayed(a))
    if isinstance(bins, str):
        bins = len(np.histogram_bin_edges(*value_of((a, bins, range, weights)))) - 1
    first, last = _outer_edges(a, range)
    return first + (last - first) * (np.arange(bins + 1, like=value_of(a)) / bins)


def _counted(func, places, weights):
    """Return the counts of func(*places), in the kind of the weights."""
    if not is_number(weights):
        return func(*places, weights=weights)[0]
    return _IN_WEIGHTS.apply(lambda w: func(*places, weights=w)[0], (weights,), {})


def _histogram(a, bins=10, range=None, density=None, weights=None):
    edges = _bin_edges(a, bins, range, weights)
    counts = _counted(np.histogram, value_of((a, bins, range)), weights)
    return (counts / np.diff(edges) / np.sum(counts) if density else counts), edges


def _histogramdd(sample, bins=10, range=None, density=None, weights=None):
    columns = sample
    if hasattr(sample, "shape"):
        columns = sample.T if sample.ndim == 2 else np.atleast_2d(sample)
    each = bins if hasattr(bins, "__len__") else [bins] * len(columns)
    limits = [None] * len(columns) if range is None else range
    edges = [_bin_edges(a, b, r) for a, b, r in zip(columns, each, limits, strict=False)]
    counts = _counted(np.histogramdd, value_of((sample, bins, range)), weights)
    if density:
        counts = counts / np.sum(counts)
        for k, edge in enumerate(edges):
            counts = counts / np.reshape(np.diff(edge), (-1, *(1,) * (len(edges) - 1 - k)))
    return counts, edges


def _histogram2d(x, y, bins=10, range=None, density=None, weights=None):
    if hasattr(bins, "__len__") and len(bins) not in (1, 2):
        bins = [bins, bins]
    counts, edges = _histogramdd([x, y], bins, range, density, weights)
    return counts, *edges


class _Bincount(Linear):
    """np.bincount, linear in the weights."""

    def apply(self, func, args, kwargs, like=None):
        args, kwargs = _arguments(*args, **kwargs)
        if not np.size(args[0]):  # there are no weights: NumPy counts in integers
            return func(args[0], value_of(args[1]), **kwargs)
        return super().apply(func, args, kwargs, like)


def _arguments(x, weights=None, minlength=0):
    return (x, weights), {"minlength": minlength}


register(np.bincount, _Bincount((1,)))

COMPOSED = {
    np.histogram: _histogram,
    np.histogram_bin_edges: _bin_edges,
    np.histogram2d: _histogram2d,
    np.histogramdd: _histogramdd,
}
for _func, _formula in COMPOSED.items():
    register(_func, Composed(_formula))
