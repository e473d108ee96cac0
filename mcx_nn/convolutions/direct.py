"""Convolution as one matrix product: every window of the images is one row of a matrix.

The trivial bilinear algorithm, for kernels, strides, dilations and groups of any size: V is the
matrix of windows (G, T, K) with T = B·OH·OW windows of K = kH·kW·C/G entries in each of G groups,
U the kernels (G, K, O/G), D the outputs (G, T, O/G). U and D are mere reshapings.

Few filters would leave most of a vector register empty, and overlapping windows repeat the image
kW/stride times. So a window spans several outputs of a row: it is wider by a stride for each, and
U holds the kernel once for each, moved by as much, with zeros around (a block of a Toeplitz
matrix). That takes some more multiplications, and much less memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

# Measured costs, in multiplications.
_NUMBER = 32  # of a number of a window: it is written once and read three times
_ROW = 160  # of a row of a window, however short
_REGISTER = 16  # columns: products take as many, or twice as many at a time


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

    @cached_property
    def reach(self):
        """Extents of a kernel with its holes."""
        return tuple((k - 1) * d + 1 for k, d in zip(self.kernel, self.dilation, strict=True))

    @cached_property
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

    @cached_property
    def span(self) -> int:
        """Outputs of a row that one window is wide enough for, a divisor of OW."""
        if self.groups > 1 or self.dilation[1] > 1 or self.kernel[1] <= self.stride[1]:
            return 1
        divisors = (n for n in range(1, self.grid[1] + 1) if self.grid[1] % n == 0)
        return min(divisors, key=self._cost)

    def _cost(self, span: int) -> float:
        """Return what one output costs for every row of a kernel, about, in multiplications."""
        numbers = (self.kernel[1] + (span - 1) * self.stride[1]) * self.shape[3]
        columns = span * self.filters
        step = _REGISTER if columns <= _REGISTER else 2 * _REGISTER
        return (numbers * (_NUMBER + -(-columns // step) * step) + _ROW) / span

    @cached_property
    def windows(self):
        """((OH, OW/span), extents of a window, distances of windows), in height and width."""
        (down, across), (rise, step) = self.grid, self.stride
        window = self.kernel[0], self.kernel[1] + (self.span - 1) * step
        return (down, across // self.span), window, (rise, step * self.span)

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
        return self.shape[0] * prod(self.windows[0])

    @cached_property
    def sizes(self):
        """(T, K, span·O/G), the extents of the matrices."""
        depth = prod(self.windows[1]) * self.kernel_shape[2]
        return self.tiles, depth, self.span * self.filters // self.groups

    @property
    def image_tiles(self):
        """Shape (G, T, K) of V."""
        return self.groups, *self.sizes[:2]

    @property
    def kernel_tiles(self):
        """Shape (G, K, span·O/G) of U."""
        return self.groups, *self.sizes[1:]

    @property
    def output_tiles(self):
        """Shape (G, T, span·O/G) of D."""
        return self.groups, *self.sizes[::2]

    def as_images(self, tiles):
        """Return V as matrices (G, T, K)."""
        return tiles

    as_kernels = as_outputs = as_images

    def images(self, x, out):
        """Write every window of x as one row."""
        (top, left), (_, window, (rise, step)) = self.padding, self.windows
        reach = tuple((k - 1) * d + 1 for k, d in zip(window, self.dilation, strict=True))
        x = np.pad(x, ((0, 0), (top, top), (left, left), (0, 0)))
        windows = sliding_window_view(x, reach, axis=(1, 2))[
            :, ::rise, ::step, :, :: self.dilation[0], :: self.dilation[1]
        ]
        batch, down, across, channels = windows.shape[:4]
        windows = windows.reshape(
            batch, down, across, self.groups, channels // self.groups, *window
        )
        split = out.reshape(self.groups, batch, down, across, *window, channels // self.groups)
        split[...] = windows.transpose(3, 0, 1, 2, 5, 6, 4)

    def images_transposed(self, tiles, out):
        """Add every row into the window that it came from."""
        batch, height, width, channels = self.shape
        (top, left), ((down, across), window, (rise, step)) = self.padding, self.windows
        shape = (batch, height + 2 * top, width + 2 * left, self.groups, channels // self.groups)
        padded = np.zeros_like(tiles, shape=shape)
        windows = tiles.reshape(self.groups, batch, down, across, *window, shape[-1])
        for u, v in np.ndindex(*window):
            i, j = u * self.dilation[0], v * self.dilation[1]
            part = padded[:, i : i + rise * down : rise, j : j + step * across : step]
            part += windows[:, :, :, :, u, v].transpose(1, 2, 3, 0, 4)
        padded = padded[:, top : top + height, left : left + width]
        out[...] = padded.reshape(out.shape)

    def kernels(self, w, out):
        """Write the kernels as matrices."""
        if self.span == 1:
            out[...] = w.reshape(-1, self.groups, out.shape[2]).transpose(1, 0, 2)
            return
        out[...] = 0
        for place in self._places(out):
            place[...] = w

    def kernels_transposed(self, tiles, out):
        """Write matrices as kernels, adding those of one window."""
        if self.span == 1:
            out[...] = tiles.transpose(1, 0, 2).reshape(out.shape)
            return
        first, *others = self._places(tiles)
        out[...] = first
        for place in others:
            out += place

    def _places(self, tiles):
        """Return the places of the kernel in U, as views (kH, kW, C, O), one for each output."""
        rows, columns = self.windows[1]
        split = tiles.reshape(rows, columns, self.shape[3], self.span, self.filters)
        starts = range(0, self.span * self.stride[1], self.stride[1])
        return [split[:, j : j + self.kernel[1], :, n] for n, j in enumerate(starts)]

    def outputs(self, tiles, out):
        """Write matrices of outputs as images."""
        out[...] = tiles.transpose(1, 0, 2).reshape(out.shape)

    def outputs_transposed(self, y, out):
        """Write images as matrices of outputs."""
        out[...] = y.reshape(-1, self.groups, out.shape[2]).transpose(1, 0, 2)
