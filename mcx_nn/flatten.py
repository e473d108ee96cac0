"""From images to vectors."""

from dataclasses import dataclass
from math import prod

from mcx_nn.layer import Layer


@dataclass(frozen=True)
class Flatten(Layer):
    """One vector per sample: (B, H, W, C) becomes (B, H·W·C).

    Examples
    --------
    >>> import numpy as np
    >>> y, backward = Flatten().forward({}, np.zeros((2, 3, 4, 5)), {})
    >>> y.shape, backward(y)[0].shape
    ((2, 60), (2, 3, 4, 5))
    """

    def output_shape(self, shape):
        """Return (H·W·C,); see `Layer.output_shape`."""
        return (prod(shape),)

    def forward(self, params, x, context):
        """Return x as a matrix and the backward; see `Layer.forward`."""
        return x.reshape(x.shape[0], prod(x.shape[1:])), lambda dy: (dy.reshape(x.shape), {})
