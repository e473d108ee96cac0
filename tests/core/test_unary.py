"""Orders 1-6 of every analytic ufunc of one argument, in every plane, against mpmath."""

import numpy as np
import pytest
from core import cases
from core.builders import filled, singletons
from core.checkers import (
    assert_close_planes,
    assert_same_value,
    check_unary,
    host,
    random_planes,
)
from core.oracles import chain

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


@pytest.mark.parametrize("case", cases.UNARY + cases.LEFT, ids=str)
class TestUnary:
    def test_equal_directions(self, case, dtype, order, rng):
        planes = random_planes(rng, case.sample(dtype), order)
        for k in range(1, order):
            planes[1 << k] = planes[1]
        check_unary(case, singletons(planes))

    def test_distinct_directions(self, case, dtype, order, rng):
        check_unary(case, singletons(random_planes(rng, case.sample(dtype), order)))

    def test_all_planes_filled(self, case, dtype, order, rng):
        check_unary(case, random_planes(rng, case.sample(dtype), order))


@pytest.mark.slow
@pytest.mark.parametrize("case", cases.UNARY, ids=str)
def test_many_points(case, dtype, order, rng):
    x = case.sample(dtype)
    scattered = (x * rng.uniform(0.9, 1.0, size=(4, x.size))).ravel().astype(dtype)
    domain = scattered[np.isfinite(case.func(scattered))]
    check_unary(case, random_planes(rng, domain, order))


@pytest.mark.parametrize(("exponent", "points", "wide"), cases.POWERS, ids=str)
@pytest.mark.parametrize(
    "power", [np.power, np.float_power, pow], ids=["power", "float_power", "**"]
)
def test_power_with_real_exponent(power, exponent, points, wide, dtype, order, rng):
    x = np.array(points + (wide if dtype == np.float64 else ()), dtype=dtype)
    planes = random_planes(rng, x, order)
    y = power(filled(planes), exponent)
    assert_same_value(y, power(x, exponent))
    wide_planes = planes.astype(np.longdouble)
    expected, scale = chain(cases.power_derivatives(exponent, x), wide_planes, np.finfo(dtype).tiny)
    expected[0] = y.value
    assert_close_planes(y.planes, expected, scale)


@pytest.mark.parametrize("case", cases.UNARY, ids=str)
def test_stand_in_agrees(case, wrap, rng):
    planes = random_planes(rng, case.sample(np.float64), 3)
    y = case.func(filled(planes, wrap))
    assert type(y.planes) is type(wrap(planes))
    np.testing.assert_array_equal(host(y.planes), case.func(filled(planes)).planes)
