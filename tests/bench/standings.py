"""Standings of a race: tables of its learning curves, without training or measuring anything."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from functools import partial

from mcx_optim.counts import WEIGHTS
from tests.bench.curves import KINDS, Budget, Curve

UNITS = {
    "seconds": "seconds",
    "gradient_equivalents": "gradient-equivalents",
    "epochs": "epochs",
}  # columns of a curve: their titles
WHO = ["", "rate", "seeds"]
COST = [
    *("", "steps", "Krylov iterations per step", "gradient samples per step"),
    *("Hessian samples per step", "seconds per epoch"),
    *(f"{kind}: seconds/work" for kind in KINDS),
    "other: seconds",
]


def tables(
    contestants: dict[str, list[Curve]], budget: Budget, targets: tuple[float, ...]
) -> list[tuple[str, list[str], list[list[str]]]]:
    """Return title, columns and rows of every table of a race.

    Parameters
    ----------
    contestants : dict
        Curves of the seeds by name, as `curves.grouped` returns them.
    budget : Budget
    targets : tuple of float
        Losses to be reached; without any, losses are compared at the milestones of the budget.
    """
    if targets:
        made = [reaching(contestants, target) for target in targets]
        columns = [f"to {target:g}" for target in targets]
        measures = [partial(Curve.crossing, target=target, unit="seconds") for target in targets]
        what = "seconds over those of the baseline"
    else:
        marks = budget.milestones()
        columns = [f"{mark:g} {budget.unit}" for mark in marks]
        measures = [partial(Curve.loss_at, amount=mark, unit=budget.unit) for mark in marks]
        what = "training loss over that of the baseline"
        ends = [lambda curve, unit=unit: curve.rows[-1][unit] for unit in UNITS]
        rows = measured(contestants, [*measures, *ends])
        titles = [*WHO, *columns, *(f"{title} in all" for title in UNITS.values())]
        made = [("training loss", titles, rows)]
    compared = ratios(contestants, measures)
    return [*made, (what, ["", "baseline", *columns], compared), ("cost", COST, costs(contestants))]


def reaching(contestants: dict[str, list[Curve]], target: float):
    """Return the table of what it takes to reach a loss."""
    measures = [partial(Curve.crossing, target=target, unit=unit) for unit in UNITS]
    rows = measured(contestants, [*measures, lambda curve: min(curve.column("loss"))])
    return f"to training loss {target:g}", [*WHO, *UNITS.values(), "least loss"], rows


def number(value: float) -> str:
    """Return three digits of a number; "never" where it is infinite, "-" where it is none."""
    if math.isnan(value):
        return "-"
    return "never" if math.isinf(value) else f"{value:.3g}"


def spread(values: list[float]) -> str:
    """Return median and range, "-" where a value is none."""
    if not values or any(map(math.isnan, values)):
        return "-"
    middle, least, greatest = map(number, (statistics.median(values), min(values), max(values)))
    return middle if least == greatest else f"{middle} ({least} to {greatest})"


def measured(contestants: dict[str, list[Curve]], measures: list[Callable]) -> list[list[str]]:
    """Return a row per contestant: name, rate, seeds, and the spread of each measure."""
    return [
        [
            name,
            "-" if curves[0].rate is None else f"{curves[0].rate:g}",
            str(len(curves)),
            *(spread([measure(curve) for curve in curves]) for measure in measures),
        ]
        for name, curves in contestants.items()
    ]


def ratios(contestants: dict[str, list[Curve]], measures: list[Callable]) -> list[list[str]]:
    """Return a row per method without a rate and baseline with one: ratios seed by seed."""
    rows = []
    for name, ours in contestants.items():
        for other, theirs in contestants.items():
            if ours[0].rate is not None or theirs[0].rate is None:
                continue
            baseline = {curve.seed: curve for curve in theirs}
            pairs = [(curve, baseline[curve.seed]) for curve in ours if curve.seed in baseline]
            cells = (spread([quotient(m(a), m(b)) for a, b in pairs]) for m in measures)
            rows.append([name, other, *cells])
    return rows


def quotient(a: float, b: float) -> float:
    """Return a/b; NaN where both are infinite."""
    return math.nan if math.isinf(a) and math.isinf(b) else a / b


def costs(contestants: dict[str, list[Curve]]) -> list[list[str]]:
    """Return a row per contestant: steps, what a step takes, and the shares of the evaluations.

    Pooled over the seeds. Samples per step are the mean, and those of the last stretch between two
    evaluations. Shares are those of seconds, then of gradient-equivalents.
    """
    rows = []
    for name, curves in contestants.items():
        ends = [curve.rows[-1] for curve in curves]
        steps, seconds = total(ends, "steps"), total(ends, "seconds")
        if not steps:
            continue
        cells = [
            number(steps / len(curves)),
            number(total(ends, "krylov") / steps),
            *(per_step(curves, kind) for kind in ("gradient", "linearize")),
            number(seconds / total(ends, "epochs")),
        ]
        work = {kind: work_of(ends, kind) for kind in KINDS}
        spent = {kind: sum(end["spent"].get(kind, 0.0) for end in ends) for kind in KINDS}
        clock = seconds if any(spent.values()) else 0.0  # PyTorch's side is not taken apart
        whole = sum(work.values())
        cells += [f"{percent(spent[k], clock)} / {percent(work[k], whole)}" for k in KINDS]
        rows.append([name, *cells, percent(seconds - sum(spent.values()), clock)])
    return rows


def total(ends, column):
    """Return the sum of a column over the last rows of several curves."""
    return sum(end[column] for end in ends)


def work_of(ends, kind):
    """Return the cost in gradients of one kind of evaluation."""
    return sum(WEIGHTS[key] * end["samples"].get(key, 0) for end in ends for key in KINDS[kind])


def per_step(curves, kind):
    """Return the mean number of samples per step of a kind, over all and over the last stretch."""

    def samples(row):
        return sum(row["samples"].get(name, 0) for name in KINDS[kind])

    means = []
    for start in (0, -2):
        stretches = [(curve.rows[start], curve.rows[-1]) for curve in curves]
        steps = sum(end["steps"] - begin["steps"] for begin, end in stretches)
        means.append(sum(samples(end) - samples(begin) for begin, end in stretches) / steps)
    return f"{means[0]:.0f}, last {means[1]:.0f}"


def percent(part, whole):
    """Return a share in percent."""
    return f"{100 * part / whole:.0f} %" if whole else "-"
