"""Functions given by their differential, lifted to every order.

Let t be the generators of the youngest factor of an algebra, so that a number is Σ x_α t^α with
coefficients over the other factors, and E the operator that multiplies x_α t^α by |α|. E is a
derivation: E f(x) = Df(x)[E x] for every differentiable f. As E x has no coefficient at α = 0, the
coefficients of f(x) of degree k follow from those below: they are 1/k times those of Df(x)[E x].
The coefficient at α = 0 is f over the other factors, and so on down to the value, as NumPy computes
it: what is factorized (a matrix, once, at the value) is not factorized again.

References
----------
S. Walter and L. Lehmann, "Algorithmic differentiation in Python with AlgoPy", J. Comput. Sci. 4
(2013), 334-344: matrix factorizations of truncated Taylor polynomials, by degrees.
"""

from __future__ import annotations

from itertools import islice

import numpy as np

from mcx.algebra import Algebra, Factor, algebra_of, without
from mcx.array import Multicomplex
from mcx.dispatch import is_number, numbers_of, positional, unsupported
from mcx.planes import buffer_like, embed, zeros_like
from mcx.record import Recorded
from mcx.support import embedded, planes_in, supported
from mcx.table import taylor_indices
from mcx.tree import tree_leaves, tree_map
from mcx.verbs.base import Rule, first_number, is_moving, lifted, number_on, plane_of
from mcx.verbs.constant import constant

_FEW = 4  # so many coefficients of degree 1 are computed one by one


class Lifted(Rule):
    """A function given by its differential.

    Parameters
    ----------
    differential : callable
        ``differential(state, *args, **kwargs)`` returns ``push(*tangents)``. The state is a tuple:
        the arrays of NumPy's result in order, then those of `extra`; args and kwargs are those of
        the call. push has one tangent for every operand given, None for one that does not move, is
        linear in them, and returns one tangent for every array of the state, None where it is zero;
        or yields them: those of `extra` are not always wanted. All in NumPy syntax: whatever is an
        array may be a number.
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
        result, state = self._state(func, args, kwargs, whole=False)
        parts = iter(state)
        return tree_map(lambda _: next(parts), result)

    def _state(self, func, args, kwargs, whole: bool = True):
        """Return NumPy's result, and the state in the kind of the arguments.

        Unless the whole is wanted, its extra arrays may lack their coefficients of highest degree.
        """
        top = first_number(args, kwargs)
        if isinstance(top, Recorded):
            return self._recorded(func, args, kwargs, top.tape)
        if top is not None:
            algebra = lifted(numbers_of(args))
            if algebra.exact:
                reason = "it has no recursion in the exact reading; leave h out"
                raise unsupported(func, args, reason)
            return self._of_numbers(func, args, kwargs, algebra, whole)
        result = func(*args, **kwargs)
        more = self.extra(result, *args, **kwargs) if self.extra else ()
        return result, (*tree_leaves(result), *more)

    def _of_numbers(self, func, args, kwargs, algebra: Algebra, whole: bool):
        youngest = algebra.factors[-1]
        lower = [_coefficient(x, youngest, 0) for x in args]
        result, below = self._state(func, lower, kwargs)
        state = [_grown(x, algebra) if _has_tangent(x) else x for x in below]
        operands = [args[k] for k in self.places(args)]
        degrees = [sum(index) for index in youngest.indices]
        top, start = max(degrees), 1
        wanted = [len(state)] * top
        if not whole:
            wanted[-1] = len(tree_leaves(result))
        if degrees.count(1) <= _FEW:
            push, start = self.differential(below, *lower, **kwargs), 2
            for k in range(1, 1 + degrees.count(1)):
                tangents = [_coefficient(x, youngest, k) for x in operands]
                if any(x is not None for x in tangents):
                    pushed = islice(push(*tangents), wanted[0])
                    _write(state[: wanted[0]], pushed, youngest, k, algebra)
        rounds = _by_shift if youngest.indices == taylor_indices(top) else _by_degree
        for degree in range(start, top + 1):
            count = wanted[degree - 1]
            rounds(self, state, args, kwargs, operands, algebra, degree, count)
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


def _by_shift(rule, state, args, kwargs, operands, algebra: Algebra, degree, count) -> None:
    """Compute coefficient `degree` of one direction: f' = Df(x)[x'] to one degree less.

    It is written into the first `count` parts of the state.
    """
    youngest = algebra.factors[-1]
    near = Factor(youngest.serial, taylor_indices(degree - 1))
    short = [_shortened(x, youngest, near) for x in state]
    push = rule.differential(tuple(short), *(_shortened(x, youngest, near) for x in args), **kwargs)
    pushed = islice(push(*(_shifted(x, youngest, near) for x in operands)), count)
    last = [None if x is None else _coefficient(x, near, degree - 1) for x in pushed]
    last = [None if x is None else x / degree for x in last]
    _write(state[:count], last, youngest, degree, algebra)


def _by_degree(rule, state, args, kwargs, operands, algebra: Algebra, degree, count) -> None:
    """Compute all coefficients of a degree of the first `count` parts of the state, from E x."""
    youngest = algebra.factors[-1]
    near = [_truncated(x, youngest, degree - 1) for x in args]
    push = rule.differential(tuple(state), *near, **kwargs)
    tangents = (_euler(_truncated(x, youngest, degree), youngest) for x in operands)
    pushed = list(islice(push(*tangents), count))
    for k, index in enumerate(youngest.indices):
        if sum(index) == degree:
            last = [None if x is None else _coefficient(x, youngest, k) for x in pushed]
            last = [None if x is None else x / degree for x in last]
            _write(state[:count], last, youngest, k, algebra)


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


def _coefficient(x, factor: Factor, k: int):
    """Return coefficient k of the youngest factor, None where it is zero."""
    if not is_number(x) or factor not in x.algebra.factors:
        return x if k == 0 else None
    inner = without(x.algebra, factor)
    mask = x.live >> k * inner.size & inner.full
    if k and not mask:
        return None
    planes = x._planes[k * inner.size : (k + 1) * inner.size]
    if not inner.factors:
        return planes[0]
    return Multicomplex(planes, inner, supported(mask | 1, inner))


def _grown(x, algebra: Algebra):
    """Return a number, or a plain array, as a number of a larger algebra."""
    if not is_number(x):
        return constant(x, algebra)
    mask = embedded(x.live, x.algebra, algebra)
    return Multicomplex(embed(x._planes, x.algebra, algebra), algebra, supported(mask, algebra))


def _write(state, tangents, factor: Factor, k: int, algebra: Algebra) -> None:
    """Write coefficient k of the youngest factor into the numbers of a state."""
    inner = without(algebra, factor)
    for number, tangent in zip(state, tangents, strict=True):
        if tangent is None:
            continue
        live = embedded(tangent.live, tangent.algebra, inner) if is_number(tangent) else 1
        for row in planes_in(live):
            plane = plane_of(tangent, row, inner)
            # A complex tangent of a real number is an error, not a warning.
            np.copyto(number._planes[k * inner.size + row, ...], plane, casting="same_kind")
        number._enliven(live << k * inner.size)


def _shortened(x, factor: Factor, near: Factor):
    """Return a number without the higher powers of the youngest generator, others as they are."""
    if not is_number(x) or factor not in x.algebra.factors:
        return x
    algebra = algebra_of((*x.algebra.factors[:-1], near))
    planes = x._planes[: algebra.size]
    return Multicomplex(planes, algebra, supported(x.live & algebra.full, algebra))


def _shifted(x, factor: Factor, near: Factor):
    """Return the derivative by the youngest generator, None where it is zero."""
    if not is_number(x) or factor not in x.algebra.factors:
        return None
    algebra = algebra_of((*x.algebra.factors[:-1], near))
    size = algebra.size // len(near.indices)
    planes = buffer_like(x._planes[0, ...], algebra.size)
    for k in range(len(near.indices)):
        rows = slice((k + 1) * size, (k + 2) * size)
        planes[k * size : (k + 1) * size] = (k + 1) * x._planes[rows]
    mask = x.live >> size & algebra.full | 1
    return Multicomplex(planes, algebra, supported(mask, algebra))


def _truncated(x, factor: Factor, degree: int):
    """Return a number without the coefficients above a degree, others as they are.

    The planes stay in its buffer: products of what is left do not read them.
    """
    if not is_number(x) or factor not in x.algebra.factors:
        return x
    size = x.algebra.size // len(factor.indices)
    mask = 0
    for k, index in enumerate(factor.indices):
        mask |= (1 << size) - 1 << k * size if sum(index) <= degree else 0
    return Multicomplex(x._planes, x.algebra, supported(x.live & mask, x.algebra))


def _euler(x, factor: Factor):
    """Return E x, None where it is zero."""
    if not is_number(x) or factor not in x.algebra.factors:
        return None
    size = x.algebra.size // len(factor.indices)
    planes = zeros_like(x._planes)
    for k in planes_in(x.live):
        if degree := sum(factor.indices[k // size]):
            planes[k, ...] = degree * x._planes[k]
    return Multicomplex(planes, x.algebra, supported(x.live, x.algebra))
