"""Taylor coefficients of the gradient of a batch along a direction."""

import math

import numpy as np
import pytest

from mcx_nn import Supervised, mlp, softmax_cross_entropy
from mcx_optim import Objective
from tests.optim.problems import small_softmax, softmax_hessian, softmax_value_and_grad

RNG = np.random.default_rng(3)
X, Y = RNG.standard_normal((140, 3)), RNG.integers(4, size=140)
PROBLEM = Supervised(mlp((3, 5, 4)), softmax_cross_entropy)


def test_coefficients_are_gradient_hessian_product_and_half_the_third_derivative():
    objective, w = small_softmax()
    batch, p = objective.rows(slice(30)), np.random.default_rng(0).standard_normal(w.size)
    found = objective.taylor_gradient(w, batch, p, 2)
    np.testing.assert_allclose(found[0], softmax_value_and_grad(w, batch)[1], rtol=1e-13)
    np.testing.assert_allclose(found[1], softmax_hessian(w, batch) @ p, atol=1e-14)
    h = 1e-4
    difference = (softmax_hessian(w + h * p, batch) - softmax_hessian(w - h * p, batch)) @ p
    np.testing.assert_allclose(found[2], difference / (4 * h), atol=1e-7)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_slopes_are_those_of_the_taylor_polynomial_of_the_loss(order):
    """φ(γ) = f(w + γp): φ′ = p·∇f(w + γp), coefficient by coefficient."""
    objective = Objective.of(PROBLEM, data=(X, Y))
    w = PROBLEM.init(np.random.default_rng(1))
    p = np.random.default_rng(2).standard_normal(w.size)
    slopes = objective.taylor_gradient(w, objective.data, p, order) @ p
    polynomial = objective.taylor(w, objective.data, p, order + 1)
    expected = polynomial[1:] * np.arange(1, order + 2)
    np.testing.assert_allclose(slopes, expected, rtol=1e-11)


def test_parts_make_no_difference():
    w = PROBLEM.init(np.random.default_rng(1))
    whole = Objective.of(PROBLEM, data=(X, Y))
    parts = Objective.of(PROBLEM, data=(X, Y), chunk=17, separable=True)
    both = [each.taylor_gradient(w, each.data, np.cos(w), 2) for each in (whole, parts)]
    np.testing.assert_allclose(*both, rtol=1e-12, atol=1e-15)


def test_cost_is_that_of_its_matrix_products():
    objective, w = small_softmax()
    objective.taylor_gradient(w, objective.rows(slice(20)), np.ones_like(w), 2)
    assert objective.counts.cost() == pytest.approx(20 * 16 / 3)
    assert objective.counts.taylor == 20 * 16


def test_not_finite_is_returned_and_bad_w_refused():
    objective = Objective(lambda w, batch: (np.sum(np.exp(w)), np.exp(w)))
    with np.errstate(all="ignore"):
        found = objective.taylor_gradient(np.array([1e4]), None, np.ones(1), 2)
    assert not math.isfinite(found[2, 0])
    with pytest.raises(TypeError, match="w: expected an array of float32 or float64"):
        objective.taylor_gradient(np.ones(2, int), None, np.ones(2), 2)
