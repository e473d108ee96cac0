"""What the tests of the door share: a number, comparison to the bit, and a look at NumPy."""

from importlib.machinery import ExtensionFileLoader, SourceFileLoader

import numpy as np
import scipy.optimize
from numpy import asarray as asarray_by_name

import mcx
from mcx.substitutes import ATTRIBUTES, FUNCTIONS

X = np.array([1.0, 2.0, 0.5, -0.25])
ORIGINALS = {func.__name__: func for func in FUNCTIONS}
_LOADERS = (ExtensionFileLoader, SourceFileLoader)
_EXECUTION = [loader.exec_module for loader in _LOADERS]
_METHODS = {(owner, name): vars(owner)[name] for owner, name, _ in ATTRIBUTES}


def pair():
    """Return a number with two directions and a mixed derivative."""
    z = mcx.perturb(X, np.array([1.0, 0.5, 2.0, -1.0]), np.ones(4))
    return z * z


def is_closed():
    """Tell whether NumPy is as it was."""
    return (
        all(
            getattr(np, name, np.lib.stride_tricks.as_strided) is f for name, f in ORIGINALS.items()
        )
        and all(vars(owner)[name] is func for (owner, name), func in _METHODS.items())
        and [loader.exec_module for loader in _LOADERS] == _EXECUTION
        and asarray_by_name is ORIGINALS["asarray"]
        and scipy.optimize._optimize.asarray is ORIGINALS["asarray"]
    )


def assert_same(z, expected):
    assert isinstance(z, mcx.Multicomplex)
    assert z.shape == expected.shape
    assert z.dtype == expected.dtype
    np.testing.assert_array_equal(z.planes, expected.planes)
