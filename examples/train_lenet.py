"""Train LeNet-5 on real handwritten digits with Newton-Krylov and with Adam.

The 1797 digits of scikit-learn, upsampled to 28×28, in a fixed split. Both optimizers start from
the same parameters. Newton-Krylov takes few, expensive steps and Adam many cheap ones, so each has
its own number of epochs unless --epochs is given; seconds and gradient-equivalents (1 = one
gradient over the training set) make them comparable.

Prints one table, and writes loss.png and history.json.

Usage: python examples/train_lenet.py [--optimizer both] [--out out/train_lenet]
"""

import argparse
import os
from functools import partial
from pathlib import Path

# Batches are evaluated in parts, one on every thread of mcx: BLAS needs none of its own.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from report import accuracy, draw_losses, format_table, progress, write_files

from mcx_nn import ACTIVATIONS, Supervised, lenet5, load_digits, softmax_cross_entropy
from mcx_optim import Adam, History, NewtonKrylov, Objective, fit

NAMES = {"newton-krylov": "Newton-Krylov", "adam": "Adam"}
EPOCHS = {"newton-krylov": 6, "adam": 20}
OPTIMIZERS = {
    "newton-krylov": partial(NewtonKrylov.stochastic, rhs="batch"),  # the digits are few: no sample
    "adam": partial(Adam, lr=0.01),
}
CHUNK = 128  # images at a time: a few megabytes stay in the cache


def train(optimizer: str, options: argparse.Namespace) -> History:
    """Train with one optimizer and return the log."""
    x_train, y_train, x_test, y_test = load_digits(options.dtype)
    problem = Supervised(lenet5(options.activation), softmax_cross_entropy)
    objective = Objective.of(problem, data=(x_train, y_train), chunk=CHUNK, separable=True)

    return fit(
        objective,
        OPTIMIZERS[optimizer](),
        problem.init(np.random.default_rng(options.seed), options.dtype),
        epochs=EPOCHS[optimizer] if options.epochs is None else options.epochs,
        batch_size=options.batch_size,
        seed=options.seed,
        callbacks=[progress(NAMES[optimizer])],
        evaluate=accuracy(problem, x_test, y_test),
    ).history


def draw(figure, histories: dict[str, History]) -> None:
    """Draw the training loss against epochs and against seconds."""
    figure.set_size_inches(10, 4.2)
    draw_losses(figure.subplots(1, 2, sharey=True), histories)
    figure.suptitle("LeNet-5 on scikit-learn's digits")


def parse(argv: list[str] | None) -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--optimizer", choices=["both", *NAMES], default="both")
    parser.add_argument("--epochs", type=int, help=f"passes over the digits; default {EPOCHS}")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--activation", choices=sorted(ACTIVATIONS), default="sigmoid")
    parser.add_argument("--seed", type=int, default=0, help="of the start and of the shuffling")
    parser.add_argument("--dtype", choices=["float32", "float64"], default="float32")
    parser.add_argument("--out", type=Path, default=Path("out/train_lenet"), help="output folder")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> dict[str, History]:
    """Train, print the table, write the files, return the logs."""
    options = parse(argv)
    names = NAMES if options.optimizer == "both" else [options.optimizer]
    histories = {name: train(name, options) for name in names}
    shown = {NAMES[name]: history for name, history in histories.items()}
    print(format_table(shown))
    write_files(options.out, "loss.png", partial(draw, histories=shown), vars(options), histories)
    return histories


if __name__ == "__main__":
    main()
