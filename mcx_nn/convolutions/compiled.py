"""Machine code of a tiling: transforms and products in blocks that stay in the cache.

Without Numba, for complex numbers and on other arrays than NumPy's, the plain way of `tiling` and
`products` is taken instead. Modules are compiled when there is enough to do, see `mcx.kernels`.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from mcx.kernels import cache, launch
from mcx.memory import new_buffer
from mcx_nn.convolutions.multiplication import multiplication_source
from mcx_nn.convolutions.source import transforms_source
from mcx_nn.convolutions.tiling import GAP, Tiling
from mcx_nn.convolutions.windows import windows_source

_BLOCK = 1 << 20  # bytes of products in one block
_LEAST = 64  # rows of a block, so that packing the other operand pays
_FLAT = 4  # products with so many times more columns than rows are computed transposed
_DEPTH = 2048  # windows of one partial sum of a gradient of kernels, at least
_SUMS = 8  # partial sums at most
_ROWS = 2048  # windows from which on they are split over threads
_PARALLEL = 1 << 16  # numbers from which on transforms are split over threads

_work = 0


def machine(tiling, *arrays):
    """Return the machine code for a tiling and arrays, None where the plain way is to be taken."""
    global _work
    first = arrays[0]
    if not tiling.tiles:  # of no images
        return None
    if first.dtype.char not in "fd":
        return None
    if not all(
        type(x) is np.ndarray
        and x.dtype == first.dtype
        and x.dtype.isnative
        and x.flags.c_contiguous
        for x in arrays
    ):
        return None
    if _work < launch.WORK:
        _work += first.size
        return None
    return _machine(tiling, first.dtype.char) if cache.numba_ready() else None


@lru_cache(maxsize=256)
def _machine(tiling, char: str):
    kind = OfTiles if isinstance(tiling, Tiling) else OfWindows
    return kind(tiling, {"f": "float32", "d": "float64"}[char])


@lru_cache(maxsize=1)
def _register() -> int:
    """Return the bytes of a vector register."""
    from llvmlite import binding

    try:
        features = binding.get_host_cpu_features()
    except RuntimeError:  # not known for this kind of processor
        features = {}
    return 64 if features.get("avx512f") else 32 if features.get("avx2") else 16


@lru_cache(maxsize=16)
def _transforms(down, across, dtype: str):
    return cache.loaded(f"{down.name}_{across.name}", transforms_source(down, across, dtype))


@lru_cache(maxsize=2)
def _windows(dtype: str):
    return cache.loaded("windows", windows_source(dtype))


@lru_cache(maxsize=2)
def _products(dtype: str):
    return cache.loaded("products", multiplication_source(dtype, _register()))


class Machine:
    """Machine code for one tiling and dtype; methods as in tilings and `products`."""

    gap = 0

    def __init__(self, tiling, dtype: str):
        self.tiling, self.products = tiling, _products(dtype)
        self.itemsize = np.dtype(dtype).itemsize

    def outputs_of_products(self, pairs, out):
        """Write Σ Aᵀ (V U) A over the pairs (V, U)."""
        tiles, depth, columns = self.tiling.sizes
        ways = (depth, 1), (columns, 1)
        self._sum((tiles, depth, columns), pairs, ways, self.finish_outputs, out)

    def images_transposed_of_products(self, pairs, out):
        """Write Σ B (D Uᵀ) Bᵀ over the pairs (D, U), every tile added to its place."""
        tiles, depth, columns = self.tiling.sizes
        ways = (columns, 1), (1, columns)
        out.fill(0)
        grain = self._tiles_of_image()  # which overlap
        self._sum((tiles, columns, depth), pairs, ways, self.finish_images, out, grain)

    def kernels_transposed_of_products(self, pairs, out):
        """Write Σ Gᵀ (Vᵀ D) G over the pairs (V, D)."""
        tiles, depth, columns = self.tiling.sizes
        ways = (1, depth), (columns, 1)
        self._sum((depth, tiles, columns), pairs, ways, self.finish_kernels, out)

    def _tiles_of_image(self) -> int:
        return self.tiling.tiles // self.tiling.shape[0]

    def _sum(self, sizes, pairs, ways, finish, out, grain: int = 1):
        """Compute a sum of products block by block of rows, and finish each block.

        Parameters
        ----------
        sizes : tuple of int
            Rows, depth and columns of each product.
        pairs : list of (left, right)
            Stored tiles.
        ways : pair
            Distances of rows and of columns, in the left operands and in the right ones.
        finish : callable or None
            ``finish(total, out, (first, last))`` transforms the sum, stored, into rows of `out`;
            None where they are the rows of the sum.
        grain : int
            Blocks are multiples of it.
        """
        rows, depth, columns = sizes
        points = self.tiling.points
        most = max(_LEAST, _BLOCK // (points * columns * self.itemsize))
        most = max(1, most // grain) * grain
        distances = (x.size // points for x in pairs[0])
        flat = tuple((left.reshape(-1), right.reshape(-1)) for left, right in pairs)
        operands = flat, *zip(distances, ways, strict=True)

        def blocks(start, stop):
            for first in range(start, stop, most):
                last = min(first + most, stop)
                stride = (last - first) * columns + self.gap
                if finish is None:
                    total = out.reshape(-1)[first * columns : last * columns]
                else:
                    total = new_buffer((points, stride), out.dtype)
                block = first, (last - first, columns, depth), total.reshape(-1), stride
                self._on_points(operands, block)
                if finish is not None:
                    finish(total, out, (first, last))
            return 0

        self._on_rows(blocks, rows, most, grain)

    def _multiply(self, operands, block, start, stop):
        """Write the sum of the products number start to stop for a block of rows."""
        pairs, (a, a_at), (b, b_at) = operands
        first, sizes, total, stride = block
        left_at = start * a + first * a_at[0], a, *a_at
        right_at = start * b, b, *b_at
        target = total, (start * stride, stride, sizes[1], 1), sizes, stop - start
        if sizes[0] * _FLAT <= sizes[1]:
            self.products.multiply_flat(pairs, left_at, right_at, *target)
            return
        for number, (left, right) in enumerate(pairs):
            self.products.multiply(left, left_at, right, right_at, *target, number == 0)


class OfTiles(Machine):
    """Machine code of a tiling by a bilinear algorithm."""

    gap = GAP

    def __init__(self, tiling, dtype: str):
        super().__init__(tiling, dtype)
        self.code = _transforms(tiling.down, tiling.across, dtype)
        self.of_images = tiling.shape[1:], (*tiling.grid, *tiling.start)
        self.of_outputs = tiling.output_shape[1:], (*tiling.grid, 0, 0)

    def _on_rows(self, blocks, rows, most, grain):
        """Run the blocks, every thread some of them where there are enough."""
        launch.on_threads(blocks, rows, most, most * launch.get_num_threads())

    def _on_points(self, operands, block):
        """Multiply, every thread some of the points: it then reads no operand of another's."""

        def run(start, stop):
            self._multiply(operands, block, start, stop)
            return 0

        launch.on_threads(run, self.tiling.points, 1, 2)

    def images(self, x, out):
        """V = Bᵀ x B."""
        self._on_tiles(self.code.images, self.of_images, x, out, (0, self.tiling.tiles))

    def outputs_transposed(self, y, out):
        """D = A y Aᵀ."""
        transform = self.code.outputs_transposed
        self._on_tiles(transform, self.of_outputs, y, out, (0, self.tiling.tiles))

    def kernels(self, w, out):
        """U = G w Gᵀ."""
        self._on_kernels(self.code.kernels, w, out, (0, w.shape[2]))

    def finish_outputs(self, total, out, part):
        """Y = Aᵀ M A for a range of tiles."""
        self._on_tiles(self.code.outputs, self.of_outputs, total, out, part)

    def finish_images(self, total, out, part):
        """Add B M Bᵀ for a range of tiles to x."""
        transform = self.code.images_transposed
        self._on_tiles(transform, self.of_images, total, out, part, self._tiles_of_image())

    def finish_kernels(self, total, out, part):
        """W = Gᵀ M G for a range of channels."""
        self._on_kernels(self.code.kernels_transposed, total, out, part)

    def _on_tiles(self, transform, geometry, x, out, part, grain: int = 1):
        first, last = part
        tiled = x if x.ndim == 2 else out
        x, flat, stride = x.reshape(-1), out.reshape(-1), tiled.shape[1]

        def run(start, stop):
            transform(x, flat, *geometry, stride, first, first + start, first + stop)
            return 0

        least = _PARALLEL * (last - first) // tiled.size
        launch.on_threads(run, last - first, grain, max(grain, least) + 1)

    def _on_kernels(self, transform, x, out, part):
        columns = self.tiling.filters
        count, stride = self.tiling.shape[3] * columns, (x if x.ndim == 2 else out).shape[1]
        x, flat, origin = x.reshape(-1), out.reshape(-1), part[0] * columns

        def run(start, stop):
            transform(x, flat, count, stride, origin, origin + start, origin + stop)
            return 0

        launch.on_threads(run, (part[1] - part[0]) * columns, 1024, _PARALLEL // 9)


class OfWindows(Machine):
    """Machine code of a direct convolution."""

    def __init__(self, tiling, dtype: str):
        super().__init__(tiling, dtype)
        self.code = _windows(dtype)
        self.geometry = (
            *(tiling.shape[1:], *tiling.windows, tiling.padding),
            *(tiling.dilation, tiling.groups),
        )
        self.kernels, self.outputs_transposed = tiling.kernels, tiling.outputs_transposed
        self.finish_outputs = self._finish if tiling.groups > 1 else None

    def _on_rows(self, blocks, rows, most, grain):
        """Run the blocks, every thread some of the rows: there are few points."""
        launch.on_threads(blocks, rows, grain, max(grain, _ROWS) + 1)

    def _on_points(self, operands, block):
        self._multiply(operands, block, 0, self.tiling.points)

    def images(self, x, out):
        """Write every window of x as one row."""
        x, out = x.reshape(-1), out.reshape(-1)

        def run(start, stop):
            self.code.images(x, out, *self.geometry, start, stop)
            return 0

        launch.on_threads(run, self.tiling.tiles, 1, _ROWS)

    def kernels_transposed_of_products(self, pairs, out):
        """Write Σ Gᵀ (Vᵀ D) G over the pairs (V, D), every thread for some of the windows."""
        tiles, depth, columns = self.tiling.sizes
        groups = self.tiling.points
        length = max(_DEPTH, -(-tiles // _SUMS))  # whatever the threads, so that bits do not change
        starts = range(0, tiles, length)
        totals = new_buffer((len(starts), groups, depth, columns), out.dtype)

        def parts(start, stop):
            for number in range(start, stop):
                first = starts[number]
                last = min(first + length, tiles)
                for count, (left, right) in enumerate(pairs):
                    self.products.multiply(
                        left.reshape(-1),
                        (first * depth, tiles * depth, 1, depth),
                        right.reshape(-1),
                        (first * columns, tiles * columns, columns, 1),
                        totals[number].reshape(-1),
                        (0, depth * columns, columns, 1),
                        (depth, columns, last - first),
                        groups,
                        count == 0,
                    )
            return 0

        launch.on_threads(parts, len(starts), 1, 2)
        self.tiling.kernels_transposed(totals.sum(axis=0), out)

    def finish_images(self, total, out, part):
        """Add a range of rows into the windows that they belong to."""
        (first, last), total, out = part, total.reshape(-1), out.reshape(-1)
        self.code.images_transposed(total, out, *self.geometry, first, first, last)

    def _finish(self, total, out, part):
        """Write a range of rows of the products of several groups."""
        groups, columns = self.tiling.points, self.tiling.sizes[2]
        rows = out.reshape(-1, groups, columns)[part[0] : part[1]]
        rows[...] = total.reshape(groups, -1, columns).transpose(1, 0, 2)
