"""SGD and Adam against their formulas, written out."""

import numpy as np
import pytest

from mcx_optim import SGD, Adam, Objective
from tests.optim.problems import network


def reference_sgd(w, gradient, steps, lr, momentum):
    """Return w after v ← μ v + g, w ← w - lr v."""
    v = 0.0
    for _ in range(steps):
        v = momentum * v + gradient(w)
        w = w - lr * v
    return w


def reference_adam(w, gradient, steps, lr, beta1=0.9, beta2=0.999, epsilon=1e-8):
    """Return w after Algorithm 1 of Kingma and Ba."""
    m = v = 0.0
    for t in range(1, steps + 1):
        g = gradient(w)
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g * g
        m_hat = m / (1 - beta1**t)
        v_hat = v / (1 - beta2**t)
        w = w - lr * m_hat / (np.sqrt(v_hat) + epsilon)
    return w


def check_optimizer(optimizer, reference):
    """Raise AssertionError unless 50 steps agree with the reference to 1e-14."""
    objective, w = network()
    start = w.copy()

    def gradient(v):
        return objective.grad(v, objective.data)

    expected = reference(w, gradient, 50)
    point = w
    for _ in range(50):
        point, info = optimizer.step(objective, point, objective.data)
        assert info.outcome == "accepted"
    np.testing.assert_allclose(point, expected, rtol=1e-14, atol=1e-14)
    assert np.array_equal(w, start), "w was mutated"
    assert np.max(np.abs(point - start)) > 0.1


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_sgd(momentum):
    check_optimizer(
        SGD(0.05, momentum), lambda w, g, steps: reference_sgd(w, g, steps, 0.05, momentum)
    )


def test_adam():
    check_optimizer(Adam(0.01), lambda w, g, steps: reference_adam(w, g, steps, 0.01))


@pytest.mark.parametrize(
    ("optimizer", "reference"),
    [
        (SGD(0.05, 0.9), lambda w, g, n: reference_sgd(w, g, n, 0.05, 0.89)),
        (SGD(0.05, 0.9), lambda w, g, n: reference_sgd(w, lambda v: -g(v), n, 0.05, 0.9)),
        (Adam(0.01), lambda w, g, n: reference_adam(w, g, n, 0.01, beta2=0.9989)),
        (Adam(0.01), lambda w, g, n: reference_adam(w, g, n, 0.01, epsilon=1e-6)),
        (Adam(0.01), lambda w, g, n: reference_adam(w, lambda v: 1.001 * g(v), n, 0.01) + 1e-13),
    ],
)
def test_planted_errors_are_caught(optimizer, reference):
    with pytest.raises(AssertionError):
        check_optimizer(optimizer, reference)


@pytest.mark.parametrize("optimizer", [SGD(0.1), Adam(0.1)])
def test_steps_are_logged_and_keep_float32(optimizer):
    objective, w = network(np.float32)
    loss, g = objective.value_and_grad(w, objective.data)
    before = objective.counts
    point, info = optimizer.step(objective, w, objective.data)
    assert point.dtype == np.float32
    assert info.loss == loss
    assert info.gradient_norm == pytest.approx(float(np.linalg.norm(g)), rel=1e-6)
    assert info.slope == pytest.approx(float(g @ (point - w)), rel=1e-5)
    assert info.slope < 0
    assert info.counts == objective.counts - before
    assert info.counts.gradient == 60
    assert info.seconds > 0
    assert info.cg_status is None


@pytest.mark.parametrize("make", [lambda: SGD(0.05), lambda: Adam(0.01)])
def test_state_continues_bit_for_bit(make):
    objective, w = network()
    first, second = make(), make()
    second.load_state_dict(first.state_dict())  # an unused optimizer has a state, too
    for _ in range(3):
        w, _ = first.step(objective, w, objective.data)
    second.load_state_dict(first.state_dict())
    expected, _ = first.step(objective, w, objective.data)
    assert np.array_equal(second.step(objective, w, objective.data)[0], expected)
    assert not np.array_equal(make().step(objective, w, objective.data)[0], expected)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SGD(lr=0), "lr: expected a positive number, got 0"),
        (lambda: SGD(lr=float("nan")), "lr: expected a positive number, got nan"),
        (lambda: SGD(momentum=1.0), r"momentum: expected a number in \[0, 1\), got 1.0"),
        (lambda: Adam(lr=-1), "lr: expected a positive number, got -1"),
        (lambda: Adam(beta1=1.0), r"beta1, beta2: expected numbers in \[0, 1\), got 1.0"),
        (lambda: Adam(beta2=-0.1), "got 0.9, -0.1"),
        (lambda: Adam(epsilon=0.0), "epsilon: expected a positive number, got 0.0"),
    ],
)
def test_bad_settings_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_flat_loss_leaves_w_in_place():
    objective = Objective(lambda w, batch: (np.sum(0 * w) + 1.0, np.zeros_like(w)))
    for optimizer in (SGD(), Adam()):
        w, info = optimizer.step(objective, np.ones(2), None)
        assert w.tolist() == [1.0, 1.0]
        assert (info.loss, info.slope) == (1.0, 0.0)
