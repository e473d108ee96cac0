"""Functions that turn complex outside their real domain: numpy.emath (numpy.lib.scimath)."""

from __future__ import annotations

import numpy as np

from mcx.dispatch import register, value_of
from mcx.rules.calculus import as_array
from mcx.verbs import Composed

emath = np.emath


def _complex(x):
    """Return x with complex coefficients, of single precision where x is."""
    single = x.dtype.char in "fF" or (x.dtype.kind in "iu" and x.dtype.itemsize <= 2)
    return x.astype(np.complex64 if single else np.complex128)


def _below_zero(x):
    """Return x, complex if a real element is negative."""
    x = as_array(x)
    return _complex(x) if np.any(np.isreal(x) & (np.real(value_of(x)) < 0)) else x


def _beyond_one(x):
    """Return x, complex if a real element lies outside [−1, 1]."""
    x = as_array(x)
    return _complex(x) if np.any(np.isreal(x) & (np.abs(value_of(x)) > 1)) else x


def _power(x, p):
    return np.power(_below_zero(x), as_array(p) * 1.0)


COMPOSED = {
    emath.sqrt: lambda x: np.sqrt(_below_zero(x)),
    emath.log: lambda x: np.log(_below_zero(x)),
    emath.log2: lambda x: np.log2(_below_zero(x)),
    emath.log10: lambda x: np.log10(_below_zero(x)),
    emath.logn: lambda n, x: np.log(_below_zero(x)) / np.log(_below_zero(n)),
    emath.power: _power,
    emath.arccos: lambda x: np.arccos(_beyond_one(x)),
    emath.arcsin: lambda x: np.arcsin(_beyond_one(x)),
    emath.arctanh: lambda x: np.arctanh(_beyond_one(x)),
}
for _func, _formula in COMPOSED.items():
    register(_func, Composed(_formula))
