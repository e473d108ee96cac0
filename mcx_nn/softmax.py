"""Softmax, the one activation that is not elementwise."""

from dataclasses import dataclass

import numpy as np

from mcx_nn.layer import Layer


@dataclass(frozen=True)
class Softmax(Layer):
    """Probabilities along the last axis.

    y[…, k] = exp(x[…, k]) / Σ_j exp(x[…, j]),  dx = y (dy − Σ_j dy[…, j] y[…, j])

    As the last layer of a classifier it is left out: `softmax_cross_entropy` takes what comes
    before it, and keeps the digits of small probabilities.

    Examples
    --------
    >>> y, backward = Softmax().forward({}, np.log(np.array([[1.0, 3.0]])), {})
    >>> y
    array([[0.25, 0.75]])
    >>> dx, _ = backward(np.array([[1.0, 0.0]]))
    >>> dx
    array([[ 0.1875, -0.1875]])
    """

    def output_shape(self, shape):
        """Return the shape itself, which has a last axis; see `Layer.output_shape`."""
        if not shape:
            raise ValueError(f"{self}: one sample: expected shape (..., K), got ().")
        return shape

    def forward(self, params, x, context):
        """Return the probabilities and the backward; see `Layer.forward`.

        Raises
        ------
        ValueError
            Where x has no axis beside that of the batch.
        """
        if x.ndim < 2:
            raise ValueError(f"{self}: x: expected shape (B, ..., K), got {tuple(x.shape)}.")
        exponentials = np.exp(x - np.max(x, axis=-1, keepdims=True))
        y = exponentials / exponentials.sum(axis=-1, keepdims=True)

        def backward(dy):
            return y * (dy - (dy * y).sum(axis=-1, keepdims=True)), {}

        return y, backward
