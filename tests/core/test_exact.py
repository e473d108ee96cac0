"""The exact reading i_k² = −1: arithmetic against matrices, Figure 1, agreement with the limit."""

import mpmath
import numpy as np
import pytest
import scipy.linalg
from core import cases
from core.oracles import chain

import mcx

EPS = np.finfo(float).eps


def exact_number(planes):
    """Return the number of Cⁿ with the given planes (values without shape)."""
    n = len(planes).bit_length() - 1
    units = [mcx.unit(k, n) for k in range(1, n + 1)]
    total = 0 * units[0]
    for mask, coefficient in enumerate(planes):
        term = 0 * units[0] + float(coefficient)
        for k, i in enumerate(units):
            if mask >> k & 1:
                term = term * i
        total = total + term
    return total


def matrix(planes):
    """Return the Cauchy-Riemann matrix [[z1, −z2], [z2, z1]], recursively real."""
    if len(planes) == 1:
        return np.array([[planes[0]]])
    half = len(planes) // 2
    z1, z2 = matrix(planes[:half]), matrix(planes[half:])
    return np.block([[z1, -z2], [z2, z1]])


def random_planes(n, seed, size=0.4):
    rng = np.random.default_rng(seed)
    planes = size * rng.uniform(-1, 1, 2**n)
    planes[0] = 1.5 + rng.uniform(0, 1)
    return planes


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
class TestAgainstMatrices:
    """Cⁿ is a ring of commuting real matrices: the first column holds the planes."""

    def test_units_square_to_minus_one_and_commute(self, n):
        units = [mcx.unit(k, n) for k in range(1, n + 1)]
        one = np.zeros(2**n)
        one[0] = 1.0
        for i in units:
            np.testing.assert_array_equal((i**2).planes, -one)
            np.testing.assert_array_equal((i * i).planes, -one)
            for j in units:
                np.testing.assert_array_equal((i * j).planes, (j * i).planes)

    def test_number_has_the_planes_it_was_built_from(self, n):
        planes = random_planes(n, 1)
        np.testing.assert_array_equal(exact_number(planes).planes, planes)

    def test_product_and_quotient(self, n):
        x, y = random_planes(n, 2), random_planes(n, 3)
        z, w = exact_number(x), exact_number(y)
        np.testing.assert_allclose((z * w).planes, (matrix(x) @ matrix(y))[:, 0], atol=1e-14)
        inverse = np.linalg.inv(matrix(y))
        np.testing.assert_allclose((z / w).planes, (matrix(x) @ inverse)[:, 0], atol=1e-13)
        np.testing.assert_allclose((2 / w).planes, 2 * inverse[:, 0], atol=1e-13)
        np.testing.assert_allclose(np.reciprocal(w).planes, inverse[:, 0], atol=1e-13)
        np.testing.assert_allclose(((z / w) * w).planes, x, atol=1e-13)

    @pytest.mark.parametrize("exponent", [0, 1, 2, 3, 5, -1, -2])
    def test_integer_powers(self, n, exponent):
        planes = random_planes(n, 4)
        expected = np.linalg.matrix_power(matrix(planes), exponent)[:, 0]
        scale = np.max(abs(expected))
        np.testing.assert_allclose((exact_number(planes) ** exponent).planes, expected,
                                   atol=1e-13 * scale)  # fmt: skip

    @pytest.mark.parametrize(
        ("func", "of_matrix"),
        [
            (np.exp, scipy.linalg.expm),
            (np.log, scipy.linalg.logm),
            (np.sqrt, scipy.linalg.sqrtm),
            (np.sin, scipy.linalg.sinm),
            (np.cos, scipy.linalg.cosm),
            (np.tan, scipy.linalg.tanm),
            (np.sinh, scipy.linalg.sinhm),
            (np.cosh, scipy.linalg.coshm),
            (np.tanh, scipy.linalg.tanhm),
            (np.expm1, lambda a: scipy.linalg.expm(a) - np.eye(len(a))),
            (np.log1p, lambda a: scipy.linalg.logm(a + np.eye(len(a)))),
            (lambda z: z**0.5, scipy.linalg.sqrtm),
            (lambda z: z**2.5, lambda a: scipy.linalg.fractional_matrix_power(a, 2.5)),
        ],
    )
    def test_functions(self, n, func, of_matrix):
        planes = random_planes(n, 5, 0.4 / n)
        expected = np.real(of_matrix(matrix(planes)))[:, 0]
        scale = np.max(abs(expected))
        np.testing.assert_allclose(func(exact_number(planes)).planes, expected, atol=1e-11 * scale)

    @pytest.mark.parametrize(
        ("func", "back"), [(np.arctan, np.tan), (np.arctanh, np.tanh), (np.log, np.exp)]
    )
    def test_inverse_functions(self, n, func, back):
        planes = random_planes(n, 6, 0.15 / n)
        planes[0] = 0.6
        z = exact_number(planes)
        np.testing.assert_allclose(back(func(z)).planes, planes, atol=1e-13)


def test_matrix_product_is_that_of_the_representation():
    rng = np.random.default_rng(7)
    a, b = rng.normal(size=(4, 2, 3)), rng.normal(size=(4, 3, 2))
    z, w = exact_array(a), exact_array(b)
    product = (z @ w).planes
    for i, j in np.ndindex(2, 2):
        expected = sum(matrix(a[:, i, k]) @ matrix(b[:, k, j]) for k in range(3))[:, 0]
        np.testing.assert_allclose(product[:, i, j], expected, atol=1e-14)


def exact_array(planes):
    """Return an array of C² with the given planes."""
    z = mcx.perturb(planes[0], planes[1], planes[2], h=1.0)
    z.planes[3] = planes[3]
    return z


def figure1(x):
    """f(x) = eˣ/(x² + 1) of the paper's Figure 1."""
    return np.exp(x) / (x**2 + 1)


with mpmath.workdps(40):
    FIRST = float(mpmath.diff(lambda x: mpmath.exp(x) / (x**2 + 1), 10))
    SECOND = float(mpmath.diff(lambda x: mpmath.exp(x) / (x**2 + 1), 10, 2))


@pytest.mark.parametrize("exponent", range(-300, -7, 4))
def test_figure_1_first_derivative_is_exact_for_every_step(exponent):
    h = float(f"1e{exponent}")
    slope = figure1(mcx.perturb(10.0, 1.0, h=h)).im(1) / h
    assert abs(slope - FIRST) <= 4 * EPS * abs(FIRST)


@pytest.mark.parametrize("exponent", range(-150, -7))
def test_figure_1_second_derivative_is_exact_for_every_step(exponent):
    h = float(f"1e{exponent}")
    curvature = figure1(mcx.perturb(10.0, 1.0, 1.0, h=h)).im(1, 2) / h / h
    assert abs(curvature - SECOND) <= 16 * EPS * abs(SECOND)


def test_figure_1_ends_of_the_ranges():
    assert abs(figure1(mcx.perturb(10.0, 1.0, h=1e-8)).im(1) / 1e-8 - FIRST) <= 4 * EPS * FIRST
    z = figure1(mcx.perturb(10.0, 1.0, 1.0, h=1e-8))
    assert abs(z.im(1, 2) / 1e-16 - SECOND) <= 16 * EPS * SECOND


EXACT = [
    case
    for case in cases.UNARY
    if case.func in (np.exp, np.expm1, np.log, np.log1p, np.sin, np.cos, np.tan, np.sinh, np.cosh,
                     np.tanh, np.arctan, np.arctanh, np.sqrt, np.reciprocal, np.square,
                     np.negative, np.positive)
]  # fmt: skip


@pytest.mark.parametrize("case", EXACT, ids=str)
@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_exact_and_limit_agree_to_rounding(case, order, dtype, rng):
    """Directions as long as x and the radius of analyticity allow h² to be lost to rounding."""
    x = np.array([v for v in case.points if 1e-3 <= abs(v) <= 30], dtype)
    planes = np.zeros((2**order, x.size), dtype)
    planes[0] = x
    for k in range(order):
        planes[1 << k] = rng.uniform(0.5, 1.5, x.size) * [
            min(1.0, abs(v), case.radius(v)) for v in x
        ]
    directions = [planes[1 << k] for k in range(order)]
    limit = case.func(mcx.perturb(x, *directions)).planes
    exact = case.func(mcx.perturb(x, *directions, h="auto")).planes
    degrees = np.array([mask.bit_count() for mask in range(2**order)])
    scaled = exact / np.longdouble(mcx.step(dtype, order)) ** degrees[:, None]
    info = np.finfo(dtype)
    _, scale = chain(case.derivatives(x), planes.astype(np.longdouble), info.tiny)
    assert np.all(abs(scaled - limit) <= 100 * info.eps * scale)


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_exact_and_limit_agree_on_a_composition(order):
    def f(x):
        return np.exp(-(x**2)) * np.sin(x) / np.sqrt(1 + x**4) + np.log(2 + np.tanh(x))

    x, ones = np.linspace(-1.5, 1.5, 7), np.ones(7)
    h = mcx.step(float, order)
    exact = f(mcx.perturb(x, *[ones] * order, h="auto")).im(*range(1, order + 1)) / h**order
    limit = f(mcx.perturb(x, *[ones] * order)).im(*range(1, order + 1))
    np.testing.assert_allclose(exact, limit, rtol=1e-12, atol=1e-12)


class TestStep:
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    @pytest.mark.parametrize("order", [1, 2, 3, 4, 5, 6])
    def test_is_a_power_of_two_with_a_square_lost_to_rounding(self, dtype, order):
        h, info = mcx.step(dtype, order), np.finfo(dtype)
        assert np.frexp(h)[0] == 0.5
        assert h * h <= info.eps / 8
        assert h**order >= info.tiny / info.eps

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_is_the_largest_such_power(self, dtype):
        h = mcx.step(dtype, 1)
        assert (2 * h) ** 2 > np.finfo(dtype).eps / 8

    def test_depends_on_the_real_part_type_of_complex_coefficients(self):
        assert mcx.step(np.complex64, 2) == mcx.step(np.float32, 2)
        assert mcx.step(np.complex128, 2) == mcx.step(np.float64, 2)

    def test_is_refused_where_no_step_holds_both(self):
        refused = [n for n in range(1, 12) if not self.exists(np.float32, n)]
        assert refused
        assert refused[0] in (7, 8, 9)
        assert self.exists(np.float64, 12)
        with pytest.raises(mcx.AlgebraError, match=r"order 9 in float32.*float64"):
            mcx.perturb(np.float32([1.0]), *[np.float32([1.0])] * 9, h="auto")

    @staticmethod
    def exists(dtype, order):
        try:
            mcx.step(dtype, order)
        except mcx.AlgebraError:
            return False
        return True

    def test_auto_uses_the_step(self):
        z = mcx.perturb(np.ones(2), np.ones(2), np.ones(2), h="auto")
        np.testing.assert_array_equal(z.im(1), mcx.step(float, 2))


def test_unit_is_counted_from_one():
    np.testing.assert_array_equal(mcx.unit(2, 3).planes, np.eye(8)[2])
    for k, order in ((0, 2), (3, 2), (-1, 1)):
        with pytest.raises(mcx.AlgebraError, match="1 <= k <= order"):
            mcx.unit(k, order)


def test_mixing_exact_and_limit_raises():
    exact, limit = mcx.perturb(1.0, 1.0, h=1e-10), mcx.perturb(1.0, 1.0)
    for op in (np.add, np.multiply, np.divide, lambda a, b: np.stack([a, b])):
        with pytest.raises(mcx.AlgebraError, match="same h"):
            op(exact, limit)
        with pytest.raises(mcx.AlgebraError, match="same h"):
            op(limit, exact)


def test_function_without_recursion_is_refused_in_the_exact_reading():
    z = mcx.perturb(0.5, 1.0, h="auto")
    for func in (np.arcsin, np.cbrt):
        with pytest.raises(mcx.UnsupportedFunctionError, match="leave h out"):
            func(z)


def test_structure_and_selection_work_in_the_exact_reading():
    x, p = np.array([3.0, -1.0, 2.0]), np.array([1.0, 2.0, 3.0])
    z = mcx.perturb(x, p, h=0.5)
    np.testing.assert_array_equal(np.sort(z).im(1), [1.0, 1.5, 0.5])
    np.testing.assert_array_equal(np.abs(z).im(1), [0.5, -1.0, 1.5])
    np.testing.assert_array_equal(np.cumsum(z).im(1), [0.5, 1.5, 3.0])
