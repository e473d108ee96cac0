"""Data sets as arrays: (x_train, y_train, x_test, y_test), images (N, H, W, C) and labels (N,).

Files come from the argument `folder`, or else from the folder of that data set in the one that the
environment variable `MCX_DATA` names. A file that is damaged raises an error; none is read in part.
"""

from mcx_nn.data.cifar10 import load_cifar10
from mcx_nn.data.digits import load_digits
from mcx_nn.data.libsvm import load_libsvm
from mcx_nn.data.mnist import load_fashion_mnist, load_mnist

__all__ = ["load_cifar10", "load_digits", "load_fashion_mnist", "load_libsvm", "load_mnist"]
