"""Eigenvalues and eigenvectors, in every plane."""

import warnings

import numpy as np
import pytest
import sympy
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
    symmetric,
    turned,
    whole,
)
from mpmath import mp

import mcx
from mcx.rules import eigensystems
from mcx.verbs import Lifted, primitive

linalg = np.linalg
dtypes = pytest.mark.parametrize("dtype", DTYPES)


def general(rng, dtype, shape=(4, 4)):
    """Return matrices with well separated eigenvalues and well conditioned eigenvectors."""
    v = spread(rng, shape, dtype, (2, 1.5, 1.25, 1))
    return (v @ (np.array([-2, 0.25, 1, 3])[:, None] * linalg.inv(v))).astype(dtype)


def rotations(rng, dtype="float64"):
    """Return a real matrix with eigenvalues 1 ± 2i and -1 ± i."""
    v = spread(rng, (4, 4), dtype, (2, 1.5, 1.25, 1))
    blocks = np.array([[1, 2, 0, 0], [-2, 1, 0, 0], [0, 0, -1, 1], [0, 0, -1, -1.0]])
    return (v @ blocks @ linalg.inv(v)).astype(dtype)


class TestHermitian:
    @dtypes
    @pytest.mark.parametrize("uplo", ["L", "U", "l", "u"])
    def test_identities_in_every_plane(self, dtype, uplo, rng):
        """A V = V diag(w), Vᴴ V = I, and a real entry of each vector determine all planes."""
        z = number(rng, symmetric(rng, dtype, (2, 4, 4)))
        a = whole(z, uplo in "uU")
        w, v = linalg.eigh(z, UPLO=uplo)
        assert w.dtype.kind == "f"
        scaled = v * w[..., None, :]
        assert_zero(a @ v - scaled, size(a, v))
        assert_zero(adjoint(v) @ v - np.eye(4, dtype=dtype), size(adjoint(v), v))
        assert_zero(np.imag(v[..., -1 if uplo in "uU" else 0, :]), size(adjoint(v), v))
        np.testing.assert_allclose(
            linalg.eigvalsh(z, uplo).planes[1:],
            w.planes[1:],
            rtol=1e-6 * np.finfo(dtype).eps ** 0.5,
        )

    @dtypes
    def test_series_against_mpmath(self, dtype, rng):
        a, p = symmetric(rng, dtype), symmetric(rng, dtype)
        w, v = mcx.taylor(linalg.eigh, a, p, order=4)

        def system(x):
            values, vectors = mp.eighe(x) if np.dtype(dtype).kind == "c" else mp.eigsy(x)
            vectors = turned(array(vectors), v[0], 0 if np.dtype(dtype).kind == "c" else None)
            return np.concatenate([np.array(list(values), dtype=object)[None], vectors])

        expected = series(system, a, p)
        assert_series(w, expected[:, 0], 50)
        assert_series(v, expected[:, 1:], 100)

    def test_two_by_two_in_closed_form(self):
        """(a + d)/2 ± √((a − d)²/4 + b²), all derivatives to order 4 by SymPy."""
        names = a, b, d = sympy.symbols("a b d")
        point, direction = (1.0, 0.75, -0.5), (0.5, 1.0, -1.25)
        t = sympy.symbols("t")
        line = {n: sympy.Rational(x) + t * sympy.Rational(p)
                for n, x, p in zip(names, point, direction, strict=True)}  # fmt: skip
        root = sympy.sqrt((a - d) ** 2 / 4 + b**2)

        def matrix(x):
            return np.array([[x[0], x[1]], [x[1], x[2]]])

        found = mcx.taylor(linalg.eigvalsh, matrix(point), matrix(direction), order=4)
        for k, sign in enumerate((-1, 1)):
            f = ((a + d) / 2 + sign * root).subs(line)
            expected = [
                float(sympy.diff(f, t, j).subs(t, 0) / sympy.factorial(j)) for j in range(5)
            ]
            np.testing.assert_allclose(found[:, k], expected, rtol=1e-14, atol=1e-15)

    def test_hessian_against_perturbation_theory(self, rng):
        """D²w_i[P, Q] = 2 Σ_j (v_iᵀ P v_j)(v_jᵀ Q v_i) / (w_i − w_j)."""
        a = symmetric(rng, "float64", (3, 3))
        w, v = linalg.eigh(a)
        units = [(e + e.T) / 2 for e in np.eye(9).reshape(9, 3, 3)]
        rows = np.array([v.T @ p @ v[:, -1] for p in units])[:, :-1]
        expected = 2 * rows / (w[-1] - w[:-1]) @ rows.T

        def largest(x):
            return linalg.eigvalsh((x.reshape(3, 3) + x.reshape(3, 3).T) / 2)[-1]

        np.testing.assert_allclose(mcx.hessian(largest, a.ravel()), expected, atol=1e-14)
        nested = mcx.jacobian(lambda x: mcx.gradient(largest, x), a.ravel())
        np.testing.assert_allclose(nested, expected, atol=1e-14)
        _, lin = mcx.linearize(lambda x: mcx.gradient(largest, x), a.ravel())
        np.testing.assert_allclose(lin(np.eye(9)), expected, atol=1e-14)

    def test_vectors_of_real_and_imaginary_parts_are_functions(self, rng):
        """Phases too: mixed derivatives do not depend on how, or in which order, they are taken."""
        x, p, s = (symmetric(rng, "complex128", (3, 3)) for _ in range(3))

        def f(x):
            return linalg.eigh(x)[1]

        def nested(p, s):
            return mcx.jvp(lambda y: mcx.linearize(f, y)[1](p), x, s)[1]

        expected = mcx.directional(f, x, p, s)
        np.testing.assert_allclose(nested(p, s), expected, atol=1e-13)
        np.testing.assert_allclose(nested(s, p), expected, atol=1e-13)

    def test_unknown_triangle(self):
        with pytest.raises(ValueError, match="UPLO"):
            linalg.eigh(mcx.perturb(np.eye(2), np.eye(2)), "X")

    def test_vector_without_the_entry_that_is_real(self, rng):
        """Where the first entry is zero the largest one keeps its phase."""
        a = np.zeros((3, 3), complex)
        a[0, 0], a[1:, 1:] = 5, [[1, 2 - 1j], [2 + 1j, 3]]
        z = number(rng, a, 2)
        w, v = linalg.eigh(z)
        h = whole(z)
        assert_zero(h @ v - v * w[None], size(h, v))
        for j in range(3):
            k = np.argmax(abs(v.value[:, j]))
            ratio = v.planes[:, k, j] / v.value[k, j]
            np.testing.assert_allclose(ratio.imag, 0, atol=1e-14)


class TestRepeated:
    """I + u uᵀ and relatives: the simple eigenvalue is right, those of the others are NaN."""

    u = np.array([[1.0], [-2.0], [0.5], [1.5]])

    def outer(self, x):
        return x @ x.T + np.eye(4)

    @pytest.mark.parametrize("kind", ["eigvalsh", "eigvals", "eigh", "eig"])
    @pytest.mark.parametrize("dtype", ["float32", "float64", "complex128"])
    def test_the_simple_one_is_right_at_every_order(self, kind, dtype, rng):
        a = self.outer(self.u).astype(dtype)
        p = symmetric(rng, dtype) + np.eye(4, dtype=dtype)
        with pytest.warns(RuntimeWarning, match=rf"linalg\.{kind}: eigenvalues repeated"):
            found = mcx.taylor(getattr(linalg, kind), a, p, order=4)
        w = found[0] if isinstance(found, tuple) else found
        simple = np.argmax(w[0].real)
        expected = series(lambda x: [max(mp.re(e) for e in mp.eighe(x)[0])], a, p)
        assert_series(w[:, simple], expected[:, 0], 50)
        assert np.all(np.isnan(np.delete(w[1:], simple, axis=1)))
        assert np.all(np.isfinite(w[0]))
        if isinstance(found, tuple):
            vectors = found[1]
            assert np.all(np.isnan(np.delete(vectors[1:], simple, axis=2)))
            residual = [
                sum(vectors[j, :, simple] * w[k - j, simple] for j in range(k + 1))
                - a @ vectors[k, :, simple] - (p @ vectors[k - 1, :, simple] if k else 0)
                for k in range(5)
            ]  # fmt: skip
            assert np.max(np.abs(residual)) < 200 * np.finfo(dtype).eps

    def test_traces_over_the_repeated_ones(self, rng):
        """Sums over a cluster are smooth; here the trace less the simple eigenvalue."""
        a, p = self.outer(self.u), symmetric(rng, "float64")
        with pytest.warns(RuntimeWarning, match="repeated"):
            found = mcx.taylor(lambda x: np.trace(x) - linalg.eigvalsh(x)[-1], a, p, order=3)
        expected = series(lambda x: [sum(sorted(mp.eigsy(x, eigvals_only=True))[:3])], a, p, 3)
        assert_series(found, expected[:, 0], 50)

    def test_other_matrices_of_a_batch(self, rng):
        a = np.stack([symmetric(rng, "float64"), self.outer(self.u), np.zeros((4, 4))])
        p, q = symmetric(rng, "float64", (3, 4, 4)), symmetric(rng, "float64", (3, 4, 4))
        with pytest.warns(RuntimeWarning, match="repeated"):
            w, v = linalg.eigh(mcx.perturb(a, p, q))
        alone = linalg.eigh(mcx.perturb(a[0], p[0], q[0]))
        np.testing.assert_allclose(w.planes[:, 0], alone[0].planes, rtol=1e-13)
        np.testing.assert_allclose(v.planes[:, 0], alone[1].planes, atol=1e-13)
        assert np.all(np.isnan(w.planes[1:, 2]))

    def test_diagonal_matrices_with_distinct_eigenvalues_are_simple(self):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            w = linalg.eigvalsh(mcx.perturb(np.diag([0.0, 1e-9, 1.0]), np.ones((3, 3))))
        np.testing.assert_allclose(w.im(1), 1)

    def test_defective_matrix_is_nan_throughout(self):
        a = np.array([[1.0, 1.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 3.0]])
        for func in (linalg.eigvals, linalg.eig):
            with pytest.warns(RuntimeWarning, match="repeated"):
                result = func(mcx.perturb(a, np.ones((3, 3))))
            for y in leaves(result):
                assert np.all(np.isnan(y.im(1)))

    @pytest.mark.parametrize("size_", [2, 3])
    def test_defective_but_for_rounding(self, size_, rng):
        """Rounding splits a Jordan block by eps^(1/size): this is seen, and others are right."""
        for _ in range(50):
            s = rng.normal(size=(5, 5))
            block = np.diag([1.0, 1, 1, 4, 6] if size_ == 3 else [1.0, 1, 3, 4, 6])
            block[np.arange(size_ - 1), np.arange(1, size_)] = 1
            a = s @ block @ linalg.inv(s)
            with pytest.warns(RuntimeWarning, match="repeated"):
                w = linalg.eigvals(mcx.perturb(a, rng.normal(size=(5, 5))))
            assert np.sum(np.isnan(w.im(1))) >= size_

    def test_nothing_is_lost_in_a_recording(self, rng):
        a, p = self.outer(self.u), symmetric(rng, "float64")
        with pytest.warns(RuntimeWarning, match="repeated"):
            value, lin = mcx.linearize(linalg.eigvalsh, a)
        np.testing.assert_array_equal(value, linalg.eigvalsh(a))
        v = self.u[:, 0] / np.sqrt(np.sum(self.u**2))
        np.testing.assert_allclose(lin(p)[-1], v @ p @ v, atol=1e-14)
        assert np.all(np.isnan(lin(p)[:-1]))


class TestGeneral:
    @dtypes
    @pytest.mark.parametrize("kind", ["real", "complex pairs"])
    def test_identities_in_every_plane(self, dtype, kind, rng):
        """A V = V diag(w), |v| = 1, and a real largest entry determine all planes."""
        a = general(rng, dtype, (2, 4, 4)) if kind == "real" else rotations(rng, dtype)
        z = number(rng, a)
        w, v = linalg.eig(z)
        assert_zero(z @ v - v * w[..., None, :], size(z, v), 100)
        lengths = np.sum(np.real(v) ** 2 + np.imag(v) ** 2, axis=-2)
        assert_zero(lengths - 1, size(adjoint(v), v))
        real = np.argmax(abs(v.value) * (1 + 1e-4 * (v.value.imag == 0)), axis=-2)[..., None, :]
        entries = np.take_along_axis(v, real, axis=-2)
        assert_zero(np.imag(entries), size(adjoint(v), v))
        np.testing.assert_array_equal(linalg.eigvals(z).planes[1:], w.planes[1:])

    @pytest.mark.parametrize("dtype", ["float32", "float64", "complex128"])
    def test_series_against_mpmath(self, dtype, rng):
        a = rotations(rng, dtype) if dtype != "complex128" else general(rng, dtype)
        p = random(rng, (4, 4), dtype) / 2
        w, v = mcx.taylor(linalg.eig, a, p, order=4)

        def system(x):
            values, vectors = mp.eig(x)
            order = [min(range(4), key=lambda k: abs(values[k] - complex(s))) for s in w[0]]
            vectors = array(vectors)[:, order]
            vectors = vectors / [mp.sqrt(sum(abs(e) ** 2 for e in c)) for c in vectors.T]
            real = np.argmax(abs(v[0]) * (1 + 1e-4 * (v[0].imag == 0)), axis=0)
            for j in range(4):
                vectors[:, [j]] = turned(vectors[:, [j]], v[0][:, [j]], real[j])
            return np.concatenate(
                [np.array([values[k] for k in order], dtype=object)[None], vectors]
            )

        expected = series(system, a, p)
        assert_series(w, expected[:, 0], 100)
        assert_series(v, expected[:, 1:], 200)

    def test_trace_and_determinant(self, rng):
        """Symmetric functions of the eigenvalues, in every plane."""
        z = number(rng, rotations(rng))
        w = linalg.eigvals(z)
        np.testing.assert_allclose(np.sum(w).planes, np.trace(z).planes, atol=1e-13)
        square = np.sum(w * w)
        np.testing.assert_allclose(square.planes, np.trace(z @ z).planes, atol=1e-12)


@pytest.mark.parametrize(
    "func", [linalg.eigh, linalg.eigvalsh, linalg.eig, linalg.eigvals, linalg.svd, linalg.svdvals],
    ids=lambda f: f.__name__,
)  # fmt: skip
@pytest.mark.parametrize("shape", [(0, 0), (3, 0, 0), (0, 2, 2), (1, 1), (3, 0)], ids=str)
@pytest.mark.parametrize("dtype", ["float64", "complex64"])
def test_small_and_empty_matrices(func, shape, dtype):
    if shape == (3, 0) and not func.__name__.startswith("svd"):
        with pytest.raises(linalg.LinAlgError):
            func(mcx.perturb(np.zeros(shape), np.zeros(shape)))
        return
    a = np.full(shape, 2, dtype)
    value, result = leaves(func(a)), leaves(func(mcx.perturb(a, a)))
    for y, v in zip(result, value, strict=True):
        assert y.dtype == v.dtype
        np.testing.assert_array_equal(y.value, v)
        assert np.all(np.isfinite(y.im(1)))


class TestChecks:
    """A planted error is caught."""

    @pytest.mark.parametrize("part", range(4))
    def test_a_part_of_the_state_that_does_not_move(self, part, monkeypatch, rng):
        right = eigensystems._differential

        def wrong(state, *args):
            push = right(state, *args)
            return lambda da: [None if k == part else t for k, t in enumerate(push(da))]

        broken = primitive(lambda a, w, v, *_: (w, v), Lifted(wrong, eigensystems._between))
        monkeypatch.setattr(eigensystems, "invariant", broken)
        with pytest.raises(AssertionError):
            TestRepeated().test_the_simple_one_is_right_at_every_order("eigh", "float32", rng)

    @pytest.mark.parametrize("directions", [1, 5])
    def test_a_part_that_a_differential_forgets_is_an_error(self, directions):
        two = primitive(lambda a: (a * 1.0, a * 2.0), Lifted(lambda state, a: lambda da: [da]))
        with pytest.raises(ValueError, match="shorter"):
            mcx.jacobian(two, np.ones(directions))
