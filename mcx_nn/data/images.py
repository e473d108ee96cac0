"""Images and labels as loaders return them, from bytes."""

import numpy as np

from mcx_nn.data.files import damaged


def check_labels(owner, path, labels, classes):
    """Raise unless all labels are below the number of classes."""
    if labels.size and labels.max() >= classes:
        raise damaged(owner, path, f"labels from 0 to {classes - 1}", f"{labels.max()} among them")


def standardize(owner, train, test, dtype):
    """Scale images by mean and standard deviation, per channel, of the training pixels.

    Parameters
    ----------
    owner : str
        Name of the loader, for messages.
    train, test : (N, H, W, C) array of uint8
    dtype : dtype
        Of the results.

    Returns
    -------
    train, test : (N, H, W, C) array

    Raises
    ------
    ValueError
        If there are no training pixels, or all in a channel are alike.

    Examples
    --------
    >>> train = np.array([1, 3], np.uint8).reshape(2, 1, 1, 1)
    >>> [x.reshape(-1) for x in standardize("example", train, train + 2, "f8")]
    [array([-1.,  1.]), array([1., 3.])]
    """
    pixels = train[..., 0].size
    if not pixels:
        raise ValueError(f"{owner}: expected training images, got none; fetch the files again.")
    # Sums of integers, exact; and no copy of the images in another type.
    mean = train.sum(axis=(0, 1, 2), dtype=np.int64) / pixels
    squares = np.einsum("bhwc,bhwc->c", train, train, dtype=np.int64) / pixels
    std = np.sqrt(squares - mean**2)
    if not std.all():
        raise ValueError(
            f"{owner}: expected training pixels that differ in every channel, got one value only; "
            "fetch the files again."
        )
    return _scale(train, mean, std, dtype), _scale(test, mean, std, dtype)


def _scale(images, mean, std, dtype):
    x = np.subtract(images, mean, dtype=dtype, order="C")
    x /= std
    return x
