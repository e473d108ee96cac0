"""Train with one learning rate per tensor, found by Newton's method, and with Adam.

`PartitionNewton` sees the loss as a function of the learning rates of the groups of parameters, and
so knows how much each pair of layers interacts: the matrix H̄ of the summary, which the heat maps
show at the start and at the end of the training.

--problem digits   MLP 784-100-50-10, tanh, the 1797 digits of scikit-learn (needs no file)
--problem mnist    MLP 784-1024-200-100-10, tanh, the author's, on MNIST
--problem cifar10  LeNet with max pooling, tanh, the author's, on the part of CIFAR-10 that is there

The settings of the last two are the author's (Wolinski 2023, scripts of the public code), but for
the number of epochs: 200 there, sized for two cores here; --epochs 200 is his. MCX_DATA names the
folder of the data.

Prints one table, and writes partition_newton.png and history.json.

Usage: python examples/partition_newton.py [--problem digits] [--out out/partition_newton]
"""

import argparse
import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path

# Batches are evaluated in parts, one on every thread of mcx: BLAS needs none of its own.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from report import accuracy, draw_losses, format_table, positive, progress, write_files

from mcx_nn import (
    Supervised,
    lecun_normal,
    lenet5,
    load_cifar10,
    load_digits,
    load_mnist,
    mlp,
    softmax_cross_entropy,
)
from mcx_optim import Adam, Objective, PartitionNewton, fit

BATCH = 100
TANH = {"activation": "tanh", "initializer": lecun_normal}


@dataclass(frozen=True)
class Problem:
    """A network, its data, and the settings of both optimizers."""

    model: object
    load: object
    damping: float
    adam: float
    epochs: int


PROBLEMS = {
    "digits": Problem(partial(mlp, (784, 100, 50, 10), **TANH), load_digits, 0.3, 3e-3, 20),
    "mnist": Problem(partial(mlp, (784, 1024, 200, 100, 10), **TANH), load_mnist, 0.03, 3e-4, 3),
    "cifar10": Problem(
        partial(lenet5, pooling="max", image=(32, 32, 3), **TANH), load_cifar10, 0.3, 3e-4, 10
    ),
}


class Watch:
    """A callback that keeps the rates of all steps, and the curvature after the epochs."""

    def __init__(self, optimizer):
        self.optimizer = optimizer
        self.rates, self.curvatures = [], []

    def __call__(self, event):
        """Look at the optimizer after a step, and after an epoch."""
        if event.info is not None and self.optimizer.rates is not None:
            if not self.rates:
                self.curvatures.append(self.optimizer.average.curvature)
            self.rates.append(self.optimizer.damping.value * np.maximum(self.optimizer.rates, 0))
        if event.metrics is not None and self.rates:
            self.curvatures.append(self.optimizer.average.curvature)


def train(options: argparse.Namespace):
    """Train with both optimizers; return their logs and what was seen of the first."""
    problem = PROBLEMS[options.problem]
    x_train, y_train, x_test, y_test = problem.load(dtype=np.float32)
    model = problem.model()
    if len(model.input_shape) == 1:
        x_train, x_test = (x.reshape(len(x), -1) for x in (x_train, x_test))
    supervised = Supervised(model, softmax_cross_entropy)
    newton = PartitionNewton(options.partition, damping=problem.damping, seed=options.seed)
    watch, histories = Watch(newton), {}
    for name, optimizer in {"PartitionNewton": newton, "Adam": Adam(problem.adam)}.items():
        objective = Objective.of(supervised, data=(x_train, y_train), separable=True)
        histories[name] = fit(
            objective,
            optimizer,
            supervised.init(np.random.default_rng(options.seed), np.float32),
            epochs=problem.epochs if options.epochs is None else options.epochs,
            batch_size=BATCH,
            seed=options.seed,
            callbacks=[progress(name), *([watch] if optimizer is newton else [])],
            evaluate=accuracy(supervised, x_test, y_test),
        ).history
    return histories, watch


def draw(figure, histories, watch, title) -> None:
    """Draw losses and learning rates above, the interaction of the groups below."""
    figure.set_size_inches(13, 8.5)
    figure.suptitle(title)
    above, below = figure.subfigures(2, 1, height_ratios=(1, 1.25))
    *panels, rates = above.subplots(1, 3)
    draw_losses(panels, histories)
    names = watch.optimizer.partition.names
    for name, column in zip(names, np.array(watch.rates).T, strict=True):
        rates.semilogy(np.where(column > 0, column, np.nan), linewidth=1, label=name)
    rates.set_xlabel("steps")
    rates.set_ylabel("learning rate of the group")
    rates.grid(alpha=0.3)
    if len(names) <= 12:
        rates.legend(fontsize=6, ncols=2)
    maps = below.subplots(1, 2)
    for axes, when, index in zip(maps, ("start", "end"), (0, -1), strict=True):
        picture = draw_curvature(axes, watch.curvatures[index], names)
        scaled = r"$\bar H_{st} / \sqrt{|\bar H_{ss} \bar H_{tt}|}$"
        axes.set_title(f"interaction of the groups at the {when}: {scaled}")
    below.colorbar(picture, ax=maps, shrink=0.8)


def draw_curvature(axes, curvature, names):
    """Draw H̄ scaled to a diagonal of ±1, which does not depend on the scales of the groups."""
    scale = np.sqrt(np.abs(np.diagonal(curvature)))
    scale[scale == 0] = 1
    picture = axes.imshow(curvature / np.outer(scale, scale), cmap="RdBu_r", vmin=-1, vmax=1)
    if len(names) <= 32:
        axes.set_xticks(range(len(names)), names, rotation=90, fontsize=7)
        axes.set_yticks(range(len(names)), names, fontsize=7)
    return picture


def parse(argv: list[str] | None) -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words = ["single", "tensor", "layer", "output"]
    parser.add_argument("--problem", choices=[*PROBLEMS], default="digits")
    parser.add_argument("--partition", choices=words, default="tensor")
    parser.add_argument(
        "--epochs", type=positive, help="passes over the data; default: see the source"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the start and of the batches")
    parser.add_argument("--out", type=Path, default=Path("out/partition_newton"))
    return parser.parse_args(argv)


def main(argv: list[str] | None = None):
    """Train, print the table, write the files, return the logs."""
    options = parse(argv)
    histories, watch = train(options)
    print(format_table(histories))
    title = f"{options.problem}: one learning rate per {options.partition}"
    picture = partial(draw, histories=histories, watch=watch, title=title)
    write_files(options.out, "partition_newton.png", picture, vars(options), histories)
    return histories


if __name__ == "__main__":
    main()
