"""Functions given by their differential, lifted to every order by degrees.

Let E be Euler's operator, which multiplies the plane of t^α by |α|. It is a derivation, so that
E f(x) = Df(x)[E x] for every differentiable f: the planes of degree k of f(x) are 1/k times those
of Df(x)[E x], and as E x has no value, these need the planes of f(x) below degree k alone. From the
value, as NumPy computes it, all others follow in n rounds of the first-order rule; what is
factorized (a matrix, once, at the value) is not factorized again.

References
----------
S. Walter and L. Lehmann, "Algorithmic differentiation in Python with AlgoPy", J. Comput. Sci. 4
(2013), 334-344: matrix factorizations of truncated Taylor polynomials, by degrees.
"""

from __future__ import annotations

import numpy as np

from mcx.algebra import Algebra
from mcx.array import Multicomplex
from mcx.dispatch import is_number, numbers_of, positional, unsupported, value_of
from mcx.planes import zeros_like
from mcx.record import Recorded
from mcx.support import mask_of, planes_in, supported
from mcx.tree import tree_leaves, tree_map
from mcx.verbs.base import Rule, first_number, is_moving, lifted, number_on, plane_of
from mcx.verbs.constant import constant

_FEW = 4  # so many planes of degree 1 are computed one by one, without the zeros of the value


class Lifted(Rule):
    """A function given by its differential.

    Parameters
    ----------
    differential : callable
        ``differential(state, *args, **kwargs)`` returns ``push(*tangents)``. The state is a tuple:
        the arrays of NumPy's result in order, then those of `extra`; args and kwargs are those of
        the call. push has one tangent for every operand given, None for one that does not move, is
        linear in them, and returns one tangent for every array of the state, None where it is zero.
        All in NumPy syntax: whatever is an array may be a number.
    extra : callable, optional
        ``extra(result, *args, **kwargs)`` returns a tuple of further arrays at the value that the
        differential needs (an inverse, say), which then have tangents too.
    operands : tuple of int
        Positions of the arguments that may be numbers.
    """

    verb = "lifted"

    def __init__(self, differential, extra=None, operands: tuple[int, ...] = (0,)):
        super().__init__(operands)
        self.differential, self.extra = differential, extra

    def apply(self, func, args, kwargs, like=None):
        """Evaluate func; the float and complex arrays of its result become numbers."""
        args, kwargs = positional(func, args, kwargs, max(self.operands) + 1)
        if numbers_of([x for k, x in enumerate(args) if k not in self.operands] + [kwargs]):
            raise unsupported(func, (args, kwargs), "an argument that must be plain is a number")
        result, state = self._state(func, args, kwargs)
        parts = iter(state)
        return tree_map(lambda _: next(parts), result)

    def _state(self, func, args, kwargs):
        """Return NumPy's result, and the state in the kind of the arguments."""
        top = first_number(args, kwargs)
        if isinstance(top, Recorded):
            return self._recorded(func, args, kwargs, top.tape)
        if top is not None:
            return self._of_numbers(func, args, kwargs)
        result = func(*args, **kwargs)
        more = self.extra(result, *args, **kwargs) if self.extra else ()
        return result, (*tree_leaves(result), *more)

    def _of_numbers(self, func, args, kwargs):
        algebra = lifted(numbers_of(args))
        if algebra.exact:
            raise unsupported(func, args, "it has no recursion in the exact reading; leave h out")
        result, values = self._state(func, value_of(tuple(args)), kwargs)
        state = [constant(x, algebra) if _has_tangent(x) else x for x in values]
        places = self.places(args)
        start = 1
        if len(rows := _of_degree(algebra, 1)) <= _FEW:
            push = self.differential(values, *value_of(tuple(args)), **kwargs)
            for k in rows:
                planes = [_plane(args[p], k, algebra) for p in places]
                _write(state, push(*planes), [k], 1, algebra)
            start = 2
        for degree in range(start, algebra.order + 1):
            low = mask_of(k for k, d in enumerate(algebra.table.degrees) if d <= degree)
            near = [_truncated(x, low, algebra) for x in args]
            moved = [_euler(x) for x in near]
            push = self.differential(tuple(state), *near, **kwargs)
            tangents = push(*(moved[p] for p in places))
            _write(state, tangents, _of_degree(algebra, degree), degree, algebra)
        return result, tuple(state)

    def _recorded(self, func, args, kwargs, tape):
        inner = [number_on(x, tape) for x in args]
        result, values = self._state(func, inner, kwargs)
        places = self.places(args)
        moving = [p for p in places if is_moving(args[p], tape)]
        if not moving:
            return result, tuple(tape.constant(x) if _has_tangent(x) else x for x in values)
        push = self.differential(values, *(tape.hold(x) for x in args), **kwargs)

        def step(*given):
            tangents = dict(zip(moving, given, strict=True))
            pushed = push(*(tangents.get(p) for p in places))
            return [
                np.zeros_like(x) if t is None else t for x, t in zip(values, pushed, strict=True)
            ]

        joint = tape.new_slot()
        tape.steps.append((step, tuple(args[p].slot for p in moving), joint))
        return result, tuple(_part(tape, joint, k, x) for k, x in enumerate(values))


def _has_tangent(x) -> bool:
    """Tell whether an array of a state is differentiated: not a rank or a list of pivots."""
    return hasattr(x, "dtype") and x.dtype.kind in "fc"


def _part(tape, joint: int, k: int, value):
    """Return part k of a recorded state."""
    if not _has_tangent(value):
        return value
    slot = tape.new_slot()
    tape.steps.append((lambda tangents: tangents[k], (joint,), slot))
    part = Recorded(tape, value, slot)
    tape.hold(part)  # the differential has it
    return part


def _of_degree(algebra: Algebra, degree: int) -> list[int]:
    """Return the planes of one degree."""
    return [k for k, d in enumerate(algebra.table.degrees) if d == degree]


def _plane(x, k: int, algebra: Algebra):
    """Return plane k of an argument, None for a plain one."""
    return plane_of(x, k, algebra) if is_number(x) else None


def _truncated(x, low: int, algebra: Algebra):
    """Return an argument without its planes of high degree, for products of low degree alone."""
    if not is_number(x) or x.algebra is not algebra:
        return x
    return Multicomplex(x._planes, algebra, supported(x.live & low, algebra))


def _euler(x):
    """Return E x: the plane of t^α times |α|; None for a plain argument."""
    if not is_number(x):
        return None
    planes = zeros_like(x._planes)
    for k in planes_in(x.live)[1:]:
        planes[k, ...] = x.algebra.table.degrees[k] * x._planes[k]
    return Multicomplex(planes, x.algebra, supported(x.live, x.algebra))


def _write(state, tangents, rows, degree: int, algebra: Algebra) -> None:
    """Write planes of one degree into a state, from tangents: numbers, or arrays for one plane."""
    for number, tangent in zip(state, tangents, strict=True):
        if tangent is None:
            continue
        for k in rows:
            plane = plane_of(tangent, k, algebra) if is_number(tangent) else tangent
            number._planes[k, ...] = plane / degree if degree > 1 else plane
            number._enliven(1 << k)
