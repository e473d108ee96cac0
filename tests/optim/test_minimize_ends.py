"""minimize: when a run without progress ends, and what is a success then."""

import numpy as np
import pytest

import mcx
from mcx_optim import Adam, PartitionNewton, StepInfo
from mcx_optim.minimize import minimize


def rosenbrock(w):
    return 100 * (w[1] - w[0] ** 2) ** 2 + (1 - w[0]) ** 2


class Scripted:
    """An optimizer whose steps lead to given points."""

    def __init__(self, *points, **fields):
        self.points = list(points)
        self.info = StepInfo(**{"outcome": "accepted", "new_tracked_loss": 0.0} | fields)

    def step(self, objective, w, batch):
        return np.array([self.points.pop(0)]), self.info


def test_ten_steps_without_progress_end_a_run():
    points = [8.0] * 9 + [7.0] * 10 + [6.0, -6.0, 6.5] + [6.0] * 30
    result = minimize(lambda w: 1 + w[0] ** 2, np.array([8.0]), Scripted(*points))
    assert (result.nit, result.status) == (30, 3)
    for fields, steps in (({"predicted": -1.0}, 2), ({}, 30)):
        skips = Scripted(*points, outcome="skipped", **fields)
        result = minimize(lambda w: 1 + w[0] ** 2, np.array([8.0]), skips)
        assert (result.nit, result.status) == (steps, 3)
    # Steps that do not look at f promise nothing.
    steps = Scripted(*points, new_tracked_loss=None)
    result = minimize(lambda w: 1 + w[0] ** 2, np.array([8.0]), steps, max_iterations=45)
    assert (result.nit, result.status) == (45, 1)
    # Progress of the gradient alone: f is within its rounding.
    points = [1e-9 * 0.9**k for k in range(1, 400)]
    result = minimize(lambda w: 1 + w[0] ** 2, np.array([1e-9]), Scripted(*points))
    assert result.status == 0


@pytest.mark.parametrize(
    ("predicted", "status"), [(-1.0, 3), (1.0, 3), (1e-14, 2), (-1e-14, 2), (0.0, 2), (None, 3)]
)
def test_success_needs_a_prediction_within_rounding(predicted, status):
    steps = Scripted(*[2.0] * 20, predicted=predicted)
    result = minimize(lambda w: 1 + w[0] ** 2, np.array([2.0]), steps)
    assert (result.nit, result.status, result.success) == (10, status, status == 2)


def test_the_last_prediction_counts():
    class Silent(Scripted):
        def step(self, objective, w, batch):
            w, info = super().step(objective, w, batch)
            return w, info if len(self.points) > 15 else StepInfo("skipped")

    for predicted, status in ((-1e-14, 2), (-1.0, 3)):
        steps = Silent(*[2.0] * 20, predicted=predicted)
        assert minimize(lambda w: 1 + w[0] ** 2, np.array([2.0]), steps).status == status


@pytest.mark.filterwarnings("ignore:.* encountered in matmul:RuntimeWarning")
def test_a_gradient_with_its_entries_swapped_is_no_success():
    result = minimize(rosenbrock, [-1.2, 1.0], grad=lambda w: mcx.gradient(rosenbrock, w)[::-1])
    assert (result.success, result.status) == (False, 3)
    assert "check grad" in result.message


@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
@pytest.mark.parametrize("method", ["newton", "newton_krylov"])
def test_a_function_without_a_lower_bound_is_no_success(method):
    result = minimize(lambda w: -(w @ w), [1.0, 2.0], method)
    assert (result.success, result.status) == (False, 3)
    assert result.fun < -1e300


def test_the_unit_of_w_is_no_matter_where_the_gradient_tells_it():
    result = minimize(lambda w: (w / 1e30 - 1) @ (w / 1e30 - 1), [3e30, 2.0], "lbfgs")
    assert (result.success, result.status) == (True, 0)
    np.testing.assert_allclose(result.x / 1e30, 1)


@pytest.mark.parametrize("unit", [1e-120, 1e-60, 1e60, 1e120])
@pytest.mark.parametrize("method", ["newton_krylov", "lbfgs", "trust_region", "newton"])
def test_the_unit_of_f_is_no_matter(method, unit):
    result = minimize(lambda w: unit * rosenbrock(w), [-1.2, 1.0], method)
    assert (result.success, result.status) == (True, 0)
    np.testing.assert_allclose(result.x, 1, atol=1e-6)


def test_the_warm_up_of_partition_newton_is_no_standstill():
    def f(w):
        return np.sum(np.cosh(w - [1.0, -2.0]))

    for warmup in (9, 10, 25):
        method = PartitionNewton("parameter", damping=1.0, warmup=warmup)
        result = minimize(f, np.zeros(2), method)
        assert [info.outcome for info in result.steps[: warmup + 1]] == [
            *["skipped"] * warmup,
            "accepted",
        ]
        np.testing.assert_allclose(result.x, [1.0, -2.0], atol=0.1)


def test_methods_that_do_not_decrease_f_in_every_step():
    """Momentum leads uphill at times; the first steps of partition Newton only look around."""
    result = minimize(rosenbrock, [-1.2, 1.0], Adam(0.1), tol=1e-4, max_iterations=3000)
    assert (result.success, result.status) == (True, 0)
    np.testing.assert_allclose(result.x, 1, atol=0.1)
    method = PartitionNewton("parameter", damping=1.0)
    result = minimize(lambda w: np.sum(np.cosh(w - [1.0, -2.0])), np.zeros(2), method)
    assert [info.outcome for info in result.steps[:4]] == ["skipped"] * 3 + ["accepted"]
    np.testing.assert_allclose(result.x, [1.0, -2.0], atol=0.1)
