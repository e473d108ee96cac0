"""Adam."""

import math

import numpy as np

from mcx_optim.step_info import StepLog


class Adam:
    """Adam: steps of the size of the learning rate, scaled by running moments of the gradient.

    m ← β₁ m + (1-β₁) g,  v ← β₂ v + (1-β₂) g²,
    w ← w - lr (m/(1-β₁ᵗ)) / (√(v/(1-β₂ᵗ)) + ε),  t = 1, 2, …

    Parameters
    ----------
    lr : float
        Learning rate.
    beta1, beta2 : float
        Decay of the two moments, in [0, 1).
    epsilon : float
        ε, outside the root.

    References
    ----------
    Kingma and Ba, "Adam: A method for stochastic optimization", ICLR 2015, Algorithm 1.

    Examples
    --------
    >>> import numpy as np
    >>> from mcx_optim import Adam, Objective
    >>> objective = Objective(lambda w, batch: (w @ w / 2, w))
    >>> w, info = Adam(lr=0.5).step(objective, np.array([2.0, -4.0]), None)
    >>> w.round(6), info.loss
    (array([ 1.5, -3.5]), 10.0)
    """

    def __init__(
        self,
        lr: float = 0.001,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
    ):
        if not lr > 0:
            raise ValueError(f"lr: expected a positive number, got {lr}")
        if not (0 <= beta1 < 1 and 0 <= beta2 < 1):
            raise ValueError(f"beta1, beta2: expected numbers in [0, 1), got {beta1}, {beta2}")
        if not epsilon > 0:
            raise ValueError(f"epsilon: expected a positive number, got {epsilon}")
        self.lr = lr
        self.beta1 = beta1
        self.beta2 = beta2
        self.epsilon = epsilon
        self._t = 0
        self._m = self._v = None

    def step(self, objective, w, batch):
        """Return w after one step on the batch, and its StepInfo."""
        log = StepLog(objective)
        loss, g = objective.value_and_grad(w, batch)
        m, v = (np.zeros_like(w), np.zeros_like(w)) if self._t == 0 else (self._m, self._v)
        self._t += 1
        self._m = m = self.beta1 * m + (1 - self.beta1) * g
        self._v = v = self.beta2 * v + (1 - self.beta2) * g**2
        mean = m / (1 - self.beta1**self._t)
        scale = np.sqrt(v / (1 - self.beta2**self._t)) + self.epsilon
        delta = -self.lr * mean / scale
        log.note(loss=loss, gradient_norm=math.sqrt(float(g @ g)), slope=float(g @ delta))
        return w + delta, log.finish("accepted")

    def on_epoch(self, metrics):
        """Do nothing: the learning rate is constant."""

    def state_dict(self):
        """Return the step count and the moments."""
        return {} if self._t == 0 else {"t": self._t, "m": self._m, "v": self._v}

    def load_state_dict(self, state):
        """Restore what `state_dict` returned."""
        self._t = int(state.get("t", 0))
        self._m, self._v = state.get("m"), state.get("v")
