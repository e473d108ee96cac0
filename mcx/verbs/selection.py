"""Selections: indices from the value plane, gathered on all."""

from __future__ import annotations

from mcx.array import Multicomplex
from mcx.dispatch import numbers_of, positional, unsupported, value_of
from mcx.planes import aligned, buffer_like
from mcx.support import live_rows, planes_in
from mcx.verbs.base import (
    MOVING,
    Rule,
    is_moving,
    lifted,
    live_among,
    moving_among,
    number_on,
    plane_of,
    replaced,
    with_dead_planes,
    wrapped,
    zero_like,
)


class Selection(Rule):
    """A choice among elements, made by the value plane and applied to every plane.

    `choose(*plain args, **kwargs)` returns the function of the operands' planes that picks them.
    Arguments at the positions `deciding` may be numbers too: their value decides, no more.
    """

    verb = "selection"
    elementwise = False

    def __init__(self, operands, choose, deciding: tuple[int, ...] = ()):
        super().__init__(operands)
        self.choose, self.deciding = choose, deciding

    def _arguments(self, func, args, kwargs, keep=None):
        """Return the arguments, `keep` applied to all but the operands, and the operands."""
        args, kwargs = positional(func, args, kwargs, max(self.operands) + 1)
        free = (*self.operands, *self.deciding)
        if numbers_of(kwargs) or numbers_of([a for k, a in enumerate(args) if k not in free]):
            raise unsupported(func, (args, kwargs), "an argument that must be plain is a number")
        if keep is not None:
            args = [a if k in self.operands else keep(a) for k, a in enumerate(args)]
            kwargs = {k: keep(v) for k, v in kwargs.items()}
        return args, kwargs, [args[k] for k in self.operands if k < len(args)]

    def planes(self, func, args, kwargs, like):
        args, kwargs, operands = self._arguments(func, args, kwargs)
        values = value_of(tuple(args))
        first = func(*values, **kwargs)  # first: wrong arguments meet NumPy's own errors
        pick = self.choose(*values, **kwargs)
        numbers = numbers_of(args)
        algebra = lifted(numbers)
        live = live_among(operands, algebra)
        if self.elementwise and all(n.algebra is algebra for n in numbers):
            rows = slice(1, live_rows(live, algebra.size).stop)
            out = buffer_like(first, algebra.size, zeros=rows.stop < algebra.size)
            out[0, ...] = first
            stacks = (tangents_of(x, rows, first.ndim) for x in operands)
            out[rows] = pick(*stacks)
            return with_dead_planes(out, algebra, live)
        rest = (
            pick(*replaced(operands, lambda x, k=k: plane_of(x, k, algebra)))
            for k in planes_in(live)[1:]
        )
        return wrapped([first, *rest], algebra, live)

    def record(self, func, args, kwargs, tape):
        args, kwargs, operands = self._arguments(func, args, kwargs, tape.hold)
        number = func(*(number_on(x, tape) for x in args), **kwargs)
        pick = self.choose(*value_of(tuple(args)), **kwargs)
        moving = moving_among(operands, tape)
        fixed = [MOVING if is_moving(x, tape) else zero_like(number_on(x, tape)) for x in operands]

        def step(*tangents):
            source = iter(tangents)
            return pick(*(next(source) if x is MOVING else x for x in fixed))

        return tape.emit(number, step, moving)


class Choice(Selection):
    """An elementwise selection: made on all planes in one call."""

    elementwise = True


def tangents_of(x, rows, ndim: int):
    """Return some planes of a number, aligned to so many dimensions; zero for a plain operand."""
    return aligned(x._planes, ndim)[rows] if isinstance(x, Multicomplex) else zero_like(x)
