"""The unit of the loss: every method takes the same steps in any, bit for bit.

Settings that have the unit of the loss, or a power of it, are part of the problem.
"""

import functools

import numpy as np
import pytest

from mcx_nn import Activation, Dense, Sequential, Supervised, softmax_cross_entropy
from mcx_optim import (
    KFAC,
    LBFGS,
    SGD,
    AdaGrad,
    Adam,
    AdamW,
    Diagonal,
    GrowingSample,
    HessianFree,
    Kronecker,
    KrylovSubspaceDescent,
    MovingAverage,
    Newton,
    NewtonKrylov,
    Objective,
    PartitionNewton,
    RMSProp,
    Shampoo,
    TrustRegion,
    VarianceReduced,
)
from tests.optim.networks import softmax_net

POWERS = (48, -48, 120, -120)
"""Multiples of 12: slopes that are drawn have a square root of it, cubic models a cubic one, …"""

ROOTED = ("Shampoo", "Diagonal", "PartitionNewton")
"""What takes other powers than square roots, which libraries round as they like."""


class ScaledProblem:
    """A learning problem with its loss multiplied by a power of 4."""

    def __init__(self, problem, scale):
        self._problem, self._scale = problem, scale
        self.slots, self.forward = problem.slots, problem.forward
        self.piecewise_linear = None

    def _times(self, loss, slope):
        return self._scale * loss, self._scale * slope

    def value(self, w, batch):
        return self._scale * self._problem.value(w, batch)

    def value_and_grad(self, w, batch):
        return self._times(*self._problem.value_and_grad(w, batch))

    def output_loss(self, z, batch):
        return self._times(*self._problem.output_loss(z, batch))

    def observe(self, rng, w, batch):
        vector, rows = self._problem.observe(rng, w, batch)
        root = self._scale**0.5
        return root * vector, {
            name: type(seen)(seen.inputs, root * seen.slopes) for name, seen in rows.items()
        }


def problem_and_start():
    model = Sequential([Dense(4, 5), Activation("tanh"), Dense(5, 3)])
    problem = Supervised(model, softmax_cross_entropy)
    return problem, softmax_net()[1]


def iterates(make, scale, steps=6):
    """Return the points after every step on batches of half the data or, for L-BFGS, all."""
    problem, w = problem_and_start()
    objective = Objective.of(ScaledProblem(problem, scale), softmax_net()[0].data, chunk=40)
    optimizer, points = make(), []
    for k in range(steps):
        size = 90 if isinstance(optimizer, LBFGS) else 45
        batch = objective.rows(np.arange(45 * k, 45 * k + size) % 90)
        w, _ = optimizer.step(objective, w, batch)
        points.append(w)
    return points


def bound(make, settings, **powers):
    """Return a maker with settings that are multiplied by powers of the unit of the loss."""

    def made(scale=1.0):
        own = {name: settings[name] * scale**power for name, power in powers.items()}
        return make(**(settings | own))

    return made


def newton_krylov(**settings):
    return lambda: NewtonKrylov(**settings)


FREE = {
    "Newton": Newton,
    "LBFGS": LBFGS,
    "LBFGS, short": lambda: LBFGS(2, c2=0.1),
    "TrustRegion": TrustRegion,
    "KrylovSubspaceDescent": lambda: KrylovSubspaceDescent(6, 10),
    "KrylovSubspaceDescent, G": lambda: KrylovSubspaceDescent(6, 10, curvature="gauss_newton"),
    "PartitionNewton": lambda: PartitionNewton("tensor", period=1, warmup=1),
    "PartitionNewton, by output": lambda: PartitionNewton("output", period=2, averaging=0),
    "NewtonKrylov": NewtonKrylov,
    "NewtonKrylov, stochastic": lambda: NewtonKrylov.stochastic(),
    "NewtonKrylov, G": newton_krylov(curvature="gauss_newton"),
    "NewtonKrylov, damping": newton_krylov(damping=0.1, momentum=0.5, averaging=0.9),
    "NewtonKrylov, warm start": newton_krylov(warm_start=0.5),
    **{
        f"NewtonKrylov, {key} {word}": newton_krylov(**{key: word})
        for key, words in {
            "negative_curvature": ("stop", "absolute", "ignore"),
            "solver": ("cgls", "conjugate_residual", "minres"),
            "line_search": ("jet", "armijo"),
        }.items()
        for word in words
    },
    "NewtonKrylov, Kronecker": lambda: NewtonKrylov(preconditioner=Kronecker(), damping=0.01),
    "NewtonKrylov, Diagonal": lambda: NewtonKrylov(preconditioner=Diagonal(), damping=0.01),
    "NewtonKrylov, norm test": lambda: NewtonKrylov(rhs=GrowingSample(50, theta=0.5)),
    "NewtonKrylov, variance reduced": lambda: NewtonKrylov(rhs=VarianceReduced(2)),
    "NewtonKrylov, moving average": lambda: NewtonKrylov(rhs=MovingAverage(), damping=0.1),
}
"""Methods without a setting in the unit of the loss."""

BOUND = {
    "SGD": bound(SGD, {"lr": 0.1}, lr=-1),
    "Adam": bound(Adam, {"epsilon": 1e-8}, epsilon=1),
    "AdamW": bound(AdamW, {"epsilon": 1e-8}, epsilon=1),
    "AdaGrad": bound(AdaGrad, {"epsilon": 1e-10}, epsilon=1),
    "RMSProp": bound(RMSProp, {"epsilon": 1e-8}, epsilon=1),
    "KFAC": bound(KFAC, {"damping": 0.03, "kl_clip": 0.01}, damping=1, kl_clip=1),
    "Shampoo": bound(Shampoo, {"epsilon": 1e-4}, epsilon=2),
    "HessianFree": bound(HessianFree, {"damping": 1.0}, damping=1),
    "HessianFree, H": bound(HessianFree, {"damping": 1.0, "curvature": "hessian"}, damping=1),
    "HessianFree, Kronecker": bound(
        lambda damping: HessianFree(damping, preconditioner=Kronecker()),
        {"damping": 1.0},
        damping=1,
    ),
}
"""Those with such settings, as published: a learning rate, a damping, what keeps a divisor from 0.

`ExactStochasticNewton` has tests of its own. Algorithm 1 as printed, `NewtonKrylov(literal=True)`,
has none that could be changed: its bounds on curvatures are absolute numbers.
"""


@functools.cache
def plain(name):
    return iterates(BOUND.get(name) or FREE[name], 1.0)


@pytest.mark.parametrize("power", POWERS)
@pytest.mark.parametrize("name", [*FREE, *BOUND])
def test_no_step_depends_on_the_unit_of_the_loss(name, power):
    scale = 2.0**power
    make = functools.partial(BOUND[name], scale) if name in BOUND else FREE[name]
    for got, expected in zip(iterates(make, scale), plain(name), strict=True):
        if any(word in name for word in ROOTED):
            np.testing.assert_allclose(got, expected, rtol=1e-9)
        else:
            np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("name", [*FREE, *BOUND])
def test_the_steps_move(name):
    points = plain(name)
    assert not np.array_equal(points[-1], problem_and_start()[1])


@pytest.mark.parametrize("name", BOUND)
def test_the_settings_with_a_unit_matter(name):
    """The test above can fail: with the setting as it was the steps are others."""
    with np.errstate(all="ignore"):
        points = iterates(BOUND[name], 2.0**48, steps=1)
    assert not np.array_equal(points[0], plain(name)[0])
