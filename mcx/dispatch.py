"""Dispatch: one registry of rules, keyed by the NumPy function object; closed by default.

`Number.__array_function__` comes here, `Number.__array_ufunc__` to `mcx.ufuncs`. A function without
a rule is an error that names it; a foreign operand type gets `NotImplemented`, so that it may
answer itself.
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
METHODS: dict = {}  # (ufunc, method name), or "at" -> function with the same meaning
CHAPTERS: dict[str, str] = {}  # module of rules that a first miss imports -> package it is for

# Signatures of NumPy's C functions, where NumPy does not tell them.
_SIGNATURES = {
    np.concatenate: ("arrays", "axis", "out"),
    np.dot: ("a", "b", "out"),
    np.inner: ("a", "b"),
    np.vdot: ("a", "b"),
    np.where: ("condition", "x", "y"),
}

COEFFICIENTS = frozenset("fdFD")  # what planes may be made of, as characters of dtypes
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


def is_sparse(x) -> bool:
    """Tell whether x is a sparse matrix or array of SciPy or CuPy, importing neither."""
    modules = map(sys.modules.get, ("scipy.sparse", "cupyx.scipy.sparse"))
    return any(module is not None and module.issparse(x) for module in modules)


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


def foreign(x, number) -> bool:
    """Tell whether an operand is of a type these rules do not know."""
    if isinstance(x, (Number, *_PLAIN)) or x is None:
        return False
    if isinstance(x, np.ndarray):
        return type(x) not in (np.ndarray, np.memmap)
    if isinstance(x, (list, tuple)):
        return any(foreign(item, number) for item in x)
    return type(x) is not type(number._buffer)


def cast(x, dtype):
    """Return x in the type that dtype= of a function names; a number needs a floating-point one.

    Raises
    ------
    TypeError
        If derivatives would be cut off.
    """
    if is_number(x):
        check_dtype(dtype)
    return x.astype(dtype)


def check_dtype(dtype, what: str = "dtype") -> None:
    """Raise TypeError unless a number can have the type that dtype= of a function names."""
    if np.dtype(dtype).char not in COEFFICIENTS:
        raise TypeError(
            f"{what}: expected float32, float64, complex64 or complex128 for a Multicomplex, got "
            f"{np.dtype(dtype)}, which would cut its derivatives off; if none is wanted, convert "
            "the value plane, z.value"
        )


def call_function(number, func, types, args, kwargs):
    """Answer `__array_function__`; which of several numbers is asked makes no difference."""
    for t in types:
        known = issubclass(t, Number) or t in (np.ndarray, np.memmap, type(number._buffer))
        if not known:
            return NotImplemented
    rule = found(RULES, func)
    if rule is None:
        raise unsupported(func, (args, kwargs, number))
    args, kwargs, out = _without_out(func, args, kwargs)
    if out is not None:
        dispatched = numbers_of((args, kwargs))
        result = rule.apply(func, args, kwargs, number) if dispatched else func(*args, **kwargs)
        return store(func, result, out if isinstance(out, tuple) else (out,))
    return rule.apply(func, args, kwargs, number)


def _without_out(func, args, kwargs):
    """Take out= from the arguments, wherever it stands."""
    place = place_of(func, "out", args)
    if place is not None:
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


def store(func, result, out: tuple, broadcast: bool = False):
    """Write a result (or a tuple of them) to where out= says, and return that."""
    results = result if isinstance(result, tuple) else (result,)
    stored = []
    for part, target in zip(results, out, strict=True):
        if target is None:
            stored.append(part)
            continue
        shape, wider = np.shape(part), np.shape(target)
        spread = zip(reversed(shape), reversed(wider), strict=False)
        if broadcast and len(shape) <= len(wider) and all(m in (1, n) for m, n in spread):
            shape = wider
        check_out(func, part, target, shape)
        target[...] = part
        stored.append(target)
    return stored[0] if len(stored) == 1 else tuple(stored)


def check_out(func, part, target, shape):
    """Raise where out= cannot take a result."""
    if is_number(part) and not is_number(target):
        raise real_out(func)
    if shape != np.shape(target):
        raise ValueError(f"{name_of(func)}: out: expected shape {shape}, got {np.shape(target)}")


@lru_cache(maxsize=512)
def signature_of(func):
    """Return the names of the parameters that may be given by position, in order."""
    try:
        parameters = inspect.signature(func).parameters.values()
    except (TypeError, ValueError):
        return _SIGNATURES.get(func, ())
    by_position = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return tuple(p.name for p in parameters if p.kind in by_position)


def place_of(func, name: str, args) -> int | None:
    """Return the position at which the arguments hold a parameter, None if they do not."""
    names = signature_of(func)[: len(args)]
    return names.index(name) if name in names else None


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
