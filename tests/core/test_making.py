"""New arrays made of numbers: nested lists, conversions, constants, pieces, along axes."""

import inspect

import numpy as np
import pytest
from core.builders import filled
from core.checkers import assert_same_value, host
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import mcx
from mcx.nested import stacked

few = settings(max_examples=40)
X = np.array([[0.5, 1.25, 2.0], [3.5, 0.25, 0.75]])


def number(x=X, order=2, seed=0, wrap=np.array):
    """Return a number with value x and all planes filled."""
    rng = np.random.default_rng(seed)
    x = np.asarray(x)
    planes = rng.normal(size=(2**order - 1, *x.shape))
    return filled(np.stack([x, *planes]).astype(x.dtype), wrap)


class TestStacked:
    """`stacked` does with numbers what np.array does with scalars."""

    @few
    @given(hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=3), st.data())
    def test_nests_of_numbers_scalars_and_arrays(self, shape, data):
        x = np.random.default_rng(1).normal(size=shape)
        z = number(x)
        expected = np.zeros((4, *shape))

        def nest(at):
            if len(at) == len(shape):
                kind = data.draw(st.sampled_from(["number", "float", "int", "scalar", "array"]))
                if kind == "number":
                    expected[(slice(None), *at)] = z.planes[(slice(None), *at)]
                    return z[at]
                expected[(0, *at)] = x[at] if kind != "int" else 3
                plain = {"float": float, "scalar": np.float64, "array": np.array}
                return plain[kind](x[at]) if kind != "int" else 3
            if at and data.draw(st.booleans()):
                expected[(slice(None), *at)] = z.planes[(slice(None), *at)]
                return z[at]
            items = [nest((*at, k)) for k in range(shape[len(at)])]
            return tuple(items) if data.draw(st.booleans()) else items

        nested = nest(())
        result = stacked([nested, z])
        np.testing.assert_array_equal(result.planes[:, 0], expected)
        np.testing.assert_array_equal(result.planes[:, 1], z.planes)

    def test_dtype_is_that_of_np_array(self):
        z = mcx.perturb(np.float32(2.0), np.float32(1.0))
        for other in (1.0, 1, np.float32(1), np.float64(1), 1j, True, np.complex64(1)):
            assert stacked([z, other]).dtype == np.array([z.value[()], other]).dtype
        assert stacked([z, z]).dtype == np.float32

    def test_scalars_go_where_the_numbers_are(self, wrap):
        z = number(wrap=wrap)[0]
        result = stacked([[z[0], 1.0], [np.float64(2.0), z[1]]])
        assert type(result.planes) is type(z.planes)
        np.testing.assert_array_equal(host(result.value), [[0.5, 1.0], [2.0, 1.25]])

    def test_shapes_are_told(self):
        z = number()
        with pytest.raises(ValueError, match=r"got \(3,\) at \[1\]\[0\] and \(\) at \[1\]\[2\]"):
            stacked([[z[0], z[1], z[0]], [z[0], z[1], 1.0]])
        with pytest.raises(ValueError, match=r"got \(2,\) at \[0\] and \(1,\) at \[1\]"):
            stacked([[z[0, 0], 1.0], [z[0, 0]]])

    def test_numbers_and_plain_values_pass(self):
        z = number()
        assert stacked(z) is z
        assert type(stacked([1, 2])) is np.ndarray
        np.testing.assert_array_equal(stacked([[1, 2], [3, 4]]), [[1, 2], [3, 4]], strict=True)
        assert stacked([[], z[0, :0]]).shape == (2, 0)

    def test_nested_recordings(self):
        f = lambda x: stacked([[x[0, 0], 1.0], [x[0, 1] ** 3, x[0, 0] * x[0, 1]]])  # noqa: E731
        p, q = np.random.default_rng(2).normal(size=(2, *X.shape))
        inner = lambda x: mcx.linearize(f, x)[1](p)  # noqa: E731
        np.testing.assert_allclose(
            mcx.linearize(inner, X)[1](q), mcx.directional(f, X, p, q), rtol=1e-14
        )


class TestConversions:
    def test_options_of_array(self):
        z = number()
        assert np.array(z, like=z) is not z
        assert not np.shares_memory(np.array(z, like=z).planes, z.planes)
        assert np.array(z, copy=None, like=z) is z
        assert np.array(z, copy=False, like=z) is z
        assert np.array(z, copy=np._CopyMode.IF_NEEDED, like=z) is z
        assert np.array(z, copy=np._CopyMode.ALWAYS, like=z) is not z
        assert np.array([z, z], ndmin=5, like=z).shape == (1, 1, 2, 2, 3)
        assert np.array(z, np.float32, like=z).dtype == np.float32
        assert np.array(z, order="F", like=z).flags.f_contiguous
        assert np.array(z.T, order="C", copy=None, like=z).flags.c_contiguous
        np.testing.assert_array_equal(np.array(z, order="F", like=z).planes, z.planes)
        with pytest.raises(ValueError, match="copy=False"):
            np.array([z, z], copy=False, like=z)
        with pytest.raises(TypeError, match="float64"):
            np.array([z, z], dtype=int, like=z)
        if "ndmax" in (inspect.signature(np.array).parameters if NEW else ()):
            assert np.array([z, z], ndmax=3, like=z).shape == (2, 2, 3)
            with pytest.raises(mcx.UnsupportedFunctionError, match="ndmax"):
                np.array([z, z], ndmax=2, like=z)

    def test_asarray_and_its_kin_copy_only_where_they_must(self):
        z = number()
        for func in (np.asarray, np.asanyarray, np.ascontiguousarray, np.require):
            assert func(z, like=z) is z
        assert np.asarray(z, np.float64, like=z) is z
        assert np.asarray(z, device="cpu", like=z) is z
        with pytest.raises(ValueError, match=r"(?i)device"):
            np.asarray(z, device="tpu", like=z)
        assert np.asfortranarray(z, like=z).flags.f_contiguous
        assert np.asfortranarray(z.T, like=z).flags.f_contiguous
        assert np.ascontiguousarray(z[0, 0], like=z).shape == (1,)

    def test_require(self):
        z = number()
        assert np.require(z, requirements="O", like=z) is not z
        fixed = np.broadcast_to(z, (2, 2, 3))
        assert np.require(fixed, None, ["W"], like=z).flags.writeable
        assert np.require(z, None, ["F_CONTIGUOUS", "A", "E"], like=z).flags.f_contiguous
        with pytest.raises(ValueError, match="both"):
            np.require(z, None, ["C", "F"], like=z)
        with pytest.raises(KeyError):
            np.require(z, None, ["Q"], like=z)

    def test_plain_data_become_constants(self, tmp_path):
        z = number()
        path = tmp_path / "numbers.txt"
        X.tofile(path, sep=" ")
        made = {
            "array": np.array(X, like=z),
            "fromfile": np.fromfile(path, sep=" ", like=z).reshape(2, 3),
            "loadtxt": np.loadtxt(path, like=z).reshape(2, 3),
            "frombuffer": np.frombuffer(X.tobytes(), like=z).reshape(2, 3),
            "fromiter": np.fromiter(iter(X.ravel()), float, like=z).reshape(2, 3),
        }
        for result in made.values():
            assert_same_value(result, X)
            assert not result.planes[1:].any()
            result[0] = z[1]
            np.testing.assert_array_equal(result.planes[:, 0], z.planes[:, 1])
        assert type(np.array([1, 2], like=z)) is np.ndarray  # integers have no derivatives

    def test_plain_data_are_never_written_to(self):
        data = X.copy()

        def f(x):
            y = np.asarray(data, like=x)
            y[0] = x[0] ** 2
            return y * x

        value, lin = mcx.linearize(f, X)
        expected = mcx.jvp(f, X, X)
        np.testing.assert_array_equal(data, X)
        np.testing.assert_array_equal(value, expected[0])
        data[...] = 0
        np.testing.assert_allclose(lin(X), expected[1], rtol=1e-15)

    def test_number_where_only_data_can_stand_raises(self):
        z = number()
        for call in (
            lambda: np.fromiter([z[0, 0], z[0, 1]], float, like=z),
            lambda: np.tri(z[0, 0], like=z),
            lambda: np.fromiter((v for v in z[0]), float, like=z),
            lambda: np.frombuffer(z, like=z),
        ):
            with pytest.raises((TypeError, ValueError, mcx.UnsupportedFunctionError)):
                call()


NEW = tuple(map(int, np.__version__.split(".")[:2])) >= (2, 4)


class TestFilled:
    def test_full_takes_numbers_lists_and_options(self):
        z, w = number(), number(X[0], order=3)
        result = np.full((4, 3), z[0], like=z)
        np.testing.assert_array_equal(result.planes, np.broadcast_to(z.planes[:, :1], (4, 4, 3)))
        assert np.full(2, z[0, 0], np.float32, like=z).dtype == np.float32
        assert np.full((2, 3), z, order="F", like=z).flags.f_contiguous
        assert np.full(2, [z[0, 0], 1], like=z).shape == (2,)
        assert np.full_like(z, w).order == 3
        np.testing.assert_array_equal(np.full_like(z, w).im(1, 2, 3)[1], w.im(1, 2, 3))
        assert_same_value(np.full(3, 2.5, np.float32, like=z), np.full(3, 2.5, np.float32))
        with pytest.raises((TypeError, mcx.ImplicitConversionError)):
            np.full(3, z[0, 0], int, like=z)
        with pytest.raises(ValueError, match="broadcast"):
            np.full((2, 2), z, like=z)

    @pytest.mark.parametrize(
        "make",
        [
            lambda **k: np.zeros((2, 3), np.float32, "F", **k),
            lambda **k: np.ones((2, 3), dtype=complex, **k),
            lambda **k: np.eye(3, 4, k=1, dtype=np.float32, **k),
            lambda **k: np.identity(2, np.float32, **k),
            lambda **k: np.tri(3, 4, -1, np.float32, **k),
            lambda **k: np.full(3, 1.5, **k),
            lambda **k: np.arange(1.5, 6, 2.0, **k),
            lambda **k: np.arange(3, dtype=np.float32, **k),
            lambda **k: np.fromfunction(lambda i, j: i - 0.5 * j, (2, 3), **k),
        ],
    )
    def test_constants_in_the_image_of_a_number(self, make):
        z = number()
        result = make(like=z)
        assert_same_value(result, make())
        assert not result.planes[1:].any()
        result[0] = z[0, 0]
        value, lin = mcx.linearize(lambda x: make(like=x) * x[0, 0], X)
        np.testing.assert_array_equal(value, make() * 0.5)
        np.testing.assert_array_equal(lin(X), make() * 0.5)


class TestPieces:
    def test_piecewise_takes_functions_constants_and_numbers(self):
        z = number()
        w = mcx.perturb(2.0, None, None, 1.0)
        result = np.piecewise(
            z, [X < 0.6, X > 1.5], [lambda v, a, b=0: a * v * w + b, z[0, 0], -1.0], 3.0, b=z[0, 1]
        )
        value = np.piecewise(X, [X < 0.6, X > 1.5], [lambda v, a, b=0: a * v * 2 + b, 0.5, -1.0],
                             3.0, b=1.25)  # fmt: skip
        assert_same_value(result, value)
        low, high = X < 0.6, X > 1.5
        assert result.order == 3
        expected = 3.0 * z[low] * w + z[0, 1]
        np.testing.assert_array_equal(result[low].planes, expected.planes)
        np.testing.assert_array_equal(result.im(1)[high], z.im(1)[0, 0])
        assert not result[~low & ~high].planes[1:].any()

    def test_functions_see_their_piece_only(self):
        z = mcx.perturb(np.array([-1.0, 4.0]), np.ones(2))
        result = np.piecewise(z, [z >= 0], [np.sqrt, 0])
        np.testing.assert_array_equal(result.im(1), [0.0, 0.25])

    def test_conditions_as_numpy_takes_them(self):
        z = number(X[0])
        for condlist in ([[True, False, True]], [True, False, True], np.array([[1, 0, 1]])):
            result = np.piecewise(z, condlist, [np.square, np.negative])
            assert_same_value(result, np.piecewise(X[0], condlist, [np.square, np.negative]))
        zero = np.piecewise(z[1], z[1] > 1, [np.square, np.negative])
        assert_same_value(zero, np.piecewise(X[0, 1], X[0, 1] > 1, [np.square, np.negative]))
        with pytest.raises(ValueError, match="expected 1 or 2 functions"):
            np.piecewise(z, [X[0] > 1], [1.0, 2.0, 3.0])


class TestAxes:
    @few
    @given(hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=3), st.data())
    def test_apply_along_axis_has_numpys_shapes(self, shape, data):
        axis = data.draw(st.integers(-len(shape), len(shape) - 1))
        x = np.random.default_rng(0).normal(size=shape)
        z = number(x)
        for func in (np.sum, lambda v: v * 2, lambda v: np.outer(v, v), lambda v: v[:0]):
            assert_same_value(
                np.apply_along_axis(func, axis, z), np.apply_along_axis(func, axis, x)
            )
        result = np.apply_along_axis(lambda v, n, k=1: [n * v[0] ** 2, k], axis, z, 3, k=5.0)
        head = z[(slice(None),) * (axis % z.ndim) + (0,)]
        moved = np.moveaxis(result, axis, 0)
        np.testing.assert_array_equal(moved[0].planes, (3 * head**2).planes)
        np.testing.assert_array_equal(moved[1].value, 5.0)

    def test_plain_answers_are_plain(self):
        result = np.apply_along_axis(np.argmax, 1, number())
        np.testing.assert_array_equal(result, np.apply_along_axis(np.argmax, 1, X), strict=True)

    def test_errors(self):
        z = number()
        with pytest.raises(ValueError, match="positive length"):
            np.apply_along_axis(np.sum, 1, z[:0])
        with pytest.raises(np.exceptions.AxisError):
            np.apply_along_axis(np.sum, 2, z)
        with pytest.raises(ValueError, match="apply_over_axes: func"):
            np.apply_over_axes(lambda a, axis: a.sum(), z, [0])

    def test_apply_over_axes(self):
        z = number()
        for axes in (0, [0, 1], (-1,), np.array([1, 0])):
            result = np.apply_over_axes(np.sum, z, axes)
            assert_same_value(result, np.apply_over_axes(np.sum, X, axes))
        np.testing.assert_array_equal(np.apply_over_axes(np.sum, z, [0, 1]).im(1)[0, 0],
                                      z.im(1).sum(0).sum())  # fmt: skip


def test_pieces_are_laid_out_as_the_argument():
    x = np.asfortranarray(X[:2, :2] if X.ndim > 1 else np.array([[1.0, -2.0], [3.0, 0.5]]))
    z = np.piecewise(mcx.perturb(x, x), [x > 0], [np.square, -1.0])
    assert z.value.flags.f_contiguous
    np.testing.assert_array_equal(z.im(1), np.where(x > 0, 2 * x * x, 0))
