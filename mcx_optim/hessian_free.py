"""Hessian-free optimization: damped Gauss-Newton steps by conjugate gradients, cut short."""

import math

import numpy as np

from mcx_optim.armijo import armijo
from mcx_optim.cg_path import backtrack, minimize_quadratic
from mcx_optim.damping import Damped
from mcx_optim.gradients import estimator
from mcx_optim.krylov import Status, length
from mcx_optim.newton_krylov import CURVATURES
from mcx_optim.settings import fraction, integer, positive, word
from mcx_optim.state import entries, expect_alike, expect_made_of, made_of, nested
from mcx_optim.step_info import StepLog

MAX_TRIALS = 40  # λ in one step
NO_DECREASE = "no step size decreases the tracked loss"


class HessianFree:
    """Steps that minimize q(p) = g·p + ½ pᵀ(G + λI)p, G the Gauss-Newton matrix of one batch.

    1. Conjugate gradients from `warm_start` times their last solution, until i > k, q(p_i) < 0 and
       q(p_i) - q(p_{i-k}) > kε q(p_i), k = max(10, i/10). The iterates p_i with i = ⌈1.3ʲ⌉ are
       kept, and the last one, p_N.
    2. The loss at p_N, and at the iterates kept before it for as long as it decreases: p.
    3. λ ← 3/2 λ where ρ = (f(w + p_N) - f(w))/q(p_N) is below 1/4, λ ← 2/3 λ where above 3/4.
    4. γ = 1, 0.8, 0.8², … until f(w + γp) ≤ f(w) + 0.01 γ g·p: w ← w + γp. Where no γ will do,
       again from 1 with the same G and 3/2 λ, (3/2)² times that, and so on; after 40 of them, or
       where rounding hides what is left, the step is left out and λ is what it was.

    Parameters
    ----------
    damping : float
        λ > 0 of the first step, in units of G.
    max_cg : int
        Largest number of iterations of conjugate gradients; of 250 of them 21 iterates are kept.
    tolerance : float
        ε of 1.
    warm_start : float
        In [0, 1].
    preconditioner : Diagonal or Kronecker, optional
        Of conjugate gradients, updated once a step.
    curvature : {"gauss_newton", "hessian"}
        G. With the Hessian conjugate gradients end where they meet negative curvature, along a d;
        if that is at once, λ becomes 3/2 of the least one with dᵀ(G + λI)d ≥ 0, again from 1.
    rhs : {"global", "batch"} or estimator
        Where g comes from, see `NewtonKrylov`. "global": all data, which 4 then looks at, too.
    seed : int
        Of the draws of the preconditioner.

    Raises
    ------
    ValueError
        If a parameter is out of range or not one of the words.

    References
    ----------
    J. Martens, "Deep learning via Hessian-free optimization", ICML 2010, sections 4.1 to 4.8 and
    algorithm 2; J. Martens and I. Sutskever, "Training deep and recurrent networks with
    Hessian-free optimization", LNCS 7700 (2012), for the decay of the start. ε, k, the spacing of
    the iterates, the factors of λ and the numbers of the line search are theirs, λ = 1 at first
    that of L. Tatzel's implementation. Differs:

    - where g is not the gradient of the batch, f in 2 and 3 is the loss of the batch plus the
      difference of the gradients times p, which has the gradient g, as q has;
    - a start with q ≥ 0 is left out, so that every p_i is a descent direction;
    - λ stays where rounding of the loss hides the change that is predicted, unless that is for λ
      alone: then λ becomes pᵀGp/pᵀp, again from 1;
    - a step ends with a move, after several λ if need be;
    - conjugate gradients also end where ‖r‖ ≤ eps ‖g‖, and 4 after 20 trials;
    - no structural damping, and no preconditioner unless given.

    Examples
    --------
    >>> import numpy as np
    >>> from mcx_optim import Objective
    >>> A, b = np.array([[4.0, 1.0], [1.0, 3.0]]), np.array([1.0, 2.0])
    >>> objective = Objective(lambda w, batch: (w @ (A @ w) / 2 - w @ b, A @ w - b))
    >>> optimizer, w = HessianFree(damping=1.0, curvature="hessian"), np.zeros(2)
    >>> for _ in range(12):
    ...     w, info = optimizer.step(objective, w, None)
    >>> bool(np.allclose(A @ w, b, atol=1e-5)), info.reason[:9]
    (True, 'converged')
    """

    LOW, HIGH, GROW, SHRINK = 1 / 4, 3 / 4, 3 / 2, 2 / 3

    def __init__(
        self,
        damping: float = 1.0,
        max_cg: int = 250,
        tolerance: float = 5e-4,
        warm_start: float = 0.95,
        preconditioner=None,
        curvature: str = "gauss_newton",
        rhs="global",
        seed: int = 0,
    ):
        self.damping = positive("damping", damping)
        self.max_cg = integer("max_cg", max_cg, 1)
        self.tolerance = fraction("tolerance", tolerance, "()")
        self.warm_start = fraction("warm_start", warm_start, "[]")
        self.preconditioner = preconditioner
        self.curvature = word("curvature", curvature, CURVATURES)
        self.rhs = estimator(rhs)
        self.seed = integer("seed", seed, 0)
        self._steps = 0
        self._last = None  # p_N of the last step

    def step(self, objective, w, batch):
        """Return w after one step on the batch, and its StepInfo.

        Raises
        ------
        NonFiniteError
            If the loss or the gradient at w is not finite.
        ValueError
            If w is not like that of the steps before.
        """
        log = StepLog(objective)
        A = CURVATURES[self.curvature](objective, w, batch)
        expect_alike(self, w, self._last)
        estimate = self.rhs(objective, w, batch, A)
        log.note(
            loss=A.loss,
            tracked_loss=estimate.loss,
            gradient_norm=length(estimate.gradient),
            samples=estimate.samples,
            damping=self.damping,
        )
        if not estimate.gradient.any():
            return w, log.finish("skipped", "the gradient is zero")
        if self.preconditioner is not None:
            rng = np.random.default_rng([self.seed, self._steps])
            self.preconditioner.update(objective, w, batch, rng)
        first = self.damping
        new, failure = self._move(objective, w, A, estimate, log)
        self._steps += 1
        if failure:
            self.damping = first
            return w, log.finish("skipped", failure)
        return new, log.finish("accepted")

    def on_epoch(self, metrics):
        """Do nothing: no setting changes between epochs."""

    def state_dict(self):
        """Return what the next step depends on, as a flat dict."""
        state = {"parts": made_of(self._parts()), "damping": self.damping, "steps": self._steps}
        if self._last is not None:
            state["last"] = self._last
        state |= nested(**{name: part.state_dict() for name, part in self._parts().items()})
        return state

    def load_state_dict(self, state):
        """Restore what `state_dict` returned."""
        expect_made_of(self._parts(), state)
        self.damping, self._steps = float(state["damping"]), int(state["steps"])
        self._last = state.get("last")
        for name, part in self._parts().items():
            part.load_state_dict(entries(state, name))

    def _parts(self):
        """Return the parts that have a state of their own."""
        parts = {"rhs": self.rhs, "preconditioner": self.preconditioner}
        return {name: part for name, part in parts.items() if part is not None}

    def _move(self, objective, w, A, estimate, log):
        """Return w + γp, or None and why there is none, and adapt λ."""
        failure, boldest = None, 0.0
        for trials in range(1, MAX_TRIALS + 1):
            damping = self.damping
            path = self._path(A, estimate.gradient, log)
            if not path.kept:
                failure = failure or f"no direction: {path.status.value}"
                if path.status is Status.NON_FINITE:
                    break
                self.damping = self.GROW * (damping - path.curvature)
                continue
            p, gamma = self._search(objective, w, estimate, path, log)
            if gamma:
                self._last = path.kept[-1].p
                return w + gamma * p, None
            boldest = min(boldest, log.fields["predicted"])
            log.note(predicted=boldest)
            rounding = _rounding(estimate, w)
            if -path.kept[-1].q > rounding:
                failure = NO_DECREASE
                self.damping = self.GROW**trials * damping
                continue
            if failure == NO_DECREASE:
                break
            failure = "converged: the predicted decrease is lost in the rounding of the loss"
            curvature, decrease = along(p, A, estimate.gradient)
            if not (curvature < damping and decrease > rounding):
                break
            self.damping = curvature
        return None, failure

    def _path(self, A, g, log):
        """Minimize q, and note in the log how that went."""
        inverse = None if self.preconditioner is None else self.preconditioner.damped(self.damping)
        start = None if self._last is None else self.warm_start * self._last
        with np.errstate(over="ignore", invalid="ignore"):  # λ may be out of range
            path = minimize_quadratic(
                Damped(A, self.damping), g, start, inverse, self.tolerance, self.max_cg
            )
        log.note(
            damping=self.damping,
            cg_iterations=log.fields.get("cg_iterations", 0) + path.products,
            cg_status=path.status.name,
            cg_residual=path.residual_norm / length(g),
        )
        return path

    def _search(self, objective, w, estimate, path, log):
        """Return p and γ, 0 if none will do, and adapt λ."""
        g, trials = estimate.gradient, log.fields.get("trials", 0)
        shift = g - estimate.sample_gradient

        def loss_at(p):
            nonlocal trials
            trials += 1
            return objective.loss(w + p, estimate.sample) + float(shift @ p)

        def tracked_at(gamma):
            nonlocal trials
            if estimate.exact:
                trials += 1
                return objective.full_loss(w + gamma * p)
            return loss if gamma == 1 else loss_at(gamma * p)

        with np.errstate(over="ignore", invalid="ignore"):  # a trial may be out of range
            last = loss_at(path.kept[-1].p)
            best, loss = backtrack(loss_at, path.kept, last)
            p, slope = best.p, float(g @ best.p)
            log.note(slope=slope, predicted=best.q - self.damping / 2 * length(p) ** 2)
            if -path.kept[-1].q > _rounding(estimate, w):
                self._adapt((last - estimate.sample_loss) / path.kept[-1].q)
            tracked = estimate.loss if estimate.exact else estimate.sample_loss
            gamma, tracked = (
                armijo(tracked_at, tracked, slope, c=0.01, shrink=0.8, max_trials=20)
                if slope < 0
                else (0.0, tracked)
            )
        log.note(gamma=gamma, trials=trials, new_tracked_loss=tracked)
        if gamma == 1:
            log.note(new_loss=loss - float(shift @ p))
        return p, gamma

    def _adapt(self, rho):
        """Change λ by the reduction ratio ρ, which is not finite where the loss is not."""
        if not math.isfinite(rho) or rho < self.LOW:
            self.damping *= self.GROW
        elif rho > self.HIGH:
            self.damping *= self.SHRINK


def along(p, A, g):
    """Return |pᵀAp|/pᵀp, and the decrease that the model of g and that curvature has along p."""
    u = p / p.dtype.type(length(p) or 1.0)
    curvature, slope = abs(float(u @ (A @ u))), float(g @ u)
    return curvature, slope / (curvature or math.inf) * slope / 2


def _rounding(estimate, w):
    """Return what rounding makes of the loss."""
    return 10 * float(np.finfo(w.dtype).eps) * abs(estimate.sample_loss)
