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
ALIGNMENT = 64  # of a buffer in a block: a vector that crosses lines of the cache is read twice

_blocks: list[np.ndarray] = []
_lock = threading.Lock()


def _references(blocks, place: int) -> int:
    """Return the number of references to a block, as this version of Python counts them."""
    return sys.getrefcount(blocks[place])


_IDLE = _references([np.empty(1, np.uint8)], 0)  # of a block in which no array lies
# Without a global lock counts are not exact at any moment: nothing is kept there.
_KEEPS = getattr(sys, "_is_gil_enabled", lambda: True)()


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
    if nbytes > MOST and len(zeros):
        return np.zeros(shape, dtype)  # pages that no one writes to cost nothing
    if nbytes < SMALLEST or not _KEEPS:
        out = np.empty(shape, dtype)
    else:
        block = _block(nbytes + ALIGNMENT)
        start = -block.ctypes.data % ALIGNMENT
        out = block[start : start + nbytes].view(dtype).reshape(shape)
    for k in zeros:
        out[k, ...] = 0
    return out


def empty_like(x, shape):
    """Return an array of unset memory, of the type and dtype of x."""
    if type(x) is np.ndarray:
        return new_buffer(shape, x.dtype)
    return np.empty_like(x, shape=shape)


def _block(nbytes: int):
    """Return a block of memory that no array lies in, of at most twice the size."""
    with _lock:
        kept = 0
        for place in range(len(_blocks)):
            room = _blocks[place].nbytes
            if nbytes <= room <= 2 * nbytes and _references(_blocks, place) == _IDLE:
                _blocks.append(_blocks.pop(place))  # the one used last is given up last
                return _blocks[-1]
            kept += room
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
