"""Cubic regularization where its term vanishes, dominates, or is near the ends of float64."""

import itertools

import numpy as np
import pytest

from mcx_optim.cubic import CubicStatus, minimize_cubic
from tests.optim.test_cubic import check, problem


@pytest.mark.parametrize(
    ("H", "g", "D", "eta"),
    [
        (np.diag([1.0, 0.0]), [2.0, 0.0], [0.0, 0.35], [2.0, 0.0]),
        (np.diag([0.0, 2.93]), [0.0, -1.28], [0.359, 0.0], [0.0, -1.28 / 2.93]),
        (np.diag([1.0, 2.0]), [0.0, 1.0], [0.3, 0.0], [0.0, 0.5]),
        (np.diag([1.0, 2.0]), [1e-200, 1.0], [0.3, 0.0], [1e-200, 0.5]),
        ([[2.0]], [1e-300], [1.0], [5e-301]),
        ([[0.0]], [0.0], [1.0], [0.0]),
        (np.diag([3.0, 0.0, 2.0]), [1.0, 0.0, 3.0], [0.0, 0.3, 0.0], [1 / 3, 0.0, 1.5]),
    ],
)
def test_groups_that_the_cubic_term_leaves_at_rest(H, g, D, eta):
    """‖Dη‖ is 0, or too small to count: the step is that of the quadratic model."""
    for order in itertools.permutations(range(len(g))):
        take = list(order)
        given = np.array(H)[np.ix_(take, take)], np.array(g)[take], np.array(D)[take]
        for strength in (1e-60, 1.0, 1e60):
            step = minimize_cubic(*given, strength)
            np.testing.assert_allclose(step.eta, np.array(eta)[take], rtol=1e-15)
            assert step.status is CubicStatus.MINIMIZED
    rest = minimize_cubic(np.diag([-1.0, 0.0]), np.zeros(2), np.array([1.0, 0.3]), 2.0)
    np.testing.assert_allclose(np.abs(rest.eta), [1.0, 0.0], rtol=1e-14)


@pytest.mark.parametrize("exponent", [-150, -60, -30, 30, 60, 150])
def test_any_strength_will_do(exponent, rng):
    """Also singular curvature, and groups without a cubic term."""
    for _ in range(60):
        H, g, D, _ = problem(rng, 4)
        H = H @ H
        H[2] = H[:, 2] = 0
        D[0], g[2] = 0, rng.integers(2)
        step = minimize_cubic(H, g, D, 10.0**exponent)
        assert step.status is CubicStatus.MINIMIZED
        check(H, g, D, 10.0**exponent, step)


@pytest.mark.parametrize("exponent", [60, 150])
def test_a_strong_term_of_some_groups(exponent, rng):
    """Indefinite where it is; the others step as if those stood still."""
    for _ in range(40):
        H, g, D, _ = problem(rng, 5)
        H[3, 3], D[3] = 1 + abs(H[3, 3]), 0
        step = minimize_cubic(H, g, D, 10.0**exponent)
        assert step.status is CubicStatus.MINIMIZED
        check(H, g, D, 10.0**exponent, step)
        np.testing.assert_allclose(step.eta[3], g[3] / H[3, 3], rtol=1e-9)


def test_numbers_near_the_ends_of_their_range():
    step = minimize_cubic([[1e308]], [1e308], [1e100], 1e300)
    np.testing.assert_allclose(step.eta, [np.sqrt(2) * 1e-146], rtol=1e-13)
    with np.errstate(over="ignore"):
        step = minimize_cubic([[1e-300]], [1e300], [0.0], 1.0)
    assert step == type(step)(None, None, CubicStatus.NON_FINITE)
