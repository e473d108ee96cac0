"""Preconditioner: Kronecker factors of the Gauss-Newton matrix, one pair for every weight."""

import numpy as np

from mcx_optim.parts import on_each
from mcx_optim.settings import at_least, fraction, integer
from mcx_optim.state import expect_setting


class Kronecker:
    """M = blocks (L + π√λ I) ⊗ (R + √λ/π I), near the damped Gauss-Newton matrix, easy to invert.

    A weight (..., O) is a matrix (K, O), with its bias, if that follows, as one more row. Its
    gradient is AᵀD, with the inputs A (T, K) of the layer, a column of ones for the bias, and the
    slopes D (T, O). With slopes drawn so that the gradient has the Gauss-Newton matrix as its
    covariance (`Objective.observe`), L = AᵀA/T and R = DᵀD: L ⊗ R is the block itself, if inputs
    and slopes are independent and rows uncorrelated. π² is the ratio of their mean eigenvalues. Of
    all other parameters the squares of their drawn gradient are kept, a diagonal. Means decay with
    age. What a regularizer adds to the diagonal is added to λ, block by block.

    Parameters
    ----------
    decay : float
        Weight of the old means against those of a new batch, in [0, 1).
    most : int
        Rows or columns up to which a factor is a full matrix; of a larger one the diagonal is kept.

    Raises
    ------
    ValueError
        If a parameter is out of range.

    References
    ----------
    J. Martens and R. Grosse, "Optimizing neural networks with Kronecker-factored approximate
    curvature", ICML 2015, sections 3 and 6.3; R. Grosse and J. Martens, "A Kronecker-factored
    approximate Fisher matrix for convolution layers", ICML 2016, section 3.

    Examples
    --------
    >>> from mcx_nn import Dense, Sequential, Supervised, mean_squared_error
    >>> from mcx_optim import Objective
    >>> objective = Objective.of(Supervised(Sequential([Dense(2, 1)]), mean_squared_error))
    >>> X = np.random.default_rng(0).standard_normal((10_000, 2))
    >>> M = Kronecker()
    >>> M.update(objective, np.zeros(3), (X, np.zeros((10_000, 1))), np.random.default_rng(1))
    >>> bool(np.allclose(M.damped(0.0) @ np.ones(3), 0.5, rtol=0.1))  # G is nearly 2 I
    True
    """

    def __init__(self, decay: float = 0.95, most: int = 2048):
        self.decay = fraction("decay", decay)
        self.most = integer("most", most, 1)
        self._blocks = self._ridges = None
        self._steps = 0
        self._factors = []  # (L, R), matrices or diagonals

    def update(self, objective, w, batch, rng):
        """See the batch at w.

        Raises
        ------
        ValueError
            If the objective has no slots or cannot be observed; see `Objective.of`.
        """
        vector, parts = objective.observe(w, batch, rng)
        if self._blocks is None:
            self._blocks = blocks_of(objective, parts[0][1])
            self._ridges = [_ridge(objective.ridge, block) for block in self._blocks]
        self._steps += 1
        new = max(1 - self.decay, 1 / self._steps)
        seen = [self._seen(block, vector, parts) for block in self._blocks]
        if self._steps > 1:
            seen = [
                tuple(old + new * (now - old) for old, now in zip(*pair, strict=True))
                for pair in zip(self._factors, seen, strict=True)
            ]
        self._factors = seen

    def damped(self, damping: float) -> "Inverse":
        """Return M⁻¹ for λ = damping, at least 0, as an object with ``@ r``."""
        damping = at_least("damping", damping, 0)
        jobs = list(zip(self._factors, self._ridges, strict=True))
        inverses = on_each(lambda job: _inverses(*job[0], damping + job[1]), jobs)
        return Inverse(self._blocks, inverses)

    def state_dict(self):
        """Return the factors, the number of batches seen, and `most`, which shapes them."""
        state = {"steps": self._steps, "most": self.most}
        for k, pair in enumerate(self._factors):
            state |= {f"factor.{k}.{i}": factor for i, factor in enumerate(pair)}
        return state

    def load_state_dict(self, state):
        """Restore what `state_dict` returned; raise ValueError if `most` was another."""
        expect_setting(self, "most", state)
        self._steps, self._blocks = int(state["steps"]), None
        count = sum(name.startswith("factor.") for name in state) // 2
        self._factors = [tuple(state[f"factor.{k}.{i}"] for i in range(2)) for k in range(count)]

    def _seen(self, block, vector, parts):
        """Return L and R of one block as seen in this batch."""
        name, place, (rows, _) = block
        if name is None:
            return vector[place] ** 2, np.ones_like(vector, shape=1)

        def of_part(part):
            share, observed = part
            A, D = observed[name].inputs, observed[name].slopes
            if rows > A.shape[1]:
                A = np.concatenate([A, np.ones_like(A, shape=(len(A), 1))], axis=1)
            return _gram(A, self.most) * (share / len(A)), _gram(D, self.most) * share

        return tuple(map(sum, zip(*on_each(of_part, parts), strict=True)))


class Inverse:
    """M⁻¹ for one λ, see `Kronecker`."""

    def __init__(self, blocks, inverses):
        self._pairs = list(zip(blocks, inverses, strict=True))

    def __matmul__(self, r):
        """Return M⁻¹ r for a vector r (P,)."""
        out = np.empty_like(r)

        def solve(pair):
            (_, place, shape), (left, right) = pair
            G = r[place].reshape(shape)
            G = left @ G if left.ndim == 2 else left[:, None] * G
            G = G @ right if right.ndim == 2 else G * right
            out[place] = G.reshape(-1)

        on_each(solve, self._pairs)
        return out

    def state_dict(self):
        """Return the factors and where they belong, as a flat dict."""
        state = {}
        for k, ((_, place, shape), (left, right)) in enumerate(self._pairs):
            state[f"{k}.place"] = np.array([place.start, place.stop, *shape])
            state |= {f"{k}.left": left, f"{k}.right": right}
        return state

    @classmethod
    def from_state(cls, state):
        """Return the inverse of which `state_dict` returned the state."""
        blocks, inverses = [], []
        for k in range(len(state) // 3):
            start, stop, rows, columns = map(int, state[f"{k}.place"])
            blocks.append((None, slice(start, stop), (rows, columns)))
            inverses.append((state[f"{k}.left"], state[f"{k}.right"]))
        return cls(blocks, inverses)


def blocks_of(objective, observed):
    """Return (name, slice of w, (rows, columns)) for every matrix of parameters.

    `observed` names the weights whose rows are seen; the name is None for other parameters.

    Raises
    ------
    ValueError
        If the objective has no slots.
    """
    if not objective.slots:
        raise ValueError(
            "Kronecker: expected an objective with slots (name -> (slice, shape)), got none; make "
            "it by Objective.of(problem), or do without the preconditioner"
        )
    blocks = []
    for name, (place, shape) in objective.slots.items():
        size = place.stop - place.start
        weight = name.removesuffix("bias") + "weight"
        if name in observed:
            blocks.append((name, place, (size // shape[-1], shape[-1])))
        elif blocks and blocks[-1][0] == weight and shape == blocks[-1][2][1:]:
            _, before, (rows, columns) = blocks.pop()
            blocks.append((weight, slice(before.start, place.stop), (rows + 1, columns)))
        else:
            blocks.append((None, place, (size, 1)))
    return blocks


def _ridge(ridge, block):
    """Return what a regularizer adds to the diagonal of a block, on average.

    The gradients drawn of other parameters hold it already.
    """
    name, place, _ = block
    if name is None:
        return 0.0
    return float(np.mean(ridge[place])) if np.ndim(ridge) else float(ridge)


def _gram(X, most):
    """Return XᵀX, or its diagonal where that is too large."""
    return X.T @ X if X.shape[1] <= most else np.einsum("ij,ij->j", X, X)


def _inverses(L, R, damping):
    """Return (L + π√λ I)⁻¹ and (R + √λ/π I)⁻¹."""
    means = [float(np.mean(np.diag(factor) if factor.ndim == 2 else factor)) for factor in (L, R)]
    if not all(means):  # nothing to see: λ I
        scale = damping**-0.5 if damping else 1.0
        return scale * np.ones_like(L, shape=len(L)), scale * np.ones_like(R, shape=len(R))
    root = (damping / means[0] / means[1]) ** 0.5
    noise = float(np.finfo(L.dtype).eps) ** 0.5  # lest a singular factor be inverted
    return tuple(
        _inverse(X, mean * max(root, noise)) for X, mean in zip((L, R), means, strict=True)
    )


def _inverse(factor, shift):
    """Return (factor + shift I)⁻¹, in the precision of the factor but by float64."""
    if factor.ndim == 1:
        return 1 / (factor + shift)
    shifted = factor.astype(np.float64)
    np.fill_diagonal(shifted, shifted.diagonal() + shift)
    inverse = np.linalg.inv(shifted)
    return ((inverse + inverse.T) / 2).astype(factor.dtype)
