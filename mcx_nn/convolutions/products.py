"""Products of tiles between the transforms: the three results of a convolution and its gradient.

Each takes a list of pairs of stored tiles and writes the sum of their results.
"""

import numpy as np

from mcx_nn.convolutions.compiled import machine


def transform(name, x, tiling, out):
    """Write a transform of x into out."""
    getattr(machine(tiling, x, out) or tiling, name)(x, out)


def outputs(pairs, tiling, out):
    """Write Σ Aᵀ (V U) A over the pairs (V, U)."""
    pairs = _alike(pairs, out)
    code = machine(tiling, out, *(x for pair in pairs for x in pair))
    if code:
        code.outputs(pairs, out)
        return
    total = np.empty_like(out, shape=tiling.output_tiles)
    factors = [(tiling.as_images(v), tiling.as_kernels(u)) for v, u in pairs]
    _add(factors, tiling.as_outputs(total))
    tiling.outputs(total, out)


def images(pairs, tiling, out):
    """Write Σ B (D Uᵀ) Bᵀ over the pairs (D, U), every tile added to its place."""
    pairs = _alike(pairs, out)
    code = machine(tiling, out, *(x for pair in pairs for x in pair))
    if code:
        code.images_of(pairs, out)
        return
    total = np.empty_like(out, shape=tiling.image_tiles)
    factors = [(tiling.as_outputs(d), tiling.as_kernels(u).swapaxes(1, 2)) for d, u in pairs]
    _add(factors, tiling.as_images(total))
    tiling.images_transposed(total, out)


def kernels(pairs, tiling, out):
    """Write Σ Gᵀ (Vᵀ D) G over the pairs (V, D)."""
    pairs = _alike(pairs, out)
    code = machine(tiling, out, *(x for pair in pairs for x in pair))
    if code:
        code.kernels_of(pairs, out)
        return
    total = np.empty_like(out, shape=tiling.kernel_tiles)
    factors = [(tiling.as_images(v).swapaxes(1, 2), tiling.as_outputs(d)) for v, d in pairs]
    _add(factors, tiling.as_kernels(total))
    tiling.kernels_transposed(total, out)


def _alike(pairs, out):
    """Return the pairs in the dtype of the result, without which there is no machine code."""
    with np.errstate(all="ignore"):  # the gaps between stored matrices hold anything
        return [tuple(x.astype(out.dtype, copy=False) for x in pair) for pair in pairs]


def _add(factors, total):
    """Write the sum of matrix products."""
    first, *rest = factors
    total[...] = np.matmul(*first)
    for pair in rest:
        total += np.matmul(*pair)
