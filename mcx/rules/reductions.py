"""Sums, products, differences, extrema, averages and norms."""

from __future__ import annotations

import math

import numpy as np

from mcx.dispatch import METHODS, is_number, register, value_of
from mcx.errors import UnsupportedFunctionError
from mcx.rules.versions import available
from mcx.verbs import Composed, Linear, Selection

for _func in (np.sum, *available("cumulative_sum")):
    register(_func, Linear((0,), value_only=("initial",)))
for _func in (np.mean, np.cumsum, np.trace, np.trapezoid, np.linalg.trace):
    register(_func, Linear((0,)))
register(np.diff, Linear((0,), value_only=("prepend", "append")))


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
    return np.reshape(moved, (-1, *np.shape(moved)[len(axes) :]))


def _no_more(name: str, *given) -> None:
    """Refuse keyword arguments that have no rule."""
    if any(not (x is None or x is np._NoValue or x is True) for x in given):
        raise UnsupportedFunctionError(
            f"numpy.{name} of a Multicomplex: expected axis, keepdims (and ddof) alone; initial=, "
            "where= and mean= have no rule yet: select with z[mask] first"
        )


def _kept(result, axes, keepdims):
    return np.expand_dims(result, axes) if keepdims is True else result


def _extreme(name: str, find):
    def choose(a, axis=None, out=None, keepdims=False, initial=None, where=None):
        _no_more(name, initial, where)
        axes = _axes(axis, np.ndim(a))
        winner = np.expand_dims(find(_front(a, axes), axis=0), 0)

        def pick(u):
            chosen = np.take_along_axis(_front(u, axes), winner, 0)[0]
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
    register(_func, Selection((0,), _extreme("max", np.argmax)))
for _func in dict.fromkeys((np.min, np.amin)):
    register(_func, Selection((0,), _extreme("min", np.argmin)))
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
    largest = np.max(np.abs(value_of(x)), axis=axes, keepdims=True)
    scale = np.where((largest == 0) | ~np.isfinite(largest), 1, largest)
    total = np.sum(_magnitude2(x / scale), axis=axes, keepdims=True)
    zero = value_of(total) == 0
    length = np.where(zero, 0, np.sqrt(np.where(zero, 1, total)) * scale)
    return length if keepdims is True else np.squeeze(length, axes)


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
    return np.sum(_magnitude2(d), axis=axes, keepdims=keepdims is True) / np.float64(count)


def _std(a, axis=None, dtype=None, out=None, ddof=0, keepdims=False, *, where=None, mean=None,
         correction=None):  # fmt: skip
    d, axes, count = _centred("std", a, axis, ddof, correction, (dtype, where, mean))
    return _length(d, axes, keepdims) / math.sqrt(count)


def _norm(x, ord=None, axis=None, keepdims=False):  # noqa: A002 - NumPy's name
    """Vector norms 2, 1, ±inf and the Frobenius norm."""
    axes = _axes(axis, x.ndim)
    if ord is None or (ord == 2 and len(axes) == 1) or (ord == "fro" and len(axes) == 2):
        return _length(x, axes, keepdims)
    if len(axes) == 1 and ord in (1, np.inf, -np.inf):
        reduce = {1: np.sum, np.inf: np.max, -np.inf: np.min}[ord]
        return reduce(np.abs(x), axis=axes[0], keepdims=keepdims)
    raise UnsupportedFunctionError(
        f"numpy.linalg.norm of a Multicomplex: expected ord None, 2, 1, inf, -inf for vectors or "
        f"'fro' for matrices, got {ord!r} over {len(axes)} axes; write it with singular values"
    )


def _vector_norm(x, /, *, axis=None, keepdims=False, ord=2):  # noqa: A002 - NumPy's name
    axes = _axes(axis, x.ndim)
    if ord == 2:
        return _length(x, axes, keepdims)
    return _norm(np.ravel(x) if axis is None else x, ord, None if axis is None else axes, keepdims)


COMPOSED = {
    np.prod: _prod,
    np.var: _var,
    np.std: _std,
    np.linalg.norm: _norm,
    np.linalg.vector_norm: _vector_norm,
}
for _func, _formula in COMPOSED.items():
    register(_func, Composed(_formula))


def _reduction(func):
    """Return func with the defaults of ufunc.reduce: the first axis."""

    def reduce(a, axis=0, dtype=None, keepdims=False, **kwargs):
        extra = {"dtype": dtype} if dtype is not None else {}
        return func(a, axis=axis, keepdims=keepdims, **extra, **kwargs)

    return reduce


METHODS.update(
    {
        (np.add, "reduce"): _reduction(np.sum),
        (np.multiply, "reduce"): _reduction(np.prod),
        (np.maximum, "reduce"): _reduction(np.max),
        (np.minimum, "reduce"): _reduction(np.min),
        (np.logical_and, "reduce"): _reduction(np.all),
        (np.logical_or, "reduce"): _reduction(np.any),
        (np.add, "accumulate"): lambda a, axis=0, **kwargs: np.cumsum(a, axis=axis, **kwargs),
    }
)


def _outer(func):
    def outer(x, y):
        x = x if is_number(x) else np.asarray(x)
        return func(np.reshape(x, (*np.shape(x), *(1,) * np.ndim(y))), y)

    return outer


METHODS.update({(f, "outer"): _outer(f) for f in (np.add, np.subtract, np.multiply, np.divide)})
