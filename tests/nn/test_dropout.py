"""Masks are drawn beforehand, and a missing one is an error."""

import numpy as np
import pytest

import mcx
from mcx_nn import Dropout


def test_masks():
    masks = Dropout(0.3).draw_masks(np.random.default_rng(0), 100, (20, 5))
    assert masks.keys() == {"mask"}
    mask = masks["mask"]
    assert mask.shape == (100, 20, 5)
    assert mask.dtype == bool
    deviation = (0.3 * 0.7 / mask.size) ** 0.5
    assert abs(mask.mean() - 0.7) <= 4 * deviation
    again = Dropout(0.3).draw_masks(np.random.default_rng(0), 100, (20, 5))["mask"]
    assert np.array_equal(mask, again)


def test_mean_stays():
    """Over all masks, weighted by their probability, the mean output is the input."""
    layer, x = Dropout(0.25), np.array([[3.0, -2.0]])
    total = 0
    for bits in np.ndindex(2, 2):
        mask = np.array([bits], dtype=bool)
        y, _ = layer.forward({}, x, {"train": True, "masks": {"mask": mask}})
        total = total + y * np.prod(np.where(mask, 0.75, 0.25))
    np.testing.assert_allclose(total, x, rtol=1e-15)


def test_rate_zero_keeps_all():
    layer, x = Dropout(0.0), np.random.default_rng(0).normal(size=(4, 3))
    masks = layer.draw_masks(np.random.default_rng(1), 4, (3,))
    assert np.array_equal(layer.forward({}, x, {"train": True, "masks": masks})[0], x)


def test_masks_apply_in_train_mode_only():
    masks = {"mask": np.zeros((2, 3), dtype=bool)}
    for context in ({}, {"masks": masks}, {"train": False, "masks": masks}):
        assert Dropout(0.5).forward({}, np.ones((2, 3)), context)[0].all()
    assert not Dropout(0.5).forward({}, np.ones((2, 3)), {"train": True, "masks": masks})[0].any()


def test_kept_memory():
    """A linearised dropout keeps its factors once, for both passes."""
    x = np.random.default_rng(0).normal(size=(20, 50))
    layer = Dropout(0.5)
    context = {"train": True, "masks": layer.draw_masks(np.random.default_rng(1), 20, (50,))}

    def gradient(x):
        y, backward = layer.forward({}, x, context)
        return backward(y)[0]

    _, tangent = mcx.linearize(gradient, x)
    assert tangent.nbytes == x.nbytes


@pytest.mark.parametrize("rate", [-0.1, 1.0, 1, float("nan")])
def test_rates(rate):
    with pytest.raises(ValueError, match=r"Dropout\(.*: rate: expected at least 0 and less than 1"):
        Dropout(rate)


@pytest.mark.parametrize(
    ("masks", "message"),
    [
        ({}, r"Dropout\(rate=0.5\): expected 'mask' .* got \[\]; draw .* model.draw_masks\(rng"),
        ({"masks": {}}, r"expected 'mask' in context\['masks'\]"),
        ({"masks": {"mask": np.ones((2, 1), bool)}}, r"mask: expected shape \(2, 3\), got \(2, 1"),
        ({"masks": {"mask": np.ones((2, 3))}}, r"mask: expected bool, got dtype float64"),
    ],
)
def test_errors(masks, message):
    with pytest.raises(ValueError, match=message):
        Dropout(0.5).forward({}, np.ones((2, 3)), {"train": True, **masks})
