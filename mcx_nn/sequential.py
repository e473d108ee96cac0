"""Layers one after the other."""

from collections.abc import Sequence
from dataclasses import dataclass

from mcx_nn.layer import Layer


@dataclass(frozen=True)
class Sequential(Layer):
    """Composition of layers, itself a layer: y = f_n(… f_1(x)).

    Parameters
    ----------
    layers : sequence of Layer
        Parameter `weight` of the layer at position 2 is called "2.weight".

    Examples
    --------
    >>> import numpy as np
    >>> from mcx_nn import Activation, Dense
    >>> model = Sequential([Dense(2, 3), Activation("tanh"), Dense(3, 1)])
    >>> list(model.parameters)
    ['0.weight', '0.bias', '2.weight', '2.bias']
    >>> params = model.init(np.random.default_rng(0))
    >>> y, backward = model.forward(params, np.ones((4, 2)), {})
    >>> dx, grads = backward(np.ones((4, 1)))
    >>> y.shape, dx.shape, list(grads) == list(model.parameters)
    ((4, 1), (4, 2), True)
    """

    layers: Sequence[Layer]

    @property
    def parameters(self):
        """Shapes of the parameters of all layers."""
        return self._collect(layer.parameters for layer in self.layers)

    def init(self, rng):
        """Draw the parameters of all layers, in their order."""
        return self._collect(layer.init(rng) for layer in self.layers)

    def steps(self, params, x, context):
        """Run the layers in turn and yield (layer, y, backward) after each.

        Parameters and context as for `Layer.forward`. The input of a layer counts as constant only
        until the first layer with parameters has run.
        """
        for position, layer in enumerate(self.layers):
            own = {name: params[f"{position}.{name}"] for name in layer.parameters}
            x, backward = layer.forward(own, x, context)
            yield layer, x, backward
            if own:
                context = {**context, "constant_input": False}

    def forward(self, params, x, context):
        """Return the output of the last layer and the backward of them all; see `Layer.forward`."""
        y, backwards = x, []
        for _, output, backward in self.steps(params, x, context):
            y = output
            backwards.append(backward)

        def backward(dy):
            grads = [{}] * len(backwards)
            for position in reversed(range(len(backwards))):
                if dy is None:
                    break
                dy, grads[position] = backwards[position](dy)
            return dy, self._collect(grads)

        return y, backward

    @staticmethod
    def _collect(dicts):
        """Merge one dict per layer into one, with the layer's position before the name."""
        return {
            f"{position}.{name}": value
            for position, items in enumerate(dicts)
            for name, value in items.items()
        }
