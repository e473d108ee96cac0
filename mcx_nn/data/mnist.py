"""MNIST and Fashion-MNIST, in the format IDX."""

import math

import numpy as np

from mcx_nn.data.files import damaged, find, read
from mcx_nn.data.images import check_labels, standardize

_CLASSES = 10
_UNSIGNED_BYTES = 0x0800  # the magic number, to which the number of axes is added


def load_mnist(folder=None, dtype=np.float32):
    """Load MNIST, 60000 + 10000 handwritten digits, scaled by mean and deviation of training.

    Parameters
    ----------
    folder : path, optional
        Holds train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and
        t10k-labels-idx1-ubyte, plain or with ".gz" or ".bz2"; default: mnist/ in the folder that
        the environment variable ``MCX_DATA`` names.
    dtype : dtype
        Of the images.

    Returns
    -------
    x_train : (60000, 28, 28, 1) array
    y_train : (60000,) array of int
    x_test : (10000, 28, 28, 1) array
    y_test : (10000,) array of int
        As many as the files hold; labels 0 to 9.

    Raises
    ------
    FileNotFoundError
        If a file is absent, or no folder is known.
    ValueError
        If a file is damaged: format, size, label, or as many labels as images.

    References
    ----------
    Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, Gradient-based learning applied to document
    recognition, Proc. IEEE 86 (1998).

    Examples
    --------
    Two images of each kind, one black and one white:

    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for part in ("train", "t10k"):
    ...         header = bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 28, 0, 0, 0, 28])
    ...         images = header + bytes([0] * 784 + [255] * 784)
    ...         labels = bytes([0, 0, 8, 1, 0, 0, 0, 2, 3, 7])
    ...         _ = Path(folder, f"{part}-images-idx3-ubyte").write_bytes(images)
    ...         _ = Path(folder, f"{part}-labels-idx1-ubyte").write_bytes(labels)
    ...     x_train, y_train, x_test, y_test = load_mnist(folder)
    >>> x_train.shape, y_train, x_test.mean(axis=(1, 2, 3))
    ((2, 28, 28, 1), array([3, 7]), array([-1.,  1.], dtype=float32))
    """
    return _load("load_mnist", "mnist", folder, dtype)


def load_fashion_mnist(folder=None, dtype=np.float32):
    """Load Fashion-MNIST, 60000 + 10000 articles of clothing; all else as in `load_mnist`.

    The default folder is fashion-mnist/ in that of ``MCX_DATA``. Labels: 0 T-shirt or top,
    1 trouser, 2 pullover, 3 dress, 4 coat, 5 sandal, 6 shirt, 7 sneaker, 8 bag, 9 ankle boot.

    References
    ----------
    H. Xiao, K. Rasul, R. Vollgraf, Fashion-MNIST: a novel image dataset for benchmarking machine
    learning algorithms, arXiv:1708.07747 (2017).
    """
    return _load("load_fashion_mnist", "fashion-mnist", folder, dtype)


def _load(owner, dataset, folder, dtype):
    (x_train, y_train), (x_test, y_test) = (
        _load_part(owner, dataset, folder, part) for part in ("train", "t10k")
    )
    x_train, x_test = standardize(owner, x_train, x_test, dtype)
    return x_train, y_train, x_test, y_test


def _load_part(owner, dataset, folder, part):
    """Return the images (N, 28, 28, 1) of bytes and the labels (N,) of one part."""
    (path,) = find(owner, dataset, folder, f"{part}-images-idx3-ubyte")
    images = read_idx(owner, path, axes=3)
    if images.shape[1:] != (28, 28):
        raise damaged(owner, path, "images of 28×28 pixels", "{}×{}".format(*images.shape[1:]))
    (path,) = find(owner, dataset, folder, f"{part}-labels-idx1-ubyte")
    labels = read_idx(owner, path, axes=1)
    if len(labels) != len(images):
        raise damaged(owner, path, f"{len(images)} labels, one per image", len(labels))
    check_labels(owner, path, labels, _CLASSES)
    return images[..., None], labels.astype(np.int64)


def read_idx(owner, path, axes):
    """Return the array of unsigned bytes in a file of format IDX.

    The format: the magic number 0x0800 + axes, the extents, then the bytes; all numbers of four
    bytes, big end first.
    """
    data = read(owner, path)
    start = 4 + 4 * axes
    magic, *shape = (int.from_bytes(data[at : at + 4]) for at in range(0, start, 4))
    if len(data) < start:
        raise damaged(owner, path, f"a header of {start} bytes", f"{len(data)} bytes in all")
    if magic != _UNSIGNED_BYTES + axes:
        expected = f"the magic number 0x{_UNSIGNED_BYTES + axes:08x} (bytes on {axes} axes)"
        raise damaged(owner, path, expected, f"0x{magic:08x}")
    size = math.prod(shape)
    if len(data) != start + size:
        expected = f"{start} + {size} bytes for shape {tuple(shape)}"
        raise damaged(owner, path, expected, f"{len(data)} bytes")
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)
