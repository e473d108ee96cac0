"""Dropout."""

from dataclasses import dataclass

from mcx_nn.layer import Layer
from mcx_nn.primitives import frozen
from mcx_nn.shapes import expect_shape


@dataclass(frozen=True)
class Dropout(Layer):
    """Set entries to zero at random in train mode, and scale the others so that the mean stays.

    y = x · mask / (1 − rate) in train mode, y = x otherwise ("inverted" dropout). The mask is drawn
    beforehand by `draw_masks` and comes in the context: the layer is a fixed function of x, with
    derivatives like any other.

    Parameters
    ----------
    rate : float
        Probability that an entry is dropped, at least 0 and less than 1.

    Examples
    --------
    >>> import numpy as np
    >>> layer, x = Dropout(0.5), np.array([[1.0, 2.0, 3.0, 4.0]])
    >>> masks = layer.draw_masks(np.random.default_rng(0), 1, (4,))
    >>> masks
    {'mask': array([[ True, False, False, False]])}
    >>> y, backward = layer.forward({}, x, {"train": True, "masks": masks})
    >>> y, backward(np.ones((1, 4)))[0]
    (array([[2., 0., 0., 0.]]), array([[2., 0., 0., 0.]]))
    >>> layer.forward({}, x, {})[0]
    array([[1., 2., 3., 4.]])

    References
    ----------
    N. Srivastava, G. Hinton, A. Krizhevsky, I. Sutskever and R. Salakhutdinov, "Dropout: a simple
    way to prevent neural networks from overfitting", JMLR 15, 2014, sections 4 and 10.
    """

    rate: float

    def __post_init__(self):
        """Refuse rates that leave nothing."""
        if not 0 <= self.rate < 1:
            raise ValueError(f"{self}: rate: expected at least 0 and less than 1, got {self.rate}.")

    def draw_masks(self, rng, batch, shape):
        """Draw "mask", (batch, *shape) of bool, True for the entries that stay."""
        return {"mask": rng.random((batch, *shape)) >= self.rate}

    def forward(self, params, x, context):
        """Return x with entries dropped and the backward; see `Layer.forward`.

        Raises
        ------
        ValueError
            In train mode where the mask is missing, of another shape or not of bool.
        """
        if not context.get("train"):
            return x, lambda dy: (dy, {})
        # One array of factors: a single product forward, a single one backward.
        factors = frozen(self._mask(x, context).astype(x.dtype) / (1 - float(self.rate)))
        return x * factors, lambda dy: (dy * factors, {})

    def _mask(self, x, context):
        masks = context.get("masks", {})
        if "mask" not in masks:
            raise ValueError(
                f"{self}: expected 'mask' in context['masks'] where context['train'] is true, got "
                f"{sorted(masks)}; draw the masks of a pass beforehand with "
                "masks = model.draw_masks(rng, len(x), x.shape[1:])."
            )
        mask = masks["mask"]
        expect_shape(self, "mask", mask, x.shape)
        if mask.dtype.kind != "b":
            raise ValueError(f"{self}: mask: expected bool, got dtype {mask.dtype}.")
        return mask
