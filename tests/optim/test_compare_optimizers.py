"""The comparison of all optimizers: its clock, its table, its problems; and Figure 2's curves."""

import importlib
import inspect
import json
import math
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import mcx_optim
from mcx_nn import load_digits
from mcx_optim import StepInfo

EXAMPLES = Path(__file__).parents[2] / "examples"
COLUMNS = ["optimizer", "best setting", "seconds", "gradients", "training loss"]


@pytest.fixture(scope="module")
def examples():
    """Return a function that imports an example by its name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENBLAS_NUM_THREADS", "1")
        patch.syspath_prepend(EXAMPLES)
        yield importlib.import_module


@pytest.fixture(scope="module")
def compare(examples):
    return examples("compare_optimizers")


@pytest.fixture(scope="module")
def optimizers(examples):
    return examples("optimizers")


@pytest.fixture(scope="module")
def methods(optimizers):
    return optimizers.METHODS


@pytest.fixture(scope="module")
def task(compare):
    return compare.Task(compare.PROBLEMS["logistic"], seed=0)


def lines_of(table, names):
    """Return name -> cells for the lines of a table that begin with one of the names."""
    found = [line.split() for line in table.splitlines()]
    return {cells[0]: cells[1:] for cells in found if cells and cells[0] in names}


# ----- what is compared -----


def test_every_optimizer_of_the_library_takes_part(methods):
    classes = {
        value
        for value in vars(mcx_optim).values()
        if inspect.isclass(value) and hasattr(value, "step") and hasattr(value, "on_epoch")
    }
    compared = set()
    for method in methods.values():
        for setting in method.grid:
            arguments = {key: value for key, value in setting.items() if key != "batch"}
            compared.add(type(method.make(**arguments)))
    assert len(classes) == 15
    assert compared == classes
    solvers = {method.make().solver for method in map(methods.get, ["LSCG", "MINRES"])}
    assert solvers == {"cgls", "minres"}


def test_methods_of_first_order_have_the_learning_rates_of_the_paper(methods):
    for name in ("SGD", "Nesterov", "AdaGrad", "RMSProp", "Adam", "AdamW", "Shampoo", "KFAC"):
        assert [setting["lr"] for setting in methods[name].grid] == [1e-1, 1e-2, 1e-3, 1e-4]
    assert methods["Nesterov"].make().nesterov


def test_runs_of_one_optimizer_share_nothing(methods):
    make = methods["StochasticNewtonKrylov"].make
    assert make().preconditioner is not make().preconditioner


def softmax_loss(scores, labels):
    shifted = scores - scores.max(axis=1, keepdims=True)
    logarithms = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return -logarithms[np.arange(len(labels)), labels].mean()


def hinge_loss(scores, labels):
    signs = np.where(np.arange(10) == labels[:, None], 1.0, -1.0)
    return (np.maximum(0, 1 - signs * scores) ** 2).sum(axis=1).mean()


@pytest.mark.parametrize(("name", "loss"), [("logistic", softmax_loss), ("svm", hinge_loss)])
def test_convex_problems_are_what_they_are_called(compare, name, loss):
    task = compare.Task(compare.PROBLEMS[name], seed=1)
    x_train, y_train, x_test, y_test = load_digits()
    small = [
        np.array(
            [
                [image[4 * i : 4 * i + 4, 4 * j : 4 * j + 4].mean() for j in range(7)]
                for i in range(7)
            ]
        ).ravel()
        for image in x_train[:100]
    ]
    np.testing.assert_allclose(task.data[0][:100], small, rtol=1e-12, atol=1e-12)
    W, bias = task.start[:490].reshape(49, 10), task.start[490:]
    expected = loss(task.data[0] @ W + bias, y_train) + 5e-4 * task.start @ task.start
    assert task.objective().full_loss(task.start) == pytest.approx(expected, rel=1e-12)
    scores = x_test.reshape(360, 7, 4, 7, 4).mean(axis=(2, 4)).reshape(360, 49) @ W + bias
    accuracy = (scores.argmax(axis=1) == y_test).mean()
    assert task.evaluate(task.start) == {"test_accuracy": accuracy}


def test_autoencoder_is_to_return_pixels_between_0_and_1(compare):
    task = compare.Task(compare.PROBLEMS["autoencoder"], seed=0)
    x, target = task.data
    assert x is target
    assert (x.shape, x.dtype, x.min(), x.max()) == ((1437, 784), np.float32, 0.0, 1.0)
    zero = np.zeros_like(task.start)  # every pixel is guessed to be 1/2
    assert task.objective().full_loss(zero) == pytest.approx(math.log(2), rel=1e-6)
    test = load_digits()[2]
    train = load_digits()[0]
    test = (test - train.min()) / (train.max() - train.min())
    expected = np.mean((test - 0.5) ** 2)
    assert task.evaluate(zero) == {"test_error": pytest.approx(expected, rel=1e-5)}


# ----- the clock -----


class Scripted:
    """Optimizer that subtracts 0.1 % of w in every step, in 0.4 s by its own account."""

    def __init__(self, factor=0.999):
        self.factor = factor

    def step(self, objective, w, batch):
        objective.value_and_grad(w, batch)
        return w * self.factor, StepInfo("accepted", seconds=0.4)

    def on_epoch(self, metrics):
        pass


def test_step_that_ends_after_the_seconds_does_not_count(compare, task):
    run = compare.train(task, "scripted", Scripted, {"batch": 100}, seconds=1.0)
    start, last = run.rows
    assert start["epoch"] == start["seconds"] == start["gradient_equivalents"] == 0
    assert last["seconds"] == pytest.approx(0.8)
    assert last["epoch"] == pytest.approx(2 / 15)
    assert last["gradient_equivalents"] == pytest.approx(200 / 1437)
    assert run.loss == task.objective().full_loss(task.start * 0.999 * 0.999)
    assert not run.diverged
    assert compare.train(task, "scripted", Scripted, {"batch": 100}, seconds=0.1).rows == [start]


def test_every_epoch_is_a_row(compare, task):
    class Quick(Scripted):
        def step(self, objective, w, batch):
            w, _ = super().step(objective, w, batch)
            done = objective.counts.gradient > 2 * 1437
            return w, StepInfo("accepted", seconds=1e9 if done else 0.0)

    run = compare.train(task, "quick", Quick, {"batch": 500}, seconds=100.0)
    assert [row["epoch"] for row in run.rows] == [0, 1, 2]
    assert run.last["gradient_equivalents"] == 2


def test_run_that_stands_still_ends(compare, task):
    run = compare.train(task, "still", Scripted, {"batch": None, "factor": 1.0}, seconds=100.0)
    assert [row["epoch"] for row in run.rows] == list(range(21))


def test_run_that_diverges_ends_and_comes_last(compare, optimizers, task):
    found = optimizers.Method(Scripted, optimizers.grid(batch=[None], factor=[1e200, 0.999]))
    runs, reasons = compare.compare(task, {"scripted": found}, seconds=0.5)
    assert reasons == {}
    assert [run.diverged for run in runs] == [True, False]
    assert runs[0].loss == math.inf
    assert compare.best(runs) == [runs[1]]
    table = compare.format_table([run for run in runs if run.diverged], {}, "test_accuracy")
    assert lines_of(table, {"scripted"})["scripted"][-2] == "diverged"


def test_curves_have_points_at_even_distances_and_their_end(compare):
    assert compare.spaced([0.0, 1.0, 1.05, 1.1, 1.2, 1.3, 1.35]) == [1, 3, 5, 6]
    assert compare.spaced([0.0]) == []
    assert len(compare.spaced([0.001 * k for k in range(1, 1001)])) < 75


# ----- the script -----


def test_table_has_every_optimizer_once_at_its_best_setting(methods, tmp_path):
    out = tmp_path / "new" / "folder"
    options = ["--problem", "logistic", "--seconds", "0.02", "--out", str(out)]
    command = [sys.executable, str(EXAMPLES / "compare_optimizers.py"), *options]
    finished = subprocess.run(command, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
    assert finished.stderr == ""
    printed = finished.stdout
    table = printed[printed.index("logistic, 500 parameters, 0.02 s of training") :]
    header = table.splitlines()[1]
    places = [header.index(column) for column in [*COLUMNS, "test accuracy"]]
    assert places == sorted(places)
    cells = lines_of(table, methods)
    assert sorted(cells) == sorted(methods)
    assert len(table.splitlines()) == 2 + len(methods) + 1
    losses = [float(row[-2]) for row in cells.values()]
    assert losses == sorted(losses)

    document = json.loads((out / "history.json").read_text())
    starts = {log["epochs"][0]["train_loss"] for log in document["history"].values()}
    assert len(starts) == 1
    tried = document["settings"]["runs"]
    assert len(tried) == sum(len(method.grid) for method in methods.values())
    for name, row in cells.items():
        least = min(loss for label, loss in tried.items() if label.startswith(f"{name}, "))
        assert float(row[-2]) == pytest.approx(least, rel=1e-6)
    assert (out / "compare_optimizers.png").read_bytes().startswith(b"\x89PNG")
    assert printed.splitlines()[-1] == f"Wrote compare_optimizers.png and history.json to {out}"


def test_optimizers_that_cannot_run_are_named_with_the_reason(
    compare, tmp_path, capsys, monkeypatch
):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    options = ["--problem", "autoencoder", "--seconds", "0.1", "--out", str(tmp_path)]
    shown = compare.main([*options, "--optimizers", "Newton", "ExactStochasticNewton", "SGD"])
    assert [run.name for run in shown] == ["SGD"]
    printed = capsys.readouterr().out
    assert "\nNewton: cannot run. Newton: expected at most 2000 parameters, got 103" in printed
    assert "\nExactStochasticNewton: cannot run. piecewise_linear: layer 1: expected" in printed
    assert "test error" in printed
    missing = "compare_optimizers.png was not drawn: it needs matplotlib (pip install matplotlib)"
    assert missing in printed
    assert [path.name for path in tmp_path.iterdir()] == ["history.json"]


def test_one_optimizer_that_cannot_run_is_still_a_table(compare, tmp_path, capsys):
    options = ["--problem", "lenet5", "--optimizers", "Newton", "--out", str(tmp_path)]
    assert compare.main(options) == []
    assert "Newton: cannot run." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--optimizers", "SGD", "Adamm"], "invalid choice: 'Adamm'"),
        (["--problem", "vgg"], "invalid choice: 'vgg'"),
        (["--seconds", "0"], "--seconds: expected a positive number, got 0.0"),
        (["--seconds", "nan"], "--seconds: expected a positive number, got nan"),
    ],
)
def test_bad_options_are_refused(compare, arguments, message, capsys):
    with pytest.raises(SystemExit):
        compare.main(arguments)
    assert message in capsys.readouterr().err


# ----- Figure 2 -----


@pytest.fixture(scope="module")
def krylov(examples):
    return examples("krylov_solvers")


@pytest.fixture(scope="module")
def systems(krylov):
    return krylov.systems(size=30, seed=3)


@pytest.fixture(scope="module")
def curves(krylov, systems):
    return {
        name: {solver: krylov.curve(system, solver, 25) for solver in krylov.SOLVERS}
        for name, system in systems.items()
    }


def krylov_space(A, b, dimension):
    """Return an orthonormal basis (N, k) of span{b, Ab, …}."""
    basis = np.zeros((len(b), 0))
    for _ in range(dimension):
        for _ in range(2):
            b = b - basis @ (basis.T @ b)
        basis = np.column_stack([basis, b / np.linalg.norm(b)])
        b = A @ basis[:, -1]
    return basis


def test_systems_are_what_they_are_called(systems):
    spectra = {name: np.linalg.eigvalsh(system.A) for name, system in systems.items()}
    np.testing.assert_allclose(spectra["SPD"], np.geomspace(1, 100, 30), rtol=1e-10)
    assert (np.abs(spectra["singular"]) < 1e-12).sum() == 15
    assert spectra["singular"].min() > -1e-12
    assert (spectra["indefinite"] < -1).sum() == 6
    assert (spectra["indefinite"] > 1 - 1e-10).sum() == 24
    A, b = systems["singular"].A, systems["singular"].b
    assert np.linalg.norm(A @ np.linalg.pinv(A) @ b - b) < 1e-10 * np.linalg.norm(b)


@pytest.mark.parametrize("name", ["SPD", "singular"])
def test_energy_of_cg_is_least_in_every_krylov_space(systems, curves, name):
    A, b = systems[name].A, systems[name].b
    energies = curves[name]["CG"].column("energy")
    assert all(new <= old + 1e-12 for old, new in pairwise(energies))
    for k in range(1, 11):
        V = krylov_space(A, b, k)
        least = -b @ V @ np.linalg.solve(V.T @ A @ V, V.T @ b) / 2
        assert energies[k] == pytest.approx(least, rel=1e-9)
    assert energies[25] == pytest.approx(-b @ np.linalg.pinv(A) @ b / 2, rel=1e-6)


@pytest.mark.parametrize("name", ["SPD", "singular", "indefinite"])
@pytest.mark.parametrize("solver", ["LSCG", "MINRES"])
def test_residual_is_least_in_every_krylov_space(systems, curves, name, solver):
    A, b = systems[name].A, systems[name].b
    residuals = curves[name][solver].column("residual")
    assert residuals[0] == pytest.approx(np.linalg.norm(b))
    assert all(new <= old * (1 + 1e-9) + 1e-10 for old, new in pairwise(residuals))
    for k in range(1, 8):
        V = krylov_space(A @ A, A @ b, k) if solver == "LSCG" else krylov_space(A, b, k)
        alpha = np.linalg.lstsq(A @ V, b)[0]
        assert residuals[k] == pytest.approx(np.linalg.norm(b - A @ V @ alpha), rel=1e-6)


def test_figure_shows_what_it_says(curves):
    cg, lscg = curves["SPD"]["CG"], curves["SPD"]["LSCG"]
    assert any(new > old for old, new in pairwise(cg.column("residual")))
    assert cg.column("energy")[10] < lscg.column("energy")[10]
    wild = curves["indefinite"]["CG"].column("energy")
    assert max(new - old for old, new in pairwise(wild)) > abs(wild[-1])
    # One and the same method in exact arithmetic; after more iterations rounding parts them.
    both = [curves["SPD"][solver].column("energy") for solver in ("conjugate residual", "MINRES")]
    np.testing.assert_allclose(both[0][:16], both[1][:16], rtol=1e-12)


def test_krylov_solvers_writes_table_picture_and_log(tmp_path):
    command = [sys.executable, str(EXAMPLES / "krylov_solvers.py"), "--out", str(tmp_path)]
    finished = subprocess.run(command, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
    lines = finished.stdout.splitlines()
    assert lines[1].split() == ["after", "iterations"] + 2 * ["5", "10", "20", "40"]
    kinds = ["SPD: E_Q least", "singular: E_Q least", "indefinite: E_Q at the saddle"]
    assert [line.rsplit(" ", 1)[0] for line in lines[2:-1:5]] == kinds
    assert len(lines) == 2 + 3 * 5 + 1
    assert (tmp_path / "krylov_solvers.png").read_bytes().startswith(b"\x89PNG")
    document = json.loads((tmp_path / "history.json").read_text())
    assert len(document["history"]) == 12
    rows = document["history"]["SPD, CG"]["epochs"]
    assert [row["iteration"] for row in rows] == list(range(41))
    cells = [float(cell) for cell in lines[3].split()[1:]]
    assert cells[0] == pytest.approx(rows[5]["energy"], rel=1e-3)
    assert cells[-1] == pytest.approx(rows[40]["residual"], rel=1e-2)


def test_krylov_solvers_refuses_what_it_cannot_draw(krylov, capsys):
    with pytest.raises(SystemExit):
        krylov.main(["--iterations", "0"])
    assert "--iterations: expected at least 1, got 0" in capsys.readouterr().err
