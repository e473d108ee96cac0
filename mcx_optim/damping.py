"""Damping λ of the curvature, and its adaptation to how far steps can be trusted."""

import math

from mcx_optim.krylov import length
from mcx_optim.settings import at_least


class Damped:
    """A + λ I for a curvature operator A, and λ ≥ 0."""

    def __init__(self, A, damping: float):
        self.A, self.damping = A, float(damping)

    def __matmul__(self, p):
        """Return A p + λ p for one direction p (P,)."""
        return self.A @ p + self.damping * p


class LevenbergMarquardt:
    """λ, which grows after steps that had to be cut and shrinks after those that had not.

    λ starts as `start` times |bᵀA b|/bᵀb of the first step's right-hand side b and curvature A, so
    that it scales with the loss. It is multiplied by 1.3 where no step size was accepted, or γ was
    cut to less than 0.05, and divided by 1.15 where γ = 1 was, down to 1e-5 of its first value.

    Parameters
    ----------
    start : float
        0 for none at all.

    Raises
    ------
    ValueError
        If `start` is negative.

    References
    ----------
    J. Martens, "Deep learning via Hessian-free optimization", ICML 2010, section 4.1, with the
    Taylor ratio in place of the reduction ratio.
    """

    GROW, SHRINK, SMALL, LEAST = 1.3, 1.15, 0.05, 1e-5

    def __init__(self, start: float):
        self.start = at_least("damping", start, 0)
        self.value = 0.0
        self._first = None

    def begin(self, A, b):
        """Set λ in the first step where A and b tell it; do nothing later on."""
        if self._first is None and self.start:
            unit = b / b.dtype.type(length(b))
            curvature = abs(float(unit @ (A @ unit)))
            if 0 < curvature < math.inf:
                self.value = self._first = self.start * curvature

    def adapt(self, gamma: float, accepted: bool):
        """Change λ after a step size γ."""
        if not accepted or gamma < self.SMALL:
            self.value *= self.GROW
        elif gamma == 1.0 and self._first:
            self.value = max(self.value / self.SHRINK, self.LEAST * self._first)

    def state_dict(self):
        """Return λ and its first value."""
        return {} if self._first is None else {"value": self.value, "first": self._first}

    def load_state_dict(self, state):
        """Restore what `state_dict` returned."""
        self.value = float(state.get("value", 0.0))
        self._first = float(state["first"]) if "first" in state else None
