"""Schedules: values by hand, bad settings, and how optimizers count their steps."""

import copy
import math
import pickle

import numpy as np
import pytest

from mcx_optim import SGD, Objective, fit
from mcx_optim.schedules import Constant, Cosine, StepDecay, Warmup, learning_rate
from tests.optim.problems import small_softmax, softmax_value_and_grad

ROOT_HALF, ROOT_3 = math.sqrt(0.5), math.sqrt(3)

BY_HAND = {
    "constant": (Constant(0.3), {0: 0.3, 1: 0.3, 10**6: 0.3}),
    "step decay": (
        StepDecay(0.4, 3, 0.5),
        {0: 0.4, 1: 0.4, 2: 0.4, 3: 0.2, 5: 0.2, 6: 0.1, 8: 0.1, 9: 0.05, 31: 0.4 / 1024},
    ),
    "step decay, default": (StepDecay(2.0, 10), {9: 2.0, 10: 0.2, 29: 0.02}),
    "cosine": (
        Cosine(0.8, 12),
        {
            0: 0.8,
            2: 0.4 + 0.2 * ROOT_3,
            3: 0.4 * (1 + ROOT_HALF),
            4: 0.6,
            6: 0.4,
            8: 0.2,
            9: 0.4 * (1 - ROOT_HALF),
            11: 0.4 - 0.1 * (math.sqrt(6) + math.sqrt(2)),
            12: 0.0,
            13: 0.0,
            1000: 0.0,
        },
    ),
    "cosine, final": (
        Cosine(0.9, 6, final=0.1),
        {0: 0.9, 1: 0.5 + 0.2 * ROOT_3, 2: 0.7, 3: 0.5, 4: 0.3, 6: 0.1, 7: 0.1},
    ),
    "cosine, one step": (Cosine(0.5, 1), {0: 0.5, 1: 0.0}),
    "warm-up": (Warmup(0.5, 5), {0: 0.1, 1: 0.2, 2: 0.3, 3: 0.4, 4: 0.5, 5: 0.5, 99: 0.5}),
    "warm-up, none": (Warmup(0.5, 1), {0: 0.5, 1: 0.5}),
    "warm-up of a cosine": (
        Warmup(Cosine(0.8, 12), 4),
        {0: 0.2, 2: 0.75 * (0.4 + 0.2 * ROOT_3), 3: 0.4 * (1 + ROOT_HALF), 4: 0.6, 8: 0.2, 12: 0},
    ),
    "warm-up of steps": (
        Warmup(StepDecay(0.4, 2, 0.5), 4),
        {0: 0.1, 1: 0.2, 2: 0.15, 3: 0.2, 4: 0.1},
    ),
    "warm-up of a function": (Warmup(lambda t: 1 / (1 + t), 2), {0: 0.5, 1: 0.5, 3: 0.25}),
}


@pytest.fixture(params=BY_HAND)
def case(request):
    return BY_HAND[request.param]


def test_values_are_those_by_hand(case):
    schedule, values = case
    for t, rate in values.items():
        assert schedule(t) == pytest.approx(rate, rel=1e-14, abs=1e-17), t


def test_schedules_hold_no_state(case):
    schedule, values = case
    for t in reversed(values):
        assert schedule(t) == schedule(np.int64(t)) == learning_rate(schedule, t)


@pytest.mark.parametrize("schedule", [Cosine(0.7, 37, 0.01), StepDecay(0.7, 5), Constant(0.7)])
def test_rates_never_rise_and_stay_positive(schedule):
    rates = [schedule(t) for t in range(37)]
    assert np.all(np.diff(rates) <= 0)
    assert rates[0] == 0.7
    assert rates[-1] > 0


def test_steps_of_a_cosine_average_to_half():
    """Σ_t cos(π t / T) over t = 0, …, T is 0."""
    rates = [Cosine(0.6, 50, 0.2)(t) for t in range(51)]
    assert np.mean(rates) == pytest.approx(0.4, rel=1e-14)


def test_schedules_show_their_settings_and_can_be_sent():
    schedule = Warmup(Cosine(0.1, 1000), 50)
    text = "Warmup(schedule=Cosine(lr=0.1, steps=1000, final=0.0), steps=50)"
    assert repr(schedule) == text
    assert repr(StepDecay(0.1, 30)) == "StepDecay(lr=0.1, period=30, factor=0.1)"
    assert repr(Constant(0.1)) == "Constant(lr=0.1)"
    assert pickle.loads(pickle.dumps(schedule)) == copy.deepcopy(schedule) == schedule
    assert Cosine(0.1, 10) != Cosine(0.1, 11)
    with pytest.raises(AttributeError):
        schedule.steps = 3


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Constant(0.0), "lr: expected a positive number, got 0.0"),
        (lambda: Constant("0.1"), "lr: expected a positive number, got '0.1'"),
        (lambda: StepDecay(-0.1, 3), "lr: expected a positive number, got -0.1"),
        (lambda: StepDecay(0.1, 0), "period: expected an integer of at least 1, got 0"),
        (lambda: StepDecay(0.1, 2.5), "period: expected an integer of at least 1, got 2.5"),
        (lambda: StepDecay(0.1, True), "period: expected an integer .* got True"),
        (lambda: StepDecay(0.1, 3, 0.0), r"factor: expected a number in \(0, 1\], got 0.0"),
        (lambda: StepDecay(0.1, 3, 1.5), r"factor: expected a number in \(0, 1\], got 1.5"),
        (lambda: Cosine(math.inf, 3), "lr: expected a positive number, got inf"),
        (lambda: Cosine(0.1, 0), "steps: expected an integer of at least 1, got 0"),
        (lambda: Cosine(0.1, 10, 0.2), r"final: expected a number in \[0, lr = 0.1\], got 0.2"),
        (lambda: Cosine(0.1, 10, -0.1), r"final: expected a number in \[0, lr = 0.1\], got -0.1"),
        (lambda: Cosine(0.1, 10, math.nan), "final: .* got nan"),
        (lambda: Warmup(0.0, 5), "lr: expected a positive number, got 0.0; or pass a schedule"),
        (lambda: Warmup(Cosine, 5), "lr: expected a positive number, got <class"),
        (lambda: Warmup(0.1, -1), "steps: expected an integer of at least 1, got -1"),
    ],
)
def test_bad_settings_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("rate", [-0.1, math.nan, math.inf, None, "0.1"])
def test_schedule_without_a_learning_rate_is_refused(rate):
    def broken(t):
        return 0.1 if t < 2 else rate

    objective, w = small_softmax()
    message = r"lr: expected a number of at least 0 at step 2, got .* from the schedule .*broken"
    with pytest.raises(ValueError, match=message):
        fit(objective, SGD(broken), w, 1, 16)


def test_steps_are_counted_from_zero_through_epochs_and_resumed_runs(tmp_path):
    def run(epochs, **options):
        asked = []

        def schedule(t):
            asked.append(t)
            return 0.1

        objective, w = small_softmax()
        fit(objective, SGD(schedule), w, epochs, 16, checkpoint=tmp_path / "run.npz", **options)
        return asked

    assert run(2) == list(range(8))
    assert run(3, resume=True) == list(range(8, 12))


@pytest.mark.parametrize("policy", ["skip", "roll_back"])
def test_steps_that_were_not_taken_do_not_count(policy):
    """One batch of 4 an epoch holds a bad sample, and its gradient alone tells."""
    (X, Y), w = small_softmax()[0].data, np.zeros(15)
    asked = []

    def value_and_grad(w, batch):
        loss, gradient = softmax_value_and_grad(w, batch)
        bad = len(batch[0]) < 60 and np.any(batch[0][:, 0] == X[59, 0])
        return loss, gradient * np.nan if bad else gradient

    def schedule(t):
        asked.append(t)
        return 0.1

    objective = Objective(value_and_grad, data=(X, Y))
    infos = fit(objective, SGD(schedule), w, 3, 16, on_nonfinite=policy).history.steps
    outcomes = [info.outcome for info in infos]
    expected, t, start = [], 0, 0
    for k, outcome in enumerate(outcomes):
        start = t if k % 4 == 0 else start
        if outcome == "accepted":
            expected.append(t)
            t += 1
        elif policy == "roll_back":
            t = start
    assert asked == expected
    assert len(asked) == 9
    assert (asked == list(range(9))) == (policy == "skip")
