"""Kernels on a GPU: programs printed as CUDA C, compiled and launched by CuPy."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from mcx.kernels.program import Program
from mcx.kernels.source import cuda_source

_THREADS = 256  # in a block
_MOST_BLOCKS = 1 << 16  # of a grid; the kernel's loop strides over what is left


@lru_cache(maxsize=4096)
def _compiled(program: Program, char: str):
    """Return the kernel of a program for float32 ("f") or float64 ("d")."""
    import cupy  # a CuPy array exists, so CuPy is loaded

    # Without contraction to fused multiply-adds the results are those of the CPU.
    return cupy.RawKernel(cuda_source(program, char), "kernel", options=("--fmad=false",))


def run(program: Program, inputs, calls, out) -> None:
    """Run a program on the current stream.

    There is no status: a product with an infinite slope is guarded in the source itself, and CUDA
    knows no floating-point exceptions.

    Parameters
    ----------
    inputs : sequence of CuPy arrays
        Contiguous, of shape (planes, n), in the order of the program's inputs.
    calls : sequence of CuPy arrays
        Contiguous, of shape (n,): the results of the program's NumPy calls.
    out : CuPy array
        Contiguous, of shape (planes, n); planes that are not live are left as they are.
    """
    size = out.shape[1]
    blocks = min(-(-size // _THREADS), _MOST_BLOCKS)
    if blocks:
        kernel = _compiled(program, out.dtype.char)
        kernel((blocks,), (_THREADS,), (*inputs, *calls, out, np.int64(size)))
