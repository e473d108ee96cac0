"""What `ablations` trains, and what a run leaves behind.

A `Case` is a run but for its seed. With batch normalization the loss of all data is that of chunks
of 128 samples, each with statistics of its own.
"""

from __future__ import annotations

import contextlib
import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from statistics import mean

import numpy as np

import mcx_nn
from mcx_nn import Activation, AvgPool2d, BatchNorm, Conv2d, Dense, Flatten, Sequential
from mcx_optim import NewtonKrylov, NonFiniteError, Objective, fit


def lenet5(activation: str, batch_norm: bool) -> Sequential:
    """Return `mcx_nn.lenet5`, with batch normalization before every activation if asked for."""

    def activate(channels):
        return [*([BatchNorm(channels)] if batch_norm else []), Activation(activation)]

    return Sequential(
        [
            *(Conv2d(1, 6, kernel=5, padding=2), *activate(6), AvgPool2d(2)),
            *(Conv2d(6, 16, kernel=5), *activate(16), AvgPool2d(2), Flatten()),
            *(Dense(400, 120), *activate(120), Dense(120, 84), *activate(84), Dense(84, 10)),
        ],
        input_shape=(28, 28, 1),
    )


class Clocked(Objective):
    """An objective that clocks the evaluations that choose a step size on a batch.

    Attributes
    ----------
    searching : float
        Seconds in `loss` and `taylor`, without those over all data.
    """

    searching = 0.0

    def loss(self, w, batch):
        with self._clock():
            return super().loss(w, batch)

    def taylor(self, w, batch, delta, order):
        with self._clock():
            return super().taylor(w, batch, delta, order)

    def full_loss(self, w):
        before = self.searching
        try:
            return super().full_loss(w)
        finally:
            self.searching = before

    @contextlib.contextmanager
    def _clock(self):
        start = time.perf_counter()
        try:
            yield
        finally:
            self.searching += time.perf_counter() - start


class Differences(Clocked):
    """An objective whose Hessian-vector products are forward differences of the gradient.

    Hp ≈ (g(w + t p) - g(w)) / t with t = h/‖p‖.

    Parameters
    ----------
    h : float
        Length of the step in w.
    *args, **keywords
        Of `Objective`.
    """

    def __init__(self, *args, h: float, **keywords):
        super().__init__(*args, **keywords)
        self.h = h

    def linearize(self, w, batch):
        loss, gradient = self.value_and_grad(w, batch)

        def product(p):
            t = self.h / float(np.linalg.norm(p))
            return (self.grad(w + t * p, batch) - gradient) / t

        product.nbytes = gradient.nbytes
        return loss, gradient, product


@dataclass(frozen=True)
class Case:
    """A run but for its seed.

    Attributes
    ----------
    settings : tuple of (str, object)
        Keyword arguments of the method.
    method : callable
        Makes the optimizer.
    rates : tuple of float
        Learning rates to choose from, by the loss of the first seed.
    activation : str
    batch_norm : bool
    dtype : str
    h : float, optional
        Finite differences of this step take the place of exact products.
    batch_size : int or None
        None for all data.
    epochs : int
    budget : float
        Gradient-equivalents after which the run ends.
    images : int or None
        Images of MNIST; None for the digits.
    """

    settings: tuple = ()
    method: Callable = NewtonKrylov
    rates: tuple = ()
    activation: str = "sigmoid"
    batch_norm: bool = False
    dtype: str = "float32"
    h: float | None = None
    batch_size: int | None = 128
    epochs: int = 3
    budget: float = math.inf
    images: int | None = None

    def optimizer(self):
        """Return the optimizer in its first state."""
        return self.method(**copy.deepcopy(dict(self.settings)))

    def problem(self) -> mcx_nn.Supervised:
        """Return the loss as a function of one vector."""
        return mcx_nn.Supervised(
            lenet5(self.activation, self.batch_norm), mcx_nn.softmax_cross_entropy
        )

    def objective(self) -> Clocked:
        """Return the objective, with nothing counted."""
        given = {
            "problem": self.problem(),
            "data": data(self.images, self.dtype),
            "chunk": 128 if self.batch_norm else 64,
            "separable": not self.batch_norm,
        }
        return Clocked.of(**given) if self.h is None else Differences.of(**given, h=self.h)

    def start(self, seed: int) -> np.ndarray:
        """Return the first w."""
        return self.problem().init(np.random.default_rng(seed), self.dtype)


@cache
def data(images: int | None, dtype: str) -> tuple:
    """Return the training images and labels."""
    if images is None:
        return mcx_nn.load_digits(dtype)[:2]
    x, labels, _, _ = mcx_nn.load_mnist(dtype=np.dtype(dtype))
    return x[:images], labels[:images]


# ----- Runs -----


class Spent(Exception):
    """The budget is spent."""


@dataclass
class Outcome:
    """What a run left behind; a callback of `fit`.

    Attributes
    ----------
    objective : Clocked
    budget : float
    steps : list of (int, StepInfo)
        With the epoch.
    w : array (P,)
        The last.
    loss : float
        Over all data at the end; infinite where the run diverged.
    epoch, epochs : int, float
        Epoch of the last step, and epochs at the end.
    """

    objective: Clocked
    budget: float
    steps: list = field(default_factory=list)
    w: np.ndarray | None = None
    loss: float = math.inf
    epoch: int = 1
    epochs: float = 0.0

    def __call__(self, event):
        """Keep a step."""
        self.w = event.w
        if event.info is None:
            return
        self.steps.append((event.epoch, event.info))
        self.epoch, self.epochs = event.epoch, event.epoch - 1 + event.step / event.steps
        if self.gradients >= self.budget:
            raise Spent

    @property
    def gradients(self) -> float:
        """Gradient-equivalents."""
        return self.objective.gradient_equivalents()

    @property
    def seconds(self) -> float:
        """Seconds of all steps."""
        return sum(info.seconds for _, info in self.steps)

    def mean(self, number: Callable, epoch: int | None = None) -> float:
        """Return the mean of a number in the log, of one epoch or of all; NaN where it has none."""
        values = [number(info) for at, info in self.steps if epoch in (None, at)]
        return mean([value for value in values if value is not None] or [math.nan])


@cache
def run(case: Case, seed: int) -> Outcome:
    """Train from the start of a seed."""
    outcome = Outcome(case.objective(), case.budget)
    setting = case.start(seed), case.epochs, case.batch_size, seed
    try:
        with contextlib.suppress(Spent), np.errstate(over="ignore", invalid="ignore"):
            fit(outcome.objective, case.optimizer(), *setting, callbacks=[outcome])
    except NonFiniteError:
        return outcome
    with outcome.objective.uncounted():
        outcome.loss = outcome.objective.full_loss(outcome.w)
    return outcome


def tuned(case: Case, seed: int) -> tuple[Case, str]:
    """Return the case with the best of its learning rates for a seed, and words for it."""
    if not case.rates:
        return case, ""
    cases = {rate: replace(case, settings=(("lr", rate),), rates=()) for rate in case.rates}
    best = min(cases, key=lambda rate: run(cases[rate], seed).loss)
    return cases[best], f", lr {best:g}"
