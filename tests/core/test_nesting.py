"""linearize within linearize and within derivatives: recordings do not mix."""

import numpy as np

import mcx

X = np.array([0.5, -1.25, 2.0, 0.75])
P = np.array([1.0, 2.0, -0.5, 3.0])


class TestNesting:
    def test_linearize_inside_derivative(self):
        def slope(x):
            return mcx.linearize(lambda y: x * y**3, 2.0)[1](1.0)

        np.testing.assert_allclose(mcx.derivative(slope, 5.0), 12.0, rtol=1e-15)

    def test_derivative_inside_linearize(self):
        _, lin = mcx.linearize(lambda x: mcx.derivative(lambda y: np.sin(x * y), 1.0), X)
        expected = (np.cos(X) - X * np.sin(X)) * P
        np.testing.assert_allclose(lin(P), expected, rtol=1e-13)

    def test_linearize_inside_linearize(self):
        def inner(x):
            return mcx.linearize(lambda y: np.exp(x * y), np.ones(4))[1](np.ones(4))

        _, lin = mcx.linearize(inner, X)  # inner(x) = x eˣ
        np.testing.assert_allclose(lin(P), (1 + X) * np.exp(X) * P, rtol=1e-13)

    def test_inner_recording_of_an_outer_function_of_both(self):
        def outer(x):
            return np.sum(mcx.linearize(lambda y: x * y, x)[1](x))

        _, lin = mcx.linearize(outer, X)  # Σ x²
        np.testing.assert_allclose(lin(P), 2 * X @ P, rtol=1e-14)

    def test_at_a_perturbed_point(self):
        z = mcx.perturb(X, np.ones(4))
        value, lin = mcx.linearize(lambda x: np.sin(x) * x, z)
        np.testing.assert_array_equal(value.planes, (np.sin(z) * z).planes)
        np.testing.assert_allclose(lin(P).value, (np.cos(X) * X + np.sin(X)) * P, rtol=1e-14)
        second = (2 * np.cos(X) - X * np.sin(X)) * P
        np.testing.assert_allclose(lin(P).im(1), second, rtol=1e-13)

    def test_with_a_perturbed_direction(self):
        _, lin = mcx.linearize(np.sin, X)
        slope = lin(mcx.perturb(P, X))
        np.testing.assert_allclose(slope.im(1), np.cos(X) * X, rtol=1e-15)

    def test_of_the_exact_reading(self):
        z = mcx.perturb(X, np.ones(4), h=1e-20)
        _, lin = mcx.linearize(lambda x: np.sin(x) * x, z)
        second = (2 * np.cos(X) - X * np.sin(X)) * P
        np.testing.assert_allclose(lin(P).im(1) / 1e-20, second, rtol=1e-13)

    def test_products_of_one_number_and_what_is_none(self):
        """Of the two terms of a step only one has planes."""
        for product in (np.multiply, np.dot, mcx.register_bilinear(lambda x, y: x * y)):

            def slope(z, product=product):
                return mcx.linearize(lambda x: product(x + z, x), X)[1](P)

            value, tangent = mcx.jvp(slope, X, np.ones(4))
            np.testing.assert_allclose(value, product(P, X) + product(X + X, P), rtol=1e-15)
            np.testing.assert_allclose(tangent, product(np.ones(4), P), rtol=1e-15)

    def test_block_at_an_infinite_slope_that_is_a_number(self):
        x, directions = np.array([0.0, 1.0]), np.array([[0.0, 0.0], [0.0, 1.0], [0.0, 3.0]])

        def slopes(z):
            return mcx.linearize(lambda x: np.sqrt(x * z), x)[1](directions)

        with np.errstate(divide="ignore", invalid="ignore"):
            value, tangent = mcx.jvp(slopes, np.ones(2), np.ones(2))
        np.testing.assert_array_equal(value, directions / 2)
        np.testing.assert_array_equal(tangent, directions / 4)

    def test_inner_number_in_an_argument_that_numpy_does_not_dispatch_on(self):
        """The inner recording stands in left=, right= and k=, the outer number in the others."""
        k, f = np.array([0.0, 1.0, 2.0]), np.array([1.0, 3.0, -1.0])
        x, y, p = np.array([-1.0, 0.5, 7.0]), np.array([0.5, 3.0]), np.array([1.0, 2.0])

        def ends(x):
            def inner(y):
                return np.interp(x, k, f, left=y[0] ** 2, right=y[1]) * y[0]

            return mcx.linearize(inner, y)[1](p)

        value, tangent = mcx.jvp(ends, x, np.ones(3))  # of y0³, f(x) y0 and y1 y0
        np.testing.assert_allclose(value, [0.75, 2.0, 4.0], rtol=1e-15)
        np.testing.assert_allclose(tangent, [0.0, 2.0, 0.0], rtol=1e-15)
        np.testing.assert_allclose(mcx.linearize(ends, x)[1](np.ones(3)), tangent, rtol=1e-15)

        def constants(c):
            return mcx.linearize(lambda y: np.polyint(c, 2, y * y) * y[0], y)[1](p)

        c, dc = np.array([2.0]), np.array([3.0])  # y0 (c t²/2 + y0² t + y1²)
        value, tangent = mcx.jvp(constants, c, dc)
        np.testing.assert_allclose(value, [1.0, 0.75, 15.0], rtol=1e-15)
        np.testing.assert_allclose(tangent, [1.5, 0.0, 0.0], rtol=1e-15)

    def test_order_of_the_operands_does_not_matter(self):
        for product in (np.multiply, np.matmul, np.dot):
            for swap in (False, True):

                def slope(z, product=product, swap=swap):
                    def inner(x):
                        return product(*((z, x) if swap else (x, z)))

                    return mcx.linearize(inner, X)[1](P)

                value, tangent = mcx.jvp(slope, X, np.ones(4))
                np.testing.assert_allclose(value, product(X, P), rtol=1e-15)
                np.testing.assert_allclose(tangent, product(np.ones(4), P), rtol=1e-15)

    def test_derivative_of_an_element_inside_linearize(self):
        value, lin = mcx.linearize(lambda x: mcx.derivative(np.sin, 1.0 * x), 0.5)
        np.testing.assert_allclose([value, lin(2.0)], [np.cos(0.5), -2 * np.sin(0.5)], rtol=1e-15)
