"""Settings: what is refused, and that none of NumPy's floats widens a float32 w."""

import inspect
import math

import numpy as np
import pytest

import mcx_optim
from mcx_nn import Activation, Dense, Sequential, Supervised, softmax_cross_entropy
from mcx_optim import (
    KFAC,
    LBFGS,
    SGD,
    AdaGrad,
    Adam,
    AdamW,
    Constant,
    Cosine,
    Diagonal,
    ExactStochasticNewton,
    GrowingSample,
    HessianFree,
    Kronecker,
    KrylovSubspaceDescent,
    MovingAverage,
    Newton,
    NewtonKrylov,
    Objective,
    PartitionNewton,
    RMSProp,
    SampleHessians,
    Shampoo,
    SpectralAdjustment,
    TrustRegion,
    VarianceReduced,
    Warmup,
    cgls,
    conjugate_residual,
    gauss_newton_direction,
    lanczos,
    minres,
    steihaug,
    truncated_cg,
)
from mcx_optim.jet import jet_step
from mcx_optim.settings import at_least, fraction, integer, number, positive, word

WORDS = ("a", "b", "c")
NOT_NUMBERS = ("0.5", None, 0.5j, [0.5], np.array([0.5]), np.array(0.5), True, np.True_, math.nan)


@pytest.mark.parametrize(
    ("check", "good", "bad", "expected"),
    [
        (lambda x: positive("s", x), (1e-300, 1, 1e300), (0, -1.0, math.inf), "a positive number"),
        (lambda x: at_least("s", x, 0), (0, 0.5), (-1e-300, math.inf), "a number of at least 0"),
        (lambda x: at_least("s", x, 1), (1, 1.5), (0.999, math.inf), "a number of at least 1"),
        (lambda x: fraction("s", x), (0, 0.5), (-0.1, 1), "a number in [0, 1)"),
        (lambda x: fraction("s", x, "()"), (1e-9, 0.5), (0.0, 1.0), "a number in (0, 1)"),
        (lambda x: fraction("s", x, "(]"), (1e-9, 1), (0, 1.1), "a number in (0, 1]"),
        (lambda x: fraction("s", x, "[]"), (0, 1), (-0.1, 1.1), "a number in [0, 1]"),
        (lambda x: number("s", x, "less than 2", lambda x: x < 2), (0, 1), (2, 3), "less than 2"),
    ],
)
def test_numbers(check, good, bad, expected):
    for value in (*good, *map(np.float64, good), *map(np.float32, good[1:2])):
        assert check(value) == value
        assert type(check(value)) is float
    for value in (*bad, *NOT_NUMBERS):
        with pytest.raises(ValueError, match=r"^s: expected ") as caught:
            check(value)
        assert str(caught.value) == f"s: expected {expected}, got {value!r}"


def test_integers():
    for value in (2, 7, np.int64(7), np.uint8(2)):
        assert integer("s", value, 2) == value
        assert type(integer("s", value, 2)) is int
    for value in (1, -5, 2.0, np.float64(3), np.array([3]), *NOT_NUMBERS):
        with pytest.raises(ValueError, match="s: expected an integer of at least 2, got") as caught:
            integer("s", value, 2)
        assert str(caught.value).endswith(f", got {value!r}")


def test_words():
    assert type(word("s", np.str_("b"), WORDS)) is str
    assert word("s", "b", dict.fromkeys(WORDS)) == "b"
    for value in ("d", "", None, 1, ["a"], {}, np.array(["a"])):
        with pytest.raises(ValueError, match="s: expected 'a', 'b' or 'c', got"):
            word("s", value, WORDS)
    for words, expected in ((("a",), "'a'"), (("a", "b"), "'a' or 'b'")):
        with pytest.raises(ValueError, match=f"s: expected {expected}, got 'd'"):
            word("s", "d", words)


# ----- a float32 w stays one -----


def wide(**settings):
    return {name: np.float64(value) for name, value in settings.items()}


ADAM = wide(lr=0.1, beta1=0.9, beta2=0.99, epsilon=1e-8)
EXACT = wide(lr=1.0, damping=1.0, floor=1e-3, power=0.9, momentum=0.9)
FREE = wide(damping=1.0, tolerance=5e-4, warm_start=0.95)
KRYLOV = wide(eta=0.05, tolerance=0.1, damping=0.1, momentum=0.5, averaging=0.9, warm_start=0.9)
MOMENTUM = np.float64(0.9)

OPTIMIZERS = {
    "AdaGrad": lambda: AdaGrad(**wide(lr=0.1, epsilon=1e-10)),
    "Adam": lambda: Adam(**ADAM),
    "AdamW": lambda: AdamW(**ADAM, **wide(weight_decay=0.1)),
    "RMSProp": lambda: RMSProp(**wide(lr=0.1, decay=0.9, epsilon=1e-8, momentum=0.5)),
    "SGD": lambda: SGD(**wide(lr=0.1, momentum=0.9), nesterov=True),
    "Constant": lambda: SGD(Constant(np.float64(0.1))),
    "schedules": lambda: SGD(Warmup(Cosine(np.float64(0.1), np.int64(9), np.float64(0.01)), 2)),
    "Shampoo": lambda: Shampoo(**wide(lr=0.1, momentum=0.9, epsilon=1e-4, exponent=0.25)),
    "KFAC": lambda: KFAC(**wide(lr=0.1, momentum=0.9, damping=0.03, decay=0.95, kl_clip=0.01)),
    "LBFGS": lambda: LBFGS(**wide(c1=1e-4, c2=0.9)),
    "Newton": Newton,
    "TrustRegion": lambda: TrustRegion(
        **wide(radius=0.1, max_radius=10, accept=0.1, low=0.25, high=0.75)
    ),
    "HessianFree": lambda: HessianFree(**FREE),
    "HessianFree Diagonal": lambda: HessianFree(**FREE, preconditioner=Diagonal(MOMENTUM)),
    "HessianFree Kronecker": lambda: HessianFree(**FREE, preconditioner=Kronecker(MOMENTUM)),
    "KrylovSubspaceDescent": lambda: KrylovSubspaceDescent(np.int64(4), np.int64(4)),
    "PartitionNewton": lambda: PartitionNewton(
        **wide(damping=0.3, regularization=1, momentum=0.9, dampening=0.5, rate_momentum=0.5),
        **wide(threshold=1e-4, factor=0.5),
        warmup=0,
    ),
    "ExactStochasticNewton layer": lambda: ExactStochasticNewton("layer", **EXACT),
    "ExactStochasticNewton joint": lambda: ExactStochasticNewton("joint", **EXACT),
    "ExactStochasticNewton Gauss": lambda: ExactStochasticNewton("gauss_newton", **EXACT),
    "NewtonKrylov": lambda: NewtonKrylov(**KRYLOV),
    **{f"NewtonKrylov {name}": lambda n=name: NewtonKrylov(**{n: KRYLOV[n]}) for name in KRYLOV},
    "NewtonKrylov jet": lambda: NewtonKrylov(**KRYLOV, line_search="jet"),
    "NewtonKrylov minres": lambda: NewtonKrylov(**KRYLOV, solver="minres"),
    "NewtonKrylov |A|": lambda: NewtonKrylov(**KRYLOV, negative_curvature="absolute"),
    "NewtonKrylov literal": lambda: NewtonKrylov(**wide(eta=0.1, tolerance=0.1), literal=True),
    "GrowingSample": lambda: NewtonKrylov.stochastic(
        rhs=GrowingSample(np.int64(20), *map(np.float64, (1.5, 0.5)))
    ),
    "MovingAverage": lambda: NewtonKrylov(**KRYLOV, rhs=MovingAverage(MOMENTUM), screening=False),
    "VarianceReduced": lambda: NewtonKrylov(**KRYLOV, rhs=VarianceReduced(np.int64(2))),
}


def problem(activation):
    rng = np.random.default_rng(0)
    model = Sequential([Dense(5, 6), Activation(activation), Dense(6, 3)])
    supervised = Supervised(model, softmax_cross_entropy)
    data = rng.standard_normal((40, 5)).astype(np.float32), rng.integers(0, 3, 40)
    w = supervised.init(np.random.default_rng(0), np.float32)
    return supervised, Objective.of(supervised, data=data), w


def test_every_optimizer_is_among_these():
    made = {type(make()) for make in OPTIMIZERS.values()}
    for each in map(vars(mcx_optim).get, mcx_optim.__all__):
        assert not inspect.isclass(each) or not hasattr(each, "on_epoch") or each in made


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_float64_settings_keep_a_float32_w(name):
    _, objective, w = problem("relu" if name.startswith("Exact") else "tanh")
    optimizer = OPTIMIZERS[name]()
    for start in (0, 10, 20, 0):
        batch = objective.rows(slice(start, start + 20))
        w, _ = optimizer.step(objective, w, objective.data if name == "LBFGS" else batch)
        optimizer.on_epoch({"train_loss": 1.0})
        assert w.dtype == np.float32


A = np.diag([4.0, 3.0, 2.0, -1.0]).astype(np.float32)
B = np.array([1.0, 2.0, 3.0, 4.0], np.float32)
DAMPED = {"damping": np.float64(0.1), "tolerance": np.float64(1e-3)}

VECTORS = {
    "cgls": lambda: cgls(A, B, **DAMPED).x,
    "conjugate_residual": lambda: conjugate_residual(A, B, **DAMPED).x,
    "minres": lambda: minres(A, B, **DAMPED).x,
    "lanczos": lambda: lanczos(A, B, negative="absolute", **DAMPED).x,
    "truncated_cg": lambda: truncated_cg(A, B, tolerance=np.float64(1e-3)).x,
    "steihaug": lambda: steihaug(A, B, np.float64(1.0)).x,
    "gauss_newton_direction": lambda: direction(np.float64(0.1), np.float64(0.2)),
    "SampleHessians": lambda: newton_direction(np.float64(0.1), np.float64(0.2)),
    "SpectralAdjustment": lambda: SpectralAdjustment(*map(np.float64, (0.1, 0.1, 0.5)))(B),
    "Diagonal": lambda: preconditioned(Diagonal(np.float64(0.5))),
    "Kronecker": lambda: preconditioned(Kronecker(np.float64(0.5))),
}


def direction(damping, ridge):
    supervised, objective, w = problem("relu")
    network = supervised.piecewise_linear(w, objective.data)
    return gauss_newton_direction(network, damping, w, ridge)


def newton_direction(damping, ridge):
    supervised, objective, w = problem("relu")
    hessians = SampleHessians(supervised.piecewise_linear(w, objective.data))
    return hessians.direction(SpectralAdjustment(damping), "layer", w, ridge)


def preconditioned(M):
    _, objective, w = problem("relu")
    for _ in range(3):
        M.update(objective, w, objective.data, np.random.default_rng(0))
    return M.damped(np.float64(0.1)) @ w


@pytest.mark.parametrize("name", VECTORS)
def test_float64_settings_keep_float32_vectors(name):
    assert VECTORS[name]().dtype == np.float32


JET = [2.0, -3.0, 1.44, -0.216, 0.0]


def test_the_step_size_of_a_jet_is_a_plain_float():
    assert type(jet_step(JET, eta=np.float64(0.1), most=np.float64(0.01)).gamma) is float


@pytest.mark.parametrize("value", ["0.5", None, math.nan, np.array([0.5, 0.5])])
@pytest.mark.parametrize(
    "make",
    [
        lambda x: NewtonKrylov(momentum=x),
        lambda x: NewtonKrylov(damping=x),
        lambda x: NewtonKrylov(max_cg=x),
        lambda x: NewtonKrylov(solver=x),
        lambda x: NewtonKrylov(seed=x),
        lambda x: HessianFree(damping=x),
        lambda x: HessianFree(max_cg=x),
        lambda x: KrylovSubspaceDescent(dimension=x),
        lambda x: TrustRegion(radius=x),
        lambda x: TrustRegion(low=x),
        lambda x: LBFGS(c1=x),
        lambda x: PartitionNewton(damping=x),
        lambda x: PartitionNewton(regularization=x),
        lambda x: PartitionNewton(partition=x),
        lambda x: ExactStochasticNewton(mode=x),
        lambda x: Shampoo(epsilon=x),
        lambda x: KFAC(kl_clip=x),
        lambda x: Kronecker(most=x),
        lambda x: GrowingSample(first=x),
        lambda x: SpectralAdjustment(floor=x),
        lambda x: lanczos(A, B, damping=x),
        lambda x: truncated_cg(A, B, negative=x),
        lambda x: truncated_cg(A, B, max_iterations=x),
        lambda x: steihaug(A, B, x),
        lambda x: cgls(A, B, damping=x),
    ],
)
def test_what_is_no_number_is_refused_by_name(make, value):
    with pytest.raises(ValueError, match=r"^[a-z_0-9, ]+: .*expected .*, got "):
        make(value)
