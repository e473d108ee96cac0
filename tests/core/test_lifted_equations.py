"""Factorizations by their equations: every algebra, NumPy's value computed once."""

import numpy as np
import pytest
from core import test_factorizations as checks
from core.matrices import DTYPES, adjoint, assert_zero, random, size, symmetric

import mcx
from mcx import dispatch
from mcx.array import Multicomplex
from mcx.rules import factorizations, matrices
from mcx.support import supported
from mcx.verbs import Implicit, primitive

linalg = np.linalg
positive = checks.positive


def powers(rng, shape, dtype):
    """Return powers of two."""
    return (2.0 ** rng.integers(-12, 12, shape)).astype(dtype)


class TestByDegrees:
    """What the equation of a factorization asks of the verb, whatever the algebra."""

    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize("n", [1, 48, 49, 130])
    def test_triangular_inverse(self, dtype, n, rng):
        a = np.triu(random(rng, (2, n, n), dtype), 1) / n + np.eye(n, dtype=dtype) * 2
        inverse = matrices.triangular_inverse(a)
        assert inverse.dtype == dtype
        np.testing.assert_array_equal(np.tril(inverse, -1), 0)
        bound = 2 * n * float(np.finfo(dtype).eps) * (abs(a) @ abs(inverse))
        assert np.all(abs(a @ inverse - np.eye(n)) <= bound)
        rows, columns = powers(rng, (2, n), dtype)
        scaled = matrices.triangular_inverse(a * rows[:, None] * columns)
        np.testing.assert_array_equal(scaled * rows * columns[:, None], inverse)

    @pytest.mark.parametrize("dtype", DTYPES)
    def test_scales_of_rows_and_columns(self, dtype, rng):
        """The derivatives of D A D and A D are those of A, scaled, bit for bit."""
        a, p = positive(rng, dtype), random(rng, (4, 4), dtype)
        scale = powers(rng, (4,), dtype)
        for upper in (False, True):

            def cholesky(x, upper=upper):
                return linalg.cholesky(x, upper=upper)

            both = scale[:, None] * scale
            found = mcx.taylor(cholesky, a * both, p * both, order=3)
            expected = mcx.taylor(cholesky, a, p, order=3)
            expected = expected * (scale if upper else scale[:, None])
            np.testing.assert_array_equal(found, expected)
        found = mcx.taylor(linalg.qr, a * scale, p * scale, order=3)
        q, r = mcx.taylor(linalg.qr, a, p, order=3)
        np.testing.assert_array_equal(found[0], q)
        np.testing.assert_array_equal(found[1], r * scale)

    @pytest.mark.parametrize("upper", [False, True])
    def test_large_matrices(self, upper, rng):
        b = rng.normal(size=(70, 70))
        p = b + b.T
        a = b @ b.T / 70 + np.eye(70)
        z = mcx.perturb(a, p, p, p)
        factor = linalg.cholesky(z, upper=upper)
        lower = adjoint(factor) if upper else factor
        assert_zero(lower @ adjoint(lower) - z, size(lower, adjoint(lower)))
        q, r = linalg.qr(z)
        assert_zero(q @ r - z, size(q, r))
        assert_zero(adjoint(q) @ q - np.eye(70), size(adjoint(q), q))

    @pytest.mark.parametrize("func", [linalg.cholesky, lambda a: linalg.qr(a)[0]])
    def test_nested_and_recorded(self, func, rng):
        """One mixed derivative in six ways; a direction that is not there costs no plane."""
        a, (p, s) = positive(rng, "float64"), rng.normal(size=(2, 4, 4))
        p, s = p + p.T, s + s.T

        def nested(p, s):
            return mcx.jvp(lambda y: mcx.jvp(func, y, p)[1], a, s)[1]

        def recorded(p, s):
            return mcx.jvp(lambda y: mcx.linearize(func, y)[1](p), a, s)[1]

        def twice(p, s):
            return mcx.linearize(lambda y: mcx.linearize(func, y)[1](p), a)[1](s)

        z = func(mcx.perturb(a, p, None, s))
        assert z.live == 0b1111  # units 1 and 3 alone
        expected = z.im(1, 3)
        both = mcx.taylor(func, a, p + s, 2)[2] - mcx.taylor(func, a, p - s, 2)[2]
        ways = (way(*d) for way in (nested, recorded, twice) for d in ((p, s), (s, p)))
        for found in (*ways, both / 2):
            np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-13)

    def test_planes_that_are_zero_stay_out(self, rng):
        """Of t and s where the matrix moves with t s alone: no plane of t, s or their powers."""
        a, p = positive(rng, "float64"), positive(rng, "float64")
        algebra = mcx.perturb(a, p, p).algebra
        z = Multicomplex(np.stack([a, 0 * a, 0 * a, p]), algebra, supported(0b1001, algebra))
        factor = linalg.cholesky(z)
        assert factor.live == 0b1001
        expected = mcx.jvp(linalg.cholesky, a, p)[1]
        np.testing.assert_allclose(factor.im(1, 2), expected, rtol=1e-13, atol=1e-15)

    def test_hessian_blocks(self, rng):
        """Hessians in blocks of directions against differences of gradients."""
        a = positive(rng, "float64", (3, 3))
        weights = np.tril(rng.normal(size=(3, 3)))

        def f(x):
            return np.sum(weights * linalg.cholesky(a + x * np.eye(3) + np.diag(x**2)))

        x, step = rng.normal(size=3) / 8, 1e-4
        slope = [
            (mcx.gradient(f, x + step * e) - mcx.gradient(f, x - step * e)) / (2 * step)
            for e in np.eye(3)
        ]
        np.testing.assert_allclose(mcx.hessian(f, x), slope, rtol=1e-6, atol=1e-6)


class TestDecomposition:
    def test_numpy_is_called_once(self, rng):
        """However deep recordings are nested."""
        calls = []

        def double(a):
            calls.append(a)
            return a * 2

        rule = matrices.Decomposition(lambda value, a: a * (value / a.value))

        def f(z):
            return rule.apply(double, (z,), {})

        mcx.jvp(lambda y: mcx.linearize(f, y)[1](y), 3.0, 1.0)
        assert len(calls) == 1

    @pytest.mark.parametrize("func", [linalg.qr, linalg.eigh, linalg.svd], ids=lambda f: f.__name__)
    def test_writing_into_a_recorded_result(self, func, rng):
        """It does not change what the program keeps."""
        a, p = symmetric(rng, "float64"), rng.normal(size=(4, 4))
        p = p + p.T

        def f(x):
            parts = func(x)
            kept = [part * 1.0 for part in parts]
            for part in parts:
                part[...] = 7.0
            return kept

        for found, expected in zip(mcx.linearize(f, a)[1](p), mcx.jvp(func, a, p)[1], strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-13)


def _scaled(defect, scales):
    """Return a defect whose parts are multiplied by some factors."""
    return lambda *args, **kwargs: [
        s * part for s, part in zip(scales, defect(*args, **kwargs), strict=True)
    ]


class TestChecks:
    """A planted error is caught."""

    @pytest.mark.parametrize("wrong", [0, 0.999])
    def test_a_wrong_defect_of_cholesky(self, wrong, monkeypatch, rng):
        rule = dispatch.RULES[linalg.cholesky]
        monkeypatch.setattr(rule, "defect", _scaled(rule.defect, (wrong,)))
        with pytest.raises(AssertionError, match="off by"):
            checks.TestCholesky().test_identities_in_every_plane("float32", False, rng)

    @pytest.mark.parametrize("scales", [(0.999, 1), (1, 0.999), (1, 0)], ids=str)
    def test_a_wrong_defect_of_qr(self, scales, monkeypatch, rng):
        defect = _scaled(factorizations._orthogonal, scales)
        broken = primitive(lambda a, q, r, *_: (q, r), Implicit(defect, factorizations._qr))
        monkeypatch.setattr(factorizations, "_reduced", broken)
        with pytest.raises(AssertionError, match="off by"):
            checks.TestQR().test_identities_in_every_plane("float32", (5, 3), "reduced", rng)
