"""Batches in parts, on threads: the same numbers to rounding, and bounded memory."""

import numpy as np
import pytest

import mcx
from mcx_nn import (
    Activation,
    BatchNorm,
    Dense,
    L2Regularized,
    Sequential,
    Supervised,
    mean_squared_error,
    softmax_cross_entropy,
)
from mcx_optim import GaussNewton, Hessian, NewtonKrylov, Objective, fit
from mcx_optim.parts import split
from tests.optim.test_observe import check_draws

SAMPLES = 211  # ragged in every number of parts
PROBLEM = Supervised(
    Sequential([Dense(4, 3), Activation("tanh"), Dense(3, 2)]), softmax_cross_entropy
)


@pytest.fixture(params=[1, 2], ids="{} threads".format)
def threads(request):
    """Set the threads of mcx for one test."""
    before = mcx.get_num_threads()
    mcx.set_num_threads(request.param)
    yield request.param
    mcx.set_num_threads(before)


@pytest.fixture(params=[17, 100, 1000], ids="chunk {}".format)
def pair(request):
    """Return an objective that splits its batches, one that does not, and w."""
    rng = np.random.default_rng(0)
    problem = L2Regularized(PROBLEM, 0.1)
    data = rng.normal(size=(SAMPLES, 4)), rng.integers(0, 2, SAMPLES)
    w = rng.normal(size=problem.parameters_size)
    parted = Objective.of(problem, data, chunk=request.param, separable=True)
    return parted, Objective.of(problem, data, chunk=10 * SAMPLES), w


def assert_same(parted, whole):
    np.testing.assert_allclose(parted, whole, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("size", [1, 63, 128, 129, SAMPLES])
def test_every_evaluation_of_a_batch_is_that_of_its_parts(pair, threads, size):
    parted, whole, w = pair
    batch = whole.rows(slice(size))
    P = np.random.default_rng(1).standard_normal((3, w.size))
    for evaluate in (
        lambda objective: objective.loss(w, batch),
        lambda objective: objective.grad(w, batch),
        lambda objective: objective.curvature(w, batch, P[0]),
        lambda objective: objective.taylor(w, batch, P[0], 4),
        lambda objective: objective.hvp(w, batch, P[0]),
    ):
        assert_same(evaluate(parted), evaluate(whole))
    for operator in (Hessian, GaussNewton):
        ours, theirs = operator(parted, w, batch), operator(whole, w, batch)
        for attribute in ("loss", "gradient"):
            assert_same(getattr(ours, attribute), getattr(theirs, attribute))
        assert_same(ours @ P[0], theirs @ P[0])
        assert_same(ours.block(P), theirs.block(P))
    assert parted.counts == whole.counts


def test_loss_of_all_data(pair, threads):
    parted, whole, w = pair
    for ours, theirs in zip(parted.full(w), whole.full(w), strict=True):
        assert_same(ours, theirs)
    assert_same(parted.full_loss(2 * w), whole.full_loss(2 * w))
    assert parted.counts == whole.counts


def test_draws_of_parts_have_the_covariance_of_the_batch(pair, threads):
    parted, whole, w = pair
    batch = whole.rows(slice(150))
    assert_same(GaussNewton(parted, w, batch) @ w, GaussNewton(whole, w, batch) @ w)
    check_draws(parted, w, batch, count=1500)
    repeated = [parted.observe(w, batch, np.random.default_rng(5))[0] for _ in range(2)]
    np.testing.assert_array_equal(*repeated)


def test_draws_do_not_depend_on_the_threads(threads):
    rng = np.random.default_rng(0)
    batch = rng.normal(size=(600, 4)), rng.integers(0, 2, 600)
    objective = Objective.of(PROBLEM, batch, separable=True)
    w = rng.normal(size=PROBLEM.parameters_size)
    drawn, _ = objective.observe(w, batch, np.random.default_rng(5))
    mcx.set_num_threads(4)
    again, _ = objective.observe(w, batch, np.random.default_rng(5))
    assert np.array_equal(drawn, again)


def test_rows_of_all_parts_are_the_factors_of_the_draw(pair, threads):
    """Without the added term, of which they know nothing."""
    objective, _, w = pair
    batch = objective.rows(slice(150))
    plain = Objective.of(PROBLEM, chunk=objective.chunk, separable=True)
    vector, parts = plain.observe(w, batch, np.random.default_rng(5))
    assert sum(share for share, _ in parts) == pytest.approx(1.0)
    assert sum(len(rows["0.weight"].inputs) for _, rows in parts) == 150
    product = sum(
        share**0.5 * rows["0.weight"].inputs.T @ rows["0.weight"].slopes for share, rows in parts
    )
    np.testing.assert_allclose(product.reshape(-1), vector[:12], atol=1e-14)


def test_loss_that_is_no_mean_over_its_samples_is_why_it_is_a_promise(threads):
    """The variance of a batch is not the mean of those of its parts: this check can fail."""

    def value_and_grad(w, batch):
        deviation = batch[0] - np.mean(batch[0])
        return w[0] * np.mean(deviation**2), np.mean(deviation**2) + 0 * w

    data = (np.arange(float(SAMPLES)),)
    parted = Objective(value_and_grad, data=data, chunk=17, separable=True)
    with pytest.raises(AssertionError):
        assert_same(parted.loss(np.ones(1), data), np.var(data[0]))


@pytest.mark.parametrize("samples", [60, 61])
def test_promise_is_checked_before_the_first_step(threads, samples):
    rng = np.random.default_rng(0)
    layers = [Dense(4, 3), BatchNorm(3), Dense(3, 2)]
    problem = Supervised(Sequential(layers), softmax_cross_entropy)
    data, w = (rng.normal(size=(samples, 4)), rng.integers(0, 2, samples)), problem.init(rng)
    with pytest.raises(ValueError, match=r"separable: expected .* mean .*pass separable=False"):
        fit(Objective.of(problem, data, separable=True), NewtonKrylov(), w, 1)
    fit(Objective.of(problem, data), NewtonKrylov(), w, 1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_mean_whose_terms_cancel_is_a_mean(dtype):
    """Rounding is relative to the losses of the parts, not to their sum."""

    def value_and_grad(w, batch):
        return np.mean(np.sin(w[0] + batch[0])), np.mean(np.cos(w[0] + batch[0])) + 0 * w

    data = (np.linspace(-3, 3, 1000, dtype=dtype),)
    fit(Objective(value_and_grad, data=data, separable=True), NewtonKrylov(), np.zeros(1, dtype), 1)


@pytest.mark.parametrize("samples", [1, 16, 17, 18, 127, 128, SAMPLES, 1000])
@pytest.mark.parametrize("most", [17, 100, 5000])
def test_parts_cover_the_batch_evenly(samples, most, threads):
    parts = split((np.arange(samples), -np.arange(samples)), most)
    assert sum(share for share, _ in parts) == pytest.approx(1.0)
    np.testing.assert_array_equal(np.concatenate([x for _, (x, _) in parts]), np.arange(samples))
    sizes = [len(x) for _, (x, _) in parts]
    assert max(sizes) <= most
    assert max(sizes) - min(sizes) <= 1
    assert [share for share, _ in parts] == pytest.approx([size / samples for size in sizes])
    if samples >= 64 * threads:
        assert len(parts) % threads == 0
    elif samples <= most:
        assert len(parts) == 1


def test_function_without_data_has_one_part():
    assert split(None, 10) == [(1.0, None)]


def test_training_is_the_same_to_rounding_whatever_the_threads(threads):
    rng = np.random.default_rng(0)
    problem = Supervised(Sequential([Dense(3, 2)]), mean_squared_error)
    data = rng.normal(size=(SAMPLES, 3)), rng.normal(size=(SAMPLES, 2))

    def run(**keywords):
        return fit(Objective.of(problem, data, **keywords), NewtonKrylov(), np.zeros(8), 3).w

    np.testing.assert_allclose(run(separable=True, chunk=50), run(), rtol=1e-9)
