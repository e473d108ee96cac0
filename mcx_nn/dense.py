"""Fully connected layer."""

from dataclasses import dataclass

import numpy as np

from mcx_nn.initializers import glorot_uniform
from mcx_nn.layer import Layer
from mcx_nn.shapes import expect_at_least, expect_parameters, expect_shape


@dataclass(frozen=True)
class Dense(Layer):
    """Fully connected layer, y = x W + b.

    Parameters
    ----------
    inputs, outputs : int
        I and O; weight has shape (I, O), bias (O,), x (B, I) and y (B, O).

    Examples
    --------
    >>> layer = Dense(3, 2)
    >>> params = layer.init(np.random.default_rng(0))
    >>> y, backward = layer.forward(params, np.ones((5, 3)), {})
    >>> dx, grads = backward(np.ones((5, 2)))
    >>> y.shape, dx.shape, grads["weight"].shape
    ((5, 2), (5, 3), (3, 2))
    """

    inputs: int
    outputs: int

    def __post_init__(self):
        """Refuse sizes that make no layer."""
        expect_at_least(1, self, inputs=self.inputs, outputs=self.outputs)

    @property
    def parameters(self):
        """Shapes of weight and bias."""
        return {"weight": (self.inputs, self.outputs), "bias": (self.outputs,)}

    def init(self, rng):
        """Draw the weight (Glorot uniform); the bias is zero."""
        weight = glorot_uniform(rng, (self.inputs, self.outputs), self.inputs, self.outputs)
        return {"weight": weight, "bias": np.zeros(self.outputs)}

    def forward(self, params, x, context):
        """Return x W + b and its backward; see `Layer.forward`."""
        expect_parameters(self, params)
        expect_shape(self, "x", x, ("B", self.inputs))
        weight = params["weight"]

        def backward(dy):
            dx = None if context.get("constant_input") else dy @ weight.T
            return dx, {"weight": x.T @ dy, "bias": dy.sum(axis=0)}

        return x @ weight + params["bias"], backward
