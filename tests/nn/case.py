"""What a layer under test is: the layer, an input, and an independent expression of its value."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from mcx_nn import Layer


def away_from_zero(rng, shape):
    """Draw an input that keeps away from 0, where relu has its kink."""
    x = rng.normal(size=shape)
    return x + np.copysign(0.25, x)


def apart(rng, shape):
    """Draw an input whose entries keep away from each other, so that extrema are clear."""
    size = np.prod(shape)
    return (rng.permutation(size).reshape(shape) - size / 2) / 2


@dataclass(frozen=True)
class Case:
    """A layer, the shape of its input, its value written another way, the context, the input."""

    layer: Layer
    shape: tuple[int, ...]
    reference: Callable
    context: Mapping = field(default_factory=dict)
    draw: Callable = away_from_zero

    def __str__(self):
        train = ", train" if self.context.get("train") else ""
        return f"{self.layer!r} on {self.shape}{train}"

    def arrays(self, seed=0):
        """Return params, x and dy."""
        rng = np.random.default_rng(seed)
        params = {name: rng.normal(size=s) / 2 for name, s in self.layer.parameters.items()}
        x = self.draw(rng, self.shape)
        y, _ = self.layer.forward(params, x, self.context)
        return params, x, rng.normal(size=y.shape)
