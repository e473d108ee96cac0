"""L-BFGS."""

import math

import numpy as np

from mcx_optim.errors import NonFiniteError
from mcx_optim.krylov import length
from mcx_optim.scaled import power_of_two
from mcx_optim.settings import integer, number
from mcx_optim.state import expect_alike
from mcx_optim.step_info import StepLog
from mcx_optim.wolfe import Trial, strong_wolfe

LEAST_CURVATURE = 1e-10  # s·y of a pair, in units of ‖s‖ ‖y‖


class LBFGS:
    """Limited-memory BFGS: steps along -B⁻¹g, B⁻¹ from the last pairs (s, y), by strong Wolfe.

    s = w' - w and y = g' - g of one step. B⁻¹g by the two-loop recursion from (s·y/y·y) I of the
    last pair; a pair with s·y < 1e-10 ‖s‖ ‖y‖ is left out, so that B stays positive definite. The
    line search begins with γ = 1; along -g with s·y/y·y of the last pair, without one with 1/‖g‖₁.
    No step depends on the unit of the loss.

    For the loss of all data, `Objective.full`: differences of gradients of different batches are
    noise. The gradient where a step ends is that where the next one begins, at no cost.

    Parameters
    ----------
    history : int
        Largest number of pairs.
    c1, c2 : float
        Of the strong Wolfe conditions, 0 < c1 < c2 < 1 and c1 < 1/2.
    max_trials : int
        Largest number of gradients in a line search. Where it fails along -B⁻¹g, the pairs are
        dropped and -g is tried.

    Raises
    ------
    ValueError
        If a parameter is out of range.

    References
    ----------
    Nocedal and Wright, Numerical Optimization, 2nd ed., Algorithms 7.4 and 7.5 with equation 7.20;
    settings from there: c1 = 1e-4, c2 = 0.9 (section 3.1), 3 to 20 pairs. Differs: pairs of too
    little curvature, the first step and the restart, all as said above; see also `strong_wolfe`.

    Examples
    --------
    >>> import numpy as np
    >>> from mcx_optim import Objective
    >>> objective = Objective(lambda w, batch: (w @ (w * [1.0, 9.0]) / 2, w * [1.0, 9.0]))
    >>> optimizer, w = LBFGS(c2=0.1), np.array([9.0, 1.0])
    >>> for _ in range(3):
    ...     w, info = optimizer.step(objective, w, None)
    >>> bool(np.max(np.abs(w)) < 1e-8), info.outcome
    (True, 'accepted')
    """

    def __init__(self, history: int = 10, c1: float = 1e-4, c2: float = 0.9, max_trials: int = 20):
        self.history = integer("history", history, 1)
        self.max_trials = integer("max_trials", max_trials, 1)
        self.c1, self.c2 = number("c1", c1), number("c2", c2)
        if not (0 < c1 < c2 < 1 and c1 < 0.5):
            raise ValueError(f"c1, c2: expected 0 < c1 < c2 < 1 and c1 < 0.5, got {c1}, {c2}")
        self._pairs = []  # (s, y), the newest last

    def step(self, objective, w, batch):
        """Return w after one step, and its StepInfo.

        Raises
        ------
        NonFiniteError
            If the loss or the gradient at w is not finite. Along the line search they may be.
        ValueError
            If the batch is not all data, or w is not like that of the steps before.
        """
        if batch is not None and len(batch[0]) != objective.samples:
            raise ValueError(
                f"LBFGS: expected all {objective.samples} samples in the batch, got "
                f"{len(batch[0])}; leave out batch_size, or use NewtonKrylov for batches"
            )
        log = StepLog(objective)
        loss, g = objective.full(w)
        expect_alike(self, w, *(s for s, _ in self._pairs))
        log.note(loss=loss, tracked_loss=loss, gradient_norm=length(g))
        if not g.any():
            return w, log.finish("skipped", "the gradient is zero")
        found = self._search(objective, w, loss, g, log, 1.0) if self._pairs else None
        restarted = bool(self._pairs) and found is None
        if found is None:
            first, self._pairs = self._along_gradient(g), []
            found = self._search(objective, w, loss, g, log, first)
        if found is None:
            return w, log.finish("skipped", "no step size decreases the loss")
        trial, met, new = found
        self._remember(new - w, trial.gradient - g)
        log.note(gamma=trial.gamma, new_loss=trial.loss, new_tracked_loss=trial.loss)
        if restarted:
            return new, log.finish("fallback", "a gradient step: none along -B⁻¹g decreases f")
        if not met:
            return new, log.finish("fallback", "no trial met the strong Wolfe conditions")
        return new, log.finish("accepted")

    def on_epoch(self, metrics):
        """Do nothing: no setting changes between epochs."""

    def state_dict(self):
        """Return the pairs, as rows. The last gradient is in the state of the objective."""
        if not self._pairs:
            return {}
        S, Y = zip(*self._pairs, strict=True)
        return {"S": np.stack(S), "Y": np.stack(Y)}

    def load_state_dict(self, state):
        """Restore what `state_dict` returned."""
        self._pairs = list(zip(state["S"], state["Y"], strict=True)) if "S" in state else []

    def _along_gradient(self, g):
        """Return the γ of the first trial along -g."""
        if not self._pairs:
            return 1 / float(np.sum(np.abs(g)))
        s, y = self._pairs[-1]
        return abs(float(s @ y)) / float(y @ y)

    def _search(self, objective, w, loss, g, log, first):
        """Return a trial along -B⁻¹g, whether it meets the conditions, and w there; or None."""
        delta = -self._solve(g)
        start = Trial(0.0, loss, float(g @ delta), g)
        log.note(slope=start.slope)
        if self._pairs:  # of -g no model tells how far to go
            log.note(predicted=start.slope / 2)
        if not -math.inf < start.slope < 0:
            return None

        def trial_at(gamma):
            try:
                new_loss, gradient = objective.full(w + gamma * delta)
            except NonFiniteError:
                return Trial(gamma, math.inf, math.nan)
            return Trial(gamma, new_loss, float(gradient @ delta), gradient)

        with np.errstate(all="ignore"):  # a trial may be out of range
            trial, met, trials = strong_wolfe(
                trial_at,
                start,
                gamma=first,
                c1=self.c1,
                c2=self.c2,
                noise=10 * float(np.finfo(w.dtype).eps) * abs(loss),
                max_trials=self.max_trials,
            )
        log.note(trials=log.fields.get("trials", 0) + trials)
        return (trial, met, w + trial.gamma * delta) if met or trial.loss < loss else None

    def _solve(self, g):
        """Return B⁻¹g by the two-loop recursion."""
        z, alphas = g, []
        for s, y in reversed(self._pairs):
            alphas.append(float(s @ z) / float(s @ y))
            z = z - alphas[-1] * y
        if self._pairs:
            s, y = self._pairs[-1]
            z = (float(s @ y) / float(y @ y)) * z
        for (s, y), alpha in zip(self._pairs, reversed(alphas), strict=True):
            z = z + (alpha - float(y @ z) / float(s @ y)) * s
        return z

    def _remember(self, s, y):
        """Add a pair of enough curvature, and drop the oldest if there are too many.

        B is that of (s, y) in any common unit: in this one s·y is near 1 or less. A pair whose
        products lose digits to underflow even so is of no curvature.
        """
        unit = s.dtype.type(power_of_two(length(s) ** 0.5 * length(y) ** 0.5))
        s, y = s / unit, y / unit
        curvature, limits = float(s @ y), np.finfo(s.dtype)
        visible = min(curvature, float(y @ y)) > float(limits.tiny) / float(limits.eps)
        if visible and curvature > LEAST_CURVATURE * length(s) * length(y):
            self._pairs = [*self._pairs, (s, y)][-self.history :]
