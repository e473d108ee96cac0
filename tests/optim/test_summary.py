"""Summaries: against dense contractions of closed forms, forward against gradient passes."""

import math

import numpy as np
import pytest
import sympy

import mcx
from mcx_nn import Activation, Dense, Sequential, Supervised, softmax_cross_entropy
from mcx_optim.partition import Partition
from mcx_optim.summary import Summary, gradient_summary, summary
from tests.standin import StandIn

P = 12


class Cubes:
    """f(w) = Σ_r exp(a_r·w) with its derivatives in closed form."""

    def __init__(self, rng):
        self.a = rng.normal(size=(9, P)) / 3

    def value(self, w):
        return np.sum(np.exp(self.a @ w))

    def gradient(self, w):
        return np.exp(self.a @ w) @ self.a

    def tensor(self, w, order):
        """Return ∂ᵈf/∂w…∂w of shape (P,)*d."""
        letters = "ijkl"[:order]
        operands = ",".join(f"r{letter}" for letter in letters)
        return np.einsum(f"r,{operands}->{letters}", np.exp(self.a @ w), *[self.a] * order)


def dense(tensor, u, partition):
    """Contract every axis of a tensor (P,)*d with I_{S:P} Diag(u)."""
    contraction = (np.arange(partition.groups)[:, None] == partition.labels) * u
    for _ in range(tensor.ndim):
        tensor = np.tensordot(tensor, contraction, axes=(0, 1))
    return tensor


def diagonal(tensor):
    return np.einsum("sss->s", tensor)


@pytest.fixture(params=[1, 2, 5, P], ids="S={}".format)
def partition(request):
    """From one group to one parameter a group, no group in one piece."""
    return Partition(np.arange(P) * 7 % request.param)


@pytest.fixture
def problem(rng):
    """Return f, w and u."""
    return Cubes(rng), rng.normal(size=P), rng.normal(size=P)


def assert_close(found, expected, rtol=1e-12):
    scale = np.max(np.abs(expected))
    np.testing.assert_allclose(found, expected, rtol=0, atol=rtol * scale)


@pytest.mark.parametrize(
    ("groups", "order"), [(1, 1), (1, 4), (2, 3), (2, 4), (5, 1), (5, 4), (P, 1), (P, 2), (P, 3)]
)
def test_tensors_are_dense_contractions(groups, order, problem):
    f, w, u = problem
    partition = Partition(np.arange(P) * 7 % groups)
    tensors = summary(f.value, w, u, partition, order)
    assert len(tensors) == order + 1
    np.testing.assert_allclose(tensors[0], f.value(w), rtol=1e-14)
    for degree, tensor in enumerate(tensors):
        assert tensor.shape == (partition.groups,) * degree
        assert tensor.dtype == np.float64
        if degree:
            assert_close(tensor, dense(f.tensor(w, degree), u, partition))


def test_gradient_passes_are_dense_contractions(problem, partition):
    f, w, u = problem
    found = gradient_summary(f.gradient, w, u, partition)
    assert_close(found.slope, partition.sums(u * f.gradient(w)))
    assert_close(found.curvature, dense(f.tensor(w, 2), u, partition))
    assert_close(found.third, diagonal(dense(f.tensor(w, 3), u, partition)))
    assert_close(found.curvature, found.curvature.T, rtol=1e-14)
    assert {part.dtype for part in (found.slope, found.curvature, found.third)} == {np.dtype(float)}


def test_against_sympy():
    """Third derivatives of both signs; groups {x, z} and {y}."""
    x, y, z = symbols = sympy.symbols("x y z")
    formula = sympy.sin(x) * y**3 + x * sympy.exp(-y * z) + z**4 * x - 2 * y**3
    w, u = np.array([0.5, -1.25, 0.75]), np.array([1.0, 2.0, -0.5])
    f = sympy.lambdify([symbols], formula, {"sin": np.sin, "exp": np.exp})
    partition = Partition([0, 1, 0])
    at = {symbol: sympy.Rational(value) for symbol, value in zip(symbols, w, strict=True)}
    tensors = [np.array([sympy.diff(formula, a) for a in symbols], dtype=object)]
    for _ in range(2):
        tensors.append(np.array([[e.diff(a) for a in symbols] for e in tensors[-1].flat], object))
    values = [
        np.array([float(e.subs(at).evalf(30)) for e in tensor.flat]).reshape((3,) * degree)
        for degree, tensor in enumerate(tensors, 1)
    ]
    found = summary(f, w, u, partition, 3)
    for degree, tensor in enumerate(values, 1):
        assert_close(found[degree], dense(tensor, u, partition))
    by_gradient = gradient_summary(lambda w: mcx.gradient(f, w), w, u, partition)
    third = diagonal(dense(values[2], u, partition))
    assert third.min() < 0 < third.max()
    assert_close(by_gradient.third, third)


def network(rng, dtype=np.float64):
    """Return value, gradient, w, u and slots of a small network on a batch."""
    model = Sequential([Dense(4, 5), Activation("tanh"), Dense(5, 3)])
    problem = Supervised(model, softmax_cross_entropy)
    batch = rng.standard_normal((20, 4)).astype(dtype), rng.integers(0, 3, 20)
    w = problem.init(rng, dtype)
    u = problem.value_and_grad(w, batch)[1]
    value, grad = problem.value, problem.value_and_grad
    return lambda w: value(w, batch), lambda w: grad(w, batch)[1], w, u, problem.slots


@pytest.mark.parametrize("kind", ["by_tensor", "by_layer", "by_output"])
def test_of_a_network_against_its_hessian(kind, rng):
    value, grad, w, u, slots = network(rng)
    partition = getattr(Partition, kind)(slots)
    found = gradient_summary(grad, w, u, partition)
    assert_close(found.curvature, dense(mcx.hessian(value, w), u, partition))
    parts = [partition.restrict(u, group) for group in range(partition.groups)]
    assert_close(found.third, [mcx.directional(value, w, part, part, part) for part in parts])
    forward = summary(value, w, u, partition, 3)
    assert_close(forward[1], found.slope)
    assert_close(forward[2], found.curvature)
    assert_close(diagonal(forward[3]), found.third)


def test_mean_squared_error_of_a_linear_layer_has_no_third_derivative(rng):
    """So that D is singular, as the source notes."""
    X, y, u = rng.standard_normal((9, 3)), rng.standard_normal(9), rng.standard_normal(3)
    grad = lambda w: 2 * X.T @ (X @ w - y) / 9  # noqa: E731 - one line of mathematics
    found = gradient_summary(grad, np.ones(3), u, Partition([0, 0, 1]))
    np.testing.assert_array_equal(found.third, np.zeros(2))


def test_float32(rng):
    _, grad, w, u, slots = network(rng, np.float32)
    partition = Partition.by_tensor(slots)
    found = gradient_summary(grad, w, u, partition)
    assert w.dtype == u.dtype == np.float32
    expected = gradient_summary(grad, w.astype(float), u.astype(float), partition)
    for name in ("slope", "curvature", "third"):
        assert getattr(found, name).dtype == np.float64
        assert_close(getattr(found, name), getattr(expected, name), rtol=1e-5)


def test_products_of_small_float32_do_not_underflow():
    u = np.full(2, 1e-25, np.float32)
    taylor = lambda p: np.stack([p, p, p])  # noqa: E731 - one line of mathematics
    found = Summary.of(taylor, u, Partition([0, 1]))
    np.testing.assert_allclose(found.slope, [0, 1e-50], rtol=1e-6)  # g of the last group
    np.testing.assert_allclose(found.third, [2e-50, 2e-50], rtol=1e-6)


def test_one_expansion_a_group_and_one_pass_forward(problem):
    f, w, u = problem
    partition = Partition(np.arange(P) % 4)
    directions, planes = [], []

    def taylor(p):
        directions.append(p)
        return mcx.taylor(f.gradient, w, p, 2)

    def value(w):
        planes.append(w.algebra.size)
        return f.value(w)

    Summary.of(taylor, u, partition)
    np.testing.assert_array_equal(np.sum(directions, axis=0), u)
    assert len(directions) == 4
    summary(value, w, u, partition, 3)
    assert planes == [math.comb(4 + 3, 3)]


def test_rescaling_a_group_rescales_the_summary(problem):
    f, w, u = problem
    partition = Partition(np.arange(P) % 3)
    scale = np.array([2.0, 0.25, 8.0])
    one = gradient_summary(f.gradient, w, u, partition)
    two = gradient_summary(f.gradient, w, u * partition.spread(scale, u), partition)
    np.testing.assert_allclose(two.slope, scale * one.slope, rtol=1e-14)
    np.testing.assert_allclose(two.curvature, scale * one.curvature * scale[:, None], rtol=1e-11)
    np.testing.assert_allclose(two.third, scale**3 * one.third, rtol=1e-11)


def test_on_a_stand_in(problem):
    f, w, u = problem
    partition = Partition(np.arange(P) % 3)
    a = StandIn.wrap(f.a)
    on_device = (StandIn.wrap(w), StandIn.wrap(u), partition)
    found = gradient_summary(lambda w: np.exp(a @ w) @ a, *on_device)
    expected = gradient_summary(f.gradient, w, u, partition)
    for name in ("slope", "curvature", "third"):
        assert type(getattr(found, name)) is np.ndarray
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    tensors = summary(lambda w: np.sum(np.exp(a @ w)), *on_device, 3)
    for tensor, other in zip(tensors, summary(f.value, w, u, partition, 3), strict=True):
        assert type(tensor) is np.ndarray
        np.testing.assert_array_equal(tensor, other)


def test_arguments_are_checked(problem):
    f, w, u = problem
    partition = Partition([0, 1])
    with pytest.raises(ValueError, match=r"u: expected shape \(2,\), got \(12,\)"):
        gradient_summary(f.gradient, w, u, partition)
    with pytest.raises(ValueError, match=r"u: expected shape \(2,\), got \(12,\)"):
        summary(f.value, w, u, partition, 2)
    partition = Partition.single(P)
    with pytest.raises(ValueError, match="summary: f: expected one result of shape"):
        summary(f.gradient, w, u, partition, 2)
    with pytest.raises(ValueError, match="order: expected an integer of at least 1, got 0"):
        summary(f.value, w, u, partition, 0)
