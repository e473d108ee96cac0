"""Memory that is used again: never while an array still lies in it."""

import os
import threading

import numpy as np
import pytest

import mcx
from mcx import memory

DTYPE = np.dtype(float)
SHAPE = (4, memory.SMALLEST // DTYPE.itemsize)


@pytest.fixture(autouse=True)
def _no_blocks(monkeypatch):
    monkeypatch.setattr(memory, "_shelves", {})


def address(array):
    return array.ctypes.data


def test_memory_of_dead_arrays_is_used_again():
    first = memory.new_buffer(SHAPE, DTYPE)
    place = address(first)
    second = memory.new_buffer(SHAPE, DTYPE)
    assert not np.shares_memory(first, second)
    del first
    assert address(memory.new_buffer(SHAPE, DTYPE)) == place


@pytest.mark.parametrize(
    "keep",
    [lambda a: a[1:, 3], lambda a: a.T, lambda a: a.view(np.int64), lambda a: a.reshape(-1)[5:6]],
)
def test_a_view_keeps_the_memory(keep):
    array = memory.new_buffer(SHAPE, DTYPE)
    array.fill(7)
    view = keep(array)
    before = view.copy()
    del array
    other = memory.new_buffer(SHAPE, DTYPE)
    other.fill(1)
    np.testing.assert_array_equal(view, before)


def test_numbers_and_their_views_keep_it():
    x = mcx.perturb(np.ones(SHAPE[1]), *np.ones((2, SHAPE[1])))
    y = (x + x) * 3.0
    kept = y[5:8], y.im(1, 2), y.value.reshape(2, -1)[1]
    before = [np.copy(k.planes if isinstance(k, mcx.Multicomplex) else k) for k in kept]
    del y
    for _ in range(5):
        (x * -1.0 + x).planes.fill(9)
    for k, old in zip(kept, before, strict=True):
        np.testing.assert_array_equal(k.planes if isinstance(k, mcx.Multicomplex) else k, old)


def test_named_planes_are_zero_and_small_arrays_own_their_memory():
    memory.new_buffer(SHAPE, DTYPE).fill(5)
    again = memory.new_buffer(SHAPE, DTYPE, zeros=(1, 3))
    assert not again[[1, 3]].any()
    assert memory.new_buffer((2, 3), DTYPE).base is None


def test_what_is_kept_is_bounded(monkeypatch):
    monkeypatch.setattr(memory, "MOST", 10 * memory.SMALLEST)
    for k in range(1, 30):
        memory.new_buffer((k, SHAPE[1]), DTYPE)
        assert memory.kept() <= memory.MOST


def test_the_blocks_used_last_are_kept(monkeypatch):
    monkeypatch.setattr(memory, "MOST", 7 * memory.SMALLEST)
    held = [memory.new_buffer((k, SHAPE[1]), DTYPE) for k in (1, 3)]
    first, second = map(address, held)
    del held
    assert address(memory.new_buffer((1, SHAPE[1]), DTYPE)) == first  # now the one used last
    memory.new_buffer((4, SHAPE[1]), DTYPE)  # needs the room of the other
    assert memory.kept() <= memory.MOST
    assert address(memory.new_buffer((1, SHAPE[1]), DTYPE)) == first
    assert second not in [entry[1].ctypes.data for row in memory._shelves.values() for entry in row]


def test_a_block_is_never_twice_too_large():
    place = address(memory.new_buffer((1, 3 * SHAPE[1]), DTYPE))
    assert address(memory.new_buffer((1, SHAPE[1]), DTYPE)) != place
    assert address(memory.new_buffer((1, 2 * SHAPE[1]), DTYPE)) == place


def test_threads_never_share_memory():
    failures = []

    def work(mark):
        for _ in range(300):
            array = memory.new_buffer(SHAPE, DTYPE)
            array.fill(mark)
            if not (array == mark).all():
                failures.append(mark)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_blocks_can_be_given_up():
    array = memory.new_buffer(SHAPE, DTYPE)
    array.fill(3)
    memory.forget()
    memory.new_buffer(SHAPE, DTYPE).fill(4)
    assert (array == 3).all()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_fork_waits_for_the_lock():
    """A child has no thread that would ever release a lock that was held at the fork."""
    memory._lock.acquire()
    threading.Timer(0.05, memory._lock.release).start()
    child = os.fork()
    if not child:
        os._exit(int(memory._lock.locked()))
    assert os.waitpid(child, 0)[1] == 0
    assert not memory._lock.locked()
