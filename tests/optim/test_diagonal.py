"""The diagonal preconditioner: against the diagonal of the dense Gauss-Newton matrix."""

import numpy as np
import pytest

from mcx_nn import (
    Activation,
    Dense,
    Sequential,
    Supervised,
    mean_squared_error,
    softmax_cross_entropy,
)
from mcx_optim import GaussNewton, NewtonKrylov, Objective
from mcx_optim.cg_path import minimize_quadratic
from mcx_optim.damping import Damped
from mcx_optim.diagonal import Diagonal
from mcx_optim.hessian_free import HessianFree
from tests.optim.networks import regression, softmax_net


@pytest.mark.parametrize("loss", [softmax_cross_entropy, mean_squared_error])
def test_diagonal_is_that_of_the_gauss_newton_matrix_on_average(loss):
    objective, w = softmax_net(loss)
    G = GaussNewton(objective, w, objective.data).block(np.eye(w.size))
    M, rng = Diagonal(exponent=1.0), np.random.default_rng(1)
    draws = []
    for _ in range(300):
        M.update(objective, w, objective.data, rng)
        draws.append(M.diagonal)
    mean, error = np.mean(draws, axis=0), np.std(draws, axis=0) / np.sqrt(len(draws))
    assert np.all(np.abs(mean - np.diag(G)) <= 5 * error)
    assert np.all(error <= 0.03 * np.diag(G))


def test_diagonal_adds_damping_and_ridge_and_takes_a_power():
    problem = Supervised(Sequential([Dense(4, 3)]), softmax_cross_entropy)
    objective = Objective.of(problem, (np.ones((6, 4)), np.arange(6) % 3))
    plain, ridged = Diagonal(), Diagonal()
    w = np.zeros(15)
    plain.update(objective, w, objective.data, np.random.default_rng(3))
    objective.ridge = np.linspace(1.0, 2.0, 15)
    ridged.update(objective, w, objective.data, np.random.default_rng(3))
    np.testing.assert_allclose(ridged.diagonal, plain.diagonal + objective.ridge)
    r = np.arange(1.0, 16.0)
    np.testing.assert_allclose(plain.damped(2.0) @ r, r / (plain.diagonal + 2.0) ** 0.75)
    for exponent in (0.0, 1.5, np.nan):
        with pytest.raises(ValueError, match=r"exponent: expected a number in \(0, 1\], got"):
            Diagonal(exponent)
    objective, w = regression()
    with pytest.raises(ValueError, match="observe: expected an objective with"):
        HessianFree(preconditioner=Diagonal()).step(objective, w, objective.data)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_weights_without_curvature_are_of_mean_size(dtype):
    """An input that is zero in the batch, damping zero: no number is infinite, and steps go on."""
    rng = np.random.default_rng(4)
    X = rng.standard_normal((60, 4)).astype(dtype)
    X[:40, 1] = 0
    model = Sequential([Dense(4, 5), Activation("tanh"), Dense(5, 3)])
    problem = Supervised(model, softmax_cross_entropy)
    objective, w = Objective.of(problem, (X, rng.integers(0, 3, 60))), problem.init(rng, dtype)
    M, batch = Diagonal(), objective.rows(slice(0, 40))
    M.update(objective, w, batch, rng)
    unseen = np.arange(5, 10)
    assert np.array_equal(np.flatnonzero(M.diagonal == 0), unseen)
    filled = M.diagonal.copy()
    filled[unseen] = np.mean(M.diagonal)
    r = np.arange(1, w.size + 1).astype(dtype)
    np.testing.assert_allclose(M.damped(0.0) @ r, r / filled**0.75, rtol=1e-6)
    M.diagonal[:] = 0
    assert np.array_equal(M.damped(0.0) @ r, r)
    np.testing.assert_allclose(M.damped(16.0) @ r, r / 8)
    for settings in ({}, {"rhs": "batch", "screening": False}):
        optimizer, first = NewtonKrylov(preconditioner=Diagonal(), **settings), objective.full(w)[0]
        new = w
        for _ in range(5):
            new, info = optimizer.step(objective, new, batch)
            assert info.outcome == "accepted", info.reason
        assert objective.loss(new, batch) < 0.9 * objective.loss(w, batch)
        assert settings or objective.full(new)[0] < 0.9 * first


def test_diagonal_saves_iterations_where_scales_differ():
    """Inputs of very different sizes; also in Newton-Krylov, which takes any preconditioner."""
    rng = np.random.default_rng(2)
    X = rng.standard_normal((90, 12)) * np.logspace(-2, 2, 12)
    problem = Supervised(Sequential([Dense(12, 3)]), softmax_cross_entropy)
    objective, w = Objective.of(problem, (X, rng.integers(0, 3, 90))), np.zeros(39)
    A, g = GaussNewton(objective, w, objective.data), objective.grad(w, objective.data)
    M, damping = Diagonal(exponent=1.0), 1e-6
    M.update(objective, w, objective.data, rng)
    dense = A.block(np.eye(39)) + damping * np.eye(39)
    least = -g @ np.linalg.solve(dense, g) / 2
    plain, better = (
        minimize_quadratic(Damped(A, damping), g, None, inverse, 1e-9, 15).kept[-1].q / least
        for inverse in (None, M.damped(damping))
    )
    assert plain < 0.95
    assert better > 0.99
    options = {"curvature": "gauss_newton", "damping": 1e-6, "tolerance": 1e-3, "max_cg": 99}
    with_it = NewtonKrylov(preconditioner=Diagonal(1.0), **options)
    without = NewtonKrylov(**options).step(objective, w, objective.data)[1]
    assert with_it.step(objective, w, objective.data)[1].cg_iterations < without.cg_iterations / 2
