"""K-FAC against dense Kronecker factors, summed sample by sample and place by place."""

import numpy as np
import pytest

from mcx_nn import (
    Activation,
    Conv2d,
    Dense,
    Flatten,
    L2Regularized,
    Sequential,
    Supervised,
    load_digits,
    mlp,
    softmax_cross_entropy,
)
from mcx_optim import Objective, fit
from mcx_optim.kfac import KFAC
from tests.optim.problems import small_softmax
from tests.standin import StandIn

# ----- networks, written out for one sample -----
#
# w, x, shifts -> logits and, layer by layer, the inputs of every place with a 1 for the bias. The
# shifts (places, outputs) are added to what a layer puts out before its activation.


def with_one(rows):
    return np.concatenate([rows, np.ones((len(rows), 1))], axis=1)


def perceptron(w, x, shifts):
    first, second = w[:20].reshape(5, 4), w[20:].reshape(5, 3)
    inputs = with_one(x[None])
    hidden = with_one(np.tanh(inputs @ first + shifts[0]))
    return (hidden @ second + shifts[1])[0], [inputs, hidden]


def convolve(image, kernel, stride, padding):
    """Return the patches of an image (H, W, C), each in a row, and height and width of places."""
    padded = np.pad(image, ((padding, padding), (padding, padding), (0, 0)))
    down, across = (1 + (n - kernel) // stride for n in padded.shape[:2])
    patches = [
        padded[i * stride : i * stride + kernel, j * stride : j * stride + kernel].reshape(-1)
        for i in range(down)
        for j in range(across)
    ]
    return with_one(np.array(patches)), (down, across)


def convolutional(w, x, shifts):
    first, second, third = w[:20].reshape(10, 2), w[20:47].reshape(9, 3), w[47:].reshape(13, 3)
    patches, places = convolve(x, kernel=3, stride=1, padding=1)
    image = np.tanh(patches @ first + shifts[0]).reshape(*places, 2)
    second_patches, _ = convolve(image, kernel=2, stride=2, padding=0)
    hidden = with_one(np.tanh(second_patches @ second + shifts[1]).reshape(1, -1))
    return (hidden @ third + shifts[2])[0], [patches, second_patches, hidden]


NETWORKS = {
    "perceptron": (
        perceptron,
        [Dense(4, 4), Activation("tanh"), Dense(4, 3)],
        (4,),
        [(1, 4), (1, 3)],
    ),
    "convolutional": (
        convolutional,
        [
            Conv2d(1, 2, 3, padding=1),
            Activation("tanh"),
            Conv2d(2, 3, 2, stride=2),
            Activation("tanh"),
            Flatten(),
            Dense(12, 3),
        ],
        (4, 5, 1),
        [(20, 2), (4, 3), (1, 3)],
    ),
}


# ----- the method, written out -----


def slopes(network, w, x, label, places):
    """Return the derivatives of -log p(label) to every shift, by complex steps."""
    found = [np.zeros(shape) for shape in places]
    for layer, shape in enumerate(places):
        for index in np.ndindex(shape):
            shifts = [np.zeros(shape, complex) for shape in places]
            shifts[layer][index] = 1e-30j
            z = network(w, x, shifts)[0]
            loss = np.log(np.sum(np.exp(z))) - z[label]
            found[layer][index] = loss.imag / 1e-30
    return found


def drawn_labels(network, w, X, places, uniform):
    """Return a class for every sample, drawn from the network's own probabilities."""
    labels = []
    for x, u in zip(X, uniform, strict=True):
        z = network(w, x, [np.zeros(shape) for shape in places])[0]
        p = np.exp(z) / np.sum(np.exp(z))
        labels.append(next(k for k in range(len(p)) if p[: k + 1].sum() > u))
    return labels


def seen(network, w, X, labels, places):
    """Return Ω, Γ and the gradient of every layer, section 3 of Grosse and Martens."""
    layers = []
    for layer, shape in enumerate(places):
        omega = gamma = gradient = 0.0
        for x, label in zip(X, labels, strict=True):
            A = network(w, x, [np.zeros(shape) for shape in places])[1][layer]
            D = slopes(network, w, x, label, places)[layer]
            for a, d in zip(A, D, strict=True):
                omega = omega + np.outer(a, a) / len(X)
                gamma = gamma + np.outer(d, d) / len(X) / shape[0]
                gradient = gradient + np.outer(a, d) / len(X)
        layers.append((omega, gamma, gradient))
    return layers


def damped(omega, gamma, damping):
    """Return (Ω + π√λ I) ⊗ (Γ + √λ/π I), section 6.3 of Martens and Grosse."""
    pi = np.sqrt(np.trace(omega) / len(omega) / (np.trace(gamma) / len(gamma)))
    return np.kron(
        omega + pi * np.sqrt(damping) * np.eye(len(omega)),
        gamma + np.sqrt(damping) / pi * np.eye(len(gamma)),
    )


def block_diagonal(blocks):
    """Return the matrix of these blocks."""
    ends = np.cumsum([0, *map(len, blocks)])
    matrix = np.zeros((ends[-1], ends[-1]))
    for start, block in zip(ends[:-1], blocks, strict=True):
        matrix[start : start + len(block), start : start + len(block)] = block
    return matrix


def due(t, period):
    return t % period == 0 or t in (1, 2, 4, 8, 16)


SETTINGS = {"lr": 0.1, "momentum": 0.9, "damping": 0.03, "decay": 0.95, "kl_clip": 0.01}
PERIODS = {"factor_period": 1, "inverse_period": 1, "seed": 0}


def literal(name, w, batches, strength, settings):
    """Return every w, the first included, and the last damped matrix (P, P)."""
    lr, momentum, damping, decay, kl_clip = (settings[key] for key in SETTINGS)
    network, _, _, places = NETWORKS[name]
    points, velocity, averages, count = [w], 0.0, None, 0
    for t, (X, y) in enumerate(batches, start=1):
        g = np.concatenate([each[2].reshape(-1) for each in seen(network, w, X, y, places)])
        g = g + strength * w
        if due(t, settings["factor_period"]):
            uniform = np.random.default_rng([settings["seed"], t]).random(len(X))
            labels = drawn_labels(network, w, X, places, uniform)
            new = [each[:2] for each in seen(network, w, X, labels, places)]
            old, count = min(1 - 1 / (count + 1), decay), count + 1
            averages = [
                [old * before + (1 - old) * now for before, now in zip(*pairs, strict=True)]
                for pairs in zip(averages or new, new, strict=True)
            ]
        if due(t, settings["inverse_period"]):
            M = block_diagonal([damped(*pair, damping + strength) for pair in averages])
        d = np.linalg.inv(M) @ g
        nu = min(1.0, np.sqrt(kl_clip / (lr**2 * g @ d)))
        velocity = momentum * velocity + nu * d
        w = w - lr * velocity
        points.append(w)
    return points, M


def small(name, count=5, samples=6, strength=0.0, dtype=np.float64):
    """Return an objective, a start and batches of data for a network."""
    _, layers, shape, _ = NETWORKS[name]
    rng = np.random.default_rng(0)
    problem = Supervised(Sequential(layers), softmax_cross_entropy)
    w = (problem.init(rng) + 0.1 * rng.standard_normal(problem.parameters_size)).astype(dtype)
    X = rng.standard_normal((count * samples, *shape)).astype(dtype)
    data = X, rng.integers(0, 3, len(X))
    if strength:
        problem = L2Regularized(problem, strength)
    objective = Objective.of(problem, data)
    cuts = [slice(k * samples, (k + 1) * samples) for k in range(count)]
    return objective, w, [objective.rows(cut) for cut in cuts]


def check(name, changes, strength=0.0, count=5, planted=None):
    """Raise AssertionError unless the steps agree with the literal method."""
    settings = SETTINGS | PERIODS | changes
    objective, w, batches = small(name, count, strength=strength)
    start, optimizer = w.copy(), KFAC(**settings)
    expected, _ = literal(name, w, batches, strength, settings | (planted or {}))
    for k, batch in enumerate(batches):
        after, info = optimizer.step(objective, w, batch)
        np.testing.assert_allclose(after, expected[k + 1], rtol=1e-10, atol=1e-10)
        assert info.outcome == "accepted"
        w = after
    assert np.array_equal(start, expected[0]), "w was mutated"
    assert np.max(np.abs(w - start)) > 0.01


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"lr": 0.01, "momentum": 0.0, "decay": 0.3},
        {"damping": 0.5, "kl_clip": 1e-3},
        {"kl_clip": float("inf"), "lr": 0.05},
        {"factor_period": 2, "inverse_period": 8, "seed": 3},
        {"factor_period": 3, "inverse_period": 3},
    ],
    ids=str,
)
def test_steps_of_a_perceptron_have_the_factors_of_martens_and_grosse(changes):
    check("perceptron", changes, count=7)


def test_steps_of_convolutions_have_the_factors_of_grosse_and_martens():
    check("convolutional", {"decay": 0.4}, count=3)


def test_what_a_regularizer_adds_is_added_to_the_damping():
    check("perceptron", {}, strength=0.2)


@pytest.mark.parametrize(
    "planted",
    [
        {"damping": 0.0301},
        {"decay": 0.0},
        {"kl_clip": 0.00999},
        {"momentum": 0.899},
        {"seed": 1},
        {"factor_period": 100},
        {"inverse_period": 100},
    ],
    ids=str,
)
def test_planted_errors_are_caught(planted):
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        check("perceptron", {}, planted=planted)


@pytest.mark.parametrize(("lr", "clipped"), [(1e-4, False), (0.1, True), (10.0, True)])
def test_clipped_step_has_the_length_allowed(lr, clipped):
    """δᵀM δ = κ, with the damped matrix M: twice the divergence, to second order."""
    settings = SETTINGS | PERIODS | {"lr": lr, "momentum": 0.0}
    objective, w, [batch] = small("perceptron", 1)
    M = literal("perceptron", w, [batch], 0.0, settings)[1]
    step = KFAC(**settings).step(objective, w, batch)[0] - w
    length = step @ M @ step
    if clipped:
        assert length == pytest.approx(settings["kl_clip"], rel=1e-9)
    else:
        assert length < settings["kl_clip"]
        g = objective.grad(w, batch)
        np.testing.assert_allclose(step, -lr * np.linalg.solve(M, g), rtol=1e-9)


def test_zero_gradient_leaves_w_in_place():
    """Logits that no label contradicts: a single class has probability 1."""
    problem = Supervised(Sequential([Dense(2, 1)]), softmax_cross_entropy)
    batch = np.ones((3, 2)), np.zeros(3, int)
    w, info = KFAC().step(Objective.of(problem), np.ones(3), batch)
    assert w.tolist() == [1.0, 1.0, 1.0]
    assert (info.loss, info.slope) == (0.0, 0.0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_steps_are_logged_and_keep_their_precision(dtype):
    objective, w, [batch] = small("perceptron", 1, dtype=dtype)
    loss, g = objective.value_and_grad(w, batch)
    before = objective.counts
    point, info = KFAC().step(objective, w, batch)
    assert point.dtype == dtype
    assert (info.loss, info.damping) == (loss, 0.03)
    assert info.gradient_norm == pytest.approx(float(np.linalg.norm(g)), rel=1e-6)
    assert info.slope == pytest.approx(float(g @ (point - w)), rel=1e-3)
    assert info.slope < 0
    assert info.counts == objective.counts - before
    assert info.counts.gradient == 12  # the gradient and the draw
    assert info.seconds > 0


def test_float32_follows_float64():
    points = []
    for dtype in (np.float64, np.float32):
        objective, w, batches = small("perceptron", 8, dtype=dtype)
        optimizer = KFAC()
        for batch in batches:
            w, _ = optimizer.step(objective, w, batch)
        points.append(w)
    np.testing.assert_allclose(points[1], points[0], atol=1e-4)


def test_steps_on_a_device_are_those_of_the_host():
    objective, start, _ = small("perceptron")

    def run(wrap):
        on_device = Objective.of(
            Supervised(Sequential(NETWORKS["perceptron"][1]), softmax_cross_entropy),
            tuple(map(wrap, objective.data)),
        )
        optimizer, w = KFAC(most=4), wrap(start)
        for _ in range(3):
            w, _ = optimizer.step(on_device, w, on_device.data)
        return w

    assert np.array_equal(run(StandIn.wrap).get(), run(np.asarray))


@pytest.mark.parametrize("steps", [0, 1, 5, 6])
def test_state_continues_bit_for_bit(steps):
    """With the factors of step 4, or 6, and the inverse of step 4 in use."""
    objective, w, batches = small("perceptron", 14)
    first, second = (KFAC(factor_period=3, inverse_period=6) for _ in range(2))
    for batch in batches[:steps]:
        w, _ = first.step(objective, w, batch)
    second.load_state_dict({name: np.asarray(v) for name, v in first.state_dict().items()})
    for batch in batches[steps:]:
        before, (w, _) = w, first.step(objective, w, batch)
        assert np.array_equal(second.step(objective, before, batch)[0], w)


def test_unused_state_resets():
    objective, w, [batch] = small("perceptron", 1)
    fresh, used = KFAC(), KFAC()
    expected, _ = fresh.step(objective, w, batch)
    for _ in range(3):
        used.step(objective, w, batch)
    used.load_state_dict(KFAC().state_dict())
    assert np.array_equal(used.step(objective, w, batch)[0], expected)


def test_a_state_with_another_bound_is_refused():
    objective, w, [batch] = small("perceptron", 1)
    saved, other = KFAC(most=4), KFAC()
    saved.step(objective, w, batch)
    with pytest.raises(ValueError, match="of a KFAC with most=2048, got one with most=4; make"):
        other.load_state_dict(saved.state_dict())


@pytest.mark.parametrize("every", [None, 1])
def test_run_continues_bit_for_bit_from_a_checkpoint(every, tmp_path):
    objective, w, _ = small("perceptron", 10)
    file = tmp_path / "run.npz"

    def run(epochs, **keywords):
        optimizer = KFAC(factor_period=2, inverse_period=6)
        return fit(objective, optimizer, w, epochs, 13, **keywords)

    whole = run(4)
    run(2, checkpoint=file, checkpoint_every=every)
    assert np.array_equal(run(4, checkpoint=file, resume=True).w, whole.w)


def test_perceptron_learns_the_digits():
    x, y, x_test, y_test = load_digits(np.float32)
    model = Sequential([Flatten(), *mlp((784, 100, 10)).layers])
    problem = Supervised(model, softmax_cross_entropy)
    w = problem.init(np.random.default_rng(0), np.float32)
    result = fit(Objective.of(problem, (x, y)), KFAC(), w, 3, 128)
    assert result.history.column("train_loss")[-1] < 0.04  # 0.012 seen
    assert np.mean(problem.predict(result.w, x_test).argmax(axis=1) == y_test) > 0.93


def test_objective_without_slots_or_draws_is_refused():
    objective, w = small_softmax()
    with pytest.raises(ValueError, match=r"expected an objective with observe.* Objective\.of"):
        KFAC().step(objective, w, objective.data)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lr": 0}, "lr: expected a positive number, got 0"),
        ({"lr": float("nan")}, "lr: expected a positive number, got nan"),
        ({"damping": 0.0}, "damping: expected a positive number, got 0.0"),
        ({"kl_clip": -1.0}, "kl_clip: expected a positive number or inf, got -1.0"),
        ({"momentum": 1.0}, r"momentum: expected a number in \[0, 1\), got 1.0"),
        ({"decay": 1.0}, r"decay: expected a number in \[0, 1\), got 1.0"),
        ({"most": 0}, "most: expected an integer of at least 1, got 0"),
        ({"factor_period": 0}, "factor_period: expected an integer of at least 1, got 0"),
        ({"inverse_period": 2.0}, "inverse_period: expected an integer of at least 1, got 2.0"),
        (
            {"factor_period": 3, "inverse_period": 10},
            "inverse_period: expected a multiple of factor_period 3, got 10",
        ),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        KFAC(**settings)
