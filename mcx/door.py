"""The door: numbers pass NumPy functions that do not dispatch, where the caller opens it.

`np.asarray(x)` and `out = np.zeros(n)` ask no operand's `__array_function__`, so code that begins
with them raises on a Multicomplex. `patched_numpy` is the way in for code that one cannot change:
while a door is open anywhere, such names, in the numpy namespace and in the modules that imported
them, are bound to wrappers (`mcx.bindings`). A wrapper acts only in the thread and task that opened
a door, and only for callers outside NumPy and mcx; for all others it is the original. What it does
is in `mcx.substitutes`.
"""

from __future__ import annotations

import sys
import threading
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np

from mcx.algebra import common_algebra
from mcx.bindings import Bindings, is_own
from mcx.dispatch import COEFFICIENTS, is_number
from mcx.record import Recorded
from mcx.verbs.constant import constant


class _Door:
    """An open door: where it is open, and the numbers that fresh arrays must be able to hold."""

    def __init__(self, outer: _Door | None):
        self.numbers: dict = {}  # one of each kind
        self.outer = outer
        self.place = _place()
        self.closed = False

    def note(self, number):
        """Let fresh arrays hold what a number holds."""
        kind = _kind(number)
        if kind not in self.numbers:
            self.numbers[kind] = np.zeros_like(number, shape=())

    def all_numbers(self) -> list:
        """Return the numbers noted here and at the doors around this one."""
        outer = self.outer.all_numbers() if self.outer else []
        return [*self.numbers.values(), *outer]

    def constant(self, value, *numbers):
        """Return an array as a constant that can hold the ambient numbers, and those given."""
        ambient = [*numbers, *self.all_numbers()]
        if not ambient or value.dtype.char not in COEFFICIENTS:
            return value
        tapes, algebras = set(), []
        for number in ambient:
            *outer, algebra = _kind(number)
            tapes.update(outer)
            algebras += [algebra] if algebra else []
        if not isinstance(ambient[0]._buffer, np.ndarray):
            value = np.asarray(value, like=ambient[0]._buffer)
        out = constant(value, common_algebra(algebras)) if algebras else value
        for tape in sorted(tapes, key=lambda tape: tape.rank):
            out = tape.constant(out)
        return out


def _kind(number) -> tuple:
    """Return the tapes that a number is recorded on and its algebra, None if it has none."""
    if isinstance(number, Recorded):
        return (number.tape, *_kind(number.number))
    return (number.algebra,) if is_number(number) else (None,)


_innermost: ContextVar[_Door | None] = ContextVar("mcx_door", default=None)


def _place():
    """Return the thread and the asyncio task that run now: a task copies the context it is in."""
    asyncio = sys.modules.get("asyncio")
    try:
        task = asyncio and asyncio.current_task()
    except RuntimeError:  # no event loop runs here
        task = None
    return threading.get_ident(), task


def _open_door() -> _Door | None:
    """Return the innermost door that is open here; doors may be closed in any order."""
    door = _innermost.get()
    while door is not None and door.closed:
        door = door.outer
    return door if door is None or door.place == _place() else None


def note(number) -> None:
    """Let fresh arrays hold a number that has just been made, if a door is open here."""
    if _innermost.get() is not None and (door := _open_door()) is not None:
        door.note(number)


def patched_numpy(*like):
    """Let numbers through the NumPy functions that do not dispatch, within a ``with`` block.

    For code that cannot be changed. Within the block, in this thread and task alone,
    ``np.asarray(z)`` (`array`, `asanyarray`, `ascontiguousarray`, `asfortranarray`,
    `asarray_chkfinite`, `require`) returns the number, ``np.array([z, 1.0])`` (`fromiter`, `r_`,
    `c_`) joins numbers, `vectorize`, `ndenumerate`, ``z.item()`` and ``z.tolist()`` go through
    elements, `as_strided` makes views, and `zeros`, `ones`, `empty`, `full`, `eye`, `identity` and
    the ``_like`` forms make floating-point arrays with room for derivatives, so that
    ``out[0] = z`` keeps them: for those of every number that `perturb` or a derivative function
    makes within the block, and of `like`. Doors nest; at the end NumPy is as it was.

    ``patch=True`` opens a door around each call of a differentiated function; it alone also reaches
    a function whose globals are those of no module (SymPy's ``lambdify``).

    Still refused is what needs plain numbers: ``float(z)``, the math module, compiled code, integer
    types, assignment into an array made outside. ``isinstance(z, np.ndarray)`` is False.

    Parameters
    ----------
    *like : Multicomplex
        Numbers made before, which fresh arrays must be able to hold.

    Raises
    ------
    TypeError
        If something in `like` is no number.

    Examples
    --------
    >>> import mcx, numpy as np
    >>> from scipy.optimize import rosen, rosen_hess
    >>> x = np.array([1.0, 2.0, 0.5])
    >>> z = mcx.perturb(x, np.ones(3), np.ones(3))
    >>> with mcx.patched_numpy():
    ...     curvature = rosen(z).im(1, 2)
    >>> float(curvature), float(rosen_hess(x).sum())
    (3004.0, 3004.0)
    >>> mcx.gradient(rosen, x, patch=True)
    array([-400., 3002., -700.])
    """
    return _opened(like, {})


@contextmanager
def _opened(like, namespace: dict):
    """Open a door; bind the wrappers in a namespace as well, which may be that of no module."""
    door = _Door(_open_door())
    for number in like:
        if not is_number(number):
            raise TypeError(f"patched_numpy: like: expected numbers, got {type(number).__name__}")
        door.note(number)
    _bindings.acquire(namespace)
    _innermost.set(door)
    try:
        yield
    finally:
        door.closed = True
        door.numbers.clear()
        _innermost.set(_open_door())
        _bindings.release()


def through_door(f, patch: bool, source):
    """Return f, run behind a door of its own if `patch` is True or one is open.

    `source` is the user's function, whose namespace may be that of no module (SymPy's lambdify).
    """
    namespace = getattr(source, "__globals__", {}) if patch else {}
    if getattr(sys.modules.get(namespace.get("__name__")), "__dict__", None) is namespace:
        namespace = {}  # a module's: it is searched anyhow

    def run(x):
        if not patch and (_innermost.get() is None or _open_door() is None):
            return f(x)
        with _opened([x] if is_number(x) else [], namespace):
            return f(x)

    return run


def _through(function, substitute, args, kwargs):
    """Call the substitute if a door is open for the code that calls, else the function."""
    like = kwargs.get("like")
    if like is not None and type(like) is not np.ndarray:
        # NumPy would hand the array what is bound to the name: the wrapper.
        rest = {key: item for key, item in kwargs.items() if key != "like"}
        return like.__array_function__(function, (type(like),), args, rest)
    if like is not None or _innermost.get() is None or (door := _open_door()) is None:
        return function(*args, **kwargs)
    if is_own(sys._getframe(2).f_globals.get("__name__")):  # the caller of the wrapper
        return function(*args, **kwargs)
    return substitute(door, function, *args, **kwargs)


@contextmanager
def _shut():
    """Close the doors here for a while."""
    token = _innermost.set(None)
    try:
        yield
    finally:
        _innermost.reset(token)


_bindings = Bindings(_through, _shut)
