"""Who races: tasks, this library's trainers on them, and PyTorch's Adam with the same start.

A trainer has `advance(fraction)`, which takes one step after a fraction of the budget, the current
`w` in our layout, `epochs`, and `log()`, what was spent so far.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property
from types import SimpleNamespace

os.environ.setdefault("MCX_BENCH_THREADS", "2")
os.environ.setdefault(
    "MCX_BENCH_BLAS_THREADS", "1"
)  # the threads are those of mcx: see `separable`

from tests.bench.harness import same  # before NumPy

import numpy as np  # isort: skip

from mcx_nn import Supervised
from mcx_optim import SGD, Adam, Objective
from tests.bench import networks
from tests.bench.curves import KINDS, SCHEDULES

BATCH = 128  # of the methods of first order
OPERATIONS = {**networks.OPERATIONS, "tanh": lambda F, x, take: F.tanh(x)}
TOLERANCE = 1e-5  # between the losses of both sides at the start, float32


@dataclass(frozen=True)
class Task:
    """A loss to minimize.

    Attributes
    ----------
    name : str
    network : Network
        Our model, PyTorch's operations, and whether the target is the input.
    loss : callable
        Of mcx_nn.
    data : (X, y)
        float32 inputs and targets.
    chunk : int
        Samples at a time in sums over all data.
    """

    name: str
    network: networks.Network
    loss: Callable
    data: tuple
    chunk: int

    @cached_property
    def problem(self) -> Supervised:
        """The loss as a function of one vector."""
        return Supervised(self.network.model(), self.loss)

    @property
    def samples(self) -> int:
        """Size of the training set."""
        return len(self.data[0])

    def start(self, seed: int) -> np.ndarray:
        """Return the start that all contestants share."""
        return self.problem.init(np.random.default_rng(seed), np.float32)

    def objective(self) -> Timed:
        """Return an objective of its own, with counts and clocks at 0."""
        return Timed.of(self.problem, data=self.data, chunk=self.chunk, separable=True)


class Timed(Objective):
    """An objective that knows the seconds spent in each kind of evaluation."""

    def __init__(self, *arguments, **keywords):
        super().__init__(*arguments, **keywords)
        self.spent = dict.fromkeys(KINDS, 0.0)

    @contextmanager
    def clock(self, kind):
        """Add the time within to a kind."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.spent[kind] += time.perf_counter() - start

    def loss(self, w, batch):
        with self.clock("loss"):
            return super().loss(w, batch)

    def value_and_grad(self, w, batch):
        with self.clock("gradient"):
            return super().value_and_grad(w, batch)

    def linearize(self, w, batch):
        with self.clock("linearize"):
            loss, gradient, product = super().linearize(w, batch)
        return loss, gradient, self.timed(product)

    def gauss_newton(self, w, batch):
        with self.clock("linearize"):
            loss, gradient, product = super().gauss_newton(w, batch)
        return loss, gradient, self.timed(product)

    def observe(self, w, batch, rng):
        with self.clock("gradient"):
            return super().observe(w, batch, rng)

    def timed(self, product):
        """Return the product with its clock."""

        def call(p):
            with self.clock("product"):
                return product(p)

        call.nbytes = product.nbytes
        return call

    def curvature(self, w, batch, p):
        with self.clock("product"):
            return super().curvature(w, batch, p)


def batches(samples: int, size: int, seed: int) -> Iterator[np.ndarray]:
    """Yield the indices of shuffled batches, epoch after epoch, as `mcx_optim.fit` cuts them."""
    rng = np.random.default_rng(seed)
    while True:
        permutation = rng.permutation(samples)
        for start in range(0, samples, size):
            yield permutation[start : start + size]


class Ours:
    """A trainer of this library.

    Parameters
    ----------
    task : Task
    seed : int
        Of the start and of the shuffling.
    optimizer : NewtonKrylov, Adam or SGD
    batch : int
        Samples per step.
    schedule : callable, optional
        Fraction of the budget -> learning rate.

    Attributes
    ----------
    epochs : float
        Passes over the data: samples of the batches over N.
    w : (P,) array
        Current parameters.
    """

    def __init__(self, task, seed, optimizer, batch, schedule=None):
        self.optimizer, self.schedule = optimizer, schedule
        self.objective, self.w = task.objective(), task.start(seed)
        self.batches = batches(task.samples, min(batch, task.samples), seed)
        self.seen = self.steps = self.krylov = 0

    def advance(self, fraction: float):
        """Take one step, after a fraction of the budget."""
        if self.schedule is not None:
            self.optimizer.lr = self.schedule(fraction)
        index = next(self.batches)
        batch = self.objective.rows(index)
        self.w, info = self.optimizer.step(self.objective, self.w, batch)
        self.steps += 1
        self.seen += len(index)
        self.krylov += info.cg_iterations or 0

    @property
    def epochs(self) -> float:
        return self.seen / self.objective.samples

    def log(self) -> dict:
        """Return what was spent so far, for a row of the curve."""
        return {
            "epochs": self.epochs,
            "gradient_equivalents": self.objective.gradient_equivalents(),
            "steps": self.steps,
            "krylov": self.krylov,
            "samples": asdict(self.objective.counts),
            "spent": dict(self.objective.spent),
        }


class TorchAdam:
    """PyTorch's Adam on PyTorch's network, with nothing around it that costs time.

    Parameters and attributes as of `Ours`. Whole tensors are indexed by batches, the step is the
    fused one, and the loss is never read.

    Raises
    ------
    AssertionError
        Unless both sides start with the same loss and gradient.
    """

    def __init__(self, task, seed, schedule):
        self.schedule = schedule
        w = task.start(seed)
        few = tuple(part[:BATCH] for part in task.data)
        if task.network.reconstructs:
            few = few[0], few[0]
        case = SimpleNamespace(network=task.network, problem=task.problem, batch=few, w=w, p=w)
        self.side = networks.Torch(case, channels_last=False)
        self.check(few)
        images, targets = task.data
        self.x = self.side.tensor(images.transpose(0, 3, 1, 2) if images.ndim == 4 else images)
        self.y = self.x if task.network.reconstructs else self.side.torch.asarray(targets)
        self.adam = self.side.torch.optim.Adam(self.side.leaves, lr=schedule(0.0), fused=True)
        self.batches = batches(task.samples, min(BATCH, task.samples), seed)
        self.samples, self.seen, self.steps = task.samples, 0, 0

    def check(self, batch):
        """Compare loss and gradient of a batch with ours."""
        loss, gradient = self.side.case.problem.value_and_grad(self.w, batch)
        value = self.side.loss(self.side.leaves, OPERATIONS)
        same(loss, value.item(), "loss at the start, mcx and PyTorch", TOLERANCE)
        theirs = self.side.join(self.side.torch.autograd.grad(value, self.side.leaves))
        same(gradient, theirs, "gradient at the start, mcx and PyTorch", 10 * TOLERANCE)

    def advance(self, fraction: float):
        """Take one step, after a fraction of the budget."""
        index = self.side.torch.from_numpy(next(self.batches))
        self.side.x = self.x[index]
        self.side.y = self.side.x if self.y is self.x else self.y[index]
        self.adam.param_groups[0]["lr"] = self.schedule(fraction)
        self.adam.zero_grad()
        self.side.loss(self.side.leaves, OPERATIONS).backward()
        self.adam.step()
        self.steps += 1
        self.seen += len(index)

    @property
    def w(self) -> np.ndarray:
        return self.side.join(self.side.leaves)

    @property
    def epochs(self) -> float:
        return self.seen / self.samples

    def log(self) -> dict:
        """Return what was spent so far, for a row of the curve."""
        return {
            "epochs": self.epochs,
            "gradient_equivalents": self.epochs,
            "steps": self.steps,
            "krylov": 0,
            "samples": {"gradient": self.seen},
            "spent": {},
        }


FIRST_ORDER = {
    "Adam": lambda task, seed, schedule: Ours(task, seed, Adam(), BATCH, schedule),
    "SGD": lambda task, seed, schedule: Ours(task, seed, SGD(), BATCH, schedule),
    "PyTorch Adam": TorchAdam,
}  # name -> (task, seed, fraction -> rate) -> trainer; SGD has its default momentum of 0.9


@dataclass(frozen=True)
class Contestant:
    """A name, and how to make its trainer.

    Attributes
    ----------
    name : str
    make : callable
        (task, seed, rate) -> trainer, at the start.
    rates : tuple
        Learning rates to be tried; (None,) if it has none.
    """

    name: str
    make: Callable
    rates: tuple = (None,)


def first_order(name: str, schedule: str, rates: tuple) -> Contestant:
    """Return a method of first order with a schedule of `curves.SCHEDULES`."""

    def make(task, seed, rate):
        return FIRST_ORDER[name](task, seed, lambda fraction: SCHEDULES[schedule](rate, fraction))

    return Contestant(f"{name}, {schedule}", make, rates)


def newton_krylov(name: str, batch: int, new: Callable) -> Contestant:
    """Return a trainer that `new` makes, on so many samples per step."""

    def make(task, seed, rate):
        return Ours(task, seed, new(), batch)

    return Contestant(name, make)
