"""Sequential, Residual and Concatenation: names, laziness, context, state and masks."""

import numpy as np
import pytest

from mcx_nn import Activation, Concatenation, Dense, Flatten, Residual, Sequential
from tests.nn.toys import DRIFTING, Drifting, Probe, Spy


def test_names():
    inner = Sequential([Dense(2, 2), Activation("sin")])
    assert dict(Sequential([inner, Dense(2, 1)]).parameters) == {
        "0.0.weight": (2, 2),
        "0.0.bias": (2,),
        "1.weight": (2, 1),
        "1.bias": (1,),
    }


def test_names_in_combinators():
    model = Sequential(
        [Residual(Sequential([Dense(2, 2)]), Dense(2, 2)), Concatenation([Dense(2, 1), Drifting()])]
    )
    assert list(model.parameters) == [
        *("0.body.0.weight", "0.body.0.bias", "0.shortcut.weight", "0.shortcut.bias"),
        *("1.0.weight", "1.0.bias"),
    ]
    assert model.state == {"1.1.mean": ()}
    assert model.init(np.random.default_rng(0)).keys() == model.parameters.keys()
    assert model.init_state().keys() == model.state.keys()
    params = model.init(np.random.default_rng(0))
    y, backward = model.forward(params, np.ones((2, 2)), {"state": {"1.1.mean": 0.0}})
    assert backward(y)[1].keys() == model.parameters.keys()


def test_backward_to_the_input():
    below = Spy()
    model = Sequential([below, Dense(3, 2)])
    params = model.init(np.random.default_rng(0))
    dx, _ = model.forward(params, np.ones((4, 3)), {})[1](np.ones((4, 2)))
    assert below.backwards == 1
    np.testing.assert_allclose(dx, np.ones((4, 2)) @ params["1.weight"].T)


@pytest.mark.parametrize("combine", [lambda layer: Residual(layer), lambda layer: layer])
def test_constant_input_ends_at_the_first_parameters(combine):
    """Within a combinator as well, and whatever is without parameters passes it on."""
    probes = [Probe() for _ in range(4)]
    first, second, third, fourth = probes
    inner = combine(Sequential([second, Dense(2, 2), third]))
    model = Sequential([first, inner, fourth])
    params = model.init(np.random.default_rng(0))
    for constant in (True, False):
        model.forward(params, np.ones((3, 2)), {"constant_input": constant})
        seen = [probe.context["constant_input"] for probe in probes]
        assert seen == [constant, constant, False, False]


@pytest.mark.parametrize(
    "combinator",
    [
        Residual(Dense(2, 2)),
        Residual(Activation("sin"), Dense(2, 2)),
        Concatenation([Activation("sin"), Dense(2, 2)]),
        Concatenation([Dense(2, 2), Flatten()]),
    ],
    ids=repr,
)
def test_no_gradient_where_a_branch_has_none(combinator):
    """Part of a sum would be wrong: dx is None, and all gradients of parameters are there."""
    rng = np.random.default_rng(0)
    params, x = combinator.init(rng), rng.normal(size=(3, 2))
    y, backward = combinator.forward(params, x, {})
    constant = combinator.forward(params, x, {"constant_input": True})[1]
    dx, grads = backward(y)
    assert dx.shape == x.shape
    assert constant(y)[0] is None
    assert all(np.array_equal(grad, grads[name]) for name, grad in constant(y)[1].items())
    assert constant(y)[1].keys() == grads.keys() == params.keys()


def test_masks_have_the_shapes_of_the_inputs():
    masks = DRIFTING.draw_masks(np.random.default_rng(0), 5, (3,))
    assert {name: mask.shape for name, mask in masks.items()} == {
        "0.keep": (5, 3),
        "2.body.0.keep": (5, 2),
        "3.1.keep": (5, 2),
    }
    again = DRIFTING.draw_masks(np.random.default_rng(0), 5, (3,))
    assert all(np.array_equal(mask, again[name]) for name, mask in masks.items())


def test_masks_and_state_reach_their_layers():
    rng = np.random.default_rng(0)
    params, x = DRIFTING.init(rng), rng.normal(size=(5, 3))
    masks = DRIFTING.draw_masks(rng, 5, (3,))
    state = {"0.mean": 1.0, "2.body.0.mean": 2.0, "3.1.mean": 3.0}
    context = {"masks": masks, "state": state, "train": True}
    hidden = np.where(masks["0.keep"], x, 0) @ params["1.weight"]
    hidden = np.where(masks["2.body.0.keep"], 2 * hidden, hidden)
    expected = np.hstack([hidden, np.where(masks["3.1.keep"], hidden, 0)])
    y, _ = DRIFTING.forward(params, x, context)
    np.testing.assert_allclose(y, expected, rtol=1e-14)
    hidden = 2 * ((x - 1) @ params["1.weight"]) - 2
    y, _ = DRIFTING.forward(params, x, {**context, "train": False})
    np.testing.assert_allclose(y, np.hstack([hidden, hidden - 3]), rtol=1e-13)


def test_update_state():
    """Every layer sees what came to it in this pass; nothing that was given is written to."""
    rng = np.random.default_rng(0)
    params, x = DRIFTING.init(rng), rng.normal(size=(5, 3))
    masks = {name: np.ones_like(m) for name, m in DRIFTING.draw_masks(rng, 5, (3,)).items()}
    state = {"0.mean": 1.0, "2.body.0.mean": 2.0, "3.1.mean": 3.0}
    context = {"masks": masks, "state": dict(state), "train": True}
    updated = DRIFTING.update_state(params, x, context)
    mean = (x @ params["1.weight"]).mean()
    assert updated.keys() == state.keys() == DRIFTING.state.keys()
    assert updated["0.mean"] == pytest.approx((1 + x.mean()) / 2, rel=1e-14)
    assert updated["2.body.0.mean"] == pytest.approx((2 + mean) / 2, rel=1e-14)
    assert updated["3.1.mean"] == pytest.approx((3 + 2 * mean) / 2, rel=1e-14)
    assert context["state"] == state


def test_context_passes_on():
    """What is not there is not invented; what is not named by layer is the same for all."""
    probe = Probe()
    model = Sequential([Residual(probe)])
    model.forward({}, np.ones(2), {})
    assert probe.context.keys() <= {"constant_input"}
    model.forward({}, np.ones(2), {"state": {"1.mean": 0}, "train": True, "other": 7})
    assert probe.context == {"state": {}, "train": True, "other": 7, "constant_input": False}
