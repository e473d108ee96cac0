"""Singular values and singular vectors, in every plane."""

import numpy as np
import pytest
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
    symmetric,
    turned,
    whole,
)
from mpmath import mp

import mcx
from mcx.rules import singular_values
from mcx.verbs import Lifted, primitive

linalg = np.linalg
dtypes = pytest.mark.parametrize("dtype", DTYPES)
SHAPES = ((2, 4, 4), (5, 3), (3, 5), (2, 2, 6, 3), (1, 1), (3, 1), (1, 3))
VALUES = (4, 2.5, 1.5, 0.5)


class TestSingularValues:
    @dtypes
    @pytest.mark.parametrize("shape", SHAPES, ids=str)
    @pytest.mark.parametrize("full", [False, True])
    def test_identities_in_every_plane(self, dtype, shape, full, rng):
        """A V = U S, Aᴴ U = V S, orthonormal columns and a real entry determine all planes."""
        z = number(rng, spread(rng, shape, dtype, VALUES))
        u, s, vh = linalg.svd(z, full_matrices=full)
        (m, n), k = shape[-2:], min(shape[-2:])
        assert s.dtype.kind == "f"
        v, scale = adjoint(vh), size(adjoint(u), z, adjoint(vh))
        assert_zero(z @ v[..., :k] - u[..., :k] * s[..., None, :], scale)
        assert_zero(adjoint(z) @ u[..., :k] - v[..., :k] * s[..., None, :], scale)
        for q in (u, v):
            assert_zero(adjoint(q) @ q - np.eye(q.shape[-1], dtype=dtype), scale)
            rest = q[..., k:]
            assert_zero(np.triu(adjoint(rest.value) @ rest, 1), scale)
        entries = v[..., 0, :k] if m >= n else u[..., 0, :k]
        assert_zero(np.imag(entries), scale)

    @dtypes
    @pytest.mark.parametrize("shape", [(3, 3), (4, 2), (2, 4)], ids=str)
    def test_series_against_mpmath(self, dtype, shape, rng):
        a, p = spread(rng, shape, dtype, VALUES), random(rng, shape, dtype) / 2
        u, s, vh = mcx.taylor(lambda x: linalg.svd(x, full_matrices=False), a, p, order=4)

        def parts(x):
            left, values, right = mp.svd_c(x, full_matrices=False)
            pairs = np.concatenate([array(left), np.vectorize(mp.conj)(array(right).T)])
            like = np.concatenate([u[0], vh[0].conj().T])
            place = None if np.dtype(dtype).kind == "f" else shape[0] * (shape[0] >= shape[1])
            values = np.array(list(values), dtype=object)[None]
            return np.concatenate([values, turned(pairs, like, place)])

        expected = series(parts, a, p)
        assert_series(s, expected[:, 0], 50)
        assert_series(u, expected[:, 1 : shape[0] + 1], 200)
        assert_series(adjoint(vh), expected[:, shape[0] + 1 :], 200)
        for found in (
            mcx.taylor(linalg.svdvals, a, p, order=4),
            mcx.taylor(lambda x: linalg.svd(x, compute_uv=False), a, p, order=4),
        ):
            assert_series(found, expected[:, 0], 50)

    def test_small_singular_values_relative_to_the_norm(self, rng):
        a = spread(rng, (4, 4), "float64", (1, 1e-3, 1e-6, 1e-9))
        p = rng.normal(size=(4, 4)) * 1e-10
        found = mcx.taylor(linalg.svdvals, a, p, order=2)
        expected = series(lambda x: list(mp.svd_r(x, compute_uv=False)), a, p, 2)[:, :]
        np.testing.assert_allclose(found[1], expected[1].real, rtol=0, atol=1e-10 * 1e-6)

    @pytest.mark.parametrize("shape", [(3, 3), (4, 3), (3, 4), (4, 4), (5, 3)], ids=str)
    @pytest.mark.parametrize("dtype", ["float64", "complex128", "float32"])
    def test_low_rank(self, shape, dtype, rng):
        """Nonzero singular values and their vectors at every order; those of zeros are NaN."""
        m, n = shape
        a = spread(rng, shape, "float64", (3, 1, 0, 0)).astype(dtype)
        p = random(rng, shape, dtype) / 2
        with pytest.warns(RuntimeWarning, match=r"linalg\.svd: singular values"):
            u, s, vh = mcx.taylor(linalg.svd, a, p, order=4)
        expected = series(lambda x: list(mp.svd_c(x, compute_uv=False))[:2], a, p)
        assert_series(s[:, :2], expected, 100)
        assert np.all(np.isnan(s[1:, 2:]))
        v = adjoint(vh)
        for k in range(5):  # A V = U S
            residual = a @ v[k][:, :2] + (p @ v[k - 1][:, :2] if k else 0)
            residual = residual - sum(u[j][:, :2] * s[k - j, :2] for j in range(k + 1))
            assert np.max(abs(residual)) < 200 * np.finfo(dtype).eps * max(
                1, np.max(abs(u[k][:, :2]))
            )
        alone = [d - 2 == 1 and dtype != "complex128" for d in (m, n)]
        for q, one in zip((u, v), alone, strict=True):
            assert np.all(np.isfinite(q[1:, :, 2:]) if one else np.isnan(q[1:, :, 2:]))
            if one:  # determined by the columns before it
                for k in range(1, 5):
                    products = sum(adjoint(q[j]) @ q[k - j] for j in range(k + 1))
                    assert np.max(abs(products)) < 1e4 * np.finfo(dtype).eps

    def test_repeated_singular_values(self, rng):
        a = spread(rng, (2, 4, 3), "float64", (3, 3, 1))
        a[1] = spread(rng, (4, 3), "float64", (3, 2, 1))
        p = rng.normal(size=a.shape)
        with pytest.warns(RuntimeWarning, match="repeated"):
            s = linalg.svdvals(mcx.perturb(a, p, p))
        alone = linalg.svdvals(mcx.perturb(a[1], p[1], p[1]))
        np.testing.assert_allclose(s.planes[:, 1], alone.planes, rtol=1e-12)
        assert np.all(np.isnan(s.planes[1:, 0, :2]))
        expected = series(lambda x: [mp.svd_r(x, compute_uv=False)[2]], a[0], p[0], 2)
        np.testing.assert_allclose(s.im(1, 2)[0, 2], 2 * expected[2, 0].real, rtol=1e-12)

    @pytest.mark.parametrize("dtype", ["float64", "complex128"])
    def test_hermitian(self, dtype, rng):
        z = number(rng, symmetric(rng, dtype))
        a = whole(z)
        u, s, vh = linalg.svd(z, hermitian=True)
        assert_zero((u * s) @ vh - a, size(u, a, vh))
        assert_zero(adjoint(u) @ u - np.eye(4), size(adjoint(u), u))
        np.testing.assert_allclose(s.planes, linalg.svdvals(a).planes, atol=1e-11)
        only = linalg.svd(z, compute_uv=False, hermitian=True)
        np.testing.assert_array_equal(only.planes[1:], s.planes[1:])

    def test_hermitian_with_opposite_eigenvalues(self):
        """Singular values 1, 1 are repeated, the eigenvectors for 1 and −1 are not."""
        z = mcx.perturb(np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([[1.0, 0.0], [0.0, 0.0]]))
        with pytest.warns(RuntimeWarning, match="repeated"):
            u, s, _ = linalg.svd(z, hermitian=True)
        assert np.all(np.isnan(s.im(1)))
        assert np.all(np.isfinite(u.im(1)))

    def test_options_are_those_of_numpy(self, rng):
        a = rng.normal(size=(3, 5, 4))
        z = mcx.perturb(a, a)
        for full in (True, False):
            for y, v in zip(linalg.svd(z, full), linalg.svd(a, full), strict=True):
                np.testing.assert_array_equal(y.value, v)
        assert type(linalg.svd(z)) is type(linalg.svd(a))
        assert type(linalg.eigh(z[:, :4])) is type(linalg.eigh(a[:, :4]))
        np.testing.assert_array_equal(
            linalg.svd(z, compute_uv=False).value, linalg.svd(a, compute_uv=False)
        )


class TestChecks:
    """A planted error is caught."""

    @pytest.mark.parametrize("part", range(3))
    def test_singular_vectors_slightly_wrong(self, part, monkeypatch, rng):
        right = singular_values._differential

        def wrong(state, *args):
            push = right(state, *args)
            return lambda da: [t * (1.001 if k == part else 1) for k, t in enumerate(push(da))]

        broken = primitive(lambda a, *state: state, Lifted(wrong))
        monkeypatch.setattr(singular_values, "_thin", broken)
        with pytest.raises(AssertionError, match="off by"):
            TestSingularValues().test_identities_in_every_plane("float32", (5, 3), False, rng)
        with pytest.raises(AssertionError, match="off by"):
            TestSingularValues().test_series_against_mpmath("float32", (4, 2), rng)
