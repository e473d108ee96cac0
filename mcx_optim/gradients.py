"""Right-hand sides of the Newton equation: what is known of the global gradient, at what price.

An estimator is called with (objective, w, batch, curvature) and returns an `Estimate`. The
curvature operator of the batch has its loss and gradient already.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from mcx_optim.krylov import length
from mcx_optim.settings import at_least, fraction, integer, positive


@dataclass(frozen=True)
class Estimate:
    """A right-hand side, and the function whose gradient it is.

    φ(v) = f(v; sample) + (gradient - sample_gradient)·(v - w) has the gradient `gradient` at w.

    Attributes
    ----------
    loss : float
        Best known value of the loss at w, for the log.
    gradient : array (P,)
        Estimate of ∇F(w).
    sample : tuple of arrays or None
        Samples of f.
    sample_loss, sample_gradient : float, array (P,)
        f(w; sample) and its gradient.
    exact : bool
        Whether loss and gradient are those of all data: only then do they screen batches, and must
        the loss of all data decrease.
    """

    loss: float
    gradient: Any
    sample: Any
    sample_loss: float
    sample_gradient: Any
    exact: bool = False

    @property
    def samples(self) -> int:
        """Samples of f."""
        return 1 if self.sample is None else len(self.sample[0])


class _Stateless:
    def state_dict(self):
        """Return nothing."""
        return {}

    def load_state_dict(self, state):
        """Do nothing."""


class BatchGradient(_Stateless):
    """The gradient of the batch itself, which costs nothing and knows nothing of other batches."""

    def __call__(self, objective, w, batch, curvature):
        """Return the `Estimate`."""
        loss, gradient = curvature.loss, curvature.gradient
        return Estimate(loss, gradient, batch, loss, gradient)


class GlobalGradient(_Stateless):
    """The gradient over all data, exact in every step: the paper's, and nine tenths of its time."""

    def __call__(self, objective, w, batch, curvature):
        """Return the `Estimate`."""
        loss, gradient = objective.full(w)
        known = curvature.loss, curvature.gradient
        return Estimate(loss, gradient, batch, *known, exact=True)


class GrowingSample:
    """The gradient of the batch and of a sample beside it that grows from step to step.

    Samples are taken in turn from permutations of all data.

    Parameters
    ----------
    first : int
        Samples of the first step, those of the batch included.
    growth : float
        Factor of every step.
    theta : float, optional
        With it the sample grows only as far as the norm test asks: until σ²/n ≤ θ² ‖g‖², with σ²
        the variance of the gradient of one sample as told by the gradients of batch and sample, by
        a factor of at most `growth`.
    most : int, optional
        Largest sample; default: all data.
    seed : int
        Of the permutations.

    Raises
    ------
    ValueError
        If a parameter is out of range.

    References
    ----------
    R. Byrd, G. Chin, J. Nocedal and Y. Wu, "Sample size selection in optimization methods for
    machine learning", Math. Program. 134 (2012), equation 3.3 for the norm test.
    """

    def __init__(
        self,
        first: int = 400,
        growth: float = 1.015,
        theta: float | None = None,
        most: int | None = None,
        seed: int = 0,
    ):
        self.first = integer("first", first, 1)
        self.growth = at_least("growth", growth, 1)
        self.theta = None if theta is None else positive("theta", theta)
        self.most = None if most is None else integer("most", most, 1)
        self.seed = integer("seed", seed, 0)
        self._size = float(first)
        self._pass = self._place = 0
        self._permutation = None

    def __call__(self, objective, w, batch, curvature):
        """Return the `Estimate`."""
        most = objective.samples if self.most is None else min(self.most, objective.samples)
        inside = 1 if batch is None else len(batch[0])
        size = min(int(self._size), most)
        if size == objective.samples > inside:
            loss, gradient = objective.value_and_grad(w, objective.data)
            return Estimate(loss, gradient, objective.data, loss, gradient)
        if batch is None or size <= inside:
            self._size = min(self._size * self.growth, objective.samples)
            return BatchGradient()(objective, w, batch, curvature)
        beside = objective.rows(self._next(size - inside, objective.samples))
        sample = tuple(np.concatenate(pair) for pair in zip(batch, beside, strict=True))
        share = inside / size
        if objective.separable:  # the batch is known already
            loss, gradient = objective.value_and_grad(w, beside)
            loss = loss + share * (curvature.loss - loss)
            gradient = gradient + share * (curvature.gradient - gradient)
        else:
            loss, gradient = objective.value_and_grad(w, sample)
        noise = (gradient - curvature.gradient) / (1 - share)
        self._size = min(self._wanted(noise, inside, size, gradient), most)
        return Estimate(loss, gradient, sample, loss, gradient)

    def state_dict(self):
        """Return the size and the place in the permutations."""
        return {"size": self._size, "pass": self._pass, "place": self._place}

    def load_state_dict(self, state):
        """Restore what `state_dict` returned."""
        self._size = float(state["size"])
        self._pass, self._place = int(state["pass"]), int(state["place"])
        self._permutation = None

    def _next(self, size, samples):
        """Return the indices of the next samples."""
        if self._place + size > samples:
            self._pass, self._place, self._permutation = self._pass + 1, 0, None
        if self._permutation is None:
            self._permutation = np.random.default_rng([self.seed, self._pass]).permutation(samples)
        start, self._place = self._place, self._place + size
        return self._permutation[start : self._place]

    def _wanted(self, noise, inside, size, gradient):
        """Return the size of the next sample."""
        if self.theta is None:
            return self._size * self.growth
        variance = length(noise) ** 2 / (1 / inside + 1 / (size - inside))
        bound = (self.theta * length(gradient)) ** 2
        most = self._size * self.growth
        return most if variance >= most * bound else max(self._size, variance / bound)


class VarianceReduced:
    """The gradient of the batch, corrected by the one over all data at a snapshot w̃.

    g = ∇f_j(w) - ∇f_j(w̃) + ∇F(w̃), with a new snapshot every `period` steps.

    Parameters
    ----------
    period : int
        Steps from one snapshot to the next.

    Raises
    ------
    ValueError
        If `period` is less than 1.

    References
    ----------
    R. Johnson and T. Zhang, "Accelerating stochastic gradient descent using predictive variance
    reduction", NIPS 2013.
    """

    def __init__(self, period: int = 20):
        self.period = integer("period", period, 1)
        self._steps = 0
        self._snapshot = self._gradient = None

    def __call__(self, objective, w, batch, curvature):
        """Return the `Estimate`."""
        loss, gradient = curvature.loss, curvature.gradient
        if self._steps % self.period == 0:
            self._snapshot, self._gradient = w.copy(), objective.full(w)[1]
        self._steps += 1
        if np.array_equal(w, self._snapshot):
            return Estimate(loss, self._gradient, batch, loss, gradient)
        change = gradient - objective.grad(self._snapshot, batch)
        return Estimate(loss, self._gradient + change, batch, loss, gradient)

    def state_dict(self):
        """Return the snapshot and its age."""
        if self._snapshot is None:
            return {}
        return {"steps": self._steps, "snapshot": self._snapshot, "gradient": self._gradient}

    def load_state_dict(self, state):
        """Restore what `state_dict` returned."""
        self._steps = int(state.get("steps", 0))
        self._snapshot, self._gradient = state.get("snapshot"), state.get("gradient")


class MovingAverage:
    """The mean of the gradients of this batch and of those before it, decaying with their age.

    Parameters
    ----------
    decay : float
        Weight of the old mean, in [0, 1). The old gradients are those of other w, so that the
        estimate is biased where w moves, and nothing bounds the loss: keep steps short by damping.

    Raises
    ------
    ValueError
        If `decay` is out of range.
    """

    def __init__(self, decay: float = 0.9):
        self.decay = fraction("decay", decay)
        self._steps = 0
        self._mean = None

    def __call__(self, objective, w, batch, curvature):
        """Return the `Estimate`."""
        loss, gradient = curvature.loss, curvature.gradient
        self._steps += 1
        new = max(1 - self.decay, 1 / self._steps)
        old = gradient if self._mean is None else self._mean
        self._mean = old + new * (gradient - old)
        return Estimate(loss, self._mean, batch, loss, gradient)

    def state_dict(self):
        """Return the mean and the number of gradients in it."""
        return {} if self._mean is None else {"steps": self._steps, "mean": self._mean}

    def load_state_dict(self, state):
        """Restore what `state_dict` returned."""
        self._steps, self._mean = int(state.get("steps", 0)), state.get("mean")


NAMED = {"batch": BatchGradient, "global": GlobalGradient}
"""Estimators without settings, by the names that `NewtonKrylov` knows them by."""


def estimator(rhs):
    """Return the estimator of the gradient that `rhs` names or is.

    Raises
    ------
    ValueError
        If it is neither.
    """
    if isinstance(rhs, type) or not hasattr(rhs, "state_dict"):
        if not isinstance(rhs, str) or rhs not in NAMED:
            expected = " or ".join(map(repr, NAMED))
            raise ValueError(f"rhs: expected {expected} or an estimator, got {rhs!r}")
        return NAMED[rhs]()
    return rhs
