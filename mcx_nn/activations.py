"""Elementwise activations: a table of functions and the one layer that applies them."""

from dataclasses import dataclass

import numpy as np

from mcx_nn.layer import Layer


def _exp_minus_abs(x):
    """Return exp(−|x|), which cannot overflow, and 1 where x ≥ 0, 0 elsewhere.

    The sign is a constant factor, not `np.abs`, whose derivative at 0 is 0 by convention: at 0 this
    is the branch exp(−x), and what is built from it keeps all its derivatives there.
    """
    positive = (x >= 0).astype(x.dtype)
    return np.exp(x * (1 - 2 * positive)), positive


def _sigmoid(x):
    e, positive = _exp_minus_abs(x)
    return (positive + (1 - positive) * e) / (1 + e), lambda: e / np.square(1 + e)


def _tanh(x):
    def slope():
        e = np.square(_exp_minus_abs(x)[0])
        return 4 * e / np.square(1 + e)

    return np.tanh(x), slope


# name: x -> (f(x), slope), slope() = f'(x) in a form without cancellation in the tails.
ACTIVATIONS = {
    "identity": lambda x: (x, lambda: 1),
    "relu": lambda x: (np.where(x <= 0, 0, x), lambda: x > 0),
    "sigmoid": _sigmoid,
    "sin": lambda x: (np.sin(x), lambda: np.cos(x)),
    "tanh": _tanh,
}


@dataclass(frozen=True)
class Activation(Layer):
    """Elementwise function, y = f(x), dx = f′(x) dy.

    Parameters
    ----------
    name : {"identity", "relu", "sigmoid", "sin", "tanh"}
        sigmoid is 1/(1 + e⁻ˣ), relu is max(x, 0) with relu′(0) = 0.

    Raises
    ------
    ValueError
        For another name.

    Examples
    --------
    >>> y, backward = Activation("sigmoid").forward({}, np.array([0.0, -800.0]), {})
    >>> y
    array([0.5, 0. ])
    >>> backward(np.ones(2))
    (array([0.25, 0.  ]), {})
    """

    name: str

    def __post_init__(self):
        """Refuse names that are not in the table."""
        if self.name not in ACTIVATIONS:
            expected = ", ".join(map(repr, ACTIVATIONS))
            raise ValueError(f"activation: expected one of {expected}, got {self.name!r}.")

    def forward(self, params, x, context):
        """Return f(x) and the backward; see `Layer.forward`."""
        y, slope = ACTIVATIONS[self.name](x)
        return y, lambda dy: (dy * slope(), {})
