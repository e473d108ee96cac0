"""Step sizes: the Taylor ratio rule and backtracking."""

import math

import numpy as np
import pytest

from mcx_optim.armijo import armijo
from mcx_optim.taylor_ratio import taylor_ratio, taylor_ratio_step

EPS = float(np.finfo(np.float64).eps)


def along(function, slope, curvature, delta, **options):
    """Return the step size for f(delta γ), with the losses asked for."""
    asked = []

    def loss_at(gamma):
        asked.append(gamma)
        return function(delta * gamma)

    options = {"eta": 0.05, "eps": EPS} | options
    step = taylor_ratio_step(loss_at, function(0.0), slope * delta, curvature * delta**2, **options)
    return step, asked


def test_ratio_is_the_taylor_error_per_loss_change():
    assert taylor_ratio(3.0, 1.0, -1.0) == 0.5
    assert taylor_ratio(3.0, 5.0, -1.0) == 1.5
    assert taylor_ratio(3.0, 1.0, -2.0) == 0.0


@pytest.mark.parametrize("new_loss", [3.0, math.inf, math.nan])
def test_ratio_without_a_finite_loss_change_is_infinite(new_loss):
    assert taylor_ratio(3.0, new_loss, -1.0) == math.inf


def test_quadratic_takes_the_whole_newton_step_in_one_trial():
    step, asked = along(lambda t: 2 * t**2 - 4 * t, -4.0, 4.0, 1.0)
    assert (step.gamma, step.trials, step.accepted, step.loss) == (1.0, 1, True, -2.0)
    assert step.eta <= 1e-15
    assert asked == [1.0]


@pytest.mark.parametrize("eta", [0.01, 0.05, 0.2])
@pytest.mark.parametrize("third", np.geomspace(0.05, 50.0, 7))
def test_cubic_error_is_brought_below_the_bound(third, eta):
    def f(t):
        return -t + t**2 / 2 + third * t**3

    step, _ = along(f, -1.0, 1.0, 1.0, eta=eta)
    assert step.accepted
    assert step.eta <= eta
    assert step.loss == f(step.gamma) < 0
    model = -step.gamma + step.gamma**2 / 2
    np.testing.assert_allclose(step.eta, abs((step.loss - model) / step.loss))
    if step.gamma < 1.0 and step.eta < eta / 2:  # no smaller than it need be
        larger = 1.5 * step.gamma
        assert taylor_ratio(0.0, f(larger), -larger + larger**2 / 2) > eta


def test_first_reduction_hits_the_bound_where_the_ratio_grows_quadratically():
    step, asked = along(lambda t: -t + 0.1 * t**3, -1.0, 0.0, 1.0)
    assert len(asked) == step.trials == 2
    assert step.gamma == pytest.approx(math.sqrt(0.75 * 0.05 / (0.1 / 0.9)))


def test_non_finite_trials_shrink_the_step():
    def f(t):
        return -t + t**2 / 2 if t < 0.05 else math.nan

    step, asked = along(f, -1.0, 1.0, 1.0)
    assert step.accepted
    assert asked[:2] == [1.0, 0.1]
    assert 0 < step.gamma < 0.05


def test_failure_keeps_the_best_decrease():
    def f(t):
        return -0.3 * t  # a third of the predicted decrease at every step size

    step, asked = along(f, -1.0, 0.0, 1.0)
    assert not step.accepted
    assert len(asked) == 10
    assert (step.gamma, step.loss) == (1.0, -0.3)


def test_failure_without_decrease_is_no_step():
    step, asked = along(lambda t: t, -1.0, 0.0, 1.0)
    assert (step.gamma, step.loss, step.accepted, len(asked)) == (0.0, 0.0, False, 10)


def test_a_stretched_trial_that_fails_falls_back_on_the_one_that_fitted():
    losses = iter([0.0, -0.1, -0.3])  # at γ = 1, 0.1, 0.15: too large, exact, wrong

    step = taylor_ratio_step(lambda gamma: next(losses), 0.0, -1.0, 0.0, eta=0.05, eps=EPS)
    assert (step.gamma, step.loss, step.accepted, step.trials) == (0.1, -0.1, True, 3)


def test_step_does_not_grow_to_where_one_failed():
    asked = []

    def loss_at(gamma):
        asked.append(gamma)
        return -0.95 if gamma == 1.0 else -gamma  # η = 0.0526, then 0

    step = taylor_ratio_step(loss_at, 0.0, -1.0, 0.0, eta=0.05, eps=EPS)
    assert asked == [1.0, pytest.approx(math.sqrt(0.75 * 0.05 * 0.95 / 0.05))]
    assert (step.gamma, step.accepted) == (asked[1], True)


def test_change_below_rounding_is_taken_whole():
    step, asked = along(lambda t: 1.0, -1e-16, 1e-16, 1.0)
    assert (step.gamma, step.accepted, len(asked)) == (1.0, True, 1)


def test_rounding_does_not_excuse_a_rise():
    step, _ = along(lambda t: 1.0 + (t > 0), -1e-16, 1e-16, 1.0)
    assert step.gamma == 0.0


def test_model_that_falls_without_bound_is_followed_to_where_it_fails():
    """On -t - t²/2 + 1e-3 t⁴ γ grows by 4 while η < η̃/2, and falls back from η > η̃."""
    step, asked = along(
        lambda t: -t - t**2 / 2 + 1e-3 * t**4, -1.0, -1.0, 1.0, most=1e6, max_trials=20
    )
    assert asked == [1.0, 4.0, 16.0]
    assert (step.gamma, step.accepted) == (4.0, True)
    assert step.eta <= 0.05
    assert step.trials == 3


@pytest.mark.parametrize("most", [1.0, 5.0, 100.0])
def test_step_is_at_most_the_largest(most):
    step, asked = along(lambda t: -t - t**2 / 2, -1.0, -1.0, 1.0, most=most)
    assert step.gamma == max(asked) == most
    assert step.accepted


def test_trial_beyond_the_domain_falls_back_on_the_one_before():
    step, _ = along(
        lambda t: -t - t**2 / 2 if t < 10 else math.nan, -1.0, -1.0, 1.0, most=1e6, max_trials=20
    )
    assert (step.gamma, step.accepted) == (4.0, True)


def test_scaling_the_loss_changes_nothing():
    def f(t):
        return math.cos(3 * t) - t

    steps = [
        along(lambda t, scale=scale: scale * f(t), -scale, -9 * scale, 1.0)[0]
        for scale in (1.0, 2.0**60, 2.0**-60)
    ]
    assert len({(step.gamma, step.eta, step.trials, step.accepted) for step in steps}) == 1


def test_armijo_halves_until_the_decrease_suffices():
    asked = []

    def loss_at(gamma):
        asked.append(gamma)
        return (1 - 10 * gamma) ** 2

    assert armijo(loss_at, 1.0, -20.0) == (0.125, 0.0625)
    assert asked == [1.0, 0.5, 0.25, 0.125]


def test_armijo_rejects_decrease_below_the_fraction():
    assert armijo(lambda gamma: 1.0 - 0.5 * gamma, 1.0, -1.0, c=0.6) == (0.0, 1.0)
    assert armijo(lambda gamma: 1.0 - 0.5 * gamma, 1.0, -1.0, c=0.4) == (1.0, 0.5)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1.0])
def test_armijo_takes_no_step_without_a_finite_decrease(value):
    assert armijo(lambda gamma: value, 1.0, -1.0) == (0.0, 1.0)
