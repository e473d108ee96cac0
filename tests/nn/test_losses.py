"""Losses: value against SciPy, gradient and Hessian against complex steps, extremes, bad input."""

import numpy as np
import pytest
from scipy.special import log_softmax

from mcx_nn import mean_squared_error, softmax_cross_entropy
from tests.nn import checks
from tests.standin import StandIn


def cross_entropy_case(batch=4, classes=3, scale=1.0):
    rng = np.random.default_rng(0)
    return rng.normal(size=(batch, classes)) * scale, rng.integers(0, classes, batch)


def squares_case(shape=(4, 3)):
    return tuple(np.random.default_rng(0).normal(size=(2, *shape)))


CASES = {
    "cross-entropy": (softmax_cross_entropy, *cross_entropy_case()),
    "cross-entropy, one sample": (softmax_cross_entropy, *cross_entropy_case(1, 5)),
    "cross-entropy, confident": (softmax_cross_entropy, *cross_entropy_case(scale=20.0)),
    "squares": (mean_squared_error, *squares_case()),
    "squares, images": (mean_squared_error, *squares_case((2, 3, 2, 1))),
}


@pytest.fixture(params=CASES.values(), ids=CASES.keys())
def case(request):
    return request.param


def test_cross_entropy_value():
    logits, labels = cross_entropy_case()
    expected = -np.mean(log_softmax(logits, axis=1)[np.arange(len(labels)), labels])
    loss, _ = softmax_cross_entropy(logits, labels)
    np.testing.assert_allclose(loss, expected, rtol=8 * checks.EPS)


def test_squares_value():
    prediction, target = squares_case()
    expected = np.linalg.norm(prediction - target) ** 2 / prediction.size
    loss, _ = mean_squared_error(prediction, target)
    np.testing.assert_allclose(loss, expected, rtol=8 * checks.EPS)


def test_gradient(case):
    checks.check_gradient(checks.loss_problem(*case))


def test_hessian(case):
    problem = checks.loss_problem(*case)
    p = np.random.default_rng(1).normal(size=problem.z.size)
    checks.check_hessian(problem, p)
    checks.check_curvature(problem, p)


def test_multicomplex(case):
    problem = checks.loss_problem(*case)
    checks.check_multicomplex(problem, *np.random.default_rng(1).normal(size=(2, problem.z.size)))


def test_pure(case):
    loss, output, target = case
    copies = output.copy(), target.copy()
    _, gradient = loss(output, target)
    assert np.array_equal(output, copies[0])
    assert np.array_equal(target, copies[1])
    assert not np.shares_memory(gradient, output)


def test_dtype(case):
    loss, output, target = case
    target = target if target.dtype.kind == "i" else target.astype("float32")
    value, gradient = loss(output.astype("float32"), target)
    assert value.dtype == gradient.dtype == np.float32


def test_standin(case):
    loss, output, target = case
    value, gradient = loss(output, target)
    device_value, device_gradient = loss(StandIn.wrap(output), StandIn.wrap(target))
    assert device_value.get() == value
    assert np.array_equal(device_gradient.get(), gradient)


def test_cross_entropy_of_large_logits():
    """Shifted by the maximum: no overflow, and the loss is the margin where it is large."""
    logits = np.array([[1e4, 0.0, -1e4], [1e308, 0.0, 0.0]])
    loss, gradient = softmax_cross_entropy(logits, np.array([2, 0]))
    assert loss == 1e4
    np.testing.assert_array_equal(gradient, [[0.5, 0, -0.5], [0, 0, 0]])


@pytest.mark.parametrize(
    ("loss", "output", "target", "message"),
    [
        (softmax_cross_entropy, np.ones(3), np.ones(3, int), r"logits: .* \(B, K\), got \(3,\)"),
        (softmax_cross_entropy, np.ones((2, 3)), np.ones(3, int), r"labels: .* \(2,\), got \(3,\)"),
        (softmax_cross_entropy, np.ones((2, 3)), np.ones((2, 1), int), r"labels: .* got \(2, 1\)"),
        (softmax_cross_entropy, np.ones((2, 3)), np.ones(2), "integers, got dtype float64"),
        (softmax_cross_entropy, np.ones((2, 3)), np.array([0, 3]), "0 to 2, got 0 to 3"),
        (softmax_cross_entropy, np.ones((2, 3)), np.array([-1, 0]), "0 to 2, got -1 to 0"),
        (mean_squared_error, np.ones((2, 1)), np.ones(2), r"target: .* \(2, 1\), got \(2,\)"),
    ],
)
def test_bad_input(loss, output, target, message):
    with pytest.raises(ValueError, match=message):
        loss(output, target)
