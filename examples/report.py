"""What the training examples show: a progress bar, a table by epochs, curves, and a log file."""

import json
from argparse import ArgumentTypeError
from itertools import cycle
from pathlib import Path

from mcx_optim import History, ProgressBar

HEADER = f"{'seconds':>9}{'gradients':>11}{'train loss':>12}{'test acc.':>11}"
ROW = "{seconds:9.1f}{gradient_equivalents:11.1f}{train_loss:12.5f}{test_accuracy:11.4f}"


def positive(text: str) -> int:
    """Return the number of an option that is at least 1, for argparse."""
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"expected an integer of at least 1, got {text}")
    return int(text)


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


def accuracy(problem, x, y):
    """Return an `evaluate` for `fit`: w -> share of the samples x whose label y is predicted."""

    def evaluate(w):
        correct = problem.predict(w, x).argmax(axis=1) == y
        return {"test_accuracy": float(correct.mean())}

    return evaluate


def format_table(histories: dict[str, History]) -> str:
    """Return one line per epoch, with a group of columns per optimizer."""
    names = "".join(f"{name:^{len(HEADER)}}" for name in histories)
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


def draw_losses(panels, histories: dict[str, History]) -> None:
    """Draw the training loss against epochs and against seconds, in two Axes."""
    for axes, quantity in zip(panels, ("epoch", "seconds"), strict=True):
        for (name, history), marker in zip(histories.items(), cycle("os^v"), strict=False):
            x, y = history.column(quantity), history.column("train_loss")
            axes.semilogy(x, y, marker=marker, markersize=4, label=name)
        axes.set_xlabel("epochs" if quantity == "epoch" else "seconds of training")
        axes.grid(alpha=0.3)
    panels[0].locator_params(axis="x", integer=True)
    panels[0].set_ylabel("training loss")
    panels[0].legend()


def replace(path: Path, write) -> None:
    """Write a file whole or not at all: `write` gets the path of a new file beside it."""
    partial = path.with_stem(f".{path.stem}.partial")
    write(partial)
    partial.replace(path)


def write_files(out: Path, picture: str, draw, settings: dict, histories: dict[str, History]):
    """Write the picture that `draw` puts into a new Figure, and all settings and logs.

    Without matplotlib it is said that the picture is missing.
    """
    out.mkdir(parents=True, exist_ok=True)
    logs = {name: history.to_dict() for name, history in histories.items()}
    text = json.dumps({"settings": settings, "history": logs}, indent=1, default=str)
    replace(out / "history.json", lambda partial: partial.write_text(text, "utf-8"))
    written = ["history.json"]
    try:
        from matplotlib.figure import Figure
    except ImportError:
        print(f"{picture} was not drawn: it needs matplotlib (pip install matplotlib).")
    else:
        figure = Figure(layout="constrained")
        draw(figure)
        replace(out / picture, lambda partial: figure.savefig(partial, dpi=150))
        written.insert(0, picture)
    print(f"Wrote {' and '.join(written)} to {out}")
