"""Tensors of directional derivatives against closed forms, SymPy and `mcx.directional`."""

import itertools
import math
from typing import NamedTuple

import numpy as np
import pytest
import sympy
from core.checkers import host

import mcx
from mcx.tensors import directional_tensors

EPS = np.finfo(float).eps


def sines(x):
    """Return Σ sin(x) · exp(x_0 x_1) and two more outputs, each with all derivatives."""
    return np.stack([np.sum(np.sin(x)) * np.exp(x[0] * x[1]), x[0] / (2 + x[1] ** 2), x[2] ** 3])


@pytest.fixture
def point(rng):
    """Return x (3,) and directions (4, 3), the last one twice."""
    directions = rng.normal(size=(4, 3))
    directions[3] = directions[2]
    return rng.normal(size=3), directions


@pytest.mark.parametrize("order", range(1, 5))
def test_every_entry_is_the_mixed_derivative(order, point):
    x, directions = point
    tensors = directional_tensors(sines, x, directions, order)
    assert len(tensors) == order + 1
    np.testing.assert_array_equal(tensors[0], sines(x))
    for degree, tensor in enumerate(tensors[1:], 1):
        assert tensor.shape == (4,) * degree + (3,)
        for choice in itertools.product(range(4), repeat=degree):
            expected = mcx.directional(sines, x, *(directions[s].copy() for s in choice))
            np.testing.assert_allclose(tensor[choice], expected, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("order", range(1, 5))
def test_against_sympy(order):
    a, b = sympy.symbols("a b")
    formula = sympy.exp(a * b) * sympy.sin(a + 2 * b)
    x = np.array([0.5, -0.75])
    directions = np.array([[1.0, 0.0], [0.5, -1.5], [0.25, 1.0]])

    def f(x):
        return np.exp(x[0] * x[1]) * np.sin(x[0] + 2 * x[1])

    at = {a: sympy.Rational(1, 2), b: sympy.Rational(-3, 4)}
    tensor = directional_tensors(f, x, directions, order)[order]
    for choice in itertools.combinations_with_replacement(range(3), order):
        exact = formula
        for s in choice:
            p = [sympy.Rational(q) for q in directions[s]]
            exact = p[0] * exact.diff(a) + p[1] * exact.diff(b)
        np.testing.assert_allclose(tensor[choice], float(exact.subs(at).evalf(30)), rtol=1e-12)


@pytest.mark.parametrize("order", range(1, 7))
def test_of_an_exponential(order, rng):
    """Dᵈ exp(c·x)[p, …] is exp(c·x) Π c·p."""
    c, x, directions = rng.normal(size=5), rng.normal(size=5), rng.normal(size=(3, 5))
    tensors = directional_tensors(lambda x: np.exp(c @ x), x, directions, order)
    expected = np.exp(c @ x)
    for tensor in tensors:
        np.testing.assert_allclose(tensor, expected, rtol=200 * EPS)
        expected = np.multiply.outer(expected, directions @ c)


def test_tensors_are_symmetric_to_the_bit(point):
    x, directions = point
    tensor = directional_tensors(sines, x, directions, 4)[4]
    for axes in itertools.permutations(range(4)):
        np.testing.assert_array_equal(tensor, tensor.transpose(*axes, 4))
    np.testing.assert_allclose(tensor[3], tensor[2], rtol=1e-13)  # along the same direction


def test_along_all_axes_they_are_gradient_and_hessian(rng):
    x = rng.normal(size=(2, 3))
    f = lambda x: np.sum(np.tanh(x) ** 2) * np.sum(x[0] * x[1])  # noqa: E731
    units = np.eye(6).reshape(6, 2, 3)
    _, gradient, hessian = directional_tensors(f, x, units, 2)
    np.testing.assert_allclose(gradient.reshape(2, 3), mcx.gradient(f, x), rtol=1e-13)
    np.testing.assert_allclose(hessian.reshape(2, 3, 2, 3), mcx.hessian(f, x), rtol=1e-12)


def test_f_is_called_once():
    seen = []

    def f(x):
        seen.append(x.algebra.size)
        return x**2

    directional_tensors(f, 1.0, [1.0, 2.0, 3.0], 3)
    assert seen == [math.comb(3 + 3, 3)]


def test_of_a_number_along_numbers():
    value, slopes, curvatures, third = directional_tensors(lambda x: x**3, 2, [1, -3], 3)
    assert value == 8.0
    np.testing.assert_array_equal(slopes, [12.0, -36.0])
    np.testing.assert_array_equal(curvatures, 12.0 * np.outer([1, -3], [1, -3]))
    np.testing.assert_array_equal(third[:, :, 1], -18.0 * np.outer([1, -3], [1, -3]))


class Pair(NamedTuple):
    square: object
    rest: dict


def test_structures(point):
    x, directions = point

    def f(x):
        return Pair(x**2, {"sum": [np.sum(x)], "one": (np.ones(2), 5.0)})

    tensors = directional_tensors(f, x, directions, 2)
    assert [type(each) for each in tensors] == [Pair] * 3
    np.testing.assert_allclose(tensors[0].square, x**2)
    np.testing.assert_allclose(tensors[1].square, 2 * x * directions)
    np.testing.assert_allclose(tensors[2].square, 2 * directions[:, None] * directions)
    np.testing.assert_allclose(tensors[1].rest["sum"][0], directions.sum(axis=1))
    for degree, each in enumerate(tensors):
        constant, number = each.rest["one"]
        np.testing.assert_array_equal(constant, np.full((*(4,) * degree, 2), not degree))
        np.testing.assert_array_equal(number, np.full((4,) * degree, 0.0 if degree else 5.0))


def test_args_and_argnum(point):
    x, directions = point
    tensors = directional_tensors(lambda a, x: a * x, x, directions, 1, args=(3.0,), argnum=1)
    np.testing.assert_array_equal(tensors[1], 3 * directions)


def test_keeps_the_dtype(dtype, point):
    x, directions = (each.astype(dtype) for each in point)
    tensors = directional_tensors(lambda x: np.sum(np.exp(x)), x, directions, 3)
    assert all(tensor.dtype == dtype for tensor in tensors)
    expected = np.einsum(
        "ai,bi,ci,i->abc", *[directions.astype(float)] * 3, np.exp(x.astype(float))
    )
    np.testing.assert_allclose(tensors[3], expected, rtol=100 * np.finfo(dtype).eps, atol=1e-6)


def test_of_a_complex_function(point):
    x, directions = point
    tensors = directional_tensors(lambda x: np.exp(1j * x[0]), x, directions, 2)
    expected = -np.exp(1j * x[0]) * np.outer(directions[:, 0], directions[:, 0])
    np.testing.assert_allclose(tensors[2], expected, rtol=1e-14)


def test_on_a_stand_in(wrap, point):
    x, directions = point
    tensors = directional_tensors(sines, wrap(x), wrap(directions), 3)
    for result, expected in zip(tensors, directional_tensors(sines, x, directions, 3), strict=True):
        assert type(result) is type(wrap(x))
        np.testing.assert_array_equal(host(result), expected)


def test_at_a_perturbed_point(wrap, point):
    """The derivative of T_d along p is a slice of T_{d+1}."""
    x, directions = point
    z = mcx.perturb(wrap(x), wrap(directions[1]))
    nested = directional_tensors(sines, z, wrap(directions), 2)
    expected = directional_tensors(sines, x, directions, 3)
    for degree, tensor in enumerate(nested):
        np.testing.assert_allclose(host(tensor.value), expected[degree], rtol=1e-13, atol=1e-13)
        slope = expected[degree + 1][1]
        np.testing.assert_allclose(host(tensor.im(1)), slope, rtol=1e-12, atol=1e-12)


def test_along_perturbed_directions(point):
    """T_2 is linear in each direction."""
    x, directions = point
    z = mcx.perturb(directions, np.roll(directions, 1, axis=0))
    tensor = directional_tensors(sines, x, z, 2)[2]
    both = np.concatenate([directions, np.roll(directions, 1, axis=0)])
    every = directional_tensors(sines, x, both, 2)[2]
    np.testing.assert_allclose(tensor.value, every[:4, :4], rtol=1e-13, atol=1e-13)
    expected = every[4:, :4] + every[:4, 4:]
    np.testing.assert_allclose(tensor.im(1), expected, rtol=1e-12, atol=1e-12)


def test_linearized(point):
    x, directions = point
    value, lin = mcx.linearize(lambda x: directional_tensors(sines, x, directions, 2)[2], x)
    expected = directional_tensors(sines, x, directions, 3)
    np.testing.assert_allclose(value, expected[2], rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(lin(directions[0]), expected[3][0], rtol=1e-12, atol=1e-12)


def test_within_itself(point):
    """The perturbations of two calls are not confused."""
    x, directions = point
    f = lambda x: np.exp(x[0] * x[1])  # noqa: E731 - one line of mathematics
    inner = lambda x: directional_tensors(f, x, directions[:2], 1)[1]  # noqa: E731
    mixed = directional_tensors(inner, x, directions, 1)[1]
    expected = directional_tensors(f, x, directions, 2)[2][:, :2]
    np.testing.assert_allclose(mixed, expected, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("shape", [(), (0, 3), (3,), (2, 4), (1, 1, 3)])
def test_directions_of_another_shape_are_refused(shape):
    with pytest.raises(ValueError, match=r"directions: .* shape \(k, \*\(3,\)\), got"):
        directional_tensors(np.sum, np.ones(3), np.ones(shape), 1)


@pytest.mark.parametrize("order", [0, -1, 1.5])
def test_order_is_checked(order):
    with pytest.raises(ValueError, match="directional_tensors: order: expected an integer"):
        directional_tensors(np.sum, np.ones(3), np.ones((1, 3)), order)
