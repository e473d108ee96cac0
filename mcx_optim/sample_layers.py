"""Backpropagation sample by sample: of what the Hessian of a piecewise-linear network consists."""

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np

import mcx


@dataclass(frozen=True)
class SampleLayer:
    """One affine layer z = a W + b at every sample, and its part of the subspace S.

    The bias is one more row of W, whose input is 1. For one sample the Hessian with respect to all
    layers maps into the sum S of the spaces, one a layer, of matrices (I + 1, O)

        V = â βᵀ + U α δ̂ᵀ,  â = (a, 1)/‖(a, 1)‖,  δ̂ = δ/‖δ‖,

    where the columns of U (I + 1, I) are an orthonormal basis of what is orthogonal to â: those of
    the reflection that takes the last unit vector to -â. So (β, α) are orthonormal coordinates.

    Attributes
    ----------
    weight : (I, O) array
    inputs : (B, I) array
        a.
    slopes : (B, O) array
        Diagonal of D in a' = D z + const for the inputs a' of the next layer, or for the output.
    jacobian : (B, K, O) array
        ∂o/∂z of the output o.
    delta : (B, O) array
        δ = ∂f/∂z of the loss f of the sample.
    """

    weight: Any
    inputs: Any
    slopes: Any
    jacobian: Any
    delta: Any

    @cached_property
    def norm(self):
        """‖(a, 1)‖ (B, 1)."""
        return np.sqrt(1 + dot(self.inputs, self.inputs))

    @cached_property
    def unit(self):
        """All but the last entry of â (B, I)."""
        return self.inputs / self.norm

    @cached_property
    def along(self):
        """δ̂ (B, O), 0 where δ = 0."""
        # Scaled first: where a sample is fitted well the squares may underflow.
        largest = np.max(np.abs(self.delta), axis=-1, keepdims=True)
        scaled = self.delta / np.where(largest == 0, 1, largest)
        length = np.sqrt(dot(scaled, scaled))
        return scaled / np.where(length == 0, 1, length)

    @cached_property
    def size(self):
        """‖δ‖ (B, 1)."""
        return dot(self.along, self.delta)

    def bend(self, alpha):
        """Return all but the last entry of U α, for α (..., B, I); also Uᵀ (α, 0)."""
        return alpha - self.unit * (dot(self.unit, alpha) / (1 + 1 / self.norm))

    def coordinates(self, weight, bias):
        """Return β (B, O) and α (B, I) of the projection of one matrix on all samples' spaces."""
        beta = self.unit @ weight + bias / self.norm
        image, last = self.along @ weight.T, dot(self.along, bias)
        return beta, self.bend(image) - self.unit * last

    def combine(self, beta, alpha=None):
        """Return the sum over the samples of V, for β (B, O) and α (B, I): weight and bias."""
        beta = beta / self.norm
        weight, bias = self.inputs.T @ beta, beta.sum(axis=0)
        if alpha is None:
            return weight, bias
        weight = weight + self.bend(alpha).T @ self.along
        return weight, bias - (dot(self.unit, alpha) * self.along).sum(axis=0)

    def at(self, samples):
        """Return the layer at a slice of the samples."""
        _, *arrays = (getattr(self, field.name) for field in fields(self))
        return SampleLayer(self.weight, *(array[samples] for array in arrays))


def backpropagate(network):
    """Return what the second derivatives of every sample's loss consist of.

    Parameters
    ----------
    network : object
        With `layers`, `output` (B, K), `output_loss`, a mean over the samples, and `slots`, as
        `mcx_nn.Supervised.piecewise_linear` returns.

    Returns
    -------
    layers : list of SampleLayer
    slope : (B, K) array
        ∂f/∂o of the loss f of a sample with respect to its output o.
    curvature : (B, K, K) array
        C = ∂²f/∂o².
    """
    output = network.output
    samples, classes = output.shape
    slope, lin = mcx.linearize(lambda z: samples * network.output_loss(z)[1], output)
    units = np.zeros_like(output, shape=(classes, samples, classes))
    for k in range(classes):
        units[k, :, k] = 1  # samples do not mix: one direction for all of them
    curvature = np.moveaxis(lin(units), 0, -1)
    layers, above = [], None
    for layer in reversed(network.layers):
        if above is None:
            jacobian = units.swapaxes(0, 1)
        else:  # one product for all samples
            rows = jacobian.reshape(samples * classes, -1) @ above.weight.T
            jacobian = rows.reshape(samples, classes, -1)
        jacobian = jacobian * layer.slopes[:, None]
        delta = (slope[:, None] @ jacobian)[:, 0]
        layers.append(SampleLayer(layer.weight, layer.inputs, layer.slopes, jacobian, delta))
        above = layer
    return layers[::-1], slope, curvature


def vector_of(network, matrices):
    """Return the vector (P,) that has a weight and a bias for every layer, in order."""
    parts = [part for matrix in matrices for part in matrix]
    places = [place for pair in places_of(network) for place in pair]
    out = np.empty_like(parts[0], shape=max(place.stop for place, _ in places))
    for (place, _), part in zip(places, parts, strict=True):
        out[place] = part.reshape(-1)
    return out


def matrices_of(network, w):
    """Return the weight and the bias of every layer in a vector (P,); undone by `vector_of`."""
    return [[w[place].reshape(shape) for place, shape in pair] for pair in places_of(network)]


def places_of(network):
    """Return where the weight and the bias of every layer are: pairs of (slice of w, shape)."""
    return [
        [network.slots[f"{layer.name}.{part}"] for part in ("weight", "bias")]
        for layer in network.layers
    ]


def dot(x, y):
    """Return the products of the vectors along the last axis, which stays, with length 1."""
    return (x * y).sum(axis=-1, keepdims=True)


def times(matrices, vectors):
    """Return the products of matrices (..., m, n) and vectors (..., n)."""
    return (matrices @ vectors[..., None])[..., 0]
