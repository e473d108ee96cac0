"""Series recurrences in every plane, against mpmath; structural zeros; what is left to Horner."""

import math
from functools import cache

import numpy as np
import pytest
from core import cases
from core.checkers import assert_close_planes, host
from core.oracles import derivatives, to_longdouble
from mpmath import mp
from numpy.testing import assert_array_equal

import mcx
from mcx import recurrences
from mcx.recurrences import RECURRENCES, dot
from mcx.rules.arithmetic import ANALYTIC

# A caller has floating-point warnings off, and looks at the planes.
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

N = 8  # the order tested in every plane
EVERY = tuple(range(1, N + 1))
POWERS = {p: (points, wide) for p, points, wide in cases.POWERS if p not in (0, 1)} | {
    11: ((-2.0, 0.125, 1e2), ()),
    2.0009765625: ((1e-3, 0.5, 1e3), ()),
    7.9990234375: ((1e-3, 0.5, 1e3), ()),
}


def softplus(x):
    return np.logaddexp(x, 0)


def series_of(func):
    """Return the function (z, live, dot) -> planes that the tests call."""
    recurrence = recurrences.softplus if func is softplus else RECURRENCES[func]
    return lambda z, live, dot=dot: recurrence(z, func(z[0]), live, dot)


def digits(x):
    """Return the digits for functions that approach a constant like exp(−2|x|)."""
    return 110 + int(1.5 * abs(x))


SOFTPLUS = cases.Unary(
    softplus,
    lambda z: mp.log1p(mp.exp(z)),
    (*cases.SMOOTH, 20.0, -40.0),
    (-700.0, 30.0),
    digits=digits,
)
ROWS = [case for case in cases.UNARY + cases.LEFT if case.func in RECURRENCES] + [SOFTPLUS]

ORACLES = {case.func: case for case in reversed(ROWS)}  # the branch right of 0 of cbrt
# One point at least for each function at order 32, in the tails where there are any.
HIGH = (
    (np.exp, -5.0), (np.exp2, 3.5), (np.expm1, 1e-3), (np.log, 1 + 2.0**-40), (np.log2, 0.7),
    (np.log10, 30.0), (np.log1p, -0.5), (np.sqrt, 0.3), (np.cbrt, 8.0), (np.reciprocal, -0.3),
    (np.square, 3.0), (np.sin, 1e5), (np.cos, 2.0), (np.tan, 1.5), (np.sinh, -3.0), (np.cosh, 0.1),
    (np.tanh, 0.4), (np.tanh, 20.0), (np.arctan, 0.8), (np.arctan, 1e8), (np.arctanh, -0.9),
    (np.arcsin, 1 - 2.0**-30), (np.arccos, 0.5), (np.arcsinh, -100.0), (np.arccosh, 1 + 2.0**-20),
    (softplus, -30.0), (softplus, 25.0),
)  # fmt: skip


def random_series(rng, x, live, order=N, size=1.0):
    """Return planes with value x, the live ones random of size about size^k, all others NaN."""
    z = np.full((order + 1, *x.shape), np.nan, x.dtype)
    z[0] = x
    for k in live:
        z[k] = rng.uniform(0.5, 1.5, x.shape) * rng.choice([-1.0, 1.0], x.shape) * size**k
    return z


def moved(z, power):
    """Return (z − z_0)·power."""
    out = np.zeros_like(power)
    for i in range(1, len(z)):
        out[i:] += z[i] * power[: len(z) - i]
    return out


def composed(coefficients, z):
    """Return the planes of Σ_m c_m (z − z_0)^m and the scale of law 5, in long double.

    `coefficients` has one more than z: the scale of c_m is |c_m| + |z_0 (m + 1) c_(m+1)|.
    """
    tiny, z = np.finfo(z.dtype).tiny, np.nan_to_num(z).astype(np.longdouble)
    rising = np.arange(1, len(coefficients)).reshape(-1, *(1,) * (z.ndim - 1))
    condition = abs(coefficients[:-1]) + abs(z[0] * rising * coefficients[1:])
    power, size = np.zeros_like(z), np.zeros_like(z)
    power[0] = size[0] = 1
    expected, scale = np.zeros_like(z), np.zeros_like(z)
    for c, d in zip(coefficients, condition, strict=False):
        expected += c * power
        scale += d * size
        power, size = moved(z, power), moved(abs(z), size)
    return expected, np.maximum(scale, tiny)


def check(y, z, value, coefficients):
    """Check laws 2 and 5 of planes y of f(z), f having the given coefficients at the value."""
    assert_array_equal(y[0], value, strict=True)
    expected, scale = composed(coefficients, z)
    expected[0] = value
    assert_close_planes(y, expected, scale)


def coefficients_of(oracle, x, radius, digits):
    """Return c_0 … c_(N+1) of the oracle at the points x."""
    rows = [derivatives(oracle, v, N + 1, radius(v), digits(v)) for v in map(float, x)]
    return np.array([d / math.factorial(k) for k, d in enumerate(np.array(rows).T)])


@cache
def high_coefficients(oracle, x, radius):
    """Return c_0 … c_33 of a real oracle by Cauchy's formula on 96 points of a circle."""
    with mp.workdps(160):
        circle = [mp.expjpi(mp.mpf(2 * j + 1) / 96) for j in range(48)]
        r = mp.mpf(radius) / 4
        terms = [(oracle(x + r * w), 1 / w) for w in circle]
        found = [mp.fsum((f * u**k).real for f, u in terms) / 48 for k in range(34)]
        noise = mp.mpf(10) ** -140 * max(map(abs, found))
        return np.array(
            [to_longdouble(c / r**k if abs(c) > noise else 0) for k, c in enumerate(found)]
        )


def test_the_table_holds_every_analytic_ufunc():
    assert set(RECURRENCES) == set(ANALYTIC) == {func for func, _ in HIGH} - {softplus}


@pytest.mark.parametrize("live", [(1,), (2, 5), EVERY], ids=str)
@pytest.mark.parametrize("case", ROWS, ids=str)
def test_every_plane(case, live, dtype, rng):
    x = np.array([v for v in case.sample(dtype) if case.digits(v) < 300])  # others: see FAR
    z = random_series(rng, x, live)
    y = series_of(case.func)(z, live)
    check(y, z, case.func(x), coefficients_of(case.oracle, x, case.radius, case.digits))


# Far out, f is a constant plus a·exp(b·x): (function, point, a, b).
FAR = (
    (np.tanh, 300.0, -2.0, -2.0), (np.tanh, -300.0, 2.0, 2.0), (np.tanh, 400.0, -2.0, -2.0),
    (np.expm1, 700.0, 1.0, 1.0), (np.expm1, -700.0, 1.0, 1.0), (softplus, -700.0, 1.0, 1.0),
)  # fmt: skip


@pytest.mark.parametrize(("func", "x", "a", "b"), FAR)
def test_tails(func, x, a, b):
    z = np.full(N + 1, np.nan)
    z[:2] = x, 1.0
    expected = [a * math.exp(b * x) * b**k / math.factorial(k) for k in range(1, N + 1)]
    np.testing.assert_allclose(series_of(func)(z, (1,))[1:], expected, rtol=2e-13)


@pytest.mark.parametrize("live", [(1,), (2, 5), EVERY], ids=str)
@pytest.mark.parametrize("exponent", POWERS)
def test_power(exponent, live, dtype, rng):
    points, wide = POWERS[exponent]
    x = np.array(points + (wide if dtype == np.float64 else ()), dtype=dtype)
    z = random_series(rng, x, live)
    y = recurrences.power(z, np.power(x, exponent), exponent, live, dot)
    found = coefficients_of(
        lambda v: v ** mp.mpf(exponent), x, lambda v: abs(v) or 1.0, lambda v: 110
    )
    check(y, z, np.power(x, exponent), found)


@pytest.mark.parametrize("live", [(1,), tuple(range(1, 33))], ids=["x+t", "all"])
@pytest.mark.parametrize(("func", "x"), HIGH, ids=lambda v: getattr(v, "__name__", v))
def test_order_32(func, x, live, rng):
    case = ORACLES[func]
    z = random_series(rng, np.array([x]), live, 32, 0.5)
    found = high_coefficients(case.oracle, x, case.radius(x))
    check(series_of(func)(z, live), z, func(z[0]), found[:, None])


def program(v):
    return mp.sin(v) * mp.exp(-(v**2))


@pytest.mark.parametrize("x", [0.0, 0.3, 1.0, -2.0, 5.0])
def test_order_32_of_a_program(x):
    z = np.full(33, np.nan)
    z[:2] = x, 1.0
    sine = series_of(np.sin)(z, (1,))
    bell = series_of(np.exp)(-series_of(np.square)(z, (1,)), (1, 2))
    error = np.convolve(sine, bell)[:33] - high_coefficients(program, x, 1.0)[:33]
    natural = np.convolve(abs(sine), abs(bell))[:33]
    assert np.all(abs(error) <= 1e-14 * natural)


@pytest.mark.parametrize("case", ROWS[:-1], ids=str)
@pytest.mark.parametrize("order", [4, 8])
def test_agrees_with_the_driver(case, order, dtype, rng):
    x = case.sample(dtype)
    z = random_series(rng, x, (1,), order)
    y = series_of(case.func)(z, (1,))
    driver = mcx.taylor(case.func, x, z[1], order)
    found = coefficients_of(case.oracle, x, case.radius, case.digits)
    _, scale = composed(found[: order + 2], z)
    assert_close_planes(y, driver.astype(np.longdouble), scale, factor=100)


@pytest.mark.parametrize("case", ROWS, ids=str)
def test_lower_orders_are_the_same_planes(case, rng):
    z = random_series(rng, case.sample(np.float64), EVERY)
    y = series_of(case.func)(z, EVERY)
    for order in range(1, N):
        lower = series_of(case.func)(z[: order + 1], EVERY[:order])
        assert_array_equal(lower, y[: order + 1])


@pytest.mark.parametrize("case", ROWS, ids=str)
@pytest.mark.parametrize("live", [(1,), (2,), (1, 3), (2, 5), (N,)], ids=str)
def test_planes_that_are_zero_are_not_read_and_change_nothing(case, live, rng):
    z = random_series(rng, case.sample(np.float64), live)
    y = series_of(case.func)(z, live)
    z = np.nan_to_num(z)
    everywhere = np.isfinite(series_of(case.func)(z, EVERY)) & np.isfinite(y)
    assert np.mean(everywhere) > 0.9
    assert_array_equal(y[everywhere], series_of(case.func)(z, EVERY)[everywhere])


# Products of planes at order n: for x + t in multiples of n, for a full z of (n + 1)(n + 2)/2.
PRODUCTS = {
    np.sin: (2, 2), np.cos: (2, 2), np.sinh: (2, 2), np.cosh: (2, 2),
    np.tan: (20, 2), np.tanh: (20, 2), softplus: (21, 3),  # quadratic in themselves
    np.arcsin: (3.2, 3), np.arccos: (3.2, 3), np.arctan: (3.2, 3),
    np.arcsinh: (3.2, 3), np.arccosh: (3.2, 3), np.arctanh: (3.2, 3),
}  # fmt: skip


@pytest.mark.parametrize("func", [*RECURRENCES, softplus], ids=lambda func: func.__name__)
def test_products_counted(func):
    n, counts = 32, []
    for live in ((1,), tuple(range(1, n + 1))):
        made = []

        def counting(u, v, pairs, out, made=made):
            made.extend(pairs)
            dot(u, v, pairs, out)

        z = np.full(n + 1, 0.01)
        z[0] = 1.5 if func is np.arccosh else 0.5
        series_of(func)(z, live, counting)
        counts.append(len(made))
    few, many = PRODUCTS.get(func, (1, 1))
    assert counts[0] <= few * n
    assert counts[1] <= many * (n + 1) * (n + 2) / 2


SINGULAR = (
    (np.sqrt, 0.0), (np.cbrt, 0.0), (np.reciprocal, 0.0), (np.sqrt, -1.0),
    (np.log, 0.0), (np.log, -1.0), (np.log2, 0.0), (np.log10, 0.0), (np.log1p, -1.0),
    (np.arcsin, 1.0), (np.arcsin, -2.0), (np.arccos, -1.0), (np.arccosh, 1.0), (np.arccosh, 0.5),
    (np.arctanh, 1.0), (np.arctanh, -1.0), (np.exp, 1000.0), (np.sinh, 1000.0), (np.sin, np.inf),
)  # fmt: skip


@pytest.mark.parametrize("step", [0.0, 1.0])
@pytest.mark.parametrize(("func", "x"), SINGULAR, ids=lambda v: getattr(v, "__name__", v))
def test_singular_points_show(func, x, step):
    z = np.zeros((N + 1, 2))
    z[0], z[1] = x, step
    for live in ((1,), EVERY):
        assert not np.isfinite(series_of(func)(z, live)).all(axis=0).any()


@pytest.mark.parametrize(
    ("exponent", "x", "order"),
    [(0, 2.0, 8), (1, 2.0, 8), (2.5, 0.0, 8), (2.5, 1e-150, 8), (0.5, 0.0, 8), (9, 0.0, 8)],
)
def test_powers_left_to_horner(exponent, x, order):
    z = np.array([[2.0, x]] + [[1.0, 1.0]] * order)
    live = tuple(range(1, order + 1))
    assert recurrences.power(z, z[0] ** exponent, exponent, live, dot) is None


@pytest.mark.parametrize("exponent", [2, 3, 5, 8, 3.0, 3 + 0j])
def test_whole_powers_are_exact_on_integers(exponent):
    z = np.array([[0.0, -3.0, 2.0], [1.0, 2.0, -1.0], [3.0, 0.0, 1.0]] + [[0.0] * 3] * 6)
    y = recurrences.power(z, np.power(z[0], exponent), exponent, (1, 2), dot)
    for column, got in zip(z.T, y.T, strict=True):
        power = np.array([1.0])
        for _ in range(int(exponent.real)):
            power = np.convolve(power, column)[: N + 1]
        assert_array_equal(got, power)


@pytest.mark.parametrize(
    ("base", "exponent"),
    [(np.float32, np.float64(2.5)), (np.float64, np.float32(0.1)), (np.float64, 0.5 + 1j)],
    ids=str,
)
def test_type_of_a_power(base, exponent):
    x = np.array([0.5, 2.0], base)
    y0 = np.power(x, exponent)
    y = recurrences.power(np.array([x, np.ones_like(x)] * 3), y0, exponent, (1,), dot)
    assert y.dtype == y0.dtype
    p, expected = complex(exponent), y0.astype(complex)
    for k in range(6):
        np.testing.assert_allclose(y[k], expected, rtol=1e-14)
        expected = expected * ((p - k) / (k + 1)) / x


COMPLEX = [func for func in RECURRENCES if func is not np.cbrt]  # NumPy has no complex cbrt


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
@pytest.mark.parametrize("func", COMPLEX, ids=lambda func: func.__name__)
def test_complex_coefficients(func, dtype):
    points = np.array([0.5 + 0.25j, -0.75 + 0.5j, 0.25 - 1.5j], dtype)
    z = np.zeros((N + 1, 3), dtype)
    z[0], z[1] = points, 0.5 - 0.5j
    y = series_of(func)(z, (1,))
    assert y.dtype == dtype
    assert_array_equal(y[0], func(points))
    for column, x in zip(y.T, points, strict=True):
        with mp.workdps(60):
            terms = mp.taylor(ORACLES[func].oracle, mp.mpc(complex(x)), N + 1)
        found = np.array([complex(c) for c in terms])
        condition = abs(found[:-1]) + abs(x * np.arange(1, N + 2) * found[1:])
        error = abs(column - found[:-1] * complex(z[1, 0]) ** np.arange(N + 1))
        assert np.all(error <= 50 * np.finfo(dtype).eps * condition * abs(z[1, 0]) ** np.arange(9))


@pytest.mark.parametrize("case", ROWS, ids=str)
def test_scalars_and_other_arrays(case, wrap, rng):
    z = random_series(rng, case.sample(np.float64)[3:5], EVERY)
    y = series_of(case.func)(z, EVERY)
    other = series_of(case.func)(wrap(z), EVERY)
    assert type(other) is type(wrap(z))
    assert_array_equal(host(other), y)
    scalar = series_of(case.func)(z[:, 0], EVERY)
    assert scalar.shape == (N + 1,)
    np.testing.assert_allclose(scalar, y[:, 0], rtol=1e-13)


def test_dot_adds_in_the_order_of_the_pairs():
    u, v = np.array([1e16, 1.0, -1e16]), np.ones(3)
    out = np.array(np.nan)
    for pairs, expected in (
        ((), 0.0),
        (((1, 2),), 1.0),
        (((0, 0), (1, 1), (2, 2)), 0.0),
        (((0, 0), (2, 2), (1, 1)), 1.0),
    ):
        dot(u, v, pairs, out)
        assert out == expected
