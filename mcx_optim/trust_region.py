"""Trust-region Newton."""

import math

import numpy as np

from mcx_optim.hessian import Hessian
from mcx_optim.krylov import Status, length
from mcx_optim.settings import integer, number
from mcx_optim.steihaug import steihaug
from mcx_optim.step_info import StepLog

MAX_TRIALS = 40  # radii in one step
REDUCTION, GROWTH = 0.25, 2.0  # of the radius


class TrustRegion:
    """Newton steps with conjugate gradients within a radius Δ, which follows the model's success.

    One step with loss f, gradient g and Hessian H of the batch at w:

    1. p: `steihaug` on H p = -g within Δ, until ‖r‖ ≤ min(0.5, √(‖g‖/‖g₀‖)) ‖g‖, g₀ the first
       gradient of the run.
    2. ρ = (f(w) - f(w + p)) / (m(0) - m(p)) with m(p) = g·p + ½ pᵀHp.
    3. If ρ < `low`, or the loss there is not finite: Δ ← ¼‖p‖. If ρ > `high` and p is on the
       boundary: Δ ← min(2Δ, `max_radius`).
    4. If ρ > `accept`: w ← w + p. Otherwise again from 1, with the same H.

    Negative curvature is followed to the boundary. The step depends on the unit of w by the two
    radii, and not on that of the loss. Where no p is accepted, w and Δ stay as they are.

    Parameters
    ----------
    radius : float
        Δ of the first step, in the unit of w.
    max_radius : float
        Largest Δ.
    accept : float
        η, in [0, low).
    low, high : float
        Of ρ, 0 < low < high < 1.
    max_cg : int
        Largest number of products with H for one p.

    Raises
    ------
    ValueError
        If a parameter is out of range.

    References
    ----------
    Nocedal and Wright, Numerical Optimization, 2nd ed., Algorithms 4.1 and 7.2. Defaults: those of
    Optim.jl. Differs: ‖g‖ in the tolerance is relative to the first one; Δ shrinks to ¼‖p‖, not
    ¼Δ, so that a p inside is not found again; a step ends with a move, after several p if need be;
    10 eps |f| is added to both differences of the first ρ of a step, which is then 1 where rounding
    decides (Conn, Gould and Toint, Trust-Region Methods, SIAM 2000, section 17.4.2).

    Examples
    --------
    >>> import numpy as np
    >>> from mcx_optim import Objective
    >>> objective = Objective(lambda w, batch: (w @ w / 2, w))
    >>> optimizer, w = TrustRegion(radius=2.0), np.array([4.0, -3.0])
    >>> for _ in range(2):
    ...     w, info = optimizer.step(objective, w, None)
    ...     print(w, info.cg_status, optimizer.radius)
    [ 2.4 -1.8] BOUNDARY 4.0
    [0. 0.] CONVERGED 4.0
    """

    def __init__(
        self,
        radius: float = 1.0,
        max_radius: float = 100.0,
        accept: float = 0.1,
        low: float = 0.25,
        high: float = 0.75,
        max_cg: int = 200,
    ):
        self.radius, self.max_radius = number("radius", radius), number("max_radius", max_radius)
        self.accept, self.low = number("accept", accept), number("low", low)
        self.high = number("high", high)
        self.max_cg = integer("max_cg", max_cg, 1)
        if not 0 < self.radius <= self.max_radius < math.inf:
            raise ValueError(
                "radius, max_radius: expected numbers with 0 < radius <= max_radius, got "
                f"{radius}, {max_radius}"
            )
        if not 0 <= accept < low < high < 1:
            raise ValueError(
                "accept, low, high: expected 0 <= accept < low < high < 1, got "
                f"{accept}, {low}, {high}"
            )
        self._first_norm = None  # ‖g₀‖

    def step(self, objective, w, batch):
        """Return w after one step on the batch, and its StepInfo.

        Raises
        ------
        NonFiniteError
            If the loss or the gradient at w is not finite.
        """
        log = StepLog(objective)
        H = Hessian(objective, w, batch)
        norm = length(H.gradient)
        log.note(loss=H.loss, tracked_loss=H.loss, gradient_norm=norm)
        if norm == 0:
            return w, log.finish("skipped", "the gradient is zero")
        if self._first_norm is None:
            self._first_norm = norm
        radius = self.radius
        new = self._search(objective, w, batch, H, log)
        if new is not None:
            return new, log.finish("accepted")
        self.radius = radius
        if log.fields["cg_status"] == Status.NON_FINITE.name:
            return w, log.finish("skipped", "a product with the Hessian was not finite")
        return w, log.finish("skipped", "no radius decreases the loss as the model predicts")

    def on_epoch(self, metrics):
        """Do nothing: the radius changes in every step."""

    def state_dict(self):
        """Return the radius and the norm of the first gradient."""
        first = {} if self._first_norm is None else {"first_norm": self._first_norm}
        return {"radius": self.radius} | first

    def load_state_dict(self, state):
        """Restore what `state_dict` returned."""
        self.radius = float(state["radius"])
        self._first_norm = float(state["first_norm"]) if "first_norm" in state else None

    def _solve(self, H, norm):
        return steihaug(
            H,
            -H.gradient,
            self.radius,
            tolerance=min(0.5, math.sqrt(norm / self._first_norm)),
            max_iterations=self.max_cg,
        )

    def _search(self, objective, w, batch, H, log):
        """Return w + p for the first p that is accepted, or None."""
        noise, products = 10 * float(np.finfo(w.dtype).eps) * abs(H.loss), 0
        for trials in range(1, MAX_TRIALS + 1):
            solution = self._solve(H, log.fields["gradient_norm"])
            products += solution.iterations
            log.note(trials=trials, cg_iterations=products, cg_status=solution.status.name)
            new = w + solution.x
            if np.array_equal(new, w):
                return None
            slope = float(H.gradient @ solution.x)
            model = {"slope": slope, "predicted": slope + solution.curvature / 2}
            if trials == 1:
                log.note(**model)
            with np.errstate(all="ignore"):  # a trial may be out of range
                loss = objective.loss(new, batch)
            if self._judge(H.loss, loss, model["predicted"], noise, solution):
                residual = solution.residual_norm / log.fields["gradient_norm"]
                log.note(**model, new_loss=loss, new_tracked_loss=loss)
                log.note(gamma=1.0, cg_residual=residual)
                return new
            noise = 0.0
        return None

    def _judge(self, loss, new_loss, predicted, noise, solution):
        """Return whether p is accepted, and adapt the radius."""
        rho = -math.inf
        if math.isfinite(new_loss) and predicted < 0:
            rho = (loss - new_loss + noise) / (noise - predicted)
        if rho < self.low:
            self.radius = REDUCTION * length(solution.x)
        elif rho > self.high and solution.status in (Status.BOUNDARY, Status.NEGATIVE_CURVATURE):
            self.radius = min(GROWTH * self.radius, self.max_radius)
        return rho > self.accept
