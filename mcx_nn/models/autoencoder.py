"""The deep autoencoder."""

from mcx_nn.models.mlp import mlp
from mcx_nn.sequential import Sequential


def autoencoder(sizes=(784, 1000, 500, 250, 30), activation="sigmoid"):
    """Build a deep autoencoder: an encoder to a linear code, then its mirror to logits.

    Parameters
    ----------
    sizes : sequence of int
        n_0 inputs, hidden units, and n_L units of the code.
    activation : str
        Name of an `Activation`, applied after every layer but the code and the output.

    Returns
    -------
    Sequential
        From x (B, n_0) to logits (B, n_0) of pixels in [0, 1], for
        `binary_cross_entropy_with_logits`.

    References
    ----------
    G. E. Hinton, R. R. Salakhutdinov, Reducing the dimensionality of data with neural networks,
    Science 313 (2006), fig. 1 and supplement. Differs: Glorot's initial weights, no pretraining.

    Examples
    --------
    >>> from math import prod
    >>> model = autoencoder()
    >>> sum(prod(shape) for shape in model.parameters.values()), model.output_shape((784,))
    (2837314, (784,))
    """
    encoder, decoder = mlp(sizes, activation), mlp(sizes[::-1], activation)
    return Sequential([*encoder.layers, *decoder.layers], input_shape=encoder.input_shape)
