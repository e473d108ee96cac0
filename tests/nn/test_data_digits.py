"""The digits: real images, in the promised shapes, scale and split."""

import sys

import numpy as np
import pytest
from sklearn import datasets

from mcx_nn import load_digits
from mcx_nn.data.digits import _bilinear


def test_shapes_and_scale():
    x_train, y_train, x_test, y_test = load_digits()
    assert x_train.shape == (1437, 28, 28, 1)
    assert x_test.shape == (360, 28, 28, 1)
    assert y_train.shape == (1437,)
    assert y_test.shape == (360,)
    assert abs(x_train.mean()) < 1e-12
    assert abs(x_train.std() - 1) < 1e-12
    assert set(y_test) == set(y_train) == set(range(10))
    assert np.bincount(y_test).min() > 20


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dtype_and_seed(dtype):
    first, again = load_digits(dtype), load_digits(dtype)
    assert first[0].dtype == first[2].dtype == dtype
    assert all(map(np.array_equal, first, again))


def test_images_are_the_digits():
    """Shrunk back to 8×8, every original image is there once, with its label."""
    x_train, y_train, x_test, y_test = load_digits()
    digits = datasets.load_digits()
    shrink = np.linalg.pinv(_bilinear(8, 28))
    images = shrink @ np.concatenate([x_train, x_test])[..., 0] @ shrink.T
    lightest, darkest = images.min(), images.max()
    images = np.rint((images - lightest) / (darkest - lightest) * 16).astype(int)
    found = zip(images.reshape(-1, 64).tolist(), [*y_train, *y_test], strict=True)
    original = zip(digits.data.astype(int).tolist(), digits.target, strict=True)
    assert sorted(found) == sorted(original)


def test_bilinear():
    """Linear functions are reproduced between the outer centres, constants everywhere."""
    weights = _bilinear(8, 28)
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=4e-16)
    centres = (np.arange(28) + 0.5) * 8 / 28 - 0.5
    np.testing.assert_allclose(weights @ np.arange(8.0), np.clip(centres, 0, 7), atol=1e-14)
    assert weights.min() >= 0


def test_without_scikit_learn(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(ImportError, match="pip install scikit-learn"):
        load_digits()
