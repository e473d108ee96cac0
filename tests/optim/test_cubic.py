"""Cubic regularization: conditions of optimality, mpmath, local minimizers, every special case."""

import itertools
import sys

import numpy as np
import pytest
from mpmath import mp
from scipy.optimize import minimize

from mcx_optim.cubic import CubicStatus, minimize_cubic

EPS = np.finfo(float).eps


def problem(rng, size, spread=1.0):
    """Return a random indefinite H, g, D and strength; `spread` is in decimal exponents."""
    H = rng.standard_normal((size, size))
    scale = 10.0 ** rng.uniform(-spread, spread, 2)
    D = 10.0 ** rng.uniform(-spread, spread, size)
    return H + H.T, scale[0] * rng.standard_normal(size), D, scale[1]


def model(H, g, D, strength, eta):
    return -g @ eta + eta @ H @ eta / 2 + strength / 6 * np.linalg.norm(D * eta) ** 3


def slope(H, g, D, strength, eta):
    return H @ eta - g + strength / 2 * np.linalg.norm(D * eta) * D**2 * eta


def check(H, g, D, strength, step, rtol=1e-12):
    """Assert the equation and the semidefiniteness that make η the global minimizer.

    Both in the units of the groups in which H + (strength/2) r D² has a diagonal of about 1.
    """
    radius = np.linalg.norm(D * step.eta)
    np.testing.assert_allclose(step.radius, radius, rtol=1e-14)
    shift = strength / 2 * radius * D**2
    unit = np.sqrt(np.abs(np.diag(H)) + shift)
    A = (H + np.diag(shift)) / unit / unit[:, None]
    y, b = unit * step.eta, g / unit
    assert np.linalg.norm(A @ y - b) <= rtol * (np.linalg.norm(y) + np.linalg.norm(b))
    assert np.linalg.eigvalsh(A)[0] >= -rtol


def reference(H, g, D, strength, digits=60):
    """Return η (S,) for D > 0 and no hard case, from the spectrum of D⁻¹HD⁻¹ in many digits."""
    with mp.workdps(digits):
        size, c = len(g), mp.mpf(strength) / 2
        d = [mp.mpf(x) for x in D.tolist()]
        K = mp.matrix(size)
        for i, j in itertools.product(range(size), repeat=2):
            K[i, j] = mp.mpf(H[i, j]) / d[i] / d[j]
        kappa, Q = mp.eigsy(K)
        b = Q.T * mp.matrix([mp.mpf(x) / y for x, y in zip(g.tolist(), d, strict=True)])
        least = max(mp.mpf(0), -min(kappa))

        def norm(t):  # at c r = least + t
            terms = ((b[i] / (kappa[i] + least + t)) ** 2 for i in range(size))
            return mp.sqrt(mp.fsum(terms))

        low, high = mp.mpf(-4000), mp.mpf(4000)
        while high - low > mp.mpf(10) ** -40:
            middle = (low + high) / 2
            t = mp.power(2, middle)
            low, high = (middle, high) if c * norm(t) > least + t else (low, middle)
        y = Q * mp.matrix([b[i] / (kappa[i] + least + mp.power(2, low)) for i in range(size)])
        return np.array([float(y[i] / d[i]) for i in range(size)])


# ----- random problems -----


@pytest.mark.parametrize("spread", [1, 4, 8])
def test_conditions_of_optimality(spread, rng):
    for _ in range(150):
        H, g, D, strength = problem(rng, rng.integers(1, 13), spread)
        step = minimize_cubic(H, g, D, strength)
        assert step.status is CubicStatus.MINIMIZED
        check(H, g, D, strength, step)


def test_no_point_is_lower(rng):
    for _ in range(300):
        H, g, D, strength = problem(rng, rng.integers(1, 8))
        eta = minimize_cubic(H, g, D, strength).eta
        least = model(H, g, D, strength, eta)
        trials = rng.standard_normal((60, eta.size)) * 10.0 ** rng.uniform(-3, 1, (60, 1))
        trials *= np.linalg.norm(D * eta) / D
        trials[::2] = eta + trials[::2] / 10
        lowest = min(model(H, g, D, strength, trial) for trial in trials)
        assert least <= lowest + 1e-12 * abs(least)


def test_local_minimizers_from_many_starts_are_not_lower(rng):
    reached = 0
    for _ in range(25):
        H, g, D, strength = problem(rng, rng.integers(2, 6), 0.5)
        eta = minimize_cubic(H, g, D, strength).eta
        least = model(H, g, D, strength, eta)
        given = (H, g, D, strength)
        starts = rng.standard_normal((8, eta.size)) * np.linalg.norm(eta)
        found = [
            minimize(lambda x, p=given: model(*p, x), x0, jac=lambda x, p=given: slope(*p, x)).fun
            for x0 in starts
        ]
        assert least <= min(found) + 1e-12 * abs(least)
        reached += min(found) <= least + 1e-8 * abs(least)
    assert reached >= 20


@pytest.mark.parametrize("size", [2, 4])
@pytest.mark.parametrize("spread", [1, 8, 40])
def test_digits_where_the_groups_are_ill_scaled(size, spread, rng):
    """D⁻¹HD⁻¹ has entries of up to 10^(2 spread), of which double precision sees the largest."""
    for _ in range(6):
        H, g, D, strength = problem(rng, size, spread)
        step = minimize_cubic(H, g, D, strength)
        expected = reference(H, g, D, strength, 300)
        unit = np.sqrt(np.abs(np.diag(H)) + strength / 2 * step.radius * D**2)
        error = np.linalg.norm(unit * (step.eta - expected))
        assert error <= 1e-12 * np.linalg.norm(unit * expected)


@pytest.mark.parametrize("slope", [0.0, 1e-6, 1.0])
@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("digits", range(1, 17))
def test_least_eigenvalue_next_to_a_power_of_four(digits, sign, slope, rng):
    """A small r is next to where H + r D² is singular, of which no step of the search may be."""
    Q = np.linalg.qr(rng.standard_normal((5, 5)))[0]
    for power in (0.25, 1.0, 4.0):
        H = Q * (power * np.array([sign * 10.0**-digits - 1, -0.5, 0.1, 1.0, 2.0])) @ Q.T
        g = slope * rng.standard_normal(5)
        check(H, g, np.ones(5), 2.0, minimize_cubic(H, g, np.ones(5), 2.0), rtol=1e-13)


def test_one_group_in_closed_form():
    for h, g, d, strength in itertools.product((-2.0, 0.0, 3.0), (-1.0, 0.7), (0.5, 2.0), (1, 9.0)):
        # ½ strength d³ η² + h |η| - |g| = 0
        expected = max(np.roots([strength / 2 * d**3, h, -abs(g)])) * np.sign(g)
        step = minimize_cubic([[h]], [g], [d], strength)
        np.testing.assert_allclose(step.eta, [expected], rtol=1e-14)


# ----- scales -----


@pytest.mark.parametrize("spread", [0.5, 100])
@pytest.mark.parametrize("zeros", [0, 2])
def test_rescaled_groups(spread, zeros, rng):
    for _ in range(20):
        H, g, D, strength = problem(rng, 6)
        D[:zeros] = 0
        H[:zeros, :zeros] = np.eye(zeros)
        scale = 10.0 ** rng.uniform(-spread, spread, 6)
        eta = minimize_cubic(H, g, D, strength).eta
        scaled = minimize_cubic(scale * H * scale[:, None], scale * g, scale * D, strength).eta
        np.testing.assert_allclose(scaled * scale, eta, rtol=1e-9)


# Of H, g, D and strength, such that η is within the range of float64.
SCALES = [
    (a, b, c, e)
    for a, b, c, e in itertools.product((-100, 0, 100), repeat=4)
    if a - 3 * c - e < 250
]


@pytest.mark.parametrize("exponents", SCALES, ids=str)
def test_every_scale(exponents, rng):
    given = problem(rng, 3, 0.5)
    scaled = [10.0**exponent * each for exponent, each in zip(exponents, given, strict=True)]
    step = minimize_cubic(*scaled)
    np.testing.assert_allclose(step.eta, reference(*scaled, 700), rtol=1e-9)


# ----- zeros in D, no cubic term -----


def test_zeros_in_D_are_eliminated_by_the_schur_complement(rng):
    for _ in range(30):
        H, g, D, strength = problem(rng, 7)
        D[:3] = 0
        H[:3, :3] = H[:3, :3] @ H[:3, :3]
        step = minimize_cubic(H, g, D, strength)
        inverse = np.linalg.inv(H[:3, :3])
        schur = H[3:, 3:] - H[3:, :3] @ inverse @ H[:3, 3:]
        rest = minimize_cubic(schur, g[3:] - H[3:, :3] @ inverse @ g[:3], D[3:], strength).eta
        zone = inverse @ (g[:3] - H[:3, 3:] @ rest)
        np.testing.assert_allclose(step.eta, np.hstack([zone, rest]), rtol=1e-8)
        check(H, g, D, strength, step)


def test_rounding_in_a_zero_of_D_changes_little(rng):
    H, g, D, strength = problem(rng, 6)
    H[:3, :3] = np.diag([1.0, 2.0, 3.0])
    D[:3] = 0
    expected = minimize_cubic(H, g, D, strength).eta
    for noise in (1e-6, 1e-8, 1e-12, 1e-40, 1e-160):
        D[:3] = noise * rng.random(3)
        np.testing.assert_allclose(
            minimize_cubic(H, g, D, strength).eta, expected, rtol=1e-10 + 1e3 * noise**2
        )


@pytest.mark.parametrize(
    ("H", "D", "strength"),
    [
        ([[1.0, 0.0], [0.0, -1e-3]], [1.0, 0.0], 1.0),
        ([[1.0, 0.0], [0.0, 0.0]], [1.0, 0.0], 1.0),
        ([[1.0, 2.0], [2.0, 0.0]], [1.0, 0.0], 1.0),
        ([[1.0, 1.0], [1.0, 1.0]], [0.0, 0.0], 1.0),
        ([[1.0, 2.0], [2.0, 1.0]], [0.0, 0.0], 1.0),
        ([[1.0, 2.0], [2.0, 1.0]], [1.0, 1.0], 0.0),
        ([[1e100, 2e100], [2e100, 1e100]], [1.0, 1.0], 0.0),
    ],
)
def test_unbounded(H, D, strength):
    step = minimize_cubic(H, [1.0, -1.0], D, strength)
    assert step == type(step)(None, None, CubicStatus.UNBOUNDED)
    assert "positive definite; raise the strength" in str(step.status)


def test_without_a_cubic_term(rng):
    A = rng.standard_normal((5, 5))
    H, g = A @ A.T, rng.standard_normal(5)
    for D, strength in ((np.ones(5), 0.0), (np.zeros(5), 1.0), (np.zeros(5), 0.0)):
        step = minimize_cubic(H, g, D, strength)
        np.testing.assert_allclose(step.eta, np.linalg.solve(H, g), rtol=1e-10)
        np.testing.assert_allclose(step.radius, np.linalg.norm(D * step.eta), rtol=1e-14)
        assert step.status is CubicStatus.MINIMIZED


def test_curvature_that_is_singular_but_for_rounding(rng):
    for _ in range(50):
        scale = 10.0 ** rng.uniform(-8, 8, 5)
        A = scale[:, None] * rng.standard_normal((5, 4))
        H, g = A @ A.T, scale * rng.standard_normal(5)
        assert minimize_cubic(H, g, scale, 0.0).status is CubicStatus.UNBOUNDED
        assert minimize_cubic(H, g, 0 * scale, 1.0).status is CubicStatus.UNBOUNDED


@pytest.mark.parametrize("gap", [1e-6, 1e-10, 1e-13])
def test_curvature_that_is_nearly_singular(gap):
    H = np.array([[1.0, 1 - gap], [1 - gap, 1.0]])
    step = minimize_cubic(H, [1.0, 0.0], np.ones(2), 0.0)
    expected = 1 / (1 - H[0, 1]) / 2
    np.testing.assert_allclose(step.eta, [expected, -expected], rtol=10 * gap + 10 * EPS / gap)


def test_vanishing_strength_is_a_newton_step(rng):
    A = rng.standard_normal((5, 5))
    H, g = A @ A.T, rng.standard_normal(5)
    step = minimize_cubic(H, g, np.ones(5), 1e-200)
    np.testing.assert_allclose(step.eta, np.linalg.solve(H, g), rtol=1e-10)


def test_group_that_the_model_does_not_depend_on(rng):
    H, g, D, strength = problem(rng, 4)
    dead = np.insert(np.insert(H, 2, 0, axis=0), 2, 0, axis=1)
    step = minimize_cubic(dead, np.insert(g, 2, 0), np.insert(D, 2, 0), strength)
    expected = np.insert(minimize_cubic(H, g, D, strength).eta, 2, 0)
    np.testing.assert_array_equal(step.eta, expected)
    assert minimize_cubic(dead, np.insert(g, 2, 1), np.insert(D, 2, 0), strength).eta is None
    step = minimize_cubic(np.zeros((3, 3)), np.zeros(3), np.zeros(3), strength)
    np.testing.assert_array_equal(step.eta, np.zeros(3))
    assert (step.radius, step.status) == (0.0, CubicStatus.MINIMIZED)


def test_only_the_symmetric_part_counts(rng):
    H, g, D, strength = problem(rng, 4)
    skew = rng.standard_normal((4, 4))
    step = minimize_cubic(H + skew - skew.T, g, D, strength)
    np.testing.assert_allclose(step.eta, minimize_cubic(H, g, D, strength).eta, rtol=1e-12)


# ----- the hard case -----


@pytest.mark.parametrize("rotated", [False, True])
@pytest.mark.parametrize("multiplicity", [1, 2])
@pytest.mark.parametrize("part", [0.0, 0.3, 1 - 1e-9])
def test_hard_case(rotated, multiplicity, part, rng):
    """The slope is orthogonal to the lowest eigenvectors; it alone reaches ‖Dη‖ = part·r."""
    kappa = np.array([-3.0] * multiplicity + [-1.0, 0.5, 4.0])
    size, strength = kappa.size, 0.8
    radius = 3.0 / (strength / 2)
    y = np.zeros(size)
    y[multiplicity:] = rng.standard_normal(3)
    y *= part * radius / np.linalg.norm(y)
    Q = np.linalg.qr(rng.standard_normal((size, size)))[0] if rotated else np.eye(size)
    D = 10.0 ** rng.uniform(-2, 2, size)
    H, g = D * (Q * kappa @ Q.T) * D[:, None], D * (Q @ ((kappa + 3) * y))
    step = minimize_cubic(H, g, D, strength)
    if not rotated:
        assert step.status is CubicStatus.HARD_CASE
    np.testing.assert_allclose(step.radius, radius, rtol=2e-14 / np.sqrt(1 - part**2))
    found = Q.T @ (D * step.eta)
    np.testing.assert_allclose(found[multiplicity:], y[multiplicity:], atol=1e-12 * radius)
    check(H, g, D, strength, step)
    other = step.eta - 2 * (Q[:, :multiplicity] @ found[:multiplicity]) / D
    lowest = model(H, g, D, strength, step.eta)
    np.testing.assert_allclose(model(H, g, D, strength, other), lowest, rtol=1e-12)


def test_slope_that_reaches_beyond_the_hard_case():
    """No part along the lowest eigenvector, yet r is larger than the hard case has it."""
    H, g, D = np.diag([-1.0, 1.0]), np.array([0.0, 50.0]), np.ones(2)
    step = minimize_cubic(H, g, D, 2.0)
    np.testing.assert_allclose(step.eta, [0, (np.sqrt(201) - 1) / 2], rtol=1e-14, atol=1e-16)
    assert step.status is CubicStatus.MINIMIZED
    check(H, g, D, 2.0, step)


@pytest.mark.parametrize("exponent", [-3, -8, -16, -17, -30, -100, -280])
@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("beyond", [0.5, 1.0, 1.1])
def test_nearly_hard_case(exponent, sign, beyond):
    """With c = 1: η_0 = g_0/t and η_1 = g_1/(4 + t), in which r = 2 + t."""
    H, D = np.diag([-2.0, 2.0]), np.ones(2)
    g = np.array([sign * 10.0**exponent, 8.0 * beyond])
    step = minimize_cubic(H, g, D, 2.0)
    if beyond != 1.0:  # there g_0 changes η_0 by its cube root
        np.testing.assert_allclose(step.eta, reference(H, g, D, 2.0, 650), rtol=3e-12)
    assert step.status is CubicStatus.MINIMIZED
    check(H, g, D, 2.0, step)


def test_zero_slope():
    H, D = np.diag([2.0, 1.0]), np.array([1.0, 3.0])
    step = minimize_cubic(H, np.zeros(2), D, 1.0)
    np.testing.assert_array_equal(step.eta, np.zeros(2))
    assert step.status is CubicStatus.MINIMIZED
    step = minimize_cubic(-H, np.zeros(2), D, 1.0)
    np.testing.assert_allclose(np.abs(step.eta), [4.0, 0.0], rtol=1e-14, atol=1e-15)
    assert step.status is CubicStatus.HARD_CASE
    singular = minimize_cubic(np.ones((2, 2)), np.zeros(2), D, 1.0)
    np.testing.assert_allclose(singular.eta, 0, atol=1e-14)


# ----- bad input -----


def test_not_finite():
    for place, bad in itertools.product(range(4), (np.nan, np.inf)):
        given = [np.eye(2), np.ones(2), np.ones(2), 1.0]
        given[place] = given[place] * bad if place else np.full((2, 2), bad)
        step = minimize_cubic(*given)
        assert step == type(step)(None, None, CubicStatus.NON_FINITE)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"H": np.eye(3)}, r"H: expected shape \(2, 2\), as g has 2, got \(3, 3\)"),
        ({"D": np.ones(3)}, r"D: expected shape \(2,\), as g has 2, got \(3,\)"),
        ({"g": np.ones((2, 1))}, r"g: expected shape \(2,\)"),
        ({"D": np.array([1.0, -1e-9])}, r"D: expected no negative number; np.cbrt\(np.abs\(third"),
        ({"strength": -1.0}, "strength: expected a number of at least 0, got -1.0"),
        ({"H": np.ones((0, 0)), "g": [], "D": []}, "g: expected at least one group, got none"),
    ],
)
def test_refused(change, message):
    given = {"H": np.eye(2), "g": np.ones(2), "D": np.ones(2), "strength": 1.0} | change
    with pytest.raises(ValueError, match=message):
        minimize_cubic(**given)


def test_without_scipy(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    with pytest.raises(ImportError, match=r"minimize_cubic: expected SciPy.*pip install scipy"):
        minimize_cubic(np.eye(2), np.ones(2), np.ones(2), 1.0)
    np.testing.assert_array_equal(minimize_cubic(np.eye(2), np.ones(2), np.ones(2), 0).eta, [1, 1])


def test_inputs_are_left_alone(rng):
    given = problem(rng, 3)[:3]
    copies = [each.copy() for each in given]
    minimize_cubic(*given, 1.0)
    for each, copy in zip(given, copies, strict=True):
        np.testing.assert_array_equal(each, copy)
