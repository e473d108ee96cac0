"""What `fit` does where the loss, the gradient or w is not finite."""

import json

import numpy as np
import pytest

from mcx_optim import (
    SGD,
    Adam,
    GrowingSample,
    History,
    KrylovSubspaceDescent,
    NewtonKrylov,
    NonFiniteError,
    Objective,
    ProgressBar,
    StepInfo,
    fit,
)
from tests.optim.problems import small_softmax, softmax_value_and_grad

N, BATCH = 60, 16  # four steps an epoch


class FailsAt(Objective):
    """Softmax regression, not finite at chosen evaluations of one batch after the probe."""

    def __init__(self, calls):
        objective, self.start = small_softmax(chunk=N)
        super().__init__(self._fail, data=objective.data, chunk=N)
        self.calls = set(calls)
        self.seen = -2

    def _fail(self, w, batch):
        loss, gradient = softmax_value_and_grad(w, batch)
        if len(batch[0]) < N:
            if self.seen in self.calls:
                loss = np.nan
            self.seen += 1
        return loss, gradient


def sgd_by_hand(skipped, epochs=1, lr=0.1, momentum=0.9):
    """Return w after every step of SGD with momentum on the batches of `fit`, some left out."""
    objective, w = small_softmax()
    X, Y = objective.data
    rng = np.random.default_rng(np.random.SeedSequence(0))
    velocity, points, call = 0.0, [w], 0
    for _ in range(epochs):
        permutation = rng.permutation(N)
        for start in range(0, N, BATCH):
            rows = permutation[start : start + BATCH]
            if call not in skipped:
                velocity = momentum * velocity + softmax_value_and_grad(w, (X[rows], Y[rows]))[1]
                w = w - lr * velocity
            points.append(w)
            call += 1
    return points


def outcomes(history):
    return [info.outcome for info in history.steps]


def without_seconds(history):
    log = history.to_dict()
    for row in log["epochs"] + log["steps"]:
        del row["seconds"]
    return log


# ----- the policies -----


def test_raise_is_the_default():
    objective = FailsAt({2})
    with pytest.raises(NonFiniteError, match=r"loss is nan on the batch \(16 samples\)"):
        fit(objective, SGD(0.1), objective.start, 1, BATCH)


def test_skipped_step_leaves_w_and_optimizer_as_they_were():
    objective, points = FailsAt({2, 5}), []
    result = fit(
        objective,
        SGD(0.1),
        objective.start,
        2,
        BATCH,
        callbacks=[lambda event: points.append(event.w) if event.info else None],
        on_nonfinite="skip",
    )
    assert (
        outcomes(result.history)
        == ["accepted"] * 2 + ["skipped"] + ["accepted"] * 2 + ["skipped"] + ["accepted"] * 2
    )
    np.testing.assert_allclose(points, sgd_by_hand({2, 5}, 2)[1:], rtol=1e-13, atol=1e-15)
    skipped = result.history.steps[2]
    assert "loss is nan on the batch (16 samples)" in skipped.reason
    assert skipped.loss is None
    assert skipped.counts.gradient == BATCH
    assert skipped.seconds > 0
    assert result.history.epochs[-1]["gradient_equivalents"] == 2.0


def test_rolled_back_run_goes_on_from_the_last_epoch_with_the_next_batch():
    objective, points = FailsAt({6}), []
    result = fit(
        objective,
        SGD(0.1),
        objective.start,
        2,
        BATCH,
        callbacks=[lambda event: points.append(event.w) if event.info else None],
        on_nonfinite="roll_back",
    )
    assert outcomes(result.history) == ["accepted"] * 6 + ["rolled back", "accepted"]
    expected = sgd_by_hand({4, 5, 6}, 2)
    np.testing.assert_allclose(points[6], expected[4], rtol=1e-13)
    np.testing.assert_allclose(result.w, expected[8], rtol=1e-13)
    assert "loss is nan" in result.history.steps[6].reason


def test_state_that_an_optimizer_changes_in_place_is_restored_as_often_as_needed():
    class InPlace(SGD):
        def step(self, objective, w, batch):
            gradient = objective.grad(w, batch)
            self._velocity = np.zeros_like(w) if self._velocity is None else self._velocity
            self._velocity *= self.momentum
            self._velocity += gradient
            return w - self.lr * self._velocity, StepInfo("accepted")

    objective = FailsAt({5, 7})
    result = fit(objective, InPlace(0.1), objective.start, 3, BATCH, on_nonfinite="roll_back")
    np.testing.assert_allclose(result.w, sgd_by_hand({4, 5, 6, 7}, 3)[12], rtol=1e-13)


def test_roll_back_keeps_what_the_end_of_the_epoch_changed():
    class Decays(SGD):
        def on_epoch(self, metrics):
            self.lr /= 2

        def state_dict(self):
            return super().state_dict() | {"lr": self.lr}

        def load_state_dict(self, state):
            super().load_state_dict(state)
            self.lr = float(state["lr"])

    objective, optimizer = FailsAt({5}), Decays(0.1)
    fit(objective, optimizer, objective.start, 2, BATCH, on_nonfinite="roll_back")
    assert optimizer.lr == 0.1 / 4


def test_roll_back_in_the_first_epoch_goes_to_the_start():
    objective = FailsAt({3})
    result = fit(objective, Adam(0.1), objective.start, 1, BATCH, on_nonfinite="roll_back")
    assert np.array_equal(result.w, objective.start)
    assert result.history.epochs[1]["train_loss"] == result.history.epochs[0]["train_loss"]


def test_epoch_that_ends_without_a_finite_loss_is_rolled_back():
    """A step may lead where only the next one, or none, would notice."""

    class Leaps(SGD):
        def step(self, objective, w, batch):
            w, info = super().step(objective, w, batch)
            calls.append(0)
            return (w + 1e200 if len(calls) == 8 else w), info

    def run(**options):
        calls.clear()
        objective, w = small_softmax()
        return fit(objective, Leaps(0.1), w, 3, BATCH, **options)

    calls = []
    result = run(on_nonfinite="roll_back")
    assert outcomes(result.history) == ["accepted"] * 7 + ["rolled back"] + ["accepted"] * 4
    assert "(60 samples)" in result.history.steps[7].reason
    losses = result.history.column("train_loss")
    assert losses[2] == losses[1]
    assert losses[3] < losses[2]
    with np.errstate(all="ignore"), pytest.raises(NonFiniteError, match=r"loss is .*60 samples"):
        run()


def test_non_finite_last_point_is_not_returned():
    def value_and_grad(w, batch):
        return (w @ w / 2 if w[0] < 10 else np.inf), w

    objective = Objective(value_and_grad, first_nonfinite=lambda w, batch: "3 Dense")
    with pytest.raises(NonFiniteError, match=r"loss is inf .*'3 Dense'"):
        fit(objective, SGD(lr=20, momentum=0.0), -np.ones(2), 1)


@pytest.mark.parametrize("policy", ["skip", "roll_back"])
def test_persistent_failure_ends_in_an_error(policy):
    """From the fifth evaluation on, every batch fails; an epoch has four."""
    objective = FailsAt(range(4, 100))
    match = rf"loss is nan .*failure 5 from the same w.*'{policy}' gives up after 4; reduce the le"
    with pytest.raises(NonFiniteError, match=match) as caught:
        fit(objective, SGD(0.1), objective.start, 9, BATCH, on_nonfinite=policy)
    assert "gives up" not in str(caught.value.__cause__)
    assert len(str(caught.value)) < 500
    assert objective.seen == 9


@pytest.mark.parametrize("policy", ["skip", "roll_back"])
def test_no_more_than_ten_failures_are_borne(policy):
    objective = FailsAt(range(100))
    with pytest.raises(NonFiniteError, match=r"failure 11 .* gives up after 10"):
        fit(objective, SGD(0.1), objective.start, 9, 2, on_nonfinite=policy)


def test_failures_between_good_steps_are_borne_without_end():
    objective = FailsAt(range(0, 80, 2))
    result = fit(objective, SGD(0.1), objective.start, 20, BATCH, on_nonfinite="skip")
    assert outcomes(result.history) == ["skipped", "accepted"] * 40


@pytest.mark.parametrize("make", [lambda: SGD(lr=1e160), lambda: Adam(lr=1e300)])
@pytest.mark.parametrize("policy", ["skip", "roll_back"])
def test_divergence_ends_in_an_error_under_every_policy(make, policy):
    objective, w = small_softmax()
    with pytest.raises(NonFiniteError, match=r"gives up after 4; reduce the learning rate"):
        fit(objective, make(), w, 30, BATCH, on_nonfinite=policy)


def test_step_to_a_non_finite_w_is_refused_at_once():
    class Overflows(SGD):
        def step(self, objective, w, batch):
            w, info = super().step(objective, w, batch)
            calls.append(0)
            return (w * np.inf if len(calls) == 2 else w), info

    def run(**options):
        calls.clear()
        objective, w = small_softmax()
        return fit(objective, Overflows(0.1), w + 1, 1, BATCH, **options)

    calls = []
    with pytest.raises(NonFiniteError, match=r"w is not finite after Overflows.step; reduce the"):
        run()
    result = run(on_nonfinite="skip")
    assert outcomes(result.history) == ["accepted", "skipped", "accepted", "accepted"]
    assert np.isfinite(result.w).all()


@pytest.mark.parametrize("policy", ["raise", "skip", "roll_back"])
def test_start_that_is_not_finite_is_refused(policy):
    objective, w = small_softmax()
    with pytest.raises(NonFiniteError, match="w itself is not finite"):
        fit(objective, SGD(), w * np.nan, 1, on_nonfinite=policy)


@pytest.mark.parametrize("policy", ["raise", "roll_back"])
def test_bad_sample_is_found_before_the_first_step(policy):
    (X, Y), w = small_softmax()[0].data, np.zeros(15)
    X[50, 1] = np.nan
    objective = Objective(softmax_value_and_grad, data=(X, Y), chunk=20)
    seen = []
    with pytest.raises(NonFiniteError, match=r"loss is nan on the batch \(20 samples\).*the data"):
        fit(objective, SGD(), w, 1, BATCH, callbacks=[seen.append], on_nonfinite=policy)
    assert seen == []


def test_batches_with_a_bad_sample_are_skipped():
    (X, Y), w = small_softmax()[0].data, np.zeros(15)
    X[50, 1] = np.nan
    objective = Objective(softmax_value_and_grad, data=(X, Y))
    result = fit(objective, SGD(0.1), w, 5, BATCH, on_nonfinite="skip")
    steps = np.array(outcomes(result.history)).reshape(5, 4)
    assert ((steps == "skipped").sum(axis=1) == 1).all()
    assert np.isfinite(result.w).all()
    assert np.isnan(result.history.column("train_loss")).all()


@pytest.mark.parametrize(
    "optimizer",
    [
        NewtonKrylov(rhs=GrowingSample(first=2 * BATCH, growth=1.0)),
        KrylovSubspaceDescent(rhs="batch", iterations=2, search_size=30),
    ],
    ids=lambda optimizer: type(optimizer).__name__,
)
def test_a_sample_that_fails_is_not_drawn_again(optimizer):
    (X, Y), w = small_softmax()[0].data, np.zeros(15)
    X[50, 1] = np.nan
    objective = Objective(softmax_value_and_grad, data=(X, Y))
    history = fit(objective, optimizer, w, 5, BATCH, on_nonfinite="skip").history
    assert 5 <= outcomes(history).count("skipped") <= 10


@pytest.mark.parametrize("policy", ["raise", "skip", "roll_back"])
def test_policies_change_nothing_where_nothing_fails(policy):
    for make in (NewtonKrylov, SGD, Adam):
        objective, w = small_softmax()
        expected = fit(objective, make(), w, 2, BATCH)
        result = fit(small_softmax()[0], make(), w, 2, BATCH, on_nonfinite=policy)
        assert np.array_equal(result.w, expected.w)
        assert without_seconds(result.history) == without_seconds(expected.history)


# ----- the log and the checkpoint -----


class Stop(Exception):
    """Raised by a callback to interrupt a run."""


class Clumsy(Adam):
    """Adam whose step fails after it has changed its state, at steps of its own count."""

    def step(self, objective, w, batch):
        w, info = super().step(objective, w, batch)
        self.taken.append(0)
        return (w * np.nan if len(self.taken) in self.fails else w), info


@pytest.mark.parametrize("policy", ["skip", "roll_back"])
@pytest.mark.parametrize("steps", [1, 5, 6, 7, 8, 11])
def test_resumed_run_with_failures_is_the_uninterrupted_one(policy, steps, tmp_path):
    path = tmp_path / "run.npz"

    def run(**options):
        objective, w = small_softmax()
        options = {"checkpoint": path, "on_nonfinite": policy} | options
        return fit(objective, optimizer(), w, 4, BATCH, **options)

    def optimizer():
        clumsy = Clumsy(0.05)
        clumsy.taken, clumsy.fails = taken, {3, 6, 7, 10}
        return clumsy

    taken = []
    whole = run()
    assert outcomes(whole.history).count("accepted") == 12
    path.unlink()
    taken.clear()

    def interrupt(event):
        if len(taken) == steps + 1 and event.info:
            raise Stop

    with pytest.raises(Stop):
        run(checkpoint_every=1, callbacks=[interrupt])
    del taken[steps:]  # the step that the interruption lost
    resumed = run(resume=True, checkpoint_every=1)
    assert np.array_equal(resumed.w, whole.w)
    assert without_seconds(resumed.history) == without_seconds(whole.history)


def test_failures_are_counted_across_a_resumption(tmp_path):
    path = tmp_path / "run.npz"

    def interrupt(event):
        if event.info and event.step == 4:
            raise Stop

    run = {"checkpoint": path, "checkpoint_every": 1, "on_nonfinite": "skip"}
    objective = FailsAt(range(100))
    with pytest.raises(Stop):
        fit(objective, SGD(), objective.start, 9, BATCH, callbacks=[interrupt], **run)
    objective = FailsAt(range(-2, 100))
    with pytest.raises(NonFiniteError, match="failure 5 from the same w"):
        fit(objective, SGD(), objective.start, 9, BATCH, resume=True, **run)
    assert objective.seen == 0, "three failures were logged before, so two more end the run"


@pytest.mark.parametrize("policy", ["skip", "roll_back"])
def test_run_that_raised_can_be_resumed_under_another_policy(policy, tmp_path):
    path = tmp_path / "run.npz"
    objective = FailsAt({5})
    options = {"epochs": 2, "batch_size": BATCH, "checkpoint": path}
    with pytest.raises(NonFiniteError):
        fit(objective, SGD(0.1), objective.start, **options)
    objective = FailsAt({-1})  # nothing is probed here: the second step of the second epoch
    result = fit(objective, SGD(0.1), objective.start, **options, resume=True, on_nonfinite=policy)
    expected = sgd_by_hand({5} if policy == "skip" else {4, 5}, 2)
    np.testing.assert_allclose(result.w, expected[8], rtol=1e-13)


def test_failures_survive_json(tmp_path):
    objective = FailsAt({1, 2})
    history = fit(objective, SGD(), objective.start, 1, BATCH, on_nonfinite="skip").history
    history.save(tmp_path / "history.json")
    assert History.from_dict(json.loads((tmp_path / "history.json").read_text())) == history


def test_progress_bar_shows_a_run_with_failures(capsys):
    objective = FailsAt({1})
    show = ProgressBar(ascii=True, mininterval=0)
    fit(objective, SGD(), objective.start, 1, BATCH, callbacks=[show], on_nonfinite="skip")
    assert "4/4" in capsys.readouterr().err
