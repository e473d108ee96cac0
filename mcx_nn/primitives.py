"""Linear operations that NumPy lacks: the one module that knows mcx.

Each is written for plain arrays and registered with mcx, which applies it to every plane.
Both are generic in the backend: they allocate `like` their argument.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

import mcx


@mcx.register_linear
def im2col(x, kernel, stride, padding):
    """Lay out every window of every image as one row of a matrix.

    Parameters
    ----------
    x : (B, H, W, C) array
    kernel, stride, padding : pair of int
        Extents of the window, its step, and the zeros added on every side, in height and width.

    Returns
    -------
    (B·OH·OW, kH·kW·C) array

    Examples
    --------
    >>> im2col(np.arange(6.0).reshape(1, 2, 3, 1), (2, 2), (1, 1), (0, 0))
    array([[0., 1., 3., 4.],
           [1., 2., 4., 5.]])
    """
    (rise, step), (top, left) = stride, padding
    if top or left:
        x = np.pad(x, ((0, 0), (top, top), (left, left), (0, 0)))
    windows = sliding_window_view(x, kernel, axis=(1, 2))[:, ::rise, ::step]
    columns = kernel[0] * kernel[1] * x.shape[3]
    return windows.transpose(0, 1, 2, 4, 5, 3).reshape(-1, columns)


@mcx.register_linear
def col2im(cols, shape, kernel, stride, padding):
    """Add every row of a matrix back into the window that `im2col` took it from.

    The transpose of `im2col`: ⟨im2col(x), cols⟩ = ⟨x, col2im(cols)⟩.

    Parameters
    ----------
    cols : (B·OH·OW, kH·kW·C) array
    shape : tuple of int
        (B, H, W, C) of the images.
    kernel, stride, padding : pair of int
        As for `im2col`.

    Returns
    -------
    (B, H, W, C) array

    Examples
    --------
    >>> col2im(np.ones((2, 4)), (1, 2, 3, 1), (2, 2), (1, 1), (0, 0)).reshape(2, 3)
    array([[1., 2., 1.],
           [1., 2., 1.]])
    """
    batch, height, width, channels = shape
    (rise, step), (top, left) = stride, padding
    padded = height + 2 * top, width + 2 * left
    down, across = (padded[0] - kernel[0]) // rise + 1, (padded[1] - kernel[1]) // step + 1
    # One block per position in the window; a view where cols is the transpose of a fresh product.
    blocks = cols.T.reshape(*kernel, channels, batch, down, across)
    x = np.zeros_like(cols, shape=(channels, batch, *padded))
    for u, v in np.ndindex(*kernel):
        x[:, :, u : u + rise * down : rise, v : v + step * across : step] += blocks[u, v]
    return x[:, :, top : top + height, left : left + width].transpose(1, 2, 3, 0).copy()
