"""Globalization: sufficient decrease and a slope that is flat enough, by cubic interpolation."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mcx_optim.scaled import power_of_two

GROWTH = (2.0, 10.0)  # of γ while no minimum is bracketed, at least and at most
INNER = 0.1  # of a bracket: a trial stays that far from its ends


@dataclass(frozen=True)
class Trial:
    """φ(γ) = f(w + γΔ) at one γ.

    Attributes
    ----------
    gamma, loss, slope : float
        γ, φ(γ) and φ'(γ). A loss that is not finite is an infinite one.
    gradient : array (P,) or None
        ∇f(w + γΔ), for the caller.
    """

    gamma: float
    loss: float
    slope: float
    gradient: Any = None


def strong_wolfe(
    trial_at: Callable,
    start: Trial,
    *,
    gamma: float = 1.0,
    c1: float = 1e-4,
    c2: float = 0.9,
    noise: float = 0.0,
    max_trials: int = 20,
) -> tuple[Trial, bool, int]:
    """Return a trial that meets the strong Wolfe conditions.

    φ(γ) ≤ φ(0) + c1 γ φ'(0)  and  |φ'(γ)| ≤ c2 |φ'(0)|.

    γ grows until a minimum is bracketed, then the bracket shrinks; both by the minimum of the cubic
    through two values and slopes. A loss that is not finite ends a bracket like a large one.

    Parameters
    ----------
    trial_at : callable
        γ -> `Trial`.
    start : Trial
        That of γ = 0, with slope < 0.
    gamma : float
        First trial.
    c1, c2 : float
        0 < c1 < c2 < 1.
    noise : float
        Rounding of the loss. Up to it the values decide nothing, and the first condition counts as
        met where φ'(γ) ≤ (2 c1 - 1) φ'(0), which is the same for a quadratic.
    max_trials : int
        Largest number of evaluations of `trial_at`.

    Returns
    -------
    trial : Trial
        The one that was found; without success the lowest with sufficient decrease, or `start`.
    met : bool
        Whether it meets both conditions.
    trials : int
        Evaluations of `trial_at`.

    References
    ----------
    Nocedal and Wright, Numerical Optimization, 2nd ed., Algorithms 3.5 and 3.6 (in one loop: the
    bracket of 3.5 has no upper end yet) and equation 3.59. W. Hager and H. Zhang, "A new conjugate
    gradient method with guaranteed descent and an efficient line search", SIAM J. Optim. 16 (2005),
    equation 4.1, for `noise`. Differs: where 3.5 and 3.6 leave the choice of γ open, it is 2 to 10
    times the last one, or inside of a bracket by a tenth at least; where an end of the bracket has
    no finite loss, a tenth of the way to it.

    Examples
    --------
    >>> def trial_at(gamma):
    ...     return Trial(gamma, (gamma - 3) ** 2, 2 * (gamma - 3))
    >>> trial, met, trials = strong_wolfe(trial_at, trial_at(0.0), c2=0.1)
    >>> trial.gamma, met, trials
    (3.0, True, 2)
    """

    def decreases(trial):
        if trial.loss <= start.loss + c1 * trial.gamma * start.slope:
            return True
        lost = abs(trial.loss - start.loss) <= noise
        return lost and trial.slope <= (2 * c1 - 1) * start.slope

    previous = low = start  # low: sufficient decrease, and downhill from there to high
    high = None
    for trials in range(1, max_trials + 1):
        trial = trial_at(gamma)
        if not decreases(trial) or trial.loss > low.loss + noise:
            high = trial
        elif abs(trial.slope) <= -c2 * start.slope:
            return trial, True, trials
        else:
            way = 1.0 if high is None else high.gamma - low.gamma
            if trial.slope * way >= 0:
                high = low
            previous, low = low, trial
        gamma = _beyond(previous, low) if high is None else _between(low, high)
    return low, False, max_trials


def _beyond(previous, last):
    """Return the γ after `last`, where φ still falls."""
    least, most = (growth * last.gamma for growth in GROWTH)
    found = _cubic_minimum(previous, last)
    return min(max(found, least), most) if found > last.gamma else most


def _between(low, high):
    """Return a γ inside the bracket."""
    width = high.gamma - low.gamma
    if not math.isfinite(high.loss):
        return low.gamma + INNER * width
    part = (_cubic_minimum(low, high) - low.gamma) / width if width else 0.5
    return low.gamma + width * (min(max(part, INNER), 1 - INNER) if math.isfinite(part) else 0.5)


def _cubic_minimum(a, b):
    """Return the minimizer of the cubic with the values and slopes of two trials, or NaN."""
    width = b.gamma - a.gamma
    if width == 0:
        return math.nan
    middle = a.slope + b.slope - 3 * (b.loss - a.loss) / width
    unit = power_of_two(max(abs(middle), abs(a.slope), abs(b.slope)))  # squares stay in range
    square = (middle / unit) ** 2 - (a.slope / unit) * (b.slope / unit)
    if not 0 <= square < math.inf:
        return math.nan
    root = math.copysign(unit * math.sqrt(square), width)
    below = b.slope - a.slope + 2 * root
    return b.gamma - width * (b.slope + root - middle) / below if below else math.nan
