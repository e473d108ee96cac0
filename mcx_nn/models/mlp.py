"""Multilayer perceptrons."""

from itertools import pairwise

from mcx_nn.activations import Activation
from mcx_nn.dense import Dense
from mcx_nn.initializers import glorot_uniform
from mcx_nn.sequential import Sequential


def mlp(sizes, activation="tanh", initializer=glorot_uniform):
    """Build a multilayer perceptron: dense layers with an activation between any two.

    Parameters
    ----------
    sizes : sequence of int
        n_0 inputs, hidden units n_1, …, and n_L outputs.
    activation : str
        Name of an `Activation`.
    initializer : callable
        Draws the weights, see `mcx_nn.initializers`.

    Returns
    -------
    Sequential
        From x (B, n_0) to logits (B, n_L), with Σ_l (n_{l−1} + 1) n_l parameters.

    Raises
    ------
    ValueError
        For fewer than two sizes.

    References
    ----------
    D. E. Rumelhart, G. E. Hinton, R. J. Williams, Learning representations by back-propagating
    errors, Nature 323 (1986).

    Examples
    --------
    >>> print(mlp((784, 100, 10)))
    layer                  output shape   parameters
    0 Dense(784, 100)      (100,)             78,500
    1 Activation('tanh')   (100,)                  0
    2 Dense(100, 10)       (10,)               1,010
    total                                     79,510
    """
    if len(sizes) < 2:
        raise ValueError(f"mlp: sizes: expected those of input and output at least, got {sizes}.")
    layers = []
    for inputs, outputs in pairwise(sizes):
        layers += [Dense(inputs, outputs, initializer), Activation(activation)]
    return Sequential(layers[:-1], input_shape=(sizes[0],))


def sin_mlp(sizes):
    """Build a multilayer perceptron with sin as its activation: smooth, all derivatives bounded.

    Parameters
    ----------
    sizes : sequence of int
        As for `mlp`.

    Returns
    -------
    Sequential
        From x (B, n_0) to outputs (B, n_L), with the parameters of `mlp`.

    References
    ----------
    V. Sitzmann, J. N. P. Martel, A. W. Bergman, D. B. Lindell, G. Wetzstein, Implicit neural
    representations with periodic activation functions, NeurIPS 2020, eq. (1). Differs: Glorot's
    initial weights and no frequency ω_0.

    Examples
    --------
    >>> sin_mlp((2, 64, 64, 1)).output_shape((2,))
    (1,)
    """
    return mlp(sizes, "sin")
