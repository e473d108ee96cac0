"""Plateaus and saddles: which starts the Newton-Krylov trainer leaves, and what its log says.

``python -m tests.bench.plateaus [--log]`` prints for every start, with three policies for negative
curvature, the steps after which the tracked loss is below a level, the final loss, and the words
of the log, counted; with --log every step of every run as well. A run ends when the level is
reached and twice as many steps are taken, or at its last step.

The level of a network is 95 % of the loss of the best constant output: a plateau on which the
inputs do not count is at that loss. Networks are small and the digits few; with the environment
variable MCX_DATA set, the autoencoder sees 2000 images of MNIST.

The tracked loss is that of all data. No step may increase it, no number may be NaN: the run stops
with an AssertionError that says where.
"""

from __future__ import annotations

from tests.bench import harness  # isort: skip  (first: it fixes the threads)

import argparse
import contextlib
import itertools
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np

import mcx_nn
from mcx_optim import NewtonKrylov, Objective, StepInfo, fit
from tests.optim.problems import digits
from tests.optim.saddles import LANDSCAPES, STATIONARY, STEEP

POLICIES = ("follow", "absolute", "stop")
LEFT = 0.95  # of the loss of the best constant output
IMAGES = 512  # for LeNet-5


@dataclass(frozen=True)
class Start:
    """Where a run starts, and when it counts as having left.

    Attributes
    ----------
    objective : callable
        () -> Objective.
    w : array (P,)
    level : float
    epochs : int
    batch_size : int or None
    """

    objective: Callable
    w: np.ndarray
    level: float
    epochs: int
    batch_size: int | None = None


@cache
def lenet(dtype: str, scale: float) -> Start:
    """Return LeNet-5 with sigmoids on digits, as in examples/train_lenet.py, weights scaled."""
    x, labels, _, _ = mcx_nn.load_digits(dtype)
    data = x[:IMAGES], labels[:IMAGES]
    problem = mcx_nn.Supervised(mcx_nn.lenet5("sigmoid"), mcx_nn.softmax_cross_entropy)
    share = np.bincount(data[1]) / IMAGES
    return network(problem, data, scale, dtype, -np.sum(share * np.log(share)), epochs=7)


@cache
def autoencoder(scale: float) -> Start:
    """Return an autoencoder with sigmoids on pixels in [0, 1], weights scaled."""
    if os.environ.get("MCX_DATA"):
        pixels = mcx_nn.load_mnist(dtype=np.float64)[0][:2000].reshape(2000, -1)
        pixels, sizes = (pixels - pixels.min()) / np.ptp(pixels), (784, 250, 100, 30)
    else:
        pixels, sizes = digits()[0][:, :-1], (64, 48, 24, 12)
    loss = mcx_nn.binary_cross_entropy_with_logits
    problem = mcx_nn.Supervised(mcx_nn.autoencoder(sizes), loss)
    mean = pixels.mean(axis=0)
    mean = mean[(mean > 0) & (mean < 1)]
    entropy = -np.sum(mean * np.log(mean) + (1 - mean) * np.log1p(-mean)) / pixels.shape[1]
    return network(problem, (pixels, pixels), scale, "float64", entropy, epochs=8)


def network(problem, data, scale, dtype, constant: float, epochs: int) -> Start:
    """Return the start of a network from Glorot's weights times `scale`."""
    w = problem.init(np.random.default_rng(0), dtype) * np.asarray(scale, dtype)

    def objective():
        functions = problem.value_and_grad, problem.value, problem.first_nonfinite
        return Objective(*functions, data=data, chunk=64)

    return Start(objective, w, LEFT * float(constant), epochs, batch_size=128)


STARTS = {
    **{
        name: lambda landscape=landscape: Start(
            landscape.objective, landscape.w(), landscape.level, epochs=60
        )
        for name, landscape in (LANDSCAPES | STEEP | STATIONARY).items()
    },
    "autoencoder, Glorot": lambda: autoencoder(1.0),
    "autoencoder, Glorot x 0.1": lambda: autoencoder(0.1),
    "LeNet-5, Glorot, float32": lambda: lenet("float32", 1.0),
    "LeNet-5, Glorot x 0.1, float32": lambda: lenet("float32", 0.1),
    "LeNet-5, Glorot x 0.1, float64": lambda: lenet("float64", 0.1),
}


class Left(Exception):
    """The start was left long ago."""


class Watch:
    """Follows a run step by step: a callback of `fit`.

    Attributes
    ----------
    losses : list of float
        The tracked loss at the start and after every step.
    steps : list of StepInfo
    left : int or None
        Steps after which the loss was below the level.
    """

    def __init__(self, start: Start):
        self.level = start.level
        self.losses: list[float] = []
        self.steps: list[StepInfo] = []
        self.left: int | None = None

    def __call__(self, event):
        """Add a step, checked."""
        if event.info is None:
            if not self.losses:
                self.losses.append(event.metrics["train_loss"])
            return
        info = event.info
        taken = info.outcome != "skipped"
        self.steps.append(info)
        self.losses.append(info.new_tracked_loss if taken else self.losses[-1])
        if not (np.isfinite(event.w).all() and np.isfinite(self.losses[-1])):
            raise AssertionError(f"step {len(self.steps)}: not finite: {info}")
        if taken and not info.new_tracked_loss < info.tracked_loss:
            raise AssertionError(f"step {len(self.steps)}: the tracked loss increased: {info}")
        if self.left is None and self.losses[-1] < self.level:
            self.left = len(self.steps)
        if self.left is not None and len(self.steps) >= 2 * self.left:
            raise Left


def watch(start: Start, policy: str) -> Watch:
    """Run from a start with one policy for negative curvature."""
    watched = Watch(start)
    optimizer = NewtonKrylov(negative_curvature=policy)
    objective, epochs, size = start.objective(), start.epochs, start.batch_size
    with contextlib.suppress(Left):
        fit(objective, optimizer, start.w, epochs, size, callbacks=[watched])
    return watched


def words(values) -> str:
    """Return how often each word occurs in a column of the log."""
    counts = Counter(str(value) for value in values if value is not None)
    return ", ".join(f"{count} {value}" for value, count in counts.most_common()) or "-"


def print_log(name: str, policy: str, watched: Watch) -> None:
    """Print every step, equal neighbours once."""
    rows = []
    told = [(info.outcome, info.reason, info.cg_status) for info in watched.steps]
    step = 0
    for (outcome, reason, status), group in itertools.groupby(told):
        size = len(list(group))
        steps = f"{step + 1}" if size == 1 else f"{step + 1} to {step + size}"
        step += size
        rows.append([steps, f"{watched.losses[step]:.9g}", status or "-", outcome, reason or "-"])
    harness.table(f"{name}, {policy}", ["steps", "loss", "CG", "outcome", "reason"], rows)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--log", action="store_true", help="print every step of every run")
    log = parser.parse_args().log
    print(harness.machine())
    rows = []
    for name, make in STARTS.items():
        start = make()
        for policy in POLICIES:
            watched = watch(start, policy)
            if log:
                print_log(name, policy, watched)
            statuses = words(info.cg_status for info in watched.steps)
            rows.append(
                [
                    name,
                    policy,
                    f"{watched.losses[0]:.4g}",
                    f"{start.level:.4g}",
                    f"{watched.left}" if watched.left else f"not in {len(watched.steps)}",
                    f"{watched.losses[-1]:.6g}",
                    statuses,
                    f"{max((info.gamma or 0.0) for info in watched.steps):.2g}",
                    words(info.outcome for info in watched.steps),
                    words(info.reason for info in watched.steps),
                ]
            )
    columns = ["start", "policy", "loss", "level", "steps below it", "last loss", "CG"]
    title = "Plateaus and saddles (no step increased the tracked loss, no NaN)"
    harness.table(title, [*columns, "largest γ", "outcomes", "reasons"], rows)


if __name__ == "__main__":
    main()
