"""The Gauss-Newton direction of a batch, exactly, by a system with an equation for every output."""

import numpy as np

from mcx_optim.sample_layers import backpropagate, matrices_of, times, vector_of
from mcx_optim.settings import at_least, positive


def gauss_newton_direction(network, damping, w=None, ridge=0.0):
    """Return the damped Gauss-Newton direction of a batch of a piecewise-linear network.

    Δ = -(G + λI)⁻¹ g = -Jᵀ (nλI + C J Jᵀ)⁻¹ δ, with the Jacobian J (nK, P) of the n outputs with
    respect to w, their slopes δ, C with a block for every sample, G = JᵀCJ/n and g = Jᵀδ/n. The
    Gram matrix of two samples i, j is JJᵀ = Σ_l B_l,i B_l,jᵀ (a_l,i·a_l,j), so that nothing has P
    columns. What is solved is symmetric: with C = RRᵀ and δ = Rρ + δ₀, where δ₀ is what the loss
    does not curve (0 for the losses of `mcx_nn`, but where a softmax has underflowed),

        Δ₀ = -Jᵀδ₀/nλ,  Δ = Δ₀ - JᵀR (nλI + RᵀJJᵀR)⁻¹ (ρ + RᵀJΔ₀),

    the least squares of the residuals ρ. It stays accurate where samples are fitted so well that C
    nearly vanishes. With an L2 term κ/2 ‖w‖² in the loss, G + κI and g + κw take the places of G
    and g: λ becomes λ + κ, and Δ₀ gains -κw/(λ + κ).

    Parameters
    ----------
    network : object
        As `mcx_nn.Supervised.piecewise_linear` returns, with a loss that is convex in the output.
    damping : float
        λ, positive, or 0 with a ridge.
    w : (P,) array, optional
        The point that the network was made at; needed with a ridge.
    ridge : float
        κ, at least 0.

    Returns
    -------
    (P,) array

    Raises
    ------
    ValueError
        If the damping is negative, or 0 without a ridge; if the ridge is negative or w missing.

    References
    ----------
    M. Korbit et al., "Exact Gauss-Newton optimization for training deep neural networks",
    arXiv:2405.14402, abstract, for the idea of a system as large as the batch. Its symmetric form,
    and the Gram matrix from the layers, were derived for this library.

    Examples
    --------
    Least squares are solved in one step:

    >>> from mcx_nn import Dense, Sequential, Supervised, mean_squared_error
    >>> problem = Supervised(Sequential([Dense(1, 1)]), mean_squared_error)
    >>> batch = np.array([[0.0], [1.0]]), np.array([[3.0], [5.0]])
    >>> gauss_newton_direction(problem.piecewise_linear(np.zeros(2), batch), 1e-9).round(6)
    array([2., 3.])
    """
    ridge = at_least("ridge", ridge, 0)
    damping = at_least("damping", damping, 0) if ridge else positive("damping", damping)
    if ridge and w is None:
        raise ValueError("w: expected the point of the network, as ridge is not 0, got None")
    layers, slope, curvature = backpropagate(network)
    shrink = ridge / (damping + ridge)
    damping = (damping + ridge) * len(slope)
    values, vectors = np.linalg.eigh(curvature)
    curved = values > 0
    roots = np.sqrt(np.where(curved, values, 1))
    R = vectors * (roots * curved)[:, None]
    along = times(vectors.mT, slope)
    residual = np.where(curved, along / roots, 0)
    straight = _backward(layers, -times(vectors, np.where(curved, 0, along)) / damping)
    if ridge:
        straight = [
            tuple(part - shrink * own for part, own in zip(*pair, strict=True))
            for pair in zip(straight, matrices_of(network, w), strict=True)
        ]
    gram = sum(_gram(R.mT @ layer.jacobian, layer.inputs) for layer in layers)
    side = residual + times(R.mT, _forward(layers, straight))
    system = gram + damping * np.identity(len(gram), gram.dtype, like=gram)
    solution = np.linalg.solve(system, side.reshape(-1)).reshape(slope.shape)
    bent = _backward(layers, -times(R, solution))
    return vector_of(network, straight) + vector_of(network, bent)


def _gram(jacobian, inputs):
    """Return the part of a layer in the Gram matrix (BK, BK) of the rows of its Jacobian."""
    samples, outputs, _ = jacobian.shape
    rows = jacobian.reshape(samples * outputs, -1)
    products = (rows @ rows.T).reshape(samples, outputs, samples, outputs)
    products = products * (inputs @ inputs.T + 1)[:, None, :, None]
    return products.reshape(samples * outputs, -1)


def _backward(layers, slope):
    """Return Jᵀ times slopes (B, K), as weight and bias of every layer."""
    deltas = [(slope[:, None] @ layer.jacobian)[:, 0] for layer in layers]
    return [
        (layer.inputs.T @ delta, delta.sum(axis=0))
        for layer, delta in zip(layers, deltas, strict=True)
    ]


def _forward(layers, matrices):
    """Return J times a weight and a bias of every layer: tangents of the outputs (B, K)."""
    return sum(
        times(layer.jacobian, layer.inputs @ weight + bias)
        for layer, (weight, bias) in zip(layers, matrices, strict=True)
    )
