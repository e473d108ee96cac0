"""Activations in their tails and at 0, where formulas overflow, cancel or lose derivatives."""

import sys
from functools import cache
from itertools import pairwise
from math import factorial

import mpmath
import numpy as np
import pytest
from scipy import special

import mcx
from mcx.kernels import launch
from mcx_nn import ACTIVATIONS, Activation, Softmax, elementwise
from tests.nn import cases_activations
from tests.nn.checks import EPS, complex_step
from tests.standin import StandIn

POINTS = [-700.0, -40.0, -8.0, -3.0, -1e-3, -1e-12, -0.0]
POINTS += [0.0, 1e-12, 0.5, 6.0, 20.0, 40.0, 700.0]
EXACT = {
    "identity": lambda x: x,
    "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
    "silu": lambda x: x / (1 + mpmath.exp(-x)),
    "sin": mpmath.sin,
    "softplus": lambda x: mpmath.log(1 + mpmath.exp(x)),
    "tanh": mpmath.tanh,
}
# The branches of the others: at x ≤ 0, and elsewhere.
BRANCHES = {
    "elu": (mpmath.expm1, lambda x: x),
    "leaky_relu": (lambda x: x / 100, lambda x: x),
    "relu": (lambda x: mpmath.mpf(0), lambda x: x),
}
NAMES = sorted({*EXACT, *BRANCHES, "gelu"})


def forward(name, x):
    return Activation(name).forward({}, x, {})


def slope(name, x):
    dx, _ = forward(name, x)[1](np.ones_like(x))
    return dx


@cache
def exact_derivatives(name, x, order):
    """Return the derivatives 0 to `order` at x, by mpmath in many digits."""
    if name == "gelu":
        return [float(d) for d in exact_gelu(x, order)]
    function = EXACT.get(name) or BRANCHES[name][int(x > 0)]
    with mpmath.workdps(100 + int(abs(x))):
        coefficients = mpmath.taylor(function, mpmath.mpf(x), order)
        return [float(c * mpmath.factorial(k)) for k, c in enumerate(coefficients)]


def exact_gelu(x, order):
    """Return the derivatives of x Φ(x): Φ⁽ᵏ⁾ = (−1)^(k−1) He_(k−1) φ with Hermite's polynomials."""
    with mpmath.workdps(60):
        x = mpmath.mpf(x)
        root = mpmath.sqrt(2)
        hermite = [mpmath.hermite(k, x / root) / (-root) ** k for k in range(order)]
        cdf = [mpmath.ncdf(x), *(h * mpmath.npdf(x) for h in hermite)]
        return [x * cdf[k] + (k * cdf[k - 1] if k else 0) for k in range(order + 1)]


def largest_slopes(exact, x):
    """Return what rounding errors in derivative k are measured with, |f⁽ᵏ⁾| + |x f⁽ᵏ⁺¹⁾|."""
    return [abs(low) + abs(x * high) for low, high in pairwise(exact)]


@pytest.mark.parametrize("x", POINTS)
@pytest.mark.parametrize("name", NAMES)
def test_derivatives(name, x):
    """Value and slope to law 5; higher orders to law 5 plus 50 eps k! |f'(x)|, in the tails too."""
    exact = exact_derivatives(name, x, 6)
    size = largest_slopes(exact, x)
    at = np.array([x])
    assert abs(forward(name, at)[0][0] - exact[0]) <= 4 * EPS * size[0]
    assert abs(slope(name, at)[0] - exact[1]) <= 8 * EPS * size[1]
    for order in range(1, 6):
        bound = 50 * EPS * (size[order] + factorial(order) * abs(exact[1]))
        computed = mcx.derivative(lambda x: forward(name, x)[0], at, order)
        assert abs(computed[0] - exact[order]) <= bound, f"order {order} of the value"
        if order > 1:
            computed = mcx.derivative(lambda x: slope(name, x), at, order - 1)
            assert abs(computed[0] - exact[order]) <= bound, f"order {order - 1} of the slope"


@pytest.fixture(params=["kernels", "no kernels"])
def way(request, monkeypatch):
    """Compile kernels at once, or never."""
    if request.param == "kernels":
        monkeypatch.setattr(launch, "WORK", 0)
    else:
        monkeypatch.setattr(launch.Kernel, "run", lambda *args, **kwargs: None)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", NAMES)
def test_arrays(name, dtype):
    """All points in one array: value, slope and two orders on planes, in the dtype given."""
    x = np.array(POINTS, dtype)
    exact = np.array([exact_derivatives(name, float(point), 4) for point in x]).T
    size = np.array(largest_slopes(exact, x.astype(float)))
    eps, tiny = np.finfo(dtype).eps, np.finfo(dtype).tiny
    number = mcx.perturb(x, *np.ones((2, len(x)), dtype))
    y, dx = forward(name, number)[0], slope(name, number)
    assert y.dtype == dx.dtype == dtype
    for computed, units in ((y, 0), (dx, 1)):
        for order in range(3):
            plane = computed.im(*range(1, order + 1)) if order else computed.value
            k = order + units
            bound = 50 * eps * (size[k] + factorial(k) * np.abs(exact[1]) * (k > 1)) + 8 * tiny
            assert plane.dtype == dtype
            assert (np.abs(plane - exact[k]) <= bound).all(), f"order {order} of {computed}"


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
@pytest.mark.parametrize("name", NAMES)
def test_complex_steps(name, dtype):
    """On complex arrays the functions are those of the real part's side: complex steps are exact.

    At 0 as well, where a step in either direction along i is none to the right.
    """
    x = np.array(POINTS, dtype).real
    exact = np.array([exact_derivatives(name, float(point), 3) for point in x]).T
    size = np.array(largest_slopes(exact, x.astype(float)))
    h = 1e-20 if dtype == "complex64" else 1e-100
    tiny = 8 * np.finfo(dtype).tiny / h
    for step in (h, -h):
        z = x + step * np.ones_like(x, dtype) * 1j
        y, dx = forward(name, z.astype(dtype))[0], slope(name, z.astype(dtype))
        assert y.dtype == dx.dtype == dtype
        for computed, k in ((y, 0), (dx, 1)):
            bound = 50 * np.finfo(dtype).eps * size[k]
            assert (np.abs(computed.real - exact[k]) <= bound + h).all(), "real part"
            derivative = computed.imag.astype(float) / step
            bound = 50 * np.finfo(dtype).eps * (size[k + 1] + np.abs(exact[1]) * k)
            assert (np.abs(derivative - exact[k + 1]) <= bound + tiny).all(), "imaginary part"


# Values at −∞ and ∞, then slopes there; gelu and silu have no value at −∞ (−∞ · 0).
LIMITS = {
    "elu": ([-1, np.inf], [0, 1]),
    "identity": ([-np.inf, np.inf], [1, 1]),
    "leaky_relu": ([-np.inf, np.inf], [0.01, 1]),
    "relu": ([0, np.inf], [0, 1]),
    "sigmoid": ([0, 1], [0, 0]),
    "softplus": ([0, np.inf], [0, 1]),
    "tanh": ([-1, 1], [0, 0]),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", LIMITS)
def test_limits(name, dtype):
    """The limits at infinity, and NaN stays NaN."""
    values, slopes = LIMITS[name]
    y, backward = forward(name, np.array([-np.inf, np.inf, np.nan], dtype))
    np.testing.assert_array_equal(y, np.array([*values, np.nan], dtype))
    np.testing.assert_array_equal(backward(np.ones(3, dtype))[0][:2], np.array(slopes, dtype))


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
@pytest.mark.parametrize("name", [*LIMITS, "gelu", "silu"])
def test_extremes(name, dtype):
    """No overflow at the end of the range, on planes neither."""
    largest = np.finfo(dtype).max
    slopes = np.array(LIMITS.get(name, (None, [0, 1]))[1], dtype)
    x = np.array([-largest, largest], dtype)
    y, backward = forward(name, x)
    assert np.isfinite(y).all()
    np.testing.assert_array_equal(backward(np.ones(2, dtype))[0], slopes)
    x = x / 4
    y, backward = forward(name, mcx.perturb(x, np.ones(2, dtype), np.ones(2, dtype)))
    assert np.isfinite(y.planes).all()
    np.testing.assert_array_equal(y.im(1), slopes)
    np.testing.assert_array_equal(y.im(1, 2), [0, 0])
    dx, _ = backward(np.ones(2, dtype))
    np.testing.assert_array_equal(dx.im(1) if isinstance(dx, mcx.Multicomplex) else [0, 0], [0, 0])


@pytest.mark.parametrize("name", NAMES)
def test_nan_stays(name):
    assert np.isnan(forward(name, np.array([np.nan, 1.0]))[0]).tolist() == [True, False]
    with np.errstate(invalid="ignore"):  # NumPy's complex division warns
        y, _ = forward(name, np.array([np.nan, 1 + 0j]))
    assert np.isnan(y).tolist() == [True, False]


@pytest.mark.parametrize("name", BRANCHES)
def test_kinks(name):
    """At 0 every derivative is that of the side x ≤ 0."""
    x = np.array([-1.0, -0.0, 0.0, 2.0])
    left = {"elu": [np.exp(-1), 1, 1], "leaky_relu": [0.01] * 3, "relu": [0] * 3}[name]
    second = {"elu": [np.exp(-1), 1, 1, 0]}.get(name, [0] * 4)
    np.testing.assert_allclose(slope(name, x), [*left, 1], rtol=EPS)
    for order, expected in enumerate([[*left, 1], second], start=1):
        computed = mcx.derivative(lambda x: forward(name, x)[0], x, order)
        np.testing.assert_allclose(computed, expected, rtol=EPS)


@pytest.mark.parametrize("name", NAMES)
def test_linearize(name):
    """Tangents of value and slope without another evaluation, one and two directions."""
    x, p, q, dy = np.random.default_rng(0).normal(size=(4, 7)) * 3

    def both(x):
        y, backward = forward(name, x)
        return np.stack([y, backward(dy)[0]])

    value, tangent = mcx.linearize(both, x)
    np.testing.assert_array_equal(value, both(x))
    expected = [complex_step(both, x, direction) for direction in (p, q)]
    np.testing.assert_allclose(tangent(p), expected[0], rtol=64 * EPS, atol=64 * EPS)
    np.testing.assert_allclose(tangent(np.stack([p, q])), expected, rtol=64 * EPS, atol=64 * EPS)


@pytest.mark.parametrize("name", NAMES)
def test_high_order(name):
    """Order 12 in one direction."""
    x = -0.3
    series = mcx.taylor(lambda x: forward(name, x)[0], np.array([x]), np.ones(1), order=12)
    exact = [d / factorial(k) for k, d in enumerate(exact_derivatives(name, x, 12))]
    np.testing.assert_allclose(series[:, 0], exact, rtol=1e-13, atol=0)


def test_gelu_needs_scipy(monkeypatch):
    monkeypatch.setattr(elementwise, "ERFC", {})
    monkeypatch.setitem(sys.modules, "scipy.special", None)
    with pytest.raises(ImportError, match=r"gelu: .*`pip install scipy`"):
        elementwise.erfc_of(np.ndarray)


def test_gelu_loads_cupy_for_its_arrays(monkeypatch):
    """An array of a module called cupy… gets the erfc of cupyx.scipy.special."""
    asked = []
    monkeypatch.setattr(elementwise, "ERFC", {})

    def load(name):
        asked.append(name)
        return special

    monkeypatch.setattr(elementwise.importlib, "import_module", load)
    elementwise.erfc_of(type("ndarray", (), {"__module__": "cupy"}))
    elementwise.erfc_of(np.ndarray)
    assert asked == ["cupyx.scipy.special", "scipy.special"]


@pytest.mark.parametrize(("function", "series"), elementwise.SERIES.items())
def test_series_is_of_its_function(function, series):
    """Every registered function by itself, on the stand-in and with its first two derivatives."""
    x = np.array([-2.0, -0.5, 0.25, 1.5])
    np.testing.assert_array_equal(function(StandIn.wrap(x)).get(), function(x))
    first = complex_step(function, x, np.ones(4))
    second = complex_step(lambda z: series(z, function(z), 1)[0], x, np.ones(4))
    c1, c2 = series(x, function(x), 2)
    np.testing.assert_allclose(c1, first, rtol=16 * EPS)
    np.testing.assert_allclose(2 * c2, second, rtol=16 * EPS, atol=EPS)


def test_unknown_name():
    with pytest.raises(ValueError, match=r"expected one of 'elu', 'gelu', .*, got 'swish'"):
        Activation("swish")


def test_table_is_covered():
    assert set(ACTIVATIONS) == set(NAMES) == set(cases_activations.FUNCTIONS)
    assert set(ACTIVATIONS) == {*LIMITS, "gelu", "silu", "sin"}


def test_softmax_of_large_inputs():
    """Shifted by the maximum, so that nothing overflows; rows are distributions."""
    x = np.array([[1e308, 0.0, 0.0], [-800.0, -801.0, -2000.0]])
    y, backward = Softmax().forward({}, x, {})
    p = special.expit(1.0)
    np.testing.assert_allclose(y, [[1, 0, 0], [p, 1 - p, 0]], rtol=4 * EPS)
    np.testing.assert_allclose(backward(np.ones_like(x))[0], np.zeros((2, 3)), atol=EPS)


def test_softmax_jacobian():
    """dx_k = Σ_j dy_j ∂y_j/∂x_k with the Jacobian diag(y) − y yᵀ, and third derivatives."""
    x, dy = np.random.default_rng(0).normal(size=(2, 5))
    _, backward = Softmax().forward({}, x[None], {})
    jacobian = np.diag(special.softmax(x)) - np.outer(special.softmax(x), special.softmax(x))
    np.testing.assert_allclose(backward(dy[None])[0], [dy @ jacobian], rtol=64 * EPS)
    p = np.eye(5)[:3]
    third = mcx.directional(lambda x: Softmax().forward({}, x[None], {})[0][0, 0], x, *p)
    a, b, c = special.softmax(x)[:3]
    expected = a * b * c * (2 - 6 * a)  # ∂³y_0/∂x_0∂x_1∂x_2
    np.testing.assert_allclose(third, expected, rtol=64 * EPS)


def test_softmax_needs_an_axis():
    with pytest.raises(ValueError, match=r"Softmax\(\): x: .*\(B, \.\.\., K\), got \(3,\)"):
        Softmax().forward({}, np.ones(3), {})
    with pytest.raises(ValueError, match=r"Softmax\(\): one sample: .*\(\.\.\., K\), got \(\)"):
        Softmax().output_shape(())
    assert Softmax().output_shape((4, 3)) == (4, 3)
