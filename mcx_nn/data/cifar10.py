"""CIFAR-10, in the binary format."""

import numpy as np

from mcx_nn.data.files import damaged, find, read
from mcx_nn.data.images import check_labels, standardize

_OWNER, _DATASET, _CLASSES = "load_cifar10", "cifar10", 10
_ROW = 1 + 3 * 32 * 32  # one label; then the red pixels, the green and the blue


def load_cifar10(folder=None, dtype=np.float32):
    """Load CIFAR-10, 50000 + 10000 colour images, each channel scaled as in training.

    Parameters
    ----------
    folder : path, optional
        Holds data_batch_1.bin to data_batch_5.bin, or some of them, and test_batch.bin, or parts of
        it named test_batch_*.bin; each plain or with ".gz" or ".bz2". What is there is read, in
        order. Default: cifar10/ in the folder that the environment variable ``MCX_DATA`` names.
    dtype : dtype
        Of the images.

    Returns
    -------
    x_train : (50000, 32, 32, 3) array
    y_train : (50000,) array of int
    x_test : (10000, 32, 32, 3) array
    y_test : (10000,) array of int
        As many as the files hold; labels 0 to 9: airplane, automobile, bird, cat, deer, dog, frog,
        horse, ship, truck.

    Raises
    ------
    FileNotFoundError
        If there is no file of training or none of test, or no folder is known.
    ValueError
        If a file is damaged: no whole number of rows, or a label out of range.

    References
    ----------
    A. Krizhevsky, Learning multiple layers of features from tiny images, University of Toronto
    (2009).

    Examples
    --------
    Two images of each kind, one black and one white:

    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     rows = bytes([2] + [0] * 3072) + bytes([9] + [255] * 3072)
    ...     for name in ("data_batch_1.bin", "test_batch.bin"):
    ...         _ = Path(folder, name).write_bytes(rows)
    ...     x_train, y_train, x_test, y_test = load_cifar10(folder)
    >>> x_train.shape, y_train, x_test[1, 0, 0]
    ((2, 32, 32, 3), array([2, 9]), array([1., 1., 1.], dtype=float32))
    """
    names = [f"data_batch_{k}.bin" for k in range(1, 6)]
    x_train, y_train = _read_rows(find(_OWNER, _DATASET, folder, *names))
    paths = find(_OWNER, _DATASET, folder, "test_batch.bin", "test_batch_*.bin")
    whole = [path for path in paths if path.name.startswith("test_batch.")]
    x_test, y_test = _read_rows(whole or paths)
    x_train, x_test = standardize(_OWNER, x_train, x_test, dtype)
    return x_train, y_train, x_test, y_test


def _read_rows(paths):
    """Return the images (N, 32, 32, 3) of bytes and the labels (N,) of all files."""
    parts = []
    for path in paths:
        data = read(_OWNER, path)
        if not data or len(data) % _ROW:
            raise damaged(_OWNER, path, f"rows of {_ROW} bytes", f"{len(data)} bytes in all")
        parts.append(np.frombuffer(data, np.uint8).reshape(-1, _ROW))
        check_labels(_OWNER, path, parts[-1][:, 0], _CLASSES)
    rows = np.concatenate(parts)
    images = rows[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return images, rows[:, 0].astype(np.int64)
