"""The recorder behind `mcx.linearize`: a function is run once, its tangent program kept.

A `Recorded` is a first-order number whose tangent is not computed but written down: every verb
leaves one small linear step on the `Tape`. The value it carries is a plain array, a Multicomplex or
a Recorded of an outer tape, so recordings and derivatives nest. Values, branches and indices are
constants of the program.
"""

from __future__ import annotations

import itertools

import numpy as np

from mcx.algebra import common_algebra
from mcx.dispatch import COEFFICIENTS, is_number, numbers_of, value_of
from mcx.errors import ImplicitConversionError
from mcx.nested import stacked
from mcx.planes import memory_order
from mcx.surface import Surface

_serials = itertools.count(1)


def as_array(x):
    """Return x, of a scalar of NumPy the array: no one can write into a scalar."""
    return np.asarray(x) if isinstance(x, np.generic) else x


def buffer_of(x):
    """Return the plain array that holds x."""
    return x._buffer if is_number(x) else x


def shares_memory(x, y) -> bool:
    """Tell whether two results live in the same memory (one is a view of the other)."""
    x, y = buffer_of(x), buffer_of(y)
    return hasattr(x, "strides") and hasattr(y, "strides") and bool(np.may_share_memory(x, y))


class _Storage:
    """Memory that a Recorded and its views share: the value, and the slot of its tangent."""

    __slots__ = ("kept", "number", "slot")

    def __init__(self, number, slot: int | None, kept: bool = False):
        self.number, self.slot, self.kept = number, slot, kept


class Tape:
    """Linear steps in the order they were recorded: out slot = step(tangents of in slots)."""

    __slots__ = ("held", "rank", "slots", "steps")

    def __init__(self):
        self.steps: list[tuple] = []
        self.held: dict[int, tuple] = {}  # id of an array -> it, and the views of it in use
        self.slots = 0
        self.rank = next(_serials)

    def new_slot(self) -> int:
        """Return the number of a new tangent."""
        self.slots += 1
        return self.slots - 1

    def emit(self, number, step, operands) -> Recorded:
        """Record a number whose tangent is step(tangents of the operands that have one)."""
        slots = tuple(operand.slot for operand in operands)
        if not slots or None in slots:
            return self.constant(number)
        if number.dtype not in [operand.dtype for operand in operands]:
            step = _widened(step, number.dtype)
        out = self.new_slot()
        self.steps.append((step, slots, out))
        return Recorded(self, number, out)

    def constant(self, number) -> Recorded:
        """Return a number of this tape with tangent zero."""
        return Recorded(self, number, None)

    def hold(self, x):
        """Keep an operand for the program: by reference, copied where others could write to it."""
        if isinstance(x, Recorded) and x.tape is self:
            x.storage.kept = True
            x = x.number
        elif isinstance(x, type):
            return x  # a dtype
        elif isinstance(x, (list, tuple)):
            items = [self.hold(item) for item in x]
            return type(x)(*items) if hasattr(x, "_fields") else type(x)(items)
        elif _writeable_elsewhere(x):
            x = x.copy()
        return self.own(x)

    def own(self, x):
        """Keep a result that the rule has just made, which no one else has."""
        buffer = buffer_of(x)
        if hasattr(buffer, "nbytes"):
            owner = _owner(buffer)
            self.held.setdefault(id(owner), (owner, {}))[1][id(buffer)] = buffer
        return x

    @property
    def nbytes(self) -> int:
        """Bytes of what is kept; of a part of someone's array, of the part."""
        return sum(
            min(owner.nbytes, sum(view.nbytes for view in views.values()))
            for owner, views in self.held.values()
        )


def _widened(step, dtype):
    """Return a step whose result has the dtype of its number, or that of the tangents if wider.

    Of x + c with a wider c the tangent would be that of x.
    """

    def widened(*tangents):
        tangent = step(*tangents)
        wider = np.result_type(tangent.dtype, dtype)
        return tangent if tangent.dtype == wider else tangent.astype(wider)

    return widened


def _owner(buffer):
    """Return the array whose memory a view lies in."""
    while hasattr(getattr(buffer, "base", None), "nbytes"):
        buffer = buffer.base
    return buffer


def _writeable_elsewhere(x) -> bool:
    if not isinstance(x, np.ndarray):
        return hasattr(x, "copy") and not isinstance(x, np.generic)
    while isinstance(x, np.ndarray):
        if x.flags.writeable:
            return True
        x = x.base  # a view that cannot be written to shows what is written to its base
    return x is not None  # memory of something else, as of a file or of np.lib.stride_tricks


def _writable_copy(tangent, order):
    """Return a copy laid out with the given axis order, so that views of it are views again."""
    inverse = sorted(range(len(order)), key=order.__getitem__)
    return np.transpose(np.transpose(as_array(tangent), order).copy(), inverse)


class Recorded(Surface):
    """A first-order number under recording. It is a view of its storage through `chain`."""

    __slots__ = ("__weakref__", "chain", "storage", "tape")

    def __init__(self, tape: Tape, number, slot: int | None):
        if number.dtype.char not in COEFFICIENTS:
            raise TypeError(
                "linearize: expected float32, float64, complex64 or complex128 results, got "
                f"{number.dtype}, which would drop digits of the derivatives"
            )
        self.tape = tape
        self.storage = _Storage(number, slot)
        self.chain: tuple = ()

    @property
    def rank(self) -> int:
        """Age of the tape: the youngest one among the operands records."""
        return self.tape.rank

    @property
    def number(self):
        """The value: an array, or a number of an outer computation."""
        number = self.storage.number
        for view in self.chain:
            number = view(number)
        return number

    @property
    def slot(self) -> int | None:
        """Slot of the tangent; None if it is zero. A view records itself when it is read."""
        slot = self.storage.slot
        if slot is None or not self.chain:
            return slot
        out, chain = self.tape.new_slot(), self.chain
        self.tape.steps.append((lambda tangent: _follow(chain, tangent), (slot,), out))
        return out

    @property
    def value(self):
        """The value plane."""
        return value_of(self.number)

    @property
    def _buffer(self):
        """Plain array that holds the value."""
        return as_array(buffer_of(self.number))

    @property
    def shape(self):
        """Shape of the value."""
        return np.shape(self.number)

    @property
    def dtype(self):
        """Type of the coefficients."""
        return self.number.dtype

    @property
    def order(self) -> int:
        """1 more than the order of the value."""
        return 1 + getattr(self.number, "order", 0)

    @property
    def nbytes(self) -> int:
        """Bytes of the value."""
        return self.number.nbytes

    def seen_through(self, function) -> Recorded:
        """Return the view of this number that a function of its value and tangent makes."""
        out = Recorded.__new__(Recorded)
        out.tape, out.storage, out.chain = self.tape, self.storage, (*self.chain, function)
        return out

    def copy(self, order="C"):
        """Return a copy on a buffer of its own."""
        return np.copy(self, order=order)

    def __getitem__(self, index):
        if numbers_of(index):
            raise TypeError("index: expected integers or a mask, got a Multicomplex; use z.value")
        index = _frozen(index)
        number = self.number[index]
        if shares_memory(number, self.number):
            return self.seen_through(lambda x: x[index])
        return self.tape.emit(number, lambda tangent: tangent[index], (self,))

    def __setitem__(self, index, item):
        index = _frozen(index)
        storage, tape, chain = self.storage, self.tape, self.chain
        if not (np.isscalar(item) or hasattr(item, "dtype")):
            item = stacked(item)
        if is_number(item) and item.rank > self.rank:
            raise ImplicitConversionError(
                "assignment: the item is recorded by an inner linearize, the target is not; make "
                "the target with np.zeros_like of the item"
            )
        if np.iscomplexobj(item) and self.dtype.kind != "c":
            raise TypeError(f"item: expected real coefficients ({self.dtype}), got complex")
        recorded = isinstance(item, Recorded) and item.tape is tape
        source = item.slot if recorded else None
        storage.number = as_array(storage.number)  # of an element, as in x[0] += 1
        if storage.kept:
            storage.number, storage.kept = storage.number.copy(), False
        self.number[index] = item.number if recorded else item
        before = storage.slot
        if before is None and source is None:
            return
        step = Assignment(chain, index, storage.number, before is not None, source is not None)
        storage.slot = tape.new_slot()
        slots = tuple(s for s in (before, source) if s is not None)
        tape.steps.append((step, slots, storage.slot))

    def __reduce__(self):
        raise ImplicitConversionError(
            "pickle: a number that is being recorded would lose its derivative; use z.copy() for a "
            "copy, z.value for what is to be kept"
        )

    def __repr__(self) -> str:
        return f"Recorded(shape={self.shape}, dtype={self.dtype},\n  value={self.value})"


class Assignment:
    """The step of target[index] = item: the tangent of the item, or 0, put into a copy."""

    def __init__(self, chain, index, number, has_base: bool, has_item: bool):
        self.chain, self.index = chain, index
        self.shape, self.dtype = np.shape(number), number.dtype
        self.order = memory_order(value_of(number))
        self.has_base, self.has_item = has_base, has_item
        self.in_place = False  # set where no one else reads the tangent of the target

    def __call__(self, *tangents):
        """Return the tangent of the target after the assignment."""
        item = tangents[-1] if self.has_item else 0
        if not self.has_base:
            dtype = np.result_type(item.dtype, self.dtype)
            base = np.zeros_like(item, shape=self.shape, dtype=dtype)
        elif (dtype := np.result_type(tangents[0].dtype, self.dtype)) != tangents[0].dtype:
            return self(tangents[0].astype(dtype), *tangents[1:])  # real, of complex numbers
        elif is_number(item) and not _holds(tangents[0], item):
            base = _writable_copy(tangents[0] + np.zeros_like(item, shape=()), self.order)
        elif self.in_place:
            base = tangents[0]
        else:
            base = _writable_copy(tangents[0], self.order)
        _follow(self.chain, base)[self.index] = item
        return base


def _holds(target, item) -> bool:
    """Tell whether a tangent has room for all the planes of another."""
    if not is_number(target) or isinstance(item, Recorded) or isinstance(target, Recorded):
        return isinstance(target, Recorded)
    return common_algebra([target.algebra, item.algebra]) is target.algebra


def _follow(chain, x):
    for view in chain:
        x = view(x)
    return x


def _frozen(index):
    """Return an index with copies of its arrays: indices are constants of the program."""
    if isinstance(index, tuple):
        return tuple(_frozen(item) for item in index)
    return index.copy() if isinstance(index, np.ndarray) else index
