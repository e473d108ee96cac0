"""Objectives with known optima and Hessians, in plain NumPy."""

import functools

import numpy as np

from mcx_optim import Objective

PENALTY = 1e-3


def spd(n, seed=0, dtype=np.float64):
    """Return a symmetric positive definite matrix (n, n) with eigenvalues in [1, 10]."""
    Q = np.linalg.qr(np.random.default_rng(seed).standard_normal((n, n)))[0]
    A = (Q * np.linspace(1.0, 10.0, n)) @ Q.T
    return ((A + A.T) / 2).astype(dtype)


def quadratic(A, b):
    """Return the objective ½ wᵀAw - bᵀw, without data."""
    return Objective(lambda w, batch: (w @ (A @ w) / 2 - w @ b, A @ w - b))


def softmax_value_and_grad(w, batch):
    """Return softmax regression's mean loss with ½ PENALTY ‖w‖², and its gradient.

    w is W (I, K) in a row; the batch is X (B, I) and one-hot labels Y (B, K).
    """
    X, Y = batch
    W = w.reshape(X.shape[1], Y.shape[1])
    z = X @ W
    z = z - np.max(z, axis=1, keepdims=True)
    e = np.exp(z)
    total = np.sum(e, axis=1, keepdims=True)
    loss = np.mean(np.log(total[:, 0]) - np.sum(z * Y, axis=1)) + PENALTY / 2 * np.sum(w * w)
    gradient = X.T @ (e / total - Y) / len(X) + PENALTY * W
    return loss, gradient.reshape(-1)


def softmax_value(w, batch):
    """Return the loss of `softmax_value_and_grad`."""
    return softmax_value_and_grad(w, batch)[0]


def softmax_hessian(w, batch):
    """Return the Hessian of `softmax_value_and_grad` in closed form, (IK, IK)."""
    X, Y = batch
    z = X @ w.reshape(X.shape[1], Y.shape[1])
    P = np.exp(z - z.max(axis=1, keepdims=True))
    P /= P.sum(axis=1, keepdims=True)
    M = np.einsum("bk,kl->bkl", P, np.eye(P.shape[1])) - np.einsum("bk,bl->bkl", P, P)
    H = np.einsum("bi,bj,bkl->ikjl", X, X, M, optimize=True).reshape(w.size, w.size) / len(X)
    return H + PENALTY * np.eye(w.size)


def small_data(samples=60, inputs=5, classes=3, seed=0, dtype=np.float64):
    """Return random X (B, I) with a column of ones and one-hot labels Y (B, K)."""
    rng = np.random.default_rng(seed)
    X = np.hstack([rng.standard_normal((samples, inputs - 1)), np.ones((samples, 1))])
    labels = np.argmax(X[:, :classes] + 0.5 * rng.standard_normal((samples, classes)), axis=1)
    return X.astype(dtype), np.eye(classes, dtype=dtype)[labels]


def small_softmax(dtype=np.float64, **options):
    """Return softmax regression on `small_data`, and its start 0 (15,)."""
    objective = Objective(
        softmax_value_and_grad, softmax_value, data=small_data(dtype=dtype), **options
    )
    return objective, np.zeros(15, dtype)


@functools.cache
def digits():
    """Return scikit-learn's digits: X (1797, 65) in [0, 1] with a column of ones, Y (1797, 10)."""
    from sklearn.datasets import load_digits

    data = load_digits()
    X = np.hstack([data.data / 16, np.ones((len(data.data), 1))])
    return X, np.eye(10)[data.target]


def network_value_and_grad(w, batch):
    """Return a tanh network's mean squared error, nonconvex, and its gradient.

    w is A (I, 4) and B (4, O) in a row; the batch is X (B, I) and T (B, O).
    """
    X, T = batch
    split = 4 * X.shape[1]
    A, B = w[:split].reshape(X.shape[1], 4), w[split:].reshape(4, T.shape[1])
    hidden = np.tanh(X @ A)
    error = (hidden @ B - T) / len(X)
    dhidden = error @ B.T * (1 - hidden * hidden)
    gradient = np.concatenate([(X.T @ dhidden).reshape(-1), (hidden.T @ error).reshape(-1)])
    return len(X) * np.sum(error * error) / 2, gradient


def network(dtype=np.float64):
    """Return the objective of `network_value_and_grad` and a start (32,)."""
    X, T = small_data(dtype=dtype)
    w = np.random.default_rng(1).standard_normal(32).astype(dtype)
    return Objective(network_value_and_grad, data=(X, T)), w


def dense_hessian(value_and_grad, w, batch):
    """Return the Hessian (P, P) by central differences of the gradient, error about 1e-9."""
    h = 1e-5
    steps = h * np.eye(w.size)
    columns = [
        (value_and_grad(w + e, batch)[1] - value_and_grad(w - e, batch)[1]) / (2 * h) for e in steps
    ]
    return np.array(columns)
