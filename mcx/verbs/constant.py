"""Results without a tangent: plain answers, piecewise constants and new arrays."""

from __future__ import annotations

from mcx.array import Multicomplex
from mcx.dispatch import value_of
from mcx.planes import from_value
from mcx.verbs.base import Rule, lifted, number_on, numbers_of


class Value(Rule):
    """Answered from the value plane: comparisons, indices, shapes. The result is plain."""

    verb = "value"

    def apply(self, func, args, kwargs, like=None):
        return func(*value_of(tuple(args)), **{k: value_of(v) for k, v in kwargs.items()})


class Constant(Rule):
    """Piecewise constant: NumPy's value, every derivative zero."""

    verb = "constant"

    def planes(self, func, args, kwargs, like):
        value = func(*value_of(tuple(args)), **kwargs)
        return Multicomplex(from_value(value, lifted(numbers_of(args))), lifted(numbers_of(args)))

    def record(self, func, args, kwargs, tape):
        return tape.constant(func(*(number_on(x, tape) for x in args), **kwargs))


class Fresh(Rule):
    """A new array in the image of a number (np.zeros_like(z), np.zeros(shape, like=z))."""

    verb = "constant"

    def planes(self, func, args, kwargs, like):
        if numbers_of(args):
            value = func(*value_of(tuple(args)), **kwargs)
        else:
            value = func(*args, **kwargs, like=like.buffer)
        if value.dtype.kind not in "fc":
            return value
        return Multicomplex(from_value(value, like.algebra), like.algebra)

    def record(self, func, args, kwargs, tape):
        if numbers_of(args):
            number = func(*(number_on(x, tape) for x in args), **kwargs)
        else:
            number = func(*args, **kwargs)
        return tape.constant(number) if number.dtype.kind in "fc" else number
