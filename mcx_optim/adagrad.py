"""AdaGrad."""

import numpy as np

from mcx_optim.first_order import FirstOrder
from mcx_optim.settings import positive


class AdaGrad(FirstOrder):
    """AdaGrad: every parameter has a learning rate that falls with all its gradients so far.

    G ← G + g²,  w ← w - lr g / (√G + ε),  with G = 0 at the start.

    Parameters
    ----------
    lr : float or callable
        Learning rate, or a schedule of it: see `mcx_optim.schedules`.
    epsilon : float
        ε, outside the root.

    Raises
    ------
    ValueError
        If a parameter is out of range.

    References
    ----------
    Duchi, Hazan and Singer, "Adaptive subgradient methods for online learning and stochastic
    optimization", JMLR 12 (2011), with diagonal matrices, their δ = ε, and neither a regularizer
    nor constraints. Defaults as in PyTorch.

    Examples
    --------
    >>> import numpy as np
    >>> from mcx_optim import Objective
    >>> objective = Objective(lambda w, batch: (w @ w / 2, w))
    >>> w, info = AdaGrad(lr=0.5).step(objective, np.array([2.0, -4.0]), None)
    >>> w.round(6)
    array([ 1.5, -3.5])
    """

    RUNNING = ("squares",)

    def __init__(self, lr=0.01, epsilon: float = 1e-10):
        super().__init__(lr)
        self.epsilon = positive("epsilon", epsilon)

    def _delta(self, rate, w, g):
        self._squares = self._squares + g**2
        return -rate * g / (np.sqrt(self._squares) + self.epsilon)
