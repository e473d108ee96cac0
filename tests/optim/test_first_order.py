"""First-order methods against their formulas, and what they share: log, state, learning rate."""

import numpy as np
import pytest

from mcx_optim import SGD, Adam, NonFiniteError, Objective, fit
from mcx_optim.adagrad import AdaGrad
from mcx_optim.adamw import AdamW
from mcx_optim.rmsprop import RMSProp
from mcx_optim.schedules import Cosine, Warmup
from tests.optim import first_order
from tests.optim.first_order import METHODS, by_formula, make
from tests.optim.problems import network, small_softmax
from tests.standin import StandIn

STEPS = 50
PROBLEMS = {"softmax": small_softmax, "network": network}  # convex and not


@pytest.fixture(params=METHODS)
def name(request):
    return request.param


def noisy(objective):
    """Return a batch of 20 of the 60 samples for every step, and the gradient (w, t) -> g."""
    rng = np.random.default_rng(4)
    batches = [objective.rows(rng.permutation(60)[:20]) for _ in range(STEPS)]
    return batches, lambda w, t: objective.grad(w, batches[t])


def check_optimizer(optimizer, formula, problem):
    """Raise AssertionError unless 50 steps on noisy gradients agree to 1e-14 with a formula.

    The formula is (w, gradient) -> w, with the gradient (w, t) -> g.
    """
    objective, w = PROBLEMS[problem]()
    start = w.copy()
    batches, gradient = noisy(objective)
    expected = formula(w, gradient)
    point = w
    for batch in batches:
        point, info = optimizer.step(objective, point, batch)
        assert info.outcome == "accepted"
    np.testing.assert_allclose(point, expected, rtol=1e-14, atol=1e-14)
    assert np.array_equal(w, start), "w was mutated"
    assert np.max(np.abs(point - start)) > 0.1


@pytest.mark.parametrize("problem", PROBLEMS)
def test_fifty_steps_are_those_of_the_formula(name, problem):
    rates = [METHODS[name][2]] * STEPS
    check_optimizer(make(name), lambda w, g: by_formula(name, w, g, rates), problem)


@pytest.mark.parametrize("problem", PROBLEMS)
def test_so_they_are_with_a_schedule(name, problem):
    lr = METHODS[name][2]
    rates = [lr * min(1, (t + 1) / 5) * (1 + np.cos(np.pi * t / STEPS)) / 2 for t in range(STEPS)]
    optimizer = make(name, Warmup(Cosine(lr, STEPS), 5))
    check_optimizer(optimizer, lambda w, g: by_formula(name, w, g, rates), problem)


PLANTED = {
    "momentum": ("sgd", {"momentum": 0.89}),
    "no momentum": ("sgd", {"momentum": 0.0}),
    "heavy ball for nesterov": ("nesterov", first_order.sgd),
    "nesterov for heavy ball": ("sgd", first_order.nesterov),
    "adagrad for rmsprop": ("rmsprop", first_order.adagrad),
    "epsilon of adagrad": ("adagrad-epsilon", {"epsilon": 0.1 + 1e-12}),
    "decay of rmsprop": ("rmsprop", {"decay": 0.9 + 1e-12}),
    "momentum of rmsprop": ("rmsprop-momentum", {"momentum": 0.0}),
    "beta2": ("adam", {"beta2": 0.9989}),
    "beta1": ("adam", {"beta1": 0.9 + 1e-12}),
    "epsilon of adam": ("adam", {"epsilon": 1e-6}),
    "no decay": ("adamw", {"weight_decay": 0.0}),
    "decay of adam": ("adam", first_order.adamw),
}


@pytest.mark.parametrize("planted", PLANTED)
def test_planted_errors_are_caught(planted):
    name, change = PLANTED[planted]
    _, formula, lr, settings = METHODS[name]
    if callable(change):
        formula, settings = change, {}
    else:
        settings = settings | change
    for problem in PROBLEMS:
        with pytest.raises(AssertionError, match="Not equal to tolerance"):
            check_optimizer(
                make(name), lambda w, g: formula(w, g, [lr] * STEPS, **settings), problem
            )


def test_planted_signs_and_shifts_are_caught(name):
    rates = [METHODS[name][2]] * STEPS
    for wrong in (
        lambda w, g: by_formula(name, w, lambda v, t: -g(v, t), rates),
        lambda w, g: by_formula(name, w, g, rates[1:]),
        lambda w, g: by_formula(name, w, g, rates) + 1e-13,
    ):
        with pytest.raises(AssertionError, match="Not equal to tolerance"):
            check_optimizer(make(name), wrong, "softmax")


def test_steps_are_logged_and_keep_float32(name):
    objective, w = network(np.float32)
    loss, g = objective.value_and_grad(w, objective.data)
    before = objective.counts
    optimizer = make(name, np.float64(0.1))
    point, info = optimizer.step(objective, w, objective.data)
    assert point.dtype == np.float32
    assert info.loss == loss
    assert info.gradient_norm == pytest.approx(float(np.linalg.norm(g)), rel=1e-6)
    assert info.slope == pytest.approx(float(g @ (point - w)), rel=1e-5)
    assert info.slope < 0
    assert info.counts == objective.counts - before
    assert info.counts.gradient == 60
    assert info.seconds > 0
    assert info.cg_status is None
    vectors = [v for key, v in optimizer.state_dict().items() if key != "t"]
    assert all(v.dtype == np.float32 for v in vectors)


@pytest.mark.parametrize(
    "optimizer",
    [
        SGD(np.float64(0.1), np.float64(0.9)),
        Adam(0.1, *np.array([0.9, 0.99, 1e-8])),
        AdamW(0.1, weight_decay=np.float64(0.1)),
        AdaGrad(0.1, np.float64(1e-10)),
        RMSProp(0.1, *np.array([0.9, 1e-8, 0.5])),
        SGD(lambda t: np.cos(t / 100)),
    ],
)
def test_settings_in_double_precision_keep_float32(optimizer):
    objective, w = network(np.float32)
    for _ in range(2):
        w, _ = optimizer.step(objective, w, objective.data)
        assert w.dtype == np.float32


def test_device_arrays_take_the_steps_of_the_host(name):
    objective, w = network()
    device = Objective(
        lambda v, batch: (v @ v / 2, v * 1.0), data=tuple(map(StandIn.wrap, objective.data))
    )
    host = Objective(lambda v, batch: (v @ v / 2, v * 1.0), data=objective.data)
    optimizers, points = (make(name), make(name)), (w, StandIn.wrap(w))
    for _ in range(3):
        steps = [
            optimizer.step(f, point, f.data)
            for optimizer, f, point in zip(optimizers, (host, device), points, strict=True)
        ]
        points = tuple(point for point, _ in steps)
        (_, info), (_, device_info) = steps
        assert (info.loss, info.slope) == (device_info.loss, device_info.slope)
    assert np.array_equal(points[1].get(), points[0])


def test_state_continues_bit_for_bit(name):
    objective, w = network()
    first, second = make(name), make(name)
    second.load_state_dict(first.state_dict())  # an unused optimizer has a state, too
    for _ in range(3):
        w, _ = first.step(objective, w, objective.data)
    second.load_state_dict(first.state_dict())
    expected, _ = first.step(objective, w, objective.data)
    assert np.array_equal(second.step(objective, w, objective.data)[0], expected)
    assert first.state_dict().keys() == second.state_dict().keys()
    if name != "gradient-descent":
        assert not np.array_equal(make(name).step(objective, w, objective.data)[0], expected)


def test_state_is_flat_and_its_vectors_are_not_changed_later(name):
    objective, w = network()
    optimizer = make(name)
    w, _ = optimizer.step(objective, w, objective.data)
    state = optimizer.state_dict()
    copies = {key: np.copy(value) for key, value in state.items()}
    optimizer.step(objective, w, objective.data)
    for key, value in state.items():
        assert isinstance(value, (int, np.ndarray))
        assert np.array_equal(value, copies[key])


class Stop(Exception):
    """Raised by a callback to interrupt a run."""


@pytest.mark.parametrize("name", ["nesterov", "adagrad", "rmsprop-momentum", "adam", "adamw"])
@pytest.mark.parametrize("steps", [1, 4, 7])
def test_resumed_run_is_the_uninterrupted_one(name, steps, tmp_path):
    """Four steps an epoch: interrupted in the warm-up, at the end of an epoch, and later."""
    path = tmp_path / "run.npz"
    schedule = Warmup(Cosine(METHODS[name][2], 12), 3)

    def run(**options):
        objective, w = small_softmax()
        return fit(objective, make(name, schedule), w, 3, 16, 3, checkpoint=path, **options)

    def interrupt(event):
        taken.append(event.info)
        if sum(info is not None for info in taken) == steps + 1:
            raise Stop

    whole, taken = run(), []
    path.unlink()
    with pytest.raises(Stop):
        run(checkpoint_every=1, callbacks=[interrupt])
    resumed = run(resume=True, checkpoint_every=1)
    assert np.array_equal(resumed.w, whole.w)
    assert resumed.history.column("train_loss") == whole.history.column("train_loss")


def test_learning_rate_may_be_set_between_steps(name):
    """As a schedule of the elapsed time does; 0, its end, included."""
    objective, start = network()
    schedule = Cosine(0.01, 5)
    w, by_hand, by_schedule = start, make(name), make(name, schedule)
    v = start
    for t in range(7):
        by_hand.lr = schedule(t)
        w, _ = by_hand.step(objective, w, objective.data)
        v, _ = by_schedule.step(objective, v, objective.data)
        assert np.array_equal(w, v)
    by_hand.lr = lambda t: float(t)  # a schedule as well; this is step 7
    again, _ = by_hand.step(objective, w, objective.data)
    by_schedule.lr = 7.0
    assert np.array_equal(by_schedule.step(objective, v, objective.data)[0], again)
    by_hand.lr = -1
    with pytest.raises(ValueError, match=r"lr: expected a number of at least 0 at step 8, got -1$"):
        by_hand.step(objective, w, objective.data)


def test_failed_step_changes_nothing(name):
    objective, w = network()
    optimizer = make(name)
    w, _ = optimizer.step(objective, w, objective.data)
    before = optimizer.state_dict()
    failing = Objective(lambda w, batch: (np.nan, w))
    with pytest.raises(NonFiniteError):
        optimizer.step(failing, w, None)
    after = optimizer.state_dict()
    assert all(np.array_equal(after[key], before[key]) for key in before)


@pytest.mark.parametrize("other", [np.ones(1), np.ones(33), np.ones(32, np.float32)])
def test_another_w_is_refused(name, other):
    objective, w = network()
    optimizer = make(name)
    optimizer.step(objective, w, objective.data)
    quadratic = Objective(lambda w, batch: (w @ w / 2, w))
    with pytest.raises(
        ValueError, match=r"w: expected shape \(32,\) and dtype float64 .*use a new"
    ):
        optimizer.step(quadratic, other, None)
    assert optimizer.state_dict()["t"] == 1


@pytest.mark.parametrize("optimizer", [SGD, Adam, AdamW, AdaGrad, RMSProp])
@pytest.mark.parametrize(
    ("lr", "got"),
    [
        (0, "0"),
        (-1, "-1"),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
        ("cosine", "'cosine'"),
        (None, "None"),
        (Cosine, "<class .*Cosine'>"),
    ],
)
def test_bad_learning_rates_are_refused(optimizer, lr, got):
    message = rf"lr: expected a positive number, got {got}; or pass a schedule, such as Cosine\(lr="
    with pytest.raises(ValueError, match=message):
        optimizer(lr)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SGD(momentum=1.0), r"momentum: expected a number in \[0, 1\), got 1.0"),
        (lambda: SGD(momentum=-0.1), r"momentum: expected a number in \[0, 1\), got -0.1"),
        (lambda: SGD(momentum=0.0, nesterov=True), "nesterov: expected a momentum greater than 0"),
        (lambda: Adam(beta1=1.0), r"beta1: expected a number in \[0, 1\), got 1.0"),
        (lambda: Adam(beta2=-0.1), r"beta2: expected a number in \[0, 1\), got -0.1"),
        (lambda: Adam(epsilon=0.0), "epsilon: expected a positive number, got 0.0"),
        (lambda: AdamW(beta1=1.0), r"beta1: expected a number in \[0, 1\), got 1.0"),
        (lambda: AdamW(weight_decay=-1), "weight_decay: expected a number of at least 0, got -1"),
        (lambda: AdamW(weight_decay=float("nan")), "at least 0, got nan"),
        (lambda: AdamW(weight_decay=float("inf")), "at least 0, got inf"),
        (lambda: AdaGrad(epsilon=-1e-10), "epsilon: expected a positive number, got -1e-10"),
        (lambda: RMSProp(decay=1.0), r"decay: expected a number in \[0, 1\), got 1.0"),
        (lambda: RMSProp(momentum=1.0), r"momentum: expected a number in \[0, 1\), got 1.0"),
        (lambda: RMSProp(epsilon=0), "epsilon: expected a positive number, got 0"),
    ],
)
def test_bad_settings_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_flat_loss_leaves_w_in_place():
    objective = Objective(lambda w, batch: (np.sum(0 * w) + 1.0, np.zeros_like(w)))
    for optimizer in (SGD(), Adam(), AdaGrad(), RMSProp(), AdamW(weight_decay=0)):
        w, info = optimizer.step(objective, np.ones(2), None)
        assert w.tolist() == [1.0, 1.0]
        assert (info.loss, info.slope) == (1.0, 0.0)
