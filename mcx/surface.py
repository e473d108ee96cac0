"""The public surface of `numpy.ndarray`, as a table, for everything that dispatches.

A method is either the NumPy function of the same meaning, or refused with its remedy.
`Multicomplex` and the recorder's numbers share it; what depends on how planes are stored is theirs.
"""

from __future__ import annotations

import math
import operator

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from mcx import dispatch, ufuncs
from mcx.dispatch import Number
from mcx.errors import ImplicitConversionError, UnsupportedFunctionError
from mcx.flat import Flat

EXIT = "take z.value for the value plane, z.im(1) for a derivative, z.planes for the coefficients"

# Methods that are the NumPy function of the same name with the array first.
_FUNCTIONS = (
    *("all", "any", "argmax", "argmin", "argpartition", "argsort", "clip", "conj", "conjugate"),
    *("cumprod", "cumsum", "diagonal", "dot", "max", "mean", "min", "nonzero", "prod", "ravel"),
    *("repeat", "round", "searchsorted", "squeeze", "std", "sum", "swapaxes", "take", "trace"),
    "var",
)

_REFUSED = {
    **dict.fromkeys(
        ("item", "tolist", "tobytes", "tofile", "dump", "dumps", "data", "ctypes"),
        f"would drop the derivative planes; {EXIT}",
    ),
    **dict.fromkeys(
        ("view", "getfield", "setfield", "byteswap", "to_device"),
        "reinterprets memory, which has no meaning for planes; use z.astype or z.planes",
    ),
    "resize": "changes the size of memory that views share; use z = np.resize(z, shape)",
    "choose": "would need integers in the array; use np.where or np.take",
    "setflags": "the flags are those of the value plane; use z.copy() for a writeable number",
    "base": "the memory belongs to the plane buffer; see z.planes.base",
}


def _delegate(name):
    func = getattr(np, "conjugate" if name == "conj" else name)

    def method(self, *args, **kwargs):
        return func(self, *args, **kwargs)

    method.__name__ = name
    method.__doc__ = f"Return np.{func.__name__}(self, ...)."
    return method


def _refuse(name, reason):
    message = f"Multicomplex.{name}: {reason.format(name=name)}."

    def refused(self, *args, **kwargs):
        raise UnsupportedFunctionError(message)

    refused.__name__ = name
    refused.__doc__ = f"Refused: {reason.format(name=name)}."
    return refused if callable(getattr(np.ndarray, name)) else property(refused)


def _convert(name):
    def refused(self, *args, **kwargs):
        raise ImplicitConversionError(
            f"{name} of a Multicomplex of order {self.order}, shape {self.shape}, would drop its "
            f"derivative planes; {EXIT}. To build an array of numbers use np.stack([z0, 1.0]) or "
            "np.zeros_like(z) and assignment; for code you cannot change, mcx.patched_numpy(); for "
            "a sparse S @ z, mcx.sparse_matmul(S, z)"
        )

    return refused


def _astype(x, dtype, **kwargs):
    return x.astype(dtype, **kwargs)


_astype.__module__, _astype.__qualname__ = "mcx", "Multicomplex.astype"  # in messages


class Surface(Number, NDArrayOperatorsMixin):
    """Operators, methods and refusals; a subclass gives storage, `value`, indexing and `order`."""

    __slots__ = ()
    __array_priority__ = 1000.0
    __hash__ = None

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        return ufuncs.call_ufunc(self, ufunc, method, inputs, kwargs)

    def __array_function__(self, func, types, args, kwargs):
        return dispatch.call_function(self, func, types, args, kwargs)

    def __array_namespace__(self, *, api_version=None):
        """Return numpy, the namespace of the array API whose functions take these numbers."""
        return np

    __array__ = _convert("conversion to a plain array (np.asarray, np.array)")
    __float__ = _convert("float()")
    __int__ = _convert("int()")
    __complex__ = _convert("complex()")
    __index__ = _convert("use as an index (operator.index)")

    def __format__(self, spec):
        if spec:
            raise ImplicitConversionError(
                f"format of a Multicomplex as {spec!r} has no place for its derivative planes; "
                "format z.value, or z.im(1)"
            )
        return str(self)

    def __eq__(self, other):
        if isinstance(other, (str, bytes)):  # f(x) may ask whether x is the name of an option
            return dispatch.value_of(self) == other
        return super().__eq__(other)

    def __ne__(self, other):
        if isinstance(other, (str, bytes)):
            return dispatch.value_of(self) != other
        return super().__ne__(other)

    def __bool__(self):
        return bool(dispatch.value_of(self))

    def __len__(self):
        if not self.ndim:
            raise TypeError("len() of a Multicomplex of shape (): expected at least one axis")
        return self.shape[0]

    def __iter__(self):
        if not self.ndim:
            raise TypeError("iteration over a Multicomplex of shape (): expected at least one axis")
        return (self[k] for k in range(self.shape[0]))

    def __contains__(self, item):
        return bool(np.any(dispatch.value_of(self) == dispatch.value_of(item)))

    def __matmul__(self, other):
        if not isinstance(other, (Number, np.ndarray)) and dispatch.is_sparse(other):
            return dispatch.RULES[operator.matmul].apply(operator.matmul, (self, other), {})
        return super().__matmul__(other)

    def __pow__(self, exponent):
        special = _POWERS.get(exponent) if isinstance(exponent, (int, float)) else None
        return special(self) if special else np.power(self, exponent)

    def __ipow__(self, exponent):
        self[...] = self**exponent
        return self

    def __copy__(self):
        return self.copy()

    def __deepcopy__(self, memo):
        return self.copy()

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def itemsize(self) -> int:
        """Bytes of one coefficient."""
        return self.dtype.itemsize

    @property
    def strides(self):
        """Strides of the value plane, in bytes."""
        return dispatch.value_of(self).strides

    @property
    def flags(self):
        """Flags of the value plane."""
        return dispatch.value_of(self).flags

    @property
    def device(self):
        """Device of the buffer."""
        return self._buffer.device

    @property
    def T(self):
        """Transpose."""
        return np.transpose(self)

    @property
    def mT(self):
        """Transpose of the last two axes."""
        return np.matrix_transpose(self)

    @property
    def real(self):
        """Real part of the coefficients (a Multicomplex, unlike z.value)."""
        return np.real(self)

    @property
    def imag(self):
        """Imaginary part of the coefficients (a Multicomplex: zeros if they are real)."""
        return np.imag(self)

    def reshape(self, *shape, **kwargs):
        """Return np.reshape(self, shape)."""
        return np.reshape(self, shape[0] if len(shape) == 1 else shape, **kwargs)

    def transpose(self, *axes):
        """Return np.transpose(self, axes)."""
        if not axes or axes[0] is None:
            return np.transpose(self)
        return np.transpose(self, axes[0] if isinstance(axes[0], (tuple, list)) else axes)

    def flatten(self, order="C"):
        """Return a flattened copy."""
        return np.ravel(self, order=order).copy()

    def astype(self, dtype, **kwargs):
        """Return the number with coefficients of another floating-point type.

        Integers and truth values, which are piecewise constant, are a plain array.
        """
        return dispatch.RULES[np.ndarray.astype].apply(_astype, (self, dtype), kwargs)

    def compress(self, condition, axis=None, out=None):
        """Return np.compress(condition, self, axis)."""
        return np.compress(condition, self, axis=axis, out=out)

    def sort(self, *args, **kwargs):
        """Sort in place, as np.sort(self, ...)."""
        self[...] = np.sort(self, *args, **kwargs)

    def partition(self, kth, *args, **kwargs):
        """Partition in place, as np.partition(self, kth, ...)."""
        self[...] = np.partition(self, kth, *args, **kwargs)

    def put(self, indices, values, mode="raise"):
        """Assign values to elements counted in C order, as np.put(self, ...)."""
        np.put(self, indices, values, mode)

    @property
    def flat(self):
        """The elements in C order, to iterate over, index and assign."""
        return Flat(self)

    @flat.setter
    def flat(self, values):
        Flat(self)[:] = values

    def fill(self, value):
        """Assign a value to every element."""
        self[...] = value


_POWERS = {2: np.square, 1: np.positive, 0.5: np.sqrt, -1: np.reciprocal}

for _name in _FUNCTIONS:
    setattr(Surface, _name, _delegate(_name))
for _name, _reason in _REFUSED.items():
    setattr(Surface, _name, _refuse(_name, _reason))
