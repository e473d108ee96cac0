"""Regularization: a term in w added to a learning problem."""

from mcx_nn.shapes import expect_shape


class L2Regularized:
    """A learning problem plus a multiple of the squared length of w.

    L(w, batch) + strength/2 Σ_i mask[i] w[i]²,  with strength·mask·w added to the gradient

    Whatever else the problem offers, such as `predict` and `init`, is offered here as well, and
    what is set here, such as `context`, is set there.

    Parameters
    ----------
    problem : Supervised
        Or any object with ``value(w, batch)`` and ``value_and_grad(w, batch)``.
    strength : float
        At least 0.
    mask : (P,) array of bool, optional
        Which entries of w count, all without it.

    Raises
    ------
    ValueError
        If strength is negative or not finite; in a call, if mask and w differ in shape.

    Examples
    --------
    Weights count, biases do not:

    >>> import numpy as np
    >>> from mcx_nn import Dense, Sequential, Supervised, mean_squared_error
    >>> problem = Supervised(Sequential([Dense(2, 1)]), mean_squared_error)
    >>> shapes = problem.model.parameters.items()
    >>> mask = problem.ravel({name: np.full(s, name.endswith("weight")) for name, s in shapes})
    >>> regularized = L2Regularized(problem, 0.5, mask)
    >>> batch = np.array([[1.0, 2.0]]), np.array([[6.0]])
    >>> loss, grad = regularized.value_and_grad(np.array([1.0, 2.0, 1.0]), batch)
    >>> print(loss, grad)
    1.25 [0.5 1. 0. ]
    >>> regularized.parameters_size
    3
    """

    def __init__(self, problem, strength, mask=None):
        if not 0 <= strength < float("inf"):
            raise ValueError(f"L2Regularized: strength: expected at least 0, got {strength}.")
        self.problem = problem
        self.strength = float(strength)  # a NumPy scalar would widen float32
        self.mask = mask

    def __getattr__(self, name):
        if name == "problem":  # not yet set, while a copy is being made
            raise AttributeError(name)
        return getattr(self.problem, name)

    def __setattr__(self, name, value):
        if name in ("problem", "strength", "mask", *vars(L2Regularized)):
            super().__setattr__(name, value)
        else:
            setattr(self.problem, name, value)

    def value(self, w, batch):
        """Return the loss on a batch with the term added."""
        return self.problem.value(w, batch) + self._term(w)[0]

    def value_and_grad(self, w, batch):
        """Return the loss on a batch and its gradient of shape (P,), with the term added."""
        loss, grad = self.problem.value_and_grad(w, batch)
        term, slope = self._term(w)
        return loss + term, grad + slope

    def _term(self, w):
        """Return the term and its gradient."""
        counted = w
        if self.mask is not None:
            expect_shape("L2Regularized", "mask", self.mask, w.shape)
            counted = w * self.mask
        slope = self.strength * counted
        return (slope * counted).sum() / 2, slope
