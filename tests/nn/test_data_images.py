"""MNIST and CIFAR-10 from files written here: what was written is read, damage is an error."""

import bz2
import gzip
import struct

import numpy as np
import pytest

from mcx_nn import load_cifar10, load_fashion_mnist, load_mnist

PACK = {"": bytes, ".gz": gzip.compress, ".bz2": bz2.compress}
ROW = 3073


def idx(array, magic=0x0800):
    return struct.pack(f">{1 + array.ndim}i", magic + array.ndim, *array.shape) + array.tobytes()


def write(folder, name, data, suffix=""):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}{suffix}").write_bytes(PACK[suffix](data))


@pytest.fixture
def digits(rng):
    """Images and labels of training, then of test."""
    images = (rng.integers(0, 256, (n, 28, 28), np.uint8) for n in (7, 5))
    labels = (rng.permutation(10).astype(np.uint8)[:n] for n in (7, 5))
    (train, test), (y_train, y_test) = images, labels
    return train, y_train, test, y_test


def write_mnist(folder, digits, suffix=""):
    for part, images, labels in (("train", *digits[:2]), ("t10k", *digits[2:])):
        write(folder, f"{part}-images-idx3-ubyte", idx(images), suffix)
        write(folder, f"{part}-labels-idx1-ubyte", idx(labels), suffix)


def write_cifar(folder, name, images, labels, suffix=""):
    """Write images (N, 32, 32, 3) as rows: label, red plane, green plane, blue plane."""
    rows = [
        bytes([label]) + b"".join(image[:, :, c].tobytes() for c in range(3))
        for image, label in zip(images, labels, strict=True)
    ]
    write(folder, name, b"".join(rows), suffix)


def check_scaled(x, images, train, dtype):
    """Check (x - mean)/std, each channel by its own training pixels, against float64."""
    eps = np.finfo(dtype).eps
    pixels = np.moveaxis(train, -1, 0).reshape(train.shape[-1], -1).astype(float, "C")
    expected = (images - pixels.mean(axis=1)) / pixels.std(axis=1)
    np.testing.assert_allclose(x, expected, rtol=4 * eps, atol=4 * eps)
    assert x.dtype == dtype
    assert x.shape == images.shape
    assert x.flags.c_contiguous


@pytest.mark.parametrize("suffix", PACK)
def test_mnist_is_read_as_written(tmp_path, digits, suffix, dtype):
    write_mnist(tmp_path, digits, suffix)
    x_train, y_train, x_test, y_test = load_mnist(tmp_path, dtype)
    train, test = digits[0][..., None], digits[2][..., None]
    check_scaled(x_train, train, train, dtype)
    check_scaled(x_test, test, train, dtype)
    for y, labels in ((y_train, digits[1]), (y_test, digits[3])):
        assert y.dtype == np.int64
        np.testing.assert_array_equal(y, labels)


@pytest.mark.parametrize("suffix", PACK)
def test_cifar10_is_read_as_written(tmp_path, rng, suffix, dtype):
    """Batches are read in order, some may be absent; channels have scales of their own."""
    train = rng.integers(0, 256, (9, 32, 32, 3), np.uint8)
    train[..., 1] //= 2
    train[..., 2] //= 5
    test = rng.integers(0, 256, (2, 32, 32, 3), np.uint8)
    labels = rng.integers(0, 10, 9)
    write_cifar(tmp_path, "data_batch_5.bin", train[5:], labels[5:], suffix)
    write_cifar(tmp_path, "data_batch_2.bin", train[:5], labels[:5], "")
    write_cifar(tmp_path, "test_batch.bin", test, [3, 9], suffix)
    x_train, y_train, x_test, y_test = load_cifar10(tmp_path, dtype)
    check_scaled(x_train, train, train, dtype)
    check_scaled(x_test, test, train, dtype)
    assert y_train.dtype == y_test.dtype == np.int64
    np.testing.assert_array_equal(y_train, labels)
    np.testing.assert_array_equal(y_test, [3, 9])


def test_cifar10_takes_the_test_batch_or_its_parts(tmp_path, rng):
    images = rng.integers(0, 256, (3, 32, 32, 3), np.uint8)
    write_cifar(tmp_path, "data_batch_1.bin", images, [0, 1, 2])
    write_cifar(tmp_path, "test_batch_b.bin", images[1:], [5, 6])
    write_cifar(tmp_path, "test_batch_a.bin", images[:1], [4], ".gz")
    np.testing.assert_array_equal(load_cifar10(tmp_path)[3], [4, 5, 6])
    write_cifar(tmp_path, "test_batch.bin", images, [7, 8, 9], ".gz")
    np.testing.assert_array_equal(load_cifar10(tmp_path)[3], [7, 8, 9])


def test_images_are_float32_unless_asked_otherwise(tmp_path, digits):
    write_mnist(tmp_path, digits)
    assert load_mnist(tmp_path)[0].dtype == np.float32


class TestFolder:
    def test_the_environment_names_the_folder_above(self, tmp_path, digits, monkeypatch):
        monkeypatch.setenv("MCX_DATA", str(tmp_path))
        write_mnist(tmp_path / "mnist", digits)
        write_mnist(tmp_path / "fashion-mnist", [*digits[:3], 9 - digits[3]])
        np.testing.assert_array_equal(load_mnist()[3], digits[3])
        np.testing.assert_array_equal(load_fashion_mnist()[3], 9 - digits[3])

    def test_the_argument_goes_first(self, tmp_path, digits, monkeypatch):
        monkeypatch.setenv("MCX_DATA", str(tmp_path / "nowhere"))
        write_mnist(tmp_path / "a [b]*", digits, ".gz")
        assert load_mnist(str(tmp_path / "a [b]*"))[0].shape == (7, 28, 28, 1)

    def test_plain_files_go_before_compressed_ones(self, tmp_path, digits):
        write_mnist(tmp_path, [*digits[:3], 9 - digits[3]], ".gz")
        write_mnist(tmp_path, digits)
        np.testing.assert_array_equal(load_mnist(tmp_path)[3], digits[3])

    @pytest.mark.parametrize("value", [None, ""])
    @pytest.mark.parametrize(
        ("load", "file", "dataset"),
        [
            (load_mnist, "train-images-idx3-ubyte", "mnist/"),
            (load_fashion_mnist, "train-images-idx3-ubyte", "fashion-mnist/"),
            (load_cifar10, "data_batch_1.bin", "cifar10/"),
        ],
    )
    def test_no_folder_at_all(self, monkeypatch, load, file, dataset, value):
        monkeypatch.delenv("MCX_DATA", raising=False)
        if value is not None:
            monkeypatch.setenv("MCX_DATA", value)
        with pytest.raises(FileNotFoundError) as caught:
            load()
        for part in (load.__name__, file, dataset, "MCX_DATA", "folder=", "got no folder"):
            assert part in str(caught.value)

    @pytest.mark.parametrize("part", ["train-images", "train-labels", "t10k-images", "t10k-labels"])
    def test_the_file_that_is_absent_is_named(self, tmp_path, digits, part):
        write_mnist(tmp_path, digits)
        (gone,) = tmp_path.glob(f"{part}*")
        gone.unlink()
        gone.mkdir()  # a folder is not a file
        with pytest.raises(FileNotFoundError) as caught:
            load_mnist(tmp_path)
        for words in ("load_mnist", gone.name, f"no such file in {tmp_path};", "MCX_DATA"):
            assert words in str(caught.value)

    def test_cifar10_needs_training_and_test(self, tmp_path):
        image = np.arange(2 * 3072, dtype=np.uint8).reshape(2, 32, 32, 3)
        write_cifar(tmp_path, "data_batch_1.bin", image, [1, 2])
        with pytest.raises(FileNotFoundError, match=r"expected test_batch.bin or test_batch_\*"):
            load_cifar10(tmp_path)


def digits_of(shape, labels):
    """Return file contents: images of a shape, and labels."""
    return idx(np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)), idx(np.uint8(labels))


GOOD, LABELS = digits_of((3, 28, 28), [1, 0, 9])
DAMAGE = [
    (b"", None, "header of 16 bytes, got: 0 bytes"),
    (GOOD[:15], None, "header of 16 bytes, got: 15 bytes"),
    (GOOD[:16], None, r"16 \+ 2352 bytes for shape \(3, 28, 28\), got: 16 bytes"),
    (GOOD[:-1], None, "got: 2367 bytes"),
    (GOOD + b"\0", None, "got: 2369 bytes"),
    (LABELS + GOOD, None, r"magic number 0x00000803 \(bytes on 3 axes\), got: 0x00000801"),
    (idx(np.zeros((3, 28, 28), np.uint8), 0x0D00), None, "got: 0x00000d03"),
    (b"\x1f\x8b" + GOOD, None, "got: 0x1f8b0000"),
    (struct.pack(">4I", 0x0803, 2**32 - 1, 28, 28), None, "16 . 3367254359280 bytes"),
    (digits_of((3, 28, 29), [])[0], None, "images of 28×28 pixels, got: 28×29"),
    (digits_of((0, 28, 28), [])[0], idx(np.uint8([])), "expected training images, got none"),
    (idx(np.full((3, 28, 28), 7, np.uint8)), None, "pixels that differ .* got one value only"),
    (None, LABELS[:-1], r"8 \+ 3 bytes for shape \(3,\), got: 10 bytes"),
    (None, LABELS[:5], "header of 8 bytes, got: 5 bytes"),
    (None, GOOD, "magic number 0x00000801"),
    (None, idx(np.uint8([1, 2])), "3 labels, one per image, got: 2"),
    (None, idx(np.uint8([1, 2, 10])), "labels from 0 to 9, got: 10 among them"),
]


@pytest.mark.parametrize(("images", "labels", "message"), DAMAGE)
@pytest.mark.parametrize("suffix", PACK)
def test_damaged_idx_is_refused(tmp_path, suffix, images, labels, message):
    write(tmp_path, "t10k-images-idx3-ubyte", GOOD)
    write(tmp_path, "t10k-labels-idx1-ubyte", LABELS)
    write(tmp_path, "train-images-idx3-ubyte", GOOD if images is None else images, suffix)
    write(tmp_path, "train-labels-idx1-ubyte", LABELS if labels is None else labels, suffix)
    with pytest.raises(ValueError, match=f"load_mnist: .*{message}.*; fetch the file"):
        load_mnist(tmp_path)


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("data_batch_2.bin", b"", "rows of 3073 bytes, got: 0 bytes"),
        ("data_batch_2.bin", bytes(ROW - 1), "rows of 3073 bytes, got: 3072 bytes"),
        ("data_batch_2.bin", bytes(2 * ROW + 1), "got: 6147 bytes in all"),
        ("data_batch_2.bin", bytes(ROW) + b"\x0a" + bytes(ROW - 1), "from 0 to 9, got: 10 among"),
        ("test_batch.bin", b"\xff" * ROW, "labels from 0 to 9, got: 255 among them"),
    ],
)
@pytest.mark.parametrize("suffix", PACK)
def test_damaged_cifar10_is_refused(tmp_path, rng, name, data, message, suffix):
    for good in ("data_batch_1.bin", "test_batch.bin"):
        write_cifar(tmp_path, good, rng.integers(0, 256, (2, 32, 32, 3), np.uint8), [1, 2], suffix)
    write(tmp_path, name, data, suffix)
    with pytest.raises(ValueError, match=f"load_cifar10: .*/{name}{suffix}: .*{message}"):
        load_cifar10(tmp_path)


def test_cifar10_with_a_channel_of_one_value_is_refused(tmp_path, rng):
    images = rng.integers(0, 256, (2, 32, 32, 3), np.uint8)
    images[..., 1] = 7
    for name in ("data_batch_1.bin", "test_batch.bin"):
        write_cifar(tmp_path, name, images, [1, 2])
    with pytest.raises(ValueError, match=r"load_cifar10: .* in every channel, got one value"):
        load_cifar10(tmp_path)


@pytest.mark.parametrize("suffix", [".gz", ".bz2"])
def test_compressed_files_cut_short_or_changed_are_refused(tmp_path, digits, suffix):
    """At any length, and with any bit of the data or of its checksum turned."""
    write_mnist(tmp_path, digits, suffix)
    path = tmp_path / f"train-images-idx3-ubyte{suffix}"
    whole = path.read_bytes()
    start = {".gz": 10, ".bz2": 4}[suffix]  # the header of gzip holds a date
    cut = [whole[:n] for n in (0, 1, 5, 50, len(whole) // 2, len(whole) - 8, len(whole) - 1)]
    turned = [
        whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :]
        for at in np.linspace(start, len(whole) - 2, 40).astype(int)  # the last bits may be padding
    ]
    for data in cut + turned:
        path.write_bytes(data)
        with pytest.raises(ValueError, match=f"load_mnist: .*{suffix}: expected .*; fetch the"):
            load_mnist(tmp_path)
    path.write_bytes(whole)
    load_mnist(tmp_path)
