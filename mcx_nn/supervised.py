"""A model and a loss as functions of one flat parameter vector."""

from math import prod

import numpy as np

from mcx_nn.shapes import expect_shape

# The input of the model is data: no layer needs to propagate a gradient to it.
_CONTEXT = {"constant_input": True}


class Supervised:
    """Supervised learning problem: L(w, (X, y)) = loss(model(w, X), y), w flat of length P.

    Every method works for w an ndarray, a device array or a Multicomplex.

    Parameters
    ----------
    model : Sequential
    loss : callable
        ``loss(output, y) -> (value, gradient with respect to output)``.

    Attributes
    ----------
    parameters_size : int
        P, the number of parameters.

    Examples
    --------
    >>> from mcx_nn import Dense, Sequential, mean_squared_error
    >>> problem = Supervised(Sequential([Dense(2, 1)]), mean_squared_error)
    >>> batch = np.array([[1.0, 2.0]]), np.array([[1.0]])
    >>> loss, grad = problem.value_and_grad(np.array([1.0, 1.0, 0.0]), batch)
    >>> print(loss, grad)
    4.0 [4. 8. 4.]
    """

    def __init__(self, model, loss):
        self.model = model
        self.loss = loss
        self._slots = {}
        end = 0
        for name, shape in model.parameters.items():
            start, end = end, end + prod(shape)
            self._slots[name] = slice(start, end), shape
        self.parameters_size = end

    def init(self, rng, dtype=np.float64):
        """Draw an initial w of shape (P,) from a `numpy.random.Generator`."""
        return self.ravel(self.model.init(rng)).astype(dtype)

    def ravel(self, params):
        """Concatenate a dict of parameters, or of gradients, into one vector of shape (P,)."""
        return np.concatenate([params[name].reshape(-1) for name in self._slots])

    def unravel(self, w):
        """Return the parameters by name, as views of w.

        Raises
        ------
        ValueError
            Unless w has shape (P,).
        """
        expect_shape("unravel", "w", w, (self.parameters_size,))
        return {name: w[slot].reshape(shape) for name, (slot, shape) in self._slots.items()}

    def predict(self, w, x):
        """Return the output of the model for inputs x of shape (B, ...)."""
        return self.model.forward(self.unravel(w), x, _CONTEXT)[0]

    def value(self, w, batch):
        """Return the loss on a batch (X, y)."""
        x, y = batch
        return self.loss(self.predict(w, x), y)[0]

    def value_and_grad(self, w, batch):
        """Return the loss on a batch (X, y) and its gradient with respect to w, of shape (P,)."""
        x, y = batch
        output, backward = self.model.forward(self.unravel(w), x, _CONTEXT)
        loss, doutput = self.loss(output, y)
        _, grads = backward(doutput)
        return loss, self.ravel(grads)

    def first_nonfinite(self, w, batch):
        """Name the first place with a value that is not finite: "input", a layer or "loss".

        Returns
        -------
        str or None
            For a layer its position and class, as in "2 AvgPool2d"; None where all is finite.
        """
        x, y = batch
        if not np.isfinite(x).all():
            return "input"
        steps = self.model.steps(self.unravel(w), x, _CONTEXT)
        for position, (layer, output, _) in enumerate(steps):
            if not np.isfinite(output).all():
                return f"{position} {type(layer).__name__}"
        return None if np.isfinite(self.loss(output, y)[0]) else "loss"
