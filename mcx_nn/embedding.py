"""Embedding."""

from dataclasses import dataclass

import numpy as np

from mcx_nn.layer import Layer
from mcx_nn.primitives import scatter_rows
from mcx_nn.shapes import expect_at_least, expect_parameters, expect_shape


@dataclass(frozen=True)
class Embedding(Layer):
    """A vector for every entry of a vocabulary: y[..., :] = weight[x[...], :].

    x holds integers, so there is no dx: backward returns None for it.

    Parameters
    ----------
    entries, features : int
        Size of the vocabulary and of the vectors; weight has shape (entries, features), x (B, ...)
        and y (B, ..., features).

    Examples
    --------
    >>> layer, x = Embedding(3, 2), np.array([[0, 2, 2]])
    >>> weight = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    >>> y, backward = layer.forward({"weight": weight}, x, {})
    >>> y
    array([[[1., 2.], [5., 6.], [5., 6.]]])
    >>> backward(np.ones((1, 3, 2)))
    (None, {'weight': array([[1., 1.], [0., 0.], [2., 2.]])})

    References
    ----------
    Y. Bengio, R. Ducharme, P. Vincent and C. Jauvin, "A neural probabilistic language model", JMLR
    3, 2003, section 2 (the mapping C).
    """

    entries: int
    features: int

    def __post_init__(self):
        """Refuse sizes that make no layer."""
        expect_at_least(1, self, entries=self.entries, features=self.features)

    @property
    def parameters(self):
        """Shape of the weight."""
        return {"weight": (self.entries, self.features)}

    def init(self, rng):
        """Draw the weight from the standard normal distribution."""
        return {"weight": rng.standard_normal((self.entries, self.features))}

    def output_shape(self, shape):
        """Return (..., features) for a sample (...) of any shape."""
        return (*shape, self.features)

    def forward(self, params, x, context):
        """Return the vectors of the entries x and the backward; see `Layer.forward`.

        Raises
        ------
        ValueError
            Where x does not hold integers from 0 to entries − 1.
        """
        expect_parameters(self, params)
        expect_shape(self, "x", x, ("B", *map(str, x.shape[1:])))
        if x.dtype.kind not in "iu":
            raise ValueError(f"{self}: x: expected integers, got dtype {x.dtype}.")
        if not ((x >= 0) & (x < self.entries)).all():
            raise ValueError(
                f"{self}: x: expected 0 to {self.entries - 1}, got {int(x.min())} to "
                f"{int(x.max())}."
            )
        vectors = np.take(params["weight"], x, axis=0)
        return vectors, lambda dy: (None, {"weight": scatter_rows(dy, x, self.entries)})
