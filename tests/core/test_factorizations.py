"""Cholesky and QR factorizations, roots and characteristic polynomials, in every plane."""

import warnings

import numpy as np
import pytest
from core.checkers import leaves
from core.matrices import (
    DTYPES,
    adjoint,
    array,
    assert_series,
    assert_zero,
    number,
    random,
    series,
    size,
    spread,
    whole,
)
from mpmath import mp

import mcx
from mcx import dispatch
from mcx.array import Multicomplex

linalg = np.linalg
dtypes = pytest.mark.parametrize("dtype", DTYPES)
SHAPES = ((2, 4, 4), (5, 3), (3, 5), (2, 2, 6, 3), (1, 1), (4, 1), (1, 4))


def positive(rng, dtype, shape=(4, 4)):
    """Return Hermitian matrices with eigenvalues between 1 and 9."""
    b = spread(rng, shape, dtype, (1, 1.5, 2.25, 3))
    a = b @ adjoint(b)
    return ((a + adjoint(a)) / 2).astype(dtype)


def magnitude(z):
    return Multicomplex(abs(z.planes), z.algebra)


class TestCholesky:
    @dtypes
    @pytest.mark.parametrize("upper", [False, True])
    def test_identities_in_every_plane(self, dtype, upper, rng):
        """L Lᴴ = A, L lower triangular with a real diagonal: these determine all planes."""
        z = number(rng, positive(rng, dtype, (2, 4, 4)))
        a = whole(z, upper)
        factor = linalg.cholesky(z, upper=upper)
        lower = adjoint(factor) if upper else factor
        np.testing.assert_array_equal(np.triu(lower, 1).planes, 0)
        np.testing.assert_array_equal(np.diagonal(lower.planes, axis1=-2, axis2=-1).imag, 0)
        assert_zero(lower @ adjoint(lower) - a, size(lower, adjoint(lower)))

    @dtypes
    def test_series_against_mpmath(self, dtype, rng):
        a, p = positive(rng, dtype), positive(rng, dtype) / 4
        found = mcx.taylor(linalg.cholesky, a, p, order=4)
        assert_series(found, series(lambda x: array(mp.cholesky(x)), a, p), 20)

    def test_ill_conditioned(self, rng):
        """The error grows with the condition number (1.5e10 for this Hilbert matrix) at most."""
        k = np.arange(8)
        a = 1 / (1.0 + k[:, None] + k)
        p = a * rng.uniform(-0.5, 0.5, (8, 1)) * 1e-9
        p = p + p.T
        found = mcx.taylor(linalg.cholesky, a, p, order=2)
        assert_series(found, series(lambda x: array(mp.cholesky(x)), a, p, 2), 50 * 1.5e10)

    def test_one_triangle_is_read(self, rng):
        z = number(rng, positive(rng, "float64"))
        np.testing.assert_array_equal(linalg.cholesky(z).planes, linalg.cholesky(np.tril(z)).planes)
        np.testing.assert_array_equal(
            linalg.cholesky(z, upper=True).planes, linalg.cholesky(np.triu(z), upper=True).planes
        )

    def test_not_positive_definite(self):
        with pytest.raises(linalg.LinAlgError):
            linalg.cholesky(mcx.perturb(-np.eye(2), np.eye(2)))

    def test_logarithm_of_the_determinant(self, rng):
        """Hessian of log det A = 2 Σ log L_ii: −tr(A⁻¹ P A⁻¹ Q)."""
        a = positive(rng, "float64")

        def logdet(x):
            return 2 * np.sum(np.log(np.diagonal(linalg.cholesky(x.reshape(4, 4)))))

        units = [(e + e.T).reshape(4, 4) / 2 for e in np.eye(16).reshape(16, 4, 4)]
        inverse = linalg.inv(a)
        expected = [[-np.trace(inverse @ p @ inverse @ q) for q in units] for p in units]
        hessian = mcx.hessian(
            lambda x: logdet((x.reshape(4, 4) + x.reshape(4, 4).T) / 2), a.ravel()
        )
        np.testing.assert_allclose(hessian, expected, rtol=1e-12, atol=1e-13)


class TestQR:
    @dtypes
    @pytest.mark.parametrize("shape", SHAPES, ids=str)
    @pytest.mark.parametrize("mode", ["reduced", "complete"])
    def test_identities_in_every_plane(self, dtype, shape, mode, rng):
        """Q R = A, Qᴴ Q = I, R upper triangular with a real diagonal, and the gauge of the rest."""
        z = number(rng, spread(rng, shape, dtype, (3, 2, 1.5, 1)))
        q, r = linalg.qr(z, mode)
        assert_zero(q @ r - z, size(q, r))
        eye = np.eye(q.shape[-1], dtype=dtype)
        assert_zero(adjoint(q) @ q - eye, size(adjoint(q), q))
        assert not np.any(np.tril(r, -1).planes)
        diagonal = np.diagonal(r.planes, axis1=-2, axis2=-1)
        assert np.max(abs(diagonal.imag)) <= 50 * np.finfo(dtype).eps * np.max(abs(diagonal))
        k = min(shape[-2:])
        rest = q[..., k:]  # NumPy's, projected and orthonormalized in order
        coordinates = adjoint(rest.value) @ rest
        assert_zero(np.triu(coordinates, 1), size(adjoint(rest), rest))
        phases = np.imag(np.diagonal(coordinates, axis1=-2, axis2=-1))
        assert_zero(phases, size(adjoint(rest), rest))

    @dtypes
    @pytest.mark.parametrize("shape", [(3, 3), (4, 2), (2, 4)], ids=str)
    def test_series_against_mpmath(self, dtype, shape, rng):
        a, p = spread(rng, shape, dtype, (3, 2, 1)), random(rng, shape, dtype)
        k = min(shape)
        r0 = linalg.qr(a)[1]

        def factors(x):
            q, r = mp.qr(x[:, :k], mode="skinny")
            q, r = array(q), array(r)
            for i in range(k):
                q[:, i] *= r[i, i] / abs(r[i, i]) * np.sign(r0[i, i].real)
            return np.concatenate([q.ravel(), (np.vectorize(mp.conj)(q.T) @ array(x)).ravel()])

        q, r = mcx.taylor(linalg.qr, a, p, order=4)
        expected = series(factors, a, p)
        assert_series(q, expected[:, : q[0].size].reshape(q.shape), 100)
        assert_series(r, expected[:, q[0].size :].reshape(r.shape), 100)

    def test_singular_square_matrix_keeps_its_derivatives(self, rng):
        """Real Q is determined by all columns but the last."""
        a = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 9.0], [7.0, 8.0, 15.0]])  # a₃ = a₁ + a₂
        p = rng.normal(size=(3, 3))
        q, r = mcx.taylor(linalg.qr, a, p, order=3)
        z = mcx.perturb(a, p, p, p)
        q, r = linalg.qr(z)
        assert_zero(q @ r - z, size(q, r))
        assert_zero(q.T @ q - np.eye(3), size(q.T, q))

    @pytest.mark.parametrize("scale", [1.0, 1e-20])
    def test_dependent_columns_are_nan_with_a_warning(self, scale, rng):
        full = rng.normal(size=(4, 2))
        a = np.stack([full, full[:, :1] * np.array([1.0, 3.0])]) * np.array([1.0, scale])
        with pytest.warns(RuntimeWarning, match=r"linalg\.qr: columns linearly dependent"):
            q, r = linalg.qr(mcx.perturb(a, rng.normal(size=a.shape)))
        np.testing.assert_array_equal(q.value, linalg.qr(a)[0])
        for y in (q, r):
            assert np.all(np.isnan(y.im(1)[1]))
            assert np.all(np.isfinite(y.im(1)[0]))

    def test_least_squares_does_not_see_the_gauge(self, rng):
        """A function of the columns that mode "complete" adds: the residual, at order 4."""
        a, b, p = rng.normal(size=(6, 2)), rng.normal(size=6), rng.normal(size=(6, 2))

        def by_complement(x):
            rest = linalg.qr(x, "complete")[0][:, 2:]
            return np.sum((rest.T @ b) ** 2)

        def by_normal_equations(x):
            return b @ b - (x.T @ b) @ linalg.inv(x.T @ x) @ (x.T @ b)

        found = mcx.taylor(by_complement, a, p, order=4)
        np.testing.assert_allclose(
            found, mcx.taylor(by_normal_equations, a, p, order=4), rtol=1e-11, atol=1e-11
        )

    def test_complement_is_a_function(self, rng):
        """Mixed derivatives do not depend on the order of nesting, nor on how they are taken."""
        x = rng.normal(size=(4, 2))
        p, s = rng.normal(size=(2, 4, 2))
        c = rng.normal(size=(4, 4))

        def f(x):
            return np.sum(c * linalg.qr(x, "complete")[0])

        def nested(p, s):
            return mcx.jvp(lambda y: mcx.jvp(f, y, p)[1], x, s)[1]

        def recorded(p, s):
            return mcx.jvp(lambda y: mcx.linearize(f, y)[1](p), x, s)[1]

        expected = mcx.directional(f, x, p, s)
        for found in (nested(p, s), nested(s, p), recorded(p, s), recorded(s, p)):
            np.testing.assert_allclose(found, expected, rtol=1e-11)

    @pytest.mark.parametrize("mode", ["raw", "economic", "full"])
    def test_other_modes_are_refused(self, mode):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            with pytest.raises(mcx.UnsupportedFunctionError, match=f"mode='{mode}' has no rule"):
                linalg.qr(mcx.perturb(np.eye(2), np.eye(2)), mode)

    def test_unknown_mode(self):
        with pytest.raises(ValueError, match="Unrecognized mode"):
            linalg.qr(mcx.perturb(np.eye(2), np.eye(2)), "smart")


class TestRoots:
    @dtypes
    def test_p_of_z_vanishes_in_every_plane(self, dtype, rng):
        p = number(rng, random(rng, (6,), dtype))
        z = np.roots(p)
        y, scale = np.zeros_like(z), 0
        for c in p:
            y, scale = y * z + c, scale * magnitude(z) + magnitude(c)
        assert_zero(y, scale)

    @dtypes
    def test_series_against_mpmath(self, dtype, rng):
        c, p = random(rng, (5,), dtype), random(rng, (5,), dtype) / 8
        found = mcx.taylor(np.roots, c, p, order=4)

        def roots(x):
            z = mp.polyroots(list(x), maxsteps=400, extraprec=600)
            return [min(z, key=lambda y: abs(y - complex(start))) for start in found[0]]

        assert_series(found, series(roots, [c], [p]), 50)

    def test_quadratic_in_closed_form(self):
        b, c = 3.0, 1.0  # of x² − b x + c, by b: z' = z/(2z − b), z'' = (2z' − 2z'²)/(2z − b)
        z = np.roots(mcx.perturb(np.array([1.0, -b, c]), *2 * [np.array([0.0, -1.0, 0.0])]))
        slope = z.value / (2 * z.value - b)
        np.testing.assert_allclose(z.im(1), slope, rtol=1e-15)
        np.testing.assert_allclose(
            z.im(1, 2), (2 * slope - 2 * slope**2) / (2 * z.value - b), rtol=1e-15
        )

    def test_zeros_at_the_ends_move_roots(self):
        """(t x + 1)(x − 1)(x − 2)(x + t) at t = 0: roots 1 and 2 stay, 0 moves, one is infinite."""

        def roots(t):
            p = np.convolve(np.stack([t, t * 0 + 1]), np.array([1.0, -3.0, 2.0]))
            return np.roots(np.convolve(p, np.stack([t * 0 + 1, t])))

        z = roots(mcx.perturb(np.float64(0), *[np.float64(1)] * 3))
        np.testing.assert_array_equal(z.value, [2, 1, 0])
        np.testing.assert_allclose(z.im(1), [0, 0, -1], atol=1e-15)
        for units in ((1, 2), (1, 2, 3)):
            np.testing.assert_allclose(z.im(*units), 0, atol=1e-14)

    def test_roots_zero_whose_coefficients_stay(self):
        z = np.roots(mcx.perturb(np.array([1.0, -3.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0, 0.0])))
        np.testing.assert_array_equal(z.planes, [[3, 0, 0], [-1, 0, 0]])

    @pytest.mark.parametrize(
        ("given", "simple"),
        [((1, 1, 3), [3]), ((2, 2, 2), []), ((0, 0, 5), [5]), ((1.5, 1.5, -2, -2, 7), [7])],
        ids=str,
    )
    @pytest.mark.parametrize("dtype", ["float32", "float64", "complex128"])
    def test_multiple_roots_are_nan_with_a_warning(self, given, simple, dtype):
        p = np.poly(np.array(given, dtype)).astype(dtype)
        with pytest.warns(RuntimeWarning, match=r"numpy\.roots: roots multiple"):
            z = np.roots(mcx.perturb(p, np.ones_like(p)))
        np.testing.assert_array_equal(z.value, np.roots(p))
        kept = ~np.isnan(z.im(1))
        assert kept.sum() == len(simple)
        np.testing.assert_allclose(z.value[kept], simple, rtol=1e-4)
        slope = np.polyval(np.polyder(p), z.value[kept])
        expected = -np.polyval(np.ones(len(p)), z.value[kept]) / slope
        np.testing.assert_allclose(
            z.im(1)[kept], expected, rtol=1e-3 if dtype == "float32" else 1e-9
        )

    @pytest.mark.parametrize("p", [[2.0], [0.0, 0.0], [3.0, 0.0]], ids=str)
    def test_few_coefficients(self, p):
        p = np.array(p)
        z = np.roots(mcx.perturb(p, np.ones_like(p)))
        np.testing.assert_array_equal(z.value, np.roots(p))
        np.testing.assert_allclose(z.im(1), -np.ones(len(z.value)) / 3)


class TestPoly:
    @dtypes
    def test_of_roots_against_products_of_linear_factors(self, dtype, rng):
        z = number(rng, random(rng, (5,), dtype))
        points = random(rng, (7,), dtype)
        c = np.poly(z)
        assert c.dtype == z.dtype
        left, right = np.zeros_like(points), np.ones_like(points)
        for k in range(6):
            left = left * points + c[k]
        scale = magnitude(points.astype(z.dtype) - z[0])
        for k in range(5):
            right = right * (points - z[k])
            scale = scale * magnitude(points - z[k]) if k else scale
        assert_zero(left - right, scale, 500)

    @dtypes
    def test_of_a_matrix_against_cayley_and_hamilton(self, dtype, rng):
        """p(A) = 0 determines the coefficients of a polynomial of degree n."""
        a = number(rng, random(rng, (4, 4), dtype))
        y, scale = 0 * a, magnitude(0 * a)
        eye = np.eye(4, dtype=dtype)
        for c in np.poly(a):
            y = y @ a + c * eye
            scale = scale @ magnitude(a) + magnitude(c) * abs(eye)
        assert_zero(y, scale)

    def test_of_a_matrix_with_repeated_eigenvalues(self, rng):
        """It is smooth there: c₁ = −tr A, c₂ = ½(tr² A − tr A²), c₃ = −det A."""
        z = mcx.perturb(np.eye(3), *rng.normal(size=(3, 3, 3)))
        trace, square = np.trace(z), np.trace(z @ z)
        cubic = (trace**3 - 3 * trace * square + 2 * np.trace(z @ z @ z)) / 6
        expected = np.stack([trace * 0 + 1, -trace, (trace**2 - square) / 2, -cubic])
        np.testing.assert_allclose(np.poly(z).planes, expected.planes, rtol=1e-13, atol=1e-13)

    def test_inverts_roots(self, rng):
        c = number(rng, np.array([1.0, -2.0, 3.5, 0.25, -1.0]))
        back = np.real(np.poly(np.roots(c))) * c[0]
        np.testing.assert_allclose(back.planes, c.planes, rtol=1e-12, atol=1e-11)

    def test_complex_roots_keep_complex_derivatives(self):
        """NumPy returns real coefficients here; their derivatives are not."""
        z = np.poly(mcx.perturb(np.array([1 + 2j, 1 - 2j]), np.array([1.0 + 0j, 0.0])))
        np.testing.assert_array_equal(z.value, [1, -2, 5])
        np.testing.assert_allclose(z.im(1), [0, -1, 1 - 2j], rtol=1e-15)

    def test_shapes(self):
        z = mcx.perturb(np.ones((2, 3)), np.ones((2, 3)))
        with pytest.raises(ValueError, match="1d or non-empty square 2d"):
            np.poly(z)
        assert np.poly(z[:0, 0]) == 1.0

    @pytest.mark.parametrize("func", [np.roots, np.poly], ids=lambda f: f.__name__)
    def test_lists_and_poly1d(self, func):
        z = mcx.perturb(np.array([1.0, -3.0, 1.5]), np.array([0.0, 1.0, 0.0]))
        expected = func(z).planes
        np.testing.assert_array_equal(func([1.0, z[1], 1.5]).planes, expected)
        np.testing.assert_array_equal(func((1, z[1], np.float64(1.5))).planes, expected)
        _, lin = mcx.linearize(lambda t: func([1.0, t, 1.5]), -3.0)
        np.testing.assert_array_equal(lin(1.0), expected[1])


@pytest.mark.parametrize("func", [linalg.cholesky, linalg.qr], ids=lambda f: f.__name__)
@pytest.mark.parametrize("shape", [(0, 0), (3, 0, 0), (0, 2, 2)], ids=str)
def test_empty_matrices(func, shape):
    value, result = func(np.zeros(shape)), func(mcx.perturb(np.zeros(shape), np.zeros(shape)))
    for y, v in zip(leaves(result), leaves(value), strict=True):
        np.testing.assert_array_equal(y.planes, np.stack([v, 0 * v]))


@pytest.mark.parametrize(
    "func",
    [linalg.cholesky, linalg.qr, linalg.eigh, linalg.eigvals, linalg.svd, np.roots, np.poly],
    ids=lambda f: f.__name__,
)
def test_exact_reading_is_refused(func):
    z = mcx.perturb(np.array([[2.0, 1.0], [1.0, 3.0]]), np.ones((2, 2)), h=1e-20)
    with pytest.raises(mcx.UnsupportedFunctionError, match=rf"^numpy\.\S*{func.__name__} .*exact"):
        func(z[0] if func is np.roots else z)


class TestChecks:
    """A planted error is caught."""

    def test_a_wrong_differential(self, monkeypatch, rng):
        rule = dispatch.RULES[linalg.cholesky]
        right = rule.differential

        def wrong(state, *args, **kwargs):
            push = right(state, *args, **kwargs)

            def other(da):
                (dl,) = push(da)
                return (np.tril(dl, -1) + 0.999 * np.tril(np.triu(dl)),)

            return other

        monkeypatch.setattr(rule, "differential", wrong)
        with pytest.raises(AssertionError, match="off by"):
            TestCholesky().test_identities_in_every_plane("float32", False, rng)
        with pytest.raises(AssertionError, match="off by"):
            TestCholesky().test_series_against_mpmath("float32", rng)
