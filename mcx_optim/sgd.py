"""Stochastic gradient descent with momentum."""

from mcx_optim.first_order import FirstOrder
from mcx_optim.settings import fraction


class SGD(FirstOrder):
    """Stochastic gradient descent with momentum: Polyak's heavy ball, or Nesterov's.

    v ← μ v + g,  w ← w - lr v,  or with `nesterov`  w ← w - lr (g + μ v),

    with v = 0 at the start and g the gradient of the batch at w.

    Parameters
    ----------
    lr : float or callable
        Learning rate, or a schedule of it: see `mcx_optim.schedules`.
    momentum : float
        μ in [0, 1); 0 is plain gradient descent.
    nesterov : bool
        Whether to take Nesterov's momentum, which needs a μ > 0.

    Raises
    ------
    ValueError
        If a parameter is out of range.

    References
    ----------
    Polyak, "Some methods of speeding up the convergence of iteration methods", USSR Comput. Math.
    Math. Phys. 4 (1964). Sutskever, Martens, Dahl and Hinton, "On the importance of initialization
    and momentum in deep learning", ICML 2013, equations 1 to 4. Differs, as is common:

    - the learning rate is outside v, so that a new rate scales the old v, too; while it is
      constant, the points are the same;
    - Nesterov's w is their θ + μv (their v), the point where the gradient is taken, as in Bengio,
      Boulanger-Lewandowski and Pascanu, "Advances in optimizing recurrent networks", ICASSP 2013.

    Examples
    --------
    >>> import numpy as np
    >>> from mcx_optim import SGD, Objective
    >>> objective = Objective(lambda w, batch: (w @ w / 2, w))
    >>> w, info = SGD(lr=0.5, momentum=0.0).step(objective, np.array([2.0, -4.0]), None)
    >>> w, info.loss
    (array([ 1., -2.]), 10.0)
    """

    RUNNING = ("velocity",)

    def __init__(self, lr=0.01, momentum: float = 0.9, nesterov: bool = False):
        super().__init__(lr)
        self.momentum = fraction("momentum", momentum)
        if nesterov and self.momentum == 0:
            raise ValueError(
                "nesterov: expected a momentum greater than 0, got 0; use nesterov=False, which is "
                "the same without momentum"
            )
        self.nesterov = nesterov

    def _delta(self, rate, w, g):
        self._velocity = v = self.momentum * self._velocity + g
        return -rate * (g + self.momentum * v if self.nesterov else v)
