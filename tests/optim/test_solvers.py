"""CGLS, conjugate residuals and MINRES: against dense algebra, SciPy, every status, errors."""

import inspect
import re
import sys

import numpy as np
import pytest
from scipy.sparse import linalg as sparse

from mcx_optim import Hessian, Status, scaled
from mcx_optim.cgls import cgls
from mcx_optim.conjugate_residual import conjugate_residual
from mcx_optim.minres import minres
from tests.optim.problems import network, spd
from tests.optim.systems import Operator, krylov, symmetric
from tests.standin import StandIn

SOLVERS = [cgls, conjugate_residual, minres]
RESIDUAL = [conjugate_residual, minres]  # those that minimize ‖b - A x‖ in the Krylov space of b
INDEFINITE = np.array([9.0, 7.0, 4.0, 2.0, 1.0, 0.5, -0.3, -1.0, -3.0])
SINGULAR = np.array([5.0, 3.0, 1.0, -1.0, -2.0, 0.0, 0.0])


def best(solver, A, b, k, damping):
    """Return the minimizer of what the solver minimizes in its k-th subspace, by dense algebra."""
    A, b = A.astype(np.float64), b.astype(np.float64)
    eye = np.eye(len(b))
    if solver is cgls:
        Q = krylov(A @ A, A @ b, k)
        rows, right = np.vstack([A, np.sqrt(damping) * eye]), np.concatenate([b, 0 * b])
    else:
        Q = krylov(A, b, k)
        rows, right = A + damping * eye, b
    return Q @ np.linalg.lstsq(rows @ Q, right, rcond=None)[0]


def products(solver, k):
    """Return how many products the k-th iterate takes."""
    return 2 * k if solver is cgls else k


def check_solver(solver, call=None, dtype=np.float64):
    """Raise AssertionError unless a solver minimizes what it says, iteration by iteration."""
    call, eps = call or solver, float(np.finfo(dtype).eps)
    systems = [(spd(12, dtype=dtype), np.arange(1, 13).astype(dtype))]
    systems.append(symmetric(INDEFINITE, seed=3, dtype=dtype))
    for A, b in systems:
        for damping in (0.0, 0.6):
            for k in range(1, 6):
                limit = products(solver, k)
                result = call(A, b, damping=damping, tolerance=eps, max_iterations=limit)
                x, expected = result.x, best(solver, A, b, k, damping)
                assert (result.status, result.iterations) == (Status.MAX_ITERATIONS, limit)
                assert x.dtype == dtype
                scale = 1e3 * eps * np.linalg.norm(b)
                np.testing.assert_allclose(x, expected, rtol=0, atol=scale)
                shift = 0.0 if solver is cgls else damping
                residual = np.linalg.norm(b - A @ expected - shift * expected)
                np.testing.assert_allclose(result.residual_norm, residual, rtol=0, atol=scale)
                curvature = expected @ A @ expected
                np.testing.assert_allclose(
                    result.curvature, curvature, rtol=0, atol=scale * np.linalg.norm(b)
                )
    A, b = systems[0]
    tolerance = 1e3 * eps
    for damping in (0.0, 0.6):
        result = call(A, b, damping=damping, tolerance=tolerance, max_iterations=27)
        assert result.status is Status.CONVERGED
        left = A @ A + damping * np.eye(12) if solver is cgls else A + damping * np.eye(12)
        right = A @ b if solver is cgls else b
        error = np.linalg.norm(right - left @ result.x)
        assert error <= 3 * tolerance * np.linalg.norm(right)
        loose = call(A, b, damping=damping, tolerance=0.01, max_iterations=27)
        assert loose.status is Status.CONVERGED
        assert loose.iterations < result.iterations
        error = np.linalg.norm(right - left @ loose.x) / np.linalg.norm(right)
        assert 1e-4 < error <= 0.01


def check_inconsistent(call, dtype=np.float64):
    """Raise AssertionError unless x stays a minimizer where rounding would make it grow."""
    for seed in range(8):
        values = np.concatenate([np.linspace(-3, -0.5, 6), np.linspace(0.5, 5, 9), np.zeros(5)])
        for spectrum in (values, np.abs(values)):
            A, b = symmetric(spectrum, seed)
            smallest = np.linalg.norm(b - A @ np.linalg.pinv(A, rcond=1e-10) @ b)
            for tolerance in (1e-8, 0.0):
                result = call(A.astype(dtype), b.astype(dtype), tolerance=tolerance)
                residual = np.linalg.norm(b - A @ result.x.astype(np.float64))
                np.testing.assert_allclose(result.residual_norm, smallest, rtol=0.02)
                np.testing.assert_allclose(residual, smallest, rtol=0.02)
                if tolerance and dtype is np.float64:
                    assert result.status is Status.CONVERGED
                    np.testing.assert_allclose(residual, smallest, rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("solver", SOLVERS)
def test_iterates_are_minimizers_in_their_subspaces(solver, dtype):
    check_solver(solver, dtype=dtype)
    check_inconsistent(solver, dtype)


def check(solver, call):
    check_solver(solver, call)
    check_inconsistent(call)


PLANTED = [
    (cgls, "alpha = gamma / (float(q @ q)", "alpha = gamma / (float(p @ q)"),
    (cgls, "+ mu * float(p @ p)", "+ damping * 0"),
    (cgls, "r - alpha * q", "r + alpha * q"),
    (cgls, "(system @ r) - mu * x", "(system @ r) + mu * x"),
    (cgls, "(gamma / previous)", "(gamma / previous) ** 0.5"),
    (cgls, "bound = tolerance**2 * gamma", "bound = tolerance * gamma"),
    (cgls, "mu = damping / system.unit**2", "mu = damping / system.unit"),
    (cgls, "curvature * scale * self._b_unit", "curvature * scale * scale"),
    (conjugate_residual, "rw / float(q @ q)", "rw / float(p @ q)"),
    (conjugate_residual, "r - alpha * q", "r - 1.01 * alpha * q"),
    (conjugate_residual, "r + (rw / previous) * p", "r - (rw / previous) * p"),
    (conjugate_residual, "w + (rw / previous) * q", "w + (previous / rw) * q"),
    (conjugate_residual, "if size <= bound * first", "if size <= bound**0.5 * first"),
    (conjugate_residual, "HIDDEN * bound * first", "np.inf"),
    (conjugate_residual, "Damped(A, damping) if damping else A", "A"),
    (minres, "q = q - beta * older", "q = q - older"),
    (minres, "q = q - alpha * v", "q = q - 0.99 * alpha * v"),
    (minres, "epsilon, delta_bar = s_before * beta", "epsilon, delta_bar = 0.0 * beta"),
    (minres, "c * delta_bar + s * alpha", "c * delta_bar - s * alpha"),
    (minres, "s * delta_bar - c * alpha", "s * delta_bar + c * alpha"),
    (minres, "x, phi_bar = trial, s * phi_bar", "x, phi_bar = trial, s * s * phi_bar"),
    (minres, "r = s * s * r -", "r = s * r -"),
    (
        minres,
        "system.result(x, r, products, status, damping)",
        "system.result(x, r, products, status)",
    ),
    (minres, "if phi_bar <= bound * size", "if phi_bar <= bound**0.5 * size"),
    (minres, "HIDDEN * bound * size", "np.inf"),
    (minres, "min(tolerance, eps**0.5)", "min(tolerance, eps)"),
]


@pytest.mark.parametrize(("solver", "correct", "planted"), PLANTED)
def test_planted_errors_are_caught(solver, correct, planted):
    own = inspect.getsource(sys.modules[solver.__module__])
    source = inspect.getsource(scaled) + re.sub(r"from mcx_optim.scaled import .*", "", own)
    assert source.count(correct) == 1
    namespace = {"__name__": "planted"}
    exec(source.replace(correct, planted), namespace)
    with pytest.raises(AssertionError):
        check(solver, namespace[solver.__name__])


@pytest.mark.parametrize("solver", SOLVERS)
def test_as_many_iterations_as_eigenvalues(solver):
    A = np.diag([1.0] * 5 + [4.0] * 5 + [9.0] * 5)
    result = solver(A, np.ones(15), tolerance=1e-12)
    assert result.status is Status.CONVERGED
    assert result.iterations == (7 if solver is cgls else 3)  # CGLS looks at the gradient, too
    np.testing.assert_allclose(result.x, 1 / np.diag(A), rtol=1e-13)


@pytest.mark.parametrize("solver", SOLVERS)
def test_definite_systems_take_n_iterations(solver):
    A, b = spd(15, seed=3), np.random.default_rng(4).standard_normal(15)
    result = solver(A, b, tolerance=1e-9)
    assert result.status is Status.CONVERGED
    assert result.iterations <= products(solver, 15) + (solver is cgls)
    theirs, _ = sparse.cg(sparse.LinearOperator(A.shape, A.dot), b, rtol=1e-12)
    np.testing.assert_allclose(result.x, theirs, rtol=0, atol=1e-9)


@pytest.mark.parametrize("solver", SOLVERS)
def test_histories_of_indefinite_systems_are_scipys(solver):
    """Our iterates are those that SciPy's minres shows its callback, or that lsqr stops at."""
    A, b = symmetric(np.linspace(-4.0, 7.0, 40), seed=5)
    shown = []
    sparse.minres(A, b, rtol=1e-13, maxiter=12, callback=lambda x: shown.append(x.copy()))
    for k in range(1, 12):
        if solver is cgls:
            expected = sparse.lsqr(A, b, atol=0, btol=0, conlim=0, iter_lim=k)[0]
        else:
            expected = shown[k - 1]
        x = solver(A, b, max_iterations=products(solver, k)).x
        np.testing.assert_allclose(x, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("damping", [0.0, 0.3])
def test_damping_of_cgls_is_that_of_lsmr_and_lsqr(damping):
    A, b = symmetric(INDEFINITE, seed=7)
    ours = cgls(A, b, damping=damping**2, tolerance=1e-13, max_iterations=200).x
    options = {"damp": damping, "atol": 1e-15, "btol": 1e-15}
    for theirs in (sparse.lsqr(A, b, **options)[0], sparse.lsmr(A, b, **options)[0]):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-9)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("values", [np.abs(SINGULAR), SINGULAR])
@pytest.mark.parametrize("solver", SOLVERS)
def test_consistent_singular_systems_have_their_shortest_solution(solver, values, dtype):
    A, b = symmetric(values, seed=1)
    b = A @ b
    eps = np.finfo(dtype).eps
    result = solver(A.astype(dtype), b.astype(dtype), tolerance=100 * eps)
    assert result.status is Status.CONVERGED
    expected = np.linalg.pinv(A, rcond=1e-10) @ b
    np.testing.assert_allclose(result.x, expected, rtol=0, atol=2e3 * eps)
    assert result.residual_norm <= 1e3 * eps * np.linalg.norm(b)


@pytest.mark.parametrize("values", [np.abs(SINGULAR), SINGULAR])
@pytest.mark.parametrize("solver", SOLVERS)
def test_inconsistent_systems_have_a_least_squares_solution(solver, values):
    A, b = symmetric(values, seed=1)
    least = np.linalg.pinv(A, rcond=1e-10) @ b
    smallest = np.linalg.norm(b - A @ least)
    result = solver(A, b)
    assert result.status is Status.CONVERGED
    np.testing.assert_allclose(result.residual_norm, smallest, rtol=1e-12)
    x = result.x
    if solver is not cgls:
        r = (b - A @ least) / smallest
        x = x - (r @ x) * r  # the shortest, but for a multiple of r
    np.testing.assert_allclose(x, least, rtol=0, atol=1e-7)
    np.testing.assert_allclose(x, sparse.lsqr(A, b, atol=1e-14, btol=1e-14)[0], rtol=0, atol=1e-6)


def test_residuals_decrease_in_every_iteration():
    A, b = symmetric(np.linspace(-4.0, 7.0, 60), seed=6)
    for solver in SOLVERS:
        norms = [
            solver(A, b, max_iterations=products(solver, k)).residual_norm for k in range(1, 30)
        ]
        assert np.all(np.diff([np.linalg.norm(b), *norms]) < 0)


def test_the_steps_that_minimize_residuals_may_climb():
    """Where the Hessian has a negative eigenvalue, they lead to the saddle."""
    A, b = np.diag([2.0, -1.0]), np.array([0.1, 1.0])
    for solver in (cgls, minres):
        x = solver(A, b).x
        np.testing.assert_allclose(x, [0.05, -1.0], rtol=1e-12)
        assert b @ x < 0


@pytest.mark.parametrize(("of_A", "of_b"), [(100, 0), (-100, 0), (0, 100), (0, -100), (100, 50)])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("solver", SOLVERS)
def test_scaling_the_system_changes_no_digit(solver, dtype, of_A, of_b):
    """Here by 1e30 and 1e-30, or the powers of two next to them."""
    A, b = symmetric(INDEFINITE, seed=3, dtype=dtype)
    of_A, of_b = 2.0**of_A, 2.0**of_b
    plain = solver(A, b, damping=0.5, tolerance=1e-3)
    damping = 0.5 * (of_A**2 if solver is cgls else of_A)
    scaled = solver(dtype(of_A) * A, dtype(of_b) * b, damping=damping, tolerance=1e-3)
    assert plain.status is Status.CONVERGED
    assert (scaled.status, scaled.iterations) == (plain.status, plain.iterations)
    np.testing.assert_array_equal(scaled.x, plain.x * dtype(of_b / of_A))
    assert scaled.residual_norm == plain.residual_norm * of_b
    np.testing.assert_allclose(scaled.curvature, plain.curvature * of_b / of_A * of_b, rtol=1e-5)


def test_conjugate_residuals_say_where_they_break_down():
    """r·Ar = 0 with Ar ≠ 0, at once and later on; MINRES goes on."""
    Q = np.linalg.qr(np.random.default_rng(2).standard_normal((4, 4)))[0]
    for values, b in (
        ([1.0, -1.0, 3.0, 3.0], [1.0, 1.0, 0.0, 0.0]),
        ([2.0, 1.0, -1.0, -2.0], [1.0, 1.0, 1.0, 1.0]),
    ):
        A, b = (Q * values) @ Q.T, Q @ np.array(b)
        result = conjugate_residual(A, b)
        assert (result.status, result.iterations) == (Status.NEGATIVE_CURVATURE, 1)
        assert not result.x.any()
        np.testing.assert_allclose(result.residual_norm, np.linalg.norm(b))
        found = minres(A, b)
        assert found.status is Status.CONVERGED
        np.testing.assert_allclose(A @ found.x, b, rtol=0, atol=1e-12)
    A, b = np.diag([1.0, 2.0, -2.0]), np.ones(3)  # r·Ar = 1, and then 0
    first = best(conjugate_residual, A, b, 1, 0.0)
    residual = b - A @ first
    shift = residual @ A @ residual / (residual @ residual)  # of A and b alike, until r·Ar is 0
    for _ in range(200):
        B = A - shift * np.eye(3)
        residual = b - B @ best(conjugate_residual, B, b, 1, 0.0)
        shift += 0.5 * (residual @ B @ residual) / (residual @ residual)
    result = conjugate_residual(B, b)
    assert (result.status, result.iterations) == (Status.NEGATIVE_CURVATURE, 2)
    np.testing.assert_allclose(result.x, best(conjugate_residual, B, b, 1, 0.0), rtol=1e-12)


@pytest.mark.parametrize("solver", RESIDUAL)
def test_ends_where_rounding_hides_the_residual(solver):
    """The residual that is told is the true one, also where no iteration can make it smaller."""
    A, b = symmetric(np.geomspace(1e-6, 1.0, 40))
    result = solver(A.astype(np.float32), b.astype(np.float32), max_iterations=300)
    assert result.status is Status.ROUNDING
    assert result.iterations < 300
    residual = np.linalg.norm(b - A @ result.x.astype(np.float64))
    np.testing.assert_allclose(result.residual_norm, residual, rtol=0.3)
    assert residual < 0.7 * np.linalg.norm(b)


@pytest.mark.parametrize("solver", SOLVERS)
def test_zero_right_hand_side(solver):
    result = solver(spd(3), np.zeros(3), damping=0.1)
    assert (result.status, result.iterations) == (Status.ZERO_RIGHT_HAND_SIDE, 0)
    assert not result.x.any()
    assert (result.curvature, result.residual_norm) == (0.0, 0.0)


@pytest.mark.parametrize("solver", SOLVERS)
def test_operator_without_curvature(solver):
    """It returns the right-hand side, as truncated CG does; with damping the system is solved."""
    b = np.array([1.0, 2.0, 0.0])
    result = solver(Operator(np.zeros_like), b)
    assert (result.status, result.iterations) == (Status.FLAT, 1)
    np.testing.assert_array_equal(result.x, b)
    assert result.curvature == 0.0
    np.testing.assert_allclose(result.residual_norm, np.sqrt(5.0))
    damped = solver(Operator(np.zeros_like), b, damping=2.0)
    if solver is not cgls:
        assert (damped.status, damped.iterations) == (Status.CONVERGED, 1)
        np.testing.assert_allclose(damped.x, b / 2, rtol=1e-15)
        np.testing.assert_allclose(damped.curvature, 0.0, atol=1e-14)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("solver", SOLVERS)
def test_non_finite_product_keeps_the_last_finite_iterate(solver, value):
    A, broken = spd(3), np.array([1.0, value, 0.0])
    for good in (0, 1, 2, 3):
        calls = iter([lambda p: A @ p] * good + [lambda p: broken])
        result = solver(Operator(lambda p, calls=calls: next(calls)(p)), np.ones(3))
        if good == 3 and solver is not cgls:
            assert result.status is Status.CONVERGED
            continue
        assert (result.status, result.iterations) == (Status.NON_FINITE, good + 1)
        whole = good // 2 if solver is cgls else good
        expected = best(solver, A, np.ones(3), whole, 0.0) if whole else np.zeros(3)
        np.testing.assert_allclose(result.x, expected, rtol=1e-12)


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_tolerance_below_rounding_ends(solver):
    for dtype in (np.float32, np.float64):
        A, b = spd(6, dtype=dtype), np.arange(1, 7).astype(dtype)
        result = solver(A, b, tolerance=0.0, max_iterations=1000)
        assert result.status is Status.CONVERGED
        np.testing.assert_allclose(A @ result.x, b, rtol=1e2 * np.finfo(dtype).eps)


@pytest.mark.parametrize("solver", SOLVERS)
def test_device_arrays_have_the_iterates_of_the_host(solver):
    A, b = symmetric(INDEFINITE, seed=3)
    host = solver(A, b, damping=0.1)
    device = solver(StandIn.wrap(A), StandIn.wrap(b), damping=0.1)
    np.testing.assert_array_equal(device.x.get(), host.x)
    assert (device.status, device.iterations) == (host.status, host.iterations)
    assert device.residual_norm == host.residual_norm
    assert isinstance(device.curvature, float)


@pytest.mark.parametrize("solver", SOLVERS)
def test_solves_with_a_curvature_operator(solver):
    objective, w = network()
    H = Hessian(objective, w, objective.data)
    dense = np.stack([H @ e for e in np.eye(32)])
    result = solver(H, -H.gradient, damping=0.5, tolerance=1e-8, max_iterations=300)
    left = dense @ dense + 0.5 * np.eye(32) if solver is cgls else dense + 0.5 * np.eye(32)
    right = -dense @ H.gradient if solver is cgls else -H.gradient
    np.testing.assert_allclose(result.x, np.linalg.solve(left, right), rtol=0, atol=1e-6)


@pytest.mark.parametrize("solver", SOLVERS)
def test_bad_settings_are_refused(solver):
    name = solver.__name__
    for damping in (-1.0, np.nan):
        with pytest.raises(ValueError, match=f"{name}: damping: expected a number of at least 0"):
            solver(spd(3), np.ones(3), damping=damping)
    least = 2 if solver is cgls else 1
    message = f"{name}: max_iterations: expected an integer of at least {least}, got"
    with pytest.raises(ValueError, match=message):
        solver(spd(3), np.ones(3), max_iterations=least - 1)


@pytest.mark.parametrize("solver", SOLVERS)
def test_does_not_touch_its_arguments(solver):
    A, b = spd(6), np.arange(1.0, 7.0)
    copies = A.copy(), b.copy()
    solver(A, b)
    np.testing.assert_array_equal(A, copies[0])
    np.testing.assert_array_equal(b, copies[1])
