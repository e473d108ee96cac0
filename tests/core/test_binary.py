"""Orders 1-6 of every ufunc of two arguments, in every plane, mixed partials included."""

import numpy as np
import pytest
from core import cases
from core.builders import filled, singletons
from core.checkers import assert_close_planes, assert_same_value, host, random_planes
from core.oracles import chain2

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


@pytest.mark.parametrize("case", cases.BINARY, ids=str)
class TestBinary:
    def check(self, case, left, right, y):
        x = (left[0], right[0])
        assert_same_value(y, case.func(*x))
        tiny = np.finfo(left.dtype).tiny
        left, right = left.astype(np.longdouble), right.astype(np.longdouble)
        expected, scale = chain2(case.derivatives(*x), left, right, tiny)
        expected[0] = y.value  # checked above, bit for bit
        assert_close_planes(y.planes, expected, scale)

    def test_all_planes_filled(self, case, dtype, order, rng):
        x, y = case.sample(dtype)
        left, right = random_planes(rng, x, order), random_planes(rng, y, order)
        self.check(case, left, right, case.func(filled(left), filled(right)))

    def test_equal_directions(self, case, dtype, order, rng):
        x, y = case.sample(dtype)
        left, right = random_planes(rng, x, order), random_planes(rng, y, order)
        for k in range(order):
            left[1 << k], right[1 << k] = left[1], right[1]
        left, right = singletons(left), singletons(right)
        self.check(case, left, right, case.func(filled(left), filled(right)))

    def test_real_left(self, case, dtype, order, rng):
        x, y = case.sample(dtype)
        left, right = np.zeros((2**order, *x.shape), dtype), random_planes(rng, y, order)
        left[0] = x
        self.check(case, left, right, case.func(x, filled(right)))

    def test_real_right(self, case, dtype, order, rng):
        x, y = case.sample(dtype)
        left, right = random_planes(rng, x, order), np.zeros((2**order, *y.shape), dtype)
        right[0] = y
        self.check(case, left, right, case.func(filled(left), y))

    def test_units_of_one_argument_each(self, case, dtype, rng):
        x, y = case.sample(dtype)
        left, right = random_planes(rng, x, 4), random_planes(rng, y, 4)
        for units in range(1, 16):
            if units & 0b1100:
                left[units] = 0
            if units & 0b0011:
                right[units] = 0
        self.check(case, left, right, case.func(filled(left[:4]), filled(right, skip=2)))


@pytest.mark.parametrize("case", cases.BINARY, ids=str)
def test_stand_in_agrees(case, wrap, rng):
    x, y = case.sample(np.float64)
    left, right = random_planes(rng, x, 2), random_planes(rng, y, 2)
    z = case.func(filled(left, wrap), filled(right, wrap))
    assert type(z.planes) is type(wrap(left))
    np.testing.assert_array_equal(host(z.planes), case.func(filled(left), filled(right)).planes)
    one_real = case.func(filled(left, wrap), wrap(y))
    np.testing.assert_array_equal(host(one_real.planes), case.func(filled(left), y).planes)
