"""Initialisers: variance, bounds, orthogonality, fans, and nothing random but the generator."""

from functools import partial

import numpy as np
import pytest
from scipy import stats

from mcx_nn import (
    Conv2d,
    Dense,
    glorot_normal,
    glorot_uniform,
    he_normal,
    he_uniform,
    lecun_normal,
    orthogonal,
)

# Variances from fan_in 300 and fan_out 100.
VARIANCES = {
    glorot_uniform: 2 / 400,
    glorot_normal: 2 / 400,
    he_uniform: 2 / 300,
    he_normal: 2 / 300,
    lecun_normal: 1 / 300,
}
ALL = [*VARIANCES, orthogonal]


def draw(initializer, shape=(300, 100), seed=0):
    return initializer(np.random.default_rng(seed), shape, 300, 100)


@pytest.mark.parametrize(("initializer", "variance"), VARIANCES.items())
def test_distribution(initializer, variance):
    """Kolmogorov and Smirnov's test against the distribution, which a wrong variance fails."""
    weights = draw(initializer).ravel()
    deviation = np.sqrt(variance)
    if "uniform" in initializer.__name__:
        expected = stats.uniform(-np.sqrt(3) * deviation, 2 * np.sqrt(3) * deviation)
        assert np.abs(weights).max() <= np.sqrt(3) * deviation
    else:
        expected = stats.norm(0, deviation)
    assert stats.kstest(weights, expected.cdf).pvalue > 0.01
    assert stats.kstest(weights * 1.05, expected.cdf).pvalue < 0.001


@pytest.mark.parametrize("initializer", [glorot_uniform, glorot_normal])
def test_glorot_keeps_variances(initializer):
    """Of a linear layer as wide as its input, forward and backward."""
    x = np.random.default_rng(1).normal(size=(200, 400))
    weight = initializer(np.random.default_rng(0), (400, 400), 400, 400)
    assert abs(np.var(x @ weight) - 1) < 0.02
    assert abs(np.var(x @ weight.T) - 1) < 0.02


@pytest.mark.parametrize("initializer", [he_uniform, he_normal])
def test_he_keeps_second_moments_under_relu(initializer):
    x = np.random.default_rng(1).normal(size=(200, 400))
    weight = initializer(np.random.default_rng(0), (400, 300), 400, 300)
    assert abs(np.mean(np.maximum(x @ weight, 0) ** 2) - 1) < 0.02


@pytest.mark.parametrize("gain", [1.0, 0.5])
@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (4, 4), (3, 2, 2, 7), (3, 1, 2, 9), (1, 1)])
def test_orthogonal(shape, gain):
    """All singular values are the gain; a kernel is the matrix (kH·kW·C, O)."""
    weight = orthogonal(np.random.default_rng(0), shape, 1, 1, gain)
    assert weight.shape == shape
    values = np.linalg.svd(weight.reshape(-1, shape[-1]), compute_uv=False)
    np.testing.assert_allclose(values, gain, rtol=1e-14)


def test_orthogonal_is_uniform():
    """Without the sign of R, LAPACK's Q would have entries of one sign in its corner."""
    rng = np.random.default_rng(0)
    corners = np.array([orthogonal(rng, (3, 3), 3, 3)[0, 0] for _ in range(400)])
    assert stats.kstest(corners, stats.uniform(-1, 2).cdf).pvalue > 0.01  # Archimedes


@pytest.mark.parametrize("initializer", ALL)
def test_reproducible(initializer):
    weights = draw(initializer)
    assert weights.dtype == np.float64
    np.testing.assert_array_equal(weights, draw(initializer))
    assert not np.isclose(weights, draw(initializer, seed=1)).all()


@pytest.mark.parametrize(
    ("build", "shape", "fans"),
    [
        (partial(Dense, 3, 5), (3, 5), (3, 5)),
        (partial(Conv2d, 4, 6, (3, 2)), (3, 2, 4, 6), (24, 36)),
        (partial(Conv2d, 4, 6, 3, groups=2), (3, 3, 2, 6), (18, 27)),
    ],
    ids=["dense", "convolution", "groups"],
)
def test_layers_pass_their_fans(build, shape, fans):
    """One output of a convolution in g groups depends on kH kW C/g inputs."""
    calls = []

    def initializer(rng, *arguments):
        calls.append((rng, *arguments))
        return np.full(arguments[0], 7.0)

    rng = np.random.default_rng(0)
    params = build(initializer=initializer).init(rng)
    assert calls == [(rng, shape, *fans)]
    np.testing.assert_array_equal(params["weight"], np.full(shape, 7.0))
    assert not params["bias"].any()


def test_default_is_glorot():
    for layer, shape, fans in (
        (Dense(3, 5), (3, 5), (3, 5)),
        (Conv2d(1, 2, 3), (3, 3, 1, 2), (9, 18)),
    ):
        expected = glorot_uniform(np.random.default_rng(0), shape, *fans)
        np.testing.assert_array_equal(layer.init(np.random.default_rng(0))["weight"], expected)
