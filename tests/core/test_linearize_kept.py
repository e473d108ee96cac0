"""What a linear program keeps: operands that no one can change, and no step that came later."""

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

import mcx
from mcx.memory import frozen


def read_only(x):
    view = x[None, :]
    view.flags.writeable = False
    return view


@pytest.mark.parametrize(
    "view",
    [
        lambda x: np.broadcast_to(x, (2, 3)),
        lambda x: sliding_window_view(x, 3),
        read_only,
        lambda x: read_only(x).T[::-1].T,
    ],
    ids=["broadcast", "windows", "read-only", "view of a view"],
)
def test_views_of_arrays_that_others_write_to(view):
    """A view that cannot be written to shows what is written to its base."""
    x = np.array([1.0, 2.0, 3.0])
    shown = view(x)
    p = np.full(shown.shape, 2.0)
    _, lin = mcx.linearize(lambda w: shown * w, np.ones(shown.shape))
    expected = 2 * np.array(shown)
    x[:] = 5
    assert np.array_equal(lin(p), expected)


def test_frozen_arrays_are_kept_once_without_a_copy():
    factor = frozen(np.arange(1000.0))
    with pytest.raises(ValueError, match="read-only"):
        factor[0] = 1
    _, lin = mcx.linearize(lambda w: w * factor * factor, np.ones(1000))
    assert lin.nbytes == factor.nbytes


def test_numbers_that_leave_the_function_add_no_steps():
    """What is computed with a number after the run is no part of the program."""
    leak = []

    def f(x):
        leak.append(np.sin(x))
        return leak[0] * x

    x, p = np.array([0.5, 2.0]), np.array([1.0, 3.0])
    expected = (np.cos(x) * x + np.sin(x)) * p
    _, lin = mcx.linearize(f, x)
    np.testing.assert_allclose(lin(p), expected, rtol=1e-14)
    for _ in range(3):
        leak[0] * 2.0 + leak[0]
        np.testing.assert_allclose(lin(p), expected, rtol=1e-14)
        np.testing.assert_allclose(lin(np.stack([p, -p]))[1], -expected, rtol=1e-14)


def test_point_keeps_its_layout():
    x = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    value, lin = mcx.linearize(lambda a: np.ravel(a, order="K"), x)
    np.testing.assert_array_equal(value, np.ravel(x, order="K"))
    np.testing.assert_array_equal(lin(x), np.ravel(x, order="K"))
