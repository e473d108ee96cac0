"""The training loop."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from os import PathLike
from typing import Any

import numpy as np

from mcx_optim import checkpoint as checkpoints
from mcx_optim.history import History
from mcx_optim.objective import check_point
from mcx_optim.step_info import StepInfo


@dataclass(frozen=True)
class FitEvent:
    """What a callback sees, after every step and (with `metrics`) after every epoch.

    Attributes
    ----------
    epoch, epochs : int
        Current epoch from 1 (0: before the first step), and how many there are.
    step, steps : int
        Steps taken in this epoch, and how many it has.
    w : array (P,)
        Current parameters; not to be written to.
    info : StepInfo or None
        Log of the step.
    metrics : dict or None
        Row of the history that was just added.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    w: Any
    info: StepInfo | None = None
    metrics: dict | None = None


@dataclass(frozen=True)
class FitResult:
    """Final parameters w (P,) and the History."""

    w: Any
    history: History


@dataclass
class _Run:
    """State of a run between two steps: all that a checkpoint holds besides the settings."""

    w: Any
    rng: np.random.Generator
    permutation: np.ndarray
    epoch: int = 1
    cursor: int = 0
    seconds: float = 0.0
    history: History = field(default_factory=History)


def fit(
    objective,
    optimizer,
    w,
    epochs: int,
    batch_size: int | None = None,
    seed: int = 0,
    callbacks: Sequence[Callable] = (),
    evaluate: Callable | None = None,
    checkpoint: str | PathLike | None = None,
    checkpoint_every: int | None = None,
    resume: bool = False,
) -> FitResult:
    """Minimize the full loss of an objective by steps on shuffled batches.

    Every epoch permutes the samples and cuts them into batches; the last one is smaller where the
    size does not divide their number. Before the run the objective is probed (`Objective.probe`).
    Seconds and gradient-equivalents in the history are those of the steps: evaluations for the
    history itself are free.

    Parameters
    ----------
    objective : Objective
        What to minimize.
    optimizer : NewtonKrylov, SGD, Adam or alike
        With ``step(objective, w, batch) -> (w, StepInfo)``, ``on_epoch(metrics)``,
        ``state_dict()`` and ``load_state_dict(state)``.
    w : array (P,)
        Start, float32 or float64. It is not changed.
    epochs : int
        Passes over the data.
    batch_size : int, optional
        Samples per step; default: all.
    seed : int
        Seed of the one generator that shuffles.
    callbacks : sequence of callables
        Called with a `FitEvent`.
    evaluate : callable, optional
        w -> dict of further metrics for the history, such as the test accuracy.
    checkpoint : str or path-like, optional
        File that is replaced by the state of the run after every epoch.
    checkpoint_every : int, optional
        Steps after which the file is also replaced.
    resume : bool
        Whether to continue from the checkpoint instead of w. The continuation is bit for bit that
        of a run without interruption, `seconds` excepted.

    Returns
    -------
    FitResult
        Final w and the history.

    Raises
    ------
    NonFiniteError, NonDeterministicError, ValueError, TypeError
        If the objective, w or the settings cannot be used; see `Objective.probe`.

    Examples
    --------
    >>> import numpy as np
    >>> from mcx_optim import NewtonKrylov, Objective, fit
    >>> objective = Objective(lambda w, batch: (w @ w / 2, w))
    >>> result = fit(objective, NewtonKrylov(), np.array([3.0, 4.0]), epochs=1)
    >>> result.w, result.history.column("train_loss")
    (array([0., 0.]), [12.5, 0.0])
    """
    check_point(w)
    n = objective.samples
    batch_size = n if batch_size is None else batch_size
    if not 1 <= batch_size <= n:
        raise ValueError(f"batch_size: expected 1 to {n} samples, got {batch_size}")
    if epochs < 0:
        raise ValueError(f"epochs: expected 0 or more, got {epochs}")
    if checkpoint is None and (resume or checkpoint_every):
        raise ValueError("checkpoint: expected a file for resume and checkpoint_every, got None")
    settings = {
        "optimizer": type(optimizer).__name__,
        "batch_size": batch_size,
        "seed": seed,
        "samples": n,
        "parameters": w.size,
        "dtype": str(w.dtype),
    }
    if resume:
        run = _load(checkpoint, settings, objective, optimizer)
    else:
        rng = np.random.default_rng(np.random.SeedSequence(seed))
        run = _Run(w.copy(), rng, np.arange(0))
        with objective.uncounted():
            objective.probe(w, objective.rows(slice(batch_size)))
    loop = _Loop(objective, optimizer, epochs, batch_size, callbacks, evaluate)
    if not run.history.epochs:
        loop.record(run, epoch=0)
    while run.epoch <= epochs:
        for step in loop.steps(run):
            if checkpoint_every and step % checkpoint_every == 0:
                _save(checkpoint, settings, objective, optimizer, run)
        optimizer.on_epoch(loop.record(run, epoch=run.epoch))
        run.epoch, run.cursor = run.epoch + 1, 0
        if checkpoint is not None:
            _save(checkpoint, settings, objective, optimizer, run)
    return FitResult(run.w, run.history)


@dataclass(frozen=True)
class _Loop:
    """One run's fixed parts."""

    objective: Any
    optimizer: Any
    epochs: int
    batch_size: int
    callbacks: Any
    evaluate: Any

    def steps(self, run):
        """Take the remaining steps of an epoch, yielding after each the number taken so far."""
        n = self.objective.samples
        if run.cursor == 0:
            run.permutation = run.rng.permutation(n)
        while run.cursor < n:
            index = run.permutation[run.cursor : run.cursor + self.batch_size]
            batch = self.objective.rows(index)
            start = time.perf_counter()
            run.w, info = self.optimizer.step(self.objective, run.w, batch)
            run.seconds += time.perf_counter() - start
            run.cursor += len(index)
            run.history.steps.append(info)
            self.notify(run, run.epoch, info=info)
            yield -(-run.cursor // self.batch_size)

    def record(self, run, epoch):
        """Add a row of metrics to the history and return it."""
        with self.objective.uncounted():
            train_loss = self.objective.full_loss(run.w)
        row = {
            "epoch": epoch,
            "seconds": run.seconds,
            "gradient_equivalents": self.objective.gradient_equivalents(),
            "train_loss": train_loss,
        }
        if self.evaluate is not None:
            row |= self.evaluate(run.w)
        run.history.epochs.append(row)
        self.notify(run, epoch, metrics=row)
        return row

    def notify(self, run, epoch, info=None, metrics=None):
        """Call the callbacks."""
        steps = -(-self.objective.samples // self.batch_size)
        step = -(-run.cursor // self.batch_size)
        event = FitEvent(epoch, self.epochs, step, steps, run.w, info, metrics)
        for callback in self.callbacks:
            callback(event)


def _save(path, settings, objective, optimizer, run):
    states = {"optimizer": optimizer.state_dict(), "objective": objective.state_dict()}
    arrays = {
        f"{part}.{name}": np.asarray(value)
        for part, state in states.items()
        for name, value in state.items()
    }
    document = {
        "settings": settings,
        "rng": run.rng.bit_generator.state,
        "epoch": run.epoch,
        "cursor": run.cursor,
        "seconds": run.seconds,
        "history": run.history.to_dict(),
    }
    checkpoints.save(path, document, {"w": run.w, "permutation": run.permutation} | arrays)


def _load(path, settings, objective, optimizer):
    document, arrays = checkpoints.load(path)
    for name, value in settings.items():
        if document["settings"][name] != value:
            raise ValueError(
                f"checkpoint {path}: expected {name} {document['settings'][name]!r} as in the run "
                f"that wrote it, got {value!r}; resume with the same settings"
            )
    for part, owner in (("optimizer", optimizer), ("objective", objective)):
        prefix = f"{part}."
        owner.load_state_dict(
            {name.removeprefix(prefix): arrays[name] for name in arrays if name.startswith(prefix)}
        )
    rng = np.random.default_rng()
    rng.bit_generator.state = document["rng"]
    return _Run(
        arrays["w"],
        rng,
        arrays["permutation"],
        document["epoch"],
        document["cursor"],
        document["seconds"],
        History.from_dict(document["history"]),
    )
