"""Models: numbers of parameters as published, values, and products with their Hessians."""

from dataclasses import dataclass
from itertools import pairwise
from math import prod

import numpy as np
import pytest
from scipy.special import expit

import mcx
from mcx_nn import (
    MaxPool2d,
    Residual,
    Sequential,
    Supervised,
    autoencoder,
    binary_cross_entropy_with_logits,
    lenet5,
    linear_svm,
    logistic_regression,
    mean_squared_error,
    mlp,
    resnet,
    sin_mlp,
    softmax_cross_entropy,
    squared_hinge,
    vgg,
    vgg11,
    vgg19,
)
from tests.nn import checks
from tests.nn.cases import convolve

# ---- numbers of parameters


def size(model):
    return sum(prod(shape) for shape in model.parameters.values())


def dense_size(*sizes):
    return sum((inputs + 1) * outputs for inputs, outputs in pairwise(sizes))


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (logistic_regression(784, 10), 7850),
        (linear_svm(784, 10), 7850),
        (mlp((784, 300, 100, 10)), 266_610),  # LeNet-300-100
        (sin_mlp((2, 5, 1)), dense_size(2, 5, 1)),
        (autoencoder(), 2_837_314),  # of Martens 2010 and all that compare with it
        (lenet5(), 61_706),
        (lenet5(pooling="max", classes=3), 61_706 - 7 * 85),
        # Features of torchvision's vgg11 and vgg19, and the numbers of its `_bn` variants beyond.
        (vgg11(batch_norm=False), 9_220_480 + dense_size(512, 512, 512, 10)),
        (vgg11(), 9_220_480 + 5504 + dense_size(512, 512, 512, 10)),
        (vgg19(batch_norm=False), 20_024_384 + dense_size(512, 512, 512, 10)),
        (vgg19(), 20_024_384 + 11_008 + dense_size(512, 512, 512, 10)),
        (vgg19(100, hidden=(64,)), 20_024_384 + 11_008 + dense_size(512, 64, 100)),
    ],
)
def test_number_of_parameters(model, expected):
    assert size(model) == expected


@pytest.mark.parametrize(("n", "expected"), [(3, 269_722), (5, 464_154), (9, 853_018)])
def test_number_of_parameters_of_resnets(n, expected):
    """ResNet-20, 32 and 56 with shortcuts and convolutions that have no parameters of their own.

    Numbers of a public implementation of section 4.2 of the paper, which rounds them to 0.27, 0.46
    and 0.85 million.
    """
    model = resnet((n, n, n))
    extra = [
        prod(shape)
        for name, shape in model.parameters.items()
        if "shortcut" in name or (name.endswith("bias") and not name.startswith(last(model)))
    ]
    assert size(model) - sum(extra) == expected


def last(model):
    return f"{len(model.layers) - 1}."


def test_depths():
    """As many layers with weights as the name says."""
    for model, depth in ((lenet5(), 5), (vgg11(), 11), (vgg19(), 19), (resnet((3, 3, 3)), 20)):
        names = [name for name in model.parameters if "shortcut" not in name]
        assert sum(name.endswith("weight") for name in names) == depth


def test_stages():
    """Height, width and channels that the stages of a network hand on."""
    pooled = [
        after for _, layer, _, after in vgg19().shapes((32, 32, 3)) if isinstance(layer, MaxPool2d)
    ]
    assert pooled == [(16, 16, 64), (8, 8, 128), (4, 4, 256), (2, 2, 512), (1, 1, 512)]
    summed = [
        after for _, layer, _, after in resnet().shapes((32, 32, 3)) if isinstance(layer, Residual)
    ]
    assert summed == [(32, 32, 16)] * 2 + [(16, 16, 32)] * 2 + [(8, 8, 64)] * 2


def test_initial_signals_reach_the_logits_of_vgg19():
    """Without batch normalisation they would shrink by a third in every layer under Glorot."""
    model = vgg(((2,) * 2, (4,) * 2, (8,) * 4, (16,) * 4, (16,) * 4), batch_norm=False)
    logits = [
        model.forward(
            model.init(np.random.default_rng(seed)),
            np.random.default_rng(100).normal(size=(4, 32, 32, 3)),
            {},
        )[0]
        for seed in range(8)
    ]
    assert np.median([np.std(y, axis=0).mean() for y in logits]) > 0.02


# ---- values, written another way


def affine(params, x, position):
    return x @ params[f"{position}.weight"] + params[f"{position}.bias"]


def elu(x):
    return np.where(x > 0, x, np.exp(np.minimum(x, 0)) - 1)


def relu(x):
    return (x + np.abs(x)) / 2


def normalise(params, x, position):
    mean, variance = x.mean(axis=(0, 1, 2)), x.var(axis=(0, 1, 2))
    normal = (x - mean) / np.sqrt(variance + 1e-5)
    return params[f"{position}.scale"] * normal + params[f"{position}.shift"]


def convolution(params, x, position, stride=1, padding=1):
    weight, bias = params[f"{position}.weight"], params[f"{position}.bias"]
    return convolve(x, weight, bias, (stride, stride), (padding, padding))


def tiles_maximum(x):
    batch, height, width, channels = x.shape
    return x.reshape(batch, height // 2, 2, width // 2, 2, channels).max(axis=(2, 4))


def small_autoencoder(params, x):
    for position in (0, 2):
        x = expit(affine(params, x, position))
    x = affine(params, x, 4)
    for position in (5, 7):
        x = expit(affine(params, x, position))
    return affine(params, x, 9)


def small_vgg(params, x):
    x = tiles_maximum(elu(normalise(params, convolution(params, x, 0), 1)))
    x = elu(normalise(params, convolution(params, x, 4), 5))
    x = tiles_maximum(elu(normalise(params, convolution(params, x, 7), 8)))
    x = elu(affine(params, x.reshape(len(x), -1), 12))
    return affine(params, elu(affine(params, x, 14)), 16)


def small_vgg_without_norm(params, x):
    x = tiles_maximum(elu(convolution(params, x, 0)))
    x = tiles_maximum(elu(convolution(params, elu(convolution(params, x, 3)), 5)))
    return affine(params, elu(affine(params, x.reshape(len(x), -1), 9)), 11)


def small_resnet(params, x):
    x = relu(normalise(params, convolution(params, x, 0), 1))
    body = relu(normalise(params, convolution(params, x, "3.body.0"), "3.body.1"))
    body = normalise(params, convolution(params, body, "3.body.3"), "3.body.4")
    x = relu(body + x)
    body = relu(normalise(params, convolution(params, x, "5.body.0", stride=2), "5.body.1"))
    body = normalise(params, convolution(params, body, "5.body.3"), "5.body.4")
    shortcut = convolution(params, x, "5.shortcut.0", stride=2, padding=0)
    x = relu(body + normalise(params, shortcut, "5.shortcut.1"))
    return affine(params, x.mean(axis=(1, 2)), 8)


@dataclass(frozen=True)
class Small:
    """A small model, its loss, its number of samples and its value written another way."""

    model: Sequential
    reference: object
    loss: object = softmax_cross_entropy
    samples: int = 3

    def batch(self, seed=0):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(self.samples, *self.model.input_shape))
        (outputs,) = self.model.output_shape(self.model.input_shape)
        if self.loss in (softmax_cross_entropy, squared_hinge):
            return x, rng.integers(0, outputs, self.samples)
        return x, rng.random(size=(self.samples, outputs))


SMALL = {
    "logistic_regression": Small(logistic_regression(4, 3), lambda params, x: affine(params, x, 0)),
    "linear_svm": Small(linear_svm(4, 3), lambda params, x: affine(params, x, 0), squared_hinge),
    "mlp": Small(
        mlp((4, 3, 2)), lambda params, x: affine(params, np.tanh(affine(params, x, 0)), 2)
    ),
    "mlp without hidden layer": Small(mlp((4, 2)), lambda params, x: affine(params, x, 0)),
    "sin_mlp": Small(
        sin_mlp((2, 5, 4, 1)),
        lambda params, x: affine(
            params, np.sin(affine(params, np.sin(affine(params, x, 0)), 2)), 4
        ),
        mean_squared_error,
    ),
    "autoencoder": Small(
        autoencoder((6, 5, 4, 2)), small_autoencoder, binary_cross_entropy_with_logits
    ),
    "vgg": Small(vgg(((2,), (3, 2)), size=8, classes=4, hidden=(5, 3)), small_vgg, samples=2),
    "vgg without batch norm": Small(
        vgg(((2,), (3, 2)), size=4, classes=4, batch_norm=False, hidden=(5,)),
        small_vgg_without_norm,
    ),
    "resnet": Small(resnet((1, 1), (2, 3), classes=4), small_resnet, samples=2),
}

SMALL_MODELS = pytest.mark.parametrize("small", SMALL.values(), ids=SMALL.keys())


def initial(small):
    """Return the problem and a point near its initial one where no bias is zero."""
    supervised = Supervised(small.model, small.loss)
    rng = np.random.default_rng(1)
    return supervised, supervised.init(rng) + 0.1 * rng.normal(size=supervised.parameters_size)


def directions(size):
    p, q = np.random.default_rng(2).normal(size=(2, size))
    return p / np.linalg.norm(p), q / np.linalg.norm(q)


@SMALL_MODELS
def test_value(small):
    supervised, w = initial(small)
    x, _ = small.batch()
    params = supervised.unravel(w)
    y, _ = small.model.forward(params, x, {"train": True})
    checks.assert_close(y, small.reference(params, x), 1e-13, "value")
    assert y.shape[1:] == small.model.output_shape(small.model.input_shape)


@SMALL_MODELS
def test_shapes_of_all_layers(small):
    """What every layer promises by `output_shape` is what comes out of it."""
    supervised, w = initial(small)
    x, _ = small.batch()
    steps = small.model.steps(supervised.unravel(w), x, {"train": True})
    shapes = small.model.shapes(small.model.input_shape)
    for step, (name, _, before, after) in zip(steps, shapes, strict=True):
        assert step.name == name
        assert (step.x.shape[1:], step.y.shape[1:]) == (before, after)


def check_derivatives(problem, curvature=True):
    """Gradient, Hp by two ways, symmetry and pᵀHp, along two directions."""
    p, q = directions(problem.z.size)
    gradient = problem.gradient(problem.z)
    scale = np.linalg.norm(gradient)
    assert abs(gradient @ p - checks.complex_step(problem.value, problem.z, p)) <= 1e-12 * scale
    expected = checks.complex_step(problem.gradient, problem.z, p)
    _, product = mcx.csdd(problem.gradient, problem.z, p)
    checks.assert_close(product, expected, 1e-10, "csdd")
    _, hvp = mcx.linearize(problem.gradient, problem.z)
    checks.assert_close(hvp(p), expected, 1e-10, "linearize")
    scale = np.linalg.norm(expected)
    assert abs(q @ hvp(p) - p @ hvp(q)) <= 1e-10 * scale
    assert abs(mcx.csdd2(problem.value, problem.z, p) - p @ expected) <= 1e-10 * scale


@SMALL_MODELS
def test_derivatives(small):
    supervised, w = initial(small)
    check_derivatives(checks.supervised_problem(supervised, w, small.batch()))


@pytest.mark.parametrize("name", ["mlp", "sin_mlp", "autoencoder"])
def test_whole_hessian(name):
    supervised, w = initial(SMALL[name])
    problem = checks.supervised_problem(supervised, w, SMALL[name].batch())
    checks.check_gradient(problem)
    checks.check_hessian(problem, directions(w.size)[0])
    checks.check_curvature(problem, directions(w.size)[0])


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("vgg", lambda layer: 2 * 8 * 8 if layer == "1" else 2 * 4 * 4),
        ("resnet", lambda layer: 2 * 16 * 16 if layer[0] == "5" else 2 * 32 * 32),
    ],
)
def test_running_statistics(name, count):
    """After many updates by one batch predictions are those of training, but for N / (N − 1)."""
    supervised, w = initial(SMALL[name])
    x, y = SMALL[name].batch()
    trained, _ = supervised.model.forward(supervised.unravel(w), x, {"train": True})
    assert np.max(np.abs(supervised.predict(w, x) - trained)) > 0.1
    for _ in range(250):
        supervised.update_state(w, (x, y))
    state = {}
    for dotted, array in supervised.context["state"].items():
        layer, _, statistic = dotted.rpartition(".")
        samples = count(layer)
        state[dotted] = array * (samples - 1) / samples if statistic == "variance" else array
    supervised.context = {"state": state}
    checks.assert_close(supervised.predict(w, x), trained, 1e-9, "prediction")


@pytest.mark.parametrize("name", SMALL)
def test_float32(name):
    supervised, w = initial(SMALL[name])
    x, y = SMALL[name].batch()
    narrow = y if y.dtype.kind == "i" else y.astype("float32")
    batch = x.astype("float32"), narrow
    p = directions(w.size)[0]
    gradient, product = mcx.csdd(
        lambda w: supervised.value_and_grad(w, batch)[1], w.astype("float32"), p.astype("float32")
    )
    assert gradient.dtype == product.dtype == np.float32
    problem = checks.supervised_problem(supervised, w, (x, y))
    checks.assert_close(gradient, problem.gradient(w), 1e-4, "gradient")
    expected = checks.complex_step(problem.gradient, w, p)
    checks.assert_close(product, expected, 1e-3, "Hp")


# ---- the models of the benchmarks in their full size


def full_size(model, samples=1):
    rng = np.random.default_rng(0)
    supervised = Supervised(model(), softmax_cross_entropy)
    w = supervised.init(rng) + 0.01 * rng.normal(size=supervised.parameters_size)
    batch = rng.normal(size=(samples, *supervised.model.input_shape)), np.arange(samples)
    return checks.supervised_problem(supervised, w, batch)


@pytest.mark.parametrize("pooling", ["average", "max"])
def test_lenet5(pooling):
    check_derivatives(full_size(lambda: lenet5("tanh", pooling=pooling), samples=2))


@pytest.mark.slow
@pytest.mark.parametrize("batch_norm", [True, False])
@pytest.mark.parametrize("model", [vgg11, vgg19])
def test_vgg(model, batch_norm):
    check_derivatives(full_size(lambda: model(batch_norm=batch_norm)))


def test_resnet():
    check_derivatives(full_size(resnet, samples=2))


def test_autoencoder():
    model = autoencoder()
    supervised = Supervised(model, binary_cross_entropy_with_logits)
    rng = np.random.default_rng(0)
    w = supervised.init(rng)
    x = rng.random(size=(2, 784))
    check_derivatives(checks.supervised_problem(supervised, w, (x, x)))
