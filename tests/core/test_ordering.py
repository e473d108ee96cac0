"""Order and sets: NumPy's value bit for bit, and every plane gathered by indices found apart."""

import inspect

import numpy as np
import pytest
from core.builders import filled
from core.checkers import assert_same_value
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import mcx

few = settings(max_examples=60)
TIED = st.sampled_from([0.0, -0.0, 1.0, 2.0, -1.5, 3.0, np.nan, np.inf])
shapes = hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=4)


def arrays(elements):
    """Return arrays whose elements are drawn one by one."""
    return shapes.flatmap(
        lambda shape: hnp.arrays(np.float64, shape, elements=elements, fill=st.nothing())
    )


tied = arrays(TIED)


def number(x, order=2, seed=0):
    """Return a number with value x and all planes filled."""
    rng = np.random.default_rng(seed)
    planes = rng.normal(size=(2**order - 1, *x.shape)).astype(x.dtype)
    return filled(np.stack([x, *planes]))


def same(a, b):
    """Tell whether two elements are equal, NaN equal to itself."""
    return a == b or (a != a and b != b)


def occurrences(x, values):
    """Return for each value where it is in x: its k-th occurrence in x for the k-th in values."""
    left = list(range(len(x)))
    found = []
    for v in values:
        found.append(next(i for i in left if same(x[i], v)))
        left.remove(found[-1])
    return found


def first(x, values):
    """Return for each value where it is first in x."""
    return [next(i for i, e in enumerate(x) if same(e, v)) for v in values]


def check(result, expected, planes, places):
    """Check NumPy's value, and the other planes of a one-dimensional gathering."""
    assert_same_value(result, expected)
    for got, plane in zip(result.planes[1:], planes[1:], strict=True):
        np.testing.assert_array_equal(got, plane.ravel()[places])


@few
@given(tied, st.data())
def test_sort_and_partition_move_elements_as_numpy_does(x, data):
    axis = data.draw(st.integers(-x.ndim, x.ndim - 1))
    kth = data.draw(st.lists(st.integers(-x.shape[axis], x.shape[axis] - 1), min_size=1))
    kind = data.draw(st.sampled_from([None, "quicksort", "stable", "heapsort", "mergesort"]))
    z = number(x)
    for func in (
        lambda a: np.sort(a, axis, kind),
        lambda a: np.sort(a, axis=axis, stable=True),
        lambda a: np.partition(a, kth, axis),
        lambda a: np.partition(a, kth=kth[0], axis=axis, kind="introselect"),
    ):
        result, expected = func(z), func(x)
        assert_same_value(result, expected)
        lanes = [np.moveaxis(a, axis, -1).reshape(-1, x.shape[axis]) for a in (x, expected)]
        for got, plane in zip(result.planes[1:], z.planes[1:], strict=True):
            new, old = (np.moveaxis(a, axis, -1).reshape(lanes[0].shape) for a in (got, plane))
            for i, (lane, ordered) in enumerate(zip(*lanes, strict=True)):
                np.testing.assert_array_equal(new[i], old[i][occurrences(lane, ordered)])


@few
@given(tied)
def test_without_an_axis_the_elements_are_in_one_line(x):
    z = number(x)
    for func in (lambda a: np.sort(a, axis=None), lambda a: np.partition(a, 0, axis=None)):
        expected = func(x)
        check(func(z), expected, z.planes, occurrences(x.ravel(), expected))


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64, np.complex128])
def test_sort_complex(dtype):
    x = np.array([2.0, -1.0, 2.0, 0.5]).astype(dtype)
    x += np.array([1j, 0, 0, 2j]).astype(dtype) if x.dtype.kind == "c" else 0
    z = number(x)
    check(np.sort_complex(z), np.sort_complex(x), z.planes, np.argsort(x, kind="stable"))
    slope = mcx.linearize(np.sort_complex, x)[1](z.im(1))
    np.testing.assert_array_equal(slope, z.im(1)[np.argsort(x, kind="stable")])


@few
@given(tied, st.data())
def test_unique_takes_the_first_of_equal_elements(x, data):
    flags = data.draw(st.tuples(st.booleans(), st.booleans(), st.booleans()))
    options = {"equal_nan": data.draw(st.booleans())}
    if "sorted" in inspect.signature(np.unique).parameters:
        options["sorted"] = data.draw(st.booleans())
    z = number(x)
    result, expected = np.unique(z, *flags, **options), np.unique(x, *flags, **options)
    if any(flags):
        assert type(result) is type(expected)
        for got, plain in zip(result[1:], expected[1:], strict=True):
            assert isinstance(got, np.ndarray)
            np.testing.assert_array_equal(got, plain, strict=True)
        result, expected = result[0], expected[0]
    places = np.array(first(x.ravel(), expected), int)
    if not options["equal_nan"]:  # one NaN is not another: each is found by itself
        places[np.isnan(expected)] = np.flatnonzero(np.isnan(x.ravel()))
    check(result, expected, z.planes, places)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64, np.complex128])
def test_unique_values_may_be_unsorted(dtype):
    x = np.random.default_rng(0).integers(0, 50, 200).astype(dtype)
    z, calls = number(x), [np.unique_values, np.unique]
    if "sorted" in inspect.signature(np.unique).parameters:
        calls.append(lambda a: np.unique(a, sorted=False))
    for call in calls:
        check(call(z), call(x), z.planes, first(x, call(x)))


@few
@given(tied.filter(lambda x: not np.isnan(x).any()), st.data())
def test_unique_along_an_axis_takes_slices(x, data):
    axis = data.draw(st.integers(-x.ndim, x.ndim - 1))
    z = number(x)
    result, inverse = np.unique(z, return_inverse=True, axis=axis)
    expected, plain = np.unique(x, return_inverse=True, axis=axis)
    assert_same_value(result, expected)
    np.testing.assert_array_equal(inverse, plain)
    slices = [s.tobytes() for s in np.moveaxis(x + 0.0, axis, 0)]  # 0.0 - 0.0 is 0.0
    wanted = [s.tobytes() for s in np.moveaxis(expected + 0.0, axis, 0)]
    places = [slices.index(s) for s in wanted]
    for got, plane in zip(result.planes[1:], z.planes[1:], strict=True):
        np.testing.assert_array_equal(got, np.take(plane, places, axis))


X = np.array([[3.0, 1.0, 2.0, 1.0], [2.0, 5.0, 3.0, 0.0]])
Y = np.array([5.0, 1.0, 1.0, 7.0])


def test_unique_of_the_array_api_names_its_parts():
    z = number(X)
    for func in (np.unique_all, np.unique_counts, np.unique_inverse):
        result, expected = func(z), func(X)
        assert type(result) is type(expected)
        check(result.values, expected.values, z.planes, first(X.ravel(), expected.values))
        for name in set(expected._fields) - {"values"}:
            np.testing.assert_array_equal(getattr(result, name), getattr(expected, name))
    x = np.array([2.0, np.nan, 1.0, np.nan, 2.0])
    z, values = number(x), np.unique_values(x)
    places = np.array(first(x, values))
    places[np.isnan(values)] = [1, 3]
    check(np.unique_values(z), values, z.planes, places)


SETS = [
    (np.union1d, (..., slice(None)), {}),
    (np.intersect1d, (..., slice(None)), {}),
    (np.intersect1d, (1, slice(0, 2)), {"assume_unique": True}),
    (np.setxor1d, (..., slice(None)), {}),
    (np.setxor1d, (1, slice(1, 3)), {"assume_unique": True}),
    (np.setdiff1d, (..., slice(None)), {}),
    (np.setdiff1d, (1, slice(None)), {"assume_unique": True}),
]


@pytest.mark.parametrize("order", [1, 2, 4])
@pytest.mark.parametrize(("func", "parts", "options"), SETS)
def test_set_operations_take_the_first_of_both(func, parts, options, order):
    x, y = X[parts[0]], Y[parts[1]]
    z, w = number(x, order), number(y, order, seed=1)
    value, expected = np.concatenate([x.ravel(), y]), func(x, y, **options)
    zero = np.zeros((2**order - 1, max(x.size, y.size)))
    for a, b in ((z, w), (z, y), (x, w)):
        result = func(a, b, **options)
        if func is np.setdiff1d and a is x:  # elements of a plain array, picked by values
            np.testing.assert_array_equal(result, expected, strict=True)
            continue
        planes = [
            n.planes.reshape(2**order, -1)
            if isinstance(n, mcx.Multicomplex)
            else np.stack([n.ravel(), *zero[:, : n.size]])
            for n in (a, b)
        ]
        check(result, expected, np.concatenate(planes, axis=1), first(value, expected))


def test_intersect1d_tells_where():
    z, w = number(X), number(Y, seed=1)
    result, expected = np.intersect1d(z, w, return_indices=True), np.intersect1d(X, Y, False, True)
    assert type(result) is tuple
    check(result[0], expected[0], z.planes, expected[1])
    for got, plain in zip(result[1:], expected[1:], strict=True):
        np.testing.assert_array_equal(got, plain, strict=True)


def test_recorded_gatherings_are_those_of_the_planes():
    p = np.random.default_rng(3).normal(size=X.shape)
    for call in (
        lambda x: np.partition(x, 3, axis=None),
        lambda x: np.unique(x, return_counts=True)[0],
        lambda x: np.unique(x, axis=0),
        lambda x: np.unique_all(x).values,
        lambda x: np.intersect1d(x[0], x[1], return_indices=True)[0],
        lambda x: np.setxor1d(x[0], x[1]),
        lambda x: np.trim_zeros(x[1], "b"),
    ):
        value, lin = mcx.linearize(call, X)
        np.testing.assert_array_equal(value, call(X))
        np.testing.assert_array_equal(lin(p), mcx.jvp(call, X, p)[1])


@few
@given(arrays(st.sampled_from([0.0, 0.0, 0.0, 1.0])), st.data())
def test_trim_zeros_is_a_view_between_the_zeros_of_the_value(x, data):
    several = "axis" in inspect.signature(np.trim_zeros).parameters
    x = x if several else x.ravel()
    options = {"trim": data.draw(st.sampled_from(["f", "b", "fb", "BF"]))}
    if several:
        options["axis"] = data.draw(
            st.one_of(st.none(), st.integers(-x.ndim, x.ndim - 1), st.just((0, -1)))
        )
        if options["axis"] == (0, -1) and x.ndim == 1:
            options["axis"] = 0
    z = number(x)
    result, expected = np.trim_zeros(z, **options), np.trim_zeros(x, **options)
    assert_same_value(result, expected)
    marks = np.arange(x.size).reshape(x.shape)
    inside = np.nonzero(x)
    for axis in range(x.ndim):
        if expected.size:  # where the first and last of each axis come from, by the values
            start = inside[axis].min() if expected.shape[axis] < x.shape[axis] else 0
            start = start if "f" in options["trim"].lower() else 0
            marks = np.take(marks, range(start, start + expected.shape[axis]), axis)
    if expected.size:
        np.testing.assert_array_equal(result.im(1, 2), z.im(1, 2).ravel()[marks])
        result[...] = 7.0
        np.testing.assert_array_equal(z.value.ravel()[marks], 7.0)


def test_errors_are_those_of_numpy():
    z = number(X)
    with pytest.raises(ValueError, match="order"):
        np.sort(z, order="f")
    with pytest.raises(ValueError, match="out of bounds"):
        np.partition(z, 4)
    with pytest.raises(ValueError, match="trim_zeros: trim"):
        np.trim_zeros(z[0], "x")
    with pytest.raises(np.exceptions.AxisError):
        np.unique(z, axis=2)


def test_membership_is_plain():
    z = number(X)
    for result in (np.isin(z, Y), np.isin(X, number(Y)), np.isin(z, number(Y), invert=False)):
        assert isinstance(result, np.ndarray)
        np.testing.assert_array_equal(result, np.isin(X, Y))


def test_a_scalar_has_no_ends_to_trim():
    y = np.trim_zeros(mcx.perturb(0.0, 3.0))
    assert (y.shape, float(y.value), float(y.im(1))) == ((), 0.0, 3.0)
