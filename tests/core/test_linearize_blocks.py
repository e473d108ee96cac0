"""Several directions of a linearized function at once."""

import sys

import numpy as np
import pytest

import mcx


def test_block_at_an_infinite_slope():
    """What does not move along an infinite slope stays 0, in every direction of a block."""
    directions = np.array([[0.0, 1.0], [1.0, 2.0], [0.0, 3.0]])
    with np.errstate(divide="ignore"):
        _, lin = mcx.linearize(np.sqrt, np.array([0.0, 1.0]))
    expected = [[0, 0.5], [np.inf, 1], [0, 1.5]]
    np.testing.assert_array_equal(lin(directions), expected)
    np.testing.assert_array_equal([lin(p) for p in directions], expected)


@pytest.mark.parametrize("together", [1, 2, 3, 4])
def test_directions_run_in_blocks_of_bounded_memory(monkeypatch, together):
    """However many run together, seven directions give what seven single ones give."""
    point = np.array([0.5, 1.5, 2.0])
    directions = np.random.default_rng(0).normal(size=(7, 3))
    _, lin = mcx.linearize(lambda x: (np.sin(x) * x.sum(), x @ x), point)
    expected = [lin(p) for p in directions]
    monkeypatch.setattr(sys.modules["mcx.linearize"], "_BLOCK", together * lin.nbytes)
    first, second = lin(directions)
    np.testing.assert_allclose(first, [y for y, _ in expected], rtol=1e-14)
    np.testing.assert_allclose(second, [y for _, y in expected], rtol=1e-14)
