"""Regularization: a term in w added to a learning problem."""

from math import prod

import numpy as np

from mcx_nn.shapes import expect_shape


class L2Regularized:
    """A learning problem plus a multiple of the squared length of w.

    L(w, batch) + strength/2 Σ_i mask[i] w[i]²,  with strength·mask·w added to the gradient

    Whatever else the problem offers, such as `predict` and `init`, is offered here as well, and
    what is set here, such as `context`, is set there.

    Parameters
    ----------
    problem : Supervised
        Or any object with ``value(w, batch)`` and ``value_and_grad(w, batch)``. For
        Gauss-Newton it needs `forward`, `output_loss`, `output_shape` and `parameters_size` too.
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

    @property
    def ridge(self):
        """What the term adds to the diagonal of the Hessian: a number, or (P,) with a mask."""
        own = self.strength if self.mask is None else self.strength * self.mask
        return getattr(self.problem, "ridge", 0.0) + own

    def value(self, w, batch):
        """Return the loss on a batch with the term added."""
        return self.problem.value(w, batch) + self._term(w)[0]

    def value_and_grad(self, w, batch):
        """Return the loss on a batch and its gradient of shape (P,), with the term added."""
        loss, grad = self.problem.value_and_grad(w, batch)
        term, slope = self._term(w)
        return loss + term, grad + slope

    def forward(self, w, batch):
        """Return the output of the problem on a batch followed by w, and how to go back.

        The loss is a function of this longer output alone, convex where that of the problem is:
        see `output_loss`. Its Gauss-Newton matrix JᵀH_L J is that of the problem plus
        strength·diag(mask).

        Returns
        -------
        output : (n + P,) array
            The n entries of the problem's output in a row, then w.
        backward : callable
            ``backward(doutput) -> Jᵀ doutput`` of shape (P,), with J = ∂output/∂w.

        Examples
        --------
        >>> import numpy as np
        >>> from mcx_nn import Dense, Sequential, Supervised, mean_squared_error
        >>> problem = Supervised(Sequential([Dense(1, 1)]), mean_squared_error)
        >>> batch = np.array([[2.0], [3.0]]), np.zeros((2, 1))
        >>> output, backward = L2Regularized(problem, 0.5).forward(np.array([1.0, 7.0]), batch)
        >>> output, backward(np.array([1.0, 1.0, 10.0, 20.0]))
        (array([ 9., 10., 1., 7.]), array([15., 22.]))
        """
        output, backward = self.problem.forward(w, batch)
        n = output.size

        def backward_of_both(doutput):
            return backward(doutput[:n].reshape(output.shape)) + doutput[n:]

        return np.concatenate([output.reshape(-1), w]), backward_of_both

    def output_loss(self, output, batch):
        """Return the loss of an output (n + P,) with the term added, and the gradient there."""
        shape = self.problem.output_shape(batch)
        n = prod(shape)
        loss, doutput = self.problem.output_loss(output[:n].reshape(shape), batch)
        term, slope = self._term(output[n:])
        return loss + term, np.concatenate([doutput.reshape(-1), slope])

    def output_shape(self, batch):
        """Return the shape (n + P,) of the output on a batch."""
        return (prod(self.problem.output_shape(batch)) + self.problem.parameters_size,)

    def observe(self, rng, w, batch):
        """Draw a vector whose covariance is the Gauss-Newton matrix; see `Supervised.observe`.

        The rows shown are those of the problem: they know nothing of the added term.
        """
        vector, rows = self.problem.observe(rng, w, batch)
        normal = rng.standard_normal(self.problem.parameters_size) * self.strength**0.5
        noise = np.asarray(normal, dtype=vector.dtype, like=vector)
        return vector + (noise if self.mask is None else noise * self.mask), rows

    def _term(self, w):
        """Return the term and its gradient."""
        counted = w
        if self.mask is not None:
            expect_shape("L2Regularized", "mask", self.mask, w.shape)
            counted = w * self.mask
        slope = self.strength * counted
        return (slope * counted).sum() / 2, slope
