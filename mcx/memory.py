"""Plane buffers that are used again: fresh memory pages cost more than the arithmetic on them.

A large result lies in a block of memory that is kept when the result dies, and handed out again.
Who holds a block is told by its reference count: every array in it holds the block as its base.
"""

from __future__ import annotations

import itertools
import math
import os
import sys
import threading

import numpy as np

SMALLEST = 1 << 16  # bytes from which on blocks are kept; smaller arrays come from the heap anyway
ALIGNMENT = 64  # of a buffer in a block: a vector that crosses lines of the cache is read twice


def _share_of_memory() -> int:
    """Return a sixteenth of the memory of this machine, from 128 MB to 1 GB."""
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows
        total = 0
    return min(max(total // 16, 1 << 27), 1 << 30)


MOST = _share_of_memory()  # bytes kept in all

# Blocks of more than 2ᵏ⁻¹ and at most 2ᵏ bytes are on shelf k, each with the time of its last use.
_shelves: dict[int, list[list]] = {}
_clock = itertools.count()
_lock = threading.Lock()
if hasattr(os, "register_at_fork"):  # a child must not inherit the lock of a thread it lacks
    os.register_at_fork(
        before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release
    )


def _references(entry) -> int:
    """Return the number of references to a block, as this version of Python counts them."""
    return sys.getrefcount(entry[1])


_IDLE = _references([0, np.empty(1, np.uint8)])  # of a block in which no array lies
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
        start = -block.__array_interface__["data"][0] % ALIGNMENT
        out = block[start : start + nbytes].view(dtype).reshape(shape)
    for k in zeros:
        out[k, ...] = 0
    return out


def empty_like(x, shape):
    """Return an array of unset memory, of the type and dtype of x."""
    if type(x) is np.ndarray:
        return new_buffer(shape, x.dtype)
    return np.empty_like(x, shape=shape)


def copy_of(x):
    """Return a copy of an array, laid out as it is; numbers copy themselves."""
    if type(x) is not np.ndarray:
        return x.copy()
    if not x.flags.c_contiguous:
        return x.copy(order="K")
    out = new_buffer(x.shape, x.dtype)
    out[...] = x
    return out


def frozen(x):
    """Return an array that the caller has made, and that no one can write to from now on.

    What keeps it for later, as `mcx.linearize` does, need not copy it.
    """
    if type(x) is np.ndarray:
        x.flags.writeable = False
    return x


def _block(nbytes: int):
    """Return a block of memory that no array lies in, of at most twice the size."""
    with _lock:
        size = (nbytes - 1).bit_length()
        for shelf in (_shelves.get(size, []), _shelves.get(size + 1, [])):
            for place in range(len(shelf) - 1, -1, -1):  # the one used last is in the cache
                room = shelf[place][1].nbytes
                if nbytes <= room <= 2 * nbytes and _references(shelf[place]) == _IDLE:
                    entry = shelf.pop(place)
                    entry[0] = next(_clock)
                    shelf.append(entry)
                    return entry[1]
        block = np.empty(nbytes, np.uint8)
        if nbytes <= MOST:
            _give_up(kept() + nbytes - MOST)
            _shelves.setdefault(size, []).append([next(_clock), block])
        return block


def _give_up(nbytes: int) -> None:
    """Give up blocks of so many bytes at least, those first that have not been used for longest."""
    while nbytes > 0 and any(_shelves.values()):
        oldest = min(filter(None, _shelves.values()), key=lambda shelf: shelf[0][0])
        nbytes -= oldest.pop(0)[1].nbytes


def kept() -> int:
    """Return the bytes of all blocks that are kept, in use or not."""
    return sum(entry[1].nbytes for shelf in _shelves.values() for entry in shelf)


def forget() -> None:
    """Give up the blocks that are kept; arrays in them live on."""
    with _lock:
        _shelves.clear()
