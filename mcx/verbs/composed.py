"""Formulas in NumPy syntax over other rules."""

from __future__ import annotations

import numpy as np

from mcx.array import Multicomplex
from mcx.dispatch import is_number, name_of, numbers_of, value_of
from mcx.record import Recorded, shares_memory
from mcx.tree import tree_zip
from mcx.verbs.base import Rule, number_on, replaced


class Composed(Rule):
    """A formula in NumPy syntax over other rules; the value plane is NumPy's own call.

    The result may be a tuple or list, whose plain parts (counts, ranks) are those of NumPy.
    """

    verb = "composed"

    def __init__(self, formula):
        super().__init__(None)
        self.formula = formula

    def planes(self, func, args, kwargs, like):
        result = self.formula(*args, **kwargs)
        operands = numbers_of((args, kwargs))
        if all(n.algebra.exact for n in numbers_of([result])) and operands[0].algebra.exact:
            return result
        value = func(*value_of(tuple(args)), **{k: value_of(v) for k, v in kwargs.items()})
        return tree_zip(lambda v, part: _valued(func, part, v, operands), value, result)

    def record(self, func, args, kwargs, tape):
        result = self.formula(*args, **kwargs)
        inner = {k: replaced(v, lambda x: number_on(x, tape)) for k, v in kwargs.items()}
        value = func(*replaced(tuple(args), lambda x: number_on(x, tape)), **inner)

        def recorded(v, part):
            return Recorded(tape, v, part.slot) if isinstance(part, Recorded) else v

        return tree_zip(recorded, value, result)


def _valued(func, part, value, operands):
    """Return one result of a formula with the value plane that NumPy computed."""
    if not is_number(part):
        return value
    if any(shares_memory(part, x) for x in operands):
        part = part.copy()  # a formula of one term is a view of its operand
    if np.shape(value) != part.shape:
        raise AssertionError(
            f"{name_of(func)}: the rule has shape {part.shape}, NumPy {np.shape(value)}; "
            "please report it"
        )
    if part.dtype != value.dtype:
        planes = part._planes.astype(value.dtype)
        part = Multicomplex(planes, part.algebra, part._support)
    part._planes[0, ...] = value
    return part
