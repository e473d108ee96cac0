"""Functions of two variables with saddles, flat valleys and plateaus, in plain NumPy."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mcx_optim import Objective


@dataclass(frozen=True)
class Landscape:
    """A function f(x, y) with a start that is hard to leave.

    Attributes
    ----------
    function : callable
        (x, y) -> f, ∂f/∂x, ∂f/∂y.
    start : tuple of float
    level : float
        Value below which the start counts as left.
    """

    function: Callable
    start: tuple[float, float]
    level: float

    def objective(self):
        """Return f without data."""

        def value_and_grad(w, batch):
            value, *slopes = self.function(w[0], w[1])
            return value, np.stack(slopes)

        return Objective(value_and_grad)

    def w(self, dtype=np.float64):
        """Return the start as an array."""
        return np.array(self.start, dtype)


def monkey(x, y):
    """x³ - 3xy² + (x² + y²)²/4: zero Hessian at 0, minima -27/4 at distance 3."""
    square = x**2 + y**2
    return (
        x**3 - 3 * x * y**2 + square**2 / 4,
        3 * x**2 - 3 * y**2 + square * x,
        -6 * x * y + square * y,
    )


def double_well(x, y):
    """(x⁴ - 2x²)/4 + y²/2: an indefinite quadratic at 0, minima -1/4 at x = ±1."""
    return (x**4 - 2 * x**2) / 4 + y**2 / 2, x**3 - x, y


def valley(x, y):
    """x²y²/2: the minima 0 are the axes, with zero curvature along them."""
    return x**2 * y**2 / 2, x * y**2, x**2 * y


def saturation(x, y):
    """x²/(1 + x²) + y²/2: concave for |x| > 0.6, and ever flatter."""
    return x**2 / (1 + x**2) + y**2 / 2, 2 * x / (1 + x**2) ** 2, y


def line(x, y):
    """(3x - 4y) + (x² + y²)²/4, linear at 0: no curvature at all there."""
    square = x**2 + y**2
    return 3 * x - 4 * y + square**2 / 4, 3 + square * x, -4 + square * y


LANDSCAPES = {
    "monkey saddle, 1e-3 from it": Landscape(monkey, (6e-4, 8e-4), -6.0),
    "monkey saddle, 1e-8 from it": Landscape(monkey, (6e-9, 8e-9), -6.0),
    "double well, 1e-3 from its saddle": Landscape(double_well, (1e-3, 5e-4), -0.24),
    "double well, 1e-8 from its saddle": Landscape(double_well, (1e-8, 5e-9), -0.24),
    "flat valley": Landscape(valley, (2.0, 1e-3), 1e-12),
    "zero curvature": Landscape(line, (0.0, 0.0), -5.0),
    "saturated": Landscape(saturation, (100.0, 0.0), 0.5),
}

# The curvature of the way down is 6e-8, that across 1, both in one Krylov space: CG's direction of
# negative curvature has a part across, which its step multiplies. |A| tells them apart.
STEEP = {"saturated, steep across": Landscape(saturation, (100.0, 1e-3), 0.5)}

# The gradient is zero, or will be after a step along it, and so tells nothing of the way down.
STATIONARY = {
    "monkey saddle, at it": Landscape(monkey, (0.0, 0.0), -6.0),
    "double well, at its saddle": Landscape(double_well, (0.0, 0.0), -0.24),
    "double well, on its ridge": Landscape(double_well, (0.0, 0.5), -0.24),
}
