"""Hessian-free optimization: against a literal transcription on dense matrices, errors planted."""

import functools
import inspect
import math
import sys

import numpy as np
import pytest

from mcx_nn import (
    Supervised,
    autoencoder,
    binary_cross_entropy_with_logits,
    load_digits,
    mlp,
    softmax_cross_entropy,
)
from mcx_optim import Kronecker, Objective, fit
from mcx_optim.diagonal import Diagonal
from mcx_optim.hessian_free import HessianFree
from tests.optim.networks import dense_gauss_newton, network_loss, regression, softmax_net
from tests.optim.problems import network_value_and_grad, quadratic, small_softmax, spd
from tests.standin import StandIn

MODULES = [sys.modules[f"mcx_optim.{name}"] for name in ("hessian_free", "cg_path")]


def literal_step(state, f, g, B, f_all=None, xi=0.95, eps=5e-4):
    """Return w after one step as the paper has it; state is a dict of w, lambda and the last p.

    f is the function whose reduction counts, f_all the one of the line search.
    """
    w, f_all = state["w"], f_all or f
    B = B + state["lambda"] * np.eye(len(w))

    def phi(x):
        return x @ B @ x / 2 + g @ x

    x = xi * state["p"]
    if phi(x) >= 0:
        x = 0 * x
    r = B @ x + g
    direction, iterates = -r, [x]
    for i in range(1, 251):
        alpha = r @ r / (direction @ B @ direction)
        x = x + alpha * direction
        new = r + alpha * B @ direction
        direction = -new + (new @ new) / (r @ r) * direction
        r = new
        iterates.append(x)
        k = max(10, math.ceil(0.1 * i))
        if i > k and phi(x) < 0 and (phi(x) - phi(iterates[i - k])) / phi(x) < k * eps:
            break
    state["iterations"] = len(iterates) - 1
    spaced = sorted({math.ceil(1.3**j) for j in range(30)})
    kept = [iterates[j] for j in spaced if j < len(iterates) - 1] + [iterates[-1]]
    j = len(kept) - 1
    while j > 0 and f(w + kept[j - 1]) < f(w + kept[j]):
        j -= 1
    state["backtracked"] = len(kept) - 1 - j
    rho = (f(w + kept[-1]) - f(w)) / phi(kept[-1])
    if rho < 1 / 4:
        state["lambda"] *= 3 / 2
    elif rho > 3 / 4:
        state["lambda"] *= 2 / 3
    gamma, trials = 1.0, 0
    while f_all(w + gamma * kept[j]) > f_all(w) + 0.01 * gamma * (g @ kept[j]) and trials < 20:
        gamma, trials = 0.8 * gamma, trials + 1
    state |= {"w": w + gamma * kept[j] if trials < 20 else w, "p": kept[-1], "gamma": gamma}
    return state["w"]


CASES = [
    ({}, 7, 1e-5),
    ({"damping": 1e-3, "tolerance": 0.05}, 4, 1e-6),
    ({"damping": 1e-5, "tolerance": 0.05}, 4, 1e-6),
]


def check_transcription(optimizer_class):
    """Raise AssertionError unless steps on all data are those of the transcription.

    Every step starts from the transcription's w and p. There are as many as rounding does not
    change: conjugate gradients magnify it in every iteration, and λ → 0 brings more of these.
    """
    backtracked = 0
    for options, steps, atol in CASES:
        objective, w = regression()
        batch, optimizer = objective.data, optimizer_class(**options)
        state = {"w": w, "lambda": options.get("damping", 1.0), "p": 0 * w}
        for _ in range(steps):
            g = network_value_and_grad(w, batch)[1]
            dense = dense_gauss_newton(w, batch)
            eps = options.get("tolerance", 5e-4)
            literal_step(state, functools.partial(network_loss, batch=batch), g, dense, eps=eps)
            w, info = optimizer.step(objective, w, batch)
            assert info.outcome == "accepted"
            np.testing.assert_allclose(w, state["w"], rtol=0, atol=atol)
            np.testing.assert_allclose(optimizer.damping, state["lambda"], rtol=1e-13)
            assert info.cg_iterations - state["iterations"] in (0, 1)  # the start has a product
            assert info.gamma == pytest.approx(state["gamma"])
            known = optimizer.state_dict()
            np.testing.assert_allclose(known["last"], state["p"], rtol=0, atol=atol)
            w = state["w"].copy()
            optimizer.load_state_dict(known | {"last": state["p"].copy()})
            backtracked += state["backtracked"]
    assert backtracked > 10


def check_ratio(optimizer_class):
    """Raise AssertionError unless λ grows where the loss at p_N is high, that at p being low."""
    A, b = np.diag([1.0, 10.0, 100.0]), np.array([1.0, 10.0, 200.0])

    def value_and_grad(w, batch):
        wall = np.where(w @ w > 5.5, 500.0, 0.0)  # between the second and the third iterate
        return w @ (A @ w) / 2 - w @ b + wall, A @ w - b

    optimizer = optimizer_class(1e-3, max_cg=3, curvature="hessian", rhs="batch")
    optimizer.step(Objective(value_and_grad), np.zeros(3), None)
    assert optimizer.damping == 1.5e-3


def check(optimizer_class):
    check_transcription(optimizer_class)
    check_ratio(optimizer_class)


def test_steps_are_those_of_a_literal_transcription():
    check(HessianFree)


@pytest.mark.parametrize(
    ("correct", "planted"),
    [
        ("SPACING = 1.3 ", "SPACING = 1.6 "),
        ("1 / 4, 3 / 4, 3 / 2, 2 / 3", "1 / 4, 3 / 4, 3 / 2, 3 / 4"),
        ("1 / 4, 3 / 4, 3 / 2, 2 / 3", "1 / 4, 0.995, 3 / 2, 2 / 3"),
        ("(last - estimate.sample_loss)", "(loss - estimate.sample_loss)"),
        ("self._last = path.kept[-1].p", "self._last = path.kept[0].p"),
        ("warm_start: float = 0.95", "warm_start: float = 1.0"),
        ("tolerance: float = 5e-4", "tolerance: float = 5e-3"),
        ("max(10, math.ceil(i / 10))", "max(5, math.ceil(i / 10))"),
        ("float(start @ (g - residual)) / 2", "float(start @ (g + residual)) / 2"),
        ("float(p @ (g - r)) / 2", "float(p @ (g - r))"),
        ("(rz / previous) * d", "(rz / previous) ** 2 * d"),
        ("if math.isfinite(loss) and not new_loss < loss", "if True"),
    ],
)
def test_planted_errors_are_caught(correct, planted, monkeypatch):
    assert sum(inspect.getsource(module).count(correct) for module in MODULES) == 1
    module = next(module for module in MODULES if correct in inspect.getsource(module))
    namespace = {"__name__": module.__name__}  # where its dataclasses look for annotations
    exec(inspect.getsource(module).replace(correct, planted), namespace)
    for name in ("minimize_quadratic", "backtrack"):
        monkeypatch.setattr(MODULES[0], name, namespace[name])
    with pytest.raises(AssertionError):
        check(namespace.get("HessianFree", HessianFree))


def test_gradient_of_all_data_and_curvature_of_a_batch():
    """The model is then of the batch, tilted to the gradient of all data; the search is on all."""
    objective, w = regression()
    optimizer = HessianFree(damping=0.01, tolerance=0.05)
    state, data = {"w": w, "lambda": 0.01, "p": 0 * w}, objective.data
    for k in range(4):
        batch = objective.rows(slice(20 * (k % 3), 20 * (k % 3) + 20))
        g = network_value_and_grad(w, data)[1]
        shift = g - network_value_and_grad(w, batch)[1]

        def tilted(v, w=w, batch=batch, shift=shift):
            return network_value_and_grad(v, batch)[0] + shift @ (v - w)

        dense = dense_gauss_newton(w, batch)
        literal_step(
            state, tilted, g, dense, lambda v: network_value_and_grad(v, data)[0], eps=0.05
        )
        new, info = optimizer.step(objective, w, batch)
        np.testing.assert_allclose(new, state["w"], rtol=0, atol=1e-5)
        np.testing.assert_allclose(optimizer.damping, state["lambda"])
        assert info.new_tracked_loss == pytest.approx(network_value_and_grad(new, data)[0])
        assert info.tracked_loss == pytest.approx(network_value_and_grad(w, data)[0])
        assert info.loss == pytest.approx(network_value_and_grad(w, batch)[0])
        assert info.samples == 20
        w = state["w"].copy()
        optimizer.load_state_dict(optimizer.state_dict() | {"last": state["p"].copy()})


def test_the_log_has_what_a_dense_computation_finds():
    objective, w = regression()
    optimizer = HessianFree(damping=0.1, rhs="batch")
    batch, before = objective.rows(slice(30)), objective.counts
    new, info = optimizer.step(objective, w, batch)
    loss, g = network_value_and_grad(w, batch)
    delta = (new - w) / info.gamma
    G = dense_gauss_newton(w, batch)
    assert info.slope == pytest.approx(g @ delta)
    assert info.predicted == pytest.approx(g @ delta + delta @ G @ delta / 2)
    assert info.gradient_norm == pytest.approx(np.linalg.norm(g))
    assert (info.loss, info.damping) == (pytest.approx(loss), 0.1)
    assert info.new_loss == info.new_tracked_loss == network_value_and_grad(new, batch)[0]
    assert info.counts == objective.counts - before
    assert info.counts.gauss_newton == 30 * info.cg_iterations
    assert info.counts.loss + info.counts.gradient == 30 * info.trials
    assert info.cg_status == "CONVERGED"
    assert 0 < info.cg_residual < 0.1


@pytest.mark.parametrize(
    ("share", "factor"),
    [(1.0, 2 / 3), (0.76, 2 / 3), (0.74, 1.0), (0.26, 1.0), (0.24, 1.5), (-1.0, 1.0)],
)
def test_damping_follows_the_reduction_ratio(share, factor):
    """The loss changes by `share` of what the model says; where it grows there is no step."""
    A, b = spd(4), np.ones(4)

    def value_and_grad(w, batch):
        value = w @ (A @ w) / 2 - w @ b + w @ w / 2  # with λ = 1 this is q
        return share * value, A @ w - b

    optimizer = HessianFree(curvature="hessian", rhs="batch")
    optimizer.step(Objective(value_and_grad), np.zeros(4), None)
    assert optimizer.damping == pytest.approx(factor)


def test_a_loss_that_is_not_finite_grows_the_damping():
    def value_and_grad(w, batch):
        return (np.nan if w @ w > 0.25 else -np.sum(w)) + 0 * np.sum(w), -np.ones_like(w)

    optimizer = HessianFree(damping=0.5, curvature="hessian", rhs="batch")
    w, info = optimizer.step(Objective(value_and_grad), np.zeros(2), None)
    assert optimizer.damping == 0.75
    assert info.outcome == "accepted"
    assert info.gamma == pytest.approx(0.8**8)  # p = (2, 2): the first with 8 γ² ≤ 0.25
    assert w @ w <= 0.25


@pytest.mark.parametrize(("share", "outcome"), [(0.011, "accepted"), (0.009, "skipped")])
def test_a_hundredth_of_the_slope_suffices(share, outcome):
    objective = Objective(lambda w, batch: (-share * np.sum(w), -np.ones_like(w)))
    _, info = HessianFree(curvature="hessian", rhs="batch").step(objective, np.zeros(2), None)
    assert (info.outcome, info.gamma) == (outcome, float(outcome == "accepted"))
    assert info.trials == (1 if outcome == "accepted" else 40 * 20)


def test_steps_that_are_skipped_say_why():
    w, info = HessianFree(curvature="hessian").step(
        quadratic(spd(3), np.zeros(3)), np.zeros(3), None
    )
    assert (info.outcome, info.reason, w.any()) == ("skipped", "the gradient is zero", False)
    wrong = Objective(lambda w, batch: (-np.sum(w * w) / 2, w))  # the gradient of another loss
    w, info = HessianFree(curvature="hessian").step(wrong, np.ones(2), None)
    assert (info.outcome, info.gamma) == ("skipped", 0.0)
    assert info.reason == "no step size decreases the tracked loss"


def test_enough_damping_leaves_a_saddle():
    """With the Hessian, λ grows until H + λI is definite."""
    objective = Objective(lambda w, batch: (np.sum(w**4) / 4 - w @ w, w**3 - 2 * w), data=None)
    optimizer, w = HessianFree(damping=0.1, curvature="hessian"), np.full(3, 0.1)
    for _ in range(40):
        w, _ = optimizer.step(objective, w, None)
    np.testing.assert_allclose(w, np.sqrt(2.0), rtol=1e-6)


MAKERS = {
    "plain": HessianFree,
    "batch": lambda: HessianFree(rhs="batch", warm_start=1.0),
    "diagonal": lambda: HessianFree(preconditioner=Diagonal(), seed=3),
    "kronecker": lambda: HessianFree(preconditioner=Kronecker()),
    "hessian": lambda: HessianFree(curvature="hessian", max_cg=5),
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
    assert [info.damping for info in resumed.history.steps] == [
        info.damping for info in whole.history.steps
    ]
    assert whole.history.column("train_loss")[-1] < whole.history.column("train_loss")[0]


@pytest.mark.parametrize("name", MAKERS)
def test_float32_is_kept(name):
    (objective, w), (_, start) = softmax_net(dtype=np.float32), softmax_net(dtype=np.float32)
    optimizer = MAKERS[name]()
    for k in range(3):
        w, info = optimizer.step(objective, w, objective.rows(slice(30 * k, 30 * k + 30)))
        assert w.dtype == np.float32
        assert isinstance(info.predicted, float)
    exact = MAKERS[name]()
    v = start.astype(np.float64)
    wide, _ = softmax_net()
    for k in range(3):
        v, _ = exact.step(wide, v, wide.rows(slice(30 * k, 30 * k + 30)))
    assert wide.full_loss(v) == pytest.approx(objective.full_loss(w), rel=1e-3)


@pytest.mark.parametrize("name", MAKERS)
def test_steps_on_device_arrays_are_those_of_the_host(name):
    def run(wrap):
        objective, w = softmax_net(wrap=wrap)
        optimizer, infos = MAKERS[name](), []
        for k in range(3):
            w, info = optimizer.step(objective, w, objective.rows(slice(30 * k, 30 * k + 30)))
            infos.append((info.outcome, info.loss, info.gamma, info.trials, info.counts))
        return w, infos

    (w, infos), (device_w, device_infos) = run(np.asarray), run(StandIn.wrap)
    assert np.array_equal(device_w.get(), w)
    assert device_infos == infos


def test_w_is_not_mutated_and_convex_problems_are_solved():
    objective, w = small_softmax()
    optimizer = HessianFree(curvature="hessian", damping=0.1)
    for _ in range(25):
        before = w.copy()
        new, info = optimizer.step(objective, w, objective.data)
        assert np.array_equal(w, before)
        w = new
    assert np.linalg.norm(objective.full(w)[1]) < 1e-6
    assert optimizer.damping < 1e-3
    if info.outcome == "skipped":
        assert info.reason.startswith("converged")


def test_trains_a_perceptron_on_digits():
    x, y, _, _ = load_digits(np.float32)
    problem = Supervised(mlp((784, 30, 10)), softmax_cross_entropy)
    objective = Objective.of(problem, (x.reshape(len(x), -1), y))
    w = problem.init(np.random.default_rng(0), np.float32)
    result = fit(objective, HessianFree(damping=0.1), w, epochs=4, batch_size=360)
    losses = result.history.column("train_loss")
    assert losses[0] > 2.3
    assert losses[-1] < 0.1  # 0.02 when written
    assert np.all(np.diff(losses) < 0)
    assert {info.outcome for info in result.history.steps} == {"accepted"}


def test_trains_an_autoencoder_on_digits():
    """Below what a code of the mean image alone reaches, which holds up methods of first order."""
    x, _, _, _ = load_digits(np.float32)
    x = x.reshape(len(x), -1)[:400, ::4]
    x = (x - x.min()) / (x.max() - x.min())
    mean = np.clip(x.mean(axis=0), 1e-6, 1 - 1e-6)
    plateau = -np.mean(x * np.log(mean) + (1 - x) * np.log(1 - mean))
    problem = Supervised(autoencoder((196, 40, 12, 4)), binary_cross_entropy_with_logits)
    w = problem.init(np.random.default_rng(0), np.float32)
    objective = Objective.of(problem, (x, x))
    losses = fit(objective, HessianFree(damping=0.1), w, 12, 100).history.column("train_loss")
    assert losses[-1] < 0.9 * plateau  # 0.85 when written


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"damping": 0.0}, "damping: expected a positive number, got 0.0"),
        ({"damping": np.nan}, "damping: expected a positive number, got nan"),
        ({"max_cg": 0}, "max_cg: expected an integer of at least 1, got 0"),
        ({"tolerance": 1.0}, r"tolerance: expected a number in \(0, 1\), got 1.0"),
        ({"warm_start": 1.1}, r"warm_start: expected a number in \[0, 1\], got 1.1"),
        ({"curvature": "fisher"}, "curvature: expected 'hessian' or 'gauss_newton', got 'fisher'"),
        ({"rhs": "local"}, "rhs: expected 'batch' or 'global' or an estimator, got 'local'"),
    ],
)
def test_bad_settings_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        HessianFree(**options)
