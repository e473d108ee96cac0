"""What every Krylov solver of A x = b returns, and the length of a vector."""

import math
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np


class Status(Enum):
    """Why a Krylov solver stopped; the value is the message."""

    CONVERGED = "the residual met the tolerance"
    MAX_ITERATIONS = (
        "the iteration limit was reached before the tolerance; raise max_iterations, loosen "
        "tolerance, or take the step as it is"
    )
    NEGATIVE_CURVATURE = (
        "a direction of negative curvature was met; the step up to it is sound, a larger batch "
        "tells whether the curvature is real"
    )
    BOUNDARY = "the step reached the boundary of the trust region, and ends there"
    FLAT = (
        "the operator maps the right-hand side to zero, so that side is returned as the "
        "direction; its length has no meaning, choose it by a line search"
    )
    ROUNDING = (
        "rounding hides what is left of the residual: the system is singular or ill-conditioned; "
        "loosen tolerance, damp it, or use float64"
    )
    ZERO_RIGHT_HAND_SIDE = "the right-hand side is zero, so x = 0 solves the system"
    NON_FINITE = (
        "a product with the operator was not finite; the last finite step is returned, look for "
        "overflow in the model or reduce the scale of w"
    )


@dataclass(frozen=True)
class KrylovResult:
    """Solution of a Krylov solver.

    Attributes
    ----------
    x : array (P,)
        Approximate solution of A x = b.
    curvature : float
        xᵀAx, free from the residual.
    residual_norm : float
        ‖b - A x‖.
    iterations : int
        Products A p that were formed.
    status : Status
        Why the solver stopped.
    """

    x: Any
    curvature: float
    residual_norm: float
    iterations: int
    status: Status


def length(x) -> float:
    """Return ‖x‖, also where its square overflows or underflows.

    Examples
    --------
    >>> round(length(np.array([3e30, 4e30], np.float32)) / 1e30, 3)
    5.0
    """
    info = np.finfo(x.dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        square = float(x @ x)
    if info.tiny / info.eps <= square <= info.max:
        return math.sqrt(square)
    largest = float(np.max(np.abs(x)))
    if largest == 0 or not math.isfinite(largest):
        return largest
    scaled = x / largest
    return largest * math.sqrt(float(scaled @ scaled))
