"""Ablations of the Newton-Krylov trainer: one part changed at a time, all else as it is.

    python -m tests.bench.ablations [--parts early eta …] [--data mnist --images 10000]
                                    [--seeds 0 1 2] [--epochs N]

prints one table per part (`PARTS`): median and range over the seeds of the training loss, over all
data, and what it cost. The network is LeNet-5 with sigmoids, in batches of 128 with the exact
global gradient, unless a table says otherwise; the data are the digits of examples/train_lenet.py,
or the first images of MNIST in the folder that MCX_DATA names.

Columns: *gradients*, gradient-equivalents (`mcx_optim.counts`); *Krylov*, products in a step;
*trials* for the step size of a step, in the first and in the last epoch; *search*, evaluations of
the loss of the batch that choose the step size of a step, a jet of order 4 counted as 9, and
milliseconds of them, those over all data left out; *CG* and *outcome*, shares of the steps.
"""

from __future__ import annotations

import os

os.environ.setdefault("MCX_BENCH_THREADS", "2")

from tests.bench import harness  # isort: skip  (before NumPy: it fixes the threads)

import argparse
import math
from collections import Counter
from dataclasses import dataclass, replace
from operator import attrgetter
from statistics import median

import numpy as np

from mcx_optim import (
    Adam,
    GrowingSample,
    Hessian,
    MovingAverage,
    NewtonKrylov,
    VarianceReduced,
)
from mcx_optim.step_size import ORDER
from tests.bench.ablation_runs import Case, Outcome, run, tuned
from tests.bench.convex import spread

SEEDS = (0, 1, 2)
BUDGET = 25  # gradient-equivalents for every epoch, where they are to be equal
RATES = (1e-1, 1e-2, 1e-3, 1e-4)  # of Adam, as in the paper
STEPS = (1e-2, 1e-4, 1e-6, 1e-8, 1e-12, 1e-16)  # h of finite differences
ACTIVATIONS = ("identity", "relu", "sigmoid", "tanh", "sin")
DTYPES = ("float64", "float32")


# ----- Parts -----


@dataclass(frozen=True)
class Part:
    """A table.

    Attributes
    ----------
    title : str
    variants : dict
        Label -> fields of `Case` that differ from the default.
    epochs : int
    equal : {"epochs", "gradients"}
        What is the same for all variants.
    """

    title: str
    variants: dict
    epochs: int = 3
    equal: str = "epochs"

    def cases(self, epochs: int | None, images: int | None) -> dict[str, Case]:
        """Return the cases by label."""
        epochs = self.epochs if epochs is None else epochs
        common = {"epochs": epochs, "images": images}
        if self.equal == "gradients":
            common = {"epochs": 10**6, "budget": BUDGET * epochs, "images": images}
        return {label: Case(**common | changes) for label, changes in self.variants.items()}


def newton(**settings) -> dict:
    """Return the change of settings of NewtonKrylov."""
    return {"settings": tuple(settings.items())}


def estimators() -> dict:
    """Return the variants of the right-hand side, with the default and the stochastic settings."""
    found = {
        "exact": "global",
        "growing, norm test": GrowingSample(first=256, growth=1.1, theta=0.5),
        "growing, 1.015 a step": GrowingSample(),
        "variance-reduced": VarianceReduced(),
        "moving average": MovingAverage(),
        "batch": "batch",
    }
    methods = {"default": NewtonKrylov, "stochastic()": NewtonKrylov.stochastic}
    return {
        f"{name}: {label}": newton(rhs=rhs) | {"method": method}
        for name, method in methods.items()
        for label, rhs in found.items()
    }


def networks() -> dict:
    """Return Newton-Krylov and Adam for every activation, with and without normalization."""
    found = {}
    for batch_norm in (False, True):
        for activation in ACTIVATIONS:
            name = activation + (", batch norm" if batch_norm else "")
            network = {"activation": activation, "batch_norm": batch_norm}
            found[f"{name}: Newton-Krylov"] = network
            found[f"{name}: Adam"] = network | {"method": Adam, "rates": RATES}
    return found


ALL = {"batch_size": None}
IGNORE, STOP = {"negative_curvature": "ignore"}, {"negative_curvature": "stop"}

PARTS = {
    "early": Part(
        "Early termination of CG at negative curvature",
        {
            "on, as in the paper": newton(**STOP),
            "off": newton(**IGNORE),
            "on, batch gradient": newton(**STOP, rhs="batch"),
            "off, batch gradient": newton(**IGNORE, rhs="batch"),
        },
    ),
    "eta": Part(
        "Bound of the Taylor ratio",
        {
            f"{eta:g}": newton(eta=eta) if eta != 0.05 else {}
            for eta in (0.5, 0.2, 0.1, 0.05, 0.01, 0.001)
        },
    ),
    "search": Part(
        "Choice of the step size",
        {
            "Taylor ratio": {},
            "jet of order 4": newton(line_search="jet"),
            "Armijo, c = 0.01, τ = 0.8": newton(line_search="armijo"),
        },
        epochs=10,
    ),
    "batch": Part(
        "Samples in a batch",
        {f"{size or 'all'}": {"batch_size": size} for size in (64, 128, 256, 512, None)},
    ),
    "activations": Part("Activations and batch normalization", networks()),
    "differences": Part(
        "Exact products against forward differences of the gradient",
        {
            f"{dtype}, {'exact' if h is None else f'h = {h:.0e}'}": {"dtype": dtype, "h": h}
            for dtype in DTYPES
            for h in (None, *STEPS)
        },
        epochs=2,
    ),
    "full": Part(
        "Newton-CG on all data, one step an epoch, against batches",
        {
            "all: stop, Armijo": newton(**STOP, line_search="armijo", screening=False) | ALL,
            "all: stop, Taylor ratio": newton(**STOP) | ALL,
            "all: follow, Taylor ratio": ALL,
            "128: follow, Taylor ratio": {},
        },
        epochs=6,
        equal="gradients",
    ),
    "gradient": Part(
        "Right-hand side: the exact global gradient and its estimates",
        estimators(),
        equal="gradients",
    ),
    "curvature": Part(
        "Negative curvature",
        {
            "follow": {},
            "stop": newton(**STOP),
            "absolute": newton(negative_curvature="absolute"),
            "ignore": newton(**IGNORE),
        },
    ),
}


# ----- Tables -----


def searched(info) -> float | None:
    """Return the evaluations of the loss of the sample that chose the step size."""
    return None if info.trials is None else info.trials + info.counts.taylor / info.samples


def milliseconds(outcome: Outcome) -> float:
    """Return the time of these evaluations in a step that has any; NaN where none has."""
    steps = sum(info.trials is not None for _, info in outcome.steps)
    return 1e3 * outcome.objective.searching / steps if steps else math.nan


def shares(words) -> str:
    """Return the share of each word, None left out, the greatest first."""
    counts = Counter(word for word in words if word is not None)
    total = counts.total()
    return ", ".join(f"{count / total:.0%} {word}" for word, count in counts.most_common()) or "-"


def across(values: list[float], form: str) -> str:
    """Return median and range over the seeds; of one seed, its value."""
    return spread(values, form) if len(values) > 1 else f"{values[0]:{form}}"


COLUMNS = ["variant", "training loss", "epochs", "seconds", "gradients", "Krylov", "trials"]
COLUMNS += ["search, losses", "search, ms", "CG", "outcome"]


def row(label: str, outcomes: list[Outcome]) -> list[str]:
    """Return the row of a variant: medians over the seeds, with the range of the loss."""

    def middle(form, number):
        values = [value for value in map(number, outcomes) if not math.isnan(value)]
        return f"{median(values):{form}}" if values else "-"

    trials = attrgetter("trials")
    steps = [info for outcome in outcomes for _, info in outcome.steps]
    return [
        label,
        across([outcome.loss for outcome in outcomes], ".2e").replace("inf", "diverged"),
        middle(".3g", lambda outcome: outcome.epochs),
        middle(".1f", lambda outcome: outcome.seconds),
        middle(".0f", lambda outcome: outcome.gradients),
        middle(".1f", lambda outcome: outcome.mean(attrgetter("cg_iterations"))),
        middle(".1f", lambda outcome: outcome.mean(trials, 1))
        + ", "
        + middle(".1f", lambda outcome: outcome.mean(trials, outcome.epoch)),
        middle(".1f", lambda outcome: outcome.mean(searched)),
        middle(".1f", milliseconds),
        shares(info.cg_status for info in steps),
        shares(info.outcome for info in steps),
    ]


def print_part(part: Part, options) -> None:
    """Run a part and print its table."""
    rows = []
    for label, case in part.cases(options.epochs, options.images).items():
        best, words = tuned(case, options.seeds[0])
        rows.append(row(label + words, [run(best, seed) for seed in options.seeds]))
    harness.table(f"{part.title}; at equal {part.equal}, seeds {options.seeds}", COLUMNS, rows)


def print_evaluations(options) -> None:
    """Print the time of one trial evaluation of the loss, and of one jet of order 4."""
    case, rows = Case(images=options.images), []
    objective, w = case.objective(), case.start(0)
    for size in (128, 512):
        batch = objective.rows(slice(size))
        delta = objective.grad(w, batch)
        trial = harness.best(lambda batch=batch: objective.loss(w, batch))
        jet = harness.best(
            lambda batch=batch, delta=delta: objective.taylor(w, batch, delta, ORDER)
        )
        rows.append([size, harness.duration(trial), harness.duration(jet), f"{jet / trial:.1f}"])
    harness.table("One evaluation along a step", ["samples", "loss", "jet", "ratio"], rows)


def print_products(options) -> None:
    """Print the relative error of Hg for the gradient g of a batch, before and after training."""
    cases = PARTS["differences"].cases(options.epochs, options.images)
    columns = {
        f"{dtype}, {when}": (dtype, when) for dtype in DTYPES for when in ("start", "trained")
    }
    rows = []
    for h in (None, *STEPS):
        cells = []
        for dtype, when in columns.values():
            exact = cases[f"{dtype}, exact"]
            points = {
                seed: exact.start(seed) if when == "start" else run(exact, seed).w
                for seed in options.seeds
            }
            case = replace(exact, h=h)
            errors = [product_error(case, w, seed) for seed, w in points.items()]
            cells.append(across(errors, ".1e"))
        rows.append(["exact" if h is None else f"{h:.0e}", *cells])
    title = f"Relative error of Hg, batch of 128, seeds {options.seeds}"
    harness.table(title, ["h", *columns], rows)


def product_error(case: Case, w, seed: int) -> float:
    """Return ‖q - Hg‖/‖Hg‖ for a product q of the case and the exact one in float64."""
    H, reference = (
        Hessian(
            objective := which.objective(),
            w.astype(which.dtype),
            objective.sample(128, np.random.default_rng(seed)),
        )
        for which in (case, replace(case, h=None, dtype="float64"))
    )
    p = H.gradient
    q = reference @ p.astype("float64")
    return float(np.linalg.norm(H @ p - q) / np.linalg.norm(q))


DETAILS = {"search": print_evaluations, "differences": print_products}
"""What is printed after a part."""


def parse(argv: list[str] | None = None):
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=[*PARTS])
    parser.add_argument("--data", choices=["digits", "mnist"], default="digits")
    parser.add_argument("--images", type=int, default=10_000, help="first images of MNIST")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--epochs", type=int, help="of every run; default: see the tables")
    options = parser.parse_args(argv)
    if options.data == "digits":
        options.images = None
    return options


def main() -> None:
    """Run the benchmark."""
    options = parse()
    print(harness.machine())
    for name in options.parts:
        print_part(PARTS[name], options)
        if name in DETAILS:
            DETAILS[name](options)


if __name__ == "__main__":
    main()
