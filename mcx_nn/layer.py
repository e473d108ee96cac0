"""What a layer is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

# An ndarray, a device array or a Multicomplex: layers never ask which.
Array = Any
Backward = Callable[[Array], tuple[Array | None, dict[str, Array]]]


class Layer:
    """A differentiable function with named parameters; subclasses override `forward`.

    y = f(params, x), and with an incoming gradient dy = ∂L/∂y the layer returns dx = ∂L/∂x and
    ∂L/∂params. A layer holds its hyperparameters and nothing else: parameters come in as a dict,
    what the backward pass needs lives in the closure that `forward` returns, and neither pass
    changes an array it was given.

    What is neither parameter nor input comes in the *context*, a mapping that is only read:

    ``"train"`` (default False)
        Whether statistics are those of the batch and masks apply.
    ``"state"``
        Running statistics, one array per name in `state`.
    ``"masks"``
        Random masks drawn beforehand by `draw_masks`, one array per name.
    ``"observed"``
        A `Rows` for every ``"weight"`` that someone wants to see at work: layers whose weight
        gradient is inputsᵀ slopes set them, the slopes in the backward pass.
    ``"constant_input"`` (default False)
        Nobody needs dx, because x is data: a layer may then return None for it.

    Shape letters: B batch, I inputs, O outputs, H W image height and width, C channels.

    Examples
    --------
    >>> class Scale(Layer):
    ...     parameters = {"factor": ()}
    ...     def init(self, rng):
    ...         return {"factor": np.ones(())}
    ...     def forward(self, params, x, context):
    ...         factor = params["factor"]
    ...         return factor * x, lambda dy: (factor * dy, {"factor": (x * dy).sum()})
    >>> y, backward = Scale().forward({"factor": 3.0}, np.array([1.0, 2.0]), {})
    >>> y
    array([3., 6.])
    >>> backward(np.ones(2))
    (array([3., 3.]), {'factor': np.float64(3.0)})
    """

    @property
    def parameters(self) -> Mapping[str, tuple[int, ...]]:
        """Shapes of the parameters by name."""
        return {}

    @property
    def state(self) -> Mapping[str, tuple[int, ...]]:
        """Shapes of the running statistics by name."""
        return {}

    def init(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Draw initial parameters.

        Parameters
        ----------
        rng : numpy.random.Generator
            The only source of randomness.

        Returns
        -------
        dict of str to ndarray of float64
        """
        return {}

    def init_state(self) -> dict[str, np.ndarray]:
        """Return the initial running statistics, ndarrays of float64 by name."""
        return {}

    def output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of one sample of y, given that of one sample of x.

        Raises
        ------
        ValueError
            If the layer does not take such samples.
        """
        return shape

    def draw_masks(
        self, rng: np.random.Generator, batch: int, shape: tuple[int, ...]
    ) -> dict[str, np.ndarray]:
        """Draw the random masks of one forward pass over `batch` samples of the given shape.

        They are constants of the pass: every evaluation with the same masks is the same function.
        """
        return {}

    def forward(
        self, params: Mapping[str, Array], x: Array, context: Mapping[str, Any]
    ) -> tuple[Array, Backward]:
        """Compute the output and the function that propagates a gradient back.

        Parameters
        ----------
        params : mapping of str to array
            One array per name in `parameters`.
        x : (B, ...) array
        context : mapping, read only
            See `Layer`.

        Returns
        -------
        y : (B, ...) array
        backward : callable
            ``backward(dy) -> (dx, grads)``, grads a dict with the names of `parameters`.
        """
        raise NotImplementedError(f"{type(self).__name__}.forward")

    def output(self, params: Mapping[str, Array], x: Array, context: Mapping[str, Any]) -> Array:
        """Return y alone, see `forward`: nothing is kept for a backward pass."""
        return self.forward(params, x, context)[0]

    def update_state(
        self, params: Mapping[str, Array], x: Array, context: Mapping[str, Any]
    ) -> dict[str, Array]:
        """Return the running statistics after having seen x, by name; `forward` never does this."""
        return {}


@dataclass
class Rows:
    """The matrices whose product inputsᵀ slopes is the gradient of a weight (K, O).

    Attributes
    ----------
    inputs : (T, K) array or None
        What the weight is multiplied with: T samples, or places of their images.
    slopes : (T, O) array or None
        Gradient of the loss with respect to the products.
    """

    inputs: Array = None
    slopes: Array = None


def observed_rows(context: Mapping[str, Any]) -> Rows | None:
    """Return where a layer is to show the rows of its weight, None if nobody looks."""
    return context.get("observed", {}).get("weight")
