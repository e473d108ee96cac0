"""Objective: curvature against dense Hessians, exact means over chunks, counts, clear errors."""

import numpy as np
import pytest

from mcx_nn import Dense, L2Regularized, Sequential, Supervised, softmax_cross_entropy
from mcx_optim import (
    Counts,
    Hessian,
    NonDeterministicError,
    NonFiniteError,
    Objective,
    StepInfo,
)
from mcx_optim.probe import probe
from tests.optim.problems import (
    dense_hessian,
    network,
    network_value_and_grad,
    quadratic,
    small_data,
    small_softmax,
    softmax_hessian,
    softmax_value,
    softmax_value_and_grad,
    spd,
)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_hessian_products_match_the_closed_form(dtype, rng):
    objective, _ = small_softmax(dtype)
    w = rng.standard_normal(15).astype(dtype)
    dense = softmax_hessian(w, objective.data)
    H = Hessian(objective, w, objective.data)
    tolerance = 50 * np.finfo(dtype).eps
    for p in rng.standard_normal((4, 15)).astype(dtype):
        reference, quadratic_form = dense @ p, p @ dense @ p
        atol = tolerance * np.abs(reference).max()
        np.testing.assert_allclose(H @ p, reference, rtol=tolerance, atol=atol)
        np.testing.assert_allclose(
            objective.hvp(w, objective.data, p), reference, rtol=tolerance, atol=atol
        )
        curvature = objective.curvature(w, objective.data, p)
        np.testing.assert_allclose(curvature, quadratic_form, rtol=tolerance)
        assert (H @ p).dtype == dtype
    loss, gradient = softmax_value_and_grad(w, objective.data)
    assert H.loss == float(loss)
    np.testing.assert_array_equal(H.gradient, gradient)


def test_hessian_of_a_network_is_symmetric_indefinite_and_right():
    objective, w = network()
    H = Hessian(objective, w, objective.data)
    columns = np.array([H @ e for e in np.eye(w.size)])
    np.testing.assert_allclose(columns, columns.T, rtol=0, atol=1e-14)
    np.testing.assert_allclose(
        columns, dense_hessian(network_value_and_grad, w, objective.data), rtol=0, atol=1e-7
    )
    assert np.linalg.eigvalsh(columns)[0] < -1e-3


def test_several_directions_at_once_are_rows(rng):
    objective, w = network()
    loss, gradient, hvp = objective.linearize(w, objective.data)
    H = Hessian(objective, w, objective.data)
    dense = dense_hessian(network_value_and_grad, w, objective.data)
    P = rng.standard_normal((3, w.size))
    for product in (hvp(P), H.block(P)):
        np.testing.assert_allclose(product, P @ dense, rtol=0, atol=1e-6)
    np.testing.assert_allclose(H.block(np.eye(w.size)), dense, rtol=0, atol=1e-7)
    assert H.block(P[:1]).shape == (1, w.size)
    assert H.nbytes == hvp.nbytes > w.nbytes
    assert (H.loss, list(H.gradient)) == (loss, list(gradient))


def test_products_of_several_directions_are_counted_each():
    objective, w = small_softmax()
    batch = objective.rows(slice(12))
    H = Hessian(objective, w, batch)
    H.block(np.ones((5, 15)))
    H.block(np.ones((1, 15)))
    H.block(np.ones((0, 15)))
    assert objective.counts == Counts(linearize=12, hvp=6 * 12)
    H @ w
    assert objective.counts == Counts(linearize=12, hvp=7 * 12)


def test_directions_of_the_wrong_shape_are_refused_and_not_counted():
    objective, w = small_softmax()
    H = Hessian(objective, w, objective.data)
    for shape in ((14,), (15, 15), (15, 1), (1, 15), ()):
        with pytest.raises(ValueError, match=r"H @ p: expected p of shape \(15,\).*H.block"):
            H @ np.ones(shape)
    for shape in ((15,), (15, 14), (2, 2, 15), ()):
        with pytest.raises(ValueError, match=r"block: expected rows of length 15, got .*H @ p"):
            H.block(np.ones(shape))
    with pytest.raises(ValueError, match=r"p: expected shape \(15,\)"):
        objective.linearize(w, objective.data)[2](np.ones(14))
    assert objective.counts == Counts(linearize=120)


def test_curvature_without_a_value_function_uses_value_and_grad(rng):
    objective, w = network()
    p = rng.standard_normal(w.size)
    H = Hessian(objective, w, objective.data)
    np.testing.assert_allclose(objective.curvature(w, objective.data, p), p @ (H @ p))


@pytest.mark.parametrize("chunk", [1, 7, 20, 59, 60, 1000])
def test_full_loss_and_gradient_are_means_whatever_the_chunks(chunk, rng):
    objective, _ = small_softmax(chunk=chunk)
    w = rng.standard_normal(15)
    reference, reference_gradient = softmax_value_and_grad(w, objective.data)
    np.testing.assert_allclose(objective.full_loss(w), reference, rtol=1e-14)
    loss, gradient = objective.full(w)
    np.testing.assert_allclose(loss, reference, rtol=1e-14)
    np.testing.assert_allclose(gradient, reference_gradient, atol=1e-15)


def test_counts_are_samples_and_gradient_equivalents_are_gradients_over_all_data():
    objective, w = small_softmax(chunk=16)
    batch = objective.rows(slice(12))
    objective.full(w)
    assert objective.gradient_equivalents() == 1.0
    objective.loss(w, batch)
    H = Hessian(objective, w, batch)
    H @ w
    H @ w
    objective.curvature(w, batch, w)
    objective.hvp(w, batch, w)
    assert objective.counts == Counts(loss=12, gradient=60, linearize=24, hvp=36, curvature=12)
    assert objective.counts.cost() == pytest.approx(12 / 3 + 60 + 24 + 2 * 36 + 2 * 12)
    with objective.uncounted():
        objective.grad(w, batch)
    assert objective.counts.gradient == 60


def test_full_gradient_is_evaluated_once_per_point():
    objective, w = small_softmax()
    loss, gradient = objective.full(w)
    gradient[:] = 0.0  # the caller's own copy
    again, gradient_again = objective.full(w)
    assert again == loss == objective.full_loss(w)
    assert gradient_again.any()
    assert objective.counts == Counts(gradient=60)
    w[0] = 1.0  # the same array at another point
    assert objective.full(w)[0] != loss
    assert objective.counts == Counts(gradient=120)


def test_objective_of_a_problem_has_all_that_it_evaluates(rng):
    problem = Supervised(Sequential([Dense(3, 2)]), softmax_cross_entropy)
    data = rng.normal(size=(10, 3)), rng.integers(0, 2, 10)
    for each in (problem, L2Regularized(problem, 0.5)):
        objective = Objective.of(each, data, chunk=4)
        w = each.init(rng)
        loss, gradient = each.value_and_grad(w, data)
        np.testing.assert_allclose(objective.full(w)[0], loss, rtol=1e-14)
        np.testing.assert_allclose(objective.full(w)[1], gradient, rtol=1e-12, atol=1e-15)
        assert objective.loss(w, data) == each.value(w, data)
        assert objective.counts == Counts(loss=10, gradient=10)  # the loss by `value`
        assert "'0 Dense'" in objective.diagnose(np.full(8, 1e308), data)
        loss, gradient_again, product = objective.gauss_newton(w, data)
        np.testing.assert_array_equal(gradient_again, gradient)
        assert product(w) @ w > 0
        probe(objective, w, data)


def test_state_restores_the_counts_and_the_last_full_evaluation():
    objective, w = small_softmax()
    objective.full(w)
    Hessian(objective, w, objective.data) @ np.ones(15)
    objective.counts += Counts(linearize_gauss_newton=3, gauss_newton=4)
    twin, _ = small_softmax()
    twin.load_state_dict(objective.state_dict())
    assert twin.counts == objective.counts == Counts(0, 60, 60, 60, 0, 3, 4)
    assert twin.full(w)[0] == objective.full(w)[0]
    assert twin.counts == objective.counts


def test_state_that_lacks_a_count_restores_it_as_zero():
    """Such as one saved before that kind of evaluation was counted."""
    objective, _ = small_softmax()
    state = Objective.state_dict(objective) | {"gradient": 7}
    del state["gauss_newton"], state["linearize_gauss_newton"]
    objective.load_state_dict(state)
    assert objective.counts == Counts(gradient=7)
    log = StepInfo("accepted", counts=Counts(gradient=7)).to_dict()
    del log["counts"]["gauss_newton"]
    assert StepInfo.from_dict(log).counts == Counts(gradient=7)


def test_sample_draws_different_rows_by_the_generator():
    objective, _ = small_softmax()
    X, Y = objective.sample(30, np.random.default_rng(3))
    assert (X.shape, Y.shape) == ((30, 5), (30, 3))
    assert len(np.unique(X, axis=0)) == 30
    again = objective.sample(30, np.random.default_rng(3))
    assert np.array_equal(X, again[0])
    for size in (0, 61):
        with pytest.raises(ValueError, match=f"size: expected 1 to 60 samples, got {size}"):
            objective.sample(size, np.random.default_rng(3))


def test_probe_accepts_a_sound_objective():
    objective, w = small_softmax()
    probe(objective, w, objective.data)
    probe(network()[0], network()[1], small_data())


@pytest.mark.parametrize("part", ["loss", "gradient"])
def test_probe_catches_noise(part, rng):
    def noisy(w, batch):
        loss, gradient = softmax_value_and_grad(w, batch)
        noise = 1e-3 * rng.standard_normal()
        return (loss + noise, gradient) if part == "loss" else (loss, gradient + noise)

    objective = Objective(noisy, data=small_data())
    with pytest.raises(NonDeterministicError, match=f"{part} differs .*60 samples.*dropout"):
        probe(objective, np.zeros(15), objective.data)


def test_probe_catches_a_value_that_is_not_the_loss_of_the_gradient():
    objective = Objective(
        softmax_value_and_grad, lambda w, b: softmax_value(w, b) + 1e-3, data=small_data()
    )
    with pytest.raises(ValueError, match="value and value_and_grad disagree"):
        probe(objective, np.zeros(15), objective.data)


def nan_network(w, batch):
    """Return a loss that is NaN where w[0] > 1."""
    return np.sum(np.where(w > 1, np.nan, w * w)) / 2, w


@pytest.mark.parametrize(
    ("first_nonfinite", "expected"),
    [
        (None, "pass first_nonfinite to Objective"),
        (lambda w, batch: "2 Dense", "first layer with a non-finite output is '2 Dense'"),
        (lambda w, batch: None, "all layers are finite"),
    ],
)
def test_non_finite_loss_names_the_layer(first_nonfinite, expected):
    objective = Objective(nan_network, first_nonfinite=first_nonfinite)
    w = np.array([2.0, 1.0])
    for evaluate in (objective.value_and_grad, objective.linearize):
        with pytest.raises(NonFiniteError, match=f"loss is nan on the batch.*{expected}"):
            evaluate(w, None)
    with pytest.raises(NonFiniteError, match="loss is nan"):
        objective.full(w)
    assert np.isnan(objective.loss(w, None))  # a trial, which the caller judges


def test_non_finite_w_is_named():
    with pytest.raises(NonFiniteError, match="w itself is not finite"):
        Objective(nan_network).value_and_grad(np.array([np.inf, 1.0]), None)


def test_non_finite_gradient_is_named():
    objective = Objective(lambda w, batch: (w @ w, w / np.zeros_like(w)))
    with np.errstate(divide="ignore"), pytest.raises(NonFiniteError, match="gradient is not fin"):
        objective.value_and_grad(np.ones(2), None)


@pytest.mark.parametrize(
    ("w", "error", "message"),
    [
        ([1.0, 2.0], TypeError, "w: expected an array of float32 or float64, got list"),
        (np.array([1, 2]), TypeError, "float32 or float64, got int64"),
        (np.ones(2, np.float16), TypeError, "float32 or float64, got float16"),
        (np.ones(2, complex), TypeError, "float32 or float64, got complex128"),
        (np.ones((2, 2)), ValueError, r"one flat vector \(P,\).*got shape \(2, 2\)"),
        (np.ones(0), ValueError, r"P > 0, got shape \(0,\)"),
    ],
)
def test_bad_w_is_refused(w, error, message):
    objective = quadratic(spd(2), np.ones(2))
    for evaluate in (objective.value_and_grad, objective.linearize):
        with pytest.raises(error, match=message):
            evaluate(w, None)


@pytest.mark.parametrize(
    ("value_and_grad", "message"),
    [
        (lambda w, b: (w @ w, w[:1]), r"gradient: expected shape \(2,\).*got \(1,\)"),
        (lambda w, b: (w @ w, w.astype("f4")), "dtype float64 as w has, got .* float32"),
        (lambda w, b: (w * w, w), r"loss: expected one number, got shape \(2,\)"),
    ],
)
def test_results_of_the_wrong_shape_or_dtype_are_refused(value_and_grad, message):
    with pytest.raises(ValueError, match=message):
        Objective(value_and_grad).value_and_grad(np.ones(2), None)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"data": (np.ones(3), np.ones(4))}, r"data: expected arrays of one length.*\(3, 4\)"),
        ({"data": (np.ones(0), np.ones(0))}, "data: expected at least one sample"),
        ({"data": ()}, "data: expected"),
        ({"chunk": 0}, "chunk: expected an integer of at least 1, got 0"),
    ],
)
def test_bad_settings_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Objective(softmax_value_and_grad, **options)


def test_errors_do_not_dump_arrays():
    objective, _ = small_softmax()
    with pytest.raises(NonFiniteError) as caught:
        objective.value_and_grad(np.full(15, np.nan), objective.data)
    assert len(str(caught.value)) < 300
