"""Rows (layer, input shape, independent expression of the value) of the activations.

`cases.py` makes a case of each: ``[Case(*row) for row in ROWS]``.
"""

import numpy as np
from scipy import special

from mcx_nn import Activation
from mcx_nn.elementwise import ERFC
from mcx_nn.softmax import Softmax
from tests.standin import StandIn

# CuPy has its erfc in cupyx.scipy.special, the stand-in here.
ERFC[StandIn] = lambda x: StandIn.wrap(special.erfc(x.get()))

FUNCTIONS = {
    "elu": lambda x: np.maximum(x, 0) + np.exp(np.minimum(x, 0)) - 1,
    "gelu": lambda x: x * special.ndtr(x),
    "identity": lambda x: x,
    "leaky_relu": lambda x: (1.01 * x + 0.99 * np.abs(x)) / 2,
    "relu": lambda x: (x + np.abs(x)) / 2,
    "sigmoid": special.expit,
    "silu": lambda x: x * special.expit(x),
    "sin": lambda x: np.exp(1j * x).imag,
    "softplus": lambda x: np.logaddexp(x, 0),
    "tanh": lambda x: 2 * special.expit(2 * x) - 1,
}


def row(name, function):
    return Activation(name), (3, 2, 2), lambda params, x: function(x)


def softmax(params, x):
    return special.softmax(x, axis=-1)


ROWS = [
    *(row(name, function) for name, function in FUNCTIONS.items()),
    (Softmax(), (3, 4), softmax),
    (Softmax(), (2, 3, 2), softmax),
    (Softmax(), (2, 1), softmax),
]
