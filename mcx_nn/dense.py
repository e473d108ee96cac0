"""Fully connected layer."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from mcx_nn.initializers import glorot_uniform
from mcx_nn.layer import Layer, observed_rows
from mcx_nn.shapes import expect_at_least, expect_extents, expect_parameters, expect_shape


@dataclass(frozen=True)
class Dense(Layer):
    """Fully connected layer, y = x W + b.

    Parameters
    ----------
    inputs, outputs : int
        I and O; weight has shape (I, O), bias (O,), x (B, I) and y (B, O).
    initializer : callable
        Draws the weight; see `mcx_nn.initializers`. The bias starts at zero.

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
    initializer: Callable = field(default=glorot_uniform, repr=False)

    def __post_init__(self):
        """Refuse sizes that make no layer."""
        expect_at_least(1, self, inputs=self.inputs, outputs=self.outputs)

    @property
    def parameters(self):
        """Shapes of weight and bias."""
        return {"weight": (self.inputs, self.outputs), "bias": (self.outputs,)}

    def init(self, rng):
        """Draw the weight; the bias is zero."""
        weight = self.initializer(rng, (self.inputs, self.outputs), self.inputs, self.outputs)
        return {"weight": weight, "bias": np.zeros(self.outputs)}

    def output_shape(self, shape):
        """Return (O,); see `Layer.output_shape`."""
        expect_extents(self, "one sample", shape, (self.inputs,))
        return (self.outputs,)

    def forward(self, params, x, context):
        """Return x W + b and its backward; see `Layer.forward`."""
        expect_parameters(self, params)
        expect_shape(self, "x", x, ("B", self.inputs))
        weight = params["weight"]
        rows = observed_rows(context)
        if rows is not None:
            rows.inputs = x

        def backward(dy):
            if rows is not None:
                rows.slopes = dy
            dx = None if context.get("constant_input") else dy @ weight.T
            return dx, {"weight": x.T @ dy, "bias": dy.sum(axis=0)}

        return x @ weight + params["bias"], backward
