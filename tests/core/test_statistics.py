"""Averages, variances, covariances: against exact arithmetic in every plane, orders 1 to 4."""

import itertools
import warnings
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from core.builders import filled
from core.checkers import random_planes
from mpmath import mp

import mcx

ORDERS = (1, 2, 3, 4)


class Nilpotent:
    """Σ c_S t_S over sets S of units (bit masks), every t_k² = 0: coefficients of any kind."""

    def __init__(self, planes):
        self.planes = list(planes)

    def _other(self, x):
        if isinstance(x, Nilpotent):
            return x
        return Nilpotent([x] + [0] * (len(self.planes) - 1))

    def __add__(self, x):
        return Nilpotent(a + b for a, b in zip(self.planes, self._other(x).planes, strict=True))

    def __neg__(self):
        return Nilpotent(-a for a in self.planes)

    def __sub__(self, x):
        return self + (-self._other(x))

    def __rsub__(self, x):
        return self._other(x) - self

    def __mul__(self, x):
        y = self._other(x).planes
        return Nilpotent(
            sum(self.planes[t] * y[s ^ t] for t in range(s + 1) if t & s == t)
            for s in range(len(y))
        )

    def __truediv__(self, x):
        y, q = self._other(x).planes, []
        for s in range(len(y)):
            rest = sum(y[t] * q[s ^ t] for t in range(1, s + 1) if t & s == t)
            q.append((self.planes[s] - rest) / y[0])
        return Nilpotent(q)

    def __rtruediv__(self, x):
        return self._other(x) / self

    def sqrt(self):
        """Return the square root, to 50 digits."""
        with mp.workdps(50):
            x = [mpmath.mpf(c.numerator) / c.denominator for c in self.planes]
            r = [mp.sqrt(x[0])]
            for s in range(1, len(x)):
                rest = sum(r[t] * r[s ^ t] for t in range(1, s) if t & s == t)
                r.append((x[s] - rest) / (2 * r[0]))
        return Nilpotent(Fraction(*map(int, mpmath.libmp.to_rational(c._mpf_))) for c in r)

    __radd__, __rmul__ = __add__, __mul__


def exactly(z):
    """Return the object array of exact numbers of a Multicomplex, or of a plain array."""
    planes = z.planes if isinstance(z, mcx.Multicomplex) else np.asarray(z)[np.newaxis]
    rows = planes.reshape(len(planes), -1).T
    out = np.empty(rows.shape[0], object)
    for k, row in enumerate(rows):
        number = [Fraction(float(c)) for c in row]
        out[k] = Nilpotent(number) if isinstance(z, mcx.Multicomplex) else number[0]
    return out.reshape(planes.shape[1:])


def assert_planes(z, expected, factor=50):
    """Check every plane against exact numbers: factor · eps of the largest entry of the plane."""
    expected = np.asarray(expected, object)
    assert z.shape == expected.shape
    for k, plane in enumerate(z.planes):
        exact = np.array([x.planes[k] for x in expected.ravel()], object)
        error = [abs(Fraction(float(a)) - b) for a, b in zip(plane.ravel(), exact, strict=True)]
        size = max(map(abs, exact), default=0)
        bound = factor * float(np.finfo(plane.dtype).eps) * max(size, Fraction(1, 2))
        assert max(error, default=0) <= bound, f"plane {k:b}: {float(max(error) / bound)}"


def numbers(rng, shape, order, dtype=float):
    """Return a number with every plane random."""
    return filled(random_planes(rng, rng.uniform(-1, 2, shape).astype(dtype), order))


def total(x, axis):
    """Return the sum of an object array."""
    return np.add.reduce(x, axis=axis)


def variance(x, axis, ddof=0, mean=None, where=None):
    """Return Σ (x − mean)² / (N − ddof), by the definition, of an object array."""
    where = np.ones(x.shape, bool) if where is None else where
    chosen = np.where(where, x, Fraction(0))
    count = np.sum(where, axis=axis, keepdims=True)
    if mean is None:
        mean = np.add.reduce(chosen, axis=axis, keepdims=True) / to_fractions(count)
    d = np.where(where, x - mean, Fraction(0))
    return np.add.reduce(d * d, axis=axis) / to_fractions(count - ddof).reshape(
        np.squeeze(count, axis).shape
    )


def to_fractions(x):
    """Return an object array of fractions."""
    return np.array([Fraction(int(k)) for k in np.ravel(x)], object).reshape(np.shape(x))


@pytest.mark.parametrize("order", ORDERS)
class TestAgainstExactArithmetic:
    MASK = np.array([[1, 1, 0, 1], [1, 0, 1, 1], [0, 1, 1, 1]], bool)

    def test_variance(self, order, dtype, rng):
        z = numbers(rng, (3, 4), order, dtype)
        x = exactly(z)
        assert_planes(np.var(z, axis=0), variance(x, 0))
        assert_planes(np.var(z, axis=1, correction=1), variance(x, 1, 1))
        assert_planes(np.var(z, axis=(0, 1), ddof=2), variance(x, (0, 1), 2))
        assert_planes(np.var(z, axis=1, where=self.MASK), variance(x, 1, where=self.MASK))

    def test_variance_about_a_given_mean(self, order, rng):
        z, mean = numbers(rng, (3, 4), order), numbers(rng, (3, 1), order)
        x, m = exactly(z), exactly(mean)
        assert_planes(np.var(z, axis=1, mean=mean), variance(x, 1, mean=m))
        assert_planes(np.var(z, axis=1, mean=mean.value), variance(x, 1, mean=exactly(mean.value)))
        plain = exactly(z.value)
        assert_planes(np.var(z.value, axis=1, mean=mean), variance(plain, 1, mean=m))
        assert_planes(np.var(z.value.tolist(), axis=1, mean=mean), variance(plain, 1, mean=m))

    def test_standard_deviation(self, order, dtype, rng):
        z = numbers(rng, (3, 4), order, dtype)
        x = exactly(z)
        root = np.frompyfunc(Nilpotent.sqrt, 1, 1)
        assert_planes(np.std(z, axis=1), root(variance(x, 1)))
        assert_planes(np.std(z, axis=0, ddof=1), root(variance(x, 0, 1)))
        expected = root(variance(x, 1, where=self.MASK))
        assert_planes(np.std(z, axis=1, where=self.MASK), expected)

    def test_without_nan(self, order, dtype, rng):
        z = numbers(rng, (3, 4), order, dtype)
        holes = z.copy()
        holes[~self.MASK] = np.nan
        x, root = exactly(z), np.frompyfunc(Nilpotent.sqrt, 1, 1)
        one = Nilpotent([Fraction(1)] + [Fraction(0)] * (2**order - 1))
        chosen, ones = np.where(self.MASK, x, one - 1), np.where(self.MASK, x, one)
        counts = to_fractions(self.MASK.sum(1))
        assert_planes(np.nansum(holes, axis=1), total(chosen, 1))
        assert_planes(np.nanmean(holes, axis=1), total(chosen, 1) / counts)
        assert_planes(np.nanvar(holes, axis=1, ddof=1), variance(x, 1, 1, where=self.MASK))
        assert_planes(np.nanstd(holes, axis=1), root(variance(x, 1, where=self.MASK)))
        assert_planes(np.nanprod(holes, axis=1), np.multiply.reduce(ones, axis=1))
        assert_planes(np.nancumsum(holes, axis=1), np.add.accumulate(chosen, axis=1))
        assert_planes(np.nancumprod(holes, axis=1), np.multiply.accumulate(ones, axis=1))

    def test_average_by_numbers(self, order, dtype, rng):
        z, w = numbers(rng, (2, 3, 4), order, dtype), numbers(rng, (2, 3, 4), order, dtype)
        w = w + 2
        x, v = exactly(z), exactly(w)
        for axis in (0, 2, (0, 2)):
            mean, weight = np.average(z, axis=axis, weights=w, returned=True)
            assert_planes(weight, total(v, axis))
            assert_planes(mean, total(x * v, axis) / total(v, axis))
        mean, weight = np.average(z, axis=(2, 0), weights=w[:, 0].T, returned=True)
        column = v[:, :1]
        shape = np.broadcast_to(column, v.shape)
        assert_planes(weight, total(shape, (0, 2)))
        assert_planes(mean, total(x * column, (0, 2)) / total(shape, (0, 2)))
        plain = exactly(z.value)
        mean = np.average(z.value, axis=1, weights=w[0, :, 0])
        column = v[:1, :, :1]
        assert_planes(mean, total(plain * column, 1) / total(np.broadcast_to(column, v.shape), 1))

    def test_covariance(self, order, rng):
        z, y = numbers(rng, (2, 5), order), numbers(rng, (5,), order)
        w, counts = numbers(rng, (5,), order) + 2, np.array([1, 2, 1, 3, 1])
        rows = exactly(z)
        both = np.concatenate([rows, exactly(y)[np.newaxis]])
        ones = to_fractions(np.ones(5))
        assert_planes(np.cov(z), covariance(rows, ones, 4))
        assert_planes(np.cov(z, y, bias=True), covariance(both, ones, 5))
        assert_planes(np.cov(z.T, y, rowvar=False, ddof=2), covariance(both, ones, 3))
        weights = to_fractions(counts)
        assert_planes(np.cov(z, fweights=counts), covariance(rows, weights, 7))
        v = exactly(w)
        scale = total(v, None) - total(v * v, None) / total(v, None)
        assert_planes(np.cov(z, aweights=w), covariance(rows, v, scale))
        assert_planes(np.cov(z, aweights=w, ddof=0), covariance(rows, v, total(v, None)))
        both = v * weights
        scale = total(both, None) - total(both * v, None) / total(both, None)
        assert_planes(np.cov(z, fweights=counts, aweights=w), covariance(rows, both, scale))

    def test_correlation(self, order, rng):
        z = numbers(rng, (3, 6), order)
        c = covariance(exactly(z), to_fractions(np.ones(6)), 6)
        root = np.frompyfunc(Nilpotent.sqrt, 1, 1)(np.diagonal(c))
        assert_planes(np.corrcoef(z), c / root[:, np.newaxis] / root[np.newaxis])


def covariance(rows, weights, scale):
    """Return Σ w (x − x̄)(y − ȳ) / scale by the definition."""
    mean = total(rows * weights, 1) / total(weights, None)
    d = rows - mean[:, np.newaxis]
    out = np.empty((len(rows),) * 2, object)
    for i, j in itertools.product(range(len(rows)), repeat=2):
        out[i, j] = total(d[i] * d[j] * weights, None) / scale
    return out


class TestShapesOfCovariance:
    X = np.array([[1.0, 2.0, 4.0, -1.0], [0.5, -1.0, 3.0, 2.0]])

    @pytest.mark.parametrize(
        "call",
        [
            lambda x: np.cov(x[0]), lambda x: np.cov(x[0], rowvar=False), lambda x: np.cov(x[:1]),
            lambda x: np.cov(x[0], x[1]), lambda x: np.cov(x, x[:1]), lambda x: np.cov(x[:0]),
            lambda x: np.cov(x.T, x[0, :2], ddof=0), lambda x: np.corrcoef(x[0]),
            lambda x: np.cov(x[:, :1], x[:, :1], rowvar=False), lambda x: np.corrcoef(x.T, x.T),
            lambda x: np.cov(x[:1, :3], rowvar=False, ddof=0),
            lambda x: np.cov(x, dtype=np.float32), lambda x: np.corrcoef(x, x[::-1], rowvar=False),
        ],
    )  # fmt: skip
    def test_as_numpy(self, call):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result, expected = call(mcx.perturb(self.X, self.X)), call(self.X)
        assert result.dtype == expected.dtype
        np.testing.assert_array_equal(result.value, expected)

    def test_second_derivative_at_perfect_correlation(self):
        """The cosine of an angle: r'' = −|v|² for the part v across, and clipping is no kink."""
        x = np.array([1.0, 2.0, 4.0, 9.0, -3.0])
        v = np.array([1.0, -1.0, 0.5, 2.0, 0.25])
        z = mcx.perturb(x, v, v)
        r = np.corrcoef(z, 3 * x)[0, 1]
        d = x - x.mean()
        across = v - v.mean() - d * ((v - v.mean()) @ d) / (d @ d)
        np.testing.assert_allclose(r.im(1, 2), -(across @ across) / (d @ d), rtol=1e-14)
        assert abs(r.im(1)) < 1e-15

    def test_few_observations_warn_once_as_numpy_does(self):
        z = mcx.perturb(self.X[:, :1], np.ones((2, 1)))
        for call in (lambda x: np.cov(x), lambda x: np.corrcoef(x)):
            with warnings.catch_warnings(record=True) as ours:
                warnings.simplefilter("always")
                result = call(z)
            with warnings.catch_warnings(record=True) as numpys:
                warnings.simplefilter("always")
                call(z.value)
            assert [str(w.message) for w in ours] == [str(w.message) for w in numpys]
            assert not np.isfinite(result.planes).any()

    def test_counts_have_no_derivative(self):
        counts = mcx.perturb(np.array([1.0, 2.0, 1.0, 1.0]), np.ones(4))
        with pytest.raises(mcx.UnsupportedFunctionError, match="fweights= are counts"):
            np.cov(self.X, fweights=counts)


class TestAverage:
    X = np.arange(6.0).reshape(2, 3)

    def test_plain_weights_are_returned_plain(self):
        z = mcx.perturb(self.X, np.ones((2, 3)))
        mean, weight = np.average(z, axis=1, weights=[1, 2, 1], returned=True)
        assert type(weight) is np.ndarray
        np.testing.assert_array_equal(weight, [4, 4])
        np.testing.assert_allclose(mean.im(1), 1.0, rtol=1e-15)
        mean, count = np.average(z, returned=True)
        assert (count, mean.im(1)) == (6.0, 1.0)

    def test_weights_that_sum_to_zero_raise(self):
        z = mcx.perturb(self.X, np.ones((2, 3)))
        with pytest.raises(ZeroDivisionError):
            np.average(z, axis=1, weights=[1.0, -2.0, 1.0])
        with pytest.raises(ZeroDivisionError):
            np.average(self.X, weights=z - z.value)


W = np.array([[1 + 2j, -3 + 0.5j, 0.25 - 1j], [2 - 1j, 0.5j, -1 + 1j]])
P = np.array([[0.5 - 1j, 2 + 1j, -1 + 0.75j], [1 + 1j, -0.5, 0.25j]])
Q = np.array([[1j, 0.5 - 2j, 1.0], [-1 + 0.5j, 2j, 1 - 1j]])


class TestComplexCoefficients:
    """Conjugates stand where NumPy has them; the oracle is the bilinear form itself."""

    def check(self, y, form, x):
        """Check a number against a Hermitian form of centred data."""
        d, p, q = (a - a.mean(axis=1, keepdims=True) for a in (x, P, Q))
        np.testing.assert_allclose(y.im(1), form(d, p) + form(p, d), rtol=1e-14, atol=1e-15)
        np.testing.assert_allclose(y.im(1, 2), form(p, q) + form(q, p), rtol=1e-14, atol=1e-15)

    def test_covariance(self):
        z = mcx.perturb(W, P, Q)
        y = np.cov(z)
        np.testing.assert_array_equal(y.value, np.cov(W))
        self.check(y, lambda a, b: a @ b.conj().T / 2, W)
        self.check(np.cov(z, bias=True), lambda a, b: a @ b.conj().T / 3, W)

    def test_variance(self):
        z = mcx.perturb(W, P, Q)
        for func in (np.var, np.nanvar):
            y = func(z, axis=1, ddof=1)
            assert y.dtype == np.float64
            np.testing.assert_array_equal(y.value, func(W, axis=1, ddof=1))
            self.check(y, lambda a, b: np.real(np.sum(a * b.conj(), axis=1)) / 2, W)

    def test_linear_functions(self):
        z = mcx.perturb(W, P, Q)
        for func in (np.sum, np.mean, np.nansum, np.nanmean, np.cumsum, np.nancumsum):
            y = func(z, axis=1)
            np.testing.assert_array_equal(y.value, func(W, axis=1))
            np.testing.assert_allclose(y.im(1), func(P, axis=1), rtol=1e-15)
            np.testing.assert_allclose(y.im(2), func(Q, axis=1), rtol=1e-15)

    def test_products(self):
        z = mcx.perturb(W, P, Q)
        one, two = (np.prod(W[k]) for k in (0, 1))
        slopes = [
            [one * P[0, k] / W[0, k] for k in range(3)],
            [two * P[1, k] / W[1, k] for k in range(3)],
        ]
        for func in (np.prod, np.nanprod):
            np.testing.assert_allclose(func(z, axis=1).im(1), np.sum(slopes, axis=1), rtol=1e-14)
        np.testing.assert_allclose(
            np.cumprod(z, axis=1).im(1)[:, -1], np.sum(slopes, axis=1), rtol=1e-14
        )

    def test_median_is_by_numpys_order_of_complex_numbers(self):
        y = np.median(mcx.perturb(W, P, Q), axis=1)
        np.testing.assert_array_equal(y.value, np.median(W, axis=1))
        chosen = np.argsort(W, axis=1)[:, 1:2]
        np.testing.assert_array_equal(y.im(1), np.take_along_axis(P, chosen, 1)[:, 0])


def test_integer_weights_and_data():
    z = mcx.perturb(np.array([1, 2, 4]), np.array([1, 0, 2]))
    assert np.average(z, weights=np.array([3, 2, 1])).im(1) == 5 / 6
    w = mcx.perturb(np.array([3.0, 2.0, 1.0]), np.array([1.0, 0.0, 0.0]))
    y = np.average(np.array([1, 2, 4]), weights=w)
    np.testing.assert_allclose(y.im(1), (1 * 6 - 11) / 36, rtol=1e-15)


def test_range_takes_the_winners_of_max_and_min():
    z = mcx.perturb(np.array([3.0, -1.0, 3.0, -1.0]), np.array([1.0, 10.0, 100.0, 1000.0]))
    assert np.ptp(z).im(1) == 1.0 - 10.0
    assert np.ptp(z.reshape(2, 2), axis=0).im(1).tolist() == [0.0, 0.0]  # both take the first
