"""Conjugate gradients in a trust region: dense linear algebra, Algorithm 7.2 written out."""

import inspect

import numpy as np
import pytest

from mcx_optim import Status, truncated_cg
from mcx_optim.steihaug import steihaug as solver
from tests.optim.problems import spd
from tests.standin import StandIn


def symmetric(n, seed):
    """Return an indefinite symmetric matrix (n, n)."""
    M = np.random.default_rng(seed).standard_normal((n, n))
    return M + M.T


def reference(A, g, radius, tolerance, max_iterations):
    """Return z of Algorithm 7.2 of Nocedal and Wright, roots of the quadratic and all."""
    z, r, d = np.zeros_like(g), g.copy(), -g

    def edge():
        roots = np.roots([d @ d, 2 * (z @ d), z @ z - radius**2])
        return z + max(roots.real) * d

    for _ in range(max_iterations):
        if d @ A @ d <= 0:
            return edge()
        alpha = r @ r / (d @ A @ d)
        if np.linalg.norm(z + alpha * d) >= radius:
            return edge()
        z = z + alpha * d
        old, r = r, r + alpha * (A @ d)
        if np.linalg.norm(r) <= tolerance * np.linalg.norm(g):
            break
        d = -r + (r @ r) / (old @ old) * d
    return z


def optimum(A, b, radius):
    """Return the smallest ½ xᵀAx - bᵀx over the region, by eigenvalues and bisection."""
    values, V = np.linalg.eigh(A)
    c = V.T @ b

    def x(shift):
        return c / (values + shift)

    low, high = max(0.0, -values[0]) * (1 + 1e-13), 1e8
    if not (values[0] > 0 and np.linalg.norm(x(0.0)) <= radius):
        for _ in range(200):
            middle = (low + high) / 2
            low, high = (middle, high) if np.linalg.norm(x(middle)) > radius else (low, middle)
    y = x(low)
    return values @ y**2 / 2 - c @ y


def check_solver(solver):
    """Raise AssertionError unless `solver` minimizes in Krylov spaces of the region."""
    b = np.arange(1.0, 11.0)
    for A in (spd(10), symmetric(10, 1), symmetric(10, 2), -spd(10)):
        for radius in (0.1, 1.0, 5.0, 100.0):
            result = solver(A, b, radius, tolerance=1e-6, max_iterations=40)
            x = result.x
            np.testing.assert_allclose(
                x, reference(A, -b, radius, 1e-6, 40), rtol=1e-9, atol=1e-10 * radius
            )
            np.testing.assert_allclose(result.curvature, x @ A @ x, rtol=1e-9, atol=1e-8)
            np.testing.assert_allclose(
                result.residual_norm, np.linalg.norm(b - A @ x), rtol=1e-6, atol=1e-8
            )
            assert np.linalg.norm(x) <= radius * (1 + 1e-14)
            on_edge = result.status in (Status.BOUNDARY, Status.NEGATIVE_CURVATURE)
            if on_edge:
                assert np.linalg.norm(x) == pytest.approx(radius, rel=1e-14)
            else:
                assert result.status is Status.CONVERGED
                assert result.iterations == 10
            energy = x @ A @ x / 2 - b @ x
            best = optimum(A, b, radius)
            assert best - 1e-9 * abs(best) <= energy
            if np.linalg.eigvalsh(A)[0] > 0:
                assert energy <= best / 2  # Yuan (2000)
            cauchy = solver(A, b, radius, max_iterations=1)
            assert energy <= cauchy.x @ A @ cauchy.x / 2 - b @ cauchy.x


def test_steps_within_the_region():
    check_solver(solver)


@pytest.mark.parametrize(
    ("correct", "planted"),
    [
        ("rr / kappa if kappa > 0 else math.inf", "rr / abs(kappa)"),
        ("alpha >= tau", "alpha >= 2 * tau"),
        ("r - alpha * q", "r + alpha * q"),
        ("r + (rr / previous) * p", "r"),
        ("tolerance * math.sqrt(first)", "0.5"),
        ("alpha * unit / scale", "alpha / scale"),
        ("* scale / unit", "* scale"),
        ("edge = radius / scale", "edge = 1.0"),
        ("(edge + math.sqrt(xx))", "edge"),
        ("gap / (xp + root)", "gap / root"),
    ],
)
def test_planted_errors_are_caught(correct, planted):
    source = inspect.getsource(inspect.getmodule(solver))
    assert source.count(correct) == 1
    namespace = {"__name__": "mcx_optim.steihaug"}
    exec(source.replace(correct, planted), namespace)
    with pytest.raises(AssertionError):
        check_solver(namespace["steihaug"])


def test_inside_the_iterates_are_those_of_conjugate_gradients():
    A, b = spd(12), np.arange(1.0, 13.0)
    for iterations in range(1, 12):
        options = {"tolerance": 1e-12, "max_iterations": iterations}
        inside, free = solver(A, b, 1e3, **options), truncated_cg(A, b, **options)
        np.testing.assert_allclose(inside.x, free.x, rtol=1e-12)
        assert (inside.status, inside.iterations) == (free.status, free.iterations)
        assert inside.status is Status.MAX_ITERATIONS


def test_every_status():
    A, b = np.diag([1.0, -1.0]), np.array([1.0, 0.0])
    assert solver(A, b, 9.0).status is Status.CONVERGED
    assert solver(A, b, 0.9).status is Status.BOUNDARY
    assert solver(A, np.ones(2), 0.9).status is Status.BOUNDARY  # κ = 0: a zero is no curvature
    assert solver(A, b[::-1], 0.9).status is Status.NEGATIVE_CURVATURE
    assert solver(A, 0 * b, 0.9).status is Status.ZERO_RIGHT_HAND_SIDE
    assert solver(A, b, 0.9, tolerance=1.0).x.tolist() == [0.0, 0.0]
    broken = solver(np.full((2, 2), np.nan), b, 0.9)
    assert (broken.status, broken.x.tolist(), broken.iterations) == (Status.NON_FINITE, [0, 0], 1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("unit", "size"), [(1, 90), (1, -90), (40, 20), (-40, 40), (30, -60)])
def test_units_change_no_digit(dtype, unit, size):
    """2ᵘ A, 2ˢ b and 2ˢ⁻ᵘ Δ give 2ˢ⁻ᵘ x; squares of these leave float32."""
    span = 2.0 ** (size - unit)
    for A in (spd(8, dtype=dtype), symmetric(8, 4).astype(dtype)):
        b = np.arange(1, 9).astype(dtype)
        for radius in (0.5, 40.0):
            with np.errstate(over="raise", invalid="raise"):
                plain = solver(A, b, radius)
                scaled = solver(A * dtype(2.0**unit), b * dtype(2.0**size), radius * span)
            assert np.array_equal(scaled.x, plain.x * dtype(span))
            assert (scaled.status, scaled.iterations) == (plain.status, plain.iterations)
            assert scaled.x.dtype == dtype


def test_device_arrays():
    A, b = symmetric(8, 4), np.arange(1.0, 9.0)
    on_device = solver(StandIn.wrap(A), StandIn.wrap(b), 2.0)
    assert np.array_equal(on_device.x.get(), solver(A, b, 2.0).x)


@pytest.mark.parametrize("radius", [0.0, -1.0, np.inf, np.nan])
def test_bad_radii_are_refused(radius):
    with pytest.raises(ValueError, match="radius: expected a positive number, got"):
        solver(np.eye(2), np.ones(2), radius)
