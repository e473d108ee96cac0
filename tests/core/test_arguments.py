"""out=, where=, dtype=, in-place operators, mixed operands, complex coefficients."""

import operator

import numpy as np
import pytest
from core.checkers import assert_same_value, host

import mcx

X = np.array([[0.5, 1.25, 2.0], [1.5, 0.25, 3.0]])
Y = np.array([[1.5, 0.75, -2.0], [-0.5, 2.25, 1.0]])
P, Q = np.array([[1.0, -2.0, 0.5], [3.0, 1.0, -1.0]]), np.array([[2.0, 1.0, 1.0], [-1.0, 0.5, 4.0]])


def numbers(wrap=np.array):
    """Return two numbers of order 2."""
    x, y, p, q = map(wrap, (X, Y, P, Q))
    return mcx.perturb(x, p, q), mcx.perturb(y, q, p)


OPERATORS = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv,
    "**": operator.pow, "//": operator.floordiv, "%": operator.mod,
}  # fmt: skip


@pytest.mark.parametrize("op", OPERATORS.values(), ids=OPERATORS)
class TestOperators:
    def test_with_scalars_and_arrays_on_both_sides(self, op, wrap):
        z, x = numbers(wrap)[0], wrap(X)
        for other in (2, 2.0, np.float64(2.0), wrap(Y + 3), wrap(np.array(1.5))):
            plain = other.get() if hasattr(other, "get") else other
            for result, expected in ((op(z, other), op(X, plain)), (op(other, z), op(plain, X))):
                assert isinstance(result, mcx.Multicomplex)
                assert result.dtype == expected.dtype
                np.testing.assert_array_equal(host(result.value), expected)
        np.testing.assert_array_equal(host(op(x, z).planes), host(op(0 * z + x, z).planes))

    def test_broadcasts(self, op):
        z = numbers()[0]
        column = mcx.perturb(np.array([[1.5], [2.5]]), np.ones((2, 1)), None)
        result = op(z, column)
        np.testing.assert_array_equal(result.value, op(X, column.value))
        wide = mcx.perturb(*(np.repeat(a, 3, axis=1) for a in (column.value, column.im(1))))
        np.testing.assert_array_equal(result.planes, op(z, wide).planes)

    def test_in_place_writes_into_the_number(self, op):
        in_place = getattr(operator, f"i{op.__name__.strip('_')}")
        (z, w), (original, _) = numbers(), numbers()
        view = z[0]
        result = in_place(z, w)
        assert result is z
        np.testing.assert_array_equal(z.planes, op(original, w).planes)
        np.testing.assert_array_equal(view.planes, z.planes[:, 0])

    def test_in_place_with_a_constant(self, op):
        in_place = getattr(operator, f"i{op.__name__.strip('_')}")
        z, original = numbers()[0], numbers()[0]
        z = in_place(z, 2.0)
        np.testing.assert_array_equal(z.planes, op(original, 2.0).planes)


def test_in_place_matmul():
    z, w = mcx.perturb(np.eye(2) * 2, np.ones((2, 2))), mcx.perturb(np.ones((2, 2)), np.eye(2))
    expected = (z @ w).planes
    z @= w
    np.testing.assert_array_equal(z.planes, expected)


@pytest.mark.parametrize("unary", [operator.neg, operator.pos, operator.abs])
def test_unary_operators(unary, wrap):
    z = numbers(wrap)[1]
    result = unary(z)
    np.testing.assert_array_equal(host(result.value), unary(Y))
    sign = np.sign(Y) if unary is operator.abs else unary(np.ones_like(Y))
    np.testing.assert_array_equal(host(result.im(1)), sign * Q)


FUNCTIONS_WITH_OUT = {
    "exp": lambda z, out: np.exp(z, out=out),
    "multiply": lambda z, out: np.multiply(z, z, out=out),
    "positional": lambda z, out: np.add(z, 1.0, out),
    "matmul": lambda z, out: np.matmul(z, np.eye(3), out=out),
    "cumsum": lambda z, out: np.cumsum(z, axis=0, out=out),
    "clip": lambda z, out: np.clip(z, 0.4, 1.7, out=out),
    "method": lambda z, out: z.clip(0.4, 1.7, out=out),
    "take": lambda z, out: np.take(z, [0, 2, 1], axis=1, out=out),
}


@pytest.mark.parametrize("call", FUNCTIONS_WITH_OUT.values(), ids=FUNCTIONS_WITH_OUT)
class TestOut:
    def test_result_is_written_to_out_and_returned(self, call):
        z, out = numbers()[0], np.empty_like(numbers()[0])
        assert call(z, out) is out
        np.testing.assert_array_equal(out.planes, call(z, None).planes)

    def test_out_may_be_an_operand(self, call):
        z = numbers()[0]
        expected = call(z, None).planes
        call(z, z)
        np.testing.assert_array_equal(z.planes, expected)

    def test_out_may_be_a_view(self, call):
        large = np.zeros_like(numbers()[0], shape=(2, 2, 3))
        call(numbers()[0], large[1])
        np.testing.assert_array_equal(large.planes[:, 1], call(numbers()[0], None).planes)

    def test_real_out_raises(self, call):
        out = np.full((2, 3), 7.0)
        with pytest.raises(mcx.ImplicitConversionError, match="real array"):
            call(numbers()[0], out)
        np.testing.assert_array_equal(out, 7.0)


def test_out_of_another_shape_raises():
    with pytest.raises(ValueError, match=r"expected shape \(2, 3\), got \(3,\)"):
        np.exp(numbers()[0], out=np.empty_like(numbers()[0], shape=(3,)))


def test_value_results_may_go_to_a_plain_out():
    z, out = numbers()[0], np.zeros((2, 3), bool)
    assert np.less(z, 1.0, out=out) is out
    np.testing.assert_array_equal(out, X < 1.0)


class TestWhere:
    mask = np.array([[True, False, True], [False, True, True]])

    def test_masked_out_elements_come_from_out(self):
        z, w = numbers()
        out = w.copy()
        np.sqrt(z, out=out, where=self.mask)
        np.testing.assert_array_equal(out.planes[:, self.mask], np.sqrt(z).planes[:, self.mask])
        np.testing.assert_array_equal(out.planes[:, ~self.mask], w.planes[:, ~self.mask])

    def test_masked_out_elements_are_not_evaluated(self):
        z = mcx.perturb(np.array([-1.0, 4.0]), np.ones(2))
        out = np.sqrt(z, out=np.zeros_like(z), where=z > 0)
        np.testing.assert_array_equal(out.value, [0.0, 2.0])
        np.testing.assert_array_equal(out.im(1), [0.0, 0.25])

    def test_binary_with_real_operand_and_broadcast(self):
        z = numbers()[0]
        out = np.divide(1.0, z[0], out=np.zeros_like(z), where=self.mask)
        expected = np.broadcast_to((1.0 / z[0]).planes[:, None], (4, 2, 3))
        np.testing.assert_array_equal(out.planes, np.where(self.mask, expected, 0.0))


@pytest.mark.parametrize("target", [np.float32, np.float64, np.complex128])
def test_dtype_of_ufuncs_and_reductions(target):
    z = numbers()[0].astype(np.float32)
    for call in (
        lambda a: np.add(a, a, dtype=target),
        lambda a: np.exp(a, dtype=target),
        lambda a: np.sum(a, axis=0, dtype=target),
        lambda a: np.mean(a, dtype=target),
        lambda a: np.cumsum(a, dtype=target),
    ):
        result = call(z)
        assert_same_value(result, call(X.astype(np.float32)))
        assert result.planes.dtype == target


def test_promotion_follows_numpy():
    z32, z64 = numbers()[0].astype(np.float32), numbers()[0]
    x32 = X.astype(np.float32)
    assert (z32 * z64).dtype == np.float64
    assert (z32 * 2.0).dtype == np.float32
    assert (z32 * np.float64(2.0)).dtype == (x32 * np.float64(2.0)).dtype
    assert (z32 + np.ones(3)).dtype == np.float64
    assert (z32 + np.ones(3, int)).dtype == (x32 + np.ones(3, int)).dtype
    assert (z32 * 1j).dtype == np.complex64
    assert np.float_power(z32, 2).dtype == np.float64


def test_operands_over_different_units_combine():
    x, y = mcx.perturb(X, P), mcx.perturb(Y, None, Q)
    z = x * y
    assert z.order == 2
    np.testing.assert_array_equal(z.value, X * Y)
    np.testing.assert_array_equal(z.im(1), P * Y)
    np.testing.assert_array_equal(z.im(2), X * Q)
    np.testing.assert_array_equal(z.im(1, 2), P * Q)
    joined = np.concatenate([x, y])
    np.testing.assert_array_equal(joined.im(2)[:2], 0)
    np.testing.assert_array_equal(joined.im(2)[2:], Q)
    chosen = np.where(X > 1, x, y)
    np.testing.assert_array_equal(chosen.im(1), np.where(X > 1, P, 0))
    np.testing.assert_array_equal(np.matmul(x, y.T).im(1, 2), P @ Q.T)


def test_equation_7_takes_one_unit_for_each_argument():
    f = lambda x, y: np.sin(x) * np.exp(x * y)  # noqa: E731 - one line of mathematics
    z = f(mcx.perturb(X, P, None), mcx.perturb(Y, None, Q))
    e, s, c = np.exp(X * Y), np.sin(X), np.cos(X)
    mixed = e * (c * X + s * (1 + X * Y)) * P * Q  # ∂x ∂y of sin(x) e^(xy)
    np.testing.assert_allclose(z.im(1, 2), mixed, rtol=1e-14)


@pytest.mark.parametrize("keepdims", [1, 0, True, False])
@pytest.mark.parametrize(
    "call",
    [
        lambda a, **k: np.max(a, axis=1, **k),
        lambda a, **k: np.prod(a, axis=0, **k),
        lambda a, **k: np.std(a, axis=1, **k),
        lambda a, **k: np.var(a, axis=0, **k),
        lambda a, **k: np.sum(a, axis=1, **k),
        lambda a, **k: np.linalg.norm(a, axis=1, **k),
        lambda a, **k: np.linalg.vector_norm(a, ord=3, **k),
        lambda a, **k: np.linalg.vector_norm(a, axis=(1, 0), ord=1, **k),
    ],
)
def test_keepdims_takes_any_truth_value(call, keepdims):
    x = np.array([[1.0, 2.0, 4.0], [0.5, -1.0, 3.0]])
    result, expected = call(mcx.perturb(x, x), keepdims=keepdims), call(x, keepdims=keepdims)
    assert result.shape == np.shape(expected)
    np.testing.assert_array_equal(result.value, expected)
    np.testing.assert_array_equal(np.ravel(result.im(1)), call(mcx.perturb(x, x)).im(1).ravel())


@pytest.mark.parametrize("run", [lambda f, x: f(mcx.perturb(x, x)), mcx.linearize])
def test_options_of_clip(run):
    x = np.array([1.5, -2.5, 3.25, 0.5])

    def refused(error, match, *args, **kwargs):
        with pytest.raises(error, match=match):
            run(lambda a: np.clip(a, *args, **kwargs), x)

    refused(mcx.UnsupportedFunctionError, r"where= .* np\.where", 0, 1, where=x > 0)
    refused((ValueError, TypeError), "min", 0, 1, min=0)
    refused(TypeError, "bogus", 0, 1, bogus=3)
    y, lin = mcx.linearize(lambda a: np.clip(a, 0, 1, dtype=np.float32), x)
    z = np.clip(mcx.perturb(x, x), 0, 1, dtype=np.float32)
    assert y.dtype == z.dtype == np.float32
    np.testing.assert_array_equal(z.value, np.clip(x, 0, 1))
    assert lin(x).tolist() == z.im(1).tolist() == [0.0, 0.0, 0.0, 0.5]


def test_nan_to_num_without_a_copy_writes_to_the_number():
    x, p = np.array([2.0, np.nan, -np.inf]), np.array([3.0, 5.0, 7.0])
    z = mcx.perturb(x, p)
    assert np.nan_to_num(z, copy=False, nan=4.0) is z
    assert z.value.tolist() == [2.0, 4.0, -np.finfo(float).max]
    assert z.im(1).tolist() == [3.0, 0.0, 0.0]

    def func(a):
        b = a * a
        np.nan_to_num(b, False)
        return b

    y, lin = mcx.linearize(func, x)
    assert y.tolist() == [4.0, 0.0, np.finfo(float).max]
    assert lin(p).tolist() == [12.0, 0.0, 0.0]
    w = mcx.perturb(x, p)
    assert np.nan_to_num(w) is not w
    assert np.isnan(w.value[1])


def test_modes_of_pad():
    x = np.array([2.0, 5.0, 1.0])
    z = mcx.perturb(x, 10 * x)
    with pytest.raises(mcx.UnsupportedFunctionError, match="mode= as a function"):
        np.pad(z, 1, lambda vector, width, axis, options: None)
    with pytest.raises(ValueError, match="bogus"):
        np.pad(z, 1, "bogus")
    for mode, stat in (("maximum", 5.0), ("minimum", 1.0), ("median", 2.0)):
        y = np.pad(z, (1, 2), mode)
        assert y.value.tolist() == [stat, 2.0, 5.0, 1.0, stat, stat]
        assert y.im(1).tolist() == [10 * k for k in y.value]
