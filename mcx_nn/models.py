"""Models ready for use."""

from mcx_nn.activations import Activation
from mcx_nn.convolution import Conv2d
from mcx_nn.dense import Dense
from mcx_nn.flatten import Flatten
from mcx_nn.pooling import AvgPool2d
from mcx_nn.sequential import Sequential


def lenet5(activation="sigmoid", classes=10):
    """Build LeNet-5: two convolutions with average pooling, then three dense layers.

    Parameters
    ----------
    activation : str
        Name of an `Activation`, applied after every convolution and hidden dense layer.
    classes : int
        Number of logits.

    Returns
    -------
    Sequential
        From x (B, 28, 28, 1) to logits (B, classes).

    References
    ----------
    Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, Gradient-based learning applied to document
    recognition, Proc. IEEE 86 (1998). Differs: all maps of the second convolution see all maps of
    the first, pooling has no weights, and the output is logits.

    Examples
    --------
    >>> from math import prod
    >>> sum(prod(shape) for shape in lenet5().parameters.values())
    61706
    """
    return Sequential(
        [
            Conv2d(1, 6, kernel=5, padding=2),
            Activation(activation),
            AvgPool2d(2),
            Conv2d(6, 16, kernel=5),
            Activation(activation),
            AvgPool2d(2),
            Flatten(),
            Dense(400, 120),
            Activation(activation),
            Dense(120, 84),
            Activation(activation),
            Dense(84, classes),
        ]
    )
