"""Curvature operators in SciPy's sparse solvers, against dense matrices."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.sparse import linalg

from mcx_nn import Activation, Dense, Sequential, Supervised, softmax_cross_entropy
from mcx_optim import GaussNewton, Hessian, Objective
from mcx_optim.linear_operator import as_linear_operator
from tests.optim.problems import small_softmax, softmax_hessian
from tests.standin import StandIn


@pytest.fixture
def convex():
    """Return a Hessian operator and the dense matrix in closed form."""
    objective, w = small_softmax()
    w = w + np.linspace(-1, 1, 15)
    return Hessian(objective, w, objective.data), softmax_hessian(w, objective.data)


def test_products(convex, rng):
    H, dense = convex
    operator = as_linear_operator(H)
    assert isinstance(operator, linalg.LinearOperator)
    assert (operator.shape, operator.dtype) == ((15, 15), np.float64)
    p, columns = rng.standard_normal(15), rng.standard_normal((15, 4))
    for transposed in (operator, operator.T, operator.H):
        np.testing.assert_allclose(transposed @ p, dense @ p, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(transposed @ p[:, None], (dense @ p)[:, None], atol=1e-12)
        np.testing.assert_allclose(transposed @ columns, dense @ columns, rtol=1e-9, atol=1e-12)
        assert (transposed @ columns).shape == (15, 4)
    np.testing.assert_allclose(
        (operator + 2 * linalg.aslinearoperator(np.eye(15))) @ p, dense @ p + 2 * p
    )


def test_a_matrix_is_one_block(convex):
    H, _ = convex
    calls = []
    product = H._product
    H._product = lambda p: (calls.append(p.shape), product(p))[1]
    operator = as_linear_operator(H)
    for matrix in (operator, operator.T):
        assert (matrix @ np.ones((15, 4))).shape == (15, 4)
    assert calls == [(4, 15), (4, 15)]


def test_cg_and_minres_solve_with_it(convex, rng):
    H, dense = convex
    b = rng.standard_normal(15)
    operator = as_linear_operator(H)
    x, info = linalg.cg(operator, b, rtol=1e-12, maxiter=200)
    assert info == 0
    np.testing.assert_allclose(x, np.linalg.solve(dense, b), rtol=1e-6)
    x, info = linalg.minres(operator, b, rtol=1e-13, maxiter=200)
    np.testing.assert_allclose(x, np.linalg.solve(dense, b), rtol=1e-5)


def test_eigsh_finds_negative_curvature():
    A = np.diag(np.arange(-3.0, 17.0))
    A[0, 5] = A[5, 0] = 2.0
    objective = Objective(lambda w, batch: (w @ (A @ w) / 2 + np.sum(w**4), A @ w + 4 * w**3))
    w = np.linspace(-0.3, 0.3, 20)
    dense = A + np.diag(12 * w**2)
    values = linalg.eigsh(as_linear_operator(Hessian(objective, w, None)), k=3, which="SA")[0]
    np.testing.assert_allclose(np.sort(values), np.linalg.eigvalsh(dense)[:3], rtol=1e-9)


def test_gauss_newton(rng):
    problem = Supervised(
        Sequential([Dense(3, 2), Activation("tanh"), Dense(2, 3)]), softmax_cross_entropy
    )
    w = problem.init(rng)
    batch = rng.standard_normal((20, 3)), rng.integers(0, 3, 20)
    G = GaussNewton(Objective.of(problem), w, batch)
    operator = as_linear_operator(G)
    dense = np.array([G @ e for e in np.eye(w.size)])
    np.testing.assert_allclose(operator @ np.eye(w.size), dense, atol=1e-14)
    values = linalg.eigsh(operator, k=2, which="LA")[0]
    np.testing.assert_allclose(np.sort(values), np.linalg.eigvalsh(dense)[-2:], rtol=1e-9)


def test_float32_takes_vectors_of_float64():
    objective, w = small_softmax(np.float32)
    operator = as_linear_operator(Hessian(objective, w, objective.data))
    assert operator.dtype == np.float32
    assert (operator @ np.ones(15)).dtype == np.float32
    assert (operator @ np.eye(15)).dtype == np.float32


def test_device_arrays_take_the_operator_of_cupy(monkeypatch, rng):
    """With a stand-in for CuPy's module: the operator holds what ours was given."""
    made = []

    class LinearOperator(SimpleNamespace):
        def __init__(self, shape, **functions):
            super().__init__(shape=shape, **functions)
            made.append(self)

    module = SimpleNamespace(LinearOperator=LinearOperator)
    monkeypatch.setitem(sys.modules, "cupyx.scipy.sparse.linalg", module)
    monkeypatch.setattr(StandIn, "__module__", "cupy")
    A = np.array([[2.0, 1.0], [1.0, -3.0]])
    device = StandIn.wrap(A)
    objective = Objective(lambda w, batch: (w @ (device @ w) / 2, device @ w))
    operator = as_linear_operator(Hessian(objective, StandIn.wrap(np.ones(2)), None))
    assert made == [operator]
    P = rng.standard_normal((2, 3))
    np.testing.assert_allclose(operator.matmat(StandIn.wrap(P)).get(), A @ P)
    np.testing.assert_allclose(operator.matvec(StandIn.wrap(P[:, :1])).get(), A @ P[:, 0])


@pytest.mark.parametrize(("array", "name"), [(np.ones, "SciPy"), (None, "CuPy")])
def test_a_missing_library_is_named(monkeypatch, array, name):
    w = np.ones(2) if array else StandIn.wrap(np.ones(2))
    H = Hessian(Objective(lambda w, batch: (w @ w / 2, w)), w, None)
    monkeypatch.setattr(StandIn, "__module__", "cupy")
    for module in ("scipy.sparse.linalg", "cupyx.scipy.sparse.linalg"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=f"needs {name}; install it by: pip install"):
        as_linear_operator(H)


def test_objective_makes_one_of_its_hessian(convex, rng):
    H, dense = convex
    objective, w = small_softmax()
    operator = objective.as_linear_operator(w + np.linspace(-1, 1, 15), objective.data)
    p = rng.standard_normal(15)
    np.testing.assert_array_equal(operator @ p, H @ p)
    np.testing.assert_allclose(linalg.eigsh(operator, 1)[0], np.linalg.eigvalsh(dense)[-1:])


def test_complex_vectors_are_refused(convex):
    """Their imaginary part would be dropped."""
    operator = as_linear_operator(convex[0])
    for p in (np.ones(15) * 1j, np.ones((15, 2)) * 1j):
        with pytest.raises(TypeError, match="expected real vectors, got complex ones"):
            operator @ p
