"""Train a ReLU network by Newton steps in closed form, and look at its exact spectrum.

Between its kinks the network is a chain of affine layers, and the Hessian of the loss of every
sample is known by its low rank: all its eigenvalues are exact, and so are Newton's directions. A
reconstruction from the abstract of Mehouachi and Kasmi (2021); see `mcx_optim.sample_hessian`.

--problem digits   MLP 784-32-10 on the 1797 digits of scikit-learn (needs no file)
--problem mnist    MLP 784-32-10 on MNIST; MCX_DATA names the folder of the data

Prints the training of the three modes of `ExactStochasticNewton` and of Adam, the extreme
eigenvalues before and after it, and how flat the loss is with several dampings λ; writes
exact_second_order.png and history.json.

Usage: python examples/exact_second_order.py [--problem digits] [--out out/exact_second_order]
"""

import argparse
import os
from functools import partial
from pathlib import Path

# One thread of BLAS: the matrices are small.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from report import accuracy, draw_losses, format_table, positive, progress, write_files

from mcx_nn import Supervised, he_normal, load_digits, load_mnist, mlp, softmax_cross_entropy
from mcx_optim import Adam, ExactStochasticNewton, Objective, fit, spectrum, trace

LOADERS = {"digits": load_digits, "mnist": load_mnist}
EPOCHS = {"digits": 20, "mnist": 2}
BATCH = 32
# λ is in the unit of the eigenvalues: multiples of the mean largest one of a sample at the start.
NEWTON = {
    "by layers": {"mode": "layer", "lr": 3.0, "damping": 0.4},
    "jointly": {"mode": "joint", "lr": 10.0, "damping": 4.0},
    "Gauss-Newton": {"mode": "gauss_newton", "lr": 0.3, "damping": 0.04},
}
DAMPINGS = (0.2, 0.4, 1.0, 4.0)  # with lr in proportion: the same steps where the loss is flat
SAMPLES = 300  # of which the spectrum is shown


class Problem:
    """A network, its data, and a start."""

    def __init__(self, options):
        x_train, y_train, x_test, y_test = LOADERS[options.problem](dtype=np.float32)
        x_train, x_test = (x.reshape(len(x), -1) for x in (x_train, x_test))
        self.supervised = Supervised(mlp((784, 32, 10), "relu", he_normal), softmax_cross_entropy)
        self.data = x_train, y_train
        self.accuracy = accuracy(self.supervised, x_test, y_test)
        self.epochs = EPOCHS[options.problem] if options.epochs is None else options.epochs
        self.seed = options.seed
        self.scale = float(self.look(spectrum, self.start()).max(axis=1).mean())

    def start(self):
        """Return the w that all optimizers start from."""
        return self.supervised.init(np.random.default_rng(self.seed), np.float32)

    def newton(self, mode, lr, damping):
        """Return an optimizer with λ = `damping` times the scale of the eigenvalues."""
        return ExactStochasticNewton(mode, lr, damping * self.scale, momentum=0.9)

    def train(self, name, optimizer):
        """Return the final w and the log, with the mean trace of the Hessians of the samples."""

        def evaluate(w):
            return self.accuracy(w) | {"trace": float(self.look(trace, w).mean())}

        result = fit(
            Objective.of(self.supervised, data=self.data),
            optimizer,
            self.start(),
            epochs=self.epochs,
            batch_size=BATCH,
            seed=self.seed,
            callbacks=[progress(name)],
            evaluate=evaluate,
        )
        return result.w, result.history

    def look(self, function, w):
        """Return the spectrum or the trace of some samples."""
        batch = tuple(array[:SAMPLES] for array in self.data)
        return function(Objective.of(self.supervised), w, batch)


def flatness(problem):
    """Return the logs of training by layers with several λ, by name."""
    logs = {}
    for damping in DAMPINGS:
        name = f"λ = {damping:g}"
        optimizer = problem.newton("layer", 7.5 * damping, damping)
        logs[name] = problem.train(name, optimizer)[1]
    return logs


def format_flatness(logs):
    """Return a table: the mean trace where the training loss first fell below each mark."""
    marks = (0.3, 0.1, 0.03)
    lines = ["mean trace of a sample's Hessian, by layers, at the first epoch with training loss"]
    lines.append("  λ/largest" + "".join(f"{f'<= {mark:g}':>10}" for mark in marks))
    for name, log in logs.items():
        cells = []
        for mark in marks:
            found = [row["trace"] for row in log.epochs if row["train_loss"] <= mark]
            cells.append(f"{found[0]:10.4g}" if found else f"{'never':>10}")
        lines.append(f"{name.removeprefix('λ = '):>11}" + "".join(cells))
    return "\n".join(lines)


def draw(figure, histories, spectra, logs) -> None:
    """Draw losses, the spectrum before and after the training, and flatness against the loss."""
    figure.set_size_inches(11, 8)
    losses, (spectral, flat) = figure.subplots(2, 2)
    draw_losses(losses, histories)
    for when, values in spectra.items():
        low, middle, high = np.quantile(values[:, ::-1], (0.1, 0.5, 0.9), axis=0)
        spectral.plot(middle, label=f"{when} the training: median of {len(values)} samples")
        spectral.fill_between(range(len(middle)), low, high, alpha=0.3)
    spectral.set_yscale("symlog", linthresh=1e-3)
    spectral.set_xlabel("eigenvalues of the Hessian of one sample, all layers, in order")
    for name, log in logs.items():
        flat.loglog(log.column("train_loss"), log.column("trace"), "o-", markersize=3, label=name)
    flat.invert_xaxis()
    flat.set_xlabel("training loss, epoch after epoch")
    flat.set_ylabel("mean trace of the Hessians")
    for axes in (spectral, flat):
        axes.legend()
        axes.grid(alpha=0.3)


def parse(argv: list[str] | None) -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--problem", choices=[*LOADERS], default="digits")
    parser.add_argument("--epochs", type=positive, help="passes over the data; default: 20 or 2")
    parser.add_argument("--seed", type=int, default=0, help="of the start and of the shuffling")
    parser.add_argument("--out", type=Path, default=Path("out/exact_second_order"))
    return parser.parse_args(argv)


def main(argv: list[str] | None = None):
    """Train, print the tables, write the files, return the logs."""
    options = parse(argv)
    problem = Problem(options)
    results = {
        name: problem.train(name, problem.newton(**settings)) for name, settings in NEWTON.items()
    }
    results["Adam"] = problem.train("Adam", Adam(3e-3))
    histories = {name: history for name, (_, history) in results.items()}
    print(format_table(histories))
    spectra = {
        "before": problem.look(spectrum, problem.start()),
        "after": problem.look(spectrum, results["by layers"][0]),
    }
    for when, values in spectra.items():
        print(
            f"{when} the training (by layers): least and largest eigenvalue, mean over the "
            f"samples: {values.min(axis=1).mean():.4g}, {values.max(axis=1).mean():.4g}"
        )
    logs = flatness(problem)
    print(format_flatness(logs))
    picture = partial(draw, histories=histories, spectra=spectra, logs=logs)
    write_files(options.out, "exact_second_order.png", picture, vars(options), histories)
    return histories


if __name__ == "__main__":
    main()
