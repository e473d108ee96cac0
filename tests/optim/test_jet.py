"""The step size from the Taylor polynomial along the step."""

import math

import mpmath
import numpy as np
import pytest

from mcx_optim import Objective
from mcx_optim.jet import jet_step
from mcx_optim.taylor_ratio import taylor_ratio, taylor_ratio_step
from tests.optim.problems import dense_hessian, network, network_value_and_grad, small_softmax

EPS = float(np.finfo(np.float64).eps)
ETA = 0.05

# Functions of one variable, smooth on the steps taken from POINTS.
SMOOTH = {
    "exp": lambda x: mpmath.exp(-x),
    "two exponentials": lambda x: mpmath.exp(-x) + mpmath.exp(x / 2),
    "reciprocal": lambda x: 1 / (2 + x),
    "rational": lambda x: (1 - x) ** 2 / (1 + x * x),
    "logistic": lambda x: mpmath.log(1 + mpmath.exp(-x)),
    "tanh, squared error": lambda x: (mpmath.tanh(x) - 1) ** 2,
    "sigmoid, squared error": lambda x: (1 / (1 + mpmath.exp(-x)) - 1) ** 2,
    "cosine": lambda x: mpmath.cos(x + 0.7),
    "quartic": lambda x: (x - 1.2) ** 4,
    "Rosenbrock": lambda x: 100 * ((1 - x) - (0.3 + x) ** 2) ** 2 + (1 - x) ** 2,
    "log-sum-exp": lambda x: mpmath.log(mpmath.exp(2 * x) + mpmath.exp(-3 * x) + mpmath.exp(1 - x)),
    "Gaussian well": lambda x: -mpmath.exp(-((x - 1.1) ** 2)),
    "pseudo-Huber": lambda x: mpmath.sqrt(1 + (x - 2) ** 2),
}
POINTS = (-0.3, 0.0, 0.2, 0.5, 1.5)
LENGTHS = (0.1, 0.3, 1.0, 2.0, 4.0, "Newton")


def smooth_steps(order):
    """Yield (name, φ, coefficients) for descent from every point by every length."""
    for name, f in SMOOTH.items():
        for x in POINTS:
            slope, half_curvature = (float(c) for c in mpmath.taylor(f, x, 2)[1:])
            for length in LENGTHS:
                if length == "Newton":
                    if half_curvature <= 0:
                        continue
                    delta = -slope / (2 * half_curvature)
                else:
                    delta = -math.copysign(length, slope)
                phi = lambda gamma, f=f, x=x, delta=delta: f(x + gamma * delta)  # noqa: E731
                yield f"{name} {x} {length}", phi, [float(c) for c in mpmath.taylor(phi, 0, order)]


def longest_interval(c, eta, most):
    """Return the rule's γ by search on a grid of relative width 1e-4."""
    k = len(c) - 1
    gamma = most * np.geomspace(1e-7, 1.0, 161_182)
    change = sum(c[j] * gamma**j for j in range(1, k + 1))
    error = np.abs(sum(c[j] * gamma**j for j in range(3, k + 1)))
    last = abs(c[k]) * gamma**k
    if k >= 5:
        last = np.maximum(last, abs(c[k - 1]) * gamma ** (k - 1))
    meets = (error + last <= eta * (-change - last)) & (np.diff(change, prepend=0.0) < 0)
    return most if meets.all() else gamma[np.argmin(meets)]


# ----- the coefficients -----


def test_coefficients_of_exponentials():
    objective = Objective(lambda w, batch: (np.sum(np.exp(w)), np.exp(w)))
    w, delta = np.array([0.3, -1.0, 2.0]), np.array([0.5, -2.0, 0.25])
    expected = [np.sum(np.exp(w) * delta**j) / math.factorial(j) for j in range(8)]
    np.testing.assert_allclose(objective.taylor(w, None, delta, 7), expected, rtol=1e-13)


def test_coefficients_of_a_geometric_series():
    objective = Objective(lambda w, batch: (1 / (1 + w @ w), -2 * w / (1 + w @ w) ** 2))
    coefficients = objective.taylor(np.zeros(2), None, np.array([0.6, 0.8]), 6)
    np.testing.assert_allclose(coefficients, [1, 0, -1, 0, 1, 0, -1], atol=1e-15)


@pytest.mark.parametrize(("dtype", "rtol"), [(np.float64, 1e-12), (np.float32, 1e-4)])
def test_coefficients_of_logistic_regression(dtype, rtol, rng):
    X = rng.standard_normal((7, 3)).astype(dtype)
    sign = np.where(rng.random(7) < 0.5, -1, 1).astype(dtype)
    w, delta = rng.standard_normal((2, 3)).astype(dtype)

    def value(w, batch):
        X, sign = batch
        return np.mean(np.log1p(np.exp(-sign * (X @ w))))

    objective = Objective(lambda w, batch: (value(w, batch), np.zeros_like(w)), value)
    coefficients = objective.taylor(w, (X, sign), delta, 5)
    assert coefficients.dtype == np.float64
    start, slope = -sign * (X @ w).astype(float), -sign * (X @ delta).astype(float)
    terms = [
        mpmath.taylor(lambda t, a=a, b=b: mpmath.log(1 + mpmath.exp(a + b * t)), 0, 5)
        for a, b in zip(start, slope, strict=True)
    ]
    expected = [float(sum(column)) / 7 for column in zip(*terms, strict=True)]
    scale = np.mean(np.abs(np.array(terms, float)), axis=0)
    assert np.all(np.abs(coefficients - expected) <= rtol * scale)


def test_taylor_polynomial_is_counted_in_losses():
    objective, w = small_softmax()
    objective.taylor(w, objective.rows(slice(20)), np.ones_like(w), 4)
    assert objective.counts.taylor == 9 * 20
    assert objective.counts.cost() == pytest.approx(60)


def test_bad_w_is_refused():
    objective, w = small_softmax()
    with pytest.raises(TypeError, match="w: expected an array of float32 or float64"):
        objective.taylor(w.astype(int), objective.data, w, 3)


# ----- the rule -----


@pytest.mark.parametrize("eta", [0.01, 0.05, 0.5])
@pytest.mark.parametrize("third", [*np.geomspace(0.1, 1e9, 11), 1e300])
def test_cubic_error_in_closed_form(third, eta):
    for c, gamma in (
        ([7.0, -1.0, 0.0, third], math.sqrt(eta / (2 * third * (1 + eta)))),
        ([7.0, -1.0, 0.0, -third], math.sqrt(eta / (2 * third))),
        ([7.0, -1.0, 0.0, third, 0.0], math.sqrt(eta / (third * (1 + eta)))),
        ([7.0, -1.0, 0.0, -third, 0.0], math.sqrt(eta / (third * (1 - eta)))),
    ):
        step = jet_step(c, eta=eta)
        assert step.accepted
        assert step.trials == 0
        np.testing.assert_allclose(step.gamma, min(1.0, gamma), rtol=1e-13)
        change = -step.gamma + c[3] * step.gamma * step.gamma**2
        np.testing.assert_allclose(step.loss, 7 + change, rtol=1e-15)
        np.testing.assert_allclose(
            step.eta, abs(c[3] * step.gamma * step.gamma**2 / change), rtol=1e-12
        )


@pytest.mark.parametrize("order", range(3, 9))
@pytest.mark.parametrize(("eta", "most"), [(0.1, 1.0), (0.9, 3.0)])
def test_gamma_is_the_end_of_the_longest_interval(order, eta, most, rng):
    ended = 0
    for _ in range(15):
        c = rng.standard_normal(order + 1) * 10.0 ** rng.uniform(-2, 2, order + 1)
        c[1] = -abs(c[1])
        step = jet_step(c, eta=eta, most=most)
        np.testing.assert_allclose(step.gamma, longest_interval(c, eta, most), rtol=3e-4)
        ended += step.gamma < most
    assert ended >= 5


@pytest.mark.parametrize("order", [3, 4, 8])
def test_quadratic_goes_to_its_minimizer(order):
    zeros = [0.0] * (order - 2)
    for half_curvature, most, gamma in (
        (0.5, 1.0, 1.0),
        (0.5, 2.0, 1.0),
        (2.0, 1.0, 0.25),
        (0.1, 1.0, 1.0),
        (0.1, 10.0, 5.0),
        (0.0, 1.0, 1.0),
        (-3.0, 1.0, 1.0),
    ):
        step = jet_step([4.0, -1.0, half_curvature, *zeros], eta=ETA, most=most)
        assert step.accepted
        assert step.eta == 0
        np.testing.assert_allclose(step.gamma, gamma, rtol=1e-14)
        np.testing.assert_allclose(step.loss, 4 - gamma + half_curvature * gamma**2, rtol=1e-14)


def test_gamma_stays_before_the_first_minimizer():
    """(γ² - 1/4)² - γ/100 has its first minimum near 1/2 and its model none."""
    c = [1 / 16, -0.01, -0.5, 0.0, 1.0]
    minimizer = next(r.real for r in np.roots([4.0, 0.0, -1.0, -0.01]) if r.real > 0)
    step = jet_step([*c, 0.0, 0.0], eta=0.99)
    np.testing.assert_allclose(step.gamma, minimizer, rtol=1e-13)


def test_ratio_that_nearly_reaches_the_bound_is_passed():
    """The ratio peaks at γ = 1/2, at 0.99 of the bound: a pair of complex roots."""
    third = 12 * 0.99 * ETA / (1 + ETA)
    c = [0.0, -1.0, 0.0, third, -4 / 3 * third, 0.0, 0.0]
    gamma = max(np.roots([4 / 3 * third * (1 - ETA), -third * (1 - ETA), 0.0, -ETA]).real)
    assert 0.8 < gamma < 0.9
    np.testing.assert_allclose(jet_step(c, eta=ETA).gamma, gamma, rtol=1e-13)


def test_order_two_says_nothing_of_the_error():
    step = jet_step([4.0, -1.0, 2.0], eta=ETA)
    assert (step.gamma, step.loss, step.eta, step.accepted) == (0.25, 3.875, math.inf, False)
    assert jet_step([4.0, -1.0, -2.0], eta=ETA).gamma == 1.0


@pytest.mark.parametrize(
    "c",
    [
        [1.0, 0.0, 1.0, 0.0],
        [1.0, 1e-300, -1.0, 0.0],
        [1.0, 2.0, 1.0, 1.0],
        [math.nan, -1.0, 1.0, 0.0],
        [1.0, -math.inf, 1.0, 0.0],
        [1.0, math.nan, 1.0, 0.0],
        [1.0, -1.0, math.inf, 0.0],
        [1.0, -1.0, 1.0, math.nan],
        [1.0, -1.0, 1.0, 0.0, -math.inf],
        [1.0, -1e-320, 1.0, 1e300],
    ],
)
def test_no_step_without_descent_or_finite_coefficients(c):
    step = jet_step(c, eta=ETA)
    assert (step.gamma, step.eta, step.accepted, step.trials) == (0.0, math.inf, False, 0)
    assert step.loss == c[0] or math.isnan(c[0])


def test_higher_coefficients_may_be_of_any_size():
    for exponent in (-300, -100, 0, 100, 300):
        step = jet_step([0.0, -1.0, 0.0, 0.0, 10.0**exponent], eta=ETA)
        gamma = min(1.0, (ETA / (2 * (1 + ETA)) / 10.0**exponent) ** (1 / 3))
        np.testing.assert_allclose(step.gamma, gamma, rtol=1e-13)
        assert step.loss < 0


@pytest.mark.parametrize("exponent", [-250, -12, 12, 250])
def test_scaling_the_loss_changes_nothing(exponent, rng):
    for order in (3, 5, 8):
        c = rng.standard_normal(order + 1)
        c[1] = -abs(c[1])
        step = jet_step(c, eta=ETA)
        scaled = jet_step(c * 10.0**exponent, eta=ETA)
        np.testing.assert_allclose(scaled.gamma, step.gamma, rtol=1e-12)
        np.testing.assert_allclose(scaled.eta, step.eta, rtol=1e-12)
        np.testing.assert_allclose(scaled.loss, step.loss * 10.0**exponent, rtol=1e-12)


@pytest.mark.parametrize("stretch", [1e-6, 0.5, 1e6])
def test_stretching_the_direction_shrinks_gamma_by_as_much(stretch, rng):
    for order in (3, 5, 8):
        c = rng.standard_normal(order + 1)
        c[1] = -abs(c[1])
        step = jet_step(c, eta=ETA)
        stretched = jet_step(c * stretch ** np.arange(order + 1), eta=ETA, most=1 / stretch)
        np.testing.assert_allclose(stretched.gamma * stretch, step.gamma, rtol=1e-11)


@pytest.mark.parametrize(
    ("c", "options", "message"),
    [
        ([1.0, -1.0], {}, r"coefficients: expected at least 3 \(order 2\), got shape \(2,\)"),
        ([[1.0, -1.0, 1.0]], {}, r"got shape \(1, 3\)"),
        ([1.0, -1.0, 1.0], {"eta": 0.0}, r"eta: expected a number in \(0, 1\), got 0.0"),
        ([1.0, -1.0, 1.0], {"eta": math.nan}, "eta: expected"),
        ([1.0, -1.0, 1.0], {"most": 0.0}, "most: expected a positive number, got 0.0"),
        ([1.0, -1.0, 1.0], {"most": math.inf}, "most: expected a positive number, got inf"),
    ],
)
def test_bad_settings_are_refused(c, options, message):
    with pytest.raises(ValueError, match=message):
        jet_step(c, **{"eta": ETA} | options)


# ----- the function itself -----


@pytest.mark.parametrize(("order", "least"), [(3, 0.95), (4, 1.0), (5, 1.0), (6, 1.0), (8, 1.0)])
def test_smooth_functions_meet_the_ratio_without_being_asked(order, least):
    """Order 3 misses where c_3 = 0 by symmetry, which hides the fourth-order error."""
    met, against_trials, trials = [], [], 0
    for name, phi, c in smooth_steps(order):
        step = jet_step(c, eta=ETA)
        assert step.accepted, name
        value = lambda gamma, phi=phi: float(phi(gamma))  # noqa: E731
        model = c[1] * step.gamma + c[2] * step.gamma**2
        met.append(taylor_ratio(c[0], value(step.gamma), model) <= 1.01 * ETA)
        tried = taylor_ratio_step(value, c[0], c[1], 2 * c[2], eta=ETA, eps=EPS)
        trials += tried.trials
        against_trials.append(step.gamma / tried.gamma)
    assert np.mean(met) >= least
    assert len(met) > 300
    assert trials > 2 * len(met)
    assert np.median(against_trials) > (0.85 if order == 3 else 1.0)


@pytest.mark.parametrize(("order", "least"), [(3, 0.75), (4, 0.9), (5, 0.95), (6, 0.97)])
def test_network_meets_the_ratio_along_newton_and_gradient_steps(order, least, rng):
    objective, _ = network()
    batch = objective.data
    ratios = []
    for _ in range(60):
        w = rng.standard_normal(32)
        loss, g = network_value_and_grad(w, batch)
        H = dense_hessian(network_value_and_grad, w, batch)
        values, vectors = np.linalg.eigh(H)
        newton = -vectors @ ((vectors.T @ g) / np.maximum(np.abs(values), 1e-2))
        for delta in (newton, -g):
            step = jet_step(objective.taylor(w, batch, delta, order), eta=ETA)
            assert step.accepted
            new_loss = network_value_and_grad(w + step.gamma * delta, batch)[0]
            model = step.gamma * (g @ delta) + step.gamma**2 * (delta @ H @ delta) / 2
            ratios.append(taylor_ratio(loss, new_loss, model))
    assert np.mean(np.array(ratios) <= 1.01 * ETA) >= least
    assert order == 3 or max(ratios) < 3 * ETA
