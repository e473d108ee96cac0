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
    """A convolution of given shape by bilinear algorithms, stride 1.

    Attributes
    ----------
    down, across : Algorithm
        The algorithms in height and in width.
    shape : tuple of int
        (B, H, W, C) of the images.
    filters : int
        O.
    padding : tuple of int
        Zeros above and to the left of the images; below and to the right as many.
    """

    down: Algorithm
    across: Algorithm
    shape: tuple[int, int, int, int]
    filters: int
    padding: tuple[int, int]

    reach = 3, 3

    @property
    def points(self) -> int:
        """P, the products of one tile."""
        return self.down.points * self.across.points

    @property
    def output_shape(self):
        """(B, OH, OW, O)."""
        batch, height, width, _ = self.shape
        (top, left) = self.padding
        return batch, height + 2 * top - 2, width + 2 * left - 2, self.filters

    @property
    def steps(self):
        """Extents of a tile of outputs."""
        return self.down.step, self.across.step

    @property
    def grid(self):
        """Number of tiles in height and in width of one image."""
        extents = self.output_shape[1:3]
        return tuple(-(-n // step) for n, step in zip(extents, self.steps, strict=True))

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
        return 1 - self.down.before - self.padding[0], 1 - self.across.before - self.padding[1]

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
        (top, left), (rise, step) = self.start, self.steps
        batch, height, width, channels = self.shape
        padded = np.zeros_like(x, shape=(batch, *self._reach(), channels))
        padded[:, -top : height - top, -left : width - left] = x
        tiles = self._split(self.as_images(out), channels)
        down, across = self.grid
        columns = [padded[:, :, j : j + step * across : step] for j in range(self.across.inputs)]
        for q, part in enumerate(combined(self.across.images, columns)):
            rows = [part[:, i : i + rise * down : rise] for i in range(self.down.inputs)]
            for p, tile in enumerate(combined(self.down.images, rows)):
                tiles[p, q] = tile

    def images_transposed(self, tiles, out):
        """Add B V Bᵀ of every tile to its place in x."""
        (top, left), (rise, step), (down, across) = self.start, self.steps, self.grid
        batch, height, width, channels = self.shape
        padded = np.zeros_like(tiles, shape=(batch, *self._reach(), channels))
        split = self._split(self.as_images(tiles), channels)
        blocks = self._both(split, self.down.images, self.across.images)
        for i, row in enumerate(blocks):
            for j, part in enumerate(row):
                padded[:, i : i + rise * down : rise, j : j + step * across : step] += part
        out[...] = padded[:, -top : height - top, -left : width - left]

    def _reach(self):
        """Return the height and width of images with the zeros that their tiles cover."""
        return tuple(
            (count - 1) * algorithm.step + algorithm.inputs
            for count, algorithm in zip(self.grid, (self.down, self.across), strict=True)
        )

    # ----- outputs

    def outputs(self, tiles, out):
        """Y = Aᵀ M A for every tile of products M (P, T, O)."""
        (rise, step), (down, across) = self.steps, self.grid
        batch, height, width, filters = self.output_shape
        padded = np.zeros_like(tiles, shape=(batch, down * rise, across * step, filters))
        split = self._split(self.as_outputs(tiles), filters)
        back = transposed(self.down.outputs), transposed(self.across.outputs)
        for i, row in enumerate(self._both(split, *back)):
            for j, part in enumerate(row):
                padded[:, i::rise, j::step] = part
        out[...] = padded[:, :height, :width]

    def outputs_transposed(self, y, out):
        """D = A y Aᵀ for every tile of y."""
        (rise, step), (down, across) = self.steps, self.grid
        batch, height, width, filters = self.output_shape
        padded = np.zeros_like(y, shape=(batch, down * rise, across * step, filters))
        padded[:, :height, :width] = y
        tiles = self._split(self.as_outputs(out), filters)
        columns = [padded[:, :, j::step] for j in range(step)]
        for q, part in enumerate(combined(transposed(self.across.outputs), columns)):
            rows = [part[:, i::rise] for i in range(rise)]
            for p, tile in enumerate(combined(transposed(self.down.outputs), rows)):
                tiles[p, q] = tile

    # ----- kernels

    def kernels(self, w, out):
        """U = G w Gᵀ for every pair of channels."""
        tiles = self.as_kernels(out)
        columns = combined(self.across.kernels, [w[:, j] for j in range(3)])
        for q, column in enumerate(columns):
            for p, tile in enumerate(combined(self.down.kernels, list(column))):
                tiles[p * self.across.points + q] = tile

    def kernels_transposed(self, tiles, out):
        """W = Gᵀ U G for every pair of channels."""
        tiles = self.as_kernels(tiles)
        split = tiles.reshape(self.down.points, self.across.points, *tiles.shape[1:])
        for i, row in enumerate(self._both(split, self.down.kernels, self.across.kernels)):
            for j, part in enumerate(row):
                out[i, j] = part

    def _split(self, tiles, channels: int):
        """Return matrices of tiles as images of tiles, one for every point (p, q)."""
        points = self.down.points, self.across.points
        return tiles.reshape(*points, self.shape[0], *self.grid, channels)

    def _both(self, split, down, across):
        """Return Σ_pq down[p][i] across[q][j] split[p, q] as [i][j]."""
        columns = [
            combined(transposed(down), [split[p, q] for p in range(self.down.points)])
            for q in range(self.across.points)
        ]
        return [combined(transposed(across), row) for row in zip(*columns, strict=True)]


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
