"""Running kernels: when to compile, on which threads, and when the plain way is taken instead.

A kernel is compiled when it has done enough work the plain way, so that small scripts never wait
for a compiler. Where a floating-point exception occurred (overflow, division by zero, an invalid
operation), the kernel's result is dropped and the plain way runs: it warns as NumPy does.
"""

from __future__ import annotations

import contextvars
import functools
import math
import operator
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from mcx.kernels import cache, cuda
from mcx.kernels.program import Program
from mcx.kernels.source import python_source
from mcx.kernels.symbols import Symbol
from mcx.memory import new_buffer

WORK = 1 << 20  # coefficients computed the plain way before a kernel is compiled
CALL = 2000  # how many coefficients one call of NumPy functions counts as
_BLOCK = 1 << 14  # elements in one block: what NumPy computes for a kernel stays in the cache
_SPLIT = 1 << 17  # elements from which on an array is split over threads

_threads = 0  # 0: not yet asked


def get_num_threads() -> int:
    """Return over how many threads large arrays are split.

    Returns
    -------
    int
        What `set_num_threads` was given, else ``$MCX_NUM_THREADS``, else the number of cores that
        this process may use.

    Examples
    --------
    >>> import mcx
    >>> mcx.get_num_threads() >= 1
    True
    """
    if not _threads:
        given = os.environ.get("MCX_NUM_THREADS")
        affinity = getattr(os, "sched_getaffinity", None)
        set_num_threads(int(given) if given else len(affinity(0)) if affinity else os.cpu_count())
    return _threads


def set_num_threads(count: int) -> None:
    """Set over how many threads the arithmetic of large arrays is split (1: none but the caller's).

    BLAS has threads of its own, see the ``threadpoolctl`` package or ``$OPENBLAS_NUM_THREADS``.

    Parameters
    ----------
    count : int
        At least 1.

    Raises
    ------
    ValueError
        If count is below 1.

    Examples
    --------
    >>> import mcx
    >>> before = mcx.get_num_threads()
    >>> mcx.set_num_threads(1)
    >>> mcx.get_num_threads()
    1
    >>> mcx.set_num_threads(before)
    """
    global _threads
    if count != int(count) or count < 1:
        raise ValueError(f"set_num_threads: expected an integer of at least 1, got {count}")
    _threads = int(count)


@functools.lru_cache(maxsize=1)
def _pool(count: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(count, thread_name_prefix="mcx", initializer=_enter)


_worker = threading.local()  # has a mark in the threads of the pool


def _enter():
    _worker.inside = True


if hasattr(os, "register_at_fork"):  # a child has the pool's memory, but not its threads
    os.register_at_fork(after_in_child=_pool.cache_clear)


def on_threads(run, size: int, grain: int = _BLOCK, least: int = _SPLIT) -> int:
    """Call run(start, stop) on ranges that make up 0 to size; return the union of the results.

    Ranges are multiples of `grain`; below a size of `least`, and in a range of another call, there
    is one.
    """
    if size < least or get_num_threads() == 1 or hasattr(_worker, "inside"):
        return run(0, size)
    count = get_num_threads()
    length = -(-size // (count * grain)) * grain
    jobs = [
        _pool(count).submit(contextvars.copy_context().run, run, start, min(start + length, size))
        for start in range(0, size, length)
    ]
    return functools.reduce(operator.or_, [job.result() for job in jobs])


def in_blocks(function, x, out=None):
    """Return an elementwise function of an array, in `out` if given.

    Large real arrays of NumPy are taken block by block, so that what the function makes on the way
    stays in the cache, and on threads. A function that changes the dtype is taken whole.
    """
    plain = type(x) is np.ndarray and x.dtype.char in "fd" and x.flags.c_contiguous
    fits = out is None or (out.flags.c_contiguous and out.dtype == x.dtype)
    if not (plain and fits and x.size > _BLOCK and function(x.reshape(-1)[:1]).dtype == x.dtype):
        y = function(x)
        if out is None:
            return y
        out[...] = y
        return out
    if out is None:
        out = new_buffer(x.shape, x.dtype)
    flat, target = x.reshape(-1), out.reshape(-1)

    def run(start, stop):
        for first in range(start, stop, _BLOCK):
            last = min(first + _BLOCK, stop)
            target[first:last] = function(flat[first:last])
        return 0

    on_threads(run, x.size)
    return out


class Kernel:
    """A program with its compiled forms, one for each dtype.

    Parameters
    ----------
    program : Program or None
        None for one too long to unroll: `run` then always declines.
    """

    __slots__ = ("compiled", "dead", "live", "program", "work")

    def __init__(self, program: Program | None):
        self.program = program
        self.compiled: dict = {}
        self.work = 0
        self.live = program.live if program else 0
        self.dead = program.unwritten if program else ()

    def run(self, inputs, shape, value=None, out=None):
        """Return the planes of the result, or None where the plain way is to be taken.

        Parameters
        ----------
        inputs : tuple of buffers
            Of shape (planes, *shape of the operand).
        shape : tuple
            Shape of the result.
        value : callable, optional
            ``value(a, out=...)`` puts the value plane of the result into `out`, for programs that
            leave it to NumPy.
        out : buffer, optional
            Where to put the result, apart from the memory of the inputs.
        """
        first = inputs[0]
        if type(first) is not np.ndarray:
            return self._run_on_device(inputs, shape, value, out)
        dtype = first.dtype
        if not dtype.isnative:
            return None
        function = self.compiled.get(dtype.char)
        if function is None:
            function = self._compiled(first, shape)
        if not function:
            return None
        size = math.prod(shape)
        flat = []
        for buffer in inputs:
            if type(buffer) is not np.ndarray or buffer.dtype != dtype:
                return None
            if not buffer.flags.c_contiguous:
                return None
            buffer = spread(buffer, shape)
            flat.append(buffer if buffer.ndim == 2 else buffer.reshape(buffer.shape[0], size))
        if out is None:
            out = new_buffer((self.program.size, *shape), dtype, self.dead)
        if value is not None:
            value(first[0], out=out[0, ...])
        target = out if out.ndim == 2 else out.reshape(out.shape[0], size)
        if size < _SPLIT:
            status = self._on_range(function, flat, target, 0, size)
        else:
            status = on_threads(lambda *part: self._on_range(function, flat, target, *part), size)
        return None if status else out

    def _compiled(self, buffer, shape):
        """Return the compiled function; False if there is none, None if it does not pay yet."""
        char = buffer.dtype.char
        if self.program is None or char not in "fd" or type(buffer) is not np.ndarray:
            return False
        self.work += CALL + len(buffer) * math.prod(shape)
        if self.work < WORK:
            return None
        function = False
        if cache.numba_ready():
            source = python_source(self.program, char, cache.flags())
            function = cache.loaded(self.program.name, source).kernel
        self.compiled[char] = function
        return function

    def _on_range(self, function, flat, target, start, stop):
        """Run over some elements, in blocks where NumPy functions come before."""
        calls = self.program.calls
        if not calls:
            return function(*flat, target, start, stop)
        status = 0
        for begin in range(start, stop, _BLOCK):
            end = min(begin + _BLOCK, stop)
            ready = self._called(flat, target, begin, end)
            status |= function(*flat, *ready, target, begin, end)
        return status

    def _called(self, flat, target, start, stop):
        """Return the results of the program's NumPy calls on some elements."""
        known: dict = {}
        if not self.program.quiet:
            return [_evaluated(c, flat, target, start, stop, known) for c in self.program.calls]
        with np.errstate(all="ignore"):
            return [_evaluated(c, flat, target, start, stop, known) for c in self.program.calls]

    def _run_on_device(self, inputs, shape, value, out):
        """Run on CuPy buffers; decline any other array type."""
        first = inputs[0]
        fits = all(
            type(b) is type(first)
            and b.dtype == first.dtype
            and b.shape[1:] == shape
            and b.flags.c_contiguous
            for b in inputs
        )
        cupy = type(first).__module__.startswith("cupy")
        if not (cupy and fits and self.program is not None and first.dtype.char in "fd"):
            return None
        if out is None:
            make = np.zeros_like if self.dead else np.empty_like
            out = make(first, shape=(self.program.size, *shape))
        if value is not None:
            value(first[0, ...], out=out[0, ...])
        size = math.prod(shape)
        flat = [b.reshape(len(b), size) for b in inputs]
        target = out.reshape(len(out), size)
        cuda.run(self.program, flat, self._called(flat, target, 0, size), target)
        return out


_UFUNCS = {
    **{"+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide},
    **{"negative": np.negative, "absolute": np.absolute, "sqrt": np.sqrt},
    **{"<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal},
    **{"==": np.equal, "!=": np.not_equal},
}


def _evaluated(node, flat, target, start, stop, known: dict):
    """Return the value of a node on some elements, by NumPy."""
    if not isinstance(node, Symbol):
        return node
    if node not in known:
        if node.op == "row":
            name, plane = node.args
            buffer = target if name == "out" else flat["xy".index(name)]
            known[node] = buffer[plane, start:stop]
        else:
            ufunc, *args = node.args if node.op == "call" else (_UFUNCS[node.op], *node.args)
            result = ufunc(*(_evaluated(x, flat, target, start, stop, known) for x in args))
            known[node] = result.astype(target.dtype, copy=False)  # of comparisons
    return known[node]


def spread(buffer, shape):
    """Return a contiguous buffer broadcast to the shape of the result, as kernels take them."""
    if buffer.shape[1:] == shape and buffer.flags.writeable:
        return buffer
    missing = len(shape) - (buffer.ndim - 1)
    aligned = buffer.reshape(buffer.shape[0], *(1,) * missing, *buffer.shape[1:])
    return np.broadcast_to(aligned, (buffer.shape[0], *shape)).copy()
