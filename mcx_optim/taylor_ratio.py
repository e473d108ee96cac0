"""Globalization: the step size that keeps the second-order Taylor expansion true."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class StepSize:
    """A step size γ, the loss f(w + γΔ), its Taylor ratio, and how it was found."""

    gamma: float
    loss: float
    eta: float
    trials: int
    accepted: bool


def taylor_ratio(loss: float, new_loss: float, model: float) -> float:
    """Return η = |(f(w+γΔ) - f(w) - E_Q)/(f(w+γΔ) - f(w))|, the Taylor error per loss change.

    Parameters
    ----------
    loss, new_loss : float
        f(w) and f(w+γΔ), of one batch.
    model : float
        E_Q = γ g·Δ + ½ γ² ΔᵀHΔ with g and H of the same batch.

    Returns
    -------
    float
        η; infinite where f(w+γΔ) is not finite or equals f(w).

    References
    ----------
    Shen et al. (2020), equation 13.

    Examples
    --------
    >>> taylor_ratio(2.0, 1.0, -0.5)
    0.5
    """
    change = new_loss - loss
    if change == 0.0 or not math.isfinite(change):
        return math.inf
    return abs((change - model) / change)


def taylor_ratio_step(
    loss_at: Callable,
    loss: float,
    slope: float,
    curvature: float,
    *,
    eta: float,
    eps: float,
    most: float = 1.0,
    max_trials: int = 10,
) -> StepSize:
    """Choose γ in (0, most] such that the Taylor ratio is at most η̃.

    γ = 1 if that has η ≤ η̃. Otherwise γ ← √(0.75 η̃/η) γ, exact where η ∝ γ² (the error is of third
    order), by a factor of at least 0.1 and from the second time on at most 0.5. A γ that has
    η < η̃/2 grows, by 1.5 up to 1 and by 4 from there to `most`, unless that is known to be too
    large. Where E_Q < 0, η ≤ η̃ < 1
    implies f(w+γΔ) < f(w). A predicted change that rounding hides, |E_Q| < 10 eps |f|/η̃, accepts
    γ = 1 without a test, except that the loss must not rise by more than that bound.

    Parameters
    ----------
    loss_at : callable
        γ -> f(w + γΔ), which may be non-finite.
    loss, slope, curvature : float
        f(w), g·Δ < 0 and ΔᵀHΔ of the same batch, with g·Δ + ½ΔᵀHΔ < 0.
    eta : float
        Bound η̃.
    eps : float
        Machine epsilon of the loss.
    most : float
        Largest γ, at least 1: for models that fall without bound.
    max_trials : int
        Largest number of evaluations of `loss_at`.

    Returns
    -------
    StepSize
        The step; `accepted` is False if no trial met η̃, and then it is the trial with the lowest
        loss below f(w), or γ = 0 if there was none.

    References
    ----------
    Shen et al. (2020), Algorithm 1, lines 33-46; the factor √(0.75 η̃/η) is this library's,
    where the print halves.

    Examples
    --------
    >>> f = lambda w: w**2 + w**3
    >>> step = taylor_ratio_step(lambda gamma: f(1 - 0.6 * gamma), 2.0, -3.0, 2.88, eta=0.05,
    ...                          eps=2.2e-16)
    >>> step.accepted, step.eta <= 0.05, round(step.gamma, 2), step.trials
    (True, True, 0.56, 2)
    """
    noise = 10 * eps * abs(loss) / eta
    best = StepSize(0.0, loss, math.inf, max_trials, accepted=False)
    gamma, too_large = 1.0, math.inf
    for trial in range(1, max_trials + 1):
        new_loss = loss_at(gamma)
        model = gamma * slope + gamma**2 * curvature / 2
        ratio = taylor_ratio(loss, new_loss, model)
        hidden = gamma >= 1.0 and abs(model) < noise and new_loss - loss < noise
        step = StepSize(gamma, new_loss, ratio, trial, accepted=hidden or ratio <= eta)
        if step.accepted:
            limit, factor = (1.0, 1.5) if gamma < 1 else (most, 4.0)
            enough = ratio >= eta / 2 and not hidden
            if gamma >= limit or enough or factor * gamma >= too_large:
                return step
            best, gamma = step, min(limit, factor * gamma)
        elif best.accepted:
            return replace(best, trials=trial)
        else:
            best = step if new_loss < best.loss else best
            too_large = gamma
            gamma *= max(0.1, min(0.5 if trial > 1 else 1.0, math.sqrt(0.75 * eta / ratio)))
    return replace(best, trials=max_trials)
