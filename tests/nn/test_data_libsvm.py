"""The text format of LIBSVM: what was written is read, damage is an error."""

import bz2
import gzip
import sys

import numpy as np
import pytest

from mcx_nn import load_libsvm

PACK = {"": bytes, ".gz": gzip.compress, ".bz2": bz2.compress}
TINY = "+1 1:0.5 3:-2e-1\n-1\n3 2:1 # a remark\n"
DENSE = np.array([[0.5, 0.0, -0.2], [0.0, 0.0, 0.0], [0.0, 1.0, 0.0]])


def lines(X, y, first=1):
    """Write a matrix as text, exactly, without its zeros."""
    rows = [
        " ".join(f"{index}:{row[index - first]!r}" for index in np.flatnonzero(row) + first)
        for row in X
    ]
    return "".join(f"{label!r} {row}\n" for label, row in zip(y.tolist(), rows, strict=True))


@pytest.fixture
def tiny(tmp_path):
    """Folder that holds the file `tiny`."""
    (tmp_path / "tiny").write_text(TINY)
    return tmp_path


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("suffix", PACK)
@pytest.mark.parametrize("zero_based", [False, True])
def test_what_was_written_is_read(tmp_path, rng, suffix, zero_based, sparse, dtype):
    X = rng.normal(size=(20, 6)) * (rng.random((20, 6)) < 0.5)
    X[:, 0] = X[:, -1] = 1 / 3
    y = rng.normal(size=20)
    text = lines(X.astype(object), y, first=1 - zero_based)
    (tmp_path / f"set.t{suffix}").write_bytes(PACK[suffix](text.encode()))
    options = {"zero_based": zero_based, "sparse": sparse, "dtype": dtype}
    for name in ("set.t", f"set.t{suffix}", tmp_path / "set.t"):
        got, labels = load_libsvm(name, tmp_path, **options)
        if sparse:
            assert (got.format, got.nnz) == ("csr", np.count_nonzero(X))
            got = got.toarray()
        assert got.dtype == dtype
        np.testing.assert_array_equal(got, X.astype(dtype))
        np.testing.assert_array_equal(labels, y)  # float64, whatever the dtype of X


def test_what_is_left_out_is_zero(tiny):
    X, y = load_libsvm("tiny", tiny)
    np.testing.assert_array_equal(X, DENSE)
    np.testing.assert_array_equal(y, [1, -1, 3])


def test_number_of_features(tiny):
    assert load_libsvm("tiny", tiny, features=5)[0].shape == (3, 5)
    np.testing.assert_array_equal(load_libsvm("tiny", tiny, features=3)[0], DENSE)
    assert load_libsvm("tiny", tiny, zero_based=True)[0].shape == (3, 4)
    with pytest.raises(ValueError, match=r"load_libsvm: .*tiny: .*from 1 to 2, got: .*3 features"):
        load_libsvm("tiny", tiny, features=2)
    with pytest.raises(ValueError, match="ascending from 0 to 2, got:"):
        load_libsvm("tiny", tiny, features=3, zero_based=True)


def test_labels_become_classes(tiny):
    y = load_libsvm("tiny", tiny, classes=(3, -1, 1))[1]
    np.testing.assert_array_equal(y, [2, 1, 0])
    assert y.dtype.kind == "i"
    found = np.unique(load_libsvm("tiny", tiny)[1])
    np.testing.assert_array_equal(load_libsvm("tiny", tiny, classes=found)[1], [1, 0, 2])
    with pytest.raises(ValueError, match=r"classes: .*got \[-1.0, 1.0\], without \[3.0\]; numpy"):
        load_libsvm("tiny", tiny, classes=(-1, 1))


def test_folder_of_the_environment(tiny, monkeypatch):
    monkeypatch.setenv("MCX_DATA", str(tiny.parent))
    tiny.rename(tiny.parent / "libsvm")
    assert load_libsvm("tiny")[0].shape == (3, 3)


def test_absent_files(tiny, monkeypatch):
    monkeypatch.delenv("MCX_DATA", raising=False)
    with pytest.raises(FileNotFoundError, match=r"load_libsvm: expected a9a, .*no folder.*libsvm/"):
        load_libsvm("a9a")
    with pytest.raises(FileNotFoundError, match=r"load_libsvm: expected a9a, .* no such file in "):
        load_libsvm("a9a", tiny)
    assert load_libsvm(tiny / "tiny")[0].shape == (3, 3)  # an absolute path needs no folder


BAD_LINES = [
    *("x 1:2", "1:2 3:4", "1,2 1:1", "1 1", "1 1:", "1 1: 2", "1 1:2 3", "1 1:2:3", "1 1:a"),
    *("1 a:1", "1 -1:1", "1 0:1", "1 2:1 1:1", "1 1:1 1:2", "1 1:\xff"),
    *("1 3000000000:1", "1 99999999999999999999:1"),
]


@pytest.mark.parametrize(
    "text", ["", "\n", "# nothing\n", "1\n-1\n", *(f"1 1:2\n{line}\n" for line in BAD_LINES)]
)
@pytest.mark.parametrize("suffix", PACK)
def test_damaged_text_is_refused(tmp_path, text, suffix):
    (tmp_path / f"bad{suffix}").write_bytes(PACK[suffix](text.encode("latin1")))
    with pytest.raises(ValueError, match=f"load_libsvm: .*/bad{suffix}: expected .*got: .*fetch"):
        load_libsvm("bad", tmp_path)


@pytest.mark.parametrize("suffix", [".gz", ".bz2"])
def test_compressed_text_cut_short_is_refused(tmp_path, suffix):
    """Without its checksum at the end the text itself may be whole lines."""
    whole = PACK[suffix](TINY.encode() * 1000)
    for length in (0, 1, 20, len(whole) // 2, len(whole) - 8, len(whole) - 1):
        (tmp_path / f"bad{suffix}").write_bytes(whole[:length])
        with pytest.raises(ValueError, match=f"load_libsvm: .*/bad{suffix}: expected .*; fetch"):
            load_libsvm("bad", tmp_path)


def test_without_scikit_learn(tiny, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(ImportError, match=r"load_libsvm: .*pip install scikit-learn"):
        load_libsvm("tiny", tiny)
