"""Normalisation: over the batch for every channel, or over the features of every sample."""

from dataclasses import dataclass
from math import prod

import numpy as np

from mcx_nn.layer import Layer
from mcx_nn.primitives import sum_rows
from mcx_nn.shapes import expect_at_least, expect_extents, expect_parameters, expect_shape


@dataclass(frozen=True)
class BatchNorm(Layer):
    """Batch normalisation of vectors and images alike: channels come last.

    y = scale · (x − μ) / √(σ² + ε) + shift, for every channel. In train mode μ and σ² are mean and
    biased variance of the N values that the batch has in the channel, and derivatives go through
    them: the output is then no function of single samples. Otherwise they are the running
    statistics "mean" and "variance" of the context, constants.

    `update_state` returns the running statistics after a batch in PyTorch's convention:
    old + momentum · (new − old), where the new variance is the unbiased one, N σ² / (N − 1).

    Parameters
    ----------
    channels : int
        C; scale and shift have shape (C,), x (B, C), (B, H, W, C) or (B, ..., C).
    epsilon : float
        ε, what is added to the variance.
    momentum : float
        Weight of the new batch in the running statistics, 0 to 1.

    Examples
    --------
    >>> layer = BatchNorm(1, epsilon=0.0)
    >>> params, x = layer.init(np.random.default_rng(0)), np.array([[1.0], [2.0], [3.0]])
    >>> y, backward = layer.forward(params, x, {"train": True})
    >>> y.reshape(-1).round(4)
    array([-1.2247,  0.    ,  1.2247])
    >>> dx, grads = backward(np.array([[1.0], [0.0], [0.0]]))
    >>> dx.reshape(-1).round(4)
    array([ 0.2041, -0.4082,  0.2041])
    >>> layer.update_state(params, x, {"state": layer.init_state()})
    {'mean': array([0.2]), 'variance': array([1.])}

    References
    ----------
    S. Ioffe and C. Szegedy, "Batch normalization: accelerating deep network training by reducing
    internal covariate shift", ICML 2015, algorithm 1 and section 3.
    """

    channels: int
    epsilon: float = 1e-5
    momentum: float = 0.1

    def __post_init__(self):
        """Refuse sizes that make no layer."""
        expect_at_least(1, self, channels=self.channels)
        _expect_nonnegative(self)
        if not 0 <= self.momentum <= 1:
            raise ValueError(f"{self}: momentum: expected 0 to 1, got {self.momentum}.")

    @property
    def parameters(self):
        """Shapes of scale and shift."""
        return {"scale": (self.channels,), "shift": (self.channels,)}

    @property
    def state(self):
        """Shapes of the running mean and variance."""
        return {"mean": (self.channels,), "variance": (self.channels,)}

    def init(self, rng):
        """Return scale 1 and shift 0; nothing is drawn."""
        return {"scale": np.ones(self.channels), "shift": np.zeros(self.channels)}

    def init_state(self):
        """Return mean 0 and variance 1."""
        return {"mean": np.zeros(self.channels), "variance": np.ones(self.channels)}

    def output_shape(self, shape):
        """Return the shape of the sample, (C,), (H, W, C) or (..., C)."""
        expect_extents(self, "one sample", shape, (*map(str, shape[:-1]), self.channels))
        return shape

    def forward(self, params, x, context):
        """Return the normalised x and the backward; see `Layer.forward`.

        Raises
        ------
        ValueError
            In train mode where a channel has a single value: its variance is 0 whatever it is.
        """
        expect_parameters(self, params)
        self._expect_input(x)
        rows, shape, train = _rows(x), x.shape, context.get("train", False)
        count = self._count(x) if train else 1
        if train:
            _, variance, centred = _moments(rows, count)
        else:
            dtype = params["scale"].dtype  # that of the parameters: x may be coarser, or real
            mean, variance = (state.astype(dtype) for state in self._running(context).values())
            centred = rows - mean
        inverse = 1 / np.sqrt(variance + float(self.epsilon))
        gain = params["scale"] * inverse

        def backward(dy):
            dy = dy.reshape(rows.shape)
            dshift, alignment = _channel_sums(dy), _channel_products(dy, centred)
            grads = {"scale": inverse * alignment, "shift": dshift}
            if context.get("constant_input"):
                return None, grads
            if train:
                slope = np.square(inverse) * alignment / count
                dy = dy - dshift / count - centred * slope
            return (dy * gain).reshape(shape), grads

        return (centred * gain + params["shift"]).reshape(shape), backward

    def update_state(self, params, x, context):
        """Return running mean and variance after a batch x, from those in the context."""
        self._expect_input(x)
        count = self._count(x)
        mean, variance, _ = _moments(_rows(x), count)
        new = {"mean": mean, "variance": variance * (count / (count - 1))}
        return {
            name: (old + self.momentum * (new[name] - old)).astype(old.dtype)
            for name, old in self._running(context).items()
        }

    def _expect_input(self, x):
        expect_shape(self, "x", x, ("B", *map(str, x.shape[1:-1]), self.channels))

    def _count(self, x):
        """Return the number of values per channel."""
        count = x.size // self.channels
        if count < 2:
            raise ValueError(
                f"{self}: x: expected more than one value per channel in train mode, got shape "
                f"{x.shape}; take a larger batch, or running statistics with train=False."
            )
        return count

    def _running(self, context):
        """Return running mean and variance from the context."""
        state = context.get("state", {})
        for name, shape in self.state.items():
            if name not in state:
                raise ValueError(
                    f"{self}: expected running statistics 'mean' and 'variance' in "
                    f"context['state'], got {sorted(state)}; start from init_state(), or use those "
                    "of the batch with train=True."
                )
            expect_shape(self, name, state[name], shape)
        return {name: state[name] for name in self.state}


@dataclass(frozen=True)
class LayerNorm(Layer):
    """Layer normalisation: every sample (every vector of it) by its own mean and variance.

    y = scale · (x − μ) / √(σ² + ε) + shift, with mean μ and biased variance σ² over the last axes
    of x, those of `features`.

    Parameters
    ----------
    features : int or tuple of int
        Extents of the axes to normalise over: x has shape (B, ..., *features), scale and shift
        have shape features.
    epsilon : float
        ε, what is added to the variance.

    Examples
    --------
    >>> layer = LayerNorm(3, epsilon=0.0)
    >>> params = layer.init(np.random.default_rng(0))
    >>> y, backward = layer.forward(params, np.array([[1.0, 2.0, 3.0]]), {})
    >>> y.round(4)
    array([[-1.2247,  0.    ,  1.2247]])
    >>> backward(np.array([[1.0, 0.0, 0.0]]))[0].round(4)
    array([[ 0.2041, -0.4082,  0.2041]])

    References
    ----------
    J. L. Ba, J. R. Kiros and G. E. Hinton, "Layer normalization", arXiv:1607.06450, 2016, equations
    (3) and (4).
    """

    features: int | tuple[int, ...]
    epsilon: float = 1e-5

    def __post_init__(self):
        """Refuse sizes that make no layer."""
        for extent in self._extents or (0,):
            expect_at_least(1, self, features=extent)
        _expect_nonnegative(self)

    @property
    def _extents(self):
        return tuple(np.atleast_1d(self.features).tolist())

    @property
    def parameters(self):
        """Shapes of scale and shift."""
        return {"scale": self._extents, "shift": self._extents}

    def init(self, rng):
        """Return scale 1 and shift 0; nothing is drawn."""
        return {"scale": np.ones(self._extents), "shift": np.zeros(self._extents)}

    def output_shape(self, shape):
        """Return the shape of the sample, (..., *features)."""
        front = shape[: -len(self._extents)]
        expect_extents(self, "one sample", shape, (*map(str, front), *self._extents))
        return shape

    def forward(self, params, x, context):
        """Return the normalised x and the backward; see `Layer.forward`."""
        expect_parameters(self, params)
        front = x.shape[1 : -len(self._extents)]
        expect_shape(self, "x", x, ("B", *map(str, front), *self._extents))
        features, shape = prod(self._extents), x.shape
        vectors = x.reshape(-1, features)
        scale, shift = (params[name].reshape(features) for name in ("scale", "shift"))
        centred = vectors - vectors.mean(axis=1, keepdims=True)
        variance = np.einsum("nf,nf->n", centred, centred)[:, None] / features
        inverse = 1 / np.sqrt(variance + float(self.epsilon))
        normal = centred * inverse

        def backward(dy):
            dy = dy.reshape(vectors.shape)
            dscale, dshift = np.einsum("nf,nf->f", dy, normal), sum_rows(dy)
            grads = {
                "scale": dscale.reshape(self._extents),
                "shift": dshift.reshape(self._extents),
            }
            if context.get("constant_input"):
                return None, grads
            dnormal = dy * scale
            alignment = np.einsum("nf,nf->n", dnormal, normal)[:, None] / features
            dcentred = dnormal - dnormal.mean(axis=1, keepdims=True) - normal * alignment
            return (dcentred * inverse).reshape(shape), grads

        return (normal * scale + shift).reshape(shape), backward


def _expect_nonnegative(layer):
    if not layer.epsilon >= 0:
        raise ValueError(f"{layer}: epsilon: expected at least 0, got {layer.epsilon}.")


def _rows(x):
    """Return x as (images, places, C); vectors (B, C) are the places of one image.

    Sums over places and then over images round less than over all at once, and are as fast.
    """
    images = 1 if x.ndim == 2 else x.shape[0]
    return x.reshape(images, -1, x.shape[-1])


def _channel_sums(rows):
    return sum_rows(rows).sum(axis=0)


def _channel_products(rows, others):
    """Return Σ rows · others over all but the channels, with no array of the products."""
    return np.einsum("bnc,bnc->bc", rows, others).sum(axis=0)


def _moments(rows, count):
    """Return mean and biased variance of every channel, and rows − mean.

    The variance is a mean of squares, not of |·|², so that it is analytic.
    """
    mean = _channel_sums(rows) / count
    centred = rows - mean
    return mean, _channel_products(centred, centred) / count, centred
