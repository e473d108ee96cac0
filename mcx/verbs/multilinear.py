"""Products: linear in each operand, by the table of the algebra."""

from __future__ import annotations

import numpy as np

from mcx.array import Multicomplex
from mcx.dispatch import is_number
from mcx.planes import embed
from mcx.support import embedded, product_mask, supported
from mcx.verbs.base import Rule, is_moving, lifted, number_on, scaled, wrapped


class Multilinear(Rule):
    """Linear in each operand: the products of planes that the table names."""

    verb = "bilinear"

    def __init__(self, operands: tuple[int, ...] | None = (0, 1), elementwise=None):
        super().__init__(operands)
        self.elementwise = elementwise

    def planes(self, func, args, kwargs, like):
        if self.elementwise is not None:
            return self._elementwise(func, *args)
        operands, call = self.split(func, args, kwargs)
        places = [k for k, x in enumerate(operands) if is_number(x)]
        algebra = lifted([operands[k] for k in places])
        buffers = [embed(operands[k]._planes, operands[k].algebra, algebra) for k in places]
        parts: list = [None] * algebra.size
        for chosen, plane, sign in _terms(algebra.table, len(places)):
            full = list(operands)
            for place, buffer, k in zip(places, buffers, chosen, strict=True):
                full[place] = buffer[k]
            term = call(full) if sign > 0 else -call(full)
            parts[plane] = _plus(parts[plane], term)
        return wrapped(parts, algebra, algebra.full)

    def _elementwise(self, func, x, y):
        if not is_number(y):
            return scaled(func, x, y)
        if not is_number(x):
            return scaled(lambda a, b: func(b, a), y, x)
        algebra = lifted([x, y])
        live = product_mask(algebra.table, *(embedded(n.live, n.algebra, algebra) for n in (x, y)))
        x, y = (embed(n._planes, n.algebra, algebra) for n in (x, y))
        planes = self.elementwise(x, y, algebra.table)
        return Multicomplex(planes, algebra, supported(live, algebra))

    def record(self, func, args, kwargs, tape):
        operands, call = self.split(func, args, kwargs, tape.hold)
        number = call([number_on(x, tape) for x in operands])
        moving = [k for k, x in enumerate(operands) if is_moving(x, tape)]
        held = [
            tape.hold(x) if len(moving) > 1 or k not in moving else None
            for k, x in enumerate(operands)
        ]

        def step(*tangents):
            total = None
            for k, tangent in zip(moving, tangents, strict=True):
                term = call([tangent if j == k else x for j, x in enumerate(held)])
                total = _plus(total, term)
            return total

        return tape.emit(number, step, [operands[k] for k in moving])


def _plus(total, term):
    """Return total + term, in the memory of a total made here; None is nothing yet."""
    if total is None:
        return term
    if isinstance(total, np.ndarray) and total.dtype == term.dtype and total.flags.owndata:
        return np.add(total, term, out=total)
    return total + term


def _terms(table, count: int):
    """Return ((planes), plane of their product, sign) for products of `count` operands."""
    if count == 1:
        return [((k,), k, 1) for k in range(table.size)]
    terms = [((a, b), c, s) for a, b, c, s in table.triples]
    for _ in range(count - 2):
        by_left: dict[int, list] = {}
        for a, b, c, s in table.triples:
            by_left.setdefault(a, []).append((b, c, s))
        terms = [((*t, b), c, s * s2) for t, a, s in terms for b, c, s2 in by_left.get(a, ())]
    return terms
