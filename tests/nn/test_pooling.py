"""Which entry of a tile wins, where its gradient goes, and what the derivatives look at."""

import numpy as np
import pytest

import mcx
from mcx_nn import AvgPool2d, GlobalAvgPool2d, MaxPool2d
from tests.standin import StandIn

NAN = np.nan


def image(entries):
    """Return one image with one channel."""
    return np.array(entries, dtype=float)[None, :, :, None]


@pytest.mark.parametrize(
    ("tile", "winner"),
    [
        ([[1, 2], [3, 4]], (1, 1)),
        ([[4, 2], [4, 4]], (0, 0)),
        ([[1, 4], [4, 4]], (0, 1)),
        ([[1, 2], [4, 4]], (1, 0)),
        ([[0, 0], [0, 0]], (0, 0)),
        ([[-0.0, 0.0], [0.0, -0.0]], (0, 0)),
        ([[-np.inf, -np.inf], [-np.inf, -np.inf]], (0, 0)),
        ([[np.inf, 1], [NAN, 2]], (1, 0)),
        ([[1, NAN], [NAN, 2]], (0, 1)),
        ([[NAN, NAN], [NAN, NAN]], (0, 0)),
        ([[5, 1], [2, NAN]], (1, 1)),
        ([[NAN, np.inf], [2, 3]], (0, 0)),
    ],
)
def test_winner(tile, winner):
    """The first NaN, else the first maximum, in the order of rows: NumPy's."""
    x = image(tile)
    y, backward = MaxPool2d(2).forward({}, x, {})
    dx, _ = backward(np.full_like(y, 7))
    assert np.array_equal(y.reshape(()), x.max(), equal_nan=True)
    assert np.unravel_index(np.argmax(tile), (2, 2)) == winner
    expected = np.zeros((2, 2))
    expected[winner] = 7
    assert np.array_equal(dx[0, :, :, 0], expected)


@pytest.mark.parametrize("size", [(2, 3), (3, 2), (1, 4), (4, 1), (4, 6)])
@pytest.mark.parametrize("dtype", ["float32", "float64", "complex128"])
def test_ties(size, dtype):
    """Of small integers most tiles have several maxima; argmax of every tile says which wins."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 3, size=(3, 12, 12, 2)).astype(dtype)
    if dtype != "complex128":  # NumPy warns where it compares complex NaN
        x[rng.random(x.shape) < 0.05] = NAN
    y, backward = MaxPool2d(size).forward({}, x, {})
    dy = rng.normal(size=y.shape).astype(dtype)
    dx = np.zeros_like(x)
    for b, i, j, c in np.ndindex(y.shape):
        tile = x[b, i * size[0] :, j * size[1] :, c][: size[0], : size[1]]
        u, v = np.unravel_index(np.argmax(tile), size)
        assert np.array_equal(y[b, i, j, c], tile[u, v], equal_nan=True)
        dx[b, i * size[0] + u, j * size[1] + v, c] = dy[b, i, j, c]
    assert np.array_equal(backward(dy)[0], dx)


def test_value_alone_decides():
    """At a tie the derivative is that of the first entry, whichever grows faster."""
    x, p = image([[1, 1], [0, 1]]), image([[-2, 5], [9, 3]])
    for direction, sign in ((p, 1), (-p, -1)):
        y, backward = MaxPool2d(2).forward({}, mcx.perturb(x, direction), {})
        assert y.im(1).item() == -2 * sign
        assert np.array_equal(backward(y)[0].im(1)[0, :, :, 0], [[-2 * sign, 0], [0, 0]])
    _, tangent = mcx.linearize(lambda x: MaxPool2d(2).forward({}, x, {})[0], x)
    assert tangent(p).item() == -2


def test_complex_step_at_a_tie():
    """The imaginary part, a step along i, has no say in which entry wins."""
    x, steps = image([[1, 1], [0, 1]]), np.array([[0, 1], [5, 2]])[None, :, :, None]
    for sign in (1, -1):
        y, backward = MaxPool2d(2).forward({}, x + 1j * sign * steps, {})
        assert y.item() == 1
        assert np.array_equal(backward(y)[0][0, :, :, 0], [[1, 0], [0, 0]])


def test_transposed_input():
    """An input that does not lie in memory in the order of its axes."""
    x = np.random.default_rng(0).normal(size=(2, 6, 4, 3))
    transposed = np.ascontiguousarray(x.transpose(3, 0, 1, 2)).transpose(1, 2, 3, 0)
    for layer in (MaxPool2d(2), AvgPool2d((3, 2)), GlobalAvgPool2d()):
        y, backward = layer.forward({}, x, {})
        other, other_backward = layer.forward({}, transposed, {})
        np.testing.assert_allclose(other, y, rtol=1e-15)
        dy = np.asfortranarray(y)
        assert np.array_equal(other_backward(dy)[0], backward(y)[0])


def test_kept_memory():
    """A linearised pooling keeps one position per tile, once, and no copy of the images."""
    x = np.random.default_rng(0).normal(size=(2, 8, 8, 4))

    def gradient(x):
        y, backward = MaxPool2d(2).forward({}, x, {})
        return backward(y)[0]

    _, tangent = mcx.linearize(gradient, x)
    assert tangent.nbytes == 8 * x.size // 4


def test_mean_of_images():
    """Averages round once per entry: a constant image of any size keeps its mean."""
    x = np.full((1, 60, 60, 2), 0.1, dtype="float32")
    for layer in (AvgPool2d(30), GlobalAvgPool2d()):
        y = layer.forward({}, x, {})[0]
        np.testing.assert_allclose(y, np.float32(0.1), rtol=1e-5)


@pytest.mark.parametrize("pool", [AvgPool2d, MaxPool2d])
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda pool: pool(0), r"Pool2d\(size=0\): size: expected at least 1, got 0"),
        (lambda pool: pool((2, -1)), r"size: expected at least 1, got \(2, -1\)"),
        (
            lambda pool: pool(2).forward({}, np.ones((1, 4, 5, 1)), {}),
            r"size=2\): x: .* divisible by \(2, 2\), got shape \(1, 4, 5, 1\); crop or pad",
        ),
        (
            lambda pool: pool((3, 2)).output_shape((4, 4, 1)),
            r"one sample: .* divisible by \(3, 2\), got shape \(4, 4, 1\)",
        ),
        (lambda pool: pool(2).forward({}, np.ones((4, 4)), {}), r"\(B, H, W, C\), got \(4, 4\)"),
        (lambda pool: pool(2).output_shape((4,)), r"one sample: .*\(H, W, C\), got \(4,\)"),
    ],
)
def test_errors(pool, call, message):
    with pytest.raises(ValueError, match=message):
        call(pool)


def test_errors_of_the_global_average():
    with pytest.raises(ValueError, match=r"GlobalAvgPool2d\(\): x: .*\(B, H, W, C\), got \(2, 3\)"):
        GlobalAvgPool2d().forward({}, np.ones((2, 3)), {})
    with pytest.raises(ValueError, match=r"one sample: expected shape \(H, W, C\), got \(3,\)"):
        GlobalAvgPool2d().output_shape((3,))


def test_winners_stay_on_the_device():
    x = StandIn.wrap(np.random.default_rng(0).normal(size=(2, 4, 4, 3)))
    y, backward = MaxPool2d(2).forward({}, x, {})
    assert type(y) is StandIn
    assert type(backward(y)[0]) is StandIn
