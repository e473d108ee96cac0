"""Adam."""

import numpy as np

from mcx_optim.first_order import FirstOrder
from mcx_optim.settings import fraction, positive


class Adam(FirstOrder):
    """Adam: steps of the size of the learning rate, scaled by running moments of the gradient.

    m ← β₁ m + (1-β₁) g,  v ← β₂ v + (1-β₂) g²,
    w ← w - lr (m/(1-β₁ᵗ)) / (√(v/(1-β₂ᵗ)) + ε),  t = 1, 2, …

    Parameters
    ----------
    lr : float or callable
        Learning rate, or a schedule of it: see `mcx_optim.schedules`.
    beta1, beta2 : float
        Decay of the two moments, in [0, 1).
    epsilon : float
        ε, outside the root.

    Raises
    ------
    ValueError
        If a parameter is out of range.

    References
    ----------
    Kingma and Ba, "Adam: A method for stochastic optimization", ICLR 2015, Algorithm 1, with its
    defaults.

    Examples
    --------
    >>> import numpy as np
    >>> from mcx_optim import Adam, Objective
    >>> objective = Objective(lambda w, batch: (w @ w / 2, w))
    >>> w, info = Adam(lr=0.5).step(objective, np.array([2.0, -4.0]), None)
    >>> w.round(6), info.loss
    (array([ 1.5, -3.5]), 10.0)
    """

    RUNNING = ("m", "v")

    def __init__(self, lr=0.001, beta1: float = 0.9, beta2: float = 0.999, epsilon: float = 1e-8):
        super().__init__(lr)
        self.beta1 = fraction("beta1", beta1)
        self.beta2 = fraction("beta2", beta2)
        self.epsilon = positive("epsilon", epsilon)

    def _delta(self, rate, w, g):
        self._m = m = self.beta1 * self._m + (1 - self.beta1) * g
        self._v = v = self.beta2 * self._v + (1 - self.beta2) * g**2
        mean = m / (1 - self.beta1**self._t)
        scale = np.sqrt(v / (1 - self.beta2**self._t)) + self.epsilon
        return -rate * mean / scale
