"""Nested lists of numbers as one number: what `np.array` does with lists of scalars."""

from __future__ import annotations

import numpy as np

from mcx.dispatch import numbers_of


def stacked(nested):
    """Return nested lists and tuples of numbers, arrays and scalars as one array of numbers.

    Parameters
    ----------
    nested : list, tuple, number, array or scalar
        Items of one list have one shape.

    Returns
    -------
    Multicomplex, or a plain array if no number is among the items
        Of the shape and dtype that `np.array` gives the values.

    Raises
    ------
    ValueError
        If items of one list have different shapes; it says which.

    Examples
    --------
    >>> import mcx, numpy as np
    >>> from mcx.nested import stacked
    >>> z = mcx.perturb(2.0, 1.0)
    >>> stacked([[z, 1.0], [0.0, z * z]]).im(1)
    array([[1., 0.],
           [0., 4.]])
    """
    numbers = numbers_of([nested])
    return _stacked(nested, numbers[0]._buffer, "") if numbers else np.array(nested)


def _stacked(nested, buffer, place: str):
    """Return the items stacked; `place` is the index of the list, scalars go where `buffer` is."""
    if not isinstance(nested, (list, tuple)):
        if hasattr(nested, "shape") and not isinstance(nested, np.generic):
            return nested
        plain = np.asarray(nested)
        return plain if plain.ndim else np.full_like(buffer, nested, shape=(), dtype=plain.dtype)
    items = [_stacked(item, buffer, f"{place}[{k}]") for k, item in enumerate(nested)]
    if not items:
        return np.zeros_like(buffer, shape=(0,), dtype=np.float64)
    for k, item in enumerate(items):
        if item.shape != items[0].shape:
            raise ValueError(
                f"nested list: expected items of one shape, got {items[0].shape} at {place}[0] and "
                f"{item.shape} at {place}[{k}]"
            )
    return np.stack(items)
