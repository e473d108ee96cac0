"""Kronecker factors of the Gauss-Newton matrix: blocks, inverse, age, precision and state."""

import itertools
import re
from types import SimpleNamespace

import numpy as np
import pytest

from mcx_nn import (
    Activation,
    Conv2d,
    Dense,
    Flatten,
    L2Regularized,
    LayerNorm,
    Sequential,
    Supervised,
    mean_squared_error,
    softmax_cross_entropy,
)
from mcx_optim import KFAC, HessianFree, Kronecker, NewtonKrylov, Objective, fit
from mcx_optim.kronecker import blocks_of
from tests.optim.test_observe import dense_matrix, problem_with

# ----- blocks -----


def blocks(layers):
    """Return where the blocks of a model begin and end, and their shapes."""
    problem = Supervised(Sequential(layers), softmax_cross_entropy)
    observed = [name for name in problem.slots if name.endswith("weight")]
    found = blocks_of(SimpleNamespace(slots=problem.slots), observed)
    ends = [(place.start, place.stop) for _, place, _ in found]
    assert (ends[0][0], ends[-1][1]) == (0, problem.parameters_size)
    assert all(before[1] == after[0] for before, after in itertools.pairwise(ends))
    return [(*end, shape) for end, (_, _, shape) in zip(ends, found, strict=True)]


def test_a_weight_and_its_bias_are_one_matrix():
    assert blocks([Dense(3, 4), Activation("tanh"), Dense(4, 2)]) == [
        (0, 16, (4, 4)),
        (16, 26, (5, 2)),
    ]


def test_filters_are_a_matrix_of_inputs_and_outputs():
    layers = [Conv2d(2, 3, 5), Flatten(), Dense(12, 2)]
    assert blocks(layers) == [(0, 153, (51, 3)), (153, 179, (13, 2))]


def test_parameters_of_other_layers_are_columns():
    layers = [Dense(3, 4), LayerNorm(4), Dense(4, 2)]
    assert blocks(layers) == [
        (0, 16, (4, 4)),
        (16, 20, (4, 1)),
        (20, 24, (4, 1)),
        (24, 34, (5, 2)),
    ]


def test_weight_that_is_not_observed_is_a_column_and_so_is_its_bias():
    slots = {"weight": (slice(0, 6), (3, 2)), "bias": (slice(6, 8), (2,))}
    assert blocks_of(SimpleNamespace(slots=slots), []) == [
        (None, slice(0, 6), (6, 1)),
        (None, slice(6, 8), (2, 1)),
    ]


def test_objective_without_slots_or_draws_is_refused():
    problem, w, batch = problem_with(softmax_cross_entropy)
    optimizer = NewtonKrylov(preconditioner=Kronecker())
    objective = Objective(problem.value_and_grad, observe=problem.observe, data=batch)
    with pytest.raises(ValueError, match=r"expected an objective with slots .* Objective\.of"):
        optimizer.step(objective, w, batch)
    with pytest.raises(ValueError, match=r"expected an objective with observe.* Objective\.of"):
        optimizer.step(Objective(problem.value_and_grad, data=batch), w, batch)


# ----- factors -----


LAYER = {"weight": (slice(0, 12), (4, 3))}


def rows(count=9, inputs=4, outputs=3, seed=0, scale=1.0):
    """Return random inputs and slopes of one weight."""
    rng = np.random.default_rng(seed)
    A, D = rng.standard_normal((count, inputs)), rng.standard_normal((count, outputs))
    return SimpleNamespace(inputs=A * np.arange(1.0, inputs + 1), slopes=scale * D)


def showing(batches, slots=LAYER):
    """Return an objective that shows one batch after another: (vector, parts) or rows."""
    whole = (
        (np.zeros(0), [(1.0, {"weight": each})]) if isinstance(each, SimpleNamespace) else each
        for each in batches
    )
    return SimpleNamespace(slots=slots, ridge=0.0, observe=lambda w, batch, rng: next(whole))


def updated(batches, slots=LAYER, **options):
    """Return a Kronecker that has seen these batches."""
    objective, M = showing(batches, slots), Kronecker(**options)
    for _ in batches:
        M.update(objective, None, None, None)
    return M


def factors(each):
    return each.inputs.T @ each.inputs / len(each.inputs), each.slopes.T @ each.slopes


def dense_inverse(M, damping, size):
    inverse = M.damped(damping)
    return np.array([inverse @ e for e in np.eye(size)]).T


def inverse_of(L, R, damping):
    """Return the inverse of (L + π√λ I) ⊗ (R + √λ/π I), π² the ratio of mean eigenvalues."""
    root, pi = damping**0.5, (np.trace(L) / len(L) / (np.trace(R) / len(R))) ** 0.5
    return np.linalg.inv(np.kron(L + pi * root * np.eye(len(L)), R + root / pi * np.eye(len(R))))


@pytest.mark.parametrize("damping", [0.01, 1.0, 100.0])
def test_inverse_is_that_of_the_dense_matrix_of_the_factors(damping):
    expected = inverse_of(*factors(rows()), damping)
    found = dense_inverse(updated([rows()]), damping, 12)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


def test_bias_is_one_more_row_with_the_input_1():
    slots = LAYER | {"bias": (slice(12, 15), (3,))}
    each = rows()
    longer = SimpleNamespace(
        inputs=np.concatenate([each.inputs, np.ones((9, 1))], axis=1), slopes=each.slopes
    )
    expected = inverse_of(*factors(longer), 0.1)
    np.testing.assert_allclose(
        dense_inverse(updated([each], slots), 0.1, 15), expected, rtol=1e-9, atol=1e-12
    )


def test_parts_of_a_batch_are_weighted_by_their_shares():
    parts = [(0.25, {"weight": rows(3, seed=1)}), (0.75, {"weight": rows(9, seed=2)})]
    pairs = [(share, factors(each["weight"])) for share, each in parts]
    L, R = (sum(share * pair[i] for share, pair in pairs) for i in range(2))
    found = dense_inverse(updated([(np.zeros(12), parts)]), 0.1, 12)
    np.testing.assert_allclose(found, inverse_of(L, R, 0.1), rtol=1e-9, atol=1e-12)


def test_other_parameters_have_the_squares_of_the_draw():
    slots = LAYER | {"scale": (slice(12, 15), (3,))}
    vector = np.arange(15.0)
    M = updated([(vector, [(1.0, {"weight": rows()})])], slots)
    inverse = dense_inverse(M, 0.1, 15)
    squares = np.diag(vector[12:] ** 2)
    np.testing.assert_allclose(inverse[12:, 12:], inverse_of(squares, np.eye(1), 0.1), atol=1e-15)
    assert not inverse[:12, 12:].any()
    np.testing.assert_allclose(inverse[:12, :12], inverse_of(*factors(rows()), 0.1), atol=1e-12)


@pytest.mark.parametrize("ridge", [0.3, np.repeat([0.3, 0.7, 5.0], [12, 15, 2])], ids=np.ndim)
def test_what_a_regularizer_adds_is_added_to_the_damping_of_each_block(ridge):
    """Not to that of other parameters: the gradients drawn of them hold it."""
    places = {"a.weight": (0, 12, (4, 3)), "b.weight": (12, 27, (5, 3)), "scale": (27, 29, (2,))}
    slots = {name: (slice(start, stop), shape) for name, (start, stop, shape) in places.items()}
    first, second = rows(), rows(inputs=5, seed=1)
    objective = showing([(np.ones(29), [(1.0, {"a.weight": first, "b.weight": second})])], slots)
    objective.ridge = ridge
    M = Kronecker()
    M.update(objective, None, None, None)
    found = dense_inverse(M, 0.1, 29)
    for place, expected in (
        (slice(0, 12), inverse_of(*factors(first), 0.4)),
        (slice(12, 27), inverse_of(*factors(second), 0.8 if np.ndim(ridge) else 0.4)),
        (slice(27, 29), inverse_of(np.eye(2), np.eye(1), 0.1)),
    ):
        np.testing.assert_allclose(found[place, place], expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("most", "full"), [(4, (1, 1)), (3, (0, 1)), (2, (0, 0))])
def test_of_a_factor_that_is_too_large_the_diagonal_is_kept(most, full):
    pair = zip(factors(rows()), full, strict=True)
    L, R = (F if keep else np.diag(np.diag(F)) for F, keep in pair)
    M = updated([rows()], most=most)
    np.testing.assert_allclose(dense_inverse(M, 0.1, 12), inverse_of(L, R, 0.1), atol=1e-12)


def test_old_batches_decay():
    """The mean is plain until a new batch would count less than 1 - decay."""
    batches = [rows(seed=seed) for seed in range(8)]
    weights = np.ones(0)
    for k in range(8):
        new = max(0.25, 1 / (k + 1))
        weights = np.append((1 - new) * weights, new)
    assert weights.sum() == pytest.approx(1.0)
    pairs = [factors(each) for each in batches]
    L, R = (sum(u * pair[i] for u, pair in zip(weights, pairs, strict=True)) for i in range(2))
    M = updated(batches, decay=0.75)
    np.testing.assert_allclose(dense_inverse(M, 0.1, 12), inverse_of(L, R, 0.1), atol=1e-12)


@pytest.mark.parametrize("scale", [1e-3, 1e3])
def test_damping_is_shared_between_factors_of_any_size(scale):
    """Only the product of the factors has a meaning."""
    each = rows()
    other = SimpleNamespace(inputs=each.inputs * scale, slopes=each.slopes / scale)
    np.testing.assert_allclose(
        dense_inverse(updated([other]), 0.1, 12), dense_inverse(updated([each]), 0.1, 12), rtol=1e-9
    )


def test_damping_limits():
    """Next to a large λ nothing else counts; a small one leaves L ⊗ R."""
    M, (L, R) = updated([rows()]), factors(rows())
    np.testing.assert_allclose(1e12 * dense_inverse(M, 1e12, 12), np.eye(12), atol=1e-3)
    np.testing.assert_allclose(
        dense_inverse(M, 1e-20, 12), np.linalg.inv(np.kron(L, R)), rtol=1e-6, atol=1e-9
    )


# ----- singular factors, precision, scale -----


def test_zero_factors_leave_the_damping():
    M, r = updated([rows(scale=0.0)]), np.arange(12.0)
    np.testing.assert_allclose(M.damped(0.5) @ r, 2 * r, atol=1e-14)
    np.testing.assert_allclose(M.damped(0.0) @ r, r, atol=1e-14)


@pytest.mark.parametrize("damping", [0.0, 1e-3])
@pytest.mark.parametrize("count", [1, 2])
def test_singular_factors_leave_the_inverse_finite_and_positive(damping, count):
    slots = LAYER | {"scale": (slice(12, 15), (3,))}
    M = updated([(np.zeros(15), [(1.0, {"weight": rows(count)})])], slots)
    inverse = dense_inverse(M, damping, 15)
    assert np.isfinite(inverse).all()
    largest = np.abs(inverse).max()
    np.testing.assert_allclose(inverse, inverse.T, atol=1e-6 * largest)
    assert np.linalg.eigvalsh((inverse + inverse.T) / 2)[0] > -1e-12 * largest
    assert (np.diag(inverse) > 0).all()


def test_float32_stays_float32():
    each, r = rows(), np.arange(12.0, dtype=np.float32)
    single = SimpleNamespace(
        inputs=each.inputs.astype(np.float32), slopes=each.slopes.astype(np.float32)
    )
    found = updated([single]).damped(0.1) @ r
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, updated([each]).damped(0.1) @ r, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("power", [10, -30])
def test_scaling_the_loss_scales_the_inverse(power):
    r, scale = np.arange(12.0), 4.0**power
    plain = updated([rows()]).damped(0.1) @ r
    scaled = updated([rows(scale=2.0**power)]).damped(0.1 * scale) @ r
    np.testing.assert_array_equal(scale * scaled, plain)


# ----- on real problems -----


def test_one_linear_layer_with_squares_has_its_gauss_newton_matrix():
    """There the covariance is Xᵀ X ⊗ I, a Kronecker product; 20 000 rows leave some percent."""
    rng = np.random.default_rng(0)
    problem = Supervised(Sequential([Dense(3, 2)]), mean_squared_error)
    batch = rng.normal(size=(20_000, 3)) + 1.0, rng.normal(size=(20_000, 2))
    objective, w = Objective.of(problem), rng.normal(size=8)
    M = Kronecker()
    M.update(objective, w, batch, rng)
    G = dense_matrix(objective, w, batch)
    ratio = np.linalg.eigvals(G @ dense_inverse(M, 1e-8, 8)).real
    assert 0.95 < ratio.min() <= ratio.max() < 1.05


@pytest.mark.parametrize("options", [{}, {"separable": True, "chunk": 64}], ids=str)
def test_preconditioner_saves_products_on_an_ill_conditioned_layer(options):
    rng = np.random.default_rng(0)
    problem = Supervised(Sequential([Dense(40, 3)]), mean_squared_error)
    x = rng.normal(size=(200, 40)) * np.geomspace(1.0, 100.0, 40)
    objective = Objective.of(problem, (x, rng.normal(size=(200, 3))), **options)
    w = np.zeros(problem.parameters_size)

    def products(preconditioner):
        optimizer = NewtonKrylov(
            curvature="gauss_newton", preconditioner=preconditioner, max_cg=200, tolerance=1e-8
        )
        point, info = optimizer.step(objective, w, objective.data)
        assert info.cg_status == "CONVERGED"
        return info.cg_iterations, point

    (plain, expected), (better, point) = products(None), products(Kronecker())
    np.testing.assert_allclose(point, expected, rtol=1e-3, atol=1e-6)
    assert better < plain / 4


@pytest.mark.parametrize("strength", [1e-3, 0.1])
@pytest.mark.parametrize("masked", [False, True])
def test_preconditioner_costs_no_products_with_a_regularizer(strength, masked):
    """Along columns that are nearly the same the matrix is what the regularizer adds, no more."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((300, 10))
    x = np.concatenate([x, x + 1e-3 * rng.standard_normal(x.shape)], axis=1)
    problem = Supervised(Sequential([Dense(20, 4)]), softmax_cross_entropy)
    mask = np.arange(problem.parameters_size) < 80 if masked else None  # all but the bias
    data = x, rng.integers(0, 4, 300)
    objective = Objective.of(L2Regularized(problem, strength, mask), data)
    start = problem.init(rng)

    def products(preconditioner):
        options = {"curvature": "gauss_newton", "rhs": "batch", "max_cg": 200}
        optimizer = NewtonKrylov(preconditioner=preconditioner, tolerance=1e-6, **options)
        w, total = start, 0
        for _ in range(3):
            w, info = optimizer.step(objective, w, data)
            total += info.cg_iterations
        return total

    assert products(Kronecker()) < 2 * products(None)


def test_state_returns_bit_for_bit():
    problem, w, batch = problem_with(softmax_cross_entropy, dtype=np.float32)
    objective, rng = Objective.of(problem), np.random.default_rng(0)
    first = Kronecker(most=2)
    for _ in range(3):
        first.update(objective, w, batch, rng)
    second = Kronecker(most=2)
    second.load_state_dict({name: np.asarray(v) for name, v in first.state_dict().items()})
    for _ in range(3):
        for M, seed in ((first, 7), (second, 7)):
            M.update(objective, w, batch, np.random.default_rng(seed))
        assert np.array_equal(first.damped(0.1) @ w, second.damped(0.1) @ w)


def test_a_state_with_another_bound_is_refused():
    """Its factors are of other shapes, and would broadcast against new ones."""
    problem, w, batch = problem_with(softmax_cross_entropy)
    objective, saved, other = Objective.of(problem), Kronecker(most=2), Kronecker()
    saved.update(objective, w, batch, np.random.default_rng(0))
    message = "of a Kronecker with most=2048, got one with most=2; make"
    with pytest.raises(ValueError, match=message):
        other.load_state_dict(saved.state_dict())
    assert other.state_dict() == Kronecker().state_dict()
    for make in (NewtonKrylov, HessianFree):
        trainer = make(preconditioner=Kronecker(most=2), rhs="batch", curvature="gauss_newton")
        trainer.step(objective, w, batch)
        with pytest.raises(ValueError, match=message):
            make(preconditioner=Kronecker(), rhs="batch").load_state_dict(trainer.state_dict())
    optimizer = KFAC()
    optimizer.step(objective, w, batch)
    assert [name for name in optimizer.state_dict() if "most" in name] == ["kronecker.most"]


@pytest.mark.parametrize("options", [{"rhs": "global"}, {"rhs": "batch", "damping": 0.1}], ids=str)
def test_run_continues_bit_for_bit_from_a_checkpoint(options, tmp_path):
    problem, w, _ = problem_with(softmax_cross_entropy)
    data = problem_with(softmax_cross_entropy, samples=60)[2]
    file = tmp_path / "run.npz"

    def run(epochs, **keywords):
        optimizer = NewtonKrylov(preconditioner=Kronecker(), curvature="gauss_newton", **options)
        return fit(Objective.of(problem, data), optimizer, w, epochs, 20, **keywords)

    whole = run(4)
    run(2, checkpoint=file)
    assert np.array_equal(run(4, checkpoint=file, resume=True).w, whole.w)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"decay": 1.0}, "decay: expected a number in [0, 1), got 1.0"),
        ({"most": 0}, "most: expected an integer of at least 1, got 0"),
    ],
)
def test_bad_settings_are_refused(options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        Kronecker(**options)
