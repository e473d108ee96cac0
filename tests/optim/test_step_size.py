"""The step size of a step: which loss it is chosen by, how far it may go, and what is logged."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from mcx_optim import Objective
from mcx_optim.direction import Direction
from mcx_optim.gradients import Estimate
from mcx_optim.step_info import StepLog
from mcx_optim.step_size import LINE_SEARCHES, step_size
from tests.optim.problems import dense_hessian, network, network_value_and_grad

SEARCHES = list(LINE_SEARCHES)


def known(objective, w, batch=None):
    """Return the Estimate by the batch itself."""
    loss, gradient = objective.value_and_grad(w, batch)
    return Estimate(loss, gradient, batch, loss, gradient)


def along(delta, estimate, H):
    """Return the Direction, with the slope of the estimate."""
    return Direction(delta, float(estimate.gradient @ delta), float(delta @ H @ delta))


def chosen(search, objective, w, estimate, direction, eta=0.05):
    """Return γ, whether it fits, and the StepInfo."""
    log, settings = StepLog(objective), SimpleNamespace(line_search=search, eta=eta)
    gamma, fits = step_size(settings, objective, w, estimate, direction, log)
    return gamma, fits, log.finish("accepted")


@pytest.fixture
def steep():
    """Return a network with its steepest descent direction, too long by far."""
    objective, w = network()
    estimate = known(objective, w, objective.data)
    H = dense_hessian(network_value_and_grad, w, objective.data)
    return objective, w, estimate, along(-20 * estimate.gradient, estimate, H)


@pytest.mark.parametrize("search", SEARCHES)
def test_every_search_shortens_a_step_that_is_too_long(search, steep):
    objective, w, estimate, direction = steep
    gamma, fits, info = chosen(search, *steep)
    loss = objective.loss(w + gamma * direction.delta, estimate.sample)
    assert fits
    assert 0 < gamma < 1
    assert loss < estimate.loss
    assert info.new_tracked_loss == info.new_loss == loss
    assert info.gamma == gamma


@pytest.mark.parametrize("eta", [0.01, 0.05, 0.3])
@pytest.mark.parametrize("search", ["taylor", "jet"])
def test_taylor_ratio_of_the_step_meets_the_bound(search, eta, steep):
    objective, w, estimate, direction = steep
    gamma, _, info = chosen(search, *steep, eta=eta)
    change = objective.loss(w + gamma * direction.delta, estimate.sample) - estimate.loss
    model = gamma * direction.slope + gamma**2 * direction.curvature / 2
    ratio = abs(change - model) / abs(change)
    assert ratio <= (eta if search == "taylor" else 2 * eta)  # the jet knows no term after its last
    assert info.eta == pytest.approx(ratio)


def test_armijo_decreases_by_a_hundredth_of_the_slope_and_counts_its_trials(steep):
    objective, w, estimate, direction = steep
    gamma, _, info = chosen("armijo", *steep)
    trials = [objective.loss(w + 0.8**k * direction.delta, estimate.sample) for k in range(40)]
    enough = [
        loss <= estimate.loss + 0.01 * 0.8**k * direction.slope for k, loss in enumerate(trials)
    ]
    assert gamma == pytest.approx(0.8 ** enough.index(True))
    assert info.trials == enough.index(True) + 1 > 1
    assert info.eta is None


def test_jet_takes_one_evaluation_where_others_try(steep):
    logs = {search: chosen(search, *steep)[2] for search in SEARCHES}
    assert logs["taylor"].trials > 1
    assert logs["armijo"].trials > 1
    assert logs["jet"].trials == 1
    assert logs["jet"].counts.taylor > 0
    assert logs["jet"].counts.loss + logs["jet"].counts.gradient == 60


@pytest.mark.parametrize("search", SEARCHES)
def test_trials_are_all_evaluations_of_the_loss(search):
    """The jet's γ leaves the domain of the logarithm here: a trial, and others after it."""

    def barrier(w, batch):
        return np.sum(w - np.log(np.where(w > 0, w, np.nan))), 1 - 1 / w

    objective, w = Objective(barrier), np.array([5.0])
    estimate = known(objective, w)
    newton = along(-25 * estimate.gradient, estimate, np.diag([1 / 25]))
    _, fits, info = chosen(search, objective, w, estimate, newton, eta=0.5)
    assert fits
    assert info.trials == info.counts.gradient > 1  # without `value` a loss costs a gradient


@pytest.mark.parametrize("search", SEARCHES)
def test_loss_is_tilted_to_the_gradient_of_the_right_hand_side(search):
    """φ(v) = f(v) + (b - g)·(v - w): here φ is 2 (v - 1)² while f is 2 v²."""
    objective, w = Objective(lambda w, batch: (2 * w @ w, 4 * w)), np.array([0.5])
    estimate = Estimate(9.0, np.array([-2.0]), None, 0.5, np.array([2.0]))
    direction = Direction(np.array([0.5]), -1.0, 1.0)
    gamma, fits, info = chosen(search, objective, w, estimate, direction)
    assert (gamma, fits) == (1.0, True)
    assert info.new_loss == pytest.approx(2.0)
    assert info.new_tracked_loss == pytest.approx(0.0, abs=1e-15)


@pytest.mark.parametrize("search", SEARCHES)
def test_loss_of_all_data_must_decrease_where_its_gradient_is_known(search):
    """The batch is a hundred times flatter than all data, and its whole step a rise."""

    def value_and_grad(w, batch):
        curvature = np.mean(batch[0])
        return curvature * (w @ w) / 2, curvature * w

    objective = Objective(value_and_grad, data=(np.array([1.0, 199.0]),))
    w, batch = np.ones(1), objective.rows(slice(1))
    loss, gradient = objective.full(w)
    estimate = Estimate(loss, gradient, batch, 0.5, np.ones(1), exact=True)
    gamma, fits, info = chosen(search, objective, w, estimate, Direction(-gradient, -1e4, 1e4))
    new_loss = objective.full_loss(w - gamma * gradient)
    assert 0 < gamma < 1
    assert fits
    assert info.new_tracked_loss == new_loss <= loss - 1e-4 * gamma * 1e4
    assert objective.full_loss(w - 2 * gamma * gradient) > loss - 1e-4 * 2 * gamma * 1e4
    assert (info.new_loss, info.eta) == (None, None)  # not evaluated at this γ


@pytest.mark.parametrize("search", ["taylor", "jet"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_step_goes_beyond_1_only_along_negative_curvature(search, dtype):
    """Near the saddle of -x²/2 + y²/2 + x⁴/4 x can grow by orders of magnitude."""

    def value_and_grad(w, batch):
        x, y = w[0], w[1]
        return x**4 / 4 - x**2 / 2 + y**2 / 2, np.stack([x**3 - x, y])

    objective, w = Objective(value_and_grad), np.array([1e-4, 1e-4], dtype)
    estimate, H = known(objective, w), np.diag([-1.0, 1.0])
    out = along(np.array([1e-4, 0], dtype), estimate, H)
    gamma, fits, _ = chosen(search, objective, w, estimate, out)
    assert gamma > 100
    assert fits
    across = along(np.array([0, -1e-5], dtype), estimate, H)
    assert chosen(search, objective, w, estimate, across)[0] == 1.0


@pytest.mark.parametrize("search", ["taylor", "jet"])
def test_direction_without_slope_is_tried(search):
    """At an exact saddle b·Δ = 0, which the jet takes no direction for."""
    objective = Objective(lambda w, batch: (w @ w * (w @ w - 2) / 4, w * (w @ w - 1)))
    w, delta = np.zeros(2), np.array([0.05, 0.0])
    direction = Direction(delta, 0.0, -delta @ delta)
    gamma, fits, info = chosen(search, objective, w, known(objective, w), direction)
    assert fits
    assert gamma >= 1
    assert info.new_tracked_loss < 0
    assert info.trials > 0


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("search", SEARCHES)
def test_trial_outside_the_domain_is_survived_in_silence(search, exact):
    """The polynomial of the jet does not see the pole at 0; the loss, evaluated, does."""

    def barrier(w, batch):
        return np.sum(100 * w - np.log(np.where(w > 0, w, np.nan))), 100 - 1 / w

    objective, w = Objective(barrier), np.array([0.5])
    estimate = replace(known(objective, w), exact=exact)
    direction = along(-estimate.gradient, estimate, np.diag([4.0]))
    gamma, _, info = chosen(search, objective, w, estimate, direction)
    assert 0 < gamma < 0.5 / 98
    assert info.new_tracked_loss < estimate.loss


@pytest.mark.parametrize("search", SEARCHES)
def test_direction_along_which_the_loss_rises_is_no_step(search):
    objective, w = Objective(lambda w, batch: (w @ w, 2 * w)), np.ones(1)
    estimate = Estimate(1.0, np.array([-2.0]), None, 1.0, np.array([-2.0]))  # a wrong sign
    direction = Direction(np.ones(1), -2.0, 2.0)
    objective.taylor = lambda *args, **kwargs: np.array([1.0, 2.0, 1.0, 0.0, 0.0]) * np.nan
    gamma, fits, info = chosen(search, objective, w, estimate, direction)
    assert (gamma, fits) == (0.0, False)
    assert info.new_tracked_loss == 1.0
