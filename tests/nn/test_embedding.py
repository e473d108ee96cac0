"""Embedding: indices of any integer type, many or none, and those out of range."""

import numpy as np
import pytest

import mcx
from mcx_nn import Embedding


def arrays(shape, entries=4, features=3):
    rng = np.random.default_rng(0)
    weight, x = rng.normal(size=(entries, features)), rng.integers(0, entries, shape)
    return {"weight": weight}, x, rng.normal(size=(*shape, features))


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "uint64", "int64"])
@pytest.mark.parametrize("shape", [(5,), (2, 6), (0,), (0, 3), (1, 1), (200, 7)])
def test_one_hot(shape, dtype):
    """A lookup is a product with rows of the unit matrix, and so is its transpose."""
    params, x, dy = arrays(shape)
    units = np.eye(4)[x].reshape(-1, 4)
    y, backward = Embedding(4, 3).forward(params, x.astype(dtype), {})
    dx, grads = backward(dy)
    assert y.shape == (*shape, 3)
    assert np.array_equal(y.reshape(-1, 3), units @ params["weight"])
    assert dx is None
    np.testing.assert_allclose(grads["weight"], units.T @ dy.reshape(-1, 3), atol=1e-13)


def test_narrow_indices_of_many_features():
    """Positions in the flat weight are counted in more than the 8 bits of the indices."""
    params, _, _ = arrays((1,), entries=300, features=50)
    x = np.array([99, 99, 3], dtype="uint8")
    _, backward = Embedding(300, 50).forward(params, x, {})
    gradient = backward(np.ones((3, 50)))[1]["weight"]
    assert np.array_equal(gradient.sum(axis=1), 50 * np.bincount(x, minlength=300))


def test_planes():
    params, x, dy = arrays((2, 3))
    rng = np.random.default_rng(1)
    p, q, dp, dq = (*rng.normal(size=(2, 4, 3)), *rng.normal(size=(2, 2, 3, 3)))
    layer = Embedding(4, 3)
    y, backward = layer.forward({"weight": mcx.perturb(params["weight"], p, q)}, x, {})
    gradient = backward(mcx.perturb(dy, dp, dq))[1]["weight"]
    for number, plane in ((1, (p, dp)), (2, (q, dq))):
        expected, transposed = layer.forward({"weight": plane[0]}, x, {})
        assert np.array_equal(y.im(number), expected)
        assert np.array_equal(gradient.im(number), transposed(plane[1])[1]["weight"])
    assert not y.im(1, 2).any()
    assert not gradient.im(1, 2).any()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Embedding(0, 2), r"entries: expected at least 1, got 0"),
        (lambda: Embedding(2, 0), r"features: expected at least 1, got 0"),
        (
            lambda: look_up(np.array([0.0, 1.0])),
            r"Embedding\(.*x: expected integers, got .*float64",
        ),
        (lambda: look_up(np.array([True])), r"x: expected integers, got dtype bool"),
        (lambda: look_up(np.array([0, 4])), r"x: expected 0 to 3, got 0 to 4"),
        (lambda: look_up(np.array([[2, -1]])), r"x: expected 0 to 3, got -1 to 2"),
        (lambda: look_up(np.array(2)), r"x: expected shape \(B,\), got \(\)"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def look_up(x):
    return Embedding(4, 3).forward({"weight": np.zeros((4, 3))}, x, {})


def test_parameter_shape():
    with pytest.raises(ValueError, match=r"weight: expected shape \(4, 3\), got \(3, 4\)"):
        Embedding(4, 3).forward({"weight": np.zeros((3, 4))}, np.array([0]), {})
