"""Order statistics: by Hyndman and Fan's definitions in fractions; winners, ties, NaN, options."""

import math
import warnings
from fractions import Fraction

import numpy as np
import pytest
from core.builders import filled
from core.checkers import random_planes
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import mcx

VERSION = np.lib.NumpyVersion(np.__version__)
Q = [0.0, 0.0625, 0.125, 0.25, 0.375, 0.5, 0.75, 0.875, 1.0]
PARAMETERS = {
    "interpolated_inverted_cdf": (0, 1),
    "hazen": (Fraction(1, 2), Fraction(1, 2)),
    "weibull": (0, 0),
    "linear": (1, 1),
    "median_unbiased": (Fraction(1, 3), Fraction(1, 3)),
    "normal_unbiased": (Fraction(3, 8), Fraction(3, 8)),
}
METHODS = (
    *PARAMETERS, "inverted_cdf", "averaged_inverted_cdf", "closest_observation", "lower", "higher",
    "midpoint", "nearest",
)  # fmt: skip


def weights_of(method, n, q):
    """Return {rank: weight} of a quantile of n items, ranks from 0, for a fraction q.

    References
    ----------
    R. Hyndman and Y. Fan, "Sample quantiles in statistical packages", The American Statistician 50
    (1996), 361-365.
    """
    if method in PARAMETERS:
        alpha, beta = PARAMETERS[method]
        place = alpha + q * (n + 1 - alpha - beta) - 1
    elif method in ("inverted_cdf", "averaged_inverted_cdf"):
        place = Fraction(math.ceil(n * q) - 1)
        if method == "averaged_inverted_cdf" and n * q == math.ceil(n * q):
            place += Fraction(1, 2)
    elif method == "closest_observation":
        j = math.floor(n * q - Fraction(1, 2))
        even = n * q - Fraction(1, 2) == j and j % 2 == 0
        place = Fraction(j - 1 if even else j)
    else:
        exact = (n - 1) * q
        low, high = math.floor(exact), math.ceil(exact)
        place = {
            "lower": Fraction(low), "higher": Fraction(high), "midpoint": Fraction(low + high, 2),
            "nearest": Fraction(round(exact)),
        }[method]  # fmt: skip
    place = min(max(place, 0), n - 1)
    low = math.floor(place)
    return {low: 1 - (place - low), math.ceil(place): place - low} if place != low else {low: 1}


def expected_planes(method, planes, q):
    """Return the planes of a quantile of the first axis: planes (2^n, items, …)."""
    order = np.argsort(planes[0], axis=0, kind="stable")
    ordered = np.take_along_axis(planes, order[np.newaxis], 1)
    weights = weights_of(method, planes.shape[1], Fraction(q))
    return sum(float(w) * ordered[:, k].astype(np.longdouble) for k, w in weights.items())


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n", [1, 2, 5, 8])
class TestMethods:
    def test_all_planes(self, method, n, dtype, rng):
        if method == "closest_observation" and VERSION < "2.1.0":
            pytest.skip("NumPy 2.0 has it wrong, and the value is NumPy's")
        planes = random_planes(rng, rng.normal(size=(n, 3)).astype(dtype), 3)
        z = filled(planes)
        y = np.quantile(z, Q, axis=0, method=method)
        assert y.dtype == np.quantile(planes[0], Q, axis=0, method=method).dtype
        np.testing.assert_array_equal(y.value, np.quantile(planes[0], Q, axis=0, method=method))
        for k, q in enumerate(Q):
            expected = expected_planes(method, planes, q)
            np.testing.assert_allclose(
                y.planes[:, k], expected, rtol=0, atol=9 * np.finfo(dtype).eps
            )
            one = np.quantile(z, q, axis=0, method=method)
            assert one.dtype == np.quantile(planes[0], q, axis=0, method=method).dtype
            np.testing.assert_allclose(one.planes, expected, rtol=0, atol=9 * np.finfo(dtype).eps)

    def test_percentiles_and_functions_without_nan(self, method, n, rng):
        planes = random_planes(rng, rng.normal(size=(n, 3)), 3)
        z = filled(planes)
        expected = np.quantile(z, Q, axis=0, method=method).planes
        percents = 100 * np.array(Q)
        y = np.percentile(z, percents, axis=0, method=method)
        np.testing.assert_array_equal(y.planes, expected)
        holes = np.concatenate([z, np.full((2, 3), np.nan)])[rng.permutation(n + 2)]
        expected = np.nanquantile(z, Q, axis=0, method=method).planes
        np.testing.assert_array_equal(
            np.nanquantile(holes, Q, axis=0, method=method).planes, expected
        )
        y = np.nanpercentile(holes, percents, axis=0, method=method)
        np.testing.assert_array_equal(y.planes, expected)

    def test_derivative_by_q(self, method, n, rng):
        """Between the ranks a quantile is linear in q, with the slope of the piece."""
        planes = random_planes(rng, rng.normal(size=(n,)), 1)
        interior = [0.15, 0.34, 0.57, 0.83]
        q, direction = np.array(interior), np.array([1.0, -2.0, 0.5, 3.0])
        y = np.quantile(filled(planes), mcx.perturb(q, None, direction), method=method)
        tiny = Fraction(1, 2**20)
        for k, at in enumerate(map(Fraction, interior)):
            before, after = (weights_of(method, n, at + s * tiny) for s in (-1, 1))
            ordered = planes[:, np.argsort(planes[0])]
            slope = [
                sum(float((after.get(j, 0) - before.get(j, 0)) / (2 * tiny)) * ordered[p, j]
                    for j in range(n)) * direction[k]
                for p in (0, 1)
            ]  # fmt: skip
            np.testing.assert_allclose(y.im(2)[k], slope[0], rtol=1e-12, atol=1e-14)
            np.testing.assert_allclose(y.im(1, 2)[k], slope[1], rtol=1e-12, atol=1e-14)
        plain = np.quantile(planes[0], mcx.perturb(q, None, direction), method=method)
        np.testing.assert_array_equal(plain.im(2), y.im(2))


def test_slope_by_q_at_the_ranks_and_ends():
    """At a rank the slope is that of the piece to the right, at the last one to the left."""
    x, q = np.array([1.0, 2.0, 4.0, 8.0, 16.0]), np.array([0.0, 0.25, 0.5, 1.0])
    y = np.quantile(x, mcx.perturb(q, np.ones(4)))
    np.testing.assert_array_equal(y.im(1), [4.0, 8.0, 16.0, 32.0])
    y = np.percentile(x, mcx.perturb(100 * q, np.ones(4)))
    np.testing.assert_allclose(y.im(1), [0.04, 0.08, 0.16, 0.32], rtol=1e-15)


class TestMedian:
    def test_of_an_even_count_is_the_mean_of_the_two_winners(self):
        z = mcx.perturb(np.array([4.0, 1.0, 3.0, 2.0]), np.array([1.0, 2.0, 4.0, 8.0]))
        assert np.median(z).im(1) == 6.0

    def test_ties_are_settled_by_position(self):
        z = mcx.perturb(np.array([1.0, 1.0, 1.0, 0.0, 1.0]), np.array([1.0, 2.0, 4.0, 8.0, 16.0]))
        assert np.median(z).im(1) == 2.0
        assert np.nanmedian(z).im(1) == 2.0
        assert np.median(z[:4]).im(1) == 1.5
        pairs = mcx.perturb(np.tile([1.0, 2.0], 101), np.arange(202.0))
        assert np.quantile(pairs, 0.25, method="lower").im(1) == 100.0
        assert np.median(pairs[:201]).im(1) == 200.0

    def test_overwrite_input_leaves_the_number_as_it_is(self):
        x = np.array([4.0, 1.0, 3.0, 2.0])
        for call in (
            lambda z: np.median(z, overwrite_input=True),
            lambda z: np.median(z, None, None, True),
            lambda z: np.quantile(z, 0.5, overwrite_input=True),
            lambda z: np.nanmedian(z, overwrite_input=True),
            lambda z: np.percentile(z, 50, None, None, True),
        ):
            z = mcx.perturb(x, 10 * x)
            assert (call(z).value, call(z).im(1)) == (2.5, 25.0)
            np.testing.assert_array_equal(z.planes, [x, 10 * x])

    def test_out(self):
        z = mcx.perturb(np.arange(6.0).reshape(2, 3), np.arange(6.0).reshape(2, 3) ** 2)
        out = np.empty_like(z, shape=(2,))
        assert np.median(z, axis=1, out=out) is out
        np.testing.assert_array_equal(out.im(1), [1.0, 16.0])
        assert np.quantile(z, 0.5, 1, out) is out
        with pytest.raises(mcx.ImplicitConversionError):
            np.median(z, axis=1, out=np.empty(2))

    def test_infinite_elements_do_not_spoil_derivatives(self):
        z = mcx.perturb(np.array([np.inf, -np.inf, 1.0, 2.0]), np.array([1.0, 2.0, 3.0, 4.0]))
        assert np.median(z).im(1) == 3.5
        with np.errstate(invalid="ignore"):
            assert np.quantile(z, 1.0).im(1) == 1.0


class TestWeights:
    """inverted_cdf: the first item at which the sum of weights reaches q of the total."""

    def test_whole_weights_repeat_items(self, rng):
        planes = random_planes(rng, rng.normal(size=(4, 5)), 2)
        counts = rng.integers(1, 4, (4, 5))
        for q in (0.0, 0.25, 0.375, 0.5, 0.9375, 1.0):
            y = np.quantile(filled(planes), q, axis=1, weights=counts, method="inverted_cdf")
            for row in range(4):
                repeated = np.repeat(planes[:, row], counts[row], axis=1)
                expected = np.quantile(filled(repeated), q, method="inverted_cdf")
                np.testing.assert_array_equal(y.planes[:, row], expected.planes)

    @pytest.mark.skipif(VERSION < "2.4.0", reason="older NumPy mixes up weights along two axes")
    def test_shapes_of_weights(self, rng):
        z = filled(random_planes(rng, rng.normal(size=(2, 3, 4)), 1))
        w = rng.integers(1, 5, (4, 2))
        full = np.broadcast_to(w.T[:, None], (2, 3, 4))
        for q in (0.25, [0.125, 0.75]):
            how = {"axis": (2, 0), "method": "inverted_cdf", "keepdims": True}
            y, expected = (np.quantile(z, q, weights=v, **how) for v in (w, full))
            np.testing.assert_array_equal(y.planes, expected.planes)
            np.testing.assert_array_equal(y.value, np.quantile(z.value, q, weights=w, **how))

    def test_without_nan(self, rng):
        planes = random_planes(rng, rng.normal(size=(3, 5)), 2)
        w = rng.integers(0, 4, (3, 5)) + (np.arange(5) == 2)
        z = filled(planes)
        z[:, 1] = np.nan
        y = np.nanquantile(z, [0.25, 0.5], axis=1, weights=w, method="inverted_cdf")
        kept = [0, 2, 3, 4]
        expected = np.quantile(
            filled(planes[:, :, kept]),
            [0.25, 0.5],
            axis=1,
            weights=w[:, kept],
            method="inverted_cdf",
        )
        np.testing.assert_array_equal(y.planes, expected.planes)

    def test_weights_decide_no_more(self):
        w = mcx.perturb(np.array([1.0, 2.0, 1.0]), np.ones(3))
        y = np.quantile(np.array([3.0, 1.0, 2.0]), 0.5, weights=w, method="inverted_cdf")
        assert isinstance(y, mcx.Multicomplex)
        assert (y.value, y.im(1)) == (1.0, 0.0)

    def test_errors_are_numpys(self):
        z = mcx.perturb(np.arange(3.0), np.ones(3))
        with pytest.raises(ValueError, match="Only method 'inverted_cdf'"):
            np.quantile(z, 0.5, weights=[1, 1, 1])
        if VERSION >= "2.4.0":
            with pytest.raises(ValueError, match="all zero"), np.errstate(all="ignore"):
                np.quantile(z, 0.5, weights=[0.0, 0.0, 0.0], method="inverted_cdf")


def test_errors():
    z = mcx.perturb(np.arange(6.0).reshape(2, 3), np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"range \[0, 1\]"):
        np.quantile(z, 1.5)
    with pytest.raises(ValueError, match="not a valid method"):
        np.quantile(z, 0.5, method="best")
    with pytest.raises(mcx.UnsupportedFunctionError, match=r"numpy\.nanquantile.*q: expected"):
        np.nanquantile(z, [[0.5]])
    with pytest.raises(TypeError, match="real numbers"):
        np.quantile(z + 1j, 0.5)
    with pytest.raises(np.exceptions.AxisError):
        np.median(z, axis=2)


NAN_FUNCTIONS = {
    "nanmax": np.nanmax, "nanmin": np.nanmin, "nanmean": np.nanmean, "nanvar": np.nanvar,
    "nanstd": np.nanstd, "nanmedian": np.nanmedian,
    "nanquantile": lambda x, axis: np.nanquantile(x, 0.25, axis=axis),
}  # fmt: skip


def recorded_warnings(call, x):
    """Return a result and the messages of its warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = call(x)
    return result, [str(w.message) for w in caught]


@pytest.mark.parametrize("func", NAN_FUNCTIONS.values(), ids=NAN_FUNCTIONS)
class TestAllNaN:
    X = np.array([[1.0, np.nan, 3.0], [np.nan, np.nan, np.nan], [4.0, 5.0, 6.0]])

    def test_warns_as_numpy_and_is_nan_in_every_plane(self, func):
        z = mcx.perturb(self.X, np.ones((3, 3)), self.X**2)
        y, ours = recorded_warnings(lambda x: func(x, axis=1), z)
        expected, numpys = recorded_warnings(lambda x: func(x, axis=1), self.X)
        assert ours == numpys
        np.testing.assert_array_equal(y.value, expected)
        assert np.isnan(y.planes[1:3, 1]).all()
        assert np.isfinite(y.planes[:, [0, 2]]).all()

    def test_of_nothing(self, func):
        z = mcx.perturb(self.X[:, :0], self.X[:, :0])
        if func in (np.nanmax, np.nanmin):
            with pytest.raises(ValueError, match=r"empty|zero-size"):
                func(z, axis=1)
            return
        y, ours = recorded_warnings(lambda x: func(x, axis=1), z)
        expected, numpys = recorded_warnings(lambda x: func(x, axis=1), z.value)
        assert ours == numpys
        np.testing.assert_array_equal(y.value, expected)


def test_nan_is_passed_over_for_an_infinite_element():
    z = mcx.perturb(np.array([np.nan, -np.inf, np.nan]), np.array([1.0, 2.0, 4.0]))
    assert np.nanmax(z).im(1) == np.nanmin(z).im(1) == np.fmax.reduce(z).im(1) == 2.0
    assert np.nanmax(-z).im(1) == np.nanmin(-z).im(1) == -2.0


def test_nan_in_a_slice_makes_its_quantile_nan():
    x = np.array([[1.0, np.nan, 3.0], [4.0, 6.0, 5.0]])
    z = mcx.perturb(x, np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]))
    for call in (
        lambda a: np.median(a, axis=1),
        lambda a: np.quantile(a, 0.5, axis=1),
        lambda a: np.quantile(a, 0.5, axis=1, weights=np.ones((2, 3)), method="inverted_cdf"),
    ):
        y = call(z)
        np.testing.assert_array_equal(y.value, call(x))
        assert y.im(1)[1] == 6.0


@settings(max_examples=150)
@given(data=st.data())
def test_options_follow_numpy(data):
    elements = st.floats(-8, 8, width=16) | st.just(math.nan)
    shape = data.draw(hnp.array_shapes(min_dims=1, max_dims=3, max_side=4))
    x = data.draw(
        hnp.arrays(data.draw(st.sampled_from([np.float32, np.float64])), shape, elements=elements)
    )
    axes = st.lists(
        st.integers(-x.ndim, x.ndim - 1),
        min_size=1,
        max_size=x.ndim,
        unique_by=lambda k: k % x.ndim,
    )
    axis = data.draw(st.none() | st.integers(-x.ndim, x.ndim - 1) | axes.map(tuple))
    keepdims = data.draw(st.booleans())
    q = data.draw(st.sampled_from([0.3, 0, 1, [0.1, 0.9], [], np.float32(0.7), np.array(0.45)]))
    method = data.draw(st.sampled_from(METHODS))
    z = mcx.perturb(x, np.ones_like(x))
    for call in (
        lambda a: np.median(a, axis=axis, keepdims=keepdims),
        lambda a: np.nanmedian(a, axis=axis, keepdims=keepdims),
        lambda a: np.quantile(a, q, axis=axis, keepdims=keepdims, method=method),
        lambda a: np.nanquantile(a, q, axis=axis, keepdims=keepdims, method=method),
    ):
        expected, numpys = recorded_warnings(call, x)
        result, ours = recorded_warnings(call, z)
        assert ours == numpys
        assert result.dtype == expected.dtype
        np.testing.assert_array_equal(result.value, expected)
        finite = np.isfinite(expected)
        np.testing.assert_allclose(result.im(1)[finite], 1.0, rtol=1e-6)


@pytest.mark.parametrize("shape", [(0, 1), (0, 2), (2, 0, 3)])
@pytest.mark.parametrize("func", [np.median, lambda x, **how: np.quantile(x, [0.25, 0.5], **how)])
@pytest.mark.parametrize("keepdims", [False, True])
def test_no_slices_have_no_quantiles(shape, func, keepdims):
    axis = (1,) if shape[0] == 0 else (0,)
    z = mcx.perturb(np.ones(shape), np.ones(shape))
    expected = func(np.ones(shape), axis=axis, keepdims=keepdims)
    assert func(z, axis=axis, keepdims=keepdims).shape == expected.shape
