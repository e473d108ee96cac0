"""Newton's method against dense linear algebra."""

import inspect
import itertools

import numpy as np
import pytest
from scipy.linalg import sqrtm

from mcx_optim import NonFiniteError, Objective, fit, newton
from mcx_optim.newton import Newton
from tests.optim.problems import network, quadratic, small_softmax, softmax_hessian, spd
from tests.standin import StandIn


def check_newton(optimizer):
    """Raise AssertionError unless steps are those of Newton, of |H| where H is indefinite."""
    A, x = spd(9), np.arange(9.0)
    w, info = optimizer.step(quadratic(A, A @ x), np.ones(9), None)
    np.testing.assert_allclose(w, x, atol=1e-13)
    assert (info.outcome, info.gamma, info.trials) == ("accepted", 1.0, 1)
    assert info.predicted == pytest.approx(info.new_loss - info.loss, rel=1e-12)
    assert (info.counts.linearize, info.counts.hvp, info.counts.loss) == (1, 9, 0)
    # Rows with a largest entry of 1: D = I, and |H| is the root of H².
    H = np.array([[1.0, 0.4, 0.0], [0.4, -1.0, 0.3], [0.0, 0.3, -1.0]])
    g = np.array([1.0, -2.0, 0.5])

    def quartic(w, batch):
        return w @ (H @ w) / 2 + g @ w + 10 * np.sum(w**4), H @ w + g + 40 * w**3

    w, info = optimizer.step(Objective(quartic), np.zeros(3), None)
    np.testing.assert_allclose(w / info.gamma, -np.linalg.solve(sqrtm(H @ H).real, g), rtol=1e-12)
    assert info.gamma < 1
    assert info.new_loss <= info.loss + 1e-4 * info.gamma * info.slope
    delta = w / info.gamma
    assert info.slope == pytest.approx(g @ delta, rel=1e-12)
    assert info.predicted == pytest.approx(g @ delta + delta @ H @ delta / 2, rel=1e-12)
    units = 2.0 ** np.array([-30, 0, 25])  # of the parameters, and 2⁵⁰ for the loss

    def in_units(w, batch):
        f, g = quartic(w * units, batch)
        return 2.0**50 * f, 2.0**50 * g * units

    new, scaled_info = optimizer.step(Objective(in_units), np.zeros(3), None)
    np.testing.assert_allclose(new * units, w, rtol=1e-12)
    assert scaled_info.trials == info.trials


def test_steps():
    check_newton(Newton())


@pytest.mark.parametrize(
    ("correct", "planted"),
    [
        ("values = np.abs(values)", "values = np.where(values < 0, 1.0, values)"),
        ("return -d *", "return -1.001 * d *"),
        ("return -d *", "return -"),
        ("vectors.T @ (d * g)", "vectors @ (d * g)"),
        ("d = d / np.sqrt(", "d = d / (0 * rows + 1) # "),
        ("(matrix @ delta)) / 2", "(matrix @ delta))"),
        ("return w + gamma * delta", "return w + delta"),
    ],
)
def test_planted_errors_are_caught(correct, planted):
    source = inspect.getsource(newton)
    assert source.count(correct) == 1
    if planted.endswith("# "):
        planted = planted.removesuffix("# ") + "; rows = ("
    namespace = {"__name__": "mcx_optim.newton"}
    exec(source.replace(correct, planted), namespace)
    with pytest.raises((AssertionError, ValueError)):
        check_newton(namespace["Newton"]())


def test_the_step_is_that_of_the_dense_hessian():
    objective, w = small_softmax()
    H = softmax_hessian(w, objective.data)
    g = objective.grad(w, objective.data)
    new, info = Newton().step(objective, w, objective.data)
    np.testing.assert_allclose(new, w - np.linalg.solve(H, g), rtol=1e-9, atol=1e-12)
    assert info.counts.hvp == 15 * 60
    for _ in range(9):
        new, info = Newton().step(objective, new, objective.data)
    assert info.gradient_norm < 1e-14


def test_blocks_are_bounded(monkeypatch):
    objective, w = small_softmax()
    expected, _ = Newton().step(objective, w, objective.data)
    sizes = []
    block = newton.Hessian.block
    monkeypatch.setattr(
        newton.Hessian, "block", lambda H, rows: (sizes.append(len(rows)), block(H, rows))[1]
    )
    H = newton.Hessian(objective, w, objective.data)
    monkeypatch.setattr(newton, "TANGENT_BYTES", 4 * H.nbytes)
    new, _ = Newton().step(objective, w, objective.data)
    assert sizes == [4, 4, 4, 3]
    np.testing.assert_allclose(new, expected, rtol=1e-10)


def test_quadratic_convergence():
    objective = Objective(lambda w, batch: (np.sum(np.exp(w) - 2 * w), np.exp(w) - 2))
    w, errors = np.array([1.5, 0.0]), []
    for _ in range(4):
        w, info = Newton().step(objective, w, None)
        errors.append(np.max(np.abs(w - np.log(2))))
        assert info.gamma == 1
    assert all(new <= 0.6 * old**2 + 1e-15 for old, new in itertools.pairwise(errors))


def test_saddles_are_left():
    def value_and_grad(w, batch):
        return np.sum(w**4 / 4 - w**2 / 2), w**3 - w

    objective, w = Objective(value_and_grad), np.array([1e-9, -1e-9, 3.0])
    for _ in range(40):
        w, info = Newton().step(objective, w, None)
    np.testing.assert_allclose(w, [1.0, -1.0, 1.0], rtol=1e-14)
    w, info = Newton().step(objective, np.zeros(3), None)
    assert (w.tolist(), info.outcome, info.reason) == ([0, 0, 0], "skipped", "the gradient is zero")


def test_without_curvature_the_step_is_the_gradient():
    objective = Objective(lambda w, batch: (np.sum(w * [1.0, 2.0]), 0 * w + [1.0, 2.0]))
    w, _ = Newton().step(objective, np.zeros(2), None)
    assert w.tolist() == [-1.0, -2.0]
    # A row of zeros beside one that is not.
    objective = Objective(lambda w, batch: (w[0] ** 2, np.stack([2 * w[0], 0 * w[0]])))
    assert Newton().step(objective, np.ones(2), None)[0].tolist() == [0.0, 1.0]


def test_directions_without_curvature_take_the_step_of_the_largest():
    """λ = 0 along (1, -1), and 2 s along (1, 1), where DHD has 2: the mean of g, and g/2, less."""
    for scale in (1e-20, 1.0, 1e20):
        g = scale * np.array([3.0, 1.0])
        objective = Objective(
            lambda w, batch, g=g, scale=scale: (
                g @ w + scale * (w[0] + w[1]) ** 2 / 2,
                g + scale * (w[0] + w[1]),
            )
        )
        w, info = Newton().step(objective, np.zeros(2), None)
        np.testing.assert_allclose(w, [-1 - 0.5, -1 + 0.5], rtol=1e-12)
        assert info.gamma == 1


def test_piecewise_linear_terms_are_walked_down():
    objective = Objective(
        lambda w, batch: (
            w[0] ** 2 + np.abs(w[1] - 5),
            np.stack([2 * w[0], np.sign(w[1] - 5)]),
        )
    )
    optimizer, w = Newton(), np.array([3.0, -2.6])
    for _ in range(10):
        w, _ = optimizer.step(objective, w, None)
        assert abs(w[1]) < 6
    assert objective.loss(w, None) < 0.05


def test_rounding_of_the_loss_decides_nothing():
    """1e8 + w²/2: the decrease from 1e-5 is lost, and the step is right all the same."""
    objective = Objective(lambda w, batch: (1e8 + w @ w / 2, w))
    w, info = Newton().step(objective, np.array([1e-5]), None)
    assert (w.tolist(), info.outcome) == ([0.0], "accepted")
    wrong = Objective(lambda w, batch: (1e8 + w @ w, -2 * w))
    w, info = Newton().step(wrong, np.array([1.0]), None)
    assert (w.tolist(), info.outcome) == ([1.0], "skipped")


def test_non_finite_trials_are_survived():
    objective = Objective(lambda w, batch: (np.sum(w - np.log(w)), 1 - 1 / w))
    w = np.array([5.0, 0.3])  # the full step from 5 leads to -15
    for _ in range(12):
        w, info = Newton().step(objective, w, None)
        assert info.reason in (None, "the gradient is zero")
    np.testing.assert_allclose(w, 1, rtol=1e-14)
    with np.errstate(invalid="ignore"), pytest.raises(NonFiniteError, match="loss is nan"):
        Newton().step(objective, -w, None)


def test_failures_leave_w_in_place():
    wrong = Objective(lambda w, batch: (-(w @ w), 2 * w))
    _, info = Newton().step(wrong, np.ones(2), None)
    assert (info.outcome, info.reason) == ("skipped", "no step size decreases the loss")
    root = Objective(lambda w, batch: (np.sum(w), np.sqrt(w) + 1))
    with np.errstate(all="ignore"):
        _, info = Newton().step(root, np.zeros(2), None)
    assert (info.outcome, info.reason) == ("skipped", "the Hessian is not finite")


def test_fit_resumes_bit_for_bit(tmp_path):
    def run(epochs, **options):
        objective, w = network()
        return fit(objective, Newton(), w, epochs, checkpoint=tmp_path / "run.npz", **options).w

    expected = run(4)
    run(2)
    assert np.array_equal(run(4, resume=True), expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_device_arrays_give_the_steps_of_the_host(dtype):
    A, x = spd(6, dtype=dtype), np.arange(6).astype(dtype)

    def run(wrap):
        return Newton().step(quadratic(wrap(A), wrap(A @ x)), wrap(0 * x), None)[0]

    w = run(np.asarray)
    assert w.dtype == dtype
    assert np.array_equal(run(StandIn.wrap).get(), w)
    np.testing.assert_allclose(w, x, atol=50 * np.finfo(dtype).eps)


def test_bad_settings_are_refused():
    for value in (0, 2.5, True):
        with pytest.raises(ValueError, match="max_parameters: expected an integer of at least 1"):
            Newton(max_parameters=value)
    objective = Objective(lambda w, batch: (w @ w / 2, w))
    with pytest.raises(ValueError, match=r"at most 2000 parameters, got 2001; use TrustRegion or"):
        Newton().step(objective, np.ones(2001), None)
    with pytest.raises(ValueError, match="at most 2 parameters, got 3"):
        Newton(2).step(objective, np.ones(3), None)
