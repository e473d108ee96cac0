"""A network as a chain of affine layers: against its own output, Jacobian and layers."""

import numpy as np
import pytest

import mcx
from mcx_nn import (
    Activation,
    Dense,
    Dropout,
    Flatten,
    L2Regularized,
    Residual,
    Sequential,
    Supervised,
    mean_squared_error,
    softmax_cross_entropy,
)
from mcx_nn.models import lenet5, mlp
from tests.standin import StandIn

MODELS = {
    "one layer": Sequential([Dense(12, 3)]),
    "mlp": mlp((12, 5, 4, 3), "relu"),
    "nested": Sequential(
        [
            Sequential([Dense(12, 5), Activation("identity")]),
            Sequential([Activation("leaky_relu"), Sequential([Dense(5, 4)]), Activation("relu")]),
            Dense(4, 3),
        ]
    ),
    "slopes on both ends": Sequential(
        [
            *(Activation("relu"), Dense(12, 4), Activation("leaky_relu"), Activation("leaky_relu")),
            *(Flatten(), Dense(4, 3), Activation("leaky_relu")),
        ]
    ),
    "dropout": Sequential(
        [
            Dropout(0.3),
            Sequential([Dense(12, 6), Dropout(0.5), Activation("leaky_relu"), Dropout(0.25)]),
            Dense(6, 3),
        ]
    ),
}


def images(name, dtype=np.float64):
    """Return a problem with the model after Flatten, a point and a batch."""
    rng = np.random.default_rng(3)
    problem = Supervised(Sequential([Flatten(), MODELS[name]]), mean_squared_error)
    w = rng.standard_normal(problem.parameters_size).astype(dtype)
    batch = (
        rng.standard_normal((7, 2, 3, 2)).astype(dtype),
        rng.standard_normal((7, 3)).astype(dtype),
    )
    problem.draw_masks(rng, batch)
    return problem, w, batch


@pytest.mark.parametrize("name", MODELS)
def test_chain_is_the_network(name):
    problem, w, batch = images(name)
    network = problem.piecewise_linear(w, batch)
    output, _ = problem.forward(w, batch)
    assert np.array_equal(network.output, output)
    assert network.slots is problem.slots
    params = problem.unravel(w)
    keys = [f"{layer.name}.{part}" for layer in network.layers for part in ("weight", "bias")]
    assert keys == list(params)
    # What one layer returns, times its slopes, is the input of the next but for a constant: each
    # weight moves the output by its input and by the slopes from there on.
    outer = np.eye(3)[None].repeat(7, axis=0)
    jacobian = mcx.jacobian(lambda v: problem.forward(v, batch)[0], w)
    for layer in reversed(network.layers):
        outer = outer * layer.slopes[:, None]
        place, shape = problem.slots[f"{layer.name}.weight"]
        expected = np.einsum("bi,bko->bkio", layer.inputs, outer)
        assert np.allclose(jacobian[..., place], expected.reshape(7, 3, -1), rtol=1e-13, atol=1e-13)
        place, _ = problem.slots[f"{layer.name}.bias"]
        assert np.allclose(jacobian[..., place], outer, rtol=1e-13, atol=1e-13)
        assert layer.weight.shape == shape
        assert np.array_equal(layer.weight, params[f"{layer.name}.weight"])
        outer = outer @ layer.weight.T


@pytest.mark.parametrize("name", MODELS)
def test_inputs_are_those_of_the_layers(name):
    problem, w, batch = images(name)
    network, params = problem.piecewise_linear(w, batch), problem.unravel(w)
    for layer, after in zip(network.layers, network.layers[1:], strict=False):
        z = layer.inputs @ layer.weight + params[f"{layer.name}.bias"]
        assert np.allclose(z * layer.slopes, after.inputs, rtol=1e-14)  # no kink has a constant


def test_loss_is_the_mean_of_the_batch():
    problem, w, batch = images("mlp")
    network = problem.piecewise_linear(w, batch)
    value, slope = network.output_loss(network.output)
    assert value == problem.value(w, batch)
    assert np.array_equal(slope, mean_squared_error(network.output, batch[1])[1])


def test_a_regularized_problem_offers_the_chain_of_its_network():
    problem, w, batch = images("mlp")
    network = L2Regularized(problem, 0.5).piecewise_linear(w, batch)
    assert np.array_equal(network.output, problem.forward(w, batch)[0])


@pytest.mark.parametrize("name", MODELS)
def test_arrays_and_precision_are_those_given(name):
    problem, w, batch = images(name, np.float32)
    host = problem.piecewise_linear(w, batch)
    masks = {key: StandIn.wrap(mask) for key, mask in problem.context["masks"].items()}
    problem.context = {**problem.context, "masks": masks}
    device = problem.piecewise_linear(StandIn.wrap(w), tuple(map(StandIn.wrap, batch)))
    for ours, theirs in zip(host.layers, device.layers, strict=True):
        for part in ("weight", "inputs", "slopes"):
            assert getattr(ours, part).dtype == np.float32
            assert np.array_equal(getattr(theirs, part).get(), getattr(ours, part))


def test_dead_units_have_slope_0():
    problem, w, batch = images("mlp")
    problem.unravel(w)["1.0.bias"][:2] = -1e3
    first = problem.piecewise_linear(w, batch).layers[0]
    assert not first.slopes[:, :2].any()
    assert first.slopes[:, 2:].any()


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (mlp((12, 5, 3), "tanh"), r"layer 1: .* got Activation\(name='tanh'\).*mcx_optim\.lanczos"),
        (lenet5("relu"), r"layer 0: expected Dense, Flatten, .* got Conv2d\("),
        (
            Sequential([Dense(12, 3), Sequential([Residual(Sequential([Dense(3, 3)]))])]),
            r"layer 1\.0: expected .* got Residual\(",
        ),
        (Residual(Sequential([Dense(12, 12)])), r"layer of the model: expected .* got Residual\("),
    ],
    ids=["tanh", "convolution", "nested residual", "residual"],
)
def test_other_layers_are_refused(model, message):
    problem = Supervised(model, softmax_cross_entropy)
    w = np.zeros(problem.parameters_size)
    with pytest.raises(ValueError, match=message):
        problem.piecewise_linear(w, (np.zeros((2, 12)), np.zeros(2, int)))


def test_errors_name_the_layer():
    problem, w, (x, y) = images("dropout")
    with pytest.raises(ValueError, match="expected") as raised:
        problem.piecewise_linear(w, (x[:, :1], y))
    assert "In layer 1.0 Dropout" in raised.value.__notes__
    problem.context = {"state": {}}
    with pytest.raises(ValueError, match="draw the masks") as raised:
        problem.piecewise_linear(w, (x, y))
    assert "In layer 1.0 Dropout" in raised.value.__notes__
