"""Average pooling."""

from dataclasses import dataclass

import numpy as np

from mcx_nn.layer import Layer
from mcx_nn.shapes import expect_at_least, expect_shape, pair


@dataclass(frozen=True)
class AvgPool2d(Layer):
    """Mean over tiles of the image that do not overlap.

    y[b, i, j, c] = 1/(kH kW) Σ_{u<kH, v<kW} x[b, kH i + u, kW j + v, c]

    Parameters
    ----------
    size : int or pair of int
        Height kH and width kW of a tile; they must divide those of the images.

    Examples
    --------
    >>> y, backward = AvgPool2d(2).forward({}, np.arange(4.0).reshape(1, 2, 2, 1), {})
    >>> y.reshape(-1)
    array([1.5])
    >>> dx, _ = backward(np.ones((1, 1, 1, 1)))
    >>> dx.reshape(-1)
    array([0.25, 0.25, 0.25, 0.25])
    """

    size: int | tuple[int, int]

    def __post_init__(self):
        """Refuse sizes that make no layer."""
        expect_at_least(1, self, size=self.size)

    def forward(self, params, x, context):
        """Return the means (B, H/kH, W/kW, C) and the backward; see `Layer.forward`."""
        expect_shape(self, "x", x, ("B", "H", "W", "C"))
        tile_height, tile_width = pair(self.size)
        batch, height, width, channels = x.shape
        if height % tile_height or width % tile_width:
            raise ValueError(
                f"{self}: x: expected height and width divisible by {pair(self.size)}, "
                f"got shape {x.shape}."
            )
        down, across, area = height // tile_height, width // tile_width, tile_height * tile_width
        tiled = (batch, down, tile_height, across, tile_width, channels)
        tiles = x.reshape(tiled)
        y = sum(tiles[:, :, u, :, v] for u, v in np.ndindex(tile_height, tile_width))

        def backward(dy):
            share = dy.reshape(batch, down, 1, across, 1, channels) / area
            return np.broadcast_to(share, tiled).reshape(x.shape), {}

        return y / area, backward
