"""Structural zeros: a plane called dead is zero, and nothing that is not zero is called dead.

The oracle is the same computation with structural zeros switched off: every plane of every number
is live. A derivative that is lost through a wrong mask differs from it.
"""

import copy
import itertools
import pickle

import numpy as np
import pytest
from core import cases
from core.algebras import ALGEBRAS, number
from core.calls import point
from core.checkers import assert_near
from core.masks import at, check, everything_live, watched
from core.test_calls import DERIVATIVES
from core.test_programs import SHAPE, Program
from core.ways import assert_dead_planes_are_zero, by_kernels, interpreted

import mcx
from mcx import dispatch
from mcx.array import Multicomplex
from mcx.kernels import program
from mcx.kernels.program import Operand
from mcx.support import mask_of

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

ORDER_2 = ALGEBRAS["order 2"]
MASKS = (0b0001, 0b0011, 0b0101, 0b0111, 0b1001, 0b1011)


class TestChecks:
    """The checks of this file can fail."""

    def test_a_plane_wrongly_dead(self, rng, monkeypatch):
        def live(self):
            return self.algebra.full if self._support is None else self._support.mask & ~0b100

        monkeypatch.setattr(Multicomplex, "live", property(live))
        z = number(rng, ORDER_2, (3,), 0b0011) + number(rng, ORDER_2, (3,), 0b0101)
        with pytest.raises(AssertionError, match=r"off by|is dead"):
            check(np.sin, z)

    def test_something_in_a_dead_plane(self, rng):
        z = number(rng, ORDER_2, (3,), 0b0111)
        with watched():
            y = z.copy()
            y._planes[3] = 1
            with pytest.raises(AssertionError, match="plane 3 is dead"):
                np.sin(z)


@pytest.mark.parametrize(
    "call", [c for c in DERIVATIVES if dispatch.classify(c.func) != "refused"], ids=str
)
def test_every_function_on_arrays(call, rng):
    x = point(call.shape, np.float64, call.positive)
    for mask in MASKS:
        check(call.run, at(rng, x, mask))


@pytest.mark.parametrize("case", cases.UNARY, ids=str)
def test_every_function_of_one_argument(case, rng):
    x = case.sample(np.dtype(float))
    for mask in MASKS:
        check(case.func, at(rng, x, mask))
    for algebra in (ALGEBRAS["series 8"], ALGEBRAS["degree 2 in 3 directions"]):
        for mask in (0b11, 0b1011, 0b100001):
            check(case.func, at(rng, np.array([0.375, 0.5]), mask, algebra))


@pytest.mark.parametrize("case", cases.BINARY, ids=str)
def test_every_function_of_two_arguments(case, rng):
    x, y = case.sample(np.dtype(float))
    for left, right in itertools.product(MASKS, repeat=2):
        check(case.func, at(rng, x, left), at(rng, y, right))
    for mask in MASKS:
        check(lambda z: case.func(z, y), at(rng, x, mask))
        check(lambda z: case.func(x, z), at(rng, y, mask))


@pytest.mark.parametrize(
    ("func", "shapes"),
    [
        (np.matmul, ((3, 4), (4, 2))), (np.matmul, ((2, 3, 4), (4, 5))), (np.matmul, ((4,), (4,))),
        (np.inner, ((3, 4), (2, 4))), (np.outer, ((3,), (4,))), (np.kron, ((2, 2), (2, 3))),
        (lambda x, y: np.tensordot(x, y, 1), ((3, 4), (4, 2))),
        (lambda x, y: np.einsum("ij,jk->ik", x, y), ((3, 4), (4, 2))),
        (lambda x, y: np.einsum("ij,ij,j", x, x, y[0]), ((3, 4), (4, 4))),
        (np.convolve, ((5,), (3,))), (np.cross, ((4, 3), (4, 3))),
    ],
)  # fmt: skip
@pytest.mark.parametrize("other", ["order 2", "order 1", "5 directions"])
def test_products(func, shapes, other, rng):
    """Of every pair of masks, and of numbers over different algebras."""
    second = ALGEBRAS[other]
    for left, right in itertools.product(MASKS, MASKS if other == "order 2" else (1, 0b11)):
        x = number(rng, ORDER_2, shapes[0], left)
        y = number(rng, second, shapes[1], right)
        check(func, x, y)
        check(lambda y, x=x: func(x.value, y), y)
        check(lambda x, y=y: func(x, y.value), x)


def check_program(seed):
    program, rng = Program(seed), np.random.default_rng(seed)
    x = rng.uniform(-1, 1, SHAPE)
    for mask in (0b0111, 0b0011, 0b1001):
        check(program.run, at(rng, x, mask))
    check(program.run, at(rng, x, 0b10010111, ALGEBRAS["order 3"]))
    series = ALGEBRAS["series 5"]
    check(program.run, at(rng, x, 0b11, series))


@pytest.mark.parametrize("seed", range(20))
def test_random_program(seed):
    check_program(seed)


@pytest.mark.parametrize("seed", range(20, 26))
def test_random_program_by_kernels(seed):
    with interpreted() as answered:
        check_program(seed)
    assert any(answered)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3000, 3300))
def test_many_random_programs(seed):
    check_program(seed)


class TestAssignment:
    """A write through one number makes planes live for all numbers on its buffer."""

    VIEWS = (
        lambda z: z[1:], lambda z: z[:, 0], lambda z: z[::-1, ::2], lambda z: z.T, lambda z: z[...],
        lambda z: z.reshape(4, 3), lambda z: z.ravel(), lambda z: z[0], lambda z: z[None],
        lambda z: np.swapaxes(z, 0, 1), lambda z: np.expand_dims(z, 0), lambda z: z[1:][:, 1:],
        lambda z: np.split(z, 3)[1], lambda z: np.atleast_3d(z), lambda z: np.moveaxis(z, 0, 1),
        lambda z: z.reshape(2, 2, 3)[1], lambda z: np.flip(z), lambda z: z[:, 1:3].T[None],
        lambda z: z.astype(float, copy=False), lambda z: list(z)[2], lambda z: z.real,
        lambda z: np.squeeze(z[:1]), lambda z: np.hsplit(z, 2)[1], lambda z: np.rot90(z),
        lambda z: np.transpose(z, (1, 0)),
    )  # fmt: skip

    @pytest.mark.parametrize("view", VIEWS)
    def test_through_a_view(self, view, rng):
        for mask in MASKS:
            z, item = number(rng, ORDER_2, (3, 4), 1), number(rng, ORDER_2, (), mask)

            def write(z, item):
                part = view(z)
                part[...] = item
                return z * 1.0, part * 1.0, np.exp(z)

            y = check(write, z, item)[0]
            assert y.live == mask

    @pytest.mark.parametrize("view", VIEWS)
    def test_of_the_base_of_a_view(self, view, rng):
        for mask in MASKS:
            z, item = number(rng, ORDER_2, (3, 4), 0b0011), number(rng, ORDER_2, (3, 4), mask)

            def write(z, item):
                part, again = view(z), view(z)[...]
                z[...] = item
                return np.sin(part), again * z.sum()

            check(write, z, item)

    INDICES = (
        0, (slice(None), 1), [0, 2], ([0, 1], [1, 2]), (..., [1, 3]), np.array([True, False, True]),
        slice(None, None, -1), (0, 0), (slice(0, 0),), (np.array([2]), slice(1, 3)),
    )  # fmt: skip

    @pytest.mark.parametrize("index", INDICES, ids=str)
    def test_at_an_index(self, index, rng):
        for first, second in itertools.product(MASKS, repeat=2):
            z, w = number(rng, ORDER_2, (3, 4), first), number(rng, ORDER_2, (3, 4), second)

            def write(z, w):
                z[index] = w[index] * 2.0
                kept = z.copy()
                z[index] = 0.5
                return kept, z, z * z

            check(write, z, w)

    def test_of_a_number_over_fewer_units(self, rng):
        y = number(rng, ALGEBRAS["order 1"], (4,))

        def write(y):
            z = np.zeros_like(y, shape=(3, 4)) + np.zeros_like(number(rng, ORDER_2, ()))
            z[1] = y
            return z * 1.0

        assert check(write, y).live == 0b0011

    def test_of_what_overlaps(self, rng):
        for mask in MASKS:

            def write(z):
                z[1:] = z[:-1]
                z[:, 1:] *= z[:, :-1]
                z += z.T[:3, :3].sum()
                return z

            check(write, number(rng, ORDER_2, (3, 4), mask))

    OUT = (
        lambda z, w, out: np.multiply(z, w, out=out), lambda z, w, out: np.add(z, w, out=out),
        lambda z, w, out: np.subtract(z, 2.0, out=out), lambda z, w, out: np.divide(w, z, out=out),
        lambda z, w, out: np.exp(z, out=out), lambda z, w, out: np.negative(z, out=out),
        lambda z, w, out: np.multiply(z, w, out=out[::-1]), lambda z, w, out: out.fill(z[0, 0]),
        lambda z, w, out: np.add(z[1:], w[:-1], out=out[:-1]), lambda z, w, out: out.__imul__(z),
        lambda z, w, out: out.__iadd__(w), lambda z, w, out: out.__itruediv__(z + 9.0),
        lambda z, w, out: np.cumsum(z, axis=0, out=out), lambda z, w, out: out.__ipow__(2),
        lambda z, w, out: np.add(z, w, out=out, where=z.value > 0),
        lambda z, w, out: np.sum([z, w], axis=0, out=out), lambda z, w, out: out.T.__imul__(w.T),
        lambda z, w, out: np.tanh(out, out=out), lambda z, w, out: out.__isub__(out[::-1]),
        lambda z, w, out: np.concatenate([z[:1], w[1:]], out=out),
        lambda z, w, out: np.take(z, [0, 2, 1], axis=0, out=out),
        lambda z, w, out: np.clip(z, -0.5, w, out=out),
    )  # fmt: skip

    @pytest.mark.parametrize("operation", range(len(OUT)))
    def test_into_an_existing_number(self, operation, rng):
        for masks in itertools.product((0b0001, 0b0011, 0b0111, 0b1001), repeat=3):
            numbers = [number(rng, ORDER_2, (3, 4), mask) for mask in masks]

            def write(z, w, out):
                view = out[1:]
                self.OUT[operation](z, w, out)
                return out * 1.0, np.sin(out), view * view

            check(write, *numbers)

    def test_an_error_leaves_no_dead_plane_filled(self, rng):
        """A kernel may have written into the target when the exception is found."""
        z, w = number(rng, ORDER_2, (3,)), number(rng, ORDER_2, (3,), 0b0111)
        z[0], w[1] = 1e300, 0.0
        for run in (lambda out: np.divide(z, w, out=out), lambda out: np.multiply(z, z, out=out),
                    lambda out: np.exp(z, out=out)):  # fmt: skip
            out = number(rng, ORDER_2, (3,), 1)
            raising = np.errstate(all="raise", under="ignore")
            with raising, by_kernels(), pytest.raises(FloatingPointError):
                run(out)
            assert_dead_planes_are_zero(out)


class TestOperations:
    OTHERS = (
        lambda z, w: np.stack([z, w]), lambda z, w: np.concatenate([z, w, z.value]),
        lambda z, w: np.where(z.value > 0, z, w), lambda z, w: np.where(z > w, 0.0, w),
        lambda z, w: np.block([[z], [w]]), lambda z, w: np.append(z, w), lambda z, w: z + w,
        lambda z, w: np.broadcast_to(z[0], (3, 4)) * w, lambda z, w: np.maximum(z, w) - w,
        lambda z, w: np.sort(z + w, axis=0),
        lambda z, w: np.array_split(np.hypot(z, w), 2)[1], lambda z, w: np.full_like(z, w[0, 0]),
        lambda z, w: np.power(np.abs(z) + 1, w),
        lambda z, w: np.prod(z + w, axis=0), lambda z, w: np.linalg.norm(z, axis=1) * w.T,
        lambda z, w: copy.copy(z) * copy.deepcopy(w), lambda z, w: z.copy() @ w.T,
        lambda z, w: pickle.loads(pickle.dumps(z)) / (pickle.loads(pickle.dumps(w)) + 9),
        lambda z, w: sum(np.sin(a) * b for a, b in zip(z, w, strict=True)),
        lambda z, w: np.add.reduce(z * w), lambda z, w: np.multiply.outer(z[0], w[0]),
        lambda z, w: np.real((z + 1j) * (w - 2j)), lambda z, w: np.diff(z * w),
        lambda z, w: np.pad(z, 1) * np.pad(w, 1, mode="edge"), lambda z, w: (z - z) * w,
    )  # fmt: skip

    @pytest.mark.parametrize("operation", range(len(OTHERS)))
    def test_of_two_numbers(self, operation, rng):
        for left, right in itertools.product(MASKS, repeat=2):
            z, w = number(rng, ORDER_2, (3, 4), left), number(rng, ORDER_2, (3, 4), right)
            check(self.OTHERS[operation], z, w)

    @pytest.mark.parametrize("order", [1, 2, 3])
    def test_nested_drivers(self, order, rng):
        x, p = rng.uniform(0.5, 1, (2, 4))
        v = rng.normal(size=4)

        def f(x):
            y = np.zeros_like(x)
            y[1:] = np.tanh(x[:-1]) * x[1:]
            return y * x + np.sum(x**3)

        def outer(t):
            inner = mcx.taylor(f, x + t * p, v, order)[order]
            _, slope = mcx.jvp(lambda s: f(s) * inner, x + t * t * p, v)
            value, lin = mcx.linearize(f, x * (1 + t))
            return np.sum(slope * lin(v) * value) + np.sum(mcx.jacobian(f, x * t + p) @ inner)

        def run(_):
            return mcx.taylor(outer, np.array(0.25), np.array(1.0), 3)

        check(run, number(rng, ORDER_2, ()))
        step = 2.0**-10
        slopes = [outer(np.array(0.25 + k * step)) for k in (-2, -1, 1, 2)]
        expected = (slopes[0] - 8 * slopes[1] + 8 * slopes[2] - slopes[3]) / (12 * step)
        assert_near(run(None)[1], expected, 1e-8)


class TestUserWrites:
    """What the public attributes hand out may be written to, now or later."""

    WRITES = (
        lambda z, a: z.planes.__setitem__(3, a), lambda z, a: z.im(1).__setitem__(..., a),
        lambda z, a: z.im(1, 2).__setitem__(0, a[0]), lambda z, a: z.value.__setitem__(..., a),
        lambda z, a: z[1:].im(1, 2).__setitem__(..., a[1:]), lambda z, a: z.T.planes.fill(0.5),
        lambda z, a: z.planes[2, 1].__setitem__(..., a[1]),
    )  # fmt: skip

    @pytest.mark.parametrize("write", WRITES)
    def test_are_seen(self, write, rng):
        array = rng.normal(size=(3, 4))
        for mask in MASKS:

            def run(z):
                view = z[:2]
                write(z, array)
                return z * z, np.exp(view), z.T @ z

            check(run, number(rng, ORDER_2, (3, 4), mask))

    def test_are_seen_when_the_array_was_taken_before(self, rng):
        def run(z):
            taken = z.planes, z.im(1), z.im(1, 2), z.value
            y = z * z
            for k, array in enumerate(taken, 2):
                array *= k
                array += 0.5
            return y, z * z, z[1:] * z[:-1]

        for mask in MASKS:
            check(run, number(rng, ORDER_2, (3, 4), mask))


STRUCTURES = ("order 2", "order 3", "series 5", "degree 2 in 3 directions", "two factors")


class TestCost:
    @pytest.mark.parametrize("structure", STRUCTURES)
    @pytest.mark.parametrize(
        "func",
        [
            np.add,
            np.multiply,
            np.divide,
            np.matmul,
            lambda x, y: np.exp(x),
            lambda x, y: np.tanh(x),
        ],
    )
    def test_no_more_planes_are_live_than_can_be_nonzero(self, func, structure, rng):
        algebra = ALGEBRAS[structure]
        first = mask_of(k for k, d in enumerate(algebra.table.degrees) if d == 1)
        masks = (
            (algebra.full, first, 1) if structure == "series 5" else (algebra.full, first, 0b101)
        )
        for left, right in itertools.product(masks, repeat=2):
            x, y = number(rng, algebra, (4, 4), left), number(rng, algebra, (4, 4), right)
            result = func(x, y)
            with everything_live():
                expected = func(x, y)
            nonzero = mask_of(k for k in range(algebra.size) if np.any(expected._planes[k]))
            assert bin(result.live) == bin(nonzero)

    def test_a_square_has_no_planes_above_the_second_power(self, rng):
        z = number(rng, ALGEBRAS["series 5"], (3,), 0b11)
        assert [n.live for n in (z * z, z**2, np.square(z), z @ z)] == [0b111] * 4

    def test_weights_in_a_network(self, rng):
        """The top plane of perturbed weights is dead until two of them meet."""
        weights, p, q = rng.normal(size=(3, 6, 4))
        w, x = mcx.perturb(weights, p, q), rng.normal(size=(5, 6))
        assert w.live == 0b0111
        hidden = x @ w + rng.normal(size=4)
        assert (
            hidden.live == np.maximum(hidden, 0.0).live == hidden.T.reshape(-1)[3:].live == 0b0111
        )
        assert np.tanh(hidden).live == (hidden @ w.T).live == 0b1111
        assert (np.zeros_like(w) + 1.0).live == (w - w.value).value.ndim - 1 == 1

    @pytest.mark.parametrize("structure", STRUCTURES)
    def test_products_are_those_of_live_planes(self, structure, rng):
        table = ALGEBRAS[structure].table
        first = mask_of(k for k, d in enumerate(table.degrees) if d == 1)
        for left, right in itertools.product((first, 0b101, 1), (first, 0b1011)):
            pairs = [t for t in table.triples if left >> t[0] & 1 and right >> t[1] & 1]
            nodes = program.product(table, Operand(left), Operand(right)).nodes
            assert sum(node.op == "*" for node in nodes) == len(pairs)
