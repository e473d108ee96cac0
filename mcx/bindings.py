"""Where NumPy's functions are bound, and the wrappers that take their places while a door is open.

The wrappers are bound in the numpy namespace and in the modules that imported the functions.
Compiled modules, whose calls leave no frame to tell the caller by and which trust what np.empty
returns, are given a NumPy without wrappers.
"""

from __future__ import annotations

import functools
import sys
import threading
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader, SourceFileLoader
from types import ModuleType

import numpy as np

from mcx.dispatch import load_chapters
from mcx.substitutes import ATTRIBUTES, FUNCTIONS

# Their calls mean NumPy itself; Numba knows NumPy's functions by identity.
_OWN = frozenset({"numpy", "mcx", "mcx_nn", "mcx_optim", "numba", "llvmlite"})
_PUBLIC = (np, np.lib.stride_tricks)  # where others find the functions


def _package(module_name) -> str:
    return str(module_name).partition(".")[0]


def is_own(module_name) -> bool:
    """Tell whether the calls of a module mean NumPy itself."""
    return _package(module_name) in _OWN


def _exempt(module_name) -> bool:
    return is_own(module_name) or _package(module_name) in sys.stdlib_module_names


class _Wrapper:
    """A function of NumPy that is itself except at an open door, and equal to itself as a key.

    Numba and others find NumPy's functions in tables, which may be made while a door is open.
    """

    def __init__(self, function, substitute, through):
        functools.update_wrapper(self, function, updated=())
        self._substitute, self._through = substitute, through

    def __call__(self, *args, **kwargs):
        return self._through(self.__wrapped__, self._substitute, args, kwargs)

    def __eq__(self, other):
        return other is self or other is self.__wrapped__

    def __hash__(self):
        return hash(self.__wrapped__)

    def __getattr__(self, name):
        return getattr(self.__wrapped__, name)

    def __reduce__(self):
        return self.__name__


def _method(function, substitute, through):
    """Return a method that is the given one, except at an open door."""

    @functools.wraps(function)
    def method(*args, **kwargs):
        return through(function, substitute, args, kwargs)

    return method


class Bindings:
    """Where the functions are bound, and the count of open doors.

    Parameters
    ----------
    through : callable
        ``through(function, substitute, args, kwargs)``: what a wrapper does when it is called.
    shut : callable
        Returns the context in which no door is open.
    """

    def __init__(self, through, shut):
        self.through, self.shut = through, shut
        self.lock = threading.RLock()  # a generator may be closed in the middle of anything
        self.count = 0
        self.known: dict = {}  # id of a function or its wrapper -> (function, wrapper)
        self.attributes: list[tuple] = []  # (class, name, function, wrapper)
        self.plain = ModuleType("numpy")  # what compiled code takes for NumPy
        self.seen: dict = {}  # the modules examined, by name
        self.places: list[tuple] = []  # (namespace, name, what is bound there, what replaces it)
        self.others: list[tuple] = []  # the same in namespaces that were given

    def acquire(self, namespace):
        """Count a door; bind the wrappers if it is the first, and in the given namespace."""
        with self.lock:
            if self.count == 0:
                self._prepare()
                self._examine_modules()
                _bind(self.places)
                for owner, name, _, wrapper in self.attributes:
                    setattr(owner, name, wrapper)
            others = [(namespace, name, *pair) for name, pair in self._found(namespace)]
            _bind(others)
            self.others += others
            self.count += 1

    def release(self):
        """Count a door less; bind the functions themselves if it was the last."""
        with self.lock:
            self.count -= 1
            if self.count:
                return
            self._examine_modules()
            for namespace, name, item, replacement in self.places + self.others:
                if namespace.get(name) is replacement:
                    namespace[name] = item
            for owner, name, function, _ in self.attributes:
                setattr(owner, name, function)
            self.others.clear()

    def admit(self, module):
        """Bind the wrappers in a module that has just been imported, if a door is open."""
        with self.lock:
            if self.count:
                first = len(self.places)
                self._examine(module)
                _bind(self.places[first:])
                self.seen[module.__name__] = module

    def _prepare(self):
        """Make the wrappers, after all tables of rules: they are keyed by the functions."""
        if self.known:
            return
        load_chapters()
        vars(self.plain).update(vars(np))
        for function, how in FUNCTIONS.items():
            pair = (function, _Wrapper(function, how, self.through))
            self.known.update((id(item), pair) for item in pair)
        for owner, name, how in ATTRIBUTES:
            function = vars(owner)[name]
            self.attributes.append((owner, name, function, _method(function, how, self.through)))
        for loader in (SourceFileLoader, ExtensionFileLoader):
            owner = next(cls for cls in loader.__mro__ if "exec_module" in vars(cls))
            function = vars(owner)["exec_module"]
            self.attributes.append((owner, "exec_module", function, self._loading(function)))

    def _loading(self, original):
        """Return a loader's exec_module that runs a module's code outside doors, then examines it.

        What a module makes while it is imported (a constant of np.ones, say) outlives the door.
        """

        @functools.wraps(original)
        def exec_module(loader, module):
            with self.shut():
                original(loader, module)
            self.admit(module)

        return exec_module

    def _found(self, namespace):
        """Return [(name, (function, wrapper))] where a namespace has either."""
        items = list(namespace.items())
        return [(name, self.known[id(item)]) for name, item in items if id(item) in self.known]

    def _examine_modules(self):
        """Examine the modules that are new."""
        modules = sys.modules.copy()
        if modules != self.seen:
            for name, module in modules.items():
                if self.seen.get(name) is not module and issubclass(type(module), ModuleType):
                    self._examine(module)
            self.seen = modules

    def _examine(self, module):
        """Note where a module has the functions; compiled code is given NumPy without wrappers."""
        namespace = object.__getattribute__(module, "__dict__")  # loads no lazy module
        compiled = str(namespace.get("__file__")).endswith(tuple(EXTENSION_SUFFIXES))
        if compiled:
            names = [name for name, item in namespace.items() if item is np]
            self.places += [(namespace, name, np, self.plain) for name in names]
        exempt = compiled or (_exempt(namespace.get("__name__")) and module not in _PUBLIC)
        for name, (function, wrapper) in self._found(namespace):
            if exempt:
                namespace[name] = function  # it may have been imported while a door was open
            else:
                self.places.append((namespace, name, function, wrapper))


def _bind(places):
    for namespace, name, item, replacement in places:
        if namespace.get(name) is item:
            namespace[name] = replacement
