"""Random gradients at the output of a model whose covariance is the Hessian of the loss.

Each row of `NOISE` draws u with mean 0 and E[u uᵀ] = ∂²L/∂z² at the output z, so that Jᵀu has the
Gauss-Newton matrix Jᵀ (∂²L/∂z²) J as its covariance. Where L is the negative logarithm of a
likelihood, u is the gradient of L for a target drawn from the model's own distribution, √N times
as large where L is a mean over N terms.

References
----------
J. Martens and R. Grosse, "Optimizing neural networks with Kronecker-factored approximate
curvature", ICML 2015, section 2.
"""

import numpy as np

from mcx_nn.losses import (
    binary_cross_entropy_with_logits,
    mean_squared_error,
    softmax_cross_entropy,
    squared_hinge,
)
from mcx_nn.primitives import ELEMENTWISE as of


def _drawn(sample, like):
    """Return host numbers as an array like that of the output."""
    return np.asarray(sample, dtype=like.dtype, like=like)


def _of_softmax(rng, logits, labels):
    """Draw classes: √B (p − onehot(class))/B."""
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    p = exponentials / exponentials.sum(axis=1, keepdims=True)
    batch, classes = logits.shape
    below = p.cumsum(axis=1) <= _drawn(rng.random((batch, 1)), logits)
    drawn = np.minimum(below.sum(axis=1, keepdims=True), classes - 1)
    onehot = drawn == np.arange(classes, like=drawn)
    return (p - onehot) / np.sqrt(_drawn(batch, logits))


def _of_sigmoid(rng, logits, targets):
    """Draw outcomes 0 or 1: √N (p − outcome)/N."""
    p = of["sigmoid"](logits)
    outcome = _drawn(rng.random(logits.shape), logits) < p
    return (p - outcome) / np.sqrt(_drawn(logits.size, logits))


def _of_squares(rng, prediction, target):
    """Draw normal numbers of variance 2/N."""
    scale = np.sqrt(_drawn(2 / prediction.size, prediction))
    return scale * _drawn(rng.standard_normal(prediction.shape), prediction)


def _of_hinges(rng, scores, labels):
    """Draw normal numbers of variance 2/B where the margin is less than 1, else 0."""
    active = squared_hinge(scores, labels)[1] != 0
    scale = np.sqrt(_drawn(2 / len(scores), scores))
    return scale * active * _drawn(rng.standard_normal(scores.shape), scores)


# loss: (rng, output, target) -> u
NOISE = {
    softmax_cross_entropy: _of_softmax,
    binary_cross_entropy_with_logits: _of_sigmoid,
    mean_squared_error: _of_squares,
    squared_hinge: _of_hinges,
}
