"""minimize: known minima, SciPy's methods, every end of a run, and mcx in scipy.optimize."""

import sys

import numpy as np
import pytest
from scipy import optimize

import mcx
from mcx_optim import SGD, NewtonKrylov, NonFiniteError, StepInfo
from mcx_optim.lbfgs import LBFGS
from mcx_optim.minimize import METHODS, minimize
from mcx_optim.trust_region import TrustRegion
from tests.optim.known_minima import PROBLEMS
from tests.standin import StandIn

# Radii of at most 100 lead to a minimum at 1e6 in 10⁴ steps: see test_trust_region. J of Powell's
# function has entries of 1e5 and 1e-4 at the minimum: H has none but one eigenvalue above rounding,
# and conjugate gradients see no other.
TOO_FAR = {
    ("brown_badly_scaled", "trust_region"),
    ("powell_badly_scaled", "trust_region"),
    ("powell_badly_scaled", "newton_krylov"),
}
CASES = [(name, method) for name in PROBLEMS for method in METHODS if (name, method) not in TOO_FAR]
SINGULAR = {"powell_singular": 2e-3}  # H = 0 in two directions: x is the cube root of g


@pytest.mark.parametrize(("name", "method"), CASES)
def test_known_minima(name, method):
    p = PROBLEMS[name]
    tol = 1e-8 if method == "newton_krylov" else 1e-12
    result = minimize(p, p.x0, method, grad=lambda x: mcx.gradient(p, x), tol=tol)
    assert result.success, result.message
    assert result.nit == len(result.steps) <= 250
    assert result.fun == p(result.x)
    minimum = p.minimum if p.other is None or result.fun > p.minimum / 2 else p.other
    if minimum:
        assert result.fun == pytest.approx(minimum, rel=3e-5 if tol == 1e-8 else 5e-6)
    else:
        assert result.fun < 1e3 * tol**1.5 * p(p.x0)
    if p.minimizer is not None and tol == 1e-12:
        bound = SINGULAR.get(name, 2e-9)
        np.testing.assert_allclose(result.x, p.minimizer, rtol=bound, atol=bound)


# The methods of SciPy that ours correspond to. Ratios seen of gradients and twice the products: 0.5
# to 1.2, 0.5 to 0.7, 0.4 to 1.4.
PEERS = {
    "lbfgs": ("L-BFGS-B", {"ftol": 0, "maxiter": 500}),
    "trust_region": ("trust-ncg", {}),
    "newton_krylov": ("Newton-CG", {"xtol": 1e-14, "maxiter": 300}),
}
SMOOTH = (
    "rosenbrock",
    "beale",
    "helical_valley",
    "bard",
    "brown_dennis",
    "extended_rosenbrock",
    "brown_almost_linear",
    "broyden_tridiagonal",
    "chebyquad",
)


@pytest.mark.filterwarnings("ignore:.*approximate.*:RuntimeWarning")
@pytest.mark.parametrize("name", SMOOTH)
@pytest.mark.parametrize("method", PEERS)
def test_minimizers_of_scipy(name, method):
    p = PROBLEMS[name]

    def grad(x):
        return mcx.gradient(p, x)

    tol = 1e-12
    ours = minimize(p, p.x0, method, grad=grad, tol=tol)
    peer, options = PEERS[method]
    hessp = {} if method == "lbfgs" else {"hessp": lambda x, v: mcx.csdd(grad, x, v)[1]}
    if method != "newton_krylov":
        options = options | {"gtol": tol * np.max(np.abs(grad(p.x0)))}
    theirs = optimize.minimize(p, p.x0, jac=grad, method=peer, options=options, **hessp)
    np.testing.assert_allclose(ours.x, theirs.x, rtol=1e-8, atol=1e-8)

    def work(result):
        return result.njev + 2 * getattr(result, "nhev", 0)

    assert work(ours) <= 2 * work(theirs)


def rosenbrock(w):
    return 100 * (w[1] - w[0] ** 2) ** 2 + (1 - w[0]) ** 2


@pytest.mark.parametrize("method", METHODS)
def test_without_grad_forward_mode_gives_the_same_run(method):
    with_grad = minimize(
        rosenbrock,
        [-1.2, 1.0],
        method,
        grad=lambda w: np.stack(
            [-400 * w[0] * (w[1] - w[0] ** 2) - 2 * (1 - w[0]), 200 * (w[1] - w[0] ** 2)]
        ),
    )
    without = minimize(rosenbrock, [-1.2, 1.0], method)
    np.testing.assert_allclose(without.x, with_grad.x, atol=1e-7)
    np.testing.assert_allclose(without.x, 1, atol=1e-6)
    assert abs(without.nit - with_grad.nit) <= 2
    assert without.nhev > 0 or method == "lbfgs"


def test_fields():
    calls = {"f": 0, "grad": 0}

    def f(w):
        calls["f"] += 1
        return (w @ w) ** 2 + w @ w

    def grad(w):
        calls["grad"] += 1
        return (4 * (w @ w) + 2) * w

    start, seen = np.array([1.0, 2.0]), []
    result = minimize(f, start, "trust_region", grad=grad, callback=lambda *a: seen.append(a))
    assert isinstance(result, optimize.OptimizeResult)
    assert (result.success, result.status) == (True, 0)
    assert result.message.startswith("converged")
    assert np.array_equal(start, [1.0, 2.0])
    assert np.array_equal(result.jac, grad(result.x))
    assert result.fun == f(result.x)
    assert (result.nfev, result.njev) == (calls["f"] - 1, calls["grad"] - 1)
    assert result.nhev == sum(info.cg_iterations for info in result.steps)
    assert all(isinstance(info, StepInfo) for info in result.steps)
    assert [info for _, info in seen] == result.steps
    assert seen[-1][0] is result.x
    # Two gradients at the start, and one wherever a step ended.
    assert result.njev == result.nit + 2


def test_lbfgs_evaluates_every_gradient_once():
    points = []

    def f(w):
        points.append(w.tobytes())
        return rosenbrock(w)

    result = minimize(
        f, [-1.2, 1.0], "lbfgs", grad=lambda w: mcx.gradient(rosenbrock, w), max_iterations=10
    )
    assert len(points) == len(set(points)) == result.nfev == result.njev
    assert (result.status, result.success, result.nit) == (1, False, 10)
    assert result.message.startswith("the iteration limit was reached")


@pytest.mark.parametrize("method", METHODS)
def test_the_end_where_rounding_decides(method):
    """A tolerance of 0 is out of reach, and 1e3 hides what is left."""
    shift = np.array([0.3, -0.7, 1.1])
    result = minimize(
        lambda w: 1e3 + np.sum(np.cosh(w - shift)), np.zeros(3), method, tol=0.0, max_iterations=99
    )
    assert result.status in (0, 2)
    assert result.success
    assert "gradient" in result.message if result.status == 0 else "rounding" in result.message
    # The loss tells no more than this; the methods that go by the gradient do better.
    np.testing.assert_allclose(result.x, shift, atol=1e-8 if method != "newton_krylov" else 2e-6)


@pytest.mark.parametrize("method", METHODS)
def test_a_wrong_gradient_is_no_success(method):
    result = minimize(
        lambda w: 1 + w @ w, np.array([1.0, 2.0]), method, grad=lambda w: -2 * w, max_iterations=50
    )
    assert (result.success, result.status) == (False, 3)
    assert "check grad" in result.message
    assert result.fun <= 6 * (1 + 1e-13)


def test_a_start_at_the_minimum_takes_no_step():
    start = np.zeros(3)
    result = minimize(lambda w: w @ w, start)
    assert (result.nit, result.status, result.nfev, result.steps) == (0, 0, 1, [])
    assert not np.shares_memory(result.x, start)


def test_a_quadratic_takes_newton_one_step():
    A = np.diag([1.0, 10.0, 100.0])
    for method in ("newton", NewtonKrylov(tolerance=1e-10)):
        result = minimize(lambda w: w @ (A @ w) / 2 - np.sum(w), np.zeros(3), method)
        assert (result.nit, result.status) == (1, 0)
        np.testing.assert_allclose(result.x, 1 / np.diag(A), rtol=1e-9)


def test_the_gradient_falls_where_the_loss_no_longer_tells():
    k = np.arange(1.0, 31.0)
    result = minimize(lambda w: 1e6 + np.sum(k * np.cosh(w)), k / 10, "lbfgs", tol=1e-12)
    assert result.status == 0
    assert np.ptp([info.new_loss for info in result.steps[-9:]]) < 1e-9


def test_scales():
    """No unit of f or w changes the run of a method that has none itself."""
    for method in ("newton", "newton_krylov"):
        plain = minimize(rosenbrock, [-1.2, 1.0], method)
        scaled = minimize(
            lambda w: 2.0**70 * rosenbrock(w * 2.0**30), [-1.2 / 2**30, 2.0**-30], method
        )
        assert scaled.nit == plain.nit
        np.testing.assert_allclose(scaled.x * 2.0**30, plain.x, rtol=1e-12)
        assert (scaled.status, plain.status) == (0, 0)


def test_callbacks_may_stop():
    def stop(w, info):
        if info.new_loss < 4.0:
            raise StopIteration

    result = minimize(rosenbrock, [-1.2, 1.0], "newton", callback=stop)
    assert (result.status, result.success) == (4, False)
    assert result.fun < 4.0
    assert result.message == "the callback raised StopIteration"


@pytest.mark.parametrize("method", METHODS)
def test_logarithms_of_negative_numbers_are_survived(method):
    """Σ w - log w: no value for w <= 0, where full steps from 5 lead."""
    result = minimize(lambda w: np.sum(w - np.log(w)), np.array([5.0, 0.01, 3.0]), method)
    assert result.success
    np.testing.assert_allclose(result.x, 1, rtol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_indefinite_starts(method):
    """A maximum of -cos near 3: the minimum at a multiple of 2π is found, not the maximum."""
    result = minimize(lambda w: np.sum(-np.cos(w)) + 0.01 * (w @ w), np.array([3.0, -2.9]), method)
    assert result.success
    np.testing.assert_allclose(np.sin(result.x) + 0.02 * result.x, 0, atol=1e-7)
    assert np.all(np.cos(result.x) + 0.02 > 0)


def test_optimizers_and_their_settings():
    for optimizer in (LBFGS(history=3), TrustRegion(radius=0.1), NewtonKrylov(line_search="jet")):
        result = minimize(rosenbrock, [-1.2, 1.0], optimizer)
        assert result.success
        np.testing.assert_allclose(result.x, 1, atol=1e-6)
    result = minimize(lambda w: w @ w, np.ones(2), SGD(0.25, momentum=0.0), tol=1e-6)
    assert (result.status, result.nit, result.njev) == (0, 20, 21)


def test_types():
    f = lambda w: np.sum((w - 2) ** 2)  # noqa: E731
    assert minimize(f, [1, 3], "newton").x.dtype == np.float64
    result = minimize(f, np.zeros(3, np.float32), "lbfgs", tol=1e-5)
    assert (result.x.dtype, result.jac.dtype, result.success) == (np.float32, np.float32, True)
    for method in METHODS:
        device = minimize(f, StandIn.wrap(np.zeros(3)), method, grad=lambda w: 2 * (w - 2))
        assert isinstance(device.x, StandIn)
        assert device.success
        np.testing.assert_allclose(device.x.get(), 2, rtol=1e-7)


def test_other_shapes_are_for_f():
    A = np.arange(6.0).reshape(2, 3)
    result = minimize(lambda w: np.sum((w.reshape(2, 3) - A) ** 2), np.zeros(6))
    np.testing.assert_allclose(result.x.reshape(2, 3), A, atol=1e-12)


@pytest.mark.parametrize(
    ("arguments", "settings", "error", "message"),
    [
        ([[1.0]], {"method": "bfgs"}, ValueError, "method: expected one of 'lbfgs', .* got 'bfgs'"),
        ([[1.0]], {"method": LBFGS}, ValueError, "an optimizer such as TrustRegion"),
        ([[1.0]], {"tol": -1.0}, ValueError, "tol: expected a number of at least 0, got -1.0"),
        ([[1.0]], {"tol": float("nan")}, ValueError, "tol: expected a number of at least 0"),
        (
            [[1.0]],
            {"max_iterations": 0},
            ValueError,
            "max_iterations: expected an integer of at least 1, got 0",
        ),
        ([[[1.0]]], {}, ValueError, r"w: expected one flat vector \(P,\) .* got shape \(1, 1\)"),
        ([2.0], {}, ValueError, r"w: expected one flat vector \(P,\) .* got shape \(\)"),
        ([[1.0]], {"grad": lambda w: [1.0]}, TypeError, r"grad: expected .* \(1,\), got a list"),
        ([[1.0]], {"grad": lambda w: np.ones(2)}, ValueError, r"gradient: expected shape \(1,\)"),
    ],
)
def test_bad_input_is_refused(arguments, settings, error, message):
    with pytest.raises(error, match=message):
        minimize(lambda w: w @ w, *arguments, **settings)


def test_functions_that_are_no_numbers_are_refused():
    with pytest.raises(ValueError, match=r"expected one result of shape \(\)"):
        minimize(lambda w: w, np.ones(2))
    with np.errstate(invalid="ignore"), pytest.raises(NonFiniteError, match="loss is nan"):
        minimize(lambda w: np.sum(np.log(w)), -np.ones(2))


def test_a_missing_scipy_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    with pytest.raises(ImportError, match=r"expected SciPy, .* pip install scipy"):
        minimize(lambda w: w @ w, np.ones(2))


@pytest.mark.parametrize(
    "method", ["trust-ncg", "trust-krylov", "Newton-CG", "trust-exact", "BFGS"]
)
def test_derivatives_of_mcx_pass_to_scipy(method):
    p = PROBLEMS["wood" if method != "Newton-CG" else "beale"]

    def jac(x):
        return mcx.gradient(p, x)

    def hess(x):
        return mcx.hessian(p, x)

    def hessp(x, v):
        return mcx.csdd(jac, x, v)[1]

    given = {"trust-exact": {"hess": hess}, "BFGS": {}}.get(method, {"hessp": hessp})
    result = optimize.minimize(p, p.x0, jac=jac, method=method, **given)
    assert result.success, result.message
    np.testing.assert_allclose(result.x, p.minimizer, atol=1e-4)
    if given:
        full = optimize.minimize(p, p.x0, jac=jac, hess=hess, method=method)
        np.testing.assert_allclose(full.x, result.x, atol=1e-6)


def test_a_complex_start_is_refused():
    """Its imaginary part would be dropped."""
    with pytest.raises(TypeError, match="w0: expected real numbers, got complex ones"):
        minimize(lambda w: w @ w, np.array([1.0 + 1j, 2.0]))
