"""Losses: the value and its gradient come from one function, so that they cannot disagree."""

import numpy as np

from mcx_nn.shapes import expect_shape


def softmax_cross_entropy(logits, labels):
    """Compute the mean cross-entropy of softmax(logits) against class labels, and its gradient.

    L = −1/B Σ_b log p[b, labels[b]],  p = softmax(z),  ∂L/∂z = (p − onehot(labels)) / B

    Parameters
    ----------
    logits : (B, K) array
        z, unnormalised log-probabilities of K classes.
    labels : (B,) array of int
        Classes, from 0 to K − 1.

    Returns
    -------
    loss : scalar
    dlogits : (B, K) array

    Raises
    ------
    ValueError
        Where shapes do not fit, labels are not integers or out of range.

    Examples
    --------
    >>> loss, dlogits = softmax_cross_entropy(np.zeros((1, 2)), np.array([1]))
    >>> print(f"{loss:.6f}", dlogits)
    0.693147 [[ 0.5 -0.5]]
    """
    expect_shape("softmax_cross_entropy", "logits", logits, ("B", "K"))
    batch, classes = logits.shape
    _expect_labels(labels, batch, classes)
    target = labels[:, None] == np.arange(classes, like=labels)
    shifted = logits - np.max(logits, axis=1, keepdims=True)
    exponentials = np.exp(shifted)
    total = exponentials.sum(axis=1, keepdims=True)
    log_probability = np.where(target, shifted - np.log(total), 0)
    return -log_probability.sum() / batch, (exponentials / total - target) / batch


def mean_squared_error(prediction, target):
    """Compute the mean of squared errors over samples and outputs, and its gradient.

    L = 1/N Σ (y − t)²,  ∂L/∂y = 2 (y − t) / N,  N the number of entries of y

    Parameters
    ----------
    prediction : (B, ...) array
        y.
    target : (B, ...) array
        t, of exactly the shape of y.

    Returns
    -------
    loss : scalar
    dprediction : (B, ...) array

    Raises
    ------
    ValueError
        Where the shapes differ; nothing is broadcast.

    Examples
    --------
    >>> loss, dprediction = mean_squared_error(np.array([[1.0, 3.0]]), np.array([[0.0, 1.0]]))
    >>> print(loss, dprediction)
    2.5 [[1. 2.]]
    """
    expect_shape("mean_squared_error", "target", target, prediction.shape)
    error = prediction - target
    return np.square(error).mean(), 2 * error / error.size


def _expect_labels(labels, batch, classes):
    expect_shape("softmax_cross_entropy", "labels", labels, (batch,))
    if labels.dtype.kind not in "iu":
        raise ValueError(
            f"softmax_cross_entropy: labels: expected integers, got dtype {labels.dtype}."
        )
    if not ((labels >= 0) & (labels < classes)).all():
        raise ValueError(
            f"softmax_cross_entropy: labels: expected 0 to {classes - 1}, "
            f"got {int(labels.min())} to {int(labels.max())}."
        )
