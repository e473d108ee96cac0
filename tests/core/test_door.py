"""The door: numbers pass code that opens with np.asarray or fills np.zeros, and nothing else."""

import math

import numpy as np
import pytest
import scipy.linalg
from core.behind_door import X, assert_same, is_closed, pair
from scipy.optimize import rosen, rosen_der, rosen_hess
from standin import StandIn

import mcx


@pytest.fixture(autouse=True)
def _numpy_is_left_as_it_was():
    assert is_closed()
    yield
    assert is_closed()


class TestPublishedFunction:
    @pytest.mark.parametrize("n", [2, 4, 9])
    def test_rosen(self, n, rng):
        x = rng.normal(size=n)
        bound = 1e-14 * np.abs(rosen_hess(x)).max()
        np.testing.assert_allclose(
            mcx.gradient(rosen, x, patch=True), rosen_der(x), rtol=1e-13, atol=bound
        )
        np.testing.assert_allclose(
            mcx.hessian(rosen, x, patch=True), rosen_hess(x), rtol=1e-13, atol=bound
        )
        np.testing.assert_allclose(
            mcx.jacobian(rosen_der, x, patch=True), rosen_hess(x), rtol=1e-13, atol=bound
        )

    def test_third_derivatives_of_rosen_der(self):
        """∂³f/∂x_k³ = 2400 x_k, ∂³f/∂x_k²∂x_{k+1} = −400, others 0."""
        expected = np.zeros((4, 4, 4))
        for k in range(3):
            expected[k, k, k] = 2400 * X[k]
            for place in ((k, k, k + 1), (k, k + 1, k), (k + 1, k, k)):
                expected[place] = -400

        def curvature(x):
            return mcx.jacobian(rosen_der, x)

        result = mcx.jacobian(curvature, X, patch=True)
        np.testing.assert_allclose(result, expected, rtol=1e-14, atol=1e-11)

    def test_every_driver(self):
        p, q = np.array([1.0, -1.0, 0.5, 2.0]), np.ones(4)
        H = rosen_hess(X)
        near = {"rtol": 1e-13}
        for value, slope in (mcx.jvp(rosen, X, p, patch=True),):
            np.testing.assert_allclose([value, slope], [rosen(X), rosen_der(X) @ p], **near)
        mixed = mcx.directional(rosen, X, p, q, patch=True)
        np.testing.assert_allclose(mixed, p @ H @ q, **near)
        series = mcx.taylor(rosen, X, p, 2, patch=True)
        np.testing.assert_allclose(series, [rosen(X), rosen_der(X) @ p, p @ H @ p / 2], **near)
        np.testing.assert_allclose(mcx.csdd(rosen_der, X, p, patch=True)[1], H @ p, **near)
        np.testing.assert_allclose(mcx.csdd2(rosen, X, p, patch=True), p @ H @ p, **near)
        tensors = mcx.directional_tensors(rosen, X, np.stack([p, q]), 2, patch=True)
        np.testing.assert_allclose(tensors[2][0, 1], p @ H @ q, **near)
        _, lin = mcx.linearize(rosen_der, X, patch=True)
        np.testing.assert_allclose(lin(np.stack([p, q])), np.stack([p, q]) @ H, **near)
        line = mcx.derivative(lambda t: rosen(X + t * p), 0.0, 2, patch=True)
        np.testing.assert_allclose(line, p @ H @ p, **near)

    def test_without_the_door_it_raises(self):
        with pytest.raises(mcx.ImplicitConversionError, match=r"np\.asarray"):
            mcx.gradient(rosen, X)


def filled(x):
    """Open and fill as published code does: no line of it dispatches."""
    x = np.asarray(x, dtype=float)
    out = np.zeros(len(x))
    for k in range(len(x)):
        out[k] = x[k] ** 2 + (out[k - 1] if k else 0.0)
    return out


FILLED = np.tril(np.ones((4, 4))) * 2 * X


class TestFreshArrays:
    @pytest.mark.parametrize(
        "make",
        [
            lambda: np.zeros(4),
            lambda: np.zeros((4,), dtype="f8"),
            lambda: np.ones(4, float),
            lambda: np.empty(shape=4),
            lambda: np.full(4, 2.5),
            lambda: np.eye(4)[0],
            lambda: np.identity(4)[1],
            lambda: np.zeros_like(X),
            lambda: np.ones_like([0.0] * 4),
            lambda: np.empty_like(X),
            lambda: np.full_like(X, 3.0),
        ],
    )
    def test_have_room(self, make):
        plain = make()
        with mcx.patched_numpy():
            z = pair()
            out = make()
            if "empty" not in make.__code__.co_names[1]:
                np.testing.assert_array_equal(out.value, plain)
                assert not np.any(out.planes[1:])
            assert out.dtype == plain.dtype
            out[...] = z
        np.testing.assert_array_equal(out.planes, z.planes)

    def test_of_other_dtypes_are_plain(self):
        with mcx.patched_numpy(pair()):
            for dtype in (int, bool, object, "S3", np.longdouble, np.float16):
                assert type(np.zeros(3, dtype)) is np.ndarray
            assert type(np.full(3, 7)) is np.ndarray
            assert type(np.zeros_like([1, 2])) is np.ndarray
            assert np.zeros(3, np.complex64).dtype == np.complex64

    def test_filled_with_a_number(self):
        with mcx.patched_numpy():
            z = pair()
            assert_same(np.full((2, 4), z), np.stack([z, z]))
            assert_same(np.full_like(X, z[1]), np.stack([z[1]] * 4))
            assert_same(np.full_like(z, z[1]), np.stack([z[1]] * 4))
            assert_same(np.full_like(z, 2.0), 0 * z + 2)
            with pytest.raises(mcx.ImplicitConversionError):
                np.full(4, z, dtype=int)

    def test_filled_with_a_number_made_before(self):
        z = pair()
        with mcx.patched_numpy():
            assert_same(np.full((2, 4), z), np.stack([z, z]))
            assert_same(np.full_like(X, z), z)
            out = np.full_like(z, mcx.perturb(1.0, None, None, 1.0))
            out[1:] = z[1:]
            np.testing.assert_array_equal(out.im(1, 2)[1:], z.im(1, 2)[1:])

    def test_without_ambient_numbers_are_plain(self):
        z = pair()
        with mcx.patched_numpy():
            out = np.zeros(4)
            assert type(out) is np.ndarray
            with pytest.raises(ValueError, match="setting an array element") as error:
                out[0] = z[0]
            assert isinstance(error.value.__cause__, mcx.ImplicitConversionError)

    def test_of_numbers_made_before(self):
        z = pair()
        with mcx.patched_numpy(z):
            out = np.zeros(4)
            out[2] = z[2]
        np.testing.assert_array_equal(out.planes[:, 2], z.planes[:, 2])

    def test_like_takes_numbers(self):
        with pytest.raises(TypeError, match="expected numbers, got ndarray"):
            mcx.patched_numpy(X).__enter__()

    def test_are_over_the_union_of_nested_drivers(self):
        def outer(x):
            def inner(y):
                out = np.zeros(2)
                out[0], out[1] = x * y, y**2 * x**3
                return out[0] * out[1]  # x⁴ y³

            return mcx.derivative(inner, 2.0)  # 3 x⁴ y²

        assert mcx.derivative(outer, 3.0, patch=True) == 4 * 3**3 * 12

    def test_leave_the_generators_of_an_inner_driver(self):
        sizes = []

        def outer(x):
            sizes.append(np.zeros(1).algebra.size)
            mcx.derivative(lambda y: sizes.append(np.zeros(1).algebra.size) or y, 1.0, order=3)
            sizes.append(np.zeros(1).algebra.size)
            return x

        mcx.derivative(outer, 1.0, patch=True)
        assert sizes == [2, 8, 2]

    def test_like_forms_of_an_outer_number_hold_inner_ones(self):
        def outer(x):
            def inner(y):
                out = np.zeros_like(x)
                out[...] = x * y**2
                return out

            return mcx.derivative(inner, 2.0)

        assert mcx.derivative(outer, 3.0, patch=True) == 4

    def test_on_the_tape_of_a_recorder(self):
        value, lin = mcx.linearize(filled, X, patch=True)
        np.testing.assert_array_equal(value, filled(X))
        np.testing.assert_allclose(lin(np.eye(4)).T, FILLED, rtol=1e-15)

    def test_recorder_in_a_derivative_and_the_reverse(self):
        def slopes(x):
            return mcx.linearize(filled, x)[1](np.ones(4))

        expected = mcx.jacobian(lambda x: 2 * np.cumsum(x), X)
        np.testing.assert_allclose(mcx.jacobian(slopes, X, patch=True), expected, rtol=1e-15)
        _, lin = mcx.linearize(lambda x: mcx.jvp(filled, x, np.ones(4))[1], X, patch=True)
        np.testing.assert_allclose(lin(np.eye(4)).T, expected, rtol=1e-15)

    def test_stay_on_the_device_of_the_ambient_numbers(self):
        z = mcx.perturb(StandIn.wrap(X), StandIn.wrap(np.ones(4)))
        with mcx.patched_numpy(z):
            out = filled(z)
        np.testing.assert_allclose(out.im(1).get(), FILLED.sum(1), rtol=1e-15)


class TestWhatStaysOutside:
    @pytest.mark.parametrize(
        "use",
        [
            lambda z: float(z[0]),
            lambda z: math.sin(z[0]),
            lambda z: np.float64(z[0]),
            lambda z: np.frompyfunc(lambda v: v, 1, 1)(z),
            lambda z: X.copy().__setitem__(0, z[0]),
            lambda z: np.ma.masked_array(z),
            lambda z: np.random.default_rng(0).normal(z),
            lambda z: scipy.linalg.lu_factor(np.outer(z, z)),
            lambda z: np.zeros(4, int).__setitem__(0, z[0]),
        ],
    )
    def test_raises(self, use):
        with pytest.raises((TypeError, ValueError)) as error, mcx.patched_numpy(pair()):
            use(pair())
        causes = [error.value, error.value.__cause__]
        known = (mcx.ImplicitConversionError, mcx.UnsupportedFunctionError)
        assert any(isinstance(cause, known) for cause in causes)

    def test_a_number_is_no_ndarray(self):
        with mcx.patched_numpy():
            assert not isinstance(np.asarray(pair()), np.ndarray)

    def test_functions_of_numpy_keep_their_own(self):
        """NumPy's functions call np.zeros and np.asarray themselves."""
        calls = (
            lambda: np.histogram(X, 3),
            lambda: np.poly([1.0, 2.0]),
            lambda: np.cov(X, X[::-1]),
            lambda: np.linalg.lstsq(np.vander(X, 2), X, rcond=None)[0],
            lambda: np.tri(3),
            lambda: np.pad(X, 2),
            lambda: np.polyfit(X, X**2, 2),
            lambda: np.interp(0.3, X[::-1], X),
            lambda: np.fft.fftfreq(5),
        )
        expected = [call() for call in calls]
        with mcx.patched_numpy(pair()):
            results = [call() for call in calls]
        for result, before in zip(results, expected, strict=True):
            pairs = (
                zip(result, before, strict=True) if type(result) is tuple else [(result, before)]
            )
            for part, other in pairs:
                assert type(part) is type(other)
                np.testing.assert_array_equal(part, other)

    def test_the_machinery_keeps_its_own(self):
        """Arithmetic within the door gives the bits of arithmetic without."""
        z = pair()
        expected = np.tanh(z) @ np.sin(np.outer(z, z)) / np.linalg.norm(z)
        with mcx.patched_numpy(z):
            result = np.tanh(z) @ np.sin(np.outer(z, z)) / np.linalg.norm(z)
        assert_same(result, expected)

    def test_like_asks_the_array_for_the_original(self):
        z = pair()
        zeros = np.zeros_like(z)
        with mcx.patched_numpy(mcx.perturb(1.0, None, None, 1.0)):
            assert_same(np.zeros(4, like=z), zeros)
            assert isinstance(np.zeros(2, like=StandIn.wrap(X)), StandIn)
            assert type(np.ones(2, like=X)) is np.ndarray
