"""Sums, products, differences, extrema, averages and norms."""

from __future__ import annotations

import functools
import itertools
import math

import numpy as np

from mcx.dispatch import METHODS, RULES, is_number, register, value_of
from mcx.errors import UnsupportedFunctionError
from mcx.rules.versions import available
from mcx.verbs import Composed, Linear, Reduction, Selection

register(np.sum, Reduction((0,), value_only=("initial",)))
register(np.mean, Reduction((0,)))
for _func in available("cumulative_sum"):
    register(_func, Linear((0,), value_only=("initial",)))
for _func in (np.cumsum, np.trace, np.linalg.trace):
    register(_func, Linear((0,)))


def _along(x, axis: int, part):
    """Return x[part] along one axis."""
    return x[(slice(None),) * (axis % x.ndim) + (part,)]


def _diff(a, n=1, axis=-1, prepend=np._NoValue, append=np._NoValue):
    shape = list(np.shape(a))
    shape[axis] = 1
    ends = [
        end if end is np._NoValue or np.ndim(end) else np.broadcast_to(end, tuple(shape))
        for end in (prepend, append)
    ]
    parts = [part for part in (ends[0], a, ends[1]) if part is not np._NoValue]
    a = np.concatenate(parts, axis=axis) if len(parts) > 1 else a
    for _ in range(n):
        a = _along(a, axis, slice(1, None)) - _along(a, axis, slice(None, -1))
    return a if n or len(parts) > 1 else a.copy()


def _trapezoid(y, x=None, dx=1.0, axis=-1):
    width = dx
    if x is not None:
        width = np.diff(x, axis=axis if np.ndim(x) > 1 else -1)
        if np.ndim(x) == 1:
            width = np.reshape(width, (-1, *(1,) * (np.ndim(y) - 1 - axis % np.ndim(y))))
    total = _along(y, axis, slice(1, None)) + _along(y, axis, slice(None, -1))
    return np.sum(width * total / 2.0, axis=axis)


def _axes(axis, ndim: int) -> tuple[int, ...]:
    """Return the axes of a reduction as a tuple of non-negative ints."""
    if axis is None:
        return tuple(range(ndim))
    axes = axis if isinstance(axis, tuple) else (axis,)
    return tuple(np.lib.array_utils.normalize_axis_index(int(k), ndim) for k in axes)


def _front(x, axes: tuple[int, ...]):
    """Return x with the given axes merged into one first axis."""
    if len(axes) == 1:
        return np.moveaxis(x, axes[0], 0)
    moved = np.moveaxis(x, axes, range(len(axes)))
    shape = np.shape(moved)
    return np.reshape(moved, (math.prod(shape[: len(axes)]), *shape[len(axes) :]))


def _no_more(name: str, *given) -> None:
    """Refuse keyword arguments that have no rule."""
    if any(not (x is None or x is np._NoValue or x is True) for x in given):
        raise UnsupportedFunctionError(
            f"numpy.{name} of a Multicomplex: expected axis, keepdims (and ddof) alone; initial=, "
            "where= and mean= have no rule yet: select with z[mask] first"
        )


def _keeps(keepdims) -> bool:
    """Return keepdims= as a bool: NumPy takes any truth value, and its mark for not given."""
    return keepdims is not np._NoValue and bool(keepdims)


def _kept(result, axes, keepdims):
    return np.expand_dims(result, axes) if _keeps(keepdims) else result


def _extreme(find, better, worst):
    """Return the choice of NumPy's extremum: the first of equal elements, or the initial value."""

    def choose(a, axis=None, out=None, keepdims=False, initial=None, where=True):
        axes = _axes(axis, np.ndim(a))
        a = a if where is True or where is np._NoValue else np.where(where, a, worst)
        front = _front(a, axes)
        winner = np.expand_dims(find(front, axis=0), 0)
        initial = None if initial is np._NoValue else initial
        wins = initial is not None and better(initial, np.take_along_axis(front, winner, 0)[0])

        def pick(u):
            chosen = np.take_along_axis(_front(u, axes), winner, 0)[0]
            chosen = chosen if initial is None else np.where(wins, 0, chosen)
            return _kept(chosen, axes, keepdims)

        return pick

    return choose


def _sort(a, axis=-1, kind=None, order=None, *, stable=None):
    if axis is None:
        order = np.argsort(np.ravel(a), kind="stable")
        return lambda u: np.ravel(u)[order]
    order = np.argsort(a, axis=axis, kind="stable")
    return lambda u: np.take_along_axis(u, order, axis)


for _func in dict.fromkeys((np.max, np.amax)):
    register(_func, Selection((0,), _extreme(np.argmax, np.greater, -np.inf)))
for _func in dict.fromkeys((np.min, np.amin)):
    register(_func, Selection((0,), _extreme(np.argmin, np.less, np.inf)))
register(np.sort, Selection((0,), _sort))


def _prod(a, axis=None, dtype=None, out=None, keepdims=False, initial=None, where=None):
    """Products of pairs: exact with any number of zeros among the factors."""
    _no_more("prod", dtype, initial, where)
    axes = _axes(axis, a.ndim)
    factors = _front(a, axes)
    while len(factors) > 1:
        half = len(factors) // 2
        pairs = factors[:half] * factors[half : 2 * half]
        factors = np.concatenate([pairs, factors[2 * half :]]) if len(factors) % 2 else pairs
    product = factors[0] if len(factors) else np.sum(factors, axis=0) + 1
    return _kept(product, axes, keepdims)


def _magnitude2(x):
    """|x|² elementwise, analytic in the real parameters."""
    return x * x if x.dtype.kind == "f" else np.real(x) ** 2 + np.imag(x) ** 2


def _length(x, axes, keepdims=False):
    """√Σ|x|² over the axes, with gradient 0 at 0, scaled so that no square overflows."""
    most = np.max if x.size else np.sum  # nothing has no largest element, but the sum 0
    largest = most(np.abs(value_of(x)), axis=axes, keepdims=True)
    scale = np.where((largest == 0) | ~np.isfinite(largest), 1, largest)
    total = np.sum(_magnitude2(x / scale), axis=axes, keepdims=True)
    zero = value_of(total) == 0
    length = np.where(zero, 0, np.sqrt(np.where(zero, 1, total)) * scale)
    return length if _keeps(keepdims) else np.squeeze(length, axes)


def _centred(name, a, axis, ddof, correction, given):
    """Return (a − mean, axes, N − ddof)."""
    _no_more(name, *given)
    axes = _axes(axis, a.ndim)
    count = math.prod(a.shape[k] for k in axes)
    ddof = ddof if correction is None or correction is np._NoValue else correction
    return a - np.mean(a, axis=axes, keepdims=True), axes, max(count - ddof, 0)


def _var(a, axis=None, dtype=None, out=None, ddof=0, keepdims=False, *, where=None, mean=None,
         correction=None):  # fmt: skip
    d, axes, count = _centred("var", a, axis, ddof, correction, (dtype, where, mean))
    return np.sum(_magnitude2(d), axis=axes, keepdims=_keeps(keepdims)) / count


def _std(a, axis=None, dtype=None, out=None, ddof=0, keepdims=False, *, where=None, mean=None,
         correction=None):  # fmt: skip
    d, axes, count = _centred("std", a, axis, ddof, correction, (dtype, where, mean))
    return _length(d, axes, keepdims) / count**0.5


def _average(a, axis=None, weights=None, returned=False, *, keepdims=np._NoValue):
    """Σ w a / Σ w; with `returned` only the plain way."""
    _no_more("average", returned or None)
    keepdims = _keeps(keepdims)
    if weights is None:
        return np.mean(a, axis=axis, keepdims=keepdims)
    if np.ndim(weights) == 1 and np.ndim(a) > 1:
        weights = np.reshape(weights, (-1, *(1,) * (np.ndim(a) - 1 - axis % np.ndim(a))))
    weights = np.broadcast_to(weights, np.shape(a))
    total = np.sum(weights, axis=axis, keepdims=keepdims)
    return np.sum(a * weights, axis=axis, keepdims=keepdims) / total


def _norm(x, ord=None, axis=None, keepdims=False):
    """Vector norms of any order but 0; Frobenius, 1 and ±inf norms of matrices."""
    axes = _axes(axis, x.ndim)
    if ord is None or (ord == 2 and len(axes) == 1) or (ord == "fro" and len(axes) == 2):
        return _length(x, axes, keepdims)
    if len(axes) == 2 and ord in (1, -1, np.inf, -np.inf):
        inner, outer = axes if abs(ord) == 1 else axes[::-1]
        sums = np.sum(np.abs(x), axis=inner, keepdims=True)
        largest = (np.max if ord > 0 else np.min)(sums, axis=outer, keepdims=True)
        return largest if keepdims else np.squeeze(largest, axes)
    if len(axes) == 1 and ord in (np.inf, -np.inf):
        return (np.max if ord > 0 else np.min)(np.abs(x), axis=axes[0], keepdims=keepdims)
    if len(axes) == 1 and isinstance(ord, (int, float)) and ord != 0:
        total = np.sum(np.abs(x) ** ord, axis=axes[0], keepdims=keepdims)
        return total if ord == 1 else total ** (1.0 / ord)
    raise UnsupportedFunctionError(
        f"numpy.linalg.norm of a Multicomplex: expected a vector norm of order not 0, or 'fro', 1, "
        f"-1, inf, -inf for matrices, got {ord!r} over {len(axes)} axes; the others need singular "
        "values, which have no rule yet"
    )


def _vector_norm(x, /, *, axis=None, keepdims=False, ord=2):
    axes = _axes(axis, x.ndim)
    if ord == 2:
        return _length(x, axes, keepdims)
    return _kept(_norm(_front(x, axes), ord, 0), axes, keepdims)


COMPOSED = {
    np.average: _average,
    np.diff: _diff,
    np.trapezoid: _trapezoid,
    np.prod: _prod,
    np.var: _var,
    np.std: _std,
    np.linalg.norm: _norm,
    np.linalg.vector_norm: _vector_norm,
}
for _func, _formula in COMPOSED.items():
    register(_func, Composed(_formula))


def _folded(ufunc):
    """ufunc.reduce as repeated application along one axis."""

    def reduce(a, axis=0, dtype=None, keepdims=False, initial=None, where=True):
        _no_more(f"{ufunc.__name__}.reduce", dtype, where)
        axes = _axes(axis, a.ndim)
        items = list(_front(a, axes))
        items = items if initial is None or initial is np._NoValue else [initial, *items]
        return _kept(functools.reduce(ufunc, items), axes, keepdims)

    return reduce


def _accumulated(ufunc):
    def accumulate(a, axis=0, dtype=None):
        _no_more(f"{ufunc.__name__}.accumulate", dtype)
        items = np.moveaxis(a, axis, 0)
        return np.stack(list(itertools.accumulate(items, ufunc)), axis=axis)

    return accumulate


def _reduced_at(ufunc):
    def reduceat(a, indices, axis=0, dtype=None):
        _no_more(f"{ufunc.__name__}.reduceat", dtype)
        items, ends = np.moveaxis(a, axis, 0), [*indices[1:], np.shape(a)[axis]]
        parts = [
            functools.reduce(ufunc, list(items[start : max(end, start + 1)]))
            for start, end in zip(indices, ends, strict=True)
        ]
        return np.stack(parts, axis=axis)

    return reduceat


def _outer(ufunc):
    def outer(x, y):
        x = x if is_number(x) else np.asarray(x)
        return ufunc(np.reshape(x, (*np.shape(x), *(1,) * np.ndim(y))), y)

    return outer


def _method(ufunc, name: str, formula):
    """Return a ufunc's method on numbers: a formula, with the value of NumPy's own call."""
    own = getattr(ufunc, name)
    rule = Composed(formula)

    def method(*args, **kwargs):
        return rule.apply(own, args, kwargs)

    return method


def _as_function(func):
    """Return the method .reduce of a ufunc through the function it amounts to."""

    def reduce(a, axis=0, **kwargs):
        return func(a, axis=axis, **kwargs)

    return reduce


_REDUCTIONS = {
    np.add: np.sum, np.multiply: np.prod, np.maximum: np.max, np.minimum: np.min,
    np.logical_and: np.all, np.logical_or: np.any,
}  # fmt: skip
METHODS.update({(ufunc, "reduce"): _as_function(func) for ufunc, func in _REDUCTIONS.items()})
METHODS[np.add, "accumulate"] = _as_function(np.cumsum)

_METHODS = {"reduce": _folded, "accumulate": _accumulated, "reduceat": _reduced_at, "outer": _outer}
for _func in [f for f in RULES if isinstance(f, np.ufunc) and (f.nin, f.nout) == (2, 1)]:
    if RULES[_func].verb != "value" and _func.signature is None:
        for _name, _formula in _METHODS.items():
            METHODS.setdefault((_func, _name), _method(_func, _name, _formula(_func)))
