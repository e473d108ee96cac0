"""Structural zeros switched off, and watched: the oracle and the check of the masks of planes."""

from contextlib import contextmanager

import numpy as np
import pytest
from core.algebras import ALGEBRAS, number
from core.checkers import assert_near, leaves
from core.ways import assert_dead_planes_are_zero

from mcx import dispatch, ufuncs
from mcx.array import Multicomplex

_MAKE = Multicomplex.__init__


@contextmanager
def everything_live():
    """Switch structural zeros off."""

    def make(self, planes, algebra, support=None):
        _MAKE(self, planes, algebra)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Multicomplex, "__init__", make)
        yield


@contextmanager
def watched():
    """Look at every number made so far, after every operation."""
    made = []

    def make(self, *args):
        _MAKE(self, *args)
        made.append(self)

    def looked_after(function):
        def call(*args, **kwargs):
            result = function(*args, **kwargs)
            for z in made:
                assert_dead_planes_are_zero(z)
            return result

        return call

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Multicomplex, "__init__", make)
        for owner, name in (
            (ufuncs, "call_ufunc"),
            (dispatch, "call_function"),
            *((Multicomplex, name) for name in ("__getitem__", "__setitem__", "copy")),
        ):
            patch.setattr(owner, name, looked_after(getattr(owner, name)))
        yield made


def planes_of(result):
    """Return the planes of all numbers in a result, as they lie in memory."""
    return [y._planes if isinstance(y, Multicomplex) else np.asarray(y) for y in leaves(result)]


def check(run, *numbers):
    """Check run(*copies of numbers): dead planes are zero, the others what they are without."""
    with watched():
        result = run(*(n.copy() for n in numbers))
    with everything_live():
        expected = run(*(n.copy() for n in numbers))
    for got, awaited in zip(planes_of(result), planes_of(expected), strict=True):
        assert got.shape == awaited.shape
        np.testing.assert_array_equal(np.isfinite(got), np.isfinite(awaited))
        finite = np.isfinite(got)
        assert_near(np.where(finite, got, 0), np.where(finite, awaited, 0), 1e-12)
    return result


def at(rng, x, mask, algebra=ALGEBRAS["order 2"]):
    """Return a number with value x and the given live planes."""
    z = number(rng, algebra, x.shape, mask, x.dtype)
    z._planes[0] = x
    return z
