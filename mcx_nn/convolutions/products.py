"""Products of tiles between the transforms: a convolution, and its gradients by image and kernel.

Each is the transform of a sum of matrix products: Aᵀ (Σ V U) A, B (Σ D Uᵀ) Bᵀ with every tile added
to its place, and Gᵀ (Σ Vᵀ D) G.
"""

import numpy as np

from mcx_nn.convolutions.compiled import machine

# Transform of the sum: (the same in machine code, shape of the stored sum, its view as matrices,
# left and right operand and whether they are transposed).
_PRODUCTS = {
    "outputs": (
        *("outputs_of_products", "output_tiles", "as_outputs"),
        *(("as_images", False), ("as_kernels", False)),
    ),
    "images_transposed": (
        *("images_transposed_of_products", "image_tiles", "as_images"),
        *(("as_outputs", False), ("as_kernels", True)),
    ),
    "kernels_transposed": (
        *("kernels_transposed_of_products", "kernel_tiles", "as_kernels"),
        *(("as_images", True), ("as_outputs", False)),
    ),
}


def transform(name, x, tiling, out):
    """Write a transform of x into out."""
    getattr(machine(tiling, x, out) or tiling, name)(x, out)


def transform_products(name, pairs, tiling, out):
    """Write a transform of the sum of the products of pairs of stored tiles into out."""
    with np.errstate(all="ignore"):  # the gaps between stored matrices hold anything
        pairs = [tuple(x.astype(out.dtype, copy=False) for x in pair) for pair in pairs]
    method, stored, view, *operands = _PRODUCTS[name]
    code = machine(tiling, out, *(x for pair in pairs for x in pair))
    if code:
        getattr(code, method)(pairs, out)
        return
    total = np.empty_like(out, shape=getattr(tiling, stored))
    matrices = getattr(tiling, view)(total)
    for number, pair in enumerate(pairs):
        product = np.matmul(
            *(_operand(tiling, x, *way) for x, way in zip(pair, operands, strict=True))
        )
        if number:
            matrices += product
        else:
            matrices[...] = product
    getattr(tiling, name)(total, out)


def _operand(tiling, x, view, turned: bool):
    """Return stored tiles as matrices, transposed if so said."""
    matrices = getattr(tiling, view)(x)
    return matrices.swapaxes(1, 2) if turned else matrices
