"""What the residual-minimizing Krylov solvers share: units in which no square leaves the range."""

import math

import numpy as np

from mcx_optim.krylov import KrylovResult, Status, length

HIDDEN = 0.01  # rounding of A x, in ‖r‖, beyond which no residual can be told


class Scaled:
    """A x = b in units of powers of two near ‖b‖ and ‖Ab‖/‖b‖.

    Squares stay in range, and no digit changes.

    Attributes
    ----------
    b, image : arrays (P,)
        b, and A b, in these units.
    unit : float
        That of A.
    status : Status or None
        Why there is nothing to iterate on, if so.
    products : int
        How many were formed to know this: one, but none for b = 0.
    """

    def __init__(self, A, b):
        self._A = A
        self._b_unit = power_of_two(length(b))
        self.unit = 1.0
        self.b = self.image = b / b.dtype.type(self._b_unit)
        self.status, self.products = Status.ZERO_RIGHT_HAND_SIDE, 0
        if not self.b.any():
            return
        image = A @ self.b
        steepness, self.products = length(image), 1
        self.unit = power_of_two(steepness / length(self.b))
        self.image = image / image.dtype.type(self.unit)
        self.status = Status.FLAT if steepness == 0 else None
        if not math.isfinite(steepness):
            self.status = Status.NON_FINITE

    def __matmul__(self, p):
        """Return A p in these units."""
        q = self._A @ p
        return q / q.dtype.type(self.unit)

    def result(self, x, r, products, status, damping=0.0):
        """Return the KrylovResult for x and r = b - A x in these units.

        A is taken less `damping`, in its own unit, for the curvature. A flat operator gives b.
        """
        if status is Status.FLAT:
            x = self.b
        curvature = 0.0 if status is Status.FLAT else float(x @ (self.b - r))
        scale = self._b_unit / self.unit
        x = x * x.dtype.type(scale)
        curvature = curvature * scale * self._b_unit
        if damping:
            curvature -= damping * length(x) ** 2
        return KrylovResult(x, curvature, length(r) * self._b_unit, products, status)


def bounds(b, tolerance):
    """Return eps of b, and the bounds on ‖Ar‖/(‖A‖‖r‖) and ‖r‖/‖b‖ where a solver ends."""
    eps = float(np.finfo(b.dtype).eps)
    return eps, max(min(tolerance, eps**0.5), 100 * eps), max(tolerance, eps)


def power_of_two(size: float) -> float:
    """Return the largest power of two up to `size`; 1 where that is 0 or not finite.

    Examples
    --------
    >>> power_of_two(5.0), power_of_two(0.25), power_of_two(0.0)
    (4.0, 0.25, 1.0)
    """
    return math.ldexp(0.5, math.frexp(size)[1]) if 0 < size < math.inf else 1.0
