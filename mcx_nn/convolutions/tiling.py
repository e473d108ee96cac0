"""Images in tiles: the transforms of a bilinear algorithm around its products, in plain NumPy.

All six are linear and write into an array that is given. Images are x (B, H, W, C), kernels
w (3, 3, C, O) and outputs y (B, OH, OW, O). For T tiles in all and P points of the algorithm in two
dimensions, tiles are matrices: V (P, T, C) of images, U (P, C, O) of kernels, D (P, T, O) of
outputs.
Each is stored as (P, rows·columns + a gap): at a distance of a power of two the P streams that a
transform writes would fall into the same lines of the cache.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mcx_nn.convolutions.algorithms import Algorithm

GAP = 48


@dataclass(frozen=True)
class Tiling:
    """A convolution of given shape by a bilinear algorithm, stride 1.

    Attributes
    ----------
    algorithm : Algorithm
    shape : tuple of int
        (B, H, W, C) of the images.
    filters : int
        O.
    padding : tuple of int
        Zeros above and to the left of the images; below and to the right as many.
    """

    algorithm: Algorithm
    shape: tuple[int, int, int, int]
    filters: int
    padding: tuple[int, int]

    reach = 3, 3

    @property
    def points(self) -> int:
        """P, the products of one tile."""
        return self.algorithm.points**2

    @property
    def output_shape(self):
        """(B, OH, OW, O)."""
        batch, height, width, _ = self.shape
        (top, left) = self.padding
        return batch, height + 2 * top - 2, width + 2 * left - 2, self.filters

    @property
    def grid(self):
        """Number of tiles in height and in width of one image."""
        _, height, width, _ = self.output_shape
        step = self.algorithm.step
        return -(-height // step), -(-width // step)

    @property
    def tiles(self) -> int:
        """T, the tiles of all images."""
        down, across = self.grid
        return self.shape[0] * down * across

    @property
    def sizes(self):
        """(T, C, O), the extents of the matrices."""
        return self.tiles, self.shape[3], self.filters

    @property
    def start(self):
        """Row and column of the image on which the first tile begins: 0 or less."""
        return tuple(1 - self.algorithm.before - padding for padding in self.padding)

    def stored(self, rows: int, columns: int):
        """Return the shape in which P matrices of the given shape are stored."""
        return self.points, rows * columns + GAP

    @property
    def image_tiles(self):
        """Shape in which V is stored."""
        return self.stored(self.tiles, self.shape[3])

    @property
    def kernel_tiles(self):
        """Shape in which U is stored."""
        return self.stored(self.shape[3], self.filters)

    @property
    def output_tiles(self):
        """Shape in which D is stored."""
        return self.stored(self.tiles, self.filters)

    @property
    def kernel_shape(self):
        """(3, 3, C, O)."""
        return 3, 3, self.shape[3], self.filters

    def as_images(self, tiles):
        """Return stored V as matrices (P, T, C)."""
        return matrices(tiles, self.tiles, self.shape[3])

    def as_kernels(self, tiles):
        """Return stored U as matrices (P, C, O)."""
        return matrices(tiles, self.shape[3], self.filters)

    def as_outputs(self, tiles):
        """Return stored D as matrices (P, T, O)."""
        return matrices(tiles, self.tiles, self.filters)

    # ----- images

    def images(self, x, out):
        """V = Bᵀ x B for every tile of x."""
        (top, left), (down, across), step = self.start, self.grid, self.algorithm.step
        size = self.algorithm.inputs
        rows, columns = (down - 1) * step + size, (across - 1) * step + size
        batch, height, width, channels = self.shape
        padded = np.zeros_like(x, shape=(batch, rows, columns, channels))
        padded[:, -top : height - top, -left : width - left] = x
        across_parts = [padded[:, :, j : j + step * across : step] for j in range(size)]
        tiles = self.as_images(out).reshape(
            self.algorithm.points, self.algorithm.points, batch, down, across, channels
        )
        for q, part in enumerate(combined(self.algorithm.images, across_parts)):
            down_parts = [part[:, i : i + step * down : step] for i in range(size)]
            for p, tile in enumerate(combined(self.algorithm.images, down_parts)):
                tiles[p, q] = tile

    def images_transposed(self, tiles, out):
        """Add B V Bᵀ of every tile to its place in x."""
        (top, left), (down, across), step = self.start, self.grid, self.algorithm.step
        size, back = self.algorithm.inputs, transposed(self.algorithm.images)
        rows, columns = (down - 1) * step + size, (across - 1) * step + size
        batch, height, width, channels = self.shape
        padded = np.zeros_like(tiles, shape=(batch, rows, columns, channels))
        parts = self._by_point(tiles, channels)
        for i, row in enumerate(zip(*(combined(back, column) for column in parts), strict=True)):
            for j, part in enumerate(combined(back, row)):
                padded[:, i : i + step * down : step, j : j + step * across : step] += part
        out[...] = padded[:, -top : height - top, -left : width - left]

    # ----- outputs

    def outputs(self, tiles, out):
        """Y = Aᵀ M A for every tile of products M (P, T, O)."""
        (down, across), step = self.grid, self.algorithm.step
        batch, height, width, filters = self.output_shape
        padded = np.zeros_like(tiles, shape=(batch, down * step, across * step, filters))
        parts = self._by_point(tiles, filters)
        rows = zip(*(combined(self.algorithm.outputs, column) for column in parts), strict=True)
        for i, row in enumerate(rows):
            for j, part in enumerate(combined(self.algorithm.outputs, row)):
                padded[:, i::step, j::step] = part
        out[...] = padded[:, :height, :width]

    def outputs_transposed(self, y, out):
        """D = A y Aᵀ for every tile of y."""
        (down, across), step = self.grid, self.algorithm.step
        batch, height, width, filters = self.output_shape
        points, back = self.algorithm.points, transposed(self.algorithm.outputs)
        padded = np.zeros_like(y, shape=(batch, down * step, across * step, filters))
        padded[:, :height, :width] = y
        tiles = self.as_outputs(out).reshape(points, points, batch, down, across, filters)
        across_parts = [padded[:, :, j::step] for j in range(step)]
        for q, part in enumerate(combined(back, across_parts)):
            for p, tile in enumerate(combined(back, [part[:, i::step] for i in range(step)])):
                tiles[p, q] = tile

    # ----- kernels

    def kernels(self, w, out):
        """U = G w Gᵀ for every pair of channels."""
        points = self.algorithm.points
        tiles = self.as_kernels(out)
        columns = combined(self.algorithm.kernels, [w[:, j] for j in range(3)])
        for q, column in enumerate(columns):
            for p, tile in enumerate(combined(self.algorithm.kernels, list(column))):
                tiles[p * points + q] = tile

    def kernels_transposed(self, tiles, out):
        """W = Gᵀ U G for every pair of channels."""
        points, back = self.algorithm.points, transposed(self.algorithm.kernels)
        tiles = self.as_kernels(tiles)
        columns = [combined(back, [tiles[p * points + q] for p in range(points)])
                   for q in range(points)]  # fmt: skip
        for i, row in enumerate(zip(*columns, strict=True)):
            for j, part in enumerate(combined(back, row)):
                out[i, j] = part

    def _by_point(self, tiles, channels: int):
        """Return the tiles as images of tiles, [q][p] for the point (p, q)."""
        points = self.algorithm.points
        shape = (points, points, self.shape[0], *self.grid, channels)
        split = matrices(tiles, self.tiles, channels).reshape(shape)
        return [[split[p, q] for p in range(points)] for q in range(points)]


def matrices(stored, rows: int, columns: int):
    """Return the view (P, rows, columns) of stored matrices."""
    return stored[:, : rows * columns].reshape(len(stored), rows, columns)


def combined(rows, parts):
    """Return Σ_k row[k] parts[k] for every row of a matrix."""
    return [_sum([(c, part) for c, part in zip(row, parts, strict=True) if c]) for row in rows]


def _sum(terms):
    (first, part), *rest = terms
    total = part if first == 1 else first * part
    for c, part in rest:
        total = total + (part if c == 1 else c * part)
    return total


def transposed(rows):
    """Return the transpose of a matrix."""
    return tuple(zip(*rows, strict=True))
