"""Residual networks for small images."""

from mcx_nn.activations import Activation
from mcx_nn.convolution import Conv2d
from mcx_nn.dense import Dense
from mcx_nn.initializers import he_normal
from mcx_nn.normalization import BatchNorm
from mcx_nn.pooling import GlobalAvgPool2d
from mcx_nn.residual import Residual
from mcx_nn.sequential import Sequential


def resnet(blocks=(2, 2, 2), channels=(16, 32, 64), classes=10, activation="relu"):
    """Build a residual network for images of 32×32 pixels.

    A 3×3 convolution, then stages of blocks of two 3×3 convolutions with a shortcut around them,
    then global average pooling and one dense layer. Every stage but the first halves height and
    width. Every convolution is followed by batch normalisation.

    Parameters
    ----------
    blocks : sequence of int
        Number of blocks in every stage; n in each of three make a network of 6n + 2 layers.
    channels : sequence of int
        Filters of every stage.
    classes : int
        Number of logits.
    activation : str
        Name of an `Activation`, applied after every convolution, in a block's second after the sum.

    Returns
    -------
    Sequential
        From x (B, 32, 32, 3) to logits (B, classes).

    Raises
    ------
    ValueError
        Unless there is a number of filters for every stage.

    References
    ----------
    K. He, X. Zhang, S. Ren, J. Sun, Deep residual learning for image recognition, CVPR 2016,
    section 4.2. Differs: where shapes change the shortcut is a 1×1 convolution (option B), and
    convolutions have a bias.

    Examples
    --------
    >>> model = resnet()
    >>> len(model.layers), model.output_shape((32, 32, 3))
    (17, (10,))
    >>> print(model.layers[7])
    layer                                             output shape   parameters
    body Sequential                                   -
      body.0 Conv2d(16, 32, 3, stride=2, padding=1)   -                   4,640
      body.1 BatchNorm(32)                            -                      64
      body.2 Activation('relu')                       -                       0
      body.3 Conv2d(32, 32, 3, padding=1)             -                   9,248
      body.4 BatchNorm(32)                            -                      64
    shortcut Sequential                               -
      shortcut.0 Conv2d(16, 32, 1, stride=2)          -                     544
      shortcut.1 BatchNorm(32)                        -                      64
    total                                                                14,624
    """
    if len(blocks) != len(channels):
        raise ValueError(
            f"resnet: expected as many channels as blocks, got {channels} for {blocks}."
        )
    layers = [*_convolution(3, channels[0]), Activation(activation)]
    inputs = channels[0]
    for stage, (count, outputs) in enumerate(zip(blocks, channels, strict=True)):
        for position in range(count):
            stride = 2 if stage and not position else 1
            layers += _block(inputs, outputs, stride, activation)
            inputs = outputs
    return Sequential([*layers, GlobalAvgPool2d(), Dense(inputs, classes)], input_shape=(32, 32, 3))


def _block(inputs, outputs, stride, activation):
    """Return two convolutions with a shortcut around them, and the activation of the sum."""
    body = [
        *_convolution(inputs, outputs, stride=stride),
        Activation(activation),
        *_convolution(outputs, outputs),
    ]
    shortcut = None
    if stride > 1 or inputs != outputs:
        shortcut = Sequential(_convolution(inputs, outputs, kernel=1, stride=stride))
    return Residual(Sequential(body), shortcut), Activation(activation)


def _convolution(inputs, outputs, kernel=3, stride=1):
    """Return a convolution that keeps height and width, up to the stride, and its normalisation."""
    padding = kernel // 2
    convolution = Conv2d(inputs, outputs, kernel, stride, padding, initializer=he_normal)
    return convolution, BatchNorm(outputs)
