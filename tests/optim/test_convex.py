"""The trainer on strongly convex problems: to the last digit, whatever the scale of the loss."""

import numpy as np
import pytest

from mcx_optim import NewtonKrylov, fit
from tests.optim.convex import softmax_regression, squared_hinge_svm

PROBLEMS = {"softmax": softmax_regression, "svm": squared_hinge_svm}


@pytest.fixture(params=PROBLEMS)
def convex(request):
    """Both problems in turn."""
    return PROBLEMS[request.param]()


def iterates(convex, options, batch_size=None, epochs=15, seed=0, **objective):
    """Return the iterate after every step from 0."""
    points = []

    def keep(event):
        if event.info is not None:
            points.append(event.w)

    w = np.zeros(convex.optimum.size, objective.get("dtype", np.float64))
    problem = convex.objective(**objective)
    fit(problem, NewtonKrylov(**options), w, epochs, batch_size, seed, callbacks=[keep])
    return points


def gaps(convex, options, *args, **kwargs):
    """Return the gap after every step."""
    return np.array([convex.gap(w) for w in iterates(convex, options, *args, **kwargs)])


def largest_difference(ours, theirs):
    """Return the largest ‖w - v‖/‖v‖ of two sequences of iterates."""
    pairs = zip(ours, theirs, strict=True)
    return max(np.linalg.norm(w - v) / np.linalg.norm(v) for w, v in pairs)


# ----- the yardstick -----


def test_oracle_is_stationary_for_our_loss(convex):
    _, gradient = convex.objective().full(convex.optimum)
    assert np.max(np.abs(gradient)) < 1e-15


@pytest.mark.parametrize("size", [1.0, 1e-2, 1e-4])
def test_gap_is_the_difference_of_losses(convex, size):
    objective = convex.objective()
    w = convex.optimum + size * np.random.default_rng(0).standard_normal(650)
    least, loss = objective.full_loss(convex.optimum), objective.full_loss(w)
    np.testing.assert_allclose(convex.gap(w), loss - least, rtol=1e-12, atol=4e-15)


def test_gap_keeps_its_digits_where_the_difference_of_losses_has_none(convex):
    p = np.random.default_rng(0).standard_normal(650)
    near, nearer = (convex.gap(convex.optimum + size * p) for size in (1e-7, 1e-9))
    np.testing.assert_allclose(nearer / near, 1e-4, rtol=1e-4)


# ----- the full batch -----


@pytest.mark.parametrize("eta", [0.05, 0.2])
def test_full_batch_softmax_regression_converges_superlinearly(eta):
    gap = gaps(softmax_regression(), {"max_cg": 200, "eta": eta})
    assert gap[-1] <= 1e-18
    check_superlinear(gap)


def test_full_batch_svm_converges_within_fifteen_steps():
    """With the default eta it takes sixteen: γ is about 0.45 while the active set changes."""
    gap = gaps(squared_hinge_svm(), {"max_cg": 200, "eta": 0.2})
    assert gap[-1] <= 1e-15
    check_superlinear(gap)


def check_superlinear(gap):
    """Raise AssertionError unless every step near the end has half as many digits again.

    The order 1.5 is that of the forcing tolerance √(‖g‖/‖g₀‖).
    """
    assert np.all(np.diff(gap) <= 1e-16)
    digits = -np.log10(gap[(gap < 1e-3) & (gap > 1e-16)])  # below it rounding decides
    assert len(digits) >= 3
    assert np.all(digits[1:] > 1.4 * digits[:-1])


def test_linear_convergence_is_told_from_superlinear():
    check_superlinear(10.0 ** -np.array([1.0, 2.0, 4.0, 6.0, 9.0, 13.5]))
    with pytest.raises(AssertionError):
        check_superlinear(10.0 ** -np.arange(1.0, 16.0))


@pytest.mark.parametrize("options", [{}, {"screening": False}], ids=str)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_softmax_regression_by_batches_reaches_the_optimum(options, seed):
    convex = softmax_regression()
    assert gaps(convex, options, 512, 15, seed)[-1] <= 1e-14
    assert gaps(convex, options, 128, 5, seed)[-1] <= 1e-11


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_svm_by_batches_converges_linearly(seed):
    """The Hessian of 512 samples tells little of so few active ones: 15 epochs leave 5e-11."""
    gap = gaps(squared_hinge_svm(), {"screening": False}, 512, 20, seed)
    assert gap[-1] <= 1e-11
    epochs = gap[3::4]
    assert np.all(epochs[1:] < 0.6 * epochs[:-1])


@pytest.mark.parametrize("options", [{"rhs": "batch"}, {"literal": True, "max_cg": 5}], ids=str)
def test_gradient_of_the_batch_stays_at_the_noise(convex, options):
    assert gaps(convex, options, 128, 3)[-1] > 1e-2


# ----- what must not matter -----

SETTINGS = {"all": (None, 8, {"max_cg": 200, "eta": 0.2}), "batches": (512, 4, {})}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("scale", [2.0**40, 2.0**-40])
@pytest.mark.parametrize("name", SETTINGS)
def test_scaling_the_loss_by_a_power_of_two_changes_no_bit(convex, name, scale, dtype):
    batch_size, epochs, options = SETTINGS[name]
    plain = iterates(convex, options, batch_size, epochs, dtype=dtype)
    scaled = iterates(convex, options, batch_size, epochs, dtype=dtype, scale=scale)
    assert all(map(np.array_equal, scaled, plain))
    assert convex.gap(plain[-1]) < 0.01 * convex.gap(plain[0])


@pytest.mark.parametrize(
    "change",
    [
        {"scale": 1e12},
        {"scale": 1e-12},
        {"chunk": 7},
        {"order": np.random.default_rng(0).permutation(1797)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_iterates_depend_on_scale_chunks_and_order_by_rounding_alone(change):
    """CG amplifies rounding: by 1e8 in the worst iterate, though not in the last."""
    batch_size, epochs, options = SETTINGS["all"]
    convex = softmax_regression()
    plain = iterates(convex, options, batch_size, epochs)
    changed = iterates(convex, options, batch_size, epochs, **change)
    assert largest_difference(changed[:4], plain[:4]) <= 1e-10
    assert largest_difference(changed, plain) <= 1e-7
    assert largest_difference(changed[-1:], plain[-1:]) <= 1e-8


def test_float32_reaches_its_rounding_floor_and_stays(convex):
    """The last step that a loss of float32 can tell from none leaves a gap below eps F."""
    points = iterates(convex, {"max_cg": 200, "eta": 0.2}, epochs=20, dtype=np.float32)
    assert points[-1].dtype == np.float32
    gap = np.array([convex.gap(w) for w in points])
    floor = np.finfo(np.float32).eps * convex.objective().full_loss(convex.optimum)
    assert np.all(gap[-6:] <= floor)
    assert np.all(gap[1:] <= gap[:-1] + floor)
