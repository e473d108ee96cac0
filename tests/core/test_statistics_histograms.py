"""Histograms: counts are plain, edges move with the data, weights are linear; bincount."""

import numpy as np
import pytest
from core.test_statistics import assert_planes, exactly, numbers

import mcx

X = np.array([[0.5, 2.0, 1.25, 0.75], [3.5, 1.0, -0.25, 2.75]])
P = np.array([[1.0, 2.0, -1.0, 0.5], [4.0, 0.25, -3.0, 1.5]])
Q = np.array([[0.5, -1.0, 2.0, 1.0], [-2.0, 1.0, 0.75, 3.0]])


def data():
    """Return a number of order 2; its largest element is X[1, 0], its smallest X[1, 2]."""
    return mcx.perturb(X, P, Q)


class TestEdges:
    @pytest.mark.parametrize("bins", [1, 5, "auto", "sturges", "fd"])
    def test_between_the_smallest_and_the_largest_element(self, bins):
        counts, edges = np.histogram(data(), bins)
        plain, expected = np.histogram(X, bins)
        assert type(counts) is np.ndarray
        assert counts.dtype == plain.dtype
        np.testing.assert_array_equal(counts, plain)
        np.testing.assert_array_equal(edges.value, expected)
        t = np.arange(len(expected)) / (len(expected) - 1)
        for unit, p in ((1, P), (2, Q)):
            np.testing.assert_allclose(edges.im(unit), (1 - t) * p[1, 2] + t * p[1, 0], rtol=1e-15)
        assert not edges.im(1, 2).any()
        again = np.histogram_bin_edges(data(), bins)
        np.testing.assert_array_equal(again.planes, edges.planes)

    def test_equal_elements_are_in_the_middle(self):
        edges = np.histogram_bin_edges(mcx.perturb(np.full(3, 2.0), np.array([1.0, 5.0, 7.0])), 4)
        np.testing.assert_array_equal(edges.value, [1.5, 1.75, 2.0, 2.25, 2.5])
        np.testing.assert_array_equal(edges.im(1), np.ones(5))  # max and min take the first

    def test_limits_and_edges_that_are_given(self):
        z, low = data(), mcx.perturb(0.5, 2.0)
        counts, edges = np.histogram(z, 4, (low, 2.5))
        np.testing.assert_array_equal(edges.im(1), [2.0, 1.5, 1.0, 0.5, 0.0])
        np.testing.assert_array_equal(counts, np.histogram(X, 4, (0.5, 2.5))[0])
        given = np.array([0.0, 1.0, 3.0])
        counts, edges = np.histogram(z, given)
        assert type(edges) is np.ndarray
        np.testing.assert_array_equal(counts, [2, 4])
        moving = mcx.perturb(given, np.array([1.0, -1.0, 2.0]))
        counts, edges = np.histogram(X, moving)
        np.testing.assert_array_equal(edges.planes, moving.planes)
        np.testing.assert_array_equal(counts, [2, 4])

    def test_fixed_limits_leave_nothing_to_differentiate(self):
        counts, edges = np.histogram(data(), 4, (0.0, 4.0))
        assert type(counts) is type(edges) is np.ndarray

    def test_of_nothing(self):
        counts, edges = np.histogram(data()[:0], 3)
        np.testing.assert_array_equal(edges, np.histogram(X[:0], 3)[1])
        np.testing.assert_array_equal(counts, [0, 0, 0])


@pytest.mark.parametrize("order", [1, 2, 3, 4])
class TestAgainstExactArithmetic:
    def bins(self, x, edges):
        """Return the index of every element's bin, the last one closed; −1 outside."""
        inside = (x >= edges[0]) & (x <= edges[-1])
        place = np.minimum(np.searchsorted(edges, x, side="right") - 1, len(edges) - 2)
        return np.where(inside, place, -1)

    def summed(self, places, weights, count):
        """Return the sums of exact weights by place."""
        zero = weights.ravel()[0] - weights.ravel()[0]
        out = np.full(count, zero, object)
        for place, w in zip(np.ravel(places), weights.ravel(), strict=True):
            if place >= 0:
                out[place] = out[place] + w
        return out

    def test_weights(self, order, dtype, rng):
        w = numbers(rng, X.shape, order, dtype)
        for bins, limits in ((4, None), (3, (0.0, 3.0)), (np.array([0.0, 0.6, 2.2, 3.0]), None)):
            counts, edges = np.histogram(X, bins, limits, weights=w)
            assert type(edges) is np.ndarray
            plain = np.histogram(X, bins, limits, weights=w.value)[0]
            assert counts.dtype == plain.dtype
            np.testing.assert_array_equal(counts.value, plain)
            places = self.bins(X, edges)
            assert_planes(counts, self.summed(places, exactly(w), len(edges) - 1))

    def test_density(self, order, rng):
        z, w = numbers(rng, (2, 6), order), numbers(rng, (2, 6), order) + 2
        density, edges = np.histogram(z, 4, density=True, weights=w)
        x, v = exactly(z), exactly(w)
        low, high = (x.ravel()[f(z.value)] for f in (np.argmin, np.argmax))
        ends = np.array([low + (high - low) * t for t in exactly(np.arange(5.0) / 4)], object)
        assert_planes(edges, ends)
        counts = self.summed(self.bins(z.value, edges.value), v, 4)
        assert_planes(density, counts / (ends[1:] - ends[:-1]) / np.sum(v.ravel()))
        flat, _ = np.histogram(z, 4, density=True)
        plain = exactly(np.histogram(z.value, 4)[0])
        assert_planes(flat, plain / (ends[1:] - ends[:-1]) / 12)

    def test_bincount(self, order, dtype, rng):
        w = numbers(rng, (6,), order, dtype)
        places = np.array([0, 3, 3, 1, 0, 3])
        for y in (np.bincount(places, w, 6), np.bincount(places, minlength=6, weights=w)):
            assert y.dtype == np.float64
            assert_planes(y, self.summed(places, exactly(w), 6))
            np.testing.assert_array_equal(y.value, np.bincount(places, w.value, 6))

    def test_two_dimensions(self, order, rng):
        z, w = numbers(rng, (2, 7), order), numbers(rng, (7,), order) + 2
        density, left, right = np.histogram2d(z[0], z[1], (2, 3), density=True, weights=w)
        value = np.histogram2d(*z.value, (2, 3), density=True, weights=w.value)
        for y, plain in zip((density, left, right), value, strict=True):
            np.testing.assert_array_equal(y.value, plain)
        places = self.bins(z.value[0], left.value) * 3 + self.bins(z.value[1], right.value)
        counts = self.summed(places, exactly(w), 6).reshape(2, 3)
        widths = [np.diff(exactly(edges)) for edges in (left, right)]
        area = widths[0][:, np.newaxis] * widths[1]
        assert_planes(density, counts / area / np.sum(exactly(w)))
        same, edges = np.histogramdd(z.T, (2, 3), density=True, weights=w)
        np.testing.assert_array_equal(same.planes, density.planes)
        np.testing.assert_array_equal(edges[1].planes, right.planes)


class TestFormsOfSamples:
    def test_sequences_arrays_and_plain_columns(self):
        z = data()
        _, edges = np.histogramdd([z[0], X[1]], [2, [0.0, 1.0, 4.0]])
        np.testing.assert_array_equal(edges[0].planes, np.histogram_bin_edges(z[0], 2).planes)
        assert type(edges[1]) is np.ndarray
        counts, edges = np.histogramdd(z.T, 3, range=[(0.0, 3.0), None])
        np.testing.assert_array_equal(counts, np.histogramdd(X.T, 3, range=[(0.0, 3.0), None])[0])
        assert type(edges[0]) is np.ndarray
        np.testing.assert_array_equal(edges[1].planes, np.histogram_bin_edges(z[1], 3).planes)
        _, edges = np.histogramdd(z[0], 2)
        np.testing.assert_array_equal(edges[0].planes, np.histogram_bin_edges(z[0], 2).planes)

    def test_bins_of_both_axes(self):
        z, given = data(), np.array([-1.0, 0.0, 2.0, 4.0])
        counts, left, right = np.histogram2d(z[0], z[1], given)
        assert type(left) is type(right) is np.ndarray
        np.testing.assert_array_equal(counts, np.histogram2d(*X, given)[0])
        moving = mcx.perturb(given, np.ones(4))
        _, left, right = np.histogram2d(X[0], X[1], [moving, 2])
        np.testing.assert_array_equal(left.im(1), np.ones(4))
        assert type(right) is np.ndarray


def test_linearized():
    def density(x):
        return np.histogram(x, 3, density=True, weights=x**2)[0]

    _, lin = mcx.linearize(density, X)
    np.testing.assert_allclose(lin(P), mcx.jvp(density, X, P)[1], rtol=1e-13)


def test_errors():
    z = data()
    with pytest.raises(TypeError, match="number of bins is not supported for weighted data"):
        np.histogram(X, "auto", weights=z)
    with pytest.raises(ValueError, match="same shape"):
        np.histogram(X, 3, weights=z[0])
    with pytest.raises(mcx.UnsupportedFunctionError, match=r"numpy\.bincount"):
        np.bincount(mcx.perturb(np.array([1.0, 2.0]), np.ones(2)))
    with pytest.raises(ValueError, match="must increase"):
        np.histogram(z, [2.0, 1.0])
    with pytest.raises(ValueError, match="dimension of bins"):
        np.histogramdd(z.T, [2, 2, 2])


def test_one_number_and_nothing_are_counted():
    z = mcx.perturb(2.0, 3.0)
    counts, edges = np.histogram(z, 2)
    assert counts.tolist() == [0, 1]
    assert edges.value.tolist() == [1.5, 2.0, 2.5]
    assert edges.im(1).tolist() == [3.0, 3.0, 3.0]
    assert np.histogram_bin_edges(z, 1).im(1).tolist() == [3.0, 3.0]
    empty = mcx.perturb(np.zeros(0), np.zeros(0))
    counts, expected = np.bincount([], empty, 3), np.bincount([], np.zeros(0), 3)
    np.testing.assert_array_equal(counts, expected, strict=True)
