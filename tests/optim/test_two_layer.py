"""The two-layer closed forms, line by line, against dense Hessians of the network as it is read."""

import numpy as np
import pytest

import mcx
from mcx_optim.two_layer import two_layer_direction, two_layer_spectrum

INPUTS, UNITS = 3, 5


def problem(seed, units=UNITS):
    """Return W1, w2, x, slope and curvature, of either sign."""
    rng = np.random.default_rng(seed)
    slope, curvature = rng.standard_normal(2)
    W1, w2, x = rng.standard_normal((INPUTS, units)), *map(rng.standard_normal, (units, INPUTS))
    return W1, w2, x, slope, curvature


def with_active(count, seed=0, **changes):
    """Return a problem of which `count` units are active."""
    W1, w2, x, slope, curvature = problem(seed)
    W1 = W1 * np.sign(x @ W1) * np.where(np.arange(UNITS) < count, 1, -1)
    case = {"W1": W1, "w2": w2, "x": x, "slope": slope, "curvature": curvature}
    return tuple((case | changes).values())


def opposed(sign, slope=1.5, curvature=0.5):
    """Return a problem where a = sign ‖x‖ w2 exactly, so that one of p and m is 0."""
    return (
        np.array([[1.0, 2.0, -1.0]]),
        sign * np.array([1.0, 2.0, 7.0]),
        np.array([2.0]),
        (slope),
        curvature,
    )


CASES = {
    **{f"random {seed}": problem(seed) for seed in range(20)},
    **{f"{count} active": with_active(count) for count in range(UNITS + 1)},
    "fitted": with_active(3, slope=0.0, curvature=2.0),
    "fitted, concave": with_active(3, slope=0.0, curvature=-2.0),
    "linear loss": with_active(3, curvature=0.0),
    "flat loss": with_active(3, slope=0.0, curvature=0.0),
    "nearly fitted": with_active(4, slope=1e-9, curvature=1.0),
    "m is 0": opposed(1),
    "p is 0": opposed(-1),
    "p is 0, linear loss": opposed(-1, curvature=0.0),
    "p is nearly 0": (np.eye(3), np.full(3, -1 / 3**0.5) + 1e-12, np.ones(3), 0.3, 0.7),
    "no sample": with_active(3, x=np.zeros(INPUTS)),
}


def network(v, x, shape):
    """Return o = relu(x W1) w2 for v = (W1, w2) in a row."""
    size = shape[0] * shape[1]
    return np.maximum(x @ v[:size].reshape(shape), 0) @ v[size:]


def derivatives(W1, w2, x, slope, curvature):
    """Return gradient and Hessian, by mcx, of a loss of o with that slope and curvature."""
    v = np.concatenate([W1.reshape(-1), w2])
    target = network(v, x, W1.shape)

    def loss(v):
        change = network(v, x, W1.shape) - target
        return slope * change + curvature / 2 * change**2

    return mcx.gradient(loss, v), mcx.hessian(loss, v)


def filled(spectrum, size):
    """Return a spectrum with its zeros, in ascending order."""
    return np.sort(np.concatenate([spectrum, np.zeros(size - len(spectrum))]))


@pytest.fixture(params=CASES.values(), ids=CASES.keys())
def case(request):
    return request.param


def flat(steps):
    return np.concatenate([steps[0].reshape(-1), steps[1]])


def floored(h):
    """Return |h|, at least a hundredth of the largest, and more."""
    return np.maximum(np.abs(h), np.abs(h).max() / 100) ** 0.5 + 0.2


# ----- spectrum -----


def test_spectrum_is_that_of_the_dense_hessian(case):
    W1, w2, x, _, _ = case
    H = derivatives(*case)[1]
    spectrum = two_layer_spectrum(*case)
    assert spectrum.dtype == np.float64
    assert len(spectrum) == 2 * np.sum(x @ W1 > 0)
    expected = np.linalg.eigvalsh(H)
    atol = 1e-13 * np.abs(expected).max()
    np.testing.assert_allclose(filled(spectrum, W1.size + w2.size), expected, rtol=0, atol=atol)


def test_trace_and_spectrum_of_a_linear_loss():
    """Trace H = c ‖∇o‖², and with c = 0 all is ±τ."""
    W1, w2, x, slope, _ = with_active(4)
    v = np.concatenate([W1.reshape(-1), w2])
    gradient = mcx.gradient(lambda v: network(v, x, W1.shape), v)
    spectrum = two_layer_spectrum(W1, w2, x, slope, 0.7)
    assert spectrum.sum() == pytest.approx(0.7 * gradient @ gradient, rel=1e-14)
    tau = abs(slope) * np.linalg.norm(x)
    np.testing.assert_allclose(
        two_layer_spectrum(W1, w2, x, slope, 0.0), [-tau] * 4 + [tau] * 4, rtol=1e-14
    )


def test_small_eigenvalue_keeps_its_digits():
    """λ₊ λ₋ = -τ (τ + 2c‖x‖o), so that λ₋ is near -2τ‖x‖o/‖∇o‖² for small τ."""
    W1, w2, x, slope, _ = with_active(1, slope=1e-12)
    o, norm = network(np.concatenate([W1.reshape(-1), w2]), x, W1.shape), np.linalg.norm(x)
    smaller, larger = sorted(two_layer_spectrum(W1, w2, x, slope, 1.0), key=abs)
    tau = slope * norm
    assert smaller * larger == pytest.approx(-tau * (tau + 2 * norm * o), rel=1e-13, abs=0)


def test_bias_of_the_units_is_a_row_for_an_input_of_one():
    W1, w2, x, slope, curvature = with_active(4)
    bias = np.linspace(-0.5, 0.5, UNITS)
    v = np.concatenate([W1.reshape(-1), bias, w2])

    def loss(v):
        W1, bias, w2 = v[:W1_size], v[W1_size:-UNITS], v[-UNITS:]
        o = np.maximum(x @ W1.reshape(INPUTS, UNITS) + bias, 0) @ w2
        return slope * (o - target) + curvature / 2 * (o - target) ** 2

    W1_size = W1.size
    target = network(
        np.concatenate([np.vstack([W1, bias]).reshape(-1), w2]),
        np.append(x, 1),
        (INPUTS + 1, UNITS),
    )
    augmented = np.vstack([W1, bias]), w2, np.append(x, 1.0), slope, curvature
    expected = np.linalg.eigvalsh(mcx.hessian(loss, v))
    np.testing.assert_allclose(
        filled(two_layer_spectrum(*augmented), v.size), expected, rtol=0, atol=1e-13
    )
    H, g = mcx.hessian(loss, v), mcx.gradient(loss, v)
    newton = flat(two_layer_direction(*augmented, lambda h: h))
    np.testing.assert_allclose(H @ newton, -g, rtol=0, atol=1e-12)


def test_bias_of_the_output_has_no_such_form():
    """±τ stay, and the others are the eigenvalues of diag(τ, -τ, 0) + c v vᵀ, v = (√p, √m, 1)."""
    W1, w2, x, slope, curvature = with_active(4)
    v = np.concatenate([W1.reshape(-1), w2, [0.0]])
    target = network(v[:-1], x, W1.shape)

    def loss(v):
        change = network(v[:-1], x, W1.shape) + v[-1] - target
        return slope * change + curvature / 2 * change**2

    expected = np.linalg.eigvalsh(mcx.hessian(loss, v))
    without = filled(two_layer_spectrum(W1, w2, x, slope, curvature), v.size)
    assert not np.allclose(without, expected, atol=1e-2)
    active = x @ W1 > 0
    a, w, norm = (x @ W1)[active], w2[active], np.linalg.norm(x)
    root = np.array([np.linalg.norm(a + norm * w), np.linalg.norm(a - norm * w), 2**0.5]) / 2**0.5
    tau = slope * norm
    three = np.linalg.eigvalsh(np.diag([tau, -tau, 0]) + curvature * np.outer(root, root))
    known = filled(np.concatenate([[tau, -tau] * 3, three]), v.size)
    np.testing.assert_allclose(known, expected, rtol=0, atol=1e-13)


# ----- direction -----


def dense_direction(case, adjustment):
    """Return -φ(H)⁻¹ g on the image of H, where g lies."""
    g, H = derivatives(*case)
    h, V = np.linalg.eigh(H)
    image = np.abs(h) > 1e-13 * np.abs(h).max()
    assert np.linalg.norm(g - V[:, image] @ (V[:, image].T @ g)) <= 1e-13 * np.linalg.norm(g)
    return -V[:, image] @ (V[:, image].T @ g / adjustment(h)[image])


@pytest.mark.parametrize("adjustment", [np.abs, floored, lambda h: h], ids=["abs", "floor", "h"])
def test_direction_is_that_of_the_dense_hessian(case, adjustment):
    W1, w2, _, _, _ = case
    steps = two_layer_direction(*case, adjustment)
    assert (steps[0].shape, steps[1].shape) == (W1.shape, w2.shape)
    expected = dense_direction(case, adjustment)
    h = two_layer_spectrum(*case)
    adjusted = np.abs(adjustment(h)[h != 0]) if h.any() else np.ones(1)
    atol = 1e-13 * max(1, adjusted.max() / adjusted.min()) * np.abs(expected).max()
    np.testing.assert_allclose(flat(steps), expected, rtol=0, atol=atol)


def test_newton_solves_the_newton_equation():
    for seed in range(20):
        case = problem(seed)
        g, H = derivatives(*case)
        newton = flat(two_layer_direction(*case, lambda h: h))
        W1, w2, x, slope, curvature = case
        # The oracle's slope is that at an output with the rounding of a product of its own.
        inputs = np.maximum(x @ W1, 0)
        rounding = 4 * np.finfo(float).eps * abs(curvature) * (np.abs(inputs) @ np.abs(w2))
        bound = 1e-13 * np.abs(H).max() * np.abs(newton).max()
        bound += rounding * np.abs(g).max() / abs(slope) + 1e-300
        np.testing.assert_allclose(H @ newton, -g, rtol=0, atol=bound)


def test_absolute_direction_descends_where_newton_climbs():
    climbing = 0
    for seed in range(40):
        case = problem(seed)
        g = derivatives(*case)[0]
        if not g.any():
            continue
        assert g @ flat(two_layer_direction(*case, np.abs)) < 0
        climbing += g @ flat(two_layer_direction(*case, lambda h: h)) > 0
    assert climbing > 5


def test_largest_eigenvalue_is_one_of_the_two(case):
    """So that a floor relative to the largest is that of the whole spectrum."""
    seen = []
    two_layer_direction(*case, lambda h: seen.append(h) or np.ones(2))
    spectrum = two_layer_spectrum(*case)
    for h in seen:
        assert np.abs(h).max() == pytest.approx(np.abs(spectrum).max(), rel=1e-14)
    assert len(seen) == (case[3] != 0 and len(spectrum) > 0)


@pytest.mark.parametrize("scale", [2.0**-80, 2.0**90])
def test_scale_of_the_loss_is_no_matter(scale):
    W1, w2, x, slope, curvature = case = problem(1)
    scaled = two_layer_direction(W1, w2, x, scale * slope, scale * curvature, np.abs)
    np.testing.assert_allclose(flat(scaled), flat(two_layer_direction(*case, np.abs)), rtol=1e-13)


def test_float32_stays_and_agrees():
    W1, w2, x, slope, curvature = case = with_active(3)
    narrow = [array.astype(np.float32) for array in (W1, w2, x)]
    steps = two_layer_direction(*narrow, slope, curvature, floored)
    assert steps[0].dtype == steps[1].dtype == np.float32
    np.testing.assert_allclose(flat(steps), flat(two_layer_direction(*case, floored)), rtol=2e-5)
    np.testing.assert_allclose(
        two_layer_spectrum(*narrow, slope, curvature), two_layer_spectrum(*case), rtol=2e-6
    )


def test_arguments_are_left_as_they_are():
    case = with_active(3)
    before = [array.copy() for array in case[:3]]
    two_layer_spectrum(*case)
    two_layer_direction(*case, np.abs)
    for array, kept in zip(case[:3], before, strict=True):
        np.testing.assert_array_equal(array, kept)


def test_adjustment_to_zero_is_refused():
    with pytest.raises(ValueError, match=r"adjustment: expected values other than 0, got \[1. 0."):
        two_layer_direction(*with_active(3), lambda h: np.array([1.0, 0.0]))
