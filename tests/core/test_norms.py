"""Norms of matrices and condition numbers by singular values, norms that count."""

import numpy as np
import pytest
from core.checkers import assert_same_value
from core.representations import assert_near_planes, assert_near_series, series
from mpmath import mp

import mcx

linalg = np.linalg


class TestNormsAndConditions:
    POINT = np.array([[1.5, -0.25, 0.5], [0.75, 2.0, -1.0], [-0.5, 0.125, 1.0]])
    DIRECTION = np.array([[0.5, 1.0, -2.0], [1.5, -0.75, 0.25], [1.0, 1.0, 0.5]])

    @staticmethod
    def singular_values(a):
        return sorted(mp.svd_r(a, compute_uv=False), reverse=True)

    @pytest.mark.parametrize(
        ("call", "oracle"),
        [
            (lambda a: linalg.norm(a, 2), lambda s: s[0]),
            (lambda a: linalg.matrix_norm(a, ord=-2), lambda s: s[-1]),
            (lambda a: linalg.norm(a, "nuc"), sum),
            (linalg.cond, lambda s: s[0] / s[-1]),
            (lambda a: linalg.cond(a, -2), lambda s: s[-1] / s[0]),
            (lambda a: linalg.cond(a, "nuc"), lambda s: sum(s) * sum(1 / x for x in s)),
        ],
    )
    def test_by_singular_values(self, call, oracle):
        expected = series(
            lambda a: oracle(self.singular_values(a)), self.POINT, self.DIRECTION, 4
        )  # fmt: skip
        got = mcx.taylor(call, self.POINT, self.DIRECTION, order=4)
        assert_near_series(got, expected, 1e-13)

    def test_nuclear_norm_at_repeated_singular_values(self):
        expected = series(lambda a: sum(self.singular_values(a)), np.eye(3), self.DIRECTION, 4)
        got = mcx.taylor(lambda a: linalg.norm(a, "nuc"), np.eye(3), self.DIRECTION, order=4)
        assert_near_series(got, expected, 1e-13)

    @pytest.mark.parametrize("shape", [(3, 3), (4, 3), (2, 3)])
    def test_nuclear_norm_at_a_small_singular_value(self, shape, rng):
        a, p = np.eye(*shape), rng.normal(size=shape)
        a[1, 1] = 2.0**-10
        expected = series(lambda a: sum(self.singular_values(a)), a, p, 4)
        got = mcx.taylor(lambda a: linalg.norm(a, "nuc"), a, p, order=4)
        assert_near_series(got, expected, 1e-14)

    def test_nuclear_norm_at_a_singular_value_zero(self, rng):
        a, p = np.diag([1.0, 0.0]), rng.normal(size=(2, 2))
        expected = [1.0, p[0, 0], (p[0, 1] ** 2 + p[1, 0] ** 2) / 2]  # those of the other one
        got = mcx.taylor(lambda a: linalg.norm(a, "nuc"), a, p, order=2)
        np.testing.assert_allclose(got, expected, rtol=1e-14)

    def test_nuclear_norm_of_complex_matrices(self, rng):
        a, p = rng.normal(size=(2, 2, 2)) + 1j * rng.normal(size=(2, 2, 2))
        z = mcx.perturb(a, p, p, p)
        det = z[0, 0] * z[1, 1] - z[0, 1] * z[1, 0]
        squares = np.sum(z.real**2 + z.imag**2)
        expected = np.sqrt(squares + 2 * np.abs(det))  # of 2 × 2 matrices
        assert_near_planes(linalg.norm(z, "nuc"), expected.planes, linalg.cond(a))

    def test_at_zero(self):
        z = mcx.perturb(np.zeros((2, 3)), np.ones((2, 3)), np.ones((2, 3)))
        assert not np.any(linalg.norm(z, "nuc").planes)

    def test_order_zero_counts(self):
        z = mcx.perturb(np.array([[1.0, 0.0], [2.0, 3.0]]), np.ones((2, 2)))
        counts = linalg.norm(z, 0, axis=0)
        np.testing.assert_array_equal(counts.planes, [[2, 1], [0, 0]])

    def test_condition_of_singular_matrices_is_infinite_and_has_no_derivative(self):
        a = np.stack([np.eye(2), np.zeros((2, 2)), np.diag([1.0, 2.0])])
        for p in (1, "fro", np.inf):
            z = linalg.cond(mcx.perturb(a, np.ones_like(a)), p)
            assert_same_value(z, linalg.cond(a, p))
            np.testing.assert_array_equal(np.isfinite(z.im(1)), [True, False, True])

    def test_nothing_is_as_long_as_for_numpy(self):
        z = mcx.perturb(np.zeros((2, 0)), np.zeros((2, 0)))
        for order in (None, 2, 1, np.inf, "fro", "nuc"):
            assert_same_value(linalg.norm(z, order), linalg.norm(z.value, order))
        for order in (2, 1, 0, 3):
            norms = linalg.vector_norm(z, axis=1, ord=order)
            assert_same_value(norms, linalg.vector_norm(z.value, axis=1, ord=order))
        with pytest.raises(linalg.LinAlgError, match="empty"):
            linalg.cond(z)

    @pytest.mark.parametrize(("order", "axis"), [("nuc", 0), (3, (0, 1)), ("x", None), (2, (0, 0))])
    def test_what_is_no_norm_is_the_error_of_numpy(self, order, axis):
        z = mcx.perturb(np.ones((2, 2)), np.ones((2, 2)))
        with pytest.raises(ValueError) as theirs:  # noqa: PT011 - NumPy says what
            linalg.norm(z.value, order, axis)
        with pytest.raises(ValueError, match=str(theirs.value).split("'")[0]):
            linalg.norm(z, order, axis)

    def test_rank_is_plain(self, rng):
        z = mcx.perturb(np.diag([1.0, 0.0, 2.0]), rng.normal(size=(3, 3)))
        assert linalg.matrix_rank(z) == 2
        assert not isinstance(linalg.matrix_rank(z), mcx.Multicomplex)


@pytest.mark.parametrize("ord", [2, -2, 1, -1, np.inf, -np.inf, "fro", "nuc", None])
def test_norms_of_a_matrix_of_zeros_have_gradient_zero(ord):
    """The others of the stack keep theirs."""
    stack = np.stack([np.zeros((2, 3)), [[3.0, 1.0, 0.5], [0.25, -1.0, 2.0]], np.zeros((2, 3))])
    slopes = mcx.jacobian(lambda x: np.linalg.norm(x, ord, axis=(-2, -1)), stack)
    one = mcx.gradient(lambda x: np.linalg.norm(x, "fro" if ord is None else ord), stack[1])
    expected = np.zeros((3, *stack.shape))
    expected[1, 1] = one
    np.testing.assert_allclose(slopes, expected, rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize("ord", [1, 1.5, 2, 3, np.inf, -np.inf])
def test_norms_of_a_vector_of_zeros_have_gradient_zero(ord):
    np.testing.assert_array_equal(mcx.gradient(lambda x: np.linalg.norm(x, ord), np.zeros(3)), 0)
