"""Results without a tangent: plain answers, piecewise constants and new arrays."""

from __future__ import annotations

from mcx.array import Multicomplex
from mcx.dispatch import is_number, numbers_of, value_of
from mcx.planes import from_value
from mcx.record import Recorded
from mcx.support import supported
from mcx.verbs.base import Rule, lifted, number_on


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
        return constant(value, lifted(numbers_of(args)))

    def record(self, func, args, kwargs, tape):
        return tape.constant(func(*(number_on(x, tape) for x in args), **kwargs))


class Fresh(Rule):
    """A new array in the image of a number (np.zeros_like(z), np.zeros(shape, like=z))."""

    verb = "constant"

    def apply(self, func, args, kwargs, like=None):
        if numbers_of(args):
            return super().apply(func, args, kwargs, like)
        outer = isinstance(like, Recorded) and is_number(like.number)
        inner = like.number if outer else like._buffer
        value = func(*args, **kwargs, like=inner)
        if isinstance(like, Recorded):
            return like.tape.constant(value) if value.dtype.kind in "fc" else value
        return self._number(value, like)

    def planes(self, func, args, kwargs, like):
        return self._number(func(*value_of(tuple(args)), **kwargs), like)

    def record(self, func, args, kwargs, tape):
        value = func(*(number_on(x, tape) for x in args), **kwargs)
        return tape.constant(value) if value.dtype.kind in "fc" else value

    @staticmethod
    def _number(value, like):
        if value.dtype.kind not in "fc":
            return value
        return constant(value, like.algebra)


def constant(value, algebra):
    """Return the number with the given value whose other planes are zero."""
    return Multicomplex(from_value(value, algebra), algebra, supported(1, algebra))
