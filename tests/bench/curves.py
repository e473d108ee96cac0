"""Learning curves of a race: budgets, learning rates, crossings of a target, files.

Nothing here trains or measures: a curve is what a run left behind, in memory or in a JSON file.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

KINDS = {
    "loss": ("loss",),
    "gradient": ("gradient",),
    "linearize": ("linearize", "linearize_gauss_newton"),
    "product": ("hvp", "curvature", "gauss_newton"),
}  # kind of evaluation: its names in Counts


def constant(rate: float, fraction: float) -> float:
    """Return the learning rate."""
    return rate


def cosine(rate: float, fraction: float) -> float:
    """Return the learning rate after a fraction of the budget, falling to 0 along half a cosine.

    Loshchilov and Hutter, "SGDR: Stochastic gradient descent with warm restarts", ICLR 2017,
    equation 5 with one period and a least rate of 0.
    """
    return rate / 2 * (1 + math.cos(math.pi * min(fraction, 1.0)))


SCHEDULES = {"constant": constant, "cosine": cosine}


@dataclass(frozen=True)
class Budget:
    """How long a run may train: so many seconds of training, or epochs.

    Attributes
    ----------
    unit : {"seconds", "epochs"}
    limit : float
    """

    unit: str
    limit: float

    def __str__(self):
        return f"{self.limit:g} {self.unit}"

    def targets(self, targets: tuple[float, ...]) -> tuple[float, ...]:
        """Return the losses at which a race ends: none where epochs are to be equal."""
        return targets if self.unit == "seconds" else ()

    def milestones(self) -> list[float]:
        """Return five or so amounts at which the losses are compared, the limit last."""
        if self.unit == "epochs":
            return [*(epoch for epoch in (1, 2, 5, 10, 20, 50) if epoch < self.limit), self.limit]
        return [share * self.limit for share in (0.05, 0.1, 0.25, 0.5, 1)]

    def marks(self) -> list[float]:
        """Return where the loss is evaluated: every epoch, or seconds in steps of a seventh."""
        if self.unit == "epochs":
            return [float(epoch) for epoch in range(1, math.ceil(self.limit))] + [self.limit]
        count = math.ceil(math.log(100) / math.log(8 / 7))
        return [self.limit * 100 ** (k / count - 1) for k in range(count)] + [self.limit]


@dataclass
class Curve:
    """What one run left behind.

    Attributes
    ----------
    task, contestant : str
    images : int
        Size of the training set.
    rate : float or None
        Learning rate; None where the method has none.
    budget : Budget
        What the run had, on which a decaying rate depends.
    seed : int
    machine : str
    rows : list of dict
        Evaluations of the loss over all data, with what was spent until then: "loss", "seconds",
        "epochs", "gradient_equivalents", "steps", "krylov" (iterations), "samples" (by name in
        Counts) and "spent" (seconds by kind of evaluation).
    end : {"budget", "target", "diverged"}
        Why the run ended: "target" is the last one, "diverged" a loss that is not finite.
    """

    task: str
    images: int
    contestant: str
    rate: float | None
    budget: Budget
    seed: int
    machine: str = ""
    rows: list[dict] = field(default_factory=list)
    end: str = "budget"

    @property
    def setting(self) -> tuple[str, int, Budget]:
        """What curves of one table share."""
        return self.task, self.images, self.budget

    @property
    def final(self) -> float:
        """The last loss; infinite if the run diverged."""
        return math.inf if self.end == "diverged" else self.rows[-1]["loss"]

    def column(self, name: str) -> list:
        """Return one column of the rows."""
        return [row[name] for row in self.rows]

    def crossing(self, target: float, unit: str) -> float:
        """Return the seconds, epochs, … until the loss is first at most `target`.

        Between two evaluations log(loss) is linear. Infinite if the target is not reached.
        """
        for before, after in zip([None, *self.rows], self.rows, strict=False):
            if after["loss"] > target:
                continue
            if before is None:
                return after[unit]
            high, low = math.log(before["loss"]), math.log(after["loss"])
            share = (high - math.log(target)) / (high - low)
            return before[unit] + share * (after[unit] - before[unit])
        return math.inf

    def loss_at(self, amount: float, unit: str) -> float:
        """Return the loss after an amount of seconds, epochs, …; infinite where the run has none.

        Between two evaluations log(loss) is linear.
        """
        for before, after in zip([self.rows[0], *self.rows], self.rows, strict=False):
            if after[unit] < amount:
                continue
            if after[unit] == amount:
                return after["loss"]
            share = (amount - before[unit]) / (after[unit] - before[unit])
            high, low = math.log(before["loss"]), math.log(after["loss"])
            return math.exp(high + share * (low - high))
        return math.inf

    def path(self, folder: Path) -> Path:
        """Return the file of this curve in a folder: one per task, contestant, rate and seed."""
        rate = "" if self.rate is None else f"{self.rate:g}"
        parts = self.task, self.images, self.contestant, rate, self.budget, "seed", self.seed
        name = re.sub(r"[^a-z0-9.]+", "-", " ".join(map(str, parts)).lower())
        return Path(folder) / f"{name}.json"

    def save(self, folder: Path):
        """Write the curve to its file, whole or not at all."""
        path = self.path(folder)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}.partial")
        partial.write_text(json.dumps(asdict(self), indent=1), "utf-8")
        partial.replace(path)


def load(path: Path) -> Curve:
    """Return the curve in a file."""
    document = json.loads(Path(path).read_text("utf-8"))
    return Curve(**document | {"budget": Budget(**document["budget"])})


def load_all(folder: Path) -> list[Curve]:
    """Return all curves in a folder.

    Raises
    ------
    FileNotFoundError
        If there are none.
    """
    paths = sorted(Path(folder).glob("*.json"))
    if not paths:
        raise FileNotFoundError(f"{folder}: expected curves (*.json), got none; run the race first")
    return [load(path) for path in paths]


def best_rate(curves: Iterable[Curve], targets: tuple[float, ...]) -> float | None:
    """Return the rate of the curve that reaches the last target first, or else ends lowest.

    Rates are compared on the smallest seed alone.
    """
    curves = list(curves)
    first = min(curve.seed for curve in curves)

    def key(curve):
        return [curve.crossing(target, "seconds") for target in targets[-1:]] + [curve.final]

    return min((curve for curve in curves if curve.seed == first), key=key).rate


def grouped(
    curves: Iterable[Curve], targets: tuple[float, ...]
) -> dict[tuple, dict[str, list[Curve]]]:
    """Group curves by setting, then by contestant: those of its best rate, in order of seed."""
    groups = {}
    for curve in curves:
        groups.setdefault(curve.setting, {}).setdefault(curve.contestant, []).append(curve)
    for (_, _, budget), contestants in groups.items():
        for name, entries in contestants.items():
            rate = best_rate(entries, budget.targets(targets))
            contestants[name] = sorted(
                (curve for curve in entries if curve.rate == rate), key=lambda curve: curve.seed
            )
    return groups
