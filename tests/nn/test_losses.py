"""Losses: value against SciPy, gradient and Hessian against complex steps, extremes, bad input."""

import mpmath
import numpy as np
import pytest
from scipy.special import expit, log_softmax
from sklearn.metrics import log_loss
from sklearn.svm import LinearSVC

import mcx
from mcx_nn import (
    binary_cross_entropy_with_logits,
    mean_squared_error,
    softmax_cross_entropy,
    squared_hinge,
)
from tests.nn import checks
from tests.standin import StandIn


def cross_entropy_case(batch=4, classes=3, scale=1.0):
    rng = np.random.default_rng(0)
    return rng.normal(size=(batch, classes)) * scale, rng.integers(0, classes, batch)


def squares_case(shape=(4, 3)):
    return tuple(np.random.default_rng(0).normal(size=(2, *shape)))


def binary_case(shape=(4, 3), soft=False, scale=2.0):
    rng = np.random.default_rng(0)
    targets = rng.random(shape) if soft else rng.integers(0, 2, shape).astype(float)
    return rng.normal(size=shape) * scale, targets


def hinge_case(batch=6, outputs=3, scale=1.0):
    rng = np.random.default_rng(0)
    return rng.normal(size=(batch, outputs)) * scale, rng.integers(0, max(outputs, 2), batch)


CASES = {
    "binary": (binary_cross_entropy_with_logits, *binary_case()),
    "binary, soft targets": (binary_cross_entropy_with_logits, *binary_case((2, 3), soft=True)),
    "binary, one output": (binary_cross_entropy_with_logits, *binary_case((5, 1))),
    "binary, confident": (binary_cross_entropy_with_logits, *binary_case((3, 2), scale=20.0)),
    "binary, images": (binary_cross_entropy_with_logits, *binary_case((2, 3, 2, 1))),
    "hinge": (squared_hinge, *hinge_case()),
    "hinge, two classes": (squared_hinge, *hinge_case(5, 1)),
    "hinge, one class of two": (squared_hinge, *hinge_case(3, 2, scale=3.0)),
    "cross-entropy": (softmax_cross_entropy, *cross_entropy_case()),
    "cross-entropy, one sample": (softmax_cross_entropy, *cross_entropy_case(1, 5)),
    "cross-entropy, confident": (softmax_cross_entropy, *cross_entropy_case(scale=20.0)),
    "squares": (mean_squared_error, *squares_case()),
    "squares, images": (mean_squared_error, *squares_case((2, 3, 2, 1))),
}


@pytest.fixture(params=CASES.values(), ids=CASES.keys())
def case(request):
    return request.param


def test_cross_entropy_value():
    logits, labels = cross_entropy_case()
    expected = -np.mean(log_softmax(logits, axis=1)[np.arange(len(labels)), labels])
    loss, _ = softmax_cross_entropy(logits, labels)
    np.testing.assert_allclose(loss, expected, rtol=8 * checks.EPS)


def test_squares_value():
    prediction, target = squares_case()
    expected = np.linalg.norm(prediction - target) ** 2 / prediction.size
    loss, _ = mean_squared_error(prediction, target)
    np.testing.assert_allclose(loss, expected, rtol=8 * checks.EPS)


@pytest.mark.parametrize("logits", [(40, 0), (0, 40, 1), (40, 0, 1), (0.5, -30, 35), (2, 2, 2)])
def test_cross_entropy_keeps_the_digits_of_small_numbers(logits):
    """Confident or not, right or wrong: loss and gradient against mpmath, entry by entry."""
    for label in range(len(logits)):
        loss, slope = softmax_cross_entropy(np.array([logits], float), np.array([label]))
        with mpmath.workdps(60):
            weights = [mpmath.exp(logit) for logit in logits]
            p = [weight / sum(weights) for weight in weights]
            expected = float(-mpmath.log(p[label]))
            slopes = [float(q - (k == label)) for k, q in enumerate(p)]
        np.testing.assert_allclose(loss, expected, rtol=4 * checks.EPS)
        np.testing.assert_allclose(slope[0], slopes, rtol=4 * checks.EPS)


@pytest.mark.parametrize("soft", [False, True])
def test_binary_cross_entropy_value(soft):
    """The mean over all entries of −t log p − (1 − t) log(1 − p), in many digits."""
    logits, targets = binary_case(soft=soft)
    with mpmath.workdps(50):
        terms = [
            t * mpmath.log(1 + mpmath.exp(-z)) + (1 - t) * mpmath.log(1 + mpmath.exp(z))
            for z, t in zip(
                map(mpmath.mpf, logits.flat), map(mpmath.mpf, targets.flat), strict=True
            )
        ]
        expected = float(sum(terms) / logits.size)
    loss, _ = binary_cross_entropy_with_logits(logits, targets)
    np.testing.assert_allclose(loss, expected, rtol=8 * checks.EPS)


def test_binary_cross_entropy_is_log_loss():
    """The same as scikit-learn's on probabilities: per output, then averaged."""
    logits, targets = binary_case((20, 3))
    expected = [log_loss(targets[:, k], expit(logits[:, k]), labels=[0, 1]) for k in range(3)]
    loss, _ = binary_cross_entropy_with_logits(logits, targets)
    np.testing.assert_allclose(loss, np.mean(expected), rtol=1e-13)


def test_binary_cross_entropy_of_two_classes_is_that_of_softmax():
    logits, targets = binary_case((7, 1))
    loss, gradient = binary_cross_entropy_with_logits(logits, targets)
    both = np.concatenate([np.zeros_like(logits), logits], axis=1)
    expected, slopes = softmax_cross_entropy(both, targets[:, 0].astype(int))
    np.testing.assert_allclose(loss, expected, rtol=8 * checks.EPS)
    np.testing.assert_allclose(gradient, slopes[:, 1:], rtol=64 * checks.EPS)


def test_binary_cross_entropy_of_large_logits():
    """Nothing overflows, and what is confidently right keeps its digits: log(1 + e⁻⁶⁰) = e⁻⁶⁰."""
    logits = np.array([[1e4, -1e4, 1e308, 60.0, -60.0]]).T
    targets = np.array([[0.0, 0.0, 1.0, 1.0, 0.0]]).T
    for z, t, value, slope in zip(
        logits, targets, [1e4, 0, 0, np.exp(-60), np.exp(-60)], [1, 0, 0, -1, 1], strict=True
    ):
        loss, gradient = binary_cross_entropy_with_logits(z[None], t[None])
        np.testing.assert_allclose(loss, value, rtol=4 * checks.EPS)
        slope = slope * (np.exp(-60) if abs(z) == 60 else 1)
        np.testing.assert_allclose(gradient, [[slope]], rtol=4 * checks.EPS)


@pytest.mark.parametrize("target", [0.0, 0.25, 1.0])
@pytest.mark.parametrize("at", [-50.0, -1.0, 0.0, 30.0])
def test_binary_cross_entropy_to_third_order(target, at):
    """Derivatives 1 to 4 of the value and 1 to 3 of the gradient, without a kink at 0."""

    def value(z):
        return binary_cross_entropy_with_logits(z, np.array([[target]]))[0]

    def gradient(z):
        return binary_cross_entropy_with_logits(z, np.array([[target]]))[1]

    with mpmath.workdps(100):
        t = mpmath.mpf(target)
        exact = mpmath.taylor(
            lambda z: t * mpmath.log(1 + mpmath.exp(-z)) + (1 - t) * mpmath.log(1 + mpmath.exp(z)),
            mpmath.mpf(at),
            4,
        )
        exact = [float(c * mpmath.factorial(k)) for k, c in enumerate(exact)]
    z = np.array([[at]])
    ones = [np.ones((1, 1))] * 4
    for order in range(1, 5):
        tolerance = {"rtol": 200 * checks.EPS, "atol": 8 * checks.EPS * abs(exact[2])}
        np.testing.assert_allclose(
            mcx.directional(value, z, *ones[:order]), exact[order], **tolerance
        )
        if order > 1:
            computed = mcx.directional(gradient, z, *ones[: order - 1])
            np.testing.assert_allclose(computed, [[exact[order]]], **tolerance)


def test_hinge_value_by_loops():
    scores, labels = hinge_case()
    expected = 0.0
    for row, label in zip(scores, labels, strict=True):
        for k, score in enumerate(row):
            expected += max(0.0, 1 - score) ** 2 if k == label else max(0.0, 1 + score) ** 2
    loss, _ = squared_hinge(scores, labels)
    np.testing.assert_allclose(loss, expected / len(labels), rtol=8 * checks.EPS)


@pytest.mark.parametrize("classes", [2, 3])
def test_hinge_is_that_of_scikit_learn(classes):
    """LinearSVC minimizes ½‖w‖² + C Σ_b hinge², one against the rest: our gradient there is 0."""
    rng = np.random.default_rng(0)
    labels = np.arange(40) % classes
    x = rng.normal(size=(40, 3)) + labels[:, None]
    machine = LinearSVC(C=0.5, dual=False, fit_intercept=False, tol=1e-12, max_iter=10000)
    machine.fit(x, labels)
    scores = machine.decision_function(x).reshape(40, -1)
    _, dscores = squared_hinge(scores, labels)
    gradient = machine.coef_ + 0.5 * 40 * dscores.T @ x
    assert np.linalg.norm(machine.coef_, axis=1).min() > 0.1
    np.testing.assert_allclose(gradient, np.zeros_like(gradient), atol=1e-5)


def test_hinge_of_two_classes():
    """One score s stands for the scores (−s, s), counted once."""
    scores, labels = hinge_case(5, 1)
    loss, gradient = squared_hinge(scores, labels)
    both = np.concatenate([-scores, scores], axis=1)
    expected, slopes = squared_hinge(both, labels)
    np.testing.assert_allclose(loss, expected / 2, rtol=4 * checks.EPS)
    np.testing.assert_allclose(gradient, slopes[:, 1:], rtol=4 * checks.EPS)


def test_hinge_generalised_hessian():
    """Second derivatives are 2/B where the margin is below 1, else 0, at the kink as well."""
    margins = np.array([[-3.0], [0.0], [1 - 1e-9], [1.0], [1 + 1e-9], [5.0]])
    expected = np.array([2, 2, 2, 0, 0, 0]) / 6
    for label, sign in ((1, 1.0), (0, -1.0)):
        scores, labels = sign * margins, np.full(6, label)
        hessian = mcx.jacobian(
            lambda s, t=labels: squared_hinge(s.reshape(6, 1), t)[1][:, 0], scores[:, 0]
        )
        np.testing.assert_allclose(hessian, np.diag(expected), rtol=4 * checks.EPS)
        curvature = mcx.csdd2(
            lambda s, t=labels: squared_hinge(s.reshape(6, 1), t)[0], scores[:, 0], np.ones(6)
        )
        np.testing.assert_allclose(curvature, expected.sum(), rtol=4 * checks.EPS)
        third = mcx.directional(
            lambda s, t=labels: squared_hinge(s, t)[0], scores, *[np.ones((6, 1))] * 3
        )
        assert third == 0


def test_gradient(case):
    checks.check_gradient(checks.loss_problem(*case))


def test_hessian(case):
    problem = checks.loss_problem(*case)
    p = np.random.default_rng(1).normal(size=problem.z.size)
    checks.check_hessian(problem, p)
    checks.check_curvature(problem, p)


def test_multicomplex(case):
    problem = checks.loss_problem(*case)
    checks.check_multicomplex(problem, *np.random.default_rng(1).normal(size=(2, problem.z.size)))


def test_linearize(case):
    """One recorded evaluation gives the Hessian-vector products of two directions."""
    problem = checks.loss_problem(*case)
    p = np.random.default_rng(1).normal(size=(2, problem.z.size))
    gradient, tangent = mcx.linearize(problem.gradient, problem.z)
    checks.assert_close(gradient, problem.gradient(problem.z), 4 * checks.EPS, "gradient")
    expected = p @ checks.dense_hessian(problem).T
    checks.assert_close(tangent(p), expected, 1024 * checks.EPS, "Hp of two directions")
    checks.assert_close(tangent(p[0]), expected[0], 1024 * checks.EPS, "Hp")


def test_pure(case):
    loss, output, target = case
    copies = output.copy(), target.copy()
    _, gradient = loss(output, target)
    assert np.array_equal(output, copies[0])
    assert np.array_equal(target, copies[1])
    assert not np.shares_memory(gradient, output)


def test_dtype(case):
    loss, output, target = case
    target = target if target.dtype.kind == "i" else target.astype("float32")
    value, gradient = loss(output.astype("float32"), target)
    assert value.dtype == gradient.dtype == np.float32


@pytest.mark.parametrize("dtype", ["bool", "int64", "float64"])
def test_binary_targets_take_the_dtype_of_the_logits(dtype):
    logits, targets = binary_case()
    expected, _ = binary_cross_entropy_with_logits(logits, targets)
    value, gradient = binary_cross_entropy_with_logits(
        logits.astype("float32"), targets.astype(dtype)
    )
    assert value.dtype == gradient.dtype == np.float32
    np.testing.assert_allclose(value, expected, rtol=1e-6)


def test_standin(case):
    loss, output, target = case
    value, gradient = loss(output, target)
    device_value, device_gradient = loss(StandIn.wrap(output), StandIn.wrap(target))
    assert device_value.get() == value
    assert np.array_equal(device_gradient.get(), gradient)


def test_cross_entropy_of_large_logits():
    """Shifted by the maximum: no overflow, and the loss is the margin where it is large."""
    logits = np.array([[1e4, 0.0, -1e4], [1e308, 0.0, 0.0]])
    loss, gradient = softmax_cross_entropy(logits, np.array([2, 0]))
    assert loss == 1e4
    np.testing.assert_array_equal(gradient, [[0.5, 0, -0.5], [0, 0, 0]])


@pytest.mark.parametrize(
    ("loss", "output", "target", "message"),
    [
        (softmax_cross_entropy, np.ones(3), np.ones(3, int), r"logits: .* \(B, K\), got \(3,\)"),
        (softmax_cross_entropy, np.ones((2, 3)), np.ones(3, int), r"labels: .* \(2,\), got \(3,\)"),
        (softmax_cross_entropy, np.ones((2, 3)), np.ones((2, 1), int), r"labels: .* got \(2, 1\)"),
        (softmax_cross_entropy, np.ones((2, 3)), np.ones(2), "integers, got dtype float64"),
        (softmax_cross_entropy, np.ones((2, 3)), np.array([0, 3]), "0 to 2, got 0 to 3"),
        (softmax_cross_entropy, np.ones((2, 3)), np.array([-1, 0]), "0 to 2, got -1 to 0"),
        (mean_squared_error, np.ones((2, 1)), np.ones(2), r"target: .* \(2, 1\), got \(2,\)"),
        (squared_hinge, np.ones(3), np.ones(3, int), r"scores: .* \(B, K\), got \(3,\)"),
        (squared_hinge, np.ones((2, 3)), np.ones(3, int), r"squared_hinge: labels: .* \(2,\), got"),
        (squared_hinge, np.ones((2, 3)), np.ones(2), "squared_hinge: .*got dtype float64"),
        (squared_hinge, np.ones((2, 3)), np.array([0, 3]), "squared_hinge: .*0 to 2, got 0 to 3"),
        (squared_hinge, np.ones((2, 1)), np.array([-1, 1]), "expected 0 to 1, got -1 to 1"),
        (
            binary_cross_entropy_with_logits,
            np.ones((2, 1)),
            np.ones(2),
            r"with_logits: targets: .* \(2, 1\), got \(2,\)",
        ),
        (
            binary_cross_entropy_with_logits,
            np.ones((1, 2)),
            np.array([[0.5, 1.5]]),
            "targets: expected 0 to 1, got 0.5 to 1.5",
        ),
        (
            binary_cross_entropy_with_logits,
            np.ones((1, 2)),
            np.array([[-1.0, np.nan]]),
            "expected 0 to 1, got nan to nan",
        ),
    ],
)
def test_bad_input(loss, output, target, message):
    with pytest.raises(ValueError, match=message):
        loss(output, target)
