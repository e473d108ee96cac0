"""Networks that are piecewise linear, as the chain of affine layers that they are at a sample."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mcx_nn.activations import ACTIVATIONS, Activation
from mcx_nn.combinator import located
from mcx_nn.dense import Dense
from mcx_nn.dropout import Dropout
from mcx_nn.flatten import Flatten
from mcx_nn.layer import Array
from mcx_nn.sequential import Sequential


@dataclass(frozen=True)
class AffineLayer:
    """A Dense layer z = a W + b, and the slopes of what stands between it and the next one.

    Attributes
    ----------
    name : str
        Dotted position: the parameters are f"{name}.weight" and f"{name}.bias".
    weight : (I, O) array
        W.
    inputs : (B, I) array
        a.
    slopes : (B, O) array
        Diagonal of D in a' = D z + const for the inputs a' of the next layer, or for the output.
    """

    name: str
    weight: Array
    inputs: Array
    slopes: Array


@dataclass(frozen=True)
class PiecewiseLinear:
    """A network at one w and batch: where no unit is at a kink, a chain of affine layers.

    Attributes
    ----------
    layers : list of AffineLayer
        In their order; they hold all parameters.
    output : (B, K) array
        What the last one returns.
    output_loss : callable
        ``output_loss(z) -> (loss, gradient with respect to z)``, a mean over the batch.
    slots : dict
        Name of a parameter -> (slice of w, shape).
    """

    layers: list[AffineLayer]
    output: Array
    output_loss: Callable
    slots: dict


def affine_layers(model, params, x, context):
    """Run a model on x (B, ...) and return its affine layers and its output (B, K).

    Parameters
    ----------
    model : Sequential
        Of Dense, Flatten, Dropout, the activations "identity", "relu" and "leaky_relu", and
        Sequentials of these.
    params, x, context
        As for `Layer.forward`.

    Returns
    -------
    layers : list of AffineLayer
    output : (B, K) array

    Raises
    ------
    ValueError
        If the model has another layer.

    Examples
    --------
    >>> model = Sequential([Dense(1, 2), Activation("relu"), Dense(2, 1)])
    >>> params = {"0.weight": np.array([[1.0, -1.0]]), "0.bias": np.zeros(2)}
    >>> params |= {"2.weight": np.array([[3.0], [5.0]]), "2.bias": np.zeros(1)}
    >>> layers, output = affine_layers(model, params, np.array([[2.0]]), {})
    >>> [(layer.name, layer.inputs, layer.slopes) for layer in layers]
    [('0', array([[2.]]), array([[1., 0.]])), ('2', array([[2., 0.]]), array([[1.]]))]
    >>> output
    array([[6.]])
    """
    layers, slopes = [], []
    for name, layer in list(_chain(model, "")):
        with located(name, layer):
            if isinstance(layer, Dense):
                own = {key: params[f"{name}.{key}"] for key in layer.parameters}
                layers.append((name, own["weight"], x))
                x = layer.output(own, x, context)
                slopes.append(np.ones_like(x))
            else:
                x, slope = _elementwise(layer, name, x, context)
                slopes[-1:] = [before * slope() for before in slopes[-1:]]
    chain = zip(layers, slopes, strict=True)
    return [AffineLayer(*layer, slope) for layer, slope in chain], x


def _chain(model, prefix):
    """Yield (dotted name, layer) for what a model is made of; refuse what makes no chain."""
    for name, layer in model.parts.items() if isinstance(model, Sequential) else [("", model)]:
        name = prefix + name
        match layer:
            case Sequential():
                yield from _chain(layer, f"{name}.")
            case Dense() | Flatten() | Dropout():
                yield name, layer
            case Activation(name="identity" | "relu" | "leaky_relu"):
                yield name, layer
            case _:
                raise ValueError(
                    f"piecewise_linear: layer {name or 'of the model'}: expected Dense, Flatten, "
                    "Dropout, or an Activation 'identity', 'relu' or 'leaky_relu', of which a "
                    f"Sequential is a chain of affine layers, got {layer!r}; Hessian-vector "
                    "products, as with mcx_optim.lanczos, do for every network"
                )


def _elementwise(layer, name, x, context):
    """Return the output of a layer that multiplies by slopes, and how to have these."""
    if isinstance(layer, Activation):
        return ACTIVATIONS[layer.name](x)
    masks = context.get("masks", {})
    own = {**context, "masks": {"mask": masks[f"{name}.mask"]} if f"{name}.mask" in masks else {}}
    y = layer.output({}, x, own)
    # Both are linear: their slopes are what they make of ones.
    return y, lambda: layer.output({}, np.ones_like(x), own)
