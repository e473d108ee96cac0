"""Products: linear in each operand, by the table of the algebra."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from mcx.array import Multicomplex
from mcx.dispatch import is_number
from mcx.planes import buffer_like
from mcx.support import mask_of, planes_in, supported
from mcx.verbs.base import Rule, is_moving, lifted, number_on, rebuilt, scaled
from mcx.verbs.folding import source_in


class Multilinear(Rule):
    """Linear in each operand: the products of planes that the table names.

    Parameters
    ----------
    operands : tuple of int, optional
        Positions of the operands; None is all arrays.
    elementwise : callable, optional
        ``elementwise(x, y)`` multiplies two numbers element by element.
    fold : callable, optional
        ``fold(args, kwargs)`` returns the product in few calls on stacks of planes, or None.
    """

    verb = "bilinear"

    def __init__(self, operands: tuple[int, ...] | None = (0, 1), elementwise=None, fold=None):
        super().__init__(operands)
        self.elementwise = elementwise
        self.fold = fold

    def planes(self, func, args, kwargs, like):
        if self.elementwise is not None:
            return self._elementwise(func, *args)
        result = None if self.fold is None else self.fold(args, kwargs)
        return self._each(func, args, kwargs) if result is None else result

    def _each(self, func, args, kwargs):
        """Return the sum of func over all planes that meet, each written into the result."""
        operands, call = self.split(func, args, kwargs)
        places = [k for k, x in enumerate(operands) if is_number(x)]
        numbers = [operands[k] for k in places]
        algebra = lifted(numbers)
        terms, live = _terms(algebra.table, tuple(source_in(n, algebra) for n in numbers))
        sums = _Sums(algebra.size, live != algebra.full or any(sign < 0 for *_, sign in terms))
        for rows, plane, sign in terms:
            for place, number, row in zip(places, numbers, rows, strict=True):
                operands[place] = number._planes[row]
            sums.add(call(operands), plane, sign)
        return sums.number(algebra, live)

    def into(self, func, args, kwargs, target):
        if self.elementwise is None or not all(type(x) is Multicomplex for x in args):
            return self.apply(func, args, kwargs)
        return self.elementwise(*args, target)

    def _elementwise(self, func, x, y):
        if not is_number(y):
            return scaled(func, x, y)
        if not is_number(x):
            return scaled(func, y, x, reverse=True)
        return self.elementwise(x, y)

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
    alike = type(total) is type(term) is np.ndarray and total.dtype == term.dtype
    if alike and total.flags.owndata:
        return np.add(total, term, out=total)
    return total + term


class _Sums:
    """Buffers of a result (an array, or a tuple or list of arrays), filled term by term."""

    def __init__(self, size: int, zeros: bool):
        self.size, self.zeros = size, zeros
        self.buffers: list = []
        self.like: list | tuple = ()
        self.reached: set[int] = set()

    def add(self, term, plane: int, sign: int):
        """Add a term to (or subtract it from) a plane."""
        if not self.reached:
            self.buffers = [buffer_like(part, self.size, self.zeros) for part in _leaves(term)]
            self.like = term if isinstance(term, (list, tuple)) else ()
        for k, part in enumerate(_leaves(term)):
            out = self.buffers[k]
            if part.dtype != out.dtype:
                out = self.buffers[k] = out.astype(np.result_type(part.dtype, out.dtype))
            if plane not in self.reached and sign > 0:
                out[plane, ...] = part
            else:
                total = out[plane : plane + 1]
                (np.add if sign > 0 else np.subtract)(total, part, out=total)
        self.reached.add(plane)

    def number(self, algebra, live: int):
        """Return the number, or the tuple or list of them."""
        items = [Multicomplex(b, algebra, supported(live, algebra)) for b in self.buffers]
        return rebuilt(self.like, items) if self.like else items[0]


def _leaves(x):
    return x if isinstance(x, (list, tuple)) else (x,)


def product_sums(algebra, numbers):
    """Return the products of planes that make each plane of a product, and its live planes.

    Returns
    -------
    sums : dict
        Plane -> list of (row of each number, sign).
    live : int
    """
    terms, live = _terms(algebra.table, tuple(source_in(n, algebra) for n in numbers))
    sums: dict[int, list] = {}
    for rows, plane, sign in terms:
        sums.setdefault(plane, []).append((rows, sign))
    return sums, live


@lru_cache(maxsize=1024)
def _terms(table, sources):
    """Return the terms ((a row of each source), plane of their product, sign), and live planes.

    A source is (mask of the live planes, its row for each plane, None where they are the same).
    """
    (mask, rows), *others = sources
    terms = [((k if rows is None else rows[k],), k, 1) for k in planes_in(mask)]
    for mask, rows in others:
        by_left: dict[int, list] = {}
        for a, b, c, sign in table.triples:
            if mask >> b & 1:
                by_left.setdefault(a, []).append((b if rows is None else rows[b], c, sign))
        terms = [
            ((*chosen, row), c, sign * s)
            for chosen, a, sign in terms
            for row, c, s in by_left.get(a, ())
        ]
    return terms, mask_of(plane for _, plane, _ in terms)
