"""New arrays that are linear in numbers: ranges, grids, insertion, choice among arrays."""

import mpmath
import numpy as np
import pytest
from core.builders import filled
from core.checkers import assert_same_value, leaves

import mcx

X = np.array([[0.5, 1.25, 2.0], [3.5, 0.25, 0.75]])


def number(x=X, order=2, seed=0):
    """Return a number with value x and all planes filled."""
    x = np.asarray(x)
    planes = np.random.default_rng(seed).normal(size=(2**order - 1, *x.shape))
    return filled(np.stack([x, *planes]).astype(x.dtype))


def planes_of(n, size):
    """Return the planes of a number, or of a plain operand."""
    if isinstance(n, mcx.Multicomplex):
        return n.planes
    return np.stack([np.asarray(n), *np.zeros((size - 1, *np.shape(n)))])


def assert_linear(call, *operands, order=2):
    """Check a function that is linear in numbers among its operands, plane by plane."""
    result, size = call(*operands), 2**order
    rows = [planes_of(n, size) for n in operands]
    for k in range(size):
        expected = call(*(row[k] for row in rows))
        for got, plain in zip(leaves(result), leaves(expected), strict=True):
            np.testing.assert_array_equal(got.planes[k], plain, strict=True)


@pytest.mark.parametrize("order", [1, 2, 4])
class TestLinear:
    """What is linear in its operands is NumPy's own call on every plane."""

    def test_linspace(self, order):
        z, w = number(order=order), number(X[0], order, seed=1)
        for call in (
            lambda a, b: np.linspace(a, b, 5),
            lambda a, b: np.linspace(a, b, num=4, endpoint=False, axis=-1),
            lambda a, b: np.linspace(a, b, 3, retstep=True),
            lambda a, b: np.linspace(stop=a, start=b, num=1),
            lambda a, b: np.linspace(a, b, 0),
        ):
            for operands in ((z, w), (z, 2.0), (1, w), (X, w), (z[0, 0], X[0, 1])):
                assert_linear(call, *operands, order=order)

    def test_insert_resize_and_choose(self, order):
        z, w = number(order=order), number(X[0], order, seed=1)
        for obj in (1, -1, [0, 2, 2], slice(0, 2), np.array([-1, 1])):
            count = np.size(np.arange(3)[obj]) if not isinstance(obj, list) else 3
            values = w[:count] if np.ndim(obj) or isinstance(obj, slice) else w[0]
            assert_linear(lambda a, v, o=obj: np.insert(a, o, v), w, values, order=order)
            assert_linear(lambda a, v, o=obj: np.insert(a, o, v, axis=1), z, 2.5, order=order)
        assert_linear(lambda a, v: np.insert(a, 1, v, axis=0), X, w, order=order)
        for shape in ((3, 5), 4, (), (0, 2)):
            assert_linear(lambda a, s=shape: np.resize(a, s), z, order=order)
        index = np.array([[0, 1, 4], [-1, 2, 2]])
        for mode in ("wrap", "clip"):
            assert_linear(
                lambda a, b, c, m=mode: np.choose(index, [a, b, c], mode=m), z, w, 7.0, order=order
            )
        assert_linear(lambda a: np.choose([1, 0, 1], a), z, order=order)

    def test_select_and_grids(self, order):
        z, w = number(order=order), number(X[0], order, seed=1)
        masks = [X > 1, np.array([True, False, False])]
        assert_linear(lambda a, b: np.select(masks, [a, b]), z, w, order=order)
        assert_linear(lambda a, b, d: np.select(masks, [a, b], d), z, 2, w[1], order=order)
        assert_linear(lambda a, b: np.select(masks, [a, b], default=0), X, w, order=order)
        for options in ({}, {"indexing": "ij"}, {"sparse": True}, {"copy": False},
                        {"sparse": True, "copy": False, "indexing": "ij"}):  # fmt: skip
            assert_linear(lambda a, b, o=options: np.meshgrid(a, b, **o), z, w, order=order)
            assert_linear(
                lambda a, b, o=options: np.meshgrid(a, b, X[1], **o)[:2], w[:2], w, order=order
            )
        assert_linear(lambda a, b: np.ix_(a, b), w, z[0], order=order)


def test_grids_leave_plain_arguments_plain():
    z = number()
    one, two = np.meshgrid(z[0], [1.0, 2.0])
    assert isinstance(one, mcx.Multicomplex)
    assert type(two) is np.ndarray
    rows, columns = np.ix_([True, False, True], z[0])
    np.testing.assert_array_equal(rows, [[0], [2]])
    assert columns.shape == (1, 3)
    with pytest.raises(ValueError, match="indexing"):
        np.meshgrid(z[0], z[1], indexing="yx")
    with pytest.raises(ValueError, match="1 dim"):
        np.ix_(z)


def test_what_numpy_makes_read_only_or_views_stays_so():
    z = number()
    open_mesh = np.meshgrid(z[0], z[1], sparse=True, copy=False)[0]
    open_mesh[...] = 9.0
    np.testing.assert_array_equal(z.value[0], 9.0)
    full = np.meshgrid(z[0], z[1], copy=False)[0]
    with pytest.raises(ValueError, match="read-only"):
        full[...] = 0.0
    np.meshgrid(z[0], z[1])[0][...] = 0.0
    np.testing.assert_array_equal(z.value[0], 9.0)


def test_integers_are_refused_where_they_would_cut_derivatives():
    z = number()
    for call in (
        lambda: np.insert(np.array([1, 2, 3]), 1, z[0, 0]),
        lambda: np.linspace(z[0, 0], 5.0, 3, dtype=int),
        lambda: np.arange(z[0, 0], 5.0, dtype=int, like=z),
        lambda: np.logspace(z[0, 0], 2.0, 3, dtype=int),
        lambda: np.geomspace(z[0, 0], 2.0, 3, dtype=np.int32),
        lambda: np.apply_along_axis(lambda v: 1 if v[0] > 1 else v[0], 1, number(X[::-1])),
    ):
        with pytest.raises(TypeError, match=r"float64|float"):
            call()
    with pytest.raises(mcx.UnsupportedFunctionError, match="must be plain"):
        np.choose(z, [z, z])
    with pytest.raises(mcx.UnsupportedFunctionError, match="must be plain"):
        np.insert(z, z[0, 0], 1.0)


class TestRanges:
    def test_arange_has_the_derivatives_of_start_and_step(self):
        start, step = mcx.perturb(0.5, 1.0, None), mcx.perturb(0.75, None, 1.0)
        for stop in (4.0, 4.0 * start, start + 3.5):
            result = np.arange(start, stop, step, like=start)
            expected = np.arange(0.5, float(getattr(stop, "value", stop)), 0.75)
            assert_same_value(result, expected)
            np.testing.assert_array_equal(result.im(1), 1.0)
            np.testing.assert_array_equal(result.im(2), np.arange(len(expected)))
            assert not result.im(1, 2).any()
        assert not np.arange(3.5 * start / start, like=start).planes[1:].any()
        x32 = mcx.perturb(np.float32(0.5), np.float32(1.0))
        assert np.arange(x32, 3, like=x32).dtype == np.arange(np.float32(0.5), 3).dtype
        assert np.arange(start, 3.0, dtype=np.float32, like=start).dtype == np.float32

    def test_nested_recordings_of_arange(self):
        f = lambda x: np.arange(x[0, 0] ** 2, 5.0, x[0, 1] * x[0, 0], like=x)  # noqa: E731
        p, q = np.random.default_rng(2).normal(size=(2, *X.shape))
        inner = lambda x: mcx.linearize(f, x)[1](p)  # noqa: E731
        expected = mcx.directional(f, X, p, q)
        np.testing.assert_allclose(mcx.linearize(inner, X)[1](q), expected, rtol=1e-14)
        np.testing.assert_allclose(mcx.jvp(inner, X, q)[1], expected, rtol=1e-14)

    @pytest.mark.parametrize("endpoint", [True, False])
    @pytest.mark.parametrize("bounds", [(0.02, 50.0), (3.0, 3.0), (-1e-6, -0.25), (7.0, 1e-9)])
    def test_geomspace_by_mpmath(self, bounds, endpoint, dtype):
        """∂ᵐ⁺ⁿ of a^(1−t) b^t: products of falling factorials and powers."""
        a, b = (dtype.type(v) for v in bounds)
        z = [mcx.perturb(a, dtype.type(1), dtype.type(1), None, None),
             mcx.perturb(b, None, None, dtype.type(1), dtype.type(1))]  # fmt: skip
        result = np.geomspace(*z, 5, endpoint=endpoint)
        assert_same_value(result, np.geomspace(a, b, 5, endpoint=endpoint))
        for k in range(5):
            t = mpmath.mpf(k) / (4 if endpoint else 5)
            for units in ((1,), (3,), (1, 2), (1, 3), (3, 4), (1, 2, 3), (1, 3, 4), (1, 2, 3, 4)):
                m, n = sum(u <= 2 for u in units), sum(u > 2 for u in units)
                sign = -1 if a < 0 else 1
                size = [mpmath.mpf(abs(float(v))) for v in (a, b)]
                slope = sign ** (1 + m + n) * mpmath.ff(1 - t, m) * mpmath.ff(t, n)
                expected = slope * size[0] ** (1 - t - m) * size[1] ** (t - n)
                wanted = float(expected)
                bound = 50 * np.finfo(dtype).eps * max(abs(wanted), float(
                    size[0] ** (1 - t - m) * size[1] ** (t - n)))  # fmt: skip
                assert abs(float(result.im(*units)[k]) - wanted) <= bound

    def test_geomspace_of_complex_numbers_is_a_spiral(self):
        start, stop = mcx.perturb(1j, 1.0 + 0.5j), mcx.perturb(-4.0 + 0j, 2.0 - 1j)
        result = np.geomspace(start, stop, 4)
        np.testing.assert_array_equal(result.value, np.geomspace(1j, -4.0 + 0j, 4))
        step = 1e-6
        ends = [np.geomspace(1j + h * (1 + 0.5j), -4 + h * (2 - 1j), 4) for h in (step, -step)]
        np.testing.assert_allclose(result.im(1), (ends[0] - ends[1]) / (2 * step), rtol=1e-8)

    def test_geomspace_refuses_zero(self):
        with pytest.raises(ValueError, match="zero"):
            np.geomspace(mcx.perturb(0.0, 1.0), 1.0)

    @pytest.mark.parametrize("axis", [0, -1])
    def test_logspace_of_base_and_bounds(self, axis, dtype):
        """The m-th derivative of b^y by b is ff(y, m) b^(y−m); by y it is log(b)^m b^y."""
        base = np.array([2.0, 0.5, 10.0], dtype)
        one = np.ones(3, dtype)
        by_base = np.logspace(-1.5, dtype.type(2.0), 4, base=mcx.perturb(base, one, one), axis=axis)
        expected = np.logspace(-1.5, dtype.type(2.0), 4, base=base, axis=axis)
        assert_same_value(by_base, expected)
        scale = dtype.type(1) * 50 * np.finfo(dtype).eps
        y = np.linspace(-1.5, 2.0, 4)[:, None]
        planes = [y * base ** (y - 1.0), y * (y - 1) * base ** (y - 2.0)]
        for units, plane in zip(((1,), (1, 2)), planes, strict=True):
            got = np.moveaxis(by_base.im(*units), axis, 0)
            np.testing.assert_allclose(got, plane, rtol=scale, atol=0)
        start = mcx.perturb(base / 4, one, one)
        by_start = np.logspace(start, 1, 3, base=3.0)
        t = np.array([1.0, 0.5, 0.0])[:, None]
        y = t * base.astype(float) / 4 + (1 - t)
        for units, m in (((1,), 1), ((1, 2), 2)):
            np.testing.assert_allclose(
                by_start.im(*units), (t * np.log(3.0)) ** m * 3.0**y, rtol=scale
            )
