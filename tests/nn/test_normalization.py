"""Statistics of batches and running ones: conventions, invariances, rounding, errors."""

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler

import mcx
from mcx_nn import BatchNorm, LayerNorm
from tests.nn.checks import EPS

TRAIN = {"train": True}


def start(layer, shape, seed=0):
    rng = np.random.default_rng(seed)
    params = {name: rng.normal(size=s) for name, s in layer.parameters.items()}
    return params, 3 + 2 * rng.normal(size=shape)


def test_scikit_learn_agrees():
    layer = BatchNorm(4, epsilon=0)
    _, x = start(layer, (50, 4))
    y, _ = layer.forward(layer.init(None), x, TRAIN)
    np.testing.assert_allclose(y, StandardScaler().fit_transform(x), rtol=1e-13)


@pytest.mark.parametrize("shape", [(6, 3), (2, 3, 4, 3)])
def test_images_are_their_pixels(shape):
    """Images are normalised as the matrix of all their pixels."""
    layer = BatchNorm(3)
    params, x = start(layer, shape)
    y, backward = layer.forward(params, x, TRAIN)
    pixels, backward_of_pixels = layer.forward(params, x.reshape(-1, 3), TRAIN)
    np.testing.assert_allclose(y.reshape(-1, 3), pixels, rtol=1e-13)
    dx, dpixels = backward(np.cos(y))[0], backward_of_pixels(np.cos(pixels))[0]
    np.testing.assert_allclose(dx.reshape(-1, 3), dpixels, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("momentum", [0.0, 0.1, 1.0])
def test_running_statistics(momentum):
    """PyTorch's convention: the unbiased variance, momentum the weight of the new batch."""
    layer = BatchNorm(2, momentum=momentum)
    params, x = start(layer, (3, 2, 2, 2))
    old = {"mean": np.array([1.0, -1.0]), "variance": np.array([0.5, 4.0])}
    new = layer.update_state(params, x, {"state": old})
    pixels = x.reshape(-1, 2)
    for name, batch in (("mean", pixels.mean(axis=0)), ("variance", pixels.var(axis=0, ddof=1))):
        np.testing.assert_allclose(new[name], (1 - momentum) * old[name] + momentum * batch)
    assert list(old["mean"]) == [1.0, -1.0]


def test_running_statistics_converge():
    """After many equal batches the layer normalises them by themselves, without train mode."""
    layer = BatchNorm(3, epsilon=0)
    params, x = start(layer, (200, 3))
    state = layer.init_state()
    for _ in range(400):
        state = layer.update_state(params, x, {"state": state})
    y, _ = layer.forward(params, x, {"state": state})
    expected, _ = layer.forward(params, x * np.sqrt(199 / 200), TRAIN)
    shrunk = (expected - params["shift"]) * np.sqrt(199 / 200) + params["shift"]
    np.testing.assert_allclose(y, shrunk, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_running_statistics_keep_their_dtype(dtype):
    layer = BatchNorm(2)
    params, x = start(layer, (4, 2))
    state = {name: array.astype(dtype) for name, array in layer.init_state().items()}
    for given in ("float32", "float64"):
        new = layer.update_state(params, x.astype(given), {"state": state})
        assert {array.dtype for array in new.values()} == {np.dtype(dtype)}


def test_running_statistics_have_the_dtype_of_the_parameters():
    """Images in single precision, or real ones under complex weights, cost them no digits."""
    layer = BatchNorm(2)
    params, x = start(layer, (5, 2))
    x = x.astype("float32")
    context = {"state": {"mean": np.array([1 / 3, 0.1]), "variance": np.array([0.7, 1 / 7])}}
    y, backward = layer.forward(params, x, context)
    expected, backward_of_doubles = layer.forward(params, x.astype(float), context)
    assert np.array_equal(y, expected)
    assert np.array_equal(backward(y)[0], backward_of_doubles(y)[0])
    context = {"state": {name: array + 0j for name, array in context["state"].items()}}
    weights = {name: array + 1e-30j for name, array in params.items()}
    steps, _ = layer.forward(weights, x, context)
    np.testing.assert_allclose(steps.real, expected, rtol=1e-14)


def test_train_mode_ignores_running_statistics():
    layer = BatchNorm(2)
    params, x = start(layer, (4, 2))
    far = {"mean": np.full(2, 1e9), "variance": np.full(2, 1e9)}
    y, _ = layer.forward(params, x, {"train": True, "state": far})
    assert np.array_equal(y, layer.forward(params, x, TRAIN)[0])


@pytest.mark.parametrize(
    ("layer", "shape", "context", "axes"),
    [
        (BatchNorm(3, epsilon=0), (5, 3), TRAIN, (0,)),
        (BatchNorm(3, epsilon=0), (2, 3, 4, 3), TRAIN, (0, 1, 2)),
        (LayerNorm(5, epsilon=0), (2, 3, 5), {}, (2,)),
        (LayerNorm((3, 5), epsilon=0), (2, 3, 5), {}, (1, 2)),
    ],
    ids=str,
)
def test_invariance(layer, shape, context, axes):
    """Offset and size of x do not show in y: dx is orthogonal to a constant and to x itself."""
    params, x = start(layer, shape)
    y, backward = layer.forward(params, x, context)
    other, _ = layer.forward(params, 4 * x + 32, context)
    np.testing.assert_allclose(other, y, rtol=1e-11, atol=1e-11)
    dx, _ = backward(np.random.default_rng(1).normal(size=y.shape))
    size = np.sum(np.abs(dx), axis=axes) + EPS
    assert np.all(np.abs(np.sum(dx, axis=axes)) <= 64 * EPS * size)
    assert np.all(np.abs(np.sum(dx * x, axis=axes)) <= 1024 * EPS * size)


@pytest.mark.parametrize("layer", [BatchNorm(2, epsilon=0), LayerNorm(2000, epsilon=0)])
def test_large_mean(layer):
    """The variance is that of differences to the mean: squares of x would lose it altogether."""
    rng = np.random.default_rng(0)
    offsets = rng.integers(-8, 8, size=(2, 2000))
    rows = (2.0**16 + offsets / 4).astype("float32")  # exact
    deviation = rows - rows.mean(axis=1, keepdims=True, dtype=float)
    expected = deviation / np.sqrt(np.mean(deviation**2, axis=1, keepdims=True))
    batch = isinstance(layer, BatchNorm)
    params = {name: array.astype("float32") for name, array in layer.init(rng).items()}
    y, _ = layer.forward(params, rows.T if batch else rows, TRAIN)
    # The mean itself is known to a few spacings of float32 around 2¹⁶, which are 2⁻⁷.
    np.testing.assert_allclose(y.T if batch else y, expected, atol=4 * 2.0**-7)


def test_sums_of_many_in_float32():
    """Sums over images of sums over places: the error grows with neither number as it is."""
    rng = np.random.default_rng(0)
    x = (1 + rng.random((64, 32, 32, 2))).astype("float32")
    layer = BatchNorm(2, momentum=1.0)
    new = layer.update_state({}, x, {"state": layer.init_state()})
    exact = x.astype(float).reshape(-1, 2)
    tolerance = 16 * np.finfo("float32").eps
    np.testing.assert_allclose(new["mean"], exact.mean(axis=0), rtol=tolerance)
    np.testing.assert_allclose(new["variance"], exact.var(axis=0, ddof=1), rtol=2 * tolerance)


def test_constant_channel():
    """A channel that is constant normalises to its shift; ε keeps all derivatives finite."""
    layer = BatchNorm(2)
    params, x = start(layer, (4, 2))
    x[:, 0] = 5.0
    y, backward = layer.forward(params, mcx.perturb(x, np.ones_like(x), x), TRAIN)
    assert np.array_equal(y.value[:, 0], np.full(4, params["shift"][0]))
    assert np.isfinite(y.planes).all()
    assert np.isfinite(backward(y)[0].planes).all()


def test_not_a_sum_over_samples():
    """In train mode the derivative of one sample's output by another sample is not zero."""
    layer = BatchNorm(1)
    params, x = start(layer, (3, 1))
    _, backward = layer.forward(params, x, TRAIN)
    assert np.all(backward(np.array([[1.0], [0.0], [0.0]]))[0] != 0)
    _, backward = layer.forward(params, x, {"state": layer.init_state()})
    assert np.count_nonzero(backward(np.array([[1.0], [0.0], [0.0]]))[0]) == 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: BatchNorm(0), r"channels: expected at least 1, got 0"),
        (lambda: BatchNorm(2, epsilon=-1), r"epsilon: expected at least 0, got -1"),
        (lambda: BatchNorm(2, momentum=1.5), r"momentum: expected 0 to 1, got 1.5"),
        (lambda: LayerNorm(0), r"LayerNorm\(.*features: expected at least 1, got 0"),
        (lambda: LayerNorm((2, 0)), r"features: expected at least 1, got 0"),
        (lambda: LayerNorm(2, epsilon=float("nan")), r"epsilon: expected at least 0, got nan"),
        (lambda: BatchNorm(3).output_shape((2,)), r"one sample: expected shape \(3,\), got \(2,\)"),
        (lambda: BatchNorm(3).output_shape(()), r"one sample: expected shape \(3,\), got \(\)"),
        (
            lambda: LayerNorm((2, 3)).output_shape((4, 3, 3)),
            r"one sample: expected shape \(4, 2, 3\), got \(4, 3, 3\)",
        ),
    ],
)
def test_sizes(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    ("layer", "shape", "context", "message"),
    [
        (BatchNorm(3), (4, 2), TRAIN, r"BatchNorm\(.*\): x: expected .* \(B, 3\), got \(4, 2\)"),
        (BatchNorm(3), (3,), TRAIN, r"x: expected shape \(B, 3\), got \(3,\)"),
        (BatchNorm(3), (2, 5, 4, 2), TRAIN, r"\(B, 5, 4, 3\), got \(2, 5, 4, 2\)"),
        (BatchNorm(3), (1, 3), TRAIN, r"more than one value per channel .* got shape \(1, 3\); t"),
        (BatchNorm(3), (1, 1, 1, 3), TRAIN, r"more than one value per channel"),
        (BatchNorm(3), (4, 3), {}, r"'mean' and 'variance' in context\['state'\], got \[\]; start"),
        (BatchNorm(3), (4, 3), {"state": {"mean": np.ones(3)}}, r"got \['mean'\]"),
        (
            BatchNorm(3),
            (4, 3),
            {"state": {"mean": np.ones(1), "variance": np.ones(3)}},
            r"mean: expected shape \(3,\), got \(1,\)",
        ),
        (LayerNorm(3), (4, 2), {}, r"LayerNorm\(.*\): x: expected .* \(B, 3\), got \(4, 2\)"),
        (LayerNorm((2, 3)), (2, 3), {}, r"x: expected shape \(B, 2, 3\), got \(2, 3\)"),
        (LayerNorm((2, 3)), (4, 5, 3, 2), {}, r"\(B, 5, 2, 3\), got \(4, 5, 3, 2\)"),
    ],
)
def test_inputs(layer, shape, context, message):
    with pytest.raises(ValueError, match=message):
        layer.forward(layer.init(None), np.ones(shape), context)


@pytest.mark.parametrize("layer", [BatchNorm(3), LayerNorm(3)], ids=str)
def test_parameter_shapes(layer):
    params = {**layer.init(None), "shift": np.zeros(1)}
    with pytest.raises(ValueError, match=r"shift: expected shape \(3,\), got \(1,\)"):
        layer.forward(params, np.ones((4, 3)), TRAIN)


def test_update_needs_more_than_one_value():
    layer = BatchNorm(2)
    with pytest.raises(ValueError, match="more than one value per channel"):
        layer.update_state({}, np.ones((1, 2)), {"state": layer.init_state()})
    with pytest.raises(ValueError, match=r"x: expected shape \(B, 2\), got \(4, 3\)"):
        layer.update_state({}, np.ones((4, 3)), {"state": layer.init_state()})
    with pytest.raises(ValueError, match=r"in context\['state'\], got \[\]"):
        layer.update_state({}, np.ones((4, 2)), {})
