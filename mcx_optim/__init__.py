"""Second-order training: an objective, the Newton-Krylov trainer, baselines and `fit`.

A method is *curvature operator x Krylov solver x right-hand side x globalization*, one file each:
`hessian`, `gauss_newton`; `cg`, `lanczos`, with the preconditioner `kronecker`; `gradients`;
`taylor_ratio`, `jet`, `armijo`. `newton_krylov` puts them together. Everything works on one flat
vector w of float32 or float64, which is never mutated.
"""

from mcx_optim.adam import Adam
from mcx_optim.cg import truncated_cg
from mcx_optim.counts import Counts
from mcx_optim.errors import NonDeterministicError, NonFiniteError
from mcx_optim.fit import FitEvent, FitResult, fit
from mcx_optim.gauss_newton import GaussNewton
from mcx_optim.gradients import GrowingSample, MovingAverage, VarianceReduced
from mcx_optim.hessian import Hessian
from mcx_optim.history import History
from mcx_optim.kronecker import Kronecker
from mcx_optim.krylov import KrylovResult, Status
from mcx_optim.lanczos import LanczosResult, lanczos
from mcx_optim.newton_krylov import NewtonKrylov
from mcx_optim.objective import Objective
from mcx_optim.progress import ProgressBar
from mcx_optim.sgd import SGD
from mcx_optim.step_info import StepInfo

__all__ = [
    "SGD",
    "Adam",
    "Counts",
    "FitEvent",
    "FitResult",
    "GaussNewton",
    "GrowingSample",
    "Hessian",
    "History",
    "Kronecker",
    "KrylovResult",
    "LanczosResult",
    "MovingAverage",
    "NewtonKrylov",
    "NonDeterministicError",
    "NonFiniteError",
    "Objective",
    "ProgressBar",
    "Status",
    "StepInfo",
    "VarianceReduced",
    "fit",
    "lanczos",
    "truncated_cg",
]
