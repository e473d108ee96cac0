"""The real files, where MCX_DATA names a folder that holds them: what is known of each."""

import os
from pathlib import Path

import numpy as np
import pytest

from mcx_nn import load_cifar10, load_fashion_mnist, load_libsvm, load_mnist


def need(name):
    """Skip unless the file or folder is there."""
    if not (root := os.environ.get("MCX_DATA")):
        pytest.skip(f"MCX_DATA is not set; it names the folder that holds {name}")
    if not (path := Path(root, name)).exists():
        pytest.skip(f"{path} is absent; put it there to have it tested")


def as_bytes(x):
    """Return the pixels of scaled images, which go from 0 to 255 in every channel."""
    low, high = x.min(axis=(0, 1, 2)), x.max(axis=(0, 1, 2))
    return np.rint((x - low) / (high - low) * 255).astype(int)


IDX = {
    "mnist": (
        load_mnist,
        [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949],
        [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009],
        ([5, 0, 4, 1, 9, 2, 1, 3, 1, 4], [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]),
        (0.1307, 0.3081),
    ),
    "fashion-mnist": (
        load_fashion_mnist,
        [6000] * 10,
        [1000] * 10,
        ([9, 0, 0, 3, 0, 2, 7, 2, 5, 5], [9, 2, 1, 1, 6, 1, 4, 6, 5, 7]),
        (0.2860, 0.3530),
    ),
}


@pytest.mark.parametrize("name", IDX)
def test_mnist(name):
    """Counts, first labels, and the mean and deviation of pixels from 0 to 1 in use everywhere."""
    load, train, test, first, (mean, std) = IDX[name]
    need(name)
    x_train, y_train, x_test, y_test = load()
    assert x_train.shape == (60000, 28, 28, 1)
    assert x_test.shape == (10000, 28, 28, 1)
    np.testing.assert_array_equal(np.bincount(y_train), train)
    np.testing.assert_array_equal(np.bincount(y_test), test)
    np.testing.assert_array_equal(y_train[:10], first[0])
    np.testing.assert_array_equal(y_test[:10], first[1])
    for x in (x_train, x_test):
        assert x.dtype == np.float32
        assert x.min() == pytest.approx(-mean / std, abs=1e-3)
        assert x.max() == pytest.approx((1 - mean) / std, abs=1e-3)
    assert x_train.mean(dtype=float) == pytest.approx(0, abs=1e-7)
    assert x_train.std(dtype=float) == pytest.approx(1, abs=1e-7)


def test_images_lie_upright():
    """The mean 1 is higher than wide."""
    need("mnist")
    x, y, _, _ = load_mnist()
    ink = as_bytes(x[y == 1]).mean(axis=(0, 3))
    assert spread(ink.sum(axis=1)) > 2 * spread(ink.sum(axis=0))


def spread(weight):
    """Return the standard deviation of the position under a weight."""
    place = np.arange(len(weight))
    mean = np.average(place, weights=weight)
    return np.sqrt(np.average((place - mean) ** 2, weights=weight))


def test_cifar10():
    """Counts, and the first and last pixels of a row, as printed widely for the same data."""
    need("cifar10/data_batch_1.bin.gz")
    need("cifar10/test_batch_first1000.bin.gz")
    x_train, y_train, x_test, y_test = load_cifar10()
    assert len(x_train) >= 10000
    counts = [1005, 974, 1032, 1016, 999, 937, 1030, 1001, 1025, 981]
    np.testing.assert_array_equal(np.bincount(y_train[:10000]), counts)
    counts = [103, 89, 100, 103, 90, 86, 112, 102, 106, 109]
    np.testing.assert_array_equal(np.bincount(y_test[:1000]), counts)
    for x, red, blue in (
        (x_train, [59, 43, 50], [140, 84, 72]),
        (x_test, [158, 159, 165], [124, 129, 110]),
    ):
        assert x.shape[1:] == (32, 32, 3)
        image = as_bytes(x)[0]
        np.testing.assert_array_equal(image[0, :3, 0], red)
        np.testing.assert_array_equal(image[-1, -3:, 2], blue)
    np.testing.assert_allclose(x_train.mean(axis=(0, 1, 2), dtype=float), 0, atol=1e-7)
    np.testing.assert_allclose(x_train.std(axis=(0, 1, 2), dtype=float), 1, atol=1e-7)


LIBSVM = [
    ("a9a.gz", 32561, 123, 451592, {-1: 24720, 1: 7841}),
    ("a9a.t.gz", 16281, 122, 225731, {-1: 12435, 1: 3846}),
    ("w8a.gz", 49749, 300, 579586, {-1: 48270, 1: 1479}),
    ("mushrooms.gz", 8124, 112, 170604, {1: 3916, 2: 4208}),
    ("phishing.gz", 11055, 68, 331650, {0: 4898, 1: 6157}),
    ("ijcnn1.bz2", 49990, 22, 649870, {-1: 45137, 1: 4853}),
    ("dna.scale.gz", 2000, 180, None, {1: 464, 2: 485, 3: 1051}),
    ("satimage.scale.t.gz", 2000, 36, None, dict(enumerate([461, 224, 397, 211, 237, 470], 1))),
    ("heart_scale.gz", 270, 13, None, {-1: 150, 1: 120}),
    ("lasvm-reuters.t.bz2", 3299, 8315, 136821, {-1: 3120, 1: 179}),
]


@pytest.mark.parametrize(("name", "rows", "columns", "stored", "labels"), LIBSVM)
def test_libsvm(name, rows, columns, stored, labels):
    need(f"libsvm/{name}")
    X, y = load_libsvm(Path(name).stem, sparse=True, dtype=np.float32)
    assert X.shape == (rows, columns)
    assert X.dtype == np.float32
    assert stored is None or X.nnz == stored
    assert dict(zip(*np.unique(y, return_counts=True), strict=True)) == labels


def test_libsvm_dense_with_classes():
    need("libsvm/letter.scale.gz")
    X, y = load_libsvm("letter.scale", classes=range(1, 27))
    assert X.shape == (15000, 16)
    assert (X.min(), X.max()) == (-1, 1)
    np.testing.assert_array_equal(np.unique(y), np.arange(26))
