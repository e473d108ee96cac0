"""The method .at of ufuncs and their options: out=, where=, dtype=, casting=, order=, axes=."""

import numpy as np
import pytest
from core import cases
from core.builders import filled
from core.checkers import assert_same_value

import mcx

X = np.array([[0.5, -1.25, 2.0, 0.875], [1.5, 0.25, -0.75, 3.0], [-2.0, 1.0, -3.5, 0.125]])
Y = np.array([1.0, 2.5, -0.5])


def number(x=X, order=2, seed=0):
    """Return a number with value x and all planes filled."""
    x = np.asarray(x)
    planes = np.random.default_rng(seed).normal(size=(2**order - 1, *x.shape))
    return filled(np.stack([x, *planes.astype(x.dtype)]))


UNARY = {case.func for case in cases.UNARY} - {np.arccosh}
BINARY = {case.func for case in cases.BINARY} | {np.less, np.logical_and, np.floor_divide}
INDICES = {
    "list": [0, 2, 0, 0],
    "pair": ([0, 2, 0], [1, 1, 1]),
    "mixed": (slice(None), [3, 0, 3]),
    "mask": X > 0.6,
    "slice": slice(1, None),
    "matrix": np.array([[0, 1], [2, 0]]),
    "one": (1, 2),
}


def named(funcs):
    return pytest.mark.parametrize(
        "ufunc", sorted(funcs, key=lambda f: f.__name__), ids=lambda f: f.__name__
    )


@pytest.mark.parametrize("index", INDICES.values(), ids=INDICES)
class TestAt:
    """ufunc.at: as the loop over all elements that NumPy documents."""

    @named(BINARY)
    def test_binary(self, ufunc, index):
        x = abs(X) / 4 + 0.1
        places = np.arange(x.size).reshape(x.shape)[index]
        b = 0.1 + 0.8 * np.random.default_rng(1).random(np.shape(places))
        z, w = number(x), number(b, seed=5)
        for term in (w, b, 0.5):
            value, target = x.copy(), z.copy()
            ufunc.at(value, index, getattr(term, "value", term))
            assert ufunc.at(target, index, term) is None
            assert_same_value(target, value)
            expected = z.copy()
            spread = np.broadcast_to(term, np.shape(places)).reshape(-1)
            for k, place in enumerate(np.ravel(places)):
                expected.flat[place] = ufunc(expected.flat[place], spread[k]) * 1.0
            np.testing.assert_allclose(target.planes, expected.planes, rtol=1e-13, atol=1e-13)

    @named(UNARY)
    def test_unary(self, ufunc, index):
        x = abs(X) / 8 + 0.1
        value, target, expected = x.copy(), number(x), number(x)
        with np.errstate(all="ignore"):
            ufunc.at(value, index)
            ufunc.at(target, index)
            assert_same_value(target, value)
            for place in np.ravel(np.arange(x.size).reshape(x.shape)[index]):
                expected.flat[place] = ufunc(expected.flat[place])
        np.testing.assert_allclose(target.planes, expected.planes, rtol=1e-13, atol=1e-13)


def test_at_of_noncommuting_operations_goes_in_order():
    x, index = np.array([6.5, 100.0]), np.zeros((2, 2), int)
    b = np.asfortranarray([[7.0, 5.0], [3.0, 2.0]])
    for ufunc in (np.fmod, np.arctan2, np.power, np.copysign):
        target, value = number(x / 8), x / 8
        ufunc.at(target, index, number(b / 4))
        ufunc.at(value, index, b / 4)
        assert_same_value(target, value)


def test_at_refuses_what_numpy_refuses():
    z = number()
    for call in (
        lambda: np.divmod.at(z, [0], 1.0),
        lambda: np.modf.at(z, [0]),
        lambda: np.add.at(z, [0]),
        lambda: np.matmul.at(z, [0], z),
    ):
        with pytest.raises(
            (ValueError, TypeError, mcx.UnsupportedFunctionError), match=r"at|operand"
        ):
            call()
    with pytest.raises(ValueError, match="broadcast"):
        np.multiply.at(z, [0, 1], np.ones((3, 4)))
    with pytest.raises(TypeError, match=r"cast|real"):
        np.add.at(z, [0], 1j)
    with pytest.raises(mcx.UnsupportedFunctionError, match="invert"):
        np.invert.at(z, [0])


class TestUfuncOptions:
    def test_out_of_two_results(self):
        z, w = number(), number(np.abs(X) + 0.25, seed=3)
        for ufunc, operands in ((np.divmod, (z, w)), (np.modf, (w,)), (np.divmod, (X, w))):
            expected, first, second = ufunc(*operands), np.empty_like(z), np.empty_like(z)
            result = ufunc(*operands, out=(first, second))
            assert result[0] is first
            assert result[1] is second
            for got, part in zip(result, expected, strict=True):
                np.testing.assert_array_equal(got.planes, part.planes)
            fresh, given_one = ufunc(*operands, out=(None, second))
            assert given_one is second
            np.testing.assert_array_equal(fresh.planes, expected[0].planes)
        with pytest.raises(mcx.ImplicitConversionError):
            np.modf(z, out=(np.empty_like(z), np.empty_like(X)))

    def test_out_may_be_an_operand(self):
        z, w = number(), number(np.abs(X) + 0.25, seed=3)
        expected = np.divmod(z, w)
        np.divmod(z, w, out=(z, w))
        np.testing.assert_array_equal(z.planes, expected[0].planes)
        np.testing.assert_array_equal(w.planes, expected[1].planes)

    @pytest.mark.parametrize("mask", [X > 0, [True, False, True, True], True, np.False_])
    def test_where_of_two_results(self, mask):
        z, w = number(), number(np.abs(X) + 0.25, seed=3)
        out = number(seed=7), number(seed=8)
        kept = [n.copy() for n in out]
        chosen = np.broadcast_to(mask, X.shape)
        result = np.divmod(z, w, out=out, where=mask)
        for got, part, old in zip(result, np.divmod(z, w), kept, strict=True):
            np.testing.assert_array_equal(got.planes[:, chosen], part.planes[:, chosen])
            np.testing.assert_array_equal(got.planes[:, ~chosen], old.planes[:, ~chosen])

    @pytest.mark.parametrize("where", [True, 0, 1, [[True], [False]], [[1, 0], [0, 2]]], ids=str)
    def test_where_may_be_what_numpy_makes_truth_values_of(self, where):
        x = X[:2, :2]
        z = np.exp(number(x), where=where, out=number(x))
        assert_same_value(z, np.exp(x, where=where, out=x.copy()))

    @pytest.mark.parametrize("kind", [int, float])
    def test_mask_of_another_type_raises_as_in_numpy(self, kind):
        mask = (X > 0).astype(kind)
        for x, where in ((X, mask), (number(), mask), (number(), number() * mask)):
            with pytest.raises(TypeError, match="bool"):
                np.exp(x, where=where, out=np.zeros_like(x))

    def test_plain_operands_may_be_written_into_a_number(self):
        z = number()
        assert np.exp(X, out=z) is z
        assert_same_value(z, np.exp(X))
        assert not z.planes[1:].any()
        z, kept = number(), number()
        np.sqrt(X, out=z, where=X > 0)
        np.testing.assert_array_equal(z.value[X > 0], np.sqrt(X[X > 0]))
        assert not z.planes[1:, X > 0].any()
        np.testing.assert_array_equal(z.planes[:, X <= 0], kept.planes[:, X <= 0])
        np.add.reduce(X, axis=0, out=z[0])
        np.sum(X, axis=1, out=z[:, 3])
        np.testing.assert_array_equal(z.value[1:, 3], X.sum(1)[1:])
        np.matmul(X, X.T, out=z[:, :3])
        np.testing.assert_array_equal(z.value[:, :3], X @ X.T)
        assert not z.planes[1:, :, :3].any()
        np.add(X, 1, out=z, dtype=np.float32)
        np.testing.assert_array_equal(z.value, np.add(X, 1, dtype=np.float32))

    def test_truth_values_are_written_as_zeros_and_ones(self):
        z, x = number(), X.copy()
        np.less(z, 0.5, out=z)
        assert_same_value(z, np.less(x, 0.5, out=x))
        assert not z.planes[1:].any()
        z, x = number(), X.copy()
        np.isfinite(z, out=z, where=X > 0)
        assert_same_value(z, np.isfinite(x, out=x, where=X > 0))

    def test_out_may_be_larger_than_the_operands(self):
        z, out = number(), np.empty_like(number(), shape=(2, 3, 4))
        for call in (
            lambda a, o: np.exp(a, out=o),
            lambda a, o: np.multiply(a, a[0], out=o),
            lambda a, o: np.add(a[0], a[1], out=o),
            lambda a, o: np.add(a[:, :1], 1.0, out=o, where=X > 0),
        ):
            expected = call(X, np.zeros((2, 3, 4)))
            out[...] = 0.0
            assert_same_value(call(z, out), expected)
            np.testing.assert_array_equal(out.planes[:, 0], out.planes[:, 1])
        with pytest.raises(ValueError, match="out"):
            np.sum(z, axis=0, out=out)
        with pytest.raises(ValueError, match=r"expected shape \(3, 4\), got \(3, 1\)"):
            np.exp(z, out=np.empty_like(z, shape=(3, 1)))
        with pytest.raises(ValueError, match="out"):
            np.exp(z, out=np.empty_like(z, shape=(4,)), where=X > 0)

    @pytest.mark.parametrize("casting", ["no", "equiv", "safe", "same_kind", "unsafe"])
    @pytest.mark.parametrize("dtype", [None, np.float32, np.float64, np.complex128])
    def test_dtype_and_casting_as_numpy_decides(self, casting, dtype):
        x32 = X.astype(np.float32)
        for operands in ((X, X), (x32, X), (x32, x32), (x32, 2.0), (X, 1)):
            numbers = [number(operands[0]), *operands[1:]]
            for ufunc in (np.add, np.arctan2, np.less):
                options = {"casting": casting, "dtype": dtype}
                try:
                    expected = ufunc(*operands, **options)
                except TypeError:
                    with pytest.raises(TypeError):
                        ufunc(*numbers, **options)
                    continue
                result = ufunc(*numbers, **options)
                if ufunc is np.less:
                    np.testing.assert_array_equal(result, expected, strict=True)
                else:
                    assert_same_value(result, expected)
        np.testing.assert_array_equal(np.less(number(), 0.5, dtype=bool), X < 0.5)

    def test_dtype_without_derivatives_raises(self):
        for dtype in (int, np.float16, np.longdouble, object):
            with pytest.raises(TypeError):
                np.add(number(), 1.0, dtype=dtype, casting="unsafe")
        with pytest.raises(mcx.UnsupportedFunctionError, match="signature"):
            np.add(number(), 1.0, signature="dd->d")

    @pytest.mark.parametrize("order", "KCAF")
    def test_order_lays_out_the_result(self, order):
        for view in (lambda a: a, lambda a: a.T, lambda a: a[:, ::2]):
            z = view(number())
            for ufunc in (np.exp, np.negative, np.isfinite):
                result, expected = ufunc(z, order=order), ufunc(view(X), order=order)
                value = getattr(result, "value", result)
                np.testing.assert_array_equal(value, expected)
                assert value.flags.c_contiguous == expected.flags.c_contiguous
                assert value.flags.f_contiguous == expected.flags.f_contiguous
            if order == "K":
                continue
            parts = np.modf(z, order=order, subok=False)
            for part, expected in zip(parts, np.modf(view(X), order=order), strict=True):
                assert part.flags.f_contiguous == expected.flags.f_contiguous

    def test_axes_and_keepdims_of_generalized_ufuncs(self):
        a, b = np.random.default_rng(0).normal(size=(2, 3, 4, 5))
        z, w = number(a), number(b, seed=1)
        calls = (
            lambda x, y: np.matmul(x, y, axes=[(0, 1), (1, 0), (0, 1)]),
            lambda x, y: np.matmul(x, y, axes=[(-2, -1), (-1, -2), (-1, -2)]),
            lambda x, y: np.vecdot(x, y, axis=0),
            lambda x, y: np.vecdot(x, y, axis=1, keepdims=True),
            lambda x, y: np.vecdot(x, y, axes=[0, 0, ()]),
        )
        for call in calls:
            result = call(z, w)
            assert_same_value(result, call(a, b))
            np.testing.assert_allclose(
                result.im(1), call(z.im(1), b) + call(a, w.im(1)), rtol=1e-13, atol=1e-13
            )
            p = np.random.default_rng(3).normal(size=a.shape)
            f = lambda x, call=call: call(x * x, b)  # noqa: E731
            np.testing.assert_allclose(mcx.linearize(f, a)[1](p), mcx.jvp(f, a, p)[1], rtol=1e-12)
        with pytest.raises(TypeError, match="where"):
            np.matmul(z, w.T, where=np.ones((), bool))
