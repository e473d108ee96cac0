"""Piecewise-linear networks, second order, mostly of one layer: against dense Hessians."""

import numpy as np
import pytest

import mcx
from mcx_nn import (
    Activation,
    Dense,
    Dropout,
    L2Regularized,
    Sequential,
    Supervised,
    mean_squared_error,
)
from mcx_optim import Objective
from mcx_optim.exact_gauss_newton import gauss_newton_direction
from mcx_optim.joint_hessian import JointHessian
from mcx_optim.sample_hessian import SampleHessians, newton_direction, spectrum, trace
from mcx_optim.sample_layers import backpropagate, matrices_of, vector_of
from mcx_optim.spectral_adjustment import SpectralAdjustment
from tests.optim.piecewise import (
    CASES,
    TOLERANCE,
    Problem,
    case_of,
    close,
    make,
    names,
    of_matrix,
    padded,
)
from tests.standin import StandIn

# ----- backpropagation -----


@pytest.mark.parametrize("case", CASES, ids=names)
def test_backpropagation_is_that_of_every_sample(case):
    problem = make(*case, samples=4)
    layers, slope, curvature = backpropagate(problem.network)
    for b, sample in enumerate(problem.samples()):
        close(slope[b], sample.slope, scale=1)  # differences of probabilities
        close(curvature[b], sample.C, scale=1)
        for layer, a, B, delta in zip(layers, sample.a, sample.B, sample.delta, strict=True):
            close(layer.norm[b, 0], np.linalg.norm(a))
            close(layer.unit[b], a[:-1] / np.linalg.norm(a), scale=1)
            close(layer.jacobian[b], B)
            close(layer.delta[b], delta, scale=max(1, np.abs(B).max()))
            close(layer.size[b, 0], np.linalg.norm(layer.delta[b]))
            close(layer.size[b] * layer.along[b], layer.delta[b])


def test_weights_and_biases_go_to_their_slots():
    problem = make((4, 5, 3), "relu", "softmax")
    network, slots = problem.network, problem.problem.slots
    assert np.array_equal(vector_of(network, matrices_of(network, problem.w)), problem.w)
    order = ["2.bias", "0.weight", "2.weight", "0.bias"]
    sizes = [slots[name][0].stop - slots[name][0].start for name in order]
    ends = np.cumsum(sizes).tolist()
    network.slots.update(
        {
            name: (slice(end - size, end), slots[name][1])
            for name, end, size in zip(order, ends, sizes, strict=True)
        }
    )
    pairs = [(f"{k}.weight", f"{k}.bias") for k in (0, 2)]
    params = {name: np.full(slots[name][1], float(k)) for k, name in enumerate(order)}
    w = vector_of(network, [[params[name] for name in pair] for pair in pairs])
    assert np.array_equal(w, np.repeat(np.arange(4.0), sizes))


# ----- one sample, one layer (1.1) -----


@pytest.mark.parametrize("case", CASES, ids=names)
def test_block_of_a_layer_is_a_kronecker_product(case):
    problem, samples = case_of(*case)
    hessians = problem.hessians
    for b, sample in enumerate(samples):
        for k, (a, B, place) in enumerate(zip(sample.a, sample.B, sample.places, strict=True)):
            block = sample.H[place, place]
            M = B.T @ sample.C @ B
            close(block, np.kron(np.outer(a, a), M), np.linalg.norm(sample.H))
            values = hessians.eigenvalues(k)[b]
            assert len(values) == min(B.shape)
            close(padded(values, len(block)), np.linalg.eigvalsh(block))
            close(hessians.trace(k)[b], np.trace(block))


@pytest.mark.parametrize("case", [case for case in CASES if case[2] == "softmax"], ids=names)
def test_cross_entropy_has_one_eigenvalue_less_than_classes(case):
    problem = make(*case)
    for layer in range(len(case[0]) - 1):
        values = problem.hessians.eigenvalues(layer)
        assert (values > -TOLERANCE * values.max()).all()
        nonzero = (values > TOLERANCE * values.max()).sum(axis=1)
        assert (nonzero <= case[0][-1] - 1).all()


def test_scalar_output_has_one_eigenvalue():
    problem = make((3, 4, 4, 1), "leaky_relu", "squares")
    for layer in range(3):
        values = problem.hessians.eigenvalues(layer)
        for b, sample in enumerate(problem.samples()):
            slope = sample.J[0, sample.places[layer]]
            close(values[b], sample.C[0] * (slope @ slope))


@pytest.mark.parametrize("case", CASES, ids=names)
def test_damped_newton_direction_of_a_layer(case):
    problem, damping = make(*case, samples=1), 0.3
    (sample,) = problem.samples()
    step = problem.hessians.direction(lambda h: h + damping)
    for place, a, B, delta in zip(sample.places, sample.a, sample.B, sample.delta, strict=True):
        H, g = sample.H[place, place], sample.g[place]
        dense = np.linalg.solve(H + damping * np.eye(len(g)), -g)
        s, K, shape = a @ a, len(sample.C), (len(a), len(delta))
        by_units = np.linalg.solve(damping * np.eye(len(delta)) + s * B.T @ sample.C @ B, -delta)
        by_outputs = -B.T @ np.linalg.solve(
            damping * np.eye(K) + s * sample.C @ B @ B.T, sample.slope
        )
        for expected in (dense.reshape(shape), np.outer(a, by_units), np.outer(a, by_outputs)):
            close(step[place].reshape(shape), expected, tolerance=1e-12)


@pytest.mark.parametrize("damping", [0.0, 0.2])
@pytest.mark.parametrize("case", CASES, ids=names)
def test_newton_direction_of_a_layer_with_a_ridge(case, damping):
    problem, ridge = make(*case, samples=1), 0.1
    (sample,) = problem.samples()
    step = problem.hessians.direction(lambda h: h + damping, w=problem.w, ridge=ridge)
    for k, place in enumerate(sample.places):
        H, g, w = sample.H[place, place], sample.g[place], problem.w[place]
        dense = np.linalg.solve(H + (damping + ridge) * np.eye(len(g)), -g - ridge * w)
        close(step[place], dense, tolerance=1e-12)
        if damping == 0:
            a, W, delta = sample.a[k], sample.W[k], sample.delta[k]
            M = sample.B[k].T @ sample.C @ sample.B[k]
            z = a @ W
            inner = np.linalg.solve(ridge * np.eye(len(z)) + a @ a * M, M @ z - delta)
            close(step[place], (np.outer(a, inner) - W).ravel(), tolerance=1e-12)


def test_newton_is_a_step_size_rule_for_scalar_outputs():
    problem, damping = make((3, 4, 4, 1), "leaky_relu", "squares", samples=1), 0.3
    (sample,) = problem.samples()
    step = problem.hessians.direction(lambda h: h + damping)
    for place, a, B in zip(sample.places, sample.a, sample.B, strict=True):
        rate = 1 / (damping + sample.C[0, 0] * np.sum(B**2) * np.sum(a**2))
        close(step[place], -rate * sample.g[place])


# ----- adjusted directions, by layer and jointly -----


ADJUSTMENTS = {
    "absolute": SpectralAdjustment(0.0, 1e-2),
    "default": SpectralAdjustment(),
    "root": SpectralAdjustment(0.1, 1e-3, 0.5),
    "newton": lambda h: h + 0.05,
}


@pytest.mark.parametrize("mode", ["layer", "joint"])
@pytest.mark.parametrize("ridge", [0.0, 0.3])
@pytest.mark.parametrize("name", ADJUSTMENTS)
@pytest.mark.parametrize("case", CASES, ids=names)
def test_direction_is_the_mean_of_dense_directions(case, name, ridge, mode):
    (problem, samples), adjustment = case_of(*case), ADJUSTMENTS[name]
    step = problem.hessians.direction(adjustment, mode, problem.w, ridge)
    expected = []
    for sample in samples:
        gradient = sample.g + ridge * problem.w
        blocks = sample.places if mode == "layer" else [slice(None)]
        expected.append(np.zeros_like(gradient))
        for place in blocks:
            expected[-1][place] = of_matrix(
                sample.H[place, place], gradient[place], lambda h: adjustment(h) + ridge
            )
    sizes = np.linalg.norm(expected, axis=1)
    close(step, np.mean(expected, axis=0), scale=sizes.max(), tolerance=2e-12)


def test_spectral_adjustment():
    h = np.array([[-4.0, 0.0, 1.0], [0.0, 0.0, 0.0]])
    for damping, floor, power in [
        (0.0, 0.0, 1.0),
        (0.5, 0.1, 1.0),
        (0.1, 0.5, 0.5),
        (2.0, 0.1, 0.0),
    ]:
        phi = SpectralAdjustment(damping, floor, power)(h)
        least = 4 * floor
        expected = [max(x, least) ** power + damping for x in (4.0, 0.0, 1.0)]
        close(phi, np.array([expected, [0.0**power + damping] * 3]))
    default = SpectralAdjustment()
    assert (default.floor, default.power) == (1e-3, 1.0)
    assert SpectralAdjustment()(h.astype(np.float32)).dtype == np.float32


@pytest.mark.parametrize(
    "bad",
    [
        {"damping": -1e-9},
        {"damping": np.inf},
        {"damping": np.nan},
        {"floor": -0.1},
        {"floor": 1.1},
        {"floor": np.nan},
        {"power": -1.0},
        {"power": np.inf},
    ],
    ids=str,
)
def test_spectral_adjustment_out_of_range(bad):
    (name,) = bad
    with pytest.raises(ValueError, match=f"{name}: expected a number"):
        SpectralAdjustment(**bad)


# ----- networks, arrays, objectives -----


def test_dropout_with_its_masks():
    model = Sequential(
        [
            Dropout(0.2),
            Sequential([Dense(4, 6), Activation("relu"), Dropout(0.5)]),
            Dense(6, 3),
            Activation("leaky_relu"),
        ]
    )
    rng = np.random.default_rng(4)
    problem = Supervised(model, mean_squared_error)
    w, batch = problem.init(rng), (rng.random((3, 4)), rng.random((3, 3)))
    problem.draw_masks(rng, batch)
    hessians = SampleHessians(problem.piecewise_linear(w, batch))
    whole = mcx.hessian(lambda v: problem.value(v, batch), w)
    close(hessians.trace().mean(), np.trace(whole))
    joint = JointHessian(hessians.layers, hessians.curvature)
    squares = np.square(joint.matrices()).sum(axis=(1, 2))
    masks = problem.context["masks"]
    for b in range(3):
        one = batch[0][b : b + 1], batch[1][b : b + 1]
        own = {name: mask[b : b + 1] for name, mask in masks.items()}
        problem.context = {**problem.context, "masks": own}
        H = mcx.hessian(lambda v, one=one: problem.value(v, one), w)
        close(squares[b], np.sum(H**2))


@pytest.mark.parametrize("mode", ["layer", "joint"])
def test_precision_is_that_of_w(mode):
    problem = make((3, 5, 4, 2), "leaky_relu", "softmax")
    rounded = Problem(
        problem.problem,
        problem.w.astype(np.float32),
        (problem.batch[0].astype(np.float32), problem.batch[1]),
    )
    for get in (
        lambda each: each.hessians.direction(SpectralAdjustment(), mode, each.w, 0.1),
        lambda each: each.hessians.eigenvalues(layer=1),
        lambda each: each.hessians.eigenvalues(largest=2),
        lambda each: each.hessians.trace(),
    ):
        assert get(rounded).dtype == np.float32
        close(get(rounded), get(problem), tolerance=2e-5)


def test_device_arrays_give_the_numbers_of_the_host():
    problem = make((3, 5, 4, 2), "leaky_relu", "softmax")
    device = Problem(
        problem.problem, StandIn.wrap(problem.w), tuple(map(StandIn.wrap, problem.batch))
    )
    for get in (
        lambda each: each.hessians.direction(SpectralAdjustment(), "layer", each.w, 0.1),
        lambda each: each.hessians.direction(SpectralAdjustment(), "joint", each.w, 0.1),
        lambda each: each.hessians.direction(SpectralAdjustment(), "joint"),
        lambda each: each.hessians.eigenvalues(layer=1, largest=1),
        lambda each: each.hessians.eigenvalues(),
        lambda each: each.hessians.eigenvalues(largest=2),
        lambda each: each.hessians.trace(),
        lambda each: gauss_newton_direction(each.network, 0.1),
    ):
        assert np.array_equal(get(device).get(), get(problem))


def test_public_functions_take_an_objective():
    problem = make((3, 5, 2), "relu", "softmax")
    regularized = L2Regularized(problem.problem, 0.5)
    objective = Objective.of(regularized)
    hessians = problem.hessians
    for layer in (None, 0, 1):
        found = spectrum(objective, problem.w, problem.batch, layer)
        assert np.array_equal(found, hessians.eigenvalues(layer))
        found = trace(objective, problem.w, problem.batch, layer)
        assert np.array_equal(found, hessians.trace(layer))
    found = spectrum(objective, problem.w, problem.batch, largest=2)
    assert found.shape == (3, 2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda h: h.eigenvalues(2), "layer: expected a position from 0 to 1"),
        (lambda h: h.trace(-1), "layer: expected a position from 0 to 1"),
        (lambda h: h.trace("0"), "layer: expected a position from 0 to 1"),
        (lambda h: h.eigenvalues(largest=0), "largest: expected an integer of at least 1"),
        (lambda h: h.direction(abs, "all"), "mode: expected 'layer' or 'joint', got 'all'"),
        (lambda h: h.direction(abs, ridge=-1.0), "ridge: expected a number of at least 0"),
        (lambda h: h.direction(abs, ridge=1.0), "w: expected the point of the network"),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call(make((3, 5, 2), "relu", "softmax").hessians)


@pytest.mark.parametrize("mode", ["layer", "joint"])
def test_direction_of_an_objective_knows_its_l2_term(mode):
    problem, adjustment = make((3, 5, 2), "relu", "softmax"), SpectralAdjustment(0.3)
    plain, regularized = problem.problem, L2Regularized(problem.problem, 0.5)
    for each, ridge in ((plain, 0.0), (regularized, 0.5)):
        found = newton_direction(Objective.of(each), problem.w, problem.batch, adjustment, mode)
        expected = problem.hessians.direction(adjustment, mode, problem.w, ridge)
        assert np.array_equal(found, expected)
    found = newton_direction(Objective.of(plain), problem.w, problem.batch, mode=mode)
    expected = problem.hessians.direction(SpectralAdjustment(), mode)
    assert np.array_equal(found, expected)
