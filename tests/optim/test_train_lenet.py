"""The main job runs as a script, writes what it names, and learns."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "examples" / "train_lenet.py"
WITHOUT = (
    "import os, runpy, sys; sys.modules.update(matplotlib=None, tqdm=None); "
    "sys.argv = sys.argv[1:]; sys.path.insert(0, os.path.dirname(sys.argv[0])); "
    "runpy.run_path(sys.argv[0], run_name='__main__')"
)


def run(*arguments):
    """Return what the finished command printed; a failure raises with its errors."""
    command = [sys.executable, *map(str, arguments)]
    finished = subprocess.run(command, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
    return finished


def rows(table):
    """Return the numbers of the table's lines."""
    lines = [line.split() for line in table.splitlines()]
    return [[float(cell) for cell in line] for line in lines if line and line[0].isdigit()]


def test_without_matplotlib_and_tqdm_it_trains_and_says_what_is_missing(tmp_path):
    out = tmp_path / "new" / "folder"
    options = ["--epochs", 2, "--activation", "tanh", "--dtype", "float64", "--out", out]
    printed = run("-c", WITHOUT, SCRIPT, "--optimizer", "adam", *options).stdout
    assert "Adam epoch 1/2 train loss" in printed
    table = rows(printed)
    assert [row[0] for row in table] == [0, 1, 2]
    assert [row[2] for row in table] == [0, 1, 2]
    assert table[2][3] < 0.5 < table[0][3]
    assert table[2][4] > 0.8
    assert "loss.png was not drawn: it needs matplotlib (pip install matplotlib)" in printed
    assert f"Wrote history.json to {out}" in printed
    assert [path.name for path in out.iterdir()] == ["history.json"]
    document = json.loads((out / "history.json").read_text())
    assert document["settings"]["dtype"] == "float64"
    assert list(document["history"]) == ["adam"]


@pytest.mark.slow
def test_both_optimizers_share_table_picture_and_history(tmp_path):
    finished = run(SCRIPT, "--epochs", 1, "--batch-size", 512, "--out", tmp_path)
    (start, end) = rows(finished.stdout)
    assert len(start) == len(end) == 9
    assert start[3:5] == start[7:9]  # both start at the same parameters
    assert "Newton-Krylov epoch 1/1" in finished.stderr
    assert f"Wrote loss.png and history.json to {tmp_path}" in finished.stdout
    assert (tmp_path / "loss.png").read_bytes().startswith(b"\x89PNG")
    histories = json.loads((tmp_path / "history.json").read_text())["history"]
    for name in ("newton-krylov", "adam"):
        steps = histories[name]["steps"]
        assert len(steps) == 3
        assert all(step["counts"]["gradient"] + step["counts"]["linearize"] > 0 for step in steps)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_main_job_reaches_95_percent(seed, tmp_path):
    printed = run(SCRIPT, "--seed", seed, "--out", tmp_path).stdout
    histories = json.loads((tmp_path / "history.json").read_text())["history"]
    for name, history in histories.items():
        last = history["epochs"][-1]
        assert last["test_accuracy"] >= 0.95, name
        assert last["train_loss"] < 0.1, name
    assert re.search(r"^ +20 +", printed, re.MULTILINE)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--optimizer", "sgd"], "invalid choice: 'sgd'"),
        (["--activation", "swish"], "invalid choice: 'swish'"),
        (["--dtype", "float16"], "invalid choice: 'float16'"),
        (["--epochs", "many"], "invalid int value: 'many'"),
        (["--batch-size", "0"], "batch_size: expected 1 to 1437 samples, got 0"),
    ],
)
def test_bad_options_are_refused(arguments, message, tmp_path):
    command = [sys.executable, str(SCRIPT), *arguments, "--out", str(tmp_path)]
    finished = subprocess.run(command, capture_output=True, text=True)
    assert finished.returncode != 0
    assert message in finished.stderr
