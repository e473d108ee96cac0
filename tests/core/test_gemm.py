"""Products on stacks of planes: the number of calls, and the bytes."""

import tracemalloc

import numpy as np
import pytest
from core.algebras import ALGEBRAS, number
from core.builders import filled

import mcx


@pytest.fixture
def calls(monkeypatch):
    """Count calls: a list of (name, number of matrix products that the call stands for)."""
    seen = []

    def counting(name):
        original = getattr(np, name)

        def counted(*args, **kwargs):
            result = original(*args, **kwargs)
            seen.append((name, int(np.prod(np.shape(result)[:-2], dtype=int))))
            return result

        monkeypatch.setattr(np, name, counted)

    counting("matmul")
    counting("einsum")
    return seen


class TestCalls:
    @pytest.mark.parametrize(
        ("structure", "most"),
        [
            *((f"series {n}", n + 1) for n in (1, 2, 5, 8)),
            *(("order 1", 2), ("order 2", 4), ("5 directions", 2), ("exact 1", 2), ("exact 2", 4)),
        ],
    )
    def test_of_two_numbers(self, structure, most, calls, rng):
        algebra = ALGEBRAS[structure]
        z, w = number(rng, algebra, (4, 5)), number(rng, algebra, (5, 3))
        for product in (lambda: z @ w, lambda: z.dot(w), lambda: np.tensordot(z, w, 1)):
            calls.clear()
            product()
            assert len(calls) == most
        x, v = number(rng, algebra, (3, 5)), number(rng, algebra, (5,))
        for product in (
            lambda: np.inner(z, x),
            lambda: z @ v,
            lambda: v @ w,
            lambda: np.vdot(v, v),
        ):
            calls.clear()
            product()
            assert len(calls) == most

    @pytest.mark.parametrize("structure", ["order 3", "degree 2 in 3 directions", "two factors"])
    def test_of_two_numbers_are_fewer_than_pairs(self, structure, calls, rng):
        algebra = ALGEBRAS[structure]
        number(rng, algebra, (4, 5)) @ number(rng, algebra, (5, 3))
        assert len(calls) <= len(algebra.table.triples) / 2

    @pytest.mark.parametrize("structure", ALGEBRAS)
    def test_with_a_plain_operand_are_one(self, structure, calls, rng):
        algebra = ALGEBRAS[structure]
        z, w = number(rng, algebra, (4, 5)), number(rng, algebra, (5, 3))
        for product, matrices in (
            (lambda: z @ w.value, 1),  # all planes of z are the rows of one matrix
            (lambda: z[None] @ w.value, 1),
            (lambda: z[0] @ w.value, 1),
            (lambda: z @ w.value[:, 0], 1),
            (lambda: np.tensordot(z, w.value, 1), 1),
            (lambda: z.value @ w, algebra.size),
            (lambda: np.dot(z.value, w), algebra.size),
        ):
            calls.clear()
            product()
            assert calls == [("matmul", matrices)]

    def test_with_many_vectors_make_one_matrix(self, calls, rng):
        v = number(rng, ALGEBRAS["series 8"], (5,))
        rng.normal(size=(4, 5)) @ v
        assert calls == [("matmul", 1)]

    def test_skip_dead_planes(self, calls, rng):
        x, w = rng.normal(size=(4, 5)), rng.normal(size=(5, 3))
        fresh = mcx.perturb(w, w, w)  # the plane i_1 i_2 is zero
        result = x @ fresh
        assert calls == [("matmul", 3)]
        assert result.live == 0b111
        calls.clear()
        filled(rng.normal(size=(4, 4, 5))) @ fresh
        assert len(calls) == 3
        assert sum(matrices for _, matrices in calls) <= 1 + 2 + 2
        calls.clear()
        mcx.perturb(x, x) @ mcx.perturb(w, None, w)  # both over fewer units than the product
        assert [matrices for _, matrices in calls] == [1, 1]

    def test_of_einsum(self, calls, rng):
        z, w = (number(rng, ALGEBRAS["order 2"], shape) for shape in ((4, 5), (5, 3)))
        for args, most in (
            (("ij,jk->ik", z, w), 4),
            (("ij,jk->ik", z, w.value), 1),
            (("...j,jk", z.value, w), 1),
            (("ij,jk,kl->il", z, w, w.value.T), 4),
            (("ij->j", z), 1),
        ):
            calls.clear()
            np.einsum(*args)
            assert len(calls) - 1 == most  # one is the call above

    def test_of_a_registered_product_are_one_per_live_pair(self, rng):
        seen = []
        product = mcx.register_bilinear(lambda x, y: seen.append(1) or x @ y)
        z, w = filled(rng.normal(size=(4, 4, 5))), filled(rng.normal(size=(4, 5, 3)))
        product(z, w)
        assert len(seen) == 9
        seen.clear()
        product(z, mcx.perturb(w.value, w.value, None))
        assert len(seen) == 4 + 2
        seen.clear()
        result = product(z.value, mcx.perturb(w.value, w.value, w.value))
        assert (len(seen), result.live) == (3, 0b111)


def test_registered_product_with_several_results(rng):
    both = mcx.register_bilinear(lambda x, y: (x @ y, y.T @ x.T))
    z, w = filled(rng.normal(size=(4, 4, 5))), filled(rng.normal(size=(4, 5, 3)))
    first, second = both(z, w)
    np.testing.assert_allclose(first.planes, (z @ w).planes, atol=1e-13)
    np.testing.assert_allclose(second.planes, (w.T @ z.T).planes, atol=1e-13)


def extra_bytes(func):
    """Return the peak of memory that NumPy asks for during a call, result included."""
    func()  # plans and caches
    tracemalloc.start()
    try:
        result = func()
        return tracemalloc.get_traced_memory()[1], result
    finally:
        tracemalloc.stop()


SIDE = 256
PLANE = SIDE * SIDE * 8
SLACK = 20_000


class TestBytes:
    @pytest.fixture(autouse=True)
    def _fresh_memory(self, monkeypatch):
        """Blocks that are used again are not counted as allocated."""
        monkeypatch.setattr("mcx.memory.SMALLEST", 1 << 60)

    @pytest.mark.parametrize(
        ("structure", "group"), [("order 1", 1), ("order 2", 2), ("series 8", 8)]
    )
    def test_of_products(self, structure, group, rng):
        algebra = ALGEBRAS[structure]
        z, w = (number(rng, algebra, (SIDE, SIDE)) for _ in range(2))
        full = algebra.size * PLANE + SLACK
        for func, limit in (
            (lambda: z @ w.value, full),
            (lambda: z.value @ w, full),
            (lambda: z @ w, full + group * PLANE),
            (lambda: z.T @ w, full + group * PLANE),
            (lambda: z @ w.T, full + group * PLANE),
            (lambda: np.dot(z.T, w.value), full),
            (lambda: np.inner(z, w.value), full),
            (lambda: np.tensordot(z, w, 1), full + group * PLANE),
            (lambda: np.tensordot(z, w.value, (0, 0)), full),
            (lambda: np.tensordot(z.value, w, (1, 1)), full),
            (lambda: np.einsum("ij,kj->ik", z.value, w), full),
        ):
            peak, result = extra_bytes(func)
            assert result.nbytes <= peak <= limit

    def test_of_matrices_inside_larger_arrays(self, rng):
        z = number(rng, ALGEBRAS["order 2"], (SIDE, 2 * SIDE))
        w = rng.normal(size=(SIDE, SIDE))
        full = 4 * PLANE + SLACK
        assert extra_bytes(lambda: z[:, :SIDE] @ w)[0] <= full
        assert extra_bytes(lambda: z.T[SIDE:] @ w)[0] <= full
        assert extra_bytes(lambda: w @ z[:, SIDE:])[0] <= full

    def test_of_numbers_over_different_units(self, rng):
        a, b = rng.normal(size=(2, SIDE, SIDE))
        z, w = mcx.perturb(a, b), mcx.perturb(b, None, a)
        assert extra_bytes(lambda: z @ w)[0] <= 4 * PLANE + SLACK
        w = mcx.perturb(b, a, a)
        assert extra_bytes(lambda: z @ w)[0] <= (4 + 2) * PLANE + SLACK

    def test_of_a_registered_product(self, rng):
        product = mcx.register_bilinear(lambda x, y: x @ y)
        z, w = (number(rng, ALGEBRAS["order 2"], (SIDE, SIDE)) for _ in range(2))
        assert extra_bytes(lambda: product(z, w))[0] <= (4 + 1) * PLANE + SLACK

    def test_of_kernels_that_stand_transposed(self, rng):
        z, kernels = (number(rng, ALGEBRAS["order 1"], (SIDE, 16, SIDE // 16)) for _ in range(2))
        axes = ((1, 2), (1, 2))
        full = 2 * PLANE + SLACK
        assert extra_bytes(lambda: np.tensordot(z.value, kernels, axes))[0] <= full
        assert extra_bytes(lambda: np.tensordot(z, kernels.value, axes))[0] <= full
        assert extra_bytes(lambda: np.tensordot(z, kernels, axes))[0] <= full + PLANE
