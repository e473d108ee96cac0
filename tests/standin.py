"""A strict stand-in for a CuPy array that needs no GPU.

`StandIn` wraps an ndarray and behaves where it matters as `cupy.ndarray` does: its own NEP 13 and
NEP 18 protocols, only the functions, keywords, methods and attributes that CuPy 14 offers, no
implicit conversion to NumPy, no mixing with host arrays, 0-d arrays (not scalars) as results. Code
that runs on it leans on nothing that only ndarray has.
"""

from types import SimpleNamespace

import numpy as np
from cupy_names import (
    ATTRIBUTES,
    CONVERTERS,
    FUNCTIONS,
    KEYWORDS_MISSING,
    METHODS,
    UFUNC_METHODS,
    UFUNCS,
)

from mcx.planes import AS_STRIDED

SCALARS = (bool, int, float, complex, np.generic)


def _unwrap(x):
    """Return the host data behind an argument; refuse a host array, as CuPy does."""
    if isinstance(x, StandIn):
        return x._array
    if isinstance(x, np.ndarray) and x.ndim:
        raise TypeError("Unsupported type <class 'numpy.ndarray'>: host arrays do not mix in")
    if isinstance(x, (list, tuple)):
        return type(x)([_unwrap(item) for item in x])
    return x


def _wrap(x):
    """Return device arrays for every array or NumPy scalar in a result."""
    if isinstance(x, (np.ndarray, np.generic)):
        return StandIn(np.asanyarray(x))
    if isinstance(x, (list, tuple)):
        items = [_wrap(item) for item in x]
        return type(x)(*items) if hasattr(x, "_fields") else type(x)(items)
    return x


def _call(function, args, kwargs):
    """Call a host function on the data behind `args`; `out` keeps its identity."""
    name = getattr(function, "__name__", "")
    for keyword in KEYWORDS_MISSING.intersection(kwargs):
        raise TypeError(f"{name}() got an unexpected keyword argument {keyword!r}")
    out = kwargs.get("out")
    result = function(*map(_unwrap, args), **{k: _unwrap(v) for k, v in kwargs.items()})
    if isinstance(out, tuple):
        return out[0] if len(out) == 1 else out
    return _wrap(result) if out is None else out


def _host(x):
    """Return an index or a source on the host; CuPy copies host arrays over in these places."""
    if isinstance(x, tuple):
        return tuple(map(_host, x))
    return x._array if isinstance(x, StandIn) else x


class StandIn:
    """Strict stand-in of `cupy.ndarray` around an ndarray; build it with `StandIn.wrap`."""

    __array_priority__ = 100
    __hash__ = None

    def __init__(self, array):
        self._array = array

    @classmethod
    def wrap(cls, array):
        """Return a device copy of a host array."""
        return cls(np.array(array))

    def get(self):
        """Return a host copy."""
        return self._array.copy()

    def __array__(self, dtype=None, copy=None):
        raise TypeError("Implicit conversion to a NumPy array is not allowed; use .get()")

    @property
    def __cuda_array_interface__(self):
        return {"shape": self.shape, "typestr": self.dtype.str, "version": 3}

    def __array_ufunc__(self, ufunc, method, *inputs, out=(), **kwargs):
        if ufunc.__name__ not in UFUNCS:
            return NotImplemented
        if not all(isinstance(x, (StandIn, np.ndarray, *SCALARS)) for x in (*inputs, *out)):
            return NotImplemented
        if ufunc.__name__ not in UFUNC_METHODS.get(method, UFUNCS):
            raise NotImplementedError(f"`cupy_{ufunc.__name__}.{method}` is not supported yet")
        if out:
            kwargs["out"] = out
        return _call(getattr(ufunc, method), inputs, kwargs)

    def __array_function__(self, func, types, args, kwargs):
        if func.__name__ not in FUNCTIONS.get(func.__module__, ()):
            return NotImplemented
        if not all(issubclass(t, (StandIn, np.ndarray)) for t in types):
            return NotImplemented
        if func.__name__ in CONVERTERS:
            return StandIn.wrap(func(*(_host(x) for x in args), **kwargs))
        return _call(func, args, kwargs)

    def __len__(self):
        return len(self._array)

    def __iter__(self):
        if not self.ndim:
            raise TypeError("iteration over a 0-d array")
        return (self[i] for i in range(len(self)))

    def __getitem__(self, index):
        return _wrap(self._array[_host(index)])

    def __setitem__(self, index, value):
        if not isinstance(value, (StandIn, *SCALARS)):
            raise TypeError(f"Unsupported type {type(value)}")
        self._array[_host(index)] = _unwrap(value)

    @property
    def flags(self):
        """CuPy's flags: contiguity and ownership, nothing about writing."""
        names = ("c_contiguous", "f_contiguous", "owndata")
        return SimpleNamespace(**{name: self._array.flags[name.upper()] for name in names})

    def __repr__(self):
        return repr(self._array).replace("array", "StandIn", 1)

    def __reduce__(self):
        return StandIn.wrap, (self.get(),)


def _method(name):
    def method(self, *args, **kwargs):
        return _call(getattr(self._array, name), args, kwargs)

    return method


def _attribute(name):
    return property(lambda self: _wrap(getattr(self._array, name)))


def _operator(ufunc, reflected=False):
    def method(self, other):
        priority = getattr(other, "__array_priority__", 0)
        if not isinstance(other, (StandIn, np.ndarray)) and priority > self.__array_priority__:
            return NotImplemented
        return ufunc(other, self) if reflected else ufunc(self, other)

    return method


def _in_place(ufunc):
    def method(self, other):
        if not isinstance(other, (StandIn, *SCALARS)):
            raise TypeError(f"Unsupported type {type(other)}")
        ufunc(self._array, _unwrap(other), out=self._array)
        return self

    return method


OPERATORS = {
    **{"add": np.add, "sub": np.subtract, "mul": np.multiply, "truediv": np.divide},
    **{"floordiv": np.floor_divide, "mod": np.remainder, "pow": np.power, "matmul": np.matmul},
    **{"and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor},
}
COMPARISONS = {
    **{"lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal},
    **{"eq": np.equal, "ne": np.not_equal},
}
UNARY = ("neg", "pos", "abs", "invert", "bool", "int", "float", "complex")

for _name in METHODS:
    setattr(StandIn, _name, _method(_name))
for _name in ATTRIBUTES:
    setattr(StandIn, _name, _attribute(_name))
for _name in UNARY:
    setattr(StandIn, f"__{_name}__", _method(f"__{_name}__"))
for _name, _ufunc in COMPARISONS.items():
    setattr(StandIn, f"__{_name}__", _operator(_ufunc))
for _name, _ufunc in OPERATORS.items():
    setattr(StandIn, f"__{_name}__", _operator(_ufunc))
    setattr(StandIn, f"__r{_name}__", _operator(_ufunc, reflected=True))
    setattr(StandIn, f"__i{_name}__", _in_place(_ufunc))


def as_strided(x, shape=None, strides=None):
    """Return a view with other strides, as cupy.lib.stride_tricks.as_strided does."""
    return StandIn(np.lib.stride_tricks.as_strided(x._array, shape, strides))


AS_STRIDED[StandIn] = as_strided
