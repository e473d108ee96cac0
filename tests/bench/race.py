"""Races between trainers on the same loss from the same start: the clock and the command line.

The clock runs while a trainer takes its steps, batches and learning rates included, and stands
while the loss over all data is evaluated, in float32 by the same code for everybody. Every run
leaves one file, and a run whose file exists is not repeated, so that a long race may be collected
over several calls; other targets or other settings under the same name need another folder. `lenet`
and `autoencoder` hold the tasks, `contestants` the trainers, `curves` what they leave behind and
`standings` the tables.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.bench import curves
from tests.bench.contestants import FIRST_ORDER, Contestant, Task, first_order, newton_krylov
from tests.bench.curves import Budget, Curve
from tests.bench.harness import machine, peer, table
from tests.bench.standings import tables

from mcx_optim import NonFiniteError  # isort: skip

RATES = (1e-1, 3e-2, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4)
SEEDS = (0, 1, 2)


@dataclass(frozen=True)
class Race:
    """What a benchmark races for.

    Attributes
    ----------
    title : str
    tasks : dict
        Name -> function from the size of the training set to the Task.
    configurations : dict
        Name -> (samples per step, function that makes a new NewtonKrylov).
    images : int
        Default size of the training set.
    seconds : float
        Default budget.
    targets : tuple of float
        Losses to be reached, falling, where the budget is in seconds.
    """

    title: str
    tasks: dict[str, Callable]
    configurations: dict[str, tuple[int, Callable]]
    images: int
    seconds: float
    targets: tuple[float, ...] = ()


def run(contestant: Contestant, task: Task, curve: Curve, targets: tuple[float, ...]) -> Curve:
    """Fill the curve: train until the budget is spent or the loss is at most the last target.

    A first step by another trainer, for compilers and caches, is free.
    """
    contestant.make(task, curve.seed, curve.rate).advance(0.0)
    trainer, evaluation = contestant.make(task, curve.seed, curve.rate), task.objective()
    budget, curve.machine = curve.budget, machine()
    seconds = spent = 0.0
    for mark in [0.0, *budget.marks()]:
        if curve.rows and spent >= mark:  # one step went past it
            continue
        try:
            while spent < mark:
                start = time.perf_counter()
                trainer.advance(spent / budget.limit)
                seconds += time.perf_counter() - start
                spent = seconds if budget.unit == "seconds" else trainer.epochs
            loss = evaluation.full_loss(trainer.w)
        except NonFiniteError:
            loss = math.nan
        if not math.isfinite(loss):
            curve.end = "diverged"
            break
        curve.rows.append({"loss": loss, "seconds": seconds, **trainer.log()})
        if any(loss <= target for target in targets[-1:]):
            curve.end = "target"
            break
    return curve


def collect(contestant: Contestant, task: Task, budget: Budget, options) -> None:
    """Run all rates on the first seed, and the best on the others; leave out what has a file."""
    targets = budget.targets(options.targets)

    def obtain(rate, seed):
        curve = Curve(task.name, task.samples, contestant.name, rate, budget, seed)
        path = curve.path(options.out)
        if path.exists():
            return curves.load(path)
        run(contestant, task, curve, targets).save(options.out)
        last = curve.rows[-1]
        spent = f"{last['seconds']:.1f} s, {last['epochs']:.1f} epochs"
        print(f"{path.stem}: loss {last['loss']:.4g} after {spent} ({curve.end})", flush=True)
        return curve

    first, *others = options.seeds
    rate = curves.best_rate([obtain(rate, first) for rate in contestant.rates], targets)
    for seed in others:
        obtain(rate, seed)


def report(folder: Path, targets: tuple[float, ...]) -> None:
    """Print the tables of all curves in the folder."""
    found = curves.load_all(folder)
    print(*sorted({curve.machine for curve in found}), sep="\n")
    print("Median over the seeds (least to greatest); baselines at their best learning rate.")
    print("Ratios are taken seed by seed; 0 where only the baseline never got there.")
    for (name, images, budget), contestants in curves.grouped(found, targets).items():
        for title, columns, rows in tables(contestants, budget, budget.targets(targets)):
            if rows:
                table(f"{name}, {images} images, at most {budget}: {title}", columns, rows)


def parse(race: Race, argv: list[str] | None):
    """Return the options."""
    parser = argparse.ArgumentParser(description=race.title)
    names = [*FIRST_ORDER, *race.configurations]
    parser.add_argument("--tasks", nargs="+", choices=race.tasks, default=[*race.tasks])
    parser.add_argument("--contestants", nargs="+", choices=names, default=names)
    parser.add_argument("--images", type=int, default=race.images, help="size of the training set")
    parser.add_argument("--limit", type=float, default=race.seconds, help="seconds of training")
    parser.add_argument("--epochs", type=float, help="epochs of training, instead of --limit")
    parser.add_argument("--schedule", choices=curves.SCHEDULES, default="cosine")
    parser.add_argument("--rates", type=float, nargs="+", default=RATES)
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--targets", type=float, nargs="*", default=race.targets)
    parser.add_argument("--out", type=Path, help="folder of the curves")
    parser.add_argument("--table", type=Path, help="only print the tables of this folder")
    options = parser.parse_args(argv)
    if options.out is None and options.table is None:
        parser.error("expected --out FOLDER to race, or --table FOLDER to print what is there")
    options.targets = tuple(sorted(options.targets, reverse=True))
    return options


def main(race: Race, argv: list[str] | None = None) -> None:
    """Race, or print the tables."""
    options = parse(race, argv)
    if options.table is None:
        budget = Budget("seconds", options.limit)
        if options.epochs is not None:
            budget = Budget("epochs", options.epochs)
        for name in options.tasks:
            task = race.tasks[name](options.images)
            for contestant in field(race, options):
                collect(contestant, task, budget, options)
    report(options.table or options.out, options.targets)


def field(race: Race, options) -> Iterator[Contestant]:
    """Yield the contestants that the options name."""
    for name in options.contestants:
        if name.startswith("PyTorch") and peer("torch") is None:
            print(f"{name} is left out: PyTorch is not installed")
        elif name in FIRST_ORDER:
            yield first_order(name, options.schedule, tuple(options.rates))
        else:
            yield newton_krylov(name, *race.configurations[name])
