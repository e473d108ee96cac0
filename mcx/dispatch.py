"""Dispatch: one registry of rules, keyed by the NumPy function object; closed by default.

`Number.__array_ufunc__` and `Number.__array_function__` come here. A function without a rule is
an error that names it; a foreign operand type gets `NotImplemented`, so that it may answer itself.
"""

from __future__ import annotations

import inspect
import numbers
import sys
from functools import lru_cache
from importlib import import_module

import numpy as np

from mcx.errors import ImplicitConversionError, UnsupportedFunctionError

RULES: dict = {}  # function object -> rule (an object with .verb and .apply)
REFUSED: dict = {}  # function object -> reason
REFUSED_MODULES: dict[str, str] = {}  # module prefix -> reason, for modules NumPy loads lazily
METHODS: dict = {}  # (ufunc, method name) -> function with the same meaning
CHAPTERS: dict[str, str] = {}  # module of rules that a first miss imports -> package it is for

# Signatures of NumPy's C functions, where NumPy does not tell them.
_SIGNATURES = {
    np.concatenate: ("arrays", "axis", "out"),
    np.dot: ("a", "b", "out"),
    np.inner: ("a", "b"),
    np.vdot: ("a", "b"),
    np.where: ("condition", "x", "y"),
}

_PLAIN = (numbers.Number, np.generic)
_NESTS = (list, tuple, dict)


class Number:
    """What dispatches: the common root of `Multicomplex` and the recorder's numbers."""

    __slots__ = ()


def is_number(x) -> bool:
    """Tell whether x carries derivatives."""
    return isinstance(x, Number)


def numbers_of(x):
    """Return the numbers in (nested) arguments, in order."""
    if isinstance(x, Number):
        return [x]
    if not isinstance(x, _NESTS):
        return []
    found = []
    for item in x.values() if isinstance(x, dict) else x:
        if isinstance(item, Number):
            found.append(item)
        elif isinstance(item, _NESTS):
            found.extend(numbers_of(item))
    return found


def value_of(x):
    """Return the value plane of a number, or of the numbers in a sequence; others as they are."""
    if isinstance(x, Number):
        return value_of(x.value) if isinstance(x.value, Number) else x.value
    if isinstance(x, (list, tuple)):
        return type(x)(value_of(item) for item in x)
    return x


def name_of(func) -> str:
    """Return the public name of a NumPy function, for messages."""
    module = getattr(func, "__module__", None) or "numpy"
    name = getattr(func, "__qualname__", None) or getattr(func, "__name__", repr(func))
    return f"{'numpy' if isinstance(func, np.ufunc) else module}.{name}"


def public(func):
    """Return the function of the numpy namespace of which this is the twin for ``like=``."""
    if isinstance(func, np.ufunc) or getattr(func, "__module__", None) != "numpy":
        return func
    return getattr(np, func.__name__, func)


def classify(func) -> str:
    """Return the verb of the rule for a function, or "refused".

    Raises
    ------
    KeyError
        If the function is in no group (or in two).
    """
    func = public(func)
    load_chapters()
    groups = []
    if func in RULES:
        groups.append(RULES[func].verb)
    if reason_refused(func) is not None:
        groups.append("refused")
    if len(groups) != 1:
        raise KeyError(f"{name_of(func)}: expected exactly one group, got {groups or 'none'}")
    return groups[0]


def reason_refused(func) -> str | None:
    """Return why a function is refused, None if it is not."""
    if func in REFUSED:
        return REFUSED[func]
    if isinstance(func, np.ufunc) and func not in RULES:
        if getattr(np._core.umath, func.__name__, None) is func and not hasattr(np, func.__name__):
            return "it is private to NumPy"
        if not any("d" in types for types in func.types):
            return "it has no loop for floating-point numbers, so no derivative"
    module = getattr(func, "__module__", None) or ""
    for prefix, reason in REFUSED_MODULES.items():
        if module == prefix or module.startswith(prefix + "."):
            return reason
    return None


def load_chapters() -> bool:
    """Import the chapters of rules whose package is in use, and tell whether any is new."""
    due = [chapter for chapter, package in CHAPTERS.items() if package in sys.modules]
    for chapter in due:
        import_module(chapter)
        CHAPTERS.pop(chapter, None)
    return bool(due)


def found(table: dict, key):
    """Return the entry of a table of rules, after loading further chapters if need be, or None."""
    entry = table.get(key)
    return table.get(key) if entry is None and load_chapters() else entry


def register(func, rule) -> None:
    """Enter a rule into the registry; one function has one rule."""
    if func in RULES or func in REFUSED:
        raise ValueError(f"{name_of(func)}: it already has a rule; one function has one rule")
    RULES[func] = rule


def unsupported(func, args, what: str = "") -> UnsupportedFunctionError:
    """Return the error for a function (or a use of it) that has no rule."""
    number = numbers_of(args)[0]
    reason = what or reason_refused(func) or "no rule is registered for it"
    return UnsupportedFunctionError(
        f"{name_of(func)} on a {type(number).__name__} of order {number.order}, shape "
        f"{number.shape}: {reason}. Write it with supported functions, or compute it on z.value if "
        "no derivative is wanted."
    )


def _foreign(x, number) -> bool:
    """Tell whether an operand is of a type these rules do not know."""
    if isinstance(x, (Number, *_PLAIN)) or x is None:
        return False
    if isinstance(x, np.ndarray):
        return type(x) not in (np.ndarray, np.memmap)
    if isinstance(x, (list, tuple)):
        return any(_foreign(item, number) for item in x)
    return type(x) is not type(number._buffer)


def _hands_over(number, operands) -> bool:
    """Tell whether to answer NotImplemented: a foreign type, or a number that comes first.

    NumPy asks one operand of each type, so numbers of one type settle their rank in the rule.
    """
    own = type(number)
    for x in operands:
        kind = type(x)
        if kind is own or kind is float or kind is np.ndarray or kind is int:
            continue
        if isinstance(x, Number) and x.rank > number.rank:
            return True
        if _foreign(x, number):
            return True
    return False


def call_ufunc(number, ufunc, method, inputs, kwargs):
    """Answer `__array_ufunc__`."""
    if _hands_over(number, inputs):
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
    if out is not None and any(o is not None and _foreign(o, number) for o in out):
        return NotImplemented
    if not numbers_of(inputs):
        raise TypeError(
            f"{name_of(ufunc)}: expected a Multicomplex operand, got only a Multicomplex out=; "
            "assign with z[...] = result"
        )
    if method != "__call__":
        return _call_method(ufunc, method, inputs, kwargs, out)
    rule = found(RULES, ufunc)
    if rule is None:
        raise unsupported(ufunc, inputs)
    inputs = _as_arrays(inputs)
    where = kwargs.pop("where", True)
    if kwargs:
        inputs, kwargs = _cast(ufunc, inputs, kwargs)
    if where is not True:
        return _call_where(rule, ufunc, inputs, out, where)
    if out is None:
        return rule.apply(ufunc, inputs, kwargs)
    result = rule.into(ufunc, inputs, kwargs, out[0])
    return result if result is out[0] else store(ufunc, result, out)


def _cast(ufunc, inputs, kwargs):
    """Apply dtype=, and let through only what the rules understand."""
    rest = dict(kwargs)
    dtype = rest.pop("dtype", None)
    if rest.pop("casting", "same_kind") != "same_kind" or rest.pop("order", "K") not in "KCA":
        raise unsupported(ufunc, inputs, "casting= and order= are supported at their defaults only")
    rest.pop("subok", None)
    unknown = set(rest) - {"axis", "axes", "keepdims"}
    if unknown or ("axes" in rest and rest["axes"] is not None):
        raise unsupported(ufunc, inputs, f"keyword {sorted(unknown) or 'axes'} has no rule")
    if dtype is not None:
        inputs = tuple(x.astype(dtype) if hasattr(x, "astype") else x for x in inputs)
    return inputs, rest


def _call_where(rule, ufunc, inputs, out, where):
    """Evaluate only the elements where the mask is True, so that no other can raise or be NaN."""
    where = value_of(where)
    shapes = [np.shape(x) for x in inputs]
    shape = np.broadcast_shapes(*shapes, np.shape(where))
    mask = np.broadcast_to(where, shape)
    chosen = tuple(np.broadcast_to(x, shape)[mask] if np.ndim(x) else x for x in inputs)
    chosen = tuple(x if np.ndim(x) else x[()] if hasattr(x, "ndim") else x for x in chosen)
    result = rule.apply(ufunc, chosen, {})
    if isinstance(result, tuple):
        raise unsupported(ufunc, inputs, "where= has no rule for functions with several results")
    target = out[0] if out is not None else np.zeros_like(result, shape=shape)
    if is_number(result) and not is_number(target):
        raise real_out(ufunc)
    target[mask] = result
    return target


def _call_method(ufunc, method, inputs, kwargs, out):
    """Answer ufunc.reduce, ufunc.accumulate and ufunc.outer through the function they amount to."""
    func = found(METHODS, (ufunc, method))
    if func is None:
        raise unsupported(ufunc, inputs, f"its method .{method} has no rule yet")
    result = func(*inputs, **kwargs)
    return result if out is None else store(ufunc, result, out)


def call_function(number, func, types, args, kwargs):
    """Answer `__array_function__`."""
    for t in types:
        known = issubclass(t, Number) or t in (np.ndarray, np.memmap, type(number._buffer))
        if not known:
            return NotImplemented
    if any(
        n.rank > number.rank and type(n) is not type(number) for n in numbers_of((args, kwargs))
    ):
        return NotImplemented
    rule = found(RULES, func)
    if rule is None:
        raise unsupported(func, (args, kwargs, number))
    args, kwargs, out = _without_out(func, args, kwargs)
    if out is not None:
        result = rule.apply(func, args, kwargs, number)
        return store(func, result, out if isinstance(out, tuple) else (out,))
    return rule.apply(func, args, kwargs, number)


def _without_out(func, args, kwargs):
    """Take out= from the arguments, wherever it stands."""
    names = signature_of(func)
    place = names.index("out") if "out" in names else len(args)
    if place < len(args):
        return (*args[:place], None, *args[place + 1 :]), kwargs, args[place]
    if "out" in kwargs:
        return args, {k: v for k, v in kwargs.items() if k != "out"}, kwargs["out"]
    return args, kwargs, None


def real_out(func) -> ImplicitConversionError:
    """Return the error for writing a number into a plain array."""
    return ImplicitConversionError(
        f"{name_of(func)}: cannot write a Multicomplex into a real array (out=, or a += z), that "
        "would drop its derivative planes; use a = a + z, or an out= made by np.empty_like(z)"
    )


def store(func, result, out: tuple):
    """Write a result (or a tuple of them) to where out= says, and return that."""
    results = result if isinstance(result, tuple) else (result,)
    stored = []
    for part, target in zip(results, out, strict=True):
        if target is None:
            stored.append(part)
            continue
        if is_number(part) and not is_number(target):
            raise real_out(func)
        if np.shape(part) != np.shape(target):
            raise ValueError(
                f"{name_of(func)}: out: expected shape {np.shape(part)}, got {np.shape(target)}"
            )
        target[...] = part
        stored.append(target)
    return stored[0] if len(stored) == 1 else tuple(stored)


@lru_cache(maxsize=512)
def signature_of(func):
    """Return the names of the parameters that may be given by position, in order."""
    try:
        parameters = inspect.signature(func).parameters.values()
    except (TypeError, ValueError):
        return _SIGNATURES.get(func, ())
    by_position = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return tuple(p.name for p in parameters if p.kind in by_position)


def positional(func, args, kwargs, count: int):
    """Return (args, kwargs) with the first `count` parameters given by position."""
    if len(args) >= count:
        return args, kwargs
    args, kwargs = list(args), dict(kwargs)
    for name in signature_of(func)[len(args) : count]:
        if name not in kwargs:
            break
        args.append(kwargs.pop(name))
    return tuple(args), kwargs
