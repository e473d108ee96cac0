"""register_analytic: every plane, by kernels and without, against derivatives by mpmath."""

import itertools
import math

import mpmath
import numpy as np
import pytest
from core.algebras import ALGEBRAS, UNITS
from core.ways import assert_same, by_kernels, interpreted, plainly
from standin import StandIn

import mcx
from mcx.algebra import algebra_of
from mcx.support import supported

WAYS = {"plain": plainly, "source": interpreted, "compiled": by_kernels}
X = np.array([-1.75, -0.5, 0.25, 1.5])


@mcx.register_analytic(
    lambda a, y, n: [(a + k) * np.exp(a) * (1 / math.factorial(k)) for k in range(1, n + 1)]
)
def growth(x):
    return x * np.exp(x)


def _ramp_series(a, y, n):
    right = (a > 0) * np.ones_like(a)
    return [3 * a * a * right, 3 * a * right, right, *[np.zeros_like(a)] * n][:n]


@mcx.register_analytic(_ramp_series)
def ramp(x):
    return np.maximum(x, 0) ** 3


def _wave_series(a, y, n):
    slope = np.where(a > 0, np.cos(a), np.cosh(a))
    bend = np.where(a > 0, -y, y)
    cycle = [slope, bend, np.where(a > 0, -slope, slope), y]
    return [cycle[(k - 1) % 4] * (1 / math.factorial(k)) for k in range(1, n + 1)]


@mcx.register_analytic(_wave_series, traced=False)
def wave(x):
    return np.where(x > 0, np.sin(x), np.sinh(x))


EXACT = {
    growth: lambda t: t * mpmath.exp(t),
    ramp: lambda t: t**3 if t > 0 else mpmath.mpf(0),
    wave: lambda t: mpmath.sin(t) if t > 0 else mpmath.sinh(t),
}


def derivative(func, x, k):
    """Return f⁽ᵏ⁾ at every entry, by mpmath's differences in many digits."""
    return np.array([float(mpmath.diff(EXACT[func], float(t), k)) for t in x])


each_function = pytest.mark.parametrize("func", EXACT, ids=lambda func: func.__name__)
each_way = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)


@each_way
@each_function
class TestDerivatives:
    @pytest.mark.parametrize("order", range(1, 6))
    def test_along_one_direction(self, func, order, way, dtype):
        with way() as answered:
            got = mcx.derivative(func, X.astype(dtype), order=order)
        assert got.dtype == dtype
        assert func is wave or not answered or all(answered)
        assert way is plainly or bool(answered) == (func is not wave)
        expected = derivative(func, X.astype(dtype), order)
        np.testing.assert_allclose(got, expected, rtol=50 * np.finfo(dtype).eps, atol=1e-30)

    @pytest.mark.parametrize("order", range(1, 6))
    def test_along_distinct_directions(self, func, order, way, rng):
        if way is by_kernels and order > 3:
            way = interpreted  # the same source, which takes long to compile
        p = rng.choice([-1.0, 0.5, 2.0], (order, 4))
        with way():
            z = func(mcx.perturb(X, *p))
        np.testing.assert_array_equal(z.value, func(X))
        for count in range(1, order + 1):
            slope = derivative(func, X, count)
            for units in itertools.combinations(range(order), count):
                expected = slope * math.prod(p[k] for k in units)
                got = z.im(*(k + 1 for k in units))
                np.testing.assert_allclose(got, expected, rtol=1e-14, atol=1e-30)

    def test_linearize(self, func, way, rng):
        P = rng.normal(size=(3, 4))
        slope, bend = (derivative(func, X, k) for k in (1, 2))
        with way():
            value, lin = mcx.linearize(func, X)
            inner = mcx.linearize(lambda x: mcx.linearize(func, x)[1](P[0]), X)[1](P[1])
            mixed = mcx.jvp(lambda x: mcx.linearize(func, x)[1](P[0]), X, P[1])[1]
            within = mcx.linearize(lambda x: mcx.jvp(func, x, P[0])[1], X)[1](P[1])
        np.testing.assert_array_equal(value, func(X))
        np.testing.assert_allclose(lin(P), slope * P, rtol=1e-14, atol=1e-30)
        np.testing.assert_allclose(lin(P[1]), slope * P[1], rtol=1e-14, atol=1e-30)
        for second in (inner, mixed, within):
            np.testing.assert_allclose(second, bend * P[0] * P[1], rtol=1e-14, atol=1e-30)

    def test_chain(self, func, way):
        """Of a number that has planes of all orders."""
        with way():
            got = mcx.derivative(lambda x: func(x * x * x), X, order=2)
        slope, bend = (derivative(func, X**3, k) for k in (1, 2))
        np.testing.assert_allclose(got, 9 * X**4 * bend + 6 * X * slope, rtol=1e-13, atol=1e-30)

    def test_masks_and_shapes(self, func, way, rng):
        """Whatever is live, and for no elements and no dimensions."""
        algebra = algebra_of(UNITS[2])
        for mask, shape in itertools.product((1, 0b0011, 0b0111, 0b1001), ((), (0,), (2, 3))):
            z = mcx.Multicomplex(rng.normal(size=(4, *shape)), algebra)
            for k in range(4):
                z._planes[k] *= mask >> k & 1
            masked = mcx.Multicomplex(z._planes, algebra, supported(mask, algebra))
            with way():
                got, expected = func(masked), func(z)
            np.testing.assert_array_equal(got._planes, expected._planes, strict=True)


@each_function
class TestAnyWay:
    def test_the_ways_agree_bit_for_bit(self, func, dtype, rng):
        for name in ("order 2", "series 5", "two factors"):
            algebra = ALGEBRAS[name]
            z = mcx.Multicomplex(rng.normal(size=(algebra.size, 6)).astype(dtype), algebra)
            results = []
            for way in WAYS.values():
                with way():
                    results.append(func(z))
            for result in results[1:]:
                assert_same(result, results[0])

    def test_on_device(self, func, rng):
        z = mcx.Multicomplex(rng.normal(size=(4, 3)), algebra_of(UNITS[2]))
        on_device = mcx.Multicomplex(StandIn.wrap(z._planes), z.algebra)
        np.testing.assert_array_equal(func(on_device)._planes.get(), func(z)._planes)

    def test_plain(self, func):
        y, out = func(X), np.empty(4)
        assert type(y) is np.ndarray
        assert func(X, out=out) is out
        np.testing.assert_array_equal(out, y)

    def test_exact_reading_is_refused(self, func):
        z = mcx.perturb(X, X, h=1e-20)
        refused = rf"{func.__name__} .*no recursion in the exact reading"
        with pytest.raises(mcx.UnsupportedFunctionError, match=refused):
            func(z)

    @pytest.mark.parametrize(
        "call",
        [
            lambda f, z: f(z, z), lambda f, z: f(z, out=z), lambda f, z: f(z, where=True),
            lambda f, z: f(x=z), lambda f, z: f(X, out=z), lambda f, z: f([z[0], z[1]]),
        ],
    )  # fmt: skip
    @pytest.mark.parametrize("recorded", [False, True])
    def test_one_number_and_nothing_else(self, func, call, recorded):
        z = mcx.perturb(X, X)
        with pytest.raises(mcx.UnsupportedFunctionError, match=rf"{func.__name__} .*one number"):
            mcx.linearize(lambda x: call(func, x), X) if recorded else call(func, z)


def test_complex_planes():
    at = X + 0.5j
    z = growth(mcx.perturb(at, X))
    np.testing.assert_allclose(z.im(1), (at + 1) * np.exp(at) * X, rtol=1e-14)


class TestSeries:
    @pytest.mark.parametrize("traced", [True, False])
    @pytest.mark.parametrize("change", [-1, 1])
    def test_of_the_wrong_length(self, change, traced):
        """A series cut short would make higher derivatives 0."""

        @mcx.register_analytic(lambda a, y, n: [y] * (n + change), traced)
        def short(x):
            return np.exp(x)

        for run in (
            lambda: mcx.derivative(short, X, order=3), lambda: mcx.linearize(short, X),
            lambda: short(mcx.perturb(X, X)),
        ):  # fmt: skip
            with pytest.raises(ValueError, match=r"short: series: expected .* coefficients"):
                run()

    def test_of_python_numbers(self):
        @mcx.register_analytic(lambda a, y, n: [3.0, *[0] * n][:n])
        def triple(x):
            return 3 * x

        for way in WAYS.values():
            with way():
                z = triple(mcx.perturb(X, X, np.ones(4)))
                assert_same(z, mcx.perturb(3 * X, 3 * X, np.full(4, 3.0)) + 0 * z)
                np.testing.assert_array_equal(mcx.linearize(triple, X)[1](X), 3 * X)


def named(name, series=lambda a, y, n: [y * (1 / math.factorial(k)) for k in range(1, n + 1)]):
    func = np.exp if name is None else lambda x: np.exp(x)
    if name is not None:
        func.__name__ = name
    return mcx.register_analytic(series)(func)


class TestNames:
    """The name of a function is part of a file's name in the cache of kernels."""

    NAMES = (None, "<lambda>", "é", "class", 'a/b "c" """ \\N \n{0}', "." * 300, "")

    @pytest.mark.parametrize("name", NAMES, ids=ascii)
    def test_any_name(self, name):
        with interpreted() as answered:
            got = mcx.derivative(named(name), X, order=3)
            # Many directions are computed by halves, with kernels of slopes.
            many = named(name)(mcx.perturb(X, *np.ones((5, 4)))).im(1, 2, 3, 4, 5)
        assert answered
        assert all(answered)
        np.testing.assert_allclose(got, np.exp(X), rtol=1e-15)
        np.testing.assert_allclose(many, np.exp(X), rtol=1e-15)

    @pytest.mark.parametrize("name", [NAMES[1], NAMES[4], NAMES[5]], ids=["lambda", "odd", "long"])
    def test_in_files(self, name):
        with by_kernels() as answered:
            got = mcx.derivative(named(name), X)
        assert all(answered)
        np.testing.assert_allclose(got, np.exp(X), rtol=1e-15)

    def test_functions_of_one_name(self):
        """Their kernels are apart, in memory and in files."""
        one = named("same")
        two = named("same", lambda a, y, n: [(k + 1) * y for k in range(1, n + 1)])
        with by_kernels() as answered:
            got = [mcx.derivative(f, X, order=2) for f in (one, two, one, two)]
        assert all(answered)
        np.testing.assert_allclose(got, [np.exp(X), 6 * np.exp(X)] * 2, rtol=1e-15)

    def test_a_function_without_a_name(self):
        class Exponential:
            def __call__(self, x):
                return np.exp(x)

        func = mcx.register_analytic(lambda a, y, n: [y] * n)(Exponential())
        with by_kernels() as answered:
            np.testing.assert_array_equal(mcx.derivative(func, X), np.exp(X))
        assert all(answered)
