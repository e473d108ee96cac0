"""Krylov solver: conjugate gradients, truncated where the operator stops being positive."""

import math

import numpy as np

from mcx_optim.krylov import KrylovResult, Status

FLAT_RATIO = 1e-8
LEAST_CURVATURE = 0.01


def truncated_cg(
    A, b, *, tolerance: float = 1e-8, max_iterations: int = 100, follow: bool = False
) -> KrylovResult:
    """Solve A x = b for symmetric A by conjugate gradients from x = 0, ending at κ = pᵀAp < 0.

    Minimizes ½ xᵀAx - bᵀx over growing Krylov spaces; the iterates are those of Hestenes and
    Stiefel as long as κ > 0. The tests on κ are relative, so that scaling A or b scales the
    iterates and changes no branch:

    * flat, |κ| ≤ 1e-8 ν ‖p‖² with ν the largest ‖Ap‖/‖p‖ seen, or |κ| within rounding of 0: the
      step along p is taken as if κ were 0.01 ν ‖p‖², and the recursion restarts from the residual;
    * negative: the loop ends. `follow` adds the step along p first, with |κ| in place of κ, but at
      least 0.01 ν ‖p‖².

    Parameters
    ----------
    A : object with ``A @ p``
        Symmetric linear operator, such as `Hessian` or a matrix (P, P).
    b : array (P,)
        Right-hand side.
    tolerance : float
        Stop at ‖r‖ ≤ tolerance·‖b‖, r = b - A x.
    max_iterations : int
        Largest number of products with A.
    follow : bool
        Whether to step along the direction of negative curvature that ends the loop. The step
        decreases ½ xᵀAx - bᵀx like every other.

    Returns
    -------
    KrylovResult
        x, xᵀAx, ‖r‖, the number of products and why the loop ended.

    References
    ----------
    Steihaug, "The conjugate gradient method and trust regions in large scale optimization",
    SIAM J. Numer. Anal. 20 (1983), without the radius. Shen et al., "Second-order neural network
    training using complex-step directional derivative" (2020), Algorithm 1, lines 10-28, with
    α = ‖r‖²/κ and relative tests.

    Examples
    --------
    >>> A = np.array([[4.0, 1.0], [1.0, 3.0]])
    >>> result = truncated_cg(A, np.array([1.0, 2.0]))
    >>> result.status.name, result.iterations
    ('CONVERGED', 2)
    >>> bool(np.allclose(A @ result.x, [1.0, 2.0]))
    True
    """
    x, r, p = np.zeros_like(b), b, b
    rr = first = float(r @ r)
    norm, noise = 0.0, 100 * float(np.finfo(b.dtype).eps)

    def result(status, iterations):
        return KrylovResult(x, float(x @ (b - r)), math.sqrt(rr), iterations, status)

    if first == 0.0:
        return result(Status.ZERO_RIGHT_HAND_SIDE, 0)
    for iteration in range(max_iterations):
        q = A @ p
        kappa, pp, qq = float(p @ q), float(p @ p), float(q @ q)
        if not (math.isfinite(kappa) and math.isfinite(qq)):
            return result(Status.NON_FINITE, iteration + 1)
        norm = max(norm, math.sqrt(qq / pp))
        flat = abs(kappa) <= max(FLAT_RATIO * norm * pp, noise * math.sqrt(pp * qq))
        if norm == 0.0:
            x = b
            return result(Status.FLAT, iteration + 1)
        if not flat and kappa < 0 and not follow:
            return result(Status.NEGATIVE_CURVATURE, iteration + 1)
        positive = not flat and kappa > 0
        alpha = rr / (kappa if positive else max(-kappa, LEAST_CURVATURE * norm * pp))
        x, r = x + alpha * p, r - alpha * q
        previous, rr = rr, float(r @ r)
        if not flat and kappa < 0:
            return result(Status.NEGATIVE_CURVATURE, iteration + 1)
        if math.sqrt(rr) <= tolerance * math.sqrt(first):
            return result(Status.CONVERGED, iteration + 1)
        p = r if flat else r + (rr / previous) * p
    return result(Status.MAX_ITERATIONS, max_iterations)
