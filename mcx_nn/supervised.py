"""A model and a loss as functions of one flat parameter vector."""

from math import prod

import numpy as np

from mcx_nn.combinator import Combinator
from mcx_nn.layer import Rows
from mcx_nn.noise import NOISE
from mcx_nn.piecewise_linear import PiecewiseLinear, affine_layers
from mcx_nn.primitives import join
from mcx_nn.shapes import expect_shape


class Supervised:
    """Supervised learning problem: L(w, (X, y)) = loss(model(w, X), y), w flat of length P.

    Every method works for w an ndarray, a device array or a Multicomplex. The loss and its gradient
    are those of training: statistics of the batch, masks applied. `predict` uses running
    statistics and no masks.

    Parameters
    ----------
    model : Sequential or another Combinator
    loss : callable
        ``loss(output, y) -> (value, gradient with respect to output)``.

    Raises
    ------
    ValueError
        If the model has no parameters.

    Attributes
    ----------
    parameters_size : int
        P, the number of parameters.
    slots : dict
        Name of a parameter -> (slice of w, shape).
    context : dict
        What the loss depends on beside w and the batch: "state", the running statistics of the
        model, and, once drawn, "masks". Evaluations read it; `update_state` and `draw_masks`
        replace its entries.

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
        self.context = {"state": model.init_state()}
        self.slots = {}
        end = 0
        for name, shape in model.parameters.items():
            start, end = end, end + prod(shape)
            self.slots[name] = slice(start, end), shape
        if not end:
            raise ValueError(f"Supervised: model: expected layers with parameters, got {model!r}.")
        self.parameters_size = end

    def init(self, rng, dtype=np.float64):
        """Draw an initial w of shape (P,) from a `numpy.random.Generator`."""
        return self.ravel(self.model.init(rng)).astype(dtype, copy=False)

    def ravel(self, params):
        """Concatenate a dict of parameters, or of gradients, into one vector of shape (P,)."""
        return join([params[name].reshape(-1) for name in self.slots])

    def unravel(self, w):
        """Return the parameters by name, as views of w.

        Raises
        ------
        ValueError
            Unless w has shape (P,).
        """
        expect_shape("unravel", "w", w, (self.parameters_size,))
        return {name: w[slot].reshape(shape) for name, (slot, shape) in self.slots.items()}

    def predict(self, w, x):
        """Return the output of the model for inputs x of shape (B, ...), as after training."""
        return self.model.output(self.unravel(w), x, self._context(w, x, train=False))

    def value(self, w, batch):
        """Return the loss on a batch (X, y)."""
        x, y = batch
        output = self.model.output(self.unravel(w), x, self._context(w, x, train=True))
        return self.loss(output, y)[0]

    def value_and_grad(self, w, batch):
        """Return the loss on a batch (X, y) and its gradient with respect to w, of shape (P,)."""
        output, backward = self.forward(w, batch)
        loss, doutput = self.output_loss(output, batch)
        return loss, backward(doutput)

    def forward(self, w, batch):
        """Return the output of the model on a batch (X, y), in training, and how to go back.

        Returns
        -------
        output : (B, ...) array
        backward : callable
            ``backward(doutput) -> Jᵀ doutput`` of shape (P,), with J = ∂output/∂w: the gradient
            of a function of w where doutput is its gradient with respect to the output.

        Examples
        --------
        >>> from mcx_nn import Dense, Sequential, mean_squared_error
        >>> problem = Supervised(Sequential([Dense(2, 1)]), mean_squared_error)
        >>> batch = np.array([[1.0, 2.0]]), np.array([[1.0]])
        >>> output, backward = problem.forward(np.array([1.0, 1.0, 0.0]), batch)
        >>> output, backward(np.array([[10.0]]))
        (array([[3.]]), array([10., 20., 10.]))
        >>> problem.output_loss(output, batch)
        (np.float64(4.0), array([[4.]]))
        """
        x, _ = batch
        output, backward = self.model.forward(self.unravel(w), x, self._context(w, x, train=True))
        return output, lambda doutput: self.ravel(backward(doutput)[1])

    def output_loss(self, output, batch):
        """Return the loss of an output (B, ...) on a batch (X, y), and the gradient there."""
        return self.loss(output, batch[1])

    def output_shape(self, batch):
        """Return the shape (B, ...) of the output on a batch (X, y)."""
        x, _ = batch
        return (x.shape[0], *self.model.output_shape(tuple(x.shape[1:])))

    def output_noise(self, rng, output, batch):
        """Draw a random gradient at the output whose covariance is the Hessian of the loss.

        Sent back it has the Gauss-Newton matrix as its covariance; see `mcx_nn.noise`.

        Parameters
        ----------
        rng : numpy.random.Generator
        output : (B, ...) array
        batch : (X, y)

        Returns
        -------
        (B, ...) array

        Raises
        ------
        ValueError
            If `mcx_nn.noise.NOISE` has no row for the loss.

        Examples
        --------
        >>> from mcx_nn import Dense, Sequential, softmax_cross_entropy
        >>> problem = Supervised(Sequential([Dense(1, 2)]), softmax_cross_entropy)
        >>> batch = np.zeros((1, 1)), np.array([0])
        >>> problem.output_noise(np.random.default_rng(0), np.zeros((1, 2)), batch)
        array([[ 0.5, -0.5]])
        """
        if self.loss not in NOISE:
            name = getattr(self.loss, "__name__", self.loss)
            raise ValueError(
                f"output_noise: expected a loss with a row in mcx_nn.noise.NOISE, got {name}; "
                "enter one there, or do without what needs it (Kronecker factors)"
            )
        return NOISE[self.loss](rng, output, batch[1])

    def observe(self, rng, w, batch):
        """Draw a random vector whose covariance is the Gauss-Newton matrix, and show its making.

        The gradient, at the output, of `output_noise`, is sent back.

        Parameters
        ----------
        rng : numpy.random.Generator
        w : (P,) array
        batch : (X, y)

        Returns
        -------
        vector : (P,) array
            Jᵀu with J = ∂output/∂w and u the noise.
        rows : dict of str to Rows
            For every weight of a Dense layer, or a Conv2d of one group, by name: what its part of
            the vector is the product of, see `mcx_nn.layer.Rows`.

        Raises
        ------
        ValueError
            If `mcx_nn.noise.NOISE` has no row for the loss.
        """
        context = self._context(w, batch[0], train=True)
        rows = {name: Rows() for name in self.slots if name.rpartition(".")[2] == "weight"}
        context["observed"] = rows
        output, backward = self.model.forward(self.unravel(w), batch[0], context)
        vector = self.ravel(backward(self.output_noise(rng, output, batch))[1])
        return vector, {name: each for name, each in rows.items() if each.inputs is not None}

    def piecewise_linear(self, w, batch):
        """Return the network in training as the chain of affine layers that it is at every sample.

        Parameters
        ----------
        w : (P,) array
        batch : (X, y)

        Returns
        -------
        PiecewiseLinear
            Its slopes at a kink are those of `Activation`.

        Raises
        ------
        ValueError
            If the model is no Sequential of Dense, Flatten, Dropout, and the activations
            "identity", "relu" and "leaky_relu".

        Examples
        --------
        >>> from mcx_nn import Activation, Dense, Sequential, mean_squared_error
        >>> model = Sequential([Dense(1, 2), Activation("relu"), Dense(2, 1)])
        >>> batch = np.array([[1.0], [-1.0]]), np.zeros((2, 1))
        >>> w = np.array([1.0, -2.0, 0.0, 0.0, 1.0, 1.0, 0.0])
        >>> network = Supervised(model, mean_squared_error).piecewise_linear(w, batch)
        >>> network.layers[0].slopes
        array([[1., 0.],
               [0., 1.]])
        """
        x, y = batch
        context = self._context(w, x, train=True)
        layers, output = affine_layers(self.model, self.unravel(w), x, context)
        return PiecewiseLinear(layers, output, lambda z: self.loss(z, y), self.slots)

    def draw_masks(self, rng, batch):
        """Draw the masks of the model for a batch (X, y) from a `numpy.random.Generator`.

        They stay until drawn again: between two draws the loss is one function of w.
        """
        x, _ = batch
        masks = self.model.draw_masks(rng, x.shape[0], tuple(x.shape[1:]))
        masks = {name: np.asarray(mask, like=x) for name, mask in masks.items()}
        self.context = {**self.context, "masks": masks}

    def update_state(self, w, batch):
        """Let the running statistics see a batch (X, y): once after every accepted step."""
        x, _ = batch
        context = self._context(w, x, train=True)
        state = self.model.update_state(self.unravel(w), x, context)
        self.context = {**self.context, "state": state}

    def first_nonfinite(self, w, batch):
        """Name the first place with a value that is not finite: "input", a layer or "loss".

        Returns
        -------
        str or None
            For a layer its dotted position and class, as in "2 AvgPool2d" or "3.body.0 Dense"; None
            where all is finite.
        """
        x, y = batch
        if not np.isfinite(x).all():
            return "input"
        context = self._context(w, x, train=True)
        params = self.unravel(w)
        name = _first_nonfinite(self.model, params, x, context, "")
        if name is not None:
            return name
        output = self.model.output(params, x, context)
        if not np.isfinite(output).all():  # of finite parts
            return type(self.model).__name__
        return None if np.isfinite(self.loss(output, y)[0]) else "loss"

    def _context(self, w, x, train):
        """Return the context of one evaluation, its state in the dtype of w and the array of x."""
        state = self.context["state"].items()
        state = {name: np.asarray(array, dtype=w.dtype, like=x) for name, array in state}
        # The input of the model is data: no layer needs to propagate a gradient to it.
        return {**self.context, "state": state, "train": train, "constant_input": True}


def _first_nonfinite(model, params, x, context, prefix):
    """Name the first layer within a model whose output is not finite, None where there is none."""
    for step in model.steps(params, x, context):
        if not np.isfinite(step.y).all():
            name = prefix + step.name
            within = None
            if isinstance(step.layer, Combinator):
                inner = step.params, step.x, step.context
                within = _first_nonfinite(step.layer, *inner, f"{name}.")
            return within or f"{name} {type(step.layer).__name__}"
    return None
