"""Lanczos: against dense algebra in the Krylov space, every status, errors planted."""

import inspect
import sys

import numpy as np
import pytest
from scipy.sparse.linalg import LinearOperator, cg

import mcx_optim
from mcx_nn import Supervised, mean_squared_error, mlp
from mcx_optim import GaussNewton, Hessian, Objective, Status, lanczos, truncated_cg
from tests.optim.problems import network, spd
from tests.optim.systems import Operator, symmetric

MODULE = sys.modules["mcx_optim.lanczos"]


def krylov(A, b, k):
    """Return an orthonormal basis (P, k) of span{b, Ab, …}, each vector as it is made."""
    columns = [b / np.linalg.norm(b)]
    for _ in range(k - 1):
        columns.append(A @ columns[-1])
        columns[-1] = np.linalg.qr(np.stack(columns, axis=1))[0][:, -1]
    return np.linalg.qr(np.stack(columns, axis=1))[0]


def dense_solution(A, b, k, damping, function=np.asarray):
    """Return Q (function(QᵀAQ) + damping·I)⁻¹ Qᵀb for a function of the eigenvalues."""
    Q = krylov(A, b, k)
    theta, S = np.linalg.eigh(Q.T @ A @ Q)
    return Q @ (S / (function(theta) + damping)) @ S.T @ Q.T @ b


INDEFINITE = np.array([9.0, 7.0, 4.0, 2.0, 1.0, 0.5, -0.3, -1.0, -3.0])


def check_lanczos(solver, dtype=np.float64):
    """Raise AssertionError unless `solver` does what it says on a definite and an indefinite A."""
    eps = float(np.finfo(dtype).eps)
    A, b, norm = spd(12, dtype=dtype), np.arange(1, 13).astype(dtype), np.sqrt(650.0)
    for damping in (0.0, 0.5):
        for k in range(1, 7):
            result = solver(A, b, damping=damping, tolerance=eps, max_iterations=k)
            x = result.x
            assert (result.status, result.iterations) == (Status.MAX_ITERATIONS, k)
            expected = dense_solution(A.astype(float), b.astype(float), k, damping)
            np.testing.assert_allclose(x, expected, rtol=0, atol=1e3 * eps * norm)
            np.testing.assert_allclose(result.curvature, x @ A @ x, rtol=1e2 * eps)
            residual = np.linalg.norm(b - A @ x - damping * x)
            np.testing.assert_allclose(
                result.residual_norm, residual, rtol=0, atol=1e2 * eps * norm
            )
            V, T = result.basis, result.tridiagonal
            assert (V.shape, V.dtype, T.shape, T.dtype) == ((12, k), dtype, (k, k), np.float64)
            np.testing.assert_allclose(V.T @ V, np.eye(k), rtol=0, atol=20 * eps)
            np.testing.assert_allclose(V.T @ A @ V, T, rtol=0, atol=2e2 * eps)
            assert not np.triu(T, 2).any()
            np.testing.assert_allclose(V[:, 0], b / norm, rtol=0, atol=4 * eps)
            np.testing.assert_allclose(result.ritz, np.linalg.eigvalsh(T)[0], rtol=1e-12)
    tolerance = 1e3 * eps
    result = solver(A, b, damping=0.5, tolerance=tolerance)
    assert result.status is Status.CONVERGED
    exact = np.linalg.solve(A + 0.5 * np.eye(12), b)
    np.testing.assert_allclose(result.x, exact, rtol=0, atol=2 * tolerance * norm)
    A, b = symmetric(INDEFINITE, dtype=dtype)
    for k in range(1, 7):
        result = solver(A, b, damping=0.1, tolerance=0, max_iterations=k, negative="absolute")
        expected = dense_solution(A.astype(float), b.astype(float), k, 0.1, np.abs)
        np.testing.assert_allclose(result.x, expected, rtol=0, atol=1e3 * eps)
        curvature = result.x @ A @ result.x
        np.testing.assert_allclose(result.curvature, curvature, rtol=0, atol=1e3 * eps)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_lanczos(dtype):
    check_lanczos(lanczos, dtype)


@pytest.mark.parametrize(
    ("correct", "planted"),
    [
        ("alpha = float(v @ q)", "alpha = float(q @ q)"),
        ("self._off.append(self.beta)", "self._off.append(self.beta**2)"),
        ("q - (V @ q) @ V", "q + 0.5 * (V @ q) @ V"),
        ("S[0] / (theta + damping)", "S[-1] / (theta + damping)"),
        ("S[0] / (theta + damping)", "S[0] / theta"),
        ("process.beta * abs(float(y[-1]))", "process.beta * abs(float(y[0]))"),
        ("theta = np.maximum(abs(theta),", "theta = np.maximum(theta,"),
        ("T[: len(y), : len(y)] @ y", "T[: len(y), : len(y)] @ y + damping * y @ y"),
        ("<= tolerance * process.norm", "<= 0.1 * process.norm"),
        ("ritz=float(np.linalg.eigvalsh(T)[0])", "ritz=float(np.linalg.eigvalsh(T)[-1])"),
    ],
)
def test_planted_errors_are_caught(correct, planted):
    source = inspect.getsource(MODULE)
    assert source.count(correct) == 1
    namespace = {"__name__": "planted"}
    sys.modules["planted"] = MODULE  # where its dataclass looks for annotations
    try:
        exec(source.replace(correct, planted), namespace)
        with pytest.raises(AssertionError):
            check_lanczos(namespace["lanczos"])
    finally:
        del sys.modules["planted"]


def test_iterates_are_those_of_conjugate_gradients():
    A, b = spd(20, seed=3), np.random.default_rng(4).standard_normal(20)
    for k in (1, 3, 8):
        ours = lanczos(A, b, max_iterations=k, tolerance=1e-14)
        theirs, _ = cg(LinearOperator(A.shape, A.dot), b, rtol=0, maxiter=k)
        np.testing.assert_allclose(ours.x, theirs, rtol=1e-11)
        np.testing.assert_allclose(
            ours.residual_norm, truncated_cg(A, b, max_iterations=k).residual_norm, rtol=1e-11
        )


def test_an_ill_conditioned_system_takes_no_more_iterations_than_unknowns():
    """Conjugate gradients take many times more: their residuals lose orthogonality."""
    A, b = symmetric(np.logspace(-10, 0, 30))
    result = lanczos(A, b, tolerance=1e-7, max_iterations=300)
    assert result.status is Status.CONVERGED
    assert result.iterations <= 30
    assert np.linalg.norm(b - A @ result.x) <= 2e-6 * np.linalg.norm(b)
    assert truncated_cg(A, b, tolerance=1e-7, max_iterations=300).iterations > 60
    V = result.basis
    np.testing.assert_allclose(V.T @ V, np.eye(result.iterations), rtol=0, atol=1e-14)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("negative", ["stop", "absolute"])
def test_ends_where_the_subspace_is_invariant(dtype, negative):
    """As many iterations as b has eigenvalues, and the exact solution, whatever the tolerance."""
    A = np.diag([1.0] * 5 + [4.0] * 5 + [9.0] * 5).astype(dtype)
    b = np.ones(15, dtype)
    result = lanczos(A, b, tolerance=0.0, negative=negative)
    assert (result.status, result.iterations) == (Status.CONVERGED, 3)
    np.testing.assert_allclose(result.x, b / np.diag(A), rtol=1e2 * np.finfo(dtype).eps)
    one = lanczos(A, np.eye(15, dtype=dtype)[7], tolerance=0.0, negative=negative)
    assert (one.status, one.iterations, one.ritz) == (Status.CONVERGED, 1, 4.0)
    assert one.x[7] == 0.25
    everything, b = symmetric(np.arange(1.0, 6.0), dtype=dtype)
    result = lanczos(everything, b, tolerance=0.0, max_iterations=100, negative=negative)
    assert (result.status, result.iterations) == (Status.CONVERGED, 5)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("damping", [0.0, 0.1, 2.0])
def test_stops_at_the_first_pivot_that_is_not_positive(dtype, damping):
    A, b = symmetric(INDEFINITE, seed=1, dtype=dtype)
    T = lanczos(A, b, tolerance=0.0, negative="absolute").tridiagonal
    pivots = [T[0, 0] + damping]
    for k in range(1, len(T)):
        pivots.append(T[k, k] + damping - T[k, k - 1] ** 2 / pivots[-1])
    first = np.flatnonzero(np.array(pivots) <= 0)[0]
    assert first >= 1
    result = lanczos(A, b, damping=damping, tolerance=1e-6)
    assert (result.status, result.iterations) == (Status.NEGATIVE_CURVATURE, first + 1)
    before = lanczos(A, b, damping=damping, tolerance=1e-6, max_iterations=first)
    assert before.status is Status.MAX_ITERATIONS
    np.testing.assert_array_equal(result.x, before.x)
    assert (result.curvature, result.residual_norm) == (before.curvature, before.residual_norm)
    assert result.ritz < -damping < before.ritz  # the direction that stopped it is in V and T
    assert result.basis.shape == (9, first + 1)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_enough_damping_makes_it_definite(dtype):
    A, b = symmetric(INDEFINITE, dtype=dtype)
    result = lanczos(A, b, damping=3.5, tolerance=1e-4)
    assert result.status is Status.CONVERGED
    exact = np.linalg.solve(A + 3.5 * np.eye(9), b)
    np.testing.assert_allclose(result.x, exact, rtol=0, atol=4e-4 * np.linalg.norm(b))
    np.testing.assert_allclose(result.curvature, result.x @ A @ result.x, rtol=1e-4)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_absolute_is_the_saddle_free_direction(dtype):
    """In the whole space |A|⁻¹b, by a dense eigendecomposition; b climbs along it everywhere."""
    A, b = symmetric(INDEFINITE, dtype=dtype)
    result = lanczos(A, b, tolerance=0.0, negative="absolute")
    theta, S = np.linalg.eigh(A.astype(float))
    exact = (S / np.abs(theta)) @ S.T @ b
    assert (result.status, result.iterations) == (Status.CONVERGED, 9)
    np.testing.assert_allclose(result.x, exact, rtol=0, atol=1e3 * np.finfo(dtype).eps)
    np.testing.assert_allclose(result.ritz, -3.0, rtol=20 * np.finfo(dtype).eps)
    for k in range(1, 10):
        assert lanczos(A, b, tolerance=0.0, max_iterations=k, negative="absolute").x @ b > 0


@pytest.mark.parametrize("damping", [0.0, 0.3])
def test_absolute_is_the_same_where_nothing_is_negative(damping):
    A, b = spd(12), np.arange(1.0, 13.0)
    options = {"damping": damping, "tolerance": 1e-5}
    plain, absolute = lanczos(A, b, **options), lanczos(A, b, **options, negative="absolute")
    np.testing.assert_array_equal(absolute.x, plain.x)
    assert absolute.residual_norm == plain.residual_norm
    assert (absolute.status, absolute.iterations) == (plain.status, plain.iterations)


@pytest.mark.parametrize("negative", ["stop", "absolute"])
def test_singular_operators(negative):
    """Where b is in the range all is well; else "stop" ends and "absolute" stays finite."""
    A = np.diag([3.0, 1.0, 0.0])
    result = lanczos(A, np.array([1.0, 1.0, 0.0]), negative=negative)
    assert result.status is Status.CONVERGED
    np.testing.assert_allclose(result.x, [1 / 3, 1.0, 0.0], rtol=1e-14, atol=1e-15)
    result = lanczos(A, np.ones(3), negative=negative)
    assert np.isfinite(result.x).all()
    if negative == "stop":
        assert (result.status, result.iterations) == (Status.NEGATIVE_CURVATURE, 3)
    else:
        assert (result.status, result.iterations) == (Status.CONVERGED, 3)
        np.testing.assert_allclose(result.x[:2], [1 / 3, 1.0], rtol=1e-2)
        assert 1e10 < result.x[2] < 1e14


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("negative", ["stop", "absolute"])
@pytest.mark.parametrize("scale", [2.0**80, 2.0**-80])
def test_scaling_the_system_changes_no_branch(scale, negative, dtype):
    A, b = symmetric(INDEFINITE, dtype=dtype)
    options = {"negative": negative, "tolerance": 1e-3}
    plain = lanczos(A, b, damping=0.5, **options)
    both = lanczos(dtype(scale) * A, dtype(scale) * b, damping=0.5 * scale, **options)
    np.testing.assert_allclose(both.x, plain.x, rtol=1e2 * np.finfo(dtype).eps)
    right = lanczos(A, dtype(scale) * b, damping=0.5, **options)
    np.testing.assert_allclose(right.x / dtype(scale), plain.x, rtol=1e2 * np.finfo(dtype).eps)
    for scaled in (both, right):
        assert (scaled.status, scaled.iterations) == (plain.status, plain.iterations)


@pytest.mark.parametrize("negative", ["stop", "absolute"])
def test_zero_right_hand_side(negative):
    result = lanczos(spd(3), np.zeros(3), negative=negative)
    assert (result.status, result.iterations) == (Status.ZERO_RIGHT_HAND_SIDE, 0)
    assert not result.x.any()
    assert (result.curvature, result.residual_norm, result.ritz) == (0.0, 0.0, None)
    assert (result.basis.shape, result.tridiagonal.shape) == ((3, 0), (0, 0))


def test_negative_curvature_at_once_stops_at_zero():
    A, b = np.diag([-2.0, 1.0, 1.0]), np.array([1.0, 0.0, 0.0])
    result = lanczos(A, b)
    assert (result.status, result.iterations) == (Status.NEGATIVE_CURVATURE, 1)
    assert not result.x.any()
    assert (result.residual_norm, result.curvature, result.ritz) == (1.0, 0.0, -2.0)


@pytest.mark.parametrize("negative", ["stop", "absolute"])
def test_operator_without_curvature(negative):
    """It returns the right-hand side, as truncated CG does; with damping the system is solved."""
    b = np.array([1.0, 2.0, 0.0])
    result = lanczos(Operator(np.zeros_like), b, negative=negative)
    assert (result.status, result.iterations) == (Status.FLAT, 1)
    np.testing.assert_array_equal(result.x, b)
    assert (result.curvature, result.ritz) == (0.0, 0.0)
    np.testing.assert_allclose(result.residual_norm, np.sqrt(5.0))
    damped = lanczos(Operator(np.zeros_like), b, damping=2.0, negative=negative)
    assert (damped.status, damped.iterations) == (Status.CONVERGED, 1)
    np.testing.assert_allclose(damped.x, b / 2, rtol=1e-15)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("negative", ["stop", "absolute"])
def test_non_finite_product_keeps_the_last_finite_iterate(negative, value):
    A, broken = spd(3), np.array([1.0, value, 0.0])
    products = iter([lambda p: A @ p, lambda p: broken])
    result = lanczos(Operator(lambda p: next(products)(p)), np.ones(3), negative=negative)
    assert (result.status, result.iterations) == (Status.NON_FINITE, 2)
    before = lanczos(A, np.ones(3), max_iterations=1)
    np.testing.assert_array_equal(result.x, before.x)
    assert result.basis.shape == (3, 1)
    at_once = lanczos(Operator(lambda p: broken), np.ones(3), negative=negative)
    assert (at_once.status, at_once.iterations, at_once.ritz) == (Status.NON_FINITE, 1, None)
    assert not at_once.x.any()
    assert at_once.residual_norm == np.linalg.norm(np.ones(3))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"negative": "follow"}, "negative: expected 'stop' or 'absolute', got 'follow'"),
        ({"damping": -1.0}, "damping: expected a number of at least 0, got -1.0"),
        ({"damping": np.nan}, "damping: expected a number of at least 0, got nan"),
        ({"max_iterations": 0}, "max_iterations: expected an integer of at least 1, got 0"),
    ],
)
def test_bad_settings_are_refused(options, message):
    with pytest.raises(ValueError, match=f"lanczos: {message}"):
        lanczos(spd(3), np.ones(3), **options)


def test_does_not_touch_its_arguments():
    A, b = spd(6), np.arange(1.0, 7.0)
    lanczos(A, b)
    np.testing.assert_array_equal(b, np.arange(1.0, 7.0))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_hessian_and_gauss_newton_of_a_network(dtype, rng):
    """The operators as they are used: damped Gauss-Newton is solved, the Hessian has its |T|."""
    objective, w = network(dtype)
    H = Hessian(objective, w, objective.data)
    result = lanczos(H, -H.gradient, tolerance=1e-3, negative="absolute")
    dense = H.block(np.eye(w.size, dtype=dtype))
    assert result.ritz < 0
    assert result.ritz > np.linalg.eigvalsh(dense)[0] - 1e-5
    assert result.x.dtype == dtype
    assert result.x @ H.gradient < 0
    problem = Supervised(mlp([4, 5, 2]), mean_squared_error)
    batch = rng.normal(size=(9, 4)).astype(dtype), rng.normal(size=(9, 2)).astype(dtype)
    w = problem.init(rng, dtype)
    G = GaussNewton(Objective.of(problem, batch), w, batch)
    result = lanczos(G, -G.gradient, damping=0.1, tolerance=1e-4)
    assert result.status is Status.CONVERGED
    residual = G @ result.x + dtype(0.1) * result.x + G.gradient
    assert np.linalg.norm(residual) <= 1.1e-4 * np.linalg.norm(G.gradient)
    np.testing.assert_allclose(result.curvature, result.x @ (G @ result.x), rtol=1e-4)


def test_public():
    assert mcx_optim.lanczos is lanczos
    assert issubclass(mcx_optim.LanczosResult, mcx_optim.KrylovResult)
