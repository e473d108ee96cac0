"""Objective.observe: draws with the Gauss-Newton matrix as covariance, and their factors."""

import numpy as np
import pytest

from mcx_nn import (
    Activation,
    Conv2d,
    Dense,
    Flatten,
    L2Regularized,
    Sequential,
    Supervised,
    binary_cross_entropy_with_logits,
    mean_squared_error,
    softmax_cross_entropy,
    squared_hinge,
)
from mcx_optim import GaussNewton, Objective
from tests.optim.problems import small_softmax

LOSSES = (
    softmax_cross_entropy,
    binary_cross_entropy_with_logits,
    mean_squared_error,
    squared_hinge,
)


def problem_with(loss, inputs=3, outputs=2, samples=7, dtype=np.float64):
    """Return a small network as a problem, its w and a batch."""
    rng = np.random.default_rng(0)
    problem = Supervised(
        Sequential([Dense(inputs, 2), Activation("tanh"), Dense(2, outputs)]), loss
    )
    labels = loss in (softmax_cross_entropy, squared_hinge)
    y = (
        rng.integers(0, outputs, samples)
        if labels
        else rng.random((samples, outputs)).astype(dtype)
    )
    w = rng.normal(size=problem.parameters_size).astype(dtype)
    return problem, w, (rng.normal(size=(samples, inputs)).astype(dtype), y)


def dense_matrix(objective, w, batch):
    return GaussNewton(objective, w, batch).block(np.eye(w.size))


def check_draws(objective, w, batch, count=4000):
    """Raise AssertionError unless draws have mean 0 and the covariance G, to sampling error."""
    G, rng = dense_matrix(objective, w, batch), np.random.default_rng(1)
    draws = np.array([objective.observe(w, batch, rng)[0] for _ in range(count)])
    products = draws[:, :, None] * draws[:, None, :]
    for sample, expected in ((draws, 0.0), (products, G)):
        noise = sample.std(axis=0) / np.sqrt(count)
        assert np.all(abs(sample.mean(axis=0) - expected) <= 5 * noise + 1e-12)
    assert np.trace(G) > 0


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.__name__)
@pytest.mark.parametrize("strength", [0.0, 0.3])
def test_draws_have_the_gauss_newton_matrix_as_covariance(loss, strength):
    problem, w, batch = problem_with(loss)
    if strength:
        problem = L2Regularized(problem, strength, np.arange(w.size) % 3 > 0)
    check_draws(Objective.of(problem), w, batch)


@pytest.mark.parametrize("scale", [1.1, -0.9])
def test_draws_of_the_wrong_size_are_caught(scale):
    problem, w, batch = problem_with(softmax_cross_entropy)
    objective = Objective.of(problem)
    observe = objective.observe
    objective.observe = lambda *arguments: (scale * observe(*arguments)[0], None)
    with pytest.raises(AssertionError):
        check_draws(objective, w, batch)


def test_draw_costs_a_gradient_and_is_repeated_by_its_generator():
    problem, w, batch = problem_with(softmax_cross_entropy, dtype=np.float32)
    objective = Objective.of(problem)
    first, second, other = (
        objective.observe(w, batch, np.random.default_rng(seed))[0] for seed in (3, 3, 4)
    )
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)
    assert first.dtype == np.float32
    assert objective.counts.gradient == 3 * 7


CONVOLUTIONS = {
    "plain": Conv2d(1, 2, 3),
    "padded": Conv2d(1, 2, 3, padding=1),
    "strided": Conv2d(1, 2, 3, stride=2),
    "dilated": Conv2d(1, 2, 2, dilation=2),
}


@pytest.mark.parametrize("convolution", CONVOLUTIONS.values(), ids=CONVOLUTIONS)
def test_rows_are_factors_of_the_draw(convolution):
    """Inputsᵀ slopes is the part of the vector that belongs to the weight."""
    rng = np.random.default_rng(0)
    model = Sequential([convolution, Activation("tanh"), Conv2d(2, 2, 2), Flatten()])
    outputs = model.output_shape((6, 6, 1))[0]
    problem = Supervised(Sequential([*model.layers, Dense(outputs, 3)]), softmax_cross_entropy)
    w, batch = problem.init(rng), (rng.normal(size=(5, 6, 6, 1)), rng.integers(0, 3, 5))
    vector, [(share, rows)] = Objective.of(problem).observe(w, batch, rng)
    assert share == 1.0
    assert list(rows) == [name for name in problem.slots if name.endswith("weight")]
    for name, each in rows.items():
        product = (each.inputs.T @ each.slopes).reshape(-1)
        np.testing.assert_allclose(product, vector[problem.slots[name][0]], atol=1e-14)
        bias = problem.slots[name.removesuffix("weight") + "bias"][0]
        np.testing.assert_allclose(each.slopes.sum(axis=0), vector[bias], atol=1e-14)


def test_objective_that_cannot_draw_says_what_is_missing():
    objective, w = small_softmax()
    with pytest.raises(ValueError, match="expected an objective with observe, got one without"):
        objective.observe(w, objective.data, np.random.default_rng(0))
