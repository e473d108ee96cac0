"""Truncated CG: the textbook properties, every status, and errors planted in its source."""

import inspect

import numpy as np
import pytest

from mcx_optim import Status, cg, truncated_cg
from tests.optim.problems import spd

E1 = np.array([1.0, 0.0, 0.0])


class Operator:
    """The linear operator p -> function(p)."""

    def __init__(self, function):
        self.function = function

    def __matmul__(self, p):
        return self.function(p)


def check_cg(solver, dtype=np.float64):
    """Raise AssertionError unless `solver` behaves as conjugate gradients do on a definite A."""
    n, eps = 12, float(np.finfo(dtype).eps)
    A, b = spd(n, dtype=dtype), np.arange(1, n + 1).astype(dtype)
    tolerance = 1e3 * eps
    result = solver(A, b, tolerance=tolerance, max_iterations=n)
    assert result.status is Status.CONVERGED
    assert np.linalg.norm(b - A @ result.x) <= 2 * tolerance * np.linalg.norm(b)
    assert result.x.dtype == dtype
    energies, norms = [0.0], [0.0]
    for iterations in range(1, 7):
        partial = solver(A, b, tolerance=tolerance, max_iterations=iterations)
        x = partial.x
        assert (partial.status, partial.iterations) == (Status.MAX_ITERATIONS, iterations)
        np.testing.assert_allclose(partial.curvature, x @ A @ x, rtol=1e2 * eps)
        np.testing.assert_allclose(partial.residual_norm, np.linalg.norm(b - A @ x), rtol=1e4 * eps)
        energies.append(x @ A @ x / 2 - b @ x)
        norms.append(np.linalg.norm(x))
    assert np.all(np.diff(energies) < 0), "CG decreases the energy in every iteration"
    assert np.all(np.diff(norms) > 0), "CG from 0 increases the norm in every iteration"
    np.testing.assert_allclose(
        energies[1], -((b @ b) ** 2) / (b @ A @ b) / 2, rtol=1e2 * eps
    )  # steepest descent with exact line search


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_conjugate_gradients(dtype):
    check_cg(truncated_cg, dtype)


@pytest.mark.parametrize(
    ("correct", "planted"),
    [
        ("alpha = rz /", "alpha = math.sqrt(rz) /"),  # line 21 of Algorithm 1 as printed
        ("(rz / previous)", "math.sqrt(rz / previous)"),
        ("r - alpha * q", "r + alpha * q"),
        ("x + alpha * p", "x - alpha * p"),
        ("q = A @ p", "q = -(A @ p)"),
        ("tolerance * math.sqrt(first)", "0.1"),
    ],
)
def test_planted_errors_are_caught(correct, planted):
    source = inspect.getsource(cg.truncated_cg)
    assert source.count(correct) == 1
    namespace = dict(vars(cg))
    exec(source.replace(correct, planted), namespace)
    with pytest.raises(AssertionError):
        check_cg(namespace["truncated_cg"])


def test_clustered_spectrum_takes_one_iteration_per_eigenvalue():
    A = np.diag([1.0] * 5 + [4.0] * 5 + [9.0] * 5)
    result = truncated_cg(A, np.ones(15), tolerance=1e-12)
    assert (result.status, result.iterations) == (Status.CONVERGED, 3)


@pytest.mark.parametrize("scale", [2.0**80, 2.0**-80])
def test_scaling_the_system_changes_no_branch(scale):
    A, b = np.diag([3.0, 1.0, 1e-9, 0.5]), np.array([1.0, 2.0, 1.0, -1.0])
    plain = truncated_cg(A, b, tolerance=1e-10)
    scaled = truncated_cg(scale * A, scale * b, tolerance=1e-10)
    assert np.array_equal(scaled.x, plain.x)
    assert (scaled.status, scaled.iterations) == (plain.status, plain.iterations)


def test_zero_right_hand_side():
    result = truncated_cg(spd(3), np.zeros(3))
    assert (result.status, result.iterations) == (Status.ZERO_RIGHT_HAND_SIDE, 0)
    assert not result.x.any()


@pytest.mark.parametrize("b", [E1, np.array([1.0, 1.0, 0.0])])
def test_negative_curvature_at_once_stops_at_zero(b):
    A = np.diag([-2.0, 1.0, 1.0])
    result = truncated_cg(A, b)
    assert (result.status, result.iterations) == (Status.NEGATIVE_CURVATURE, 1)
    assert not result.x.any()


def test_negative_curvature_keeps_the_iterate_before_it():
    A, b = np.diag([4.0, 1.0, -1.0]), np.array([1.0, 1.0, 0.5])
    before = truncated_cg(A, b, max_iterations=2)
    result = truncated_cg(A, b)
    assert (result.status, result.iterations) == (Status.NEGATIVE_CURVATURE, 3)
    assert np.array_equal(result.x, before.x)


def test_follow_steps_along_negative_curvature_by_its_absolute_value():
    A, b = np.diag([4.0, 1.0, -1.0]), np.array([1.0, 1.0, 0.5])
    stopped, followed = truncated_cg(A, b), truncated_cg(A, b, negative="follow")
    p = followed.x - stopped.x
    assert followed.status is Status.NEGATIVE_CURVATURE
    assert p @ A @ p < 0
    np.testing.assert_allclose(followed.curvature, followed.x @ A @ followed.x)
    np.testing.assert_allclose(p @ b, abs(p @ A @ p))  # α = ‖r‖²/|κ| and p·b = p·r
    energy = [x @ A @ x / 2 - b @ x for x in (stopped.x, followed.x)]
    assert energy[1] < energy[0]


def test_ignored_negative_curvature_leads_to_the_stationary_point():
    A, b = np.diag([4.0, 1.0, -1.0]), np.array([1.0, 1.0, 0.5])
    result = truncated_cg(A, b, negative="ignore")
    assert result.status is Status.CONVERGED
    np.testing.assert_allclose(result.x, np.linalg.solve(A, b))
    np.testing.assert_allclose(result.curvature, result.x @ A @ result.x)


def inverse_of(A, spread):
    """Return a symmetric positive definite matrix near A⁻¹, off by a factor of up to `spread`."""
    values, Q = np.linalg.eigh(A)
    factors = np.geomspace(1.0, spread, len(A))[np.random.default_rng(0).permutation(len(A))]
    return (Q * (factors / abs(values))) @ Q.T


@pytest.mark.parametrize("spread", [1.0, 2.0, 100.0])
def test_preconditioner_changes_no_solution(spread):
    A, b = spd(12), np.arange(1.0, 13.0)
    result = truncated_cg(A, b, tolerance=1e-12, preconditioner=inverse_of(A, spread))
    assert result.status is Status.CONVERGED
    np.testing.assert_allclose(result.x, np.linalg.solve(A, b), rtol=1e-10)
    np.testing.assert_allclose(result.curvature, result.x @ A @ result.x)
    assert spread > 1.0 or result.iterations == 1


def test_preconditioned_iterates_are_those_of_the_transformed_system():
    """CG on A with M = C Cᵀ is CG on Cᵀ A C y = Cᵀ b with x = C y, in other norms."""
    A, b = spd(12), np.arange(1.0, 13.0)
    M = inverse_of(A, 50.0)
    C = np.linalg.cholesky(M)
    for iterations in range(1, 6):
        x = truncated_cg(A, b, tolerance=1e-14, max_iterations=iterations, preconditioner=M).x
        y = truncated_cg(C.T @ A @ C, C.T @ b, tolerance=1e-14, max_iterations=iterations).x
        np.testing.assert_allclose(x, C @ y, rtol=1e-9)


@pytest.mark.parametrize("negative", ["stop", "follow"])
def test_preconditioned_negative_curvature_keeps_descent(negative):
    A, b = np.diag([4.0, 1.0, -1.0]), np.array([1.0, 1.0, 0.5])
    result = truncated_cg(A, b, negative=negative, preconditioner=np.diag([0.2, 1.5, 1.0]))
    assert result.status is Status.NEGATIVE_CURVATURE
    x = result.x
    assert b @ x > 0
    assert x @ A @ x / 2 - b @ x < 0
    np.testing.assert_allclose(result.curvature, x @ A @ x)


def test_flat_operator_returns_the_preconditioned_right_hand_side():
    result = truncated_cg(Operator(np.zeros_like), E1 + 1, preconditioner=np.diag([2.0, 3.0, 4.0]))
    assert result.status is Status.FLAT
    assert result.x.tolist() == [4.0, 3.0, 4.0]


@pytest.mark.parametrize("power", [-120, -60, 60, 120])
def test_range_of_float32_is_not_left_by_squares(power):
    A, b = spd(6, dtype=np.float32), np.arange(1, 7).astype(np.float32)
    plain = truncated_cg(A, b, tolerance=1e-5)
    scale = np.float32(2.0**power)
    scaled = truncated_cg(A, scale * b, tolerance=1e-5)
    assert scaled.status is Status.CONVERGED
    assert np.array_equal(scaled.x, scale * plain.x)


@pytest.mark.parametrize("power", [-80, 70])
def test_range_of_float32_is_not_left_by_squares_of_products(power):
    A, b = spd(6, dtype=np.float32), np.arange(1, 7).astype(np.float32)
    plain = truncated_cg(A, b, tolerance=1e-5)
    scale = np.float32(2.0**power)
    scaled = truncated_cg(scale * A, b, tolerance=1e-5)
    assert scaled.status is Status.CONVERGED
    assert np.array_equal(scale * scaled.x, plain.x)


def test_operator_without_curvature_returns_the_right_hand_side():
    result = truncated_cg(Operator(np.zeros_like), E1)
    assert (result.status, result.iterations) == (Status.FLAT, 1)
    assert np.array_equal(result.x, E1)
    assert result.curvature == 0.0


def test_flat_direction_is_left_with_the_largest_curvature_seen():
    A, b = np.diag([2.0, 0.0]), np.array([1.0, 1.0])
    result = truncated_cg(A, b, max_iterations=3, tolerance=1e-6)
    # one step of CG, then x[1] moves along the flat direction and stays finite
    assert np.isfinite(result.x).all()
    assert result.x[1] > 10
    assert result.status is Status.MAX_ITERATIONS


def test_small_but_curved_directions_are_not_flat():
    """An absolute threshold on pᵀAp would fire here merely because ‖p‖ is small."""
    A, b = spd(6), 1e-9 * np.arange(1.0, 7.0)
    result = truncated_cg(A, b, tolerance=1e-10)
    assert result.status is Status.CONVERGED
    np.testing.assert_allclose(A @ result.x, b, rtol=1e-8)


def test_non_finite_product_keeps_the_last_finite_iterate():
    A = spd(3)
    products = iter([lambda p: A @ p, lambda p: np.nan * p])
    result = truncated_cg(Operator(lambda p: next(products)(p)), np.ones(3))
    assert result.status is Status.NON_FINITE
    assert np.array_equal(result.x, truncated_cg(A, np.ones(3), max_iterations=1).x)


def test_every_status_is_a_message_that_says_what_to_do():
    assert len(Status) == 8
    assert all(len(status.value) > 20 for status in Status)
