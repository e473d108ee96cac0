"""Krylov solver: conjugate residuals, for as long as the operator does not hide the residual."""

import math

import numpy as np

from mcx_optim.damping import Damped
from mcx_optim.krylov import KrylovResult, Status, length
from mcx_optim.probe import check_point
from mcx_optim.scaled import HIDDEN, Scaled, bounds
from mcx_optim.settings import at_least, integer

BREAKDOWN = 10.0  # |r·Ar| in eps ‖r‖‖Ar‖, below which it counts as zero


def conjugate_residual(
    A, b, *, damping: float = 0.0, tolerance: float = 1e-8, max_iterations: int = 100
) -> KrylovResult:
    """Solve (A + damping·I) x = b for symmetric A by conjugate residuals from x = 0.

    Minimizes ‖r‖, r = b - A x, over growing Krylov spaces, one product an iteration. Made for
    semidefinite A. Of an indefinite one it finds the same x, blind to the signs of its eigenvalues,
    so that x may point uphill (b·x < 0); but it cannot go on where r·Ar = 0, nor accurately near
    such a place. It then ends with NEGATIVE_CURVATURE, which r·Ar = 0, Ar ≠ 0 proves: use `minres`.

    Parameters
    ----------
    A : object with ``A @ p``
        Symmetric linear operator, such as `GaussNewton` or a matrix (P, P).
    b : array (P,)
        Right-hand side, of float32 or float64.
    damping : float
        At least 0.
    tolerance : float
        Stop at ‖r‖ ≤ tolerance·‖b‖. Less than eps of b counts as eps.
    max_iterations : int
        Largest number of products with A.

    Returns
    -------
    KrylovResult
        x, xᵀAx of the undamped A, ‖r‖, the number of products and why the loop ended; see `minres`
        for its end where r cannot vanish.

    Raises
    ------
    TypeError, ValueError
        If `b` is not a flat vector of float32 or float64, or `damping` is negative or
        `max_iterations` less than 1.

    References
    ----------
    E. Stiefel, "Relaxationsmethoden bester Strategie zur Lösung linearer Gleichungssysteme",
    Comment. Math. Helv. 29 (1955); Y. Saad, "Iterative methods for sparse linear systems", 2nd ed.
    (2003), algorithm 6.20. The tests for a breakdown and for Ar = 0 are this library's.

    Examples
    --------
    >>> A = np.array([[4.0, 1.0], [1.0, 3.0]])
    >>> result = conjugate_residual(A, np.array([1.0, 2.0]))
    >>> result.status.name, result.iterations
    ('CONVERGED', 2)
    >>> bool(np.allclose(A @ result.x, [1.0, 2.0]))
    True
    >>> conjugate_residual(np.diag([1.0, -1.0]), np.ones(2)).status.name
    'NEGATIVE_CURVATURE'
    """
    damping = at_least("conjugate_residual: damping", damping, 0)
    tolerance = at_least("conjugate_residual: tolerance", tolerance, 0)
    max_iterations = integer("conjugate_residual: max_iterations", max_iterations, 1)
    check_point(b, "conjugate_residual: b")
    system = Scaled(Damped(A, damping) if damping else A, b)
    eps, flat, bound = bounds(b, tolerance)
    x, r, w = np.zeros_like(b), system.b, system.image
    size = first = length(r)

    def result(products, status):
        return system.result(x, r, products, status, damping)

    if system.status is not None:
        return result(system.products, system.status)
    p, q, norm, rw = r, w, 0.0, float(r @ w)
    for products in range(1, max_iterations + 1):
        steepness = length(w)  # here w = A r and q = A p
        norm = max(norm, steepness / size)
        if steepness <= flat * norm * size:
            return result(products, Status.CONVERGED)
        if abs(rw) <= BREAKDOWN * eps * size * steepness:
            return result(products, Status.NEGATIVE_CURVATURE)
        alpha = rw / float(q @ q)
        trial, r_trial = x + alpha * p, r - alpha * q
        size = length(r_trial)
        if eps * norm * length(trial) > HIDDEN * size > HIDDEN * bound * first:
            return result(products, Status.ROUNDING)
        x, r = trial, r_trial
        if size <= bound * first:
            return result(products, Status.CONVERGED)
        if products == max_iterations:
            break
        w = system @ r
        previous, rw = rw, float(r @ w)
        if not math.isfinite(rw):
            return result(products + 1, Status.NON_FINITE)
        p, q = r + (rw / previous) * p, w + (rw / previous) * q
    return result(max_iterations, Status.MAX_ITERATIONS)
