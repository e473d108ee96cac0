"""Levenberg-Marquardt damping: its start, its adaptation, its scale and its state."""

import numpy as np
import pytest

from mcx_optim import NewtonKrylov, Objective, fit
from mcx_optim.damping import Damped, LevenbergMarquardt
from tests.optim.problems import network, quadratic, small_softmax, spd

A, B = spd(5), np.arange(1.0, 6.0)
CURVATURE = abs(B @ A @ B) / (B @ B)


def begun(start=0.5, A=A, b=B):
    damping = LevenbergMarquardt(start)
    damping.begin(A, b)
    return damping


def test_damped_product():
    np.testing.assert_allclose(Damped(A, 2.0) @ B, (A + 2.0 * np.eye(5)) @ B)


@pytest.mark.parametrize("sign", [1, -1])
def test_first_value_is_in_units_of_the_curvature_along_b(sign):
    assert begun(0.5, sign * A).value == pytest.approx(0.5 * CURVATURE)
    assert begun(0.5, A, 1e-3 * B).value == pytest.approx(0.5 * CURVATURE)
    assert begun(0.5, 2.0**60 * A, 2.0**60 * B).value == 2.0**60 * begun().value


@pytest.mark.parametrize("power", [-80, 70])
def test_first_value_in_float32_scales_with_the_loss(power):
    scale, A32, B32 = np.float32(2.0**power), A.astype(np.float32), B.astype(np.float32)
    expected = 2.0**power * begun(0.5, A, B).value
    assert begun(0.5, scale * A32, scale * B32).value == pytest.approx(expected, rel=1e-5, abs=0)


@pytest.mark.parametrize("told", [0.0, np.inf, np.nan])
def test_step_that_tells_no_scale_is_waited_out(told):
    damping = begun(0.5, np.full((5, 5), told), B)
    assert damping.value == 0.0
    damping.adapt(0.0, accepted=False)
    damping.begin(A, B)
    assert damping.value == begun().value


def test_only_the_first_step_sets_it():
    damping = begun()
    damping.adapt(0.1, accepted=True)
    value = damping.value
    damping.begin(7 * A, B)
    assert damping.value == value


def test_it_grows_after_short_steps_and_shrinks_after_whole_ones():
    def after(gamma, accepted):
        damping = begun()
        damping.adapt(gamma, accepted)
        return damping.value / begun().value

    assert after(0.0, accepted=False) == after(1e-3, accepted=True) > 1.0
    assert after(1.0, accepted=False) > 1.0
    assert after(0.99, accepted=True) == 1.0
    assert after(1.0, accepted=True) < 1.0


def test_it_shrinks_to_a_least_value():
    damping = begun()
    for _ in range(1000):
        damping.adapt(1.0, accepted=True)
    assert 0 < damping.value == pytest.approx(damping.LEAST * begun().value)


def test_zero_stays_zero_and_costs_no_product():
    damping = LevenbergMarquardt(0.0)
    damping.begin(None, B)
    for gamma, accepted in ((0.0, False), (1.0, True)):
        damping.adapt(gamma, accepted)
    assert damping.value == 0.0


@pytest.mark.parametrize("start", [-1.0, np.nan])
def test_negative_start_is_refused(start):
    with pytest.raises(ValueError, match=r"damping: expected a number of at least 0, got"):
        LevenbergMarquardt(start)


def test_state_returns_and_that_of_a_fresh_one_makes_fresh():
    fresh, used = LevenbergMarquardt(0.5).state_dict(), begun()
    used.adapt(0.1, accepted=True)
    other = LevenbergMarquardt(0.5)
    other.load_state_dict(used.state_dict())
    assert other.state_dict() == used.state_dict() != fresh
    used.load_state_dict(fresh)
    used.begin(2 * A, B)
    assert used.value == begun(0.5, 2 * A).value


# ----- in the trainer -----


def test_damped_step_solves_the_damped_equation():
    optimizer = NewtonKrylov(damping=0.5, tolerance=1e-12)
    w, info = optimizer.step(quadratic(A, B), np.zeros(5), None)
    np.testing.assert_allclose(w, np.linalg.solve(A + 0.5 * CURVATURE * np.eye(5), B), rtol=1e-10)
    assert info.damping == pytest.approx(0.5 * CURVATURE)
    assert info.predicted == pytest.approx(info.new_loss - info.loss)  # that of A without λ


def test_log_shows_how_it_follows_the_step_size():
    objective, w = network()
    steps = fit(objective, NewtonKrylov(damping=0.1, eta=0.01), w, 20).history.steps
    changes = np.diff([info.damping for info in steps])
    whole = np.array([info.gamma == 1.0 and info.outcome == "accepted" for info in steps[:-1]])
    assert np.all(changes[whole] < 0)
    assert np.all(changes[~whole] >= 0)
    assert 0 < whole.sum() < len(whole)


def test_damping_begins_where_the_curvature_does():
    """The Hessian of Σ w³/3 + w is zero at the start."""
    objective = Objective(lambda w, batch: (np.sum(w**3 / 3 + w), w**2 + 1))
    optimizer, w, logged = NewtonKrylov(damping=0.1), np.zeros(2), []
    for _ in range(3):
        w, info = optimizer.step(objective, w, None)
        logged.append(info.damping)
    assert logged[0] == 0.0 < logged[1] < np.inf


def test_damped_method_converges_on_a_convex_problem():
    objective, w = small_softmax()
    result = fit(objective, NewtonKrylov(damping=0.1, max_cg=50), w, 25)
    assert np.linalg.norm(objective.full(result.w)[1]) < 1e-6
