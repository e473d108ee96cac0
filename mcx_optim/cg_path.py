"""Conjugate gradients that show their path, and the way back along it by the loss."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from mcx_optim.krylov import Status, length
from mcx_optim.scaled import power_of_two

SPACING = 1.3  # between the iterates that are kept
KEPT = {math.ceil(SPACING**j) for j in range(60)}


@dataclass(frozen=True)
class Iterate:
    """p (P,) and q(p)."""

    p: Any
    q: float


@dataclass
class Path:
    """What `minimize_quadratic` went through.

    Attributes
    ----------
    kept : list of Iterate
        The iterates ⌈1.3ʲ⌉ and the last one; empty if there was none.
    products : int
        Products with B.
    residual_norm : float
        ‖g + Bp‖ of the last one.
    status : Status
        Why it ended.
    curvature : float
        dᵀBd/dᵀd along the direction d where it ended, if that is not positive.
    """

    kept: list
    products: int
    residual_norm: float
    status: Status
    curvature: float


def minimize_quadratic(B, g, start, preconditioner, tolerance, max_iterations):
    """Minimize q(p) = g·p + ½ pᵀBp by preconditioned conjugate gradients, and show the path.

    Unlike `truncated_cg` it keeps iterates, starts where it is told, and ends where q decreases by
    less than kε of itself in k = max(10, i/10) iterations.

    Parameters
    ----------
    B : object with ``B @ p``
        Symmetric; the path ends where pᵀBp ≤ 0.
    g : array (P,)
    start : array (P,) or None
        Left out where q is not negative there; then, and for None, the path starts at 0.
    preconditioner : object with ``M @ r``, or None
    tolerance : float
        ε.
    max_iterations : int

    Returns
    -------
    Path

    References
    ----------
    J. Martens, "Deep learning via Hessian-free optimization", ICML 2010, sections 4.4 and 4.6.
    """
    precondition = (lambda r: r) if preconditioner is None else preconditioner.__matmul__
    # In units of a power of two near ‖g‖, squares stay in range, and no digit changes.
    unit = power_of_two(length(g))
    g = g / g.dtype.type(unit)
    p, r, values, products = np.zeros_like(g), -g, [0.0], 0
    if start is not None:
        start = start / g.dtype.type(unit)
        residual, products = -g - (B @ start), 1
        value = float(start @ (g - residual)) / 2
        if value < 0:
            p, r, values = start, residual, [value]
    d = precondition(r)
    rz, bound = float(r @ d), float(np.finfo(g.dtype).eps) * length(g)
    kept, status = [], Status.MAX_ITERATIONS

    def iterate():
        return Iterate(p * p.dtype.type(unit), values[-1] * unit * unit)

    for i in range(1, max_iterations + 1):
        q, products = B @ d, products + 1
        kappa = float(d @ q)
        if not math.isfinite(kappa):
            status = Status.NON_FINITE
            break
        if kappa <= 0:
            status = Status.NEGATIVE_CURVATURE
            break
        alpha = rz / kappa
        p, r = p + alpha * d, r - alpha * q
        values.append(float(p @ (g - r)) / 2)
        if i in KEPT:
            kept.append(iterate())
        k = max(10, math.ceil(i / 10))
        slow = i > k and values[i] < 0 and values[i] - values[i - k] > k * tolerance * values[i]
        if slow or length(r) <= bound:
            status = Status.CONVERGED
            break
        z = precondition(r)
        previous, rz = rz, float(r @ z)
        d = z + (rz / previous) * d
    if len(values) - 1 not in {0, *KEPT}:
        kept.append(iterate())
    curvature = kappa / float(d @ d) if status is Status.NEGATIVE_CURVATURE else 0.0
    return Path(kept, products, length(r) * unit, status, curvature)


def backtrack(loss_at, kept, loss):
    """Return the iterate from whose predecessor on the loss increases, and its loss.

    `loss` is that of the last one; one that is not finite is left behind.
    """
    best = kept[-1]
    for earlier in reversed(kept[:-1]):
        new_loss = loss_at(earlier.p)
        if math.isfinite(loss) and not new_loss < loss:
            break
        best, loss = earlier, new_loss
    return best, loss
