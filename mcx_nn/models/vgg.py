"""VGG networks for small images."""

from mcx_nn.activations import Activation
from mcx_nn.convolution import Conv2d
from mcx_nn.flatten import Flatten
from mcx_nn.initializers import he_normal
from mcx_nn.models.mlp import mlp
from mcx_nn.normalization import BatchNorm
from mcx_nn.pooling import MaxPool2d
from mcx_nn.sequential import Sequential

# Filters of the convolutions between two poolings: configurations A and E, table 1 of the paper.
_VGG11 = ((64,), (128,), (256, 256), (512, 512), (512, 512))
_VGG19 = ((64,) * 2, (128,) * 2, (256,) * 4, (512,) * 4, (512,) * 4)


def vgg(blocks, size=32, classes=10, batch_norm=True, activation="elu", hidden=(512, 512)):
    """Build a VGG network: blocks of 3×3 convolutions, each closed by 2×2 max pooling, then dense.

    Parameters
    ----------
    blocks : sequence of sequences of int
        For every block the filters of its convolutions.
    size : int
        Height and width of the images, divisible by 2 to the number of blocks.
    classes : int
        Number of logits.
    batch_norm : bool
        Whether every convolution is followed by batch normalisation, before the activation.
    activation : str
        Name of an `Activation`, applied after every convolution and hidden dense layer.
    hidden : sequence of int
        Units of the hidden dense layers.

    Returns
    -------
    Sequential
        From x (B, size, size, 3) to logits (B, classes).

    References
    ----------
    K. Simonyan, A. Zisserman, Very deep convolutional networks for large-scale image recognition,
    ICLR 2015. Differs: small images, so smaller dense layers; no dropout; He's initial kernels,
    under which 16 convolutions without batch normalisation let signals through. Batch
    normalisation as in S. Ioffe, C. Szegedy, ICML 2015, section 3.2.

    Examples
    --------
    >>> print(vgg([[4], [8]], size=8, hidden=[16]))
    layer                          output shape   parameters
    0 Conv2d(3, 4, 3, padding=1)   (8, 8, 4)             112
    1 BatchNorm(4)                 (8, 8, 4)               8
    2 Activation('elu')            (8, 8, 4)               0
    3 MaxPool2d(2)                 (4, 4, 4)               0
    4 Conv2d(4, 8, 3, padding=1)   (4, 4, 8)             296
    5 BatchNorm(8)                 (4, 4, 8)              16
    6 Activation('elu')            (4, 4, 8)               0
    7 MaxPool2d(2)                 (2, 2, 8)               0
    8 Flatten()                    (32,)                   0
    9 Dense(32, 16)                (16,)                 528
    10 Activation('elu')           (16,)                   0
    11 Dense(16, 10)               (10,)                 170
    total                                              1,130
    """
    layers, channels = [], 3
    for block in blocks:
        for filters in block:
            layers.append(Conv2d(channels, filters, 3, padding=1, initializer=he_normal))
            layers += [BatchNorm(filters)] if batch_norm else []
            layers.append(Activation(activation))
            channels = filters
        layers.append(MaxPool2d(2))
    features = (size >> len(blocks)) ** 2 * channels
    dense = mlp((features, *hidden, classes), activation)
    return Sequential([*layers, Flatten(), *dense.layers], input_shape=(size, size, 3))


def vgg11(classes=10, batch_norm=True, activation="elu", hidden=(512, 512)):
    """Build VGG-11, configuration A of the paper, for images of 32×32 pixels; see `vgg`.

    Examples
    --------
    >>> from math import prod
    >>> sum(prod(shape) for shape in vgg11(batch_norm=False).parameters.values())
    9750922
    """
    return vgg(_VGG11, 32, classes, batch_norm, activation, hidden)


def vgg19(classes=10, batch_norm=True, activation="elu", hidden=(512, 512)):
    """Build VGG-19, configuration E of the paper, for images of 32×32 pixels; see `vgg`.

    Examples
    --------
    >>> from math import prod
    >>> sum(prod(shape) for shape in vgg19(batch_norm=False).parameters.values())
    20554826
    """
    return vgg(_VGG19, 32, classes, batch_norm, activation, hidden)
