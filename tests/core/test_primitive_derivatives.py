"""Derivatives of registered products: drivers, recordings, blocks, and all of them nested."""

import itertools

import numpy as np
import pytest
from core.bilinear import product
from core.primitives import (
    as_number,
    assert_coefficients,
    assert_equal_numbers,
    by_definition,
    by_definition_once,
    calls,
    correlated,
    poisoned,
    simple_correlated,
    times,
    whole,
)
from standin import StandIn

import mcx


@pytest.fixture(autouse=True)
def _poisoned():
    with poisoned():
        yield


def both_ways(f):
    """Return f of the function that writes into memory and of the simple one; they must agree."""
    first, second = f(correlated), f(simple_correlated)
    np.testing.assert_array_equal(first, second)
    return first


def cubic(b):
    """f(x)_i = Σ_j x_(i+j)² x_j, whose parts all move."""
    return lambda x: b(x * x, x[:3], 1)


def cubic_slopes(x, *directions):
    """All derivatives of it, from the trilinear form it is made of."""
    order, total = len(directions), 0
    for places in itertools.permutations(range(3), order):
        parts = [x, x, x]
        for place, p in zip(places, directions, strict=True):
            parts[place] = p
        total = total + by_definition(parts[0] * parts[1], parts[2][:3], 1)
    return total


class TestDerivatives:
    @pytest.fixture
    def points(self, rng):
        return whole(rng, (4, 6))

    def test_drivers(self, points):
        x, p, q, r = points
        for count in range(1, 4):
            expected = cubic_slopes(x, *(p, q, r)[:count])
            got = both_ways(lambda b, n=count: mcx.directional(cubic(b), x, *(p, q, r)[:n]))
            np.testing.assert_array_equal(got, expected)
        rows = both_ways(lambda b: mcx.jacobian(cubic(b), x))
        np.testing.assert_array_equal(rows @ p, cubic_slopes(x, p))
        terms = both_ways(lambda b: mcx.taylor(cubic(b), x, p, order=5))
        np.testing.assert_array_equal(terms[2] * 2, cubic_slopes(x, p, p))
        np.testing.assert_array_equal(terms[3] * 6, cubic_slopes(x, p, p, p))
        assert not terms[4:].any()

    def test_exact_reading_with_a_step(self, points):
        x, p, q, _ = points
        h = 2.0**-30
        z = both_ways(lambda b: cubic(b)(mcx.perturb(x, p, q, h=h)).planes)
        np.testing.assert_allclose(z[1] / h, cubic_slopes(x, p), rtol=1e-14, atol=1e-14)
        second = cubic_slopes(x, p, q)
        np.testing.assert_allclose(z[3] / h**2, second, rtol=1e-14, atol=1e-14)

    def test_derivative_within_derivative(self, points):
        x, p, q, _ = points

        def outer(b, x):
            return mcx.jvp(lambda y: b(x * y, (x * y)[:3], 1), x, p)[1]

        got = both_ways(lambda b: mcx.jvp(lambda x: outer(b, x), x, q)[1])
        # D_y at y = x of b(xy, xy): b(xp, xx) + b(xx, xp); then D_x, where y is x too.
        u, v = x * p, x * x
        du, dv = q * p, 2 * x * q
        expected = by_definition(du, v[:3], 1) + by_definition(u, dv[:3], 1)
        expected += by_definition(dv, u[:3], 1) + by_definition(v, du[:3], 1)
        np.testing.assert_array_equal(got, expected)

    def test_linearize(self, points):
        x, p, *_ = points
        for b in (correlated, simple_correlated):
            value, lin = mcx.linearize(cubic(b), x)
            np.testing.assert_array_equal(value, cubic_slopes(x))
            np.testing.assert_array_equal(lin(p), cubic_slopes(x, p))
        _, lin = mcx.linearize(cubic(correlated), x)
        calls.clear()
        lin(p)
        assert calls == [(2, (4,))]  # both products in one call

    @pytest.mark.parametrize("moving", ["first", "second", "both"])
    def test_block_of_directions(self, moving, points):
        x, *directions = points
        fixed = np.arange(1.0, 7.0)
        f = {
            "first": lambda b: lambda x: b(x * x, fixed[:3], 1),
            "second": lambda b: lambda x: b(fixed, x[:3] * x[3:], 1),
            "both": cubic,
        }[moving]
        expected = [mcx.jvp(f(simple_correlated), x, p)[1] for p in directions]
        _, lin = mcx.linearize(f(correlated), x)
        calls.clear()
        got = lin(np.array(directions))
        assert calls == [(2 if moving == "both" else 1, (4,))] * len(directions)
        np.testing.assert_array_equal(got, expected)
        np.testing.assert_array_equal([lin(p) for p in directions], expected)

    def test_number_and_recording_in_each_other(self, points):
        x, p, q, _ = points

        def slope(b, x):
            return mcx.linearize(cubic(b), x)[1](p)

        got = both_ways(lambda b: mcx.jvp(lambda x: slope(b, x), x, q)[1])
        np.testing.assert_array_equal(got, cubic_slopes(x, p, q))

        def tangent(b, x):
            return mcx.jvp(cubic(b), x, p)[1]

        got = both_ways(lambda b: mcx.linearize(lambda x: tangent(b, x), x)[1](q))
        np.testing.assert_array_equal(got, cubic_slopes(x, p, q))

    def test_recording_in_a_recording(self, points):
        x, p, q, r = points

        def slope(b, x):
            return mcx.linearize(cubic(b), x)[1](p)

        lin = mcx.linearize(lambda x: slope(correlated, x), x)[1]
        for direction in (q, r):
            np.testing.assert_array_equal(lin(direction), cubic_slopes(x, p, direction))
        np.testing.assert_array_equal(lin(np.stack([q, r]))[1], cubic_slopes(x, p, r))

    def test_linear_map_recorded_and_perturbed(self, points):
        """A linearization is a function: of a recorder's direction, and of a number."""
        x, p, q, _ = points
        for b in (correlated, simple_correlated):
            lin = mcx.linearize(cubic(b), x)[1]
            again = mcx.linearize(lambda u, lin=lin: lin(u * u), p)[1]
            np.testing.assert_array_equal(again(q), cubic_slopes(x, 2 * p * q))
            number = lin(mcx.perturb(p, q))
            np.testing.assert_array_equal(number.value, cubic_slopes(x, p))
            np.testing.assert_array_equal(number.im(1), cubic_slopes(x, q))

    KINDS = ("plain", "one number", "another")

    @pytest.mark.parametrize("kinds", [*itertools.product(KINDS, repeat=3)], ids=" ".join)
    def test_numbers_in_some_of_what_a_product_is_made_of(self, kinds, points):
        """d/dx of b(x + u, x·v) along p: numbers among values and tangents in all mixtures."""
        x, _, *others = points
        factors = {"one number": 1, "another": 2}

        def made(kind, k):
            z = others[k % 2]
            if kind == "plain":
                return z
            tangents = [None] * factors[kind]
            tangents[-1] = z + k
            return mcx.perturb(z, *tangents)

        u, v, direction = (made(kind, k) for k, kind in enumerate(kinds))
        _, lin = mcx.linearize(lambda x: correlated(x + u, (x * v)[:3], 1), x)
        calls.clear()
        got = lin(direction)
        planes = getattr(got, "live", 1).bit_count()
        assert len(calls) == planes  # one for each
        first = product(by_definition_once, as_number(direction), as_number((x * v)[:3]))
        second = product(by_definition_once, as_number(x + u), as_number((direction * v)[:3]))
        expected = {k: first.get(k, 0) + second.get(k, 0) for k in first.keys() | second.keys()}
        assert_coefficients(as_number(got), {k: c for k, c in expected.items() if np.any(c)})

    def test_planes_in_one_of_the_two_terms(self, points):
        x, p, *others = points
        u = mcx.perturb(*others)
        for f, expected in (
            (lambda x: correlated(x + u, x[:3], 1), correlated(u, p[:3], 1)),
            (lambda x: correlated(x, (x + u)[:3], 1), correlated(p, u[:3], 1)),
        ):
            calls.clear()
            got = mcx.linearize(f, x)[1](p)
            assert sorted(calls)[-2:] == [(1, (4,)), (2, (4,))]
            expected = expected + correlated(p, x[:3], 1) + correlated(x, p[:3], 1)
            assert_equal_numbers(got, expected)

    def test_a_block_among_numbers(self, points):
        x, *directions = points
        u = mcx.perturb(points[1], points[2])
        _, lin = mcx.linearize(lambda x: correlated(x + u, x[:3], 1), x)
        got = lin(np.array(directions))
        for row, p in zip(got, directions, strict=True):
            assert_equal_numbers(row, correlated(p, x[:3], 1) + correlated(x + u, p[:3], 1))

    def test_what_does_not_move(self, rng):
        """Recorded, but constant: no step and nothing kept."""
        x = whole(rng, (6,))
        calls.clear()
        value, lin = mcx.linearize(lambda x: correlated(x * 0 + 1, np.ones(3), 1)[:0], x)
        assert value.shape == (0,)

        def f(x):
            fixed = np.zeros_like(x, shape=(6,))
            fixed[:] = 2.0
            return x[:4] + correlated(fixed, fixed[:3], 1)

        value, lin = mcx.linearize(f, x)
        np.testing.assert_array_equal(value, x[:4] + 12)
        assert lin.nbytes == 0
        calls.clear()
        np.testing.assert_array_equal(lin(x), x[:4])
        assert calls == []

    def test_arguments_changed_after_recording(self, points):
        x, p, fixed, _ = points
        scale, y = np.full(4, 2.0), fixed[:3].copy()
        f = mcx.register_bilinear(shape=lambda x, y, scale: scale.shape)(
            lambda pairs, scale, out: np.copyto(
                out, scale * sum(by_definition_once(*pair) for pair in pairs)
            )
        )
        lins = [
            mcx.linearize(lambda x: f(x, y, scale), x)[1],
            mcx.linearize(lambda x: f(x, x[:3], scale), x)[1],
        ]
        expected = (
            2 * by_definition_once(p, fixed[:3]),
            (2 * (by_definition_once(p, x[:3]) + by_definition_once(x, p[:3]))),
        )
        scale[:], y[:] = 0, 0
        for lin, slope in zip(lins, expected, strict=True):
            np.testing.assert_array_equal(lin(p), slope)

    def test_what_a_recording_keeps(self):
        """Of two operands that move both values, of one the other; static arrays too."""
        x, fixed = np.ones(1000), np.ones(1000)
        nbytes = [
            mcx.linearize(f, x)[1].nbytes
            for f in (
                lambda x: times(x * 2.0, fixed), lambda x: times(x * 2.0, x * 3.0),
                lambda x: correlated(x * 2.0, fixed, fixed[:1]),
            )
        ]  # fmt: skip
        assert nbytes == [8000, 16000, 8008]

    def test_dtypes_of_tangents(self, rng):
        """A complex tangent of a real value, and float32 in float64."""
        x, y = whole(rng, (3,)), whole(rng, (3,), "complex128")
        _, lin = mcx.linearize(lambda x: times(x * y, x), x)
        for p in (x, x.astype("float32"), y):
            np.testing.assert_array_equal(lin(p), 2 * x * y * p)
        x = x.astype("float32")
        _, lin = mcx.linearize(lambda x: times(x, x), x)
        assert lin(x).dtype == np.float32
        assert lin(np.stack([x, x])).dtype == np.float32

    @pytest.mark.parametrize("structure", ["numpy", "standin"])
    def test_linearize_on_device(self, structure, points):
        wrap = StandIn.wrap if structure == "standin" else np.array
        x, *directions = points
        _, lin = mcx.linearize(cubic(correlated), wrap(x))
        expected = [cubic_slopes(x, p) for p in directions]
        for got in (lin(wrap(np.array(directions))), [lin(wrap(p)) for p in directions]):
            got = [np.asarray(row.get() if structure == "standin" else row) for row in got]
            np.testing.assert_array_equal(got, expected)
