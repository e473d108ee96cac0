"""The checkers can fail: every planted error is caught by the checker that should see it."""

import numpy as np
import pytest

import mcx
from mcx_nn import (
    Activation,
    BatchNorm,
    Conv2d,
    Dense,
    Dropout,
    Embedding,
    MaxPool2d,
    softmax_cross_entropy,
)
from tests.nn import checks


def planted(layer, backward=None, forward=None):
    """Return the layer with an error in the result of its backward or forward."""
    original = type(layer).forward

    def wrong(self, params, x, context):
        y, good = original(self, params, x, context)
        bad = good if backward is None else lambda dy: backward(params, x, dy, *good(dy))
        return (y if forward is None else forward(params, x, y)), bad

    return type(f"Wrong{type(layer).__name__}", (type(layer),), {"forward": wrong})(**vars(layer))


def arrays(layer, shape, context=checks.EMPTY):
    rng = np.random.default_rng(0)
    params = {name: rng.normal(size=s) for name, s in layer.parameters.items()}
    x = rng.normal(size=shape)
    return params, x, rng.normal(size=layer.forward(params, x, context)[0].shape)


def problem_of(layer, shape, context=checks.EMPTY):
    return checks.layer_problem(layer, *arrays(layer, shape, context), context)


def without_last(dy):
    return np.where(np.arange(len(dy)).reshape(-1, *[1] * (dy.ndim - 1)) < len(dy) - 1, dy, 0)


def without_stride(params, x, dy):
    """The gradient of the images under the first outputs of the convolution of stride 1."""
    _, backward = Conv2d(1, 1, 2).forward(params, x[:, :3, :3], {})
    return np.pad(backward(dy)[0], ((0, 0), (0, 1), (0, 1), (0, 0)))


BACKWARD = {
    "transposed weight": (
        Dense(3, 3),
        (4, 3),
        lambda params, x, dy, dx, grads: (dy @ params["weight"], grads),
    ),
    "sign of the bias": (
        Dense(3, 2),
        (4, 3),
        lambda params, x, dy, dx, grads: (dx, {**grads, "bias": -grads["bias"]}),
    ),
    "mean instead of sum": (
        Dense(3, 2),
        (4, 3),
        lambda params, x, dy, dx, grads: (dx, {**grads, "bias": dy.mean(axis=0)}),
    ),
    "last sample dropped": (
        Dense(3, 2),
        (4, 3),
        lambda params, x, dy, dx, grads: (without_last(dx), grads),
    ),
    "images shifted": (
        Conv2d(1, 1, 3, padding=1),
        (1, 4, 4, 1),
        lambda params, x, dy, dx, grads: (np.roll(dx, 1, axis=2), grads),
    ),
    "kernel mirrored": (
        Conv2d(1, 2, 3),
        (2, 4, 4, 1),
        lambda params, x, dy, dx, grads: (dx, {**grads, "weight": grads["weight"][::-1]}),
    ),
    "stride forgotten": (
        Conv2d(1, 1, 2, stride=2),
        (1, 4, 4, 1),
        lambda params, x, dy, dx, grads: (without_stride(params, x, dy), grads),
    ),
    "slope": (
        Activation("sin"),
        (3, 2),
        lambda params, x, dy, dx, grads: (dy * np.sin(x), grads),
    ),
    "slope off by 1e-11": (
        Activation("sin"),
        (3, 2),
        lambda params, x, dy, dx, grads: (dx * (1 + 1e-11), grads),
    ),
}


@pytest.mark.parametrize(("layer", "shape", "backward"), BACKWARD.values(), ids=BACKWARD.keys())
def test_wrong_backward(layer, shape, backward):
    checks.check_gradient(problem_of(layer, shape))
    with pytest.raises(AssertionError, match="gradient: error"):
        checks.check_gradient(problem_of(planted(layer, backward), shape))


def without_centring(params, x, dy, dx, grads):
    """A gradient that takes the mean of the batch for a constant."""
    return dx + (dy * params["scale"] / x.std(axis=0)).mean(axis=0), grads


def without_variance(params, x, dy, dx, grads):
    """A gradient that takes the variance of the batch for a constant."""
    return (dy - dy.mean(axis=0)) * params["scale"] / x.std(axis=0), grads


@pytest.mark.parametrize("backward", [without_centring, without_variance])
def test_wrong_statistics(backward):
    layer, case = BatchNorm(2, epsilon=0), ((4, 2), {"train": True})
    checks.check_gradient(problem_of(layer, *case))
    with pytest.raises(AssertionError, match="gradient: error"):
        checks.check_gradient(problem_of(planted(layer, backward), *case))


def shared_among_equals(params, x, dy, dx, grads):
    """A gradient of the maximum that goes to every entry of the tile."""
    return np.repeat(np.repeat(dy, 2, axis=1), 2, axis=2) / 4, grads


def test_wrong_winner():
    checks.check_gradient(problem_of(MaxPool2d(2), (1, 4, 4, 1)))
    with pytest.raises(AssertionError, match="gradient: error"):
        checks.check_gradient(problem_of(planted(MaxPool2d(2), shared_among_equals), (1, 4, 4, 1)))


def unscaled(params, x, dy, dx, grads):
    return dx / 2, grads


def test_context_is_passed_on():
    """Without its mask dropout would be the identity, and this error half of all gradients."""
    context = {"train": True, "masks": {"mask": np.array([[True, False, True]])}}
    with pytest.raises(AssertionError, match="gradient: error"):
        checks.check_gradient(problem_of(planted(Dropout(0.5), unscaled), (1, 3), context))
    value = problem_of(Dropout(0.5), (1, 3), context)
    assert not checks.dense_gradient(value)[1]


def test_context_is_not_to_be_written_to():
    class Updating(BatchNorm):
        def forward(self, params, x, context):
            context["state"]["mean"][...] = 0.5
            return super().forward(params, x, context)

    context = {"state": BatchNorm(2).init_state()}
    checks.check_pure(BatchNorm(2), *arrays(BatchNorm(2), (3, 2), context), context)
    with pytest.raises(AssertionError, match="an argument was written to"):
        checks.check_pure(Updating(2), *arrays(BatchNorm(2), (3, 2), context), context)


def test_indices_have_no_gradient():
    """A gradient with respect to indices, or none with respect to numbers, is an error."""
    params, x = {"weight": np.ones((3, 2))}, np.array([0, 2])
    given = planted(Embedding(3, 2), lambda params, x, dy, dx, grads: (dy, grads))
    problem = checks.layer_problem(given, params, x, np.ones((2, 2)))
    with pytest.raises(AssertionError, match="dx: given for indices, or missing"):
        problem.gradient(problem.z)
    missing = planted(Dense(3, 2), lambda params, x, dy, dx, grads: (None, grads))
    with pytest.raises(AssertionError, match="dx: given for indices, or missing"):
        checks.check_gradient(problem_of(missing, (4, 3)))


def test_wrong_scatter():
    """Where rows are overwritten instead of added to, repeated indices show it."""

    def overwritten(params, x, dy, dx, grads):
        weight = np.zeros_like(params["weight"])
        weight[x] = dy
        return dx, {"weight": weight}

    params, x, dy = {"weight": np.ones((3, 2))}, np.array([0, 2, 0]), np.ones((3, 2))
    checks.check_gradient(checks.layer_problem(Embedding(3, 2), params, x, dy))
    layer = planted(Embedding(3, 2), overwritten)
    with pytest.raises(AssertionError, match="gradient: error"):
        checks.check_gradient(checks.layer_problem(layer, params, x, dy))


def test_wrong_backward_has_an_asymmetric_hessian():
    layer, shape, backward = BACKWARD["transposed weight"]
    problem = problem_of(planted(layer, backward), shape)
    with pytest.raises(AssertionError, match="symmetry"):
        checks.check_hessian(problem, np.ones(problem.z.size))


def test_wrong_curvature():
    """The curvature from values sees an error that gradient and Hessian share."""
    layer, shape, backward = BACKWARD["slope"]
    problem = problem_of(planted(layer, backward), shape)
    with pytest.raises(AssertionError, match="curvature"):
        checks.check_curvature(problem, np.ones(problem.z.size))


def test_wrong_value():
    layer = planted(Dense(2, 2), forward=lambda params, x, y: y - params["bias"])
    problem = problem_of(layer, (3, 2))
    with pytest.raises(AssertionError, match="gradient: error"):
        checks.check_gradient(problem)


def halved(z):
    """Return z with half its derivative, as a wrong rule would."""
    return (z + z.value) / 2 if hasattr(z, "value") else z


def test_wrong_plane():
    """A value plane that is right and a derivative that is half of it."""
    good = problem_of(Activation("sin"), (3, 2))
    bad = checks.Problem(good.value, lambda z: halved(good.gradient(z)), good.z)
    p, q = np.random.default_rng(1).normal(size=(2, good.z.size))
    with pytest.raises(AssertionError, match="i_1 plane of the gradient"):
        checks.check_multicomplex(bad, p, q)
    with pytest.raises(AssertionError, match="Hp: error"):
        checks.check_hessian(bad, p)
    bad = checks.Problem(lambda z: halved(good.value(z)), good.gradient, good.z)
    with pytest.raises(AssertionError, match="i_1 plane of the value"):
        checks.check_multicomplex(bad, p, q)


def test_wrong_tangent():
    """A linear program of half the derivative."""
    good = problem_of(Activation("sin"), (3, 2))
    bad = checks.Problem(good.value, lambda z: halved(good.gradient(z)), good.z)
    directions = np.random.default_rng(1).normal(size=(3, good.z.size))
    checks.check_linearize(good, directions)
    with pytest.raises(AssertionError, match="one direction: error"):
        checks.check_linearize(bad, directions)


def test_wrong_block_of_tangents(monkeypatch):
    """A linear program that mixes up several directions, and one with another value."""
    problem = problem_of(Activation("sin"), (3, 2))
    directions = np.random.default_rng(1).normal(size=(3, problem.z.size))
    gradient, tangent = mcx.linearize(problem.gradient, problem.z)
    monkeypatch.setattr(
        mcx, "linearize", lambda f, x: (gradient, lambda p: tangent(p[::-1] if p.ndim > 1 else p))
    )
    with pytest.raises(AssertionError, match="several directions: error"):
        checks.check_linearize(problem, directions)
    monkeypatch.setattr(mcx, "linearize", lambda f, x: (gradient + 1e-9, tangent))
    with pytest.raises(AssertionError, match="gradient by linearize: error"):
        checks.check_linearize(problem, directions)


def test_wrong_loss_gradient():
    """A gradient of the summed loss is not that of the mean."""

    def summed(logits, labels):
        loss, dlogits = softmax_cross_entropy(logits, labels)
        return loss, dlogits * len(labels)

    logits, labels = np.random.default_rng(0).normal(size=(3, 2)), np.array([0, 1, 1])
    checks.check_gradient(checks.loss_problem(softmax_cross_entropy, logits, labels))
    with pytest.raises(AssertionError, match="gradient: error"):
        checks.check_gradient(checks.loss_problem(summed, logits, labels))


def overwrite(params, x, dy, dx, grads):
    dy *= 2
    return dx, grads


def alias(params, x, dy, dx, grads):
    return dx, {**grads, "weight": params["weight"]}


@pytest.mark.parametrize(
    ("backward", "message"),
    [(overwrite, "an argument was written to"), (alias, "weight aliases")],
)
def test_impure(backward, message):
    layer = planted(Dense(3, 2), backward)
    with pytest.raises(AssertionError, match=message):
        checks.check_pure(layer, *arrays(Dense(3, 2), (4, 3)))


def test_state():
    class Caching(Dense):
        def forward(self, params, x, context):
            object.__setattr__(self, "cache", x)
            return super().forward(params, x, context)

    with pytest.raises(AssertionError, match="the layer keeps state"):
        checks.check_pure(Caching(3, 2), *arrays(Dense(3, 2), (4, 3)))


def test_wrong_dtype():
    widened = planted(Dense(3, 2), lambda params, x, dy, dx, grads: (dx.astype(float), grads))
    with pytest.raises(AssertionError, match="expected float32"):
        checks.check_dtype(widened, *arrays(Dense(3, 2), (4, 3)), "float32")


def test_host_array_in_a_layer():
    converting = planted(Activation("sin"), lambda params, x, dy, dx, grads: (np.asarray(dx), {}))
    with pytest.raises(TypeError, match="Implicit conversion"):
        checks.check_standin(converting, *arrays(Activation("sin"), (3, 2)))


def test_wrong_shape_is_not_broadcast():
    with pytest.raises(AssertionError, match="shapes"):
        checks.assert_close(np.ones((2, 1)), np.ones(2), 1.0, "y")


def test_oracles_agree_with_a_closed_form():
    """∇²(exp(a·z)) = exp(a·z) a aᵀ."""
    a, z, p = np.random.default_rng(0).normal(size=(3, 4))
    problem = checks.Problem(lambda z: np.exp(a @ z), lambda z: np.exp(a @ z) * a, z)
    hessian = np.exp(a @ z) * np.outer(a, a)
    np.testing.assert_allclose(checks.dense_gradient(problem), np.exp(a @ z) * a, rtol=1e-14)
    np.testing.assert_allclose(checks.dense_hessian(problem), hessian, rtol=1e-13)
    curvature = checks.cauchy_curvature(problem.value, z, p)
    np.testing.assert_allclose(curvature, p @ hessian @ p, rtol=1e-11)
