"""Krylov subspace descent: BFGS on the loss itself in a Krylov space of the curvature."""

import math

import numpy as np

from mcx_optim.errors import NonFiniteError
from mcx_optim.gradients import estimator
from mcx_optim.krylov import length
from mcx_optim.lanczos import lanczos
from mcx_optim.newton_krylov import CURVATURES
from mcx_optim.scaled import power_of_two
from mcx_optim.settings import integer, word
from mcx_optim.state import entries, expect_alike, expect_made_of, made_of, nested
from mcx_optim.step_info import StepLog

FLOOR = 1e-4  # least curvature of the subspace, in that of the largest
SMALL = 1e-6  # gradient in the subspace where BFGS ends, in that of its first


class KrylovSubspaceDescent:
    """Minimizes the loss over w + span{g, Ag, …, A^{K-1}g, Δ_prev}, A the curvature of one batch.

    1. An orthonormal basis V of the space, and VᵀAV, by the Lanczos process and one more product;
       Δ_prev is the step before.
    2. Coordinates a, Δ = V S |Θ|^{-1/2} a, with the eigenvalues and eigenvectors VᵀAV = S Θ Sᵀ,
       |Θ| at least 1e-4 of the largest: in these the curvature of the batch is ±1.
    3. BFGS on f(w + Δ) as a function of a, on samples of its own, in a unit of f near the decrease
       that g and |Θ| predict: no step depends on the unit of the loss.

    No damping, no line search after it, and no positive semidefinite curvature is needed; K + 1
    vectors of the length of w are kept.

    Parameters
    ----------
    dimension : int
        K.
    iterations : int
        Most iterations of BFGS, each a gradient or a few.
    search_size : int, optional
        Samples that BFGS works on, drawn anew in every step; default: as many as in the batch. Of
        an objective without data they are the batch.
    curvature : {"hessian", "gauss_newton"}
        A.
    rhs : {"global", "batch"} or estimator
        Where g comes from, see `NewtonKrylov`.
    seed : int
        Of the samples.

    Raises
    ------
    ValueError
        If a parameter is out of range or not one of the words.

    References
    ----------
    O. Vinyals and D. Povey, "Krylov subspace descent for deep learning", AISTATS 2012, with their
    K = 20 and 30 iterations. BFGS is that of SciPy, which has to be installed. Differs:

    - |Θ| in place of max(Θ, floor), for the Hessian, and the square root that is symmetric in place
      of Cholesky's, which no BFGS can tell from it;
    - no preconditioner by the diagonal of the Fisher matrix;
    - the step is left out where BFGS does not decrease its loss.

    Examples
    --------
    >>> import numpy as np
    >>> from mcx_optim import Objective
    >>> A, b = np.array([[4.0, 1.0], [1.0, 3.0]]), np.array([1.0, 2.0])
    >>> objective = Objective(lambda w, batch: (w @ (A @ w) / 2 - w @ b, A @ w - b))
    >>> w, info = KrylovSubspaceDescent().step(objective, np.zeros(2), None)
    >>> bool(np.allclose(A @ w, b)), info.outcome, info.cg_iterations
    (True, 'accepted', 2)
    """

    def __init__(
        self,
        dimension: int = 20,
        iterations: int = 30,
        search_size: int | None = None,
        curvature: str = "hessian",
        rhs="global",
        seed: int = 0,
    ):
        self.dimension = integer("dimension", dimension, 1)
        self.iterations = integer("iterations", iterations, 1)
        self.search_size = None if search_size is None else integer("search_size", search_size, 1)
        self.curvature = word("curvature", curvature, CURVATURES)
        self.rhs = estimator(rhs)
        self.seed = integer("seed", seed, 0)
        self._drawn = 0  # samples of BFGS
        self._last = None  # the step before

    def step(self, objective, w, batch):
        """Return w after one step on the batch, and its StepInfo.

        Raises
        ------
        NonFiniteError
            If the loss or the gradient at w is not finite.
        ValueError
            If w is not like that of the steps before.
        ImportError
            If SciPy is not installed.
        """
        log = StepLog(objective)
        A = CURVATURES[self.curvature](objective, w, batch)
        expect_alike(self, w, self._last)
        g = self.rhs(objective, w, batch, A).gradient
        log.note(loss=A.loss, gradient_norm=length(g))
        if not g.any():
            return w, log.finish("skipped", "the gradient is zero")
        rows, T, log_of_basis = self._subspace(A, g)
        log.note(**log_of_basis)
        if not len(rows):
            return w, log.finish("skipped", "the product of the gradient was not finite")
        sample = self._sample(objective, batch)
        self._drawn += 1
        alpha, losses, trials = self._bfgs(objective, w, sample, rows, T)
        delta = combine(alpha, rows)
        slope = float(g @ delta)
        log.note(
            samples=1 if sample is None else len(sample[0]),
            tracked_loss=losses[0],
            new_tracked_loss=losses[1],
            slope=slope,
            predicted=slope + float(alpha @ T @ alpha) / 2,
            trials=trials,
        )
        if not losses[1] < losses[0]:
            return w, log.finish("skipped", "BFGS did not decrease the loss of its samples")
        self._last = delta
        return w + delta, log.finish("accepted")

    def on_epoch(self, metrics):
        """Do nothing: no setting changes between epochs."""

    def state_dict(self):
        """Return what the next step depends on, as a flat dict."""
        state = {"parts": made_of({"rhs": self.rhs}), "drawn": self._drawn}
        state |= {} if self._last is None else {"last": self._last}
        return state | nested(rhs=self.rhs.state_dict())

    def load_state_dict(self, state):
        """Restore what `state_dict` returned."""
        expect_made_of({"rhs": self.rhs}, state)
        self._drawn, self._last = int(state["drawn"]), state.get("last")
        self.rhs.load_state_dict(entries(state, "rhs"))

    def _subspace(self, A, g):
        """Return the basis as rows, VᵀAV, and what the log says of it."""
        space = lanczos(A, g, tolerance=0.0, max_iterations=self.dimension, negative="absolute")
        rows, T, products = space.basis.T, space.tridiagonal, space.iterations
        if self._last is not None and len(rows):
            u = self._last / self._last.dtype.type(length(self._last))
            for _ in range(2):  # once is not enough where little is left
                u = u - (rows @ u) @ rows
            left = length(u)
            if left > float(np.finfo(u.dtype).eps) ** 0.5:
                u = u / left
                q, products = A @ u, products + 1
                if math.isfinite(length(q)):
                    rows = np.concatenate([rows, u[None]])
                    T = bordered(T, host(rows @ q))
        return rows, T, {"cg_iterations": products, "cg_status": space.status.name}

    def _sample(self, objective, batch):
        """Return the samples that BFGS works on."""
        if objective.data is None:
            return batch
        size = min(self.search_size or len(batch[0]), objective.samples)
        if size == objective.samples:
            return objective.data
        return objective.sample(size, np.random.default_rng([self.seed, self._drawn]))

    def _bfgs(self, objective, w, sample, rows, T):
        """Minimize f(w + Vα); return α, the losses at 0 and there, and the evaluations."""
        try:
            from scipy.optimize import minimize
        except ImportError as error:
            raise ImportError(
                "KrylovSubspaceDescent: expected SciPy, which has the BFGS method, got none; "
                "pip install scipy"
            ) from error

        known = objective.value_and_grad(w, sample)

        def value_and_grad(a):
            try:
                v = w + combine(C @ a, rows)
                loss, g = objective.value_and_grad(v, sample) if a.any() else known
            except NonFiniteError:
                return math.inf, np.zeros_like(a)
            return float(loss) / unit, C.T @ host(rows @ g) / unit

        C, unit = coordinates(T, host(rows @ known[1]))
        zero = np.zeros(C.shape[1])
        slope = value_and_grad(zero)[1]
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            found = minimize(
                value_and_grad,
                zero,
                jac=True,
                method="BFGS",
                options={"maxiter": self.iterations, "gtol": SMALL * float(np.max(np.abs(slope)))},
            )
        return C @ found.x, (float(known[0]), float(found.fun) * unit), found.nfev


def coordinates(T, slope):
    """Return C = S |Θ|^{-1/2} of T = S Θ Sᵀ in a unit of f, and that, for a slope along the basis.

    |Θ| is at least 1e-4 of the largest. The unit is a power of two, at most twice the change that
    |Θ| predicts if that is all of one size: the first step of BFGS is then one of Newton.
    """
    theta, S = np.linalg.eigh(T)
    theta = np.abs(theta)
    # without curvature a step has length 1
    largest = float(theta.max()) or length(slope) or 1.0
    C = S / np.sqrt(np.maximum(theta / largest, FLOOR)) if theta.any() else S
    slope = length(C.T @ slope)
    unit = 2 * power_of_two(slope / largest * slope)
    return math.sqrt(unit / largest) * C, unit


def bordered(T, column):
    """Return T with one more column, and the same row."""
    bordered = np.empty((len(T) + 1,) * 2)
    bordered[:-1, :-1] = T
    bordered[-1] = bordered[:, -1] = column
    return bordered


def combine(alpha, rows):
    """Return Vα for numbers α (k,) on the host."""
    return np.asarray(alpha, dtype=rows.dtype, like=rows) @ rows


def host(x):
    """Return k numbers as float64 on the host."""
    return np.array([float(value) for value in x])
