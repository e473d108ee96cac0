"""Globalization: sufficient decrease of a tracked loss by backtracking."""

import math
from collections.abc import Callable


def armijo(
    loss_at: Callable,
    loss: float,
    slope: float,
    *,
    gamma: float = 1.0,
    c: float = 1e-4,
    shrink: float = 0.5,
    max_trials: int = 10,
) -> tuple[float, float]:
    """Return the first γ, γ·shrink, γ·shrink², … with f(w+γΔ) ≤ f(w) + c γ g·Δ.

    Parameters
    ----------
    loss_at : callable
        γ -> f(w + γΔ), which may be non-finite.
    loss, slope : float
        f(w) and g·Δ < 0.
    gamma : float
        First trial.
    c : float
        Fraction of the linear decrease that suffices.
    shrink : float
        Factor between trials.
    max_trials : int
        Largest number of evaluations of `loss_at`.

    Returns
    -------
    gamma, loss : float
        The step size and the loss there; (0, f(w)) if no trial decreases f enough.

    References
    ----------
    Nocedal and Wright, Numerical Optimization, 2nd ed., Algorithm 3.1.

    Examples
    --------
    >>> armijo(lambda gamma: (1 - 4 * gamma) ** 2, 1.0, -8.0)
    (0.25, 0.0)
    """
    for _ in range(max_trials):
        new_loss = loss_at(gamma)
        if math.isfinite(new_loss) and new_loss < loss and new_loss <= loss + c * gamma * slope:
            return gamma, new_loss
        gamma *= shrink
    return 0.0, loss
