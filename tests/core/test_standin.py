"""The stand-in is as strict as CuPy: what CuPy refuses, it refuses."""

import copy
import pickle

import numpy as np
import pytest
from cupy_names import FUNCTIONS, METHODS, UFUNCS
from standin import StandIn

import mcx

A = StandIn.wrap(np.arange(6.0).reshape(2, 3))


def test_copies_in_and_out():
    host = np.arange(3.0)
    device = StandIn.wrap(host)
    host[0] = 9.0
    assert device.get().tolist() == [0.0, 1.0, 2.0]
    out = device.get()
    out[0] = 7.0
    assert float(device[0]) == 0.0


@pytest.mark.parametrize(
    "call",
    [
        lambda: np.asarray(A),
        lambda: np.array([A[0, 0], 1.0]),
        lambda: A + np.ones(3),
        lambda: np.ones(3) * A,
        lambda: np.concatenate([A, np.ones((2, 3))]),
        lambda: np.block([A, A]),
        lambda: np.vecdot(A, A),
        lambda: np.nanquantile(A, 0.5),
        lambda: np.linalg.vector_norm(A),
        lambda: np.sum(A, where=A > 1),
        lambda: np.max(A, initial=0.0),
        lambda: A.sum(where=A > 1),
        lambda: np.random.default_rng(0).permutation(A),
        lambda: A.__setitem__(0, np.ones(3)),
        lambda: A.copy().__iadd__(np.ones(3)),
        lambda: A + "text",
    ],
)
def test_refuses_by_type_error(call):
    with pytest.raises(TypeError):
        call()


def test_ufunc_methods_are_those_of_cupy():
    assert np.add.reduce(A).get().tolist() == [3.0, 5.0, 7.0]
    with pytest.raises(NotImplementedError, match=r"maximum\.reduce"):
        np.maximum.reduce(A)


def test_lacks_what_cupy_lacks():
    for name in ("ctypes", "setflags", "byteswap", "dumps_", "newbyteorder"):
        assert not hasattr(A, name)
    assert not hasattr(A.flags, "writeable")


def test_reductions_and_elements_are_arrays_not_scalars():
    for result in (np.sum(A), A[0, 0], A.mean(), np.argmax(A), A @ A.T):
        assert isinstance(result, StandIn)
    assert float(np.sum(A)) == 15.0
    assert bool(A[0, 1] > 0)


def test_views_write_through_and_out_keeps_identity():
    a = A.copy()
    a[0][1:] = 5.0
    a.T[2] = 8.0
    assert a.get().tolist() == [[0.0, 5.0, 8.0], [3.0, 4.0, 8.0]]
    out = StandIn.wrap(np.zeros((2, 3)))
    assert np.exp(a, out=out) is out
    assert float(out[0, 0]) == 1.0


def test_asks_other_types_before_it_gives_up():
    """As CuPy does for a type with neither of its protocols: Multicomplex gets its turn."""
    z = mcx.perturb(A, A)
    w = mcx.perturb(A.get(), A.get())
    for result, expected in (
        (A + z, A.get() + w),
        (A @ z.T, A.get() @ w.T),
        (np.multiply(A, z), A.get() * w),
        (np.concatenate([A, z]), np.concatenate([A.get(), w])),
        (2.0 / (A + 1) * z, 2.0 / (A.get() + 1) * w),
    ):
        assert isinstance(result, mcx.Multicomplex)
        np.testing.assert_array_equal(result.planes.get(), expected.planes)
    with pytest.raises(TypeError):
        A.copy().__iadd__(z)


def test_most_names_exist_in_numpy():
    """All of them in the newest; the oldest lacks a few."""
    missing = {name for name in UFUNCS | FUNCTIONS["numpy"] if not hasattr(np, name)}
    assert missing <= {"cumulative_prod", "cumulative_sum"}
    assert all(hasattr(np.ndarray, name) or hasattr(np, name) for name in METHODS)


def test_survives_pickle_and_copy():
    for again in (pickle.loads(pickle.dumps(A)), copy.copy(A), copy.deepcopy(A)):
        np.testing.assert_array_equal(again.get(), A.get())
