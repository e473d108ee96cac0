"""Hessian-free optimization: a λ that is far too small or too large is mended within a step."""

import numpy as np
import pytest

from mcx_optim import HessianFree, Objective, minimize
from tests.optim.known_minima import PROBLEMS
from tests.optim.problems import quadratic, spd


class Turning:
    """A preconditioner that leads into another direction for every λ."""

    count = -1

    def update(self, objective, w, batch, rng):
        pass

    def damped(self, damping):
        self.count += 1
        return self

    def __matmul__(self, r):
        return np.eye(len(r))[self.count] * r


def test_a_search_for_the_damping_ends():
    turned, steep = (
        HessianFree(curvature="hessian", preconditioner=Turning()),
        10.0 ** np.arange(50),
    )
    _, info = turned.step(quadratic(-np.diag(steep), np.ones(50)), np.zeros(50), None)
    assert (info.outcome, info.cg_iterations, turned.damping) == ("skipped", 40, 1.0)
    assert "negative curvature" in info.reason


@pytest.mark.parametrize("depth", [1e3, 1e9, 1e-3, 2.0**120])
def test_damping_grows_at_once_where_the_hessian_is_negative(depth):
    """λ is 3/2 of what makes the curvature along g zero: p = g/(λ - depth)."""
    optimizer = HessianFree(damping=1e-6, curvature="hessian")
    w, info = optimizer.step(quadratic(-depth * np.eye(3), np.ones(3)), np.zeros(3), None)
    assert (info.outcome, info.cg_iterations) == ("accepted", 2)
    assert info.damping == pytest.approx(1.5 * depth)
    np.testing.assert_allclose(w, 2 / depth, rtol=1e-9)


@pytest.mark.parametrize("name", ["box", "chebyquad", "wood"])
@pytest.mark.parametrize("damping", [1e-9, 1e-6, 1.0, 1e3])
def test_minimize_goes_on_where_the_damping_must_grow(name, damping):
    problem = PROBLEMS[name]
    method = HessianFree(damping=damping, curvature="hessian")
    result = minimize(problem, problem.x0, method)
    assert (result.success, result.status) == (True, 0)
    assert result.fun == pytest.approx(problem.minimum, abs=1e-4)


@pytest.mark.parametrize("power", [-300, -120, -40, 40, 120, 300])
@pytest.mark.parametrize("curvature", ["hessian", "gauss_newton"])
def test_damping_in_the_wrong_unit_is_mended(power, curvature):
    """The loss is in units of 2**power, λ = 1 is not; the run ends at the minimum all the same."""
    A, b = 2.0**power * spd(4), 2.0**power * np.ones(4)

    def value_and_grad(w, batch=None):
        return w @ (A @ w) / 2 - w @ b + 2.0**power, A @ w - b

    objective = Objective(
        value_and_grad,
        forward=lambda w, batch: (w, lambda dz: dz),
        output_loss=value_and_grad,
    )
    optimizer, w, outcomes = HessianFree(curvature=curvature), np.zeros(4), []
    while "skipped" not in outcomes:
        w, info = optimizer.step(objective, w, None)
        outcomes.append(info.outcome)
    assert info.reason.startswith("converged")
    assert 1 < len(outcomes) < 100
    np.testing.assert_allclose(w, np.linalg.solve(spd(4), np.ones(4)), rtol=1e-5)


@pytest.mark.parametrize("offset", [0.0, 5.0])
def test_the_gradient_of_another_loss_is_no_success(offset):
    """However small λ makes the step, the loss increases: rounding is not what hides a decrease."""

    def f(w):
        return offset - w @ w / 2

    optimizer = HessianFree(curvature="hessian")
    objective = Objective(lambda w, batch: (f(w), w))
    _, info = optimizer.step(objective, np.ones(2), None)
    assert (info.reason, optimizer.damping) == ("no step size decreases the tracked loss", 1.0)
    assert info.cg_iterations < 20  # products, one for each λ: no more once rounding hides q
    assert info.predicted == pytest.approx(-0.75)  # of λ = 1: p = -w/2
    result = minimize(f, np.ones(2), optimizer, grad=lambda w: w)
    assert (result.success, result.status) == (False, 3)


def test_a_damping_beyond_the_range_of_float32_ends_the_search():
    """Of a loss of 0 rounding hides nothing, so λ grows until λ p is infinite."""
    w = np.ones(3, np.float32)
    for wrong in (np.inf, np.nan, 1.0):
        objective = Objective(lambda v, batch, wrong=wrong: (0.0 if (v == 1).all() else wrong, v))
        optimizer = HessianFree(curvature="hessian")
        new, info = optimizer.step(objective, w, None)
        assert (info.outcome, optimizer.damping) == ("skipped", 1.0)
        assert info.reason == "no step size decreases the tracked loss"
        np.testing.assert_array_equal(new, w)


def test_a_damping_that_makes_the_step_underflow_ends_the_search():
    tiny = np.float32(1e-30)
    optimizer = HessianFree(damping=1e16, curvature="hessian")
    objective = Objective(lambda w, batch: (tiny * (w @ w / 2), tiny * w))
    _, info = optimizer.step(objective, np.ones(3, np.float32), None)
    assert info.outcome == "skipped"
    assert info.reason.startswith("converged")
