"""Preconditioner: Kronecker factors of the Gauss-Newton matrix, one pair for every weight."""

import numpy as np


class Kronecker:
    """M = ⊕_k L_k ⊗ R_k / tr L_k + λ I, near the damped Gauss-Newton matrix and easy to invert.

    The parameters of every layer are a matrix W_k (rows, columns): a weight (..., O) as
    (inputs, O), its bias, if that follows, as one more row; any other parameter as one column. Of
    vectors drawn with the Gauss-Newton matrix as their covariance (`Objective.draw`), cut into such
    matrices G, L_k is the mean of G Gᵀ and R_k that of GᵀG, decaying with age. Where the covariance
    of G is a Kronecker product, M is exactly it. Products with M⁻¹ are made in the eigenbases of
    L_k and R_k, so that any λ costs the same.

    Parameters
    ----------
    decay : float
        Weight of the old mean against a new draw, in [0, 1).
    refresh : int
        Steps between two computations of the eigenbases.
    first : int
        Draws before the first step.
    most : int
        Rows or columns up to which a factor is a full matrix; of a larger one the diagonal is kept.

    Raises
    ------
    ValueError
        If a parameter is out of range.

    References
    ----------
    J. Martens and R. Grosse, "Optimizing neural networks with Kronecker-factored approximate
    curvature", ICML 2015; D. Morwani et al., "A new perspective on Shampoo's preconditioner"
    (2024), for factors from gradients alone: no layer has to show its inputs. T. George et al.,
    "Fast approximate natural gradient descent in a Kronecker-factored eigenbasis" (2018), for λ in
    the eigenbasis.

    Examples
    --------
    >>> from mcx_nn import Dense, Sequential, Supervised, mean_squared_error
    >>> from mcx_optim import Objective
    >>> objective = Objective.of(Supervised(Sequential([Dense(2, 1)]), mean_squared_error))
    >>> rng, batch = np.random.default_rng(0), (np.eye(2), np.zeros((2, 1)))
    >>> M = Kronecker(decay=0.9999, first=10_000)
    >>> M.update(objective, np.zeros(3), batch, rng)
    >>> G = np.array([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0], [1.0, 1.0, 2.0]])
    >>> x = M.damped(1.0) @ np.array([2.0, 0.0, 0.0])
    >>> bool(np.allclose(G @ x + x, [2.0, 0.0, 0.0], atol=0.1))
    True
    """

    def __init__(self, decay: float = 0.95, refresh: int = 10, first: int = 10, most: int = 2048):
        if not 0 <= decay < 1:
            raise ValueError(f"decay: expected a number in [0, 1), got {decay}")
        for name, value in (("refresh", refresh), ("first", first), ("most", most)):
            if value < 1:
                raise ValueError(f"{name}: expected at least 1, got {value}")
        self.decay, self.refresh, self.first, self.most = decay, refresh, first, most
        self._blocks = None
        self._steps = self._draws = 0
        self._factors = []  # (L, R), matrices or, where too large, diagonals
        self._bases = []  # (U, V, eigenvalues of L ⊗ R / tr L): None for a basis of unit vectors

    def update(self, objective, w, batch, rng):
        """Draw once at w for the batch, and refresh the eigenbases where it is time.

        Raises
        ------
        ValueError
            If the objective has no slots or cannot draw; see `Objective.of`.
        """
        if self._blocks is None:
            self._blocks = blocks_of(objective)
        for _ in range(1 if self._steps else self.first):
            self._see(objective.draw(w, batch, rng))
        if self._steps % self.refresh == 0:
            self._bases = [_bases(*pair) for pair in self._factors]
        self._steps += 1

    def damped(self, damping: float) -> "Inverse":
        """Return M⁻¹ for λ = damping, as an object with ``@ r``."""
        return Inverse(self._blocks, self._bases, damping)

    def state_dict(self):
        """Return factors, bases and counts as a flat dict."""
        state = {"steps": self._steps, "draws": self._draws}
        for name, stacks in (("factor", self._factors), ("basis", self._bases)):
            for k, arrays in enumerate(stacks):
                kept = {f"{name}.{k}.{i}": a for i, a in enumerate(arrays) if a is not None}
                state |= kept
        return state

    def load_state_dict(self, state):
        """Restore what `state_dict` returned."""
        self._steps, self._draws = int(state["steps"]), int(state["draws"])
        count = sum(name.startswith("basis.") and name.endswith(".2") for name in state)
        self._factors = [tuple(state[f"factor.{k}.{i}"] for i in range(2)) for k in range(count)]
        self._bases = [tuple(state.get(f"basis.{k}.{i}") for i in range(3)) for k in range(count)]

    def _see(self, vector):
        self._draws += 1
        new = 1 - min(self.decay, 1 - 1 / self._draws)
        pairs = []
        for k, (place, shape) in enumerate(self._blocks):
            G = vector[place].reshape(shape)
            pair = _gram(G, self.most), _gram(G.T, self.most)
            if self._draws > 1:
                pair = tuple(
                    old + (now - old) * new for old, now in zip(self._factors[k], pair, strict=True)
                )
            pairs.append(pair)
        self._factors = pairs


class Inverse:
    """M⁻¹ for one λ, see `Kronecker`."""

    def __init__(self, blocks, bases, damping):
        self._blocks, self._bases = blocks, bases
        largest = max(float(values.max()) for _, _, values in bases)
        # Where nothing was ever drawn and λ = 0, M would be singular.
        self._least = damping + (np.finfo(bases[0][2].dtype).eps * largest or 1.0 - bool(damping))

    def __matmul__(self, r):
        """Return M⁻¹ r for a vector r (P,)."""
        out = np.empty_like(r)
        for (place, shape), (U, V, values) in zip(self._blocks, self._bases, strict=True):
            G = r[place].reshape(shape)
            G = G if U is None else U.T @ G
            G = G if V is None else G @ V
            G = G / (values + self._least)
            G = G if V is None else G @ V.T
            G = G if U is None else U @ G
            out[place] = G.reshape(-1)
        return out


def blocks_of(objective):
    """Return (slice of w, (rows, columns)) for every matrix of parameters.

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
    blocks, last = [], ""
    for name, (place, shape) in objective.slots.items():
        of_last = name.endswith("bias") and last == name.removesuffix("bias") + "weight"
        if of_last and shape == blocks[-1][1][1:]:
            before, (rows, columns) = blocks.pop()
            blocks.append((slice(before.start, place.stop), (rows + 1, columns)))
        else:
            columns = shape[-1] if len(shape) > 1 else 1
            size = place.stop - place.start
            blocks.append((place, (size // columns, columns)))
        last = name
    return blocks


def _gram(G, most):
    """Return G Gᵀ, or its diagonal where that is too large."""
    return G @ G.T if len(G) <= most else np.einsum("ij,ij->i", G, G)


def _bases(L, R):
    """Return eigenvectors of L and R, None for a diagonal, and the eigenvalues of L ⊗ R / tr L."""
    (rows, U), (columns, V) = _eigh(L), _eigh(R)
    total = rows.sum()
    values = np.outer(rows, columns / total) if total else np.zeros((len(rows), len(columns)))
    return U, V, values.astype(L.dtype)


def _eigh(factor):
    if factor.ndim == 1:
        return factor, None
    values, vectors = np.linalg.eigh(factor)
    return np.maximum(values, 0), vectors
