"""Preconditioner: the diagonal of the Gauss-Newton matrix, to a power."""

import numpy as np

from mcx_optim.kronecker import blocks_of
from mcx_optim.settings import at_least, fraction


class Diagonal:
    """M = (D + λI)^α with the mean D of the squares of the gradients of single samples.

    The gradients are those of outputs drawn from the model (`Objective.observe`), so that D is an
    estimate of the diagonal of the Gauss-Newton matrix. For a weight with the inputs A (T, K) and
    the slopes E (T, O) of its layer it is (A²)ᵀE², squares elementwise; of all other parameters it
    is the square of the drawn gradient of the batch. What a regularizer adds to the diagonal is
    added. Where D + λ is zero, or rounding beside the mean of D, the mean of D stands for it: what
    a batch shows no curvature of, such as a weight of a constant zero pixel, may still have a
    gradient over all data.

    Parameters
    ----------
    exponent : float
        α, in (0, 1]; 1 is Jacobi's preconditioner, less tempers it.

    Raises
    ------
    ValueError
        If `exponent` is out of range.

    References
    ----------
    J. Martens, "Deep learning via Hessian-free optimization", ICML 2010, section 4.7, with the
    default α. Differs: his gradients are those of the loss, at the labels of the data; where the
    fit is good they vanish and the diagonal does not. Rows of a convolution count as samples.

    Examples
    --------
    >>> from mcx_nn import Dense, Sequential, Supervised, mean_squared_error
    >>> from mcx_optim import Objective
    >>> objective = Objective.of(Supervised(Sequential([Dense(2, 1)]), mean_squared_error))
    >>> X = np.random.default_rng(0).standard_normal((10_000, 2))
    >>> M = Diagonal(exponent=1.0)
    >>> M.update(objective, np.zeros(3), (X, np.zeros((10_000, 1))), np.random.default_rng(1))
    >>> bool(np.allclose(M.damped(2.0) @ np.ones(3), 0.25, rtol=0.1))  # G is nearly 2 I
    True
    """

    def __init__(self, exponent: float = 0.75):
        self.exponent = fraction("exponent", exponent, "(]")
        self.diagonal = None  # D (P,) of the last update

    def update(self, objective, w, batch, rng):
        """See the batch at w.

        Raises
        ------
        ValueError
            If the objective has no slots or cannot be observed; see `Objective.of`.
        """
        vector, parts = objective.observe(w, batch, rng)
        self.diagonal = vector**2
        for name, place, (rows, _) in blocks_of(objective, parts[0][1]):
            if name is None:
                continue
            squares = sum(share * _squares(observed[name], rows) for share, observed in parts)
            ridge = objective.ridge[place] if np.ndim(objective.ridge) else objective.ridge
            self.diagonal[place] = squares + ridge

    def damped(self, damping: float) -> "Reciprocal":
        """Return M⁻¹ for λ = damping, at least 0, as an object with ``@ r``."""
        shifted = self.diagonal + at_least("damping", damping, 0)
        mean = float(np.mean(self.diagonal))
        unseen = shifted <= float(np.finfo(shifted.dtype).eps) * mean
        shifted[unseen] = mean or 1.0
        return Reciprocal(shifted**self.exponent)

    def state_dict(self):
        """Return nothing: every step sees a batch first."""
        return {}

    def load_state_dict(self, state):
        """Do nothing."""


class Reciprocal:
    """The inverse of a diagonal matrix."""

    def __init__(self, diagonal):
        self.diagonal = diagonal

    def __matmul__(self, r):
        """Return the product with r (P,)."""
        return r / self.diagonal


def _squares(observed, rows):
    """Return (A²)ᵀE² as a vector, with a row of ones in A for a bias."""
    A, E = observed.inputs**2, observed.slopes**2
    if rows > A.shape[1]:
        A = np.concatenate([A, np.ones_like(A, shape=(len(A), 1))], axis=1)
    return (A.T @ E).reshape(-1)
