"""Anisotropic cubic regularization: the global minimizer of a quadratic model and a cubed norm."""

import math
from bisect import bisect_left
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from mcx_optim.krylov import length
from mcx_optim.settings import number

_RANGE = 1000  # exponents of 2 that are searched, within those of float64
_LEAST = 1e-300  # τ


class CubicStatus(StrEnum):
    """How `minimize_cubic` ended; the value is the message."""

    MINIMIZED = "the global minimizer was found"
    HARD_CASE = (
        "the slope does not see the most negative curvature; one of several global minimizers was "
        "taken"
    )
    UNBOUNDED = (
        "the model has no minimizer: where the cubic term is zero its curvature is not positive "
        "definite; raise the strength, use a larger batch, or merge groups"
    )
    NON_FINITE = (
        "a number of the model is NaN or infinite; look for overflow in the loss or its derivatives"
    )


@dataclass(frozen=True)
class CubicStep:
    """Result of `minimize_cubic`.

    Attributes
    ----------
    eta : ndarray (S,) of float64, or None
        The global minimizer; None where there is none.
    radius : float or None
        ‖Dη‖.
    status : CubicStatus
        How the search ended.
    """

    eta: np.ndarray | None
    radius: float | None
    status: CubicStatus


def minimize_cubic(H, g, D, strength: float) -> CubicStep:
    """Minimize -gᵀη + ½ ηᵀHη + (strength/6) ‖Dη‖³, the cubic model with a norm for every group.

    With r = ‖Dη‖ the global minimizer is where

        (H + (strength/2) r D²) η = g,   H + (strength/2) r D² positive semidefinite.

    Rescaling groups (H → CHC, g → Cg, D → CD for a diagonal C) turns η into C⁻¹η; no threshold
    depends on the scale of H, g, D or strength.

    Parameters
    ----------
    H : array (S, S)
        Curvature; its symmetric part counts. It may be indefinite.
    g : array (S,)
        Slope: the model falls along η = g.
    D : array (S,)
        Diagonal of the norm, at least 0: the cube roots of absolute third derivatives.
    strength : float
        λ_int, at least 0.

    Returns
    -------
    CubicStep

    Raises
    ------
    ValueError
        If the shapes differ, or a D or the strength is negative.
    ImportError
        If SciPy, which finds the root, is not installed.

    Notes
    -----
    With C = (strength/2)^⅓ D the equation is A(ρ) η = g with A(x) = H + x C² and ρ = ‖Cη‖. A power
    of 4, s, is found with ρ in [s/16, s/4] and A(s) = E L Lᵀ E positive definite, E diagonal and
    L Lᵀ of unit diagonal. A(x) = E L (I + (x/s - 1) W) Lᵀ E with W = Q diag(ω) Qᵀ, 0 ≤ ω ≤ 4/3, is
    a secular equation in one unknown that decreases. It is solved in the logarithm of
    τ = x/s - x_min/s, where A(x_min) is singular or x_min = 0, so that no digits are lost close to
    the hard case, in which g has no part in the null space of A(x_min).

    H counts as positive definite where C is zero if, scaled to a unit diagonal, its eigenvalues
    there exceed 10 S eps. These groups come first, which keeps them out of Q and W.

    References
    ----------
    P. Wolinski, arXiv:2312.03885, for the model; Y. Nesterov and
    B. Polyak, "Cubic regularization of Newton method and its global performance", Math. Program.
    108 (2006), for one norm; J. Moré and D. Sorensen, "Computing a trust region step", SIAM J. Sci.
    Stat. Comput. 4 (1983), for the hard case. Differs from the author's code:

    - he diagonalizes D⁻¹HD⁻¹, after a Schur complement where D is 0. That loses digits where an
      entry of D is zero but for rounding; here zeros and small entries need no case of their own;
    - for g = 0 he returns 0, also where H is indefinite: here that is a hard case;
    - a group of which g and H are zero has η = 0.

    Examples
    --------
    >>> step = minimize_cubic(np.diag([2.0, -1.0]), np.array([1.0, 1.0]), np.ones(2), 1.0)
    >>> step.eta.round(4), round(step.radius, 4), step.status.name
    (array([0.2969, 2.7193]), 2.7355, 'MINIMIZED')
    >>> minimize_cubic(np.diag([2.0, -1.0]), np.ones(2), np.array([1.0, 0.0]), 1.0).eta is None
    True
    """
    H, g, D, strength = _checked(H, g, D, strength)
    if not all(np.isfinite(part).all() for part in (H, g, D, strength)):
        return CubicStep(None, None, CubicStatus.NON_FINITE)
    C = np.cbrt(strength / 2) * D
    live = np.flatnonzero((g != 0) | H.any(axis=0))
    live = live[np.argsort(C[live] > 0, kind="stable")]
    found, status = _minimize(H[np.ix_(live, live)], g[live], C[live])
    if found is None:
        return CubicStep(None, None, status)
    if not np.isfinite(found).all():
        return CubicStep(None, None, CubicStatus.NON_FINITE)
    eta = np.zeros_like(g)
    eta[live] = found
    return CubicStep(eta, length(D * eta), status)


def _checked(H, g, D, strength):
    """Return the symmetric part of H, g and D as arrays of float64, and the strength."""
    H, g, D = (np.asarray(part, np.float64) for part in (H, g, D))
    size = g.size
    if not size:
        raise ValueError("g: expected at least one group, got none")
    for name, part, shape in (("H", H, (size, size)), ("g", g, (size,)), ("D", D, (size,))):
        if part.shape != shape:
            raise ValueError(f"{name}: expected shape {shape}, as g has {size}, got {part.shape}")
    if (D < 0).any():
        raise ValueError("D: expected no negative number; np.cbrt(np.abs(third)) has none")
    strength = number("strength", strength, "a number of at least 0", lambda x: not x < 0)
    return H / 2 + H.T / 2, g, D, strength


def _minimize(H, g, C):
    """Return the minimizer of -gᵀη + ½ ηᵀHη + ⅓ ‖Cη‖³, None if there is none, and the status.

    Groups where C is zero come first.
    """
    flat = C == 0
    factor = _factor(H[np.ix_(flat, flat)], C[flat], 1.0)
    noise = 10 * g.size * np.finfo(np.float64).eps
    if factor is None or (np.linalg.eigvalsh(factor[2] @ factor[2].T) <= noise).any():
        return None, CubicStatus.UNBOUNDED
    if flat.all():
        e, _, L = factor
        return _solve(L, g / e) / e, CubicStatus.MINIMIZED

    def fits(exponent):
        """Return whether A(σ²) is positive definite and ρ at it not above σ²."""
        sigma = 2.0**exponent
        with np.errstate(over="ignore"):
            if np.isinf(sigma * C).any():
                return True
        factor = _factor(H, C, sigma)
        if factor is None:
            return False
        e, n, L = factor
        return np.cbrt(length(n * _solve(L, g / e))) <= sigma

    exponents = range(-_RANGE, _RANGE)
    place = bisect_left(exponents, True, key=fits)
    if place == len(exponents):
        return None, CubicStatus.UNBOUNDED
    if place == 0:  # ρ is zero
        e, _, L = _factor(H, C, 2.0**-_RANGE)
        return _solve(L, g / e) / e, CubicStatus.MINIMIZED
    return _near(2.0 ** (exponents[place] + 1), H, g, C)


def _factor(H, C, sigma):
    """Return (e, n, L) with A(sigma²) = E L Lᵀ E, n = sigma·C/e; None if not positive definite."""
    diagonal = H.diagonal()
    root = np.sqrt(np.abs(diagonal))
    with np.errstate(all="ignore"):
        shift = sigma * C
        difference = np.sqrt(np.maximum(shift - root, 0)) * np.sqrt(shift + root)
        e = np.where(diagonal < 0, difference, np.hypot(root, shift))
        R, n = H / e / e[:, None], shift / e
    if not e.all():
        return None
    np.fill_diagonal(R, 1.0)
    try:
        L = np.linalg.cholesky(R)
    except np.linalg.LinAlgError:
        return None
    return e, n, L


def _solve(L, b):
    """Return (L Lᵀ)⁻¹ b."""
    return np.linalg.solve(L.T, np.linalg.solve(L, b))


def _near(sigma, H, g, C):
    """Return the minimizer and the status, where ρ is in [s/16, s/4] with s = σ²."""
    e, n, L = _factor(H, C, sigma)
    Y = np.linalg.solve(L, np.diag(n))
    flat = np.count_nonzero(C == 0)  # so many rows of Y are zero
    omega, Q = np.zeros_like(g), np.identity(g.size)
    omega[flat:], Q[flat:, flat:] = np.linalg.eigh(Y[flat:] @ Y[flat:].T)
    G = Y.T @ Q  # G ζ = Cη/s for η = σ³ E⁻¹ L⁻ᵀ Q ζ
    beta = Q.T @ np.linalg.solve(L, g / e) / sigma / sigma / sigma
    top = max(float(omega[-1]), 1.0)
    lowest = (top - 1) / top  # x_min/s
    zeta, status = _secular_root(beta, omega, (top - omega) / top, lowest, G)
    y = np.linalg.solve(L.T, Q @ zeta)
    return y * sigma * sigma * sigma / e, status


def _secular_root(beta, omega, rest, lowest, G):
    """Return ζ = β/(rest + τω) with ‖Gζ‖ = lowest + τ, and the status."""
    try:
        from scipy.optimize import brentq
    except ImportError as error:
        raise ImportError(
            "minimize_cubic: expected SciPy, whose brentq finds the root, got none; "
            "pip install scipy"
        ) from error

    def zeta(log_tau):
        return beta / (rest + math.exp(log_tau) * omega)

    def excess(log_tau):
        return math.log(length(G @ zeta(log_tau)) / (lowest + math.exp(log_tau)))

    first, last = math.log(_LEAST), math.log(1 - lowest)
    found = zeta(first)
    if length(G @ found) > lowest + _LEAST:
        return zeta(brentq(excess, first, last, xtol=1e-15)), CubicStatus.MINIMIZED
    if lowest == 0:
        return found, CubicStatus.MINIMIZED
    found[-1] = 0.0
    reached = length(G @ found)  # orthogonal to the last column of G
    missing = math.sqrt(max(lowest - reached, 0.0) * (lowest + reached))
    found[-1] = math.copysign(missing / length(G[:, -1]), beta[-1])
    return found, CubicStatus.HARD_CASE
