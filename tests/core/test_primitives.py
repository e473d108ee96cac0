"""register_linear and register_bilinear with shape=: every plane, in every algebra."""

import itertools
from collections import namedtuple

import numpy as np
import pytest
from core.algebras import ALGEBRAS
from core.bilinear import coefficients, product
from core.primitives import (
    DTYPES,
    VIEWS,
    assert_coefficients,
    assert_equal_numbers,
    by_definition,
    calls,
    correlated,
    dot,
    masks_of,
    number,
    pairs_of_rows,
    poisoned,
    simple_correlated,
    simple_pairs_of_rows,
    simple_times,
    times,
    whole,
)
from standin import StandIn

import mcx
from mcx import memory
from mcx.algebra import algebra_of, unit_factor
from mcx.support import supported

I1, I2 = (algebra_of((unit_factor(k),)) for k in (1, 2))
I23 = algebra_of((unit_factor(2), unit_factor(3)))
GENERATORS = {
    **{"i1": I1, "i2": I2, "i2 i3": I23, "i1 i2": ALGEBRAS["order 2"]},
    **{name: ALGEBRAS[name] for name in ("series 2", "two factors")},
}


@pytest.fixture(autouse=True)
def _poisoned():
    with poisoned():
        yield


class TestOracle:
    """The oracle and the poison can fail."""

    def test_products_of_named_coefficients(self):
        z = mcx.perturb(np.array(2.0), np.array(3.0), np.array(5.0))
        squares = product(np.multiply, z, z)
        one, two = ((1, (1,)),), ((2, (1,)),)
        assert {k: float(v) for k, v in squares.items()} == {(): 4, one: 12, two: 20, one + two: 30}
        z = mcx.perturb(np.array(2.0), np.array(3.0), h=1.0)
        squares = product(np.multiply, z, z)
        assert {k: float(v) for k, v in squares.items()} == {(): 4 - 9, one: 12}

    def test_a_dropped_plane_is_seen(self, rng):
        z = number(rng, I1, (3,))
        expected = coefficients(number(rng, ALGEBRAS["order 2"], (3,)))
        with pytest.raises(AssertionError):
            assert_coefficients(z, expected)

    def test_a_plane_that_no_one_writes_is_seen(self, rng):
        lazy = mcx.register_linear(shape=lambda shape: shape)(
            lambda x, out: None if x[0] == 5 else np.copyto(out, x)
        )
        z = mcx.perturb(np.ones(3), np.full(3, 5.0))
        with pytest.raises(AssertionError):
            assert_coefficients(lazy(z), coefficients(z))


class TestLinear:
    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize("structure", ALGEBRAS)
    def test_every_algebra_and_mask(self, structure, dtype, rng):
        algebra = ALGEBRAS[structure]
        matrix = 3 * (np.eye(4, 5, 1) + 2 * np.eye(4, 5))
        for mask in masks_of(algebra, rng):
            z = number(rng, algebra, (5, 2), mask, dtype)
            calls.clear()
            y = pairs_of_rows(z, 3)
            assert calls == [(1, (4, 2))] * mask.bit_count()
            assert_coefficients(y, {k: matrix @ c for k, c in coefficients(z).items()})
            assert_equal_numbers(y, simple_pairs_of_rows(z, 3))

    @pytest.mark.parametrize("dtype", [*DTYPES, "float16", "longdouble"])
    def test_plain_arrays(self, dtype, rng):
        x = whole(rng, (5,), dtype)
        y = pairs_of_rows(x, 3)
        assert type(y) is np.ndarray
        np.testing.assert_array_equal(y, simple_pairs_of_rows(x, 3), strict=True)

    @pytest.mark.parametrize("dtype", [int, np.int32, bool])
    def test_whole_numbers_do_not_cut_the_result(self, dtype):
        @mcx.register_linear(shape=lambda shape: shape)
        def half(x, out):
            out[...] = 0.5 * x

        y = half(np.array([0, 1, 1]).astype(dtype))
        np.testing.assert_array_equal(y, np.array([0, 0.5, 0.5]), strict=True)

    def test_no_dimensions(self, rng):
        """From 0-d to some, and back; planes are arrays there too."""
        kinds = []

        @mcx.register_linear(shape=lambda shape, count: (count,))
        def repeated(x, count, out):
            kinds.append(type(x))
            out[...] = x

        @mcx.register_linear(shape=lambda shape: ())
        def total(x, out):
            assert isinstance(out, np.ndarray)
            np.sum(x, out=out)

        z = number(rng, ALGEBRAS["order 2"], ())
        y = total(repeated(z, 3))
        np.testing.assert_array_equal(y._planes, 3 * z._planes, strict=True)
        assert kinds == [np.ndarray] * 4
        assert total(repeated(np.float32(2), 3)) == 6
        assert total(repeated(np.float32(2), 3)).dtype == np.float32
        assert total(repeated(2.0, 3)) == 6

    def test_no_elements(self, rng):
        z = number(rng, ALGEBRAS["order 2"], (1, 4))
        assert pairs_of_rows(z, 1).shape == (0, 4)
        z = number(rng, ALGEBRAS["order 2"], (3, 0), 0b0011)
        assert pairs_of_rows(z, 1).shape == (2, 0)

    @pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
    def test_views(self, view, rng):
        """Planes that are not contiguous, or read-only."""
        z = number(rng, ALGEBRAS["series 2"], (5, 4))
        for n in (z, mcx.Multicomplex(np.asfortranarray(z._planes), z.algebra)):
            assert_equal_numbers(pairs_of_rows(view(n), 3), simple_pairs_of_rows(view(n), 3))
        x = np.arange(20.0).reshape(5, 4)
        x.setflags(write=False)
        np.testing.assert_array_equal(pairs_of_rows(x, 3), simple_pairs_of_rows(x, 3))

    @pytest.mark.parametrize("structure", ["order 2", "series 5", "exact 2"])
    def test_on_device(self, structure, rng):
        algebra = ALGEBRAS[structure]
        for mask in masks_of(algebra, rng):
            z = number(rng, algebra, (4,), mask, "float32")
            on_device = mcx.Multicomplex(StandIn.wrap(z._planes), algebra, supported(mask, algebra))
            y, expected = pairs_of_rows(on_device, 2), simple_pairs_of_rows(z, 2)
            assert type(y._planes) is StandIn
            np.testing.assert_array_equal(y._planes.get(), expected._planes, strict=True)
            assert y.live == expected.live
        y = pairs_of_rows(StandIn.wrap(z.value), 2)
        np.testing.assert_array_equal(y.get(), expected.value, strict=True)

    def test_linearize(self, rng):
        x, block = whole(rng, (5, 2)), whole(rng, (4, 5, 2))
        value, lin = mcx.linearize(lambda x: pairs_of_rows(x, 3), x)
        np.testing.assert_array_equal(value, simple_pairs_of_rows(x, 3))
        calls.clear()
        np.testing.assert_array_equal(lin(block), [simple_pairs_of_rows(p, 3) for p in block])
        assert calls == [(1, (4, 2))] * 4
        for p in block:
            np.testing.assert_array_equal(lin(p), simple_pairs_of_rows(p, 3))

    def test_a_named_tuple_as_static_argument(self, rng):
        Window = namedtuple("Window", "start stop")
        part = mcx.register_linear(shape=lambda shape, w: (w.stop - w.start,))(
            lambda x, w, out: np.copyto(out, x[w.start : w.stop])
        )
        x = whole(rng, (5,))
        _, lin = mcx.linearize(lambda x: part(x, Window(1, 3)), x)
        np.testing.assert_array_equal(lin(x), x[1:3])

    def test_static_arrays_are_constants_of_a_recording(self, rng):
        @mcx.register_linear(shape=lambda shape, places: np.shape(places))
        def taken(x, places, out):
            np.take(x, places, out=out)

        x, places = whole(rng, (5,)), np.array([3, 0, 3])
        _, lin = mcx.linearize(lambda x: taken(x, places), x)
        places[:] = 1
        np.testing.assert_array_equal(lin(np.arange(5.0)), [3, 0, 3])


def reused_memory_is_poisoned(operation, *numbers):
    """Return the result where every block of memory that mcx uses again held NaN."""
    blocks = [memory.new_buffer((2**k * memory.SMALLEST,), np.dtype("u1")) for k in range(6)]
    for block in blocks:
        block.view(float).fill(np.nan)
    del block, blocks
    return operation(*numbers)


def test_dead_planes_in_memory_that_is_used_again(rng):
    algebra = ALGEBRAS["order 3"]
    for mask in masks_of(algebra, rng):
        z = number(rng, algebra, (3001,), mask)
        y = reused_memory_is_poisoned(lambda z: pairs_of_rows(z, 1), z)
        assert_equal_numbers(y, simple_pairs_of_rows(z, 1))
        y = reused_memory_is_poisoned(times, z, z)
        assert_coefficients(y, product(np.multiply, z, z))


class TestBilinear:
    @pytest.mark.parametrize("structure", ALGEBRAS)
    def test_every_algebra_and_mask(self, structure, rng):
        algebra = ALGEBRAS[structure]
        masks = masks_of(algebra, rng)
        for left, right in itertools.product(masks, masks):
            x, y = number(rng, algebra, (6,), left), number(rng, algebra, (3,), right)
            calls.clear()
            z = correlated(x, y, 2)
            assert len(calls) == z.live.bit_count()
            assert_coefficients(z, product(by_definition, x, y))
            assert_equal_numbers(z, simple_correlated(x, y, 2))

    @pytest.mark.parametrize("dtypes", [*itertools.product(DTYPES, DTYPES)], ids="-".join)
    @pytest.mark.parametrize("structure", ["order 2", "exact 2", "series 2"])
    def test_every_dtype(self, structure, dtypes, rng):
        algebra = ALGEBRAS[structure]
        first, second = (
            number(rng, algebra, (n,), None, dtype) for n, dtype in zip((6, 3), dtypes, strict=True)
        )
        for x, y in itertools.product((first, first.value), (second, second.value)):
            z, expected = correlated(x, y, 2), simple_correlated(x, y, 2)
            assert z.dtype == expected.dtype == np.result_type(*dtypes)
            if isinstance(z, mcx.Multicomplex):
                assert_coefficients(z, product(by_definition, x, y))
                assert_equal_numbers(z, expected)
            else:
                np.testing.assert_array_equal(z, by_definition(x, y))

    @pytest.mark.parametrize("structure", ALGEBRAS)
    def test_one_plain_operand(self, structure, rng):
        algebra = ALGEBRAS[structure]
        for mask in masks_of(algebra, rng):
            x, y = number(rng, algebra, (6,), mask), number(rng, algebra, (3,), mask)
            for a, b in ((x, y.value), (x.value, y)):
                calls.clear()
                z = correlated(a, b, 2)
                assert calls == [(1, (4,))] * mask.bit_count()
                assert_coefficients(z, product(by_definition, a, b))
                assert_equal_numbers(z, simple_correlated(a, b, 2))

    OTHERS = (
        2,
        0.5,
        -1.5j,
        np.float32(2),
        np.float64(3),
        np.complex64(1j),
        np.array(2),
        np.arange(3),
    )

    @pytest.mark.parametrize("other", OTHERS, ids=repr)
    @pytest.mark.parametrize("dtype", DTYPES)
    def test_plain_operand_of_another_kind(self, other, dtype, rng):
        z = number(rng, ALGEBRAS["order 2"], (3,), 0b0111, dtype)
        for one, two in (
            (times(z, other), simple_times(z, other)),
            (times(other, z), simple_times(other, z)),
        ):
            assert one.dtype == np.multiply(z.value, other).dtype
            np.testing.assert_array_equal(one._planes, z._planes * other)
            assert_equal_numbers(one, two)
        np.testing.assert_array_equal(times(z.value, other), z.value * other, strict=True)

    def test_whole_numbers(self):
        @mcx.register_bilinear(shape=lambda x, y: x)
        def mean_product(pairs, out):
            out[...] = sum(0.5 * x * y for x, y in pairs)

        for y in (np.array([3, 5]), 1):
            got = mean_product(np.array([1, 3]), y)
            np.testing.assert_array_equal(got, 0.5 * np.array([1, 3]) * y, strict=True)

    @pytest.mark.parametrize("first", GENERATORS.values(), ids=GENERATORS)
    @pytest.mark.parametrize("second", GENERATORS.values(), ids=GENERATORS)
    def test_generators_that_meet(self, first, second, rng):
        for left, right in itertools.product(masks_of(first, rng), masks_of(second, rng)):
            x, y = number(rng, first, (6,), left), number(rng, second, (3,), right)
            calls.clear()
            z = correlated(x, y, 2)
            assert len(calls) == z.live.bit_count()
            assert_coefficients(z, product(by_definition, x, y))
            assert_equal_numbers(z, simple_correlated(x, y, 2))

    def test_one_call_takes_all_pairs_of_a_plane(self, rng):
        z = number(rng, ALGEBRAS["order 2"], (4,))
        times(z, z)
        assert sorted(calls) == [(1, (4,)), (2, (4,)), (2, (4,)), (4, (4,))]
        calls.clear()
        z = number(rng, ALGEBRAS["exact 2"], (4,))
        times(z, z)
        assert calls == [(4, (4,))] * 4

    def test_operands_stay_as_they_are(self, rng):
        """Signs of the exact reading are not put into the operands."""
        x, y = (number(rng, ALGEBRAS["exact 2"], (4,)) for _ in range(2))
        before = x._planes.copy(), y._planes.copy()
        for n in (x, y):
            n._planes.setflags(write=False)
        times(x, y)
        np.testing.assert_array_equal([x._planes, y._planes], before)

    def test_no_dimensions(self, rng):
        for algebra in (ALGEBRAS["order 2"], ALGEBRAS["exact 2"]):
            x, y = (number(rng, algebra, (3,)) for _ in range(2))
            z = dot(x, y)
            assert z.shape == ()
            assert_coefficients(z, product(np.dot, x, y))
            u, v = (number(rng, algebra, ()) for _ in range(2))
            assert_coefficients(times(u, v), product(np.multiply, u, v))
        assert dot(x.value, y.value) == np.dot(x.value, y.value)

    def test_planes_of_no_dimensions_are_arrays(self, rng):
        kinds = set()

        @mcx.register_bilinear(shape=lambda x, y: ())
        def noted(pairs, out):
            kinds.update(type(n) for n in (*sum(pairs, ()), out))
            out[...] = sum(x * y for x, y in pairs)

        for algebra in (ALGEBRAS["order 2"], ALGEBRAS["exact 2"]):
            u, v = (number(rng, algebra, ()) for _ in range(2))
            assert_coefficients(noted(u, v), product(np.multiply, u, v))
        assert kinds == {np.ndarray}

    @pytest.mark.parametrize("shape", [(0,), (0, 3), (2, 0)])
    def test_no_elements(self, shape, rng):
        x, y = (number(rng, ALGEBRAS["order 2"], shape, mask) for mask in (0b0011, 0b0101))
        z = times(x, y)
        assert z.shape == shape
        assert z.live == 0b1111
        assert_coefficients(dot(x, y), {})

    @pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
    def test_views(self, view, rng):
        algebra = ALGEBRAS["exact 2"]
        x, y = (number(rng, algebra, (5, 4), mask) for mask in (0b1111, 0b0111))
        x = mcx.Multicomplex(np.asfortranarray(x._planes), algebra)
        assert_coefficients(times(view(x), view(y)), product(np.multiply, view(x), view(y)))

    @pytest.mark.parametrize("structure", ["order 2", "series 5", "exact 2"])
    def test_on_device(self, structure, rng):
        algebra = ALGEBRAS[structure]
        for left, right in itertools.product(masks_of(algebra, rng), repeat=2):
            x, y = number(rng, algebra, (6,), left), number(rng, algebra, (3,), right, "float32")
            u, v = (
                mcx.Multicomplex(StandIn.wrap(n._planes), algebra, supported(n.live, algebra))
                for n in (x, y)
            )
            for got, expected in (
                (correlated(u, v, 2), correlated(x, y, 2)),
                (correlated(u.value, v, 2), correlated(x.value, y, 2)),
                (times(u, np.float64(2)), times(x, 2.0)),
                (times(np.float64(2), u), times(2.0, x)),
            ):
                assert type(got._planes) is StandIn
                np.testing.assert_array_equal(got._planes.get(), expected._planes, strict=True)
                assert got.live == expected.live
        plain = correlated(u.value, v.value, 2)
        np.testing.assert_array_equal(plain.get(), by_definition(x.value, y.value), strict=True)
