"""LeNet."""

from mcx_nn.activations import Activation
from mcx_nn.convolution import Conv2d
from mcx_nn.dense import Dense
from mcx_nn.flatten import Flatten
from mcx_nn.pooling import AvgPool2d, MaxPool2d
from mcx_nn.sequential import Sequential

_POOLING = {"average": AvgPool2d, "max": MaxPool2d}


def lenet5(activation="sigmoid", classes=10, pooling="average"):
    """Build LeNet-5: two convolutions with pooling, then three dense layers.

    Parameters
    ----------
    activation : str
        Name of an `Activation`, applied after every convolution and hidden dense layer.
    classes : int
        Number of logits.
    pooling : {"average", "max"}

    Returns
    -------
    Sequential
        From x (B, 28, 28, 1) to logits (B, classes).

    Raises
    ------
    ValueError
        For another name.

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
    if pooling not in _POOLING:
        expected = " or ".join(map(repr, _POOLING))
        raise ValueError(f"lenet5: pooling: expected {expected}, got {pooling!r}.")
    pool = _POOLING[pooling](2)
    return Sequential(
        [
            Conv2d(1, 6, kernel=5, padding=2),
            Activation(activation),
            pool,
            Conv2d(6, 16, kernel=5),
            Activation(activation),
            pool,
            Flatten(),
            Dense(400, 120),
            Activation(activation),
            Dense(120, 84),
            Activation(activation),
            Dense(84, classes),
        ],
        input_shape=(28, 28, 1),
    )
