"""The equation of a step: damping, warm start, preconditioner, projection, and the escape."""

import numpy as np
import pytest

from mcx_optim import Objective
from mcx_optim.direction import Direction, Equation, escape, turned
from mcx_optim.step_info import StepLog
from tests.optim.problems import spd

A, B = spd(8), np.arange(1.0, 9.0)
SADDLE = np.diag([4.0, 1.0, 0.5, 2.0, 3.0, 1.5, 2.5, -1.0])


class Counting:
    """A matrix that counts its products."""

    def __init__(self, A):
        self.A, self.products = A, 0

    def __matmul__(self, p):
        self.products += 1
        return self.A @ p


@pytest.fixture
def log():
    """Return the log of a step of no objective in particular."""
    return StepLog(Objective(lambda w, batch: (w @ w, 2 * w)))


def noted(log):
    """Return what was noted, as a StepInfo."""
    return log.finish("accepted")


def equation(A=A, b=B, damping=0.0, preconditioner=None, **options):
    options = {"tolerance": 1e-12, "max_iterations": 20, "negative": "follow"} | options
    return Equation(A, b, damping, preconditioner, **options)


@pytest.mark.parametrize("damping", [0.0, 3.0])
@pytest.mark.parametrize("negative", ["follow", "stop", "absolute", "ignore"])
@pytest.mark.parametrize("start", [0.0, 0.5, -1.0])
def test_solution_of_the_damped_equation_with_the_undamped_curvature(damping, negative, start, log):
    exact = -np.linalg.solve(A + damping * np.eye(8), B)
    direction = equation(damping=damping, negative=negative).solve(start * exact, log)
    np.testing.assert_allclose(direction.delta, exact, rtol=1e-10)
    assert direction.slope == pytest.approx(B @ exact, rel=1e-10)
    assert direction.curvature == pytest.approx(exact @ A @ exact, rel=1e-10)
    assert direction.predicted == direction.slope + direction.curvature / 2
    assert noted(log).cg_status == "CONVERGED"
    assert noted(log).cg_residual <= 1e-12


def test_curvature_is_that_of_the_direction_where_the_solver_stops_early(log):
    start = -0.5 * np.linalg.solve(A, B) + 0.01
    direction = equation(damping=2.0, max_iterations=2).solve(start, log)
    delta = direction.delta
    assert direction.curvature == pytest.approx(delta @ A @ delta)
    assert direction.slope == pytest.approx(B @ delta)
    residual = np.linalg.norm(A @ delta + 2.0 * delta + B) / np.linalg.norm(B)
    assert noted(log).cg_residual == pytest.approx(residual)


def test_start_that_increases_the_model_is_left_out(log):
    cold = equation(max_iterations=3).solve(None, log).delta
    uphill = np.linalg.solve(A, B)
    assert np.array_equal(equation(max_iterations=3).solve(uphill, log).delta, cold)
    assert not np.array_equal(equation(max_iterations=3).solve(-0.5 * uphill, log).delta, cold)


def test_start_near_the_solution_saves_products(log):
    """The tolerance is relative to b, not to what the start leaves of it."""
    exact = -np.linalg.solve(A, B)
    cold, warm = Counting(A), Counting(A)
    equation(cold, tolerance=0.01).solve(None, log)
    direction = equation(warm, tolerance=0.01).solve(0.95 * exact, log)
    assert np.linalg.norm(A @ direction.delta + B) <= 0.01 * np.linalg.norm(B)
    assert warm.products < cold.products
    less = {"tolerance": 0.01, "max_iterations": noted(log).cg_iterations - 1}
    short = equation(**less).solve(0.95 * exact, log)
    assert np.linalg.norm(A @ short.delta + B) > 0.01 * np.linalg.norm(B)


def test_exact_start_is_kept(log):
    exact = np.ones(8)
    direction = equation(b=-(A @ exact)).solve(exact, log)
    np.testing.assert_allclose(direction.delta, exact, rtol=1e-12)
    assert noted(log).cg_residual <= 1e-14


def test_preconditioner_changes_the_way_and_not_the_solution(log):
    ill = np.diag(np.geomspace(1.0, 1e6, 8))
    inverse = np.diag(1 / np.diag(ill) * np.linspace(0.5, 2.0, 8))
    plain, better = Counting(ill), Counting(ill)
    equation(plain, max_iterations=100).solve(None, log)
    direction = equation(better, preconditioner=inverse, max_iterations=100).solve(None, log)
    np.testing.assert_allclose(direction.delta, -B / np.diag(ill), rtol=1e-9)
    assert better.products <= 8 < plain.products


def test_exact_preconditioner_takes_one_product(log):
    direction = equation(damping=1.0, preconditioner=np.linalg.inv(A + np.eye(8))).solve(None, log)
    np.testing.assert_allclose(direction.delta, -np.linalg.solve(A + np.eye(8), B), rtol=1e-12)
    assert noted(log).cg_iterations == 1


def test_absolute_curvature_descends_where_the_curvature_is_negative(log):
    direction = equation(SADDLE, negative="absolute").solve(None, log)
    np.testing.assert_allclose(direction.delta, -B / abs(np.diag(SADDLE)), rtol=1e-9)
    assert direction.curvature == pytest.approx(direction.delta @ SADDLE @ direction.delta)


# ----- projection -----


def test_damping_is_added_to_the_absolute_curvature(log):
    """(|A| + λI) Δ = -b: an eigenvalue of -λ is 2λ then, and not 0."""
    H, b = np.diag([4.0, -1.0]), np.array([1.0, 1.0])
    found = equation(H, b, 1.0, negative="absolute").solve(None, log)
    np.testing.assert_allclose(found.delta, [-1 / 5, -1 / 2], rtol=1e-12)
    np.testing.assert_allclose(found.curvature, found.delta @ H @ found.delta, rtol=1e-12)


def test_downhill_direction_is_not_turned():
    direction = Direction(-B, -float(B @ B), 1.0)
    assert turned(direction, A, B) is direction


@pytest.mark.parametrize("scale", [1.0, 2.0**-90])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_uphill_direction_loses_eleven_tenths_of_its_component(scale, dtype):
    g = (scale * B).astype(dtype)
    across = np.array([2.0, -1.0, 0, 0, 0, 0, 0, 0], dtype)
    assert across @ g == 0
    delta = across + np.float32(0.25) * B.astype(dtype)
    slope = float(delta @ g)
    result = turned(Direction(delta, slope, np.nan), A.astype(dtype), g)
    assert result.delta.dtype == dtype
    rtol = 100 * float(np.finfo(dtype).eps)
    np.testing.assert_allclose(result.delta, across - 0.025 * B, rtol=rtol, atol=rtol)
    assert result.slope == pytest.approx(-0.1 * slope, rel=rtol)
    assert result.curvature == pytest.approx(result.delta @ A @ result.delta, rel=rtol)


# ----- points of zero gradient -----


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_escape_finds_the_direction_of_most_negative_curvature(dtype, log):
    H = SADDLE.astype(dtype)
    direction = escape(H, np.zeros(8, dtype), 8, np.random.default_rng(0), log)
    unit = direction.delta / np.linalg.norm(direction.delta)
    assert direction.delta.dtype == dtype
    np.testing.assert_allclose(abs(unit), np.eye(8)[7], atol=1e-4)
    assert direction.slope == 0.0
    assert direction.curvature == pytest.approx(direction.delta @ H @ direction.delta, rel=1e-4)
    assert noted(log).cg_status == "NEGATIVE_CURVATURE"
    assert noted(log).cg_iterations <= 8


@pytest.mark.parametrize("H", [A, np.zeros((8, 8)), np.diag([1.0, 0, 0, 0, 0, 0, 0, 0])], ids=str)
def test_escape_finds_nothing_where_the_curvature_is_nowhere_negative(H, log):
    assert escape(H, np.zeros(8), 8, np.random.default_rng(0), log) is None
    assert noted(log).cg_status == "ZERO_RIGHT_HAND_SIDE"


def test_escape_takes_no_rounding_for_curvature(log):
    H = A - np.linalg.eigvalsh(A)[0] * np.eye(8)
    assert escape(H, np.zeros(8), 8, np.random.default_rng(0), log) is None


def test_escape_depends_on_the_generator_and_not_on_the_scale_of_the_loss(log):
    def at(seed, scale=1.0):
        return escape(scale * SADDLE, np.zeros(8), 8, np.random.default_rng(seed), log).delta

    assert np.array_equal(at(0), at(0))
    assert np.array_equal(at(0), at(0, scale=2.0**60))
    assert not np.array_equal(at(0), at(1))
