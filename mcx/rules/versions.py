"""Functions that not every NumPy from 2.0 on has, or dispatches: their rows are skipped there."""

from __future__ import annotations

from operator import attrgetter

import numpy as np

# The first version with the function, and the first without it.
SINCE = {
    "cumulative_prod": "2.1",
    "cumulative_sum": "2.1",
    "matvec": "2.2",
    "polynomial.polynomial.polygrid2d": "2.4",
    "polynomial.polynomial.polyval2d": "2.4",
    "unstack": "2.1",
    "vecmat": "2.2",
}
UNTIL = {"in1d": "2.4"}


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".")[:2])


def available(*names: str) -> tuple:
    """Return those of the functions, named above, that this NumPy dispatches."""
    now = _version(np.__version__)
    return tuple(
        attrgetter(name)(np)
        for name in names
        if _version(SINCE.get(name, "2.0")) <= now < _version(UNTIL.get(name, "99.0"))
    )
