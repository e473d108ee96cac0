"""Networks of the benchmark of Hessian-vector products, on both sides with the same numbers.

Ours are the models of mcx_nn; PyTorch's are written here once more as lists of operations, so that
equal values say something. Everything random is drawn here and handed to both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from tests.bench.harness import peer  # before NumPy

import numpy as np  # isort: skip

import mcx_nn

DIRECTIONS = 8  # of a block of Hessian-vector products
CLASSES = 10

# PyTorch's side: operation on x, with `take()` the next of the parameters.
OPERATIONS = {
    "conv 3x3": lambda F, x, take: F.conv2d(x, take(), take(), padding=1),
    "conv 5x5, padded": lambda F, x, take: F.conv2d(x, take(), take(), padding=2),
    "conv 5x5": lambda F, x, take: F.conv2d(x, take(), take()),
    "norm": lambda F, x, take: F.batch_norm(x, None, None, take(), take(), training=True),
    "dense": lambda F, x, take: F.linear(x, take(), take()),
    "elu": lambda F, x, take: F.elu(x),
    "sigmoid": lambda F, x, take: F.sigmoid(x),
    "max": lambda F, x, take: F.max_pool2d(x, 2),
    "mean": lambda F, x, take: F.avg_pool2d(x, 2),
    "flatten": lambda F, x, take: x.flatten(1),
}


def norm_in_steps(F, x, take):
    """Normalise as F.batch_norm does."""
    axes, ones = [0, *range(2, x.ndim)], [1] * (x.ndim - 2)
    scale, shift = take().reshape(-1, *ones), take().reshape(-1, *ones)
    centred = x - x.mean(axes, keepdim=True)
    return centred * (centred.square().mean(axes, keepdim=True) + 1e-5).rsqrt() * scale + shift


# For nested forward mode: PyTorch 2.13 is 0.4 % off the p'Hp of VGG-11 with F.batch_norm.
IN_STEPS = {**OPERATIONS, "norm": norm_in_steps}


def vgg(blocks: list[int], norm: list[str]) -> list[str]:
    """Return the operations of a VGG network: so many convolutions before each pooling."""
    unit = ["conv 3x3", *norm, "elu"]
    images = [operation for count in blocks for operation in [*unit * count, "max"]]
    return [*images, "flatten", *["dense", "elu"] * 2, "dense"]


LENET5 = [
    *("conv 5x5, padded", "sigmoid", "mean", "conv 5x5", "sigmoid", "mean", "flatten"),
    *("dense", "sigmoid", "dense", "sigmoid", "dense"),
]
AUTOENCODER = [*["dense", "sigmoid"] * 3, "dense"] * 2  # the code is linear


@dataclass(frozen=True)
class Network:
    """A network of the benchmark.

    model builds ours, operations are PyTorch's, shape is that of one sample.
    """

    model: Callable
    operations: list[str]
    shape: tuple[int, ...]
    batches: tuple[int, ...]
    reconstructs: bool = False  # the target is the input, the loss binary cross-entropy

    @property
    def smooth(self) -> bool:
        """Whether all derivatives are continuous."""
        return not {"elu", "max"} & set(self.operations)


NETWORKS = {
    "VGG-19": Network(
        lambda: mcx_nn.vgg19(batch_norm=False), vgg([2, 2, 4, 4, 4], []), (32, 32, 3), (16, 128)
    ),
    "VGG-11 with batch norm": Network(
        lambda: mcx_nn.vgg11(batch_norm=True), vgg([1, 1, 2, 2, 2], ["norm"]), (32, 32, 3), (128,)
    ),
    "LeNet-5": Network(lambda: mcx_nn.lenet5(), LENET5, (28, 28, 1), (128,)),
    "autoencoder": Network(lambda: mcx_nn.autoencoder(), AUTOENCODER, (784,), (128,), True),
}


class Case:
    """A network with parameters, a batch and directions: everything both sides are given.

    Attributes
    ----------
    key : (str, int, str)
        Name of the network, size of the batch and dtype.
    problem : mcx_nn.Supervised
    w, p : (P,) array
        Point and direction.
    block : (DIRECTIONS, P) array
    batch : (X, y)
    """

    def __init__(self, name: str, batch: int, dtype: str):
        self.network, self.key = NETWORKS[name], (name, batch, dtype)
        loss = mcx_nn.softmax_cross_entropy
        if self.network.reconstructs:
            loss = mcx_nn.binary_cross_entropy_with_logits
        self.problem = mcx_nn.Supervised(self.network.model(), loss)
        rng = np.random.default_rng(0)
        self.w = self.problem.init(rng, np.dtype(dtype))
        x = rng.random((batch, *self.network.shape), dtype)
        y = x if self.network.reconstructs else rng.integers(0, CLASSES, batch)
        self.batch = x, y

    @cached_property
    def p(self):
        """Direction: the gradient and as much noise, so that nothing cancels in p'Hp."""
        gradient = self.problem.value_and_grad(self.w, self.batch)[1]
        noise = np.random.default_rng(1).standard_normal(self.w.shape, self.w.dtype)
        return gradient / np.linalg.norm(gradient) + noise / np.linalg.norm(noise)

    @cached_property
    def block(self):
        """Directions for a block of Hessian-vector products."""
        rng = np.random.default_rng(2)
        return rng.standard_normal((DIRECTIONS, *self.w.shape), self.w.dtype)


class Torch:
    """PyTorch's side of a case, in one of its two memory formats of images.

    Attributes
    ----------
    leaves, values : tuple of Tensor
        The parameters, for autograd and (no gradient required) for torch.func.
    p, block : tuple of Tensor
        The direction, and the block of them.
    """

    def __init__(self, case: Case, channels_last: bool):
        self.torch = peer("torch")
        self.case, self.channels_last = case, channels_last
        x, y = case.batch
        images = x.transpose(0, 3, 1, 2) if x.ndim == 4 else x
        self.x = self.tensor(images)
        self.y = self.x if y is x else self.torch.asarray(y)
        self.values, self.p = self.split(case.w), self.split(case.p)
        self.leaves = tuple(value.clone().requires_grad_() for value in self.values)

    @cached_property
    def block(self):
        """The block of directions."""
        return self.split(self.case.block)

    def tensor(self, array):
        """Return a copy as a tensor in the memory format of this side."""
        if not self.channels_last or array.ndim < 4:
            return self.torch.asarray(np.array(array, order="C"))
        return self.torch.asarray(np.array(np.moveaxis(array, -3, -1), order="C")).movedim(-1, -3)

    def loss(self, params, operations=OPERATIONS):
        """Return the loss at the parameters."""
        F, x, take = self.torch.nn.functional, self.x, iter(params).__next__
        for operation in self.case.network.operations:
            x = operations[operation](F, x, take)
        if self.case.network.reconstructs:
            # F.binary_cross_entropy_with_logits takes the same time, but what torch.func.linearize
            # makes of it (2.13) returns other numbers from its second call on.
            return (F.softplus(x) - self.y * x).mean()
        return F.cross_entropy(x, self.y)

    def _slots(self):
        """Yield (shape in our layout, channels of the images before) of every parameter."""
        channels = 1
        for shape in self.case.problem.model.parameters.values():
            yield shape, channels
            channels = shape[-1]

    def split(self, v) -> tuple:
        """Return a vector, or a block of them, (…, P) in our layout as PyTorch's tensors."""
        tensors, end, lead = [], 0, v.shape[:-1]
        for shape, channels in self._slots():
            start, end = end, end + int(np.prod(shape))
            part = v[..., start:end].reshape(*lead, *shape)
            if len(shape) == 4:
                part = np.moveaxis(part, (-1, -2), (-4, -3))
            elif len(shape) == 2:  # its inputs are pixels times channels where images end
                pixels = part.reshape(*lead, -1, channels, shape[1])
                part = np.moveaxis(pixels, (-1, -2), (-3, -2)).reshape(*lead, *shape[::-1])
            tensors.append(self.tensor(part))
        return tuple(tensors)

    def join(self, tensors) -> np.ndarray:
        """Return PyTorch's tensors, or blocks of them, as vectors (…, P) in our layout."""
        parts = []
        for (shape, channels), tensor in zip(self._slots(), tensors, strict=True):
            part = tensor.detach().numpy()
            lead = part.shape[: part.ndim - len(shape)]
            if len(shape) == 4:
                part = np.moveaxis(part, (-4, -3), (-1, -2))
            elif len(shape) == 2:
                pixels = part.reshape(*lead, shape[1], channels, -1)
                part = np.moveaxis(pixels, (-3, -2), (-1, -2))
            parts.append(part.reshape(*lead, -1))
        return np.concatenate(parts, axis=-1)
