"""Linear equations, inverses and least squares, in every plane.

Errors are normwise: |error| ≤ 50 eps κ max|exact| in every plane, κ the condition of the value.
"""

import sys

import numpy as np
import pytest
from core.builders import filled
from core.checkers import assert_same_value
from core.representations import (
    assert_near_planes,
    condition,
    evaluated,
    random_planes,
    transposed,
)
from numpy.testing import assert_array_equal
from standin import StandIn

import mcx
from mcx.dispatch import is_number
from mcx.verbs import solving

linalg = np.linalg
TYPES = pytest.mark.parametrize("kind", ["f", "d", "F", "D"])
ORDERS = pytest.mark.parametrize("order", [1, 2, 3, 4])


@TYPES
@ORDERS
class TestAgainstBlockMatrices:
    def test_solve(self, kind, order, rng):
        a, b = (
            random_planes(rng, order, 3, 3, kind=kind),
            random_planes(rng, order, 3, 2, kind=kind),
        )
        plain = np.zeros_like(b)
        plain[0] = b[0]
        value = np.zeros_like(a)
        value[0] = a[0]
        za, zb = filled(a), filled(b)
        for x, planes in (
            (linalg.solve(za, zb), (a, b)),
            (linalg.solve(za, b[0]), (a, plain)),
            (linalg.solve(a[0], zb), (value, b)),
        ):
            assert_same_value(x, linalg.solve(a[0], b[0]))
            expected = evaluated(lambda inverse, a, b: inverse(a) @ b, *planes)
            assert_near_planes(x, expected, condition(a))
        vector = linalg.solve(za, zb[:, 0])
        assert_same_value(vector, linalg.solve(a[0], b[0, :, 0]))
        expected = evaluated(lambda inverse, a, b: inverse(a) @ b, a, b[..., :1])[..., 0]
        assert_near_planes(vector, expected, condition(a))

    def test_inv(self, kind, order, rng):
        a = random_planes(rng, order, 3, 3, kind=kind)
        x = linalg.inv(filled(a))
        assert_same_value(x, linalg.inv(a[0]))
        assert_near_planes(x, evaluated(inverted, a), condition(a))

    @pytest.mark.parametrize("shape", [(4, 3), (3, 4), (3, 3)])
    def test_pinv(self, kind, order, shape, rng):
        a = random_planes(rng, order, *shape, kind=kind)
        x = linalg.pinv(filled(a))
        assert_same_value(x, linalg.pinv(a[0]))
        assert_near_planes(x, evaluated(pseudoinverse, a, transposed(a)), condition(a))

    def test_lstsq(self, kind, order, rng):
        a, b = (
            random_planes(rng, order, 4, 2, kind=kind),
            random_planes(rng, order, 4, 3, kind=kind),
        )
        x, residuals, rank, _ = linalg.lstsq(filled(a), filled(b))
        expected = linalg.lstsq(a[0], b[0])
        assert_same_value(x, expected[0])
        assert_same_value(residuals, expected[1])
        assert rank == 2
        planes = a, transposed(a), b, transposed(b)
        solution = evaluated(lambda inv, a, at, b, bt: pseudoinverse(inv, a, at) @ b, *planes)
        assert_near_planes(x, solution, condition(a))
        squares = evaluated(
            lambda inv, a, at, b, bt: bt @ (b - a @ pseudoinverse(inv, a, at) @ b), *planes
        )
        assert_near_planes(residuals, np.diagonal(squares, axis1=1, axis2=2), condition(a))


def inverted(inverse, a):
    return inverse(a)


def pseudoinverse(inverse, a, adjoint):
    """Return A⁺ of full rank; the adjoint of a block matrix is not the block matrix of Aᴴ."""
    if len(a) < len(adjoint):
        return adjoint @ inverse(a @ adjoint)
    return inverse(adjoint @ a) @ adjoint


@ORDERS
class TestRankDeficient:
    def factors(self, rng, order):
        return random_planes(rng, order, 4, 2), random_planes(rng, order, 2, 3)

    def test_pinv(self, order, rng):
        b, c = self.factors(rng, order)
        a = filled(b) @ filled(c)
        expected = evaluated(
            lambda inv, b, bt, c, ct: pseudoinverse(inv, c, ct) @ pseudoinverse(inv, b, bt),
            b, transposed(b), c, transposed(c),
        )  # fmt: skip
        x = linalg.pinv(a, rcond=1e-10)
        assert_same_value(x, linalg.pinv(a.value, rcond=1e-10))
        size = linalg.cond(b[0]) * linalg.cond(c[0])
        assert_near_planes(x, expected, size**2)
        stack = linalg.pinv(np.stack([a, filled(random_planes(rng, order, 4, 3))]), rtol=1e-10)
        assert_near_planes(stack[0], expected, size**2)

    def test_lstsq_of_minimum_norm(self, order, rng):
        b, c = self.factors(rng, order)
        right = random_planes(rng, order, 4, 1)
        a = filled(b) @ filled(c)
        x, residuals, rank, _ = linalg.lstsq(a, filled(right)[:, 0], rcond=1e-10)
        expected = evaluated(
            lambda inv, b, bt, c, ct, y: pseudoinverse(inv, c, ct) @ pseudoinverse(inv, b, bt) @ y,
            b, transposed(b), c, transposed(c), right,
        )  # fmt: skip
        assert rank == 2
        assert residuals.shape == (0,)
        assert_near_planes(x, expected[..., 0], (linalg.cond(b[0]) * linalg.cond(c[0])) ** 2)

    def test_singular_values_that_are_zero_or_repeated_have_no_derivative(self, order, rng):
        b, c = self.factors(rng, order)
        simple = filled(random_planes(rng, order, 4, 3))
        for a in (filled(b) @ filled(c), (1 + 1j) * (filled(b) @ filled(c))):
            s = linalg.lstsq(a, np.ones(4), rcond=1e-10)[3]
            assert_same_value(s, linalg.lstsq(a.value, np.ones(4), rcond=1e-10)[3])
            assert np.all(np.isnan(s.planes[1:]))
        s = linalg.lstsq(simple, np.ones(4))[3]
        np.testing.assert_array_equal(s.planes[1:], linalg.svdvals(simple).planes[1:])

    def test_hermitian(self, order, rng):
        """NumPy reads the lower triangle alone, and so do the derivatives."""
        b = random_planes(rng, order, 3, 2, kind="D")
        a = filled(b) @ np.conj(np.swapaxes(filled(b), 0, 1))
        x = linalg.pinv(a, rcond=1e-10, hermitian=True)
        general = linalg.pinv(a, rcond=1e-10)
        assert_near_planes(x, general.planes, linalg.cond(b[0]) ** 4)
        changed = a + np.triu(filled(random_planes(rng, order, 3, 3)), 1)
        again = linalg.pinv(changed, rcond=1e-10, hermitian=True)
        assert_near_planes(again, x.planes, linalg.cond(b[0]) ** 4)


class TestShapes:
    PAIRS = (
        ((3, 3), (3,)), ((3, 3), (3, 2)), ((4, 3, 3), (3,)), ((4, 3, 3), (4, 3, 2)),
        ((4, 3, 3), (3, 2)), ((3, 3), (4, 3, 2)), ((4, 1, 3, 3), (5, 3, 2)), ((2, 3, 3), (1, 3, 1)),
        ((0, 3, 3), (3,)), ((0, 3, 3), (0, 3, 2)), ((3, 3), (3, 0)), ((0, 0), (0,)),
        ((2, 0, 0), (0, 3)), ((1, 1), (1,)), ((3, 3), (0, 3, 2)),
    )  # fmt: skip

    @pytest.mark.parametrize(("left", "right"), PAIRS)
    def test_solve_broadcasts_as_numpy_does(self, left, right, rng):
        a, b = random_planes(rng, 2, *left), random_planes(rng, 2, *right)
        expected = linalg.solve(a[0], b[0])
        column = len(right) == 1
        za, zb = filled(a), filled(b)
        for x, y in ((za, zb), (za, b[0]), (a[0], zb)):
            z = linalg.solve(x, y)
            assert_same_value(z, expected)
            product = x @ z if not column else (x @ z[..., np.newaxis])[..., 0]
            rest = product - y
            assert np.max(abs(rest.planes), initial=0) < 1e-11
            lin = mcx.linearize(lambda t, x=x, y=y: linalg.solve(x + t, y + t), np.zeros(()))[1]
            slope = mcx.jvp(lambda t, x=x, y=y: linalg.solve(x + t, y + t), np.zeros(()), 1.0)[1]
            assert_same_planes(lin(np.ones(())), slope)

    def test_a_stack_of_right_hand_sides_is_no_stack_of_vectors(self, rng):
        """From NumPy 2 on b is a vector only if it has one dimension."""
        a, b = random_planes(rng, 1, 3, 3, 3), random_planes(rng, 1, 3, 3)
        assert linalg.solve(filled(a), filled(b)).shape == (3, 3, 3)

    @pytest.mark.parametrize("shape", [(0, 0), (2, 0, 0), (0, 3, 3), (1, 1), (0, 1, 1)])
    def test_functions_of_empty_and_small_matrices(self, shape, rng):
        z = filled(random_planes(rng, 2, *shape))
        for func in (linalg.inv, linalg.det, linalg.pinv, lambda a: linalg.matrix_power(a, -2)):
            assert_same_value(func(z), func(z.value))
        for part, value in zip(linalg.slogdet(z), linalg.slogdet(z.value), strict=True):
            assert_same_value(part, value)

    def test_powers_are_products(self, rng):
        z = filled(random_planes(rng, 3, 2, 3, 3))
        inverse = linalg.inv(z)
        for n, product in ((-2, inverse @ inverse), (-1, inverse), (1, z), (5, z @ z @ z @ z @ z)):
            assert_same_planes(linalg.matrix_power(z, n) / 1e3, product / 1e3)
        assert not np.any(linalg.matrix_power(z, 0).planes[1:])

    @pytest.mark.parametrize("shape", [(0, 3), (3, 0)])
    def test_pinv_and_lstsq_without_rows_or_columns(self, shape, rng):
        z, b = filled(random_planes(rng, 2, *shape)), rng.normal(size=(shape[0], 2))
        assert linalg.pinv(z).shape == shape[::-1]
        expected = linalg.lstsq(z.value, b)
        x, *others = linalg.lstsq(z, b)
        assert_same_value(x, expected[0])
        for part, value in zip(others, expected[1:], strict=True):
            assert_same_value(part, value) if is_number(part) else assert_array_equal(part, value)


def assert_same_planes(x, y):
    x, y = (z.planes if isinstance(z, mcx.Multicomplex) else z for z in (x, y))
    np.testing.assert_allclose(x, y, rtol=1e-11, atol=1e-11)


class TestFactorization:
    def test_there_is_one_for_all_orders(self, rng, monkeypatch):
        made = []
        original = solving.Factorized.__init__
        monkeypatch.setattr(
            solving.Factorized, "__init__", lambda self, a: (made.append(1), original(self, a))[1]
        )
        z = filled(random_planes(rng, 4, 5, 5))
        linalg.solve(z, z)
        _, lin = mcx.linearize(lambda a: linalg.solve(a, a[0]), z.value)
        for p in rng.normal(size=(5, 5, 5)):
            lin(p)
        lin(rng.normal(size=(7, 5, 5)))
        assert len(made) == 2

    @TYPES
    def test_without_scipy_the_inverse_is_corrected(self, kind, rng, monkeypatch):
        a, b = random_planes(rng, 3, 6, 6, kind=kind), random_planes(rng, 3, 6, 2, kind=kind)
        with_scipy = linalg.solve(filled(a), filled(b))
        monkeypatch.setitem(sys.modules, "scipy.linalg", None)
        without = linalg.solve(filled(a), filled(b))
        assert_near_planes(without, with_scipy.planes, condition(a))

    def test_on_a_device(self, rng):
        a, b = random_planes(rng, 2, 4, 4), random_planes(rng, 2, 4, 3)
        z = linalg.solve(filled(a, StandIn.wrap), filled(b, StandIn.wrap))
        assert isinstance(z.planes, StandIn)
        np.testing.assert_allclose(
            z.planes.get(), linalg.solve(filled(a), filled(b)).planes, rtol=1e-11, atol=1e-11
        )

    def test_real_matrices_and_complex_right_hand_sides(self, rng):
        a, b = random_planes(rng, 2, 3, 3), random_planes(rng, 2, 3, 2, kind="D")
        for x, y in ((filled(a), filled(b)), (filled(a), b[0]), (a[0], filled(b))):
            z = linalg.solve(x, y)
            assert z.dtype == complex
            assert np.max(abs((x @ z - y).planes)) < 1e-12 * condition(a)

    def test_mixed_precision(self, rng):
        a, b = random_planes(rng, 2, 3, 3, kind="f"), random_planes(rng, 2, 3, 2)
        z = linalg.solve(filled(a), filled(b))
        wide = linalg.solve(filled(a.astype(float)), filled(b))
        assert_near_planes(z, wide.planes, condition(a))
        x = linalg.lstsq(filled(a), filled(b))[0]
        assert x.dtype == float
        assert_near_planes(x, wide.planes, condition(a))

    def test_hilbert_matrices_lose_what_their_condition_says(self):
        """κ = 1.5e7: solve and inv lose 7 digits of 16, and no more."""
        k = np.arange(6)
        planes = np.zeros((4, 6, 6))
        planes[0] = 1 / (k[:, None] + k + 1)
        planes[1], planes[2] = np.eye(6) / 2**20, np.ones((6, 6)) / 2**22
        exact = evaluated(inverted, planes)
        size = linalg.cond(planes[0])
        for z in (linalg.inv(filled(planes)), linalg.solve(filled(planes), np.eye(6))):
            for plane in (1, 2, 3):
                error = np.max(abs(z.planes[plane] - exact[plane])) / np.max(abs(exact[plane]))
                assert error < 5 * np.finfo(float).eps * size
        assert error > np.finfo(float).eps  # the loss is there


class TestNesting:
    A = np.array([[2.0, 0.5, -1.0], [0.25, 1.5, 0.75], [1.0, -0.5, 3.0]])
    P = np.array([[0.5, -1.0, 0.25], [1.5, 0.75, -0.5], [1.0, 0.5, -2.0]])

    def test_hessian_of_the_logarithm_of_a_determinant(self):
        p = linalg.inv(self.A)
        expected = -np.einsum("ij,kl->jkli", p, p)
        hessian = mcx.hessian(lambda a: linalg.slogdet(a)[1], self.A)
        np.testing.assert_allclose(hessian.reshape(3, 3, 3, 3), expected, rtol=1e-13, atol=1e-14)

    @pytest.mark.parametrize(
        "f",
        [
            linalg.inv, linalg.det, linalg.pinv, lambda a: linalg.slogdet(a)[1],
            lambda a: linalg.solve(a, a[0]), lambda a: linalg.solve(a, np.ones((3, 1))),
            lambda a: linalg.lstsq(a[:, :2], a[:, 2])[0], lambda a: linalg.matrix_power(a, -2),
            lambda a: linalg.norm(a, "nuc"), lambda a: linalg.cond(a, 1),
        ],
    )  # fmt: skip
    def test_recordings_inside_and_outside_agree_with_planes(self, f):
        second = mcx.directional(f, self.A, self.P, self.P)

        def slope(a):
            return mcx.linearize(f, a)[1](self.P)

        np.testing.assert_allclose(mcx.jvp(slope, self.A, self.P)[1], second, rtol=1e-11)
        np.testing.assert_allclose(mcx.linearize(slope, self.A)[1](self.P), second, rtol=1e-11)

        def jvp(a):
            return mcx.jvp(f, a, self.P)[1]

        np.testing.assert_allclose(mcx.linearize(jvp, self.A)[1](self.P), second, rtol=1e-11)

    def test_programs_are_functions_of_their_direction_too(self):
        _, lin = mcx.linearize(lambda a: linalg.solve(a, a[0]), self.A)
        got = mcx.jvp(lambda p: lin(p * p), self.P, self.A)[1]
        np.testing.assert_allclose(got, lin(2 * self.P * self.A), rtol=1e-12)
        got = mcx.linearize(lambda p: lin(p * p), self.P)[1](self.A)
        np.testing.assert_allclose(got, lin(2 * self.P * self.A), rtol=1e-12)

    def test_factorizations_are_counted(self):
        a = np.eye(50)
        _, lin = mcx.linearize(lambda b: linalg.solve(a, b), np.ones(50))
        assert lin.nbytes >= a.nbytes

    def test_different_algebras(self, rng):
        a, b = random_planes(rng, 1, 3, 3), random_planes(rng, 1, 3)
        za, zb = mcx.perturb(a[0], a[1], None), mcx.perturb(b[0], None, b[1])
        p, x = linalg.inv(a[0]), linalg.solve(a[0], b[0])
        z = linalg.solve(za, zb)
        np.testing.assert_allclose(z.im(1), -p @ a[1] @ x, rtol=1e-11)
        np.testing.assert_allclose(z.im(2), p @ b[1], rtol=1e-11)
        np.testing.assert_allclose(z.im(1, 2), -p @ a[1] @ p @ b[1], rtol=1e-11)


class TestErrors:
    Z = mcx.perturb(np.arange(6.0).reshape(2, 3), np.ones((2, 3)))

    @pytest.mark.parametrize(
        "call",
        [linalg.inv, linalg.det, linalg.slogdet, lambda a: linalg.matrix_power(a, 2),
         lambda a: linalg.solve(a, a), lambda a: linalg.cond(a, 1), lambda a: linalg.det(a[0])],
    )  # fmt: skip
    def test_matrices_must_be_square(self, call):
        with pytest.raises(linalg.LinAlgError):
            call(self.Z)

    @pytest.mark.parametrize("call", [linalg.inv, lambda a: linalg.solve(a, a[0])])
    def test_singular_matrices_are_the_errors_of_numpy(self, call):
        z = mcx.perturb(np.ones((2, 2)), np.eye(2))
        with pytest.raises(linalg.LinAlgError, match="Singular"):
            call(z)
        with pytest.raises(linalg.LinAlgError, match="Singular"):
            mcx.linearize(call, np.ones((2, 2)))

    def test_a_cut_through_the_singular_values(self):
        z = mcx.perturb(np.diag([1.0, 0.25, 0.125]), np.ones((3, 3)))
        assert linalg.pinv(z, rcond=0.1).shape == (3, 3)
        for call in (lambda a: linalg.pinv(a, rcond=0.2), lambda a: linalg.lstsq(a, a[0], 0.2)):
            with pytest.raises(mcx.UnsupportedFunctionError, match="lower the cutoff"):
                call(z)

    def test_the_exact_reading_has_no_inverse(self):
        z = mcx.perturb(np.eye(2), np.ones((2, 2)), h=1e-8)
        for call in (linalg.inv, lambda a: linalg.solve(a, a), lambda a: linalg.slogdet(a)):
            with pytest.raises(mcx.UnsupportedFunctionError, match="exact reading"):
                call(z)
        x = linalg.solve(np.diag([2.0, 4.0]), z)
        np.testing.assert_allclose(x.im(1), 1e-8 * np.array([[0.5, 0.5], [0.25, 0.25]]))

    def test_a_determinant_in_the_exact_reading_is_a_polynomial(self):
        z = mcx.perturb(np.array([[1.0, 2.0], [3.0, 4.0]]), np.eye(2), np.ones((2, 2)), h=0.5)
        expected = z[0, 0] * z[1, 1] - z[0, 1] * z[1, 0]
        np.testing.assert_allclose(linalg.det(z).planes, expected.planes, atol=1e-14)

    def test_cutoffs_and_exponents_are_plain(self):
        z = mcx.perturb(np.eye(2), np.ones((2, 2)))
        with pytest.raises(mcx.UnsupportedFunctionError, match="must be plain"):
            linalg.pinv(z, z[0, 0])
        with pytest.raises(TypeError):
            linalg.matrix_power(z, 1.5)
        with pytest.raises(TypeError):
            linalg.matrix_power(z, z[0, 0])
