"""Newton's method for the learning rates of groups, against its formulas written out."""

import numpy as np
import pytest

from mcx_nn import Supervised, mlp, softmax_cross_entropy
from mcx_optim import Objective
from mcx_optim.partition import Partition
from mcx_optim.partition_newton import PartitionNewton
from tests.optim.problems import (
    network,
    quadratic,
    small_softmax,
    softmax_hessian,
    softmax_value_and_grad,
    spd,
)

PURE = {
    "damping": 1.0,
    "regularization": 0.0,
    "momentum": 0.0,
    "period": 1,
    "averaging": 0,
    "warmup": 0,
    "remove_negative": False,
}
"""A Newton step every time, of the model of this w alone."""

LABELS = np.array([0, 1, 1, 2, 3] * 3)
"""Four groups of the parameters of `small_softmax`."""


def small_mlp(dtype=np.float64, **options):
    """Return a tanh network of 23 parameters with 30 samples as an objective, and a start."""
    rng = np.random.default_rng(3)
    problem = Supervised(mlp((4, 3, 2)), softmax_cross_entropy)
    data = rng.standard_normal((30, 4)).astype(dtype), rng.integers(0, 2, 30)
    return Objective.of(problem, data, **options), problem.init(rng, dtype)


# ----- the limits of the method -----


def cauchy(w, g, H):
    return w - (g @ g) / (g @ H @ g) * g


def newton(w, g, H):
    return w - np.linalg.solve(H, g)


def subspace(w, g, H):
    """The minimum of the quadratic model over the sums of multiples of the groups' gradients."""
    basis = g[:, None] * (LABELS[:, None] == np.arange(4))
    return w - basis @ np.linalg.solve(basis.T @ H @ basis, basis.T @ g)


LIMITS = {"single": cauchy, "parameter": newton, "groups": subspace}


def pure(name, **options):
    """Return the optimizer without regularization, momentum and averaging."""
    return PartitionNewton(Partition(LABELS) if name == "groups" else name, **PURE | options)


@pytest.mark.parametrize("name", LIMITS)
def test_quadratic(name, rng):
    A, b = spd(15), rng.standard_normal(15)
    objective, w, optimizer = quadratic(A, b), rng.standard_normal(15), pure(name)
    for _ in range(1 if name == "parameter" else 4):  # Newton's gradient is zero after one step
        expected = LIMITS[name](w, A @ w - b, A)
        w, info = optimizer.step(objective, w, None)
        assert info.outcome == "accepted"
        np.testing.assert_allclose(w, expected, rtol=1e-11, atol=1e-11)
    if name == "parameter":
        np.testing.assert_allclose(A @ w, b, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("name", LIMITS)
def test_softmax_regression(name, rng):
    objective, _ = small_softmax()
    w, optimizer = 0.3 * rng.standard_normal(15), pure(name)
    for _ in range(3):
        g = softmax_value_and_grad(w, objective.data)[1]
        expected = LIMITS[name](w, g, softmax_hessian(w, objective.data))
        w, info = optimizer.step(objective, w, objective.data)
        assert info.outcome == "accepted"
        np.testing.assert_allclose(w, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("change", [{"regularization": 0.5}, {"damping": 0.99}, {"warmup": 1}])
def test_the_limits_need_their_settings(change, rng):
    objective, _ = small_softmax()
    w = 0.3 * rng.standard_normal(15)
    g = softmax_value_and_grad(w, objective.data)[1]
    expected = newton(w, g, softmax_hessian(w, objective.data))
    found, _ = pure("parameter", **change).step(objective, w, objective.data)
    assert np.max(np.abs(found - expected)) > 1e-3


# ----- the loop, against a transcription -----


def softmax_summary(w, u, batch):
    """Return ḡ (4,), H̄ (4, 4) and ∇³f[u_s, u_s, u_s] (4,) of softmax regression, in closed form.

    The third derivative of log Σ exp z along s is the third central moment of s.
    """
    X = batch[0]
    parts = u * (np.arange(4)[:, None] == LABELS)
    z = X @ w.reshape(X.shape[1], -1)
    P = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    third = []
    for part in parts:
        s = X @ part.reshape(X.shape[1], -1)
        s = s - (P * s).sum(axis=1, keepdims=True)
        third.append(np.mean((P * s**3).sum(axis=1)))
    gradient = softmax_value_and_grad(w, batch)[1]
    return parts @ gradient, parts @ softmax_hessian(w, batch) @ parts.T, np.array(third)


def regularized(g, H, D, strength):
    """Return η = (H + strength/2 r D²)⁻¹ g with r = ‖Dη‖ by bisection, H positive definite."""

    def solve(r):
        return np.linalg.solve(H + strength / 2 * r * np.diag(D**2), g)

    low, high = 0.0, np.linalg.norm(D * solve(0.0))
    for _ in range(200):
        r = (low + high) / 2
        low, high = (r, high) if np.linalg.norm(D * solve(r)) > r else (low, r)
    return solve(low)


LOOP = {
    "damping": 0.4,
    "regularization": 20.0,
    "momentum": 0.8,
    "dampening": 0.3,
    "period": 3,
    "rate_momentum": 0.4,
    "averaging": 2,
    "warmup": 4,
    "batch_size": 25,
    "seed": 11,
}


def reference(w, batches, data, error=None, **settings):
    """Return the w of every step by the author's loop, with one planted error."""
    o = LOOP | settings
    means = {"use": None, "up": None}
    u = rates = None
    path, taken = [], 0
    for t, batch in enumerate(batches):
        g = softmax_value_and_grad(w, batch)[1]
        u = g if u is None else o["momentum"] * u + (1 - o["dampening"]) * g
        if t < o["warmup"] or (t - o["warmup"]) % o["period"] == 0:
            rng = np.random.default_rng([o["seed"], t])
            index = rng.choice(len(data[0]), o["batch_size"], replace=False)
            own = batch if error == "batch" else tuple(part[index] for part in data)
            x = softmax_summary(w, g if error == "along g" else u, own)
            if error == "unsigned average":
                x = *x[:2], np.abs(x[2])
            period = o["averaging"]
            k, offset = taken % period, period if taken >= period else 0
            if k == 0:
                means = {"use": x if taken == 0 else means["up"], "up": x}
            for name, n in (("use", offset + k + 1), ("up", k + 1)):
                old = means[name]
                means[name] = [(n - 1) / n * a + b / n for a, b in zip(old, x, strict=True)]
            taken += 1
            if t >= o["warmup"]:
                slope, H, third = x if error == "no average" else means["use"]
                D = np.abs(third) if error == "no root" else np.abs(third) ** (1 / 3)
                eta = regularized(slope, H, D, o["regularization"])
                rho = 0.0 if rates is None else o["rate_momentum"]
                rates = rho * rates + (1 - rho) * eta if rho else eta
                if error == "clipped momentum":
                    rates = np.maximum(rates, 0)
        if rates is not None:
            used = rates if error == "negative" else np.maximum(rates, 0)
            w = w - o["damping"] * used[LABELS] * u
        path.append(w)
    return path


@pytest.fixture
def loop():
    """Return a function that raises AssertionError unless 30 steps agree with `reference`."""
    objective, w = small_softmax()
    draws = np.random.default_rng(5)
    batches = [objective.rows(draws.choice(60, 6, replace=False)) for _ in range(30)]
    start = w + 0.5 * draws.standard_normal(15)

    def check(**planted):
        expected = reference(start, batches, objective.data, **planted)
        optimizer, w = PartitionNewton(Partition(LABELS), **LOOP), start.copy()
        signs = set()
        for t, batch in enumerate(batches):
            w, info = optimizer.step(objective, w, batch)
            np.testing.assert_allclose(w, expected[t], rtol=1e-12, atol=1e-12)
            assert info.outcome == ("skipped" if t < LOOP["warmup"] else "accepted")
            if optimizer.rates is not None:
                signs |= set(np.sign(optimizer.rates))
        assert np.max(np.abs(w - start)) > 0.1
        assert signs == {-1.0, 1.0}, "the problem does not try the removal of negative rates"

    return check


def test_loop(loop):
    loop()


@pytest.mark.parametrize(
    "planted",
    [
        {"momentum": 0.81},
        {"dampening": 0.29},
        {"damping": 0.401},
        {"regularization": 19.9},
        {"period": 4},
        {"averaging": 3},
        {"warmup": 3},
        {"rate_momentum": 0.39},
        {"seed": 12},
        {"batch_size": 24},
        {"error": "batch"},
        {"error": "along g"},
        {"error": "unsigned average"},
        {"error": "no average"},
        {"error": "no root"},
        {"error": "clipped momentum"},
        {"error": "negative"},
    ],
    ids=str,
)
def test_planted_errors_are_caught(loop, planted):
    with pytest.raises(AssertionError):
        loop(**planted)


# ----- single steps -----


def test_negative_rates():
    A, w = np.array([[2.0, 3.0], [3.0, 6.0]]), np.array([2.0, -0.9])
    objective, g = quadratic(A, np.zeros(2)), A @ w
    eta = np.linalg.solve(A * np.outer(g, g), g * g)
    assert eta.min() < 0 < eta.max()
    for remove, used in ((True, np.maximum(eta, 0)), (False, eta)):
        optimizer = pure("parameter", remove_negative=remove)
        point, info = optimizer.step(objective, w, None)
        np.testing.assert_allclose(optimizer.rates, eta, rtol=1e-12)
        np.testing.assert_allclose(point, w - used * g, rtol=1e-12, atol=1e-12)
        predicted = -used @ (g * g) + (used * g) @ A @ (used * g) / 2
        assert info.predicted == pytest.approx(predicted, rel=1e-10)


@pytest.mark.parametrize("regularization", [0.0, 1.0])
def test_groups_that_the_loss_does_not_depend_on_have_the_rate_zero(regularization):
    """A unit that is never active must not keep the other groups from moving."""

    def value_and_grad(w, batch):
        return np.sum(np.exp(w[:2])), np.concatenate([np.exp(w[:2]), np.zeros_like(w[2:])])

    objective, w = Objective(value_and_grad), np.array([0.3, -0.2, 1.0, 2.0])
    optimizer = PartitionNewton(
        Partition(np.array([0, 1, 2, 2])), **PURE | {"regularization": regularization}
    )
    point, info = optimizer.step(objective, w, None)
    assert info.outcome == "accepted"
    assert optimizer.rates[2] == 0
    assert np.array_equal(point[2:], w[2:])
    H, D, g = np.diag(np.exp(3 * w[:2])), np.exp(4 / 3 * w[:2]), np.exp(2 * w[:2])
    expected = regularized(g, H, D, regularization)
    np.testing.assert_allclose(optimizer.rates[:2], expected, rtol=1e-11)


def test_groups_without_third_derivatives():
    """The last layer of a network with a squared error, where D is singular."""
    objective, w = network()
    layers = Partition(np.repeat([0, 1], [20, 12]))
    optimizer = PartitionNewton(layers, **PURE | {"regularization": 1.0})
    for _ in range(5):
        w, info = optimizer.step(objective, w, objective.data)
        assert info.outcome == "accepted"
        model, eta = optimizer.average, optimizer.rates
        D = np.cbrt(np.abs(model.third))
        assert D[1] == 0 < D[0]
        H = model.curvature + np.linalg.norm(D * eta) / 2 * np.diag(D**2)
        assert np.linalg.eigvalsh(H)[0] > 0
        np.testing.assert_allclose(H @ eta, model.slope, rtol=1e-9)


# ----- what a step says -----


def test_steps_are_logged():
    objective, w = small_softmax()
    batch = objective.rows(slice(20))
    optimizer = PartitionNewton("parameter", damping=0.5, warmup=1, period=2, batch_size=30)
    assert (optimizer.rates, optimizer.average) == (None, None)
    for t in range(4):
        before = objective.counts
        loss, g = objective.value_and_grad(w, batch)
        spent = objective.counts - before
        point, info = optimizer.step(objective, w, batch)
        assert (info.loss, info.damping) == (loss, 0.5)
        assert info.gradient_norm == pytest.approx(np.linalg.norm(g), rel=1e-14)
        assert info.seconds > 0
        assert info.counts.gradient == spent.gradient
        if t == 0:
            assert (info.outcome, info.slope, info.samples) == ("skipped", None, 30)
            assert "warm-up" in info.reason
            assert np.array_equal(point, w)
        else:
            assert (info.outcome, info.reason) == ("accepted", None)
            assert info.slope == pytest.approx(g @ (point - w), rel=1e-10)
        if t in (1, 3):
            rates, average = 0.5 * np.maximum(optimizer.rates, 0), optimizer.average
            model = -average.slope @ rates + rates @ average.curvature @ rates / 2
            assert info.predicted == pytest.approx(model, rel=1e-12)
            assert info.predicted < 0
            assert info.samples == 30
            assert info.counts.taylor > 0
        elif t == 2:
            assert (info.predicted, info.samples, info.counts.taylor) == (None, None, 0)
        w = point
    assert optimizer.rates.shape == (15,)
    assert optimizer.average.curvature.shape == (15, 15)


def test_average_is_that_of_the_summaries(rng):
    objective, _ = small_softmax()
    w = rng.standard_normal(15)
    optimizer = PartitionNewton(Partition(LABELS), momentum=0.0, warmup=5, batch_size=60)
    for _ in range(5):
        optimizer.step(objective, w, objective.data)
    expected = softmax_summary(w, objective.grad(w, objective.data), objective.data)
    average = optimizer.average
    for found, x in zip((average.slope, average.curvature, average.third), expected, strict=True):
        np.testing.assert_allclose(found, x, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("negative", [False, True])
def test_w_and_dtype_are_kept(negative):
    objective, w = small_mlp(np.float32)
    start = w.copy()
    optimizer = PartitionNewton("tensor", damping=0.5, warmup=1, period=2, remove_negative=negative)
    for _ in range(6):
        before = w.copy()
        point, _ = optimizer.step(objective, w, objective.rows(slice(20)))
        assert np.array_equal(w, before), "w was mutated"
        assert point.dtype == np.float32
        w = point
    assert optimizer.rates.dtype == np.float64
    assert objective.full_loss(w) < objective.full_loss(start)
