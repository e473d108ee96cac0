"""Lower sets of multi-indices and their product tables: the structure of an algebra."""

from __future__ import annotations

import itertools
from functools import cached_property, lru_cache

Index = tuple[int, ...]


class LowerSet(tuple):
    """Multi-indices, with every one all smaller ones. The hash is computed once."""

    def __hash__(self):
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return super().__hash__()


@lru_cache(maxsize=256)
def taylor_indices(order: int) -> LowerSet:
    """Lower set {0, …, order} of one direction: a truncated Taylor series."""
    return LowerSet((k,) for k in range(order + 1))


@lru_cache(maxsize=256)
def degree_indices(generators: int, degree: int) -> LowerSet:
    """Lower set {α : |α| ≤ degree} over several generators, graded; degree 1 for directions."""
    return LowerSet(
        tuple(choice.count(g) for g in range(generators))
        for total in range(degree + 1)
        for choice in itertools.combinations_with_replacement(range(generators), total)
    )


def selector(positions: list[int]) -> slice | list[int]:
    """Return an equally spaced list of positions as a slice (a view), any other as it is."""
    if len(positions) == 1:
        return slice(positions[0], positions[0] + 1)
    step = positions[1] - positions[0]
    if step > 0 and positions == list(range(positions[0], positions[-1] + 1, step)):
        return slice(positions[0], positions[-1] + 1, step)
    return positions


def positions_of(selected: slice | list[int], size: int) -> list[int]:
    """Return the positions that a selector stands for."""
    return list(range(*selected.indices(size))) if isinstance(selected, slice) else selected


class Table:
    """Product table of an algebra: which planes multiply into which, and with what sign.

    Made once for every structure, by `product_table`.

    Attributes
    ----------
    lower_sets : tuple of LowerSet
        The lower set of every factor, the fastest first.
    exact : bool
        Whether i_k² = −1.
    degrees : tuple of int
        Total degree |α| of every plane.
    triples : tuple of (a, b, c, sign)
        Every non-zero real product: plane a times plane b is added to plane c.
    """

    def __init__(self, lower_sets, exact: bool, degrees, triples):
        self.lower_sets, self.exact = lower_sets, exact
        self.degrees, self.triples = degrees, triples
        self.size = len(degrees)  # number of planes
        self.order = max(degrees)  # highest total degree
        # One direction to so high an order that a recurrence is faster than Horner's rule.
        self.is_long_series = len(lower_sets) == 1 and lower_sets[0] == taylor_indices(self.order)
        self.is_long_series &= self.order > 4

    @cached_property
    def steps(self) -> tuple:
        """The triples without plane 0, grouped: sign·x[A]·y[B] is added to out[C].

        Tuples (A, B, C, sign); one of A and B is one plane, the other (and C) a selector.
        """
        return self.steps_of(t for t in self.triples if t[0] and t[1])

    def steps_of(self, triples) -> tuple:
        """Return some triples, grouped as in `steps`."""
        degrees = self.degrees
        return _grouped(triples, lambda a, b: degrees[a] <= degrees[b])

    @cached_property
    def levels(self) -> tuple:
        """For division, by degree: (planes, steps).

        The planes of that degree, then the steps (with the sign −1) by which they take from later
        ones.
        """
        return self.levels_of(range(self.size), self.triples)

    def levels_of(self, planes, triples) -> tuple:
        """Return the levels of some planes and triples."""
        groups: dict[int, list] = {}
        for k in planes:
            groups.setdefault(self.degrees[k], []).append(k)
        levels = []
        for _, members in sorted(groups.items()):
            own = set(members)
            push = [(a, b, c, -s) for a, b, c, s in triples if b and a in own]
            levels.append((selector(members), _grouped(push, lambda a, b: True)))
        return tuple(levels)


def _grouped(triples, by_left) -> tuple:
    """Group triples that share a sign and their left (or right) plane into vectorised steps."""
    groups: dict[tuple[bool, int, int], list] = {}
    for a, b, c, sign in triples:
        left = by_left(a, b)
        groups.setdefault((left, a if left else b, sign), []).append((b if left else a, c))
    steps = []
    for (left, one, sign), rest in groups.items():
        rest.sort()
        many = selector([m for m, _ in rest])
        target = selector([c for _, c in rest])
        steps.append((one, many, target, sign) if left else (many, one, target, sign))
    return tuple(steps)


def _factor_triples(indices: LowerSet) -> list[tuple[int, int, int]]:
    """Return all (a, b, c) with indices[a] + indices[b] == indices[c]."""
    sparse = [tuple((g, e) for g, e in enumerate(index) if e) for index in indices]
    position = {index: k for k, index in enumerate(sparse)}
    triples = []
    for c, top in enumerate(sparse):
        for exponents in itertools.product(*(range(e + 1) for _, e in top)):
            pairs = list(zip(top, exponents, strict=True))
            low = tuple((g, k) for (g, _), k in pairs if k)
            rest = tuple((g, e - k) for (g, e), k in pairs if e > k)
            triples.append((position[low], position[rest], c))
    return triples


@lru_cache(maxsize=256)
def product_table(lower_sets: tuple[LowerSet, ...], exact: bool) -> Table:
    """Build (once for every structure) the product table of a product of lower sets."""
    degrees, triples, size = [0], [(0, 0, 0, 1)], 1
    for indices in lower_sets:
        if exact:
            own = [(0, 0, 0, 1), (0, 1, 1, 1), (1, 0, 1, 1), (1, 1, 0, -1)]
        else:
            own = [(*t, 1) for t in _factor_triples(indices)]
        triples = [
            (a + size * a2, b + size * b2, c + size * c2, s * s2)
            for a2, b2, c2, s2 in own
            for a, b, c, s in triples
        ]
        degrees = [d + sum(index) for index in indices for d in degrees]
        size *= len(indices)
    return Table(lower_sets, exact, tuple(degrees), tuple(triples))
