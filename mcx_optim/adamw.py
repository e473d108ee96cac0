"""Adam with decoupled weight decay."""

from mcx_optim.adam import Adam
from mcx_optim.settings import at_least


class AdamW(Adam):
    """Adam whose weights decay beside the step, not through the gradient.

    w ← w - lr (m̂ / (√v̂ + ε) + λ w),  with m̂ and v̂ the corrected moments of `Adam`.

    A penalty λ/2 ‖w‖² in the loss would be divided by √v̂ with the gradient, and so decay the
    weights with large gradients less.

    Parameters
    ----------
    lr : float or callable
        Learning rate, or a schedule of it: see `mcx_optim.schedules`.
    beta1, beta2 : float
        Decay of the two moments, in [0, 1).
    epsilon : float
        ε, outside the root.
    weight_decay : float
        λ ≥ 0; all of w decays, biases too.

    Raises
    ------
    ValueError
        If a parameter is out of range.

    References
    ----------
    Loshchilov and Hutter, "Decoupled weight decay regularization", ICLR 2019, Algorithm 2, line 12.
    Differs, as is common: the decay is multiplied by lr, where theirs is by the schedule's factor
    η_t only, so that λ is their λ/α. Default of λ as in PyTorch.

    Examples
    --------
    >>> import numpy as np
    >>> from mcx_optim import Objective
    >>> objective = Objective(lambda w, batch: (w @ w / 2, w))
    >>> w, info = AdamW(lr=0.5, weight_decay=0.1).step(objective, np.array([2.0, -4.0]), None)
    >>> w.round(6)
    array([ 1.4, -3.3])
    """

    def __init__(
        self,
        lr=0.001,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
        weight_decay: float = 0.01,
    ):
        super().__init__(lr, beta1, beta2, epsilon)
        self.weight_decay = at_least("weight_decay", weight_decay, 0)

    def _delta(self, rate, w, g):
        return super()._delta(rate, w, g) - rate * self.weight_decay * w
