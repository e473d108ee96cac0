"""Combinators under test: layer, shape of its input, and its value written another way."""

import numpy as np

from mcx_nn import (
    Activation,
    AvgPool2d,
    Concatenation,
    Conv2d,
    Dense,
    Flatten,
    Residual,
    Sequential,
)

IDENTITY = Sequential([])


def affine(params, x, name):
    """Return x W + b with the parameters of that name."""
    return np.einsum("bi,io->bo", x, params[f"{name}.weight"]) + params[f"{name}.bias"]


def pointwise(params, x, name):
    """Return a 1×1 convolution with the parameters of that name."""
    return np.einsum("bhwc,uvco->bhwo", x, params[f"{name}.weight"]) + params[f"{name}.bias"]


def around_two_layers(params, x):
    return x + affine(params, np.tanh(affine(params, x, "body.0")), "body.2")


def nested(params, x):
    """A shortcut around branches of which one has a shortcut."""
    inner = affine(params, x, "0.body.0.body") + x
    joined = np.array([[*a, *b] for a, b in zip(inner, np.sin(x), strict=True)])
    return affine(params, joined + affine(params, x, "0.shortcut"), "1")


def dense_block(params, x):
    """Two steps of a network in which every layer sees all outputs before it."""
    for name in ("0.1.1", "1.1.1"):
        x = np.hstack([x, affine(params, np.exp(1j * x).imag, name)])
    return x


def pooled_branches(params, x):
    """Means over tiles of 2×2 of the images, beside a 1×1 convolution of them."""
    means = (x[:, ::2, ::2] + x[:, 1::2, ::2] + x[:, ::2, 1::2] + x[:, 1::2, 1::2]) / 4
    joined = np.concatenate([means, pointwise(params, means, "1.1")], axis=3)
    return affine(params, joined.reshape(len(x), -1), "3")


def growing(inputs, outputs):
    """Return x beside a dense layer of sin(x)."""
    return Concatenation([IDENTITY, Sequential([Activation("sin"), Dense(inputs, outputs)])])


ROWS = [
    (Residual(Activation("sin")), (2, 3), lambda params, x: np.exp(1j * x).imag + x),
    (Residual(IDENTITY), (2, 3), lambda params, x: 2 * x),
    (
        Residual(Activation("sin"), Activation("tanh")),
        (2, 3),
        lambda params, x: np.tanh(x) + np.exp(1j * x).imag,
    ),
    (
        Residual(Sequential([Dense(3, 2), Activation("tanh"), Dense(2, 3)])),
        (4, 3),
        around_two_layers,
    ),
    (
        Residual(Dense(3, 2), Dense(3, 2)),
        (4, 3),
        lambda params, x: affine(params, x, "body") + affine(params, x, "shortcut"),
    ),
    (
        Residual(Activation("sin"), Dense(3, 3)),
        (4, 3),
        lambda params, x: np.exp(1j * x).imag + affine(params, x, "shortcut"),
    ),
    (
        Residual(Conv2d(2, 3, 1), Conv2d(2, 3, 1)),
        (2, 3, 2, 2),
        lambda params, x: pointwise(params, x, "body") + pointwise(params, x, "shortcut"),
    ),
    (Concatenation([Activation("identity")]), (2, 3), lambda params, x: x),
    (
        Concatenation([Activation("sin"), IDENTITY, Dense(3, 1), Dense(3, 2)]),
        (4, 3),
        lambda params, x: np.hstack(
            [np.exp(1j * x).imag, x, affine(params, x, "2"), affine(params, x, "3")]
        ),
    ),
    (
        Concatenation([Conv2d(1, 2, 1), Activation("tanh"), Conv2d(1, 1, 1)]),
        (2, 2, 3, 1),
        lambda params, x: np.concatenate(
            [pointwise(params, x, "0"), np.tanh(x), pointwise(params, x, "2")], axis=3
        ),
    ),
    (
        Sequential(
            [AvgPool2d(2), Concatenation([IDENTITY, Conv2d(1, 2, 1)]), Flatten(), Dense(6, 2)]
        ),
        (2, 4, 2, 1),
        pooled_branches,
    ),
    (Sequential([growing(2, 2), growing(4, 1)]), (3, 2), dense_block),
    (
        Sequential(
            [
                Residual(
                    Concatenation([Residual(Dense(2, 2)), Activation("sin")]),
                    Dense(2, 4),
                ),
                Dense(4, 2),
            ]
        ),
        (3, 2),
        nested,
    ),
]
