"""What every verb is made of: operands, their planes, and their places on a tape."""

from __future__ import annotations

import numpy as np

from mcx.algebra import common_algebra, rows_in
from mcx.array import Multicomplex, coefficients
from mcx.dispatch import (
    Number,
    check_dtype,
    is_number,
    name_of,
    numbers_of,
    place_of,
    positional,
    signature_of,
    unsupported,
)
from mcx.planes import aligned, assembled, buffer_like, embed, from_value, in_new_buffer
from mcx.record import Recorded
from mcx.support import embedded, live_rows, planes_in, supported


def replaced(x, change):
    """Return (nested) operands with every leaf replaced by change(leaf)."""
    if isinstance(x, (list, tuple)):
        return type(x)(replaced(item, change) for item in x)
    return change(x)


def zero_like(x):
    """Return the zero an operand without a tangent contributes to a linear function."""
    if x is None:
        return None
    return np.zeros_like(x) if hasattr(x, "dtype") else type(x)(0)


def first_number(args, kwargs):
    """Return the number that answers: the one of the youngest tape, else any; None if none."""
    top = None
    for x in (*args, *kwargs.values()) if kwargs else args:
        if isinstance(x, (list, tuple)):
            x = first_number(x, None)
        if isinstance(x, Number) and (top is None or x.rank > top.rank):
            top = x
    return top


class Rule:
    """A rule. `operands` are the positions of the arguments that may carry derivatives.

    Arguments named in `value_only` (an initial value, a padding constant) belong to the value: the
    other planes see zero in their place.
    """

    verb = ""

    def __init__(self, operands: tuple[int, ...] | None = (0,), value_only: tuple[str, ...] = ()):
        self.operands = operands
        self.value_only = value_only

    def apply(self, func, args, kwargs, like=None):
        """Evaluate func for arguments with at least one number (or made in the image of one)."""
        top = first_number(args, kwargs)
        top = like if top is None else top
        if type(top) is Recorded:
            return self.record(func, args, kwargs, top.tape)
        return self.planes(func, args, kwargs, top)

    def into(self, func, args, kwargs, target):
        """Return the result for out=target: the target itself where it was written there."""
        return self.apply(func, args, kwargs)

    def places(self, args):
        """Return the positions of the operands among the arguments given."""
        if self.operands is None:
            return [k for k, x in enumerate(args) if hasattr(x, "shape")]
        return [k for k in self.operands if k < len(args)]

    def split(self, func, args, kwargs, keep=None):
        """Return the operands, and call(operands, tangent=False) with the other arguments fixed.

        `keep` is applied to the others: a tape holds them.

        Raises
        ------
        UnsupportedFunctionError
            If a number stands where only plain arguments have a rule.
        TypeError
            If dtype= names a type that derivatives cannot have.
        """
        if self.operands is not None:
            args, kwargs = positional(func, args, kwargs, max(self.operands) + 1)
        places = self.places(args)
        if self.value_only:
            names = signature_of(func)[len(places) : len(args)]
            kwargs = {**dict(zip(names, args[len(places) :], strict=False)), **kwargs}
            args = args[: len(places)]
        # What is kept of the call holds no operand: that would keep its value, and make a cycle.
        others = [None if k in places else a for k, a in enumerate(args)]
        if numbers_of(others) or numbers_of(kwargs):
            raise unsupported(func, (args, kwargs), "an argument that must be plain is a number")
        place = place_of(func, "dtype", args)
        dtype = kwargs.get("dtype") if place is None else args[place]
        if dtype is not None:
            check_dtype(dtype, f"{name_of(func)}: dtype")
        if keep is not None:
            others = [keep(a) for a in others]
            kwargs = {k: keep(v) for k, v in kwargs.items()}
        zeros = {k: replaced(v, zero_like) for k, v in kwargs.items() if k in self.value_only}

        def call(operands, tangent=False):
            full = list(others)
            for place, operand in zip(places, operands, strict=True):
                full[place] = operand
            return func(*full, **({**kwargs, **zeros} if tangent and zeros else kwargs))

        return [args[k] for k in places], call


def lifted(numbers):
    """Return the common algebra of numbers."""
    return common_algebra([n.algebra for n in numbers])


def live_among(operands, algebra) -> int:
    """Return the mask of the planes that are live in any of (nested) operands."""
    mask = 1
    for n in numbers_of(operands):
        mask |= embedded(n.live, n.algebra, algebra)
    return mask


def plane_of(x, k: int, algebra):
    """Return plane k of an operand in an algebra: a plain operand has plane 0 alone."""
    if not isinstance(x, Multicomplex):
        return x if k == 0 else zero_like(x)
    if x.algebra is algebra:
        return x._planes[k]
    row = rows_in(x.algebra, algebra)[k]
    return zero_like(x.value) if row is None else x._planes[row]


def buffer_in(algebra, x, like):
    """Return an operand, number or plain, as a buffer of an algebra; scalars go where `like` is."""
    if is_number(x):
        return embed(x._planes, x.algebra, algebra)
    if np.ndim(x):
        return from_value(coefficients(x, "operand"), algebra)
    dtype = np.result_type(like.dtype, x)
    out = np.zeros_like(like, shape=(algebra.size,), dtype=dtype)
    out[0] = x
    return out


def wrapped(parts, algebra, live: int):
    """Return the live planes of a result (arrays, or tuples and lists of arrays) as numbers."""
    first = parts[0]
    if isinstance(first, (list, tuple)):
        items = [wrapped([part[i] for part in parts], algebra, live) for i in range(len(first))]
        return rebuilt(first, items)
    return Multicomplex(assembled(parts, live, algebra.size), algebra, supported(live, algebra))


def scaled(func, number, plain, reverse: bool = False):
    """Return func(number, plain), or func(plain, number): a product or quotient with an array."""
    algebra, live = number.algebra, number.live
    planes = aligned(number._planes, np.ndim(plain))
    if live == algebra.full:
        return Multicomplex(in_new_buffer(func, planes, plain, reverse=reverse), algebra)
    rows = live_rows(live, algebra.size)
    first = func(plain, planes[rows]) if reverse else func(planes[rows], plain)
    out = buffer_like(first[0, ...], algebra.size, zeros=True)
    out[rows] = first
    return with_dead_planes(out, algebra, live)


def with_dead_planes(planes, algebra, live: int):
    """Return the number, dead planes set to 0: NaN times their zeros is NaN."""
    for k in planes_in(((1 << live.bit_length()) - 1) & ~live):
        planes[k, ...] = 0
    return Multicomplex(planes, algebra, supported(live, algebra))


def rebuilt(like, items):
    """Return the items in a tuple, list or named tuple like the given one."""
    return type(like)(*items) if hasattr(like, "_fields") else type(like)(items)


def number_on(x, tape):
    """Return the value of an operand of this tape; others as they are."""
    return x.number if isinstance(x, Recorded) and x.tape is tape else x


def is_moving(x, tape) -> bool:
    """Tell whether an operand has a tangent on this tape."""
    return isinstance(x, Recorded) and x.tape is tape and x.storage.slot is not None


def moving_among(operands, tape):
    """Return the operands that have a tangent on this tape."""
    return [n for n in numbers_of(operands) if is_moving(n, tape)]


class _Moving:
    """Placeholder of an operand whose tangent arrives when the program runs."""


MOVING = _Moving()
