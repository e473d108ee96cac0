"""The primitives of pooling, normalisation and embedding: against loops, and as transposes."""

import numpy as np
import pytest

import mcx
from mcx_nn.primitives import pick, scatter_rows, share_in_tiles, sum_rows, tile_means, unpick
from tests.nn.checks import EPS, assert_close
from tests.standin import StandIn

POSITIONS = np.random.default_rng(0).permutation(60)[:12].reshape(3, 4)
INDEX = np.random.default_rng(0).integers(0, 5, (4, 3))


def normal(*shape, seed=1):
    return np.random.default_rng(seed).normal(size=shape)


# name: a linear function, its static arguments and the shape of x, then its transpose with its own.
PAIRS = {
    "tile_means": (tile_means, ((2, 3),), (2, 4, 6, 3), share_in_tiles, ((2, 3),)),
    "tile_means of a row": (tile_means, ((1, 4),), (1, 3, 4, 2), share_in_tiles, ((1, 4),)),
    "tile_means of 1×1": (tile_means, ((1, 1),), (2, 2, 3, 1), share_in_tiles, ((1, 1),)),
    "pick": (pick, (POSITIONS,), (3, 5, 4), unpick, (POSITIONS, (3, 5, 4))),
    "rows": (lambda x: x[INDEX], (), (5, 2), scatter_rows, (INDEX, 5)),
    "sum_rows": (sum_rows, (), (3, 4, 2), lambda dy: np.repeat(dy[:, None], 4, axis=1), ()),
}
FUNCTIONS = {
    **{f"{name}, forward": (f, static, shape) for name, (f, static, shape, *_) in PAIRS.items()},
    **{
        f"{name}, transposed": (g, statics, f(np.zeros(shape), *static).shape)
        for name, (f, static, shape, g, statics) in PAIRS.items()
    },
}
each_function = pytest.mark.parametrize(
    ("function", "static", "shape"), FUNCTIONS.values(), ids=FUNCTIONS.keys()
)


@pytest.mark.parametrize(("f", "static", "shape", "g", "statics"), PAIRS.values(), ids=PAIRS.keys())
def test_transposes(f, static, shape, g, statics):
    """⟨f(x), dy⟩ = ⟨x, g(dy)⟩."""
    x = normal(*shape)
    y = f(x, *static)
    dy = normal(*y.shape, seed=2)
    dx = g(dy, *statics)
    assert dx.shape == shape
    scale = np.sum(np.abs(y * dy)) + np.sum(np.abs(x * dx))
    assert abs(np.sum(y * dy) - np.sum(x * dx)) <= 16 * EPS * scale


def test_means():
    x = normal(2, 4, 6, 3)
    means = [
        x[b, 2 * i : 2 * i + 2, 3 * j : 3 * j + 3, c].mean()
        for b, i, j, c in np.ndindex(2, 2, 2, 3)
    ]
    np.testing.assert_allclose(tile_means(x, (2, 3)).reshape(-1), means, rtol=1e-14, atol=1e-15)


def test_picked():
    x = normal(3, 5, 4)
    assert np.array_equal(pick(x, POSITIONS), np.array(x.ravel().tolist())[POSITIONS])


@pytest.mark.parametrize("shape", [(4, 3), (2, 1, 5), (2, 3, 4, 2), (2, 0, 3)])
def test_sums(shape):
    x = normal(*shape)
    np.testing.assert_allclose(sum_rows(x), np.sum(x, axis=-2), rtol=1e-14, atol=1e-14)


@each_function
def test_planes(function, static, shape):
    x, p, q = normal(3, *shape)
    y = function(mcx.perturb(x, p, q), *static)
    for plane, expected in zip([y.value, y.im(1), y.im(2)], [x, p, q], strict=True):
        assert np.array_equal(plane, function(expected, *static))
    assert not y.im(1, 2).any()


@each_function
def test_linearize(function, static, shape):
    x, p = normal(2, *shape)
    _, tangent = mcx.linearize(lambda x: function(x, *static), x)
    expected = function(p, *static)
    assert_close(tangent(p), expected, 4 * EPS, "one direction")
    assert_close(tangent(np.stack([x, p]))[1], expected, 4 * EPS, "second of two directions")


@each_function
@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
def test_backends(function, static, shape, dtype):
    """The same on the stand-in array, with its dtype, and without writing to the argument."""
    x = normal(*shape).astype(dtype)
    x.setflags(write=False)
    y = function(x, *static)
    assert y.dtype == dtype
    on_device = [StandIn.wrap(s) if isinstance(s, np.ndarray) else s for s in static]
    assert np.array_equal(function(StandIn.wrap(x), *on_device).get(), y)
