"""The training loop: batches, determinism, history, checkpoints, callbacks."""

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest

from mcx_optim import (
    SGD,
    Adam,
    History,
    NewtonKrylov,
    NonDeterministicError,
    NonFiniteError,
    Objective,
    ProgressBar,
    StepInfo,
    fit,
)
from tests.optim.problems import network, quadratic, small_data, small_softmax, spd

OPTIMIZERS = {
    "newton-krylov": NewtonKrylov,
    "newton-krylov-batch": lambda: NewtonKrylov(rhs="batch"),
    "literal": lambda: NewtonKrylov(literal=True, max_cg=3),
    "sgd": lambda: SGD(0.05),
    "adam": lambda: Adam(0.01),
}


@pytest.fixture(params=OPTIMIZERS)
def make_optimizer(request):
    return OPTIMIZERS[request.param]


def without_seconds(history):
    """Return the log without the durations, which differ from run to run."""
    log = history.to_dict()
    for row in log["epochs"] + log["steps"]:
        del row["seconds"]
    return log


class Stop(Exception):
    """Raised by a callback to interrupt a run."""


def test_every_epoch_visits_every_sample_once_in_another_order():
    seen = []

    def value_and_grad(w, batch):
        seen.append(batch[0].copy())
        return w @ w / 2, w

    objective = Objective(value_and_grad, data=(np.arange(10),), chunk=10)
    fit(objective, SGD(), np.ones(2), epochs=3, batch_size=4)
    batches = [batch for batch in seen if len(batch) != 10][2:]  # after the probe
    assert [len(batch) for batch in batches] == [4, 4, 2] * 3
    epochs = [np.concatenate(batches[i : i + 3]) for i in (0, 3, 6)]
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3


def test_seed_determines_the_run(make_optimizer):
    def run(seed):
        objective, w = small_softmax()
        return fit(objective, make_optimizer(), w, 3, 16, seed)

    first, second, other = run(5), run(5), run(6)
    assert np.array_equal(first.w, second.w)
    assert without_seconds(first.history) == without_seconds(second.history)
    assert not np.array_equal(first.w, other.w)


@pytest.mark.parametrize("steps", [1, 6, 8, 9, 11])
def test_resumed_run_is_the_uninterrupted_one(make_optimizer, steps, tmp_path):
    path = tmp_path / "run.npz"

    def run(epochs=4, **options):
        objective, w = small_softmax(chunk=16)
        return fit(objective, make_optimizer(), w, epochs, 16, 3, checkpoint=path, **options)

    whole = run()
    path.unlink()
    taken = []

    def interrupt(event):
        taken.append(event.info)
        if sum(info is not None for info in taken) == steps + 1:
            raise Stop

    with pytest.raises(Stop):
        run(checkpoint_every=1, callbacks=[interrupt])
    resumed = run(resume=True, checkpoint_every=1)
    assert np.array_equal(resumed.w, whole.w)
    assert without_seconds(resumed.history) == without_seconds(whole.history)
    assert len(resumed.history.steps) == 16


def test_longer_run_continues_from_a_finished_one(tmp_path):
    path = tmp_path / "run.npz"
    objective, w = small_softmax()
    fit(objective, Adam(0.01), w, 2, 16, checkpoint=path)
    more = fit(small_softmax()[0], Adam(0.01), w, 5, 16, checkpoint=path, resume=True)
    whole = fit(small_softmax()[0], Adam(0.01), w, 5, 16)
    assert np.array_equal(more.w, whole.w)
    assert without_seconds(more.history) == without_seconds(whole.history)


def test_checkpoint_is_complete_at_any_time(tmp_path, monkeypatch):
    """A crash while writing leaves the old checkpoint as it was."""
    path = tmp_path / "run.npz"
    objective, w = small_softmax()
    fit(objective, Adam(0.01), w, 1, 16, checkpoint=path)
    before = path.read_bytes()

    def crash(file, **arrays):
        file.write(b"half")
        raise Stop

    monkeypatch.setattr(np, "savez", crash)
    with pytest.raises(Stop):
        fit(small_softmax()[0], Adam(0.01), w, 2, 16, checkpoint=path, resume=True)
    assert path.read_bytes() == before


def test_checkpoint_holds_no_pickles(tmp_path):
    path = tmp_path / "run.npz"
    objective, w = small_softmax()
    fit(objective, NewtonKrylov(), w, 1, 16, checkpoint=path)
    with np.load(path, allow_pickle=False) as file:
        assert all(file[name].dtype != object for name in file.files)
        document = json.loads(file["json"].tobytes())
    assert document["settings"]["optimizer"] == "NewtonKrylov"
    assert document["rng"]["bit_generator"] == "PCG64"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 4}, "expected seed 3 as in the run that wrote it, got 4"),
        ({"batch_size": 20}, "expected batch_size 16 .* got 20"),
        ({"optimizer": SGD()}, "expected optimizer 'Adam' .* got 'SGD'"),
        ({"w": np.zeros(15, np.float32)}, "expected dtype 'float64' .* got 'float32'"),
    ],
)
def test_resuming_another_run_is_refused(change, message, tmp_path):
    options = {"optimizer": Adam(), "w": np.zeros(15), "epochs": 1, "batch_size": 16, "seed": 3}
    path = tmp_path / "run.npz"
    fit(small_softmax()[0], **options, checkpoint=path)
    with pytest.raises(ValueError, match=message):
        fit(small_softmax()[0], **options | change, checkpoint=path, resume=True)


def test_missing_and_damaged_checkpoints_are_named(tmp_path):
    path = tmp_path / "run.npz"
    objective, w = small_softmax()
    with pytest.raises(FileNotFoundError, match=r"run.npz does not exist; start .* resume=False"):
        fit(objective, Adam(), w, 1, checkpoint=path, resume=True)
    np.savez(path, w=w)
    for damage in (lambda: None, lambda: path.write_bytes(b"no"), lambda: path.write_bytes(b"")):
        damage()
        with pytest.raises(ValueError, match=r"run.npz is not a checkpoint"):
            fit(objective, Adam(), w, 1, checkpoint=path, resume=True)


def test_history_tells_cost_and_progress():
    objective, w = small_softmax()
    result = fit(objective, Adam(0.05), w, 4, 15, evaluate=lambda w: {"norm": float(w @ w)})
    rows = result.history.epochs
    assert [row["epoch"] for row in rows] == [0, 1, 2, 3, 4]
    assert [row["gradient_equivalents"] for row in rows] == [0, 1, 2, 3, 4]
    assert rows[0]["train_loss"] == pytest.approx(np.log(3))
    assert rows[-1]["train_loss"] == objective.full_loss(result.w)
    assert rows[-1]["norm"] == float(result.w @ result.w)
    assert np.all(np.diff(result.history.column("seconds")) > 0)
    total = sum(info.seconds for info in result.history.steps)
    assert rows[-1]["seconds"] == pytest.approx(total, rel=0.5)
    assert w.tolist() == [0.0] * 15, "w was mutated"


def test_history_survives_json(tmp_path):
    objective, w = small_softmax()
    history = fit(objective, NewtonKrylov(), w, 3, 20).history
    history.save(tmp_path / "history.json")
    text = (tmp_path / "history.json").read_text()
    assert History.from_dict(json.loads(text)) == history
    assert "NaN" not in text
    assert "Infinity" not in text
    fields = {field.name for field in dataclasses.fields(StepInfo)}
    assert set(json.loads(text)["steps"][0]) == fields


def test_callbacks_see_every_step_and_every_epoch():
    events = []
    objective, w = small_softmax()
    result = fit(objective, SGD(), w, 2, 25, callbacks=[events.append])
    kinds = [(event.epoch, event.step, event.metrics is None) for event in events]
    epoch = [(1, True), (2, True), (3, True), (3, False)]
    assert kinds == [(0, 0, False)] + [(e, *rest) for e in (1, 2) for rest in epoch]
    assert {(event.steps, event.epochs) for event in events} == {(3, 2)}
    assert [e.info for e in events if e.info] == result.history.steps
    assert [e.metrics for e in events if e.metrics] == result.history.epochs
    assert events[-1].w is result.w


def test_on_epoch_receives_the_metrics():
    class Watching(SGD):
        def on_epoch(self, metrics):
            seen.append(metrics)

    seen = []
    objective, w = small_softmax()
    history = fit(objective, Watching(), w, 2, evaluate=lambda w: {"extra": 1.0}).history
    assert seen == history.epochs[1:]
    assert seen[0]["extra"] == 1.0


def test_without_data_an_epoch_is_one_step():
    A, b = spd(4), np.ones(4)
    result = fit(quadratic(A, b), NewtonKrylov(tolerance=1e-10), np.zeros(4), 2)
    np.testing.assert_allclose(result.w, np.linalg.solve(A, b), rtol=1e-9)
    assert len(result.history.steps) == 2


def test_zero_epochs_evaluate_the_start():
    objective, w = small_softmax()
    result = fit(objective, SGD(), w, 0)
    assert np.array_equal(result.w, w)
    assert result.w is not w
    assert len(result.history.epochs) == 1


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"batch_size": 0}, ValueError, "batch_size: expected 1 to 60 samples, got 0"),
        ({"batch_size": 61}, ValueError, "batch_size: expected 1 to 60 samples, got 61"),
        ({"epochs": -1}, ValueError, "epochs: expected 0 or more, got -1"),
        ({"w": np.zeros(15, int)}, TypeError, "w: expected an array of float32 or float64"),
        ({"w": np.zeros((3, 5))}, ValueError, "w: expected one flat vector"),
        ({"w": np.full(15, np.nan)}, NonFiniteError, "w itself is not finite"),
        ({"resume": True}, ValueError, "checkpoint: expected a file"),
        ({"checkpoint_every": 2}, ValueError, "checkpoint: expected a file"),
    ],
)
def test_bad_input_is_refused(options, error, message):
    objective, w = small_softmax()
    with pytest.raises(error, match=message):
        fit(objective, SGD(), **{"w": w, "epochs": 1} | options)


def test_nondeterministic_objective_is_refused_before_the_first_step(rng):
    def dropout(w, batch):
        kept = w * (rng.random(w.size) > 0.5)
        return kept @ kept / 2, kept

    with pytest.raises(NonDeterministicError, match="differs"):
        fit(Objective(dropout), SGD(), np.arange(1.0, 9.0), 1)


def test_diverging_run_names_the_layer():
    objective = Objective(
        lambda w, batch: (w @ w / 2 if abs(w[0]) < 1e6 else np.inf, w),
        first_nonfinite=lambda w, batch: "0 Conv2d",
    )
    with pytest.raises(NonFiniteError, match=r"loss is inf .* '0 Conv2d'.*reduce the learning r"):
        fit(objective, SGD(lr=30, momentum=0.0), np.ones(2), 50)


def test_progress_bar_shows_epochs_and_losses(capsys):
    objective, w = network()
    fit(objective, Adam(), w, 2, 20, callbacks=[ProgressBar("tanh", ascii=True, mininterval=0)])
    captured = capsys.readouterr()
    assert captured.out == ""
    for text in ("tanh epoch 1/2", "tanh epoch 2/2", "3/3", "loss=", "train_loss="):
        assert text in captured.err


PROBE = """
import sys
import mcx_optim
loaded = {"tqdm", "scipy", "cupy", "numba", "matplotlib", "mcx_nn", "sklearn"} & set(sys.modules)
assert not loaded, loaded
sys.modules["tqdm"] = None
try:
    mcx_optim.ProgressBar()
except ImportError as error:
    assert "pip install tqdm" in str(error), error
else:
    raise AssertionError("no error")
"""


def test_tqdm_is_needed_by_the_progress_bar_alone():
    subprocess.run([sys.executable, "-c", PROBE], check=True)


def test_float32_stays_float32(make_optimizer):
    objective, w = small_softmax(np.float32)
    result = fit(objective, make_optimizer(), w, 2, 20)
    assert result.w.dtype == np.float32
    assert small_data(dtype=np.float32)[0].dtype == np.float32
