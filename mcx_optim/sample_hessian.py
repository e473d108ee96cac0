"""Exact second order of piecewise-linear networks, sample by sample: spectra and Newton steps.

Between its kinks such a network is a chain of affine layers, and the Hessian H of the loss of one
sample has a closed form of low rank. With the inputs a of a layer, a last 1 for the bias included,
the Jacobian B of the output with respect to its result, and the Hessian C of the loss with respect
to the output,

    one layer:   H = (BᵀCB) ⊗ aaᵀ, with at most K eigenvalues other than 0;
    all layers:  H = JᵀCJ + T, where T, of trace 0, is what makes it indefinite. It maps into a
                 space S with a few coordinates for every unit.

This is a reconstruction. Of C. Mehouachi and C. Kasmi, "Exact stochastic second order deep
learning" (2021), the abstract alone is public: "an expression of the stochastic Hessian and its
exact eigenvalues", "closed-form formula for the exact stochastic second-order Newton direction",
"spectral adjustment". What is here was derived from these words for piecewise-linear networks, and
none of the paper's numbers are claimed.
"""

import numpy as np

from mcx_optim.joint_hessian import JointHessian
from mcx_optim.sample_layers import backpropagate, matrices_of, times, vector_of
from mcx_optim.settings import at_least, integer, word
from mcx_optim.spectral_adjustment import SpectralAdjustment


def spectrum(objective, w, batch, layer=None, largest=None):
    """Return the eigenvalues of the Hessian of every sample's loss, but for those known to be 0.

    Parameters
    ----------
    objective : Objective
        Of a piecewise-linear network, as `Objective.of` makes it. A regularizer is left out: an
        L2 term adds its strength to every eigenvalue.
    w : (P,) array
    batch : tuple of arrays
    layer, largest
        As for `SampleHessians.eigenvalues`.

    Returns
    -------
    (B, r) array

    Raises
    ------
    ValueError
        As `mcx_nn.Supervised.piecewise_linear` and `SampleHessians.eigenvalues` do.

    References
    ----------
    A reconstruction from the abstract of C. Mehouachi and C. Kasmi, "Exact stochastic second order
    deep learning" (2021): see the head of this module.

    Examples
    --------
    One sample x = 2 of (w₂ relu(w₁ x + b₁) + b₂ - 1)²:

    >>> from mcx_nn import Activation, Dense, Sequential, Supervised, mean_squared_error
    >>> from mcx_optim import Objective
    >>> model = Sequential([Dense(1, 1), Activation("relu"), Dense(1, 1)])
    >>> objective = Objective.of(Supervised(model, mean_squared_error))
    >>> batch = np.array([[2.0]]), np.array([[1.0]])
    >>> spectrum(objective, np.array([1.0, 0.0, 1.0, 0.0]), batch).round(4)
    array([[-4.456 ,  0.3727, 24.0833]])
    >>> spectrum(objective, np.array([1.0, 0.0, 1.0, 0.0]), batch, layer=0)
    array([[10.]])
    """
    return SampleHessians(objective.piecewise_linear(w, batch)).eigenvalues(layer, largest)


def trace(objective, w, batch, layer=None):
    """Return the trace of the Hessian of every sample's loss, (B,); see `spectrum`.

    Examples
    --------
    >>> from mcx_nn import Dense, Sequential, Supervised, mean_squared_error
    >>> from mcx_optim import Objective
    >>> objective = Objective.of(Supervised(Sequential([Dense(2, 1)]), mean_squared_error))
    >>> trace(objective, np.zeros(3), (np.array([[1.0, 2.0], [0.0, 0.0]]), np.zeros((2, 1))))
    array([12.,  2.])
    """
    return SampleHessians(objective.piecewise_linear(w, batch)).trace(layer)


def newton_direction(objective, w, batch, adjustment=None, mode="layer"):
    """Return the mean over the samples of their closed-form Newton directions, (P,).

    Parameters
    ----------
    objective : Objective
        As for `spectrum`; an L2 term, its `ridge`, belongs to the Hessians and the gradients.
    w : (P,) array
    batch : tuple of arrays
    adjustment : callable, optional
        As for `SampleHessians.direction`; default: ``SpectralAdjustment()``.
    mode : {"layer", "joint"}
        Whether the Hessians are cut to their diagonal blocks.

    Raises
    ------
    ValueError
        As `mcx_nn.Supervised.piecewise_linear` and `SampleHessians.direction` do.

    References
    ----------
    A reconstruction from the abstract of C. Mehouachi and C. Kasmi, "Exact stochastic second order
    deep learning" (2021): see the head of this module.

    Examples
    --------
    Newton's method, of which one step solves least squares with one sample:

    >>> from mcx_nn import Dense, Sequential, Supervised, mean_squared_error
    >>> from mcx_optim import Objective
    >>> objective = Objective.of(Supervised(Sequential([Dense(1, 1)]), mean_squared_error))
    >>> batch = np.array([[3.0]]), np.array([[5.0]])
    >>> newton_direction(objective, np.zeros(2), batch, adjustment=lambda h: h)
    array([1.5, 0.5])
    """
    hessians = SampleHessians(objective.piecewise_linear(w, batch))
    return hessians.direction(adjustment or SpectralAdjustment(), mode, w, objective.ridge)


class SampleHessians:
    """The Hessians of the losses of all samples of a batch, without forming them.

    A layer is known by its position among those with parameters.

    Parameters
    ----------
    network : object
        As `mcx_nn.Supervised.piecewise_linear` returns, see `sample_layers.backpropagate`.

    Attributes
    ----------
    layers : list of SampleLayer
    curvature : (B, K, K) array
        C.

    References
    ----------
    A reconstruction from the abstract of C. Mehouachi and C. Kasmi, "Exact stochastic second order
    deep learning" (2021): see the head of this module.

    Examples
    --------
    >>> from mcx_nn import Activation, Dense, Sequential, Supervised, mean_squared_error
    >>> model = Sequential([Dense(1, 1), Activation("relu"), Dense(1, 1)])
    >>> problem = Supervised(model, mean_squared_error)
    >>> batch = np.array([[2.0]]), np.array([[1.0]])
    >>> hessians = SampleHessians(problem.piecewise_linear(np.array([1.0, 0.0, 1.0, 0.0]), batch))
    >>> hessians.trace(), hessians.trace(layer=1)
    (array([20.]), array([10.]))
    >>> hessians.direction(lambda h: abs(h) + 1.0).round(4)
    array([-0.3636, -0.1818, -0.3636, -0.1818])
    """

    def __init__(self, network):
        self.layers, _, self.curvature = backpropagate(network)
        self._network = network
        self._joint = JointHessian(self.layers, self.curvature)

    def trace(self, layer=None):
        """Return the trace of the Hessian of every sample (B,), of one layer or of all.

        Σ ‖a‖² tr(BᵀCB): what couples two layers is not on the diagonal.
        """
        return sum(
            each.norm[:, 0] ** 2 * (each.jacobian * (self.curvature @ each.jacobian)).sum((1, 2))
            for each in (self.layers if layer is None else [self._layer(layer)])
        )

    def eigenvalues(self, layer=None, largest=None):
        """Return eigenvalues of the Hessian of every sample, in ascending order.

        Parameters
        ----------
        layer : int, optional
            The Hessian with respect to this layer; default: to all.
        largest : int, optional
            Return only that many, those of the largest absolute value; with respect to all layers
            by restarted Lanczos (SciPy's `eigsh`), which forms no matrix. As with any Krylov
            method, of equal eigenvalues it may miss some.

        Returns
        -------
        (B, r) array
            All others, to P of them, are 0. Of a layer of O units r = min(K, O), of all layers
            n_1 + Σ_{m≥2} (n_m + n_{m-1}) for n_m units in layer m, unless `largest` is less.

        Raises
        ------
        ValueError
            If there is no such layer, `largest` is less than 1, or missing where r is more than
            2048.
        """
        if largest is not None:
            largest = integer("largest", largest, 1)
        if layer is None and largest is not None and largest < self._joint.size:
            return self._joint.extreme(largest)
        if layer is None:
            return np.concatenate(
                [np.linalg.eigvalsh(part.matrices()) for part in self._joint.parts()]
            )
        values = self._eigh(self._layer(layer))[0]
        if largest is not None:
            most = np.argsort(np.abs(values), axis=1)[:, -largest:]
            values = np.sort(np.take_along_axis(values, most, axis=1), axis=1)
        return values

    def direction(self, adjustment, mode="layer", w=None, ridge=0.0):
        """Return the mean over the samples of their Newton directions with an adjusted Hessian.

        -φ(H)⁻¹ g, with the gradient g of a sample and a function φ of the eigenvalues of its H.
        With an L2 term ρ/2 ‖w‖² in the loss, -(φ(H) + ρI)⁻¹ (g + ρw). The mean is no Newton
        direction of the batch; see `gauss_newton_direction` for one.

        Parameters
        ----------
        adjustment : callable
            φ, from eigenvalues (B, r) to as many numbers: a `SpectralAdjustment`, or ``lambda h: h
            + damping`` for Newton's own direction. Where φ + ρ is 0 so is the component.
        mode : {"layer", "joint"}
            H is block diagonal, of the Hessians with respect to one layer, each with a φ of its
            own, by matrices of order K; or H is that of all layers, by matrices of order r.
        w : (P,) array, optional
            The point that the network was made at; needed with a ridge.
        ridge : float
            ρ, at least 0.

        Returns
        -------
        (P,) array

        Raises
        ------
        ValueError
            If mode is another word, the ridge negative or w missing; in joint mode, if r is more
            than 2048.
        """
        mode = word("mode", mode, ("layer", "joint"))
        ridge = at_least("ridge", ridge, 0)
        if ridge and w is None:
            raise ValueError("w: expected the point of the network, as ridge is not 0, got None")
        point = matrices_of(self._network, w) if ridge else None
        solve = self._by_layer if mode == "layer" else self._jointly
        steps, flat = solve(adjustment, point, ridge)
        changes = [each.combine(*step) for each, step in zip(self.layers, steps, strict=True)]
        if ridge:  # everywhere, and taken back in the steps where H is not 0
            changes = [
                [part - ridge * least.sum() * own for part, own in zip(change, pair, strict=True)]
                for change, least, pair in zip(changes, flat, point, strict=True)
            ]
        return vector_of(self._network, changes) / len(self.curvature)

    def _by_layer(self, adjustment, point, ridge):
        """Return the coordinates (β,) of the step of every layer, and 1/(φ(0) + ρ) (B, 1)."""
        steps, flat = [], []
        for k, layer in enumerate(self.layers):
            beta = layer.coordinates(*point[k])[0] if ridge else None
            values, vectors = self._eigh(layer)
            gradient = layer.norm * layer.delta
            step, least = _newton(values, vectors, gradient, beta, adjustment, ridge)
            steps.append((step,))
            flat.append(least)
        return steps, flat

    def _jointly(self, adjustment, point, ridge):
        """Return the coordinates (β, α) of the step of every layer, and 1/(φ(0) + ρ) (B, 1)."""
        found = []
        for part in self._joint.parts():
            coordinates = None
            if ridge:
                pairs = zip(part.layers, point, strict=True)
                coordinates = part.join([layer.coordinates(*own) for layer, own in pairs])
            values, vectors = np.linalg.eigh(part.matrices())
            gradient = part.gradient()
            found.append(_newton(values, vectors, gradient, coordinates, adjustment, ridge))
        steps, flat = (np.concatenate(each) for each in zip(*found, strict=True))
        return self._joint.split(steps), [flat] * len(self.layers)

    def _eigh(self, layer):
        """Return the eigenvalues (B, r) of the Hessian of a layer, and their vectors β (B, O, r).

        With Bᵀ = QR they are those of the small matrices ‖a‖² R C Rᵀ.
        """
        Q, R = np.linalg.qr(layer.jacobian.mT)
        values, vectors = np.linalg.eigh(R @ self.curvature @ R.mT)
        return layer.norm**2 * values, Q @ vectors

    def _layer(self, layer):
        """Return a layer by its position."""
        if layer not in range(len(self.layers)):
            raise ValueError(
                f"layer: expected a position from 0 to {len(self.layers) - 1} among the layers "
                f"with parameters, got {layer}"
            )
        return self.layers[layer]


def _newton(eigenvalues, vectors, gradient, point, adjustment, ridge):
    """Return -(φ(H) + ρI)⁻¹ (g + ρw) + ρ/(φ(0) + ρ) w (B, n), and 1/(φ(0) + ρ) (B, 1).

    Of H its eigenvectors (B, n, r) are given, but for some of the eigenvalue 0: the sum is 0 there.
    """
    all_values = np.concatenate([eigenvalues, np.zeros_like(eigenvalues[:, :1])], axis=1)
    divisors = adjustment(all_values) + ridge
    inverses = np.where(divisors == 0, 0, 1 / np.where(divisors == 0, 1, divisors))
    inverse, flat = inverses[:, :-1], inverses[:, -1:]
    step = inverse * times(vectors.mT, gradient)
    if ridge:
        step = step + ridge * (inverse - flat) * times(vectors.mT, point)
    return -times(vectors, step), flat
