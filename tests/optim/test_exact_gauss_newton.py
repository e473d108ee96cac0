"""The exact Gauss-Newton direction of a batch against the dense system."""

import math
from dataclasses import replace

import numpy as np
import pytest

from mcx_nn import Dense, Sequential, Supervised, mean_squared_error, softmax_cross_entropy
from mcx_optim.exact_gauss_newton import gauss_newton_direction
from tests.optim.piecewise import CASES, Problem, close, make, names


def dense(problem, damping, ridge=0.0):
    """-(G + (λ+κ)I)⁻¹ (g + κw) with G and g the means over the samples."""
    samples = problem.samples()
    G = np.mean([sample.J.T @ sample.C @ sample.J for sample in samples], axis=0)
    g = np.mean([sample.g for sample in samples], axis=0)
    return np.linalg.solve(G + (damping + ridge) * np.eye(len(g)), -g - ridge * problem.w)


@pytest.mark.parametrize("damping", [0.02, 5.0])
@pytest.mark.parametrize("samples", [1, 6])
@pytest.mark.parametrize("case", CASES, ids=names)
def test_direction_is_that_of_the_dense_matrix(case, samples, damping):
    problem = make(*case, samples=samples)
    step = gauss_newton_direction(problem.network, damping)
    close(step, dense(problem, damping), tolerance=1e-11)


@pytest.mark.parametrize("damping", [0.0, 0.3])
@pytest.mark.parametrize("case", CASES, ids=names)
def test_direction_with_a_ridge(case, damping):
    problem = make(*case, samples=4)
    step = gauss_newton_direction(problem.network, damping, problem.w, 0.2)
    close(step, dense(problem, damping, 0.2), tolerance=1e-11)


def test_more_equations_than_parameters():
    problem = make((2, 3), "relu", "softmax", samples=30)
    step = gauss_newton_direction(problem.network, 0.01)
    close(step, dense(problem, 0.01), tolerance=1e-12)


def test_one_scalar_output_makes_it_the_step_of_kaczmarz():
    """Normalised least mean squares: -g/(‖J‖² + λ) for half the square."""

    def half_square(z, y):
        return np.sum((z - y) ** 2) / 2, z - y

    problem, damping = make((3, 4, 4, 1), "leaky_relu", "squares", samples=1), 0.3
    problem.problem.loss = half_square
    (sample,) = problem.samples()
    step = gauss_newton_direction(problem.network, damping)
    close(step, -sample.g / (np.sum(sample.J**2) + damping))


def test_losses_that_curve_some_outputs_only():
    """A slope outside the image of C, as of Huber's loss: what is flat is descended."""

    def huber(z, y):
        e = z - y
        near = np.abs(e) < 1
        loss = np.where(near, e * e / 2, np.abs(e) - 0.5)
        return np.sum(loss) / len(e), np.where(near, e, np.sign(e)) / len(e)

    problem = make((3, 4, 4, 2), "leaky_relu", "squares", samples=5)
    problem.problem.loss = huber
    curved = [np.diag(sample.C) for sample in problem.samples()]
    assert {tuple(each) for each in curved} >= {(0.0, 1.0), (0.0, 0.0)}
    close(gauss_newton_direction(problem.network, 0.1), dense(problem, 0.1), tolerance=1e-12)


def test_slopes_along_which_the_loss_is_straight():
    """C = uuᵀ, whose other eigenvalues are 0 but for rounding, and a slope that is not along u."""
    u, v = np.array([0.6, 0.0, 0.8]), np.array([0.8, 0.3, -0.6])

    def bent_along_u(z, y):
        e = (z - y) @ u
        return np.mean(e**2 / 2 + z @ v), (e[:, None] * u + v) / len(z)

    for seed in range(5):
        problem = make((3, 4, 3), "leaky_relu", "squares", samples=4, seed=seed)
        problem.problem.loss = bent_along_u
        step = gauss_newton_direction(problem.network, 0.1)
        close(step, dense(problem, 0.1), tolerance=1e-13)


def test_softmax_that_has_underflowed():
    problem = Supervised(Sequential([Dense(1, 2)]), softmax_cross_entropy)
    w, X = np.array([0.0, 0.0, 1000.0, 0.0]), np.array([[1.0]])
    network = problem.piecewise_linear(w, (X, np.array([1])))
    step = gauss_newton_direction(network, 0.5)  # C = 0: -g/λ
    assert np.array_equal(step, [-2.0, 2.0, -2.0, 2.0])
    network = problem.piecewise_linear(w, (X, np.array([0])))
    assert np.array_equal(gauss_newton_direction(network, 0.5), np.zeros(4))


@pytest.mark.parametrize("scale", [1.0, 8.0])
def test_precision_is_that_of_w(scale):
    """Also where some samples are fitted so well that their C nearly vanishes."""
    problem = make((3, 5, 4, 3), "leaky_relu", "softmax", samples=8)
    problem.w *= scale ** (1 / 3)
    X, y = problem.batch
    rounded = Problem(problem.problem, problem.w.astype(np.float32), (X.astype(np.float32), y))
    step = gauss_newton_direction(rounded.network, 0.01)
    assert step.dtype == np.float32
    close(step, dense(problem, 0.01), tolerance=1e-3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0.0,), "damping: expected a positive number, got 0.0"),
        ((-1.0,), "damping: expected a positive number"),
        ((math.inf,), "damping: expected a positive number"),
        ((math.nan,), "damping: expected a positive number"),
        ((-0.1, np.zeros(6), 0.2), "damping: expected a number of at least 0"),
        ((1.0, np.zeros(6), -0.2), "ridge: expected a number of at least 0"),
        ((1.0, np.zeros(6), math.nan), "ridge: expected a number of at least 0"),
        ((1.0, None, 0.2), "w: expected the point of the network"),
    ],
)
def test_bad_arguments(arguments, message):
    problem = make((2, 2), "relu", "squares")
    with pytest.raises(ValueError, match=message):
        gauss_newton_direction(problem.network, *arguments)


def test_network_is_anything_with_the_same_attributes():
    problem = Supervised(Sequential([Dense(2, 1)]), mean_squared_error)
    batch = np.array([[1.0, 2.0]]), np.array([[1.0]])
    network = problem.piecewise_linear(np.zeros(3), batch)
    doubled = replace(network, output_loss=lambda z: (z.sum(), np.ones_like(z)))
    assert np.array_equal(gauss_newton_direction(doubled, 2.0), [-0.5, -1.0, -0.5])
