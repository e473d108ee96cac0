"""Curvature operator: the Gauss-Newton matrix of one batch."""

from mcx_optim.curvature import Curvature


class GaussNewton(Curvature):
    """Generalised Gauss-Newton matrix G = Jᵀ H_L J of one batch, as a linear operator.

    f(w) = L(z(w)) with the output z of a model, J = ∂z/∂w and H_L = ∂²L/∂z². G is the Hessian of
    the loss L of the linearised model: what is left of H = G + Σ_i (∂L/∂z_i) ∇²z_i without the
    second derivatives of the model. Where L is convex G is positive semidefinite, so it knows no
    negative curvature; where z is linear, or L has its minimum, G = H.

    A product is a forward tangent, a product with H_L and a backward pass, all replayed from
    recordings: two thirds of a Hessian-vector product.

    Parameters
    ----------
    objective : Objective
        With `forward` and `output_loss`, as `Objective.of` makes it.
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
        Bytes of the arrays that the recordings keep.

    Raises
    ------
    ValueError
        If the objective has no `forward` or no `output_loss`.

    References
    ----------
    N. Schraudolph, "Fast curvature matrix-vector products for second-order gradient descent",
    Neural Computation 14 (2002) 1723-1738, section 3.2.

    Examples
    --------
    >>> import numpy as np
    >>> from mcx_nn import Dense, Sequential, Supervised, mean_squared_error
    >>> from mcx_optim import GaussNewton, Objective
    >>> problem = Supervised(Sequential([Dense(2, 1)]), mean_squared_error)
    >>> batch = np.array([[1.0, 2.0]]), np.array([[1.0]])
    >>> G = GaussNewton(Objective.of(problem), np.array([1.0, 1.0, 0.0]), batch)
    >>> G.loss, G.gradient
    (4.0, array([4., 8., 4.]))
    >>> G @ np.array([1.0, 0.0, 0.0])
    array([2., 4., 2.])
    """

    letter = "G"

    def __init__(self, objective, w, batch):
        super().__init__(*objective.gauss_newton(w, batch))
