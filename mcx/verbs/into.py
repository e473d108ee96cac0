"""Linear and bilinear functions that write their results into memory they are given."""

from __future__ import annotations

import numbers

import numpy as np

from mcx.array import Multicomplex
from mcx.dispatch import is_number, numbers_of, unsupported
from mcx.memory import new_buffer
from mcx.support import planes_in, supported
from mcx.verbs.base import Rule, is_moving, lifted, number_on
from mcx.verbs.linear import Linear
from mcx.verbs.multilinear import product_sums

_HOST = (np.ndarray, np.generic, numbers.Number)


def memory(operands, shape, zeros=()):
    """Return unset memory for a result of operands; `zeros` are planes of it that are zero.

    It has the common dtype of the operands, float64 where they are integers, and their device.

    Raises
    ------
    TypeError
        If an operand is not an array.
    """
    for x in operands:
        if isinstance(x, (list, tuple)):
            raise TypeError(
                f"operands: expected arrays, got a {type(x).__name__}; make an array of it first, "
                "with np.asarray, or np.stack where it holds numbers"
            )
    dtype = np.result_type(*(getattr(x, "dtype", x) for x in operands))
    if dtype.kind not in "fc":
        dtype = np.dtype(np.float64)
    on_device = [x for x in operands if not isinstance(x, _HOST)]
    if not on_device:
        return new_buffer(shape, dtype, zeros)
    out = np.empty_like(on_device[0], shape=shape, dtype=dtype, order="C")
    for k in zeros:
        out[k, ...] = 0
    return out


def in_floats(x, out):
    """Return an operand, integers in the dtype of the result: small ones would wrap around."""
    return x.astype(out.dtype) if getattr(x, "dtype", out.dtype).kind in "biu" else x


class _Into(Rule):
    """What the two rules share: the function, the shape of its result, and a look at arguments."""

    def __init__(self, operands, func, shape):
        super().__init__(operands)
        self.func, self.shape = func, shape

    def apply(self, func, args, kwargs, like=None):
        count = len(self.operands)
        nested = numbers_of([x for x in args[:count] if not is_number(x)])
        if kwargs or nested or len(args) < count or numbers_of(args[count:]):
            places = "first argument" if count == 1 else f"first {count} arguments"
            raise unsupported(
                func,
                (args, kwargs),
                f"numbers may stand as its {places} alone, and none is given by keyword",
            )
        return super().apply(func, args, kwargs, like)


class LinearInto(_Into, Linear):
    """A linear function that writes its result into memory that it is given."""

    def __init__(self, func, shape):
        super().__init__((0,), func, shape)

    def planes(self, func, args, kwargs, like):
        number, *static = args
        planes, algebra, live = number._planes, number.algebra, number.live
        dead = [k for k in range(algebra.size) if not live >> k & 1]
        out = memory((planes,), (algebra.size, *self.shape(number.shape, *static)), dead)
        for k in planes_in(live):
            self.func(planes[k, ...], *static, out=out[k, ...])
        return Multicomplex(out, algebra, supported(live, algebra))


class BilinearInto(_Into):
    """A bilinear function that writes the sum over pairs of operands into memory it is given."""

    verb = "bilinear"

    def __init__(self, func, shape):
        super().__init__((0, 1), func, shape)

    def planes(self, func, args, kwargs, like):
        x, y, *static = args
        return self._sum([(x, y)], static)

    def record(self, func, args, kwargs, tape):
        x, y, *static = args
        number = func(number_on(x, tape), number_on(y, tape), *static)
        moving = [k for k, n in enumerate((x, y)) if is_moving(n, tape)]
        if not moving:
            return tape.constant(number)
        static = [tape.hold(n) for n in static]
        if len(moving) == 2:
            x, y = tape.hold(x), tape.hold(y)

            def step(dx, dy):
                terms = [(dx, y), (x, dy)]
                if all(type(n) is Multicomplex for n in numbers_of(terms)):
                    return self._sum(terms, static)
                return func(*terms[0], *static) + func(*terms[1], *static)

        elif moving == [0]:
            y = tape.hold(y)

            def step(dx):
                return func(dx, y, *static)

        else:
            x = tape.hold(x)

            def step(dy):
                return func(x, dy, *static)

        return tape.emit(number, step, [args[k] for k in moving])

    def _sum(self, pairs, static):
        """Return the sum over pairs of plain or Multicomplex operands, in one call a plane."""
        operands = [n for pair in pairs for n in pair]
        shape = self.shape(*map(np.shape, pairs[0]), *static)
        if not (found := numbers_of(operands)):
            out = memory(operands, shape)
            self.func(pairs, *static, out=out)
            return out
        algebra, live = lifted(found), 1
        sums: dict[int, list] = {}
        for x, y in pairs:
            inside = [n for n in (x, y) if is_number(n)]
            terms, mask = product_sums(algebra, inside) if inside else ({0: [((), 1)]}, 1)
            live |= mask
            for plane, rows in terms.items():
                sums.setdefault(plane, []).extend((x, y, *term) for term in rows)
        dead = [k for k in range(algebra.size) if not live >> k & 1]
        buffers = [n._planes if is_number(n) else n for n in operands]
        out = memory(buffers, (algebra.size, *shape), dead)
        for plane, terms in sums.items():
            self.func([_pair(*term) for term in terms], *static, out=out[plane, ...])
        return Multicomplex(out, algebra, supported(live, algebra))


def _pair(x, y, rows, sign: int):
    """Return the planes of two operands (numbers or plain) that make one term of a product."""
    rows = iter(rows)
    x, y = (n._planes[next(rows), ...] if is_number(n) else n for n in (x, y))
    return (x if sign > 0 else (-x)[...]), y  # an array, of no dimensions too
