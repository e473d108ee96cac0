"""Shapes, axes, broadcasting and algebraic laws on random arrays (Hypothesis)."""

import numpy as np
from core.builders import filled
from core.checkers import assert_same_value
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import mcx

few = settings(max_examples=40)
elements = st.floats(-8, 8, width=32).map(lambda v: round(v, 3))
shapes = hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=4)
solid = hnp.array_shapes(min_dims=1, max_dims=4, min_side=1, max_side=4)


def arrays(shape):
    return hnp.arrays(np.float64, shape, elements=elements)


def number(x, seed=0):
    """Return a number of order 2 with value x and all planes filled."""
    rng = np.random.default_rng(seed)
    return filled(np.stack([x, *rng.normal(size=(3, *x.shape))]))


@few
@given(hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=4), st.data())
def test_broadcasting_follows_numpy(shapes, data):
    a, b = (data.draw(arrays(shape)) for shape in shapes.input_shapes)
    z, w = number(a), number(b, 1)
    for func in (np.add, np.subtract, np.multiply, np.maximum, np.logaddexp):
        for x, y in ((z, w), (z, b), (a, w)):
            result = func(x, y)
            assert_same_value(result, func(a, b))
            assert result.shape == shapes.result_shape


@few
@given(shapes.flatmap(arrays), st.data())
def test_reductions_follow_numpy(x, data):
    axis = data.draw(st.one_of(st.none(), hnp.valid_tuple_axes(x.ndim)))
    keepdims = data.draw(st.booleans())
    z = number(x)
    for func in (np.sum, np.mean, np.prod, np.max, np.min, np.var, np.std):
        count = np.prod([x.shape[k] for k in (range(x.ndim) if axis is None else axis)])
        if not count and func not in (np.sum, np.prod):
            continue
        options = {"axis": axis, "keepdims": keepdims}
        assert_same_value(func(z, **options), func(x, **options))


@few
@given(solid.flatmap(arrays), st.data())
def test_structure_follows_numpy_in_every_plane(x, data):
    z = number(x)
    axis = data.draw(st.integers(-x.ndim, x.ndim - 1))
    order = data.draw(st.permutations(range(x.ndim)))
    shift = data.draw(st.integers(-5, 5))
    for call in (
        lambda a: np.transpose(a, order),
        lambda a: np.flip(a, axis),
        lambda a: np.roll(a, shift, axis),
        lambda a: np.cumsum(a, axis),
        lambda a: np.expand_dims(a, axis),
        lambda a: np.moveaxis(a, axis, 0),
        lambda a: np.repeat(a, 2, axis),
        lambda a: np.concatenate([a, a], axis),
        lambda a: np.stack([a, a], axis),
        lambda a: np.diff(a, axis=axis),
        lambda a: a.reshape(-1),
        lambda a: np.take(a, [0, -1], axis),
    ):
        result = call(z)
        for got, plane in zip(result.planes, z.planes, strict=True):
            np.testing.assert_array_equal(got, call(plane), strict=True)


@few
@given(solid.flatmap(arrays), st.data())
def test_indexing_follows_numpy_in_every_plane(x, data):
    index = data.draw(
        st.one_of(
            hnp.basic_indices(x.shape, allow_newaxis=True),
            hnp.integer_array_indices(x.shape),
            hnp.arrays(bool, x.shape),
        )
    )
    z = number(x)
    for got, plane in zip(z[index].planes, z.planes, strict=True):
        np.testing.assert_array_equal(got, plane[index])
    expected = z.planes.copy()
    for plane in expected:
        plane[index] *= -2.0
    z[index] = z[index] * -2.0
    np.testing.assert_array_equal(z.planes, expected)


@few
@given(solid.flatmap(arrays), st.integers(0, 3))
def test_sorting_moves_every_plane_by_one_permutation(x, seed):
    z = number(x, seed)
    result = np.sort(z, axis=-1)
    np.testing.assert_array_equal(result.value, np.sort(x, axis=-1))
    rows, after = (np.moveaxis(n.planes, 0, -1).reshape(-1, x.shape[-1], 4) for n in (z, result))
    for row, moved in zip(rows, after, strict=True):
        assert sorted(map(tuple, row)) == sorted(map(tuple, moved))


@few
@given(st.integers(1, 4), st.integers(0, 10**6), st.booleans())
def test_numbers_form_a_commutative_ring(order, seed, exact):
    rng = np.random.default_rng(seed)
    directions = rng.normal(size=(order, 3))
    x = mcx.perturb(rng.normal(size=3), *directions, h=0.5 if exact else None)
    y = mcx.perturb(rng.normal(size=3), *directions[::-1], h=0.5 if exact else None)
    z = x * y + 1.0
    pairs = (
        (x * y, y * x),
        ((x * y) * z, x * (y * z)),
        (x * (y + z), x * y + x * z),
        (x - x, 0 * x),
        ((x / (y * y + 4)) * (y * y + 4), x),
        (x**3, x * x * x),
        (0 - (0 - x), x),
    )
    for left, right in pairs:
        np.testing.assert_allclose(left.planes, right.planes, rtol=1e-9, atol=1e-9)


@few
@given(solid.flatmap(arrays))
def test_linearize_agrees_with_jvp(x):
    def f(x):
        y = np.tanh(x) * x
        y = y - np.mean(y)
        z = np.zeros_like(x)
        z[...] = y * y
        z[0] = y[-1]
        return np.sum(z, axis=-1)

    p = np.random.default_rng(1).normal(size=x.shape)
    value, lin = mcx.linearize(f, x)
    expected = mcx.jvp(f, x, p)
    np.testing.assert_array_equal(value, expected[0])
    np.testing.assert_allclose(lin(p), expected[1], rtol=1e-12, atol=1e-12)
