"""Elementwise activations: a table of functions and the one layer that applies them."""

from dataclasses import dataclass

import numpy as np

from mcx_nn.elementwise import LEAK
from mcx_nn.layer import Layer
from mcx_nn.primitives import ELEMENTWISE as of


def _right(x):
    """Tell where x > 0, by the real part: a step from 0 along i is no step to the right."""
    return np.real(x) > 0


def _weighted(distribution, density):
    """Return the row of x F(x), whose slope is F(x) + x f(x), for a distribution F with density f.

    References
    ----------
    D. Hendrycks and K. Gimpel, "Gaussian error linear units (GELUs)", arXiv:1606.08415, section 2,
    with the normal (gelu) and the logistic distribution (silu).
    """

    def row(x):
        share = distribution(x)
        return x * share, lambda: share + x * density(x)

    return row


# name: x -> (f(x), slope), slope() = f′(x) in a form without cancellation in the tails.
ACTIVATIONS = {
    "elu": lambda x: (of["elu"](x), lambda: of["elu_slope"](x)),
    "gelu": _weighted(of["normal_distribution"], of["normal_density"]),
    "identity": lambda x: (x, lambda: 1),
    "leaky_relu": lambda x: (
        of["leaky_relu"](x),
        lambda: np.maximum(_right(x).astype(x.dtype), LEAK),
    ),
    "relu": lambda x: (of["relu"](x), lambda: _right(x)),
    "sigmoid": lambda x: (of["sigmoid"](x), lambda: of["sigmoid_slope"](x)),
    "silu": _weighted(of["sigmoid"], of["sigmoid_slope"]),
    "sin": lambda x: (np.sin(x), lambda: np.cos(x)),
    "softplus": lambda x: (of["softplus"](x), lambda: of["sigmoid"](x)),
    "tanh": lambda x: (np.tanh(x), lambda: of["tanh_slope"](x)),
}


@dataclass(frozen=True)
class Activation(Layer):
    """Elementwise function, y = f(x), dx = f′(x) dy.

    Parameters
    ----------
    name : str
        One of

        =============  ==========================================================================
        "elu"          x where x > 0, else eˣ − 1
        "gelu"         x Φ(x), Φ the normal distribution function, exact; needs SciPy
        "identity"     x
        "leaky_relu"   x where x > 0, else x/100
        "relu"         max(x, 0), with derivative 0 at 0
        "sigmoid"      1/(1 + e⁻ˣ)
        "silu"         x sigmoid(x)
        "sin"          sin x
        "softplus"     log(1 + eˣ)
        "tanh"         tanh x
        =============  ==========================================================================

        At 0, where they have no derivative, leaky_relu and elu are those of the side x ≤ 0.

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
        """Return f(x) and the backward; see `Layer.forward`.

        Raises
        ------
        ValueError
            Where x holds integers, of which small ones would wrap around.
        """
        if x.dtype.kind not in "fc":
            raise ValueError(
                f"{self}: x: expected floating-point numbers, got dtype {x.dtype}; convert it "
                "first, with x.astype."
            )
        y, slope = ACTIVATIONS[self.name](x)
        return y, lambda dy: (dy * slope(), {})
