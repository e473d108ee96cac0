"""The two ways of arithmetic on planes, by kernels and by plain NumPy, each taken at will."""

import math
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from mcx.kernels import cache, launch, loops
from mcx.kernels.launch import Kernel
from mcx.verbs import elementwise


@contextmanager
def plainly():
    """Take the plain way: no kernel runs, no loop over a table is compiled."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(launch, "WORK", math.inf)
        patch.setattr(Kernel, "run", lambda *args, **kwargs: None)
        yield


@contextmanager
def eagerly():
    """Ask for kernels from the first call on; yield a list that tells of each if it answered."""
    answered = []
    original = Kernel.run

    def run(self, *args, **kwargs):
        planes = original(self, *args, **kwargs)
        if self.program is not None:  # not too long to unroll
            answered.append(planes is not None)
        return planes

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(launch, "WORK", 0)
        patch.setattr(Kernel, "run", run)
        yield answered


@contextmanager
def by_kernels():
    """As `eagerly`, on machines that can compile kernels."""
    if not cache.numba_ready():
        pytest.skip("no kernels on this machine: Numba or <fenv.h> is not to be had")
    with eagerly() as answered:
        yield answered


@contextmanager
def interpreted():
    """As `eagerly`, the source of every kernel run by Python: nothing is compiled."""
    numba = SimpleNamespace(
        njit=lambda *args, **kwargs: lambda function: function,
        types=SimpleNamespace(
            int32=lambda *args: None, ExternalFunction=lambda *args: lambda flags: 0
        ),
    )

    def loaded(name, source):
        lines = [line for line in source.splitlines() if not line.startswith("import ")]
        module = {"numba": numba, "np": np, "math": SimpleNamespace(sqrt=np.sqrt)}
        exec("\n".join(lines), module)
        return SimpleNamespace(**module)

    fresh = elementwise.binary_kernel, elementwise.function_kernel, loops._compiled
    with pytest.MonkeyPatch.context() as patch, eagerly() as answered:
        patch.setattr(cache, "numba_ready", lambda: True)
        patch.setattr(cache, "loaded", loaded)
        for kernels in fresh:
            kernels.cache_clear()
        try:
            yield answered
        finally:
            for kernels in fresh:
                kernels.cache_clear()


def both(run):
    """Return run() by kernels, which must answer, and plainly."""
    with by_kernels() as answered:
        first = run()
    assert answered, "no kernel was asked"
    assert all(answered), "a kernel declined"
    with plainly():
        return first, run()


def assert_same(z, expected):
    """Check that two numbers agree bit for bit, in every plane and in their live planes."""
    assert type(z) is type(expected)
    assert z.algebra is expected.algebra
    assert bin(z.live) == bin(expected.live)
    assert_array_equal(z._planes, expected._planes, strict=True)


def assert_dead_planes_are_zero(z):
    """Check that a number has nothing in planes that its rules leave out."""
    for k in range(z.algebra.size):
        assert z.live >> k & 1 or not np.any(z._planes[k]), f"plane {k} is dead and not zero"
