"""Where floating-point exceptions occur, kernels give NumPy's results, warnings and errors."""

import itertools
import warnings

import numpy as np
import pytest
from core.algebras import ALGEBRAS
from core.ways import assert_dead_planes_are_zero, assert_same, by_kernels, plainly

import mcx
from mcx.rules.arithmetic import ANALYTIC
from mcx.support import supported

ORDER_2, SERIES_5 = ALGEBRAS["order 2"], ALGEBRAS["series 5"]
FINITE = (0.0, -0.0, 0.5, -1.0, 1.0, 3.0, 800.0)


def points(dtype):
    """Return where functions are singular, overflow, or turn to constants."""
    info = np.finfo(dtype)
    limits = map(float, (info.smallest_subnormal, info.tiny, info.max, -info.max))
    return (*FINITE, *limits, np.inf, -np.inf, np.nan)


# Tangents along the two units, and along both.
TANGENTS = (
    (1.0, 2.0, 1.0),
    (1.0, 1.0, 0.0),
    (0.0, 0.0, 1.0),
    (np.inf, 0.0, 1.0),
    (1e30, 1e30, 0.0),
)
FUNCTIONS = [pytest.param(func, id=func.__name__) for func in ANALYTIC] + [
    pytest.param(lambda z, p=p: np.power(z, p), id=f"power {p}") for p in (3, -2, 2.5)
]


def of_planes(algebra, planes, dtype, live=None):
    """Return a number of one element with the given first planes."""
    buffer = np.zeros((algebra.size, 1), dtype)
    with np.errstate(over="ignore"):
        buffer[: len(planes), 0] = planes
    return mcx.Multicomplex(buffer, algebra, supported(live or algebra.full, algebra))


def outcome(run, way, errors="warn"):
    """Return what a call comes to: a number or the type of its error, and its warnings."""
    with way(), np.errstate(all=errors, under="ignore"), warnings.catch_warnings(record=True) as w:
        warnings.simplefilter("always")
        try:
            result = run()
        except FloatingPointError as error:
            result = type(error)
    return result, {str(warning.message) for warning in w}


def check(run):
    """Check that results, warnings and errors are the same, and dead planes zero."""
    for errors in ("warn", "raise"):
        result, messages = outcome(run, by_kernels, errors)
        expected, awaited = outcome(run, plainly, errors)
        assert messages == awaited
        if isinstance(expected, type):
            assert result is expected
        else:
            assert_same(result, expected)
            assert_dead_planes_are_zero(result)
            assert_dead_planes_are_zero(expected)


@pytest.mark.parametrize("func", FUNCTIONS)
@pytest.mark.parametrize(
    "dtype", [np.dtype("d"), pytest.param(np.dtype("f"), marks=pytest.mark.slow)], ids=str
)
def test_functions(func, dtype):
    """Every element alone: in an array, one exception sends all the plain way."""
    for value, tangents in itertools.product(points(dtype), TANGENTS):
        z = of_planes(ORDER_2, (value, *tangents), dtype)
        check(lambda z=z: func(z))


@pytest.mark.parametrize("func", FUNCTIONS)
@pytest.mark.parametrize(
    "live", [0b0111, *(pytest.param(live, marks=pytest.mark.slow) for live in (0b0011, 0b1001))]
)
def test_functions_with_dead_planes(func, live):
    """Kernels leave out what no live plane needs, and are silent about it."""
    for value in points(float):
        planes = (value, 2.0 * (live >> 1 & 1), live >> 2 & 1, live >> 3)
        z = of_planes(ORDER_2, planes, float, live)
        result, messages = outcome(lambda z=z: func(z), by_kernels)
        expected, awaited = outcome(lambda z=z: func(z), plainly)
        assert messages <= awaited
        assert_same(result, expected)
        assert_dead_planes_are_zero(result)
        assert_dead_planes_are_zero(expected)


@pytest.mark.parametrize("func", FUNCTIONS)
def test_recurrences(func):
    for value, tangent in itertools.product(points(float), (0.0, 1.0)):
        z = of_planes(SERIES_5, (value, tangent), float)
        check(lambda z=z: func(z))


@pytest.mark.parametrize("func", [np.add, np.subtract, np.multiply, np.divide])
def test_two_numbers(func, dtype):
    for left, right in itertools.product(points(dtype), repeat=2):
        for first, second in (
            ((1.0, 1.0, 0.0), (0.0, 2.0, 0.0)),
            ((np.inf, 1.0, 0.0), (1.0, 0.0, 0.0)),
        ):
            for live in (0b1111, 0b0111):
                x = of_planes(ORDER_2, (left, *first), dtype, live)
                y = of_planes(ORDER_2, (right, *second), dtype, live)
                check(lambda x=x, y=y: func(x, y))


def test_plain_over_number(dtype):
    for left, right in itertools.product(points(dtype), repeat=2):
        y = of_planes(ORDER_2, (right, 1.0, 0.0, 2.0), dtype)
        check(lambda left=left, y=y: np.divide(np.full(1, left, dtype), y))


@pytest.mark.parametrize("p", [np.inf, -np.inf, np.nan])
def test_power_that_is_not_finite(p, dtype):
    for value in (0.5, 1.0, 2.0):
        z = of_planes(ORDER_2, (value, 1.0, 1.0), dtype)
        check(lambda z=z: np.power(z, p))


def test_an_exception_anywhere_leaves_the_others_as_they_are(rng):
    z = mcx.perturb(*rng.uniform(1, 2, (2, 10**4)))
    z[5] = 0.0
    check(lambda: np.log(z))
    check(lambda: 1 / (z - 1))


@pytest.mark.parametrize("p", [2.25, 3])
def test_exponent_of_a_wider_type(p):
    """A NumPy scalar decides the dtype, a Python number does not, in whatever order they come."""
    z = mcx.perturb(*np.ones((2, 5), np.float32))
    for exponent in (p, np.float64(p), p, np.float64(p)):
        with by_kernels():
            result = z**exponent
        assert result.dtype == (z.value**exponent).dtype
