"""Structural zeros: which planes of a number can be nonzero.

A freshly perturbed x has a value and its directions; all higher planes are zero until something is
multiplied. Such *dead* planes cost no product, no GEMM and no pass over memory. What is known is a
bit mask over planes (bit k set: plane k is *live*, it may be nonzero; plane 0 always is). Views
share the `Support` of their buffer, since an assignment to one can make planes live for all.
"""

from __future__ import annotations

from functools import lru_cache

from mcx.algebra import Algebra, embedding
from mcx.table import Table, positions_of, selector


class Support:
    """The mask of a buffer that has dead planes; shared by the numbers that are views of it."""

    __slots__ = ("mask",)

    def __init__(self, mask: int):
        self.mask = mask


def supported(mask: int, algebra: Algebra) -> Support | None:
    """Return the support with a mask: None, which stays so, where every plane is live."""
    return None if mask == algebra.full else Support(mask)


@lru_cache(maxsize=1024)
def planes_in(mask: int) -> tuple[int, ...]:
    """Return the numbers of the live planes."""
    return tuple(k for k in range(mask.bit_length()) if mask >> k & 1)


def live_rows(mask: int, size: int) -> slice:
    """Return the first rows of a buffer up to the last live plane, as few as hold all live ones."""
    return slice(0, min(mask.bit_length(), size))


def mask_of(planes) -> int:
    """Return the mask of the given planes and the value."""
    mask = 1
    for k in planes:
        mask |= 1 << k
    return mask


@lru_cache(maxsize=1024)
def embedded(mask: int, small: Algebra, large: Algebra) -> int:
    """Return the mask of a number of `small` as one of `large`."""
    if small is large:
        return mask
    where = positions_of(embedding(small, large), large.size)
    return mask_of(where[k] for k in planes_in(mask))


@lru_cache(maxsize=1024)
def product_mask(table: Table, left: int, right: int) -> int:
    """Return the mask of a product."""
    mask = 1
    for a, b, c, _ in table.triples:
        if left >> a & 1 and right >> b & 1:
            mask |= 1 << c
    return mask


@lru_cache(maxsize=1024)
def closure(table: Table, mask: int) -> int:
    """Return the mask of an analytic function of a number: all powers of what is live."""
    reached = mask
    while (larger := product_mask(table, reached, mask) | reached) != reached:
        reached = larger
    return reached


@lru_cache(maxsize=1024)
def live_steps(table: Table, left: int, right: int) -> tuple[tuple, tuple]:
    """Return the steps of the products of live planes: those that come first, and those added.

    Unlike `Table.steps` they hold the products with plane 0.
    """
    lone = [k for k in planes_in(left) if not right >> k & 1]
    both = [k for k in planes_in(left & right) if k]
    first = [(0, selector(list(planes_in(right))), selector(list(planes_in(right))), 1)]
    if lone:
        first.append((selector(lone), 0, selector(lone), 1))
    added = ((selector(both), 0, selector(both), 1),) if both else ()
    return tuple(first), added + tangent_steps(table, left, right)


@lru_cache(maxsize=1024)
def tangent_steps(table: Table, left: int, right: int) -> tuple:
    """Return `Table.steps` without the products of dead planes, in the same order."""
    return _live_among(table.steps, table.size, left, right)


def _live_among(steps, size: int, left: int, right: int) -> tuple:
    live = []
    for a, b, c, sign in steps:
        by_left = isinstance(a, int)
        one, many, own, other = (a, b, left, right) if by_left else (b, a, right, left)
        if not own >> one & 1:
            continue
        pairs = zip(positions_of(many, size), positions_of(c, size), strict=True)
        kept = [(m, target) for m, target in pairs if other >> m & 1]
        if kept:
            chosen, targets = (selector(list(side)) for side in zip(*kept, strict=True))
            live.append((one, chosen, targets, sign) if by_left else (chosen, one, targets, sign))
    return tuple(live)


@lru_cache(maxsize=1024)
def live_levels(table: Table, top: int, bottom: int) -> tuple | None:
    """Return the levels of a quotient (`Table.levels`), None where all planes are live."""
    if top == bottom == (1 << table.size) - 1:
        return None
    quotient = product_mask(table, top, closure(table, bottom))
    return table.levels_of(planes_in(quotient), _live_triples(table, quotient, bottom))


def _live_triples(table: Table, left: int, right: int) -> list:
    return [t for t in table.triples if left >> t[0] & 1 and right >> t[1] & 1]
