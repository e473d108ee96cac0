"""Stochastic gradient descent with momentum."""

import math

import numpy as np

from mcx_optim.step_info import StepLog


class SGD:
    """Stochastic gradient descent with heavy-ball momentum.

    v ← μ v + g,  w ← w - lr v,  with v = 0 at the start and g the gradient of the batch.

    Parameters
    ----------
    lr : float
        Learning rate.
    momentum : float
        μ in [0, 1); 0 is plain gradient descent.

    References
    ----------
    Polyak, "Some methods of speeding up the convergence of iteration methods", USSR Comput. Math.
    Math. Phys. 4 (1964); with the learning rate outside v, as in Sutskever et al. (2013).

    Examples
    --------
    >>> import numpy as np
    >>> from mcx_optim import SGD, Objective
    >>> objective = Objective(lambda w, batch: (w @ w / 2, w))
    >>> w, info = SGD(lr=0.5, momentum=0.0).step(objective, np.array([2.0, -4.0]), None)
    >>> w, info.loss
    (array([ 1., -2.]), 10.0)
    """

    def __init__(self, lr: float = 0.01, momentum: float = 0.9):
        if not lr > 0:
            raise ValueError(f"lr: expected a positive number, got {lr}")
        if not 0 <= momentum < 1:
            raise ValueError(f"momentum: expected a number in [0, 1), got {momentum}")
        self.lr = lr
        self.momentum = momentum
        self._velocity = None

    def step(self, objective, w, batch):
        """Return w after one step on the batch, and its StepInfo."""
        log = StepLog(objective)
        loss, g = objective.value_and_grad(w, batch)
        v = np.zeros_like(w) if self._velocity is None else self._velocity
        self._velocity = v = self.momentum * v + g
        delta = -self.lr * v
        log.note(loss=loss, gradient_norm=math.sqrt(float(g @ g)), slope=float(g @ delta))
        return w + delta, log.finish("accepted")

    def on_epoch(self, metrics):
        """Do nothing: the learning rate is constant."""

    def state_dict(self):
        """Return the velocity."""
        return {} if self._velocity is None else {"velocity": self._velocity}

    def load_state_dict(self, state):
        """Restore what `state_dict` returned."""
        self._velocity = state.get("velocity")
