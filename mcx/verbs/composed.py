"""Formulas in NumPy syntax over other rules."""

from __future__ import annotations

import numpy as np

from mcx.array import Multicomplex
from mcx.dispatch import is_number, name_of, numbers_of, value_of
from mcx.planes import buffer_like, memory_order
from mcx.record import Recorded, as_array, shares_memory
from mcx.tree import tree_zip
from mcx.verbs.base import Rule, number_on, replaced


class Composed(Rule):
    """A formula in NumPy syntax over other rules; the value plane is NumPy's own call.

    That call comes first, so that wrong arguments meet NumPy's own errors. The result may be a
    tuple or list, whose plain parts (counts, ranks) are those of NumPy.
    """

    verb = "composed"

    def __init__(self, formula):
        super().__init__(None)
        self.formula = formula

    def planes(self, func, args, kwargs, like):
        operands = numbers_of((args, kwargs))
        if operands and operands[0].algebra.exact:
            return self.formula(*args, **kwargs)
        value = func(*value_of(tuple(args)), **{k: value_of(v) for k, v in kwargs.items()})
        result = self.formula(*args, **kwargs)
        return tree_zip(lambda v, part: _valued(func, part, v, operands), value, result)

    def record(self, func, args, kwargs, tape):
        inner = replaced(tuple(args), lambda x: number_on(x, tape))
        named = {k: replaced(v, lambda x: number_on(x, tape)) for k, v in kwargs.items()}
        # NumPy does not look for numbers in all of the arguments.
        nested = numbers_of((inner, named))
        value = self.apply(func, inner, named) if nested else func(*inner, **named)
        result = self.formula(*args, **kwargs)

        def recorded(v, part):
            if not isinstance(part, Recorded):
                return v
            tangent = part if part.dtype == v.dtype else part.astype(v.dtype)
            return Recorded(tape, v, tangent.slot)

        return tree_zip(recorded, value, result)


class Direct(Composed):
    """A formula that consists of functions with rules: its value plane is theirs."""

    def apply(self, func, args, kwargs, like=None):
        return self.formula(*args, **kwargs)


def _valued(func, part, value, operands):
    """Return one result of a formula with the value plane of NumPy, laid out as that is."""
    if not is_number(part):
        return value
    value = as_array(value)
    if any(shares_memory(part, x) for x in operands):  # a formula of one term
        if shares_memory(part, value):
            return part
        part = part.copy()
    if np.shape(value) != part.shape or not np.can_cast(part.dtype, value.dtype, "same_kind"):
        raise AssertionError(
            f"{name_of(func)}: the rule has shape {part.shape} and dtype {part.dtype}, NumPy "
            f"{np.shape(value)} and {value.dtype}; please report it"
        )
    same_order = value.ndim < 2 or memory_order(part._planes[0]) == memory_order(value)
    if part.dtype != value.dtype or not same_order:
        planes = buffer_like(value, part.algebra.size)
        planes[...] = part._planes
        part = Multicomplex(planes, part.algebra, part._support)
    part._planes[0, ...] = value
    return part
