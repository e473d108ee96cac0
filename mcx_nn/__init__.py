"""Layers, losses, models and data in plain NumPy syntax.

The same code runs on `numpy.ndarray`, on device arrays that follow NumPy's protocols and on
`mcx.Multicomplex`, which is how derivatives of any order come out of it.
"""

from mcx_nn.activations import ACTIVATIONS, Activation
from mcx_nn.convolution import Conv2d
from mcx_nn.data import load_digits
from mcx_nn.dense import Dense
from mcx_nn.flatten import Flatten
from mcx_nn.initializers import glorot_uniform
from mcx_nn.layer import Layer
from mcx_nn.losses import mean_squared_error, softmax_cross_entropy
from mcx_nn.models import lenet5
from mcx_nn.pooling import AvgPool2d
from mcx_nn.sequential import Sequential
from mcx_nn.supervised import Supervised

__all__ = [
    "ACTIVATIONS",
    "Activation",
    "AvgPool2d",
    "Conv2d",
    "Dense",
    "Flatten",
    "Layer",
    "Sequential",
    "Supervised",
    "glorot_uniform",
    "lenet5",
    "load_digits",
    "mean_squared_error",
    "softmax_cross_entropy",
]
