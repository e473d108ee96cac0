"""`linearize`: run f once, then apply its derivative to any number of directions."""

from __future__ import annotations

import numpy as np

from mcx.algebra import algebra_of, fresh_factor
from mcx.array import Multicomplex
from mcx.derivatives import bound
from mcx.dispatch import is_number
from mcx.memory import copy_of
from mcx.record import Assignment, Recorded, Tape, shares_memory
from mcx.seeding import as_direction, as_point, coefficients_from
from mcx.table import degree_indices
from mcx.tree import tree_leaves, tree_map, tree_zip

# Directions run together as long as so many times the bytes that the program keeps are no more.
_BLOCK = 1 << 28


class _Output:
    """One array of the result: the slot of its tangent (None if zero), its shape and dtype."""

    def __init__(self, y, tape: Tape):
        own = isinstance(y, Recorded) and y.tape is tape
        self.slot = y.slot if own else None
        self.shape = np.shape(y)
        self.dtype = np.dtype(getattr(y, "dtype", type(y)))

    def read(self, tangents, p):
        if self.slot is None:
            dtype = np.result_type(p.dtype, self.dtype) if self.dtype.kind in "fc" else p.dtype
            return np.zeros_like(p, shape=self.shape, dtype=dtype)
        tangent = tangents[self.slot]
        writeable = not isinstance(tangent, np.ndarray) or tangent.flags.writeable
        return tangent if writeable and not shares_memory(tangent, p) else copy_of(tangent)


class Linearized:
    """The linear map p ↦ Df(x)[p] as a recorded program. Made by `mcx.linearize`.

    Attributes
    ----------
    nbytes : int
        Bytes of the arrays that the program keeps.
    """

    def __init__(self, tape: Tape, x, outputs):
        self._x = x
        self._outputs = tree_map(lambda y: _Output(y, tape), outputs)  # may record views
        self._steps = tuple(tape.steps)  # what is computed with a number that left f comes too late
        self._plan()
        self.nbytes = tape.nbytes

    def _plan(self):
        """Find the last use of every slot, and the assignments that may work in place."""
        kept = {output.slot for output in tree_leaves(self._outputs)}
        uses: dict[int, int] = {}
        for _, slots, _ in self._steps:
            for slot in slots:
                uses[slot] = uses.get(slot, 0) + 1
        producers = {out: step for step, _, out in self._steps}
        last: dict[int, int] = {}
        for number, (step, slots, _) in enumerate(self._steps):
            last.update(dict.fromkeys(slots, number))
            if isinstance(step, Assignment) and step.has_base:
                base = slots[0]
                fresh = isinstance(producers.get(base), Assignment)
                step.in_place = fresh and uses[base] == 1 and base not in kept
        self._dead: dict[int, list[int]] = {}
        for slot, number in last.items():
            if slot not in kept:
                self._dead.setdefault(number, []).append(slot)

    def __call__(self, p):
        """Return Df(x)[p], or for several directions Df(x)[p_1], … along a new first axis.

        Parameters
        ----------
        p : array of the shape of x, or (k, *shape of x)

        Raises
        ------
        ValueError
            If p has neither shape.
        """
        p = as_point(p, "p")
        if np.ndim(p) == np.ndim(self._x) + 1 and np.shape(p)[1:] == np.shape(self._x):
            return self._block(p)
        return self._run(as_direction(p, self._x, "p"))

    def _run(self, p):
        tangents = {0: p}
        for number, (step, slots, out) in enumerate(self._steps):
            tangents[out] = step(*(tangents[slot] for slot in slots))
            for slot in self._dead.get(number, ()):
                del tangents[slot]

        return tree_map(lambda output: output.read(tangents, p), self._outputs)

    def _block(self, directions):
        count = max(1, _BLOCK // max(1, self.nbytes))
        if is_number(directions) or count == 1 or len(directions) < 2:
            parts = [self._run(p) for p in directions] or [self._run(np.zeros_like(self._x))]
            return tree_zip(lambda *leaves: np.stack(leaves)[: len(directions)], *parts)
        starts = range(0, len(directions), count)
        parts = [self._together(directions[start : start + count]) for start in starts]
        return tree_zip(lambda *leaves: np.concatenate(leaves), *parts) if parts[1:] else parts[0]

    def _together(self, directions):
        """Return the images of a few directions, as planes of one tangent."""
        # The program is linear: the value plane carries a direction as well as any other.
        factor = fresh_factor(degree_indices(len(directions) - 1, 1))
        result = self._run(Multicomplex(directions.copy(), algebra_of((factor,))))
        return tree_map(lambda y: coefficients_from(y, factor, 0), result)


def linearize(f, x, *, args=(), argnum: int = 0, patch: bool = False):
    """Return (f(x), lin) with lin(p) = Df(x)[p], without running f again.

    f is called once, on a recording first-order number; `lin` then costs the linear steps alone:
    for a matrix product two products instead of three. Values, branches and indices are those of
    the one run.

    Parameters
    ----------
    f : callable
        ``f(x, *args)``; it may return a tuple, list or dict of arrays.
    x : array_like
        The point.
    args, argnum, patch
        As in `derivative`.

    Returns
    -------
    value : array, or the structure that f returns
    lin : Linearized
        ``lin(p)`` for p of the shape of x, or (k, *shape of x) for k directions at once;
        ``lin.nbytes`` is the memory that it keeps.

    Raises
    ------
    ValueError
        If argnum is not a position among the arguments; from `lin`, if p has neither shape.
    TypeError
        If f turns a recorded number into integers or another type that drops digits.

    Examples
    --------
    >>> import mcx, numpy as np
    >>> value, lin = mcx.linearize(lambda x: x * np.sin(x), np.array([0.0, np.pi]))
    >>> lin(np.ones(2))
    array([ 0.        , -3.14159265])
    >>> lin(np.eye(2)).shape
    (2, 2)

    References
    ----------
    A. Griewank and A. Walther, "Evaluating Derivatives", 2nd ed., SIAM 2008, chapter 3 (the linear
    steps of a forward sweep, kept for other directions).
    """
    x = copy_of(as_point(x))
    tape = Tape()
    seed = Recorded(tape, x, tape.new_slot())
    y = bound(f, args, argnum, patch)(seed)
    return tree_map(lambda leaf: _value(leaf, tape), y), Linearized(tape, x, y)


def _value(leaf, tape: Tape):
    """Return the value of a result, apart from what the program keeps."""
    if not isinstance(leaf, Recorded) or leaf.tape is not tape:
        return leaf
    return copy_of(leaf.number) if leaf.storage.kept else leaf.number
