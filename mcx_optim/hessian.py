"""Curvature operator: the exact Hessian of one batch."""

import numpy as np


class Hessian:
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

    def __init__(self, objective, w, batch):
        self.loss, self.gradient, self._product = objective.linearize(w, batch)
        self.nbytes = self._product.nbytes

    def __matmul__(self, p):
        """Return H p for one direction p (P,).

        Raises
        ------
        ValueError
            If p has another shape. Several directions are rows, for `block`, and not columns.
        """
        if np.shape(p) != self.gradient.shape:
            raise ValueError(
                f"H @ p: expected p of shape {self.gradient.shape}, got {np.shape(p)}; for several "
                "directions, as rows, call H.block"
            )
        return self._product(p)

    def block(self, directions):
        """Return H p_1, …, H p_k, as rows, for the rows of `directions` (k, P), at once.

        Raises
        ------
        ValueError
            If the directions are no rows of length P.
        """
        if np.shape(directions)[1:] != self.gradient.shape:
            raise ValueError(
                f"block: expected rows of length {self.gradient.size}, got shape "
                f"{np.shape(directions)}; for one direction use H @ p"
            )
        return self._product(directions)
