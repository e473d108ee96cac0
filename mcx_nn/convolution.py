"""Two-dimensional convolution."""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import prod

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from mcx_nn.convolutions.choice import tiling_of
from mcx_nn.initializers import glorot_uniform
from mcx_nn.layer import Layer, observed_rows
from mcx_nn.primitives import (
    image_tiles,
    images_of_tiles,
    kernel_tiles,
    kernels_of_tiles,
    output_tiles,
    outputs_of_tiles,
    sum_rows,
)
from mcx_nn.shapes import (
    expect_at_least,
    expect_extents,
    expect_pairs_at_least,
    expect_parameters,
    expect_shape,
    pair,
)


@dataclass(frozen=True)
class Conv2d(Layer):
    """Convolution of images with a bank of kernels (cross-correlation, as everywhere in the field).

    y[b, i, j, o] = bias[o] + Σ_{u,v,c} x[b, s i + d u − p, s j + d v − p, c] weight[u, v, c, o]
    with stride s, dilation d and x zero outside the image. With G groups the filters of group g see
    the channels of group g alone. `set_convolution` chooses the algorithm.

    Parameters
    ----------
    channels, filters : int
        C and O; weight has shape (kH, kW, C/G, O), bias (O,), x (B, H, W, C).
    kernel, stride, padding, dilation : int or pair of int
        Height and width of the kernel, step between its positions, zeros added on every side, and
        step between the taps of the kernel.
    groups : int
        G; it must divide C and O.
    initializer : callable
        Draws the weight, with fans over the receptive field; see `mcx_nn.initializers`. The bias
        starts at zero.

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
    dilation: int | tuple[int, int] = 1
    groups: int = 1
    initializer: Callable = field(default=glorot_uniform, repr=False)

    def __post_init__(self):
        """Refuse sizes that make no layer."""
        expect_at_least(1, self, channels=self.channels, filters=self.filters, groups=self.groups)
        expect_pairs_at_least(1, self, kernel=self.kernel)
        expect_pairs_at_least(1, self, stride=self.stride, dilation=self.dilation)
        expect_pairs_at_least(0, self, padding=self.padding)
        if self.channels % self.groups or self.filters % self.groups:
            raise ValueError(
                f"{self}: groups: expected a divisor of channels and filters, got {self.groups}."
            )

    @property
    def parameters(self):
        """Shapes of weight and bias."""
        return {
            "weight": (*pair(self.kernel), self.channels // self.groups, self.filters),
            "bias": (self.filters,),
        }

    def init(self, rng):
        """Draw the weight; the bias is zero."""
        shape = self.parameters["weight"]
        area = shape[0] * shape[1]
        fans = area * shape[2], area * self.filters // self.groups
        return {"weight": self.initializer(rng, shape, *fans), "bias": np.zeros(self.filters)}

    def output_shape(self, shape):
        """Return (OH, OW, O); see `Layer.output_shape`."""
        expect_extents(self, "one sample", shape, ("H", "W", self.channels))
        return self.tiling((1, *shape)).output_shape[1:]

    def forward(self, params, x, context):
        """Return the convolved images (B, OH, OW, O) and the backward; see `Layer.forward`."""
        expect_parameters(self, params)
        expect_shape(self, "x", x, ("B", "H", "W", self.channels))
        tiling = self.tiling(x.shape)
        images, kernels = image_tiles(x, tiling), kernel_tiles(params["weight"], tiling)
        rows = observed_rows(context) if self.groups == 1 else None
        if rows is not None:
            rows.inputs = self.windows(x)

        def backward(dy):
            if rows is not None:
                rows.slopes = dy.reshape(-1, self.filters)
            outputs = output_tiles(dy, tiling)
            constant = context.get("constant_input")
            dx = None if constant else images_of_tiles(outputs, kernels, tiling)
            dweight = kernels_of_tiles(images, outputs, tiling)
            places = prod(dy.shape[1:3])
            dbias = sum_rows(dy.reshape(len(x), places, self.filters)).sum(axis=0)
            return dx, {"weight": dweight, "bias": dbias}

        return outputs_of_tiles(images, kernels, tiling) + params["bias"], backward

    def windows(self, x):
        """Return what a kernel sees of x (B, H, W, C), (B·OH·OW, kH·kW·C): one row a place."""
        (height, width), (rise, step) = pair(self.kernel), pair(self.stride)
        (top, left), (down, across) = pair(self.padding), pair(self.dilation)
        x = np.pad(x, ((0, 0), (top, top), (left, left), (0, 0)))
        reach = (height - 1) * down + 1, (width - 1) * across + 1
        views = sliding_window_view(x, reach, axis=(1, 2))
        views = views[:, ::rise, ::step, :, ::down, ::across]
        return views.transpose(0, 1, 2, 4, 5, 3).reshape(-1, height * width * self.channels)

    def tiling(self, shape):
        """Return the plan for x of shape (B, H, W, C); raise where the kernel does not fit in."""
        geometry = [pair(n) for n in (self.kernel, self.stride, self.padding, self.dilation)]
        tiling = tiling_of(tuple(shape), self.filters, *geometry, self.groups)
        if min(tiling.output_shape[1:3]) < 1:
            raise ValueError(
                f"{self}: x: expected padded images of at least {tiling.reach}, got shape {shape}."
            )
        return tiling
