"""Indexing: slices are views that write through, assignment keeps or clears derivatives."""

import numpy as np
import pytest
from core.builders import filled
from core.checkers import host

import mcx

SHAPE = (3, 4, 5)
PLANES = np.random.default_rng(8).normal(size=(4, *SHAPE))


def number(wrap=np.array):
    return filled(PLANES, wrap)


BASIC = [
    0, -1, (1, 2), (1, 2, 3), ..., (..., 0), slice(None), slice(1, None), slice(None, None, -1),
    (slice(None), 1), (slice(None, None, 2), ..., slice(1, 4)), None, (0, None, ..., None), (),
    (np.int64(1), np.int32(2)),
]  # fmt: skip

FANCY = [
    [0, 2], np.array([2, 0, 2]), (slice(None), [0, 1]), ([0, 1], [2, 3]), ([0, 1], 2, [0, 4]),
    (1, slice(None), [0, 3]), (slice(None), [[0, 1], [2, 3]]), ([0, 1], slice(None), [0, 1]),
    (0, slice(None), np.array([4, 0, 4])), (..., [0, 1]), (None, [0, 1], 0), ([1], None, [2]),
    PLANES[0] > 0, (PLANES[0, :, :, 0] > 0, 1), (slice(None), PLANES[0, 0] > 0),
    np.zeros(SHAPE, bool), np.array([], int),
    (1, ..., [0, 1], slice(None)), (np.array(1), slice(None), np.array([0, 1])),
]  # fmt: skip


@pytest.mark.parametrize("index", BASIC + FANCY, ids=lambda i: str(i)[:40].replace("\n", ""))
class TestIndex:
    def test_get_agrees_with_ndarray_in_every_plane(self, index, wrap):
        result = number(wrap)[index]
        assert isinstance(result, mcx.Multicomplex)
        for got, plane in zip(host(result.planes), PLANES, strict=True):
            np.testing.assert_array_equal(got, plane[index])

    def test_set_number(self, index, wrap):
        z, expected = number(wrap), PLANES.copy()
        z[index] = number(wrap)[index] * 2.0
        for plane in expected:
            plane[index] = 2 * plane[index]
        np.testing.assert_array_equal(host(z.planes), expected)

    def test_set_constant_clears_derivatives(self, index, wrap):
        z, expected = number(wrap), PLANES.copy()
        z[index] = 3.0
        for plane, new in zip(expected, (3.0, 0.0, 0.0, 0.0), strict=True):
            plane[index] = new
        np.testing.assert_array_equal(host(z.planes), expected)


@pytest.mark.parametrize("index", [i for i in BASIC if i != (1, 2, 3)], ids=str)
def test_basic_index_is_a_view_that_writes_through(index, wrap):
    z, expected = number(wrap), PLANES.copy()
    view = z[index]
    view[...] = view * 3.0
    for plane in expected:
        plane[index] *= 3.0
    np.testing.assert_array_equal(host(z.planes), expected)


def test_one_element_is_a_scalar_not_a_view(wrap):
    """As in NumPy: a swap of two elements works, and an element kept aside does not change."""
    z = number(wrap)[0, 0]
    kept, expected = z[0], host(z.planes)[:, [3, 1, 2, 0, *range(4, z.size)]]
    z[0], z[3] = z[3], z[0]
    np.testing.assert_array_equal(host(z.planes), expected)
    np.testing.assert_array_equal(host(kept.planes), expected[:, 3])
    z[3, ...][...] = 0.0  # with an Ellipsis NumPy makes a view of one element
    assert not host(z.planes)[:, 3].any()


VIEWS = {
    "transpose": lambda a: a.T,
    "swapaxes": lambda a: np.swapaxes(a, 0, 1),
    "moveaxis": lambda a: np.moveaxis(a, 0, -1),
    "reshape": lambda a: a.reshape(12, 5),
    "ravel": lambda a: a.ravel(),
    "squeeze": lambda a: a[:1].squeeze(),
    "expand_dims": lambda a: np.expand_dims(a, 1),
    "flip": lambda a: np.flip(a, 1),
    "rot90": lambda a: np.rot90(a),
    "split": lambda a: np.split(a, 2, axis=1)[1],
    "split with an empty part": lambda a: np.split(a, [0])[1],
    "real": lambda a: a.real,
    "of a view": lambda a: a[1:, ::2].T[::-1],
}


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_what_numpy_returns_as_a_view_writes_through(view, wrap):
    z, expected = number(wrap), PLANES.copy()
    view(z)[...] = 2.0 * view(number(wrap))
    for plane in expected:
        view(plane)[...] *= 2.0
    np.testing.assert_array_equal(host(z.planes), expected)


COPIES = {
    "reshape of a transpose": lambda a: a.T.reshape(-1),
    "flatten": lambda a: a.flatten(),
    "fancy": lambda a: a[[0, 1]],
    "positive": lambda a: +a,
    "astype": lambda a: a.astype(a.dtype),
    "concatenate": lambda a: np.concatenate([a]),
    "product of one": lambda a: np.prod(a[:1], axis=0),
    "reduction of one": lambda a: np.logaddexp.reduce(a[:1], axis=0),
    "difference of order 0": lambda a: np.diff(a, n=0) + 0,
}


@pytest.mark.parametrize("copy", COPIES.values(), ids=COPIES)
def test_what_numpy_copies_is_a_copy(copy):
    z = number()
    copy(z)[...] = 0.0
    np.testing.assert_array_equal(z.planes, PLANES)


@pytest.mark.parametrize(
    "broadcast",
    [
        lambda a: np.broadcast_to(a, (2, *SHAPE)),
        lambda a: np.broadcast_arrays(a, np.zeros((2, 1, 1, 1)))[0],
        lambda a: np.lib.stride_tricks.sliding_window_view(a, 2, axis=0),
        lambda a: np.diagonal(a),
    ],
)
def test_broadcast_results_are_read_only(broadcast):
    with pytest.raises(ValueError, match="read-only"):
        broadcast(number())[...] = 0.0


def test_assignment_broadcasts_and_promotes(wrap):
    z = number(wrap)
    z[1:] = z[0, 0]
    np.testing.assert_array_equal(
        host(z.planes)[:, 1:], np.broadcast_to(PLANES[:, :1, :1], (4, 2, 4, 5))
    )
    z[0] = wrap(np.arange(5.0))
    np.testing.assert_array_equal(host(z.value)[0], np.broadcast_to(np.arange(5.0), (4, 5)))
    assert not np.any(host(z.planes)[1:, 0])


def test_assignment_between_overlapping_views():
    z = number()
    z[1:] = z[:-1]
    expected = PLANES.copy()
    for plane in expected:
        plane[1:] = plane[:-1]
    np.testing.assert_array_equal(z.planes, expected)


def test_assignment_embeds_a_smaller_algebra():
    z = number()
    z[0, 0] = mcx.perturb(np.arange(5.0), np.ones(5))  # unit 1 only
    np.testing.assert_array_equal(z.im(1)[0, 0], np.ones(5))
    np.testing.assert_array_equal(z.im(2)[0, 0], np.zeros(5))


def test_assignment_refuses_what_would_be_lost():
    z = mcx.perturb(np.ones(3), np.ones(3))
    with pytest.raises(mcx.AlgebraError, match="zeros_like"):
        z[0] = mcx.perturb(1.0, None, 1.0)
    with pytest.raises(TypeError, match="real coefficients"):
        z[0] = 1j
    with pytest.raises(TypeError, match="real coefficients"):
        z[0] = mcx.perturb(1j, 1.0 + 0j)


ITEMS = {
    "list": (slice(0, 2), lambda z: [z[0] * z[1], 5.0]),
    "tuple": (slice(0, 2), lambda z: (5.0, z[0] * z[1])),
    "nested": ((None, slice(1, 3)), lambda z: [[z[0] * z[1], z[2] ** 3]]),
    "mask": (np.array([True, False, False, True]), lambda z: [z[0] * z[1], 5]),
    "places": ([0, 2], lambda z: [np.float32(1.5), z[3] ** 2]),
    "repeated": (slice(None), lambda z: [z[0] * z[1]]),
    "arrays": (slice(1, 3), lambda z: [np.array(2.5), z[0] * z[1]]),
    "plain": (slice(1, 3), lambda z: [2, 3.5]),
}


@pytest.mark.parametrize(("where", "items"), ITEMS.values(), ids=ITEMS)
def test_lists_of_numbers_are_assigned(where, items):
    def func(x):
        y = x * x
        y[where] = items(x)
        return y

    def apart(x):  # the same without assignment of a list
        y = x * x
        got = items(x)
        flat = got[0] if isinstance(got[0], list) else got
        for k, place in enumerate(np.arange(4)[where].ravel()):
            y[place] = flat[k % len(flat)]
        return y

    x, p, q = np.array([[1.5, -2.0, 0.5, 3.0], [1.0, 2.0, -1.0, 0.5], [0.5, 1.0, 2.0, -3.0]])
    np.testing.assert_array_equal(func(x), apart(x))
    z = func(mcx.perturb(x, p, q))
    np.testing.assert_array_equal(z.planes, apart(mcx.perturb(x, p, q)).planes)
    y, lin = mcx.linearize(func, x)
    np.testing.assert_array_equal(y, func(x))
    np.testing.assert_array_equal(lin(p), z.im(1))
    np.testing.assert_array_equal(lin(q), z.im(2))
    nested = mcx.jvp(lambda x: mcx.linearize(func, x)[1](p), x, q)[1]
    np.testing.assert_array_equal(nested, z.im(1, 2))


def test_elements_in_place_in_a_recording():
    """What NumPy gives as a scalar is an element that can be written to, and no view."""

    def func(x):
        y = 1.0 * x
        y[0] += 2.0 * y[1]
        e = y[2]
        e *= y[0]
        e[...] += 1.0
        y[1] -= e
        return y

    def apart(x):
        first = x[0] + 2.0 * x[1]
        return np.stack([first, x[1] - (x[2] * first + 1.0), x[2]])

    x, p, q = np.array([0.5, -1.25, 2.0]), np.array([1.0, 2.0, -0.5]), np.array([0.5, 1.0, 3.0])
    y, lin = mcx.linearize(func, x)
    np.testing.assert_array_equal(y, apart(x))
    np.testing.assert_allclose(lin(p), mcx.jvp(apart, x, p)[1], rtol=1e-15)
    nested = mcx.jvp(lambda x: mcx.linearize(func, x)[1](p), x, q)[1]
    np.testing.assert_allclose(nested, mcx.directional(apart, x, p, q), rtol=1e-15)


@pytest.mark.parametrize("run", [mcx.linearize, lambda f, x: f(mcx.perturb(x, x))])
def test_lists_that_do_not_fit_are_refused(run):
    def assign(where, items):
        def func(x):
            y = x * x
            y[where] = items(x)
            return y

        return lambda: run(func, np.ones(3))

    with pytest.raises(ValueError, match="broadcast"):
        assign(slice(0, 2), lambda x: [x[0], x[1], 1.0])()
    with pytest.raises(ValueError, match="one shape"):
        assign(slice(0, 2), lambda x: [x[:1], x[0]])()
    for item in (np.complex128(1j), [1j, 2.0], np.array([1j, 2.0])):
        with pytest.raises(TypeError, match="real coefficients"):
            assign(slice(0, 2), lambda x, item=item: item)()


def test_number_is_no_index():
    z = number()
    with pytest.raises(mcx.ImplicitConversionError, match=r"z\.value"):
        PLANES[z]
    with pytest.raises(TypeError, match=r"use z\.value"):
        z[z]
    with pytest.raises(TypeError, match=r"use z\.value"):
        z[z] = 1.0


def test_out_of_range_raises_as_in_numpy():
    with pytest.raises(IndexError, match="out of bounds"):
        number()[3]
    with pytest.raises(ValueError, match="broadcast"):
        number()[0] = np.zeros(7)


def test_chained_views_of_views():
    z = number()
    z.T[1].reshape(-1)[2] = 99.0
    expected = PLANES[0].copy()
    expected.T[1].reshape(-1)[2] = 99.0
    shared = expected.T[1].reshape(-1).base is not None
    np.testing.assert_array_equal(z.value, expected if shared else PLANES[0])


@pytest.mark.parametrize("index", [7, (0, 9), (0, 0, 0, 0), (0, 0, 9)])
def test_errors_count_axes_as_numpy_does(index):
    with pytest.raises(IndexError) as expected:
        PLANES[0][index]
    with pytest.raises(IndexError) as caught:
        number()[index]
    assert str(caught.value) == str(expected.value)
