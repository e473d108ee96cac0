"""Objective.linearize in a Krylov loop: what it keeps, when it is freed, what it computes.

Reference counting alone must free a linearization, so the cyclic collector is off where memory is
measured. Arrays are counted by tracemalloc, in NumPy's own domain where the number is to be exact.
"""

import gc
import statistics
import tracemalloc
import weakref
from itertools import pairwise

import numpy as np
import pytest

import mcx
from mcx_nn import (
    Activation,
    AvgPool2d,
    Conv2d,
    Dense,
    Flatten,
    Sequential,
    Supervised,
    softmax_cross_entropy,
)
from mcx_nn.convolutions import compiled
from mcx_optim import Hessian, NonFiniteError, Objective

ARRAYS = tracemalloc.DomainFilter(True, np.lib.tracemalloc_domain)


@pytest.fixture(params=[np.float32, np.float64], ids=["float32", "float64"])
def network(request, rng, monkeypatch):
    """Objective of a small convolution network on four images, w, and eight directions.

    Its convolutions are compiled from the start: a compiler at work would be a peak of memory.
    """
    monkeypatch.setattr(compiled, "_work", 1 << 62)
    layers = [Conv2d(1, 4, kernel=3, padding=1), Activation("tanh"), AvgPool2d(2), Flatten()]
    layers += [Dense(400, 60), Activation("sigmoid"), Dense(60, 10)]
    problem = Supervised(Sequential(layers), softmax_cross_entropy)
    images = rng.standard_normal((4, 20, 20, 1)).astype(request.param)
    objective = Objective(problem.value_and_grad, data=(images, np.array([3, 1, 4, 1])))
    w = problem.init(rng, request.param)
    return objective, w, rng.standard_normal((8, w.size)).astype(request.param)


@pytest.fixture
def no_collector():
    """Leave all freeing to reference counts."""
    gc.collect()
    gc.disable()
    yield
    gc.unfreeze()
    gc.enable()
    gc.collect()


def forget():
    """Empty what is kept for later use: memory of mcx and Python's free lists, but no cycle."""
    mcx.memory.forget()
    gc.freeze()  # the collection that empties the free lists finds no object to look at
    gc.collect()


def bytes_of_arrays():
    """Return what live arrays hold."""
    forget()
    traces = tracemalloc.take_snapshot().filter_traces([ARRAYS]).traces
    return sum(trace.size for trace in traces)


def check_flat(step, times, small=200):
    """Check that `step`, many times over, holds no more arrays and reaches no higher peak.

    After a warm-up the arrays held are the same to the byte; the peak, where all objects count,
    grows by no more than so many bytes in the median step: tables of the interpreter and of caches
    of bounded length double at some step, whenever the process has filled them.
    """
    tracemalloc.start()
    try:
        for _ in range(5):
            step()
        arrays = bytes_of_arrays()
        peaks = []
        for _ in range(times):
            forget()
            tracemalloc.reset_peak()
            step()
            peaks.append(tracemalloc.get_traced_memory()[1])
        growth = [after - before for before, after in pairwise(peaks)]
        assert statistics.median(growth) < small
        assert bytes_of_arrays() == arrays
    finally:
        tracemalloc.stop()


class TestFreed:
    def test_over_200_linearizations(self, network, no_collector):
        objective, w, directions = network

        def step():
            _, _, hvp = objective.linearize(w, objective.data)
            hvp(directions[0])

        check_flat(step, 200)

    def test_over_200_products_of_one_linearization(self, network, no_collector):
        objective, w, directions = network
        H = Hessian(objective, w, objective.data)
        check_flat(lambda: H @ directions[0], 200)
        # Generators are fresh in every call; caches of bounded length know a few of them.
        check_flat(lambda: H.block(directions[:3]), 50, small=1500)

    @pytest.mark.parametrize("part", [0, 1, 2])
    def test_check_flat_finds_what_is_kept(self, network, no_collector, part):
        """Be it the program, one array of it, or a number in a cycle."""
        objective, w, _ = network
        kept = []

        def step():
            hvp = objective.linearize(w, objective.data)[2]
            if part == 0:
                kept.append(hvp)
            elif part == 1:
                kept.append(np.ones(1, np.int8))
            else:
                hvp.cycle = hvp

        with pytest.raises(AssertionError):
            check_flat(step, 10)

    def test_at_once_and_without_cycles(self, network, no_collector):
        objective, w, directions = network
        _, _, hvp = objective.linearize(w, objective.data)
        hvp(directions[0])
        hvp(directions)
        dead = weakref.ref(hvp), weakref.ref(hvp._terms[0][0])
        del hvp
        assert [ref() for ref in dead] == [None, None]
        assert gc.collect() == 0

    def test_a_failed_linearization_keeps_nothing(self, network, no_collector):
        objective, w, _ = network
        broken = np.full_like(w, np.nan)

        def step():
            with pytest.raises(NonFiniteError):
                objective.linearize(broken, objective.data)

        check_flat(step, 10)


class TestBytes:
    def test_nbytes_is_what_is_held(self, network, no_collector):
        """To a hundredth: views of one array count once, and no value is kept that is not told."""
        objective, w, directions = network
        objective.linearize(w, objective.data)[2](directions[0])
        tracemalloc.start()
        try:
            before = bytes_of_arrays()
            hvp = objective.linearize(w, objective.data)[2]
            held = bytes_of_arrays() - before
        finally:
            tracemalloc.stop()
        assert hvp.nbytes == pytest.approx(held, rel=0.01)
        assert Hessian(objective, w, objective.data).nbytes == hvp.nbytes

    def test_products_keep_nothing(self, network, no_collector):
        objective, w, directions = network
        hvp = objective.linearize(w, objective.data)[2]
        tracemalloc.start()
        try:
            before = bytes_of_arrays()
            hvp(directions[0])
            hvp(directions)
            assert bytes_of_arrays() == before
        finally:
            tracemalloc.stop()


class Counted:
    """Two dense layers made of one registered product, which notes all that it computes.

    The gradient has five products. Three have two factors that depend on w, and two have one that
    does not: the data. Their tangents are 3·2 + 2 = 8 products.
    """

    VALUES, TANGENTS = 5, 8

    def __init__(self, rng):
        self.runs, self.products = 0, []
        self.data = rng.standard_normal((5, 4)), rng.standard_normal((5, 2))

        @mcx.register_bilinear
        def product(a, b):
            self.products.append(a @ b)
            return self.products[-1]

        self.product = product

    def value_and_grad(self, w, batch):
        self.runs += 1
        X, Y = batch
        W1, W2 = w[:12].reshape(4, 3), w[12:].reshape(3, 2)
        h = np.tanh(self.product(X, W1))
        r = self.product(h, W2) - Y
        d = self.product(r, W2.T) * (1 - h * h)
        gradients = self.product(X.T, d), self.product(h.T, r)
        return np.sum(r * r) / 2, np.concatenate([g.reshape(-1) for g in gradients])

    def taken(self):
        """Return the products since the last call, as copies."""
        products, self.products = [p.copy() for p in self.products], []
        return products


def among(product, products):
    return any(np.array_equal(product, p) for p in products)


class TestComputed:
    def test_the_value_path_runs_once(self, rng):
        counted = Counted(rng)
        objective = Objective(counted.value_and_grad, data=counted.data)
        w, p = rng.standard_normal((2, 18))
        H = Hessian(objective, w, counted.data)
        values = counted.taken()
        assert len(values) == counted.VALUES
        for _ in range(3):
            Hp = H @ p
            tangents = counted.taken()
            assert len(tangents) == counted.TANGENTS
            assert not any(among(t, values) for t in tangents)
        assert counted.runs == 1
        fresh = objective.hvp(w, counted.data, p)
        again = counted.taken()
        assert len(again) == counted.VALUES + counted.TANGENTS
        assert sum(among(value, again) for value in values) == counted.VALUES  # so it is noticed
        assert counted.runs == 2
        np.testing.assert_allclose(Hp, fresh, rtol=1e-13)

    def test_block_is_the_products_of_its_directions(self, rng):
        counted = Counted(rng)
        objective = Objective(counted.value_and_grad, data=counted.data)
        P = rng.standard_normal((8, 18))
        H = Hessian(objective, rng.standard_normal(18), counted.data)
        values = counted.taken()
        single = np.array([H @ p for p in P])
        counted.taken()
        block = H.block(P)
        tangents = counted.taken()
        np.testing.assert_allclose(block, single, rtol=1e-13, atol=1e-14)
        assert len(tangents) == 8 * counted.TANGENTS
        assert not any(among(t, values) for t in tangents)
        assert counted.runs == 1

    def test_block_of_a_network(self, network):
        """To the rounding of products in another order, against the largest entry."""
        objective, w, directions = network
        _, _, hvp = objective.linearize(w, objective.data)
        block = hvp(directions)
        single = np.array([hvp(p) for p in directions])
        assert block.dtype == single.dtype == w.dtype
        tolerance = 50 * np.finfo(w.dtype).eps * np.abs(single).max()
        np.testing.assert_allclose(block, single, rtol=0, atol=tolerance)
