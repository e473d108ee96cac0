"""Formulas in NumPy syntax over other rules."""

from __future__ import annotations

import numpy as np

from mcx.dispatch import name_of, numbers_of, value_of
from mcx.record import Recorded, shares_memory
from mcx.verbs.base import Rule, number_on


class Composed(Rule):
    """A formula in NumPy syntax over other rules; the value plane is NumPy's own call."""

    verb = "composed"

    def __init__(self, formula):
        super().__init__(None)
        self.formula = formula

    def planes(self, func, args, kwargs, like):
        result = self.formula(*args, **kwargs)
        if any(shares_memory(result, x) for x in numbers_of(args)):
            result = result.copy()  # a formula of one term is a view of its operand
        if not result.algebra.exact:
            plain = {k: value_of(v) for k, v in kwargs.items()}
            value = func(*value_of(tuple(args)), **plain)
            if np.shape(value) != result.shape:
                raise AssertionError(
                    f"{name_of(func)}: the rule has shape {result.shape}, NumPy {np.shape(value)}; "
                    "please report it"
                )
            result._planes[0, ...] = value
        return result

    def record(self, func, args, kwargs, tape):
        result = self.formula(*args, **kwargs)
        plain = {k: number_on(v, tape) for k, v in kwargs.items()}
        return Recorded(tape, func(*(number_on(x, tape) for x in args), **plain), result.slot)
