"""Layers one after the other."""

from collections.abc import Sequence
from dataclasses import dataclass

from mcx_nn.combinator import Combinator, join, narrow, run, shape_after
from mcx_nn.layer import Layer


@dataclass(frozen=True)
class Sequential(Combinator):
    """Composition of layers, itself a layer: y = f_n(… f_1(x)).

    Parameters
    ----------
    layers : sequence of Layer
        Parameter `weight` of the layer at position 2 is called "2.weight".
    input_shape : tuple of int, optional
        Shape of one sample of x. The layers are checked against it, and `print` shows theirs.

    Examples
    --------
    >>> import numpy as np
    >>> from mcx_nn import Activation, Dense
    >>> model = Sequential([Dense(2, 3), Activation("tanh"), Dense(3, 1)], input_shape=(2,))
    >>> list(model.parameters)
    ['0.weight', '0.bias', '2.weight', '2.bias']
    >>> params = model.init(np.random.default_rng(0))
    >>> y, backward = model.forward(params, np.ones((4, 2)), {})
    >>> dx, grads = backward(np.ones((4, 1)))
    >>> y.shape, dx.shape, list(grads) == list(model.parameters)
    ((4, 1), (4, 2), True)
    >>> print(model)
    layer                  output shape   parameters
    0 Dense(2, 3)          (3,)                    9
    1 Activation('tanh')   (3,)                    0
    2 Dense(3, 1)          (1,)                    4
    total                                         13
    """

    layers: Sequence[Layer]
    input_shape: tuple[int, ...] | None = None

    def __post_init__(self):
        """Refuse layers that do not fit together, where the shape of the input is known."""
        if self.input_shape is not None:
            self.output_shape(self.input_shape)

    @property
    def parts(self):
        """The layers by position."""
        return {str(position): layer for position, layer in enumerate(self.layers)}

    def output_shape(self, shape):
        """Return the shape of one sample of y; see `Layer.output_shape`."""
        for _, _, _, after in self.shapes(shape):
            shape = after
        return shape

    def shapes(self, shape):
        """Yield the shapes from layer to layer; see `Combinator.shapes`."""
        for name, layer in self.parts.items():
            before, shape = shape, shape_after(name, layer, shape)
            yield name, layer, before, shape

    def steps(self, params, x, context):
        """Run the layers in turn; see `Combinator.steps`.

        The input of a layer counts as constant only until the first layer with parameters has run.
        """
        own = narrow(params, context)
        constant = context.get("constant_input", False)
        for name, layer in self.parts.items():
            own_params, own_context = own(name)
            own_context = {**own_context, "constant_input": constant}
            step = run(name, layer, own_params, own_context, x)
            yield step
            x, constant = step.y, constant and not own_params

    def output(self, params, x, context):
        """Return the output of the last layer; what the others kept is freed on the way."""
        y = x
        for step in self.steps(params, x, context):
            y = step.y
        return y

    def forward(self, params, x, context):
        """Return the output of the last layer and the backward of them all; see `Layer.forward`."""
        y, backwards = x, {}
        for step in self.steps(params, x, context):
            y, backwards[step.name] = step.y, step.backward

        def backward(dy):
            grads = {name: {} for name in backwards}
            for name in reversed(backwards):
                if dy is None:
                    break
                dy, grads[name] = backwards[name](dy)
            return dy, join(grads)

        return y, backward
