"""Calls of ufuncs: their options (out=, where=, dtype=, order=) and methods.

`Number.__array_ufunc__` comes here; the rules are those of the registry in `mcx.dispatch`.
"""

from __future__ import annotations

import numpy as np

from mcx.dispatch import (
    METHODS,
    RULES,
    cast,
    check_out,
    foreign,
    found,
    name_of,
    numbers_of,
    store,
    unsupported,
    value_of,
)


def _hands_over(number, operands) -> bool:
    """Tell whether to answer NotImplemented: a foreign type may know what to do."""
    own = type(number)
    for x in operands:
        kind = type(x)
        if kind is own or kind is float or kind is np.ndarray or kind is int:
            continue
        if foreign(x, number):
            return True
    return False


def call_ufunc(number, ufunc, method, inputs, kwargs):
    """Answer `__array_ufunc__`."""
    if _hands_over(number, inputs[::2] if method in ("at", "reduceat") else inputs):  # not indices
        return NotImplemented
    if method == "__call__" and not kwargs:
        rule = found(RULES, ufunc)
        if rule is None:
            raise unsupported(ufunc, inputs)
        return rule.apply(ufunc, _as_arrays(inputs), kwargs)
    return _call_with_options(number, ufunc, method, inputs, kwargs)


def _as_arrays(inputs):
    if list in map(type, inputs) or tuple in map(type, inputs):
        return tuple(np.asarray(x) if isinstance(x, (list, tuple)) else x for x in inputs)
    return inputs


def _call_with_options(number, ufunc, method, inputs, kwargs):
    """Answer a ufunc with out=, where=, dtype= or axis=, or one of its methods."""
    out = kwargs.pop("out", None)
    if out is not None and any(o is not None and foreign(o, number) for o in out):
        return NotImplemented
    if method != "__call__":
        return _call_method(ufunc, method, inputs, kwargs, out)
    rule = found(RULES, ufunc)
    if rule is None:
        raise unsupported(ufunc, (inputs, out))
    inputs, dispatched = _as_arrays(inputs), bool(numbers_of(inputs))
    where, order = kwargs.pop("where", True), kwargs.pop("order", "K")
    if kwargs and dispatched:
        inputs, kwargs = _cast(ufunc, inputs, kwargs)
    if where is not True:
        evaluate = rule.apply if dispatched else _plainly
        return _call_where(evaluate, ufunc, inputs, kwargs, out, where)
    if out is None:
        result = rule.apply(ufunc, inputs, kwargs)
        return result if order == "K" else _laid_out(result, order, inputs)
    evaluate = rule.into if dispatched else _plainly
    result = evaluate(ufunc, inputs, kwargs, out[0])
    return result if result is out[0] else store(ufunc, result, out, broadcast=True)


def _plainly(ufunc, inputs, kwargs, target=None):
    """Evaluate a ufunc of plain operands, whose out= alone is a number."""
    return ufunc(*inputs, **kwargs)


def _cast(ufunc, inputs, kwargs):
    """Apply dtype= and casting= as NumPy does, and let through only what the rules understand."""
    rest = {k: v for k, v in kwargs.items() if k not in ("dtype", "casting", "subok")}
    unknown = set(rest) - {"axis", "axes", "keepdims"}
    if unknown:
        raise unsupported(ufunc, inputs, f"keyword {sorted(unknown)} has no rule; use dtype=")
    like = [
        np.empty((0,) * max(np.ndim(x), 1), x.dtype) if hasattr(x, "dtype") else x for x in inputs
    ]
    options = {k: kwargs[k] for k in ("dtype", "casting") if k in kwargs}
    ufunc(*like, **options)  # raises where NumPy would not cast
    if options.get("dtype") is None:
        return inputs, rest
    given = [x.dtype if hasattr(x, "dtype") else type(x) for x in inputs]
    wanted = (None,) * ufunc.nin + (np.dtype(options["dtype"]),) * ufunc.nout
    loop = ufunc.resolve_dtypes((*given, *(None,) * ufunc.nout), signature=wanted, casting="unsafe")
    pairs = zip(inputs, loop[: ufunc.nin], strict=True)
    return tuple(cast(x, to) if hasattr(x, "dtype") else x for x, to in pairs), rest


def _laid_out(result, order, inputs):
    """Return a result, or a tuple of them, in the memory layout that order= asks for."""
    if isinstance(result, tuple):
        return tuple(_laid_out(part, order, inputs) for part in result)
    if order == "A":
        order = "F" if all(np.isfortran(value_of(x)) for x in inputs if np.ndim(x)) else "C"
    return np.copy(result, order=order)


def _call_where(evaluate, ufunc, inputs, kwargs, out, where):
    """Evaluate only the elements where the mask is True, so that no other can raise or be NaN."""
    if ufunc.signature is not None:
        raise TypeError(f"{name_of(ufunc)}: where= is for elementwise functions")
    targets = (None,) * ufunc.nout if out is None else out
    where = _mask(ufunc, value_of(where))
    operands = (*inputs, where, *(t for t in targets if t is not None))
    shape = np.broadcast_shapes(*map(np.shape, operands))
    mask = np.broadcast_to(where, shape)
    chosen = tuple(np.broadcast_to(x, shape)[mask] if np.ndim(x) else x for x in inputs)
    chosen = tuple(x if np.ndim(x) else x[()] if hasattr(x, "ndim") else x for x in chosen)
    results = evaluate(ufunc, chosen, kwargs)
    stored = []
    for part, target in zip(results if ufunc.nout > 1 else (results,), targets, strict=True):
        target = np.zeros_like(part, shape=shape) if target is None else target
        check_out(ufunc, part, target, shape)
        target[mask] = part
        stored.append(target)
    return stored[0] if len(stored) == 1 else tuple(stored)


def _mask(ufunc, where):
    """Return where= as truth values; an array of another type would be taken for indices."""
    if not hasattr(where, "dtype"):
        return np.asarray(where, bool)
    if where.dtype.kind != "b":
        raise TypeError(f"{name_of(ufunc)}: where: expected a mask of bool, got {where.dtype}")
    return where


def _call_method(ufunc, method, inputs, kwargs, out):
    """Answer a method of a ufunc through the function it amounts to."""
    if not numbers_of((inputs, kwargs)):
        result = getattr(ufunc, method)(*inputs, **kwargs)
        return store(ufunc, result, out)
    if method == "at":
        return found(METHODS, "at")(ufunc, *inputs, **kwargs)
    func = found(METHODS, (ufunc, method))
    if func is None:
        raise unsupported(ufunc, inputs, f"its method .{method} has no rule yet")
    result = func(*inputs, **kwargs)
    return result if out is None else store(ufunc, result, out)
