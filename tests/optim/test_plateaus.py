"""Saddles, plateaus and valleys: they are left, the log says how, and nothing rises on the way."""

import numpy as np
import pytest

from mcx_nn import Supervised, lenet5, load_digits, softmax_cross_entropy
from mcx_optim import NewtonKrylov, Objective, fit
from tests.optim.problems import network_value_and_grad, small_data
from tests.optim.saddles import LANDSCAPES, STATIONARY, STEEP

CONCAVE = [name for name in LANDSCAPES if name not in ("flat valley", "zero curvature")]
CURVED = [name for name in STATIONARY if name.startswith("double well")]


@pytest.mark.parametrize(
    "landscape", (LANDSCAPES | STATIONARY).values(), ids=LANDSCAPES | STATIONARY
)
def test_gradients_of_the_landscapes_are_those_of_their_values(landscape):
    objective, w, h = landscape.objective(), np.array([0.3, -0.7]), 1e-6
    differences = [
        (objective.loss(w + h * e, None) - objective.loss(w - h * e, None)) / (2 * h)
        for e in np.eye(2)
    ]
    np.testing.assert_allclose(objective.grad(w, None), differences, atol=1e-8)


def run(objective, w, policy, epochs=60, batch_size=None):
    """Return the steps and the full losses after them, checked: all finite, none rises."""
    result = fit(objective, NewtonKrylov(negative_curvature=policy), w, epochs, batch_size)
    losses = np.array(result.history.column("train_loss"))
    check_descent(result.history.steps, losses)
    assert np.isfinite(result.w).all()
    return result.history.steps, losses


def check_descent(steps, losses):
    """Raise AssertionError if a step raised the tracked loss or a loss is not finite."""
    assert np.isfinite(losses).all()
    assert np.all(np.diff(losses) <= 0)
    for info in steps:
        if info.outcome != "skipped":
            assert info.new_tracked_loss < info.tracked_loss
        else:
            assert info.reason


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", LANDSCAPES)
def test_start_is_left_by_following_negative_curvature(name, dtype):
    landscape = LANDSCAPES[name]
    steps, losses = run(landscape.objective(), landscape.w(dtype), "follow")
    assert losses[0] > landscape.level > losses[-1]
    statuses = {info.cg_status for info in steps if info.outcome == "accepted"}
    assert ("NEGATIVE_CURVATURE" in statuses) == (name in CONCAVE)
    assert ("FLAT" in statuses) == (name == "zero curvature")


@pytest.mark.parametrize("name", LANDSCAPES | STEEP)
def test_start_is_left_by_the_absolute_value_of_the_curvature(name):
    landscape = (LANDSCAPES | STEEP)[name]
    _, losses = run(landscape.objective(), landscape.w(), "absolute")
    assert losses[0] > landscape.level > losses[-1]


@pytest.mark.parametrize("name", CONCAVE)
def test_stopping_at_negative_curvature_stays_and_says_so(name):
    landscape = LANDSCAPES[name]
    steps, losses = run(landscape.objective(), landscape.w(), "stop", epochs=5)
    assert np.all(losses == losses[0])
    assert {(info.outcome, info.cg_status) for info in steps} == {("skipped", "NEGATIVE_CURVATURE")}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", CURVED)
def test_exact_saddle_is_left_along_a_direction_of_negative_curvature(name, dtype):
    """Where b = 0 no Krylov space of b knows the way: that of a random vector does."""
    landscape = STATIONARY[name]
    steps, losses = run(landscape.objective(), landscape.w(dtype), "follow", epochs=12)
    assert losses[0] > landscape.level > losses[-1]
    at_saddle = next(info for info in steps if info.gradient_norm == 0.0)
    assert (at_saddle.outcome, at_saddle.cg_status) == ("accepted", "NEGATIVE_CURVATURE")


def test_saddle_without_negative_curvature_stays_and_the_log_says_why():
    landscape = STATIONARY["monkey saddle, at it"]
    steps, losses = run(landscape.objective(), landscape.w(), "follow", epochs=3)
    assert losses[-1] == 0.0
    assert {(info.outcome, info.cg_status, info.reason) for info in steps} == {
        (
            "skipped",
            "ZERO_RIGHT_HAND_SIDE",
            "the gradient is zero, and no negative curvature was found",
        )
    }


def test_step_along_negative_curvature_grows_as_far_as_the_model_holds():
    """With γ ≤ 1 the distance would double at every step: 27 steps from 1e-8."""
    landscape = LANDSCAPES["double well, 1e-8 from its saddle"]
    steps, losses = run(landscape.objective(), landscape.w(), "follow", epochs=12)
    assert losses[-1] < landscape.level
    assert steps[0].gamma > 1e4
    assert all(info.eta <= 0.05 for info in steps if info.gamma)


def test_at_a_minimum_the_log_says_that_the_run_has_converged():
    landscape = LANDSCAPES["double well, 1e-3 from its saddle"]
    steps, _ = run(landscape.objective(), landscape.w(), "follow", epochs=30)
    assert (steps[-1].outcome, steps[-1].reason) in {
        ("skipped", "converged: the predicted decrease is lost in the rounding of the loss"),
        ("skipped", "the gradient is zero, and no negative curvature was found"),
    }


def test_on_a_plateau_the_log_does_not_say_that_the_run_has_converged():
    """The first decrease, 1e-5 / 2, is lost beside a loss of 1e12."""

    def value_and_grad(w, batch):
        return 1e12 - w[0] ** 2 / 2, -w

    objective, w = Objective(value_and_grad), np.array([1e-5])
    _, info = NewtonKrylov(rhs="batch", line_search="armijo").step(objective, w, None)
    assert info.outcome == "skipped"
    assert info.reason.startswith("stalled: the predicted decrease is lost in the rounding")


@pytest.mark.parametrize("scale", [0.1, 1e-3])
def test_network_leaves_the_plateau_of_small_weights(scale):
    """A tanh network near w = 0, a saddle where its output is 0 whatever the input."""
    X, T = small_data()
    w = scale * np.random.default_rng(1).standard_normal(32)
    objective = Objective(network_value_and_grad, data=(X, T))
    steps, losses = run(objective, w, "follow", 15, batch_size=20)
    assert losses[0] > 0.4
    assert losses[-1] < 0.15
    assert any(info.cg_status == "NEGATIVE_CURVATURE" for info in steps)


@pytest.mark.slow
def test_lenet_leaves_the_plateau_of_small_weights():
    """It stays at 2.2995, the loss of the best constant, while curvatures are -6e-5 and 2.5.

    In float32 the first decreases, 1e-7, are lost in the rounding of the loss, and chance decides.
    """
    x, labels, _, _ = load_digits()
    problem = Supervised(lenet5("sigmoid"), softmax_cross_entropy)
    w = 0.1 * problem.init(np.random.default_rng(0))
    objective = Objective.of(problem, (x[:512], labels[:512]))
    steps, losses = run(objective, w, "absolute", 7, batch_size=128)
    assert np.any(abs(losses - 2.2995) < 1e-4)
    assert losses[-1] < 1.9
    assert max(info.gamma or 0.0 for info in steps) > 1


def test_planted_rise_is_caught(monkeypatch):
    """Without the guard on the tracked loss a batch's step raises it, and the check sees that."""
    monkeypatch.setattr(
        "mcx_optim.step_size.armijo", lambda f, loss, slope, gamma: (gamma, f(gamma))
    )
    objective = Objective(network_value_and_grad, data=small_data())
    with pytest.raises(AssertionError):
        run(objective, np.random.default_rng(1).standard_normal(32), "follow", 5, batch_size=5)


def test_planted_sign_of_the_curvature_is_caught(monkeypatch):
    monkeypatch.setattr("mcx_optim.hessian.Hessian.__matmul__", lambda H, p: -H._product(p))
    with pytest.raises(AssertionError):
        test_start_is_left_by_following_negative_curvature(CONCAVE[0], np.float64)
