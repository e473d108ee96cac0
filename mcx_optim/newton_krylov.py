"""The stochastic Newton-Krylov trainer: Hessian x truncated CG x Taylor ratio."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from mcx_optim import algorithm1
from mcx_optim.armijo import armijo
from mcx_optim.cg import truncated_cg
from mcx_optim.hessian import Hessian
from mcx_optim.step_info import StepLog
from mcx_optim.taylor_ratio import taylor_ratio_step

OVERPROJECTION = 1.1


@dataclass(frozen=True)
class _Direction:
    """Direction Δ with b·Δ and ΔᵀHΔ."""

    delta: Any
    slope: float
    curvature: float

    @property
    def predicted(self):
        """E_Q, the change of the quadratic model at γ = 1."""
        return self.slope + self.curvature / 2


class NewtonKrylov:
    """Newton steps H Δ = -g by truncated CG, with the Hessian of one batch.

    One step on batch j with loss f_j, gradient g_j and Hessian H_j at w:

    1. g = ∇F(w), the gradient over all data. Skip the batch if g_j·g < 0 (`screening`).
    2. CG on H_j Δ = -b until ‖r‖ ≤ min(tolerance, √(‖b‖/‖b₀‖)) ‖b‖, with b = g or g_j (`rhs`) and
       b₀ the first b of the run. It ends early at a direction of negative curvature.
    3. If Δ·g > 0, remove 1.1 times the component of Δ along g (`screening`).
    4. Skip unless b·Δ < 0 and E_Q = b·Δ + ½ΔᵀH_jΔ < 0. Choose γ ≤ 1 by the Taylor ratio, at most
       `eta`, of the function whose model E_Q is: f_j if b = g_j, else f_j(v) + (g - g_j)·(v - w).
    5. With b = g, halve γ until F decreases by 1e-4 γ g·Δ. Then w ← w + γΔ.

    All tests are relative: scaling the loss scales no step, save where H b = 0 leaves -b as the
    only direction.

    Parameters
    ----------
    eta : float
        Bound η̃ of the Taylor ratio, in (0, 1); 0.01 to 0.2 work.
    max_cg : int
        Largest number of Hessian-vector products in a step.
    tolerance : float
        Largest relative residual of CG, in (0, 1).
    rhs : {"global", "batch"}
        Right-hand side: the gradient over all data, exact every step, or that of the batch.
    screening : bool
        Whether to screen batches (1) and directions (3) by the gradient over all data. Without
        it, ``rhs="batch"`` never looks beyond the batch.
    negative_curvature : {"follow", "stop"}
        Whether to step along the direction of negative curvature that ends CG (see
        `truncated_cg`), which is what leaves saddles and plateaus, or to keep what was found
        before it, as the paper does.
    literal : bool
        Algorithm 1 as printed, for comparison: see `mcx_optim.algorithm1`. Uses `eta`, `max_cg`
        and `tolerance` only.

    References
    ----------
    Shen et al., "Second-order neural network training using complex-step directional derivative"
    (2020), Algorithm 1. Roosta-Khorasani and Mahoney, "Sub-sampled Newton methods" (2016), for
    the full gradient with a sub-sampled Hessian. Shamir, Srebro and Zhang, "Communication-efficient
    distributed optimization using an approximate Newton-type method" (2014), for the function of 4.

    Examples
    --------
    A convex quadratic takes one step:

    >>> import numpy as np
    >>> from mcx_optim import NewtonKrylov, Objective
    >>> A, b = np.array([[4.0, 1.0], [1.0, 3.0]]), np.array([1.0, 2.0])
    >>> objective = Objective(lambda w, batch: (w @ (A @ w) / 2 - w @ b, A @ w - b))
    >>> w, info = NewtonKrylov(tolerance=1e-12).step(objective, np.zeros(2), None)
    >>> bool(np.allclose(A @ w, b)), info.outcome, info.gamma, info.cg_status
    (True, 'accepted', 1.0, 'CONVERGED')
    """

    def __init__(
        self,
        eta: float = 0.05,
        max_cg: int = 20,
        tolerance: float = 0.1,
        rhs: str = "global",
        screening: bool = True,
        negative_curvature: str = "follow",
        literal: bool = False,
    ):
        for name, value in (("eta", eta), ("tolerance", tolerance)):
            if not 0 < value < 1:
                raise ValueError(f"{name}: expected a number in (0, 1), got {value}")
        if max_cg < 1:
            raise ValueError(f"max_cg: expected at least 1 iteration, got {max_cg}")
        if rhs not in ("global", "batch"):
            raise ValueError(f"rhs: expected 'global' or 'batch', got {rhs!r}")
        if negative_curvature not in ("follow", "stop"):
            raise ValueError(
                f"negative_curvature: expected 'follow' or 'stop', got {negative_curvature!r}"
            )
        self.eta = eta
        self.max_cg = max_cg
        self.tolerance = tolerance
        self.rhs = rhs
        self.screening = screening
        self.negative_curvature = negative_curvature
        self.literal = literal
        self._first_norm = None  # ‖b₀‖

    def step(self, objective, w, batch):
        """Return w after one step on the batch, and its StepInfo.

        Raises
        ------
        NonFiniteError
            If the loss or the gradient at w is not finite.
        """
        log = StepLog(objective)
        if self.literal:
            return algorithm1.step(objective, w, batch, log, self.eta, self.max_cg, self.tolerance)
        H = Hessian(objective, w, batch)
        seen = self.rhs == "global" or self.screening
        full, g = objective.full(w) if seen else (None, H.gradient)
        tracked, b = (full, g) if self.rhs == "global" else (H.loss, H.gradient)
        log.note(loss=H.loss, tracked_loss=tracked)
        if self.screening and H.gradient @ g < 0:
            return w, log.finish("skipped", "the batch gradient opposes the full gradient")
        direction = self._direction(H, b, g, log)
        log.note(slope=direction.slope, predicted=direction.predicted)
        if not (direction.slope < 0 and direction.predicted < 0):
            return w, log.finish("skipped", "no direction that decreases the quadratic model")
        gamma, fits = self._step_size(objective, w, batch, H, tracked, direction, log)
        if gamma == 0:
            return w, log.finish("skipped", "no step size decreases the tracked loss")
        w = w + gamma * direction.delta
        if fits:
            return w, log.finish("accepted")
        return w, log.finish("fallback", "no trial met the Taylor ratio; took the best decrease")

    def on_epoch(self, metrics):
        """Do nothing: no setting changes between epochs."""

    def state_dict(self):
        """Return the norm of the first right-hand side."""
        return {} if self._first_norm is None else {"first_norm": self._first_norm}

    def load_state_dict(self, state):
        """Restore what `state_dict` returned."""
        self._first_norm = float(state["first_norm"]) if "first_norm" in state else None

    def _direction(self, H, b, g, log):
        """Solve H Δ = -b and turn Δ against g."""
        norm = math.sqrt(float(b @ b))
        if self._first_norm is None:
            self._first_norm = norm
        ratio = norm / self._first_norm if self._first_norm else 1.0
        solution = truncated_cg(
            H,
            -b,
            tolerance=min(self.tolerance, math.sqrt(ratio)),
            max_iterations=self.max_cg,
            follow=self.negative_curvature == "follow",
        )
        log.note(
            gradient_norm=norm,
            cg_iterations=solution.iterations,
            cg_status=solution.status.name,
            cg_residual=solution.residual_norm / norm if norm else 0.0,
        )
        delta, curvature = solution.x, solution.curvature
        ascent = float(delta @ g)
        if self.screening and ascent > 0:
            delta = delta - (OVERPROJECTION * ascent / float(g @ g)) * g
            curvature = float(delta @ (H @ delta))
        return _Direction(delta, float(b @ delta), curvature)

    def _step_size(self, objective, w, batch, H, tracked, direction, log):
        """Return γ, 0 if none will do, and whether it meets the Taylor ratio."""
        delta, slope = direction.delta, direction.slope
        shift = slope - float(H.gradient @ delta)
        with np.errstate(over="ignore", invalid="ignore"):  # a trial may be out of range
            size = taylor_ratio_step(
                lambda gamma: objective.loss(w + gamma * delta, batch) + gamma * shift,
                H.loss,
                slope,
                direction.curvature,
                eta=self.eta,
                eps=float(np.finfo(w.dtype).eps),
            )
            gamma, new_tracked = size.gamma, size.loss
            if self.rhs == "global" and gamma > 0:
                gamma, new_tracked = armijo(
                    lambda gamma: objective.full_loss(w + gamma * delta),
                    tracked,
                    slope,
                    gamma=gamma,
                )
        log.note(trials=size.trials, gamma=gamma, new_tracked_loss=new_tracked)
        if gamma == size.gamma:
            eta = size.eta if math.isfinite(size.eta) else None
            log.note(new_loss=size.loss - gamma * shift, eta=eta)
        return gamma, size.accepted
