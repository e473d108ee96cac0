"""Krylov solver: conjugate gradients within a trust region."""

import math

import numpy as np

from mcx_optim.krylov import KrylovResult, Status, length
from mcx_optim.probe import check_point
from mcx_optim.scaled import power_of_two
from mcx_optim.settings import at_least, integer, positive


def steihaug(
    A,
    b,
    radius: float,
    *,
    tolerance: float = 1e-8,
    max_iterations: int = 100,
) -> KrylovResult:
    """Minimize ½ xᵀAx - bᵀx over ‖x‖ ≤ radius for symmetric A, by conjugate gradients from x = 0.

    The iterates grow in norm. Where the next one would leave the region, and where the curvature
    κ = pᵀAp along the search direction p is not positive, x is the point of the boundary that p
    leads to. As long as neither happens they are those of `truncated_cg`.

    Parameters
    ----------
    A : object with ``A @ p``
        Symmetric linear operator, such as `Hessian` or a matrix (P, P).
    b : array (P,)
        Right-hand side.
    radius : float
        Δ, positive.
    tolerance : float
        Stop at ‖r‖ ≤ tolerance·‖b‖, r = b - A x.
    max_iterations : int
        Largest number of products with A.

    Returns
    -------
    KrylovResult
        x, xᵀAx, ‖r‖, the number of products and why the loop ended: on the boundary the status is
        NEGATIVE_CURVATURE where κ < 0 and else BOUNDARY.

    Raises
    ------
    TypeError, ValueError
        If `b` is not a flat vector of float32 or float64, or a parameter out of range.

    References
    ----------
    T. Steihaug, "The conjugate gradient method and trust regions in large scale optimization",
    SIAM J. Numer. Anal. 20 (1983); Nocedal and Wright, Numerical Optimization, 2nd ed., Algorithm
    7.2. The root τ of ‖x + τp‖ = Δ is taken in the form without cancellation, and b and x in units
    that keep squares in range.

    Examples
    --------
    >>> A, b = np.array([[2.0, 0.0], [0.0, 1.0]]), np.array([2.0, 0.0])
    >>> inside, outside = steihaug(A, b, radius=9.0), steihaug(A, b, radius=0.5)
    >>> inside.x, inside.status.name
    (array([1., 0.]), 'CONVERGED')
    >>> outside.x, outside.status.name
    (array([0.5, 0. ]), 'BOUNDARY')
    """
    radius = positive("steihaug: radius", radius)
    tolerance = at_least("steihaug: tolerance", tolerance, 0)
    max_iterations = integer("steihaug: max_iterations", max_iterations, 1)
    check_point(b, "steihaug: b")
    # x is in units of a power of two near Δ, and b, r, p of one near ‖b‖: no digit changes.
    size = length(b)
    unit, scale = power_of_two(size), power_of_two(radius)
    edge = radius / scale
    b = b / b.dtype.type(unit)
    x, r, p = np.zeros_like(b), b, b
    rr = float(r @ r)
    first = rr

    def result(status, iterations):
        curvature, residual = float(x @ (b - r)) * unit * scale, math.sqrt(rr) * unit
        return KrylovResult(x * b.dtype.type(scale), curvature, residual, iterations, status)

    if first == 0.0:
        return result(Status.ZERO_RIGHT_HAND_SIDE, 0)
    if tolerance >= 1:
        return result(Status.CONVERGED, 0)
    for iteration in range(1, max_iterations + 1):
        q = A @ p
        kappa, pp = float(p @ q), float(p @ p)
        if not (math.isfinite(kappa) and length(q) < math.inf):
            return result(Status.NON_FINITE, iteration)
        alpha = rr / kappa if kappa > 0 else math.inf
        tau = _to_boundary(float(x @ x), float(x @ p), pp, edge) * scale / unit
        outside = alpha >= tau
        if outside:
            alpha = tau
        x, r = x + (alpha * unit / scale) * p, r - alpha * q
        previous, rr = rr, float(r @ r)
        if outside:
            status = Status.NEGATIVE_CURVATURE if kappa < 0 else Status.BOUNDARY
            return result(status, iteration)
        if math.sqrt(rr) <= tolerance * math.sqrt(first):
            return result(Status.CONVERGED, iteration)
        p = r + (rr / previous) * p
    return result(Status.MAX_ITERATIONS, max_iterations)


def _to_boundary(xx, xp, pp, edge):
    """Return τ ≥ 0 with ‖x + τp‖ = edge, for ‖x‖ ≤ edge."""
    gap = max((edge - math.sqrt(xx)) * (edge + math.sqrt(xx)), 0.0)
    root = math.sqrt(xp * xp + pp * gap)
    return gap / (xp + root) if xp >= 0 else (root - xp) / pp
