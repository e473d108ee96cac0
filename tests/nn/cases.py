"""The layers under test, each with an input and an independent expression of its value."""

import numpy as np
from scipy.signal import correlate2d
from scipy.special import expit
from scipy.stats import zscore

from mcx_nn import (
    Activation,
    AvgPool2d,
    BatchNorm,
    Conv2d,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    GlobalAvgPool2d,
    LayerNorm,
    MaxPool2d,
    Sequential,
)
from tests.nn.case import Case, apart
from tests.nn.cases_activations import ROWS as ACTIVATIONS
from tests.nn.cases_combinators import ROWS as COMBINATORS


def convolve(x, weight, bias, stride=(1, 1), padding=(0, 0)):
    """Convolution as sums of SciPy's two-dimensional correlations."""
    x = np.pad(x, ((0, 0), (padding[0],) * 2, (padding[1],) * 2, (0, 0)))
    images = [
        sum(
            correlate2d(image[:, :, c], weight[:, :, c, o], mode="valid")
            for c in range(weight.shape[2])
        )[:: stride[0], :: stride[1]]
        + bias[o]
        for image in x
        for o in range(weight.shape[3])
    ]
    return np.stack(images).reshape(len(x), weight.shape[3], *images[0].shape).transpose(0, 2, 3, 1)


def convolve_in_groups(x, weight, bias, groups=1, dilation=(1, 1), **geometry):
    """Convolution group by group, by kernels with zeros in their holes."""
    reach = [(k - 1) * d + 1 for k, d in zip(weight.shape[:2], dilation, strict=True)]
    spread = np.zeros((*reach, *weight.shape[2:]))
    spread[:: dilation[0], :: dilation[1]] = weight
    parts = zip(
        np.split(x, groups, axis=3),
        np.split(spread, groups, axis=3),
        np.split(bias, groups),
        strict=True,
    )
    return np.concatenate([convolve(*part, **geometry) for part in parts], axis=3)


def pool(x, height, width):
    """Average pooling as a correlation with a box."""
    box = np.full((height, width), 1 / (height * width))
    maps = [
        [correlate2d(image[:, :, c], box, "valid")[::height, ::width] for c in range(x.shape[3])]
        for image in x
    ]
    return np.array(maps).transpose(0, 2, 3, 1)


def maxima(height, width):
    """Maxima of tiles, tile by tile."""

    def tiles(image):
        return [
            [
                image[i : i + height, j : j + width].max(axis=(0, 1))
                for j in range(0, image.shape[1], width)
            ]
            for i in range(0, image.shape[0], height)
        ]

    return lambda params, x: np.array([tiles(image) for image in x])


def standardized(axis):
    """Normalisation as SciPy's standard score."""
    return lambda params, x: zscore(x, axis=axis) * params["scale"] + params["shift"]


def normalized(axis, epsilon):
    """Normalisation by NumPy's mean and variance."""

    def reference(params, x):
        variance = np.var(x, axis=axis, keepdims=True)
        normal = (x - np.mean(x, axis=axis, keepdims=True)) / np.sqrt(variance + epsilon)
        return normal * params["scale"] + params["shift"]

    return reference


def running(params, x):
    normal = (x - STATE["mean"]) * (STATE["variance"] + 1e-5) ** -0.5
    return normal * params["scale"] + params["shift"]


def masked(shape):
    """Return a context of train mode with a mask."""
    return {"train": True, "masks": {"mask": np.arange(np.prod(shape)).reshape(shape) % 3 > 0}}


def dropped(rate, shape):
    mask = masked(shape)["masks"]["mask"]
    return lambda params, x: np.where(mask, x / (1 - rate), 0)


def entries(count):
    """Draw indices of so many entries."""
    return lambda rng, shape: rng.integers(0, count, shape)


def rows(params, x):
    return np.array([params["weight"][k] for k in x.ravel()]).reshape(*x.shape, -1)


def embedded(params, x):
    return rows({"weight": params["0.weight"]}, x) @ params["1.weight"] + params["1.bias"]


def dense(params, x):
    return np.einsum("bi,io->bo", x, params["weight"]) + params["bias"]


def convolution(stride=(1, 1), padding=(0, 0)):
    return lambda params, x: convolve(x, params["weight"], params["bias"], stride, padding)


def grouped(**geometry):
    return lambda params, x: convolve_in_groups(x, params["weight"], params["bias"], **geometry)


def perceptron(params, x):
    hidden = np.sin(np.einsum("bi,io->bo", x, params["0.weight"]) + params["0.bias"])
    return np.einsum("bi,io->bo", hidden, params["2.weight"]) + params["2.bias"]


def small_lenet(params, x):
    hidden = pool(expit(convolve(x, params["0.weight"], params["0.bias"], (1, 1), (1, 1))), 2, 2)
    flat = np.array([image.ravel() for image in hidden])
    return flat @ params["4.weight"] + params["4.bias"]


TRAIN = {"train": True}

DENSE = [
    Case(Dense(3, 4), (5, 3), dense),
    Case(Dense(1, 1), (1, 1), dense),
    Case(Dense(4, 4), (2, 4), dense),
]
CONVOLUTION = [
    Case(Conv2d(1, 2, 3), (2, 5, 4, 1), convolution()),
    Case(Conv2d(2, 3, 3, padding=1), (2, 3, 4, 2), convolution(padding=(1, 1))),
    Case(Conv2d(2, 2, 2, stride=2), (1, 5, 4, 2), convolution(stride=(2, 2))),
    Case(
        Conv2d(2, 2, (3, 2), stride=(1, 2), padding=(2, 1)),
        (2, 3, 4, 2),
        convolution((1, 2), (2, 1)),
    ),
    Case(Conv2d(3, 2, 1), (2, 2, 3, 3), convolution()),
    Case(Conv2d(1, 2, 2, stride=3, padding=1), (1, 5, 6, 1), convolution((3, 3), (1, 1))),
    Case(Conv2d(4, 2, 2, groups=2), (2, 3, 3, 4), grouped(groups=2)),
    Case(Conv2d(3, 3, 2, groups=3, padding=1), (1, 2, 3, 3), grouped(groups=3, padding=(1, 1))),
    Case(Conv2d(2, 2, 2, dilation=2), (2, 4, 5, 2), grouped(dilation=(2, 2))),
    Case(
        Conv2d(2, 4, (2, 3), stride=(2, 1), padding=1, dilation=(1, 2), groups=2),
        (1, 3, 4, 2),
        grouped(groups=2, dilation=(1, 2), stride=(2, 1), padding=(1, 1)),
    ),
]
POOLING = [
    Case(AvgPool2d(2), (2, 4, 6, 3), lambda params, x: pool(x, 2, 2)),
    Case(AvgPool2d((1, 3)), (1, 2, 6, 2), lambda params, x: pool(x, 1, 3)),
    Case(AvgPool2d(1), (1, 2, 2, 1), lambda params, x: x),
    Case(MaxPool2d(2), (2, 4, 4, 2), maxima(2, 2), draw=apart),
    Case(MaxPool2d((3, 2)), (1, 6, 4, 1), maxima(3, 2), draw=apart),
    Case(MaxPool2d((1, 2)), (2, 1, 6, 2), maxima(1, 2), draw=apart),
    Case(MaxPool2d(1), (1, 2, 2, 1), lambda params, x: x),
    Case(GlobalAvgPool2d(), (3, 2, 4, 2), lambda params, x: np.mean(x, axis=(1, 2))),
    Case(GlobalAvgPool2d(), (1, 1, 1, 2), lambda params, x: x[:, 0, 0]),
]
STATE = {"mean": np.array([0.5, -0.25, 0.0]), "variance": np.array([1.5, 0.25, 2.0])}
NORMALIZATION = [
    Case(BatchNorm(3, epsilon=0), (5, 3), standardized(0), TRAIN),
    Case(BatchNorm(2), (4, 2), normalized(0, 1e-5), TRAIN),
    Case(BatchNorm(3, epsilon=0.5), (2, 3, 2, 3), normalized((0, 1, 2), 0.5), TRAIN),
    Case(BatchNorm(1), (1, 4, 3, 1), normalized((0, 1, 2), 1e-5), TRAIN),
    Case(BatchNorm(2), (3, 4, 2), normalized((0, 1), 1e-5), TRAIN),
    Case(BatchNorm(3), (4, 3), running, {"state": STATE}),
    Case(BatchNorm(3), (1, 2, 2, 3), running, {"train": False, "state": STATE}),
    Case(LayerNorm(4, epsilon=0), (3, 4), standardized(1)),
    Case(LayerNorm(4), (2, 3, 4), normalized(2, 1e-5)),
    Case(LayerNorm((2, 3), epsilon=0.5), (2, 2, 3), normalized((1, 2), 0.5)),
    Case(LayerNorm((2, 2, 2)), (2, 2, 2, 2), normalized((1, 2, 3), 1e-5)),
]
DROPOUT = [
    Case(Dropout(0.5), (4, 3), dropped(0.5, (4, 3)), masked((4, 3))),
    Case(Dropout(0.2), (2, 3, 2, 2), dropped(0.2, (2, 3, 2, 2)), masked((2, 3, 2, 2))),
    Case(Dropout(0.5), (4, 3), lambda params, x: x),
]
EMBEDDING = [
    Case(Embedding(5, 3), (2, 4), rows, draw=entries(5)),
    Case(Embedding(3, 2), (6,), rows, draw=entries(3)),
    Case(Embedding(4, 1), (1, 2, 2), rows, draw=entries(4)),
    Case(Sequential([Embedding(4, 2), Dense(2, 3)]), (5,), embedded, draw=entries(4)),
]
ACTIVATION = [Case(*row) for row in ACTIVATIONS]
COMPOSITION = [
    Case(Flatten(), (2, 2, 3, 2), lambda params, x: np.array([image.ravel() for image in x])),
    Case(Sequential([]), (2, 3), lambda params, x: x),
    Case(Sequential([Dense(3, 4), Activation("sin"), Dense(4, 2)]), (3, 3), perceptron),
    Case(
        Sequential(
            [
                Conv2d(1, 2, 3, padding=1),
                Activation("sigmoid"),
                AvgPool2d(2),
                Flatten(),
                Dense(8, 3),
            ]
        ),
        (2, 4, 4, 1),
        small_lenet,
    ),
]
CASES = [
    *(*DENSE, *CONVOLUTION, *POOLING, *NORMALIZATION, *DROPOUT, *EMBEDDING, *ACTIVATION),
    *(*COMPOSITION, *(Case(*row) for row in COMBINATORS)),
]
