"""The examples run, write what they say, and hold the accuracy they show."""

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import sympy

import mcx

EXAMPLES = Path(__file__).parents[1] / "examples"
EPS = np.finfo(np.float64).eps


@pytest.fixture(scope="module")
def complex_step():
    spec = importlib.util.spec_from_file_location("complex_step", EXAMPLES / "complex_step.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_exact_derivatives_agree_with_sympy(complex_step):
    t = sympy.Symbol("t")
    expression = sympy.exp(t) / (t**2 + 1)
    for order, exact in enumerate(complex_step.exact_derivatives(10.0), start=1):
        reference = expression.diff(t, order).subs(t, 10).evalf(45)
        assert abs(sympy.Float(str(exact), 45) / reference - 1) < 1e-36


@pytest.mark.parametrize("h", [3e-8, 1e-8, 1e-10, 7e-20, 1e-30, 1e-100, 1e-200, 3e-299, 1e-300])
def test_first_derivative_is_exact_at_any_small_step(complex_step, h):
    first, _ = complex_step.exact_derivatives(10.0)
    z = complex_step.f(mcx.perturb(10.0, 1.0, h=h))
    assert complex_step.relative_error(z.im(1) / h, first) <= 4 * EPS


@pytest.mark.parametrize("h", [1e-8, 1e-10, 7e-20, 1e-30, 1e-60, 1e-100, 3e-149, 1e-150])
def test_second_derivative_is_exact_at_any_small_step(complex_step, h):
    _, second = complex_step.exact_derivatives(10.0)
    z = complex_step.f(mcx.perturb(10.0, 1.0, 1.0, h=h))
    assert complex_step.relative_error(z.im(1, 2) / h**2, second) <= 16 * EPS


def test_complex_step_shows_the_curves_of_the_figure(complex_step, tmp_path, capsys):
    errors = complex_step.main(["--decades", "16", "--out", str(tmp_path / "new")])
    # The differences improve, reach their best step, and end in cancellation ...
    assert 4 <= np.argmin(errors["central"]) <= 7
    assert 7 <= np.argmin(errors["forward"]) <= 10
    assert errors["central"].min() > 100 * EPS
    assert errors["forward"][16] > 1e-2
    # ... the complex step falls like central differences and stays down.
    np.testing.assert_allclose(errors["complex step"][1:3], errors["central"][1:3], rtol=0.5)
    assert errors["complex step"][9:].max() <= 4 * EPS
    assert errors["C² second"][9:].max() <= 16 * EPS

    picture = tmp_path / "new" / "complex_step.png"
    assert picture.read_bytes().startswith(b"\x89PNG")
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + 17 + 1
    assert lines[-1] == f"Wrote {picture}"


def test_complex_step_without_matplotlib_prints_the_table(
    complex_step, tmp_path, capsys, monkeypatch
):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    complex_step.main(["--decades", "2", "--out", str(tmp_path / "new")])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + 3 + 1
    assert "pip install matplotlib" in lines[-1]
    assert not (tmp_path / "new").exists()


def test_train_lenet_lists_its_options():
    run = subprocess.run(
        [sys.executable, EXAMPLES / "train_lenet.py", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    for option in ("optimizer", "epochs", "batch-size", "activation", "seed", "dtype", "out"):
        assert f"--{option}" in run.stdout


def run_example(name, out, *options):
    """Return what the finished script printed."""
    command = [sys.executable, EXAMPLES / f"{name}.py", "--out", out, *options]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def table_of(printed):
    """Return the numbers of the lines that begin with an epoch."""
    lines = [line.split() for line in printed.splitlines()]
    return [[float(cell) for cell in line] for line in lines if line and line[0].isdigit()]


def test_partition_newton_trains_beside_adam_and_draws_the_interactions(tmp_path):
    printed = run_example("partition_newton", tmp_path, "--epochs", "2", "--partition", "layer")
    start, _, end = table_of(printed)
    assert start[3] == start[7] > 2
    assert end[3] < 0.4  # PartitionNewton
    assert end[7] < 0.4  # Adam
    assert (tmp_path / "partition_newton.png").read_bytes().startswith(b"\x89PNG")
    log = json.loads((tmp_path / "history.json").read_text("utf-8"))
    assert log["settings"]["partition"] == "layer"
    steps = log["history"]["PartitionNewton"]["steps"]
    # Three steps of warm-up, then a summary of three groups every ten steps.
    costs = [step["counts"]["taylor"] for step in steps]
    assert [k for k, cost in enumerate(costs) if cost] == [0, 1, 2, 3, 13, 23]
    assert set(costs) == {0, 16 * 3 * 100}


def test_exact_second_order_shows_spectra_and_flatness(tmp_path):
    printed = run_example("exact_second_order", tmp_path, "--epochs", "1")
    start, end = table_of(printed.partition("before the training")[0])
    for column in (3, 7, 11, 15):  # by layers, jointly, Gauss-Newton, Adam
        assert end[column] < 0.5 < 2 < start[column]
    extremes = re.findall(r"training \(by layers\): .*samples: (-[\d.]+), ([\d.]+)", printed)
    (before_least, before_largest), (least, largest) = np.array(extremes, float)
    assert before_least < 5 * least < 0
    assert before_largest > 2 * largest > 0
    flatness = printed[printed.index("mean trace") :].splitlines()[2:6]
    assert [line.split()[0] for line in flatness] == ["0.2", "0.4", "1", "4"]
    assert (tmp_path / "exact_second_order.png").read_bytes().startswith(b"\x89PNG")
