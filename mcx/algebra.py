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
from dataclasses import dataclass
from functools import lru_cache, reduce
from weakref import WeakValueDictionary

from mcx.errors import AlgebraError
from mcx.table import (
    Index,
    LowerSet,
    positions_of,
    product_table,
    selector,
    taylor_indices,
)

# Serial numbers of factors made by drivers. The start differs from process to process, so that a
# number pickled in one process is never confused with the perturbations of another.
_serials = itertools.count((1 + secrets.randbits(40)) << 20)


@dataclass(frozen=True, eq=False)
class Factor:
    """Generators made together: an identity (`serial`) and the lower set of their exponents.

    Units i_1, i_2, … of `mcx.perturb` have the serials 1, 2, …; drivers take fresh, larger ones.
    """

    serial: int
    indices: LowerSet

    def __eq__(self, other):
        if not isinstance(other, Factor):
            return NotImplemented
        return self.serial == other.serial and self.indices == other.indices

    def __hash__(self):
        return self.serial


def unit_factor(k: int) -> Factor:
    """Return the factor of the imaginary unit i_k."""
    return Factor(k, taylor_indices(1))


def fresh_factor(indices: LowerSet) -> Factor:
    """Return a factor that no other number has yet."""
    return Factor(next(_serials), indices)


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
    return selector(positions)


@lru_cache(maxsize=256)
def rows_in(small: Algebra, large: Algebra) -> tuple[int | None, ...]:
    """Return where a number of `small` keeps every plane of `large`, None where it has none."""
    rows = {plane: row for row, plane in enumerate(planes_in_larger(small, large))}
    return tuple(rows.get(k) for k in range(large.size))


@lru_cache(maxsize=256)
def planes_in_larger(small: Algebra, large: Algebra) -> tuple[int, ...]:
    """Return which plane of `large` every plane of `small` is."""
    return tuple(positions_of(embedding(small, large), large.size))


def without(algebra: Algebra, factor: Factor) -> Algebra:
    """Return the algebra over the remaining factors."""
    return algebra_of(tuple(f for f in algebra.factors if f != factor))
