"""Complex coefficients: complex-valued functions of real parameters have derivatives too."""

import numpy as np
import pytest

import mcx

X = np.array([[0.5, 1.25, 2.0], [1.5, 0.25, 3.0]])
Y = np.array([[1.5, 0.75, -2.0], [-0.5, 2.25, 1.0]])
P, Q = np.array([[1.0, -2.0, 0.5], [3.0, 1.0, -1.0]]), np.array([[2.0, 1.0, 1.0], [-1.0, 0.5, 4.0]])


class TestComplexCoefficients:
    x = 0.5 * X + 0.25j * Y
    p = P - 1j * Q

    @pytest.mark.parametrize(
        "func",
        [np.exp, np.log, np.sin, np.cos, np.tan, np.tanh, np.sqrt, np.arctan, np.arcsinh, np.expm1,
         np.square, np.reciprocal, np.sinh, np.cosh, np.log1p],
        ids=lambda f: f.__name__,
    )  # fmt: skip
    def test_analytic_functions_have_complex_derivatives(self, func):
        z = func(mcx.perturb(self.x, self.p, self.p))
        np.testing.assert_array_equal(z.value, func(self.x))
        h = 2.0**-10
        d = lambda f: (8 * (f(h) - f(-h)) - (f(2 * h) - f(-2 * h))) / (12 * h)  # noqa: E731 - one line of mathematics
        first = d(lambda t: func(self.x + t * self.p))
        second = d(lambda s: d(lambda t: func(self.x + (s + t) * self.p)))
        np.testing.assert_allclose(z.im(1), first, rtol=1e-6)
        np.testing.assert_allclose(z.im(1, 2), second, rtol=1e-5)

    def test_products_never_conjugate(self):
        z = mcx.perturb(self.x, self.p)
        np.testing.assert_allclose((z * z).im(1), 2 * self.x * self.p, rtol=1e-14)
        expected = self.p @ self.x.T + self.x @ self.p.T
        np.testing.assert_allclose((z @ z.T).im(1), expected, rtol=1e-14)

    def test_real_imag_and_conj_act_on_coefficients(self):
        z = mcx.perturb(self.x, self.p)
        for func in (np.real, np.imag, np.conj):
            result = func(z)
            assert isinstance(result, mcx.Multicomplex)
            np.testing.assert_array_equal(result.value, func(self.x))
            np.testing.assert_array_equal(result.im(1), func(self.p))
        real = mcx.perturb(X, P)
        np.testing.assert_array_equal(real.imag.planes, 0)
        np.testing.assert_array_equal(real.conj().planes, real.planes)

    def test_modulus_of_a_complex_function_of_real_parameters(self):
        def modulus(t):
            z = np.exp(1j * t) * (1 + t)
            return np.real(z) ** 2 + np.imag(z) ** 2

        z = modulus(mcx.perturb(X, P))
        np.testing.assert_allclose(z.im(1), 2 * (1 + X) * P, rtol=1e-13)


W = np.array([1 + 2j, -3 + 0.5j, 0.25 - 1j])
D = np.array([0.5 - 1j, 2 + 1j, -1 + 0.75j])

# Real-differentiable functions of complex arguments, analytic or not.
CALLS = {
    "abs": np.abs,
    "sign": np.sign,
    "squared modulus": lambda z: np.abs(z) ** 2,
    "log of modulus": lambda z: np.log(np.abs(z)),
    "real and imag": lambda z: np.hypot(z.real, z.imag),
    "phase": lambda z: np.arctan2(z.imag, z.real),
    "conjugate": lambda z: np.conj(z) * z,
    "max": np.max,
    "sort": np.sort,
    "var": np.var,
    "std": np.std,
    "norm": np.linalg.norm,
    "norm of order 1": lambda z: np.linalg.norm(z, 1),
    "norm of order inf": lambda z: np.linalg.norm(z, np.inf),
    "vdot": lambda z: np.vdot(z, z),
    "exp2": np.exp2,
    "log2": np.log2,
    "log10": np.log10,
    "arcsin": np.arcsin,
    "arccos": np.arccos,
    "arctanh": np.arctanh,
    "arccosh": np.arccosh,
    "real power": lambda z: z**2.5,
    "power of numbers": lambda z: z**z,
    "power of a constant": lambda z: 2.0**z,
    "prod": np.prod,
    "maximum": lambda z: np.maximum(z, 0),
    "where": lambda z: np.where(z.real > 0, z, 0),
    "mean": np.mean,
    "outer": lambda z: np.outer(z, z),
    "quotient": lambda z: (1 + z) / (z * z - 4),
    "from real parameters": lambda z: np.exp(1j * z.real) * z.imag,
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_derivative_along_a_complex_direction(call):
    z = call(mcx.perturb(W, D, D))
    np.testing.assert_array_equal(z.value, call(W))
    assert z.dtype == call(W).dtype
    d = lambda f, h: (8 * (f(h) - f(-h)) - (f(2 * h) - f(-2 * h))) / (12 * h)  # noqa: E731 - one line of mathematics
    first = d(lambda t: call(W + t * D), 2.0**-9)
    second = d(lambda s: d(lambda t: call(W + (s + t) * D), 2.0**-9), 2.0**-9)
    np.testing.assert_allclose(z.im(1), first, rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(z.im(1, 2), second, rtol=1e-5, atol=1e-6)
    value, lin = mcx.linearize(call, W)
    np.testing.assert_array_equal(value, call(W))
    np.testing.assert_allclose(lin(D), z.im(1), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("call", [np.cbrt, np.hypot, np.logaddexp, np.floor, np.fmod])
def test_what_numpy_refuses_for_complex_numbers_is_refused(call):
    z = mcx.perturb(W, D)
    with pytest.raises(TypeError):
        call(*[z] * call.nin)
