"""What NumPy lacks, for layers: the one module of them that knows mcx.

Each function is written for plain arrays, on any backend, and registered with mcx: a linear one
is applied to every plane, a bilinear one to pairs of planes, an elementwise one by its series.
"""

import numpy as np

import mcx
from mcx.memory import empty_like
from mcx.memory import frozen as frozen
from mcx_nn import elementwise
from mcx_nn.convolutions import products


@mcx.register_linear(shape=lambda shape, tiling: tiling.image_tiles)
def image_tiles(x, tiling, out):
    """V: tiles of images x (B, H, W, C), see `convolutions.tiling`."""
    products.transform("images", x, tiling, out)


@mcx.register_linear(shape=lambda shape, tiling: tiling.kernel_tiles)
def kernel_tiles(w, tiling, out):
    """U: tiles of kernels w (3, 3, C, O)."""
    products.transform("kernels", w, tiling, out)


@mcx.register_linear(shape=lambda shape, tiling: tiling.output_tiles)
def output_tiles(dy, tiling, out):
    """D: tiles of gradients dy (B, OH, OW, O)."""
    products.transform("outputs_transposed", dy, tiling, out)


@mcx.register_bilinear(shape=lambda v, u, tiling: tiling.output_shape)
def outputs_of_tiles(pairs, tiling, out):
    """Convolution y of images and kernels, given their tiles V and U."""
    products.transform_products("outputs", pairs, tiling, out)


@mcx.register_bilinear(shape=lambda d, u, tiling: tiling.shape)
def images_of_tiles(pairs, tiling, out):
    """Gradient dx of a convolution, given the tiles D and U."""
    products.transform_products("images_transposed", pairs, tiling, out)


@mcx.register_bilinear(shape=lambda v, d, tiling: tiling.kernel_shape)
def kernels_of_tiles(pairs, tiling, out):
    """Gradient dw of a convolution, given the tiles V and D."""
    products.transform_products("kernels_transposed", pairs, tiling, out)


def _tiled(shape, size):
    """Return a shape (B, H, W, C) with height and width divided by those of a tile."""
    batch, height, width, channels = shape
    return batch, height // size[0], width // size[1], channels


@mcx.register_linear(shape=_tiled)
def tile_means(x, size, out):
    """Average over tiles that do not overlap.

    Parameters
    ----------
    x : (B, H, W, C) array
    size : pair of int
        Height kH and width kW of a tile, which divide H and W.

    Returns
    -------
    (B, H/kH, W/kW, C) array

    Examples
    --------
    >>> tile_means(np.arange(4.0).reshape(1, 2, 2, 1), (2, 1)).reshape(-1)
    array([1., 2.])
    """
    (tall, wide), (batch, down, across, channels) = size, out.shape
    # Whole rows of the image first: they are the longest runs of memory.
    rows = x.reshape(batch, down, tall, across * wide * channels)
    strip = sum((rows[:, :, u] for u in range(1, tall)), rows[:, :, 0])
    tiles = strip.reshape(batch, down, across, wide, channels)
    out[...] = tiles[:, :, :, 0]
    for v in range(1, wide):
        out += tiles[:, :, :, v]
    out /= tall * wide


@mcx.register_linear(
    shape=lambda shape, size: (shape[0], shape[1] * size[0], shape[2] * size[1], shape[3])
)
def share_in_tiles(dy, size, out):
    """Give every place of a tile the same share of its gradient, the transpose of `tile_means`.

    Parameters
    ----------
    dy : (B, H/kH, W/kW, C) array
    size : pair of int
        As for `tile_means`.

    Returns
    -------
    (B, H, W, C) array

    Examples
    --------
    >>> share_in_tiles(np.array([6.0, 8.0]).reshape(1, 1, 2, 1), (2, 1)).reshape(2, 2)
    array([[3., 4.],
           [3., 4.]])
    """
    (tall, wide), (batch, down, across, channels) = size, dy.shape
    strip = (dy / (tall * wide)).repeat(wide, axis=2)
    rows = batch, down, tall, across * wide * channels
    out.reshape(rows)[...] = strip.reshape(batch, down, 1, rows[-1])


@mcx.register_linear(shape=lambda shape, positions: positions.shape)
def pick(x, positions, out):
    """Return the entries at some flat positions, as np.take does.

    Parameters
    ----------
    x : array
    positions : array of int

    Returns
    -------
    array in the shape of the positions

    Examples
    --------
    >>> pick(np.array([[5.0, 6.0], [7.0, 8.0]]), np.array([3, 0]))
    array([8., 5.])
    """
    np.take(x, positions, out=out)


@mcx.register_linear(shape=lambda shape, positions, whole: whole)
def unpick(dy, positions, whole, out):
    """Put every entry back to where `pick` took it, zeros elsewhere.

    The transpose of `pick` for positions that differ: ⟨pick(x, positions), dy⟩ =
    ⟨x, unpick(dy, positions, x.shape)⟩.

    Parameters
    ----------
    dy : array
    positions : array of int
        Flat positions, all different, in the shape of dy.
    whole : tuple of int
        Shape of the result.

    Returns
    -------
    array of the shape `whole`

    Examples
    --------
    >>> unpick(np.array([5.0, 7.0]), np.array([3, 0]), (2, 2))
    array([[7., 0.],
           [0., 5.]])
    """
    out[...] = 0
    out.reshape(-1)[positions] = dy


@mcx.register_linear
def join(vectors):
    """Concatenate vectors.

    Parameters
    ----------
    vectors : list of (n,) arrays

    Returns
    -------
    (Σ n,) array

    Examples
    --------
    >>> join([np.arange(2.0), np.ones(1)])
    array([0., 1., 1.])
    """
    if len({vector.dtype for vector in vectors}) > 1:
        return np.concatenate(vectors)
    out = empty_like(vectors[0], (sum(len(vector) for vector in vectors),))
    return np.concatenate(vectors, out=out)


@mcx.register_linear(shape=lambda shape: (*shape[:-2], shape[-1]))
def sum_rows(x, out):
    """Sum every matrix of a stack over its rows, Σ_n x[..., n, :].

    As a product with a vector of ones it is two to ten times as fast as np.sum, which adds short
    rows one by one.

    Parameters
    ----------
    x : (..., N, C) array

    Returns
    -------
    (..., C) array

    Examples
    --------
    >>> sum_rows(np.arange(6.0).reshape(1, 3, 2))
    array([[6., 9.]])
    """
    np.matmul(np.ones_like(x, shape=x.shape[-2]), x, out=out)


@mcx.register_linear(shape=lambda shape, index, rows: (rows, shape[-1]))
def scatter_rows(dy, index, rows, out):
    """Add every vector to the row of a matrix that its index names.

    The transpose of looking up rows: ⟨x[index], dy⟩ = ⟨x, scatter_rows(dy, index, len(x))⟩.

    Parameters
    ----------
    dy : (..., F) array
    index : (...) array of int
        Rows, 0 to rows − 1, in any order and as often as they come.
    rows : int
        Number of rows of the result.

    Returns
    -------
    (rows, F) array

    Examples
    --------
    >>> scatter_rows(np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), np.array([2, 0, 2]), 3)
    array([[3., 4.],
           [0., 0.],
           [6., 8.]])
    """
    features = dy.shape[-1]
    places = index.astype("int64")[..., None] * features + np.arange(features, like=index)
    out[...] = 0
    np.add.at(out.reshape(-1), places.reshape(-1), dy.reshape(-1))  # flat: NumPy's fast path


# Elementwise functions by name.
ELEMENTWISE = {
    function.__name__: mcx.register_analytic(series, function not in elementwise.UNTRACED)(function)
    for function, series in elementwise.SERIES.items()
}
