"""Newton's method for the learning rates of groups, in use: failures, batches, runs."""

import numpy as np
import pytest

from mcx_nn import Supervised, mlp, softmax_cross_entropy
from mcx_optim import NonFiniteError, Objective, fit
from mcx_optim.partition import Partition
from mcx_optim.partition_newton import PartitionNewton
from tests.optim.problems import quadratic, small_softmax, spd
from tests.optim.test_partition_newton import pure, small_mlp
from tests.standin import StandIn

# ----- steps without learning rates -----


def cosine(w, batch):
    """Return Σ cos w, concave near 0 and convex near π, and its gradient."""
    return np.sum(np.cos(w)), -np.sin(w)


def test_without_a_minimum_the_step_is_skipped_or_made_with_the_rates_before():
    objective, concave, convex = Objective(cosine), np.array([0.5]), np.array([2.5])
    optimizer = pure("single", period=2)
    for _ in range(2):  # a summary every step until there are rates
        w, info = optimizer.step(objective, concave, None)
        assert info.outcome == "skipped"
        assert info.reason.startswith("no learning rates yet: the model has no minimizer")
        assert np.array_equal(w, concave)
        assert optimizer.rates is None
    w, info = optimizer.step(objective, convex, None)
    rate = -1 / np.cos(2.5)
    assert info.outcome == "accepted"
    assert optimizer.rates == pytest.approx([rate])
    np.testing.assert_allclose(w, convex + rate * np.sin(convex), rtol=1e-14)
    assert optimizer.step(objective, convex, None)[1].samples is None  # between two summaries
    w, info = optimizer.step(objective, concave, None)
    assert info.outcome == "fallback"
    assert info.reason.startswith("the learning rates before: the model has no minimizer")
    np.testing.assert_allclose(w, concave + rate * np.sin(concave), rtol=1e-14)


def test_cubic_regularization_steps_where_the_curvature_is_negative():
    w, info = pure("single", regularization=1.0).step(Objective(cosine), np.array([0.5]), None)
    assert info.outcome == "accepted"
    assert w[0] > 0.5


def test_stationary_point_is_kept():
    w, info = pure("single").step(quadratic(spd(3), np.zeros(3)), np.zeros(3), None)
    assert np.array_equal(w, np.zeros(3))
    assert (info.outcome, info.reason) == ("skipped", "no group has a positive learning rate")


# ----- failures -----


def test_nonfinite_summary_is_named_and_changes_nothing():
    """∇f = 1 + w^1.5 is 1 at w = 0, and its second derivative is infinite there."""

    def value_and_grad(w, batch):
        return np.sum(w + 0.4 * w**2.5), 1 + w**1.5

    optimizer = pure("single")
    before = optimizer.state_dict()
    with np.errstate(all="ignore"), pytest.raises(NonFiniteError) as caught:
        optimizer.step(Objective(value_and_grad), np.zeros(2), None)
    assert "third of the summary is not finite on the batch (no data)" in str(caught.value)
    assert optimizer.state_dict() == before


def test_a_group_at_rest_leaves_the_rates_finite():
    """The gradient and the curvature of w₀ are such that the cubic term, of w₀ alone, is zero."""
    objective = Objective(
        lambda w, batch: (
            w[0] ** 3 / 3 - w[0] + (w[1] - 3) ** 2,
            np.stack([w[0] ** 2 - 1, 2 * (w[1] - 3)]),
        )
    )
    settings = {"damping": 1.0, "warmup": 0, "period": 1, "averaging": 0}
    optimizer = PartitionNewton("parameter", **settings)
    w, _ = optimizer.step(objective, np.array([3.0, 0.0]), None)
    w, _ = optimizer.step(objective, np.array([1.0, w[1]]), None)
    assert optimizer.rates[0] == 0.0
    assert np.isfinite(optimizer.rates).all()
    assert np.isfinite(w).all()


def test_a_list_is_refused():
    with pytest.raises(TypeError, match="w: expected an array of float32 or float64, got list"):
        PartitionNewton("single").step(quadratic(spd(2), np.ones(2)), [1.0, 2.0], None)


def test_partitions_by_name():
    groups = {"single": 1, "tensor": 4, "layer": 2, "output": 5, "parameter": 23}
    for name, count in groups.items():
        objective, w = small_mlp()
        optimizer = PartitionNewton(name)
        optimizer.step(objective, w, objective.data)
        assert (optimizer.partition.groups, optimizer.partition.size) == (count, 23)
        assert optimizer.average.third.shape == (count,)


def test_partitions_that_do_not_fit_are_refused():
    objective, w = small_softmax()
    with pytest.raises(ValueError, match="'tensor': expected an objective with slots"):
        PartitionNewton().step(objective, w, objective.data)
    with pytest.raises(ValueError, match="expected one of the 15 parameters in w, got one of 3"):
        PartitionNewton(Partition.single(3)).step(objective, w, objective.data)
    first, second = PartitionNewton("single"), PartitionNewton("parameter")
    first.step(objective, w, objective.data)
    second.load_state_dict(first.state_dict())
    with pytest.raises(ValueError, match=r"expected 1 groups as in the run .* got 15"):
        second.step(objective, w, objective.data)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"partition": "row"}, "partition: expected a Partition or one of 'single', .* got 'row'"),
        ({"partition": None}, "partition: expected a Partition .* got None"),
        ({"damping": 0.0}, "damping: expected a positive number, got 0.0"),
        ({"damping": np.nan}, "damping: expected a positive number, got nan"),
        ({"regularization": -1.0}, "regularization: expected a number of at least 0, got -1.0"),
        ({"regularization": np.nan}, "regularization: expected a number of at least 0, got nan"),
        ({"momentum": 1.0}, r"momentum: expected a number in \[0, 1\), got 1.0"),
        ({"dampening": 1.0}, r"dampening: expected a number in \[0, 1\), got 1.0"),
        ({"rate_momentum": -0.1}, r"rate_momentum: expected a number in \[0, 1\), got -0.1"),
        ({"period": 0}, "period: expected an integer of at least 1, got 0"),
        ({"period": 2.5}, "period: expected an integer of at least 1, got 2.5"),
        ({"averaging": -1}, "averaging: expected an integer of at least 0, got -1"),
        ({"averaging": True}, "averaging: expected an integer of at least 0, got True"),
        ({"warmup": -1}, "warmup: expected an integer of at least 0, got -1"),
        ({"batch_size": 0}, "batch_size: expected an integer of at least 1, got 0"),
        ({"patience": -1}, "patience: expected an integer of at least 0, got -1"),
        ({"threshold": 1.0}, r"threshold: expected a number in \[0, 1\), got 1.0"),
        ({"factor": 0.0}, r"factor: expected a number in \(0, 1\], got 0.0"),
        ({"factor": 1.5}, r"factor: expected a number in \(0, 1\], got 1.5"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        PartitionNewton(**settings)


# ----- batches, schedule, state -----


def test_summaries_have_batches_of_their_own():
    """Batches of different samples, others in every step, determined by the seed."""

    def draws(seed, size, steps=4):
        seen = []

        class Spy(Objective):
            def taylor_gradient(self, w, batch, delta, order):
                seen.append(batch[0])
                return super().taylor_gradient(w, batch, delta, order)

        objective = Spy(lambda w, batch: (w @ w / 2, w), data=(np.arange(50),))
        optimizer = PartitionNewton("single", warmup=steps, batch_size=size, seed=seed)
        for _ in range(steps):
            optimizer.step(objective, np.ones(2), objective.rows(slice(8)))
        return seen

    assert [len(index) for index in draws(0, None)] == [8] * 4
    first, again, other = draws(0, 20), draws(0, 20), draws(1, 20)
    assert [len(set(index)) for index in first] == [20] * 4
    assert np.array_equal(first, again)
    assert len({tuple(sorted(index)) for index in first + other}) == 8


def test_damping_is_reduced_on_a_plateau():
    optimizer = PartitionNewton(damping=0.8, patience=1, threshold=0.1, factor=0.25)
    table = [
        (10.0, 0.8),
        (9.5, 0.8),  # not by a tenth: the first to wait
        (8.9, 0.8),  # better than 10 by more
        (8.1, 0.8),
        (8.9, 0.2),  # the second
        (8.1, 0.2),
        (float("nan"), 0.05),
        (1.0, 0.05),
        (-1.0, 0.05),
        (-1.05, 0.05),  # not by a tenth
        (-1.05, 0.0125),
        (-1.2, 0.0125),
        (float("inf"), 0.0125),
        (-1.2, 0.003125),
    ]
    for loss, expected in table:
        optimizer.on_epoch({"epoch": 1, "train_loss": loss})
        assert optimizer.damping.value == pytest.approx(expected), loss


def test_damping_of_a_run_is_reduced():
    objective, w = small_softmax()
    optimizer = PartitionNewton("single", damping=0.5, patience=0, threshold=0.9)
    result = fit(objective, optimizer, w, 4, 30)
    used = [info.damping for info in result.history.steps]
    assert used == [0.5, 0.5, 0.5, 0.5, 0.25, 0.25, 0.125, 0.125]


class Stop(Exception):
    """Raised by a callback to interrupt a run."""


@pytest.mark.parametrize("steps", [1, 2, 5, 8, 13])
def test_resumed_run_is_the_uninterrupted_one(steps, tmp_path):
    path = tmp_path / "run.npz"

    def run(**options):
        objective, w = small_mlp(np.float32)
        optimizer = PartitionNewton(
            "tensor",
            damping=0.5,
            period=3,
            averaging=2,
            rate_momentum=0.5,
            patience=1,
            threshold=0.9,
        )
        result = fit(objective, optimizer, w, 4, 8, 3, checkpoint=path, **options)
        return result.w, optimizer, result.history.column("train_loss")

    w, optimizer, losses = run()
    path.unlink()
    taken = []

    def interrupt(event):
        taken.extend([event] if event.info is not None else [])
        if len(taken) == steps + 1:
            raise Stop

    with pytest.raises(Stop):
        run(checkpoint_every=1, callbacks=[interrupt])
    resumed, other, resumed_losses = run(resume=True)
    assert np.array_equal(resumed, w)
    assert resumed_losses == losses
    assert optimizer.damping.value == other.damping.value < 0.5
    state, other_state = optimizer.state_dict(), other.state_dict()
    assert state.keys() == other_state.keys()
    assert all(np.array_equal(state[name], other_state[name]) for name in state)


@pytest.mark.parametrize("name", ["tensor", "parameter"])
def test_steps_on_device_arrays_are_those_of_the_host(name):
    host, start = small_mlp()

    def run(wrap):
        objective = Objective.of(
            Supervised(mlp((4, 3, 2)), softmax_cross_entropy), tuple(map(wrap, host.data))
        )
        optimizer, w = PartitionNewton(name, warmup=1, period=2), wrap(start)
        for k in range(4):
            batch = objective.rows(slice(5 * k, 5 * k + 10))
            w, info = optimizer.step(objective, w, batch)
        return w, optimizer.rates, info.predicted, info.slope

    (w, rates, *numbers), (device_w, device_rates, *device_numbers) = (
        run(np.asarray),
        run(StandIn.wrap),
    )
    assert np.array_equal(device_w.get(), w)
    assert np.array_equal(device_rates, rates)
    assert device_numbers == numbers


# ----- training -----


@pytest.mark.parametrize(("name", "bound"), [("single", 0.1), ("tensor", 0.06), ("layer", 0.1)])
def test_network_on_the_digits(name, bound):
    from sklearn.datasets import load_digits

    digits = load_digits()
    x = ((digits.data - digits.data.mean()) / digits.data.std()).astype(np.float32)
    problem = Supervised(mlp((64, 32, 10)), softmax_cross_entropy)
    objective = Objective.of(problem, (x, digits.target))
    w = problem.init(np.random.default_rng(0), np.float32)
    history = fit(objective, PartitionNewton(name, damping=0.3), w, 8, 100).history
    losses = history.column("train_loss")
    assert losses[0] > 2
    assert losses[-1] < bound
    assert {info.outcome for info in history.steps} == {"skipped", "accepted"}
