"""Comparisons in traced series: 1 where they hold, else 0, in every printer and without kernels."""

import ctypes
import operator

import numpy as np
import pytest
from core.algebras import UNITS
from core.test_cuda_source import as_c, compiled
from core.ways import by_kernels, interpreted, plainly

import mcx
from mcx.algebra import algebra_of
from mcx.kernels.program import composition
from mcx.kernels.source import cuda_source

OPERATORS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
OPERATORS |= {"==": operator.eq, "!=": operator.ne}
WAYS = {"plain": plainly, "source": interpreted, "compiled": by_kernels}
FINITE = [-2.0, -1.0, -1e-40, -0.0, 0.0, 1e-40, 0.25, 0.5, np.nextafter(0.5, 1), 1.0, 1e38]
SPECIAL = [*FINITE, np.nan, -np.inf, np.inf]
ORDER_2 = algebra_of(UNITS[2])

each_operator = pytest.mark.parametrize("compare", OPERATORS.values(), ids=OPERATORS)


def slopes(compare, a, y):
    """f′ and f″/2: symbols, planes or arrays, numbers on either side, and equal operands."""
    first = compare(a, y) * 3.0 + compare(a, 0.5) * 5.0 + compare(0.5, a) * 7.0
    first = first + compare(a, 0) * 11.0 + compare(-1.0, a) * compare(a, 0.25) * 17.0
    return first, compare(-a, abs(a)) * 13.0 + compare(y, a) * 19.0


def registered(compare):
    def series(a, y, n):
        return [*slopes(compare, a, y), *[0] * n][:n]

    @mcx.register_analytic(series)
    def clipped(x):
        return np.minimum(x, 0.5)

    return clipped, series


def made(values, dtype):
    """Return a number with these values, its tangents of whole numbers, and f″ and f′ parts."""
    a = np.array(values, dtype)
    planes = np.stack([a, np.full_like(a, 2), np.full_like(a, 3), np.full_like(a, 5)])
    return mcx.Multicomplex(planes, ORDER_2)


def expected(compare, z):
    a = z.value
    y = np.minimum(a, 0.5)
    first, second = slopes(compare, a, y)
    return np.stack([y, first * 2, first * 3, first * 5 + 2 * second * 2 * 3]).astype(a.dtype)


@each_operator
def test_the_operands_tell_operators_apart(compare):
    """So a wrong one is caught: everywhere but at NaN some results differ."""
    z = made(SPECIAL, float)
    others = [other for other in OPERATORS.values() if other is not compare]
    for other in others:
        assert (expected(compare, z)[1:] != expected(other, z)[1:]).any()


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@each_operator
class TestWays:
    def test_every_kind_of_operand(self, compare, way, dtype):
        func, _ = registered(compare)
        for values in (FINITE, SPECIAL, *([x] for x in SPECIAL)):
            z = made(values, dtype)
            with way() as answered:
                got = func(z)
            np.testing.assert_array_equal(got._planes, expected(compare, z), strict=True)
            if way is not plainly and np.isfinite(z.value).all():
                assert answered
                assert all(answered)

    def test_derivatives(self, compare, way):
        func, _ = registered(compare)
        x = np.array(FINITE)
        with way():
            first = mcx.derivative(func, x)
            _, lin = mcx.linearize(func, x)
        wanted = slopes(compare, x, np.minimum(x, 0.5))[0]
        np.testing.assert_array_equal(first, wanted)
        np.testing.assert_array_equal(lin(x), wanted * x)


def program(compare):
    return composition("compared", registered(compare)[1], ORDER_2.table, ORDER_2.full)


@each_operator
def test_cuda_source_as_c(compare, dtype, tmp_path):
    z = made(SPECIAL, dtype)
    out = np.full_like(z._planes, np.nan)
    out[0] = np.minimum(z.value, 0.5)
    kernel = as_c(cuda_source(program(compare), dtype.char), tmp_path)
    pointers = [ctypes.c_void_p(a.ctypes.data) for a in (z._planes, out)]
    kernel(*pointers, ctypes.c_longlong(len(SPECIAL)))
    np.testing.assert_array_equal(out, expected(compare, z), strict=True)


@each_operator
def test_cuda_source_compiles(compare, dtype):
    status, size, log = compiled(cuda_source(program(compare), dtype.char), "sm_90")
    assert status == 0, log
    assert size > 0, log


@pytest.mark.gpu
@each_operator
def test_on_a_device(compare, dtype):
    cupy = pytest.importorskip("cupy")
    z = made(SPECIAL, dtype)
    got = registered(compare)[0](mcx.Multicomplex(cupy.array(z._planes), ORDER_2))
    np.testing.assert_array_equal(got._planes.get(), expected(compare, z), strict=True)


@each_operator
def test_a_comparison_within_a_numpy_function(compare):
    """What NumPy computes for a kernel may be made of comparisons too."""

    def series(a, y, n):
        return [np.exp(compare(a, 0.5) * a), *[0] * n][:n]

    func = mcx.register_analytic(series)(lambda x: x * 1.0)
    x = np.array(FINITE[:-1])
    for way in WAYS.values():
        with way():
            got = mcx.derivative(func, x)
        np.testing.assert_allclose(got, np.exp(np.where(compare(x, 0.5), x, 0)), rtol=1e-15)


def test_equal_comparisons_are_one_node():
    once = composition("once", lambda a, y, n: [(a < 0.5) * 2.0], algebra_of(UNITS[1]).table, 3)
    twice = composition(
        "twice", lambda a, y, n: [(a < 0.5) * (a < 0.5) * 2.0], algebra_of(UNITS[1]).table, 3
    )
    count = [sum(node.op == "<" for node in p.nodes) for p in (once, twice)]
    assert count == [1, 1]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_number_made_of_a_comparison_within_a_numpy_function(dtype):
    """NumPy would make float64 of it; a kernel of float32 takes float32."""

    def series(a, y, n):
        return [np.exp((a > 0.5) * 2.0), *[0] * n][:n]

    func = mcx.register_analytic(series)(lambda x: x * 1)
    x = np.array([0.25, 0.75], dtype)
    for way in WAYS.values():
        with way():
            got = mcx.derivative(func, x)
        assert got.dtype == dtype
        np.testing.assert_allclose(got, np.exp(np.array([0.0, 2.0])), rtol=1e-6)


@pytest.mark.parametrize(
    "slope",
    [
        lambda a: a if a > 0 else -a, lambda a: max(a, 0), lambda a: np.maximum(a, 0),
        lambda a: (a > 0 and a < 1) * 2.0, lambda a: np.less(a, 0) * 2.0, lambda a: np.sign(a),
        lambda a: (not a) * 2.0, lambda a: np.equal(a, 0) * 2.0,
    ],
)  # fmt: skip
def test_a_decision_cannot_be_traced(slope):
    """It would be taken once, for all elements."""
    func = mcx.register_analytic(lambda a, y, n: [slope(a)])(lambda x: x * 1.0)
    with pytest.raises(TypeError, match="traced=False"):
        func(mcx.perturb(np.array([1.0]), np.array([1.0])))
