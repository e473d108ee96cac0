"""Activations in their tails and at 0, where formulas overflow, cancel or lose derivatives."""

from math import factorial

import mpmath
import numpy as np
import pytest

import mcx
from mcx_nn import ACTIVATIONS, Activation
from tests.nn.checks import EPS

POINTS = [-700.0, -40.0, -3.0, -1e-3, -1e-12, -0.0, 0.0, 1e-12, 0.5, 20.0, 40.0, 700.0]
EXACT = {
    "identity": lambda x: x,
    "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
    "sin": mpmath.sin,
    "tanh": mpmath.tanh,
}
SMOOTH = sorted(EXACT)


def forward(name, x):
    return Activation(name).forward({}, x, {})


def slope(name, x):
    dx, _ = forward(name, x)[1](np.ones_like(x))
    return dx


def exact_derivatives(name, x, order):
    """Return the derivatives 0 to `order` at x, by mpmath in many digits."""
    with mpmath.workdps(100 + int(abs(x))):
        coefficients = mpmath.taylor(EXACT[name], mpmath.mpf(x), order)
        return [float(c * mpmath.factorial(k)) for k, c in enumerate(coefficients)]


@pytest.mark.parametrize("x", POINTS)
@pytest.mark.parametrize("name", SMOOTH)
def test_derivatives(name, x):
    """Value and slope to law 5; higher orders to law 5 plus 50 eps k! |f'(x)|, in the tails too."""
    exact = exact_derivatives(name, x, 6)
    at = np.array([x])
    assert abs(forward(name, at)[0][0] - exact[0]) <= 4 * EPS * (abs(exact[0]) + abs(x * exact[1]))
    assert abs(slope(name, at)[0] - exact[1]) <= 8 * EPS * (abs(exact[1]) + abs(x * exact[2]))
    for order in range(1, 6):
        bound = abs(exact[order]) + abs(x * exact[order + 1])
        bound = 50 * EPS * (bound + factorial(order) * abs(exact[1]))
        computed = mcx.derivative(lambda x: forward(name, x)[0], at, order)
        assert abs(computed[0] - exact[order]) <= bound, f"order {order} of the value"
        if order > 1:
            computed = mcx.derivative(lambda x: slope(name, x), at, order - 1)
            assert abs(computed[0] - exact[order]) <= bound, f"order {order - 1} of the slope"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["identity", "relu", "sigmoid", "tanh"])
def test_extremes(name, dtype):
    """No overflow at the end of the range, the limits at infinity, and NaN stays NaN."""
    largest = np.finfo(dtype).max
    inf = np.inf
    limits = {
        "identity": [-inf, inf],
        "relu": [0, inf],
        "sigmoid": [0, 1],
        "tanh": [-1, 1],
    }
    y, backward = forward(name, np.array([-inf, inf, np.nan], dtype))
    np.testing.assert_array_equal(y, np.array([*limits[name], np.nan], dtype))
    steep = {"identity": [1, 1], "relu": [0, 1]}.get(name, [0, 0])
    np.testing.assert_array_equal(backward(np.ones(3, dtype))[0][:2], np.array(steep, dtype))
    y, backward = forward(name, np.array([-largest, largest], dtype))
    assert np.isfinite(y).all()
    np.testing.assert_array_equal(backward(np.ones(2, dtype))[0], np.array(steep, dtype))


def test_relu_at_zero():
    x = np.array([-1.0, -0.0, 0.0, 2.0])
    np.testing.assert_array_equal(slope("relu", x), [0, 0, 0, 1])
    for order, expected in enumerate([[0, 0, 0, 1], [0, 0, 0, 0]], start=1):
        computed = mcx.derivative(lambda x: forward("relu", x)[0], x, order)
        np.testing.assert_array_equal(computed, expected)


def test_unknown_name():
    with pytest.raises(ValueError, match=r"expected one of 'identity', .*, got 'gelu'"):
        Activation("gelu")


def test_table_is_covered():
    assert set(ACTIVATIONS) == {*SMOOTH, "relu"}
