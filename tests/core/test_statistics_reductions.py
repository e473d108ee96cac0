"""Reductions and the methods of ufuncs: every option, zeros among factors, folds by definition."""

import functools
import itertools
import math
import warnings

import numpy as np
import pytest
from core.builders import filled
from core.checkers import random_planes
from core.test_statistics import assert_planes, exactly, numbers
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import mcx

ORDERS = (1, 2, 3, 4)


def whole(rng, shape, order, zeros):
    """Return a number with small integers in every plane and so many zeros in each column."""
    planes = rng.integers(1, 4, (2**order, *shape)) * rng.choice([-1, 1], (2**order, *shape))
    for column in range(shape[1]):
        planes[0, rng.permutation(shape[0])[:zeros], column] = 0
    return planes.astype(float)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("zeros", [0, 1, 2, 3, 7])
class TestProductsWithZeros:
    """Exact in every plane: all numbers are small integers."""

    @pytest.mark.parametrize("n", [1, 2, 3, 4, 6, 7])
    def test_prod_and_cumprod(self, order, zeros, n, dtype, rng):
        planes = whole(rng, (n, 2), order, min(zeros, n))
        z, x = filled(planes.astype(dtype)), exactly(filled(planes))
        if dtype == np.float64 or n < 5:
            assert_planes(np.prod(z, axis=0), np.multiply.reduce(x, axis=0), factor=0)
            assert_planes(np.cumprod(z, axis=0), np.multiply.accumulate(x, axis=0), factor=0)

    def test_other_ways_of_writing_it(self, order, zeros, rng):
        z = filled(whole(rng, (6, 3), order, min(zeros, 6)))
        x = exactly(z)
        cumulated = np.multiply.accumulate(x, axis=1)
        assert_planes(np.multiply.accumulate(z, axis=1), cumulated, factor=0)
        assert_planes(z.cumprod(-1), cumulated, factor=0)
        assert_planes(np.cumprod(z), np.multiply.accumulate(x.ravel()), factor=50)
        if hasattr(np, "cumulative_prod"):
            y = np.cumulative_prod(z, axis=1, include_initial=True)
            np.testing.assert_array_equal(y.planes[:, :, 1:], np.cumprod(z, axis=1).planes)
            np.testing.assert_array_equal(y.value[:, 0], 1)
            assert not y.planes[1:, :, 0].any()
        chosen = np.array([True, False, True, True, False, True])[:, np.newaxis]
        assert_planes(
            np.prod(z, axis=0, where=chosen), np.multiply.reduce(x[chosen[:, 0]], axis=0), factor=0
        )
        at = np.multiply.reduceat(z, [0, 2, 1, 5], axis=0)
        assert_planes(at[0], np.multiply.reduce(x[0:2], axis=0), factor=0)
        assert_planes(at[1], x[2], factor=0)
        assert_planes(at[2], np.multiply.reduce(x[1:5], axis=0), factor=0)
        assert_planes(at[3], x[5], factor=0)


def test_long_products_take_few_calls_and_are_exact(rng):
    """1 + t_k x_k: the plane of i_1 i_2 of the product is a sum over pairs."""
    p, q = rng.integers(-3, 4, (2, 1001)).astype(float)
    z = mcx.perturb(np.ones(1001), p, q)
    y = np.cumprod(z)
    np.testing.assert_array_equal(y.im(1), np.cumsum(p))
    np.testing.assert_array_equal(y.im(1, 2), np.cumsum(p) * np.cumsum(q) - np.cumsum(p * q))
    np.testing.assert_array_equal(np.prod(z).planes, y.planes[:, -1])


FOLDS = {
    "add": np.add, "multiply": np.multiply, "subtract": np.subtract, "divide": np.divide,
    "maximum": np.maximum, "minimum": np.minimum, "fmax": np.fmax, "fmin": np.fmin,
    "hypot": np.hypot, "logaddexp": np.logaddexp, "logaddexp2": np.logaddexp2, "power": np.power,
    "arctan2": np.arctan2, "fmod": np.fmod, "remainder": np.remainder, "copysign": np.copysign,
    "float_power": np.float_power, "floor_divide": np.floor_divide, "heaviside": np.heaviside,
}  # fmt: skip
UNSOUND = ("power", "arctan2")  # NumPy's own value is wrong on some CPUs
IDENTITY = ("add", "multiply", "hypot", "logaddexp", "logaddexp2")


def close(result, expected):
    """Check a number against another, whose value is that of repeated application."""
    scale = np.max(abs(expected.planes), initial=1.0)
    assert result.shape == expected.shape
    np.testing.assert_allclose(result.planes, expected.planes, rtol=0, atol=1e-14 * scale)


@pytest.mark.parametrize("name", FOLDS)
class TestMethodsByDefinition:
    """The oracle applies the ufunc again and again."""

    def data(self, rng, n=5):
        """Return a number of order 3, items along axis 1."""
        return filled(random_planes(rng, rng.uniform(0.5, 2, (3, n)), 3))

    def test_reduce(self, name, rng):
        ufunc, z = FOLDS[name], self.data(rng)
        items = [z[:, k] for k in range(5)]
        y = ufunc.reduce(z, axis=1)
        if name not in UNSOUND:
            np.testing.assert_array_equal(y.value, ufunc.reduce(z.value, axis=1))
        close(y, functools.reduce(ufunc, items))
        close(ufunc.reduce(z.T), functools.reduce(ufunc, items))
        kept = ufunc.reduce(z, axis=-1, keepdims=True)
        np.testing.assert_array_equal(kept.planes, y.planes[..., np.newaxis])
        close(ufunc.reduce(z, 1, initial=1.25), functools.reduce(ufunc, [1.25, *items]))
        start = self.data(rng)[0, 0]
        begun = functools.reduce(ufunc, [start, *items])
        close(ufunc.reduce(z, 1, initial=start), begun)
        out = np.empty_like(z, shape=(3,))
        assert ufunc.reduce(z, axis=1, out=out) is out
        np.testing.assert_array_equal(out.planes, y.planes)

    def test_reduce_where(self, name, rng):
        ufunc, z = FOLDS[name], self.data(rng)
        mask = np.array([[1, 0, 1, 1, 0], [0, 0, 1, 1, 1], [0, 0, 0, 0, 0]], bool)
        starts = [1.25, *[None] * (name in IDENTITY)]
        for start in starts:
            y = ufunc.reduce(z, axis=1, where=mask, initial=start or ufunc.identity)
            for row in range(2):
                chosen = [z[row, k] for k in range(5) if mask[row, k]]
                close(
                    y[row], functools.reduce(ufunc, chosen if start is None else [start, *chosen])
                )
            assert y.value[2] == (ufunc.identity if start is None else start)
            assert not y.planes[1:, 2].any()

    def test_accumulate(self, name, rng):
        for n in (1, 2, 3, 6, 7):
            ufunc, z = FOLDS[name], self.data(rng, n)
            y = ufunc.accumulate(z, axis=1)
            np.testing.assert_array_equal(y.value, ufunc.accumulate(z.value, axis=1))
            items = list(itertools.accumulate((z[:, k] for k in range(n)), ufunc))
            close(y, np.stack(items, axis=1))

    def test_reduceat(self, name, rng):
        ufunc, z = FOLDS[name], self.data(rng)
        places = [0, 3, 1, 1, 4]
        y = ufunc.reduceat(z, places, axis=1)
        if name not in UNSOUND:
            np.testing.assert_array_equal(y.value, ufunc.reduceat(z.value, places, axis=1))
        for k, (start, end) in enumerate(zip(places, [*places[1:], 5], strict=True)):
            items = [z[:, j] for j in range(start, max(end, start + 1))]
            close(y[:, k], functools.reduce(ufunc, items))

    def test_outer(self, name, rng):
        ufunc, z = FOLDS[name], self.data(rng)
        for left, right in ((z[0], z), (z[0].value, z[1]), (z, [1.5, 2.5])):
            y = ufunc.outer(left, right)
            plain = [x.value if isinstance(x, mcx.Multicomplex) else x for x in (left, right)]
            np.testing.assert_array_equal(y.value, ufunc.outer(*plain))
            flat = [np.ravel(x) for x in (left, right)]
            for i, j in itertools.product(range(len(flat[0])), range(len(flat[1]))):
                close(y.reshape(len(flat[0]), -1)[i, j], ufunc(flat[0][i], flat[1][j]))


def test_reduction_of_powers_is_that_of_repeated_powers():
    """NumPy's own np.power.reduce gives another number with AVX-512."""
    z = mcx.perturb(np.array([2.0, 3.0, 2.0, 0.5]), np.array([1.0, 0.0, 0.0, 0.0]))
    y = np.power.reduce(z)
    np.testing.assert_allclose([y.value, y.im(1)], [8.0, 12.0], rtol=1e-15)
    with pytest.raises(ValueError, match="not reorderable"):
        np.power.reduce(np.stack([z, z]), axis=(0, 1))
    with pytest.raises(ValueError, match="identity"):
        np.power.reduce(z, where=[True, False, True, True])


def test_methods_of_predicates_answer_from_the_value_plane(rng):
    z = mcx.perturb(np.array([[0.0, 1.0], [2.0, -1.0]]), np.ones((2, 2)))
    for call in (
        lambda x: np.logical_and.reduce(x, axis=1, keepdims=True),
        lambda x: np.logical_or.reduce(x, where=[True, False]),
        lambda x: np.logical_xor.accumulate(x, axis=0),
        lambda x: np.greater.outer(x, x),
        lambda x: np.logical_or.reduceat(x, [0, 1]),
    ):
        result, expected = call(z), call(z.value)
        assert type(result) is type(expected)
        np.testing.assert_array_equal(result, expected)


def test_reductions_of_extrema_take_the_first_of_equal_elements():
    z = mcx.perturb(np.array([2.0, 7.0, np.nan, 7.0]), np.array([1.0, 2.0, 4.0, 8.0]))
    for ufunc in (np.maximum, np.minimum):
        assert ufunc.reduce(z).im(1) == 4.0
        np.testing.assert_array_equal(ufunc.accumulate(-z).im(1)[2:], [-4.0, -4.0])
    assert np.fmax.reduce(z).im(1) == np.fmax.accumulate(z).im(1)[-1] == 2.0
    assert np.maximum.reduceat(z, [0, 2]).im(1).tolist() == [2.0, 4.0]
    equal = mcx.perturb(np.array([2.0, 7.0, 7.0, 7.0, 7.0]), np.array([1.0, 2.0, 4.0, 8.0, 16.0]))
    for ufunc in (np.maximum, np.fmax):
        np.testing.assert_array_equal(ufunc.accumulate(equal).im(1), [1.0, 2.0, 2.0, 2.0, 2.0])
    start = mcx.perturb(7.0, 16.0)
    assert np.max(z[[1, 3]], initial=start).im(1) == 2.0
    assert np.max(z[:1], initial=start).im(1) == 16.0
    assert np.max(z[:0], initial=start).im(1) == 16.0
    assert np.max(z[:1], initial=7.0).im(1) == 0.0
    assert np.min(z, initial=start, where=z < 3).im(1) == 1.0


@pytest.mark.parametrize("order", ORDERS)
def test_initial_values_and_masks_of_sums(order, dtype, rng):
    z, start = numbers(rng, (3, 4), order, dtype), numbers(rng, (), order, dtype)
    x, first = exactly(z), exactly(start)[()]
    mask = np.array([[1, 1, 0, 1], [1, 0, 1, 1], [0, 1, 1, 1]], bool)
    chosen = np.where(mask, x, x[0, 0] - x[0, 0])
    assert_planes(np.sum(z, axis=1, where=mask, initial=start), chosen.sum(1) + first)
    assert_planes(np.add.reduce(z, None, initial=start), np.sum(x.ravel()) + first)
    assert_planes(np.mean(z, axis=0, where=mask), chosen.sum(0) / exactly(mask.sum(0)))
    at = np.add.reduceat(z, [0, 2, 1], axis=1)
    assert_planes(at, np.stack([x[:, 0] + x[:, 1], x[:, 2], x[:, 1:].sum(1)], axis=1))
    assert_planes(np.prod(z, axis=0, initial=start), np.multiply.reduce(x, axis=0) * first)


REDUCTIONS = {
    "sum": (np.sum, ("dtype", "initial", "where")),
    "prod": (np.prod, ("dtype", "initial", "where")),
    "max": (np.max, ("initial",)),
    "min": (np.min, ("initial and where",)),
    "mean": (np.mean, ("dtype", "where")),
    "var": (np.var, ("dtype", "where", "ddof", "mean")),
    "std": (np.std, ("dtype", "where", "correction")),
    "ptp": (np.ptp, ()),
    "nansum": (np.nansum, ("dtype", "initial", "where")),
    "nanprod": (np.nanprod, ("dtype", "initial", "where")),
    "nanmax": (np.nanmax, ("initial",)),
    "nanmin": (np.nanmin, ("initial and where",)),
    "nanmean": (np.nanmean, ("dtype", "where")),
    "nanvar": (np.nanvar, ("dtype", "where", "ddof", "mean")),
    "nanstd": (np.nanstd, ("dtype", "where", "correction")),
    "add.reduce": (np.add.reduce, ("dtype", "initial", "where")),
    "multiply.reduce": (np.multiply.reduce, ("dtype", "initial", "where")),
    "maximum.reduce": (np.maximum.reduce, ("dtype", "initial and where")),
    "hypot.reduce": (np.hypot.reduce, ("dtype", "where")),
}


def outcome(call, x):
    """Return the result of a call (or its error's type) and the kinds of its warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = call(x)
        except (ValueError, TypeError) as error:
            result = type(error)
    return result, {str(w.message).replace("scalar ", "") for w in caught}


@pytest.mark.parametrize("name", REDUCTIONS)
@settings(max_examples=60)
@given(data=st.data())
def test_options_follow_numpy(name, data):
    func, options = REDUCTIONS[name]
    nan = st.just(math.nan) if "nan" in name else st.nothing()
    shape = data.draw(hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
    kind = data.draw(st.sampled_from([np.float32, np.float64]))
    # So that derivatives of a product of 64 factors do not overflow in float32 where it does not.
    bound = 2 if "prod" in name or "multiply" in name else 8
    x = data.draw(hnp.arrays(kind, shape, elements=st.floats(-bound, bound, width=16) | nan))
    axes = st.integers(-x.ndim, x.ndim - 1) if x.ndim else st.nothing()
    several = st.lists(axes, min_size=1, max_size=3, unique_by=lambda k: k % x.ndim).map(tuple)
    how = {"axis": data.draw(st.none() | axes | (several if x.ndim else st.nothing()))}
    if data.draw(st.booleans()):
        how["keepdims"] = data.draw(st.booleans())
    for option in options:
        if not data.draw(st.booleans()):
            continue
        if option == "dtype":
            how["dtype"] = data.draw(st.sampled_from([np.float32, np.float64]))
        if "initial" in option:
            how["initial"] = data.draw(st.floats(-4, 4, width=16))
        if "where" in option:
            side = shape[data.draw(st.integers(0, len(shape))) :]
            how["where"] = data.draw(hnp.arrays(bool, side))
        if option in ("ddof", "correction"):
            how[option] = data.draw(st.integers(0, 2))
        if option == "mean":
            how["mean"] = data.draw(st.sampled_from([0.5, np.float32(1.5)]))
    z = mcx.perturb(x, np.ones_like(x), np.full_like(x, 2))
    expected, numpys = outcome(lambda a: func(a, **how), z.value)
    result, ours = outcome(lambda a: func(a, **how), z)
    if isinstance(expected, type):
        assert isinstance(result, type)
        assert issubclass(result, (ValueError, TypeError))
        return
    assert ours <= numpys
    assert result.dtype == expected.dtype
    np.testing.assert_array_equal(result.value, expected, strict=True)
    # Equal steps along two units: what is linear doubles.
    np.testing.assert_allclose(result.im(2), 2 * result.im(1), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0), ()])
def test_nothing_to_accumulate(shape):
    x = np.ones(shape)
    z = mcx.perturb(x, x)
    calls = [
        lambda a: np.cumsum(a), lambda a: np.cumprod(a), lambda a: np.nancumprod(a),
        lambda a: np.prod(a), lambda a: np.hypot.reduce(a, axis=None), lambda a: np.nansum(a),
    ]  # fmt: skip
    if shape:
        calls += [
            lambda a: np.multiply.accumulate(a), lambda a: np.subtract.accumulate(a),
            lambda a: np.divide.accumulate(a), lambda a: np.maximum.accumulate(a),
            lambda a: np.diff(a, axis=0), lambda a: np.add.reduceat(a, np.array([], int)),
            lambda a: np.divide.reduceat(a, np.array([], int)),
        ]  # fmt: skip
    for call in calls:
        result, expected = call(z), call(x)
        assert isinstance(result, mcx.Multicomplex)
        np.testing.assert_array_equal(result.value, expected)


class TestDifferences:
    X = np.array([[1.0, 3.0, 6.0, 10.0], [2.0, 2.0, 5.0, 1.0]])

    @pytest.mark.parametrize(
        "call",
        [
            lambda x: np.diff(x, n=0), lambda x: np.diff(x, n=0, prepend=0.0),
            lambda x: np.diff(x, n=3, axis=1, append=x), lambda x: np.diff(x, 2, 0, x[0, 0], x[:1]),
            lambda x: np.diff([[1.0], [2.0]], axis=1, prepend=x), lambda x: np.diff(x, n=9),
            lambda x: np.trapezoid([1.0, 2.0, 0.5, 4.0], x),
            lambda x: np.trapezoid(x, [0, 1, 3, 7]),
            lambda x: np.trapezoid(x, dx=x[0, 1]), lambda x: np.trapezoid(x, x[:, 0], axis=0),
            lambda x: np.trapezoid(x[0], x), lambda x: np.trapezoid(x[:, :1]),
        ],
    )  # fmt: skip
    def test_values_and_slopes(self, call):
        p = np.array([[0.5, -1.0, 2.0, 0.25], [1.0, 1.5, -0.5, 3.0]])
        y = call(mcx.perturb(self.X, p))
        np.testing.assert_array_equal(y.value, call(self.X))
        h = 2.0**-20  # the calls are quadratic at most: central differences are exact
        difference = (call(self.X + h * p) - call(self.X - h * p)) / (2 * h)
        np.testing.assert_allclose(y.im(1), difference, rtol=1e-9, atol=1e-9)

    def test_no_differences_are_the_number_itself(self):
        z = mcx.perturb(self.X, self.X)
        y = np.diff(z, n=0)
        y[...] = 0.0
        assert not z.planes.any()  # as in NumPy, where it is the array


@pytest.mark.parametrize("axis", [0, -1, None])
@pytest.mark.parametrize(
    "func",
    [np.sum, np.prod, np.max, np.min, np.ptp, np.cumsum, np.cumprod, np.nansum, np.nanprod,
     np.nancumprod, np.nanvar, np.nanstd, np.nanmax, np.nanmin, np.multiply.reduce,
     np.maximum.reduce, np.hypot.reduce, np.logaddexp.reduce, np.fmax.reduce],
)  # fmt: skip
def test_a_scalar_is_reduced_over_its_first_and_last_axis(func, axis):
    x, spread = np.array(2.5), func in (np.ptp, np.nanvar, np.nanstd)
    expected = func(x, axis=axis)
    z = func(mcx.perturb(x, 3.0), axis=axis)
    y, lin = mcx.linearize(lambda x: func(x, axis=axis), x)
    np.testing.assert_array_equal(z.value, expected)
    np.testing.assert_array_equal(y, expected)
    assert z.shape == np.shape(expected) == np.shape(lin(3.0))
    np.testing.assert_array_equal(z.im(1), 0.0 if spread else 3.0)
    np.testing.assert_array_equal(lin(3.0), 0.0 if spread else 3.0)


@pytest.mark.parametrize("func", [np.sum, np.prod, np.cumsum, np.var, np.std, np.nansum])
@pytest.mark.parametrize("dtype", [int, bool])
def test_integer_results_are_refused(func, dtype):
    with pytest.raises(TypeError, match="expected float32, float64, complex64 or complex128"):
        func(mcx.perturb(np.ones(3), np.ones(3)), dtype=dtype)
