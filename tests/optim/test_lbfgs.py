"""L-BFGS against dense BFGS matrices, conjugate gradients, and the Wolfe conditions."""

import inspect

import numpy as np
import pytest

from mcx_optim import NonFiniteError, Objective, fit, lbfgs
from mcx_optim.lbfgs import LBFGS
from tests.optim.known_minima import PROBLEMS
from tests.optim.problems import network, quadratic, small_softmax, spd
from tests.standin import StandIn


def rosenbrock_gradient(w):
    return np.stack([-400 * w[0] * (w[1] - w[0] ** 2) - 2 * (1 - w[0]), 200 * (w[1] - w[0] ** 2)])


def rosenbrock():
    return Objective(lambda w, batch: (PROBLEMS["rosenbrock"](w), rosenbrock_gradient(w)))


def dense_inverse(pairs):
    """Return B⁻¹ by the BFGS formula (Nocedal and Wright, 6.17) from (s·y/y·y) I of the last."""
    s, y = pairs[-1]
    identity = np.eye(s.size)
    inverse = s @ y / (y @ y) * identity
    for s, y in pairs:
        V = identity - np.outer(y, s) / (s @ y)
        inverse = V.T @ inverse @ V + np.outer(s, s) / (s @ y)
    return inverse


def check_steps(optimizer, history, c1=1e-4, c2=0.9):
    """Raise AssertionError unless 25 steps are along -B⁻¹g, and end where strong Wolfe holds."""
    objective, w = network()
    start, pairs = w.copy(), []
    for _ in range(25):
        loss, g = objective.value_and_grad(w, objective.data)
        new, info = optimizer.step(objective, w, objective.data)
        assert info.outcome == "accepted"
        new_loss, new_g = objective.value_and_grad(new, objective.data)
        delta = (new - w) / info.gamma
        expected = -dense_inverse(pairs) @ g if pairs else -g
        np.testing.assert_allclose(delta, expected, rtol=1e-6, atol=1e-7 * np.max(np.abs(delta)))
        assert info.slope == pytest.approx(g @ delta, rel=1e-9)
        assert info.new_loss == pytest.approx(new_loss, rel=1e-13)
        assert new_loss <= loss + c1 * info.gamma * info.slope
        assert abs(new_g @ delta) <= c2 * abs(info.slope) * (1 + 1e-12)
        pairs = [*pairs, (new - w, new_g - g)][-history:]
        w = new
    assert loss < 0.2 * objective.loss(start, objective.data)


def check_settings(make):
    """Raise AssertionError unless steps are right for short and long histories, strict and not."""
    for history in (1, 2, 10):
        for c1, c2 in ((1e-4, 0.9), (0.01, 0.2), (0.4, 0.41), (1e-4, 0.05)):
            check_steps(make(history, c1, c2), history, c1, c2)


def test_steps():
    check_settings(LBFGS)


@pytest.mark.parametrize(
    ("correct", "planted"),
    [
        ("z = z - alphas[-1] * y", "z = z + alphas[-1] * y"),
        ("reversed(alphas)", "alphas"),
        ("(alpha - float(y @ z)", "(alpha + float(y @ z)"),
        ("float(y @ y)) * z", "float(s @ s)) * z"),
        ("[-self.history :]", "[: self.history]"),
        ("trial.gradient - g", "g - trial.gradient"),
        ("delta = -self._solve(g)", "delta = -1.001 * self._solve(g)"),
        ("c2=self.c2", "c2=0.9999"),
        ("c1=self.c1", "c1=1e-9"),
    ],
)
def test_planted_errors_are_caught(correct, planted):
    source = inspect.getsource(lbfgs)
    assert source.count(correct) == 1
    namespace = {"__name__": "mcx_optim.lbfgs"}
    exec(source.replace(correct, planted), namespace)
    with pytest.raises(AssertionError):
        check_settings(namespace["LBFGS"])


@pytest.mark.parametrize("history", [1, 5])
def test_a_quadratic_takes_as_many_steps_as_it_has_eigenvalues(history):
    """With exact line searches the steps are those of conjugate gradients."""
    rng = np.random.default_rng(3)
    Q = np.linalg.qr(rng.standard_normal((12, 12)))[0]
    A = (Q * np.repeat([1.0, 3.0, 8.0, 20.0], 3)) @ Q.T
    x = rng.standard_normal(12)
    objective, optimizer, w = quadratic(A, A @ x), LBFGS(history, c1=1e-12, c2=1e-10), np.zeros(12)
    errors = []
    for _ in range(4):
        w, _ = optimizer.step(objective, w, None)
        errors.append(np.max(np.abs(w - x)))
    assert errors[2] > 1e-3
    assert errors[3] < 1e-8


def test_every_gradient_is_evaluated_once():
    evaluated = []

    def value_and_grad(w, batch):
        evaluated.append(w.tobytes())
        return PROBLEMS["rosenbrock"](w), rosenbrock_gradient(w)

    objective, optimizer, w = Objective(value_and_grad), LBFGS(), np.array([-1.2, 1.0])
    total = 0
    for k in range(30):
        w, info = optimizer.step(objective, w, None)
        assert info.counts.gradient == info.trials + (k == 0)
        total += info.counts.gradient
    assert len(evaluated) == len(set(evaluated)) == total == objective.counts.gradient
    assert total < 45


def test_the_first_trial():
    """1/‖g‖₁, and 1 once there is a pair: whatever the unit of the loss."""
    for scale in (0.1, 10.0, 2.0**-200, 2.0**200):
        seen = []

        def value_and_grad(w, batch, seen=seen, scale=scale):
            seen.append(w.copy())
            return scale * (w @ w) / 2, scale * w

        LBFGS().step(Objective(value_and_grad), np.array([1.0, -2.0]), None)
        np.testing.assert_allclose(seen[1], (1 - 1 / 3) * np.array([1.0, -2.0]))


def test_the_first_trial_of_a_new_start_is_as_long_as_the_last_pair_says():
    seen = []

    def value_and_grad(w, batch):
        seen.append(w.copy())
        return 5.0 * (w @ w), 10.0 * w

    optimizer, w = LBFGS(), np.array([1.0, -2.0])
    s = np.array([1.0, 0.0])
    optimizer.load_state_dict({"S": [-s], "Y": [40.0 * s]})  # uphill
    w, info = optimizer.step(Objective(value_and_grad), w, None)
    assert info.outcome == "fallback"
    np.testing.assert_allclose(seen[1], (1 - 10 / 40) * np.array([1.0, -2.0]))


def test_pairs_without_curvature_are_left_out():
    """A linear function: y = 0."""
    objective = Objective(lambda w, batch: (np.sum(w), np.ones_like(w)))
    optimizer = LBFGS(max_trials=3)
    _, info = optimizer.step(objective, np.zeros(2), None)
    assert optimizer.state_dict() == {}
    assert (info.outcome, info.reason) == ("fallback", "no trial met the strong Wolfe conditions")
    assert info.new_loss < 0


def test_pairs_whose_products_underflow_are_left_out():
    """In float32 and units where s·y is near 1, ‖y‖² is 0 for y = 1e-36 s, and a divisor."""
    optimizer, s = LBFGS(), np.ones(2, np.float32)
    optimizer._remember(s, np.float32(1e-36) * s)
    assert optimizer.state_dict() == {}
    optimizer._remember(s, np.float32(1e-25) * s)
    assert len(optimizer.state_dict()["S"]) == 1


def test_a_failed_search_starts_again_from_the_gradient():
    objective, optimizer, w = rosenbrock(), LBFGS(), np.array([-1.2, 1.0])
    for _ in range(5):
        w, _ = optimizer.step(objective, w, None)
    state = optimizer.state_dict()
    optimizer.load_state_dict({"S": -state["S"], "Y": state["Y"]})  # B⁻¹ negative: uphill
    new, info = optimizer.step(objective, w, None)
    assert info.outcome == "fallback"
    assert info.reason.startswith("a gradient step")
    delta, g = new - w, rosenbrock_gradient(w)
    np.testing.assert_allclose(delta, -info.gamma * g, rtol=1e-12)
    assert len(optimizer.state_dict()["S"]) == 1


def test_minimum_and_wrong_gradient_leave_w_in_place():
    w = np.zeros(2)
    objective = Objective(lambda w, batch: (w @ w, 2 * w))
    new, info = LBFGS().step(objective, w, None)
    assert (info.outcome, info.reason) == ("skipped", "the gradient is zero")
    assert new is w
    objective = Objective(lambda w, batch: (w @ w, -2 * w))
    new, info = LBFGS().step(objective, np.ones(2), None)
    assert (info.outcome, info.reason) == ("skipped", "no step size decreases the loss")
    assert new.tolist() == [1.0, 1.0]


def test_non_finite_trials_are_survived():
    """-Σ log(1 - w) - w has its minimum 0 at 0; no logarithm beyond 1, reached by γ = 1."""
    objective = Objective(lambda w, batch: (np.sum(-np.log(1 - w) - w), w / (1 - w)))
    optimizer, w = LBFGS(), np.array([-900.0, 0.99])
    finite = 0
    for _ in range(60):
        w, info = optimizer.step(objective, w, None)
        finite += info.outcome == "accepted"
        assert info.new_loss is None or np.isfinite(info.new_loss)
    np.testing.assert_allclose(w, 0, atol=1e-8)
    assert finite > 5
    with np.errstate(invalid="ignore"), pytest.raises(NonFiniteError, match="loss is nan"):
        optimizer.step(objective, np.array([2.0, 0.0]), None)


def test_data_are_evaluated_in_chunks_and_in_full():
    whole, w = small_softmax()
    chunked, _ = small_softmax(chunk=7)
    expected, _ = LBFGS().step(whole, w, whole.data)
    for batch in (None, chunked.data, chunked.rows(np.arange(60)[::-1])):
        new, info = LBFGS().step(chunked, w, batch)
        np.testing.assert_allclose(new, expected, rtol=1e-12, atol=1e-15)
        assert info.counts.gradient % 60 == 0
    with pytest.raises(ValueError, match=r"LBFGS: expected all 60 samples in the batch, got 59"):
        LBFGS().step(whole, w, whole.rows(slice(59)))


def test_fit_resumes_bit_for_bit(tmp_path):
    def run(epochs, **options):
        objective, w = network()
        return fit(objective, LBFGS(4), w, epochs, checkpoint=tmp_path / "run.npz", **options).w

    expected = run(9)
    run(5)
    assert np.array_equal(run(9, resume=True), expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_device_arrays_give_the_steps_of_the_host(dtype):
    A, x = spd(6, dtype=dtype), np.arange(6).astype(dtype)

    def run(wrap):
        objective, optimizer, w = quadratic(wrap(A), wrap(A @ x)), LBFGS(3), wrap(0 * x)
        for _ in range(8):
            w, info = optimizer.step(objective, w, None)
        return w, info

    (w, info), (device_w, device_info) = run(np.asarray), run(StandIn.wrap)
    assert w.dtype == dtype
    assert np.array_equal(device_w.get(), w)
    assert device_info.new_loss == info.new_loss
    np.testing.assert_allclose(w, x, atol=0.02)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"history": 0}, "history: expected an integer of at least 1, got 0"),
        ({"history": 2.0}, "history: expected an integer of at least 1, got 2.0"),
        ({"max_trials": True}, "max_trials: expected an integer of at least 1, got True"),
        ({"c1": 0.0}, "c1, c2: expected 0 < c1 < c2 < 1 and c1 < 0.5, got 0.0, 0.9"),
        ({"c1": 0.5}, "got 0.5, 0.9"),
        ({"c1": 0.2, "c2": 0.1}, "got 0.2, 0.1"),
        ({"c2": 1.0}, "got 0.0001, 1.0"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        LBFGS(**settings)
