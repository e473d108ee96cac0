"""Models ready for use: every one a `Sequential` that ends in logits and knows its input shape."""

from mcx_nn.models.autoencoder import autoencoder
from mcx_nn.models.lenet import lenet5
from mcx_nn.models.linear import linear_svm, logistic_regression
from mcx_nn.models.mlp import mlp, sin_mlp
from mcx_nn.models.resnet import resnet
from mcx_nn.models.vgg import vgg, vgg11, vgg19

__all__ = [
    "autoencoder",
    "lenet5",
    "linear_svm",
    "logistic_regression",
    "mlp",
    "resnet",
    "sin_mlp",
    "vgg",
    "vgg11",
    "vgg19",
]
