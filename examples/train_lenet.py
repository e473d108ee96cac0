"""Train LeNet-5 on real handwritten digits with Newton-Krylov and with Adam.

The 1797 digits of scikit-learn, upsampled to 28×28, in a fixed split. Both optimizers start from
the same parameters. Newton-Krylov takes few, expensive steps and Adam many cheap ones, so each has
its own number of epochs unless --epochs is given; seconds and gradient-equivalents (1 = one
gradient over the training set) make them comparable.

Prints one table, and writes loss.png and history.json.

Usage: python examples/train_lenet.py [--optimizer both] [--out out/train_lenet]
"""

import argparse
import json
import os
from functools import partial
from pathlib import Path

# Batches are evaluated in parts, one on every thread of mcx: BLAS needs none of its own.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

from mcx_nn import ACTIVATIONS, Supervised, lenet5, load_digits, softmax_cross_entropy
from mcx_optim import Adam, History, NewtonKrylov, Objective, ProgressBar, fit

NAMES = {"newton-krylov": "Newton-Krylov", "adam": "Adam"}
EPOCHS = {"newton-krylov": 6, "adam": 20}
HEADER = f"{'seconds':>9}{'gradients':>11}{'train loss':>12}{'test acc.':>11}"
ROW = "{seconds:9.1f}{gradient_equivalents:11.1f}{train_loss:12.5f}{test_accuracy:11.4f}"
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

    def evaluate(w):
        correct = problem.predict(w, x_test).argmax(axis=1) == y_test
        return {"test_accuracy": float(correct.mean())}

    return fit(
        objective,
        OPTIMIZERS[optimizer](),
        problem.init(np.random.default_rng(options.seed), options.dtype),
        epochs=EPOCHS[optimizer] if options.epochs is None else options.epochs,
        batch_size=options.batch_size,
        seed=options.seed,
        callbacks=[progress(NAMES[optimizer])],
        evaluate=evaluate,
    ).history


def progress(name: str):
    """Return a callback that shows a bar, or without tqdm a line per epoch."""
    try:
        return ProgressBar(name)
    except ImportError:

        def show(event):
            if event.metrics is not None:
                epoch = f"{name} epoch {event.epoch}/{event.epochs}"
                print(f"{epoch} train loss {event.metrics['train_loss']:.4g}", flush=True)

        return show


def format_table(histories: dict[str, History]) -> str:
    """Return one line per epoch, with a group of columns per optimizer."""
    names = "".join(f"{NAMES[name]:^{len(HEADER)}}" for name in histories)
    lines = ["     " + names, "epoch" + HEADER * len(histories)]
    for epoch in range(max(len(history.epochs) for history in histories.values())):
        cells = [
            ROW.format(**history.epochs[epoch])
            if epoch < len(history.epochs)
            else " " * len(HEADER)
            for history in histories.values()
        ]
        lines.append(f"{epoch:5d}" + "".join(cells))
    return "\n".join(line.rstrip() for line in lines)


def replace(path: Path, write) -> None:
    """Write a file whole or not at all."""
    partial = path.with_stem(f".{path.stem}.partial")
    write(partial)
    partial.replace(path)


def write_picture(histories: dict[str, History], path: Path) -> None:
    """Draw the training loss against epochs and against seconds."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.2), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for axes, quantity in zip(panels, ("epoch", "seconds"), strict=True):
        for (name, history), style in zip(histories.items(), ("o-", "s-"), strict=False):
            x, y = history.column(quantity), history.column("train_loss")
            axes.semilogy(x, y, style, markersize=4, label=NAMES[name])
        axes.set_xlabel("epochs" if quantity == "epoch" else "seconds of training")
        axes.grid(alpha=0.3)
    panels[0].locator_params(axis="x", integer=True)
    panels[0].set_ylabel("training loss (cross-entropy)")
    panels[0].legend()
    figure.suptitle("LeNet-5 on scikit-learn's digits")
    replace(path, lambda partial: figure.savefig(partial, dpi=150))


def write_history(histories: dict[str, History], options: argparse.Namespace, path: Path) -> None:
    """Write the settings and all logs."""
    settings = vars(options) | {"out": str(options.out)}
    logs = {name: history.to_dict() for name, history in histories.items()}
    text = json.dumps({"settings": settings, "history": logs}, indent=1)
    replace(path, lambda partial: partial.write_text(text, "utf-8"))


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
    print(format_table(histories))

    options.out.mkdir(parents=True, exist_ok=True)
    write_history(histories, options, options.out / "history.json")
    written = ["history.json"]
    try:
        write_picture(histories, options.out / "loss.png")
    except ImportError:
        print("loss.png was not drawn: it needs matplotlib (pip install matplotlib).")
    else:
        written.insert(0, "loss.png")
    print(f"Wrote {' and '.join(written)} to {options.out}")
    return histories


if __name__ == "__main__":
    main()
