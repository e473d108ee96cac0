"""The Hessian of a sample's loss with respect to all layers, in the subspace that it maps into."""

import numpy as np

from mcx_optim.sample_layers import dot, times

DENSE = 2048  # coordinates up to which the matrix is formed


class JointHessian:
    """H = JᵀCJ + T of every sample, in the coordinates (β, α) of S: see `SampleLayer`.

    J = ∂o/∂w, C = ∂²f/∂o², and T holds the second derivatives of o itself: for layers l < m

        T(V_m, V_l) = (V_m δ_m)ᵀ (∂a_m/∂z_l) V_lᵀ a_l,

    and no layer is coupled to itself. α enters by V_m δ_m alone, so that the first layer needs
    none. A product is one pass forward and one back, for all samples at once.

    Parameters
    ----------
    layers : list of SampleLayer
    curvature : (B, K, K) array
        C.

    Attributes
    ----------
    size : int
        r = n_1 + Σ_{m≥2} (n_m + n_{m-1}) coordinates, for n_m units in layer m.
    """

    def __init__(self, layers, curvature):
        self.layers, self.curvature = layers, curvature
        outputs = [layer.weight.shape[1] for layer in layers]
        inputs = [layer.weight.shape[0] for layer in layers[1:]]
        self._extents = outputs + inputs
        self.size = sum(self._extents)

    def join(self, pairs):
        """Return the coordinates (..., r) from β and α of every layer; α of the first is unused."""
        betas, alphas = zip(*pairs, strict=True)
        return np.concatenate([*betas, *alphas[1:]], axis=-1)

    def split(self, x):
        """Return β and α of every layer from coordinates (..., r); α of the first is None."""
        ends = np.cumsum(self._extents).tolist()
        parts = [x[..., end - n : end] for end, n in zip(ends, self._extents, strict=True)]
        count = len(self.layers)
        return list(zip(parts[:count], [None, *parts[count:]], strict=True))

    def gradient(self):
        """Return the coordinates (B, r) of the gradient of every sample, which is in S too."""
        alphas = (np.zeros_like(layer.inputs) for layer in self.layers)
        betas = (layer.norm * layer.delta for layer in self.layers)
        return self.join(list(zip(betas, alphas, strict=True)))

    def product(self, x):
        """Return H x for every sample, for coordinates x (..., B, r)."""
        pairs, tangents, tangent = self.split(x), [], None
        for layer, (beta, _) in zip(self.layers, pairs, strict=True):
            tangents.append(tangent)  # of the inputs
            moved = layer.norm * beta
            tangent = layer.slopes * (moved if tangent is None else moved + tangent @ layer.weight)
        images = []
        turn = times(self.curvature, tangent)  # tangent of the slope at the output
        for layer, (beta, alpha), tangent in zip(
            reversed(self.layers), reversed(pairs), reversed(tangents), strict=True
        ):
            turn = layer.slopes * turn
            if tangent is None:  # the first layer
                images.append((layer.norm * turn, None))
                break
            images.append(
                (
                    layer.norm * turn + dot(layer.unit, tangent) * layer.delta,
                    layer.size * layer.bend(tangent),
                )
            )
            turned = layer.unit * dot(beta, layer.delta) + layer.size * layer.bend(alpha)
            turn = turn @ layer.weight.T + turned
        return self.join(images[::-1])

    def matrices(self):
        """Return the matrices of H (B, r, r).

        Raises
        ------
        ValueError
            If r is more than 2048.
        """
        if self.size > DENSE:
            raise ValueError(
                f"the Hessian of all layers: expected at most {DENSE} coordinates, got "
                f"{self.size}; ask for the largest eigenvalues only, or for one layer"
            )
        units = np.identity(self.size, self.curvature.dtype, like=self.curvature)[:, None]
        shape = (self.size, len(self.curvature), self.size)
        return np.moveaxis(self.product(np.broadcast_to(units, shape)), 0, -1)

    def parts(self, entries=1 << 24):
        """Yield it for some samples at a time, with so many entries in their matrices at most."""
        step = max(1, entries // self.size**2)
        for start in range(0, len(self.curvature), step):
            yield self.at(slice(start, start + step))

    def at(self, samples):
        """Return it for a slice of the samples."""
        return JointHessian([each.at(samples) for each in self.layers], self.curvature[samples])

    def extreme(self, count):
        """Return the eigenvalues of the largest absolute value (B, count), by Lanczos.

        Raises
        ------
        ImportError
            If SciPy is not installed.
        """
        try:
            from scipy.sparse.linalg import LinearOperator, eigsh
        except ImportError as error:
            raise ImportError(
                "largest: expected SciPy, whose eigsh finds these eigenvalues, got none; pip "
                "install scipy, or leave out largest"
            ) from error
        like = self.curvature
        start = np.random.default_rng(0).standard_normal(self.size)

        def of_sample(own):
            def product(x):
                image = own.product(np.asarray(x, dtype=like.dtype, like=like)[None])
                return np.array(image[0].tolist())  # on the host

            if not product(start).any():  # H is zero, of which eigsh can make no basis
                return np.zeros(count)
            A = LinearOperator((self.size, self.size), matvec=product, dtype=np.float64)
            return np.sort(eigsh(A, count, v0=start, return_eigenvectors=False))

        found = [of_sample(self.at(slice(b, b + 1))) for b in range(len(like))]
        return np.asarray(np.array(found), dtype=like.dtype, like=like)
