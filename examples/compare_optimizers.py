"""Train one model with every optimizer of the library, for the same seconds from the same start.

--problem logistic     multinomial logistic regression, 7×7 pixels, L2 term
--problem svm          linear support vector machines, one against the rest, 7×7 pixels, L2 term
--problem mlp          MLP 49-16-10, ReLU, 7×7 pixels, L2 term
--problem lenet5       LeNet-5, tanh, 28×28 pixels
--problem autoencoder  784-64-16-64-784, sigmoid, 28×28 pixels

All on the 1797 digits of scikit-learn, 7×7 pixels being means of 28×28: the first three are so
small that no method is left out for its size, and their L2 term gives them a minimum.

Every optimizer is run at all settings of its grid in `optimizers.py`, and shown at the one with the
least training loss at the end. The clock runs during steps only: a step that ends after the seconds
does not count, and one before the run, for compilers and caches, is free. A run ends early where it
diverges, or where the loss has stayed the same for 20 epochs. All runs of the default take about
four minutes.

Prints one table, sorted by the training loss, with the reasons of those that cannot run; writes
compare_optimizers.png and history.json. Gradients are gradient-equivalents: 1 is one gradient over
the training set.

Usage: python examples/compare_optimizers.py [--problem mlp] [--seconds 3] [--optimizers Adam …]
"""

import argparse
import math
import os
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

# Batches are evaluated in parts, one on every thread of mcx: BLAS needs none of its own.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from optimizers import METHODS
from problems import PROBLEMS, Task
from report import write_files

from mcx_optim import History, NonFiniteError, Objective, fit

FOREVER = 10**9  # epochs; the clock ends the run
STALLED = 20  # epochs


class Finished(Exception):
    """The run is over."""


@dataclass
class Clock:
    """Callback for `fit` that keeps the log, and ends the run when its seconds are spent."""

    task: Task
    objective: Objective
    seconds: float
    rows: list = field(default_factory=list)
    spent: float = 0.0
    last: tuple | None = None  # step since the last row, and the gradient-equivalents there

    def __call__(self, event):
        """See a `FitEvent`."""
        if event.metrics is not None:
            self.rows.append(event.metrics)
            self.spent, self.last = event.metrics["seconds"], None
            losses = [row["train_loss"] for row in self.rows[-STALLED - 1 :]]
            if len(losses) > STALLED and min(losses) == max(losses):
                raise Finished
            return
        if self.spent + event.info.seconds > self.seconds:
            if self.last is not None:
                self.rows.append(self.row(*self.last))
            raise Finished
        self.spent += event.info.seconds
        self.last = event, self.objective.gradient_equivalents()

    def row(self, event, gradient_equivalents):
        """Return a row like those of `fit` for the middle of an epoch."""
        with self.objective.uncounted():
            loss = self.objective.full_loss(event.w)
        return {
            "epoch": event.epoch - 1 + event.step / event.steps,
            "seconds": self.spent,
            "gradient_equivalents": gradient_equivalents,
            "train_loss": loss,
        } | self.task.evaluate(event.w)


@dataclass(frozen=True)
class Run:
    """An optimizer at one setting, and its log."""

    name: str
    setting: dict
    rows: list
    diverged: bool = False

    @property
    def last(self):
        """The row at the end."""
        return self.rows[-1]

    @property
    def loss(self):
        """Training loss at the end; infinite if the run diverged."""
        loss = math.inf if self.diverged else self.last["train_loss"]
        return loss if math.isfinite(loss) else math.inf

    @property
    def label(self):
        """The setting in words."""
        words = [f"batch {self.setting['batch'] or 'all'}"]
        words += [f"{key} {value}" for key, value in self.setting.items() if key != "batch"]
        return ", ".join(words)


def train(task: Task, name: str, make, setting: dict, seconds: float) -> Run:
    """Run an optimizer at one setting."""
    arguments = dict(setting)
    batch_size = arguments.pop("batch")
    objective = task.objective()
    clock = Clock(task, objective, seconds)
    diverged = False
    try:
        with np.errstate(all="ignore"):  # a run may diverge
            fit(
                objective,
                make(**arguments),
                task.start,
                epochs=FOREVER,
                batch_size=batch_size,
                seed=task.seed,
                callbacks=[clock],
                evaluate=task.evaluate,
            )
    except Finished:
        pass
    except NonFiniteError:
        diverged = True
    return Run(name, setting, clock.rows, diverged)


def obstacle(task: Task, method) -> str | None:
    """Take one step, which compiles what there is to compile; return why it is impossible."""
    setting = dict(method.grid[0])
    objective = task.objective()
    batch = objective.rows(slice(setting.pop("batch")))
    optimizer = method.make(**setting)
    try:
        optimizer.step(objective, task.start, batch)
    except (ValueError, ImportError) as error:
        return str(error)
    return None


def compare(task: Task, methods: dict, seconds: float):
    """Return all runs, and by name why an optimizer has none."""
    runs, reasons = [], {}
    for name, method in methods.items():
        reason = obstacle(task, method)
        if reason is not None:
            reasons[name] = reason
            continue
        for setting in method.grid:
            run = train(task, name, method.make, setting, seconds)
            runs.append(run)
            end = "diverged" if run.loss == math.inf else f"training loss {run.loss:.4g}"
            print(f"{name}, {run.label}: {end} after {run.last['seconds']:.2f} s", flush=True)
    return runs, reasons


def best(runs: list[Run]) -> list[Run]:
    """Return the best run of every optimizer, the one with the least training loss first."""
    found = {}
    for run in runs:
        if run.name not in found or run.loss < found[run.name].loss:
            found[run.name] = run
    return sorted(found.values(), key=lambda run: run.loss)


def format_table(runs: list[Run], reasons: dict[str, str], score: str) -> str:
    """Return a line for every run, and for every optimizer without one."""
    names, labels = [run.name for run in runs], [run.label for run in runs]
    first = max(map(len, ["optimizer", *names])) + 2
    second = max(map(len, ["best setting", *labels]))
    header = f"{'optimizer':<{first}}{'best setting':<{second}}"
    title = score.replace("_", " ")
    lines = [f"{header}{'seconds':>9}{'gradients':>11}{'training loss':>15}{title:>15}"]
    for run in runs:
        start, row = f"{run.name:<{first}}{run.label:<{second}}", run.last
        spent = f"{row['seconds']:9.2f}{row['gradient_equivalents']:11.1f}"
        value = "diverged" if run.loss == math.inf else f"{run.loss:.7g}"
        lines.append(f"{start}{spent}{value:>15}{row[score]:15.4f}")
    lines += [f"{name}: cannot run. {reason}" for name, reason in reasons.items()]
    return "\n".join(lines)


def spaced(x: list[float]) -> list[int]:
    """Return where x is positive and 10 % above the place before, and the last place."""
    places = []
    for k, value in enumerate(x):
        last = k == len(x) - 1
        if value > 0 and (last or not places or value >= 1.1 * x[places[-1]]):
            places.append(k)
    return places


def draw(figure, runs: list[Run], title: str, convex: bool) -> None:
    """Draw the training loss against seconds and against gradient-equivalents.

    Of a convex problem it is what the loss is above the least one of all runs. A curve has about 24
    points in a decade.
    """
    figure.set_size_inches(13, 6)
    figure.suptitle(title)
    panels = figure.subplots(1, 2, sharey=True)
    least = min(row["train_loss"] for run in runs for row in run.rows) if convex else 0.0
    quantities = {"seconds": "seconds of training", "gradient_equivalents": "gradient-equivalents"}
    for axes, (quantity, label) in zip(panels, quantities.items(), strict=True):
        for k, run in enumerate(runs):
            rows = [run.rows[place] for place in spaced([row[quantity] for row in run.rows])]
            x = [row[quantity] for row in rows]
            y = np.array([row["train_loss"] for row in rows]) - least
            style = {"color": f"C{k % 10}", "linestyle": ("-", "--", ":")[k // 10 % 3]}
            axes.loglog(x, np.where(y > 0, y, np.nan), label=run.name, **style)
        axes.set_xlabel(label)
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("training loss above the least one" if convex else "training loss")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right upper", fontsize=8)


def parse(argv: list[str] | None) -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--problem", choices=[*PROBLEMS], default="mlp")
    parser.add_argument("--seconds", type=float, default=3.0, help="of training, for every run")
    parser.add_argument("--optimizers", nargs="+", choices=[*METHODS], default=[*METHODS])
    parser.add_argument("--seed", type=int, default=0, help="of the start and of the shuffling")
    parser.add_argument("--out", type=Path, default=Path("out/compare_optimizers"))
    options = parser.parse_args(argv)
    if not 0 < options.seconds < math.inf:
        parser.error(f"--seconds: expected a positive number, got {options.seconds}")
    return options


def main(argv: list[str] | None = None) -> list[Run]:
    """Train, print the table, write the files, return the best run of every optimizer."""
    options = parse(argv)
    problem = PROBLEMS[options.problem]
    task = Task(problem, options.seed)
    methods = {name: METHODS[name] for name in options.optimizers}
    runs, reasons = compare(task, methods, options.seconds)
    shown = best(runs)
    title = f"{options.problem}, {task.start.size} parameters, {options.seconds:g} s of training"
    print(f"\n{title}\n{format_table(shown, reasons, task.score)}")
    picture = partial(draw, runs=shown, title=title, convex=problem.convex)
    settings = vars(options) | {
        "runs": {f"{run.name}, {run.label}": run.loss for run in runs},
        "cannot run": reasons,
    }
    histories = {f"{run.name}, {run.label}": History(run.rows) for run in shown}
    write_files(options.out, "compare_optimizers.png", picture, settings, histories)
    return shown


if __name__ == "__main__":
    main()
