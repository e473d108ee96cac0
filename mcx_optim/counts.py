"""What was evaluated, in samples, and what it cost, in gradients."""

from dataclasses import dataclass, fields

WEIGHTS = {
    "loss": 1 / 3,
    "gradient": 1.0,
    "linearize": 1.0,
    "hvp": 2.0,
    "curvature": 2.0,
    "linearize_gauss_newton": 4 / 3,
    "gauss_newton": 4 / 3,
    "taylor": 1 / 3,
}
"""Cost of one evaluation for one sample, in gradients.

Counted in the matrix products of a dense or convolution layer: forward 1 and backward 2 make a
gradient 3. A loss is the forward product alone, a linearization is a gradient that records. Its
tangent pass, one Hessian-vector product, has 2 forward and 4 backward: 6. The curvature pᵀHp from
one forward pass of second order along p has 6. A linearization for Gauss-Newton products is a
forward pass that records and a gradient: 4. One product has 2 of a forward tangent and 2 of a
backward pass: 4. A Taylor polynomial of order k is counted as its 2k+1
forward products.
"""


@dataclass(frozen=True)
class Counts:
    """Numbers of evaluations, each in samples: a batch of B samples counts B.

    Examples
    --------
    >>> spent = Counts(gradient=60_000, hvp=3_000) - Counts(gradient=30_000)
    >>> spent.cost()
    36000.0
    """

    loss: int = 0
    gradient: int = 0
    linearize: int = 0
    hvp: int = 0
    curvature: int = 0
    linearize_gauss_newton: int = 0
    gauss_newton: int = 0
    taylor: int = 0

    def __add__(self, other):
        """Return the sums."""
        return Counts(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def __sub__(self, other):
        """Return the differences."""
        return Counts(*(getattr(self, f.name) - getattr(other, f.name) for f in fields(self)))

    def cost(self) -> float:
        """Return the cost in gradients of one sample, by `WEIGHTS`."""
        return sum(weight * getattr(self, name) for name, weight in WEIGHTS.items())
