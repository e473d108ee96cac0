"""One sample of a ReLU network of two layers: spectrum of the Hessian and Newton step, closed."""

import math

import numpy as np


def two_layer_spectrum(W1, w2, x, slope, curvature):
    """Return the eigenvalues of the Hessian of ell(o), o = relu(x W1) w2, for one sample.

    With r = ell'(o), c = ell''(o), τ = r‖x‖ and n units active, of output a, the Hessian with
    respect to (W1, w2) has, beside zeros, the 2n eigenvalues

        τ and -τ, n - 1 times each,  λ± = ½ [c ‖∇o‖² ± √((2τ + c(p-m))² + 4c²pm)],

    p, m = ½ ‖a ± ‖x‖ w2‖² over the active units, ‖∇o‖² = p + m. The sample bends the loss upwards
    by c‖∇o‖² and downwards by |τ| at most; both are small once it is fitted.

    A bias of the units is a row of W1 whose entry of x is 1. A bias of the output has no such form:
    the Hessian with respect to it too has three eigenvalues in the place of λ±.

    Parameters
    ----------
    W1 : array (I, U)
        Weights of U units.
    w2 : array (U,)
        Weights of the output.
    x : array (I,)
        The sample.
    slope, curvature : float
        ell'(o) and ell''(o).

    Returns
    -------
    array (2n,) of float64
        In ascending order; all other eigenvalues, (I + 1) U - 2n of them, are 0.

    Notes
    -----
    Derived for this library. Mehouachi and Kasmi, "Exact stochastic second order deep learning"
    (2021), of which the abstract alone is public, announce "an expression of the stochastic Hessian
    and its exact eigenvalues"; whether theirs is this one is unknown.

    Examples
    --------
    >>> import numpy as np
    >>> W1, w2, x = np.array([[1.0, 2.0, -1.0]]), np.ones(3), np.array([2.0])
    >>> two_layer_spectrum(W1, w2, x, slope=1.0, curvature=0.0)
    array([-2., -2.,  2.,  2.])
    >>> two_layer_spectrum(W1, w2, x, slope=1.0, curvature=1.0).round(3)
    array([-2.   , -1.748,  2.   , 29.748])
    """
    a, w, norm = _active(W1, w2, x)
    units = int((a > 0).sum())
    if units == 0:
        return np.zeros(0)
    plus, minus = _image(a, w, norm)
    p, m = float(plus @ plus), float(minus @ minus)
    tau, c = float(slope) * norm, float(curvature)
    trace, gap = c * (p + m), 2 * tau + c * (p - m)
    outer = math.copysign((abs(trace) + math.hypot(gap, 2 * c * math.sqrt(p * m))) / 2, trace)
    # The other one by the determinant: by the difference of the roots it would cancel.
    inner = -tau / outer * (tau + c * (p - m)) if outer else 0.0
    return np.sort([outer, inner, *[tau, -tau] * (units - 1)])


def two_layer_direction(W1, w2, x, slope, curvature, adjustment):
    """Return the Newton step of ell(o), o = relu(x W1) w2, for one sample, with an adjusted H.

    Δ = -φ(H)⁻¹ g for the Hessian H and the gradient g with respect to (W1, w2). Both g and Hg lie
    in a plane, that of J± = (a ± ‖x‖ w2)/√2 over the active units. In its basis

        g = r (√p, √m),  H = [[τ + cp, c√(pm)], [c√(pm), -τ + cm]],

    and φ is taken of the two eigenvalues of that matrix. With s the step there and unit vectors u±
    along J±,

        Δw2 = (s₊ u₊ + s₋ u₋)/√2,  ΔW1 = x/‖x‖ (s₊ u₊ - s₋ u₋)ᵀ/√2.

    See `two_layer_spectrum` for the notation, its source, and what is to be done with biases.

    Parameters
    ----------
    W1, w2, x, slope, curvature
        As for `two_layer_spectrum`.
    adjustment : callable
        φ, from eigenvalues (2,) to as many numbers, none of them 0: ``lambda h: h`` is Newton's
        method, ``np.abs`` that of the absolute Hessian, and a `SpectralAdjustment` damps. Of all
        eigenvalues the largest in absolute value is one of the two.

    Returns
    -------
    step1 : array (I, U)
        Step of W1, 0 at units that are not active.
    step2 : array (U,)
        Step of w2.

    Raises
    ------
    ValueError
        If φ has a value 0, where there is no such step.

    References
    ----------
    Y. Dauphin et al., "Identifying and attacking the saddle point problem in high-dimensional
    non-convex optimization", NIPS 2014, for the absolute Hessian.

    Examples
    --------
    The one unit misses the target 3 by 1:

    >>> import numpy as np
    >>> W1, w2, x = np.array([[1.0]]), np.array([2.0]), np.array([1.0])
    >>> step1, step2 = two_layer_direction(W1, w2, x, -1.0, 1.0, np.abs)
    >>> step1.round(4), step2.round(4)
    (array([[0.3333]]), array([0.6667]))
    """
    a, w, norm = _active(W1, w2, x)
    plus, minus = _image(a, w, norm)
    r, c, tau = float(slope), float(curvature), float(slope) * norm
    if tau == 0 or not (a > 0).any():
        return np.zeros_like(W1), np.zeros_like(w2)
    lengths = np.sqrt([float(plus @ plus), float(minus @ minus)])
    eigenvalues, Q = np.linalg.eigh(np.diag([tau, -tau]) + c * np.outer(lengths, lengths))
    adjusted = np.asarray(adjustment(eigenvalues))
    if not adjusted.all():
        raise ValueError(
            f"adjustment: expected values other than 0, got {adjusted} for the eigenvalues "
            f"{eigenvalues}; damp it"
        )
    steps = -Q @ (Q.T @ (r * lengths) / adjusted)
    plus, minus = (
        float(step / length) * along if length else along
        for step, length, along in zip(steps, lengths, (plus, minus), strict=True)
    )
    half = 2**-0.5
    return x[:, None] * (half / norm * (plus - minus)), half * (plus + minus)


def _active(W1, w2, x):
    """Return the outputs a of the units, w2 with 0 at units that are not active, and ‖x‖."""
    z = x @ W1
    active = z > 0
    return z * active, w2 * active, math.sqrt(float(x @ x))


def _image(a, w, norm):
    """Return J₊ and J₋."""
    half = 2**-0.5
    return half * (a + norm * w), half * (a - norm * w)
