"""im2col and col2im: against loops, transposes of each other, linear on every plane."""

import numpy as np
import pytest

import mcx
from mcx_nn.primitives import col2im, im2col
from tests.nn.checks import EPS, assert_close
from tests.standin import StandIn

# shape of the images, then kernel, stride and padding.
GEOMETRIES = [
    ((2, 5, 4, 3), (3, 2), (1, 1), (0, 0)),
    ((1, 4, 4, 1), (1, 1), (1, 1), (0, 0)),
    ((2, 6, 5, 2), (2, 3), (2, 3), (0, 0)),
    ((2, 3, 4, 2), (3, 3), (1, 1), (1, 1)),
    ((1, 5, 7, 2), (3, 2), (2, 2), (2, 1)),
    ((1, 7, 7, 1), (2, 2), (3, 3), (0, 0)),
]

pytestmark = pytest.mark.parametrize(("shape", "kernel", "stride", "padding"), GEOMETRIES)


def loops(x, kernel, stride, padding):
    """im2col, entry by entry."""
    padded = np.pad(x, ((0, 0), (padding[0],) * 2, (padding[1],) * 2, (0, 0)))
    return np.array(
        [
            image[i : i + kernel[0], j : j + kernel[1]].ravel()
            for image in padded
            for i in range(0, padded.shape[1] - kernel[0] + 1, stride[0])
            for j in range(0, padded.shape[2] - kernel[1] + 1, stride[1])
        ]
    )


def test_im2col(shape, kernel, stride, padding):
    x = np.random.default_rng(0).normal(size=shape)
    np.testing.assert_array_equal(
        im2col(x, kernel, stride, padding), loops(x, kernel, stride, padding)
    )


@pytest.mark.parametrize("order", ["C", "F"])
def test_transposes(shape, kernel, stride, padding, order):
    """⟨im2col(x), cols⟩ = ⟨x, col2im(cols)⟩, in either memory order of cols."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=shape)
    rows = im2col(x, kernel, stride, padding)
    cols = np.array(rng.normal(size=rows.shape), order=order)
    images = col2im(cols, shape, kernel, stride, padding)
    assert images.shape == shape
    scale = np.sum(np.abs(rows * cols))
    assert abs(np.sum(rows * cols) - np.sum(x * images)) <= 16 * EPS * scale


def test_planes(shape, kernel, stride, padding):
    rng = np.random.default_rng(0)
    x, p, q = rng.normal(size=(3, *shape))
    geometry = kernel, stride, padding
    cols = im2col(mcx.perturb(x, p, q), *geometry)
    for plane, expected in zip([cols.value, cols.im(1), cols.im(2)], [x, p, q], strict=True):
        np.testing.assert_array_equal(plane, im2col(expected, *geometry))
    images = col2im(cols, shape, *geometry)
    for plane, expected in zip([images.value, images.im(1), images.im(2)], [x, p, q], strict=True):
        assert_close(plane, col2im(im2col(expected, *geometry), shape, *geometry), 4 * EPS, "plane")
    assert not cols.im(1, 2).any()
    assert not images.im(1, 2).any()


def test_linearize(shape, kernel, stride, padding):
    rng = np.random.default_rng(0)
    x, p = rng.normal(size=(2, *shape))
    geometry = kernel, stride, padding
    _, tangent = mcx.linearize(lambda x: col2im(im2col(x, *geometry), shape, *geometry), x)
    expected = col2im(im2col(p, *geometry), shape, *geometry)
    assert_close(tangent(p), expected, 4 * EPS, "one direction")
    assert_close(tangent(np.stack([p, x]))[0], expected, 4 * EPS, "first of two directions")


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex128"])
def test_backends(shape, kernel, stride, padding, dtype):
    """The same on the stand-in array, with its dtype, and without writing to the argument."""
    x = np.random.default_rng(0).normal(size=shape).astype(dtype)
    x.setflags(write=False)
    cols = im2col(x, kernel, stride, padding)
    images = col2im(cols, shape, kernel, stride, padding)
    assert cols.dtype == images.dtype == dtype
    device_cols = im2col(StandIn.wrap(x), kernel, stride, padding)
    np.testing.assert_array_equal(device_cols.get(), cols)
    device_images = col2im(device_cols, shape, kernel, stride, padding)
    np.testing.assert_array_equal(device_images.get(), images)
