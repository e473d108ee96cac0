"""The benchmark that races trainers: what it makes of learning curves, and one small race."""

import json
import math
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from tests.bench.curves import SCHEDULES, Budget, Curve, best_rate, grouped, load_all
from tests.bench.standings import KINDS, costs, measured, quotient, ratios, spread, tables

SECONDS = Budget("seconds", 10.0)


def row(seconds, loss, **others):
    """Return a row of a curve: two epochs and three gradients a second, four steps an epoch."""
    columns = {"epochs": 2 * seconds, "gradient_equivalents": 3 * seconds, "steps": 8 * seconds}
    zeros = {"krylov": 0, "samples": {}, "spent": {}}
    return {"seconds": seconds, "loss": loss, **columns, **zeros, **others}


def decay(speed, name="Adam", rate=0.1, seed=0, budget=SECONDS):
    """Return the curve of the loss exp(-speed · seconds), evaluated every second."""
    rows = [row(float(k), math.exp(-speed * k)) for k in range(11)]
    return Curve("task", 100, name, rate, budget, seed, rows=rows)


def of_losses(*losses, **fields):
    """Return a curve of losses, one a second."""
    curve = decay(1.0, **fields)
    curve.rows = [row(float(k), loss) for k, loss in enumerate(losses)]
    return curve


@pytest.mark.parametrize(("unit", "scale"), [("seconds", 1), ("epochs", 2), ("steps", 8)])
def test_crossing_is_exact_where_the_decay_is_exponential(unit, scale):
    curve = decay(0.7)
    for target in (0.9, 0.5, 0.01):
        assert curve.crossing(target, unit) == pytest.approx(scale * -math.log(target) / 0.7)


def test_first_crossing_counts():
    curve = of_losses(8.0, 2.0, 8.0, 0.5)
    assert curve.crossing(4.0, "seconds") == pytest.approx(0.5)
    assert curve.crossing(1.0, "seconds") == pytest.approx(2.75)
    assert curve.crossing(2.0, "seconds") == 1.0
    assert curve.crossing(9.0, "seconds") == 0.0
    assert curve.crossing(0.4, "seconds") == math.inf


def test_loss_at_an_amount():
    curve = decay(0.7)
    assert curve.loss_at(0.0, "seconds") == 1.0
    assert curve.loss_at(3.0, "seconds") == curve.rows[3]["loss"]
    assert curve.loss_at(3.4, "epochs") == pytest.approx(math.exp(-0.7 * 1.7))
    assert curve.loss_at(10.1, "seconds") == math.inf


def test_schedules():
    cosine = SCHEDULES["cosine"]
    assert cosine(0.2, 0.0) == 0.2
    assert cosine(0.2, 1 / 3) == pytest.approx(0.15)
    assert cosine(0.2, 0.5) == pytest.approx(0.1)
    assert cosine(0.2, 1.0) == cosine(0.2, 1.3) == 0.0  # the last step may begin late
    assert SCHEDULES["constant"](0.2, 0.9) == 0.2


def test_budgets_say_when_to_evaluate():
    marks = SECONDS.marks()
    assert marks[0] == pytest.approx(0.1)
    assert marks[-1] == 10.0
    assert all(1 < b / a < 1.15 for a, b in pairwise(marks))
    assert Budget("epochs", 3).marks() == [1, 2, 3]
    assert Budget("epochs", 2.5).marks() == [1, 2, 2.5]
    assert Budget("epochs", 10).milestones() == [1, 2, 5, 10]
    assert SECONDS.milestones()[-1] == 10.0


def test_best_rate_reaches_the_last_target_first_or_ends_lowest():
    quick_then_stuck = of_losses(1.0, 0.1, 0.1, 0.09, rate=0.1)
    slow_and_deep = of_losses(1.0, 0.5, 0.2, 0.01, rate=0.01)
    curves = [quick_then_stuck, slow_and_deep]
    assert best_rate(curves, (0.5, 0.1)) == 0.1
    assert best_rate(curves, (0.5, 0.02)) == 0.01
    assert best_rate(curves, (0.5, 0.001)) == 0.01
    assert best_rate(curves, ()) == 0.01
    slow_and_deep.end = "diverged"
    assert best_rate(curves, ()) == 0.1
    other_seed = of_losses(1.0, 1e-9, rate=0.01, seed=1)
    assert best_rate([*curves, other_seed], ()) == 0.1


def test_groups_keep_the_best_rate_of_every_contestant_and_setting():
    longer = Budget("seconds", 20.0)
    curves = [
        decay(0.2, seed=1),
        decay(0.2, seed=0),
        decay(0.1, rate=0.3, seed=0),
        decay(0.3, name="SGD"),
        decay(0.4, budget=longer),
    ]
    groups = grouped(curves, ())
    assert list(groups) == [("task", 100, SECONDS), ("task", 100, longer)]
    contestants = groups["task", 100, SECONDS]
    assert list(contestants) == ["Adam", "SGD"]
    assert [(curve.rate, curve.seed) for curve in contestants["Adam"]] == [(0.1, 0), (0.1, 1)]


def test_curves_come_back_from_their_files(tmp_path):
    folder = tmp_path / "new"
    curves = [decay(0.7, rate=rate, seed=seed) for rate in (None, 0.1, 0.01) for seed in (0, 1)]
    curves += [decay(0.7, name="Adam, cosine"), decay(0.7, budget=Budget("epochs", 10))]
    for curve in curves:
        curve.save(folder)
    assert len(list(folder.iterdir())) == len(curves)
    assert sorted(map(str, load_all(folder))) == sorted(map(str, curves))
    with pytest.raises(FileNotFoundError, match=r"expected curves \(\*\.json\), got none"):
        load_all(tmp_path)


def test_spread_says_median_and_range():
    assert spread([3.0, 1.0, 2.0]) == "2 (1 to 3)"
    assert spread([1.0, math.inf, 2.0]) == "2 (1 to never)"
    assert spread([math.inf, math.inf]) == "never"
    assert spread([1.2345]) == "1.23"
    assert spread([1.0, math.nan]) == spread([]) == "-"


def test_ratios_are_taken_seed_by_seed():
    ours = [decay(speed, "Newton", None, seed) for seed, speed in enumerate((0.5, 1.0, 2.0))]
    theirs = [decay(speed, seed=seed) for seed, speed in enumerate((0.5, 2.0, 1.0))]
    half = [lambda curve: curve.crossing(0.5, "seconds")]
    assert ratios({"Newton": ours, "Adam": theirs}, half) == [["Newton", "Adam", "1 (0.5 to 2)"]]
    assert ratios({"Newton": ours[:2], "Adam": theirs[1:]}, half) == [["Newton", "Adam", "2"]]
    assert math.isnan(quotient(math.inf, math.inf))
    assert (quotient(math.inf, 2.0), quotient(2.0, math.inf)) == (math.inf, 0.0)


def test_tables_of_a_race_for_targets():
    contestants = {"Newton": [decay(1.0, "Newton", None)], "Adam": [decay(0.5)]}
    made = tables(contestants, SECONDS, (math.exp(-4), math.exp(-8)))
    first, second, ratio, _ = [rows for _, _, rows in made]
    assert first == [
        ["Newton", "-", "1", "4", "12", "8", "4.54e-05"],
        ["Adam", "0.1", "1", "8", "24", "16", "0.00674"],
    ]
    assert [cells[3] for cells in second] == ["8", "never"]
    assert ratio == [["Newton", "Adam", "0.5", "0"]]
    assert all(len(columns) == len(cells) for _, columns, rows in made for cells in rows)


def test_tables_of_a_race_over_equal_epochs():
    budget = Budget("epochs", 2)
    contestants = {"Newton": [decay(1.0, "Newton", None)], "Adam": [decay(0.5)]}
    (_, columns, losses), (_, _, ratio), _ = tables(contestants, budget, ())
    assert columns[3:5] == ["1 epochs", "2 epochs"]
    assert losses[0][3:] == ["0.607", "0.368", "10", "30", "20"]
    assert ratio == [["Newton", "Adam", f"{math.exp(-0.25):.3g}", f"{math.exp(-0.5):.3g}"]]


def test_costs_per_step_and_in_shares():
    curve = decay(1.0, "Newton", None)
    middle = {"gradient": 100, "linearize": 10, "hvp": 40, "loss": 30}
    end = {"gradient": 400, "linearize": 60, "hvp": 200, "curvature": 100, "loss": 120}
    spent = {"gradient": 2.0, "linearize": 1.0, "product": 4.0, "loss": 1.0}
    curve.rows = [row(0.0, 1.0), row(5.0, 0.5, samples=middle), row(10.0, 0.1, samples=end)]
    curve.rows[-1] |= {"spent": spent, "krylov": 240}
    (cells,) = costs({"Newton": [curve]})
    assert cells[:6] == ["Newton", "80", "3", "5, last 8", "1, last 1", "0.5"]
    # 400 + 60 + 2·300 + 120/3 = 1100 gradients
    shares = dict(zip([*KINDS, "other"], cells[6:], strict=True))
    assert shares == {
        "loss": "10 % / 4 %",
        "gradient": "20 % / 36 %",
        "linearize": "10 % / 5 %",
        "product": "40 % / 55 %",
        "other": "20 %",
    }
    curve.rows[-1]["spent"] = {}
    assert costs({"Newton": [curve]})[0][-2:] == ["- / 55 %", "-"]


def test_measured_pools_the_seeds():
    curves = [decay(speed, seed=seed) for seed, speed in enumerate((1.0, 2.0, 4.0))]
    rows = measured({"Adam": curves}, [lambda curve: curve.crossing(math.exp(-4), "seconds")])
    assert rows == [["Adam", "0.1", "3", "2 (1 to 4)"]]


RACE = """
import sys
from tests.bench.contestants import Task
from functools import partial
from tests.bench.networks import Network
from tests.bench.race import Race, main
import numpy as np
import mcx_nn
from mcx_optim import NewtonKrylov

def task(images):
    x = np.random.default_rng(0).random((images, 3), np.float32)
    network = Network(lambda: mcx_nn.mlp((3, 4, 2)), ["dense", "sigmoid", "dense"], (3,), ())
    labels = (x.sum(axis=1) > 1.5).astype(np.int64)
    return Task("sum", network, mcx_nn.softmax_cross_entropy, (x, labels), 64)

newton = {"Newton": (50, partial(NewtonKrylov, max_cg=5))}
main(Race("sums", {"sum": task}, newton, 200, 1.0), sys.argv[1:])
"""


def test_a_small_race_leaves_its_curves_and_resumes(tmp_path):
    options = ["--epochs", "2", "--rates", "0.1", "1e20", "--seeds", "0", "1"]
    command = [sys.executable, "-c", RACE, *options, "--out", tmp_path, "--contestants"]
    root = Path(__file__).parents[2]
    for names in (["Newton"], ["Adam", "SGD", "Newton"]):
        finished = subprocess.run([*command, *names], cwd=root, capture_output=True, text=True)
        assert finished.returncode == 0, finished.stderr
    assert "newton" not in finished.stdout.split("\n\n")[0]  # nothing was run twice
    assert "sum, 200 images, at most 2 epochs: training loss over that" in finished.stdout
    curves = {path.stem: json.loads(path.read_text()) for path in tmp_path.iterdir()}
    assert len(curves) == 8
    starts = {(curve["seed"], curve["rows"][0]["loss"]) for curve in curves.values()}
    assert len(starts) == 2  # one start per seed
    for curve in curves.values():
        if curve["rate"] == 1e20:
            assert curve["seed"] == 0  # only the best rate races on
            continue
        last = curve["rows"][-1]
        assert [each["epochs"] for each in curve["rows"]] == [0, 1, 2]
        assert last["steps"] == (8 if curve["contestant"] == "Newton" else 4)
        assert 0 < sum(last["spent"].values()) < last["seconds"]
        assert last["loss"] < curve["rows"][0]["loss"]
