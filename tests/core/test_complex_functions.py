"""Complex coefficients against mpmath: every analytic function, on both sides of its cuts."""

import itertools
import math

import mpmath
import numpy as np
import pytest
from mpmath import mp

import mcx

ORDER = 4
NEAR = mpmath.mpf("1e-30")  # from a cut, on the side that the sign of a zero names
DIRECTIONS = (1.0 - 0.5j, 0.75 + 1j, -1.25 + 0.25j, 0.5j)

GENERIC = (0.5 + 0.25j, -1.5 + 0.75j, 2 - 3j, -0.25 - 1.25j, 1e-6 + 1e-5j, 8 + 0.125j, -3 - 6j)
REAL_CUT = tuple(complex(x, y) for x in (-0.5, -2.25, -9.0) for y in (0.0, -0.0))
BEYOND_ONE = tuple(complex(x, y) for x in (-3.5, -1.125, 1.0625, 7.0) for y in (0.0, -0.0))
IMAGINARY_CUT = tuple(complex(x, y) for y in (-4.0, -1.125, 1.5, 9.0) for x in (0.0, -0.0))
LARGE = (3e4 - 2e5j, -1e12 + 1e9j, -4e7j)

LOGARITHMS = (*GENERIC, *REAL_CUT, *LARGE)
# Function of NumPy, of mpmath, points.
FUNCTIONS = {
    "exp": (np.exp, mp.exp, GENERIC),
    "exp2": (np.exp2, lambda z: mp.mpf(2) ** z, GENERIC),
    "expm1": (np.expm1, mp.expm1, GENERIC),
    "log": (np.log, mp.log, LOGARITHMS),
    "log2": (np.log2, lambda z: mp.log(z) / mp.log(2), LOGARITHMS),
    "log10": (np.log10, lambda z: mp.log(z) / mp.log(10), LOGARITHMS),
    "log1p": (np.log1p, lambda z: mp.log(1 + z), (*GENERIC, *REAL_CUT[2:])),
    "sqrt": (np.sqrt, mp.sqrt, LOGARITHMS),
    "square": (np.square, lambda z: z * z, GENERIC),
    "reciprocal": (np.reciprocal, lambda z: 1 / z, GENERIC),
    "sin": (np.sin, mp.sin, GENERIC),
    "cos": (np.cos, mp.cos, GENERIC),
    "tan": (np.tan, mp.tan, (*GENERIC, 0.5 + 15j, -2 - 30j)),
    "sinh": (np.sinh, mp.sinh, GENERIC),
    "cosh": (np.cosh, mp.cosh, GENERIC),
    "tanh": (np.tanh, mp.tanh, (*GENERIC, 15 + 0.5j, -30 - 2j)),
    "arcsin": (np.arcsin, mp.asin, (*GENERIC, *BEYOND_ONE, *LARGE)),
    "arccos": (np.arccos, mp.acos, (*GENERIC, *BEYOND_ONE, *LARGE)),
    "arctan": (np.arctan, mp.atan, (*GENERIC, *IMAGINARY_CUT, *LARGE)),
    "arcsinh": (np.arcsinh, mp.asinh, (*GENERIC, *IMAGINARY_CUT, *LARGE)),
    "arccosh": (np.arccosh, mp.acosh, (*GENERIC, *BEYOND_ONE, *REAL_CUT, *LARGE)),
    "arctanh": (np.arctanh, mp.atanh, (*GENERIC, *BEYOND_ONE, *LARGE)),
    "sinc": (np.sinc, lambda z: mp.sin(mp.pi * z) / (mp.pi * z), GENERIC),
    "real power": (lambda z: z**2.5, lambda z: z ** mp.mpf(2.5), LOGARITHMS),
    "negative power": (lambda z: z**-0.75, lambda z: z ** mp.mpf(-0.75), LOGARITHMS),
    "whole power": (lambda z: z**3, lambda z: z**3, LOGARITHMS),
    "complex power": (
        lambda z: z ** (0.5 - 1.25j),
        lambda z: z ** mp.mpc(0.5, -1.25),
        (*GENERIC, *REAL_CUT),
    ),
    "power of a constant": (
        lambda z: (-2 + 0.5j) ** z,
        lambda z: mp.mpc(-2, 0.5) ** z,
        GENERIC[:5],
    ),
    "power of itself": (lambda z: z**z, lambda z: z**z, (*GENERIC[:5], *REAL_CUT)),
}


def taylor(f, x, order=ORDER):
    """Return the Taylor coefficients of f at x, orders 0 to order + 1, by Cauchy's formula."""
    with mp.workdps(31 * (order + 1) + 65):
        parts = [NEAR * int(math.copysign(1, c)) if c == 0 else mp.mpf(c) for c in (x.real, x.imag)]
        at, radius, points = mp.mpc(*parts), NEAR / 4, 16
        circle = [mp.expjpi(mpmath.mpf(2 * j) / points) for j in range(points)]
        values = [f(at + radius * w) for w in circle]
        return [
            sum(v * w**-k for v, w in zip(values, circle, strict=True)) / points / radius**k
            for k in range(order + 2)
        ]


@pytest.fixture(params=[np.complex128, np.complex64], ids=lambda t: t.__name__)
def dtype(request):
    return request.param


def check_planes(func, oracle, x, directions=DIRECTIONS):
    """Check all planes of f(x + Σ i_k p_k) to 50 eps (|f⁽ᵏ⁾| + |x f⁽ᵏ⁺¹⁾|) Π|p|: law 5."""
    y = func(mcx.perturb(x, *(np.full_like(x, d) for d in directions)))
    assert y.dtype == func(x).dtype
    np.testing.assert_array_equal(y.value, func(x))
    eps, tiny = (max(getattr(np.finfo(z.dtype), name) for z in (x, y)) for name in ("eps", "tiny"))
    for j, at in enumerate(map(complex, x)):
        c = [complex(t * mp.factorial(k)) for k, t in enumerate(taylor(oracle, at))]
        for k in range(1, ORDER + 1):
            bound = 50 * max(float(eps) * (abs(c[k]) + abs(at * c[k + 1])), float(tiny))
            for units in itertools.combinations(range(1, ORDER + 1), k):
                along = math.prod(directions[u - 1] for u in units)
                error = abs(complex(y.im(*units)[j]) - c[k] * along) / abs(along)
                assert error <= bound, f"at {at}, units {units}: {error / bound:.3g} bounds"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_analytic_function(name, dtype):
    func, oracle, points = FUNCTIONS[name]
    check_planes(func, oracle, np.array(points).astype(dtype))


@pytest.mark.parametrize(
    ("name", "points"),
    [("log", REAL_CUT), ("sqrt", REAL_CUT), ("arcsin", BEYOND_ONE), ("arccosh", REAL_CUT[:2]),
     ("arccos", BEYOND_ONE), ("arcsinh", IMAGINARY_CUT), ("negative power", REAL_CUT)],
)  # fmt: skip
def test_both_sides_of_a_cut(name, points, dtype):
    """The derivatives of the two sides differ, as the values do, where the function jumps."""
    above, below = (np.array(points[k::2]).astype(dtype) for k in (0, 1))
    func = FUNCTIONS[name][0]
    slopes = [func(mcx.perturb(x, np.ones_like(x))).im(1) for x in (above, below)]
    jumps = func(above) != func(below)
    assert np.any(jumps)
    if name != "log":  # whose jump is a constant
        np.testing.assert_array_equal(slopes[0] != slopes[1], jumps)
    check_planes(func, FUNCTIONS[name][1], np.concatenate([above, below]))


@pytest.mark.parametrize("name", ["tan", "tanh", "arcsin", "arcsinh", "arccosh", "arctan", "sqrt"])
def test_long_series(name, dtype):
    """From order 5 on recurrences take over: to order 8, on the cuts as well."""
    func, oracle, points = FUNCTIONS[name]
    eps = np.finfo(dtype).eps
    for at in np.array(points[:6] + points[-4:]).astype(dtype):
        if abs(at) > 10:
            continue
        got = mcx.taylor(func, at, np.ones_like(at), order=8)
        exact = [complex(c) for c in taylor(oracle, complex(at), 8)]
        for k in range(1, 9):
            size = abs(exact[k]) + (k + 1) * abs(complex(at) * exact[k + 1])
            assert abs(complex(got[k]) - exact[k]) <= 200 * eps * size


def modulus(z):
    return mp.sqrt(mp.re(z) ** 2 + mp.im(z) ** 2)


# Functions that depend on z and its conjugate: NumPy, mpmath.
OF_TWO = {
    "abs": (np.abs, modulus),
    "abs cubed": (lambda z: np.abs(z) ** 3, lambda z: modulus(z) ** 3),
    "sign": (np.sign, lambda z: z / modulus(z)),
    "angle": (np.angle, mp.arg),
    "angle in degrees": (lambda z: np.angle(z, deg=True), lambda z: mp.arg(z) * 180 / mp.pi),
    "conjugate": (lambda z: np.conj(z) ** 2 * z, lambda z: mp.conj(z) ** 2 * z),
    "log of modulus": (lambda z: np.log(np.abs(z)), lambda z: mp.log(modulus(z))),
    "wave": (
        lambda z: np.exp(1j * z.real) * z.imag,
        lambda z: mp.expj(mp.re(z)) * mp.im(z),
    ),
    "hypot": (lambda z: np.hypot(z.real, 2 * z.imag),
              lambda z: mp.sqrt(mp.re(z) ** 2 + 4 * mp.im(z) ** 2)),
    "conjugate power": (lambda z: z ** np.conj(z), lambda z: z ** mp.conj(z)),
}  # fmt: skip


def mixed(f):
    """Return {(m, n): ∂s^m ∂t^n f(0, 0)} for all m, n ≤ 3 with m + n ≤ 5."""
    pairs = [(m, n) for m in range(4) for n in range(4) if 0 < m + n <= ORDER + 1]
    return {pair: complex(mp.diff(f, (0, 0), pair)) for pair in pairs}


@pytest.mark.parametrize("name", OF_TWO)
def test_function_of_modulus_and_phase(name, dtype):
    """Mixed derivatives along two directions a, b over the reals, of orders 1 to 4."""
    func, oracle = OF_TWO[name]
    x = np.array([0.5 + 0.25j, -1.5 + 0.75j, 2 - 3j, -0.25 - 1.25j, -4 + 1j, 30j]).astype(dtype)
    a, b = np.array(1 - 0.375j, dtype), np.array(0.75 + 1j, dtype)
    y = func(mcx.perturb(x, *(np.full_like(x, d) for d in (a, a, b, b))))
    assert y.dtype == func(x).dtype
    np.testing.assert_array_equal(y.value, func(x))
    eps = float(np.finfo(dtype).eps)
    for j, at in enumerate(map(complex, x)):
        with mp.workdps(60):
            z, u, v = (mp.mpc(complex(c)) for c in (at, a, b))
            found = mixed(lambda s, t, z=z, u=u, v=v: oracle(z + s * u + t * v))
        for units in [c for k in range(1, 5) for c in itertools.combinations((1, 2, 3, 4), k)]:
            m = sum(u < 3 for u in units)
            n = len(units) - m
            size = max(abs(f) for (p, q), f in found.items() if p + q == m + n)
            size += abs(at) * max(abs(f) for (p, q), f in found.items() if p + q == m + n + 1)
            error = abs(complex(y.im(*units)[j]) - found[m, n])
            assert error <= 50 * eps * size, f"at {at}, units {units}: {error / eps / size:.3g} eps"


def test_modulus_sign_and_whole_powers_at_zero(dtype):
    """|z| and z/|z| take the gradient 0 there, whole powers are exact."""
    z = mcx.perturb(np.zeros(1, dtype), *np.array([[1 + 2j], [2j], [1], [-1j]], dtype))
    for func in (np.abs, np.sign):
        assert not np.any(func(z).planes)
    assert (z**2).im(1, 2) == 2 * (1 + 2j) * 2j
    assert (z**3).im(1, 2, 4) == 6 * (1 + 2j) * 2j * -1j
    assert (z**4).im(1, 2, 3, 4) == 24 * (1 + 2j) * 2j * -1j
    assert not np.any((z**4).im(1, 2, 3))


def test_phase_of_a_real_quantity_is_refused():
    with pytest.raises(mcx.UnsupportedFunctionError, match="jumps between 0 and π"):
        np.angle(mcx.perturb(np.ones(3), np.ones(3)))


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_wave_of_a_real_parameter(order, dtype):
    """d^k exp(iωt) = (iω)^k exp(iωt), and |exp(iωt)| stays 1."""
    t = np.array([0.25, -1.5, 3.0], np.finfo(dtype).dtype)
    eps = np.finfo(dtype).eps
    y = np.exp(1.5j * mcx.perturb(t, *[np.ones_like(t)] * order))
    assert y.dtype == dtype
    exact = 1.5**order * 1j**order * np.exp(1.5j * t.astype(float))
    np.testing.assert_allclose(y.im(*range(1, order + 1)), exact, rtol=20 * eps)
    rest = np.abs(y).planes[1:]
    np.testing.assert_allclose(rest, np.zeros_like(rest), atol=50 * eps * 1.5**order)
    np.testing.assert_allclose(np.angle(y).im(1), 1.5 * np.ones(3), rtol=20 * eps)


@pytest.mark.parametrize(
    ("func", "slope"), [(np.exp, np.exp), (np.cosh, np.sinh), (np.sinh, np.cosh)]
)
@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_infinite_slope(func, slope, order):
    """What does not move along it stays 0, without a warning; what does is infinite."""
    x = np.array([complex(np.inf, 0.0), 0.5 - 0.25j])
    moving, still = np.array([1.0, 2.0]), np.array([0.0, 2.0])
    y = func(mcx.perturb(x, *[still] * order))
    np.testing.assert_array_equal(y.planes[1:, 0], 0)
    np.testing.assert_allclose(y.im(1)[1], 2 * slope(x[1]), rtol=1e-15)
    first = func(mcx.perturb(x, *[moving] * order)).im(1)
    assert first.real[0] == np.inf
    np.testing.assert_allclose(first[1], 2 * slope(x[1]), rtol=1e-15)


@pytest.mark.parametrize("name", [*FUNCTIONS, *OF_TWO])
def test_recorder(name):
    func = (FUNCTIONS | OF_TWO)[name][0]
    x, p = np.array([0.5 + 0.25j, -1.5 + 0.75j]), np.array([1 - 2j, 0.5 + 1j])
    value, lin = mcx.linearize(func, x)
    np.testing.assert_array_equal(value, func(x))
    np.testing.assert_allclose(lin(p), mcx.jvp(func, x, p)[1], rtol=1e-13)


def test_complex_solve_of_real_parameters(dtype, rng):
    """A(t) x(t) = b(t) in every plane, for an impedance matrix of real frequencies."""
    real = np.finfo(dtype).dtype
    t = mcx.perturb(*(rng.uniform(0.5, 1.5, 3).astype(real) for _ in range(5)))
    a = np.exp(1j * np.outer(t, np.arange(1, 4, dtype=real))) + 3 * np.eye(3, dtype=real)
    b = np.log(t + 1j)
    x = np.linalg.solve(a, b)
    assert x.dtype == dtype
    np.testing.assert_allclose((a @ x - b).planes, 0, atol=500 * np.finfo(dtype).eps)
    np.testing.assert_allclose((np.linalg.inv(a) @ b - x).planes, 0, atol=1e3 * np.finfo(dtype).eps)
