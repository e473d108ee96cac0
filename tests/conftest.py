"""Fixtures that the tests share."""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import pytest
from hypothesis import settings
from standin import StandIn

# The same examples in every run; `pytest --hypothesis-profile=exploring` looks for new ones.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.register_profile("exploring", deadline=None)
settings.load_profile("repeatable")

ARRAYS = {"numpy": np.array, "standin": StandIn.wrap}


@pytest.fixture
def rng():
    """Random generator with a fixed seed."""
    return np.random.default_rng(20201124)


@pytest.fixture(params=ARRAYS)
def wrap(request):
    """Return a function from host array to buffer: ndarray, then the strict stand-in of CuPy."""
    return ARRAYS[request.param]


@pytest.fixture(params=[np.float32, np.float64], ids=["float32", "float64"])
def dtype(request):
    """Coefficient type."""
    return np.dtype(request.param)


@pytest.fixture(params=range(1, 7), ids="order{}".format)
def order(request):
    """Order of the multicomplex number."""
    return request.param
