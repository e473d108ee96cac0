"""Functions given by an equation of products: every coefficient by the differential at the value.

Let x = f(a) be given by products that its parts make: a = L Lᴴ, or a = Q R and I = Qᴴ Q. In their
coefficients of t^γ those of a and x enter as in the differential at the value; all else are
products of coefficients of lower degree, the *defect* d: x_γ = Df(a_0)[a_γ + d_γ]. Of the first
equation it is d_γ = −Σ L_α L_βᴴ over α + β = γ, α, β ≠ 0. Nothing is inverted but the value.

References
----------
S. Walter and L. Lehmann, "Algorithmic differentiation in Python with AlgoPy", J. Comput. Sci. 4
(2013), 334-344.
"""

from __future__ import annotations

from functools import lru_cache, partial

import numpy as np

from mcx.array import Multicomplex
from mcx.dispatch import value_of
from mcx.planes import add_products, from_value
from mcx.support import closure, planes_in, supported
from mcx.table import Table, selector
from mcx.verbs.lifted import Lifted


class Implicit(Lifted):
    """A function of its first argument, given by equations.

    Parameters
    ----------
    defect : callable
        ``defect(times, *state, **kwargs)`` returns a tangent for the equation of a and one for
        every further equation. The arrays of the state are buffers of planes; ``times(x, y)`` is
        their matrix product without those of the value, for all planes of one degree.
    differential : callable
        As that of `Lifted`; its ``push(da, *more)`` has a tangent for every further equation, which
        may be missing, and accepts stacks of tangents along a leading axis.
    """

    def __init__(self, defect, differential):
        super().__init__(differential)
        self.defect = defect

    def _of_numbers(self, func, args, kwargs, algebra, whole):
        a, *others = args
        plain, live = value_of(a), closure(algebra.table, a.live)
        result, values = self._state(func, (plain, *others), kwargs)
        push = self.differential(values, plain, *others, **kwargs)
        state = [from_value(x, algebra) for x in values]
        for members, count, steps in _levels(algebra.table, live):
            tangents = [a._planes[members]]
            if steps:
                times = partial(_products, count, steps)
                first, *more = self.defect(times, *state, **kwargs)
                tangents = [tangents[0] + first, *more]
            for planes, tangent in zip(state, push(*tangents), strict=True):
                planes[members] = tangent
        return result, tuple(Multicomplex(x, algebra, supported(live, algebra)) for x in state)


@lru_cache(maxsize=256)
def _levels(table: Table, live: int) -> tuple:
    """Return the live planes by degree: (planes, how many, steps of the products that add to them).

    Targets of the steps are counted within the degree; the value is no factor.
    """
    degrees: dict[int, list] = {}
    for k in planes_in(live)[1:]:
        degrees.setdefault(table.degrees[k], []).append(k)
    levels = []
    for _, members in sorted(degrees.items()):
        place = {k: position for position, k in enumerate(members)}
        triples = (
            (a, b, place[c], sign)
            for a, b, c, sign in table.triples
            if a and b and c in place and live >> a & live >> b & 1
        )
        levels.append((selector(members), len(members), table.steps_of(triples)))
    return tuple(levels)


def _products(count: int, steps, x, y):
    """Return the sums of matrix products of planes that some steps name."""
    shape, dtype = (count, *x.shape[1:-1], y.shape[-1]), np.result_type(x.dtype, y.dtype)
    out = np.zeros_like(x, shape=shape, dtype=dtype)
    add_products(out, x, y, steps, np.matmul)
    return out
