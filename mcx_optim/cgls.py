"""Krylov solver: conjugate gradients on the normal equations of a least-squares problem."""

import math

import numpy as np

from mcx_optim.krylov import KrylovResult, Status, length
from mcx_optim.probe import check_point
from mcx_optim.scaled import Scaled
from mcx_optim.settings import at_least, integer


def cgls(
    A, b, *, damping: float = 0.0, tolerance: float = 1e-8, max_iterations: int = 100
) -> KrylovResult:
    """Minimize ‖b - A x‖² + damping·‖x‖² for symmetric A by conjugate gradients from x = 0.

    Any symmetric A will do, also an indefinite or a singular one: where there are many minimizers x
    tends to the shortest of them, A⁺b. The price is two products an iteration, and a rate that
    depends on the square of the condition number of A. x may point uphill (b·x < 0) where A has
    negative eigenvalues: as a Newton step it leads to the nearest stationary point, of any kind.

    Parameters
    ----------
    A : object with ``A @ p``
        Symmetric linear operator, such as `Hessian` or a matrix (P, P).
    b : array (P,)
        Right-hand side, of float32 or float64.
    damping : float
        μ of Levenberg and Marquardt, at least 0, in units of A²: x solves (A² + μI) x = A b.
    tolerance : float
        Stop at ‖A r - μ x‖ ≤ tolerance·‖A b‖, r = b - A x: the gradient, which vanishes at the
        minimum whether r does or not. Less than eps of b counts as eps.
    max_iterations : int
        Largest number of products with A, at least 2; the k-th iterate takes 2k.

    Returns
    -------
    KrylovResult
        x, xᵀAx, ‖r‖, the number of products and why the loop ended.

    Raises
    ------
    TypeError, ValueError
        If `b` is not a flat vector of float32 or float64, or `damping` is negative or
        `max_iterations` less than 2.

    References
    ----------
    M. Hestenes and E. Stiefel, "Methods of conjugate gradients for solving linear systems", J. Res.
    Natl. Bur. Stand. 49 (1952), section 10; Å. Björck, "Numerical methods for least squares
    problems", SIAM 1996, section 7.4.1, for the algorithm and its damping.

    Examples
    --------
    Two equations for the first unknown, none for the second:

    >>> A, b = np.array([[1.0, 0.0], [0.0, 0.0]]), np.array([3.0, 4.0])
    >>> result = cgls(A, b)
    >>> result.x, result.residual_norm, result.status.name
    (array([3., 0.]), 4.0, 'CONVERGED')
    """
    damping = at_least("cgls: damping", damping, 0)
    tolerance = at_least("cgls: tolerance", tolerance, 0)
    max_iterations = integer("cgls: max_iterations", max_iterations, 2)
    check_point(b, "cgls: b")
    system = Scaled(A, b)
    mu = damping / system.unit**2
    x, r, s = np.zeros_like(b), system.b, system.image
    if system.status is not None:
        return system.result(x, r, system.products, system.status)
    tolerance = max(tolerance, float(np.finfo(b.dtype).eps))
    p, gamma = s, float(s @ s)
    bound = tolerance**2 * gamma
    for products in range(2, max_iterations + 1, 2):
        q = system @ p
        if not math.isfinite(length(q)):
            return system.result(x, r, products, Status.NON_FINITE)
        alpha = gamma / (float(q @ q) + mu * float(p @ p))
        x, r = x + alpha * p, r - alpha * q
        if products == max_iterations:
            break
        s = (system @ r) - mu * x
        if not math.isfinite(length(s)):
            return system.result(x, r, products + 1, Status.NON_FINITE)
        previous, gamma = gamma, float(s @ s)
        if gamma <= bound:
            return system.result(x, r, products + 1, Status.CONVERGED)
        p = s + (gamma / previous) * p
    return system.result(x, r, max_iterations, Status.MAX_ITERATIONS)
