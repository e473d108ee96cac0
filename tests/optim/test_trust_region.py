"""Trust-region Newton: radii by hand, ratios by the definition, saddles, rounding."""

import inspect

import numpy as np
import pytest

from mcx_optim import Hessian, NonFiniteError, Objective, Status, fit, trust_region
from mcx_optim.steihaug import steihaug
from mcx_optim.trust_region import TrustRegion
from tests.optim.known_minima import PROBLEMS
from tests.optim.problems import network, quadratic, spd
from tests.standin import StandIn


def literal_step(objective, w, radius, max_radius, first_norm, data):
    """Return w, Δ and the trials of one step by Algorithm 4.1 as the docstring amends it."""
    loss, g = objective.value_and_grad(w, data)
    H = np.array([objective.hvp(w, data, e) for e in np.eye(w.size)])
    norm = np.linalg.norm(g)
    for trials in range(1, 40):
        tolerance = min(0.5, np.sqrt(norm / first_norm))
        p = steihaug(H, -g, radius, tolerance=tolerance, max_iterations=200).x
        noise = 10 * 2.0**-52 * abs(loss) * (trials == 1)
        rho = (loss - objective.loss(w + p, data) + noise) / (-(g @ p + p @ H @ p / 2) + noise)
        at_edge = np.linalg.norm(p) > 0.999999 * radius
        if rho < 0.25:
            radius = np.linalg.norm(p) / 4
        elif rho > 0.75 and at_edge:
            radius = min(2 * radius, max_radius)
        if rho > 0.1:
            return w + p, radius, trials
    return w, radius, trials


def check_steps(optimizer):
    """Raise AssertionError unless 15 steps of the optimizer are literal ones."""
    objective, w = network()
    radius, most = optimizer.radius, optimizer.max_radius
    first, rejected, radii = np.linalg.norm(objective.grad(w, objective.data)), 0, {radius}
    for _ in range(15):
        expected, radius, trials = literal_step(objective, w, radius, most, first, objective.data)
        w, info = optimizer.step(objective, w, objective.data)
        np.testing.assert_allclose(w, expected, rtol=1e-6, atol=1e-9)
        assert optimizer.radius == pytest.approx(radius, rel=1e-6)
        assert (info.outcome, info.trials) == ("accepted", trials)
        assert info.new_loss == pytest.approx(objective.loss(w, objective.data), rel=1e-12)
        assert info.counts.linearize == 60
        assert info.counts.hvp == 60 * info.cg_iterations
        rejected += trials - 1
        radii.add(radius)
        w = expected
    assert len(radii) > 2
    return rejected


def check_settings(make):
    """Raise AssertionError unless steps are right for radii that grow, shrink and are bounded."""
    check_steps(make())
    assert check_steps(make(radius=50.0)) > 0
    check_steps(make(radius=0.1, max_radius=0.3))


def test_steps():
    check_settings(TrustRegion)


@pytest.mark.parametrize(
    ("correct", "planted"),
    [
        ("REDUCTION * length(solution.x)", "REDUCTION * self.radius * 2"),
        ("min(GROWTH * self.radius, self.max_radius)", "GROWTH * self.radius"),
        ("rho > self.accept", "rho > -1e9"),
        ("solution.curvature / 2", "solution.curvature"),
        ("-H.gradient,", "H.gradient,"),
        ("min(0.5, math.sqrt(norm / self._first_norm))", "0.5"),
        ("(Status.BOUNDARY, Status.NEGATIVE_CURVATURE)", "(Status.NEGATIVE_CURVATURE,)"),
    ],
)
def test_planted_errors_are_caught(correct, planted):
    source = inspect.getsource(trust_region)
    assert source.count(correct) == 1
    namespace = {"__name__": "mcx_optim.trust_region"}
    exec(source.replace(correct, planted), namespace)
    with pytest.raises(AssertionError):
        check_settings(namespace["TrustRegion"])


def test_radii_on_a_parabola():
    """From 10 with Δ = 1, 2, 4, then 3 inside; the model is exact."""
    objective, optimizer, w = quadratic(np.eye(2), np.zeros(2)), TrustRegion(), np.array([6.0, 8.0])
    lengths, statuses, radii = [], [], []
    for _ in range(4):
        new, info = optimizer.step(objective, w, None)
        lengths.append(round(float(np.linalg.norm(new - w)), 12))
        statuses.append(info.cg_status)
        radii.append(optimizer.radius)
        w = new
    assert lengths == [1, 2, 4, 3]
    assert statuses == ["BOUNDARY"] * 3 + ["CONVERGED"]
    assert radii == [2, 4, 8, 8]
    np.testing.assert_allclose(w, 0, atol=1e-14)
    optimizer, w = TrustRegion(max_radius=2.0), np.array([60.0, 80.0])
    for _ in range(3):
        w, _ = optimizer.step(objective, w, None)
    assert optimizer.radius == 2


def test_far_valley():
    p = PROBLEMS["brown_badly_scaled"]

    def value_and_grad(w, batch):
        r = p.residuals(w)
        return r @ r, 2 * np.stack([r[0] + r[2] * w[1], r[1] + r[2] * w[0]])

    optimizer, w = TrustRegion(radius=1e6, max_radius=1e7), p.x0
    for _ in range(60):
        w, _ = optimizer.step(Objective(value_and_grad), w, None)
    np.testing.assert_allclose(w, p.minimizer, rtol=1e-8)


def test_saddles_are_left():
    def value_and_grad(w, batch):
        return np.sum(w**4 / 4 - w**2 / 2), w**3 - w

    objective, optimizer, w = Objective(value_and_grad), TrustRegion(), np.array([1e-9, -2e-9, 3.0])
    seen = set()
    for _ in range(25):
        w, info = optimizer.step(objective, w, None)
        seen.add(info.cg_status)
    np.testing.assert_allclose(np.abs(w), 1, rtol=1e-12)
    assert Status.NEGATIVE_CURVATURE.name in seen
    w, info = optimizer.step(objective, np.zeros(3), None)
    assert (w.tolist(), info.outcome, info.reason) == ([0, 0, 0], "skipped", "the gradient is zero")


def test_the_unit_of_the_loss_changes_no_step():
    def run(unit):
        def value_and_grad(w, batch):
            f = np.sum(w**4 / 4 - w**2 / 2 + np.cos(3 * w))
            return unit * f, unit * (w**3 - w - 3 * np.sin(3 * w))

        optimizer, w = TrustRegion(), np.array([0.3, -2.0, 5.0])
        for _ in range(12):
            w, _ = optimizer.step(Objective(value_and_grad), w, None)
        return w

    for unit in (2.0**200, 2.0**-200):
        assert np.array_equal(run(unit), run(1.0))


def test_rounding_of_the_loss_decides_nothing():
    """1e8 + w²/2: the decrease from 1e-5 is lost; ρ is 1 then, and the radius does not shrink."""
    objective = Objective(lambda w, batch: (1e8 + w @ w / 2, w))
    optimizer = TrustRegion()
    w, info = optimizer.step(objective, np.array([1e-5]), None)
    assert info.outcome == "accepted"
    assert info.trials == 1
    assert abs(w[0]) < 1e-15
    assert optimizer.radius == 1


def test_non_finite_trials_are_survived():
    objective = Objective(lambda w, batch: (np.sum(w - np.log(w)), 1 - 1 / w))
    optimizer, w = TrustRegion(radius=50.0), np.array([5.0, 0.3])
    trials = []
    for _ in range(15):
        w, info = optimizer.step(objective, w, None)
        trials.append(info.trials or 0)
        assert info.reason in (None, "the gradient is zero")
    np.testing.assert_allclose(w, 1, rtol=1e-12)
    assert max(trials) > 1
    with np.errstate(invalid="ignore"), pytest.raises(NonFiniteError, match="loss is nan"):
        optimizer.step(objective, -w, None)


def test_failures_leave_w_and_the_radius_in_place():
    wrong = Objective(lambda w, batch: (-(w @ w), 2 * w))
    optimizer = TrustRegion(radius=3.0)
    w, info = optimizer.step(wrong, np.ones(2), None)
    assert (info.outcome, w.tolist(), optimizer.radius) == ("skipped", [1.0, 1.0], 3.0)
    assert info.reason == "no radius decreases the loss as the model predicts"
    assert info.predicted == pytest.approx(-2.0)  # that of the first radius
    root = Objective(lambda w, batch: (np.sum(w), np.sqrt(w) + 1))
    with np.errstate(all="ignore"):
        w, info = optimizer.step(root, np.zeros(2), None)
    assert (info.outcome, info.cg_status) == ("skipped", "NON_FINITE")


def test_a_quadratic_needs_its_eigenvalues():
    A = np.diag([1.0, 1.0, 5.0, 5.0, 25.0])
    optimizer, w = TrustRegion(radius=100.0), np.zeros(5)
    objective = quadratic(A, A @ np.arange(5.0))
    products = []
    for _ in range(6):
        w, info = optimizer.step(objective, w, None)
        if info.cg_iterations is not None:
            products.append(info.cg_iterations)
    assert max(products) <= 3
    np.testing.assert_allclose(w, np.arange(5.0), atol=1e-14)
    assert Hessian(objective, w, None).gradient @ np.ones(5) < 1e-12


def test_fit_resumes_bit_for_bit(tmp_path):
    def run(epochs, **options):
        objective, w = network()
        optimizer = TrustRegion(radius=0.3)
        return fit(objective, optimizer, w, epochs, checkpoint=tmp_path / "run.npz", **options).w

    expected = run(8)
    run(4)
    assert np.array_equal(run(8, resume=True), expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_device_arrays_give_the_steps_of_the_host(dtype):
    A, x = spd(6, dtype=dtype), np.arange(6).astype(dtype)

    def run(wrap):
        objective, optimizer, w = quadratic(wrap(A), wrap(A @ x)), TrustRegion(), wrap(0 * x)
        for _ in range(8):
            w, _ = optimizer.step(objective, w, None)
        return w

    w = run(np.asarray)
    assert w.dtype == dtype
    assert np.array_equal(run(StandIn.wrap).get(), w)
    np.testing.assert_allclose(w, x, atol=300 * np.finfo(dtype).eps)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"radius": 0.0}, "0 < radius <= max_radius, got 0.0, 100.0"),
        ({"radius": 200.0}, "got 200.0, 100.0"),
        ({"max_radius": float("inf")}, "got 1.0, inf"),
        ({"accept": -0.1}, "0 <= accept < low < high < 1, got -0.1, 0.25, 0.75"),
        ({"accept": 0.3}, "got 0.3, 0.25, 0.75"),
        ({"high": 1.0}, "got 0.1, 0.25, 1.0"),
        ({"max_cg": 0}, "max_cg: expected an integer of at least 1, got 0"),
        ({"max_cg": 1.5}, "max_cg: expected an integer of at least 1, got 1.5"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        TrustRegion(**settings)
