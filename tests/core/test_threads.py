"""Splitting work over threads: every part once, errors come through, nesting stays in a thread."""

import threading

import pytest

import mcx
from mcx.kernels import launch


@pytest.fixture(autouse=True)
def two_threads():
    before = mcx.get_num_threads()
    mcx.set_num_threads(2)
    yield
    mcx.set_num_threads(before)


def parts_of(size, **options):
    parts = []

    def run(start, stop):
        parts.append((start, stop, threading.get_ident()))
        return 1 << start

    result = launch.on_threads(run, size, **options)
    assert result == sum(1 << start for start, _, _ in parts)
    return sorted(parts)


@pytest.mark.parametrize(("size", "grain"), [(10, 1), (10, 3), (7, 7), (9, 4)])
def test_parts_are_multiples_that_make_up_the_whole(size, grain):
    parts = parts_of(size, grain=grain, least=1)
    assert [start for start, _, _ in parts] == [0, *(stop for _, stop, _ in parts[:-1])]
    assert parts[-1][1] == size
    assert all(start % grain == 0 for start, _, _ in parts)
    assert len(parts) <= 2


def test_little_work_stays_with_the_caller():
    assert parts_of(9, grain=1, least=10) == [(0, 9, threading.get_ident())]


def test_a_call_within_a_part_stays_in_its_thread():
    """Else the threads of the pool would wait for each other."""
    inner = []

    def run(start, stop):
        def nested(first, last):
            inner.append((start, first, last, threading.get_ident() == own))
            return 0

        own = threading.get_ident()
        return launch.on_threads(nested, 6, grain=1, least=1)

    launch.on_threads(run, 4, grain=1, least=1)
    assert sorted(inner) == [(0, 0, 6, True), (2, 0, 6, True)]


def test_errors_come_through():
    def run(start, stop):
        raise ZeroDivisionError("in a part")

    with pytest.raises(ZeroDivisionError, match="in a part"):
        launch.on_threads(run, 4, grain=1, least=1)
