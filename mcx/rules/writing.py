"""Functions that write into an array, and the ufunc method .at: by assignments to the number."""

from __future__ import annotations

import numpy as np

from mcx.dispatch import METHODS, is_number, name_of, numbers_of, real_out, register
from mcx.nested import stacked
from mcx.verbs import Assigning, Linear, primitive


def _source(values):
    """Return values that are to be written, as a number, array or scalar."""
    return values if np.isscalar(values) or hasattr(values, "dtype") else stacked(values)


def _write(a, places, values, taken):
    """Write values[taken], repeated as needed, to the places of an array in C order."""
    values = _source(values)
    if not len(places) or not np.size(values):
        return
    if np.ndim(values):
        values = np.ravel(values)[taken % values.size]
    a = a if a.ndim else a.reshape(1)
    a[np.unravel_index(places, a.shape)] = values


def _marked(name: str, a, mask):
    """Return where a mask of the size of an array is True, in C order."""
    if np.size(mask) != a.size:
        raise ValueError(
            f"numpy.{name}: mask: expected {a.size} elements as in the array, got {np.size(mask)}"
        )
    return np.flatnonzero(mask)


def _copyto(dst, src, casting="same_kind", where=True):
    source = _source(src)
    probe = source if np.isscalar(source) else np.empty((0,), source.dtype)
    np.copyto(np.empty((0,), dst.dtype), probe, casting)  # raises where it must not be cast
    if where is True:
        dst[...] = source
        return
    mask, changed = np.broadcast_to(where, dst.shape).astype(bool), np.copy(dst)
    changed[...] = source
    dst[mask] = changed[mask]


def _put(a, ind, v, mode="raise"):
    places = np.ravel(np.take(np.arange(a.size), ind, mode=mode))
    _write(a, places, v, np.arange(len(places)))


def _place(arr, mask, vals):
    places, vals = _marked("place", arr, mask), _source(vals)
    if len(places) and not np.size(vals):
        raise ValueError("numpy.place: vals: expected at least one value, got none")
    _write(arr, places, vals, np.arange(len(places)))


def _putmask(a, mask, values):
    places = _marked("putmask", a, mask)
    _write(a, places, values, places)


def _put_along_axis(arr, indices, values, axis):
    if indices.dtype.kind not in "iu":
        raise IndexError(f"numpy.put_along_axis: indices: expected integers, got {indices.dtype}")
    target = arr if arr.ndim else arr.reshape(1)
    if axis is None:
        if indices.ndim != 1:
            raise ValueError(
                f"numpy.put_along_axis: indices: expected 1 dimension as axis is None, got "
                f"{indices.ndim}"
            )
        place = np.unravel_index(np.take(np.arange(arr.size), indices), target.shape)
    else:
        axis = np.lib.array_utils.normalize_axis_index(axis, arr.ndim)
        if indices.ndim != arr.ndim:
            raise ValueError(
                f"numpy.put_along_axis: indices: expected {arr.ndim} dimensions as in arr, got "
                f"{indices.ndim}"
            )
        grid = np.ix_(*(np.arange(n) for n in arr.shape))
        place = (*grid[:axis], indices, *grid[axis + 1 :])
    target[place] = _source(values)


def _fill_diagonal(a, val, wrap=False):
    if a.ndim < 2 or (a.ndim > 2 and len(set(a.shape)) > 1):
        raise ValueError(
            "numpy.fill_diagonal: a: expected a matrix, or more axes of one length, got shape "
            f"{a.shape}"
        )
    step = 1 + int(np.sum(np.cumprod(a.shape[:0:-1])))
    end = a.shape[1] ** 2 if a.ndim == 2 and not wrap else a.size
    places = np.arange(a.size)[:end:step]
    _write(a, places, val, np.arange(len(places)))


ASSIGNING = {
    np.copyto: _copyto,
    np.put: _put,
    np.place: _place,
    np.putmask: _putmask,
    np.put_along_axis: _put_along_axis,
    np.fill_diagonal: _fill_diagonal,
}
for _func, _formula in ASSIGNING.items():
    register(_func, Assigning(_formula))


# The method .at of ufuncs.


def _accumulated_at(ufunc):
    """Return the function of an array and a term that is the array after ufunc.at: linear."""

    def accumulated(a, term, indices):
        changed = np.copy(a)
        ufunc.at(changed, indices, term)
        return changed

    return primitive(accumulated, Linear((0, 1)))


_LINEAR_AT = {ufunc: _accumulated_at(ufunc) for ufunc in (np.add, np.subtract)}


def _rounds(places):
    """Return the positions of the first occurrences of all places, of the second, and so on."""
    order = np.argsort(places, kind="stable")
    ordered = places[order]
    occurrence = np.empty_like(places)
    occurrence[order] = np.arange(len(places)) - np.searchsorted(ordered, ordered)
    sizes = np.bincount(occurrence)
    return np.split(np.argsort(occurrence, kind="stable"), np.cumsum(sizes)[:-1])


def _at(ufunc, a, indices, *operands):
    """Do a[indices] = ufunc(a[indices], …) once for every time that an element is indexed."""
    if not is_number(a):
        raise real_out(ufunc)
    if ufunc.nout != 1 or ufunc.signature is not None or len(operands) != ufunc.nin - 1:
        raise ValueError(
            f"{name_of(ufunc)}.at: expected an elementwise function with one result and "
            f"{ufunc.nin - 1} operand(s) beside the array, got {len(operands)}"
        )
    if numbers_of([indices]):
        raise TypeError("index: expected integers or a mask, got a Multicomplex; use z.value")
    operands = [_source(x) for x in operands]
    if a.dtype.kind == "f" and any(map(np.iscomplexobj, operands)):
        raise TypeError(f"{name_of(ufunc)}.at: expected real operands for {a.dtype}, got complex")
    if ufunc in _LINEAR_AT:
        a[...] = _LINEAR_AT[ufunc](a, *operands, indices)
        return
    a = a if a.ndim else a.reshape(1)
    places = np.arange(a.size).reshape(a.shape)[indices]
    operands = [np.ravel(np.broadcast_to(x, places.shape)) for x in operands]
    places = np.ravel(places)
    for chosen in _rounds(places) if places.size else ():
        where = np.unravel_index(places[chosen], a.shape)
        a[where] = ufunc(a[where], *(x[chosen] for x in operands))


METHODS["at"] = _at
