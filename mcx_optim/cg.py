"""Krylov solver: conjugate gradients, truncated where the operator stops being positive."""

import math

import numpy as np

from mcx_optim.krylov import KrylovResult, Status, length
from mcx_optim.probe import check_point
from mcx_optim.scaled import power_of_two
from mcx_optim.settings import at_least, integer, word

FLAT_RATIO = 1e-8
LEAST_CURVATURE = 0.01


def truncated_cg(
    A,
    b,
    *,
    tolerance: float = 1e-8,
    max_iterations: int = 100,
    negative: str = "stop",
    preconditioner=None,
) -> KrylovResult:
    """Solve A x = b for symmetric A by conjugate gradients from x = 0, ending at κ = pᵀAp < 0.

    Minimizes ½ xᵀAx - bᵀx over growing Krylov spaces; the iterates are those of Hestenes and
    Stiefel as long as κ > 0. The tests on κ are relative, so that scaling A or b scales the
    iterates and changes no branch:

    * flat, |κ| ≤ 1e-8 ν ‖p‖² with ν the largest ‖Ap‖/‖p‖ seen, or |κ| within rounding of 0: the
      step along p is taken as if κ were 0.01 ν ‖p‖², and the recursion restarts from the residual;
    * negative: as `negative` says.

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
    negative : {"stop", "follow", "ignore"}
        What to do at κ < 0. "stop": the loop ends. "follow": a step along p is taken first, with
        |κ| in place of κ, but at least 0.01 ν ‖p‖²; it decreases ½ xᵀAx - bᵀx like every other.
        "ignore": go on as if A were positive definite, which finds a stationary point of
        ½ xᵀAx - bᵀx and may increase it.
    preconditioner : object with ``M @ r``, optional
        Symmetric positive definite M near A⁻¹. In the flat case M b, or M r, is the direction.

    Returns
    -------
    KrylovResult
        x, xᵀAx, ‖r‖, the number of products and why the loop ended.

    Raises
    ------
    TypeError, ValueError
        If `b` is not a flat vector of float32 or float64, or a parameter out of range.

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
    tolerance = at_least("truncated_cg: tolerance", tolerance, 0)
    max_iterations = integer("truncated_cg: max_iterations", max_iterations, 1)
    check_point(b, "truncated_cg: b")
    negative = word("truncated_cg: negative", negative, ("stop", "follow", "ignore"))
    # In units of a power of two near ‖b‖, squares stay in range, and no digit changes.
    size = length(b)
    unit = power_of_two(size)
    b = b / b.dtype.type(unit)
    precondition = (lambda r: r) if preconditioner is None else preconditioner.__matmul__
    x, r, p = np.zeros_like(b), b, precondition(b)
    rr, rz = float(r @ r), float(r @ p)
    first = rr
    norm, noise = 0.0, 100 * float(np.finfo(b.dtype).eps)

    def result(status, iterations):
        curvature, residual = float(x @ (b - r)) * unit * unit, math.sqrt(rr) * unit
        return KrylovResult(x * b.dtype.type(unit), curvature, residual, iterations, status)

    if first == 0.0:
        return result(Status.ZERO_RIGHT_HAND_SIDE, 0)
    if tolerance >= 1:
        return result(Status.CONVERGED, 0)
    for iteration in range(max_iterations):
        q = A @ p
        kappa, pp, steepness = float(p @ q), float(p @ p), length(q) / length(p)
        if not (math.isfinite(kappa) and math.isfinite(steepness)):
            return result(Status.NON_FINITE, iteration + 1)
        norm = max(norm, steepness)
        flat = abs(kappa) <= max(FLAT_RATIO * norm, noise * steepness) * pp
        if norm == 0.0:
            x = p
            return result(Status.FLAT, iteration + 1)
        turned = not flat and kappa < 0 and negative != "ignore"
        if turned and negative == "stop":
            return result(Status.NEGATIVE_CURVATURE, iteration + 1)
        if flat or turned:
            kappa = max(-kappa, LEAST_CURVATURE * norm * pp)
        alpha = rz / kappa
        x, r = x + alpha * p, r - alpha * q
        rr = float(r @ r)
        if turned:
            return result(Status.NEGATIVE_CURVATURE, iteration + 1)
        if math.sqrt(rr) <= tolerance * math.sqrt(first):
            return result(Status.CONVERGED, iteration + 1)
        z = precondition(r)
        previous, rz = rz, float(r @ z)
        p = z if flat else z + (rz / previous) * p
    return result(Status.MAX_ITERATIONS, max_iterations)
