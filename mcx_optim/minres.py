"""Krylov solver: minimal residuals by the Lanczos process, for any symmetric operator."""

import math

import numpy as np

from mcx_optim.damping import Damped
from mcx_optim.krylov import KrylovResult, Status, length
from mcx_optim.probe import check_point
from mcx_optim.scaled import HIDDEN, Scaled, bounds
from mcx_optim.settings import at_least, integer


def minres(
    A, b, *, damping: float = 0.0, tolerance: float = 1e-8, max_iterations: int = 100
) -> KrylovResult:
    """Solve (A + damping·I) x = b for symmetric A by minimal residuals from x = 0.

    Minimizes ‖r‖, r = b - A x, over growing Krylov spaces, one product an iteration, whatever the
    signs of the eigenvalues: blind to them, so that x may point uphill (b·x < 0). A singular A will
    do as well. If b is in its range, x tends to A⁺b, the shortest solution; if not, to a minimizer
    of ‖r‖, the shortest but for a multiple of that minimal r. `cgls` finds A⁺b in either case.

    Parameters
    ----------
    A : object with ``A @ p``
        Symmetric linear operator, such as `Hessian` or a matrix (P, P).
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
        x, xᵀAx of the undamped A, ‖r‖, the number of products and why the loop ended. The status
        is CONVERGED also where ‖Ar‖ ≤ tolerance·‖A‖‖r‖, the tolerance at most √eps: at a minimum of
        ‖r‖ that is not 0. It is ROUNDING where the next x is so long that rounding of Ax, eps
        ‖A‖‖x‖, exceeds a hundredth of ‖r‖; the x before it is returned.

    Raises
    ------
    TypeError, ValueError
        If `b` is not a flat vector of float32 or float64, or `damping` is negative or
        `max_iterations` less than 1.

    References
    ----------
    C. Paige and M. Saunders, "Solution of sparse indefinite systems of linear equations", SIAM J.
    Numer. Anal. 12 (1975), section 6, with reflections for rotations. S.-C. Choi, C. Paige and
    M. Saunders, "MINRES-QLP: a Krylov subspace method for indefinite or singular symmetric
    systems", SIAM J. Sci. Comput. 33 (2011), section 2.2, for the norm of Ar. Not SciPy's `minres`:
    that works on host arrays of float64, tells neither the residual nor the number of products, and
    its tolerance is one of ‖r‖/(‖A‖‖x‖).

    Examples
    --------
    >>> result = minres(np.diag([1.0, -1.0]), np.ones(2))
    >>> result.status.name, result.iterations, result.x.round(12)
    ('CONVERGED', 2, array([ 1., -1.]))
    """
    damping = at_least("minres: damping", damping, 0)
    tolerance = at_least("minres: tolerance", tolerance, 0)
    max_iterations = integer("minres: max_iterations", max_iterations, 1)
    check_point(b, "minres: b")
    system = Scaled(Damped(A, damping) if damping else A, b)
    eps, flat, bound = bounds(b, tolerance)
    x, r = np.zeros_like(b), system.b

    def result(products, status):
        return system.result(x, r, products, status, damping)

    if system.status is not None:
        return result(system.products, system.status)
    size = phi_bar = length(r)
    v, q = r / size, system.image / size  # q = A v
    older = d = d_before = np.zeros_like(b)
    beta, norm = 0.0, 0.0
    c, s, c_before, s_before = -1.0, 0.0, -1.0, 0.0
    for products in range(1, max_iterations + 1):
        # Lanczos: β_{k+1} v_{k+1} = A v_k - α_k v_k - β_k v_{k-1}
        norm = max(norm, length(q))
        q = q - beta * older
        alpha = float(v @ q)
        q = q - alpha * v
        next_beta = length(q)
        # The column (β_k, α_k, β_{k+1}) of the tridiagonal matrix, reflected: R, and ‖A r_{k-1}‖
        epsilon, delta_bar = s_before * beta, -c_before * beta
        delta, gamma_bar = c * delta_bar + s * alpha, s * delta_bar - c * alpha
        if math.hypot(gamma_bar, c * next_beta) <= flat * norm:
            return result(products, Status.CONVERGED)
        gamma = math.hypot(gamma_bar, next_beta)
        c_before, s_before, c, s = c, s, gamma_bar / gamma, next_beta / gamma
        # x_k = x_{k-1} + φ_k d_k with D R = V
        d_before, d = d, (v - delta * d - epsilon * d_before) / gamma
        trial = x + (c * phi_bar) * d
        if eps * norm * length(trial) > HIDDEN * s * phi_bar > HIDDEN * bound * size:
            return result(products, Status.ROUNDING)
        x, phi_bar = trial, s * phi_bar
        if next_beta > 0:
            older, v, beta = v, q / next_beta, next_beta
        r = s * s * r - (phi_bar * c) * v
        if phi_bar <= bound * size:
            return result(products, Status.CONVERGED)
        if products == max_iterations:
            break
        q = system @ v
        if not math.isfinite(length(q)):
            return result(products + 1, Status.NON_FINITE)
    return result(max_iterations, Status.MAX_ITERATIONS)
