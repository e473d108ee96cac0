"""numpy.emath against mpmath: inside the real domain, beyond it, and in arrays that have both."""

import numpy as np
import pytest
from core.test_complex_functions import check_planes
from mpmath import mp

import mcx

emath = np.emath
POSITIVE, MIXED = (0.25, 1.0, 3.5, 1e4), (0.25, -0.5, -7.0, 3.5, -1e4)
INSIDE, BEYOND = (0.25, -0.5, 0.875), (0.25, -0.5, 1.125, -3.0, 50.0)
DIRECTIONS = (1.0, -0.5, 2.0, 0.75)

# Function of numpy.emath, of mpmath, points that keep it real, points that do not.
FUNCTIONS = {
    "sqrt": (emath.sqrt, mp.sqrt, POSITIVE, MIXED),
    "log": (emath.log, mp.log, POSITIVE, MIXED),
    "log2": (emath.log2, lambda z: mp.log(z) / mp.log(2), POSITIVE, MIXED),
    "log10": (emath.log10, lambda z: mp.log(z) / mp.log(10), POSITIVE, MIXED),
    "logn": (lambda x: emath.logn(3.0, x), lambda z: mp.log(z) / mp.log(3), POSITIVE, MIXED),
    "base": (lambda x: emath.logn(x, 5.0), lambda z: mp.log(5) / mp.log(z),
             (0.25, 3.5, 1e4), MIXED),
    "power": (lambda x: emath.power(x, 1.5), lambda z: z ** mp.mpf(1.5), POSITIVE, MIXED),
    "whole power": (lambda x: emath.power(x, 3), lambda z: z**3, POSITIVE, MIXED),
    "inverse": (lambda x: emath.power(x, -2), lambda z: z**-2, POSITIVE, MIXED),
    "exponential": (lambda x: emath.power(3.0, x), lambda z: 3**z, (0.5, -1.25, 4.0), ()),
    "turning": (lambda x: emath.power(-3.0, x),
                lambda z: mp.exp(z * (mp.log(3) + 1j * mp.pi)), (), (0.5, -1.25, 3.0)),
    "both": (lambda x: emath.power(x, x), lambda z: z**z, POSITIVE[:3], (0.25, -0.5, -3.5)),
    "arcsin": (emath.arcsin, mp.asin, INSIDE, BEYOND),
    "arccos": (emath.arccos, mp.acos, INSIDE, BEYOND),
    "arctanh": (emath.arctanh, mp.atanh, INSIDE, BEYOND),
}  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("beyond", [False, True])
def test_function(name, beyond, dtype):
    func, oracle, *points = FUNCTIONS[name]
    x = np.array(points[beyond]).astype(dtype)
    if not x.size:
        return
    assert np.iscomplexobj(func(x)) is beyond
    check_planes(func, oracle, x, DIRECTIONS)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_recorder(name):
    func, _, real, mixed = FUNCTIONS[name]
    for x in map(np.array, filter(None, (real, mixed))):
        p = np.linspace(-1, 2, x.size)
        value, lin = mcx.linearize(func, x)
        np.testing.assert_array_equal(value, func(x))
        np.testing.assert_allclose(lin(p), mcx.jvp(func, x, p)[1], rtol=1e-13)


@pytest.mark.parametrize("imaginary", [0.0, -0.0])
def test_complex_numbers_are_taken_as_they_are(imaginary):
    x = np.array([complex(-4, imaginary)])
    for name in ("sqrt", "log", "power"):
        func, oracle, *_ = FUNCTIONS[name]
        check_planes(func, oracle, x)
    x = np.array([complex(2, imaginary)])
    for name in ("arcsin", "arccos", "arctanh"):
        func, oracle, *_ = FUNCTIONS[name]
        check_planes(func, oracle, x)


def test_plain_sequences_and_integers_beside_numbers():
    z = mcx.perturb(np.array([0.5, 2.0]), np.array([1.0, -3.0]))
    y = emath.power([-1, 4], z)
    np.testing.assert_array_equal(y.value, emath.power([-1, 4], z.value))
    slope = y.value * np.array([1j * np.pi, np.log(4)])
    np.testing.assert_allclose(y.im(1), slope * z.im(1), rtol=1e-14)
    y = emath.logn(np.int16(-2), z)
    assert y.dtype == emath.logn(np.int16(-2), z.value).dtype
    np.testing.assert_array_equal(y.value, emath.logn(np.int16(-2), z.value))


def test_an_element_below_zero_turns_all_complex():
    z = mcx.perturb(np.array([4.0, -4.0]), np.ones(2))
    np.testing.assert_allclose(emath.sqrt(z).im(1), [0.25, -0.25j])
    assert emath.sqrt(z[:1]).dtype == np.float64
    assert emath.sqrt(mcx.perturb(np.array([np.nan, 1.0]), np.ones(2))).dtype == np.float64
