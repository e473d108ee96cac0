"""The trainer with solvers that minimize the residual in place of CG."""

import numpy as np
import pytest

from mcx_optim import Kronecker, NewtonKrylov, Objective
from tests.optim.problems import quadratic, small_softmax, spd

SOLVERS = ["cgls", "conjugate_residual", "minres"]


@pytest.mark.parametrize("solver", SOLVERS)
def test_one_step_solves_a_convex_quadratic(solver):
    A, b = spd(6), np.arange(6.0)
    optimizer = NewtonKrylov(solver=solver, max_cg=50, tolerance=1e-12)
    w, info = optimizer.step(quadratic(A, b), np.zeros(6), None)
    np.testing.assert_allclose(A @ w, b, atol=1e-9)
    assert (info.outcome, info.gamma, info.cg_status) == ("accepted", 1.0, "CONVERGED")
    assert info.cg_iterations == (13 if solver == "cgls" else 6)  # A b, then one or two each


@pytest.mark.parametrize("solver", SOLVERS)
def test_products_are_bounded_and_the_residual_is_the_least_in_its_krylov_space(solver):
    A, b = spd(12), np.ones(12)
    optimizer = NewtonKrylov(solver=solver, max_cg=5, tolerance=1e-12)
    _, info = optimizer.step(quadratic(A, b), np.zeros(12), None)
    assert info.cg_iterations == 5
    first, power = (A @ b, A @ A) if solver == "cgls" else (b, A)
    size = 2 if solver == "cgls" else 5
    basis = np.stack([np.linalg.matrix_power(power, k) @ first for k in range(size)], axis=1)
    best = np.linalg.lstsq(A @ np.linalg.qr(basis)[0], b, rcond=None)[1] ** 0.5
    assert info.cg_residual * np.linalg.norm(b) == pytest.approx(best[0], rel=1e-8)


@pytest.mark.parametrize("solver", SOLVERS)
def test_damping_is_solved_with_and_left_out_of_the_prediction(solver):
    A, b = spd(5), np.ones(5)
    optimizer = NewtonKrylov(solver=solver, max_cg=60, tolerance=1e-12, damping=0.3)
    w, info = optimizer.step(quadratic(A, b), np.zeros(5), None)
    delta = np.linalg.solve(A + info.damping * np.eye(5), b)
    np.testing.assert_allclose(w, delta, rtol=1e-9)
    assert info.predicted == pytest.approx(delta @ A @ delta / 2 - b @ delta)


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_direction_uphill_is_not_taken(solver):
    """At a maximum's slope the stationary point is uphill."""
    objective = Objective(lambda w, batch: (-(w @ w) / 2 - w[0], -w - np.eye(2)[0]))
    w, info = NewtonKrylov(solver=solver, screening=False).step(objective, np.zeros(2), None)
    assert info.outcome == "skipped"
    np.testing.assert_array_equal(w, 0)


@pytest.mark.parametrize("solver", SOLVERS)
def test_softmax_regression_is_solved(solver):
    objective, w = small_softmax()
    optimizer = NewtonKrylov(solver=solver, max_cg=200, tolerance=1e-3)
    for _ in range(15):
        w, _ = optimizer.step(objective, w, objective.data)
    assert np.linalg.norm(objective.grad(w, objective.data)) < 1e-7


def test_bad_settings_are_refused():
    with pytest.raises(ValueError, match=r"solver: expected 'cg', 'cgls', .*, got 'gmres'"):
        NewtonKrylov(solver="gmres")
    with pytest.raises(ValueError, match=r"preconditioner: expected None with .* other than 'cg'"):
        NewtonKrylov(solver="minres", preconditioner=Kronecker())
