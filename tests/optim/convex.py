"""Strongly convex problems on the digits: models of mcx_nn, optima by scikit-learn, exact gaps."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from mcx_nn import (
    L2Regularized,
    Supervised,
    linear_svm,
    logistic_regression,
    softmax_cross_entropy,
    squared_hinge,
)
from mcx_optim import Objective
from tests.optim.problems import PENALTY, digits

PIXELS, CLASSES = 64, 10


@dataclass(frozen=True)
class ConvexProblem:
    """F(w) = mean_b φ_b(s_b) + ½ PENALTY ‖w‖² with scores s = X W + b, on all digits.

    Attributes
    ----------
    problem : L2Regularized
        The model and the loss φ under test; w is W (64, 10), then b (10,).
    optimum : array (650,)
        w*, by an independent solver.
    divergence : callable
        (s, s*, labels) -> (N, 10) or (N,), whose sum over all is Σ_b D_φ(s_b, s*_b) (see `gap`).
    """

    problem: Any
    optimum: Any
    divergence: Callable

    def objective(self, scale=1.0, dtype=np.float64, order=slice(None), chunk=1024):
        """Return scale·F over the samples in another order, with its data in `dtype`."""
        X, labels = digits_with_labels()

        def value_and_grad(w, batch):
            loss, gradient = self.problem.value_and_grad(w, batch)
            return scale * loss, scale * gradient

        return Objective(
            value_and_grad,
            lambda w, batch: scale * self.problem.value(w, batch),
            data=(X[order].astype(dtype), labels[order]),
            chunk=chunk,
        )

    def gap(self, w) -> float:
        """Return F(w) - F(w*) without cancellation.

        With ∇F(w*) = 0 the gap is the Bregman divergence of F,

            F(w) - F(w*) = mean_b D_φ(s_b, s*_b) + ½ PENALTY ‖w - w*‖²,
            D_φ(s, s*) = φ(s) - φ(s*) - ∇φ(s*)·(s - s*) ≥ 0,

        a sum of positive terms: far below eps·F it has still correct digits.
        """
        X, labels = digits()[0], digits_with_labels()[1]
        step = w.astype(np.float64) - self.optimum
        scores = X @ self.optimum.reshape(-1, CLASSES)
        shift = X @ step.reshape(-1, CLASSES)
        divergence = self.divergence(shift, scores, labels)
        return float(np.sum(divergence) / len(X) + PENALTY / 2 * (step @ step))


def digits_with_labels():
    """Return the pixels (1797, 64) in [0, 1] and labels (1797,)."""
    X, Y = digits()
    return X[:, :-1], np.argmax(Y, axis=1)


@functools.cache
def softmax_regression():
    """Return softmax regression; optimum by scikit-learn's Newton-Cholesky solver."""
    from sklearn.linear_model import LogisticRegression

    X, labels = digits()[0], digits_with_labels()[1]
    solver = LogisticRegression(
        solver="newton-cholesky", C=1 / (PENALTY * len(X)), fit_intercept=False, tol=1e-12
    )
    optimum = solver.fit(X, labels).coef_.T.reshape(-1)
    model = logistic_regression(PIXELS, CLASSES)
    problem = L2Regularized(Supervised(model, softmax_cross_entropy), PENALTY)
    return ConvexProblem(problem, optimum, softmax_divergence)


def softmax_divergence(shift, scores, labels):
    """Return log Σ_k p*_k exp(d_k) - Σ_k p*_k d_k for d = s - s*, (N,): KL(p* ‖ p)."""
    p = np.exp(scores - scores.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    centred = shift - np.sum(p * shift, axis=1, keepdims=True)
    return np.log1p(np.sum(p * (np.expm1(centred) - centred), axis=1))


@functools.cache
def squared_hinge_svm():
    """Return one-vs-rest SVMs; optimum by scikit-learn's LIBLINEAR and `finite_newton`."""
    from sklearn.svm import LinearSVC

    X, labels = digits()[0], digits_with_labels()[1]
    signs = 2 * digits()[1] - 1
    solver = LinearSVC(dual=False, C=1 / (PENALTY * len(X)), fit_intercept=False, tol=1e-6)
    optimum = finite_newton(X, signs, solver.fit(X, labels).coef_.T).reshape(-1)
    problem = L2Regularized(Supervised(linear_svm(PIXELS, CLASSES), squared_hinge), PENALTY)
    return ConvexProblem(problem, optimum, hinge_divergence)


def finite_newton(X, signs, W):
    """Return W (65, 10) where Newton's method with dense Hessians ends: its active set repeats.

    Keerthi and DeCoste (2005): with the active set {t s < 1} fixed the problem is least squares.
    """
    active = None
    while not np.array_equal(signs * (X @ W) < 1, active):
        active = signs * (X @ W) < 1
        columns = []
        for rows, t in zip(active.T, signs.T, strict=True):
            A = X[rows].T @ X[rows] * (2 / len(X)) + PENALTY * np.eye(X.shape[1])
            columns.append(np.linalg.solve(A, X[rows].T @ t[rows] * (2 / len(X))))
        W = np.stack(columns, axis=1)
    return W


def hinge_divergence(shift, scores, labels):
    """Return u² - u*² + 2 u* (m - m*) for margins m and u = max(0, 1 - m), (N, 10)."""
    sign = np.where(labels[:, None] == np.arange(CLASSES), 1.0, -1.0)
    before, shift = 1 - sign * scores, sign * shift
    after = before - shift
    return np.where(
        before > 0,
        np.where(after > 0, shift * shift, before * (2 * shift - before)),
        np.maximum(after, 0) ** 2,
    )
