"""Pooling of images: averages and maxima over tiles, and the average over the whole image."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from mcx_nn.layer import Layer
from mcx_nn.primitives import frozen, pick, share_in_tiles, sum_rows, tile_means, unpick
from mcx_nn.shapes import expect_extents, expect_pairs_at_least, expect_shape, pair


@dataclass(frozen=True)
class _TilePool(Layer):
    """What the layers on tiles of size (kH, kW) share: the size and the shapes it accepts."""

    size: int | tuple[int, int]

    def __post_init__(self):
        """Refuse sizes that make no layer."""
        expect_pairs_at_least(1, self, size=self.size)

    def output_shape(self, shape):
        """Return (H/kH, W/kW, C) for a sample (H, W, C)."""
        expect_extents(self, "one sample", shape, ("H", "W", "C"))
        return self._tiled("one sample", shape)

    def _tiled(self, name, shape):
        """Return a shape (..., H, W, C) with H and W divided by those of a tile, or raise."""
        *front, height, width, channels = shape
        tile_height, tile_width = pair(self.size)
        if height % tile_height or width % tile_width:
            raise ValueError(
                f"{self}: {name}: expected height and width divisible by {pair(self.size)}, "
                f"got shape {shape}; crop or pad the images."
            )
        return *front, height // tile_height, width // tile_width, channels


@dataclass(frozen=True)
class AvgPool2d(_TilePool):
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

    def forward(self, params, x, context):
        """Return the means (B, H/kH, W/kW, C) and the backward; see `Layer.forward`."""
        expect_shape(self, "x", x, ("B", "H", "W", "C"))
        self._tiled("x", x.shape)
        size = pair(self.size)
        return tile_means(x, size), lambda dy: (share_in_tiles(dy, size), {})


@dataclass(frozen=True)
class MaxPool2d(_TilePool):
    """Maximum over tiles of the image that do not overlap.

    y[b, i, j, c] = max_{u<kH, v<kW} x[b, kH i + u, kW j + v, c]

    The winner is NumPy's: the first NaN, else the first of the largest values, in the order of
    rows. It alone has a derivative, and it is chosen by the values alone.

    Parameters
    ----------
    size : int or pair of int
        Height kH and width kW of a tile; they must divide those of the images.

    Examples
    --------
    >>> x = np.array([3.0, 1.0, 2.0, 3.0]).reshape(1, 2, 2, 1)
    >>> y, backward = MaxPool2d(2).forward({}, x, {})
    >>> y.reshape(-1)
    array([3.])
    >>> dx, _ = backward(np.ones((1, 1, 1, 1)))
    >>> dx.reshape(-1)
    array([1., 0., 0., 0.])
    """

    def forward(self, params, x, context):
        """Return the maxima (B, H/kH, W/kW, C) and the backward; see `Layer.forward`."""
        expect_shape(self, "x", x, ("B", "H", "W", "C"))
        self._tiled("x", x.shape)
        winners = _winners(x, *pair(self.size))

        def backward(dy):
            return unpick(dy, winners, x.shape), {}

        return pick(x, winners), backward


@dataclass(frozen=True)
class GlobalAvgPool2d(Layer):
    """Mean over the whole image: (B, H, W, C) becomes (B, C).

    y[b, c] = 1/(H W) Σ_{i,j} x[b, i, j, c]

    The gradient dx is a read-only view, the same at every place of an image.

    Examples
    --------
    >>> y, backward = GlobalAvgPool2d().forward({}, np.arange(8.0).reshape(1, 2, 2, 2), {})
    >>> y
    array([[3., 4.]])
    >>> backward(y)[0].shape
    (1, 2, 2, 2)

    References
    ----------
    M. Lin, Q. Chen and S. Yan, "Network in network", ICLR 2014, section 3.2.
    """

    def output_shape(self, shape):
        """Return (C,) for a sample (H, W, C)."""
        expect_extents(self, "one sample", shape, ("H", "W", "C"))
        return shape[-1:]

    def forward(self, params, x, context):
        """Return the means (B, C) and the backward; see `Layer.forward`."""
        expect_shape(self, "x", x, ("B", "H", "W", "C"))
        batch, height, width, channels = x.shape
        area = height * width

        def backward(dy):
            share = dy.reshape(batch, 1, 1, channels) / area
            return np.broadcast_to(share, x.shape), {}

        return sum_rows(x.reshape(batch, area, channels)) / area, backward


def _winners(x, tile_height, tile_width):
    """Return the flat positions in x of the winners of all tiles, (B, H/kH, W/kW, C) integers."""
    batch, height, width, channels = x.shape
    places = list(np.ndindex(tile_height, tile_width))
    x = np.real(x) if x.dtype.kind == "c" else x  # as a step along i must not choose
    beaten = _beaten([x[:, u::tile_height, v::tile_width] for u, v in places])
    like = beaten[0]
    rows = np.arange(batch * height, like=like).reshape(batch, height)[:, ::tile_height] * width
    corners = rows[:, :, None] + np.arange(0, width, tile_width, like=like)
    positions = corners[..., None] * channels + np.arange(channels, like=like)
    for (u, v), lost in zip(places[1:], beaten[1:], strict=True):
        positions += ~lost * ((u * width + v) * channels)
    return frozen(positions)


def _beaten(entries):
    """Tell for each of several arrays where it does not hold their first NaN or first maximum.

    Only comparisons are made: of a Multicomplex they are answered by its value, as plain arrays.
    """
    nan = [np.isnan(entry) for entry in entries]
    beaten = [np.zeros_like(mask) for mask in nan]
    for j, k in combinations(range(len(entries)), 2):
        first = (entries[j] >= entries[k]) | nan[j]
        beaten[k] |= first
        beaten[j] |= ~first
    return beaten
