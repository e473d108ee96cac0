"""Kernels against the plain NumPy way, bit for bit: every operation, algebra and set of planes."""

import itertools
import threading
import warnings

import numpy as np
import pytest
from core.algebras import ALGEBRAS, UNITS
from core.ways import (
    assert_dead_planes_are_zero,
    assert_same,
    both,
    by_kernels,
    interpreted,
    plainly,
)

import mcx
from mcx.algebra import algebra_of, fresh_factor, unit_factor
from mcx.kernels import launch
from mcx.rules.arithmetic import ANALYTIC
from mcx.support import mask_of, supported
from mcx.table import degree_indices, taylor_indices

EXACT = {name: algebra for name, algebra in ALGEBRAS.items() if algebra.exact}
LIMIT = {name: algebra for name, algebra in ALGEBRAS.items() if not algebra.exact} | {
    "order 4": algebra_of((*UNITS[3], unit_factor(4))),
    "series 4": algebra_of((fresh_factor(taylor_indices(4)),)),
    "3 directions": algebra_of((fresh_factor(degree_indices(3, 1)),)),
}
I1, I2 = (algebra_of((unit_factor(k),)) for k in (1, 2))
I23 = algebra_of((unit_factor(2), unit_factor(3)))

BINARY = (np.add, np.subtract, np.multiply, np.divide)
POWERS = (2, 3, -1, 0.5, 2.5)
FUNCTIONS = [pytest.param(func, id=func.__name__) for func in ANALYTIC] + [
    pytest.param(lambda z, p=p: np.power(z, p), id=f"power {p}") for p in POWERS
]
DOMAINS = {np.arccosh: (1.25, 2.5)}
SHAPES = ((), (7,), (3, 5))
PAIRS = (*zip(SHAPES, SHAPES, strict=True), ((5,), (3, 5)), ((3, 1), (1, 5)))


def masks_of(algebra, rng):
    """Return masks of live planes: all, value and first degree, two at random, the value."""
    chosen = [int(m) | 1 for m in rng.integers(1 << min(algebra.size, 62), size=2)]
    first = mask_of(k for k, d in enumerate(algebra.table.degrees) if d == 1)
    return dict.fromkeys([algebra.full, first, *chosen, 1])


def number(rng, algebra, shape, mask=None, dtype=float, domain=(0.25, 0.75)):
    """Return a number with its value in the domain and tangents of size about 1."""
    mask = algebra.full if mask is None else mask
    planes = rng.uniform(-1.5, 1.5, (algebra.size, *shape)).astype(dtype)
    planes[0] = rng.uniform(*domain, shape)
    for k in range(algebra.size):
        if not mask >> k & 1:
            planes[k] = 0
    return mcx.Multicomplex(planes, algebra, supported(mask, algebra))


def check(func, *numbers):
    """Check that the source of the kernel of a function computes the bits of the plain way."""
    with interpreted() as answered:
        result = func(*numbers)
    assert all(answered)
    with plainly():
        assert_same(result, func(*numbers))
    return len(answered)


class TestSource:
    """Every structure, the source of its kernels run by Python."""

    @pytest.mark.parametrize("structure", LIMIT)
    @pytest.mark.parametrize("func", BINARY, ids=lambda func: func.__name__)
    def test_two_numbers(self, func, structure, dtype, rng):
        algebra = LIMIT[structure]
        masks = masks_of(algebra, rng)
        for left, right in itertools.product(masks, masks):
            x, y = (number(rng, algebra, (3,), mask, dtype) for mask in (left, right))
            assert check(func, x, y) or left == right  # plain sums of like planes

    @pytest.mark.parametrize("shapes", PAIRS, ids=str)
    @pytest.mark.parametrize("func", BINARY, ids=lambda func: func.__name__)
    def test_shapes(self, func, shapes, dtype, rng):
        first, second = shapes
        x = number(rng, LIMIT["order 2"], first, dtype=dtype)
        y = number(rng, LIMIT["order 2"], second, 0b101, dtype)
        assert check(func, x, y)
        assert check(func, y, x)

    @pytest.mark.parametrize("structure", LIMIT)
    def test_plain_over_number(self, structure, dtype, rng):
        algebra = LIMIT[structure]
        array = rng.uniform(0.5, 1, (3,)).astype(dtype)
        for mask in masks_of(algebra, rng):
            y = number(rng, algebra, (3,), mask, dtype)
            for x in (array, array[:1], 2.0, 3, dtype.type(0.3)):
                assert check(np.divide, x, y)

    @pytest.mark.parametrize("structure", EXACT)
    @pytest.mark.parametrize("func", BINARY[:3], ids=lambda func: func.__name__)
    def test_exact_reading(self, func, structure, dtype, rng):
        algebra = EXACT[structure]
        masks = masks_of(algebra, rng)
        for left, right in itertools.product(masks, masks):
            x, y = (number(rng, algebra, (3,), mask, dtype) for mask in (left, right))
            assert check(func, x, y) or left == right

    @pytest.mark.parametrize("func", BINARY, ids=lambda func: func.__name__)
    def test_two_algebras(self, func, dtype, rng):
        for first, second in itertools.permutations((I1, I2, I23, LIMIT["order 2"]), 2):
            for left, right in itertools.product((1, first.full), (1, second.full)):
                x = number(rng, first, (3,), left, dtype)
                y = number(rng, second, (3,), right, dtype)
                assert check(func, x, y)

    @pytest.mark.parametrize("structure", LIMIT)
    @pytest.mark.parametrize("func", FUNCTIONS)
    def test_functions(self, func, structure, dtype, rng):
        algebra, domain = LIMIT[structure], DOMAINS.get(func, (0.25, 0.75))
        asked = [
            check(func, number(rng, algebra, (3,), mask, dtype, domain))
            for mask in masks_of(algebra, rng)
            if mask > 1
        ]
        assert algebra.size > 5 or all(asked)  # longer recurrences may be too long to unroll

    @pytest.mark.parametrize("func", FUNCTIONS)
    def test_functions_of_the_value_alone(self, func, dtype, rng):
        domain = DOMAINS.get(func, (0.25, 0.75))
        check(func, number(rng, LIMIT["order 2"], (3,), 1, dtype, domain))


def sample(rows, count, seed=20201124):
    """Mark all rows slow but some, drawn at random."""
    chosen = set(np.random.default_rng(seed).choice(len(rows), count, replace=False).tolist())
    slow = pytest.mark.slow
    return [
        pytest.param(*row, id="-".join(map(str, ids)), marks=() if k in chosen else slow)
        for k, (row, ids) in enumerate(rows)
    ]


STRUCTURES = ("order 1", "order 2", "order 3", "order 4", "series 4", "series 5", "3 directions")
COMPILED = [
    ((func.values[0], structure, np.dtype(char)), (func.id, structure, char))
    for func in FUNCTIONS
    for structure in STRUCTURES
    for char in "fd"
]


class TestCompiled:
    """The machine code of Numba; rows left out by default are marked slow."""

    @pytest.mark.parametrize("structure", STRUCTURES)
    @pytest.mark.parametrize("func", BINARY[2:], ids=lambda func: func.__name__)
    def test_two_numbers(self, func, structure, rng):
        x, y = (number(rng, LIMIT[structure], (3, 5)) for _ in range(2))
        assert_same(*both(lambda: func(x, y)))

    @pytest.mark.parametrize(("func", "structure", "dtype"), sample(COMPILED, 20))
    def test_functions(self, func, structure, dtype, rng):
        algebra, domain = LIMIT[structure], DOMAINS.get(func, (0.25, 0.75))
        first = mask_of(k for k, d in enumerate(algebra.table.degrees) if d == 1)
        for mask in (algebra.full, first):
            z = number(rng, algebra, (3, 5), mask, dtype, domain)
            with by_kernels() as answered:
                result = func(z)
            assert all(answered)
            with plainly():
                assert_same(result, func(z))

    @pytest.mark.parametrize("shape", [(3, 5), (3000,)], ids=str)  # one block, several
    def test_tables_too_large_to_unroll(self, shape, dtype, rng):
        units = algebra_of((*UNITS[3], unit_factor(4), unit_factor(5)))
        series = algebra_of((fresh_factor(taylor_indices(24)),))
        for algebra in (units, series):
            x, y = (number(rng, algebra, shape, dtype=dtype) for _ in range(2))
            for func in (np.multiply, np.divide, lambda x, y: np.tanh(x), lambda x, y: np.exp(y)):
                with by_kernels():
                    result = func(x, y)
                with plainly():
                    assert_same(result, func(x, y))


LAYOUTS = {
    "every other": lambda shape: np.empty((shape[0], 2 * shape[1]))[:, ::2],
    "Fortran": lambda shape: np.empty(shape, order="F"),
    "reversed": lambda shape: np.empty(shape)[::-1],
}


class TestMemory:
    @pytest.mark.parametrize("size", [0, 1, 2, 3, 7, 8, 9, 63, 64, 65, 8191, 8192, 8193])
    def test_sizes(self, size, rng):
        x, y = (number(rng, LIMIT["order 2"], (size,)) for _ in range(2))
        for func in (np.multiply, np.divide, lambda x, y: np.tanh(x)):
            assert_same(*both(lambda func=func: func(x, y)))

    @pytest.mark.parametrize("layout", LAYOUTS)
    def test_layouts_of_planes(self, layout, rng):
        """Kernels want contiguous planes; whoever answers, the result is the same."""
        empty = [LAYOUTS[layout]((6, 5)) for _ in range(4)]
        x, y = (mcx.perturb(*arrays) for arrays in (empty[:2], empty[2:]))
        x[...], y[...] = (number(rng, x.algebra, (6, 5)) for _ in range(2))
        self._check(lambda: x * y, lambda: x / y, lambda: np.exp(x), lambda: x[::2] * y[1::2])

    def test_views_of_a_buffer(self, rng):
        z = number(rng, LIMIT["order 2"], (6, 5))
        self._check(
            lambda: z[1:] * z[:-1], lambda: z.T * z.T, lambda: np.sin(z[:, 1]), lambda: z[0] / z,
            lambda: z[0, 0] * z[1, 1], lambda: np.broadcast_to(z[0], (6, 5)) * z,
        )  # fmt: skip

    @pytest.mark.parametrize("order", [2, 5])
    def test_bytes_in_another_order(self, order, rng):
        units = algebra_of(tuple(unit_factor(k) for k in range(1, order + 1)))
        swapped = np.dtype(float).newbyteorder()
        x, y = (number(rng, units, (6, 5)) for _ in range(2))
        x, y = (mcx.Multicomplex(n._planes.astype(swapped), units) for n in (x, y))
        self._check(lambda: x * y, lambda: x / y, lambda: np.exp(x), lambda: np.tanh(y) * x)

    @staticmethod
    def _check(*runs):
        for run in runs:
            with by_kernels():
                result = run()
            with plainly():
                assert_same(result, run())

    OPERATORS = (
        lambda z, w: z.__imul__(w), lambda z, w: z.__iadd__(w), lambda z, w: z.__itruediv__(w),
        lambda z, w: z.__imul__(z), lambda z, w: z[1:].__imul__(z[:-1]),
        lambda z, w: z[::-1].__itruediv__(z), lambda z, w: np.multiply(z, w, out=z),
        lambda z, w: np.multiply(w, w, out=z), lambda z, w: np.divide(w, z, out=z),
        lambda z, w: np.tanh(z, out=z), lambda z, w: np.exp(w, out=z),
        lambda z, w: np.multiply(z[1:], w[1:], out=z[:-1]), lambda z, w: np.sqrt(w, out=z[::-1]),
        lambda z, w: np.add(z, w, out=w), lambda z, w: np.subtract(w, w, out=z),
    )  # fmt: skip

    @pytest.mark.parametrize("operator", range(len(OPERATORS)))
    def test_in_place(self, operator, rng):
        """Whatever the target held, in planes live or dead."""
        algebra = LIMIT["order 2"]
        for first, second in ((0b1111, 0b0101), (0b0011, 0b1111), (1, 0b0101)):
            given = [number(rng, algebra, (6, 5), mask) for mask in (first, second)]
            results = []
            for way in (by_kernels, plainly):
                z, w = (n.copy() for n in given)
                with way():
                    returned = self.OPERATORS[operator](z, w)
                assert type(returned) is mcx.Multicomplex
                results.append((z, w))
            for result, expected in zip(*results, strict=True):
                assert_same(result, expected)
                assert_dead_planes_are_zero(result)


@pytest.fixture
def two_threads():
    before = mcx.get_num_threads()
    mcx.set_num_threads(2)
    yield
    mcx.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
class TestThreads:
    SIZE = 1 << 18

    @pytest.mark.parametrize("func", [np.multiply, np.divide, lambda x, y: np.tanh(x)])
    def test_the_same_bits(self, func, rng):
        x, y = (number(rng, LIMIT["order 2"], (self.SIZE + 5,)) for _ in range(2))
        assert_same(*both(lambda: func(x, y)))
        with by_kernels():
            result = func(x, y)
            mcx.set_num_threads(1)
            assert_same(result, func(x, y))

    def test_the_same_bits_of_a_long_series(self, rng):
        x, y = (number(rng, LIMIT["series 8"], (self.SIZE + 5,)) for _ in range(2))
        for func in (lambda: np.arcsin(x), lambda: np.power(x, 2.5), lambda: x * y):
            with by_kernels():
                result = func()
            with plainly():
                assert_same(result, func())

    def test_work_is_shared(self, rng, monkeypatch):
        x = number(rng, LIMIT["order 2"], (self.SIZE,))
        parts = []
        on_range = launch.Kernel._on_range

        def recorded(self, *args):
            parts.append((threading.get_ident(), args[-2:]))
            return on_range(self, *args)

        monkeypatch.setattr(launch.Kernel, "_on_range", recorded)
        with by_kernels() as answered:
            np.tanh(x)
        assert all(answered)
        assert sorted(part for _, part in parts) == [
            (0, self.SIZE // 2),
            (self.SIZE // 2, self.SIZE),
        ]
        assert threading.get_ident() not in {thread for thread, _ in parts}

    @pytest.mark.parametrize("place", [0, -1])
    def test_error_states_hold_in_threads(self, place, rng):
        """The derivative of sinh overflows in a call inside the worker: NumPy's own error."""
        x = number(rng, LIMIT["order 1"], (self.SIZE,))
        x[place] = 800.0
        with np.errstate(over="raise"), by_kernels(), pytest.raises(FloatingPointError):
            np.sinh(x)
        with np.errstate(over="ignore"), warnings.catch_warnings(), by_kernels():
            warnings.simplefilter("error")
            result = np.sinh(x)
        with np.errstate(all="ignore"), plainly():
            assert_same(result, np.sinh(x))

    def test_an_exception_of_a_worker_reaches_the_caller(self, monkeypatch):
        def run(start, stop):
            if start:
                raise OSError("planted")
            return 0

        with pytest.raises(OSError, match="planted"):
            launch.on_threads(run, self.SIZE)

    def test_flags_of_all_workers_count(self):
        assert launch.on_threads(lambda start, stop: 4 if start else 1, self.SIZE) == 5

    @pytest.mark.parametrize("count", [0, -1, 1.5])
    def test_number_of_threads_is_checked(self, count):
        with pytest.raises(ValueError, match="at least 1"):
            mcx.set_num_threads(count)
