"""Random gradients at the output: mean 0, and the Hessian of the loss as their covariance."""

import numpy as np
import pytest
from scipy.linalg import block_diag
from scipy.special import expit, softmax

from mcx_nn import (
    Dense,
    L2Regularized,
    Sequential,
    Supervised,
    binary_cross_entropy_with_logits,
    mean_squared_error,
    softmax_cross_entropy,
    squared_hinge,
)
from mcx_nn.noise import NOISE
from tests.nn import checks
from tests.standin import StandIn

DRAWS = 4000
MOST = 5  # standard errors


def normal(*shape):
    """Outputs so small that no class is rare: of few events there is no standard error."""
    return np.random.default_rng(7).standard_normal(shape)


def of_classes(z, labels):
    """1/B (diag p − p pᵀ) for every sample."""
    return block_diag(*(np.diag(p) - np.outer(p, p) for p in softmax(z, axis=1))) / len(z)


def of_outcomes(z, targets):
    return np.diag((expit(z) * expit(-z)).reshape(-1)) / z.size


def of_squares(y, target):
    return 2 / y.size * np.eye(y.size)


def of_margins(scores, labels):
    """2/B where t s < 1; one score has the sign of label 1."""
    signs = [
        [1 if label == (k if scores.shape[1] > 1 else 1) else -1 for k in range(scores.shape[1])]
        for label in labels
    ]
    return 2 / len(scores) * np.diag((np.array(signs) * scores < 1).reshape(-1).astype(float))


CASES = {  # loss, its Hessian, output, target
    "classes": (softmax_cross_entropy, of_classes, normal(3, 4), np.array([0, 3, 1])),
    "two classes": (softmax_cross_entropy, of_classes, normal(1, 2), np.array([1])),
    "certain classes": (
        *(softmax_cross_entropy, of_classes),
        *(np.array([[900.0, 0, -900], [5, -700, 5], [0, -2, 800]]), np.array([0, 1, 2])),
    ),
    "outcomes": (
        *(binary_cross_entropy_with_logits, of_outcomes),
        *(normal(3, 2), np.array([[0.0, 1], [1, 1], [0.3, 0]])),
    ),
    "outcomes of images": (
        *(binary_cross_entropy_with_logits, of_outcomes),
        *(normal(2, 1, 2, 3), np.ones((2, 1, 2, 3))),
    ),
    "certain outcomes": (
        *(binary_cross_entropy_with_logits, of_outcomes),
        *(np.array([[900.0, -900.0, 0.5]]), np.zeros((1, 3))),
    ),
    "squares": (mean_squared_error, of_squares, normal(3, 2), np.zeros((3, 2))),
    "squares of images": (
        mean_squared_error,
        of_squares,
        normal(2, 2, 1, 2),
        np.ones((2, 2, 1, 2)),
    ),
    "margins": (squared_hinge, of_margins, normal(4, 3), np.array([0, 2, 2, 1])),
    "margins of two classes": (squared_hinge, of_margins, normal(6, 1), np.array([0, 1] * 3)),
}


@pytest.fixture(params=CASES.values(), ids=CASES.keys())
def case(request):
    return request.param


def assert_moments(samples, covariance):
    """Raise unless samples (n, size) have mean 0 and this covariance, to 5 standard errors."""
    for name, terms, expected in (
        ("mean", samples, 0 * samples[0]),
        ("covariance", samples[:, :, None] * samples[:, None], covariance),
    ):
        error = np.abs(terms.mean(axis=0) - expected)
        bound = MOST * terms.std(axis=0) / np.sqrt(len(samples)) + 8 * checks.EPS
        assert (error <= bound).all(), f"{name}: error {error.max():.2e} of {bound.max():.2e}"


def samples_of(draw):
    rng = np.random.default_rng(11)
    return np.stack([draw(rng).reshape(-1) for _ in range(DRAWS)])


def test_every_loss_has_its_case():
    assert {loss for loss, *_ in CASES.values()} == set(NOISE)


def test_the_covariance_is_the_hessian(case):
    loss, hessian, z, target = case
    expected = hessian(z, target)
    of_loss = checks.dense_hessian(checks.loss_problem(loss, z, target))
    np.testing.assert_allclose(of_loss, expected, rtol=0, atol=1e-14)
    assert_moments(samples_of(lambda rng: NOISE[loss](rng, z, target)), expected)


def test_the_moments_are_sharp(case):
    """Noise 15 % too large, or with a mean of a fifth of its scale, is seen."""
    loss, hessian, z, target = case
    samples = samples_of(lambda rng: NOISE[loss](rng, z, target))
    with pytest.raises(AssertionError, match="covariance"):
        assert_moments(1.15 * samples, hessian(z, target))
    with pytest.raises(AssertionError, match="mean"):
        assert_moments(samples + 0.2 * samples.std(), hessian(z, target))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_shape_and_dtype(case, dtype):
    loss, _, z, target = case
    z = z.astype(dtype)
    given = z.copy()
    noise = NOISE[loss](np.random.default_rng(0), z, target)
    assert noise.shape == z.shape
    assert noise.dtype == dtype
    assert np.isfinite(noise).all()
    np.testing.assert_array_equal(z, given)


def test_standin(case):
    """The same numbers on a device, from a generator on the host."""
    loss, _, z, target = case
    noise = NOISE[loss](np.random.default_rng(0), z, target)
    device = NOISE[loss](np.random.default_rng(0), StandIn.wrap(z), StandIn.wrap(target))
    np.testing.assert_array_equal(device.get(), noise)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_classes_of_probability_0_and_1(dtype):
    """What is certain is drawn, what is impossible is not: no noise, exactly, and no warning."""
    z = np.array([[1e4, 0, -1e4], [-1e4, 1e4, 0], [-np.inf, 3, -np.inf]], dtype)
    labels = np.zeros(3, int)
    for seed in range(20):
        noise = NOISE[softmax_cross_entropy](np.random.default_rng(seed), z, labels)
        np.testing.assert_array_equal(noise, np.zeros((3, 3)))


class Zero:
    """A generator of the least number that there is."""

    def random(self, shape):
        return np.zeros(shape)


def test_a_draw_of_0_takes_no_impossible_class():
    noise = NOISE[softmax_cross_entropy](Zero(), np.array([[-1e4, 0.0, 0.0]]), np.array([1]))
    np.testing.assert_array_equal(noise, [[0, -0.5, 0.5]])


def linear(loss=softmax_cross_entropy):
    return Supervised(Sequential([Dense(2, 3)]), loss)


BATCH = normal(2, 2), np.array([0, 2])
W = normal(9)


def gauss_newton():
    """Jᵀ (∂²L/∂z²) J of z = x W + b: Σ (x, 1)(x, 1)ᵀ ⊗ the Hessian of every sample."""
    extended = np.concatenate([BATCH[0], np.ones((2, 1))], axis=1)
    z = extended @ W.reshape(3, 3)
    hessians = of_classes(z, BATCH[1]).reshape(2, 3, 2, 3)
    return sum(np.kron(np.outer(x, x), hessians[b, :, b]) for b, x in enumerate(extended))


def test_supervised_takes_the_noise_of_its_loss():
    for loss, _, z, target in CASES.values():
        got = linear(loss).output_noise(np.random.default_rng(3), z, (None, target))
        np.testing.assert_array_equal(got, NOISE[loss](np.random.default_rng(3), z, target))


def test_a_loss_without_noise_is_named():
    def absolute(output, target):
        return np.abs(output - target).mean(), np.sign(output - target) / output.size

    message = r"output_noise: expected a loss with a row in mcx_nn.noise.NOISE, got absolute; enter"
    rng, problem = np.random.default_rng(0), linear(absolute)
    with pytest.raises(ValueError, match=message):
        problem.output_noise(rng, normal(2, 3), BATCH)
    for observed in (problem, L2Regularized(problem, 0.5)):
        with pytest.raises(ValueError, match=message):
            observed.observe(rng, W, BATCH)


def test_sent_back_it_has_the_gauss_newton_matrix():
    problem = linear()
    assert_moments(samples_of(lambda rng: problem.observe(rng, W, BATCH)[0]), gauss_newton())


@pytest.mark.parametrize("strength", [0.0, 0.7])
@pytest.mark.parametrize("masked", [False, True])
def test_regularized(strength, masked):
    """With noise of variance strength, independent of that of the loss, where w counts."""
    mask = np.arange(9) % 3 > 0 if masked else None
    problem = L2Regularized(linear(), strength, mask)
    counted = np.ones(9) if mask is None else mask
    samples = samples_of(lambda rng: problem.observe(rng, W, BATCH)[0])
    assert_moments(samples, gauss_newton() + strength * np.diag(counted))


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_regularized_keeps_the_dtype_and_shows_the_rows_of_the_problem(masked, dtype):
    problem = linear()
    regularized = L2Regularized(problem, 0.7, np.arange(9) % 3 > 0 if masked else None)
    w, batch = W.astype(dtype), (BATCH[0].astype(dtype), BATCH[1])
    vector, rows = regularized.observe(np.random.default_rng(0), w, batch)
    plain, expected = problem.observe(np.random.default_rng(0), w, batch)
    assert vector.dtype == dtype
    assert vector.shape == (9,)
    assert not np.array_equal(vector, plain)
    assert rows.keys() == expected.keys() == {"0.weight"}
    of_weight = rows["0.weight"].inputs.T @ rows["0.weight"].slopes
    np.testing.assert_allclose(of_weight.reshape(-1), plain[:6], rtol=8 * np.finfo(dtype).eps)
