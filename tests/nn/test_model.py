"""Supervised: views, laziness, state, masks, diagnosis."""

import tracemalloc

import numpy as np
import pytest

import mcx
from mcx_nn import (
    Activation,
    Concatenation,
    Conv2d,
    Dense,
    Flatten,
    Residual,
    Sequential,
    Supervised,
    mean_squared_error,
    softmax_cross_entropy,
)
from tests.nn import checks
from tests.nn.toys import DRIFTING, Spy
from tests.standin import StandIn


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


def test_ravel_and_unravel(supervised, w):
    params = supervised.unravel(w)
    assert {name: array.shape for name, array in params.items()} == supervised.model.parameters
    assert all(np.shares_memory(array, w) for array in params.values())
    np.testing.assert_array_equal(supervised.ravel(params), w)
    assert supervised.parameters_size == w.size == 4 * 3 + 3 + 3 * 2 + 2


def test_unravel_refuses_another_size(supervised):
    with pytest.raises(ValueError, match=r"w: expected shape \(23,\), got \(22,\)"):
        supervised.unravel(np.ones(22))


def test_ravel_copies_once():
    """Parameters are views of w; gradients go into one new vector and nowhere else."""
    supervised = Supervised(Sequential([Dense(300, 300), Dense(300, 2)]), mean_squared_error)
    w = supervised.init(np.random.default_rng(0))
    mcx.memory.forget()  # memory that is used again would not be seen
    tracemalloc.start()
    try:
        params = supervised.unravel(w)
        _, views = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        supervised.ravel(params)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert views < 10_000
    assert w.nbytes <= peak < w.nbytes + 20_000


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


def test_forward_and_output_loss_are_the_two_halves(supervised, w, batch):
    output, backward = supervised.forward(w, batch)
    np.testing.assert_array_equal(output, supervised.predict(w, batch[0]))
    assert output.shape == supervised.output_shape(batch) == (5, 2)
    loss, doutput = supervised.output_loss(output, batch)
    assert loss == supervised.value(w, batch)
    assert doutput.shape == output.shape
    gradient = supervised.value_and_grad(w, batch)[1]
    for _ in range(2):  # as often as one likes
        np.testing.assert_array_equal(backward(doutput), gradient)
    np.testing.assert_allclose(backward(-2 * doutput), -2 * gradient, rtol=1e-14)


def test_backward_is_the_transpose_of_the_jacobian(supervised, w, batch):
    """Both against complex steps, and J by mcx from the same forward pass."""
    columns = [
        checks.complex_step(lambda w: supervised.forward(w, batch)[0].reshape(-1), w, e)
        for e in np.eye(w.size)
    ]
    J = np.stack(columns, axis=1)
    output, jacobian = mcx.linearize(lambda w: supervised.forward(w, batch)[0], w)
    p, dy = np.random.default_rng(1).normal(size=(2, w.size)), np.ones(output.shape)
    checks.assert_close(jacobian(p).reshape(2, -1), p @ J.T, 64 * checks.EPS, "J p")
    _, backward = supervised.forward(w, batch)
    checks.assert_close(backward(dy), J.T @ dy.reshape(-1), 64 * checks.EPS, "Jᵀ dy")


def test_forward_is_that_of_training(drifting, drifting_batch):
    w = drifting.init(np.random.default_rng(1))
    drifting.draw_masks(np.random.default_rng(2), drifting_batch)
    drifting.update_state(w, drifting_batch)
    output, _ = drifting.forward(w, drifting_batch)
    loss, _ = drifting.output_loss(output, drifting_batch)
    assert loss == drifting.value(w, drifting_batch)
    assert not np.allclose(output, drifting.predict(w, drifting_batch[0]))


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


def test_first_nonfinite_in_combinators():
    model = Sequential(
        [
            Residual(Sequential([Dense(2, 2), Activation("sin")])),
            Concatenation([Dense(2, 2), Dense(2, 2)]),
        ]
    )
    supervised = Supervised(model, mean_squared_error)
    params = {name: np.ones(shape) for name, shape in model.parameters.items()}
    batch = np.ones((1, 2)), np.ones((1, 4))

    def first(name, value):
        w = supervised.ravel({**params, name: np.full_like(params[name], value)})
        return supervised.first_nonfinite(w, batch)

    assert first("0.body.0.bias", 1.0) is None
    assert first("0.body.0.bias", np.nan) == "0.body.0 Dense"
    assert first("1.1.weight", np.inf) == "1.1 Dense"


def test_sum_of_finite_parts_that_is_not_finite():
    doubling = Residual(Dense(2, 2))
    supervised = Supervised(doubling, mean_squared_error)
    w = supervised.ravel({"body.weight": np.eye(2), "body.bias": np.zeros(2)})
    batch = np.full((1, 2), np.finfo(float).max), np.zeros((1, 2))
    with np.errstate(over="ignore"):
        assert supervised.first_nonfinite(w, batch) == "Residual"
        nested = Supervised(Sequential([Flatten(), doubling]), mean_squared_error)
        assert nested.first_nonfinite(w, batch) == "1 Residual"


# ---- state and masks of a problem


@pytest.fixture
def drifting():
    return Supervised(DRIFTING, mean_squared_error)


@pytest.fixture
def drifting_batch():
    rng = np.random.default_rng(0)
    return rng.normal(size=(5, 3)), rng.normal(size=(5, 4))


def test_train_and_predict(drifting, drifting_batch):
    """The loss is that of training; predictions use the running statistics and no masks."""
    w = drifting.init(np.random.default_rng(1))
    x, y = drifting_batch
    drifting.draw_masks(np.random.default_rng(2), drifting_batch)
    drifting.update_state(w, drifting_batch)
    params, context = drifting.unravel(w), drifting.context
    trained, _ = DRIFTING.forward(params, x, {**context, "train": True})
    assert drifting.value(w, drifting_batch) == np.mean((trained - y) ** 2)
    assert drifting.value_and_grad(w, drifting_batch)[0] == np.mean((trained - y) ** 2)
    predicted, _ = DRIFTING.forward(params, x, {"state": context["state"]})
    np.testing.assert_array_equal(drifting.predict(w, x), predicted)
    assert not np.allclose(trained, predicted)


def test_only_two_methods_change_the_context(drifting, drifting_batch):
    w = drifting.init(np.random.default_rng(1))
    assert drifting.context == {"state": DRIFTING.init_state()}
    drifting.draw_masks(np.random.default_rng(2), drifting_batch)
    kept = drifting.context
    drifting.value_and_grad(w, drifting_batch)
    drifting.value(w, drifting_batch)
    drifting.predict(w, drifting_batch[0])
    drifting.first_nonfinite(w, drifting_batch)
    assert drifting.context is kept
    masks, state = kept["masks"], kept["state"]
    drifting.update_state(w, drifting_batch)
    assert kept == {"masks": masks, "state": state}
    assert drifting.context["masks"] is masks
    assert drifting.context["state"]["0.mean"] == drifting_batch[0].mean() / 2
    drifting.draw_masks(np.random.default_rng(3), drifting_batch)
    assert not np.array_equal(drifting.context["masks"]["0.keep"], masks["0.keep"])
    assert drifting.context["state"]["0.mean"] == drifting_batch[0].mean() / 2


def test_linearize_keeps_its_masks(drifting, drifting_batch):
    """Masks drawn later do not creep into Hessian-vector products of before."""
    w = drifting.init(np.random.default_rng(1))
    p = np.random.default_rng(4).normal(size=w.size)
    drifting.draw_masks(np.random.default_rng(2), drifting_batch)
    _, hvp = mcx.linearize(lambda w: drifting.value_and_grad(w, drifting_batch)[1], w)
    before = hvp(p)
    drifting.draw_masks(np.random.default_rng(3), drifting_batch)
    drifting.update_state(w, drifting_batch)
    np.testing.assert_array_equal(hvp(p), before)
    _, hvp = mcx.linearize(lambda w: drifting.value_and_grad(w, drifting_batch)[1], w)
    assert not np.allclose(hvp(p), before)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_state_has_the_dtype_of_w(dtype, drifting, drifting_batch, wrap):
    """Wherever w and the batch live, so do state and masks, and nothing becomes float64."""
    host = drifting.init(np.random.default_rng(1), dtype)
    w, x, y = (
        wrap(host),
        wrap(drifting_batch[0].astype(dtype)),
        wrap(drifting_batch[1].astype(dtype)),
    )
    drifting.draw_masks(np.random.default_rng(2), (x, y))
    assert drifting.predict(w, x).dtype == dtype
    loss, grad = drifting.value_and_grad(w, (x, y))
    assert loss.dtype == grad.dtype == dtype
    drifting.update_state(w, (x, y))
    assert {array.dtype for array in drifting.context["state"].values()} == {np.dtype(dtype)}
    assert {type(array) for array in drifting.context["masks"].values()} == {type(x)}
    assert drifting.predict(w, x).dtype == dtype
    assert type(drifting.predict(w, x)) is type(x)
    p = wrap(np.random.default_rng(4).normal(size=host.size).astype(dtype))
    for derivative in mcx.csdd(lambda w: drifting.value_and_grad(w, (x, y))[1], w, p):
        assert derivative.dtype == dtype
    moved = mcx.jvp(lambda w: drifting.predict(w, x), w, p)[1]
    assert moved.dtype == dtype
