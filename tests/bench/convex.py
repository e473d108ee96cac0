"""The Newton-Krylov trainer on strongly convex problems, to the last digit.

``python -m tests.bench.convex`` prints, for softmax regression and for squared-hinge SVMs on
scikit-learn's digits (λ = 1e-3): the gap to the optimum after every full-batch step; gap, steps,
seconds and gradient-equivalents of runs with batches, over three seeds; how far the Hessian of a
batch is from that of all data, on which the rate depends; and how far the iterates move when the
loss is scaled.

The optimum is scikit-learn's, and the gap is free of cancellation (`ConvexProblem.gap`), so it may
be far below the rounding of the loss. A loss that no longer decreases in floating point ends a
run: further steps are skipped.
"""

from __future__ import annotations

from tests.bench import harness  # isort: skip  (first: it fixes the threads)

import itertools
from dataclasses import dataclass
from statistics import median

import numpy as np
import scipy.linalg

from mcx_optim import Hessian, History, NewtonKrylov, fit
from tests.optim.convex import ConvexProblem, softmax_regression, squared_hinge_svm

SEEDS = (0, 1, 2)
STEPS = 20  # of the full-batch runs that are printed step by step
PROBLEMS = {"softmax": softmax_regression, "SVM": squared_hinge_svm}

FULL = {"max_cg": 200}  # settings of full-batch runs


@dataclass(frozen=True)
class Protocol:
    """Epochs after which the gap shall be at most `bar`; runs go on to see when it is."""

    epochs: int
    longest: int
    bar: float
    settings: dict


PROTOCOLS = {  # by batch size
    None: Protocol(15, 20, 1e-12, FULL),
    512: Protocol(15, 30, 1e-11, {}),
    128: Protocol(5, 25, 1e-8, {}),
}
LITERAL = {"literal": True, "max_cg": 20}
VARIANTS = (
    {},
    {"screening": False},
    {"eta": 0.2},
    {"eta": 0.2, "screening": False},
    {"eta": 0.2, "line_search": "jet"},
    {"rhs": "batch"},
    LITERAL,
)
CHANGES = {  # of the loss; the last changes nothing but rounding
    **{f"by {scale:g}": {"scale": scale} for scale in (1e12, 1e-12)},
    **{f"by 2^{power}": {"scale": 2.0**power} for power in (40, -40)},
    "not, sums in chunks of 64": {"chunk": 64},
}


@dataclass(frozen=True)
class Run:
    """What one call of `fit` did: the iterate and the gap after every step, and the log."""

    iterates: list
    gaps: list[float]
    history: History

    def reached(self, bar: float) -> int | None:
        """Return the number of steps after which the gap stays within the bar, or None."""
        above = [step for step, gap in enumerate(self.gaps, 1) if not gap <= bar]
        first = max(above, default=0) + 1
        return first if first <= len(self.gaps) else None

    def measure(self, protocol: Protocol) -> dict:
        """Return what the table shows of the run, at the end of the protocol's epochs."""
        per_epoch = len(self.gaps) // protocol.longest
        steps = protocol.epochs * per_epoch
        reached = self.reached(protocol.bar)
        row = self.history.epochs[protocol.epochs]
        return {
            "gap": self.gaps[steps - 1],
            "reached": np.inf if reached is None else reached / per_epoch,
            "taken": sum(info.outcome != "skipped" for info in self.history.steps[:steps]),
            "steps": steps,
            "seconds": row["seconds"],
            "gradients": row["gradient_equivalents"],
        }


def run(convex: ConvexProblem, batch_size, epochs: int, options: dict, seed=0, **objective) -> Run:
    """Minimize from w = 0; `objective` is for `ConvexProblem.objective`."""
    iterates = []

    def keep(event):
        if event.info is not None:
            iterates.append(event.w)

    history = fit(
        convex.objective(**objective),
        NewtonKrylov(**options),
        np.zeros(convex.optimum.size, objective.get("dtype", np.float64)),
        epochs,
        batch_size,
        seed,
        callbacks=[keep],
    ).history
    return Run(iterates, [convex.gap(w) for w in iterates], history)


def spread(values, form: str) -> str:
    """Return median and range."""
    low, middle, high = min(values), median(values), max(values)
    return f"{middle:{form}} ({low:{form}} to {high:{form}})"


def describe(options: dict) -> str:
    """Return the settings that are not the default."""
    return ", ".join(f"{name}={value!r}" for name, value in options.items()) or "default"


def print_full_batch() -> None:
    """Print the gap after every full-batch step: every step adds half the digits again."""
    columns, gaps = ["step"], []
    for name, problem in PROBLEMS.items():
        for options in ({}, {"eta": 0.2}, LITERAL):
            columns.append(f"{name}, {describe(options)}")
            gaps.append(run(problem(), None, STEPS, FULL | options).gaps)
    rows = [
        [step, *(f"{gap:.1e}" for gap in row)]
        for step, row in enumerate(zip(*gaps, strict=True), start=1)
    ]
    harness.table(f"Gap per full-batch step ({describe(FULL)})", columns, rows)


def print_runs(name: str) -> None:
    """Print what the runs of one problem reach and cost, over the seeds."""
    rows = []
    for batch_size, protocol in PROTOCOLS.items():
        for options in VARIANTS:
            settings = protocol.settings | options
            runs = [
                run(PROBLEMS[name](), batch_size, protocol.longest, settings, seed).measure(
                    protocol
                )
                for seed in SEEDS
            ]
            values = {key: [measured[key] for measured in runs] for key in runs[0]}
            met = all(gap <= protocol.bar for gap in values["gap"])
            rows.append(
                [
                    batch_size or "all",
                    describe(options),
                    protocol.epochs,
                    spread(values["gap"], ".1e"),
                    f"{protocol.bar:g}: " + ("met" if met else "missed"),
                    spread(values["reached"], ".1f").replace("inf", "never"),
                    f"{spread(values['taken'], 'd')} of {values['steps'][0]}",
                    spread(values["seconds"], ".2f"),
                    spread(values["gradients"], ".0f"),
                ]
            )
    title = f"{name}: median and range over seeds {SEEDS}"
    columns = ["batch", "settings", "epochs", "gap", "bar", "epochs to the bar", "steps taken"]
    harness.table(title, [*columns, "seconds", "gradients"], rows)


def print_sampling() -> None:
    """Print the extreme eigenvalues of H_B⁻¹H at the optimum.

    A Newton step with the Hessian H_B of a batch multiplies the error by I - H_B⁻¹H: it contracts
    where all eigenvalues are in (0, 2), the faster the nearer they are to 1.
    """
    rows = []
    for name, problem in PROBLEMS.items():
        convex = problem()
        objective, identity = convex.objective(), np.eye(convex.optimum.size)
        H = Hessian(objective, convex.optimum, objective.rows(slice(None))).block(identity)
        for batch_size in (512, 128):
            extremes = []
            for seed in SEEDS:
                batch = objective.sample(batch_size, np.random.default_rng(seed))
                sampled = Hessian(objective, convex.optimum, batch).block(identity)
                eigenvalues = scipy.linalg.eigh(H, sampled, eigvals_only=True)
                extremes.append((eigenvalues[0], eigenvalues[-1]))
            low, high = zip(*extremes, strict=True)
            rows.append([name, batch_size, spread(low, ".2f"), spread(high, ".2f")])
    columns = ["problem", "batch", "least eigenvalue", "largest eigenvalue"]
    harness.table("Eigenvalues of H_B⁻¹H at the optimum", columns, rows)


def print_scaling() -> None:
    """Print how far scaling the loss moves the iterates, beside another order of summation."""
    rows = []
    for name, dtype in itertools.product(PROBLEMS, (np.float64, np.float32)):
        for batch_size, protocol in PROTOCOLS.items():
            setting = PROBLEMS[name](), batch_size, protocol.epochs, protocol.settings
            plain = run(*setting, dtype=dtype).iterates
            moved = [
                difference(run(*setting, dtype=dtype, **how).iterates, plain)
                for how in CHANGES.values()
            ]
            values = (f"{value:.1e}" for value in moved)
            rows.append([name, dtype.__name__, batch_size or "all", *values])
    title = "Largest relative difference of an iterate where the loss is scaled"
    harness.table(title, ["problem", "precision", "batch", *CHANGES], rows)


def difference(ours, theirs) -> float:
    """Return the largest ‖w - v‖/‖v‖ of the iterates w, v of two runs."""
    return max(
        float(np.linalg.norm(w - v) / np.linalg.norm(v)) for w, v in zip(ours, theirs, strict=True)
    )


def main() -> None:
    """Run the benchmark."""
    print(harness.machine())
    print_full_batch()
    for name in PROBLEMS:
        print_runs(name)
    print_sampling()
    print_scaling()


if __name__ == "__main__":
    main()
