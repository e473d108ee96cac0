"""Krylov solver: Lanczos, which also knows the eigenvalues of the operator in its subspace."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from mcx_optim.krylov import KrylovResult, Status, length
from mcx_optim.probe import check_point
from mcx_optim.settings import at_least, integer, word


@dataclass(frozen=True)
class LanczosResult(KrylovResult):
    """Solution of `lanczos`, with the subspace that it was found in.

    Attributes
    ----------
    basis : array (P, k)
        V, orthonormal, v_1 along b: one column for every finite product.
    tridiagonal : ndarray (k, k) of float64
        T = VᵀAV of the undamped A.
    ritz : float or None
        The smallest eigenvalue of T, an upper bound of that of A; None where k = 0.
    """

    basis: Any
    tridiagonal: np.ndarray
    ritz: float | None


def lanczos(
    A,
    b,
    *,
    damping: float = 0.0,
    tolerance: float = 1e-8,
    max_iterations: int = 100,
    negative: str = "stop",
) -> LanczosResult:
    """Solve (A + damping·I) x = b for symmetric A in the Krylov space of b.

    x = V y with (T + damping·I) y = ‖b‖ e_1, where V is an orthonormal basis of the space and
    T = VᵀAV tridiagonal: in exact arithmetic the iterate of conjugate gradients. All of V is kept
    and every new vector made orthogonal to it, so that rounding costs no iteration and makes no
    copies of eigenvalues. What is below 100 eps of the largest entry of T, eps that of b, counts as
    zero: scaling A, b and damping changes no branch.

    Where T + damping·I is not positive definite,

    * "stop": the loop ends, and x is that of the subspace before. This is the first pivot of the
      LDLᵀ factorization that is not positive, where conjugate gradients meet pᵀAp ≤ 0;
    * "absolute": the loop runs on, with |T| in place of T: the absolute values of its eigenvalues,
      those that count as zero raised to that bound. x is a descent direction for the gradient -b,
      and goes far where the curvature is weakly negative.

    Parameters
    ----------
    A : object with ``A @ p``
        Symmetric linear operator, such as `GaussNewton` or a matrix (P, P).
    b : array (P,)
        Right-hand side, of float32 or float64. T is in float64.
    damping : float
        At least 0.
    tolerance : float
        Stop at ‖b - (A + damping·I) x‖ ≤ tolerance·‖b‖. With "absolute" it is the part of A x
        outside the subspace that meets it, which is the same where no eigenvalue is negative.
    max_iterations : int
        Largest number of products with A, and of vectors in V.
    negative : {"stop", "absolute"}
        What to do about negative curvature.

    Returns
    -------
    LanczosResult
        With xᵀAx of the undamped A, and as residual the quantity that `tolerance` bounds. The
        status is CONVERGED also where the subspace is invariant, so that it cannot grow.

    Raises
    ------
    TypeError, ValueError
        If `b` is not a flat vector of float32 or float64, or `negative` is another word, `damping`
        negative or `max_iterations` less than 1.

    References
    ----------
    Y. Saad, "Iterative methods for sparse linear systems", 2nd ed. (2003), sections 6.6 and 6.7,
    for the algorithm and for its residual β_k |y_k|. Y. Dauphin et al., "Identifying and attacking
    the saddle point problem in high-dimensional non-convex optimization" (2014), algorithm 1, for
    |T|. Differs: the damping is given, and the space is that of the gradient.

    Examples
    --------
    >>> A, b = np.diag([4.0, 1.0, -1.0]), np.array([1.0, 1.0, 1.0])
    >>> result = lanczos(A, b)
    >>> result.status.name, result.iterations, round(result.ritz, 4)
    ('NEGATIVE_CURVATURE', 2, -0.4905)
    >>> lanczos(A, b, negative="absolute").x.round(12)
    array([0.25, 1.  , 1.  ])
    """
    damping = at_least("lanczos: damping", damping, 0)
    tolerance = at_least("lanczos: tolerance", tolerance, 0)
    max_iterations = integer("lanczos: max_iterations", max_iterations, 1)
    check_point(b, "lanczos: b")
    negative = word("lanczos: negative", negative, ("stop", "absolute"))
    process = _Process(A, b, min(max_iterations, b.size))
    noise = 100 * float(np.finfo(b.dtype).eps)
    iterations, y, residual = 0, np.zeros(0), process.norm
    status = Status.MAX_ITERATIONS if process.norm else Status.ZERO_RIGHT_HAND_SIDE
    while status is Status.MAX_ITERATIONS and iterations < len(process.rows):
        iterations += 1
        if not process.extend():
            status = Status.NON_FINITE
            break
        if process.size + damping == 0:
            status = Status.FLAT
            break
        theta, S = np.linalg.eigh(process.tridiagonal())
        if negative == "absolute":
            theta = np.maximum(abs(theta), noise * process.size)
        elif theta[0] + damping <= noise * (process.size + damping):
            status = Status.NEGATIVE_CURVATURE
            break
        y = S @ (process.norm * S[0] / (theta + damping))
        residual = process.beta * abs(float(y[-1]))
        if residual <= tolerance * process.norm or process.beta <= noise * process.size:
            status = Status.CONVERGED
    x = b if status is Status.FLAT else process.combine(y)
    T = process.tridiagonal()
    return LanczosResult(
        x,
        float(y @ T[: len(y), : len(y)] @ y),
        residual,
        iterations,
        status,
        basis=process.rows[: len(T)].T,
        tridiagonal=T,
        ritz=float(np.linalg.eigvalsh(T)[0]) if len(T) else None,
    )


class _Process:
    """The Lanczos process: V as rows, T, and the vector to come."""

    def __init__(self, A, b, limit):
        self.norm = length(b)  # ‖b‖
        self.rows = np.empty_like(b, shape=(limit, b.size))  # Vᵀ
        self.beta = self.norm  # length of the vector to come
        self.size = 0.0  # largest entry of T so far, β included
        self._A = A
        self._coming = b
        self._diagonal, self._off = [], []

    def extend(self):
        """Give V a column and T a row and column; return False if the product is not finite."""
        k = len(self._diagonal)
        v = self._coming / self.beta
        q = self._A @ v
        if not length(q) <= np.finfo(q.dtype).max:
            return False
        self.rows[k] = v
        alpha = float(v @ q)
        q = q - alpha * v
        if k:
            q = q - self.beta * self.rows[k - 1]
            self._off.append(self.beta)
        self._diagonal.append(alpha)
        # By now q is orthogonal to V but for rounding, and one sweep removes that.
        V = self.rows[: k + 1]
        self._coming = q - (V @ q) @ V
        self.beta = length(self._coming)
        self.size = max(self.size, abs(alpha), self.beta)
        return True

    def tridiagonal(self):
        """Return T (k, k)."""
        T = np.diag(np.array(self._diagonal, np.float64))
        rows = np.arange(len(self._off))
        T[rows, rows + 1] = T[rows + 1, rows] = self._off
        return T

    def combine(self, y):
        """Return V y for coefficients of the first columns of V."""
        rows = self.rows[: len(y)]
        return np.asarray(y, dtype=rows.dtype, like=rows) @ rows
