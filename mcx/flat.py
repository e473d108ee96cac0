"""The elements of a number in C order: `z.flat`."""

from __future__ import annotations

import numpy as np

from mcx.nested import stacked


class Flat:
    """The elements of a number of any shape, in C order: iterate, index, assign.

    Made by ``z.flat``. What is read is a copy; what is assigned is repeated as needed, as in NumPy.

    Examples
    --------
    >>> import mcx, numpy as np
    >>> z = mcx.perturb(np.ones((2, 2)), np.ones((2, 2)))
    >>> z.flat[::3] = 5.0
    >>> z.im(1)
    array([[0., 1.],
           [1., 0.]])
    """

    __slots__ = ("_number",)

    def __init__(self, number):
        self._number = number

    def __len__(self):
        return self._number.size

    def __iter__(self):
        return iter(np.ravel(self._number))

    def __getitem__(self, index):
        return np.ravel(self._number)[index].copy()

    def __setitem__(self, index, values):
        places, values = np.arange(len(self))[index], stacked(values)
        if not places.ndim and values.ndim:
            raise ValueError(f"flat: expected one value for one element, got shape {values.shape}")
        np.put(self._number, places, values)

    def copy(self):
        """Return the elements as a number of one dimension."""
        return self[:]
