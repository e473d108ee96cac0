"""Estimates of the global gradient: what they are the gradient of, their bias, and their state."""

import itertools

import numpy as np
import pytest

from mcx_optim import (
    GaussNewton,
    GrowingSample,
    Hessian,
    MovingAverage,
    NewtonKrylov,
    Objective,
    VarianceReduced,
    fit,
)
from mcx_optim.gradients import NAMED
from tests.optim.problems import network, small_softmax, softmax_value_and_grad

SIZE = 20
ESTIMATORS = {
    "growing": lambda: GrowingSample(first=30, growth=1.1),
    "norm test": lambda: GrowingSample(first=30, growth=2.0, theta=0.5),
    "variance reduced": lambda: VarianceReduced(period=3),
    "moving average": lambda: MovingAverage(0.8),
    **NAMED,
}


def call(estimator, objective, w, batch):
    """Return the Estimate that a step would get."""
    return estimator(objective, w, batch, Hessian(objective, w, batch))


def batches(objective, size=SIZE):
    """Return all samples in batches."""
    return [objective.rows(slice(k, k + size)) for k in range(0, objective.samples, size)]


def points(count, size=15, length=0.1):
    return length * np.random.default_rng(0).standard_normal((count, size))


def error(gradient, objective, w):
    return np.linalg.norm(gradient - objective.full(w)[1])


@pytest.mark.parametrize("separable", [False, True])
@pytest.mark.parametrize("name", ESTIMATORS)
def test_estimate_knows_the_loss_and_gradient_of_its_sample(name, separable):
    objective, _ = small_softmax(separable=separable)
    estimator = ESTIMATORS[name]()
    for w, batch in zip(points(3), batches(objective), strict=True):
        estimate = call(estimator, objective, w, batch)
        loss, gradient = softmax_value_and_grad(w, estimate.sample)
        assert estimate.sample_loss == pytest.approx(loss, rel=1e-13)
        np.testing.assert_allclose(estimate.sample_gradient, gradient, atol=1e-14)
        assert estimate.samples == len(estimate.sample[0])
        assert estimate.exact == (name == "global")
        for part, whole in zip(batch, estimate.sample, strict=True):
            np.testing.assert_array_equal(whole[:SIZE], part)


def test_named_estimates():
    objective, w = small_softmax()
    batch = objective.rows(slice(SIZE))
    exact, own = (call(NAMED[name](), objective, w, batch) for name in ("global", "batch"))
    loss, gradient = softmax_value_and_grad(w, objective.data)
    assert exact.loss == pytest.approx(loss)
    np.testing.assert_allclose(exact.gradient, gradient, atol=1e-14)
    np.testing.assert_array_equal(own.gradient, softmax_value_and_grad(w, batch)[1])


# ----- growing samples -----


def indexed(samples):
    """Return an objective whose samples are their own numbers."""

    def value_and_grad(w, batch):
        difference = w[0] - np.mean(batch[0])
        return difference**2 / 2, difference + 0 * w

    return Objective(value_and_grad, data=(np.arange(float(samples)),))


def taken(estimator, objective, steps, inside=SIZE):
    """Return the samples that each step took beside those of its batch."""
    batch = objective.rows(slice(inside))
    return [call(estimator, objective, np.zeros(1), batch).sample[0][inside:] for _ in range(steps)]


def test_growing_sample_is_the_gradient_of_batch_and_sample_together():
    objective, _ = small_softmax()
    estimator = GrowingSample(first=33, growth=1.0)
    estimate = call(estimator, objective, points(1)[0], objective.rows(slice(SIZE)))
    assert estimate.samples == 33
    np.testing.assert_array_equal(estimate.gradient, estimate.sample_gradient)
    assert estimate.loss == estimate.sample_loss


def test_every_pass_takes_every_sample_once_in_another_order():
    objective = indexed(60)
    drawn = np.concatenate(taken(GrowingSample(first=SIZE + 15, growth=1.0), objective, 8))
    first, second = drawn[:60], drawn[60:]
    np.testing.assert_array_equal(np.sort(first), np.arange(60))
    np.testing.assert_array_equal(np.sort(second), np.arange(60))
    assert not np.array_equal(first, second)
    other = np.concatenate(taken(GrowingSample(first=35, growth=1.0, seed=1), objective, 4))
    assert not np.array_equal(first, other)


def test_rest_of_a_pass_that_is_too_small_is_left_out():
    parts = taken(GrowingSample(first=SIZE + 25, growth=1.0), indexed(60), 4)
    assert [len(part) for part in parts] == [25] * 4
    for pair in (parts[:2], parts[2:]):
        assert len(np.unique(np.concatenate(pair))) == 50


def test_sample_grows_by_a_factor_up_to_its_limit():
    objective = indexed(1000)
    sizes = [SIZE + len(part) for part in taken(GrowingSample(30, 1.5), objective, 10)]
    assert sizes == [int(min(30 * 1.5**k, 1000)) for k in range(10)]
    sizes = [SIZE + len(part) for part in taken(GrowingSample(30, 1.5, most=100), objective, 5)]
    assert sizes == [30, 45, 67, 100, 100]


def test_batch_as_large_as_the_sample_is_the_sample():
    objective = indexed(60)
    batch = objective.rows(slice(40))
    estimate = call(GrowingSample(first=40), objective, np.zeros(1), batch)
    assert estimate.sample is batch
    assert objective.counts.gradient == 0
    estimate = call(GrowingSample(), *(Objective(lambda w, b: (w @ w, 2 * w)), np.ones(2), None))
    assert estimate.samples == 1


@pytest.mark.parametrize("separable", [False, True])
def test_batch_that_is_known_is_evaluated_again_only_where_its_loss_is_no_mean(separable):
    objective, w = small_softmax(separable=separable)
    call(GrowingSample(first=33), objective, w, objective.rows(slice(SIZE)))
    assert objective.counts.gradient == 33 - separable * SIZE


@pytest.mark.parametrize("chunk", [7, 1000])
@pytest.mark.parametrize("size", [33, 60])
def test_sample_is_one_function_where_its_loss_is_no_mean_over_samples(size, chunk):
    """Such as the variance, or any with batch normalization: trials are of the whole sample."""

    def value_and_grad(w, batch):
        variance = np.mean((batch[0] - np.mean(batch[0])) ** 2)
        return w[0] ** 2 * variance / 2, w * variance

    objective = Objective(value_and_grad, data=(np.arange(60.0) ** 2,), chunk=chunk)
    w = np.ones(1)
    estimate = call(GrowingSample(first=size), objective, w, objective.rows(slice(SIZE)))
    assert estimate.samples == size
    assert estimate.sample_loss == pytest.approx(np.var(estimate.sample[0]) / 2, rel=1e-13)
    assert estimate.sample_loss == objective.loss(w, estimate.sample)
    np.testing.assert_allclose(estimate.gradient, 2 * estimate.sample_loss, rtol=1e-13)


@pytest.mark.parametrize("separable", [False, True])
@pytest.mark.parametrize("chunk", [7, 1000])
def test_sample_as_large_as_all_data_is_all_data(chunk, separable):
    """Each row once: those of the batch are not counted twice."""
    objective, _ = small_softmax(chunk=chunk, separable=separable)
    w = points(1)[0]
    estimate = call(GrowingSample(first=60), objective, w, objective.rows(slice(SIZE)))
    loss, gradient = softmax_value_and_grad(w, objective.data)
    assert estimate.loss == pytest.approx(loss, rel=1e-13)
    np.testing.assert_allclose(estimate.gradient, gradient, atol=1e-14)
    assert np.array_equal(np.sort(estimate.sample[0], axis=0), np.sort(objective.data[0], axis=0))


@pytest.mark.parametrize("most", [None, 10])
def test_size_has_an_end_where_the_batch_is_the_sample(most):
    estimator, w = GrowingSample(growth=1e200, most=most), np.zeros(1)
    for objective, batch in (
        (Objective(lambda w, batch: (w @ w, 2 * w)), None),
        (indexed(60), (np.arange(60.0),)),
    ):
        for _ in range(3):
            call(estimator, objective, w, batch)
        assert estimator.state_dict()["size"] <= objective.samples


def norm_test_sizes(noise, steps=15):
    """Return the sizes of samples where a sample's gradient is 1 + noise N(0, 1) in 20 entries."""
    shift = np.random.default_rng(0).standard_normal((20_000, 20))

    def value_and_grad(w, batch):
        gradient = 1 + noise * np.mean(batch[0], axis=0)
        return gradient @ w, gradient + 0 * w

    objective = Objective(value_and_grad, data=(shift,))
    estimator = GrowingSample(first=100, growth=2.0, theta=0.5)
    rng = np.random.default_rng(0)
    w = np.zeros(20)
    return [call(estimator, objective, w, objective.sample(50, rng)).samples for _ in range(steps)]


def test_norm_test_leaves_the_sample_where_the_noise_is_small():
    assert norm_test_sizes(0.1) == [100] * 15


@pytest.mark.parametrize("noise", [10.0, 30.0])
def test_norm_test_grows_the_sample_until_the_noise_is_the_fraction_of_the_gradient(noise):
    """σ²/n ≤ θ² ‖g‖² asks for n = 4 noise²; estimates of σ² are within a factor of two."""
    sizes = norm_test_sizes(noise)
    assert np.all(np.diff(sizes) >= 0)
    assert all(after <= 2 * (before + 1) for before, after in itertools.pairwise(sizes))
    assert 2 * noise**2 < sizes[-1] < 10 * noise**2


def test_norm_test_survives_a_gradient_of_zero():
    objective = Objective(
        lambda w, batch: (0.0 * np.mean(batch[0]) + 0.0 * w[0], 0 * w), data=(np.arange(60.0),)
    )
    estimator = GrowingSample(first=30, growth=2.0, theta=0.5)
    sizes = [SIZE + len(part) for part in taken(estimator, objective, 3)]
    assert sizes[0] == 30
    assert max(sizes) <= 60


# ----- control variates and means -----


def test_variance_reduced_estimate_has_no_bias():
    objective, _ = small_softmax()
    snapshot, w = points(2)
    estimator = VarianceReduced(period=100)
    call(estimator, objective, snapshot, batches(objective)[0])
    estimates = [call(estimator, objective, w, batch).gradient for batch in batches(objective)]
    np.testing.assert_allclose(np.mean(estimates, axis=0), objective.full(w)[1], atol=1e-14)
    assert error(estimates[0], objective, w) > 1e-3  # one alone is an estimate


def test_variance_falls_with_the_distance_from_the_snapshot():
    objective, _ = small_softmax()
    snapshot, direction = points(2)
    batch = batches(objective)[0]
    errors = []
    for distance in (1.0, 0.1, 0.01):
        estimator = VarianceReduced(period=100)
        call(estimator, objective, snapshot, batch)
        w = snapshot + distance * direction
        errors.append(error(call(estimator, objective, w, batch).gradient, objective, w))
    np.testing.assert_allclose(np.divide(errors[1:], errors[:-1]), 0.1, rtol=0.2)
    assert errors[1] < 0.2 * error(objective.grad(w, batch), objective, w)


def test_snapshot_is_exact_costs_one_pass_and_is_renewed():
    objective, _ = small_softmax()
    estimator = VarianceReduced(period=3)
    batch = objective.rows(slice(SIZE))
    spent, errors = [], []
    for w in points(6):
        before = objective.counts.gradient
        estimate = call(estimator, objective, w, batch)
        spent.append(objective.counts.gradient - before)
        errors.append(error(estimate.gradient, objective, w))
    assert spent == [60, SIZE, SIZE] * 2
    assert max(errors[::3]) <= 1e-15 < min(errors[1::3])


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.9])
def test_moving_average(decay):
    """The weight of the newest is at least that of a plain mean, so that the start counts once."""
    objective, _ = small_softmax()
    estimator, mean = MovingAverage(decay), np.zeros(15)
    for k, (w, batch) in enumerate(zip(points(9), 3 * batches(objective), strict=True), 1):
        new = max(1 - decay, 1 / k)
        mean = (1 - new) * mean + new * objective.grad(w, batch)
        np.testing.assert_allclose(call(estimator, objective, w, batch).gradient, mean, atol=1e-15)


# ----- in the trainer -----


@pytest.mark.parametrize("name", ESTIMATORS)
def test_run_continues_bit_for_bit_from_a_checkpoint(name, tmp_path):
    w = np.zeros(15)
    file = tmp_path / "run.npz"

    def run(epochs, **options):
        return fit(
            small_softmax()[0], NewtonKrylov(rhs=ESTIMATORS[name]()), w, epochs, SIZE, **options
        )

    whole = run(4)
    run(2, checkpoint=file)
    resumed = run(4, checkpoint=file, resume=True)
    assert np.array_equal(resumed.w, whole.w)
    assert [info.gamma for info in resumed.history.steps] == [
        info.gamma for info in whole.history.steps
    ]


@pytest.mark.parametrize("name", ESTIMATORS)
def test_state_of_a_fresh_one_makes_fresh(name):
    objective, _ = small_softmax()
    estimator = ESTIMATORS[name]()
    state = {key: np.asarray(value) for key, value in estimator.state_dict().items()}
    w = points(5)

    def run():
        return [call(estimator, objective, *pair).gradient for pair in pairs]

    pairs = list(zip(w, 2 * batches(objective), strict=False))
    first = run()
    estimator.load_state_dict(state)
    np.testing.assert_array_equal(run(), first)


@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.parametrize("curvature", ["hessian", "gauss_newton"])
def test_every_estimate_trains_a_network(name, curvature):
    """With damping where G is singular, or the gradient is that of other w as well."""
    objective, w = network()
    damping = 0.0
    if curvature == "gauss_newton":
        objective = gauss_newton_network(objective.data)
    if curvature == "gauss_newton" or name == "moving average":
        damping = 0.1
    optimizer = NewtonKrylov(rhs=ESTIMATORS[name](), curvature=curvature, damping=damping)
    result = fit(objective, optimizer, w, 20, SIZE)
    losses = result.history.column("train_loss")
    assert losses[-1] < 0.5 * losses[0]
    moved = [info for info in result.history.steps if info.outcome != "skipped"]
    assert all(info.samples >= SIZE for info in moved)


def gauss_newton_network(data):
    """Return the objective of `network` with the parts that Gauss-Newton needs."""

    def forward(w, batch):
        A, B = w[:20].reshape(5, 4), w[20:].reshape(4, 3)
        hidden = np.tanh(batch[0] @ A)

        def backward(dz):
            inner = (dz @ B.T) * (1 - hidden * hidden)
            parts = (batch[0].T @ inner).reshape(-1), (hidden.T @ dz).reshape(-1)
            return np.concatenate(parts)

        return hidden @ B, backward

    def output_loss(z, batch):
        difference = z - batch[1]
        return np.sum(difference**2) / (2 * len(z)), difference / len(z)

    def value_and_grad(w, batch):
        z, backward = forward(w, batch)
        loss, dz = output_loss(z, batch)
        return loss, backward(dz)

    return Objective(value_and_grad, forward=forward, output_loss=output_loss, data=data)


def test_network_is_that_of_the_other_objective():
    objective, w = network()
    ours = gauss_newton_network(objective.data)
    np.testing.assert_allclose(
        ours.grad(w, objective.data), objective.grad(w, objective.data), atol=1e-15
    )
    assert GaussNewton(ours, w, objective.data).loss == pytest.approx(
        objective.loss(w, objective.data)
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GrowingSample(first=0), "first: expected an integer of at least 1, got 0"),
        (lambda: GrowingSample(growth=0.9), "growth: expected a number of at least 1, got 0.9"),
        (lambda: GrowingSample(theta=0.0), "theta: expected a positive number, got 0.0"),
        (lambda: VarianceReduced(0), "period: expected an integer of at least 1, got 0"),
        (lambda: MovingAverage(1.0), r"decay: expected a number in \[0, 1\), got 1.0"),
    ],
)
def test_bad_settings_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
