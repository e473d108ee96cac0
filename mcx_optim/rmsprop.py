"""RMSProp."""

import numpy as np

from mcx_optim.first_order import FirstOrder
from mcx_optim.settings import fraction, positive


class RMSProp(FirstOrder):
    """RMSProp: the gradient over the root of the running mean of its square.

    r ← ρ r + (1-ρ) g²,  v ← μ v + g / (√r + ε),  w ← w - lr v,  with r = v = 0 at the start.

    Parameters
    ----------
    lr : float or callable
        Learning rate, or a schedule of it: see `mcx_optim.schedules`.
    decay : float
        ρ in [0, 1).
    epsilon : float
        ε, outside the root.
    momentum : float
        μ in [0, 1).

    Raises
    ------
    ValueError
        If a parameter is out of range.

    References
    ----------
    Tieleman and Hinton, "Lecture 6.5 - RMSProp: Divide the gradient by a running average of its
    recent magnitude", COURSERA: Neural networks for machine learning (2012), with its ρ. Differs,
    as is common: ε, with the default of PyTorch, lr with that of Keras, and the momentum, which the
    lecture tells of without a formula. The mean is not corrected for its start at 0: the first step
    is 1/√(1-ρ) times as long as Adam's.

    Examples
    --------
    >>> import numpy as np
    >>> from mcx_optim import Objective
    >>> objective = Objective(lambda w, batch: (w @ w / 2, w))
    >>> w, info = RMSProp(lr=0.5, decay=0.75).step(objective, np.array([2.0, -4.0]), None)
    >>> w.round(6)
    array([ 1., -3.])
    """

    RUNNING = ("mean_square", "velocity")

    def __init__(
        self,
        lr=0.001,
        decay: float = 0.9,
        epsilon: float = 1e-8,
        momentum: float = 0.0,
    ):
        super().__init__(lr)
        self.decay = fraction("decay", decay)
        self.epsilon = positive("epsilon", epsilon)
        self.momentum = fraction("momentum", momentum)

    def _delta(self, rate, w, g):
        self._mean_square = self.decay * self._mean_square + (1 - self.decay) * g**2
        scaled = g / (np.sqrt(self._mean_square) + self.epsilon)
        self._velocity = self.momentum * self._velocity + scaled
        return -rate * self._velocity
