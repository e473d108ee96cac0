"""Finite differences, for comparison."""

from __future__ import annotations

import numpy as np

from mcx.derivatives import bound
from mcx.seeding import as_direction, as_point
from mcx.tree import tree_zip


def finite_difference(f, x, p=None, *, h: float = 1e-6, scheme: str = "central", args=(), argnum=0):
    """Return a finite difference along p, for comparison: it loses half the digits or more.

    Parameters
    ----------
    f, args, argnum
        As in `taylor`.
    x : array_like
    p : array_like of the shape of x, optional
        Direction; ones by default.
    h : float
        Step.
    scheme : {"central", "forward"}
        (f(x+hp) − f(x−hp))/2h (eq. 3 of Shen et al. 2020) or (f(x+hp) − f(x))/h (eq. 2).

    Returns
    -------
    array of the shape of f(x), or the same structure of arrays

    Raises
    ------
    ValueError
        For another scheme, h ≤ 0, or a p that has not the shape of x.

    Examples
    --------
    >>> import mcx, numpy as np
    >>> round(float(mcx.finite_difference(np.sin, 0.0, h=1e-5)), 8)
    1.0

    References
    ----------
    Shen et al. 2020, eq. (2) and (3).
    """
    if scheme not in ("central", "forward"):
        raise ValueError(f"scheme: expected 'central' or 'forward', got {scheme!r}")
    if not h > 0:
        raise ValueError(f"h: expected a positive step, got {h}")
    x = as_point(x)
    p = np.ones_like(x) if p is None else as_direction(p, x, "p")
    f = bound(f, args, argnum)
    low, width = (f(x - h * p), 2 * h) if scheme == "central" else (f(x), h)
    return tree_zip(lambda high, low: (high - low) / width, f(x + h * p), low)
