"""The optimizers that compare_optimizers.py compares, with the settings that it tries of each.

A setting is the keyword arguments of the optimizer, and "batch", the samples of a step: all of the
training set where it is None.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import product

from mcx_optim import (
    KFAC,
    LBFGS,
    SGD,
    AdaGrad,
    Adam,
    AdamW,
    ExactStochasticNewton,
    HessianFree,
    KrylovSubspaceDescent,
    Newton,
    NewtonKrylov,
    PartitionNewton,
    RMSProp,
    Shampoo,
    TrustRegion,
)


def grid(**choices):
    """Return the settings that have one of the choices for every argument."""
    return tuple(dict(zip(choices, chosen, strict=True)) for chosen in product(*choices.values()))


@dataclass(frozen=True)
class Method:
    """What makes an optimizer, and the settings to try."""

    make: Callable
    grid: tuple[dict, ...]


RATES = grid(batch=[64], lr=[1e-1, 1e-2, 1e-3, 1e-4])
BATCHES = grid(batch=[256, None])
FULL = grid(batch=[None])
NEWTON_CG = {"line_search": "armijo", "negative_curvature": "stop", "screening": False}

METHODS = {
    "SGD": Method(SGD, RATES),
    "Nesterov": Method(partial(SGD, nesterov=True), RATES),
    "AdaGrad": Method(AdaGrad, RATES),
    "RMSProp": Method(RMSProp, RATES),
    "Adam": Method(Adam, RATES),
    "AdamW": Method(AdamW, RATES),
    "Shampoo": Method(Shampoo, RATES),
    "KFAC": Method(KFAC, RATES),
    "LBFGS": Method(LBFGS, FULL),
    "HessianFree": Method(HessianFree, grid(batch=[512, None], damping=[1.0, 0.1])),
    "KrylovSubspaceDescent": Method(KrylovSubspaceDescent, BATCHES),
    "NewtonKrylov": Method(NewtonKrylov, BATCHES),
    "StochasticNewtonKrylov": Method(
        partial(NewtonKrylov.stochastic, rhs="batch"), grid(batch=[64, 256])
    ),
    "LSCG": Method(partial(NewtonKrylov, solver="cgls"), BATCHES),
    "ConjugateResidual": Method(partial(NewtonKrylov, solver="conjugate_residual"), BATCHES),
    "MINRES": Method(partial(NewtonKrylov, solver="minres"), BATCHES),
    "NewtonCG": Method(partial(NewtonKrylov, **NEWTON_CG), FULL),
    "LevenbergMarquardt": Method(
        partial(NewtonKrylov, curvature="gauss_newton", eta=0.5),
        grid(batch=[256, None], damping=[0.1, 0.01]),
    ),
    "TrustRegion": Method(TrustRegion, FULL),
    "PartitionNewton": Method(PartitionNewton, grid(batch=[64], damping=[1.0, 0.3, 0.1])),
    "ExactStochasticNewton": Method(
        partial(ExactStochasticNewton, momentum=0.9),
        (
            {"batch": 32, "mode": "layer", "lr": 3.0, "damping": 10.0},
            {"batch": 32, "mode": "joint", "lr": 10.0, "damping": 100.0},
            {"batch": 32, "mode": "gauss_newton", "lr": 0.3, "damping": 1.0},
        ),
    ),
    "Newton": Method(Newton, FULL),
}
