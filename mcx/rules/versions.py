"""Functions that not every supported NumPy (2.0 and later) has: their rows are skipped there."""

from __future__ import annotations

import numpy as np

SINCE = {
    "astype": "2.1",
    "cumulative_prod": "2.1",
    "cumulative_sum": "2.1",
    "matvec": "2.2",
    "unstack": "2.1",
    "vecmat": "2.2",
}


def available(*names: str) -> tuple:
    """Return those of the functions, named in `SINCE`, that this NumPy has."""
    version = tuple(int(part) for part in np.__version__.split(".")[:2])
    since = {name: tuple(int(part) for part in SINCE[name].split(".")) for name in names}
    return tuple(getattr(np, name) for name in names if version >= since[name])
