"""The floor of a product with the Hessian: the time of its matrix products alone."""

from __future__ import annotations

from collections import Counter

from tests.bench.harness import best  # before NumPy
from tests.bench.ways import BLOCK, CURVATURE, FRESH, GRADIENT, KRYLOV

import numpy as np  # isort: skip

import mcx_nn
from tests.bench.networks import DIRECTIONS

# Products of a layer for y, dW and dx: of the first layer, whose x is data, and of any other.
PRODUCTS = {
    GRADIENT: ((1, 1, 0), (1, 1, 1)),
    FRESH: ((2, 2, 0), (3, 3, 3)),
    KRYLOV: ((1, 1, 0), (2, 2, 2)),
    CURVATURE: ((2, 0, 0), (5, 0, 0)),
    BLOCK: ((DIRECTIONS, DIRECTIONS, 0), (2 * DIRECTIONS,) * 3),
}


def products(case) -> dict[str, list[tuple[int, int, int, int]]]:
    """List the matrix products behind each quantity of a case, of the algorithms in use.

    Returns
    -------
    dict of str to list
        (batch, m, k, n) of each product of (m, k) and (k, n) matrices.
    """
    layers = []
    for _, layer, before, _ in case.problem.model.shapes(case.network.shape):
        batch = len(case.batch[0])
        if isinstance(layer, mcx_nn.Conv2d):
            tiling = layer.tiling((batch, *before))
            layers.append((tiling.points, *tiling.sizes))
        elif isinstance(layer, mcx_nn.Dense):
            layers.append((1, batch, layer.inputs, layer.outputs))
    found = {quantity: [] for quantity in PRODUCTS}
    for quantity, (first, other) in PRODUCTS.items():
        for position, (p, m, k, n) in enumerate(layers):
            shapes = (p, m, k, n), (p, k, m, n), (p, m, n, k)
            for shape, count in zip(shapes, other if position else first, strict=True):
                found[quantity] += [shape] * count
    return found


def floor(shapes, dtype) -> float:
    """Return the seconds that np.matmul takes for products of the shapes (batch, m, k, n)."""
    seconds = 0.0
    for (batch, m, k, n), count in Counter(shapes).items():
        a, b = np.ones((batch, m, k), dtype), np.ones((batch, k, n), dtype)
        out = np.empty((batch, m, n), dtype)
        seconds += count * best(lambda a=a, b=b, out=out: np.matmul(a, b, out=out), 0.05)
    return seconds
