"""Calls whole namespaces with numbers and finds results that keep their value but no derivative.

A call loses derivatives in silence if what it returns, or writes into its arguments, has floating-
point numbers that change with the values of the numbers among its arguments otherwise than their
tangents say; the tangent of a plain number is 0.
"""

import contextlib
import functools
import inspect
import io
import itertools
import random
import types
import warnings

import numpy as np

import mcx
from mcx.dispatch import is_number

POINTS = (
    np.array(0.5),
    np.array([0.5, 1.25, 2.0, 3.5]),
    np.array([[2.0, 0.5], [0.25, 3.0]]),
)
# Which of up to three arguments are numbers.
PATTERNS = [
    pattern
    for count in (1, 2, 3)
    for pattern in itertools.product((False, True), repeat=count)
    if any(pattern)
]
# What may stand after a function that is the first argument.
TAILS = (
    (0.0, 1.0),
    (0.3,),
    (np.array([0.3, 0.7]),),
    (np.array([0.1, 0.2, 0.4]), np.array([0.3, 0.7, 0.9])),
    ((0.0, 1.0), np.array([0.3, 0.7])),
    (0, np.array([0.3, 0.7])),
)
_SHIFT, _STEP = 0.0625, 2.0**-16  # shifted, a number never equals a plain argument
_DEEP = 6
_ATOMS = (
    *(str, bytes, bytearray, bool, int, type(None), type(...), type, range, slice),
    *(types.ModuleType, type(NotImplemented), np.dtype, np.generic),
    *(np.random.Generator, np.random.RandomState, np.random.BitGenerator),
)


class OpaqueError(Exception):
    """A result into which nobody can look."""


class RaisedError(Exception):
    """The function raised; the cause is what it raised."""


def floats(x, depth=0, seen=None):
    """Return (value, tangent) of every floating-point number that a result holds, in order.

    Raises
    ------
    OpaqueError
        If the result is of a type whose content is not known.
    """
    seen = set() if seen is None else seen
    if isinstance(x, (float, complex, np.inexact)):
        return [(complex(x), 0)]
    if is_number(x):
        return list(zip(*(np.ravel(plane).tolist() for plane in x.planes), strict=True))
    if isinstance(x, np.ndarray) and x.dtype.kind != "O":
        x = np.array(x, complex).ravel().tolist() if x.dtype.kind in "fc" else []
        return [(item, 0) for item in x]
    if id(x) in seen or depth > _DEEP or isinstance(x, _ATOMS):
        return []
    seen.add(id(x))
    return [item for part in _parts(x) for item in floats(part, depth + 1, seen)]


def _parts(x):
    """Return what a container, function or object holds."""
    if isinstance(x, np.ndarray):
        return x.ravel().tolist()
    if isinstance(x, dict):
        return list(x.values())
    if isinstance(x, (list, tuple, set, frozenset)):
        return list(x)
    if isinstance(x, functools.partial):
        return [x.args, x.keywords]
    if isinstance(x, (types.MethodType, types.BuiltinMethodType)):
        return [x.__self__]
    if isinstance(x, types.FunctionType):
        return [cell.cell_contents for cell in x.__closure__ or ()]
    slots = [name for kind in type(x).__mro__ for name in _slots_of(kind)]
    if slots or hasattr(x, "__dict__"):
        return [*getattr(x, "__dict__", {}).values(), *(getattr(x, name, None) for name in slots)]
    if hasattr(x, "__iter__"):
        return list(itertools.islice(x, 8))
    raise OpaqueError(type(x).__name__)


def _slots_of(kind):
    slots = kind.__dict__.get("__slots__", ())
    return (slots,) if isinstance(slots, str) else slots


def number(x):
    """Return a number of order 1 with value x and tangent 1."""
    return mcx.perturb(x.copy(), np.ones_like(x))


def calls(func):
    """Yield (text, make) for every call to try; make(shift) returns its args and kwargs.

    make(shift, np.copy) makes plain arrays of its numbers. They stand at every position, alone and
    in lists, in every keyword, and in a function that is the first argument.
    """
    for point, pattern in itertools.product(POINTS, PATTERNS):
        text = ", ".join("z" if here else "a" for here in pattern)
        yield f"{text} of shape {point.shape}", functools.partial(_by_position, point, pattern)
        if point.ndim and len(pattern) < 3:
            yield f"{text}, z a list", functools.partial(_by_position, point, pattern, list)
    for point, (count, name) in itertools.product(POINTS, _keywords(func)):
        text = f"{'a, ' * count}{name}=z of shape {point.shape}"
        yield text, functools.partial(_by_keyword, point, count, name)
    for function, tail in itertools.product((_scaled, _distance), TAILS):
        yield f"f, ... {len(tail)} more", functools.partial(_in_function, function, tail)


def _by_position(point, pattern, wrap=lambda z: z, shift=0.0, make=number):
    plain = (point + 0.25 * k for k, _ in enumerate(pattern))  # no two alike
    return [wrap(make(point + shift)) if here else next(plain) for here in pattern], {}


def _by_keyword(point, count, name, shift, make=number):
    return [point + 0.25 * k for k in range(count)], {name: make(point + shift)}


def _in_function(function, tail, shift, make=number):
    z = make(0.53 + np.array(shift))
    return [functools.partial(function, z), *(np.copy(a) if np.ndim(a) else a for a in tail)], {}


def _scaled(z, t, *rest):
    return z * t


def _distance(z, t, *rest):
    return np.sum((t - z) ** 2)


def _keywords(func):
    """Return (how many arguments come before it, its name) for every optional parameter."""
    try:
        parameters = inspect.signature(func).parameters.values()
    except (TypeError, ValueError):
        return []
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    named = [p for p in parameters if p.kind not in variable]
    count = max(1, sum(p.default is p.empty and p.kind != p.KEYWORD_ONLY for p in named))
    return [(count, p.name) for p in named[count:] if p.kind != p.POSITIONAL_ONLY]


def left_by(func, args, kwargs):
    """Return what a call leaves in its result and arguments: values and tangents, (n, 2).

    Raises
    ------
    RaisedError
        If it raises.
    """
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 - functions of numpy.random use the global generator
    with (
        warnings.catch_warnings(),
        np.errstate(all="ignore"),
        np.printoptions(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        try:
            result = func(*args, **kwargs)
            found = floats([result, *args])
        except (Exception, SystemExit) as error:
            raise error if isinstance(error, OpaqueError) else RaisedError from error
        if result is NotImplemented:
            raise RaisedError
        return np.array(found, complex).reshape(-1, 2)


def wrong(make, func):
    """Tell how tangents of a call differ from differences of its values; None where they agree.

    Raises
    ------
    RaisedError
        If the call raises.
    """
    try:
        low, at, high = (left_by(func, *make(shift=_SHIFT + step)) for step in (-_STEP, 0, _STEP))
    except OpaqueError as error:
        return f"a result {error}, into which nobody can look"
    if not len(low) == len(at) == len(high):
        return "results of different lengths"
    with np.errstate(invalid="ignore"):
        slope, tangent = (high - low)[:, 0] / (2 * _STEP), at[:, 1]
        error = abs(slope - tangent)
        bad = error > 1e-3 * np.maximum(abs(slope), abs(tangent)) + 1e-6 * (1 + abs(at[:, 0]))
    if not np.any(bad):
        return None
    return f"a tangent {tangent[bad][0]:.4g} where differences are {slope[bad][0]:.4g}"


def other_value(make, func):
    """Tell whether a call has other values than the same call of plain arrays; None if not."""
    found = left_by(func, *make(shift=_SHIFT))[:, 0]
    own = left_by(func, *make(shift=_SHIFT, make=np.copy))[:, 0]
    if len(found) == len(own) and np.allclose(found, own, rtol=1e-9, atol=1e-12, equal_nan=True):
        return None
    return "other values than NumPy's"


def lost(func):
    """Return the first call of a function that loses derivatives in silence, None without one."""
    for text, make in calls(func):
        with contextlib.suppress(RaisedError):
            if what := wrong(make, func) or other_value(make, func):
                return f"({text}): {what}"
    return None


def functions_of(namespace, skipped=()):
    """Return the callables of a namespace (module, class or object) by name.

    Of a class that is the operators too, but not what every object has.
    """
    found, special = {}, isinstance(namespace, type)
    for name in dir(namespace):
        private = name.startswith("_") and not (special and name.endswith("__"))
        if private or name in skipped or (special and hasattr(object, name)):
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            func = getattr(namespace, name, None)
        if callable(func) and not (isinstance(func, type) and issubclass(func, BaseException)):
            found[name] = func
    return found


def losses(functions):
    """Return {name: call} of the functions that lose derivatives in silence."""
    texts = {name: lost(func) for name, func in functions.items()}
    return {name: text for name, text in texts.items() if text is not None}
