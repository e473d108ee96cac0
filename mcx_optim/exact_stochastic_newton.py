"""Newton steps from the exact Hessians of the samples: for piecewise-linear networks."""

import numpy as np

from mcx_optim.errors import NonFiniteError
from mcx_optim.exact_gauss_newton import gauss_newton_direction
from mcx_optim.krylov import length
from mcx_optim.sample_hessian import SampleHessians
from mcx_optim.schedules import learning_rate, rate_or_schedule
from mcx_optim.settings import fraction, word
from mcx_optim.spectral_adjustment import SpectralAdjustment
from mcx_optim.state import expect_alike
from mcx_optim.step_info import StepLog

MODES = ("layer", "joint", "gauss_newton")


class ExactStochasticNewton:
    """Newton steps whose curvature is exact and solved in closed form, without a Krylov space.

    v ← μ v + Δ,  w ← w + lr v,  with v = 0 at the start. The network is piecewise linear (Dense
    layers, "relu", "leaky_relu"), so that the Hessian H_i of the loss of one sample is known by its
    low rank: see `mcx_optim.sample_hessian`. By `mode`, with the gradient g_i of that sample,

        "layer"         Δ = -mean_i φ(H_i)⁻¹ g_i, H_i cut to its diagonal blocks, one a layer;
        "joint"         the same with all of H_i;
        "gauss_newton"  Δ = -(G + λI)⁻¹ g, with gradient g and Gauss-Newton matrix G of the batch.

    φ is a `SpectralAdjustment`: φ(h) = max(|h|, ε max|h|)^γ + λ. Blocks of a convex loss have no
    negative eigenvalue; all of H_i has, as long as the sample is not fitted, and |h| makes saddles
    repel. An L2 term ρ/2 ‖w‖² is solved with: φ + ρ and g_i + ρw in the place of φ and g_i, and
    G + ρI.

    The mean of directions is not Newton's direction on the batch: the mean of inverse Hessians is
    not the inverse of the mean, and where it is 0 the gradient of the batch need not be. It gives
    weight to samples with small H_i: in joint mode to those that are fitted already, as T of
    `mcx_optim.sample_hessian` grows with the misfit. λ should therefore not be small beside the
    eigenvalues that occur, which `mcx_optim.spectrum` tells. As λ grows, with lr in proportion, all
    modes become stochastic gradient descent. Nothing bounds the loss.

    Multiplying the loss, its L2 term and λ by one number changes no step if γ = 1: λ is in the unit
    of the loss, and the floor ε in that of the largest eigenvalue.

    Parameters
    ----------
    mode : {"layer", "joint", "gauss_newton"}
        What one step on B samples solves, for K outputs: B eigenproblems of order K for every
        layer; B of the order of twice the number of units; one linear system of order B K.
    lr : float or callable
        Learning rate, or a schedule of it: see `mcx_optim.schedules`.
    damping : float
        λ, at least 0. The default goes with lr 1; less than a third of it diverges on the digits
        in batches of 32. With momentum 0.9 what trains them well is (lr, λ) = (3, 10) by layers,
        (10, 100) jointly and (0.3, 1) by Gauss-Newton.
    floor, power : float
        ε, from 0 to 1, and γ, at least 0; not used by "gauss_newton".
    momentum : float
        μ, in [0, 1).

    Raises
    ------
    ValueError
        If a parameter is out of range.

    References
    ----------
    C. Mehouachi and C. Kasmi, "Exact stochastic second order deep learning" (2021). Only the
    abstract is public: "an expression of the stochastic Hessian and its exact eigenvalues", "a
    closed-form formula for the exact stochastic second-order Newton direction", "regularization and
    spectral adjustment". This is a reconstruction from it, for piecewise-linear networks. The
    regularization, the hyperparameters and the experiments of the paper are unknown, and none of
    its results are claimed. Momentum, for one, is an addition.

    M. Korbit et al., "Exact Gauss-Newton optimization for training deep neural networks",
    arXiv:2405.14402 (abstract), for "gauss_newton": see `gauss_newton_direction`.

    Examples
    --------
    One step solves a linear least squares problem:

    >>> import numpy as np
    >>> from mcx_nn import Dense, Sequential, Supervised, mean_squared_error
    >>> from mcx_optim import Objective
    >>> objective = Objective.of(Supervised(Sequential([Dense(1, 1)]), mean_squared_error))
    >>> batch = np.array([[0.0], [1.0]]), np.array([[1.0], [3.0]])
    >>> optimizer = ExactStochasticNewton("gauss_newton", damping=1e-12)
    >>> w, info = optimizer.step(objective, np.zeros(2), batch)
    >>> w.round(6), info.loss
    (array([2., 1.]), 5.0)
    """

    def __init__(
        self,
        mode: str = "layer",
        lr=1.0,
        damping: float = 1.0,
        floor: float = 1e-3,
        power: float = 1.0,
        momentum: float = 0.0,
    ):
        self.mode = word("mode", mode, MODES)
        self.lr = rate_or_schedule(lr)
        self.momentum = fraction("momentum", momentum)
        self.adjustment = SpectralAdjustment(damping, floor, power)
        self._t = 0
        self._velocity = None

    def step(self, objective, w, batch):
        """Return w after one step on the batch, and its StepInfo.

        Raises
        ------
        ValueError
            If the network is not piecewise linear, with the layer that is not, if the L2 term does
            not count all parameters alike, or w is not like that of the steps before.
        NonFiniteError
            If the loss, the gradient or the step is not finite.
        """
        log = StepLog(objective)
        rate, ridge = learning_rate(self.lr, self._t), _one_number(objective.ridge)
        loss, g = objective.value_and_grad(w, batch)
        expect_alike(self, w, self._velocity)
        network = objective.piecewise_linear(w, batch)
        delta = self._direction(network, w, ridge)
        slope, damping = float(g @ delta), self.adjustment.damping
        if self.mode == "gauss_newton":
            log.note(predicted=(slope - damping * length(delta) ** 2) / 2)  # that of G without λ
        log.note(loss=loss, gradient_norm=length(g), samples=len(network.output))
        log.note(damping=damping, slope=slope, gamma=rate)
        old = 0.0 if self._velocity is None else self.momentum * self._velocity
        self._velocity = velocity = old + delta
        self._t += 1
        return w + rate * velocity, log.finish("accepted")

    def on_epoch(self, metrics):
        """Do nothing: schedules are of steps, not of epochs."""

    def state_dict(self):
        """Return the number of steps taken and the velocity."""
        return {} if self._velocity is None else {"t": self._t, "velocity": self._velocity}

    def load_state_dict(self, state):
        """Restore what `state_dict` returned."""
        self._t, self._velocity = int(state.get("t", 0)), state.get("velocity")

    def _direction(self, network, w, ridge):
        """Return Δ."""
        try:
            if self.mode == "gauss_newton":
                delta = gauss_newton_direction(network, self.adjustment.damping, w, ridge)
            else:
                delta = SampleHessians(network).direction(self.adjustment, self.mode, w, ridge)
        except np.linalg.LinAlgError:  # of matrices that are not finite
            delta = None
        if delta is None or not np.isfinite(delta).all():
            raise NonFiniteError(
                f"the step of mode {self.mode!r} is not finite, though the loss is: the curvature "
                "overflows; scale the inputs or w, or use float64"
            )
        return delta


def _one_number(ridge):
    """Return the strength of an L2 term that counts all parameters alike."""
    if np.ndim(ridge):
        raise ValueError(
            f"ridge: expected one number, got {len(ridge)}: with a mask the L2 term is not a "
            "multiple of the identity, which leaves the Hessians without their low rank; use "
            "L2Regularized without a mask, or NewtonKrylov"
        )
    return float(ridge)
