"""Shampoo."""

from itertools import islice

import numpy as np

from mcx_optim.first_order import FirstOrder
from mcx_optim.parts import on_each
from mcx_optim.settings import fraction, integer, positive
from mcx_optim.state import expect_setting


class Shampoo(FirstOrder):
    """Shampoo: AdaGrad with a matrix for every dimension of every parameter.

    For a parameter W of order k with gradient G, and mat_i(G) the matrix (d_i, Π_{j≠i} d_j) whose
    rows are the slices of G along dimension i:

    L_i ← L_i + mat_i(G) mat_i(G)ᵀ, from L_i = ε I,
    Ḡ ← μ Ḡ + (1-μ) G, from Ḡ = 0,
    W ← W - lr Ḡ ×_1 L_1^(-1/2k) ×_2 … ×_k L_k^(-1/2k).

    A matrix (k = 2) is multiplied by L^(-1/4) from the left and R^(-1/4) from the right; a vector
    has the full matrix of AdaGrad. Parameters are the `slots` of the objective; without slots w is
    one vector.

    Parameters
    ----------
    lr : float or callable
        Learning rate, or a schedule of it: see `mcx_optim.schedules`. The default trains LeNet-5
        and a perceptron on `load_digits`.
    momentum : float
        μ in [0, 1); 0 is the algorithm as printed.
    epsilon : float
        ε. What is new in a gradient since the roots were computed is multiplied by up to ε^(-1/2):
        without momentum and with a long `period` take 0.01 or more.
    exponent : float, optional
        Positive p of L_i^-p, for every parameter; default: 1/2k. Some implementations take 1/k.
    period : int
        The roots L_i^-p are computed in every step that is a multiple of it, and in steps 1, 2, 4,
        8, …, while L_i grows fast; those of the last one serve in between. 1 is the algorithm as
        printed.
    most : int
        Largest d_i with a matrix; of a longer dimension L_i is kept as its diagonal.

    Raises
    ------
    ValueError
        If a parameter is out of range.

    References
    ----------
    V. Gupta, T. Koren, Y. Singer, "Shampoo: Preconditioned stochastic tensor optimization", ICML
    2018, Algorithms 1 and 2. The mean Ḡ, roots that are not computed in every step and the diagonal
    variant with its bound of 768 are those of the authors' implementation (TensorFlow 1,
    contrib/opt), where all three are optional; ε is that of common ports, 0.1 there. Differs:
    powers by the symmetric eigenvalue problem (there by singular values), in float64, with
    eigenvalues of at least max(ε, d_i u λ_max), u the rounding unit: what is below is rounding,
    since L_i ≥ ε I.

    Examples
    --------
    The first step has L = (ε + 5²) I along the gradient, so that its length is nearly lr:

    >>> import numpy as np
    >>> from mcx_optim import Objective
    >>> objective = Objective(lambda w, batch: (w @ w / 2, w))
    >>> w, info = Shampoo(lr=0.5, momentum=0.0).step(objective, np.array([3.0, -4.0]), None)
    >>> w.round(4), info.loss
    (array([ 2.7, -3.6]), 12.5)
    """

    RUNNING = ("mean",)

    def __init__(
        self,
        lr=0.3,
        momentum: float = 0.9,
        epsilon: float = 1e-4,
        exponent: float | None = None,
        period: int = 10,
        most: int = 768,
    ):
        super().__init__(lr)
        self.momentum = fraction("momentum", momentum)
        self.epsilon = positive("epsilon", epsilon)
        self.exponent = None if exponent is None else positive("exponent", exponent)
        self.period = integer("period", period, 1)
        self.most = integer("most", most, 1)
        self._tensors = None  # (slice of w, shape) of every parameter
        self._statistics = self._roots = ()  # L_i and L_i^-p, parameter after parameter

    def _prepare(self, objective, w, batch, log):
        self._tensors = _tensors(objective, w)

    def _delta(self, rate, w, g):
        self._observe(g)
        self._mean = mean = self.momentum * self._mean + (1 - self.momentum) * g
        delta, roots = np.zeros_like(w), iter(self._roots)
        for place, shape in self._tensors:
            delta[place] = _product(mean[place], islice(roots, len(shape)))
        return -rate * delta

    def state_dict(self):
        """Return the step count, Ḡ, the L_i and their roots, and `most`, which shapes them."""
        state = super().state_dict() | {"most": self.most}
        for k, (statistic, root) in enumerate(zip(self._statistics, self._roots, strict=True)):
            state |= {f"statistic.{k}": statistic, f"root.{k}": root}
        return state

    def load_state_dict(self, state):
        """Restore what `state_dict` returned; raise ValueError if `most` was another."""
        expect_setting(self, "most", state)
        super().load_state_dict(state)
        count = sum(name.startswith("root.") for name in state)
        self._statistics = [state[f"statistic.{k}"] for k in range(count)]
        self._roots = [state[f"root.{k}"] for k in range(count)]

    def _observe(self, g):
        """Let the L_i see a gradient, and compute their roots if they are due."""
        tensors = self._tensors
        unfolded = [M for place, shape in tensors for M in _unfoldings(g[place], shape)]
        grams = on_each(lambda M: _gram(M.astype(np.float64), self.most), unfolded)
        if not self._statistics:
            start = [self.epsilon * _one(gram) for gram in grams]
        else:
            start = self._statistics
        self._statistics = [L + gram for L, gram in zip(start, grams, strict=True)]
        if self._t.bit_count() == 1 or self._t % self.period == 0:
            exponents = [self.exponent or 0.5 / len(shape) for _, shape in tensors for _ in shape]
            jobs = list(zip(self._statistics, exponents, strict=True))
            roots = on_each(lambda job: _root(*job, self.epsilon), jobs)
            self._roots = [root.astype(g.dtype) for root in roots]


def _tensors(objective, w):
    """Return (slice of w, shape) of every parameter; a number is a vector of one entry."""
    if not objective.slots:
        return [(slice(None), w.shape)]
    return [(place, shape or (1,)) for place, shape in objective.slots.values()]


def _unfoldings(G, shape):
    """Yield mat_1(G), …, mat_k(G) of a tensor G in a row, each with columns in an order of its own.

    The transpose of mat_i(G), in a row, is G with its dimensions turned until i+1 is the first.
    """
    for size in shape:
        G = G.reshape(size, -1)
        yield G
        G = G.T


def _product(G, roots):
    """Return G ×_1 root_1 ×_2 … ×_k root_k of a tensor G in a row, in a row."""
    for root in roots:
        G = G.reshape(len(root), -1).T
        G = G @ root if root.ndim == 2 else G * root
    return G.reshape(-1)


def _gram(M, most):
    """Return M Mᵀ, or its diagonal where that is too large."""
    return M @ M.T if len(M) <= most else np.einsum("ij,ij->i", M, M)


def _one(gram):
    """Return the unit matrix like a Gram matrix, or the diagonal of one."""
    return np.identity(len(gram), like=gram) if gram.ndim == 2 else np.ones_like(gram)


def _root(L, exponent, epsilon):
    """Return L^-exponent of a matrix or of a diagonal."""
    if L.ndim == 1:
        return L**-exponent
    values, vectors = np.linalg.eigh(L)
    floor = max(epsilon, len(L) * float(np.finfo(L.dtype).eps) * float(values[-1]))
    return (vectors * np.maximum(values, floor) ** -exponent) @ vectors.T
