"""Interpolation, differences, phases, sinc and i0: exact numbers and mpmath, in every plane."""

import itertools
import math

import numpy as np
import pytest
from core.builders import filled, singletons
from core.cases import Unary, distance
from core.checkers import assert_same_value, check_unary, random_planes
from core.test_polynomials import Exact, assert_exact, exact, operand
from mpmath import mp

import mcx

ORIGIN = distance(0)

SPECIAL = (
    Unary(
        np.sinc,
        lambda z: mp.sin(mp.pi * z) / (mp.pi * z) if z else mp.mpf(1),
        (0.0, 1e-20, 1e-6, -1e-3, 0.125, -0.25, 0.3183, 0.5, 0.75, 1.0, -1.0, 1.4375, 1.5, -1.75,
         2.0, 2.25, 3.75, -5.5, 100.25, -1000.0),
        (1e5 + 1 / 3, -1e-12),
        radius=lambda x: 1.0,
    ),
    Unary(
        np.i0,
        lambda z: mp.besseli(0, z),
        (0.0, 1e-20, -1e-6, 1e-3, 0.25, -1.0, 2.5, 7.9375, -8.0, 8.0625, 15.0, -40.0, 80.0),
        (200.0, -500.0, 700.0),
    ),
)  # fmt: skip


@pytest.mark.parametrize("case", SPECIAL, ids=str)
class TestSpecialFunctions:
    def test_distinct_directions(self, case, dtype, order, rng):
        check_unary(case, singletons(random_planes(rng, case.sample(dtype), order)))

    def test_all_planes_filled(self, case, dtype, order, rng):
        check_unary(case, random_planes(rng, case.sample(dtype), order))

    def test_recorder(self, case, dtype, rng):
        x = case.sample(dtype)
        p = rng.normal(size=x.shape).astype(dtype)
        value, lin = mcx.linearize(case.func, x)
        np.testing.assert_array_equal(value, case.func(x))
        np.testing.assert_allclose(lin(p), mcx.jvp(case.func, x, p)[1], rtol=1e-12)

    def test_by_name(self, case, rng):
        z = mcx.perturb(np.array([0.5, 2.0]), np.ones(2))
        np.testing.assert_array_equal(case.func(x=z).planes, case.func(z).planes)


def sinc_coefficients(at, order):
    """Return the Taylor coefficients of sinc: of sin u/u, u = πx, the product of two series."""
    ks, u = range(order + 1), mp.pi * at
    if at == 0:
        return [0 if k % 2 else (-1) ** (k // 2) * mp.pi**k / mp.factorial(k + 1) for k in ks]
    waves = mp.sin(u), mp.cos(u), -mp.sin(u), -mp.cos(u)
    sine = [waves[k % 4] / mp.factorial(k) for k in ks]
    inverse = [(-1) ** k / u ** (k + 1) for k in ks]
    return [mp.pi**k * mp.fsum(sine[j] * inverse[k - j] for j in range(k + 1)) for k in ks]


def test_order_32_of_sinc_and_i0():
    """High orders keep their digits: at 0, where half of them vanish, and everywhere else."""
    for at in (0.0, 1e-15, 0.3, 1.0, 2.5, 7.0, 10.0, 12.0):
        got = mcx.taylor(np.sinc, np.array(at), np.array(1.0), order=32)
        with mp.workdps(600):
            exactly = sinc_coefficients(mp.mpf(at), 33)
        for k in range(1, 33):
            size = abs(exactly[k]) + (k + 1) * abs(at * exactly[k + 1])
            assert abs(got[k] - exactly[k]) <= 50 * max(2.0**-52 * size, 2.0**-1022)
    for at in (0.0, 1e-300, 0.5, 9.0, 300.0, 700.0):
        got = mcx.taylor(np.i0, np.array(at), np.array(1.0), order=32)
        with mp.workdps(40):
            bessel = [mp.besseli(k, at) for k in range(33)]
            for k in range(1, 33):
                terms = [mp.binomial(k, j) * bessel[abs(k - 2 * j)] for j in range(k + 1)]
                exactly = mp.fsum(terms) / 2**k / mp.factorial(k)
                assert abs(got[k] - exactly) <= 50 * max(2.0**-52 * exactly, 2.0**-1022)


def test_i0_is_even_and_has_no_complex_values():
    z = mcx.perturb(np.array([2.0, -2.0, 0.0]), *np.ones((3, 3)))
    y = np.i0(z)
    for units, sign in (((1,), -1), ((1, 2), 1), ((1, 2, 3), -1)):
        assert y.im(*units)[0] == sign * y.im(*units)[1]
    assert y.im(1)[2] == y.im(1, 2, 3)[2] == 0
    with pytest.raises(TypeError, match="complex"):
        np.i0(z * 1j)


class TestInterp:
    """(x, xp, fp) against exact lines; at a knot with the slope that follows, before the last."""

    def line(self, x, xp, fp, left, right):
        """Return the exact value at one point."""
        at, knots = x.planes[0], [v.planes[0] for v in xp]
        if at < knots[0] or at > knots[-1]:
            return left if at < knots[0] else right
        j = max(k for k, v in enumerate(knots) if v <= at)
        k = j if j + 1 < len(knots) else j - 1
        return fp[j] + (x - xp[j]) * ((fp[k + 1] - fp[k]) / (xp[k + 1] - xp[k]))

    @pytest.mark.parametrize("which", range(1, 8))
    def test_whichever_is_a_number(self, which, dtype, rng):
        x = operand(rng, (9,), dtype)
        xp, fp = operand(rng, (5,), dtype), operand(rng, (5,), dtype)
        xp.planes[0] = [-1.5, -1.0, 0.25, 0.5, 1.75]
        x.planes[0] = [-1.5, -1.25, -1.0, 0.0, 0.5, 1.75, 1.0, -2.0, 3.0]
        args = [a if which >> k & 1 else a.value for k, a in enumerate((x, xp, fp))]
        y = np.interp(*args)
        u, v, w = (exact(a) for a in args)
        expected = [self.line(at, v, w, w[0], w[-1]) for at in u]
        assert_exact(y, expected, np.interp(x.value, xp.value, fp.value), np.finfo(float).eps)

    def test_ends_are_numbers_too(self, rng):
        x, ends = operand(rng, (4,), float), operand(rng, (2,), float)
        x.planes[0] = [-3.0, 0.25, 1.5, 4.0]
        xp, fp = np.array([0.0, 1.0, 2.0]), np.array([3.0, -1.0, 5.0])
        y = np.interp(x, xp, fp, left=ends[0] * ends[1], right=ends[1])
        u, e = exact(x), exact(ends)
        expected = [self.line(at, exact(xp), exact(fp), e[0] * e[1], e[1]) for at in u]
        value = np.interp(x.value, xp, fp, ends.value[0] * ends.value[1], ends.value[1])
        assert_exact(y, expected, value, np.finfo(float).eps)

    def test_period(self, rng):
        """Knots out of order and beyond one period; the period is a number as well."""
        x, period = operand(rng, (3,), float), operand(rng, (), float)
        xp, fp = operand(rng, (3,), float), operand(rng, (3,), float)
        period.planes[0] = 4.0
        x.planes[0], xp.planes[0] = [-0.75, 5.5, 3.75], [2.5, 5.25, 0.5]
        y = np.interp(x, xp, fp, period=period)
        t, u, v, w = (exact(a) for a in (period[np.newaxis], x, xp, fp))
        t = t[0]
        x0, x1, x2 = u[0] + t, u[1] - t, u[2]  # 3.25, 1.5, 3.75
        k0, k1, k2 = v[2], v[1] - t, v[0]  # 0.5, 1.25, 2.5
        slope = (w[2] - w[0]) / (k0 + t - k2)
        expected = [
            w[0] + (x0 - k2) * slope,
            w[1] + (x1 - k1) * ((w[0] - w[1]) / (k2 - k1)),
            w[0] + (x2 - k2) * slope,
        ]
        value = np.interp(x.value, xp.value, fp.value, period=4.0)
        assert_exact(y, expected, value, np.finfo(float).eps, 400)

    def test_single_knot_and_points_off_the_line(self):
        x = mcx.perturb(np.array([0.5, 1.0, np.inf, -np.inf, np.nan]), np.ones(5))
        y = np.interp(x, [1.0], [7.0])
        np.testing.assert_array_equal(y.value, np.interp(x.value, [1.0], [7.0]))
        assert not np.any(y.im(1)[:4])
        y = np.interp(x, [0.0, 2.0], [7.0, 9.0])
        np.testing.assert_array_equal(y.value, np.interp(x.value, [0.0, 2.0], [7.0, 9.0]))
        np.testing.assert_array_equal(y.im(1)[:4], [1.0, 1.0, 0.0, 0.0])

    def test_double_knots(self):
        """At a jump NumPy goes on with the line that follows; at the end it has the one before."""
        xp, fp = [0.0, 1.0, 1.0, 2.0, 2.0], [0.0, 1.0, 5.0, 8.0, 11.0]
        x = mcx.perturb(np.array([0.5, 1.0, 1.5, 2.0]), np.ones(4))
        y = np.interp(x, xp, fp)
        np.testing.assert_array_equal(y.value, [0.5, 5.0, 6.5, 11.0])
        np.testing.assert_array_equal(y.im(1), [1.0, 3.0, 3.0, 3.0])

    def test_complex_data(self, rng):
        x, xp = operand(rng, (4,), float), np.array([-5.0, -1.0, 0.5, 5.0])
        re, im = rng.normal(size=(2, 4))
        y = np.interp(x, xp, re + 1j * im)
        assert_same_value(y, np.interp(x.value, xp, re + 1j * im))
        for part, data in ((y.real, re), (y.imag, im)):
            np.testing.assert_allclose(part.planes, np.interp(x, xp, data).planes, atol=1e-14)


def quadratic(points, values, k):
    """Return the exact derivative, at point k of three, of the parabola through them."""
    total = Exact.of(0)
    for j in range(3):
        others = [m for m in range(3) if m != j]
        below = math.prod((points[j] - points[m] for m in others), start=Exact.of(1))
        slopes = [points[k] - points[m] for m in others]
        total = total + values[j] / below * (slopes[0] + slopes[1])
    return total


def differences(f, points, edge_order):
    """Return NumPy's derivative along a line of points."""
    n = len(f)
    inner = [quadratic(points[k - 1 : k + 2], f[k - 1 : k + 2], 1) for k in range(1, n - 1)]
    if edge_order == 2:
        return [quadratic(points[:3], f[:3], 0), *inner, quadratic(points[-3:], f[-3:], 2)]
    ends = [(f[k + 1] - f[k]) / (points[k + 1] - points[k]) for k in (0, n - 2)]
    return [ends[0], *inner, ends[1]]


class TestGradient:
    @pytest.mark.parametrize("edge_order", [1, 2])
    @pytest.mark.parametrize("which", [1, 2, 3])
    def test_points_of_any_distance(self, which, edge_order, dtype, rng):
        f, x = operand(rng, (5,), dtype), operand(rng, (5,), dtype)
        x.planes[0] = [-1.0, -0.5, 1.0, 1.25, 3.25]
        f, x = (a if which >> k & 1 else a.value for k, a in enumerate((f, x)))
        y = np.gradient(f, x, edge_order=edge_order)
        plain = [a.value if isinstance(a, mcx.Multicomplex) else a for a in (f, x)]
        expected = differences(exact(f), exact(x), edge_order)
        value = np.gradient(*plain, edge_order=edge_order)
        assert_exact(y, expected, value, np.finfo(dtype).eps, 400)

    @pytest.mark.parametrize("edge_order", [1, 2])
    def test_equal_steps_that_move_together_or_apart(self, edge_order, dtype, rng):
        """Equal in value, not in derivatives: an array of points is never cut to one step."""
        f, h = operand(rng, (4,), dtype), operand(rng, (), dtype)
        h.planes[0] = 0.5
        points = [Exact.of(k) * exact(h[np.newaxis])[0] for k in range(4)]
        y = np.gradient(f, h, edge_order=edge_order)
        value = np.gradient(f.value, h.value, edge_order=edge_order)
        expected = differences(exact(f), points, edge_order)
        assert_exact(y, expected, value, np.finfo(dtype).eps, 1000)
        x = operand(rng, (4,), dtype)
        x.planes[0] = [0.0, 0.5, 1.0, 1.5]
        y = np.gradient(f, x, edge_order=edge_order)
        expected = differences(exact(f), exact(x), edge_order)
        assert_exact(y, expected, value, np.finfo(dtype).eps, 1000)

    def test_axes_and_spacings(self, rng):
        f, h = operand(rng, (3, 4), float), operand(rng, (), float, offset=3.0)
        x = np.array([0.0, 0.5, 2.0, 2.5])
        rows, columns = np.gradient(f, h, x)
        for k in range(4):
            np.testing.assert_array_equal(rows[:, k].planes, np.gradient(f[:, k], h).planes)
        for k in range(3):
            np.testing.assert_array_equal(columns[k].planes, np.gradient(f[k], x).planes)
        for axis in (1, -1, (-1,)):
            y = np.gradient(f, x, axis=axis)
            np.testing.assert_array_equal(y.planes, columns.planes)
        first, second = np.gradient(f, x, 2.0, axis=(1, 0))
        np.testing.assert_array_equal(first.planes, columns.planes)
        np.testing.assert_array_equal(second.planes, np.gradient(f, 2.0, axis=0).planes)

    @pytest.mark.parametrize(
        ("call", "message"),
        [(lambda f: np.gradient(f, 1.0, 2.0, 3.0), "invalid number of arguments"),
         (lambda f: np.gradient(f, [1.0, 2.0], axis=1), "must match|broadcast"),
         (lambda f: np.gradient(f, edge_order=3), "greater than 2"),
         (lambda f: np.gradient(f[:1]), "too small"), (lambda f: np.gradient(f, axis=2), "axis")],
    )  # fmt: skip
    def test_errors(self, call, message):
        f = mcx.perturb(np.ones((3, 4)), np.ones((3, 4)))
        with pytest.raises((TypeError, ValueError), match=message):
            call(f)


@pytest.mark.parametrize("which", range(1, 8))
def test_ediff1d(which, dtype, rng):
    args = [operand(rng, shape, dtype) for shape in ((2, 3), (2,), ())]
    args = [a if which >> k & 1 else a.value for k, a in enumerate(args)]
    y = np.ediff1d(*args)
    plain = [a.value if isinstance(a, mcx.Multicomplex) else a for a in args]
    f, end, begin = (exact(a).ravel() if np.ndim(a) else exact(a[np.newaxis]) for a in args)
    expected = [*begin, *(b - a for a, b in itertools.pairwise(f)), *end]
    assert_exact(y, expected, np.ediff1d(*plain), np.finfo(dtype).eps)


class TestPhases:
    @pytest.mark.parametrize("options", [{}, {"axis": 0}, {"discont": 4.0}, {"period": 5.5}])
    def test_unwrap_adds_whole_periods(self, options, dtype, rng):
        z = operand(rng, (4, 5), dtype) * 5
        y = np.unwrap(z, **options)
        assert_same_value(y, np.unwrap(z.value, **options))
        np.testing.assert_array_equal(y.planes[1:], z.planes[1:])

    def test_unwrap_by_a_period_that_is_a_number(self, rng):
        z, period = operand(rng, (6,), float) * 5, operand(rng, (), float)
        period.planes[0] = 4.0
        y = np.unwrap(z, period=period)
        turns = np.round((np.unwrap(z.value, period=4.0) - z.value) / 4)
        assert np.any(turns)
        assert_exact(y, exact(z) + turns * exact(period[np.newaxis])[0],
                     np.unwrap(z.value, period=4.0), np.finfo(float).eps)  # fmt: skip

    def test_unwrapped_phase_of_a_wave(self, rng):
        """The phase of exp(iωt), unwrapped, is ωt again, up to a constant: all four orders."""
        t = mcx.perturb(np.linspace(0, 9, 40), *rng.normal(size=(4, 40)))
        phase = np.unwrap(np.angle(np.exp(2j * t)))
        np.testing.assert_allclose(phase.planes[1:], 2 * t.planes[1:], atol=1e-13)
        np.testing.assert_allclose(phase.value, 2 * t.value, atol=1e-13)

    def test_real_if_close_follows_the_value(self, dtype):
        x = mcx.perturb(np.array([1.0, -2.0], dtype), np.array([1.0, 3.0], dtype))
        assert np.real_if_close(x).dtype == dtype
        np.testing.assert_array_equal(np.real_if_close(x).planes, x.planes)
        nearly = x * (1 + 20j * np.finfo(dtype).eps)
        y = np.real_if_close(nearly)
        assert y.dtype == dtype
        np.testing.assert_array_equal(y.planes, x.planes)
        assert np.real_if_close(nearly, tol=10).dtype.kind == "c"
        assert np.real_if_close(x * (1 + 1j)).dtype.kind == "c"

    def test_frexp(self, dtype, rng):
        info = np.finfo(dtype)
        x = np.array([0.75, -3.0, 4.0, 0.0, info.max, info.tiny, -1e-3, info.smallest_subnormal])
        z = filled(random_planes(rng, x.astype(dtype), 2))
        z.planes[1:] *= z.value / 2
        mantissa, exponent = np.frexp(z)
        expected = np.frexp(z.value)
        assert_same_value(mantissa, expected[0])
        np.testing.assert_array_equal(exponent, expected[1])
        assert exponent.dtype == expected[1].dtype
        for plane, tangent in zip(mantissa.planes[1:], z.planes[1:], strict=True):
            np.testing.assert_array_equal(plane, np.ldexp(tangent, -exponent))


class TestConvolution:
    @pytest.mark.parametrize("mode", ["full", "same", "valid"])
    @pytest.mark.parametrize("sizes", [(5, 3), (3, 5), (4, 4), (6, 2)])
    def test_every_mode(self, mode, sizes, dtype, rng):
        u, v = (operand(rng, (n,), dtype) for n in sizes)
        eps = np.finfo(dtype).eps
        value = np.convolve(u.value, v.value, mode)
        assert_exact(np.convolve(u, v, mode), np.convolve(exact(u), exact(v), mode), value, eps)
        value = np.correlate(u.value, v.value, mode)
        expected = np.convolve(exact(u), exact(v)[::-1], mode)
        assert_exact(np.correlate(u, v, mode), expected, value, eps)

    def test_correlation_conjugates_its_second_argument(self, rng):
        a, b, c, d = (operand(rng, (4,), float) for _ in range(4))
        y = np.correlate(a + 1j * b, c + 1j * d, "full")
        real = np.correlate(a, c, "full") + np.correlate(b, d, "full")
        imaginary = np.correlate(b, c, "full") - np.correlate(a, d, "full")
        np.testing.assert_allclose(y.real.planes, real.planes, atol=1e-12)
        np.testing.assert_allclose(y.imag.planes, imaginary.planes, atol=1e-12)
        y = np.convolve(a + 1j * b, c + 1j * d)
        imaginary = np.convolve(b, c) + np.convolve(a, d)
        np.testing.assert_allclose(y.imag.planes, imaginary.planes, atol=1e-12)
