"""LeNet."""

from mcx_nn.activations import Activation
from mcx_nn.convolution import Conv2d
from mcx_nn.dense import Dense
from mcx_nn.flatten import Flatten
from mcx_nn.initializers import glorot_uniform
from mcx_nn.pooling import AvgPool2d, MaxPool2d
from mcx_nn.sequential import Sequential

_PADDING = {(28, 28): 2, (32, 32): 0}  # to 32×32
_POOLING = {"average": AvgPool2d, "max": MaxPool2d}


def lenet5(
    activation="sigmoid",
    classes=10,
    pooling="average",
    image=(28, 28, 1),
    initializer=glorot_uniform,
):
    """Build LeNet-5: two convolutions with pooling, then three dense layers.

    Parameters
    ----------
    activation : str
        Name of an `Activation`, applied after every convolution and hidden dense layer.
    classes : int
        Number of logits.
    pooling : {"average", "max"}
    image : (H, W, C)
        H and W are 28, which the first convolution pads to 32, or 32.
    initializer : callable
        Draws the weights, see `mcx_nn.initializers`.

    Returns
    -------
    Sequential
        From x (B, H, W, C) to logits (B, classes).

    Raises
    ------
    ValueError
        For another name, or images of another size.

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
    if tuple(image[:2]) not in _PADDING or len(image) != 3:
        raise ValueError(f"lenet5: image: expected (28, 28, C) or (32, 32, C), got {image}.")
    padding, pool = _PADDING[tuple(image[:2])], _POOLING[pooling](2)
    return Sequential(
        [
            Conv2d(image[2], 6, kernel=5, padding=padding, initializer=initializer),
            Activation(activation),
            pool,
            Conv2d(6, 16, kernel=5, initializer=initializer),
            Activation(activation),
            pool,
            Flatten(),
            Dense(400, 120, initializer),
            Activation(activation),
            Dense(120, 84, initializer),
            Activation(activation),
            Dense(84, classes, initializer),
        ],
        input_shape=tuple(image),
    )
