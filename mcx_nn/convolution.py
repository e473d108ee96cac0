"""Two-dimensional convolution."""

from dataclasses import dataclass

import numpy as np

from mcx_nn.initializers import glorot_uniform
from mcx_nn.layer import Layer
from mcx_nn.primitives import col2im, im2col
from mcx_nn.shapes import expect_at_least, expect_parameters, expect_shape, pair


@dataclass(frozen=True)
class Conv2d(Layer):
    """Convolution of images with a bank of kernels (cross-correlation, as everywhere in the field).

    y[b, i, j, o] = bias[o] + Σ_{u,v,c} x[b, s i + u − p, s j + v − p, c] weight[u, v, c, o]
    with stride s and x zero outside the image, computed as one matrix product: im2col(x) W.

    Parameters
    ----------
    channels, filters : int
        C and O; weight has shape (kH, kW, C, O), bias (O,), x (B, H, W, C).
    kernel, stride, padding : int or pair of int
        Height and width of the kernel, step between its positions, zeros added on every side.

    Examples
    --------
    >>> layer = Conv2d(1, 6, kernel=5, padding=2)
    >>> params = layer.init(np.random.default_rng(0))
    >>> y, backward = layer.forward(params, np.ones((3, 28, 28, 1)), {})
    >>> dx, grads = backward(np.ones_like(y))
    >>> y.shape, dx.shape, grads["weight"].shape
    ((3, 28, 28, 6), (3, 28, 28, 1), (5, 5, 1, 6))
    """

    channels: int
    filters: int
    kernel: int | tuple[int, int]
    stride: int | tuple[int, int] = 1
    padding: int | tuple[int, int] = 0

    def __post_init__(self):
        """Refuse sizes that make no layer."""
        expect_at_least(1, self, channels=self.channels, filters=self.filters)
        expect_at_least(1, self, kernel=self.kernel, stride=self.stride)
        expect_at_least(0, self, padding=self.padding)

    @property
    def parameters(self):
        """Shapes of weight and bias."""
        return {
            "weight": (*pair(self.kernel), self.channels, self.filters),
            "bias": (self.filters,),
        }

    def init(self, rng):
        """Draw the weight (Glorot uniform over the receptive field); the bias is zero."""
        shape = self.parameters["weight"]
        area = shape[0] * shape[1]
        weight = glorot_uniform(rng, shape, area * self.channels, area * self.filters)
        return {"weight": weight, "bias": np.zeros(self.filters)}

    def forward(self, params, x, context):
        """Return the convolved images (B, OH, OW, O) and the backward; see `Layer.forward`."""
        expect_parameters(self, params)
        expect_shape(self, "x", x, ("B", "H", "W", self.channels))
        geometry = pair(self.kernel), pair(self.stride), pair(self.padding)
        height, width = self._output_extents(x, *geometry)
        weight = params["weight"].reshape(-1, self.filters)
        cols = im2col(x, *geometry)

        def backward(dy):
            dy = dy.reshape(-1, self.filters)
            constant = context.get("constant_input")
            dx = None if constant else col2im((weight @ dy.T).T, x.shape, *geometry)
            dweight = (cols.T @ dy).reshape(self.parameters["weight"])
            return dx, {"weight": dweight, "bias": dy.sum(axis=0)}

        y = cols @ weight + params["bias"]
        return y.reshape(x.shape[0], height, width, self.filters), backward

    def _output_extents(self, x, kernel, stride, padding):
        """Return OH and OW; raise where the kernel does not fit into the padded image."""
        room = [n + 2 * p - k for n, p, k in zip(x.shape[1:3], padding, kernel, strict=True)]
        if min(room) < 0:
            raise ValueError(
                f"{self}: x: expected padded images of at least {kernel}, got shape {x.shape}."
            )
        return [extent // step + 1 for extent, step in zip(room, stride, strict=True)]
