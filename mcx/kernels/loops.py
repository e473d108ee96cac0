"""Loops over the table: one compiled sum of products for tables too large to unroll.

`add_products` and `dot` take the place of the functions of the same name in `mcx.planes` and
`mcx.recurrences`: the same sums in the same order, in blocks that stay in the cache.
"""

from __future__ import annotations

import functools
import math

import numpy as np

from mcx import planes, recurrences
from mcx.kernels import cache, launch
from mcx.memory import new_buffer
from mcx.table import positions_of

_SOURCE = '''\
"""Compiled by mcx: sums of products of planes of {dtype}. Safe to delete."""
import numba
import numpy as np

clear_flags = numba.types.ExternalFunction("feclearexcept", numba.types.int32(numba.types.int32))
raised_flags = numba.types.ExternalFunction("fetestexcept", numba.types.int32(numba.types.int32))
BLOCK = 1024


@numba.njit(
    "i4({t}[:,::1], {t}[:,::1], {t}[:,::1], i8[::1], i8[::1], i8[:,::1], {t}, b1, i8, i8)",
    cache=True, nogil=True, error_model="numpy",
)
def kernel(x, y, out, targets, heads, pairs, sign, fresh, start, stop):
    """out[c] (0 if fresh) + sign * sum of x[a] * y[b] over the pairs of c, in order."""
    if raised_flags({flags}):
        clear_flags({flags})
    for begin in range(start, stop, BLOCK):
        end = min(begin + BLOCK, stop)
        for k in range(len(targets)):
            total = out[targets[k], begin:end]
            head, last = heads[k], heads[k + 1]
            if fresh:
                u, v = x[pairs[head, 0], begin:end], y[pairs[head, 1], begin:end]
                for i in range(end - begin):
                    total[i] = u[i] * v[i]
                head += 1
            while head + 4 <= last:
                u0, v0 = x[pairs[head, 0], begin:end], y[pairs[head, 1], begin:end]
                u1, v1 = x[pairs[head + 1, 0], begin:end], y[pairs[head + 1, 1], begin:end]
                u2, v2 = x[pairs[head + 2, 0], begin:end], y[pairs[head + 2, 1], begin:end]
                u3, v3 = x[pairs[head + 3, 0], begin:end], y[pairs[head + 3, 1], begin:end]
                for i in range(end - begin):
                    part = total[i] + sign * u0[i] * v0[i] + sign * u1[i] * v1[i]
                    total[i] = part + sign * u2[i] * v2[i] + sign * u3[i] * v3[i]
                head += 4
            while head < last:
                u, v = x[pairs[head, 0], begin:end], y[pairs[head, 1], begin:end]
                for i in range(end - begin):
                    total[i] += sign * u[i] * v[i]
                head += 1
    return raised_flags({flags})
'''


_COEFFICIENTS = 1 << 15  # of one buffer in one block of a recurrence


class Declined(Exception):
    """A floating-point exception occurred: the plain way shall compute, and warn."""


_work = 0


@functools.cache
def _compiled(char: str):
    """Return the compiled sum of products of a dtype, None where there is no Numba."""
    if not cache.numba_ready():
        return None
    dtype, short = {"f": ("float32", "f4"), "d": ("float64", "f8")}[char]
    source = _SOURCE.format(dtype=dtype, t=short, flags=cache.flags())
    return cache.loaded("products", source).kernel


def _ready(array, size: int):
    """Return the compiled sum for an array, None where there is none or it does not pay yet."""
    global _work
    if type(array) is not np.ndarray or array.dtype.char not in "fd" or not array.dtype.isnative:
        return None
    if _work < launch.WORK:
        _work += launch.CALL + size
        return None
    return _compiled(array.dtype.char)


class _Plan:
    """Pairs of planes, grouped by the plane that their products are added to."""

    def __init__(self, triples):
        groups: dict[int, list] = {}
        for a, b, c in triples:
            groups.setdefault(c, []).append((a, b))
        self.targets = np.array(list(groups), dtype=np.int64)
        lengths = [len(pairs) for pairs in groups.values()]
        self.heads = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        self.pairs = np.array([p for pairs in groups.values() for p in pairs], dtype=np.int64)


_MOST_PLANS = 4096
_plans: dict[int, tuple] = {}  # id of steps or pairs -> (they, which keeps the id, their plan)


def _plan_of(key, triples) -> _Plan:
    found = _plans.get(id(key))
    if found is None:
        if len(_plans) >= _MOST_PLANS:
            _plans.clear()
        found = _plans[id(key)] = (key, _Plan(triples(key)))
    return found[1]


def _triples_of_steps(steps):
    """Yield (a, b, c) of every product of grouped steps."""
    for left, right, target, _ in steps:
        many = left if not isinstance(left, int) else right
        for k, c in zip(_listed(many), _listed(target), strict=True):
            yield (left, k, c) if isinstance(left, int) else (k, right, c)


def _listed(selector):
    stop = selector.stop if isinstance(selector, slice) else 0
    return positions_of(selector, stop)


def add_products(out, x, y, steps, times=np.multiply):
    """As `mcx.planes.add_products`, compiled where the buffers allow.

    Raises
    ------
    Declined
        If a floating-point exception occurred; `out` is then of no use.
    """
    function = _ready(out, out.size) if times is np.multiply and steps else None
    signs = {step[3] for step in steps}
    shape = out.shape[1:]
    if not function or len(signs) > 1 or not _all_like(out, (x, y, out)):
        planes.add_products(out, x, y, steps, times)
        return
    plan = _plan_of(steps, _triples_of_steps)
    size = math.prod(shape)
    x, y = (launch.spread(b, shape).reshape(len(b), size) for b in (x, y))
    sign = out.dtype.type(signs.pop())
    total = out.reshape(len(out), size)
    ways = plan.targets, plan.heads, plan.pairs, sign, False
    if launch.on_threads(lambda start, stop: function(x, y, total, *ways, start, stop), size):
        raise Declined


def dot(u, v, pairs, out):
    """As `mcx.recurrences.dot`, compiled where the buffers allow."""
    function = _ready(u, out.size) if pairs else None
    if not function or not _all_like(out, (u, v, out)):
        recurrences.dot(u, v, pairs, out)
        return
    plan = _plan_of(pairs, lambda pairs: ((i, j, 0) for i, j in pairs))
    size = out.size
    u, v = (launch.spread(b, out.shape).reshape(len(b), size) for b in (u, v))
    total = out.reshape(1, size)
    one = out.dtype.type(1)
    function(u, v, total, plan.targets, plan.heads, plan.pairs, one, True, 0, size)


def by_recurrence(formula, z, y0, live: tuple[int, ...]):
    """Return the planes of an analytic function of a series, in blocks that stay in the cache.

    Returns
    -------
    buffer, or None where it is for Horner's rule to find: a plane is not finite.
    """
    if not _all_like(z, (z,)) or z.size <= _COEFFICIENTS or y0.dtype != z.dtype:
        with np.errstate(all="ignore"):
            out = formula(z, y0, live, dot)
        return out if out is not None and np.isfinite(out).all() else None
    size = z.size // len(z)
    flat, values, out = z.reshape(len(z), size), y0.reshape(size), new_buffer(z.shape, z.dtype)
    total, length = out.reshape(len(z), size), max(64, _COEFFICIENTS // len(z))

    def run(start, stop):
        for begin in range(start, stop, length):
            part = slice(begin, min(begin + length, stop))
            block = formula(np.ascontiguousarray(flat[:, part]), values[part], live, dot)
            if block is None or not np.isfinite(block).all():
                return 1
            total[:, part] = block
        return 0

    with np.errstate(all="ignore"):
        return None if launch.on_threads(run, size) else out


def _all_like(out, buffers) -> bool:
    return all(
        type(b) is np.ndarray and b.dtype == out.dtype and b.flags.c_contiguous for b in buffers
    )
