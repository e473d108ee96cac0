"""Sequential and Supervised: names, views, laziness, diagnosis."""

import numpy as np
import pytest

import mcx
from mcx_nn import (
    Activation,
    Conv2d,
    Dense,
    Flatten,
    Layer,
    Sequential,
    Supervised,
    mean_squared_error,
    softmax_cross_entropy,
)
from tests.nn import checks
from tests.standin import StandIn


class Spy(Layer):
    """Identity that counts its backward passes."""

    def __init__(self):
        self.backwards = 0

    def forward(self, params, x, context):
        def backward(dy):
            self.backwards += 1
            return dy, {}

        return x, backward


@pytest.fixture
def supervised():
    model = Sequential([Flatten(), Dense(4, 3), Activation("tanh"), Dense(3, 2)])
    return Supervised(model, softmax_cross_entropy)


@pytest.fixture
def batch():
    rng = np.random.default_rng(0)
    return rng.normal(size=(5, 2, 2, 1)), rng.integers(0, 2, 5)


@pytest.fixture
def w(supervised):
    return supervised.init(np.random.default_rng(1))


def test_names():
    inner = Sequential([Dense(2, 2), Activation("sin")])
    assert dict(Sequential([inner, Dense(2, 1)]).parameters) == {
        "0.0.weight": (2, 2),
        "0.0.bias": (2,),
        "1.weight": (2, 1),
        "1.bias": (1,),
    }


def test_nesting_changes_nothing():
    flat = Sequential([Dense(3, 2), Activation("sin"), Dense(2, 2)])
    nested = Sequential([Sequential([Dense(3, 2), Activation("sin")]), Dense(2, 2)])
    rng = np.random.default_rng(0)
    batch = rng.normal(size=(2, 4, 3))[0], rng.normal(size=(4, 2))
    problems = [Supervised(model, mean_squared_error) for model in (flat, nested)]
    w = problems[0].init(np.random.default_rng(2))
    np.testing.assert_array_equal(w, problems[1].init(np.random.default_rng(2)))
    (loss, grad), (nested_loss, nested_grad) = (p.value_and_grad(w, batch) for p in problems)
    assert loss == nested_loss
    np.testing.assert_array_equal(grad, nested_grad)


def test_no_backward_below_the_first_parameters():
    """The input is data: what comes before the first layer with parameters is not propagated to."""
    below, above = Spy(), Spy()
    supervised = Supervised(Sequential([below, Dense(3, 2), above]), mean_squared_error)
    batch = np.ones((4, 3)), np.ones((4, 2))
    supervised.value_and_grad(np.ones(supervised.parameters_size), batch)
    assert (below.backwards, above.backwards) == (0, 1)


def test_backward_to_the_input():
    below = Spy()
    model = Sequential([below, Dense(3, 2)])
    params = model.init(np.random.default_rng(0))
    dx, _ = model.forward(params, np.ones((4, 3)), {})[1](np.ones((4, 2)))
    assert below.backwards == 1
    np.testing.assert_allclose(dx, np.ones((4, 2)) @ params["1.weight"].T)


def test_ravel_and_unravel(supervised, w):
    params = supervised.unravel(w)
    assert {name: array.shape for name, array in params.items()} == supervised.model.parameters
    assert all(np.shares_memory(array, w) for array in params.values())
    np.testing.assert_array_equal(supervised.ravel(params), w)
    assert supervised.parameters_size == w.size == 4 * 3 + 3 + 3 * 2 + 2


def test_unravel_refuses_another_size(supervised):
    with pytest.raises(ValueError, match=r"w: expected shape \(23,\), got \(22,\)"):
        supervised.unravel(np.ones(22))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dtype(supervised, batch, dtype):
    w = supervised.init(np.random.default_rng(0), dtype)
    x, y = batch
    loss, grad = supervised.value_and_grad(w, (x.astype(dtype), y))
    assert w.dtype == loss.dtype == grad.dtype == dtype


def test_value_and_predict(supervised, w, batch):
    loss, _ = supervised.value_and_grad(w, batch)
    assert supervised.value(w, batch) == loss
    x, y = batch
    assert softmax_cross_entropy(supervised.predict(w, x), y)[0] == loss


def test_derivatives(supervised, w, batch):
    problem = checks.supervised_problem(supervised, w, batch)
    p, q = np.random.default_rng(1).normal(size=(2, w.size))
    checks.check_gradient(problem)
    checks.check_hessian(problem, p)
    checks.check_curvature(problem, p)
    checks.check_multicomplex(problem, p, q)


def test_linearize(supervised, w, batch):
    problem = checks.supervised_problem(supervised, w, batch)
    directions = np.random.default_rng(1).normal(size=(3, w.size))
    gradient, hvp = mcx.linearize(problem.gradient, w)
    checks.assert_close(gradient, problem.gradient(w), 64 * checks.EPS, "gradient")
    expected = directions @ checks.dense_hessian(problem)
    checks.assert_close(hvp(directions), expected, 1024 * checks.EPS, "three products")
    checks.assert_close(hvp(directions[1]), expected[1], 1024 * checks.EPS, "one product")


def test_standin(supervised, w, batch):
    loss, grad = supervised.value_and_grad(w, batch)
    device_batch = tuple(map(StandIn.wrap, batch))
    device_loss, device_grad = supervised.value_and_grad(StandIn.wrap(w), device_batch)
    assert device_loss.get() == loss
    np.testing.assert_array_equal(device_grad.get(), grad)
    assert supervised.first_nonfinite(StandIn.wrap(w), device_batch) is None


def test_multicomplex_on_the_standin(supervised, w, batch):
    """A Multicomplex over device buffers goes through the model as one over ndarrays does."""
    p = np.random.default_rng(1).normal(size=w.size)
    expected = mcx.csdd(lambda w: supervised.value_and_grad(w, batch)[1], w, p)
    device_batch = tuple(map(StandIn.wrap, batch))
    computed = mcx.csdd(
        lambda w: supervised.value_and_grad(w, device_batch)[1], StandIn.wrap(w), StandIn.wrap(p)
    )
    for device, host in zip(computed, expected, strict=True):
        checks.assert_close(device.get(), host, 16 * checks.EPS, "gradient or Hp")


def test_first_nonfinite():
    model = Sequential([Conv2d(1, 2, 2), Activation("relu"), Flatten(), Dense(2, 2)])
    supervised = Supervised(model, mean_squared_error)
    w = supervised.init(np.random.default_rng(0))
    x, y = np.ones((1, 2, 2, 1)), np.ones((1, 2))

    def with_parameter(name, value):
        params = {key: array.copy() for key, array in supervised.unravel(w).items()}
        params[name].flat[0] = value
        return supervised.ravel(params)

    assert supervised.first_nonfinite(w, (x, y)) is None
    assert supervised.first_nonfinite(w, (x * np.nan, y)) == "input"
    assert supervised.first_nonfinite(with_parameter("0.bias", np.nan), (x, y)) == "0 Conv2d"
    assert supervised.first_nonfinite(with_parameter("3.weight", np.inf), (x, y)) == "3 Dense"
    assert supervised.first_nonfinite(w, (x, y * np.inf)) == "loss"
