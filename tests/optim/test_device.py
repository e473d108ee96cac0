"""The trainer on device arrays: the numbers of the host, to the bit."""

import numpy as np
import pytest

from mcx_nn import Activation, Dense, L2Regularized, Sequential, Supervised, softmax_cross_entropy
from mcx_optim import (
    GrowingSample,
    Kronecker,
    MovingAverage,
    NewtonKrylov,
    Objective,
    VarianceReduced,
)
from tests.standin import StandIn

TRAINERS = {
    "default": NewtonKrylov,
    "stochastic": NewtonKrylov.stochastic,
    "growing": lambda: NewtonKrylov(rhs=GrowingSample(first=30, theta=0.5)),
    "variance reduced": lambda: NewtonKrylov(rhs=VarianceReduced(2)),
    "moving average": lambda: NewtonKrylov(rhs=MovingAverage(0.8), damping=0.1),
    "absolute": lambda: NewtonKrylov(negative_curvature="absolute", warm_start=0.5),
    "jet": lambda: NewtonKrylov(line_search="jet", momentum=0.3, averaging=0.7),
    "armijo": lambda: NewtonKrylov(line_search="armijo", damping=0.1),
    "kronecker": lambda: NewtonKrylov(curvature="gauss_newton", preconditioner=Kronecker()),
    "ignore": lambda: NewtonKrylov(negative_curvature="ignore", rhs="batch"),
}


@pytest.mark.parametrize("name", TRAINERS)
def test_steps_are_those_of_the_host(name):
    rng = np.random.default_rng(0)
    data = rng.standard_normal((60, 4)), rng.integers(0, 3, 60)
    model = Sequential([Dense(4, 3), Activation("tanh"), Dense(3, 3)])
    problem = L2Regularized(Supervised(model, softmax_cross_entropy), 1e-3)
    start = problem.init(rng)

    def run(wrap):
        objective = Objective.of(problem, tuple(map(wrap, data)), chunk=25)
        optimizer, w, infos = TRAINERS[name](), wrap(start), []
        for k in range(3):
            w, info = optimizer.step(objective, w, objective.rows(slice(20 * k, 20 * k + 20)))
            infos.append((info.outcome, info.loss, info.gamma, info.trials, info.counts))
        return w, infos

    (w, infos), (device_w, device_infos) = run(np.asarray), run(StandIn.wrap)
    assert np.array_equal(device_w.get(), w)
    assert device_infos == infos
    assert "accepted" in {outcome for outcome, *_ in infos}
