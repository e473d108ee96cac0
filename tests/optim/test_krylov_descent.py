"""Krylov subspace descent: against dense minimization in the subspace, errors planted."""

import inspect
import sys

import numpy as np
import pytest
from scipy.optimize import minimize

from mcx_nn import (
    Supervised,
    load_digits,
    mlp,
    softmax_cross_entropy,
)
from mcx_optim import GrowingSample, NonFiniteError, Objective, fit
from mcx_optim.krylov_descent import KrylovSubspaceDescent, coordinates
from tests.optim.networks import softmax_net
from tests.optim.problems import (
    network,
    quadratic,
    small_softmax,
    softmax_hessian,
    softmax_value,
    softmax_value_and_grad,
    spd,
)
from tests.optim.systems import krylov
from tests.standin import StandIn

MODULE = sys.modules["mcx_optim.krylov_descent"]


def check_quadratic(optimizer_class):
    """Raise AssertionError unless steps minimize a quadratic in the subspaces, the last step in."""
    A, b = spd(12), np.arange(1.0, 13.0)
    objective, w, last = quadratic(A, b), np.zeros(12), []
    optimizer = optimizer_class(dimension=3, iterations=50)
    for _ in range(4):
        g = A @ w - b
        V = krylov(A, g, 3, *last)
        expected = -V @ np.linalg.solve(V.T @ A @ V, V.T @ g)
        new, info = optimizer.step(objective, w, None)
        np.testing.assert_allclose(new - w, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
        assert info.predicted == pytest.approx(g @ expected + expected @ A @ expected / 2)
        assert info.new_tracked_loss - info.tracked_loss == pytest.approx(info.predicted)
        assert info.slope == pytest.approx(g @ expected, rel=1e-5)
        assert info.cg_iterations == 3 + len(last)
        assert info.trials <= 15
        last, w = [new - w], new


def check_convex(optimizer_class):
    """Raise AssertionError unless steps on softmax regression are minima in the subspaces.

    Curvature on one half of the data, the search on all of it.
    """
    objective, w = small_softmax()
    data, batch, last = objective.data, objective.rows(slice(30)), []
    optimizer = optimizer_class(dimension=4, iterations=300, search_size=60)
    for _ in range(4):
        g = softmax_value_and_grad(w, data)[1]
        V = krylov(softmax_hessian(w, batch), g, 4, *last)
        found = minimize(
            lambda a, w=w, V=V: softmax_value(w + V @ a, data),
            np.zeros(V.shape[1]),
            jac=lambda a, w=w, V=V: V.T @ softmax_value_and_grad(w + V @ a, data)[1],
            method="BFGS",
            options={"gtol": 1e-9},
        )
        new, info = optimizer.step(objective, w, batch)
        np.testing.assert_allclose(new, w + V @ found.x, rtol=0, atol=2e-4)
        assert info.new_tracked_loss == pytest.approx(found.fun, rel=1e-8)
        assert info.new_tracked_loss == pytest.approx(softmax_value(new, data), rel=1e-12)
        assert info.loss == pytest.approx(softmax_value(w, batch))
        assert info.gradient_norm == pytest.approx(np.linalg.norm(g))
        last, w = [new - w], new


def check(optimizer_class):
    check_quadratic(optimizer_class)
    check_convex(optimizer_class)


def test_steps_are_minima_in_the_subspace():
    check(KrylovSubspaceDescent)


@pytest.mark.parametrize(
    ("correct", "planted"),
    [
        ("max_iterations=self.dimension", "max_iterations=self.dimension - 1"),
        ("self._last = delta", "self._last = 0 * delta + g"),
        ("np.concatenate([rows, u[None]])", "np.concatenate([rows, rows[:1]])"),
        ("T = bordered(T, host(rows @ q))", "T = bordered(T, 0 * host(rows @ q))"),
        ("C.T @ host(rows @ g) / unit", "host(rows @ g) / unit"),
        ("C @ found.x, (float", "found.x, (float"),
        ("float(alpha @ T @ alpha) / 2", "float(alpha @ T @ alpha)"),
        ("lanczos(A, g,", "lanczos(A, A @ g,"),
    ],
)
def test_planted_errors_are_caught(correct, planted):
    source = inspect.getsource(MODULE)
    assert source.count(correct) == 1
    namespace = {"__name__": "planted"}
    exec(source.replace(correct, planted), namespace)
    with pytest.raises((AssertionError, np.linalg.LinAlgError)):
        check(namespace["KrylovSubspaceDescent"])


def test_curvature_is_one_in_the_coordinates():
    rng = np.random.default_rng(0)
    Q = np.linalg.qr(rng.standard_normal((5, 5)))[0]
    theta = np.array([9.0, 1.0, 1e-7, 0.0, -4.0])
    T, g = (Q * theta) @ Q.T, rng.standard_normal(5)
    C, unit = coordinates(T, g)
    values = np.sort(np.linalg.eigvalsh(C.T @ T @ C / unit))
    np.testing.assert_allclose(values, [-1.0, 0.0, 1e-7 / 9e-4, 1.0, 1.0], rtol=0, atol=1e-9)
    assert 0.5 < np.linalg.norm(C.T @ g / unit) ** 2 <= 1
    for power in (1, -77, 120):
        scaled, its_unit = coordinates(2.0**power * T, 2.0**power * g)
        assert np.array_equal(scaled, C)
        assert its_unit == 2.0**power * unit


def test_without_curvature_and_slope_nothing_is_divided_by_zero():
    np.testing.assert_array_equal(np.isfinite(coordinates(np.zeros((2, 2)), np.zeros(2))[0]), True)


def test_without_curvature_the_coordinates_make_a_step_of_length_one():
    for size in (1.0, 2.0**-90, 2.0**90):
        C, unit = coordinates(np.zeros((1, 1)), np.array([size]))
        np.testing.assert_allclose(C @ C.T * size / unit, [[1.0]], rtol=1e-15)


def test_fewer_evaluations_than_without_the_coordinates():
    """What they are for: an ill-conditioned quadratic takes BFGS a few iterations."""
    A, b = np.diag(np.logspace(-3, 1, 15)), np.ones(15)
    _, info = KrylovSubspaceDescent(dimension=15).step(quadratic(A, b), np.zeros(15), None)
    assert info.new_tracked_loss == pytest.approx(-0.5 * b @ np.linalg.solve(A, b), rel=1e-2)
    plain = minimize(
        lambda w: w @ A @ w / 2 - b @ w, np.zeros(15), jac=lambda w: A @ w - b, method="BFGS"
    )
    assert info.trials < plain.nfev / 2


def test_negative_curvature_is_used():
    """Near the saddle of a nonconvex network the loss falls, by the Hessian and no damping."""
    objective, w = network()
    w = 0.05 * w
    optimizer, losses = KrylovSubspaceDescent(dimension=8), [objective.full_loss(w)]
    for _ in range(6):
        w, info = optimizer.step(objective, w, objective.data)
        losses.append(objective.full_loss(w))
        assert info.outcome == "accepted"
        assert info.new_tracked_loss == pytest.approx(losses[-1])
    assert np.all(np.diff(losses) < 0)
    assert losses[-1] < 0.6 * losses[0]


def test_the_search_has_samples_of_its_own():
    objective, w = softmax_net()
    batch = objective.rows(slice(30))
    before = objective.counts
    _, info = KrylovSubspaceDescent(5, 10, search_size=20, rhs="batch").step(objective, w, batch)
    assert info.samples == 20
    assert info.counts == objective.counts - before
    assert info.counts.hvp == 30 * 5
    assert info.counts.gradient == 20 * info.trials
    seen = []
    value_and_grad = objective.value_and_grad

    def watched(w, batch):
        seen.append(batch[0])
        return value_and_grad(w, batch)

    objective.value_and_grad = watched
    optimizer = KrylovSubspaceDescent(3, 2, rhs="batch", seed=4)
    samples = []
    for _ in range(2):
        w, info = optimizer.step(objective, w, batch)
        assert info.samples == 30
        assert all(np.array_equal(rows, seen[0]) for rows in seen)
        samples.append(seen[0])
        seen.clear()
    assert not np.array_equal(samples[0], samples[1])
    assert not np.array_equal(samples[0], batch[0])
    optimizer = KrylovSubspaceDescent(3, 2, search_size=1000)
    assert optimizer.step(objective, w, batch)[1].samples == 90


def test_trials_that_are_not_finite_are_left():
    """The loss is defined in a ball only, and its minimum without that lies outside."""

    def value_and_grad(w, batch):
        inside = 1 - w @ w
        return -np.log(inside) - 100 * w[0], 2 * w / inside - np.array([100.0, 0.0])

    objective = Objective(value_and_grad)
    w, optimizer = np.zeros(2), KrylovSubspaceDescent(2)
    for _ in range(5):
        w, _ = optimizer.step(objective, w, None)
    assert w @ w < 1
    np.testing.assert_allclose(w, [(10001**0.5 - 1) / 100, 0.0], rtol=0, atol=1e-4)
    with pytest.raises(NonFiniteError):
        optimizer.step(objective, np.array([np.nan, 0.0]), None)


def test_steps_that_are_skipped_say_why():
    optimizer = KrylovSubspaceDescent()
    _, info = optimizer.step(quadratic(spd(3), np.zeros(3)), np.zeros(3), None)
    assert (info.outcome, info.reason) == ("skipped", "the gradient is zero")
    wrong = Objective(lambda w, batch: (-np.sum(w * w) / 2, w))  # the gradient of another loss
    w, info = optimizer.step(wrong, np.ones(2), None)
    assert (info.outcome, w.tolist()) == ("skipped", [1.0, 1.0])
    assert info.reason == "BFGS did not decrease the loss of its samples"
    linear = Objective(lambda w, batch: (np.sum(w), np.ones_like(w)))  # no curvature at all
    w, info = optimizer.step(linear, np.zeros(2), None)
    assert (info.outcome, info.cg_status) == ("accepted", "FLAT")
    assert np.sum(w) < -1


MAKERS = {
    "plain": lambda: KrylovSubspaceDescent(4, 5),
    "gauss-newton": lambda: KrylovSubspaceDescent(4, 5, curvature="gauss_newton", rhs="batch"),
    "small": lambda: KrylovSubspaceDescent(4, 5, search_size=20, rhs=GrowingSample(40), seed=3),
}


@pytest.mark.parametrize("name", MAKERS)
def test_resumed_run_is_the_uninterrupted_one(name, tmp_path):
    def run(epochs, **options):
        objective, w = softmax_net()
        return fit(objective, MAKERS[name](), w, epochs, 30, seed=5, **options)

    class Stop(Exception):
        pass

    def interrupt(event):
        if event.epoch == 2 and event.step == 2 and event.info is not None:
            raise Stop

    whole, file = run(3), tmp_path / "run.npz"
    with pytest.raises(Stop):
        run(3, checkpoint=file, checkpoint_every=1, callbacks=[interrupt])
    resumed = run(3, checkpoint=file, checkpoint_every=1, resume=True)
    assert np.array_equal(resumed.w, whole.w)
    assert [info.trials for info in resumed.history.steps] == [
        info.trials for info in whole.history.steps
    ]
    assert whole.history.column("train_loss")[-1] < whole.history.column("train_loss")[0]


@pytest.mark.parametrize("name", MAKERS)
def test_float32_is_kept_and_w_is_not_mutated(name):
    objective, w = softmax_net(dtype=np.float32)
    optimizer = MAKERS[name]()
    first = objective.full_loss(w)
    for k in range(4):
        before = w.copy()
        new, info = optimizer.step(objective, w, objective.rows(slice(20 * k, 20 * k + 30)))
        assert np.array_equal(w, before)
        assert new.dtype == np.float32
        assert isinstance(info.predicted, float)
        w = new
    assert objective.full_loss(w) < first


@pytest.mark.parametrize("name", MAKERS)
def test_steps_on_device_arrays_are_those_of_the_host(name):
    def run(wrap):
        objective, w = softmax_net(wrap=wrap)
        optimizer, infos = MAKERS[name](), []
        for k in range(3):
            w, info = optimizer.step(objective, w, objective.rows(slice(30 * k, 30 * k + 30)))
            infos.append((info.outcome, info.loss, info.trials, info.counts))
        return w, infos

    (w, infos), (device_w, device_infos) = run(np.asarray), run(StandIn.wrap)
    assert np.array_equal(device_w.get(), w)
    assert device_infos == infos


def test_trains_a_perceptron_on_digits():
    x, y, _, _ = load_digits(np.float32)
    problem = Supervised(mlp((784, 30, 10)), softmax_cross_entropy)
    objective = Objective.of(problem, (x.reshape(len(x), -1), y))
    w = problem.init(np.random.default_rng(0), np.float32)
    optimizer = KrylovSubspaceDescent(curvature="gauss_newton")
    losses = fit(objective, optimizer, w, 2, 360).history.column("train_loss")
    assert losses[0] > 2.3
    assert losses[-1] < 0.2  # 0.06 when written


def test_without_scipy_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    with pytest.raises(ImportError, match=r"expected SciPy, which has .* pip install scipy"):
        KrylovSubspaceDescent().step(quadratic(spd(3), np.ones(3)), np.zeros(3), None)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dimension": 0}, "dimension: expected an integer of at least 1, got 0"),
        ({"iterations": 0}, "iterations: expected an integer of at least 1, got 0"),
        ({"search_size": 0}, "search_size: expected an integer of at least 1, got 0"),
        ({"curvature": "fisher"}, "curvature: expected 'hessian' or 'gauss_newton', got 'fisher'"),
        ({"rhs": GrowingSample}, "rhs: expected 'batch' or 'global' or an estimator, got <class"),
    ],
)
def test_bad_settings_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        KrylovSubspaceDescent(**options)
