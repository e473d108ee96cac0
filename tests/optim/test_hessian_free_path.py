"""The conjugate gradients of Hessian-free optimization, and the way back along their path."""

import numpy as np
import pytest

from mcx_optim import Status
from mcx_optim.cg_path import backtrack, minimize_quadratic
from tests.optim.problems import spd


def test_q_is_minimized():
    A, g = spd(12), np.arange(1.0, 13.0)
    for inverse in (None, np.diag(1 / np.arange(1.0, 13.0)), np.linalg.inv(A)):
        path = minimize_quadratic(A, g, None, inverse, 1e-12, 250)
        assert path.status is Status.CONVERGED
        p = path.kept[-1].p
        np.testing.assert_allclose(p, -np.linalg.solve(A, g), rtol=1e-9)
        for iterate in path.kept:
            q = iterate.p @ A @ iterate.p / 2 + g @ iterate.p
            np.testing.assert_allclose(iterate.q, q, rtol=1e-12)
        assert path.residual_norm <= 1e-8
    assert path.products <= 3  # by the inverse itself
    path = minimize_quadratic(A, g, None, None, 1e-12, 5)
    assert (path.status, path.products, len(path.kept)) == (Status.MAX_ITERATIONS, 5, 5)
    assert [iterate.q for iterate in path.kept] == sorted(
        (iterate.q for iterate in path.kept), reverse=True
    )


def test_preconditioned_iterates_are_those_of_the_transformed_system():
    A, g = spd(12), np.arange(1.0, 13.0)
    M = np.diag(np.arange(1.0, 13.0))
    root = np.sqrt(M)
    ours = minimize_quadratic(A, g, None, M, 1e-12, 6)
    theirs = minimize_quadratic(root @ A @ root, root @ g, None, None, 1e-12, 6)
    for mine, other in zip(ours.kept, theirs.kept, strict=True):
        np.testing.assert_allclose(mine.p, root @ other.p, rtol=1e-10)


@pytest.mark.parametrize("power", [400, -400])
def test_the_unit_of_the_loss_changes_no_digit(power):
    """Squares of g, and dᵀBd, would be out of range."""
    A, g, unit = spd(12), np.arange(1.0, 13.0), 2.0**power
    for start in (None, -np.linalg.solve(A, g) / 2):
        plain = minimize_quadratic(A, g, start, None, 1e-9, 8)
        scaled = minimize_quadratic(unit * A, unit * g, start, None, 1e-9, 8)
        for got, expected in zip(scaled.kept, plain.kept, strict=True):
            np.testing.assert_array_equal(got.p, expected.p)
            assert got.q == unit * expected.q
        assert scaled.residual_norm == unit * plain.residual_norm


def test_a_start_is_taken_where_it_decreases_q():
    A, g = spd(6), np.arange(1.0, 7.0)
    solution = -np.linalg.solve(A, g)
    warm = minimize_quadratic(A, g, 0.9 * solution, None, 1e-9, 1)
    assert warm.products == 2
    assert warm.kept[0].q < 0.98 * (solution @ g / 2)
    assert warm.kept[0].q < minimize_quadratic(A, g, None, None, 1e-9, 1).kept[0].q
    for start in (-solution, 2.5 * solution):
        cold = minimize_quadratic(A, g, start, None, 1e-9, 1)
        np.testing.assert_array_equal(
            cold.kept[0].p, minimize_quadratic(A, g, None, None, 1e-9, 1).kept[0].p
        )


def test_negative_curvature_and_non_finite_products_end_the_path():
    A, g = np.diag([4.0, 1.0, -1.0]), np.array([-1.0, -1.0, -0.5])
    path = minimize_quadratic(A, g, None, None, 1e-9, 50)
    assert (path.status, path.products, len(path.kept)) == (Status.NEGATIVE_CURVATURE, 3, 2)
    path = minimize_quadratic(-A, g, None, None, 1e-9, 50)
    assert (path.status, path.kept) == (Status.NEGATIVE_CURVATURE, [])
    path = minimize_quadratic(np.nan * A, g, None, None, 1e-9, 50)
    assert (path.status, path.kept) == (Status.NON_FINITE, [])


def test_the_kept_iterates_are_spaced():
    A, g = np.diag(np.logspace(-6, 0, 200)), np.ones(200)
    path = minimize_quadratic(A, g, None, None, 1e-9, 60)
    every = [minimize_quadratic(A, g, None, None, 1e-9, i).kept[-1].p for i in range(1, 61)]
    places = [next(i for i, p in enumerate(every, 1) if np.array_equal(p, k.p)) for k in path.kept]
    assert places == [1, 2, 3, 4, 5, 7, 9, 11, 14, 18, 24, 31, 40, 52, 60]


@pytest.mark.parametrize(
    ("losses", "chosen", "trials"),
    [
        ([5.0, 4.0, 3.0], 2, 2),
        ([3.0, 4.0, 5.0], 0, 3),
        ([5.0, 2.0, 3.0], 1, 3),
        ([1.0, 3.0, 3.0], 2, 2),
        ([5.0, np.inf, np.nan], 0, 3),
        ([4.0, 5.0, np.nan], 0, 3),
        ([5.0], 0, 1),
    ],
)
def test_backtracking_goes_on_while_the_loss_decreases(losses, chosen, trials):
    path = minimize_quadratic(spd(6), np.arange(1.0, 7.0), None, None, 1e-9, len(losses))
    seen = []

    def loss_at(p):
        place = next(k for k, iterate in enumerate(path.kept) if iterate.p is p)
        seen.append(place)
        return losses[place]

    best, loss = backtrack(loss_at, path.kept, loss_at(path.kept[-1].p))
    assert best is path.kept[chosen]
    assert loss == losses[chosen]
    assert seen == list(range(len(losses)))[::-1][:trials]
