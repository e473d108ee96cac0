"""The learning problems of compare_optimizers.py, all on the digits of scikit-learn."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from report import accuracy

from mcx_nn import (
    L2Regularized,
    Supervised,
    autoencoder,
    binary_cross_entropy_with_logits,
    he_normal,
    lenet5,
    linear_svm,
    load_digits,
    logistic_regression,
    mlp,
    softmax_cross_entropy,
    squared_hinge,
)
from mcx_optim import Objective

CHUNK = 128  # samples at a time


def coarse(images):
    """Return means of 4×4 pixels, in a row."""
    return images.reshape(-1, 7, 4, 7, 4).mean(axis=(2, 4)).reshape(-1, 49)


@dataclass(frozen=True)
class Problem:
    """A model, its loss, and what it sees of an image.

    Attributes
    ----------
    model, loss : callable
        Of mcx_nn.
    inputs : callable
        From images (B, 28, 28, 1) to what the model takes.
    strength : float
        Of the L2 term.
    dtype : type
        Of the parameters.
    convex : bool
        Whether the loss is a convex function of them.
    reconstruct : bool
        Whether the model is to return its input.
    """

    model: Callable
    loss: Callable
    inputs: Callable
    strength: float = 0.0
    dtype: type = np.float32
    convex: bool = False
    reconstruct: bool = False


CONVEX = {"inputs": coarse, "strength": 1e-3, "dtype": np.float64, "convex": True}
PROBLEMS = {
    "logistic": Problem(partial(logistic_regression, 49, 10), softmax_cross_entropy, **CONVEX),
    "svm": Problem(partial(linear_svm, 49, 10), squared_hinge, **CONVEX),
    "mlp": Problem(
        partial(mlp, (49, 16, 10), "relu", he_normal), softmax_cross_entropy, coarse, strength=1e-4
    ),
    "lenet5": Problem(partial(lenet5, "tanh"), softmax_cross_entropy, lambda images: images),
    "autoencoder": Problem(
        partial(autoencoder, (784, 64, 16)),
        binary_cross_entropy_with_logits,
        lambda images: images.reshape(-1, 784),
        reconstruct=True,
    ),
}


class Task:
    """A problem with its data, its start, and how a trained model is judged.

    Attributes
    ----------
    seed : int
        Of the start and of the shuffling.
    data : (X, y)
        The training set.
    learning : Supervised or L2Regularized
    start : array (P,)
        The w that all optimizers start from.
    score : str
        "test_accuracy", or "test_error" of an autoencoder: the mean square of what the pixels of
        the test set, from 0 to 1, are missed by.
    evaluate : callable
        w -> dict with the score, for `fit`.
    """

    def __init__(self, problem: Problem, seed: int):
        x_train, y_train, x_test, y_test = load_digits()
        if problem.reconstruct:  # pixels from 0 to 1
            low, high = x_train.min(), x_train.max()
            x_train, x_test = (np.clip((x - low) / (high - low), 0, 1) for x in (x_train, x_test))
        x_train, x_test = (problem.inputs(x).astype(problem.dtype) for x in (x_train, x_test))
        self.seed = seed
        self.data = (x_train, x_train if problem.reconstruct else y_train)
        self.learning = Supervised(problem.model(), problem.loss)
        self.start = self.learning.init(np.random.default_rng(seed), problem.dtype)
        if problem.strength:
            self.learning = L2Regularized(self.learning, problem.strength)
        if problem.reconstruct:
            self.score, self.evaluate = "test_error", self._error(x_test)
        else:
            self.score, self.evaluate = "test_accuracy", accuracy(self.learning, x_test, y_test)

    def objective(self) -> Objective:
        """Return an objective with counts of its own."""
        return Objective.of(self.learning, data=self.data, chunk=CHUNK, separable=True)

    def _error(self, x):
        """Return an `evaluate` for the reconstruction of images x."""

        def evaluate(w):
            pixels = 1 / (1 + np.exp(-self.learning.predict(w, x)))
            return {"test_error": float(np.mean((pixels - x) ** 2))}

        return evaluate
