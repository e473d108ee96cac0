"""Spectral adjustment: what a Newton step divides by in place of an eigenvalue."""

from dataclasses import dataclass

import numpy as np

from mcx_optim.settings import at_least, fraction


@dataclass(frozen=True)
class SpectralAdjustment:
    """φ(h) = max(|h|, ε max|h|)^γ + λ of the eigenvalues h of one Hessian.

    |h| makes saddle points repel (the absolute Hessian); the floor ε bounds the step where the loss
    is nearly flat; γ < 1 evens out the spectrum, with γ = 0 all of it; λ damps, so that sharp
    directions take the larger part of the step. Where everything is 0 so is φ, and the directions
    of this library have the component 0 there. Newton's own step has φ(h) = h + λ: any such
    function does where a SpectralAdjustment is expected.

    Parameters
    ----------
    damping : float
        λ, at least 0.
    floor : float
        ε, from 0 to 1.
    power : float
        γ, at least 0.

    Raises
    ------
    ValueError
        If a parameter is out of range.

    References
    ----------
    Y. Dauphin et al., "Identifying and attacking the saddle point problem in high-dimensional
    non-convex optimization", NIPS 2014, for |h|. C. Mehouachi and C. Kasmi, "Exact stochastic
    second order deep learning" (2021), "favor flat minima through regularization and spectral
    adjustment", of which the abstract alone is public: this φ is a reconstruction, and the default
    of λ is a choice of this library.

    Examples
    --------
    >>> import numpy as np
    >>> SpectralAdjustment(damping=0.5, floor=0.1)(np.array([-4.0, 0.0, 1.0]))
    array([4.5, 0.9, 1.5])
    """

    damping: float = 0.1
    floor: float = 1e-3
    power: float = 1.0

    def __post_init__(self):
        """Refuse parameters out of range."""
        object.__setattr__(self, "damping", at_least("damping", self.damping, 0))
        object.__setattr__(self, "floor", fraction("floor", self.floor, "[]"))
        object.__setattr__(self, "power", at_least("power", self.power, 0))

    def __call__(self, eigenvalues):
        """Return φ of eigenvalues (..., r), the last axis those of one Hessian."""
        sizes = np.abs(eigenvalues)
        least = self.floor * np.max(sizes, axis=-1, keepdims=True)
        return np.maximum(sizes, least) ** self.power + self.damping
