"""Curvature operator: the exact Hessian of one batch."""

from mcx_optim.curvature import Curvature


class Hessian(Curvature):
    """Hessian H = ∇²f(w) of the loss f of one batch, as a linear operator.

    The gradient is evaluated and recorded once; every `H @ p` replays its tangent. H is symmetric
    and in general indefinite. f is the batch loss as `value_and_grad` defines it: where that is a
    mean over the batch, so is H.

    Parameters
    ----------
    objective : Objective
        Where the gradient comes from.
    w : array (P,)
        Point of linearization.
    batch : tuple of arrays or None
        Samples of f.

    Attributes
    ----------
    loss : float
        f(w).
    gradient : array (P,)
        ∇f(w).
    nbytes : int
        Bytes of the arrays that the recording keeps.

    Examples
    --------
    >>> import numpy as np
    >>> from mcx_optim import Hessian, Objective
    >>> A = np.array([[2.0, 1.0], [1.0, -3.0]])
    >>> objective = Objective(lambda w, batch: (w @ (A @ w) / 2, A @ w))
    >>> H = Hessian(objective, np.array([1.0, 1.0]), None)
    >>> H.loss
    0.5
    >>> H @ np.array([1.0, 0.0])
    array([2., 1.])
    >>> H.block(np.eye(2))
    array([[ 2.,  1.],
           [ 1., -3.]])
    """

    letter = "H"

    def __init__(self, objective, w, batch):
        super().__init__(*objective.linearize(w, batch))
