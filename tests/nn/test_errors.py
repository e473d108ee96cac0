"""Bad sizes and shapes: the message names the layer, what was expected and what came."""

import numpy as np
import pytest

from mcx_nn import Activation, AvgPool2d, Conv2d, Dense, Layer, Sequential


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Dense(0, 3), r"Dense\(inputs=0, outputs=3\): inputs: expected at least 1, got 0"),
        (lambda: Conv2d(1, 0, 3), "filters: expected at least 1, got 0"),
        (lambda: Conv2d(1, 2, (3, 0)), r"kernel: expected at least 1, got \(3, 0\)"),
        (lambda: Conv2d(1, 2, 3, stride=0), "stride: expected at least 1, got 0"),
        (lambda: Conv2d(1, 2, 3, padding=-1), "padding: expected at least 0, got -1"),
        (lambda: AvgPool2d(0), r"AvgPool2d\(size=0\): size: expected at least 1, got 0"),
    ],
)
def test_sizes(build, message):
    with pytest.raises(ValueError, match=message):
        build()


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (Dense(3, 2), (4, 2), r"Dense\(.*\): x: expected shape \(B, 3\), got \(4, 2\)"),
        (Dense(3, 2), (3,), r"expected shape \(B, 3\), got \(3,\)"),
        (Conv2d(2, 1, 3), (1, 4, 4, 1), r"Conv2d\(.*\): x: .* \(B, H, W, 2\), got \(1, 4, 4, 1\)"),
        (Conv2d(1, 1, 3), (1, 2, 4, 1), r"at least \(3, 3\), got shape \(1, 2, 4, 1\)"),
        (AvgPool2d(2), (1, 4, 5, 1), r"AvgPool2d\(.*divisible by \(2, 2\), got .*\(1, 4, 5, 1\)"),
        (AvgPool2d(2), (4, 4), r"expected shape \(B, H, W, C\), got \(4, 4\)"),
        (Sequential([Activation("sin"), Dense(3, 2)]), (4, 2), r"Dense\(.*\(B, 3\), got \(4, 2\)"),
    ],
)
def test_input_shapes(layer, shape, message):
    params = layer.init(np.random.default_rng(0))
    with pytest.raises(ValueError, match=message):
        layer.forward(params, np.ones(shape), {})


@pytest.mark.parametrize(
    ("layer", "shape"), [(Dense(3, 2), (4, 3)), (Conv2d(1, 2, 3), (1, 4, 4, 1))]
)
def test_parameter_shapes(layer, shape):
    """A bias of the wrong shape would broadcast silently."""
    params = {**layer.init(np.random.default_rng(0)), "bias": np.zeros(1)}
    with pytest.raises(ValueError, match=r"bias: expected shape \(2,\), got \(1,\)"):
        layer.forward(params, np.ones(shape), {})


def test_layer_is_abstract():
    with pytest.raises(NotImplementedError, match=r"Layer\.forward"):
        Layer().forward({}, np.ones(1), {})
