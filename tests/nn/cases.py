"""The layers under test, each with an input and an independent expression of its value."""

from collections.abc import Callable
from dataclasses import dataclass
from math import tanh

import numpy as np
from scipy.signal import correlate2d
from scipy.special import expit

from mcx_nn import Activation, AvgPool2d, Conv2d, Dense, Flatten, Layer, Sequential


@dataclass(frozen=True)
class Case:
    """A layer, the shape of its input, and its value written another way."""

    layer: Layer
    shape: tuple[int, ...]
    reference: Callable

    def __str__(self):
        return f"{self.layer} on {self.shape}"

    def arrays(self, seed=0):
        """Return params, x and dy; x keeps away from 0, where relu has its kink."""
        rng = np.random.default_rng(seed)
        params = {name: rng.normal(size=s) / 2 for name, s in self.layer.parameters.items()}
        x = rng.normal(size=self.shape)
        x = x + np.copysign(0.25, x)
        y, _ = self.layer.forward(params, x, {})
        return params, x, rng.normal(size=y.shape)


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


def pool(x, height, width):
    """Average pooling as a correlation with a box."""
    box = np.full((height, width), 1 / (height * width))
    maps = [
        [correlate2d(image[:, :, c], box, "valid")[::height, ::width] for c in range(x.shape[3])]
        for image in x
    ]
    return np.array(maps).transpose(0, 2, 3, 1)


def dense(params, x):
    return np.einsum("bi,io->bo", x, params["weight"]) + params["bias"]


def convolution(stride=(1, 1), padding=(0, 0)):
    return lambda params, x: convolve(x, params["weight"], params["bias"], stride, padding)


def perceptron(params, x):
    hidden = np.sin(np.einsum("bi,io->bo", x, params["0.weight"]) + params["0.bias"])
    return np.einsum("bi,io->bo", hidden, params["2.weight"]) + params["2.bias"]


def small_lenet(params, x):
    hidden = pool(expit(convolve(x, params["0.weight"], params["0.bias"], (1, 1), (1, 1))), 2, 2)
    flat = np.array([image.ravel() for image in hidden])
    return flat @ params["4.weight"] + params["4.bias"]


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
]
POOLING = [
    Case(AvgPool2d(2), (2, 4, 6, 3), lambda params, x: pool(x, 2, 2)),
    Case(AvgPool2d((1, 3)), (1, 2, 6, 2), lambda params, x: pool(x, 1, 3)),
    Case(AvgPool2d(1), (1, 2, 2, 1), lambda params, x: x),
]
ACTIVATION = [
    Case(Activation("identity"), (3, 4), lambda params, x: x),
    Case(Activation("relu"), (3, 4), lambda params, x: (x + np.abs(x)) / 2),
    Case(Activation("sigmoid"), (2, 3, 2), lambda params, x: expit(x)),
    Case(Activation("sin"), (3, 4), lambda params, x: np.exp(1j * x).imag),
    Case(Activation("tanh"), (3, 4), lambda params, x: np.vectorize(tanh)(x)),
]
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
CASES = DENSE + CONVOLUTION + POOLING + ACTIVATION + COMPOSITION
