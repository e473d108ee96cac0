"""Algebras of every structure, and random numbers over them."""

import numpy as np

import mcx
from mcx.algebra import algebra_of, fresh_factor, unit_factor
from mcx.support import supported
from mcx.table import degree_indices, taylor_indices

UNITS = {n: tuple(unit_factor(k) for k in range(1, n + 1)) for n in range(4)}
ALGEBRAS = {
    **{f"order {n}": algebra_of(UNITS[n]) for n in (1, 2, 3)},
    **{f"series {n}": algebra_of((fresh_factor(taylor_indices(n)),)) for n in (1, 2, 5, 8)},
    "5 directions": algebra_of((fresh_factor(degree_indices(5, 1)),)),
    "degree 2 in 3 directions": algebra_of((fresh_factor(degree_indices(3, 2)),)),
    "two factors": algebra_of((fresh_factor(degree_indices(2, 2)), fresh_factor(((0,), (1,))))),
    "exact 1": algebra_of(UNITS[1], exact=True),
    "exact 2": algebra_of(UNITS[2], exact=True),
}


def number(rng, algebra, shape, live=None, dtype=float):
    """Return a number with random live planes (all, if no mask is given)."""
    planes = np.zeros((algebra.size, *shape), dtype)
    for k in range(algebra.size):
        if live is None or live >> k & 1:
            planes[k] = rng.normal(size=shape)
            if planes.dtype.kind == "c":
                planes[k] += 1j * rng.normal(size=shape)
    live = algebra.full if live is None else live
    return mcx.Multicomplex(planes, algebra, supported(live, algebra))
