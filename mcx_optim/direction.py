"""The direction of a Newton step: a Krylov solver on the damped and preconditioned equation."""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mcx_optim.cg import truncated_cg
from mcx_optim.cgls import cgls
from mcx_optim.conjugate_residual import conjugate_residual
from mcx_optim.damping import Damped
from mcx_optim.krylov import Status, length
from mcx_optim.lanczos import lanczos
from mcx_optim.minres import minres

OVERPROJECTION = 1.1
MINIMAL_RESIDUAL = {"cgls": cgls, "conjugate_residual": conjugate_residual, "minres": minres}
SOLVERS = ("cg", *MINIMAL_RESIDUAL)


@dataclass(frozen=True)
class Direction:
    """Direction Δ with b·Δ and ΔᵀAΔ, A undamped."""

    delta: Any
    slope: float
    curvature: float

    @property
    def predicted(self):
        """E_Q, the change of the quadratic model at γ = 1."""
        return self.slope + self.curvature / 2


@dataclass(frozen=True)
class Equation:
    """(A + λI) Δ = -b, with how to solve it; see `NewtonKrylov` for the fields."""

    A: Any
    b: Any
    damping: float
    preconditioner: Any
    tolerance: float
    max_iterations: int
    negative: str
    solver: str = "cg"

    def solve(self, start, log):
        """Return Δ, from a start Δ₀ or None, and note in the log how the solver fared.

        A start that does not decrease the model ½ ΔᵀAΔ + b·Δ is left out.
        """
        A = Damped(self.A, self.damping) if self.damping else self.A
        b, pull, tolerance = self.b, None, self.tolerance
        if start is not None:
            pull = A @ start
            if float(b @ start) + float(start @ pull) / 2 < 0:
                b = b + pull
                tolerance *= length(self.b) / max(length(b), tolerance * length(self.b))
            else:
                start = None
        solution = self._krylov(A, b, tolerance)
        log.note(
            cg_iterations=solution.iterations,
            cg_status=solution.status.name,
            cg_residual=solution.residual_norm / length(self.b) if self.b.any() else 0.0,
        )
        delta, curvature = solution.x, solution.curvature
        if start is not None:
            curvature += 2 * float(delta @ pull) + float(start @ pull)
            delta = delta + start
        if self.damping:
            curvature -= self.damping * float(delta @ delta)
        return Direction(delta, float(self.b @ delta), curvature)

    def _krylov(self, A, b, tolerance):
        limits = {"tolerance": tolerance, "max_iterations": self.max_iterations}
        if self.solver != "cg":
            return MINIMAL_RESIDUAL[self.solver](A, -b, **limits)
        if self.negative == "absolute":  # |A| + λI, not |A + λI|
            solution = lanczos(self.A, -b, damping=self.damping, negative="absolute", **limits)
            damped = self.damping * float(solution.x @ solution.x)
            return replace(solution, curvature=solution.curvature + damped)
        return truncated_cg(
            A, -b, negative=self.negative, preconditioner=self.preconditioner, **limits
        )


def turned(direction, A, g):
    """Return a direction without 1.1 times its component along g, if that points uphill."""
    ascent = float(direction.delta @ g)
    if not ascent > 0:
        return direction
    unit = g / g.dtype.type(length(g))
    delta = direction.delta - OVERPROJECTION * float(direction.delta @ unit) * unit
    slope = direction.slope - OVERPROJECTION * ascent
    return Direction(delta, slope, float(delta @ (A @ delta)))


def escape(A, like, max_iterations, rng, log):
    """Return a direction of negative curvature at a point of zero gradient, or None.

    The eigenvector of the smallest Ritz value of Lanczos from a random vector, of length about 1
    and either sign.

    References
    ----------
    J. Moré and D. Sorensen, "On the use of directions of negative curvature in a modified Newton
    method", Math. Program. 16 (1979).
    """
    v = np.asarray(rng.standard_normal(like.size), dtype=like.dtype, like=like)
    found = lanczos(A, v, max_iterations=max_iterations, negative="absolute")
    log.note(cg_iterations=found.iterations, cg_residual=0.0)
    values, vectors = np.linalg.eigh(found.tridiagonal) if found.ritz is not None else ([0.0], None)
    noise = math.sqrt(np.finfo(like.dtype).eps) * max(abs(values[0]), abs(values[-1]))
    if values[0] >= -noise:
        log.note(cg_status=Status.ZERO_RIGHT_HAND_SIDE.name)
        return None
    log.note(cg_status=Status.NEGATIVE_CURVATURE.name)
    size = length(v) / math.sqrt(like.size)
    delta = size * (found.basis @ np.asarray(vectors[:, 0], dtype=like.dtype, like=like))
    return Direction(delta, 0.0, float(values[0]) * size**2)
