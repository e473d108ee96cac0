"""Plane buffers that are used again: fresh memory pages cost more than the arithmetic on them.

A large result lies in a block of memory that is kept when the result dies, and handed out again.
Who holds a block is told by its reference count: every array in it holds the block as its base.
"""

from __future__ import annotations

import math
import sys
import threading

import numpy as np

SMALLEST = 1 << 16  # bytes from which on blocks are kept; smaller arrays come from the heap anyway
MOST = 1 << 27  # bytes kept in all

_blocks: list[np.ndarray] = []
_lock = threading.Lock()
_IDLE = 3  # references to a block in which no array lies: the list's, a variable's, an argument's


def new_buffer(shape, dtype, zeros=()):
    """Return an array of unset memory, but for some planes (along the first axis) that are zero.

    Parameters
    ----------
    shape : tuple of int
    dtype : numpy.dtype
    zeros : sequence of int
        Planes to be set to zero.
    """
    size = math.prod(shape)
    nbytes = size * dtype.itemsize
    if nbytes < SMALLEST:
        out = np.empty(shape, dtype)
    else:
        out = _block(nbytes)[:nbytes].view(dtype).reshape(shape)
    for k in zeros:
        out[k, ...] = 0
    return out


def _block(nbytes: int):
    """Return a block of memory that no array lies in, of at most twice the size."""
    with _lock:
        kept = 0
        for place in range(len(_blocks)):
            block = _blocks[place]
            if nbytes <= block.nbytes <= 2 * nbytes and sys.getrefcount(block) == _IDLE:
                _blocks.append(_blocks.pop(place))  # the one used last is given up last
                return block
            kept += block.nbytes
        block = np.empty(nbytes, np.uint8)
        while _blocks and kept + nbytes > MOST:
            kept -= _blocks.pop(0).nbytes
        if nbytes <= MOST:
            _blocks.append(block)
        return block


def forget() -> None:
    """Give up the blocks that are kept; arrays in them live on."""
    with _lock:
        _blocks.clear()
