"""Saddles, plateaus and valleys: they are left, the log says how, and nothing rises on the way."""

import numpy as np
import pytest

from mcx_optim import NewtonKrylov, Objective, fit
from tests.optim.problems import network_value_and_grad, small_data
from tests.optim.saddles import LANDSCAPES, STATIONARY

CASES = [
    (name, dtype)
    for name in LANDSCAPES
    for dtype in (np.float64, np.float32)
    # ‖Hg‖² is 1e-48 there, below the range of float32.
    if (name, dtype) != ("monkey saddle, 1e-8 from it", np.float32)
]
CONCAVE = [name for name in LANDSCAPES if name not in ("flat valley", "zero curvature")]


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


@pytest.mark.parametrize(("name", "dtype"), CASES)
def test_start_is_left_by_following_negative_curvature(name, dtype):
    landscape = LANDSCAPES[name]
    steps, losses = run(landscape.objective(), landscape.w(dtype), "follow")
    assert losses[0] > landscape.level > losses[-1]
    statuses = {info.cg_status for info in steps if info.outcome == "accepted"}
    assert ("NEGATIVE_CURVATURE" in statuses) == (name in CONCAVE)
    assert ("FLAT" in statuses) == (name == "zero curvature")


@pytest.mark.parametrize("name", CONCAVE)
def test_stopping_at_negative_curvature_stays_and_says_so(name):
    landscape = LANDSCAPES[name]
    steps, losses = run(landscape.objective(), landscape.w(), "stop", epochs=5)
    assert np.all(losses == losses[0])
    assert {(info.outcome, info.cg_status) for info in steps} == {("skipped", "NEGATIVE_CURVATURE")}


@pytest.mark.parametrize("name", STATIONARY)
def test_exact_saddle_is_not_left_and_the_log_says_that_the_gradient_is_zero(name):
    landscape = STATIONARY[name]
    steps, losses = run(landscape.objective(), landscape.w(), "follow", epochs=5)
    assert losses[-1] == 0.0
    assert (steps[-1].outcome, steps[-1].cg_status) == ("skipped", "ZERO_RIGHT_HAND_SIDE")
    assert steps[-1].gradient_norm == 0.0


def test_near_a_saddle_the_distance_doubles_at_every_step():
    """|κ| in place of κ < 0 and γ ≤ 1: so from 1e-8 it takes about log₂ 1e8 = 27 steps."""
    landscape = LANDSCAPES["double well, 1e-8 from its saddle"]
    steps, losses = run(landscape.objective(), landscape.w(), "follow")
    negative = [info for info in steps if info.cg_status == "NEGATIVE_CURVATURE"]
    assert 20 <= len(negative) <= 30
    descent = losses[5:15] - losses[4:14]
    np.testing.assert_allclose(descent[1:] / descent[:-1], 4.0, rtol=1e-3)


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


def test_planted_rise_is_caught(monkeypatch):
    """Without the guard on the tracked loss a batch's step raises it, and the check sees that."""
    monkeypatch.setattr(
        "mcx_optim.newton_krylov.armijo", lambda f, loss, slope, gamma: (gamma, f(gamma))
    )
    objective = Objective(network_value_and_grad, data=small_data())
    with pytest.raises(AssertionError):
        run(objective, np.random.default_rng(1).standard_normal(32), "follow", 5, batch_size=5)


def test_planted_sign_of_the_curvature_is_caught(monkeypatch):
    monkeypatch.setattr("mcx_optim.hessian.Hessian.__matmul__", lambda H, p: -H._product(p))
    with pytest.raises(AssertionError):
        test_start_is_left_by_following_negative_curvature(CONCAVE[0], np.float64)
