"""What writes into a number: NumPy's own call on every plane, with the indices of the value."""

import numpy as np
import pytest
from core.builders import filled
from core.checkers import assert_same_value
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import mcx

few = settings(max_examples=50)
shapes = hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=4)
X = np.array([[0.5, -1.25, 2.0, 0.875], [1.5, 0.25, -0.75, 3.0], [-2.0, 1.0, -3.5, 0.125]])
Y = np.array([1.0, 2.5, -0.5])

# Targets: the array, and views of a larger one that are not contiguous.
VIEWS = {
    "whole": lambda a: a,
    "transposed": lambda a: a.T,
    "strided": lambda a: a[..., ::-2],
    "row": lambda a: a[-1],
}


def number(x=X, order=2, seed=0):
    """Return a number with value x and all planes filled."""
    x = np.asarray(x)
    planes = np.random.default_rng(seed).normal(size=(2**order - 1, *x.shape))
    return filled(np.stack([x, *planes.astype(x.dtype)]))


def plane(x, k):
    """Return plane k of an argument: plain ones have the first alone."""
    if isinstance(x, mcx.Multicomplex):
        return x.planes[k]
    if isinstance(x, list):
        return [plane(item, k) for item in x]
    return x * 0 if k else x


def assert_writes(write, target, *values, view=VIEWS["whole"]):
    """Check write(view of the target, *values) plane by plane, and on a recording."""
    expected = target.planes.copy()
    for k in range(len(expected)):
        write(view(expected[k, ...]), *(plane(v, k) for v in values))
    changed = target.copy()
    assert write(view(changed), *values) is None
    np.testing.assert_array_equal(changed.planes, expected)
    for k in range(changed.algebra.size):
        assert changed.live >> k & 1 or not changed.planes[k].any()


def mask(a):
    """Return a fixed mask of the shape of a."""
    return (np.arange(a.size) * 7 % 5 < 3).reshape(a.shape)


def places(a):
    """Return fixed flat indices into a, some of them repeated, some negative."""
    return np.array([0, a.size - 1, a.size // 2, -1, a.size // 2])


WRITES = {
    "copyto": lambda a, v: np.copyto(a, v),
    "copyto where": lambda a, v: np.copyto(a, v, where=mask(a)),
    "put": lambda a, v: np.put(a, places(a), v),
    "put wrap": lambda a, v: np.put(a, places(a) + 2 * a.size, v, mode="wrap"),
    "put clip": lambda a, v: np.put(a, places(a) * 3, v, mode="clip"),
    "place": lambda a, v: np.place(a, mask(a), v),
    "putmask": lambda a, v: np.putmask(a, mask(a), v),
}


@pytest.mark.parametrize("order", [1, 2, 4])
@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
@pytest.mark.parametrize("name", WRITES)
def test_values_of_every_kind_and_length_are_cycled_as_numpy_does(name, view, order):
    write, target = WRITES[name], number(order=order)
    whole, three = number(np.ones(view(X).shape), order, 1), number(Y, order, 2)
    kinds = [2.5, 3, np.float64(0.5), whole, whole.value, three[0]]
    if "copyto" not in name:
        kinds += [three, [1.0, 2.0], [three[0], 3.0, 1], Y, np.array([1, 2])]
    if name.startswith("put"):
        kinds += [three[:0]]
    for values in kinds:
        assert_writes(write, target, values, view=view)


@few
@given(shapes, st.data())
def test_put_and_putmask_on_any_shape(shape, data):
    x = np.random.default_rng(0).normal(size=shape)
    index = data.draw(st.lists(st.integers(-x.size, x.size - 1)))
    chosen = data.draw(hnp.arrays(bool, shape, fill=st.nothing()))
    target, values = number(x), number(Y[: data.draw(st.integers(1, 3))], seed=3)
    assert_writes(lambda a, v: np.put(a, index, v), target, values)
    assert_writes(lambda a, v: np.putmask(a, chosen, v), target, values)
    assert_writes(lambda a, v: np.place(a, chosen, v), target, values)
    assert_writes(lambda a, v: a.put(index, v), target, values)


@few
@given(shapes, st.data())
def test_put_along_axis_on_any_shape(shape, data):
    x = np.random.default_rng(0).normal(size=shape)
    axis = data.draw(st.integers(-x.ndim, x.ndim - 1))
    length = data.draw(st.integers(0, 3))
    where = tuple(length if k == axis % x.ndim else n for k, n in enumerate(shape))
    each = st.integers(-shape[axis], shape[axis] - 1)
    index = data.draw(hnp.arrays(int, where, elements=each, fill=st.nothing()))
    target = number(x)
    for values in (2.0, number(np.ones(where), seed=1), number(1.5, seed=2)):
        assert_writes(lambda a, v: np.put_along_axis(a, index, v, axis), target, values)
    flat = index.ravel() % x.size
    assert_writes(
        lambda a, v: np.put_along_axis(a, flat, v, axis=None), target, number(flat * 0.5, seed=1)
    )


@pytest.mark.parametrize("wrap", [False, True])
@pytest.mark.parametrize("shape", [(3, 3), (2, 5), (5, 2), (9, 2), (3, 3, 3), (2, 2, 2, 2)])
def test_fill_diagonal(shape, wrap):
    target = number(np.ones(shape))
    for values in (2.0, 1, number(0.5), number(Y), [number(2.0), 1.0], number(np.ones((2, 4)))):
        assert_writes(lambda a, v: np.fill_diagonal(a, v, wrap), target, values)
        if len(shape) == 2:
            assert_writes(lambda a, v: np.fill_diagonal(a.T, v, wrap=wrap), target, values)


def test_zero_dimensional_targets():
    for write in (
        lambda a, v: np.put(a, [0, 0], v),
        lambda a, v: np.place(a, True, v),
        lambda a, v: np.putmask(a, [True], v),
        lambda a, v: np.copyto(a, v, where=np.True_),
    ):
        assert_writes(write, number(1.0), number(2.0, seed=1))


def test_sources_may_have_fewer_directions_but_not_more():
    target, more = number(), number(Y[:1], order=3)
    fewer = number(Y, order=1)
    np.put(target, [0, 1, 2], fewer)
    np.testing.assert_array_equal(target.im(1)[0, :3], fewer.im(1))
    assert not target.im(2)[0, :3].any()
    for write in (
        lambda: np.put(target, [0], more),
        lambda: np.putmask(target, X > 0, more),
        lambda: np.place(target, X > 0, more),
        lambda: np.copyto(target, more),
        lambda: np.copyto(target, more, where=X > 0),
        lambda: np.fill_diagonal(target, more),
        lambda: np.put_along_axis(target, np.zeros((1, 4), int), more, 0),
        lambda: np.add.at(target, [0], more),
        lambda: np.multiply.at(target, [0], more),
        lambda: target.put([0], more),
    ):
        with pytest.raises(mcx.AlgebraError, match="zeros_like"):
            write()


def test_a_plain_target_raises():
    z, x = number(), X.copy()
    for write in (
        lambda: np.copyto(x, z),
        lambda: np.copyto(src=z, dst=x),
        lambda: np.put(x, [0], z[0]),
        lambda: np.place(x, x > 0, z),
        lambda: np.putmask(x, mask=x > 0, values=z),
        lambda: np.put_along_axis(x, np.zeros((1, 4), int), z[:1], 0),
        lambda: np.add.at(x, [0, 1], z[:2]),
        lambda: np.maximum.at(x, [0], z[0]),
    ):
        with pytest.raises(mcx.ImplicitConversionError, match="real array"):
            write()
    with pytest.raises(mcx.ImplicitConversionError):  # it asks its first argument alone
        np.fill_diagonal(x, z[0])
    np.testing.assert_array_equal(x, X)


def test_errors_are_those_of_numpy():
    z = number()
    for error, part, write in (
        (IndexError, "bounds", lambda: np.put(z, [12], 1.0)),
        (ValueError, "mask", lambda: np.place(z, [True, False], [1.0])),
        (ValueError, "vals", lambda: np.place(z, X > 0, [])),
        (ValueError, "mask", lambda: np.putmask(z, X[0] > 0, 1.0)),
        (ValueError, "fill_diagonal", lambda: np.fill_diagonal(z[0], 1.0)),
        (ValueError, "fill_diagonal", lambda: np.fill_diagonal(number(np.ones((2, 2, 3))), 1.0)),
        (ValueError, "dimension", lambda: np.put_along_axis(z, np.array([0]), 1.0, 0)),
        (ValueError, "dimension", lambda: np.put_along_axis(z, np.array([[0]]), 1.0, None)),
        (IndexError, "integers", lambda: np.put_along_axis(z, X > 0, 1.0, 0)),
        (IndexError, "bounds", lambda: np.put_along_axis(z, np.array([[9]]), 1.0, 1)),
        (ValueError, "broadcast", lambda: np.copyto(z, np.ones(3))),
        (ValueError, "dimensions", lambda: np.copyto(z, 1.0, where=np.ones((2, 3, 4), bool))),
        (TypeError, "cast", lambda: np.copyto(z, 1j * z)),
        (TypeError, "cast", lambda: np.copyto(z.astype(np.float32), z, casting="safe")),
        (TypeError, "plain|index", lambda: np.put(z, z[0], 1.0)),
        (TypeError, "index", lambda: np.add.at(z, z[0], 1.0)),
        (TypeError, "real coefficients", lambda: np.put(z, [0], 1j)),
    ):
        with pytest.raises((error, mcx.UnsupportedFunctionError), match=part):
            write()
    np.testing.assert_array_equal(z.value, X)


def test_recorded_writes():
    p = np.random.default_rng(4).normal(size=X.shape)

    def f(x):
        y = x * 2.0
        view = y.T[::2]
        np.put(view, [0, 0, 5], [x[0, 0], x[1, 1] ** 2, x[0, 3]])
        np.place(y, y > 3, x[0])
        np.putmask(view, X.T[::2] < 0, x[2] ** 2)
        np.fill_diagonal(y, x[0, 1] * x[1, 0])
        np.copyto(y[1:], x[:2] ** 3, where=[True, False, False, True])
        np.put_along_axis(y, np.array([[0], [3], [1]]), y[:, 2:3] * x[:, :1], 1)
        np.add.at(y, [0, 0, 2], x**2)
        np.multiply.at(view, (0, [1, 1, 2]), x[0, :3])
        np.sin.at(y, (1, [1, 1]))
        y[0].sort()
        y[1].partition(2)
        y.flat[[1, 6]] = x[2, :2] ** 2
        return y * x

    value, lin = mcx.linearize(f, X)
    expected = mcx.jvp(f, X, p)
    np.testing.assert_array_equal(value, f(X.copy()))
    np.testing.assert_array_equal(value, expected[0])
    np.testing.assert_allclose(lin(p), expected[1], rtol=1e-13, atol=1e-14)


class TestMethods:
    @pytest.mark.parametrize("axis", [-1, 0])
    def test_sort_and_partition_in_place(self, axis):
        z, w = number(), number()
        assert z.sort(axis, "stable") is None
        np.testing.assert_array_equal(z.planes, np.sort(w, axis).planes)
        z = number()
        z.T.sort()
        np.testing.assert_array_equal(z.planes, np.sort(w, 0).planes)
        z = number()
        z.partition(1, axis=axis)
        np.testing.assert_array_equal(z.planes, np.partition(w, 1, axis).planes)

    def test_flat(self):
        z = number()
        assert len(z.T.flat) == 12
        for k, v in enumerate(z.T.flat):
            np.testing.assert_array_equal(
                v.planes, z.planes.transpose(0, 2, 1).reshape(4, 12)[:, k]
            )
        kept = z.flat[2:5]
        for index in (slice(None, None, 5), [0, 0, 7], np.arange(12) % 3 == 0):
            np.testing.assert_array_equal(z.flat[index].planes[3], z.planes[3].flat[index])
            for values in (2.0, number(1.5), number(Y), [1.0, 2.0]):
                assert_writes(_set_flat(index), number(), values, view=VIEWS["transposed"])
        for index in (3, -1):
            np.testing.assert_array_equal(z.flat[index].planes[3], z.planes[3].flat[index])
            assert_writes(_set_flat(index), number(), number(1.5))
            for several in (number(Y), [2.0]):
                with pytest.raises(ValueError, match="flat"):
                    z.flat[index] = several
        assert_writes(lambda a, v: setattr(a, "flat", v), z, number(Y))
        z.flat[2] = 0.0
        np.testing.assert_array_equal(kept.planes, number().planes.reshape(4, -1)[:, 2:5])
        np.testing.assert_array_equal(z.flat.copy().planes, z.planes.reshape(4, -1))

    def test_resize_is_refused(self):
        with pytest.raises(mcx.UnsupportedFunctionError, match=r"np\.resize"):
            number().resize(2, 2)


def _set_flat(index):
    def write(a, v):
        a.flat[index] = v

    return write


class TestAssignment:
    """Every kind of index, and of what may stand on the right."""

    INDICES = (
        X > 0, X[:, 0] > 0, (slice(None), X[0] > 0), ([0, 2, 0], [1, 1, 1]), [[0, 1], [2, 0]],
        (..., [0, -1]), (None, 1), (1, None, ...), True, np.False_, (True, 0), np.array(True),
        ([True, False, True], 2), (np.array([[0], [2]]), [1, 3]), (slice(None, None, -1), 0),
    )  # fmt: skip

    @pytest.mark.parametrize("index", INDICES, ids=lambda i: str(i)[:30].replace("\n", ""))
    def test_get_set_and_in_place(self, index):
        z = number()
        for k in range(4):
            np.testing.assert_array_equal(z[index].planes[k], z.planes[k][index])
        for item in (2, 1.5, np.float32(3), number(0.5, seed=2), np.array([4]), z[index] * 1.0):
            assert_writes(lambda a, v: a.__setitem__(index, v), z, item)
        shape = X[index].shape
        w = number(np.ones(shape), seed=6)
        changed, expected = number(), number().planes.copy()
        changed[index] += w
        for k, part in enumerate(expected):
            part[index] += w.planes[k]  # of a repeated index the last one counts
        np.testing.assert_array_equal(changed.planes, expected)

    def test_plain_sequences_are_broadcast(self):
        for item in ([1.0, 2.0, 3.0, 4.0], [[1], [2], [3]], range(4), np.arange(4), (5,)):
            assert_writes(lambda a, v: a.__setitem__(..., v), number(), np.asarray(item, float))
            z, x = number(), X.copy()
            z[...] = item
            x[...] = item
            assert_same_value(z, x)
