"""LeNet-5: shape and value, and products with its Hessian of 61 706 parameters."""

import numpy as np
import pytest
from scipy.special import expit

import mcx
from mcx_nn import Supervised, lecun_normal, lenet5, load_digits, mlp, softmax_cross_entropy
from tests.nn import checks
from tests.nn.cases import convolve, pool
from tests.standin import StandIn

FUNCTIONS = {"sigmoid": expit, "tanh": np.tanh, "relu": lambda x: np.maximum(x, 0), "sin": np.sin}
SMOOTH = ["sigmoid", "tanh", "sin"]


def problem_of(activation, samples=4):
    """Return LeNet-5 on a few digits at its initial point, biases not zero, as a Problem."""
    x, y, _, _ = load_digits()
    supervised = Supervised(lenet5(activation), softmax_cross_entropy)
    rng = np.random.default_rng(0)
    w = supervised.init(rng) + 0.01 * rng.normal(size=supervised.parameters_size)
    return checks.supervised_problem(supervised, w, (x[:samples], y[:samples]))


def direction(problem, seed=1):
    p = np.random.default_rng(seed).normal(size=problem.z.size)
    return p / np.linalg.norm(p)


@pytest.mark.parametrize("activation", FUNCTIONS)
def test_value(activation):
    """The logits against SciPy's correlations and an explicit chain of products."""
    model, f = lenet5(activation), FUNCTIONS[activation]
    params = model.init(np.random.default_rng(0))
    x = load_digits()[0][:2]
    images = pool(f(convolve(x, params["0.weight"], params["0.bias"], padding=(2, 2))), 2, 2)
    images = pool(f(convolve(images, params["3.weight"], params["3.bias"])), 2, 2)
    hidden = f(images.reshape(2, 400) @ params["7.weight"] + params["7.bias"])
    hidden = f(hidden @ params["9.weight"] + params["9.bias"])
    logits, _ = model.forward(params, x, {})
    expected = hidden @ params["11.weight"] + params["11.bias"]
    checks.assert_close(logits, expected, 256 * checks.EPS, "logits")


def test_classes():
    model = lenet5(classes=7)
    params = model.init(np.random.default_rng(0))
    assert model.forward(params, np.ones((2, 28, 28, 1)), {})[0].shape == (2, 7)


def test_images_of_32_pixels_are_not_padded():
    grey = np.random.default_rng(1).normal(size=(2, 28, 28, 1))
    colour = np.zeros((2, 32, 32, 3))
    colour[:, 2:30, 2:30, :1] = grey
    model = lenet5("tanh", image=(32, 32, 3))
    params = model.init(np.random.default_rng(0))
    first = {"0.weight": params["0.weight"][:, :, :1]}
    expected, _ = lenet5("tanh").forward(params | first, grey, {})
    logits, _ = model.forward(params, colour, {})
    checks.assert_close(logits, expected, 64 * checks.EPS, "logits")


@pytest.mark.parametrize("image", [(28, 32, 1), (30, 30, 1), (28, 28)])
def test_images_of_another_size_are_refused(image):
    with pytest.raises(ValueError, match=r"image: expected .28, 28, C. or .32, 32, C., got"):
        lenet5(image=image)


def test_initializer_draws_every_weight():
    wide = mlp((300, 200), initializer=lecun_normal).init(np.random.default_rng(0))["0.weight"]
    assert abs(wide.std() * 300**0.5 - 1) < 0.05
    params = lenet5(initializer=lecun_normal).init(np.random.default_rng(0))
    for name, fan_in in {"0": 25, "3": 150, "7": 400, "9": 120, "11": 84}.items():
        deviation = params[f"{name}.weight"].std() * fan_in**0.5
        assert abs(deviation - 1) < 0.2, name
        assert not params[f"{name}.bias"].any()


@pytest.mark.parametrize("activation", FUNCTIONS)
def test_gradient(activation):
    problem = problem_of(activation)
    p = direction(problem)
    expected = checks.complex_step(problem.value, problem.z, p)
    assert abs(problem.gradient(problem.z) @ p - expected) <= 1e-12 * abs(expected)


@pytest.mark.parametrize("activation", FUNCTIONS)
def test_hessian_vector_product(activation):
    """Hp by csdd and by linearize against complex steps of the gradient, pᵀHp by csdd2."""
    problem = problem_of(activation)
    p, q = direction(problem, 1), direction(problem, 2)
    expected = checks.complex_step(problem.gradient, problem.z, p)
    _, product = mcx.csdd(problem.gradient, problem.z, p)
    checks.assert_close(product, expected, 1e-10, "csdd")
    _, hvp = mcx.linearize(problem.gradient, problem.z)
    checks.assert_close(hvp(p), expected, 1e-10, "linearize")
    scale = np.linalg.norm(expected)
    assert abs(mcx.csdd2(problem.value, problem.z, p) - p @ expected) <= 1e-10 * scale
    assert abs(q @ hvp(p) - p @ hvp(q)) <= 1e-10 * scale


@pytest.mark.parametrize("activation", FUNCTIONS)
def test_hessian_vector_product_against_dense_columns(activation):
    """Entry i of Hp is column i of the dense Hessian times p; a few columns of every tensor.

    The whole matrix (30 GB) is out of reach; its columns are complex steps of the gradient.
    """
    problem = problem_of(activation)
    p, rng = direction(problem), np.random.default_rng(3)
    product = mcx.linearize(problem.gradient, problem.z)[1](p)
    start = 0
    for shape in lenet5(activation).parameters.values():
        size = int(np.prod(shape))
        for i in start + rng.choice(size, 3, replace=False):
            column = checks.complex_step(problem.gradient, problem.z, np.eye(1, p.size, i)[0])
            assert abs(column @ p - product[i]) <= 1e-10 * np.linalg.norm(product), i
        start += size


@pytest.mark.parametrize("activation", SMOOTH)
def test_curvature_from_values(activation):
    problem = problem_of(activation, samples=1)
    checks.check_curvature(problem, direction(problem))


def test_float32():
    """In single precision everything stays single and agrees with double to its rounding."""
    problem = problem_of("sigmoid")
    p = direction(problem)
    x, y, _, _ = load_digits("float32")
    supervised = Supervised(lenet5(), softmax_cross_entropy)
    w32, batch = problem.z.astype("float32"), (x[:4], y[:4])
    gradient, product = mcx.csdd(
        lambda w: supervised.value_and_grad(w, batch)[1], w32, p.astype("float32")
    )
    assert gradient.dtype == product.dtype == np.float32
    checks.assert_close(gradient, problem.gradient(problem.z), 1e-5, "gradient")
    expected = checks.complex_step(problem.gradient, problem.z, p)
    checks.assert_close(product, expected, 1e-4, "Hp")


def test_standin():
    problem = problem_of("sigmoid")
    x, y, _, _ = load_digits()
    supervised = Supervised(lenet5(), softmax_cross_entropy)
    batch = StandIn.wrap(x[:4]), StandIn.wrap(y[:4])
    loss, grad = supervised.value_and_grad(StandIn.wrap(problem.z), batch)
    expected = problem.gradient(problem.z)
    assert abs(loss.get() - problem.value(problem.z)) <= 16 * checks.EPS * loss.get()
    checks.assert_close(grad.get(), expected, 64 * checks.EPS, "gradient")
