"""Linear systems, their operators and Krylov spaces, by dense algebra."""

import numpy as np


class Operator:
    """The linear operator p -> function(p)."""

    def __init__(self, function):
        self.function = function

    def __matmul__(self, p):
        return self.function(p)


def symmetric(values, seed=0, dtype=np.float64):
    """Return a symmetric matrix with these eigenvalues, and a right-hand side on all of them."""
    rng = np.random.default_rng(seed)
    Q = np.linalg.qr(rng.standard_normal((len(values), len(values))))[0]
    A = (Q * values) @ Q.T
    return ((A + A.T) / 2).astype(dtype), rng.standard_normal(len(values)).astype(dtype)


def krylov(A, b, k, *more):
    """Return an orthonormal basis of span{b, Ab, …, A^{k-1}b, more}, each vector as it is made."""
    columns = [b / np.linalg.norm(b)]
    for _ in range(k - 1):
        columns.append(A @ columns[-1])
        columns[-1] = np.linalg.qr(np.stack(columns, axis=1))[0][:, -1]
    return np.linalg.qr(np.stack([*columns, *more], axis=1))[0]
