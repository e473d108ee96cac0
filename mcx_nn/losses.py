"""Losses: the value and its gradient come from one function, so that they cannot disagree."""

import numpy as np

from mcx_nn.primitives import ELEMENTWISE as of
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
    _expect_labels("softmax_cross_entropy", labels, batch, classes)
    target = labels[:, None] == np.arange(classes, like=labels)
    first = np.argmax(logits, axis=1)[:, None] == np.arange(classes, like=labels)
    shifted = logits - np.max(logits, axis=1, keepdims=True)
    exponentials = np.exp(shifted)
    total = exponentials.sum(axis=1, keepdims=True)
    # Where one exponential is nearly all of the total, log(total) and p − 1 would cancel.
    loss = np.log1p(np.where(first, 0, exponentials).sum(axis=1)).sum()
    loss = loss - np.where(target, shifted, 0).sum()
    others = np.where(target, 0, exponentials)
    slope = np.where(target, -others.sum(axis=1, keepdims=True), exponentials) / total
    return loss / batch, slope / batch


def binary_cross_entropy_with_logits(logits, targets):
    """Compute the mean cross-entropy of sigmoid(logits) against probabilities, and its gradient.

    L = 1/N Σ [t log(1 + e⁻ᶻ) + (1 − t) log(1 + eᶻ)],  ∂L/∂z = [(1 − t) p − t (1 − p)] / N
    with p = sigmoid(z), the mean over all N entries: over samples and over outputs. No term cancels
    where t is 0 or 1: confident predictions keep their digits.

    Parameters
    ----------
    logits : (B, ...) array
        z, log-odds.
    targets : (B, ...) array
        t from 0 to 1, of exactly the shape of z.

    Returns
    -------
    loss : scalar
    dlogits : (B, ...) array

    Raises
    ------
    ValueError
        Where the shapes differ or targets are out of range.

    Examples
    --------
    >>> loss, dlogits = binary_cross_entropy_with_logits(np.zeros((1, 2)), np.array([[1.0, 0.0]]))
    >>> print(f"{loss:.6f}", dlogits)
    0.693147 [[-0.25  0.25]]
    """
    name = "binary_cross_entropy_with_logits"
    expect_shape(name, "targets", targets, logits.shape)
    if not ((targets >= 0) & (targets <= 1)).all():
        raise ValueError(
            f"{name}: targets: expected 0 to 1, got {float(targets.min())} to "
            f"{float(targets.max())}."
        )
    targets = targets.astype(logits.dtype)
    others = 1 - targets
    loss = targets * of["softplus"](-logits) + others * of["softplus"](logits)
    slope = others * of["sigmoid"](logits) - targets * of["sigmoid"](-logits)
    return loss.mean(), slope / logits.size


def squared_hinge(scores, labels):
    """Compute the squared hinge loss of one classifier per class, and its gradient.

    L = 1/B Σ_b Σ_k max(0, 1 − m[b, k])²,  ∂L/∂s = −2/B t max(0, 1 − m),  m = t s the margin,
    t[b, k] = 1 where labels[b] = k, else −1: one class against the rest. A single score separates
    two classes, t[b, 0] = 1 for label 1 and −1 for label 0. Second derivatives are those of the
    generalised Hessian: 2/B where m < 1, else 0.

    Parameters
    ----------
    scores : (B, K) array
        s; K = 1 for two classes.
    labels : (B,) array of int
        Classes, from 0 to K − 1; 0 or 1 if K = 1.

    Returns
    -------
    loss : scalar
    dscores : (B, K) array

    Raises
    ------
    ValueError
        Where shapes do not fit, labels are not integers or out of range.

    References
    ----------
    S. Keerthi and D. DeCoste, "A modified finite Newton method for fast solution of large scale
    linear SVMs", JMLR 6 (2005) 341-361.

    Examples
    --------
    >>> loss, dscores = squared_hinge(np.array([[0.5, -2.0]]), np.array([0]))
    >>> print(loss, dscores)
    0.25 [[-1. 0.]]
    """
    expect_shape("squared_hinge", "scores", scores, ("B", "K"))
    batch, outputs = scores.shape
    _expect_labels("squared_hinge", labels, batch, max(outputs, 2))
    classes = np.arange(outputs, like=labels) + (outputs == 1)
    sign = np.where(labels[:, None] == classes, 1, -1).astype(scores.dtype)
    shortfall = of["relu"](1 - sign * scores)
    return np.square(shortfall).sum() / batch, -2 * sign * shortfall / batch


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
    error = prediction - target.astype(prediction.dtype)
    return np.square(error).mean(), 2 * error / error.size


def _expect_labels(owner, labels, batch, classes):
    expect_shape(owner, "labels", labels, (batch,))
    if labels.dtype.kind not in "iu":
        raise ValueError(f"{owner}: labels: expected integers, got dtype {labels.dtype}.")
    if not ((labels >= 0) & (labels < classes)).all():
        raise ValueError(
            f"{owner}: labels: expected 0 to {classes - 1}, "
            f"got {int(labels.min())} to {int(labels.max())}."
        )
