"""The training loop."""

import math
import operator
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from os import PathLike
from typing import Any

import numpy as np

from mcx_optim import checkpoint as checkpoints
from mcx_optim.errors import NonFiniteError
from mcx_optim.history import History
from mcx_optim.probe import check_point, probe
from mcx_optim.recovery import Recovery
from mcx_optim.state import entries, nested
from mcx_optim.step_info import StepInfo, StepLog

MAX_FAILURES = 10


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
    on_nonfinite: str = "raise",
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
    on_nonfinite : {"raise", "skip", "roll_back"}
        What to do where a step meets a loss, gradient or new w that is not finite. "skip": the step
        is not taken, and the run goes on with the next batch. "roll_back": w and the optimizer go
        back to the end of the last epoch (or the start), and the run goes on with the next batch;
        so too where the training loss is not finite at the end of an epoch, which "raise" raises
        and "skip" records. The step is logged with outcome "skipped" or "rolled back" and the
        reason. As many failures from the same w as an epoch has steps, at most 10, are borne; one
        more raises.

    Returns
    -------
    FitResult
        Final w and the history.

    Raises
    ------
    NonFiniteError
        If the loss or the gradient is not finite at the start, or later as `on_nonfinite` says.
    NonDeterministicError, ValueError, TypeError
        If the objective, w or the settings cannot be used; see `Objective.probe`.
    FileNotFoundError
        If the folder of the checkpoint does not exist, or there is none to resume from.

    Examples
    --------
    >>> import numpy as np
    >>> from mcx_optim import NewtonKrylov, Objective, fit
    >>> objective = Objective(lambda w, batch: (w @ w / 2, w))
    >>> result = fit(objective, NewtonKrylov(), np.array([3.0, 4.0]), epochs=1)
    >>> result.w, result.history.column("train_loss")
    (array([0., 0.]), [12.5, 0.0])
    """
    _check_parts(objective, optimizer, callbacks)
    check_point(w)
    n = objective.samples
    batch_size = _integer("batch_size", n if batch_size is None else batch_size, 1, n)
    epochs = _integer("epochs", epochs, 0)
    if checkpoint_every is not None:
        checkpoint_every = _integer("checkpoint_every", checkpoint_every, 1)
    if checkpoint is None and (resume or checkpoint_every):
        raise ValueError("checkpoint: expected a file for resume and checkpoint_every, got None")
    if checkpoint is not None:
        checkpoints.expect_folder(checkpoint)
    settings = {
        "optimizer": type(optimizer).__name__,
        "batch_size": batch_size,
        "seed": _integer("seed", seed, 0),
        "samples": n,
        "parameters": w.size,
        "dtype": str(w.dtype),
    }
    recovery = Recovery(on_nonfinite, optimizer, min(MAX_FAILURES, -(-n // batch_size)))
    parts = {"optimizer": optimizer, "objective": objective, "recovery": recovery}
    if resume:
        run = _load(checkpoint, settings, parts)
    else:
        rng = np.random.default_rng(np.random.SeedSequence(seed))
        run = _Run(w.copy(), rng, np.arange(0))
        with objective.uncounted():
            probe(objective, w, objective.rows(slice(batch_size)))
    recovery.begin(run.w)
    loop = _Loop(objective, optimizer, epochs, batch_size, callbacks, evaluate, recovery)
    if not run.history.epochs:
        loop.record(run, epoch=0)
    while run.epoch <= epochs:
        for step in loop.steps(run):
            if checkpoint_every and step % checkpoint_every == 0:
                _save(checkpoint, settings, parts, run)
        optimizer.on_epoch(loop.record(run, epoch=run.epoch))
        if on_nonfinite == "roll_back":
            recovery.keep(run.w)
        run.epoch, run.cursor = run.epoch + 1, 0
        if checkpoint is not None:
            _save(checkpoint, settings, parts, run)
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
    recovery: Recovery

    def steps(self, run):
        """Take the remaining steps of an epoch, yielding after each the number taken so far."""
        n = self.objective.samples
        if run.cursor == 0:
            run.permutation = run.rng.permutation(n)
        while run.cursor < n:
            index = run.permutation[run.cursor : run.cursor + self.batch_size]
            batch = self.objective.rows(index)
            start = time.perf_counter()
            info = self.step(run, batch)
            run.seconds += time.perf_counter() - start
            run.cursor += len(index)
            run.history.steps.append(info)
            self.notify(run, run.epoch, info=info)
            yield -(-run.cursor // self.batch_size)

    def step(self, run, batch):
        """Take one step or recover from its failure, and return the StepInfo."""
        log = StepLog(self.objective)
        try:
            with self.recovery.quiet():
                w, info = self.optimizer.step(self.objective, run.w, batch)
            _check_step(self.optimizer, run.w, w)
        except NonFiniteError as error:
            run.w = self.recovery.restore(error)
            return log.finish(self.recovery.outcome, str(error))
        run.w = w
        if self.recovery.policy == "skip":
            self.recovery.keep(w)
        return info

    def train_loss(self, run, epoch):
        """Return the loss of all data, after recovery if it is not finite."""
        loss = self.full_loss(run.w)
        if math.isfinite(loss) or self.recovery.policy == "skip":
            return loss
        error = self.failure(run.w, loss)
        if epoch == 0:
            raise error
        run.w = self.recovery.restore(error)
        last = run.history.steps[-1]
        run.history.steps[-1] = replace(last, outcome=self.recovery.outcome, reason=str(error))
        return self.full_loss(run.w)

    def full_loss(self, w):
        """Return the loss of all data, without counting it."""
        with self.objective.uncounted(), self.recovery.quiet():
            return self.objective.full_loss(w)

    def failure(self, w, loss):
        """Return the error that says where the loss of all data leaves the reals."""
        try:
            with self.objective.uncounted(), self.recovery.quiet():
                self.objective.full(w)
        except NonFiniteError as error:
            return error
        return NonFiniteError(f"training loss is {loss} by value, but finite by value_and_grad")

    def record(self, run, epoch):
        """Add a row of metrics to the history and return it."""
        row = {
            "epoch": epoch,
            "seconds": run.seconds,
            "gradient_equivalents": self.objective.gradient_equivalents(),
            "train_loss": self.train_loss(run, epoch),
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


def _check_parts(objective, optimizer, callbacks):
    """Raise TypeError for a class or a name in place of an object, and alike."""
    if not hasattr(objective, "value_and_grad"):
        raise TypeError(
            f"objective: expected an Objective, got a {type(objective).__name__}; use "
            "Objective(value_and_grad, data=data) or Objective.of(problem, data)"
        )
    if isinstance(optimizer, type) or not hasattr(optimizer, "step"):
        raise TypeError(
            f"optimizer: expected an object such as SGD(), got {optimizer!r}; call the class"
        )
    if not isinstance(callbacks, Sequence) or not all(map(callable, callbacks)):
        raise TypeError(
            "callbacks: expected a list or tuple of callables, which serves every step, got a "
            f"{type(callbacks).__name__}; use [callback]"
        )


def _integer(name, value, least, most=None):
    """Return an int in [least, most]."""
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name}: expected an integer, got {value!r} ({type(value).__name__})")
    if number < least or (most is not None and number > most):
        bounds = f"{least} or more" if most is None else f"{least} to {most} samples"
        raise ValueError(f"{name}: expected {bounds}, got {number}")
    return number


def _check_step(optimizer, before, w):
    """Raise unless the w of a step is finite and like the one before."""
    name = f"{type(optimizer).__name__}.step"
    shape, dtype = getattr(w, "shape", type(w).__name__), getattr(w, "dtype", None)
    if shape != before.shape or dtype != before.dtype:
        raise ValueError(
            f"{name}: expected a new w of shape {before.shape} and dtype {before.dtype} like the "
            f"old one, got {shape} and {dtype}; return (w, StepInfo) with w alike"
        )
    if not np.isfinite(w).all():
        raise NonFiniteError(f"w is not finite after {name}; reduce the learning rate")


def _save(path, settings, parts, run):
    state = nested(**{name: part.state_dict() for name, part in parts.items()})
    arrays = {name: np.asarray(value) for name, value in state.items()}
    document = {
        "settings": settings,
        "rng": run.rng.bit_generator.state,
        "epoch": run.epoch,
        "cursor": run.cursor,
        "seconds": run.seconds,
        "history": run.history.to_dict(),
    }
    checkpoints.save(path, document, {"w": run.w, "permutation": run.permutation} | arrays)


def _load(path, settings, parts):
    document, arrays = checkpoints.load(path)
    for name, value in settings.items():
        if document["settings"][name] != value:
            raise ValueError(
                f"checkpoint {path}: expected {name} {document['settings'][name]!r} as in the run "
                f"that wrote it, got {value!r}; resume with the same settings"
            )
    for name, part in parts.items():
        part.load_state_dict(entries(arrays, name))
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
