"""The derivative functions against closed forms, SymPy, and each other; nesting included."""

from typing import NamedTuple

import numpy as np
import pytest
import scipy.optimize
import sympy
from core.checkers import host

import mcx

X = np.array([0.5, -1.25, 2.0])


def rosenbrock(x):
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


class TestDerivative:
    @pytest.mark.parametrize("order", range(1, 9))
    def test_of_sine_has_period_four(self, order):
        expected = (np.cos, lambda x: -np.sin(x), lambda x: -np.cos(x), np.sin)[(order - 1) % 4](X)
        np.testing.assert_allclose(mcx.derivative(np.sin, X, order), expected, rtol=1e-15)

    @pytest.mark.parametrize("order", [1, 2, 3, 5, 8])
    def test_against_sympy(self, order):
        t = sympy.Symbol("t")
        formula = sympy.exp(-(t**2)) * sympy.sin(3 * t) / (1 + t**2) + sympy.log(2 + sympy.cos(t))

        def f(x):
            return np.exp(-(x**2)) * np.sin(3 * x) / (1 + x**2) + np.log(2 + np.cos(x))

        exact = sympy.diff(formula, t, order)
        expected = [float(exact.subs(t, sympy.Rational(v)).evalf(30)) for v in X]
        np.testing.assert_allclose(mcx.derivative(f, X, order), expected, rtol=1e-12)

    def test_of_high_order_keeps_its_digits(self):
        t = sympy.Symbol("t")
        series = sympy.series(sympy.sin(t) * sympy.exp(-(t**2)), t, 0, 20).removeO()
        expected = float(series.coeff(t, 19) * sympy.factorial(19))
        result = mcx.derivative(lambda x: np.sin(x) * np.exp(-(x**2)), 0.0, 19)
        assert abs(result - expected) <= 1e-13 * abs(expected)

    def test_has_the_shape_and_dtype_of_the_point(self, dtype):
        x = np.ones((2, 3), dtype)
        result = mcx.derivative(np.exp, x)
        assert result.shape == (2, 3)
        assert result.dtype == dtype
        assert isinstance(mcx.derivative(np.exp, 1.0), (float, np.floating, np.ndarray))

    def test_integers_are_promoted(self):
        np.testing.assert_array_equal(mcx.derivative(np.square, np.array([1, 2])), [2.0, 4.0])
        assert mcx.derivative(np.square, 3) == 6.0

    def test_of_a_constant_is_zero(self):
        np.testing.assert_array_equal(mcx.derivative(lambda x: np.ones(3), X), np.zeros(3))
        assert mcx.derivative(lambda x: 4.0, 1.0) == 0.0

    def test_on_a_stand_in(self, wrap):
        result = mcx.derivative(lambda x: x * np.tanh(x), wrap(X), 2)
        expected = mcx.derivative(lambda x: x * np.tanh(x), X, 2)
        np.testing.assert_array_equal(host(result), expected)


class TestStructure:
    def test_args_and_argnum_choose_what_is_differentiated(self):
        f = lambda a, b, c: a * b**2 * c**3  # noqa: E731 - one line of mathematics
        values = (2.0, 3.0, 5.0)
        expected = (9 * 125.0, 2 * 2 * 3 * 125.0, 2 * 9 * 3 * 25.0)
        for argnum, slope in enumerate(expected):
            args = values[:argnum] + values[argnum + 1 :]
            assert mcx.derivative(f, values[argnum], args=args, argnum=argnum) == slope

    def test_argnum_beyond_the_arguments_raises(self):
        for argnum in (-1, 2):
            with pytest.raises(ValueError, match=r"argnum: expected 0 to 1"):
                mcx.derivative(np.multiply, 1.0, args=(2.0,), argnum=argnum)

    def test_results_keep_their_structure(self):
        class Pair(NamedTuple):
            first: object
            second: object

        def f(x):
            return {"a": x**2, "b": (x, [2 * x, 3.0]), "c": Pair(np.sin(x), np.sum(x))}

        d = mcx.derivative(f, X)
        np.testing.assert_array_equal(d["a"], 2 * X)
        np.testing.assert_array_equal(d["b"][1][0], [2.0, 2.0, 2.0])
        assert d["b"][1][1] == 0.0
        assert isinstance(d["c"], Pair)
        np.testing.assert_array_equal(d["c"].first, np.cos(X))
        value, slope = mcx.jvp(f, X, np.ones(3))
        np.testing.assert_array_equal(value["c"].first, np.sin(X))
        assert slope["c"].second == 3.0
        jac = mcx.jacobian(lambda x: [x[:2], np.sum(x**2)], X)
        assert isinstance(jac, list)
        np.testing.assert_array_equal(jac[0], np.eye(2, 3))
        np.testing.assert_array_equal(jac[1], 2 * X)

    def test_arguments_are_not_changed(self):
        x, p = X.copy(), np.ones(3)

        def f(x):
            y = x.copy()
            y[0] = 7.0
            return np.sum(y * x)

        for call in (
            lambda: mcx.gradient(f, x),
            lambda: mcx.jvp(f, x, p),
            lambda: mcx.taylor(f, x, p, order=3),
            lambda: mcx.linearize(f, x)[1](p),
        ):
            call()
            np.testing.assert_array_equal(x, X)
            np.testing.assert_array_equal(p, np.ones(3))


class TestGradientJacobianHessian:
    def test_gradient_of_rosenbrock(self, rng):
        x = rng.normal(size=9)
        np.testing.assert_allclose(
            mcx.gradient(rosenbrock, x), scipy.optimize.rosen_der(x), rtol=1e-12, atol=1e-11
        )

    def test_hessian_of_rosenbrock(self, rng):
        x = rng.normal(size=9)
        expected = scipy.optimize.rosen_hess(x)
        np.testing.assert_allclose(mcx.hessian(rosenbrock, x), expected, rtol=1e-12, atol=1e-10)
        by_gradient = mcx.hessian(rosenbrock, x, grad=_rosenbrock_gradient)
        np.testing.assert_allclose(by_gradient, expected, rtol=1e-12, atol=1e-10)

    @pytest.mark.parametrize("size", [1, 15, 16, 17, 33, 70])
    def test_blocks_of_directions_join_without_a_seam(self, size, rng):
        a, x = rng.normal(size=(size, size)), rng.normal(size=size)
        f = lambda x: np.sum((a @ x) ** 3) / 6  # noqa: E731 - one line of mathematics
        np.testing.assert_allclose(mcx.gradient(f, x), a.T @ (a @ x) ** 2 / 2, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(
            mcx.hessian(f, x), a.T @ ((a @ x)[:, None] * a), rtol=1e-9, atol=1e-9
        )

    def test_jacobian_of_any_shapes(self, rng):
        a, x = rng.normal(size=(4, 2)), rng.normal(size=(2, 3))
        jac = mcx.jacobian(lambda x: a @ np.sin(x), x)
        assert jac.shape == (4, 3, 2, 3)
        expected = np.einsum("ik,kj,jl->ijkl", a, np.cos(x), np.eye(3))
        np.testing.assert_allclose(jac, expected, rtol=1e-14, atol=1e-15)
        assert mcx.jacobian(np.sin, 0.0).shape == ()
        assert mcx.jacobian(lambda x: x[:0], X).shape == (0, 3)
        assert mcx.jacobian(lambda x: np.ones(2), np.zeros(0)).shape == (2, 0)

    def test_gradient_keeps_the_shape_of_the_point(self, rng):
        x = rng.normal(size=(2, 3))
        np.testing.assert_allclose(mcx.gradient(lambda x: np.sum(x**3), x), 3 * x**2, rtol=1e-14)
        hessian = mcx.hessian(lambda x: np.sum(x**3), x)
        assert hessian.shape == (2, 3, 2, 3)
        np.testing.assert_allclose(hessian.reshape(6, 6), np.diag(6 * x.ravel()), rtol=1e-14)

    def test_function_that_is_no_scalar_is_refused(self):
        for driver in (mcx.gradient, mcx.hessian):
            with pytest.raises(ValueError, match=r"expected one result of shape \(\).*jacobian"):
                driver(np.sin, X)
        with pytest.raises(ValueError, match=r"shape \(\)"):
            mcx.csdd2(np.sin, X, X)

    def test_function_of_a_constant_result(self):
        np.testing.assert_array_equal(mcx.gradient(lambda x: 1.0, X), np.zeros(3))
        np.testing.assert_array_equal(mcx.hessian(lambda x: 1.0, X), np.zeros((3, 3)))


def _rosenbrock_gradient(x):
    g = np.zeros_like(x)
    g[:-1] += -400 * x[:-1] * (x[1:] - x[:-1] ** 2) - 2 * (1 - x[:-1])
    g[1:] += 200 * (x[1:] - x[:-1] ** 2)
    return g


class TestAlongDirections:
    def test_taylor_coefficients_of_a_known_series(self):
        c = mcx.taylor(lambda x: np.exp(x) / (1 - x), 0.0, 1.0, order=6)
        expected = np.cumsum(1 / np.array([1, 1, 2, 6, 24, 120, 720.0]))
        np.testing.assert_allclose(c, expected, rtol=1e-15)
        rows = mcx.taylor(np.sin, X, np.ones(3), order=4)
        assert rows.shape == (5, 3)
        np.testing.assert_array_equal(rows[0], np.sin(X))

    def test_order_32_of_a_product_holds_1e_14(self):
        t = sympy.Symbol("t")
        terms = sympy.series(sympy.sin(t) * sympy.exp(-(t**2)), t, 0, 33).removeO()
        expected = np.array([float(terms.coeff(t, k)) for k in range(33)])
        result = mcx.taylor(lambda x: np.sin(x) * np.exp(-(x**2)), 0.0, 1.0, order=32)
        np.testing.assert_allclose(result, expected, rtol=1e-14, atol=1e-30)

    def test_directional_against_sympy(self, rng):
        symbols = sympy.symbols("a b c")
        formula = sympy.exp(symbols[0] * symbols[1]) * sympy.cos(symbols[2]) + (
            symbols[0] ** 3 * symbols[2] ** 2
        )
        f = lambda x: np.exp(x[0] * x[1]) * np.cos(x[2]) + x[0] ** 3 * x[2] ** 2  # noqa: E731
        p, q, r = rng.normal(size=(3, 3))

        def along(expression, direction):
            return sum(
                float(v) * sympy.diff(expression, s)
                for s, v in zip(symbols, direction, strict=True)
            )

        at = dict(zip(symbols, map(float, X), strict=True))
        for directions in ((p,), (p, q), (p, p), (p, q, r), (p, q, p), (p, p, p, q)):
            exact = formula
            for direction in directions:
                exact = along(exact, direction)
            result = mcx.directional(f, X, *directions)
            np.testing.assert_allclose(result, float(exact.subs(at)), rtol=1e-11)

    def test_equal_directions_agree_whether_one_object_or_copies(self, rng):
        p = rng.normal(size=3)
        shared = mcx.directional(rosenbrock, X, p, p, p)
        np.testing.assert_allclose(mcx.directional(rosenbrock, X, p, p.copy(), p.copy()), shared)

    def test_jvp_is_value_and_slope(self, rng):
        p = rng.normal(size=3)
        value, slope = mcx.jvp(lambda x: np.outer(x, x), X, p)
        np.testing.assert_array_equal(value, np.outer(X, X))
        np.testing.assert_allclose(slope, np.outer(p, X) + np.outer(X, p), rtol=1e-15)

    def test_csdd_and_csdd2_agree_with_the_dense_hessian(self, rng):
        w, p = rng.normal(size=7), rng.normal(size=7)
        hessian = scipy.optimize.rosen_hess(w)
        g, hp = mcx.csdd(_rosenbrock_gradient, w, p)
        np.testing.assert_allclose(g, scipy.optimize.rosen_der(w), rtol=1e-12, atol=1e-11)
        np.testing.assert_allclose(hp, hessian @ p, rtol=1e-12, atol=1e-10)
        curvature = mcx.csdd2(rosenbrock, w, p)
        np.testing.assert_allclose(curvature, p @ hessian @ p, rtol=1e-12)
        assert float(curvature) == pytest.approx(p @ hessian @ p)

    def test_finite_differences_converge_as_their_order_says(self):
        for scheme, rate in (("forward", 1), ("central", 2)):
            errors = [
                abs(mcx.finite_difference(np.exp, 1.0, h=h, scheme=scheme) - np.e)
                for h in (1e-2, 1e-3)
            ]
            assert errors[0] / errors[1] == pytest.approx(10**rate, rel=0.05)
        p = np.array([1.0, 0.0, -2.0])
        np.testing.assert_allclose(
            mcx.finite_difference(rosenbrock, X, p), mcx.jvp(rosenbrock, X, p)[1], rtol=1e-6
        )


class TestNesting:
    def test_perturbations_are_not_confused(self):
        inner = lambda x: mcx.derivative(lambda y: x + y, 1.0)  # noqa: E731 - one line
        assert mcx.derivative(lambda x: x * inner(x), 1.0) == 1.0

    def test_derivative_of_a_derivative(self):
        f = lambda x: np.exp(2 * x) * np.sin(x)  # noqa: E731 - one line of mathematics
        twice = mcx.derivative(lambda x: mcx.derivative(f, x), X)
        np.testing.assert_allclose(twice, mcx.derivative(f, X, 2), rtol=1e-14)
        thrice = mcx.derivative(lambda x: mcx.derivative(f, x, 2), X)
        np.testing.assert_allclose(thrice, mcx.derivative(f, X, 3), rtol=1e-14)

    def test_inner_function_closes_over_the_outer_variable(self):
        def outer(x):
            return mcx.derivative(lambda y: x**3 * y**2 * np.sin(x * y), 2.0)

        t, s = sympy.symbols("t s")
        exact = sympy.diff(sympy.diff(t**3 * s**2 * sympy.sin(t * s), s).subs(s, 2), t)
        for x in (0.3, 1.7):
            expected = float(exact.subs(t, sympy.Rational(x)))
            np.testing.assert_allclose(mcx.derivative(outer, x), expected, rtol=1e-13)

    def test_gradient_inside_gives_the_hessian(self, rng):
        x = rng.normal(size=5)
        nested = mcx.jacobian(lambda x: mcx.gradient(rosenbrock, x), x)
        np.testing.assert_allclose(nested, mcx.hessian(rosenbrock, x), rtol=1e-12, atol=1e-11)

    def test_perturbed_argument_of_a_driver(self, rng):
        x, p, q = rng.normal(size=(3, 5))
        z = mcx.jvp(rosenbrock, mcx.perturb(x, q), p)[1]
        np.testing.assert_allclose(
            z.im(1), mcx.directional(rosenbrock, x, p, q), rtol=1e-12, atol=1e-11
        )

    def test_perturbed_direction_of_a_driver(self):
        x, p, q = X, np.ones(3), np.array([1.0, 0.0, 2.0])
        slope = mcx.jvp(np.sin, x, mcx.perturb(p, q))[1]
        np.testing.assert_allclose(slope.value, np.cos(x) * p, rtol=1e-15)
        np.testing.assert_allclose(slope.im(1), np.cos(x) * q, rtol=1e-15)

    def test_three_levels(self):
        def d(f):
            return lambda x: mcx.derivative(f, x)

        f = lambda x: x**5  # noqa: E731 - one line of mathematics
        np.testing.assert_allclose(d(d(d(f)))(X), 60 * X**2, rtol=1e-14)

    def test_derivative_through_an_iteration(self):
        def square_root(a):
            x = a
            for _ in range(12):
                x = (x + a / x) / 2
            return x

        np.testing.assert_allclose(mcx.derivative(square_root, 2.0), 0.5 / np.sqrt(2), rtol=1e-14)
        expected = -0.25 * 2**-1.5
        np.testing.assert_allclose(mcx.derivative(square_root, 2.0, 2), expected, rtol=1e-13)


class TestRegistered:
    def test_linear_function_acts_on_every_plane(self):
        blur = mcx.register_linear(lambda x, k: np.convolve(np.asarray(x), k, mode="same"))
        kernel = np.array([0.25, 0.5, 0.25])
        z = mcx.perturb(X, np.ones(3), X)
        for plane, result in zip(z.planes, blur(z, kernel).planes, strict=True):
            np.testing.assert_array_equal(result, blur(plane, kernel))
        np.testing.assert_array_equal(blur(X, kernel), np.convolve(X, kernel, mode="same"))
        _, lin = mcx.linearize(lambda x: blur(x, kernel) ** 2, X)
        np.testing.assert_allclose(lin(X), 2 * blur(X, kernel) ** 2)

    def test_bilinear_function_follows_the_product_rule(self):
        product = mcx.register_bilinear(lambda x, y: np.asarray(x) @ np.asarray(y))
        a, b = np.arange(6.0).reshape(2, 3), np.arange(12.0).reshape(3, 4)
        z, w = mcx.perturb(a, a + 1, None), mcx.perturb(b, None, b - 1)
        np.testing.assert_array_equal(product(z, w).im(1, 2), (a + 1) @ (b - 1))
        np.testing.assert_array_equal(product(z, w).im(1), (a + 1) @ b)
        np.testing.assert_array_equal(product(a, w).im(2), a @ (b - 1))
        np.testing.assert_array_equal(product(z, b).im(1), (a + 1) @ b)
        np.testing.assert_array_equal(product(z, product(w, w.T)).im(2), (z @ (w @ w.T)).im(2))
