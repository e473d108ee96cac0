"""What a row of the tables of function calls is, and how rows name constants."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from standin import StandIn


def _value(size):
    """Return distinct numbers in (-1.5, 1.5), none near 0 and no two near each other."""
    k = np.arange(size)
    return (((7 * k + 3) % max(size, 8) + 0.5) / max(size, 8) - 0.5) * 3 + 0.03125


def plain(x, *shape, offset=0.0):
    """Return a constant array of x's dtype and kind of buffer, for use beside x."""
    buffer = getattr(x, "_buffer", x)
    array = (_value(int(np.prod(shape)) + 3)[3:] + offset).astype(np.float32)
    array = array.reshape(shape).astype(buffer.dtype)
    return StandIn.wrap(array) if isinstance(buffer, StandIn) else array


def mask(x, *shape):
    """Return a constant boolean array for use beside x."""
    buffer = getattr(x, "_buffer", x)
    array = _value(int(np.prod(shape))).reshape(shape) > 0
    return StandIn.wrap(array) if isinstance(buffer, StandIn) else array


def index(x, *items):
    """Return a constant array of integers for use beside x."""
    buffer = getattr(x, "_buffer", x)
    return StandIn.wrap(np.array(items)) if isinstance(buffer, StandIn) else np.array(items)


def point(shape, dtype, positive=False):
    """Return the array at which a row is evaluated."""
    x = _value(int(np.prod(shape))).reshape(shape)
    return (abs(x) + 0.5 * x**2 if positive else x).astype(np.float32).astype(dtype)


def newer(name):
    """Return a function that the oldest NumPy supported lacks, None where it does."""
    return getattr(np, name, None)


def existing(*rows):
    """Return the rows whose function this NumPy has."""
    return tuple(row for row in rows if row.func is not None)


@dataclass(frozen=True)
class Call:
    """One call of a NumPy function on one array.

    Attributes
    ----------
    func : the NumPy function that the row is for
    run : function of x, an array or a number, that calls it
    shape : shape of x
    positive : whether x must be positive
    standin : whether CuPy has everything that the row uses
    wide : whether the function computes in long double (else float64 bounds the oracle)
    """

    func: Callable
    run: Callable
    shape: tuple = (3, 4)
    positive: bool = False
    standin: bool = True
    wide: bool = True

    def __str__(self):
        module = getattr(self.func, "__module__", None) or "numpy"
        return f"{module.removeprefix('numpy.')}.{self.func.__name__}"
