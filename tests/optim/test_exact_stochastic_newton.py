"""ExactStochasticNewton: steps against dense Hessians by mcx, its log, its state, the digits."""

import functools

import numpy as np
import pytest

import mcx
from mcx_nn import L2Regularized, Supervised, mean_squared_error, softmax_cross_entropy
from mcx_nn.models import mlp
from mcx_optim import NonFiniteError, Objective, fit
from mcx_optim.exact_stochastic_newton import MODES, ExactStochasticNewton
from tests.optim.problems import digits

DAMPING, FLOOR, POWER, RIDGE = 0.3, 0.05, 0.75, 0.2
SETTINGS = {"damping": DAMPING, "floor": FLOOR, "power": POWER}
PROBLEMS = {
    "cross-entropy": ((3, 4, 3), "relu", softmax_cross_entropy),
    "squares": ((3, 4, 2), "leaky_relu", mean_squared_error),
    "deep": ((3, 4, 3, 3), "relu", softmax_cross_entropy),
}


def setting(name="cross-entropy", ridge=0.0, dtype=np.float64, loss=None, samples=6):
    """Return a problem, the objective of it, its w and a batch of its data."""
    sizes, activation, own_loss = PROBLEMS[name]
    rng = np.random.default_rng(3)
    problem = Supervised(mlp(sizes, activation), loss or own_loss)
    w = rng.normal(size=problem.parameters_size).astype(dtype)
    X = rng.normal(size=(samples, sizes[0])).astype(dtype)
    labels = rng.integers(0, sizes[-1], samples)
    y = labels if own_loss is softmax_cross_entropy else np.eye(sizes[-1], dtype=dtype)[labels]
    whole = L2Regularized(problem, ridge) if ridge else problem
    return problem, Objective.of(whole, (X, y)), w, (X, y)


@functools.cache
def sample_derivatives(name):
    """Return gradients (B, P) and Hessians (B, P, P) of the samples' losses, by mcx."""
    problem, _, w, (X, y) = setting(name)
    losses = [
        lambda v, batch=(X[i : i + 1], y[i : i + 1]): problem.value(v, batch) for i in range(len(X))
    ]
    return (
        np.array([mcx.gradient(loss, w) for loss in losses]),
        np.array([mcx.hessian(loss, w) for loss in losses]),
    )


def adjusted_solution(H, g, ridge):
    """Return -(φ(H) + ρI)⁻¹ g, with φ(h) = max(|h|, ε max|h|)^γ + λ written out."""
    h, V = np.linalg.eigh(H)
    sizes = np.maximum(np.abs(h), FLOOR * np.abs(h).max()) ** POWER + DAMPING + ridge
    return -V @ (V.T @ g / sizes)


def blocks(problem):
    """Return the slices of w that belong to one layer."""
    ends = [slot.stop for name, (slot, _) in problem.slots.items() if name.endswith("bias")]
    return [slice(start, stop) for start, stop in zip([0, *ends[:-1]], ends, strict=True)]


def mean_direction(name, mode, ridge):
    problem, _, w, _ = setting(name)
    steps = []
    for g, H in zip(*sample_derivatives(name), strict=True):
        g = g + ridge * w
        parts = blocks(problem) if mode == "layer" else [slice(None)]
        steps.append(np.concatenate([adjusted_solution(H[s, s], g[s], ridge) for s in parts]))
    return np.mean(steps, axis=0)


def gauss_newton_matrix(name):
    problem, _, w, batch = setting(name)
    z, _ = problem.forward(w, batch)
    J = mcx.jacobian(lambda v: problem.forward(v, batch)[0].reshape(-1), w)
    C = mcx.hessian(
        lambda z: problem.output_loss(z.reshape(batch[0].shape[0], -1), batch)[0], z.reshape(-1)
    )
    return J.T @ C @ J


def batch_direction(name, ridge):
    _, _, w, _ = setting(name)
    g = sample_derivatives(name)[0].mean(axis=0) + ridge * w
    G = gauss_newton_matrix(name)
    return -np.linalg.solve(G + (DAMPING + ridge) * np.eye(len(G)), g)


def reference(name, mode, ridge):
    return (
        batch_direction(name, ridge)
        if mode == "gauss_newton"
        else mean_direction(name, mode, ridge)
    )


# ----- one step -----


@pytest.mark.parametrize("ridge", [0.0, RIDGE])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", PROBLEMS)
def test_step_is_that_of_the_dense_matrices(name, mode, ridge):
    _, objective, w, batch = setting(name, ridge)
    start = w.copy()
    stepped, info = ExactStochasticNewton(mode, lr=0.5, **SETTINGS).step(objective, w, batch)
    expected = reference(name, mode, ridge)
    bound = 1e-12 * np.abs(expected).max()
    np.testing.assert_allclose((stepped - w) / 0.5, expected, rtol=0, atol=bound)
    assert np.array_equal(w, start), "w was mutated"
    g = sample_derivatives(name)[0].mean(axis=0) + ridge * w
    assert info.slope == pytest.approx(g @ expected, rel=1e-11)


def test_modes_differ():
    steps = [reference("cross-entropy", mode, 0.0) for mode in MODES]
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert np.linalg.norm(steps[one] - steps[other]) > 0.05 * np.linalg.norm(steps[one])


def test_one_sample_of_a_linear_model_takes_the_newton_step():
    """One layer: the Hessian of one sample is that of the batch and its Gauss-Newton matrix."""
    rng = np.random.default_rng(0)
    problem = Supervised(mlp((3, 3)), softmax_cross_entropy)
    batch = rng.normal(size=(1, 3)), np.array([1])
    w = rng.normal(size=12)
    H = mcx.hessian(lambda v: problem.value(v, batch), w)
    expected = np.linalg.solve(H + np.eye(12), -mcx.gradient(lambda v: problem.value(v, batch), w))
    for mode in MODES:
        stepped, _ = ExactStochasticNewton(mode, damping=1.0, floor=0.0).step(
            Objective.of(problem), w, batch
        )
        np.testing.assert_allclose(stepped - w, expected, rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("mode", MODES)
def test_momentum_is_that_of_the_directions(mode):
    _, objective, w, batch = setting()
    plain = ExactStochasticNewton(mode, lr=0.1)
    heavy = ExactStochasticNewton(mode, lr=0.1, momentum=0.9)
    velocity = 0.0
    for _ in range(3):
        velocity = 0.9 * velocity + plain.step(objective, w, batch)[0] - w
        stepped, _ = heavy.step(objective, w, batch)
        np.testing.assert_allclose(stepped, w + velocity, rtol=1e-13)
        w = stepped


@pytest.mark.parametrize("mode", MODES)
def test_float32_stays_and_agrees(mode):
    optimizer = ExactStochasticNewton(mode, momentum=0.5, **SETTINGS)
    for ridge in (0.0, RIDGE):
        _, objective, w, batch = setting(ridge=ridge, dtype=np.float32)
        stepped, _ = ExactStochasticNewton(mode, **SETTINGS).step(objective, w, batch)
        assert stepped.dtype == np.float32
        _, objective, wide, data = setting(ridge=ridge)
        expected, _ = ExactStochasticNewton(mode, **SETTINGS).step(objective, wide, data)
        np.testing.assert_allclose(stepped, expected, rtol=0, atol=2e-5 * np.abs(expected).max())
    for _ in range(2):
        w, _ = optimizer.step(setting(dtype=np.float32)[1], w, batch)
    assert w.dtype == optimizer.state_dict()["velocity"].dtype == np.float32


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("scale", [2.0**-40, 2.0**30])
def test_scale_of_loss_and_damping_is_no_matter(mode, scale):
    def scaled(z, y):
        loss, slope = softmax_cross_entropy(z, y)
        return scale * loss, scale * slope

    _, objective, w, batch = setting(ridge=RIDGE)
    expected, _ = ExactStochasticNewton(mode, damping=DAMPING).step(objective, w, batch)
    _, objective, w, batch = setting(ridge=scale * RIDGE, loss=scaled)
    stepped, _ = ExactStochasticNewton(mode, damping=scale * DAMPING).step(objective, w, batch)
    np.testing.assert_allclose(stepped, expected, rtol=1e-9, atol=1e-11)
    unscaled, _ = ExactStochasticNewton(mode, damping=DAMPING).step(objective, w, batch)
    assert not np.allclose(unscaled, expected, atol=1e-3)


def test_learning_rate_may_be_a_schedule():
    _, objective, w, batch = setting()
    optimizer = ExactStochasticNewton(lr=lambda t: 0.5**t)
    for t in range(3):
        stepped, info = optimizer.step(objective, w, batch)
        expected, _ = ExactStochasticNewton(lr=0.5**t).step(objective, w, batch)
        assert info.gamma == 0.5**t
        np.testing.assert_array_equal(stepped, expected)
        w = stepped


def test_large_damping_makes_gradient_descent():
    _, objective, w, batch = setting()
    g = objective.grad(w, batch)
    for mode in MODES:
        stepped, _ = ExactStochasticNewton(mode, lr=1e9, damping=1e9).step(objective, w, batch)
        np.testing.assert_allclose(stepped - w, -g, rtol=1e-6, atol=1e-8)


# ----- log and state -----


@pytest.mark.parametrize("mode", MODES)
def test_step_is_logged(mode):
    _, objective, w, batch = setting(ridge=RIDGE)
    loss, g = objective.value_and_grad(w, batch)
    before = objective.counts
    _, info = ExactStochasticNewton(mode, lr=0.5, damping=DAMPING).step(objective, w, batch)
    assert info.outcome == "accepted"
    assert (info.loss, info.gamma, info.damping, info.samples) == (loss, 0.5, DAMPING, 6)
    assert info.gradient_norm == pytest.approx(np.linalg.norm(g), rel=1e-14)
    assert info.counts == objective.counts - before
    assert info.counts.gradient == 12
    assert info.seconds > 0
    assert (info.predicted is None) == (mode != "gauss_newton")


def test_predicted_change_is_that_of_the_undamped_quadratic():
    _, objective, w, batch = setting(ridge=RIDGE)
    optimizer = ExactStochasticNewton("gauss_newton", damping=DAMPING)
    stepped, info = optimizer.step(objective, w, batch)
    delta = stepped - w
    G = gauss_newton_matrix("cross-entropy") + RIDGE * np.eye(w.size)
    expected = objective.grad(w, batch) @ delta + delta @ G @ delta / 2
    assert info.predicted == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("mode", MODES)
def test_resumed_run_continues_bit_for_bit(mode, momentum, tmp_path):
    def run(epochs, resume=False):
        _, objective, w, _ = setting(samples=12)
        optimizer = ExactStochasticNewton(mode, lambda t: 0.1 / (1 + t), momentum=momentum)
        path = tmp_path / "checkpoint.npz"
        return fit(objective, optimizer, w, epochs, 5, seed=1, checkpoint=path, resume=resume)

    whole = run(4)
    run(2)
    resumed = run(4, resume=True)
    assert np.array_equal(resumed.w, whole.w)
    assert resumed.history.column("train_loss") == whole.history.column("train_loss")


def test_state_of_a_fresh_one_makes_fresh():
    _, objective, w, batch = setting()
    used = ExactStochasticNewton(momentum=0.9)
    used.step(objective, w, batch)
    assert used.state_dict().keys() == {"t", "velocity"}
    used.load_state_dict(ExactStochasticNewton(momentum=0.9).state_dict())
    assert used.state_dict() == {}


# ----- refusals -----


def test_smooth_networks_are_refused_by_name_of_the_layer():
    problem = Supervised(mlp((3, 4, 2), "tanh"), softmax_cross_entropy)
    batch = np.zeros((2, 3)), np.zeros(2, int)
    for mode in MODES:
        with pytest.raises(ValueError, match=r"layer 1: .*got Activation\(.*'tanh'\)"):
            ExactStochasticNewton(mode).step(Objective.of(problem), np.zeros(26), batch)


def test_objectives_that_show_no_network_are_refused():
    objective = Objective(lambda w, batch: (w @ w / 2, w))
    with pytest.raises(ValueError, match="piecewise_linear"):
        ExactStochasticNewton().step(objective, np.ones(2), None)


@pytest.mark.filterwarnings("ignore:.* encountered in:RuntimeWarning")
@pytest.mark.parametrize("mode", MODES)
def test_curvature_that_overflows_is_named_and_may_be_skipped(mode):
    """Inputs of 1e20 in float32: their squares are infinite, the loss is not."""
    problem = Supervised(mlp((3, 4, 2), "relu"), softmax_cross_entropy)
    rng = np.random.default_rng(0)
    w = problem.init(rng, np.float32)
    X = 1e20 * rng.standard_normal((6, 3)).astype(np.float32)
    objective = Objective.of(problem, (X, np.arange(6) % 2))
    w[problem.slots["0.weight"][0]] *= 1e-20
    assert np.isfinite(objective.full(w)[0])
    with pytest.raises(NonFiniteError, match=f"step of mode '{mode}' is not finite.*float64"):
        ExactStochasticNewton(mode).step(objective, w, objective.data)
    result = fit(objective, ExactStochasticNewton(mode), w, 1, on_nonfinite="skip")
    assert np.array_equal(result.w, w)


def test_another_w_is_refused():
    problem, _, w, batch = setting()
    optimizer = ExactStochasticNewton()
    optimizer.step(Objective.of(problem), w, batch)
    other = batch[0].astype(np.float32), batch[1]
    with pytest.raises(ValueError, match=r"w: expected shape \(31,\) .*; use a new Exact"):
        optimizer.step(Objective.of(problem), w.astype(np.float32), other)


def test_regularization_of_some_parameters_is_refused():
    problem, _, w, batch = setting()
    objective = Objective.of(L2Regularized(problem, 0.1, np.arange(w.size) > 3))
    with pytest.raises(ValueError, match=r"ridge: expected one number, got 31: with a mask .* use"):
        ExactStochasticNewton().step(objective, w, batch)


@pytest.mark.parametrize("mode", MODES)
def test_nonfinite_loss_is_told(mode):
    _, objective, w, batch = setting()
    with pytest.raises(NonFiniteError), np.errstate(all="ignore"):
        ExactStochasticNewton(mode).step(objective, w * 1e200, batch)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mode": "batch"}, "mode: expected 'layer', 'joint' or 'gauss_newton', got 'batch'"),
        ({"lr": 0}, "lr: expected a positive number, got 0"),
        ({"lr": np.nan}, "lr: expected a positive number, got nan"),
        ({"damping": -1.0}, "damping: expected a number of at least 0, got -1.0"),
        ({"floor": 2.0}, r"floor: expected a number in \[0, 1\], got 2.0"),
        ({"power": -1.0}, "power: expected a number of at least 0, got -1.0"),
        ({"momentum": 1.0}, r"momentum: expected a number in \[0, 1\), got 1.0"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        ExactStochasticNewton(**settings)


# ----- training -----


@pytest.mark.parametrize(
    ("settings", "batch_size", "epochs", "bound"),
    [
        ({"mode": "layer"}, 32, 4, 0.4),
        ({"mode": "layer", "damping": 3.0, "momentum": 0.9}, 32, 5, 0.2),
        ({"mode": "joint", "lr": 10.0, "damping": 100.0, "momentum": 0.9}, 32, 2, 0.3),
        ({"mode": "gauss_newton"}, 64, 2, 0.4),
    ],
    ids=["layer", "layer with momentum", "joint", "gauss_newton"],
)
def test_it_trains_a_network_on_the_digits(settings, batch_size, epochs, bound):
    X, Y = digits()
    data = X[:, :-1], np.argmax(Y, axis=1)
    problem = Supervised(mlp((64, 32, 10), "relu"), softmax_cross_entropy)
    w = problem.init(np.random.default_rng(0))
    optimizer = ExactStochasticNewton(**settings)
    history = fit(Objective.of(problem, data), optimizer, w, epochs, batch_size).history
    losses = history.column("train_loss")
    assert losses[0] > 2.0
    assert losses[-1] < bound
