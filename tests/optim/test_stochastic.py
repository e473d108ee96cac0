"""NewtonKrylov.stochastic() and the options it is made of: they train, they scale, they resume."""

import numpy as np
import pytest

from mcx_nn import Supervised, lenet5, load_digits, mlp, softmax_cross_entropy
from mcx_optim import GrowingSample, Kronecker, NewtonKrylov, Objective, fit
from tests.optim.problems import network, quadratic, small_softmax, spd


class Scaled:
    """A problem whose loss is multiplied by `scale`."""

    first_nonfinite = None

    def __init__(self, problem, scale):
        self.problem, self.scale = problem, scale
        self.forward, self.slots = problem.forward, problem.slots

    def value(self, w, batch):
        return self.scale * self.problem.value(w, batch)

    def value_and_grad(self, w, batch):
        return tuple(self.scale * each for each in self.problem.value_and_grad(w, batch))

    def output_loss(self, output, batch):
        return tuple(self.scale * each for each in self.problem.output_loss(output, batch))

    def observe(self, rng, w, batch):
        vector, rows = self.problem.observe(rng, w, batch)
        root = self.scale**0.5
        for each in rows.values():
            each.slopes = root * each.slopes
        return root * vector, rows


def of_digits(model, flat=True, scale=1.0, **options):
    """Return the objective of a model on scikit-learn's digits, times `scale`, and its start."""
    x, labels, _, _ = load_digits(np.float32)
    x = x.reshape(len(x), -1) if flat else x
    problem = Supervised(model, softmax_cross_entropy)
    w = problem.init(np.random.default_rng(0), np.float32)
    return Objective.of(Scaled(problem, scale), (x, labels), **options), w


def perceptron(scale=1.0, **options):
    return of_digits(mlp([784, 16, 10]), scale=scale, **options)


# ----- training -----


def test_perceptron_reaches_a_low_loss():
    objective, w = perceptron(separable=True)
    result = fit(objective, NewtonKrylov.stochastic(), w, 10, 256)
    losses = result.history.column("train_loss")
    assert losses[-1] < 0.02 < 2.0 < losses[0]
    assert result.w.dtype == np.float32
    steps = result.history.steps
    assert all(info.outcome != "skipped" for info in steps)
    assert steps[-1].samples > steps[0].samples
    assert all(info.damping > 0 for info in steps)
    assert all(info.cg_iterations == 1 for info in steps)


@pytest.mark.slow
@pytest.mark.parametrize("activation", ["tanh", "sigmoid"])
def test_lenet_reaches_a_low_loss(activation):
    objective, w = of_digits(lenet5(activation), flat=False, separable=True)
    losses = fit(objective, NewtonKrylov.stochastic(), w, 12, 256).history.column("train_loss")
    assert losses[-1] < 0.05 < 2.0 < losses[0]


def test_settings_can_be_replaced_and_parts_are_not_shared():
    first, second = NewtonKrylov.stochastic(), NewtonKrylov.stochastic(momentum=0.25, rhs="batch")
    assert second.momentum == 0.25
    assert second.curvature == first.curvature == "gauss_newton"
    assert isinstance(first.rhs, GrowingSample)
    assert not isinstance(second.rhs, GrowingSample)
    assert isinstance(first.preconditioner, Kronecker)
    assert first.preconditioner is not second.preconditioner
    assert NewtonKrylov.stochastic().rhs is not first.rhs


def test_seed_is_that_of_the_samples_too():
    objective, w = small_softmax()
    batch = objective.rows(slice(20))
    options = {"preconditioner": None, "curvature": "hessian", "momentum": 0.0, "averaging": 0.0}

    def stepped(seed):
        optimizer = NewtonKrylov.stochastic(seed=seed, damping=0.0, **options)
        optimizer.rhs.load_state_dict({"size": 40, "pass": 0, "place": 0})
        return optimizer.step(objective, w, batch)[0]

    assert np.array_equal(stepped(1), stepped(1))
    assert not np.array_equal(stepped(0), stepped(1))


def test_objective_without_slots_is_refused_with_the_remedy():
    objective, w = small_softmax()
    with pytest.raises(ValueError, match=r"with forward and output_loss.*Objective\.of"):
        NewtonKrylov.stochastic().step(objective, w, objective.data)


# ----- scale -----


@pytest.mark.parametrize("scale", [2.0**20, 2.0**-20])
def test_scaling_the_loss_by_a_power_of_four_changes_no_bit(scale):
    def run(factor):
        objective, w = perceptron(factor)
        return fit(objective, NewtonKrylov.stochastic(), w, 2, 300)

    plain, scaled = run(1.0), run(scale)
    assert np.array_equal(scaled.w, plain.w)
    for ours, theirs in zip(plain.history.steps, scaled.history.steps, strict=True):
        assert ours.gamma == theirs.gamma
        assert scale * ours.damping == theirs.damping


# ----- state -----


@pytest.mark.parametrize("every", [None, 2])
def test_run_continues_bit_for_bit_from_a_checkpoint(every, tmp_path):
    file = tmp_path / "run.npz"

    class Interrupted(Exception):
        pass

    def run(stop_at=None, **options):
        def stop(event):
            if stop_at and event.info is not None and (event.epoch, event.step) == stop_at:
                raise Interrupted

        objective, w = perceptron()
        return fit(objective, NewtonKrylov.stochastic(), w, 3, 300, callbacks=[stop], **options)

    whole = run()
    with pytest.raises(Interrupted):
        run(stop_at=(2, 4), checkpoint=file, checkpoint_every=every)
    resumed = run(checkpoint=file, resume=True)
    assert np.array_equal(resumed.w, whole.w)
    assert resumed.history.column("train_loss") == whole.history.column("train_loss")
    for ours, theirs in zip(resumed.history.steps, whole.history.steps, strict=True):
        assert (ours.gamma, ours.samples, ours.damping, ours.loss) == (
            theirs.gamma,
            theirs.samples,
            theirs.damping,
            theirs.loss,
        )


def test_state_of_a_fresh_one_makes_fresh():
    """What a run goes back to that fails before the end of its first epoch."""
    objective, w = perceptron()
    optimizer = NewtonKrylov.stochastic()
    fresh = {name: np.asarray(value) for name, value in optimizer.state_dict().items()}
    batch = objective.rows(slice(300))

    def run():
        point = w
        for _ in range(3):
            point, _ = optimizer.step(objective, point, batch)
        return point

    first = run()
    optimizer.load_state_dict(fresh)
    assert np.array_equal(run(), first)


# ----- momentum and averaging -----


def changes(optimizer, objective, w, steps):
    """Return the points and StepInfo of full-batch steps."""
    points, infos = [w], []
    for _ in range(steps):
        w, info = optimizer.step(objective, w, objective.data)
        points.append(w)
        infos.append(info)
    return np.array(points), infos


def test_momentum_adds_a_part_of_the_last_change():
    """One CG product from zero is the step of steepest descent with exact line search."""
    A, b = spd(4), np.arange(4.0)
    optimizer = NewtonKrylov(momentum=0.3, max_cg=1, rhs="batch")
    points, infos = changes(optimizer, quadratic(A, b), np.ones(4), 5)
    w, velocity = np.ones(4), np.zeros(4)
    for point in points[1:]:
        g = A @ w - b
        velocity = 0.3 * velocity - (g @ g) / (g @ A @ g) * g
        w = w + velocity
        np.testing.assert_allclose(point, w, rtol=1e-12)
    assert all(info.gamma == 1.0 for info in infos)


@pytest.mark.parametrize("momentum", [0.0, 0.5])
def test_averaging_returns_the_mean_of_iterates_that_go_their_own_way(momentum):
    objective, w = network()
    plain, _ = changes(NewtonKrylov(momentum=momentum), objective, w, 24)
    means, _ = changes(NewtonKrylov(momentum=momentum, averaging=0.7), objective, w, 24)
    expected = [w]
    for k, point in enumerate(plain[1:], 1):
        new = max(0.3, 8 / (k + 7))
        expected.append((1 - new) * expected[-1] + new * point)
    np.testing.assert_allclose(means, expected, rtol=1e-12, atol=1e-13)


def test_mean_that_is_changed_in_place_is_another_w():
    objective, w = network()
    optimizer = NewtonKrylov(averaging=0.7, rhs="batch")
    for _ in range(3):
        w, _ = optimizer.step(objective, w, objective.data)
    w *= 0.5
    _, info = optimizer.step(objective, w, objective.data)
    assert info.loss == objective.loss(w, objective.data)


def test_steps_that_were_skipped_weigh_nothing_in_the_mean():
    A, b = spd(4), np.arange(4.0)
    hill = Objective(lambda w, batch: (-w @ w, -2 * w))
    w = np.ones(4)

    def second_mean(skips):
        options = {"averaging": 0.99, "negative_curvature": "stop", "tolerance": 1e-12}
        optimizer = NewtonKrylov(rhs="batch", max_cg=2, **options)
        for _ in range(skips):
            assert optimizer.step(hill, w, None)[1].outcome == "skipped"
        return changes(optimizer, quadratic(A, b), w, 2)[0][-1]

    np.testing.assert_allclose(second_mean(5), second_mean(0), rtol=1e-12)


def test_another_w_than_the_mean_starts_afresh():
    objective, w = network()
    optimizer = NewtonKrylov(averaging=0.7, rhs="batch")
    changes(optimizer, objective, w, 3)
    other = w + 0.1
    mean, _ = optimizer.step(objective, other, objective.data)
    point, _ = NewtonKrylov(rhs="batch").step(objective, other, objective.data)
    step, expected = (mean - other), (point - other)
    cosine = step @ expected / np.linalg.norm(step) / np.linalg.norm(expected)
    assert cosine == pytest.approx(1.0, abs=1e-9)
