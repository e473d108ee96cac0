"""What is known of first-order methods in closed form, without their recursions."""

import numpy as np
import pytest

from mcx_optim import SGD, Adam, Objective
from mcx_optim.adagrad import AdaGrad
from mcx_optim.adamw import AdamW
from mcx_optim.rmsprop import RMSProp
from mcx_optim.schedules import Cosine
from tests.optim.problems import quadratic, spd

SLOPE = np.array([3.0, -0.5, 1e-4])


def path(optimizer, objective, w, steps):
    """Return w at the start and after every step."""
    points = [w]
    for _ in range(steps):
        w, _ = optimizer.step(objective, w, None)
        points.append(w)
    return np.array(points)


def linear():
    """Return an objective whose gradient is SLOPE everywhere."""
    return Objective(lambda w, batch: (SLOPE @ w, SLOPE + 0 * w))


def test_nesterov_is_that_of_sutskever_et_al():
    """Their equations 3 and 4, v ← μ v - lr ∇f(θ + μ v), θ ← θ + v, at the points w = θ + μ v."""
    A, b = spd(6), np.linspace(-1.0, 1.0, 6)
    lr, momentum = 0.05, 0.85
    theta, v, expected = np.ones(6), np.zeros(6), [np.ones(6)]
    for _ in range(40):
        v = momentum * v - lr * (A @ (theta + momentum * v) - b)
        theta = theta + v
        expected.append(theta + momentum * v)
    points = path(SGD(lr, momentum, nesterov=True), quadratic(A, b), np.ones(6), 40)
    np.testing.assert_allclose(points, expected, rtol=1e-13, atol=1e-14)
    heavy = path(SGD(lr, momentum), quadratic(A, b), np.ones(6), 40)
    assert np.abs(heavy - points).max() > 0.1


@pytest.mark.parametrize("nesterov", [False, True])
def test_momentum_lengthens_steps_along_a_constant_slope(nesterov):
    """The velocity is g (1 - μᵗ)/(1 - μ), and Nesterov's is one step ahead."""
    points = path(SGD(0.1, 0.9, nesterov), linear(), np.zeros(3), 20)
    t = np.arange(1, 21)[:, None] + nesterov
    expected = -0.1 * SLOPE * (1 - 0.9**t) / (1 - 0.9)
    np.testing.assert_allclose(np.diff(points, axis=0), expected, rtol=1e-11)


def test_adagrad_steps_along_a_constant_slope_fall_as_the_root_of_t():
    points = path(AdaGrad(0.1), linear(), np.zeros(3), 30)
    t = np.arange(1, 31)[:, None]
    expected = -0.1 * np.sign(SLOPE) / np.sqrt(t)
    np.testing.assert_allclose(np.diff(points, axis=0), expected, rtol=2e-6)  # ε / |SLOPE|


def test_rmsprop_steps_along_a_constant_slope_fall_to_the_learning_rate():
    points = path(RMSProp(0.1, decay=0.8), linear(), np.zeros(3), 30)
    t = np.arange(1, 31)[:, None]
    expected = -0.1 * np.sign(SLOPE) / np.sqrt(1 - 0.8**t)
    np.testing.assert_allclose(np.diff(points, axis=0), expected, rtol=3e-4)  # ε / |SLOPE| √5


def test_adam_steps_along_a_constant_slope_have_the_length_of_the_learning_rate():
    points = path(Adam(0.1), linear(), np.zeros(3), 30)
    expected = np.tile(-0.1 * np.sign(SLOPE), (30, 1))
    np.testing.assert_allclose(np.diff(points, axis=0), expected, rtol=2e-4)


@pytest.mark.parametrize("optimizer", [AdaGrad, RMSProp, Adam])
def test_scaling_the_loss_does_not_change_the_steps(optimizer):
    A, b = spd(4), np.ones(4)
    points = path(optimizer(0.1), quadratic(A, b), np.full(4, 3.0), 10)
    scaled = path(optimizer(0.1), quadratic(1000 * A, 1000 * b), np.full(4, 3.0), 10)
    np.testing.assert_allclose(scaled, points, rtol=1e-6)


def test_weights_decay_geometrically_where_the_loss_is_flat():
    flat = Objective(lambda w, batch: (1.0, 0 * w))
    start = np.array([1.0, -2.0, 1e-3])
    points = path(AdamW(0.1, weight_decay=0.5), flat, start, 25)
    expected = start * (1 - 0.1 * 0.5) ** np.arange(26)[:, None]
    np.testing.assert_allclose(points, expected, rtol=1e-13)


def test_a_schedule_scales_the_decay_too():
    flat = Objective(lambda w, batch: (1.0, 0 * w))
    schedule = Cosine(0.1, 10)
    points = path(AdamW(schedule, weight_decay=0.5), flat, np.ones(1), 10)
    expected = np.prod([1 - 0.5 * schedule(t) for t in range(10)])
    np.testing.assert_allclose(points[-1], expected, rtol=1e-14)


def test_decoupled_decay_does_not_depend_on_the_gradient():
    """Unlike a penalty in the loss, which Adam's scaling takes away where gradients are large."""
    start, decay = np.ones(3), 0.5
    plain = path(Adam(0.1), linear(), start, 1)[1]
    decoupled = path(AdamW(0.1, weight_decay=decay), linear(), start, 1)[1]
    np.testing.assert_allclose(decoupled - plain, -0.1 * decay * start, rtol=1e-13)
    penalty = Objective(lambda w, batch: (SLOPE @ w + decay / 2 * w @ w, SLOPE + decay * w))
    coupled = path(Adam(0.1), penalty, start, 1)[1]
    assert abs(coupled[0] - plain[0]) < 1e-8


@pytest.mark.parametrize(
    "optimizer",
    [
        SGD(0.05),
        SGD(0.05, nesterov=True),
        AdaGrad(1.0),
        RMSProp(Cosine(0.1, 300)),
        Adam(Cosine(0.3, 300)),
        AdamW(Cosine(0.3, 300), weight_decay=0.0),
    ],
    ids=["sgd", "nesterov", "adagrad", "rmsprop", "adam", "adamw"],
)
def test_a_quadratic_is_minimized(optimizer):
    A, b = spd(5), np.linspace(-2.0, 2.0, 5)
    w = path(optimizer, quadratic(A, b), np.zeros(5), 300)[-1]
    np.testing.assert_allclose(w, np.linalg.solve(A, b), atol=1e-3)
