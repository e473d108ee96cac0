"""The trainer: one Newton step, scale invariance, its guards, and its log."""

import numpy as np
import pytest

from mcx_nn import Dense, L2Regularized, Sequential, Supervised, softmax_cross_entropy
from mcx_optim import GrowingSample, Kronecker, NewtonKrylov, NonFiniteError, Objective, Status, fit
from tests.optim.problems import (
    network,
    quadratic,
    small_data,
    small_softmax,
    softmax_value,
    softmax_value_and_grad,
    spd,
)


def check_newton_step(optimizer):
    """Raise AssertionError unless one step minimizes a convex quadratic and says so."""
    A, b = spd(8), np.arange(1.0, 9.0)
    w = np.ones(8)
    point, info = optimizer.step(quadratic(A, b), w, None)
    np.testing.assert_allclose(point, np.linalg.solve(A, b), rtol=1e-9)
    assert (info.outcome, info.gamma, info.trials, info.cg_status) == (
        "accepted",
        1.0,
        1,
        "CONVERGED",
    )
    assert info.cg_iterations <= 8
    assert info.predicted == pytest.approx(info.new_loss - info.loss)
    assert info.slope == pytest.approx(2 * info.predicted)
    assert info.eta < 1e-12
    assert np.array_equal(w, np.ones(8)), "w was mutated"


@pytest.mark.parametrize("rhs", ["global", "batch"])
@pytest.mark.parametrize("screening", [True, False])
def test_one_step_minimizes_a_convex_quadratic(rhs, screening):
    check_newton_step(NewtonKrylov(tolerance=1e-11, rhs=rhs, screening=screening))


def test_planted_errors_are_caught_by_the_same_check(monkeypatch):
    with pytest.raises(AssertionError):  # line 21 as printed takes ‖r‖/κ
        check_newton_step(NewtonKrylov(tolerance=1e-11, literal=True))
    with pytest.raises(AssertionError):
        check_newton_step(NewtonKrylov(tolerance=0.5))
    with monkeypatch.context() as patch:
        patch.setattr("mcx_optim.hessian.Hessian.__matmul__", lambda H, p: -H._product(p))
        with pytest.raises(AssertionError):
            check_newton_step(NewtonKrylov(tolerance=1e-11))
    with monkeypatch.context() as patch:
        patch.setattr("mcx_optim.hessian.Hessian.__matmul__", lambda H, p: 1.01 * H._product(p))
        with pytest.raises(AssertionError):
            check_newton_step(NewtonKrylov(tolerance=1e-11))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("scale", [2.0**40, 2.0**-40, 1e12, 1e-12])
def test_scaling_the_loss_gives_the_same_iterates(scale, dtype):
    def run(factor):
        def value_and_grad(w, batch):
            loss, gradient = softmax_value_and_grad(w, batch)
            return factor * loss, factor * gradient

        objective = Objective(value_and_grad, data=small_data(dtype=dtype))
        return fit(objective, NewtonKrylov(), np.zeros(15, dtype), 2, 20)

    plain, scaled = run(1.0), run(scale)
    assert plain.history.epochs[-1]["train_loss"] < 0.5 * plain.history.epochs[0]["train_loss"]
    if np.log2(scale) % 1 == 0:  # exact in floating point
        assert np.array_equal(scaled.w, plain.w)
    else:
        rtol = 1e-6 if dtype == np.float64 else 1e-3
        np.testing.assert_allclose(scaled.w, plain.w, rtol=rtol, atol=rtol / 1000)
    for ours, theirs in zip(plain.history.steps, scaled.history.steps, strict=True):
        assert ours.cg_status == theirs.cg_status


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"negative_curvature": "stop"},
        {"screening": False},
        {"rhs": "batch"},
        {"rhs": "batch", "screening": False, "eta": 0.2},
    ],
    ids=str,
)
def test_every_step_decreases_the_tracked_loss(options, dtype):
    objective, w = network(dtype)
    result = fit(objective, NewtonKrylov(**options), w, 20, 15)
    assert result.w.dtype == dtype
    moved = [info for info in result.history.steps if info.outcome != "skipped"]
    assert len(moved) > 20
    if options.get("rhs") == "batch":
        assert all(info.new_loss < info.loss for info in moved)
        return
    assert all(info.new_tracked_loss < info.tracked_loss for info in moved)
    losses = result.history.column("train_loss")
    assert np.all(np.diff(losses) <= 0)
    assert losses[-1] < 0.6 * losses[0]


@pytest.mark.parametrize("negative_curvature", ["follow", "stop"])
def test_saddle_is_left_by_following_negative_curvature(negative_curvature):
    """Start near the saddle at 0 of (x⁴ - 2x²)/4 + y²/2, whose minima are at x = ±1."""

    def double_well(w, batch):
        x, y = w[0], w[1]
        return (x**4 - 2 * x**2) / 4 + y**2 / 2, np.stack([x**3 - x, y])

    result = fit(
        Objective(double_well),
        NewtonKrylov(negative_curvature=negative_curvature),
        np.array([1e-3, 5e-4]),
        40,
    )
    first = result.history.steps[0]
    assert first.cg_status == "NEGATIVE_CURVATURE"
    if negative_curvature == "stop":
        assert first.outcome == "skipped"
        assert first.reason.startswith("the solver met negative curvature at its first product")
    else:
        np.testing.assert_allclose(result.w, [1.0, 0.0], atol=1e-6)


@pytest.mark.parametrize("negative_curvature", ["follow", "stop", "absolute", "ignore"])
def test_product_that_is_not_finite_is_the_reason_of_the_skip(negative_curvature):
    """The second derivative of w + w^1.5 is infinite at 0."""
    objective = Objective(lambda w, batch: (np.sum(w + w**1.5), 1 + 1.5 * np.sqrt(w)))
    with np.errstate(all="ignore"):
        _, info = NewtonKrylov(negative_curvature=negative_curvature).step(
            objective, np.zeros(2), None
        )
    assert (info.outcome, info.cg_status) == ("skipped", "NON_FINITE")
    assert info.reason == "a product with the curvature was not finite"


def test_linear_loss_descends_along_the_gradient():
    c = np.array([3.0, -4.0])
    w, info = NewtonKrylov().step(Objective(lambda w, b: (w @ c, c + 0 * w)), np.zeros(2), None)
    assert (info.cg_status, info.outcome) == ("FLAT", "accepted")
    assert w.tolist() == [-3.0, 4.0]


def test_loss_that_does_not_depend_on_w_is_skipped_with_the_reason():
    objective = Objective(lambda w, batch: (np.sum(0 * w) + 1.0, 0 * w))
    w, info = NewtonKrylov().step(objective, np.ones(2), None)
    assert w.tolist() == [1.0, 1.0]
    assert (info.outcome, info.cg_status) == ("skipped", "ZERO_RIGHT_HAND_SIDE")
    assert info.reason == "the gradient is zero, and no negative curvature was found"


def two_batches():
    """Return an objective whose two samples pull w in different directions."""

    def value_and_grad(w, batch):
        error = w - np.mean(batch[0], axis=0)
        return error @ error / 2, error

    return Objective(value_and_grad, data=(np.array([[5.0, 0.0], [-1.0, 0.0]]),))


def test_batch_whose_gradient_opposes_the_full_one_is_screened():
    objective = two_batches()
    w = np.array([1.0, 0.0])  # the mean is (2, 0)
    batch = objective.rows(slice(1, 2))
    point, info = NewtonKrylov().step(objective, w, batch)
    assert point is w
    assert (info.outcome, info.reason) == (
        "skipped",
        "the batch gradient opposes the full gradient",
    )
    assert info.counts.hvp == 0
    _, info = NewtonKrylov(screening=False).step(objective, w, batch)
    assert info.outcome == "accepted"
    assert info.new_tracked_loss < info.tracked_loss


@pytest.mark.parametrize("screening", [True, False])
def test_direction_that_points_uphill_is_turned(screening):
    """CG that ignores negative curvature finds the saddle of E_Q, which is uphill."""
    A, g = np.diag([1.0, -1.0]), np.array([0.1, 2.0])
    options = {"negative_curvature": "ignore", "screening": screening, "tolerance": 1e-12}
    newton = -np.linalg.solve(A, g)
    assert newton @ g > 0
    point, info = NewtonKrylov(**options).step(quadratic(A, -g), np.zeros(2), None)
    if not screening:
        assert (info.outcome, info.reason) == (
            "skipped",
            "no direction that decreases the quadratic model",
        )
        return
    delta = newton - 1.1 * (newton @ g) / (g @ g) * g
    assert info.outcome == "accepted"
    assert info.slope == pytest.approx(delta @ g)
    assert info.predicted == pytest.approx(delta @ g + delta @ A @ delta / 2)
    np.testing.assert_allclose(point, info.gamma * delta)


def test_non_finite_trials_are_survived():
    """The Newton step leaves the domain of the logarithm; a shorter one does not."""

    def barrier(w, batch):
        return np.sum(100 * w - np.log(np.where(w > 0, w, np.nan))), 100 - 1 / w

    result = fit(Objective(barrier), NewtonKrylov(), np.array([0.5, 0.5]), 30)
    np.testing.assert_allclose(result.w, [0.01, 0.01], rtol=1e-6)


def test_non_finite_loss_at_w_is_an_error_that_names_the_layer():
    objective = Objective(
        lambda w, batch: (np.sum(w) * np.nan, w), first_nonfinite=lambda w, batch: "3 Dense"
    )
    with pytest.raises(NonFiniteError, match=r"loss is nan .*'3 Dense'"):
        NewtonKrylov().step(objective, np.ones(2), None)


def test_log_explains_the_step():
    objective, w = small_softmax()
    batch = objective.rows(slice(20))
    _, info = NewtonKrylov().step(objective, w, batch)
    _, g = objective.full(w)
    assert info.gradient_norm == pytest.approx(np.linalg.norm(g))
    assert info.loss == pytest.approx(softmax_value(w, batch))
    assert info.tracked_loss == objective.full_loss(w)
    assert info.counts.hvp == 20 * info.cg_iterations
    assert info.counts.linearize == 20
    assert info.counts.gradient == 60
    assert info.counts.loss == 20 * info.trials + 60
    assert info.cg_residual <= 0.1
    assert Status[info.cg_status] is Status.CONVERGED
    assert info.seconds > 0


def test_tolerance_tightens_with_the_gradient():
    objective, w = small_softmax()
    result = fit(objective, NewtonKrylov(max_cg=100), w, 12)
    first = result.history.steps[0].gradient_norm
    for info in result.history.steps:
        if info.cg_status == "CONVERGED":
            assert info.cg_residual <= min(0.1, np.sqrt(info.gradient_norm / first))
    assert result.history.steps[-1].cg_residual < 1e-3


# ----- options -----


@pytest.mark.parametrize("line_search", ["taylor", "jet", "armijo"])
@pytest.mark.parametrize("size", [None, 20])
def test_every_line_search_decreases_and_converges(line_search, size):
    objective, w = small_softmax()
    optimizer = NewtonKrylov(line_search=line_search, max_cg=50, eta=0.2)
    result = fit(objective, optimizer, w, 25, size)
    losses = result.history.column("train_loss")
    assert np.all(np.diff(losses) <= 0)
    assert np.linalg.norm(objective.full(result.w)[1]) < 1e-6
    for info in result.history.steps:
        assert info.outcome == "skipped" or info.trials > 0
        assert info.gamma is None or (info.counts.taylor > 0) == (line_search == "jet")


@pytest.mark.parametrize("negative_curvature", ["absolute", "ignore", "follow", "stop"])
@pytest.mark.parametrize("line_search", ["taylor", "jet"])
def test_every_policy_decreases_the_loss_of_a_network(negative_curvature, line_search):
    objective, w = network()
    options = {"negative_curvature": negative_curvature, "line_search": line_search}
    result = fit(objective, NewtonKrylov(**options), w, 20, 20)
    for info in result.history.steps:
        assert info.outcome == "skipped" or info.new_tracked_loss < info.tracked_loss
    losses = result.history.column("train_loss")
    assert losses[-1] < 0.6 * losses[0]


def test_absolute_curvature_takes_the_newton_step_in_size_and_the_gradient_in_sign():
    A, g = np.diag([2.0, -3.0, 1.0]), np.array([1.0, 2.0, -1.0])
    optimizer = NewtonKrylov(negative_curvature="absolute", tolerance=1e-10)
    point, info = optimizer.step(quadratic(A, -g), np.zeros(3), None)
    np.testing.assert_allclose(point / info.gamma, -g / [2.0, 3.0, 1.0], rtol=1e-9)


def dense_layer():
    """Return the objective of a linear layer with a convex loss, and w."""
    rng = np.random.default_rng(0)
    problem = L2Regularized(Supervised(Sequential([Dense(4, 3)]), softmax_cross_entropy), 0.01)
    data = rng.normal(size=(50, 4)), rng.integers(0, 3, 50)
    return Objective.of(problem, data), rng.normal(size=15)


@pytest.mark.parametrize("preconditioner", [None, Kronecker])
def test_gauss_newton_is_newton_for_a_linear_model(preconditioner):
    objective, w = dense_layer()
    options = {"tolerance": 1e-11, "max_cg": 200}
    expected, _ = NewtonKrylov(**options).step(objective, w, objective.data)
    made = None if preconditioner is None else preconditioner()
    optimizer = NewtonKrylov(curvature="gauss_newton", preconditioner=made, **options)
    point, info = optimizer.step(objective, w, objective.data)
    np.testing.assert_allclose(point, expected, rtol=1e-8)
    assert info.cg_status == "CONVERGED"
    assert info.counts.gauss_newton == 50 * info.cg_iterations
    assert info.counts.hvp == 0


def test_warm_start_goes_on_from_the_last_direction():
    """With one product a step CG from zero is steepest descent; from Δ it is not."""
    A, b = spd(8), np.arange(1.0, 9.0)
    optimizer = NewtonKrylov(max_cg=1, tolerance=1e-12, warm_start=0.5, rhs="batch")
    objective, points = quadratic(A, b), [np.ones(8)]
    for _ in range(2):
        points.append(optimizer.step(objective, points[-1], None)[0])
    start = 0.5 * (points[1] - points[0])
    g = A @ points[1] - b
    assert g @ start + start @ A @ start / 2 > 0  # after an exact line search: uphill
    np.testing.assert_allclose(points[2], points[1] - (g @ g) / (g @ A @ g) * g, rtol=1e-12)
    shorter = NewtonKrylov(max_cg=1, tolerance=1e-12, warm_start=0.5, rhs="batch", damping=9.0)
    first, _ = shorter.step(objective, points[0], None)
    second, info = shorter.step(objective, first, None)
    start, g = 0.5 * (first - points[0]), A @ first - b
    B = A + info.damping * np.eye(8)
    r = -g - B @ start
    np.testing.assert_allclose(second, first + start + (r @ r) / (r @ B @ r) * r, rtol=1e-10)


@pytest.mark.parametrize("warm_start", [0.0, 0.5, 0.95])
def test_warm_start_changes_no_solution(warm_start):
    objective, w = small_softmax()
    result = fit(objective, NewtonKrylov(max_cg=60, warm_start=warm_start), w, 15)
    assert np.linalg.norm(objective.full(result.w)[1]) < 1e-6


def test_tolerance_that_float32_cannot_reach_is_refused():
    objective, w = small_softmax(np.float32)
    with pytest.raises(ValueError, match=r"tolerance: expected at least 1e-06 for w of float32"):
        NewtonKrylov(tolerance=1e-7).step(objective, w, objective.data)
    NewtonKrylov(tolerance=2e-6).step(objective, w, objective.data)
    objective, w = small_softmax(np.float64)
    NewtonKrylov(tolerance=1e-7).step(objective, w, objective.data)


OPTIONS = [
    {"momentum": 0.5, "averaging": 0.9},
    {"warm_start": 0.5, "damping": 9.0, "max_cg": 2, "rhs": "batch"},
    {"negative_curvature": "absolute", "line_search": "jet"},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_run_continues_bit_for_bit_from_a_checkpoint(options, tmp_path):
    file = tmp_path / "run.npz"

    def run(epochs, **keywords):
        objective, w = network()
        return fit(objective, NewtonKrylov(**options), w, epochs, 20, **keywords)

    whole = run(4)
    run(2, checkpoint=file)
    resumed = run(4, checkpoint=file, resume=True)
    assert np.array_equal(resumed.w, whole.w)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"eta": 0.0}, r"eta: expected a number in \(0, 1\), got 0.0"),
        ({"eta": 1.5}, r"eta: expected a number in \(0, 1\), got 1.5"),
        ({"tolerance": 1.0}, r"tolerance: expected a number in \(0, 1\), got 1.0"),
        ({"max_cg": 0}, "max_cg: expected an integer of at least 1, got 0"),
        ({"max_cg": 2.5}, "max_cg: expected an integer of at least 1, got 2.5"),
        ({"rhs": GrowingSample}, "rhs: expected 'batch' or 'global' or an estimator, got <class"),
        (
            {"rhs": lambda *step: None},
            "rhs: expected 'batch' or 'global' or an estimator, got <function",
        ),
        ({"rhs": "local"}, "rhs: expected 'batch' or 'global' or an estimator, got 'local'"),
        ({"negative_curvature": "abs"}, "negative_curvature: expected 'follow', .*, got 'abs'"),
        ({"curvature": "fisher"}, "curvature: expected 'hessian' or 'gauss_newton', got 'fisher'"),
        (
            {"line_search": "wolfe"},
            "line_search: expected 'taylor', 'jet' or 'armijo', got 'wolfe'",
        ),
        ({"momentum": 1.0}, r"momentum: expected a number in \[0, 1\), got 1.0"),
        ({"averaging": -0.1}, r"averaging: expected a number in \[0, 1\), got -0.1"),
        ({"warm_start": 1.0}, r"warm_start: expected a number in \[0, 1\), got 1.0"),
        ({"damping": -1.0}, "damping: expected a number of at least 0, got -1.0"),
        (
            {"preconditioner": Kronecker(), "negative_curvature": "absolute"},
            "preconditioner: expected None with negative_curvature='absolute'",
        ),
    ],
)
def test_bad_settings_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        NewtonKrylov(**options)
