"""L2 regularization: value, gradient and Hessian against closed forms, forwarding, masks."""

import copy
import pickle

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge

import mcx
from mcx_nn import (
    Activation,
    Dense,
    L2Regularized,
    Sequential,
    Supervised,
    mean_squared_error,
    softmax_cross_entropy,
)
from mcx_optim import NewtonKrylov, Objective, fit
from tests.nn import checks
from tests.standin import StandIn

STRENGTH = 0.75


@pytest.fixture
def supervised():
    model = Sequential([Dense(3, 4), Activation("tanh"), Dense(4, 2)])
    return Supervised(model, softmax_cross_entropy)


@pytest.fixture
def batch():
    rng = np.random.default_rng(0)
    return rng.normal(size=(5, 3)), rng.integers(0, 2, 5)


@pytest.fixture
def w(supervised):
    return np.random.default_rng(1).normal(size=supervised.parameters_size)


@pytest.fixture
def mask(w):
    return np.arange(len(w)) % 3 > 0


def cases(mask):
    """Yield a mask and the diagonal that it stands for."""
    yield None, np.ones(len(mask))
    yield mask, mask.astype(float)


def test_value_and_gradient(supervised, batch, w, mask):
    loss, grad = supervised.value_and_grad(w, batch)
    for given, diagonal in cases(mask):
        regularized = L2Regularized(supervised, STRENGTH, given)
        value, gradient = regularized.value_and_grad(w, batch)
        term = STRENGTH / 2 * sum(d * x**2 for d, x in zip(diagonal, w, strict=True))
        np.testing.assert_allclose(value, loss + term, rtol=8 * checks.EPS)
        np.testing.assert_allclose(gradient, grad + STRENGTH * diagonal * w, rtol=8 * checks.EPS)
        assert regularized.value(w, batch) == value


def test_derivatives(supervised, batch, w, mask):
    """The Hessian is that of the loss plus strength·diag(mask), from value and gradient."""
    loss_hessian = checks.dense_hessian(checks.supervised_problem(supervised, w, batch))
    for given, diagonal in cases(mask):
        problem = checks.supervised_problem(L2Regularized(supervised, STRENGTH, given), w, batch)
        p, q = np.random.default_rng(2).normal(size=(2, len(w)))
        checks.check_gradient(problem)
        checks.check_hessian(problem, p)
        checks.check_multicomplex(problem, p, q)
        expected = loss_hessian + STRENGTH * np.diag(diagonal)
        checks.assert_close(checks.dense_hessian(problem), expected, 64 * checks.EPS, "Hessian")
        _, tangent = mcx.linearize(problem.gradient, w)
        products = np.stack([p, q]) @ expected.T
        checks.assert_close(tangent(np.stack([p, q])), products, 1024 * checks.EPS, "linearize")


def test_the_loss_is_a_function_of_the_output_and_w(supervised, batch, w, mask):
    """Forward, then `output_loss`, then backward give loss and gradient; so for Multicomplex w."""
    for given, _ in cases(mask):
        regularized = L2Regularized(supervised, STRENGTH, given)

        def halves(w, regularized=regularized):
            output, backward = regularized.forward(w, batch)
            loss, doutput = regularized.output_loss(output, batch)
            return loss, backward(doutput)

        output, _ = regularized.forward(w, batch)
        assert output.shape == regularized.output_shape(batch) == (5 * 2 + len(w),)
        np.testing.assert_array_equal(output[:10], supervised.predict(w, batch[0]).reshape(-1))
        np.testing.assert_array_equal(output[10:], w)
        loss, gradient = regularized.value_and_grad(w, batch)
        assert halves(w)[0] == loss
        np.testing.assert_array_equal(halves(w)[1], gradient)
        problem = checks.Problem(lambda w: halves(w)[0], lambda w: halves(w)[1], w)
        checks.check_multicomplex(problem, *np.random.default_rng(2).normal(size=(2, len(w))))


def test_output_loss_is_convex_in_the_output(supervised, batch, w, mask):
    """Its Hessian is that of the loss in one block and strength·diag(mask) in the other."""
    regularized = L2Regularized(supervised, STRENGTH, mask)
    output, _ = regularized.forward(w, batch)
    whole = checks.Problem(
        lambda z: regularized.output_loss(z, batch)[0],
        lambda z: regularized.output_loss(z, batch)[1],
        output,
    )
    checks.check_gradient(whole)
    first, y = output[:10].reshape(5, 2), batch[1]
    alone = checks.dense_hessian(checks.loss_problem(softmax_cross_entropy, first, y))
    expected = np.zeros((len(output), len(output)))
    expected[:10, :10], expected[10:, 10:] = alone, STRENGTH * np.diag(mask)
    checks.assert_close(checks.dense_hessian(whole), expected, 64 * checks.EPS, "Hessian")
    assert np.linalg.eigvalsh(expected)[0] > -1e-15


def test_a_loss_that_is_linear_in_the_output(batch, w):
    """Its gradient is a constant array, beside that of the term: both become one."""
    model = Sequential([Dense(3, 4), Activation("tanh"), Dense(4, 2)])
    problem = Supervised(model, lambda z, y: (z.sum(), np.ones(z.shape)))
    regularized = L2Regularized(problem, STRENGTH)
    output, _ = regularized.forward(w, batch)
    _, tangent = mcx.linearize(lambda z: regularized.output_loss(z, batch)[1], output)
    expected = np.concatenate([np.zeros(10), STRENGTH * w])
    np.testing.assert_array_equal(tangent(np.concatenate([np.ones(10), w])), expected)


def test_third_order(supervised, batch, w):
    """The term is quadratic: third derivatives are those of the loss alone."""
    regularized = L2Regularized(supervised, STRENGTH)
    directions = np.random.default_rng(2).normal(size=(3, len(w)))
    third = [
        mcx.directional(lambda w, p=problem: p.value(w, batch), w, *directions)
        for problem in (regularized, supervised)
    ]
    np.testing.assert_allclose(third[0], third[1], rtol=1e-12)


def test_ridge_regression():
    """Ridge minimizes ‖y − Xw − b‖² + α‖w‖², b not in the mask: there our gradient is 0."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(30, 3)), rng.normal(size=30)
    ridge = Ridge(alpha=2.0).fit(x, y)
    problem = Supervised(Sequential([Dense(3, 1)]), mean_squared_error)
    regularized = L2Regularized(problem, 2 * 2.0 / 30, np.array([True, True, True, False]))
    w = np.array([*ridge.coef_, ridge.intercept_])
    _, gradient = regularized.value_and_grad(w, (x, y[:, None]))
    np.testing.assert_allclose(gradient, np.zeros(4), atol=1e-12)


def test_logistic_regression():
    """LogisticRegression minimizes ‖w‖²/2 + C Σ_b cross-entropy."""
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(40, 3)), rng.integers(0, 3, 40)
    fitted = LogisticRegression(C=0.5, fit_intercept=False, tol=1e-12, max_iter=1000)
    fitted.fit(x, labels)
    problem = Supervised(Sequential([Dense(3, 3)]), softmax_cross_entropy)
    mask = problem.ravel({"0.weight": np.ones((3, 3), bool), "0.bias": np.zeros(3, bool)})
    w = problem.ravel({"0.weight": fitted.coef_.T, "0.bias": np.zeros(3)})
    _, gradient = L2Regularized(problem, 1 / (0.5 * 40), mask).value_and_grad(w, (x, labels))
    np.testing.assert_allclose(gradient[mask], np.zeros(9), atol=1e-6)


def test_pure(supervised, batch, w, mask):
    regularized = L2Regularized(supervised, STRENGTH, mask)
    copies = w.copy(), mask.copy()
    _, gradient = regularized.value_and_grad(w, batch)
    assert np.array_equal(w, copies[0])
    assert np.array_equal(mask, copies[1])
    assert not np.shares_memory(gradient, w)


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex128"])
def test_dtype(supervised, batch, w, mask, dtype):
    x = batch[0].astype(dtype)
    for given, _ in cases(mask):
        problem = L2Regularized(supervised, STRENGTH, given)
        value, gradient = problem.value_and_grad(w.astype(dtype), (x, batch[1]))
        assert value.dtype == gradient.dtype == dtype


def test_standin(supervised, batch, w, mask):
    value, gradient = L2Regularized(supervised, STRENGTH, mask).value_and_grad(w, batch)
    device = L2Regularized(supervised, STRENGTH, StandIn.wrap(mask))
    device_batch = tuple(map(StandIn.wrap, batch))
    device_value, device_gradient = device.value_and_grad(StandIn.wrap(w), device_batch)
    assert device_value.get() == value
    assert np.array_equal(device_gradient.get(), gradient)


def test_forwarding(supervised, batch, w):
    """What it does not define is the problem's own, and an objective takes it as it takes that."""
    regularized = L2Regularized(supervised, STRENGTH)
    assert regularized.parameters_size == len(w)
    assert np.array_equal(regularized.predict(w, batch[0]), supervised.predict(w, batch[0]))
    drawn = regularized.init(np.random.default_rng(3))
    assert np.array_equal(drawn, supervised.init(np.random.default_rng(3)))
    assert np.array_equal(regularized.ravel(regularized.unravel(w)), w)
    assert regularized.first_nonfinite(w * np.nan, batch) == "0 Dense"
    with pytest.raises(AttributeError, match="nothing"):
        _ = regularized.nothing
    objective = Objective(regularized.value_and_grad, regularized.value, data=batch, chunk=2)
    np.testing.assert_allclose(objective.full(w)[0], regularized.value(w, batch), rtol=1e-14)


def test_ridge_is_the_diagonal_that_is_added(supervised, w, mask):
    for given, diagonal in cases(mask):
        regularized = L2Regularized(supervised, STRENGTH, given)
        np.testing.assert_array_equal(regularized.ridge + 0 * w, STRENGTH * diagonal)
        twice = L2Regularized(regularized, 1.0)
        np.testing.assert_array_equal(twice.ridge + 0 * w, STRENGTH * diagonal + 1.0)
        assert np.array_equal(Objective.of(regularized).ridge, regularized.ridge)


def test_objective_of_a_mask_on_the_device(supervised, batch, w, mask):
    device = tuple(map(StandIn.wrap, batch))
    objective = Objective.of(L2Regularized(supervised, STRENGTH, StandIn.wrap(mask)), device)
    assert np.array_equal(objective.ridge.get(), STRENGTH * mask)
    trainer, start = NewtonKrylov.stochastic(rhs="batch"), StandIn.wrap(w)
    _, info = trainer.step(objective, start, objective.data)
    assert info.outcome == "accepted"


def test_objective_of_a_problem_with_a_loss_and_gradient_alone():
    """The minimum of (w - c)²/2 + s w²/2 is c/(1 + s)."""
    target = np.array([1.0, -2.0])

    class Custom:
        def value(self, w, batch):
            return (w - target) @ (w - target) / 2

        def value_and_grad(self, w, batch):
            return self.value(w, batch), w - target

    objective = Objective.of(L2Regularized(Custom(), STRENGTH))
    result = fit(objective, NewtonKrylov(tolerance=1e-12), np.zeros(2), 1)
    np.testing.assert_allclose(result.w, target / (1 + STRENGTH), rtol=1e-12)


def test_what_belongs_to_the_problem_is_set_there(supervised):
    """A restored context is the one that the loss reads; what is its own stays its own."""
    regularized = L2Regularized(L2Regularized(supervised, 1.0), STRENGTH)
    context = {"state": {}, "masks": {}}
    regularized.context = context
    assert supervised.context is regularized.context is context
    regularized.strength = 2.0
    assert regularized.problem.strength == 1.0
    value = supervised.value
    regularized.value = None
    assert supervised.value == value


def test_copies(supervised, batch, w):
    regularized = L2Regularized(supervised, STRENGTH)
    for twin in (copy.deepcopy(regularized), pickle.loads(pickle.dumps(regularized))):
        assert twin.value(w, batch) == regularized.value(w, batch)


@pytest.mark.parametrize("strength", [-1.0, np.nan, np.inf])
def test_bad_strength(supervised, strength):
    with pytest.raises(ValueError, match=r"L2Regularized: strength: expected .* 0, got"):
        L2Regularized(supervised, strength)


def test_bad_mask(supervised, batch, w):
    """A mask of another shape would broadcast."""
    regularized = L2Regularized(supervised, STRENGTH, np.ones(1, bool))
    with pytest.raises(ValueError, match=r"mask: expected shape \(26,\), got \(1,\)"):
        regularized.value(w, batch)
