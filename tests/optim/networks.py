"""Small networks with Gauss-Newton products, one of them with the matrix in closed form."""

import numpy as np

from mcx_nn import Activation, Dense, Sequential, Supervised, softmax_cross_entropy
from mcx_optim import Objective
from tests.optim.problems import network, network_value_and_grad, small_data


def regression():
    """Return the objective of `network`, with forward pass and output loss, and a start (32,)."""

    def forward(w, batch):
        X, _ = batch
        A, B = w[:20].reshape(5, 4), w[20:].reshape(4, 3)
        hidden = np.tanh(X @ A)

        def backward(dz):
            dA = X.T @ (dz @ B.T * (1 - hidden * hidden))
            return np.concatenate([dA.reshape(-1), (hidden.T @ dz).reshape(-1)])

        return hidden @ B, backward

    def output_loss(z, batch):
        error = z - batch[1]
        return np.sum(error * error) / 2 / len(error), error / len(error)

    data, (_, w) = small_data(), network()
    objective = Objective(
        network_value_and_grad, data=data, forward=forward, output_loss=output_loss
    )
    return objective, w


def network_loss(w, batch):
    return network_value_and_grad(w, batch)[0]


def dense_gauss_newton(w, batch):
    """Return JᵀJ/N of the network (32, 32) in closed form."""
    X, _ = batch
    A, B = w[:20].reshape(5, 4), w[20:].reshape(4, 3)
    hidden = np.tanh(X @ A)
    to_A = np.einsum("ni,nj,jo->noij", X, 1 - hidden**2, B).reshape(len(X), 3, 20)
    to_B = np.einsum("nj,op->nojp", hidden, np.eye(3)).reshape(len(X), 3, 12)
    J = np.concatenate([to_A, to_B], axis=2).reshape(-1, 32)
    return J.T @ J / len(X)


def softmax_net(loss=softmax_cross_entropy, dtype=np.float64, wrap=np.asarray):
    """Return the objective of a small perceptron on random data, and a start (43,)."""
    rng = np.random.default_rng(0)
    model = Sequential([Dense(4, 5), Activation("tanh"), Dense(5, 3)])
    X = rng.standard_normal((90, 4)).astype(dtype)
    y = rng.integers(0, 3, 90)
    if loss is not softmax_cross_entropy:
        y = rng.standard_normal((90, 3)).astype(dtype)
    problem = Supervised(model, loss)
    data = wrap(X), wrap(y)
    return Objective.of(problem, data, chunk=40), wrap(problem.init(rng, dtype))
