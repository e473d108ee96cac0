"""What cannot be trained: settings, data, objectives and optimizers that `fit` refuses."""

import numpy as np
import pytest

from mcx_optim import (
    KFAC,
    LBFGS,
    SGD,
    GrowingSample,
    HessianFree,
    Kronecker,
    KrylovSubspaceDescent,
    MovingAverage,
    Newton,
    NewtonKrylov,
    NonDeterministicError,
    Objective,
    PartitionNewton,
    Shampoo,
    TrustRegion,
    VarianceReduced,
    cgls,
    conjugate_residual,
    fit,
    lanczos,
    minres,
    steihaug,
    truncated_cg,
)
from tests.optim.problems import quadratic, small_softmax, softmax_value_and_grad, spd


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"batch_size": 16.0}, TypeError, r"batch_size: expected an integer, got 16.0 \(float\)"),
        ({"batch_size": True}, TypeError, r"batch_size: expected an integer, got True \(bool\)"),
        ({"batch_size": "16"}, TypeError, r"batch_size: expected an integer, got '16' \(str\)"),
        ({"batch_size": 0}, ValueError, "batch_size: expected 1 to 60 samples, got 0"),
        ({"batch_size": -1}, ValueError, "batch_size: expected 1 to 60 samples, got -1"),
        ({"batch_size": np.nan}, TypeError, r"batch_size: expected an integer, got nan"),
        ({"epochs": 2.0}, TypeError, r"epochs: expected an integer, got 2.0 \(float\)"),
        ({"epochs": False}, TypeError, r"epochs: expected an integer, got False \(bool\)"),
        ({"epochs": None}, TypeError, r"epochs: expected an integer, got None"),
        ({"seed": 1.5}, TypeError, "seed: expected an integer, got 1.5"),
        ({"seed": -1}, ValueError, "seed: expected 0 or more, got -1"),
        ({"checkpoint_every": 0}, ValueError, "checkpoint_every: expected 1 or more, got 0"),
        ({"checkpoint_every": 1.0}, TypeError, "checkpoint_every: expected an integer, got 1.0"),
        ({"w": [0.0] * 15}, TypeError, "w: expected an array of float32 or float64, got list"),
        ({"w": np.zeros(15, int)}, TypeError, "w: expected an array .* got int64"),
        ({"w": np.zeros((5, 3))}, ValueError, r"w: expected one flat vector .* shape \(5, 3\)"),
        ({"w": np.zeros(0)}, ValueError, r"w: expected one flat vector \(P,\) with P > 0"),
        ({"w": None}, TypeError, "w: expected an array of float32 or float64, got NoneType"),
        (
            {"on_nonfinite": "ignore"},
            ValueError,
            "on_nonfinite: expected 'raise', 'skip' or 'roll_back', got 'ignore'",
        ),
    ],
)
def test_bad_settings_are_refused(options, error, message):
    objective, w = small_softmax()
    with pytest.raises(error, match=message):
        fit(objective, SGD(), **{"w": w, "epochs": 1} | options)


def test_integers_of_numpy_are_integers(tmp_path):
    objective, w = small_softmax()
    path = tmp_path / "run.npz"
    options = {"epochs": np.int32(1), "batch_size": np.int64(16), "seed": np.uint8(3)}
    result = fit(objective, SGD(), w, **options, checkpoint=path)
    expected = fit(small_softmax()[0], SGD(), w, 1, 16, 3)
    assert np.array_equal(result.w, expected.w)
    assert NewtonKrylov(max_cg=np.int64(3)).max_cg == 3


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ((np.ones((0, 5)), np.ones((0, 3))), "data: expected at least one sample, got none"),
        ((np.ones((6, 5)), np.ones((5, 3))), r"data: expected arrays of one length.*\(6, 5\)"),
        (np.ones((6, 5)), r"data: expected a tuple .* got ndarray; for one array use \(X,\)"),
        ([np.ones((6, 5)), np.ones((6, 3))], r"data: expected a tuple .* got list"),
    ],
)
def test_empty_and_ragged_data_are_refused(data, message):
    with pytest.raises((ValueError, TypeError), match=message):
        Objective(softmax_value_and_grad, data=data)


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (lambda w: w[:-1], r"shape \(15,\) and dtype float64 like the old one, got \(14,\) and fl"),
        (lambda w: w.reshape(5, 3), r"got \(5, 3\) and float64"),
        (lambda w: w.astype(np.float32), r"got \(15,\) and float32"),
        (lambda w: w + 0j, r"got \(15,\) and complex128"),
        (lambda w: w.tolist(), "got list and None"),
        (lambda w: None, "got NoneType and None"),
    ],
)
@pytest.mark.parametrize("policy", ["raise", "skip", "roll_back"])
def test_step_to_another_kind_of_w_is_refused(returned, message, policy):
    class Careless(SGD):
        def step(self, objective, w, batch):
            w, info = super().step(objective, w, batch)
            return returned(w), info

    objective, w = small_softmax()
    with pytest.raises(ValueError, match=r"Careless.step: expected a new w of .*" + message):
        fit(objective, Careless(), w, 1, 16, on_nonfinite=policy)


@pytest.mark.parametrize("policy", ["raise", "skip", "roll_back"])
def test_noise_in_the_objective_is_refused_before_the_first_step(policy, rng):
    def dropout(w, batch):
        kept = w * (rng.random(w.size) > 0.5)
        return kept @ kept / 2, kept

    seen = []
    with pytest.raises(NonDeterministicError, match=r"differs .*dropout.*draw random numbers bef"):
        fit(
            Objective(dropout),
            SGD(),
            np.arange(1.0, 9.0),
            1,
            callbacks=[seen.append],
            on_nonfinite=policy,
        )
    assert seen == []


@pytest.mark.parametrize(
    ("saved", "made", "message"),
    [
        (NewtonKrylov, NewtonKrylov.stochastic, r"rhs GrowingSample.* got one with rhs GlobalG"),
        (
            lambda: NewtonKrylov(rhs=MovingAverage(0.5)),
            lambda: NewtonKrylov(rhs=VarianceReduced(3)),
            r"expected the state of .*VarianceReduced.*got one .*MovingAverage",
        ),
        (
            HessianFree,
            lambda: HessianFree(preconditioner=Kronecker()),
            "with rhs GlobalGradient, preconditioner Kronecker, got one with rhs GlobalGradient;",
        ),
        (
            lambda: HessianFree(preconditioner=Kronecker()),
            HessianFree,
            "with rhs GlobalGradient, got one with rhs GlobalGradient, preconditioner Kronecker;",
        ),
        (
            KrylovSubspaceDescent,
            lambda: KrylovSubspaceDescent(rhs=GrowingSample()),
            "with rhs GrowingSample, got one with rhs GlobalGradient;",
        ),
    ],
)
def test_state_of_other_parts_is_refused(saved, made, message, tmp_path):
    path = tmp_path / "run.npz"
    objective, w = small_softmax()
    with pytest.raises(ValueError, match=message):
        made().load_state_dict(saved().state_dict())
    fit(objective, NewtonKrylov(), w, 1, checkpoint=path)
    with pytest.raises(ValueError, match=r"expected (the state of a trainer with|optimizer 'N)"):
        fit(objective, made(), w, 1, checkpoint=path, resume=True)


@pytest.mark.parametrize(
    "make",
    [
        SGD,
        LBFGS,
        lambda: HessianFree(curvature="hessian"),
        KrylovSubspaceDescent,
        lambda: NewtonKrylov(warm_start=0.5),
        lambda: NewtonKrylov(momentum=0.5, averaging=0.5),
        lambda: PartitionNewton("single", warmup=0),
    ],
)
def test_another_w_is_refused(make):
    def quartic(w, batch):
        return np.sum(w**4 + w * w), 4 * w**3 + 2 * w

    optimizer, objective = make(), Objective(quartic)
    w, _ = optimizer.step(objective, np.array([1.0, 2.0]), None)
    assert not np.array_equal(w, [1.0, 2.0])
    for other in (np.ones(3), np.ones(2, np.float32)):
        with pytest.raises(ValueError, match=r"(w|partition): expected .*; use a new"):
            optimizer.step(objective, other, None)


def test_stationary_start_is_legal():
    for objective in (
        Objective(lambda w, batch: (1 + w @ w, 2 * w)),
        Objective(lambda w, batch: (np.sum(w**4), 4 * w**3)),
        Objective(lambda w, batch: ((w[0] - w[1]) ** 2, 2 * (w[0] - w[1]) * np.array([1.0, -1.0]))),
        quadratic(spd(2), np.zeros(2)),
    ):
        result = fit(objective, NewtonKrylov(), np.zeros(2), 1)
        assert result.w.tolist() == [0.0, 0.0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("loss", [0.0, 2.5])
def test_loss_that_does_not_depend_on_w_is_refused(loss, dtype):
    """Such as one of a model whose parameters were not passed on, or of dead units."""
    for function in (
        lambda w: np.float64(loss),
        lambda w: loss + 0 * np.sum(w),
        lambda w: loss + np.sum(np.maximum(0 * w - 1, 0)),
    ):
        objective = Objective(lambda w, batch, f=function: (f(w), np.zeros_like(w)))
        for start in (np.zeros(3, dtype), np.full(3, 1e6, dtype)):
            with pytest.raises(ValueError, match=r"loss does not depend on w .*exactly zero and"):
                fit(objective, SGD(), start, 1)
    objective = Objective(lambda w, b: (np.mean(b[0]), 0 * w), data=(np.arange(60.0),))
    with pytest.raises(ValueError, match=r"on the batch \(60 samples\)"):
        fit(objective, SGD(), np.ones(2), 1)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"optimizer": SGD}, "optimizer: expected an object such as SGD.., got <class .*SGD'>"),
        ({"optimizer": "sgd"}, "optimizer: expected an object such as SGD.., got 'sgd'; call"),
        ({"objective": softmax_value_and_grad}, "objective: expected an Objective, got a function"),
        ({"callbacks": print}, "callbacks: expected a list or tuple .*, got a builtin_function"),
        ({"callbacks": (print for _ in "a")}, "callbacks: expected .*, got a generator; use"),
        ({"callbacks": [None]}, "callbacks: expected a list or tuple of callables"),
    ],
)
def test_parts_of_another_kind_are_refused(parts, message):
    objective, w = small_softmax()
    with pytest.raises(TypeError, match=message):
        fit(**({"objective": objective, "optimizer": SGD(), "w": w, "epochs": 1} | parts))


def test_a_checkpoint_without_a_folder_is_refused_before_the_first_step(tmp_path):
    evaluated = []

    def value_and_grad(w, batch):
        evaluated.append(w)
        return w @ w / 2, w

    message = "expected a file in a folder that exists, got .*run.npz; make .*none first"
    with pytest.raises(FileNotFoundError, match=message):
        fit(Objective(value_and_grad), SGD(), np.ones(2), 1, checkpoint=tmp_path / "none/run.npz")
    assert not evaluated


def test_a_gradient_that_is_no_array_is_refused():
    objective = Objective(lambda w, batch: (w @ w / 2, list(w)))
    with pytest.raises(TypeError, match=r"gradient: expected an array of shape \(2,\), got a list"):
        fit(objective, SGD(), np.ones(2), 1)


@pytest.mark.parametrize(
    "optimizer",
    [
        NewtonKrylov(),
        NewtonKrylov(literal=True),
        HessianFree(curvature="hessian"),
        KrylovSubspaceDescent(),
        LBFGS(),
        Newton(),
        TrustRegion(),
        PartitionNewton("parameter"),
        SGD(),
        KFAC(),
        Shampoo(),
    ],
    ids=lambda optimizer: type(optimizer).__name__,
)
def test_steps_from_points_of_another_kind_are_refused(optimizer):
    objective = Objective(lambda w, batch: (w @ w / 2, w))
    for w, error, got in (
        (np.array([1, 2]), TypeError, "an array of float32 or float64, got int64; use astype"),
        (np.ones((2, 1)), ValueError, r"one flat vector .*, got shape \(2, 1\)"),
    ):
        with pytest.raises(error, match=f"^w: expected {got}"):
            optimizer.step(objective, w, None)


@pytest.mark.parametrize(
    "solver", [truncated_cg, cgls, conjugate_residual, minres, lanczos, steihaug]
)
def test_right_hand_sides_of_another_kind_are_refused(solver):
    radius = {"radius": 1.0} if solver is steihaug else {}
    for b, error, got in (
        ([1.0, 2.0], TypeError, "an array of float32 or float64, got list; use astype"),
        (np.array([1, 2]), TypeError, "an array of float32 or float64, got int64; use astype"),
        (np.ones((2, 1)), ValueError, r"one flat vector .*, got shape \(2, 1\)"),
        (np.ones(0), ValueError, r"one flat vector .*, got shape \(0,\)"),
    ):
        with pytest.raises(error, match=f"{solver.__name__}: b: expected {got}"):
            solver(np.eye(2), b, **radius)
