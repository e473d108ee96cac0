"""Where a function is not smooth: one row of the README's table, one test."""

from fractions import Fraction

import numpy as np
import pytest
from core.checkers import host

import mcx


def at(values, wrap=np.array):
    """Return a number with derivative 1 along unit 1 and 10 along unit 2."""
    x = np.array(values, dtype=float)
    return mcx.perturb(wrap(x), wrap(np.ones_like(x)), wrap(np.full_like(x, 10.0)))


def slopes(z):
    """Return the derivative along unit 1, having checked that unit 2 agrees (linear tangents)."""
    np.testing.assert_array_equal(host(z.im(2)), 10 * host(z.im(1)))
    return host(z.im(1)).tolist()


def test_absolute_value_has_derivative_zero_at_zero(wrap):
    for func in (np.abs, np.fabs):
        assert slopes(func(at([-2.0, 0.0, -0.0, 3.0], wrap))) == [-1.0, 0.0, 0.0, 1.0]


def test_relu_has_derivative_zero_at_zero(wrap):
    z = at([-1.0, 0.0, 2.0], wrap)
    assert slopes(np.where(z > 0, z, 0)) == [0.0, 0.0, 1.0]


def test_sign_has_derivative_zero_everywhere():
    assert slopes(np.sign(at([-1.0, 0.0, 2.0]))) == [0.0, 0.0, 0.0]


def test_binary_extrema_take_numpys_winner(wrap):
    z, w = at([1.0, 5.0, 2.0], wrap), 3 * at([1.0, 1.0, 1.0], wrap)
    assert slopes(np.maximum(z, w)) == [3.0, 1.0, 3.0]
    assert slopes(np.minimum(z, w)) == [1.0, 3.0, 1.0]


def test_binary_extrema_at_ties_take_one_operand():
    z, w = at([1.0]), at([1.0]) * 1.0
    w.planes[1:] *= 5.0
    for func in (np.maximum, np.minimum, np.fmax, np.fmin):
        assert slopes(func(z, w)) in ([1.0], [5.0])


def test_extrema_take_the_element_that_argmax_names():
    z = at([2.0, 7.0, 7.0, 1.0])
    z.planes[1] = [1.0, 2.0, 3.0, 4.0]
    assert np.max(z).im(1) == z.im(1)[np.argmax(z)] == 2.0
    assert np.min(z).im(1) == 4.0
    grid = z.reshape(2, 2)
    np.testing.assert_array_equal(np.max(grid, axis=0).im(1), [3.0, 2.0])
    np.testing.assert_array_equal(np.max(np.stack([grid, grid])).im(1), 2.0)


def test_sort_moves_derivatives_with_their_values():
    z = at([2.0, 1.0, 3.0, 1.0])
    z.planes[1] = [1.0, 2.0, 3.0, 4.0]
    y = np.sort(z)
    assert y.value.tolist() == [1.0, 1.0, 2.0, 3.0]
    assert sorted(y.im(1)[:2].tolist()) == [2.0, 4.0]
    assert y.im(1)[2:].tolist() == [1.0, 3.0]


def test_clip_has_derivative_one_inside_and_zero_outside(wrap):
    assert slopes(np.clip(at([-2.0, 0.5, 2.0], wrap), -1.0, 1.0)) == [0.0, 1.0, 0.0]


def test_clip_by_numbers_takes_the_derivative_of_the_bound(wrap):
    z = at([-2.0, 0.5, 2.0], wrap)
    low, high = 3 * at([-1.0] * 3, wrap) + 2.0, 5 * at([1.0] * 3, wrap) - 4.0
    assert slopes(np.clip(z, low, high)) == [3.0, 1.0, 5.0]


def test_root_of_zero_has_infinite_derivative_with_a_warning():
    with pytest.warns(RuntimeWarning, match="divide by zero"):
        assert np.isinf(np.sqrt(at([0.0])).im(1)).all()


@pytest.mark.parametrize("exponent", [0, 1, 2, 3, 4, 2.0, 3.0])
def test_integer_powers_are_exact_at_zero(exponent):
    y = at([0.0, -0.0]) ** exponent
    assert slopes(y) == [1.0 if exponent == 1 else 0.0] * 2
    assert y.im(1, 2).tolist() == [20.0 if exponent == 2 else 0.0] * 2


def test_power_of_a_number_by_a_number_at_integer_points():
    x, n = at([2.0, 1.0, 3.0]), at([3.0, 0.0, 2.0])
    y = x**n
    expected = [12 + 8 * np.log(2), 0.0, 6 + 9 * np.log(3)]
    np.testing.assert_allclose(slopes(y), expected, rtol=1e-15)


def test_norm_has_gradient_zero_at_zero(wrap):
    z = at([0.0, 0.0, 0.0], wrap)
    assert slopes(np.linalg.norm(z)) == 0.0
    assert np.linalg.norm(z).im(1, 2) == 0.0
    assert slopes(np.hypot(z, z)) == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("scale", [1e-150, 1.0, 1e150])
def test_norm_neither_overflows_nor_underflows_needlessly(scale):
    x = scale * np.array([3.0, 4.0])
    y = np.linalg.norm(mcx.perturb(x, np.array([1.0, 2.0])))
    np.testing.assert_allclose(y.im(1), 11 / 5, rtol=1e-15)


def test_standard_deviation_of_equal_numbers_has_gradient_zero():
    z = at([2.0, 2.0, 2.0])
    assert slopes(np.std(z)) == 0.0


def test_product_with_zeros_is_exact():
    z = mcx.perturb(np.array([2.0, 0.0, 3.0]), np.array([1.0, 1.0, 1.0]), np.ones(3))
    y = np.prod(z)
    assert (y.value, y.im(1), y.im(1, 2)) == (0.0, 6.0, 10.0)
    both = mcx.perturb(np.array([0.0, 0.0, 3.0]), np.ones(3), np.ones(3))
    assert (np.prod(both).im(1), np.prod(both).im(1, 2)) == (0.0, 6.0)


def test_nan_in_a_branch_not_taken_stays_out(wrap):
    z = at([-1.0, 4.0], wrap)
    with np.errstate(invalid="ignore"):
        y = np.where(z > 0, np.sqrt(z), z)
    assert slopes(y) == [1.0, 0.25]
    assert np.isfinite(host(y.planes)).all()


def test_copysign_depends_on_the_sign_of_the_second_only():
    z, w = at([-2.0, 2.0]), at([1.0, -1.0])
    assert slopes(np.copysign(z, w)) == [-1.0, -1.0]


def test_steps_have_derivative_zero_at_the_jump_too():
    z = at([2.0, -1.0])
    for func in (np.floor, np.ceil, np.trunc, np.rint, lambda a: np.heaviside(a - 2, 0.5)):
        assert slopes(func(z)) == [0.0, 0.0]


def test_remainder_has_derivative_one_in_the_dividend():
    assert slopes(np.remainder(at([5.5, -5.5]), 2.0)) == [1.0, 1.0]
    assert slopes(np.fmod(at([5.5, -5.5]), 2.0)) == [1.0, 1.0]


@pytest.mark.parametrize("func", [np.fmod, np.remainder])
def test_remainder_by_a_divisor_just_above_a_fraction(func):
    """x/y rounds to the next integer here; the quotient that the remainder belongs to does not."""
    x = np.array([13.079093670102763, 6.224060369387076, 0.4312366199165613])
    y = np.array([0.6539546835051382, 0.6915622632652307, 0.14374553997218711])
    assert np.trunc(x / y).tolist() == [20.0, 9.0, 3.0]
    quotients = [int(Fraction(a) // Fraction(b)) for a, b in zip(x, y, strict=True)]
    slopes_in_y = func(x, mcx.perturb(y, np.ones(3))).im(1)
    assert slopes_in_y.tolist() == [-q for q in quotients] == [-19, -8, -2]


def test_results_do_not_depend_on_how_directions_are_grouped():
    x = np.array([0.0, 1.0, -1.0, 2.0])
    p, q = np.array([1.0, -1.0, 2.0, 0.0]), np.array([-3.0, 1.0, 0.5, 1.0])

    def f(z):
        return np.sum(np.abs(z) * np.maximum(z, 0) + np.sort(z) ** 2 + np.where(z > 0, z, 0))

    together = mcx.perturb(x, p + q)
    apart = mcx.perturb(x, p, q)
    np.testing.assert_allclose(f(together).im(1), f(apart).im(1) + f(apart).im(2), rtol=1e-15)
