"""Order and sets: chosen by the value plane; of equal elements the first is taken."""

from __future__ import annotations

import numpy as np

from mcx.dispatch import register, value_of
from mcx.rules.versions import available
from mcx.verbs import Composed, Direct, Selection, Value


def _partition(a, kth, axis=-1, kind="introselect", order=None):
    """Return the gathering that takes the elements to where NumPy's partition has them."""
    a, axis = (np.ravel(a), -1) if axis is None else (a, axis)
    parts = np.partition(a, kth, axis, kind, order)
    source = np.argsort(a, axis=axis, kind="stable")
    target = np.argsort(parts, axis=axis, kind="stable")
    places = np.take_along_axis(source, np.argsort(target, axis=axis), axis)
    return lambda u: np.take_along_axis(np.reshape(u, a.shape), places, axis)


def _sort_complex(a):
    return np.sort(a).astype(np.result_type(a.dtype, np.complex64))


def _trim_zeros(filt, trim="fb", axis=None):
    """Cut off the zeros of the value at the ends: a view, as in NumPy."""
    ends = trim.lower()
    if ends not in ("f", "b", "fb", "bf"):
        raise ValueError(f"numpy.trim_zeros: trim: expected 'f', 'b' or 'fb', got {trim!r}")
    axes = range(filt.ndim) if axis is None else np.ravel(axis)
    axes = [np.lib.array_utils.normalize_axis_index(int(k), filt.ndim) for k in axes]
    places = np.nonzero(value_of(filt)) if axes else ()
    cuts = [slice(None)] * filt.ndim
    for k in axes:
        if not places[k].size:
            cuts[k] = slice(0, 0)
            continue
        first, last = int(places[k].min()), int(places[k].max())
        cuts[k] = slice(first if "f" in ends else None, last + 1 if "b" in ends else None)
    return filt[tuple(cuts)]


register(np.partition, Selection((0,), _partition))
register(np.sort_complex, Composed(_sort_complex))
register(np.trim_zeros, Direct(_trim_zeros))


def _chosen(x, values, equal_nan: bool):
    """Return the elements of x with the given unique values, each where it comes first."""
    flat = np.ravel(x)
    _, first = np.unique(value_of(flat), return_index=True, equal_nan=equal_nan)
    places = np.argsort(np.argsort(values, kind="stable"))  # the values may be unsorted
    return flat[first[places]]


def _unique(ar, return_index=False, return_inverse=False, return_counts=False, axis=None,
            *, equal_nan=True, **options):  # fmt: skip
    flags = return_index, return_inverse, return_counts
    result = np.unique(value_of(ar), *flags, axis, equal_nan=equal_nan, **options)
    values, *rest = result if any(flags) else (result,)
    if axis is None or ar.ndim == 1:
        chosen = _chosen(ar, values, equal_nan)
    else:
        _, first, *_ = np.unique(value_of(ar), True, axis=axis, equal_nan=equal_nan)
        chosen = np.take(ar, first, axis)
    return (chosen, *rest) if rest else chosen


def _unique_with(func):
    """Return the formula of a function of the array API, whose results are a named tuple."""

    def unique(x):
        result = func(value_of(x))
        return result._replace(values=_chosen(x, result.values, False))

    return unique


def _intersect1d(ar1, ar2, assume_unique=False, return_indices=False):
    result = np.intersect1d(value_of(ar1), value_of(ar2), assume_unique, return_indices=True)
    chosen = np.concatenate((ar1, ar2), axis=None)[result[1]]
    return (chosen, *result[1:]) if return_indices else chosen


def _setdiff1d(ar1, ar2, assume_unique=False):
    ar1 = np.ravel(ar1) if assume_unique else np.unique(ar1)
    return ar1[np.isin(ar1, ar2, assume_unique=assume_unique, invert=True)]


def _setxor1d(ar1, ar2, assume_unique=False):
    if not assume_unique:
        ar1, ar2 = np.unique(ar1), np.unique(ar2)
    both = np.sort(np.concatenate((ar1, ar2), axis=None))
    value = value_of(both)
    same = value[1:] == value[:-1]
    alone = np.ones(both.shape, bool)
    alone[1:][same] = alone[:-1][same] = False
    return both[alone]


SETS = {
    np.unique: _unique,
    np.unique_values: lambda x: _chosen(x, np.unique_values(value_of(x)), False),
    **{func: _unique_with(func) for func in (np.unique_all, np.unique_counts, np.unique_inverse)},
    np.union1d: lambda ar1, ar2: np.unique(np.concatenate((ar1, ar2), axis=None)),
    np.intersect1d: _intersect1d,
    np.setdiff1d: _setdiff1d,
    np.setxor1d: _setxor1d,
}
for _func, _formula in SETS.items():
    register(_func, Composed(_formula))
for _func in (np.isin, *available("in1d")):
    register(_func, Value(None))
