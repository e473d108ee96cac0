"""scipy.special: orders 1-6 of every function with a rule, in every plane, against mpmath."""

import numpy as np
import pytest
from core import special_cases, special_families
from core.builders import filled, singletons
from core.checkers import (
    assert_close_planes,
    assert_same_value,
    check_unary,
    random_planes,
)
from core.oracles import chain2
from core.special_cases import HIGH

import mcx

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

ONE = (
    *special_cases.ERRORS,
    *special_cases.ELEMENTARY,
    *special_cases.GAMMAS,
    *special_cases.BESSEL,
    *special_families.INTEGRALS,
    *special_families.ELLIPTIC,
    *special_families.DISTRIBUTIONS,
    *special_families.HYPERGEOMETRIC,
)


@pytest.mark.parametrize("order", range(1, 5))
@pytest.mark.parametrize("case", ONE, ids=str)
class TestOne:
    def test_equal_directions(self, case, dtype, order, rng):
        planes = random_planes(rng, case.sample(dtype), order)
        for k in range(1, order):
            planes[1 << k] = planes[1]
        check_unary(case, singletons(planes))

    def test_all_planes_filled(self, case, dtype, order, rng):
        check_unary(case, random_planes(rng, case.sample(dtype), order))


@pytest.mark.parametrize("case", ONE, ids=str)
class TestOneRecorded:
    def test_linearize(self, case, dtype, rng):
        x = case.sample(dtype)
        x = x[np.isfinite(case.func(x))]
        p = random_planes(rng, x, 1)[1]
        value, lin = mcx.linearize(case.func, x)
        np.testing.assert_array_equal(value, case.func(x))
        np.testing.assert_array_equal(lin(p), mcx.jvp(case.func, x, p)[1])
        assert lin(p).dtype == value.dtype


@pytest.mark.parametrize("case", ONE, ids=str)
def test_high_orders_in_one_direction(case):
    x = case.sample(np.float64)
    x = x[np.isfinite(case.func(x))]
    found = mcx.taylor(case.func, x, np.ones_like(x), order=HIGH)
    exact = case.derivatives(x)
    factorial = np.longdouble(1)
    for k in range(1, HIGH + 1):
        factorial *= k
        scale = np.maximum(abs(exact[k]) + abs(x * exact[k + 1]), 1e-300) / factorial
        assert_close_planes(found[k], exact[k] / factorial, scale, 50 if k <= 6 else 2000)


@pytest.mark.parametrize("case", special_families.TWO, ids=str)
class TestTwo:
    def check(self, case, left, right, y):
        x = (left[0], right[0])
        assert_same_value(y, case.func(*x))
        tiny = np.finfo(left.dtype).tiny
        left, right = left.astype(np.longdouble), right.astype(np.longdouble)
        expected, scale = chain2(case.derivatives(*x), left, right, tiny)
        expected[0] = y.value  # checked above, bit for bit
        assert_close_planes(y.planes, expected, scale)

    @pytest.mark.parametrize("order", range(1, 5))
    def test_all_planes_filled(self, case, dtype, order, rng):
        x, y = case.sample(dtype)
        left, right = random_planes(rng, x, order), random_planes(rng, y, order)
        self.check(case, left, right, case.func(filled(left), filled(right)))

    @pytest.mark.parametrize("order", range(1, 5))
    def test_one_real(self, case, dtype, order, rng):
        x, y = case.sample(dtype)
        still, moving = np.zeros((2**order, *x.shape), dtype), random_planes(rng, y, order)
        still[0] = x
        self.check(case, still, moving, case.func(x, filled(moving)))
        still, moving = np.zeros((2**order, *y.shape), dtype), random_planes(rng, x, order)
        still[0] = y
        self.check(case, moving, still, case.func(filled(moving), y))

    def test_linearize(self, case, dtype, rng):
        x, y = case.sample(dtype)
        p, q = random_planes(rng, x, 1)[1], random_planes(rng, y, 1)[1]
        expected = case.func(mcx.perturb(x, p), mcx.perturb(y, q))
        value, lin = mcx.linearize(lambda z: case.func(z[0], z[1]), np.stack([x, y]))
        np.testing.assert_array_equal(value, expected.value)
        size = np.abs(case.func(mcx.perturb(x, abs(p)), y).im(1))
        tolerance = 20 * np.finfo(dtype).eps
        np.testing.assert_allclose(
            lin(np.stack([p, q])), expected.im(1), rtol=tolerance, atol=tolerance * np.max(size)
        )
