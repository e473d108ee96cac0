"""Layers, losses, models and data in plain NumPy syntax.

The same code runs on `numpy.ndarray`, on device arrays that follow NumPy's protocols and on
`mcx.Multicomplex`, which is how derivatives of any order come out of it.
"""

from mcx_nn.activations import ACTIVATIONS, Activation
from mcx_nn.concatenation import Concatenation
from mcx_nn.convolution import Conv2d
from mcx_nn.convolutions.choice import get_convolution, set_convolution
from mcx_nn.data import (
    load_cifar10,
    load_digits,
    load_fashion_mnist,
    load_libsvm,
    load_mnist,
)
from mcx_nn.dense import Dense
from mcx_nn.dropout import Dropout
from mcx_nn.embedding import Embedding
from mcx_nn.flatten import Flatten
from mcx_nn.initializers import (
    glorot_normal,
    glorot_uniform,
    he_normal,
    he_uniform,
    lecun_normal,
    orthogonal,
)
from mcx_nn.layer import Layer
from mcx_nn.losses import (
    binary_cross_entropy_with_logits,
    mean_squared_error,
    softmax_cross_entropy,
    squared_hinge,
)
from mcx_nn.models import (
    autoencoder,
    lenet5,
    linear_svm,
    logistic_regression,
    mlp,
    resnet,
    sin_mlp,
    vgg,
    vgg11,
    vgg19,
)
from mcx_nn.normalization import BatchNorm, LayerNorm
from mcx_nn.piecewise_linear import AffineLayer, PiecewiseLinear
from mcx_nn.pooling import AvgPool2d, GlobalAvgPool2d, MaxPool2d
from mcx_nn.regularization import L2Regularized
from mcx_nn.residual import Residual
from mcx_nn.sequential import Sequential
from mcx_nn.softmax import Softmax
from mcx_nn.summary import summary
from mcx_nn.supervised import Supervised

__all__ = [
    "ACTIVATIONS",
    "Activation",
    "AffineLayer",
    "AvgPool2d",
    "BatchNorm",
    "Concatenation",
    "Conv2d",
    "Dense",
    "Dropout",
    "Embedding",
    "Flatten",
    "GlobalAvgPool2d",
    "L2Regularized",
    "Layer",
    "LayerNorm",
    "MaxPool2d",
    "PiecewiseLinear",
    "Residual",
    "Sequential",
    "Softmax",
    "Supervised",
    "autoencoder",
    "binary_cross_entropy_with_logits",
    "get_convolution",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "lecun_normal",
    "lenet5",
    "linear_svm",
    "load_cifar10",
    "load_digits",
    "load_fashion_mnist",
    "load_libsvm",
    "load_mnist",
    "logistic_regression",
    "mean_squared_error",
    "mlp",
    "orthogonal",
    "resnet",
    "set_convolution",
    "sin_mlp",
    "softmax_cross_entropy",
    "squared_hinge",
    "summary",
    "vgg",
    "vgg11",
    "vgg19",
]
