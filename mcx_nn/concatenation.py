"""Layers side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import numpy as np

from mcx_nn.combinator import Combinator, join
from mcx_nn.layer import Layer


@dataclass(frozen=True)
class Concatenation(Combinator):
    """Outputs of branches that all see x, joined along the last axis: y = [f_1(x), …, f_n(x)].

    Parameters
    ----------
    branches : sequence of Layer
        At least one. Parameter `weight` of the branch at position 1 is called "1.weight".

    References
    ----------
    C. Szegedy et al., Going deeper with convolutions, CVPR 2015, fig. 2.

    Examples
    --------
    >>> from mcx_nn import Activation
    >>> layer = Concatenation([Activation("identity"), Activation("relu")])
    >>> y, backward = layer.forward({}, np.array([[-1.0, 2.0]]), {})
    >>> y
    array([[-1.,  2.,  0.,  2.]])
    >>> backward(np.ones((1, 4)))
    (array([[1., 2.]]), {})
    """

    branches: Sequence[Layer]

    def __post_init__(self):
        """Refuse to join nothing."""
        if not self.branches:
            raise ValueError("Concatenation: branches: expected at least one layer, got none.")

    @property
    def parts(self):
        """The branches by position."""
        return {str(position): layer for position, layer in enumerate(self.branches)}

    def output_shape(self, shape):
        """Return the shape of one sample of y; see `Layer.output_shape`."""
        shapes = [after for _, _, _, after in self.shapes(shape)]
        self._expect_alike(shapes)
        return (*shapes[0][:-1], sum(shape[-1] for shape in shapes))

    def forward(self, params, x, context):
        """Return the joined outputs and the backward; see `Layer.forward`."""
        outputs, backwards = [], {}
        for step in self.steps(params, x, context):
            outputs.append(step.y)
            backwards[step.name] = step.backward
        self._expect_alike([y.shape for y in outputs])
        ends = accumulate((y.shape[-1] for y in outputs), initial=0)
        slots = [slice(start, end) for start, end in pairwise(ends)]

        def backward(dy):
            dxs, grads = [], {}
            for slot, (name, through) in zip(slots, backwards.items(), strict=True):
                dx, grads[name] = through(dy[..., slot])
                dxs.append(dx)
            unwanted = any(dx is None for dx in dxs)
            return None if unwanted else sum(dxs[1:], start=dxs[0]), join(grads)

        return np.concatenate(outputs, axis=-1), backward

    @staticmethod
    def _expect_alike(shapes):
        """Raise unless the shapes differ in their last extent alone."""
        if len({tuple(shape[:-1]) for shape in shapes}) > 1:
            raise ValueError(
                "Concatenation: expected branches with outputs of one shape except for the last "
                f"axis, got {', '.join(map(str, shapes))}."
            )
