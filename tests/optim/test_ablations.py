"""The benchmark of ablations: its networks, its objectives, and what it makes of a run."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest

import mcx_nn
from mcx_optim import Adam, GrowingSample, NewtonKrylov, Objective
from tests.bench import ablation_runs
from tests.bench.ablation_runs import Case, Clocked, Differences, lenet5, run, tuned


def cubic(w, batch):
    """Return Σ w³/6, whose Hessian is diag(w), and its gradient."""
    return np.sum(w**3) / 6, w**2 / 2


def test_a_forward_difference_has_the_error_of_its_step():
    w, p, h = np.array([1.0, -2.0, 3.0]), np.array([3.0, 0.0, 4.0]), 1e-2
    loss, gradient, product = Differences(value_and_grad=cubic, h=h).linearize(w, None)
    t = h / 5
    np.testing.assert_allclose(product(p), w * p + t * p**2 / 2, rtol=1e-11)
    np.testing.assert_allclose(product(10 * p), 10 * product(p), rtol=1e-11)
    assert loss == 20 / 6
    np.testing.assert_array_equal(gradient, [0.5, 2.0, 4.5])


def test_differences_count_a_gradient_for_every_product():
    objective = Differences(value_and_grad=cubic, h=1e-6)
    product = objective.linearize(np.ones(2), None)[2]
    product(np.ones(2))
    assert objective.counts.gradient == 2
    assert objective.counts.cost() == 2


def test_a_case_may_ask_for_differences():
    case = Case(h=1e-6, dtype="float64")
    objective, w = case.objective(), case.start(0)
    batch, p = objective.rows(slice(8)), np.ones_like(w)
    product = objective.linearize(w, batch)[2]
    exact = Case(dtype="float64").objective().linearize(w, batch)[2]
    np.testing.assert_allclose(product(p), exact(p), atol=1e-5 * np.abs(exact(p)).max())


def test_the_clock_leaves_out_the_loss_of_all_data(monkeypatch):
    ticks = itertools.count()
    monkeypatch.setattr(ablation_runs.time, "perf_counter", lambda: next(ticks))
    objective = Clocked(cubic)
    objective.loss(np.ones(2), None)
    objective.full_loss(np.ones(2))
    objective.taylor(np.ones(2), None, np.ones(2), 3)
    assert objective.searching == 2


def test_the_network_without_normalization_is_lenet5():
    x, y = mcx_nn.load_digits(np.float64)[:2]
    ours, theirs = (
        mcx_nn.Supervised(model, mcx_nn.softmax_cross_entropy)
        for model in (lenet5("tanh", batch_norm=False), mcx_nn.lenet5("tanh"))
    )
    w = theirs.init(np.random.default_rng(0))
    batch = x[:8], y[:8]
    loss, gradient = ours.value_and_grad(w, batch)
    expected_loss, expected = theirs.value_and_grad(w, batch)
    assert loss == expected_loss
    np.testing.assert_array_equal(gradient, expected)


def test_normalization_comes_before_every_activation():
    layers = [type(layer).__name__ for layer in lenet5("tanh", batch_norm=True).layers]
    before = [a for a, b in itertools.pairwise(layers) if b == "Activation"]
    assert before == ["BatchNorm"] * 4
    assert layers.count("BatchNorm") == 4


def test_a_run_ends_when_its_budget_is_spent():
    case = Case(epochs=100, budget=5.0)
    outcome = run(case, 0)
    samples = outcome.objective.samples
    costs = [info.counts.cost() / samples for _, info in outcome.steps]
    assert sum(costs[:-1]) < 5 <= outcome.gradients == pytest.approx(sum(costs))
    assert outcome.epochs == len(costs) / -(-samples // case.batch_size)
    x, y = mcx_nn.load_digits(np.float32)[:2]
    problem = mcx_nn.Supervised(mcx_nn.lenet5(), mcx_nn.softmax_cross_entropy)
    expected = Objective(problem.value_and_grad, data=(x, y)).full(outcome.w)[0]
    assert outcome.loss == pytest.approx(expected, rel=1e-5)


def test_the_loss_of_a_run_that_diverged_is_infinite():
    assert run(Case(method=Adam, settings=(("lr", 1e38),), epochs=1), 0).loss == np.inf


def test_every_run_has_an_estimator_of_its_own():
    case = Case(settings=(("rhs", GrowingSample()),))
    assert case.optimizer().rhs is not case.optimizer().rhs


def test_the_best_of_the_learning_rates_is_taken(monkeypatch):
    def fake(case, seed):
        return SimpleNamespace(loss=abs(dict(case.settings)["lr"] - 0.02))

    monkeypatch.setattr(ablation_runs, "run", fake)
    best, words = tuned(Case(method=Adam, rates=(0.1, 0.01, 0.001)), 0)
    assert dict(best.settings) == {"lr": 0.01}
    assert words == ", lr 0.01"
    plain = Case(method=NewtonKrylov)
    assert tuned(plain, 0) == (plain, "")
