"""Algebras: lower sets of multi-indices over generators with identity, and their product tables.

A number of an algebra A is a sum of c_α t^α over the multi-indices α of a *lower set* (with α, all
smaller indices belong to it). In the **limit** reading t^α · t^β = t^(α+β) where α+β belongs to A,
else 0. In the **exact** reading (Cⁿ) every generator is an imaginary unit: i_k² = −1.

A `Factor` is a set of generators made together with the lower set of their exponents; an `Algebra`
is a product of factors. Two numbers over different factors combine in the product of all factors,
so nested derivatives never confuse their perturbations. The plane of an index is found by counting
with the oldest factor fastest: the planes that carry no newer factor are the first ones.

References
----------
J. Shen et al., "Second-order Neural Network Training Using Complex-step Directional Derivative"
(2020), eq. (6)-(7); design of Cⁿ after G. Lantoine, R. Russell and T. Dargent, "Using multicomplex
variables for automatic computation of high-order derivatives", ACM TOMS 38(3), 2012.
"""

from __future__ import annotations

import itertools
import secrets
from dataclasses import dataclass, field
from functools import lru_cache, reduce
from weakref import WeakValueDictionary

from mcx.errors import AlgebraError

Index = tuple[int, ...]

# Serial numbers of factors made by drivers. The start differs from process to process, so that a
# number pickled in one process is never confused with the perturbations of another.
_serials = itertools.count((1 + secrets.randbits(40)) << 20)


@dataclass(frozen=True)
class Factor:
    """Generators made together: an identity (`serial`) and the lower set of their exponents.

    Units i_1, i_2, … of `mcx.perturb` have the serials 1, 2, …; drivers take fresh, larger ones.
    """

    serial: int
    indices: tuple[Index, ...]


def unit_factor(k: int) -> Factor:
    """Return the factor of the imaginary unit i_k."""
    return Factor(k, ((0,), (1,)))


def fresh_factor(indices: tuple[Index, ...]) -> Factor:
    """Return a factor that no other number has yet."""
    return Factor(next(_serials), indices)


def taylor_indices(order: int) -> tuple[Index, ...]:
    """Lower set {0, …, order} of one direction: a truncated Taylor series."""
    return tuple((k,) for k in range(order + 1))


@lru_cache(maxsize=256)
def degree_indices(generators: int, degree: int) -> tuple[Index, ...]:
    """Lower set {α : |α| ≤ degree} over several generators, graded; degree 1 for directions."""
    return tuple(
        tuple(choice.count(g) for g in range(generators))
        for total in range(degree + 1)
        for choice in itertools.combinations_with_replacement(range(generators), total)
    )


def _as_selector(positions: list[int]) -> slice | list[int]:
    """Return an equally spaced list of positions as a slice (a view), any other as it is."""
    if len(positions) == 1:
        return slice(positions[0], positions[0] + 1)
    step = positions[1] - positions[0]
    if step > 0 and positions == list(range(positions[0], positions[-1] + 1, step)):
        return slice(positions[0], positions[-1] + 1, step)
    return positions


def positions_of(selector: slice | list[int], size: int) -> list[int]:
    """Return the positions that a selector stands for."""
    return list(range(*selector.indices(size))) if isinstance(selector, slice) else selector


@dataclass(frozen=True, eq=False)
class Table:
    """Product table of an algebra: which planes multiply into which, and with what sign.

    Attributes
    ----------
    lower_sets : tuple of tuples of multi-indices
        The lower set of every factor, the fastest first.
    degrees : tuple of int
        Total degree |α| of every plane.
    triples : tuple of (a, b, c, sign)
        Every non-zero real product: plane a times plane b is added to plane c.
    steps : tuple of (A, B, C, sign)
        The same without those of plane 0, a few at a time: sign·x[A]·y[B] is added to out[C]; one
        of A and B is one plane, the other (and C) a slice or list of planes.
    levels : tuple of (planes, steps)
        For division, by degree: the planes of that degree, then the steps (with the sign −1) by
        which they take from later ones.
    """

    lower_sets: tuple[tuple[Index, ...], ...]
    degrees: tuple[int, ...]
    triples: tuple[tuple[int, int, int, int], ...]
    steps: tuple = field(repr=False)
    levels: tuple = field(repr=False)

    @property
    def size(self) -> int:
        """Number of planes."""
        return len(self.degrees)

    @property
    def order(self) -> int:
        """Highest total degree."""
        return max(self.degrees)


def _factor_triples(indices: tuple[Index, ...]) -> list[tuple[int, int, int]]:
    """Return all (a, b, c) with indices[a] + indices[b] == indices[c]."""
    position = {index: k for k, index in enumerate(indices)}
    triples = []
    for c, top in enumerate(indices):
        for low in itertools.product(*(range(e + 1) for e in top)):
            rest = tuple(e - k for e, k in zip(top, low, strict=True))
            triples.append((position[low], position[rest], c))
    return triples


def _grouped(triples: list[tuple[int, int, int, int]], by_left) -> tuple:
    """Group triples that share a sign and their left (or right) plane into vectorised steps."""
    groups: dict[tuple[bool, int, int], list] = {}
    for a, b, c, sign in triples:
        left = by_left(a, b)
        groups.setdefault((left, a if left else b, sign), []).append((b if left else a, c))
    steps = []
    for (left, one, sign), rest in groups.items():
        rest.sort()
        many = _as_selector([m for m, _ in rest])
        target = _as_selector([c for _, c in rest])
        steps.append((one, many, target, sign) if left else (many, one, target, sign))
    return tuple(steps)


@lru_cache(maxsize=256)
def product_table(lower_sets: tuple[tuple[Index, ...], ...], exact: bool) -> Table:
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
    inner = [t for t in triples if t[0] and t[1]]
    steps = _grouped(inner, lambda a, b: degrees[a] <= degrees[b])
    levels = []
    for degree in range(max(degrees) + 1):
        members = [k for k, d in enumerate(degrees) if d == degree]
        push = [(a, b, c, -s) for a, b, c, s in triples if degrees[a] == degree and b]
        levels.append((_as_selector(members), _grouped(push, lambda a, b: True)))
    return Table(lower_sets, tuple(degrees), tuple(triples), steps, () if exact else tuple(levels))


class Algebra:
    """A product of factors, in the limit reading (i_k² = 0) or the exact one (i_k² = −1).

    Interned: two algebras with the same factors are the same object. Make one with `algebra_of`.

    Attributes
    ----------
    size : int
        Number of planes.
    order : int
        Highest total degree |α|: the highest derivative that a number carries.
    full : int
        The bit mask of all planes.
    """

    __slots__ = ("__weakref__", "exact", "factors", "full", "order", "size", "table")

    def __init__(self, factors: tuple[Factor, ...], exact: bool):
        self.factors = factors
        self.exact = exact
        self.table = product_table(tuple(f.indices for f in factors), exact)
        self.size = self.table.size
        self.order = self.table.order
        self.full = (1 << self.size) - 1

    def plane(self, exponents: dict[int, Index]) -> int:
        """Return the plane of the index with the given exponents (serial -> index), others 0."""
        position, stride = 0, 1
        for factor in self.factors:
            index = exponents.get(factor.serial)
            if index is not None:
                position += stride * factor.indices.index(index)
            stride *= len(factor.indices)
        return position

    def __reduce__(self):
        return algebra_of, (self.factors, self.exact)

    def __repr__(self) -> str:
        reading = "exact" if self.exact else "limit"
        sizes = "x".join(str(len(f.indices)) for f in self.factors)
        return f"<Algebra order {self.order}, {self.size} planes ({sizes}), {reading}>"


_interned: WeakValueDictionary = WeakValueDictionary()


def algebra_of(factors: tuple[Factor, ...], exact: bool = False) -> Algebra:
    """Return the algebra over the given factors (sorted by age)."""
    key = (factors, exact)
    algebra = _interned.get(key)
    if algebra is None:
        algebra = Algebra(factors, exact)
        algebra = _interned.setdefault(key, algebra)
    return algebra


@lru_cache(maxsize=256)
def _union(first: Algebra, second: Algebra) -> Algebra:
    if first.exact != second.exact:
        raise AlgebraError(
            "operands: expected one reading of the algebra, got one exact number (made with h=) "
            "and one of the limit algebra; make both with the same h, or both without"
        )
    factors = {f.serial: f for f in (*first.factors, *second.factors)}
    return algebra_of(tuple(factors[s] for s in sorted(factors)), first.exact)


def common_algebra(algebras: list[Algebra]) -> Algebra:
    """Return the smallest algebra that holds the numbers of all the given ones."""
    first = algebras[0]
    if all(other is first for other in algebras):
        return first
    return reduce(_union, algebras)


@lru_cache(maxsize=256)
def embedding(small: Algebra, large: Algebra) -> slice | list[int]:
    """Return where in the planes of `large` those of `small` lie."""
    positions, stride = [0], 1
    own = {f.serial for f in small.factors}
    for factor in large.factors:
        if factor.serial in own:
            positions = [p + stride * k for k in range(len(factor.indices)) for p in positions]
        stride *= len(factor.indices)
    return _as_selector(positions)


def without(algebra: Algebra, factor: Factor) -> Algebra:
    """Return the algebra over the remaining factors."""
    return algebra_of(tuple(f for f in algebra.factors if f != factor))
