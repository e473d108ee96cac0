"""Second-order training: an objective, the Newton-Krylov trainer, baselines and `fit`.

A method is *curvature operator x Krylov solver x right-hand side x globalization*, one file each:
`hessian`, `gauss_newton`; `cg`, `lanczos`, with the preconditioner `kronecker`; `gradients`;
`taylor_ratio`, `jet`, `armijo`. `newton_krylov` puts them together. Everything works on one flat
vector w of float32 or float64, which is never mutated.
"""

from mcx_optim.adagrad import AdaGrad
from mcx_optim.adam import Adam
from mcx_optim.adamw import AdamW
from mcx_optim.cg import truncated_cg
from mcx_optim.cgls import cgls
from mcx_optim.conjugate_residual import conjugate_residual
from mcx_optim.counts import Counts
from mcx_optim.cubic import CubicStatus, CubicStep, minimize_cubic
from mcx_optim.diagonal import Diagonal
from mcx_optim.errors import NonDeterministicError, NonFiniteError
from mcx_optim.exact_gauss_newton import gauss_newton_direction
from mcx_optim.exact_stochastic_newton import ExactStochasticNewton
from mcx_optim.fit import FitEvent, FitResult, fit
from mcx_optim.gauss_newton import GaussNewton
from mcx_optim.gradients import GrowingSample, MovingAverage, VarianceReduced
from mcx_optim.hessian import Hessian
from mcx_optim.hessian_free import HessianFree
from mcx_optim.history import History
from mcx_optim.kfac import KFAC
from mcx_optim.kronecker import Kronecker
from mcx_optim.krylov import KrylovResult, Status
from mcx_optim.krylov_descent import KrylovSubspaceDescent
from mcx_optim.lanczos import LanczosResult, lanczos
from mcx_optim.lbfgs import LBFGS
from mcx_optim.linear_operator import as_linear_operator
from mcx_optim.minimize import minimize
from mcx_optim.minres import minres
from mcx_optim.newton import Newton
from mcx_optim.newton_krylov import NewtonKrylov
from mcx_optim.objective import Objective
from mcx_optim.partition import Partition
from mcx_optim.partition_newton import PartitionNewton
from mcx_optim.progress import ProgressBar
from mcx_optim.rmsprop import RMSProp
from mcx_optim.sample_hessian import SampleHessians, newton_direction, spectrum, trace
from mcx_optim.schedules import Constant, Cosine, StepDecay, Warmup
from mcx_optim.sgd import SGD
from mcx_optim.shampoo import Shampoo
from mcx_optim.spectral_adjustment import SpectralAdjustment
from mcx_optim.steihaug import steihaug
from mcx_optim.step_info import StepInfo
from mcx_optim.summary import Summary, gradient_summary, summary
from mcx_optim.trust_region import TrustRegion
from mcx_optim.two_layer import two_layer_direction, two_layer_spectrum

__all__ = [
    "KFAC",
    "LBFGS",
    "SGD",
    "AdaGrad",
    "Adam",
    "AdamW",
    "Constant",
    "Cosine",
    "Counts",
    "CubicStatus",
    "CubicStep",
    "Diagonal",
    "ExactStochasticNewton",
    "FitEvent",
    "FitResult",
    "GaussNewton",
    "GrowingSample",
    "Hessian",
    "HessianFree",
    "History",
    "Kronecker",
    "KrylovResult",
    "KrylovSubspaceDescent",
    "LanczosResult",
    "MovingAverage",
    "Newton",
    "NewtonKrylov",
    "NonDeterministicError",
    "NonFiniteError",
    "Objective",
    "Partition",
    "PartitionNewton",
    "ProgressBar",
    "RMSProp",
    "SampleHessians",
    "Shampoo",
    "SpectralAdjustment",
    "Status",
    "StepDecay",
    "StepInfo",
    "Summary",
    "TrustRegion",
    "VarianceReduced",
    "Warmup",
    "as_linear_operator",
    "cgls",
    "conjugate_residual",
    "fit",
    "gauss_newton_direction",
    "gradient_summary",
    "lanczos",
    "minimize",
    "minimize_cubic",
    "minres",
    "newton_direction",
    "spectrum",
    "steihaug",
    "summary",
    "trace",
    "truncated_cg",
    "two_layer_direction",
    "two_layer_spectrum",
]
