"""Products on stacks of planes: few large calls, each written straight into the result.

A product of numbers is a sum over pairs of planes. All planes of one operand that meet the same
plane of the other form one stack, and one call multiplies the whole stack: (k·B, I) times (I, O).
A *plan* lists these calls for a table and the live planes of both operands; it is made once.
"""

from __future__ import annotations

import heapq
import itertools
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from mcx import memory
from mcx.algebra import rows_in
from mcx.array import Multicomplex
from mcx.dispatch import is_number
from mcx.support import embedded, planes_in, product_mask, supported
from mcx.table import Table
from mcx.verbs.base import lifted


class Form(NamedTuple):
    """A product of two operands in the form that acts on stacks.

    Attributes
    ----------
    product : callable
        ``product(x, y, out)``: the product of a stack and a plane (or of a plane and a stack).
    left, right : arrays
        The operands (one may be None); a number is a stack of all its planes, along axis 0.
    shape : tuple of int
        Shape of one plane of the product, as `product` writes it.
    final : tuple of int
        The same with the axes that the function has.
    dtype : dtype
        Of the product.
    """

    product: object
    left: object
    right: object
    shape: tuple
    final: tuple
    dtype: np.dtype


class Step(NamedTuple):
    """One call: rows of a stack times one row of the other operand.

    Attributes
    ----------
    left : bool
        Whether the stack is the left operand.
    rows : slice
        Rows of the stack.
    one : int
        Row of the other operand.
    target : slice or int
        Where the products go: rows of the result that nothing has reached yet, or else (an int)
        as many rows of the scratch memory.
    sums : tuple of (ufunc, slice, slice)
        How rows of the scratch memory are added to rows of the result.
    """

    left: bool
    rows: slice
    one: int
    target: slice | int
    sums: tuple


class Plan(NamedTuple):
    """Calls of a product, rows of scratch memory, whether rows start as zeros, the live planes."""

    steps: tuple[Step, ...]
    scratch: int
    zeros: bool
    live: int


def folded(lower, names, args, kwargs):
    """Return the product of two operands in few calls, None where it has no such form.

    Parameters
    ----------
    lower : callable
        ``lower(x, y, kx, ky, **options)`` returns the `Form` of two arrays, or None. The first
        kx (ky) axes, True for a number and False for a plain operand, are planes.
    names : tuple of str
        Options that may follow the operands, in order.
    args, kwargs
        The arguments of the call.
    """
    options = {}
    if len(args) != 2 or kwargs:
        options = _options(names, args, kwargs)
        if options is None:
            return None
    x, y = args[:2]
    kx, ky = is_number(x), is_number(y)
    left, right = x._planes if kx else x, y._planes if ky else y
    if not (hasattr(left, "shape") and hasattr(right, "shape")):
        return None
    form = lower(left, right, kx, ky, **options)
    if form is None:
        return None
    return evaluated(form, (x, y) if kx and ky else (x,) if kx else (y,), kx)


def _options(names, args, kwargs):
    """Return the arguments after the operands by name, None if there are unknown ones."""
    if len(args) < 2 or len(args) > 2 + len(names) or not kwargs.keys() <= set(names):
        return None
    options = {**dict(zip(names, args[2:], strict=False)), **kwargs}
    if options.get("out", 0) is None:
        del options["out"]
    return options


def evaluated(form: Form, numbers, left_moves: bool):
    """Return the number with the given form; `numbers` are its operands that are numbers."""
    product, left, right, shape, final, dtype = form
    number = numbers[0]
    algebra = number.algebra
    if len(numbers) == 1:
        plan = plan_of_one(number.live, algebra.size, left_moves)
    elif numbers[1].algebra is algebra:
        plan = plan_of_two(algebra.table, number.live, numbers[1].live, None, None)
    else:
        algebra = lifted(numbers)
        masks, rows = zip(*(source_in(n, algebra) for n in numbers), strict=True)
        plan = plan_of_two(algebra.table, *masks, *rows)
    if len(numbers) == 1:  # the plain operand is the only plane of its kind
        left, right = (left, (right,)) if left_moves else ((left,), right)
    out = new_buffer(number._planes, (algebra.size, *shape), dtype, plan.zeros)
    _run(plan, product, left, right, out)
    if final != shape:
        out = out.reshape(algebra.size, *final)
    return Multicomplex(out, algebra, supported(plan.live, algebra))


def new_buffer(like, shape, dtype, zeros: bool):
    """Return a new buffer of a shape and dtype, of unset memory or of zeros."""
    if type(like) is not np.ndarray:
        return (np.zeros_like if zeros else np.empty_like)(like, shape=shape, dtype=dtype)
    out = memory.new_buffer(shape, np.dtype(dtype))
    if zeros:
        out.fill(0)
    return out


def _run(plan: Plan, product, left, right, out):
    scratch = None
    for step in plan.steps:
        if type(step.target) is slice:
            target = out[step.target]
        else:
            if scratch is None:
                scratch = np.empty_like(out, shape=(plan.scratch, *out.shape[1:]))
            target = scratch[: step.target]
        if step.left:
            product(left[step.rows], right[step.one], target)
        else:
            product(left[step.one], right[step.rows], target)
        for combine, part, where in step.sums:
            total = out[where]
            combine(total, scratch[part], out=total)


def source_in(number, algebra):
    """Return (the planes of an algebra that are live in a number, its row for each or None)."""
    if number.algebra is algebra:
        return number.live, None
    return embedded(number.live, number.algebra, algebra), rows_in(number.algebra, algebra)


@lru_cache(maxsize=1024)
def plan_of_one(live: int, size: int, left: bool) -> Plan:
    """Return the plan of a product of a number (on the left, or not) and a plain operand."""
    runs = _progressions([(k, k) for k in planes_in(live)])
    rows = [_slice([k for k, _ in run]) for run in runs]
    steps = tuple(Step(left, r, 0, r, ()) for r in rows)
    return Plan(steps, 0, live != (1 << size) - 1, live)


@lru_cache(maxsize=1024)
def plan_of_two(table: Table, left: int, right: int, left_rows, right_rows) -> Plan:
    """Return the plan with the fewest calls for two numbers.

    `left` and `right` are masks of live planes, `left_rows` and `right_rows` where the numbers keep
    these planes (None where row k is plane k).
    """
    pairs = [
        (a if left_rows is None else left_rows[a], b if right_rows is None else right_rows[b], c, s)
        for a, b, c, s in table.triples
        if left >> a & 1 and right >> b & 1
    ]
    covers = (_cover(pairs, sides) for sides in ((1,), (0,), (1, 0)))
    calls = min(map(_calls, covers), key=len)  # the first: a stack on the left makes one large GEMM
    calls.sort(key=lambda call: (call[2][0][1] != 0, -len(call[2])))
    steps, reached = [], set()
    for is_left, one, run in calls:
        steps.append(_step(is_left, one, run, reached))
        reached.update(c for _, c, _ in run)
    scratch = max((s.target for s in steps if type(s.target) is int), default=0)
    direct = {k for s in steps if type(s.target) is slice for k in _range(s.target)}
    live = product_mask(table, left, right)
    return Plan(tuple(steps), scratch, len(direct) < table.size, live)


def _cover(pairs, sides):
    """Split pairs into groups that share one plane, of the left (0) or right (1) operand.

    With both sides to choose from, the plane that most of the remaining pairs share goes first.

    Returns
    -------
    list of (side, plane, pairs)
    """
    shared: dict[tuple, dict] = {}  # dicts as ordered sets
    for pair in pairs:
        for side in sides:
            shared.setdefault((side, pair[side]), {})[pair] = None
    heap = [(-len(group), -side, plane) for (side, plane), group in shared.items()]
    heapq.heapify(heap)
    groups = []
    while heap:
        count, side, plane = heapq.heappop(heap)
        group = shared[-side, plane]
        if len(group) < -count:  # others took some of its pairs
            if group:
                heapq.heappush(heap, (-len(group), side, plane))
            continue
        groups.append((-side, plane, list(group)))
        for pair in groups[-1][2]:
            for other in sides:
                del shared[other, pair[other]][pair]
    return groups


def _calls(groups):
    """Return calls (stack on the left?, one plane, [(row, plane of the result, sign)])."""
    return [
        (side == 1, plane, run)
        for side, plane, pairs in groups
        for run in _progressions(sorted((pair[1 - side], *pair[2:]) for pair in pairs))
    ]


def _progressions(members):
    """Split members, sorted by their first item (a row), into runs with equally spaced rows."""
    runs: list[list] = []
    for member in members:
        run = runs[-1] if runs else []
        if len(run) == 1 or (len(run) > 1 and member[0] - run[-1][0] == run[1][0] - run[0][0]):
            run.append(member)
        else:
            runs.append([member])
    return runs


def _slice(rows) -> slice:
    """Return equally spaced, increasing rows as a slice."""
    return slice(rows[0], rows[-1] + 1, rows[1] - rows[0] if len(rows) > 1 else 1)


def _range(rows: slice):
    return range(rows.start, rows.stop, rows.step)


def _spaced(planes) -> bool:
    """Tell whether planes are increasing and equally spaced."""
    steps = {b - a for a, b in itertools.pairwise(planes)}
    return len(steps) < 2 and all(step > 0 for step in steps)


def _step(is_left: bool, one: int, run, reached) -> Step:
    """Return the step of a call; `reached` are the planes of the result with something in them."""
    rows, planes = _slice([row for row, _, _ in run]), [c for _, c, _ in run]
    if _spaced(planes) and not reached.intersection(planes) and all(s > 0 for *_, s in run):
        return Step(is_left, rows, one, _slice(planes), ())
    groups: list[list] = []
    for k, (_, c, sign) in enumerate(run):
        last = groups[-1] if groups else []
        if last and last[0][2] == sign and _spaced([*(g[1] for g in last), c]):
            last.append((k, c, sign))
        else:
            groups.append([(k, c, sign)])
    sums = tuple(
        (
            np.add if group[0][2] > 0 else np.subtract,
            slice(group[0][0], group[-1][0] + 1),
            _slice([c for _, c, _ in group]),
        )
        for group in groups
    )
    return Step(is_left, rows, one, len(run), sums)


def matrix_product(x, y, out):
    """Write the product of a stack of matrices and a matrix into out, as one where that is a view.

    The rows of all matrices of a contiguous stack are the rows of one, as are those of row vectors.
    """
    if y.ndim == 2 and x.ndim > 2:
        if x.ndim == 3 and x.shape[1] == 1:
            x, out = x[:, 0], out[:, 0]
        elif x.flags.c_contiguous and out.flags.c_contiguous and x.size and out.size:
            x, out = x.reshape(-1, x.shape[-1]), out.reshape(-1, out.shape[-1])
    np.matmul(x, y, out=out)
