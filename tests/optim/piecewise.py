"""Piecewise-linear networks with the derivatives of every sample: by mcx, dense, and by hand."""

import functools
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

import mcx
from mcx_nn import (
    Activation,
    Dense,
    Sequential,
    Supervised,
    binary_cross_entropy_with_logits,
    mean_squared_error,
    softmax_cross_entropy,
    squared_hinge,
)
from mcx_optim.sample_hessian import SampleHessians

SIZES = [(4, 3), (4, 5, 3), (2, 4, 5, 3), (3, 5, 2, 4, 2)]
LOSSES = {
    "softmax": (softmax_cross_entropy, lambda rng, B, K: rng.integers(0, K, B)),
    "squares": (mean_squared_error, lambda rng, B, K: rng.standard_normal((B, K))),
    "binary": (binary_cross_entropy_with_logits, lambda rng, B, K: rng.random((B, K))),
    "hinge": (squared_hinge, lambda rng, B, K: rng.integers(0, K, B)),
}
CASES = [
    (sizes, activation, loss)
    for sizes in SIZES
    for activation, loss in [("relu", "softmax"), ("leaky_relu", "squares")]
]
CASES += [
    ((4, 5, 3), "leaky_relu", "softmax"),
    ((2, 4, 5, 3), "relu", "squares"),
    ((2, 4, 5, 3), "leaky_relu", "binary"),
    ((2, 4, 5, 3), "leaky_relu", "hinge"),
    ((3, 4, 4, 1), "leaky_relu", "squares"),  # more units than outputs everywhere
    ((3, 2, 4, 5), "leaky_relu", "softmax"),  # fewer
]
TOLERANCE = 1e-13


def names(case):
    return " ".join(map(str, case))


@dataclass
class Problem:
    problem: Supervised
    w: np.ndarray
    batch: tuple

    @property
    def network(self):
        return self.problem.piecewise_linear(self.w, self.batch)

    @property
    def hessians(self):
        return SampleHessians(self.network)

    def samples(self):
        X, y = self.batch
        return [Sample(self.problem, self.w, (X[b : b + 1], y[b : b + 1])) for b in range(len(X))]


class Sample:
    """One sample: its loss by mcx alone, and its layers in the words of the derivation."""

    def __init__(self, problem, w, batch):
        def output(v):
            return problem.model.output(problem.unravel(v), batch[0], {"train": True})[0]

        def loss(z):
            return problem.loss(z[None], batch[1])[0]

        self.w = w
        self.H = mcx.hessian(lambda v: problem.value(v, batch), w)
        self.g = mcx.gradient(lambda v: problem.value(v, batch), w)
        self.J = mcx.jacobian(output, w)
        self.C = mcx.hessian(loss, output(w))
        self.slope = mcx.gradient(loss, output(w))
        places = [place for place, _ in problem.slots.values()]
        self.places = [
            slice(weight.start, bias.stop)
            for weight, bias in zip(places[::2], places[1::2], strict=True)
        ]
        params = problem.unravel(w)
        keys = [key.removesuffix(".weight") for key in params if key.endswith("weight")]
        # By hand: a (with its 1), W (with b as its last row), D.
        self.a, self.W, self.D, a = [], [], [], batch[0][0]
        leak = {"relu": 0.0, "leaky_relu": 0.01}
        for key in keys:
            layer = problem.model.layers
            self.a.append(np.append(a, 1.0))
            self.W.append(np.vstack([params[f"{key}.weight"], params[f"{key}.bias"]]))
            z = self.a[-1] @ self.W[-1]
            after = layer[int(key) + 1 : int(key) + 2]
            slope = np.where(z > 0, 1.0, leak[after[0].name]) if after else np.ones_like(z)
            self.D.append(np.diag(slope))
            a = slope * z
        # The outputs move with a bias as with the results of its layer.
        self.B = [
            self.J[:, place][:, -n:] for place, n in zip(self.places, self.units, strict=True)
        ]
        self.delta = [self.g[place][-n:] for place, n in zip(self.places, self.units, strict=True)]

    @property
    def units(self):
        return [len(D) for D in self.D]

    def P(self, m, k):
        """∂(inputs of layer m)/∂(results of layer k), with a row of zeros for the constant."""
        chain = self.D[k]
        for i in range(k + 1, m):
            chain = self.D[i] @ self.W[i][:-1].T @ chain
        return np.vstack([chain, np.zeros(chain.shape[1])])

    def T(self):
        return self.H - self.J.T @ self.C @ self.J

    def image(self):
        """An orthonormal basis of S, all of it."""
        columns = []
        for a, delta, place in zip(self.a, self.delta, self.places, strict=True):
            eye = np.eye(len(delta))
            vectors = [np.outer(a, e) for e in eye] + [np.outer(e, delta) for e in np.eye(len(a))]
            for V in vectors:
                columns.append(np.zeros_like(self.w))
                columns[-1][place] = V.ravel()
        U, s, _ = np.linalg.svd(np.array(columns).T, full_matrices=False)
        return U[:, s > 1e-10 * s[0]]


def make(sizes, activation, loss, samples=3, seed=0, dead=0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    layers = []
    for inputs, outputs in pairwise(sizes):
        layers += [Dense(inputs, outputs), Activation(activation)]
    function, targets = LOSSES[loss]
    problem = Supervised(Sequential(layers[:-1]), function)
    w = rng.standard_normal(problem.parameters_size)
    if dead:
        problem.unravel(w)["0.bias"][:dead] = -50.0
    batch = rng.standard_normal((samples, sizes[0])), targets(rng, samples, sizes[-1])
    return Problem(problem, w.astype(dtype), (batch[0].astype(dtype), batch[1]))


@functools.cache
def case_of(*case):
    """Return a problem and its samples, both only to be read."""
    problem = make(*case)
    return problem, problem.samples()


def close(got, expected, scale=None, tolerance=TOLERANCE):
    scale = np.max(np.abs(expected)) if scale is None else scale
    assert np.shape(got) == np.shape(expected)
    assert np.max(np.abs(got - expected)) <= tolerance * scale


def of_matrix(H, g, adjustment):
    """-φ(H)⁻¹ g by all eigenvalues of the dense H, 0 if H = 0 and so is φ."""
    values, Q = np.linalg.eigh(H)
    adjusted = adjustment(values)
    return -Q @ ((Q.T @ g) / adjusted) if adjusted.any() else np.zeros_like(g)


def padded(values, size):
    """Return eigenvalues and the zeros that complete them, in ascending order."""
    return np.sort(np.concatenate([values, np.zeros(size - len(values))]))
