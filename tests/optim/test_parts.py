"""Batches in parts on threads: sizes and shares, order, nesting, exceptions, contexts, forks."""

import math
import multiprocessing
import os
import threading
import warnings

import numpy as np
import pytest

import mcx
from mcx_optim import NonFiniteError, Objective
from mcx_optim.parts import LEAST, on_each, split, weighted


@pytest.fixture(params=[1, 2, 3], ids="{} threads".format)
def threads(request):
    before = mcx.get_num_threads()
    mcx.set_num_threads(request.param)
    yield request.param
    mcx.set_num_threads(before)


@pytest.fixture
def two_threads():
    before = mcx.get_num_threads()
    mcx.set_num_threads(2)
    yield
    mcx.set_num_threads(before)


# ---- split


@pytest.mark.parametrize("most", [1, 5, 63, 64, 100, 1024])
@pytest.mark.parametrize("samples", [1, 2, 63, 64, 127, 128, 129, 191, 192, 200, 1000, 2049])
def test_parts_make_up_the_batch(samples, most, threads):
    x, y = np.arange(2.0 * samples).reshape(samples, 2), np.arange(samples)
    parts = split((x, y), most)
    sizes = [len(part[1]) for _, part in parts]
    for k, whole in enumerate((x, y)):
        np.testing.assert_array_equal(np.concatenate([part[k] for _, part in parts]), whole)
    np.testing.assert_allclose(math.fsum(share for share, _ in parts), 1, rtol=1e-15)
    for (share, _), size in zip(parts, sizes, strict=True):
        np.testing.assert_allclose(share, size / samples, rtol=1e-15)
    assert max(sizes) <= most
    assert max(sizes) - min(sizes) <= 1
    assert len(parts) == 1 or min(sizes) >= min(LEAST, most // 2)


def test_every_thread_has_as_many_parts(threads):
    for samples, most, expected in (
        (threads * LEAST, 1000, threads),
        (threads * 1000, 1000, threads),
        (threads * 1000 + 1, 1000, 2 * threads),
        (LEAST, 1000, 1),
    ):
        assert len(split((np.zeros(samples),), most)) == expected


def test_no_part_is_too_small_for_its_calls():
    before = mcx.get_num_threads()
    try:
        mcx.set_num_threads(8)
        sizes = [len(split((np.zeros(samples),), 1000)) for samples in (63, 127, 128, 320, 5000)]
    finally:
        mcx.set_num_threads(before)
    assert sizes == [1, 1, 2, 5, 8]


def test_parts_are_views(two_threads):
    x = np.zeros((200, 3))
    assert all(np.shares_memory(part[0], x) for _, part in split((x,), 1000))


def test_no_batch(threads):
    assert split(None, 10) == [(1.0, None)]


def test_one_part_is_the_batch_itself(threads):
    batch = np.zeros(10), np.ones(10)
    [(share, part)] = split(batch, 10)
    assert share == 1
    assert part is batch


# ---- on_each


@pytest.mark.parametrize("count", [0, 1, 2, 7])
def test_results_come_in_the_order_of_the_parts(count, threads):
    """Though the first part of every thread is done last."""
    done = [threading.Event() for _ in range(count)]

    def slow(k):
        if k == 0 and threads > 1 and count > 1:
            assert done[-1].wait(10)
        done[k].set()
        return k * k

    assert on_each(slow, list(range(count))) == [k * k for k in range(count)]


def test_parts_run_at_the_same_time(two_threads):
    """Each waits for the other."""
    together = threading.Barrier(2)
    assert sorted(on_each(lambda part: together.wait(10), "ab")) == [0, 1]


def test_within_a_part_all_runs_in_its_thread(two_threads):
    """Else the threads of the pool would wait for each other."""

    def inner(part):
        return on_each(lambda k: (part, k, threading.get_ident()), range(3))

    nested = on_each(lambda part: (threading.get_ident(), on_each(inner, [part, part])), range(4))
    for part, (own, results) in enumerate(nested):
        assert results == [[(part, k, own) for k in range(3)]] * 2


@pytest.mark.parametrize("error", [ValueError, FloatingPointError, NonFiniteError])
def test_an_error_of_a_part_comes_once_and_the_threads_live_on(error, threads):
    def fails(part):
        if part != 2:
            return part
        raise error("in part 2")

    for _ in range(5):
        with pytest.raises(error, match=r"^in part 2$") as caught:
            on_each(fails, range(5))
        assert caught.value.__context__ is None
        assert on_each(fails, [0, 1, 3, 4]) == [0, 1, 3, 4]


def test_of_several_errors_the_first_comes(threads):
    def fails(part):
        raise ValueError(f"in part {part}")

    with pytest.raises(ValueError, match="in part 0"):
        on_each(fails, range(5))


def test_the_error_state_of_the_caller_holds_in_every_part(threads):
    states = [{"all": "ignore"}, {"all": "raise"}, {"divide": "call", "over": "raise"}]
    for state in states:
        with np.errstate(**state):
            assert on_each(lambda part: np.geterr(), range(5)) == [np.geterr()] * 5

    def divided(part):
        return np.ones(2) / np.array([1.0, part])

    with np.errstate(divide="raise"), pytest.raises(FloatingPointError):
        on_each(divided, [1, 1, 1, 0])
    with np.errstate(divide="ignore"), warnings.catch_warnings():
        warnings.simplefilter("error")
        assert [quotient[1] for quotient in on_each(divided, [1, 1, 1, 0])] == [1, 1, 1, np.inf]


def test_error_states_within_a_part_stay_there(threads):
    def changes(part):
        np.seterr(all="ignore" if part % 2 else "raise")
        return part

    before = np.geterr()
    try:
        if threads > 1:
            on_each(changes, range(4))
            assert np.geterr() == before
    finally:
        np.seterr(**before)


# ---- objectives


def quadratic(w, batch):
    (x,) = batch
    return float(np.mean((x @ w) ** 2)), 2 * x.T @ (x @ w) / len(x)


def test_an_objective_in_parts_is_that_of_the_batch(threads, rng):
    x, w = rng.normal(size=(301, 4)), rng.normal(size=4)
    objective = Objective(quadratic, separable=True, chunk=70)
    loss, gradient = objective.value_and_grad(w, (x,))
    expected_loss, expected = quadratic(w, (x,))
    np.testing.assert_allclose(loss, expected_loss, rtol=1e-13)
    np.testing.assert_allclose(gradient, expected, rtol=1e-12)


def test_an_objective_survives_what_is_not_finite_in_one_part(threads, rng):
    x, w = rng.normal(size=(301, 4)), rng.normal(size=4)
    objective = Objective(quadratic, separable=True, chunk=70)
    good = objective.value_and_grad(w, (x,))
    bad = x.copy()
    bad[250, 1] = np.nan
    for _ in range(3):
        with pytest.raises(NonFiniteError, match=r"loss is nan on the batch .*301 samples"):
            objective.value_and_grad(w, (bad,))
    again = objective.value_and_grad(w, (x,))
    assert again[0] == good[0]
    np.testing.assert_array_equal(again[1], good[1])


# ---- processes


def in_child(sender):
    parts = split((np.arange(300.0),), 1000)
    together = threading.Barrier(len(parts))

    def summed(item):
        together.wait(10)
        return float(item[1][0].sum()), threading.get_ident()

    sums, idents = zip(*on_each(summed, parts), strict=True)
    sender.send((len(parts), sum(sums), len({*idents, threading.get_ident()})))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_starts_threads_of_its_own(two_threads):
    on_each(lambda part: part, range(4))  # the parent's pool is running
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=in_child, args=(sender,))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks with threads, Python 3.12
        child.start()
    sender.close()
    try:
        assert receiver.poll(60), "the child waits for threads of its parent"
        assert receiver.recv() == (2, 300 * 299 / 2, 3)
        child.join(60)
        assert child.exitcode == 0
    finally:
        child.kill()
        child.join()
    assert on_each(lambda part: -part, range(3)) == [0, -1, -2]


def test_weighted():
    arrays = [np.array([1.0, 2.0]), np.array([3.0, 6.0])]
    np.testing.assert_array_equal(weighted([0.25, 0.75], arrays), [2.5, 5])
    assert weighted([1.0], arrays[:1]) is arrays[0]
