"""`literal=True` is Algorithm 1 as printed: cases computed by hand, line by line."""

import numpy as np
import pytest

from mcx_optim import NewtonKrylov, Objective, algorithm1
from tests.optim.problems import quadratic


def literal_step(objective, w, batch=None, **options):
    return NewtonKrylov(literal=True, **options).step(objective, w, batch)


def parabola(a, b):
    """Return ½ a w² - b w in one dimension."""
    return quadratic(np.array([[a]]), np.array([b]))


def test_line_21_divides_the_norm_not_its_square():
    A, b = np.diag([1.0, 4.0]), np.array([3.0, 4.0])
    w, info = literal_step(quadratic(A, b), np.zeros(2), max_cg=1)
    # r = p = (3, 4), κ = 9 + 64 = 73, α = 5/73
    np.testing.assert_allclose(w, [15 / 73, 20 / 73], rtol=1e-15)
    assert (info.gamma, info.trials, info.cg_iterations) == (1.0, 1, 1)
    assert info.cg_status == "MAX_ITERATIONS"
    np.testing.assert_allclose(info.cg_residual, np.hypot(204, 212) / 365, rtol=1e-14)


@pytest.mark.parametrize("a", [2.0, 0.25])
def test_two_iterations_in_one_dimension(a):
    w, info = literal_step(parabola(a, 3.0), np.zeros(1), max_cg=2)
    # α₀ = 3/(9a), Δ = 1/a, r₁ = 2, β = 4/9, p₁ = 10/3, κ₁ = 100a/9, α₁ = 0.18/a
    np.testing.assert_allclose(w, [1.6 / a], rtol=1e-14)
    np.testing.assert_allclose(info.cg_residual, 1.4 / 3, rtol=1e-14)


def test_lines_18_and_19_replace_a_curvature_below_an_absolute_threshold():
    w, _ = literal_step(parabola(1e-10, 3.0), np.zeros(1), max_cg=1)
    np.testing.assert_allclose(w, [300.0], rtol=1e-12)  # κ = 0.01·3, α = 3/0.03
    w, _ = literal_step(parabola(1e-8, 3.0), np.zeros(1), max_cg=1)
    np.testing.assert_allclose(w, [1e8], rtol=1e-12)  # κ = 9e-8 is above it


def test_line_21_divides_by_zero_where_the_curvature_vanishes():
    linear = Objective(lambda w, batch: (3 * np.sum(w), 3 + 0 * w))
    with pytest.raises(ZeroDivisionError, match=r"line 21: the curvature is exactly 0.*literal=F"):
        literal_step(linear, np.ones(2))


def test_line_15_ends_the_loop_at_negative_curvature():
    w, info = literal_step(parabola(-1.0, 3.0), np.zeros(1))
    assert (info.outcome, info.reason) == ("skipped", "CG ended before its first step")
    assert (info.cg_status, info.counts.curvature, info.counts.hvp) == ("NEGATIVE_CURVATURE", 1, 0)
    assert w.tolist() == [0.0]


def test_line_30_amplifies_an_ascent_direction(monkeypatch):
    objective = quadratic(np.eye(2), np.array([1.0, 0.0]))  # g = (-1, 0) at 0
    monkeypatch.setattr(algorithm1, "_krylov", lambda *_: np.array([-3.0, 4.0]))
    w, info = literal_step(objective, np.zeros(2))
    np.testing.assert_allclose(w, [-4.8, 6.4], rtol=1e-15)  # cos θ = 3/5
    assert info.slope > 0
    assert info.new_loss > info.loss


def two_samples():
    """Return mean of ½ (w - x)² over samples x = 4 and x = 1, one per batch."""
    return Objective(
        lambda w, batch: (np.mean((w[0] - batch[0]) ** 2) / 2, w - np.mean(batch[0])),
        data=(np.array([4.0, 1.0]),),
    )


def test_line_5_skips_a_batch_that_opposes_the_full_gradient():
    objective = two_samples()
    w, info = literal_step(objective, np.array([2.0]), objective.rows(slice(1, 2)))
    assert info.reason == "the batch gradient opposes the full gradient"
    assert w.tolist() == [2.0]


def test_line_11_makes_the_batch_gradient_the_right_hand_side():
    objective = two_samples()
    w, info = literal_step(objective, np.array([0.0]), objective.rows(slice(1)), max_cg=1)
    assert w.tolist() == [1.0]  # α = 4/16 along p = 4
    assert (info.gradient_norm, info.slope) == (4.0, -4.0)


def step_sizes(loss_along, curvature, eta):
    """Return γ and the trials of lines 33-46 for f(γ), with f'(0) = -1."""
    asked = []

    class Line:
        def curvature(self, w, batch, p):
            return curvature

        def loss(self, w, batch):
            asked.append(float(w[0]))
            return loss_along(float(w[0]))

    class Log:
        def note(self, **fields):
            self.fields = fields

    one = np.ones(1)
    gamma, _, ratio = algorithm1._step_size(
        Line(), 0 * one, None, loss_along(0.0), -one, one, eta, Log()
    )
    return gamma, asked, ratio


def test_lines_33_to_46_halve_and_stretch():
    # f = -γ + c γ³: η = cγ²/(1 - cγ²)
    gamma, asked, ratio = step_sizes(lambda t: -t + 0.15 * t**3, 0.0, 0.05)
    assert asked == [1.0, 0.5]
    assert gamma == 0.5
    np.testing.assert_allclose(ratio, 0.0375 / 0.9625)
    gamma, asked, _ = step_sizes(lambda t: -t + 0.08 * t**3, 0.0, 0.05)
    assert asked == [1.0, 0.5, 0.75]  # η = 0.087, 0.020 < η̃/2, 0.047
    assert gamma == 0.75
    gamma, asked, _ = step_sizes(lambda t: -t + 0.02 * t**3, 0.0, 0.05)
    assert (gamma, asked) == (1.0, [1.0])  # η = 0.0204 < η̃/2 at once


def test_lines_33_to_46_end_with_a_tiny_step():
    gamma, asked, _ = step_sizes(lambda t: -0.3 * t, 0.0, 0.05)
    assert gamma == 1e-6
    assert asked == [0.5**k for k in range(10)] + [1e-6]


def test_small_enough_is_relative_to_the_right_hand_side():
    _, info = literal_step(parabola(1.0, 1.0), np.zeros(1), tolerance=0.5)
    assert (info.cg_status, info.cg_iterations) == ("CONVERGED", 1)  # α = 1 is exact for ‖r‖ = 1
