"""Behind the door: conversions, joined numbers, elements and np.vectorize, as NumPy does them."""

import numpy as np
import pytest
from core.behind_door import ORIGINALS, X, assert_same, pair
from numpy.lib.stride_tricks import as_strided

import mcx


class TestConversions:
    @pytest.mark.parametrize(
        "convert", [np.asarray, np.asanyarray, np.asarray_chkfinite, np.require]
    )
    def test_of_a_number_return_it(self, convert):
        z = pair()
        with mcx.patched_numpy():
            convert = getattr(np, convert.__name__)
            assert convert(z) is z
            assert convert(z, dtype=np.float64) is z
            assert convert(z, np.float32).dtype == np.float32
            assert convert(z, complex).dtype == np.complex128
            for dtype in (int, bool, object, "U5"):
                with pytest.raises(TypeError):
                    convert(z, dtype)

    def test_array_copies(self):
        z = pair()
        with mcx.patched_numpy():
            copy = np.array(z)
            assert np.array(z, copy=None) is z
            assert np.array(z, ndmin=3).shape == (1, 1, 4)
        assert_same(copy, z)
        assert not np.shares_memory(copy.planes, z.planes)

    def test_nested_lists_are_joined(self):
        z = pair()
        expected = np.stack([np.stack([z[0], 1.0 + 0 * z[0]]), np.stack([0 * z[0], z[3]])])
        with mcx.patched_numpy():
            for convert in (np.array, np.asarray, np.asarray_chkfinite, np.ascontiguousarray):
                assert_same(convert([[z[0], 1.0], (0, z[3])]), expected)
            assert_same(np.fromiter((z[k] for k in range(4)), float), z)
            assert_same(np.fromiter((z[k] for k in range(4)), float, count=2), z[:2])
            with pytest.raises(ValueError, match="expected 5 items, got 4"):
                np.fromiter((z[k] for k in range(4)), float, count=5)

    def test_of_plain_arrays_are_those_of_numpy(self):
        with mcx.patched_numpy(pair()):
            x = X.copy()
            assert np.asarray(x) is x
            for plain in ([1, 2], [[1.0], [2.0]], X, 3, "text", [None, 1], []):
                expected = ORIGINALS["array"](plain)
                for convert in (np.array, np.asarray, np.ascontiguousarray):
                    result = convert(plain)
                    assert type(result) is np.ndarray
                    assert result.dtype == expected.dtype
            assert type(np.fromiter(iter([1.0, 2.0]), float)) is np.ndarray

    def test_finiteness_is_that_of_the_value(self):
        with mcx.patched_numpy(), pytest.raises(ValueError, match="infs or NaNs"):
            np.asarray_chkfinite(pair() * np.inf)

    def test_isscalar_and_ndenumerate(self):
        z = pair().reshape(2, 2)
        with mcx.patched_numpy():
            assert np.isscalar(z[0, 0])
            assert not np.isscalar(z)
            assert np.isscalar(1.0)
            for (index, item), (place, value) in zip(
                np.ndenumerate(z), np.ndenumerate(z.value), strict=True
            ):
                assert index == place
                assert item.value == value
                assert_same(item, z[index])

    def test_elements_leave_as_numbers(self):
        z = pair().reshape(2, 2)
        with mcx.patched_numpy():
            assert_same(z.item(3), z[1, 1])
            assert_same(z.item(0, 1), z[0, 1])
            assert_same(z.item((1, 0)), z[1, 0])
            assert_same(z[:1, :1].item(), z[0, 0])
            with pytest.raises(ValueError, match="shape"):
                z.item()
            (a, b), (c, d) = z.tolist()
            assert_same(np.array([[a, b], [c, d]]), z)
        with pytest.raises(mcx.UnsupportedFunctionError):
            z.item(0)

    def test_strided_views(self):
        z = pair()
        with mcx.patched_numpy():
            windows = as_strided(z[1:], (2, 2), (8, -8))
            np.testing.assert_array_equal(windows.planes, z.planes[:, [[1, 0], [2, 1]]])
            assert_same(np.lib.stride_tricks.as_strided(z, (2,), (16,)), z[::2])
            windows[0, 0] = 7.0
            assert z.value[1] == 7.0
            assert type(as_strided(X, (2,), (8,))) is np.ndarray
            with pytest.raises(mcx.UnsupportedFunctionError, match="strides"):
                mcx.linearize(lambda x: as_strided(x, (2, 2), (8, 8)), X)

    @pytest.mark.parametrize(
        "join",
        [
            lambda x: np.r_[x, 1.0, x[0]],
            lambda x: np.r_[0, x, 2:4, X],
            lambda x: np.r_[x[0], [x[1], 5.0]],
            lambda x: np.c_[x, X],
            lambda x: np.c_[x.reshape(2, 2), X[:2]],
            lambda x: np.c_[x[0], 3.0],
            lambda x: np.r_[x.reshape(2, 2), [[x[0], 2.0]]],
        ],
    )
    def test_r_and_c(self, join):
        z = pair()
        with mcx.patched_numpy():
            result = join(z)
        np.testing.assert_array_equal(result.value, join(z.value))
        for plane in range(1, 4):
            linear = join(z.planes[plane]) - join(0 * z.planes[plane])
            np.testing.assert_array_equal(result.planes[plane], linear)

    def test_directives_of_r_are_refused(self):
        with mcx.patched_numpy(), pytest.raises(mcx.UnsupportedFunctionError, match="directives"):
            np.r_["-1", pair(), pair()]


def cube_or_line(v, power=3, scale=1.0):
    return scale * v**power if v > 0 else 2 * v


module_level = np.vectorize(cube_or_line)


class TestVectorize:
    def test_goes_through_elements(self):
        z = pair() - 1
        with mcx.patched_numpy():
            assert_same(np.vectorize(cube_or_line)(z), np.where(z.value > 0, z**3, 2 * z))
            assert_same(module_level(z), np.where(z.value > 0, z**3, 2 * z))

    def test_broadcasts_and_excludes(self):
        z = pair()
        with mcx.patched_numpy():
            run = np.vectorize(cube_or_line, excluded=["power"])
            result = run(z, power=2, scale=np.array([[1.0], [2.0]]))
            assert_same(result, np.stack([z**2, 2 * z**2]))

    def test_several_results_and_types(self):
        z = pair()
        with mcx.patched_numpy():
            double, sign = np.vectorize(lambda v: (2 * v, 1))(z)
            assert_same(double, 2 * z)
            assert sign.dtype == int
            assert np.vectorize(lambda v: v, otypes=["f"])(z).dtype == np.float32
            with pytest.raises(TypeError):
                np.vectorize(lambda v: v, otypes=[int])(z)

    def test_the_first_result_decides_the_type(self):
        """NumPy makes all results integers where the first is one, here a loss."""
        z = pair() - 3
        with mcx.patched_numpy(), pytest.raises(TypeError, match="int64"):
            np.vectorize(lambda v: 0 if v < 0 else v)(z)

    def test_numbers_of_the_closure(self):
        z = pair()
        with mcx.patched_numpy(z):
            assert_same(np.vectorize(lambda t: z[0] * t)(X), z[0] * X)
            assert type(np.vectorize(lambda t: t * 2)(X)) is np.ndarray

    def test_signatures_are_refused(self):
        with mcx.patched_numpy(), pytest.raises(mcx.UnsupportedFunctionError, match="signature"):
            np.vectorize(np.sum, signature="(n)->()")(pair())
