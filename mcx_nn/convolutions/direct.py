"""Convolution as one matrix product: every window of the images is one row of a matrix.

The trivial bilinear algorithm, for kernels, strides, dilations and groups of any size: V is the
matrix of windows (G, T, K) with T = B·OH·OW windows of K = kH·kW·C/G entries in each of G groups,
U the kernels (G, K, O/G), D the outputs (G, T, O/G). U and D are mere reshapings.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


@dataclass(frozen=True)
class Direct:
    """A convolution of given shape by the matrix of windows.

    Attributes
    ----------
    shape : tuple of int
        (B, H, W, C) of the images.
    filters : int
        O.
    kernel, stride, padding, dilation : tuple of int
        In height and width.
    groups : int
        G.
    """

    shape: tuple[int, int, int, int]
    filters: int
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    groups: int

    @property
    def reach(self):
        """Extents of a kernel with its holes."""
        return tuple((k - 1) * d + 1 for k, d in zip(self.kernel, self.dilation, strict=True))

    @property
    def grid(self):
        """(OH, OW)."""
        return tuple(
            (extent + 2 * padding - reach) // stride + 1
            for extent, padding, reach, stride in zip(
                self.shape[1:3], self.padding, self.reach, self.stride, strict=True
            )
        )

    @property
    def output_shape(self):
        """(B, OH, OW, O)."""
        return self.shape[0], *self.grid, self.filters

    @property
    def kernel_shape(self):
        """(kH, kW, C/G, O)."""
        return *self.kernel, self.shape[3] // self.groups, self.filters

    @property
    def points(self) -> int:
        """G, the number of products."""
        return self.groups

    @property
    def tiles(self) -> int:
        """T, the windows of all images."""
        return self.shape[0] * prod(self.grid)

    @property
    def sizes(self):
        """(T, K, O/G), the extents of the matrices."""
        return self.tiles, prod(self.kernel_shape[:3]), self.filters // self.groups

    @property
    def image_tiles(self):
        """Shape (G, T, K) of V."""
        return self.groups, *self.sizes[:2]

    @property
    def kernel_tiles(self):
        """Shape (G, K, O/G) of U."""
        return self.groups, *self.sizes[1:]

    @property
    def output_tiles(self):
        """Shape (G, T, O/G) of D."""
        return self.groups, *self.sizes[::2]

    def as_images(self, tiles):
        """Return V as matrices (G, T, K)."""
        return tiles

    as_kernels = as_outputs = as_images

    def images(self, x, out):
        """Write every window of x as one row."""
        (top, left), (rise, step) = self.padding, self.stride
        x = np.pad(x, ((0, 0), (top, top), (left, left), (0, 0)))
        windows = sliding_window_view(x, self.reach, axis=(1, 2))[
            :, ::rise, ::step, :, :: self.dilation[0], :: self.dilation[1]
        ]
        batch, down, across, channels = windows.shape[:4]
        windows = windows.reshape(
            batch, down, across, self.groups, channels // self.groups, *self.kernel
        )
        split = out.reshape(self.groups, batch, down, across, *self.kernel, channels // self.groups)
        split[...] = windows.transpose(3, 0, 1, 2, 5, 6, 4)

    def images_transposed(self, tiles, out):
        """Add every row into the window that it came from."""
        batch, height, width, channels = self.shape
        (top, left), (rise, step), (down, across) = self.padding, self.stride, self.grid
        shape = (batch, height + 2 * top, width + 2 * left, self.groups, channels // self.groups)
        padded = np.zeros_like(tiles, shape=shape)
        windows = tiles.reshape(self.groups, batch, down, across, *self.kernel, shape[-1])
        for u, v in np.ndindex(*self.kernel):
            i, j = u * self.dilation[0], v * self.dilation[1]
            part = padded[:, i : i + rise * down : rise, j : j + step * across : step]
            part += windows[:, :, :, :, u, v].transpose(1, 2, 3, 0, 4)
        padded = padded[:, top : top + height, left : left + width]
        out[...] = padded.reshape(out.shape)

    def kernels(self, w, out):
        """Write the kernels as matrices."""
        out[...] = w.reshape(-1, self.groups, out.shape[2]).transpose(1, 0, 2)

    def kernels_transposed(self, tiles, out):
        """Write matrices as kernels."""
        out[...] = tiles.transpose(1, 0, 2).reshape(out.shape)

    def outputs(self, tiles, out):
        """Write matrices of outputs as images."""
        out[...] = tiles.transpose(1, 0, 2).reshape(out.shape)

    def outputs_transposed(self, y, out):
        """Write images as matrices of outputs."""
        out[...] = y.reshape(-1, self.groups, out.shape[2]).transpose(1, 0, 2)
