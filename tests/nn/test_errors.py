"""Bad sizes and shapes: the message names the layer, what was expected and what came."""

import numpy as np
import pytest

from mcx_nn import (
    Activation,
    AvgPool2d,
    BatchNorm,
    Concatenation,
    Conv2d,
    Dense,
    Embedding,
    Flatten,
    Layer,
    LayerNorm,
    MaxPool2d,
    Residual,
    Sequential,
    Supervised,
    lenet5,
    mean_squared_error,
    mlp,
    resnet,
)
from mcx_nn.combinator import Combinator


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Dense(0, 3), r"Dense\(inputs=0, outputs=3\): inputs: expected at least 1, got 0"),
        (lambda: Conv2d(1, 0, 3), "filters: expected at least 1, got 0"),
        (lambda: Conv2d(1, 2, (3, 0)), r"kernel: expected at least 1, got \(3, 0\)"),
        (lambda: Conv2d(1, 2, 3, stride=0), "stride: expected at least 1, got 0"),
        (lambda: Conv2d(1, 2, 3, padding=-1), "padding: expected at least 0, got -1"),
        (
            lambda: Concatenation([]),
            "Concatenation: branches: expected at least one layer, got none",
        ),
        (lambda: mlp((3,)), r"mlp: sizes: expected .* input and output at least, got \(3,\)"),
        (lambda: resnet((1,), (2, 3)), r"as many channels as blocks, got \(2, 3\) for \(1,\)"),
        (lambda: lenet5(pooling="min"), "lenet5: pooling: expected 'average' or 'max', got 'min'"),
        (lambda: AvgPool2d(0), r"AvgPool2d\(size=0\): size: expected at least 1, got 0"),
    ],
)
def test_sizes(build, message):
    with pytest.raises(ValueError, match=message):
        build()


@pytest.mark.parametrize(
    "build",
    [
        lambda size: Dense(size, 3),
        lambda size: Conv2d(1, size, 3),
        lambda size: Conv2d(1, 2, 3, groups=size),
        lambda size: BatchNorm(size),
        lambda size: LayerNorm(size),
        lambda size: LayerNorm((2, size)),
        lambda size: Embedding(3, size),
    ],
)
@pytest.mark.parametrize("size", [2.0, 1.5, "2", None])
def test_sizes_are_integers(build, size):
    with pytest.raises(ValueError, match=r"\(.*\): \w+: expected an integer, got "):
        build(size)


@pytest.mark.parametrize(
    "build",
    [
        lambda size: AvgPool2d(size),
        lambda size: MaxPool2d(size),
        lambda size: Conv2d(1, 2, size),
        lambda size: Conv2d(1, 2, 3, stride=size),
        lambda size: Conv2d(1, 2, 3, padding=size),
        lambda size: Conv2d(1, 2, 3, dilation=size),
    ],
)
@pytest.mark.parametrize(
    "size",
    [
        1.5,
        3.0,
        "3",
        "33",
        None,
        True,
        (3,),
        (3, 3, 3),
        (3, 3.0),
        (True, 3),
        np.array([3, 3]),
        {3, 4},
    ],
    ids=str,
)
def test_sizes_are_integers_or_pairs(build, size):
    with pytest.raises(ValueError, match=r": expected an integer or a pair of integers, got ") as e:
        build(size)
    assert e.value.args[0].endswith(f"got {size!r}.")


def test_one_size_is_no_pair():
    with pytest.raises(ValueError, match=r"inputs: expected an integer, got \(2, 3\)"):
        Dense((2, 3), 4)
    with pytest.raises(ValueError, match=r"outputs: expected an integer, got True"):
        Dense(2, True)


def test_integers_of_numpy_and_lists_are_sizes():
    for size in (np.int64(2), [2, 2], (np.int32(2), 2)):
        layer = Conv2d(1, np.int64(3), size, stride=size)
        params = layer.init(np.random.default_rng(0))
        assert layer.forward(params, np.ones((1, 4, 4, 1)), {})[0].shape == (1, 2, 2, 3)
        assert AvgPool2d(size).output_shape((4, 4, 1)) == (2, 2, 1)


@pytest.mark.parametrize("layers", [[], [Flatten(), Activation("sin")]])
def test_model_without_parameters(layers):
    message = r"Supervised: model: expected layers with parameters, got Sequential\(layers=\["
    with pytest.raises(ValueError, match=message):
        Supervised(Sequential(layers), mean_squared_error)


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


NESTED = Sequential(
    [
        Activation("sin"),
        Concatenation([Residual(Sequential([Flatten(), Dense(3, 2)]), Dense(3, 2))]),
    ]
)


@pytest.mark.parametrize(
    ("layer", "shape", "note"),
    [
        (Sequential([Activation("sin"), Dense(3, 2)]), (4, 2), "In layer 1 Dense"),
        (NESTED, (4, 2), "In layer 1.0.body.1 Dense"),
        (Residual(Activation("sin"), Dense(3, 3)), (4, 2), "In layer shortcut Dense"),
        (Sequential([Residual(Dense(3, 2))]), (4, 3), "In layer 0 Residual"),
        (Sequential([Concatenation([Dense(3, 2), Flatten()])]), (4, 3, 1), "In layer 0.0 Dense"),
    ],
)
def test_position(layer, shape, note):
    """An error in a layer inside others says in one note where that layer stands."""
    params = layer.init(np.random.default_rng(0))
    for call in (
        lambda: layer.forward(params, np.ones(shape), {}),
        lambda: layer.output_shape(shape[1:]),
    ):
        with pytest.raises(ValueError, match="expected") as caught:
            call()
        assert caught.value.__notes__ == [note]
        assert "\n" not in caught.value.args[0]


def test_missing_parameter():
    model = Sequential([Flatten(), Dense(3, 2)])
    params = model.init(np.random.default_rng(0))
    del params["1.bias"]
    message = (
        r"Dense\(inputs=3, outputs=2\): params: expected 'bias', got \['weight'\]; draw .* init"
    )
    with pytest.raises(ValueError, match=message) as caught:
        model.forward(params, np.ones((2, 3)), {})
    assert caught.value.__notes__ == ["In layer 1 Dense"]


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (
            Residual(Dense(3, 1)),  # which would broadcast
            (3,),
            r"Residual: expected body and shortcut of one shape, got body \((4, )?1,?\) and "
            r"shortcut \((4, )?3,?\)",
        ),
        (Residual(Dense(3, 2), Dense(3, 4)), (3,), r"body \((4, )?2,?\) and .*\((4, )?4,?\)"),
        (
            Concatenation([Flatten(), Activation("sin")]),
            (2, 2),
            r"Concatenation: expected .* last axis, got \((4, )?4,?\), \((4, )?2, 2\)",
        ),
        (
            Concatenation([Conv2d(1, 1, 2), Conv2d(1, 1, 1)]),
            (2, 2, 1),
            r"last axis, got \((4, )?1, 1, 1\), \((4, )?2, 2, 1\)",
        ),
    ],
)
def test_parts_that_do_not_fit(layer, shape, message):
    with pytest.raises(ValueError, match=message):
        layer.forward(layer.init(np.random.default_rng(0)), np.ones((4, *shape)), {})
    with pytest.raises(ValueError, match=message):
        layer.output_shape(shape)


def test_layer_is_abstract():
    with pytest.raises(NotImplementedError, match=r"Layer\.forward"):
        Layer().forward({}, np.ones(1), {})


def test_combinator_is_abstract():
    with pytest.raises(NotImplementedError, match=r"Combinator\.parts"):
        Combinator().parameters  # noqa: B018
