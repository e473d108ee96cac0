"""Linear functions: the function itself on every plane; views stay views."""

from __future__ import annotations

import numpy as np

from mcx.array import Multicomplex
from mcx.dispatch import is_number, numbers_of
from mcx.planes import aligned, as_strided_of, buffer_like, in_new_buffer
from mcx.record import shares_memory
from mcx.support import live_rows, planes_in, supported
from mcx.verbs.base import (
    MOVING,
    Rule,
    is_moving,
    lifted,
    live_among,
    moving_among,
    number_on,
    plane_of,
    rebuilt,
    replaced,
    wrapped,
    zero_like,
)
from mcx.verbs.elementwise import DIFFERENCE, SUM

_LARGE = 1 << 20  # bytes from which on a kernel should not copy an operand to broadcast it


class Linear(Rule):
    """Linear in its operands together: the function itself, plane by plane; views stay views."""

    verb = "linear"

    def planes(self, func, args, kwargs, like):
        operands, call = self.split(func, args, kwargs)
        numbers = numbers_of(operands)
        algebra = lifted(numbers)
        if len(operands) == 1 and numbers[0] is operands[0]:
            return self._single(operands[0], call, algebra)
        live = live_among(operands, algebra)
        parts = [
            call(replaced(operands, lambda x, k=k: plane_of(x, k, algebra)), k > 0)
            for k in planes_in(live)
        ]
        return wrapped(parts, algebra, live)

    def _single(self, number, call, algebra):
        planes, support, live = number._planes, number._support, number.live
        start = planes[0, ...]
        first = call([start])
        if isinstance(first, (list, tuple)):
            if all(part.size == 0 or shares_memory(part, start) for part in first):
                items = [Multicomplex(strided(part, planes), algebra, support) for part in first]
                return rebuilt(first, items)
        elif shares_memory(first, start):
            return Multicomplex(strided(first, planes), algebra, support)
        rest = (call([planes[k, ...]], True) for k in planes_in(live)[1:])
        return wrapped([first, *rest], algebra, live)

    def record(self, func, args, kwargs, tape):
        operands, call = self.split(func, args, kwargs, tape.hold)
        number = call(replaced(operands, lambda x: number_on(x, tape)))
        moving = moving_among(operands, tape)
        if len(operands) == 1 and number_on(operands[0], tape) is not operands[0]:
            return self._record_single(number, call, operands[0], tape)

        fixed = replaced(
            operands, lambda x: MOVING if is_moving(x, tape) else zero_like(number_on(x, tape))
        )

        def step(*tangents):
            source = iter(tangents)
            return call(replaced(fixed, lambda x: next(source) if x is MOVING else x), True)

        return emit_tree(tape, number, step, moving)

    def _record_single(self, number, call, operand, tape):
        if not isinstance(number, (list, tuple)):
            return self._part(number, lambda x: call([x], True), operand, tape)
        parts = [
            self._part(part, lambda x, k=k: call([x], True)[k], operand, tape)
            for k, part in enumerate(number)
        ]
        return rebuilt(number, parts)

    @staticmethod
    def _part(part, pick, operand, tape):
        """Record one result: a view of the operand's storage if NumPy made a view."""
        if shares_memory(part, operand.number):
            return operand.seen_through(pick)
        return tape.emit(part, pick, (operand,))


def strided(first, planes):
    """Return the buffer whose plane 0 is `first`, a view of plane 0 of `planes`."""
    shape, strides = (planes.shape[0], *first.shape), (planes.strides[0], *first.strides)
    if isinstance(first, np.ndarray):
        writeable = first.flags.writeable
        return np.lib.stride_tricks.as_strided(first, shape, strides, writeable=writeable)
    return as_strided_of(type(first))(first, shape, strides)


def emit_tree(tape, number, step, moving):
    """Record a result that may be a tuple or list of arrays."""
    if not isinstance(number, (list, tuple)):
        return tape.emit(number, step, moving)
    items = [
        tape.emit(part, lambda *values, k=k: step(*values)[k], moving)
        for k, part in enumerate(number)
    ]
    return rebuilt(number, items)


def on_live_rows(func, x, *others):
    """Return an elementwise linear function of numbers with the same live planes, in one call."""
    algebra, live = x.algebra, x.live
    ndim = max(n.ndim for n in (x, *others))
    buffers = [aligned(n._planes, ndim) for n in (x, *others)]
    if live == algebra.full:
        return Multicomplex(in_new_buffer(func, *buffers), algebra)
    rows = live_rows(live, algebra.size)
    first = func(*(b[rows] for b in buffers))
    out = buffer_like(first[0, ...], algebra.size, zeros=True)
    out[rows] = first
    return Multicomplex(out, algebra, supported(live, algebra))


class Elementwise(Linear):
    """A linear ufunc of one operand: one call on all planes."""

    def planes(self, func, args, kwargs, like):
        return on_live_rows(func, *args)


class Reduction(Linear):
    """A linear reduction: the value by NumPy's own call, the other planes together in one."""

    def planes(self, func, args, kwargs, like):
        plain = kwargs.keys() - {"axis", "keepdims"} or len(args) > 2 or not is_number(args[0])
        if plain or not args[0].ndim:
            return super().planes(func, args, kwargs, like)
        number, axis = args[0], args[1] if len(args) > 1 else kwargs.get("axis")
        first = func(number._planes[0, ...], *args[1:], **kwargs)
        axes = tuple(range(number.ndim)) if axis is None else axis
        axes = axes if isinstance(axes, tuple) else (axes,)
        algebra, live = number.algebra, number.live
        rows = slice(1, live_rows(live, algebra.size).stop)
        out = buffer_like(first, algebra.size, zeros=rows.stop < algebra.size)
        out[0, ...] = first
        if rows.stop > 1:
            shifted = tuple(int(k) % number.ndim + 1 for k in axes)
            keeps = {"keepdims": kwargs["keepdims"]} if "keepdims" in kwargs else {}
            with np.errstate(invalid="ignore"):  # the mean of nothing: the value has warned
                out[rows] = func(number._planes[rows], axis=shifted, **keeps)
        return Multicomplex(out, algebra, supported(live, algebra))


class Sum(Rule):
    """x + y or x − y: elementwise and linear in both, with no pass over absent planes."""

    verb = "linear"

    def __init__(self, sign: int):
        super().__init__((0, 1))
        self.sign = sign

    def planes(self, func, args, kwargs, like):
        x, y = args
        if not is_number(y):
            return self._with_plain(func, x, y, 1)
        if not is_number(x):
            return self._with_plain(lambda a, b: func(b, a), y, x, self.sign)
        if x.algebra is y.algebra and x.live == y.live:
            return on_live_rows(func, x, y)
        if x.algebra is y.algebra and x.shape != y.shape and x.nbytes + y.nbytes > _LARGE:
            return self._broadcast(func, x, y)
        return (SUM if self.sign > 0 else DIFFERENCE)(x, y)

    def _broadcast(self, func, x, y):
        """Return the result plane by plane, where a kernel would spread an operand in memory."""
        algebra, live = x.algebra, x.live | y.live
        first = func(x._planes[0, ...], y._planes[0, ...])
        out = buffer_like(first, algebra.size, zeros=live != algebra.full)
        out[0, ...] = first
        for k in planes_in(live)[1:]:
            if not y.live >> k & 1:
                out[k, ...] = x._planes[k, ...]
            elif x.live >> k & 1:
                func(x._planes[k, ...], y._planes[k, ...], out=out[k, ...])
            else:
                out[k, ...] = y._planes[k, ...] if self.sign > 0 else -y._planes[k, ...]
        return Multicomplex(out, algebra, supported(live, algebra))

    def into(self, func, args, kwargs, target):
        x, y = args
        same = type(x) is type(y) is type(target) is Multicomplex and x.algebra is y.algebra
        if same and target.algebra is x.algebra and x.live == y.live == target.live:
            ndim = target.ndim
            if ndim == max(x.ndim, y.ndim):
                func(aligned(x._planes, ndim), aligned(y._planes, ndim), out=target._planes)
                return target
        return self.apply(func, args, kwargs)

    def _with_plain(self, func, number, plain, sign):
        algebra, live = number.algebra, number.live
        first = func(number._planes[0], plain)
        rows = slice(1, live_rows(live, algebra.size).stop)
        out = buffer_like(first, algebra.size, zeros=rows.stop < algebra.size)
        out[0, ...] = first
        tangents = aligned(number._planes, first.ndim)[rows]
        if sign > 0:
            out[rows] = tangents
        else:
            np.negative(tangents, out=out[rows])
        return Multicomplex(out, algebra, supported(live, algebra))

    def record(self, func, args, kwargs, tape):
        x, y = args
        number = func(number_on(x, tape), number_on(y, tape))
        moving = moving_among(args, tape)
        if len(moving) == 2:
            return tape.emit(number, func, moving)
        shape = np.shape(number)
        sign = self.sign if moving and moving[0] is y and moving[0] is not x else 1

        def step(tangent):
            tangent = tangent if sign > 0 else -tangent
            return tangent if np.shape(tangent) == shape else np.broadcast_to(tangent, shape)

        return tape.emit(number, step, moving)
