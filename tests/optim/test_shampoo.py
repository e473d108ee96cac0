"""Shampoo against its formulas with fractional matrix powers, written out."""

import math
import string

import numpy as np
import pytest
from scipy.linalg import fractional_matrix_power

from mcx_nn import (
    Activation,
    Dense,
    Flatten,
    Sequential,
    Supervised,
    load_digits,
    mlp,
    softmax_cross_entropy,
)
from mcx_optim import Objective, fit
from mcx_optim.shampoo import Shampoo
from tests.optim.problems import network
from tests.standin import StandIn

SHAPES = {"a": (6,), "b": (4, 3), "c": (2, 3, 4), "d": (3, 2, 1, 4), "e": (7, 2), "f": ()}


def tensors(dtype=np.float64, shapes=SHAPES):
    """Return Σ log cosh(Bw - c) over parameters of every order, with noise, and a start."""
    rng, slots, end = np.random.default_rng(0), {}, 0
    for name, shape in shapes.items():
        slots[name], end = (slice(end, end + math.prod(shape)), shape), end + math.prod(shape)
    B = (rng.standard_normal((2 * end, end)) / 5).astype(dtype)
    c = rng.standard_normal(2 * end).astype(dtype)

    def value_and_grad(w, batch):
        z = B @ w - c
        return np.sum(np.log(np.cosh(z))), np.tanh(z) @ B

    return Objective(value_and_grad, slots=slots), rng.standard_normal(end).astype(dtype)


def power(X, p):
    """Return X^p of a symmetric matrix; it may come with imaginary parts of rounding."""
    found = fractional_matrix_power((X + X.T) / 2, p)
    assert np.max(np.abs(found.imag)) <= 1e-10 * np.max(np.abs(found))
    return found.real


def literal(w, gradient, steps, slots, lr, momentum=0.0, exponent=None, period=1, epsilon=1e-4):
    """Return w after Algorithm 2, each parameter on its own, by einsum and matrix powers."""
    w, state = w.copy(), {}
    for t in range(1, steps + 1):
        g = gradient(w)
        for name, (place, shape) in slots.items():
            G, shape = g[place].reshape(shape or 1), shape or (1,)
            letters = string.ascii_lowercase[: len(shape)]
            if t == 1:
                state[name] = [epsilon * np.eye(size) for size in shape], [None] * len(shape), 0.0
            factors, roots, mean = state[name]
            mean = momentum * mean + (1 - momentum) * G
            state[name] = factors, roots, mean
            for i, letter in enumerate(letters):
                factors[i] = factors[i] + np.einsum(
                    f"{letters},{letters.replace(letter, 'Z')}->{letter}Z", G, G
                )
                if t % period == 0 or t in (1, 2, 4, 8, 16, 32):
                    p = -exponent if exponent else -1 / (2 * len(shape))
                    roots[i] = power(factors[i], p)
                mean = np.einsum(
                    f"{letters},{letter}Z->{letters.replace(letter, 'Z')}", mean, roots[i]
                )
            w[place] -= lr * mean.reshape(-1)
    return w


def check(optimizer, reference, steps=35):
    """Raise AssertionError unless the steps agree with the reference.

    Powers have errors of the rounding unit times the condition number of L, which 1/ε bounds.
    """
    objective, w = tensors()
    tolerance = 1e-13 / optimizer.epsilon
    start = w.copy()
    expected = reference(w, lambda v: objective.grad(v, None), steps, objective.slots)
    point = w
    for _ in range(steps):
        point, info = optimizer.step(objective, point, None)
        assert info.outcome == "accepted"
    np.testing.assert_allclose(point, expected, rtol=tolerance, atol=tolerance)
    assert np.array_equal(w, start), "w was mutated"
    assert np.max(np.abs(point - start)) > 0.1


@pytest.mark.parametrize(
    "settings",
    [
        {"lr": 0.1},
        {"lr": 0.3, "epsilon": 0.1, "momentum": 0.9},
        {"lr": 0.1, "epsilon": 0.1, "exponent": 0.4},
        {"lr": 0.1, "epsilon": 1.0, "period": 5},
        {"lr": 0.2, "epsilon": 0.1, "period": 20, "momentum": 0.5},
    ],
    ids=str,
)
def test_steps_are_those_of_algorithm_2(settings):
    options = {"momentum": 0.0, "period": 1} | settings
    check(Shampoo(**options), lambda *given: literal(*given, **settings))


@pytest.mark.parametrize(
    "wrong",
    [{"lr": 0.1001}, {"exponent": 0.25}, {"period": 2}, {"epsilon": 1.001e-4}, {"momentum": 0.01}],
    ids=str,
)
def test_planted_errors_are_caught(wrong):
    with pytest.raises(AssertionError):
        check(
            Shampoo(lr=0.1, momentum=0.0, period=1),
            lambda *given: literal(*given, **({"lr": 0.1} | wrong)),
        )


def test_matrix_takes_fourth_roots_from_both_sides():
    objective, w = tensors(shapes={"W": (5, 3)})
    optimizer = Shampoo(lr=0.1, momentum=0.0, epsilon=0.1, period=1)
    L, R, W = 0.1 * np.eye(5), 0.1 * np.eye(3), w.reshape(5, 3)
    for _ in range(30):
        G = objective.grad(W.reshape(-1), None).reshape(5, 3)
        L, R = L + G @ G.T, R + G.T @ G
        roots = [np.linalg.matrix_power(power(X, -1 / 8), 2) for X in (L, R)]
        W = W - 0.1 * roots[0] @ G @ roots[1]
        w, _ = optimizer.step(objective, w, None)
    np.testing.assert_allclose(w, W.reshape(-1), rtol=1e-12, atol=1e-12)


def test_of_a_dimension_that_is_too_large_the_diagonal_is_kept():
    objective, w = tensors(shapes={"W": (5, 3)})
    optimizer = Shampoo(lr=0.1, momentum=0.0, epsilon=0.1, period=1, most=4)
    rows, R, W = np.full(5, 0.1), 0.1 * np.eye(3), w.reshape(5, 3)
    for _ in range(30):
        G = objective.grad(W.reshape(-1), None).reshape(5, 3)
        rows, R = rows + (G**2).sum(axis=1), R + G.T @ G
        W = W - 0.1 * rows[:, None] ** -0.25 * (G @ power(R, -0.25))
        w, _ = optimizer.step(objective, w, None)
    np.testing.assert_allclose(w, W.reshape(-1), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("most", [31, 32])
def test_without_slots_w_is_one_vector(most):
    """The full matrix of AdaGrad, and AdaGrad itself where that is too large."""
    objective, w = network()
    optimizer = Shampoo(lr=0.01, momentum=0.0, epsilon=0.1, period=1, most=most)
    L, v = 0.1 * np.eye(32), w
    for _ in range(30):
        g = objective.grad(v, objective.data)
        L = L + np.outer(g, g)
        root = power(L, -0.5) if most == 32 else np.diag(np.diag(L) ** -0.5)
        v = v - 0.01 * root @ g
        w, _ = optimizer.step(objective, w, objective.data)
    np.testing.assert_allclose(w, v, rtol=1e-12, atol=1e-12)


def test_rounding_is_not_magnified_where_gradients_are_large():
    """Of one gradient the null space of L holds ε and rounding: roots below it are no larger."""
    rng = np.random.default_rng(0)
    g = 1e12 * rng.standard_normal(50)
    objective = Objective(lambda w, batch: (g @ w, g))
    optimizer = Shampoo(lr=1.0, momentum=0.0, epsilon=1e-12)
    w, _ = optimizer.step(objective, np.zeros(50), None)
    np.testing.assert_allclose(w, -g / np.linalg.norm(g), atol=1e-6)
    largest = np.linalg.eigvalsh(optimizer.state_dict()["root.0"])[-1]
    assert largest < 1.01 / math.sqrt(50 * np.finfo(float).eps) / np.linalg.norm(g)


def test_zero_gradient_leaves_w_in_place():
    objective = Objective(lambda w, batch: (np.sum(0 * w) + 1.0, np.zeros_like(w)))
    w, info = Shampoo().step(objective, np.ones(2), None)
    assert w.tolist() == [1.0, 1.0]
    assert (info.loss, info.slope) == (1.0, 0.0)


def test_steps_are_logged_and_keep_float32():
    objective, w = network(np.float32)
    loss, g = objective.value_and_grad(w, objective.data)
    before = objective.counts
    optimizer = Shampoo(0.1, epsilon=1.0)
    point, info = optimizer.step(objective, w, objective.data)
    assert point.dtype == np.float32
    assert info.loss == loss
    assert info.gradient_norm == pytest.approx(float(np.linalg.norm(g)), rel=1e-6)
    assert info.slope == pytest.approx(float(g @ (point - w)), rel=1e-4)
    assert info.slope < 0
    assert info.counts == objective.counts - before
    assert info.counts.gradient == 60
    assert info.seconds > 0
    state = optimizer.state_dict()
    assert state["root.0"].dtype == np.float32
    L = np.eye(32) + np.outer(g.astype(float), g.astype(float))
    np.testing.assert_allclose(state["statistic.0"], L, rtol=1e-15)


def test_float32_follows_float64():
    points = []
    for dtype in (np.float64, np.float32):
        objective, w = tensors(dtype)
        optimizer = Shampoo(0.1, epsilon=0.1)
        for _ in range(20):
            w, _ = optimizer.step(objective, w, None)
        points.append(w)
    np.testing.assert_allclose(points[1], points[0], atol=1e-4)


def test_steps_on_a_device_are_those_of_the_host():
    rng = np.random.default_rng(0)
    data = rng.standard_normal((60, 4)), rng.integers(0, 3, 60)
    model = Sequential([Dense(4, 3), Activation("tanh"), Dense(3, 3)])
    problem = Supervised(model, softmax_cross_entropy)
    start = problem.init(rng)

    def run(wrap):
        objective = Objective.of(problem, tuple(map(wrap, data)))
        optimizer, w = Shampoo(most=3), wrap(start)
        for _ in range(3):
            w, _ = optimizer.step(objective, w, objective.data)
        return w

    assert np.array_equal(run(StandIn.wrap).get(), run(np.asarray))


@pytest.mark.parametrize("steps", [0, 5])
def test_state_continues_bit_for_bit(steps):
    """With the roots of step 4 in use at step 6."""
    objective, w = tensors()
    first, second = Shampoo(0.1), Shampoo(0.1)
    for _ in range(steps):
        w, _ = first.step(objective, w, None)
    second.load_state_dict({name: np.asarray(v) for name, v in first.state_dict().items()})
    for _ in range(6):
        w, _ = first.step(objective, expected := w, None)
        assert np.array_equal(second.step(objective, expected, None)[0], w)


def test_a_state_with_another_bound_is_refused():
    objective, w = tensors()
    saved, other = Shampoo(most=2), Shampoo()
    saved.step(objective, w, None)
    message = "expected the state of a Shampoo with most=768, got one with most=2; make it by Sham"
    with pytest.raises(ValueError, match=message):
        other.load_state_dict({name: np.asarray(v) for name, v in saved.state_dict().items()})
    assert other.state_dict() == Shampoo().state_dict()


def test_run_continues_bit_for_bit_from_a_checkpoint(tmp_path):
    rng = np.random.default_rng(0)
    data = rng.standard_normal((60, 4)), rng.integers(0, 3, 60)
    model = Sequential([Dense(4, 3), Activation("tanh"), Dense(3, 3)])
    problem = Supervised(model, softmax_cross_entropy)
    w, file = problem.init(rng), tmp_path / "run.npz"

    def run(epochs, **keywords):
        return fit(Objective.of(problem, data), Shampoo(period=5), w, epochs, 20, **keywords)

    whole = run(4)
    run(2, checkpoint=file)
    assert np.array_equal(run(4, checkpoint=file, resume=True).w, whole.w)


def test_perceptron_learns_the_digits():
    x, y, x_test, y_test = load_digits(np.float32)
    problem = Supervised(
        Sequential([Flatten(), *mlp((784, 100, 10)).layers]), softmax_cross_entropy
    )
    w = problem.init(np.random.default_rng(0), np.float32)
    result = fit(Objective.of(problem, (x, y)), Shampoo(), w, 3, 128)
    assert result.history.column("train_loss")[-1] < 0.15  # 0.08 seen
    assert np.mean(problem.predict(result.w, x_test).argmax(axis=1) == y_test) > 0.93


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lr": 0}, "lr: expected a positive number, got 0"),
        ({"lr": float("nan")}, "lr: expected a positive number, got nan"),
        ({"momentum": 1.0}, r"momentum: expected a number in \[0, 1\), got 1.0"),
        ({"epsilon": 0.0}, "epsilon: expected a positive number, got 0.0"),
        ({"exponent": -0.25}, "exponent: expected a positive number, got -0.25"),
        ({"exponent": 0.0}, "exponent: expected a positive number, got 0.0"),
        ({"period": 0}, "period: expected an integer of at least 1, got 0"),
        ({"period": 2.5}, "period: expected an integer of at least 1, got 2.5"),
        ({"most": 0}, "most: expected an integer of at least 1, got 0"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Shampoo(**settings)
