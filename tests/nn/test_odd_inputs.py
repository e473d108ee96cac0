"""Inputs that a stranger brings: small integers, empty batches, several dtypes, NumPy scalars."""

import numpy as np
import pytest

import mcx
from mcx_nn import (
    Activation,
    AvgPool2d,
    BatchNorm,
    Conv2d,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool2d,
    L2Regularized,
    LayerNorm,
    MaxPool2d,
    Sequential,
    Supervised,
    mean_squared_error,
    set_convolution,
)
from mcx_nn.activations import ACTIVATIONS
from mcx_nn.convolutions import compiled
from mcx_nn.primitives import join

TRAIN = {"train": True}


@pytest.fixture(autouse=True)
def choice(monkeypatch):
    """One way through every test: machine code would come when there has been enough to do."""
    monkeypatch.setattr(compiled, "_work", -(1 << 62))
    yield
    set_convolution("auto")


def drawn(layer, seed=0):
    rng = np.random.default_rng(seed)
    return {name: rng.normal(size=shape) for name, shape in layer.parameters.items()}


# ---- small integers, as in raw images


@pytest.mark.parametrize("layer", [AvgPool2d(2), GlobalAvgPool2d(), MaxPool2d(2)], ids=str)
@pytest.mark.parametrize(("dtype", "entry"), [("uint8", 255), ("int8", -128), ("bool", 1)])
def test_pooling_of_small_integers(layer, dtype, entry):
    y, _ = layer.forward({}, np.full((1, 2, 2, 1), entry, dtype), {})
    assert y.dtype == float
    assert y.item() == entry


# The second shape takes Karatsuba's way.
LAYERS = [
    (Conv2d(16, 16, 3, padding=1), (2, 6, 5, 16), "winograd2"),
    (Conv2d(16, 16, 3, padding=1), (2, 2, 2, 16), "auto"),
    (Conv2d(3, 4, 3), (2, 6, 5, 3), "direct"),
    (BatchNorm(3), (40, 3), "auto"),
    (BatchNorm(2), (2, 5, 4, 2), "auto"),
    (LayerNorm(3), (4, 3), "auto"),
    (Dense(3, 2), (4, 3), "auto"),
    (AvgPool2d(2), (2, 4, 4, 3), "auto"),
    (GlobalAvgPool2d(), (2, 4, 4, 3), "auto"),
    (MaxPool2d(2), (2, 4, 4, 3), "auto"),
]


@pytest.mark.parametrize(("layer", "shape", "algorithm"), LAYERS)
@pytest.mark.parametrize("dtype", ["uint8", "int8"])
def test_integers_count_as_floats(layer, shape, algorithm, dtype):
    """Value and gradients are those of the same numbers in double precision."""
    set_convolution(algorithm)
    limits = np.iinfo(dtype)
    x = np.random.default_rng(0).integers(limits.min, limits.max + 1, shape).astype(dtype)
    params = drawn(layer)
    y, backward = layer.forward(params, x, TRAIN)
    expected, backward_of_floats = layer.forward(params, x.astype(float), TRAIN)
    assert y.dtype == float
    assert np.array_equal(y, expected)
    (dx, grads), (dx_of_floats, grads_of_floats) = backward(y), backward_of_floats(y)
    assert np.array_equal(dx, dx_of_floats)
    for name, gradient in grads.items():
        assert np.array_equal(gradient, grads_of_floats[name])


def test_model_of_raw_images():
    """mean((Σ tile means − 0)²) by hand: three tiles of 255, one of 0."""
    model = Sequential([AvgPool2d(2), Flatten(), Dense(4, 1)])
    x = np.full((1, 4, 4, 1), 255, np.uint8)
    x[:, 2:, 2:] = 0
    problem = Supervised(model, mean_squared_error)
    w = np.array([1.0, 1.0, 1.0, 1.0, 0.0])
    loss, grad = problem.value_and_grad(w, (x, np.zeros((1, 1))))
    assert loss == problem.value(w, (x, np.zeros((1, 1)))) == 765.0**2
    assert np.array_equal(grad, 2 * 765 * np.array([255.0, 255, 255, 0, 1]))


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("dtype", ["uint8", "int64", "bool"])
def test_activations_refuse_integers(name, dtype):
    message = (
        rf"Activation\(name='{name}'\): x: expected floating-point .*got dtype {dtype}.* x.astype"
    )
    with pytest.raises(ValueError, match=message):
        Activation(name).forward({}, np.ones((1, 2), dtype), {})


# ---- a batch of no samples


@pytest.mark.parametrize("way", ["auto", "direct", "winograd2", "winograd4"])
@pytest.mark.parametrize(
    ("layer", "shape", "after"),
    [
        (Conv2d(16, 5, 3, padding=1), (4, 4, 16), (4, 4, 5)),
        (Conv2d(16, 6, 3, groups=2), (4, 5, 16), (2, 3, 6)),
        (Flatten(), (4, 3, 2), (24,)),
        (AvgPool2d(2), (4, 6, 3), (2, 3, 3)),
        (MaxPool2d(2), (4, 6, 3), (2, 3, 3)),
        (Dense(3, 2), (3,), (2,)),
        (LayerNorm(3), (2, 3), (2, 3)),
        (Activation("tanh"), (3,), (3,)),
    ],
    ids=str,
)
def test_no_samples(layer, shape, after, way):
    set_convolution(way)
    y, backward = layer.forward(drawn(layer), np.zeros((0, *shape)), {})
    assert y.shape == (0, *after)
    dx, grads = backward(y)
    assert dx.shape == (0, *shape)
    for name, gradient in grads.items():
        assert np.array_equal(gradient, np.zeros(layer.parameters[name]))


# ---- several dtypes


def test_vectors_of_several_dtypes_keep_their_digits():
    singles, doubles = np.ones(2, np.float32), np.array([1 / 3])
    assert np.array_equal(join([singles, doubles]), [1, 1, 1 / 3])
    assert np.array_equal(join([np.array([2, 3]), doubles]), [2, 3, 1 / 3])
    assert np.array_equal(join([doubles, doubles * 1j]), [1 / 3, 1j / 3])
    for first in (singles, mcx.perturb(singles, singles)):
        joined = join([first, mcx.perturb(doubles, doubles / 7)])
        assert np.array_equal(joined.value, [1, 1, 1 / 3])
        assert joined.im(1)[2] == 1 / 3 / 7
    joined = join([mcx.perturb(doubles, doubles), mcx.perturb(doubles * 1j, doubles * 1j)])
    assert np.array_equal(joined.im(1), [1 / 3, 1j / 3])


def test_ravel_of_several_dtypes():
    problem = Supervised(Sequential([Dense(2, 1)]), mean_squared_error)
    params = {"0.weight": np.ones((2, 1), np.float32), "0.bias": np.array([0.1])}
    assert np.array_equal(problem.ravel(params), [1, 1, 0.1])


def test_targets_take_the_dtype_of_the_prediction():
    """Targets in double precision do not widen a float32 model; integers are targets too."""
    prediction = np.array([[1.0, 3.0]], np.float32)
    for dtype in ("float64", "int64", "uint8"):
        loss, slope = mean_squared_error(prediction, np.array([[2, 1]], dtype))
        assert loss.dtype == slope.dtype == np.float32
        assert loss == 2.5
        assert np.array_equal(slope, [[-1, 2]])


# ---- hyperparameters that are NumPy scalars


@pytest.mark.parametrize(
    ("layer", "context"),
    [
        (Dropout(np.float64(0.5)), {"masks": {"mask": np.array([[True, False, True]] * 4)}}),
        (BatchNorm(3, epsilon=np.float64(1e-5)), {}),
        (
            BatchNorm(3, epsilon=np.float64(1e-5)),
            {"train": False, "state": BatchNorm(3).init_state()},
        ),
        (LayerNorm(3, epsilon=np.float64(1e-5)), {}),
    ],
    ids=["dropout", "batch", "running", "layer"],
)
def test_numpy_scalars_do_not_widen(layer, context):
    params = {name: array.astype("float32") for name, array in drawn(layer).items()}
    x = np.random.default_rng(1).normal(size=(4, 3)).astype("float32")
    y, backward = layer.forward(params, x, {**TRAIN, **context})
    dx, grads = backward(y)
    assert {y.dtype, dx.dtype, *(array.dtype for array in grads.values())} == {np.dtype("float32")}


def test_numpy_strength_does_not_widen():
    problem = Supervised(Sequential([Dense(2, 1)]), mean_squared_error)
    regularized = L2Regularized(problem, np.float64(1e-3))
    batch = np.ones((3, 2), np.float32), np.ones((3, 1), np.float32)
    loss, grad = regularized.value_and_grad(np.ones(3, np.float32), batch)
    assert loss.dtype == grad.dtype == np.float32
