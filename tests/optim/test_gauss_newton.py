"""GaussNewton: against dense JᵀH_L J by complex steps and closed forms, every loss, every layer."""

import gc
import tracemalloc
import weakref

import numpy as np
import pytest
from scipy.special import expit, softmax

import mcx
from mcx_nn import (
    Activation,
    AvgPool2d,
    BatchNorm,
    Conv2d,
    Dense,
    Dropout,
    Flatten,
    L2Regularized,
    Sequential,
    Supervised,
    binary_cross_entropy_with_logits,
    mean_squared_error,
    softmax_cross_entropy,
    squared_hinge,
)
from mcx_optim import Counts, GaussNewton, Hessian, NonFiniteError, Objective
from tests.nn import checks
from tests.nn.cases import CASES
from tests.optim.problems import dense_hessian

STRENGTH = 0.75


def cross_entropy_hessian(z, y):
    """Return blocks diag(p) - p pᵀ over B, one for every sample."""
    p = softmax(z, axis=1)
    H = np.zeros((z.size, z.size))
    for b, row in enumerate(p):
        here = slice(b * len(row), (b + 1) * len(row))
        H[here, here] = (np.diag(row) - np.outer(row, row)) / len(p)
    return H


def binary_hessian(z, y):
    return np.diag((expit(z) * expit(-z)).reshape(-1)) / z.size


def squares_hessian(z, y):
    return 2 * np.eye(z.size) / z.size


def hinge_hessian(z, y):
    margin = z * np.where(y[:, None] == np.arange(z.shape[1]), 1, -1)
    return np.diag(2.0 * (margin < 1).reshape(-1)) / len(z)


def perceptron():
    return Sequential([Dense(4, 5), Activation("tanh"), Dense(5, 3)])


def convolutions():
    layers = [Conv2d(1, 2, 3, padding=1), Activation("sigmoid"), AvgPool2d(2), Flatten()]
    return Sequential([*layers, Dense(8, 3)])


def images():
    """Return a model of which one output is an image."""
    return Sequential([Conv2d(1, 2, 3, padding=1), Activation("sin"), Conv2d(2, 2, 2)])


VECTORS, IMAGES, MAPS = (6, 4), (6, 4, 4, 1), (6, 3, 3, 2)
PROBLEMS = {
    "cross-entropy": (perceptron, VECTORS, softmax_cross_entropy, cross_entropy_hessian),
    "squares": (perceptron, VECTORS, mean_squared_error, squares_hessian),
    "binary": (perceptron, VECTORS, binary_cross_entropy_with_logits, binary_hessian),
    "hinge": (perceptron, VECTORS, squared_hinge, hinge_hessian),
    "convolutions": (convolutions, IMAGES, softmax_cross_entropy, cross_entropy_hessian),
    "images": (images, IMAGES, binary_cross_entropy_with_logits, binary_hessian),
}


@pytest.fixture(params=PROBLEMS.values(), ids=PROBLEMS.keys())
def case(request):
    """Return a problem, its w, a batch and the dense Hessian of its loss."""
    model, shape, loss, loss_hessian = request.param
    rng = np.random.default_rng(0)
    problem = Supervised(model(), loss)
    w = rng.normal(size=problem.parameters_size) / 2
    x = rng.normal(size=shape)
    outputs = problem.predict(w, x).shape
    labels = loss in (softmax_cross_entropy, squared_hinge)
    y = rng.integers(0, outputs[1], len(x)) if labels else rng.random(outputs)
    return problem, w, (x, y), loss_hessian


def dense_jacobian(problem, w, batch):
    """Return J (n, P) by complex steps of the output."""
    columns = [
        checks.complex_step(lambda w: problem.forward(w, batch)[0].reshape(-1), w, e)
        for e in np.eye(w.size)
    ]
    return np.stack(columns, axis=1)


def dense_gauss_newton(problem, w, batch, loss_hessian):
    J = dense_jacobian(problem, w, batch)
    return J.T @ loss_hessian(problem.forward(w, batch)[0], batch[1]) @ J


def test_products_are_those_of_the_dense_matrix(case, rng):
    problem, w, batch, loss_hessian = case
    expected = dense_gauss_newton(problem, w, batch, loss_hessian)
    G = GaussNewton(Objective.of(problem, batch), w, batch)
    scale = np.abs(expected).max()
    dense = G.block(np.eye(w.size))
    np.testing.assert_allclose(dense, expected, rtol=0, atol=1e-12 * scale)
    np.testing.assert_allclose(dense, dense.T, rtol=0, atol=1e-14 * scale)
    assert np.linalg.eigvalsh((dense + dense.T) / 2)[0] > -1e-14 * scale
    for p in rng.normal(size=(2, w.size)):
        bound = 1e-12 * np.abs(expected @ p).max()
        np.testing.assert_allclose(G @ p, expected @ p, rtol=0, atol=bound)
    loss, gradient = problem.value_and_grad(w, batch)
    assert G.loss == float(loss)
    np.testing.assert_array_equal(G.gradient, gradient)
    H = Hessian(Objective.of(problem), w, batch)
    assert not np.allclose(H.block(np.eye(w.size)), dense), "as easy as the Hessian"


def test_regularized(case):
    """G gains strength·diag(mask), whatever the shape of the output, once or twice."""
    problem, w, batch, loss_hessian = case
    mask = np.arange(w.size) % 3 > 0
    plain = dense_gauss_newton(problem, w, batch, loss_hessian)
    once = L2Regularized(problem, STRENGTH, mask)
    for regularized, diagonal in (
        (once, STRENGTH * mask),
        (L2Regularized(once, 2.0), STRENGTH * mask + 2.0),
    ):
        G = GaussNewton(Objective.of(regularized), w, batch)
        expected = plain + np.diag(diagonal)
        np.testing.assert_allclose(G.block(np.eye(w.size)), expected, rtol=0, atol=1e-12)
        loss, gradient = regularized.value_and_grad(w, batch)
        assert G.loss == float(loss)
        np.testing.assert_array_equal(G.gradient, gradient)


@pytest.mark.parametrize("loss", [softmax_cross_entropy, mean_squared_error, squared_hinge])
def test_linear_models_have_the_hessian(loss, rng):
    problem = L2Regularized(Supervised(Sequential([Dense(4, 3)]), loss), STRENGTH)
    w, x = rng.normal(size=problem.parameters_size), rng.normal(size=(7, 4))
    y = rng.normal(size=(7, 3)) if loss is mean_squared_error else rng.integers(0, 3, 7)
    objective, directions = Objective.of(problem), rng.normal(size=(3, w.size))
    G, H = GaussNewton(objective, w, (x, y)), Hessian(objective, w, (x, y))
    np.testing.assert_allclose(G.block(directions), H.block(directions), rtol=1e-12, atol=1e-14)


def test_float32(case, rng):
    problem, w, batch, loss_hessian = case
    expected = dense_gauss_newton(problem, w, batch, loss_hessian)
    x, y = batch
    y = y if y.dtype.kind == "i" else y.astype("f4")
    directions = rng.normal(size=(2, w.size)).astype("f4")
    for narrow, diagonal in ((problem, 0), (L2Regularized(problem, STRENGTH), STRENGTH)):
        G = GaussNewton(Objective.of(narrow), w.astype("f4"), (x.astype("f4"), y))
        products = directions @ (expected + diagonal * np.eye(w.size))
        assert G.gradient.dtype == G.block(directions).dtype == (G @ directions[0]).dtype == "f4"
        bound = 100 * np.finfo("f4").eps * np.abs(products).max()
        np.testing.assert_allclose(G.block(directions), products, rtol=0, atol=bound)
        np.testing.assert_allclose(G @ directions[1], products[1], rtol=0, atol=bound)


@pytest.mark.parametrize("layer_case", CASES, ids=str)
def test_every_layer_can_be_transposed(layer_case):
    """G of ½‖y‖² is JᵀJ in all parameters of a layer and in its input."""
    layer, context = layer_case.layer, layer_case.context
    params, x, _ = layer_case.arrays()
    variables = {**params, "x": x} if checks.is_differentiable(x) else params
    ends = np.cumsum([array.size for array in variables.values()])
    w = np.concatenate([array.reshape(-1) for array in variables.values()])

    def forward(w, batch):
        parts = zip(variables.items(), np.split(w, ends[:-1]), strict=True)
        arrays = {name: part.reshape(array.shape) for (name, array), part in parts}
        y, backward = layer.forward(arrays, arrays.pop("x", x), context)

        def transposed(dy):
            dx, grads = backward(dy.reshape(y.shape))
            parts = [*grads.values(), dx] if "x" in variables else grads.values()
            return np.concatenate([array.reshape(-1) for array in parts])

        return y.reshape(-1), transposed

    def output_loss(y, batch):
        return y @ y / 2, y

    def value_and_grad(w, batch):
        y, backward = forward(w, batch)
        return y @ y / 2, backward(y)

    G = GaussNewton(Objective(value_and_grad, None, None, forward, output_loss), w, None)
    columns = [checks.complex_step(lambda w: forward(w, None)[0], w, e) for e in np.eye(w.size)]
    J = np.stack(columns, axis=1)
    checks.assert_close(G.block(np.eye(w.size)), J.T @ J, 1024 * checks.EPS, "JᵀJ")
    checks.assert_close(G @ w, J.T @ (J @ w), 1024 * checks.EPS, "one product")


def test_statistics_and_masks_are_those_of_training(rng):
    """Masks drawn later change no product, and G is that of the batch's own statistics."""
    layers = [Dense(4, 5), BatchNorm(5), Activation("tanh"), Dropout(0.5), Dense(5, 3)]
    problem = Supervised(Sequential(layers), softmax_cross_entropy)
    w, p = rng.normal(size=(2, problem.parameters_size))
    batch = rng.normal(size=(9, 4)), rng.integers(0, 3, 9)
    problem.draw_masks(rng, batch)
    expected = dense_gauss_newton(problem, w, batch, cross_entropy_hessian) @ p
    G = GaussNewton(Objective.of(problem), w, batch)
    problem.draw_masks(rng, batch)
    np.testing.assert_allclose(G @ p, expected, rtol=0, atol=1e-12)


def test_counts():
    problem = Supervised(perceptron(), mean_squared_error)
    objective = Objective.of(problem)
    w = np.ones(problem.parameters_size)
    G = GaussNewton(objective, w, (np.ones((12, 4)), np.zeros((12, 3))))
    assert objective.counts == Counts(linearize_gauss_newton=12)
    G.block(np.ones((5, w.size)))
    G @ w
    assert objective.counts == Counts(linearize_gauss_newton=12, gauss_newton=6 * 12)
    assert objective.counts.cost() == pytest.approx(4 / 3 * 7 * 12)
    assert G.nbytes > w.nbytes


def test_directions_of_the_wrong_shape_are_refused():
    problem = Supervised(Sequential([Dense(2, 1)]), mean_squared_error)
    G = GaussNewton(Objective.of(problem), np.ones(3), (np.ones((4, 2)), np.ones((4, 1))))
    with pytest.raises(ValueError, match=r"G @ p: expected p of shape \(3,\).*call G.block"):
        G @ np.ones(2)
    with pytest.raises(ValueError, match=r"block: expected rows of length 3.*use G @ p"):
        G.block(np.ones((2, 2)))


@pytest.mark.parametrize("given", [{}, {"forward": print}, {"output_loss": print}])
def test_an_objective_without_the_two_halves_says_so(given):
    objective = Objective(lambda w, batch: (w @ w / 2, w), **given)
    with pytest.raises(ValueError, match=r"expected an objective with forward and output_loss"):
        objective.gauss_newton(np.ones(2), None)
    assert objective.counts == Counts()


def test_non_finite_output_names_the_layer():
    problem = Supervised(perceptron(), mean_squared_error)
    w = np.ones(problem.parameters_size)
    w[0] = np.nan
    batch = np.ones((2, 4)), np.ones((2, 3))
    with pytest.raises(NonFiniteError, match="w itself is not finite"):
        GaussNewton(Objective.of(problem), w, batch)
    with pytest.raises(NonFiniteError, match="'input'"):
        GaussNewton(Objective.of(problem), np.ones_like(w), (np.nan * batch[0], batch[1]))


def test_at_a_minimum_of_the_loss_it_is_the_hessian(rng):
    """Where every residual vanishes, the second derivatives of the model do not count."""
    problem = Supervised(perceptron(), mean_squared_error)
    w, x = rng.normal(size=problem.parameters_size), rng.normal(size=(9, 4))
    batch = x, problem.predict(w, x)
    G = GaussNewton(Objective.of(problem), w, batch)
    dense = dense_hessian(problem.value_and_grad, w, batch)
    np.testing.assert_allclose(G.block(np.eye(w.size)), dense, rtol=0, atol=1e-8)


def test_plain_functions(rng):
    X, y = rng.normal(size=(8, 3)), rng.normal(size=8)

    def forward(w, batch):
        return batch[0] @ w, lambda dz: batch[0].T @ dz

    def output_loss(z, batch):
        return np.sum((z - batch[1]) ** 2) / 2, z - batch[1]

    def value_and_grad(w, batch):
        z, backward = forward(w, batch)
        loss, dz = output_loss(z, batch)
        return loss, backward(dz)

    objective = Objective(value_and_grad, forward=forward, output_loss=output_loss, data=(X, y))
    G = GaussNewton(objective, np.zeros(3), (X, y))
    np.testing.assert_allclose(G.block(np.eye(3)), X.T @ X, rtol=1e-13)


def test_nbytes_are_those_of_the_arrays_that_it_holds(rng):
    model = Sequential([Dense(100, 80), Activation("tanh"), Dense(80, 3)])
    problem = Supervised(model, mean_squared_error)
    w, batch = problem.init(rng), (rng.normal(size=(400, 100)), rng.normal(size=(400, 3)))
    arrays = tracemalloc.DomainFilter(True, np.lib.tracemalloc_domain)
    held = []
    for make in (lambda: None, lambda: GaussNewton(Objective.of(problem), w, batch)):
        make()
        mcx.memory.forget()
        tracemalloc.start()
        try:
            G = make()
            mcx.memory.forget()
            traces = tracemalloc.take_snapshot().filter_traces([arrays]).traces
            held.append(sum(trace.size for trace in traces))
        finally:
            tracemalloc.stop()
    beside = 3 * w.nbytes  # the gradient, the point, the gradient in the output
    assert held[1] - held[0] - beside <= G.nbytes <= held[1] - held[0]


def test_reference_counts_alone_free_it(rng):
    problem = L2Regularized(Supervised(perceptron(), mean_squared_error), STRENGTH)
    w = problem.init(rng)
    gc.disable()
    try:
        G = GaussNewton(Objective.of(problem), w, (np.ones((6, 4)), np.ones((6, 3))))
        G @ w
        parts = [weakref.ref(step) for step in G._product._terms[0] if hasattr(step, "nbytes")]
        del G
        assert len(parts) == 3
        assert not any(part() for part in parts)
    finally:
        gc.enable()
