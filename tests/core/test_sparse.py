"""Sparse matrices times numbers: SciPy's own product in every plane; as data, numbers raise."""

import operator
import sys
import types

import numpy as np
import pytest
import scipy
from core.builders import filled
from core.checkers import assert_same_value, random_planes
from scipy import sparse
from scipy.sparse import linalg

import mcx

FORMATS = ("csr", "csc", "coo", "bsr", "dia", "dok", "lil")
KINDS = [f"{name}_{kind}" for name in FORMATS for kind in ("matrix", "array")]
SHAPES = ((4,), (4, 1), (4, 3))


def dense(rng, dtype=np.float64):
    return (rng.normal(size=(5, 4)) * (rng.random((5, 4)) < 0.6)).astype(dtype)


@pytest.fixture
def matrix(rng):
    return dense(rng)


def products(S, shape, z):
    """Return the products of a sparse matrix (5, 4) and a number (4, ...), and SciPy's own."""
    calls = {"left": lambda x: mcx.sparse_matmul(S, x), "right": lambda x: x.T @ S.T}
    if len(shape) == 1:
        calls["both"] = lambda x: mcx.sparse_matmul(S, x) @ S
    own = {
        "left": lambda x: S @ x,
        "right": lambda x: x.T @ S.T,
        "both": lambda x: (S @ x) @ S,
    }
    return [(call(z), own[name]) for name, call in calls.items()]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_every_plane_is_the_product_of_scipy(kind, shape, dtype, rng):
    S = getattr(sparse, kind)(dense(rng, dtype))
    for order in (1, 2, 3, 4):
        z = filled(random_planes(rng, rng.normal(size=shape).astype(dtype), order))
        for result, own in products(S, shape, z):
            assert_same_value(result, own(z.value))
            for plane, source in zip(result.planes, z.planes, strict=True):
                np.testing.assert_array_equal(plane, own(source), strict=True)


@pytest.mark.parametrize("kind", ["csr_array", "csc_matrix", "coo_array"])
@pytest.mark.parametrize("types", [(np.float32, np.float64), (np.complex128, np.float64),
                                   (np.float64, np.complex64), (np.int64, np.float64),
                                   (np.bool_, np.float64), (np.int32, np.float32)],
                         ids=lambda t: "-".join(n.__name__ for n in t))  # fmt: skip
def test_types_are_promoted_as_scipy_promotes_them(kind, types, matrix, rng):
    S = getattr(sparse, kind)((4 * matrix).astype(types[0]))
    z = mcx.perturb(*rng.normal(size=(3, 4)).astype(types[1]))
    for result, own in products(S, (4,), z):
        assert_same_value(result, own(z.value))
        for plane, source in zip(result.planes, z.planes, strict=True):
            np.testing.assert_array_equal(plane, own(source), strict=True)


@pytest.mark.skipif(
    tuple(map(int, scipy.__version__.split(".")[:2])) < (1, 15), reason="no 1-D sparse arrays"
)
def test_sparse_vectors(rng):
    v = sparse.coo_array(np.array([0.0, 2.0, 0.0, -1.5]))
    z = mcx.perturb(*rng.normal(size=(3, 4)))
    for result, own in ((z @ v, lambda x: x @ v), (mcx.sparse_matmul(v, z), lambda x: v @ x)):
        assert result.shape == ()
        for plane, source in zip(result.planes, z.planes, strict=True):
            np.testing.assert_allclose(plane, own(source), rtol=1e-15)


def test_functions_of_products_differentiate(matrix, rng):
    """Logistic regression: gradient Sᵀ(s − 1) and Hessian Sᵀ s(1 − s) S, s = logistic(S w)."""
    S, w = sparse.csr_array(matrix), rng.normal(size=4)

    def loss(w):
        return np.sum(np.logaddexp(0.0, -mcx.sparse_matmul(S, w)))

    def grad(w):
        return (-1 / (1 + np.exp(mcx.sparse_matmul(S, w)))) @ S

    s = 1 / (1 + np.exp(-matrix @ w))
    hessian = matrix.T @ ((s * (1 - s))[:, None] * matrix)
    np.testing.assert_allclose(mcx.gradient(loss, w), matrix.T @ (s - 1), rtol=1e-13)
    np.testing.assert_allclose(mcx.hessian(loss, w), hessian, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(mcx.jacobian(grad, w), hessian, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(mcx.hessian(loss, w, grad=grad), hessian, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("kind", KINDS)
def test_linearize_keeps_the_matrix_of_its_time(kind, matrix, rng):
    S = getattr(sparse, kind)(matrix)
    x, block = rng.normal(size=4), rng.normal(size=(3, 4))

    def f(x):
        y = np.exp(mcx.sparse_matmul(S, x))
        return np.sin(y @ S)

    jacobian = mcx.jacobian(f, x)
    value, lin = mcx.linearize(f, x)
    np.testing.assert_array_equal(value, f(x))
    if S.format in ("lil", "dok"):
        S[1, 2] = 7.0
    else:
        S.data[...] = 0.0
    np.testing.assert_allclose(lin(block[0]), jacobian @ block[0], rtol=1e-12)
    np.testing.assert_allclose(lin(block), block @ jacobian.T, rtol=1e-12)


def test_plain_operands_are_left_to_scipy(matrix, rng):
    S, x = sparse.csr_array(matrix), rng.normal(size=4)
    np.testing.assert_array_equal(mcx.sparse_matmul(S, x), S @ x)
    np.testing.assert_array_equal(mcx.sparse_matmul(x, S.T), x @ S.T)
    assert sparse.issparse(mcx.sparse_matmul(S, S.T))


@pytest.mark.parametrize("shape", [(3,), (3, 4), (2, 4, 2)], ids=str)
def test_shapes_that_do_not_fit_raise(shape, matrix):
    S, z = sparse.csr_array(matrix), mcx.perturb(np.ones(shape), np.ones(shape))
    with pytest.raises(ValueError):  # noqa: PT011 - SciPy's own error
        mcx.sparse_matmul(S, z)
    with pytest.raises(ValueError):  # noqa: PT011
        z @ S


def square():
    return mcx.perturb(np.arange(1.0, 17).reshape(4, 4), np.ones((4, 4)))


def vector():
    return mcx.perturb(np.arange(1.0, 5), np.ones(4))


def scalar():
    return mcx.perturb(2.0, 1.0)


# Everything else that SciPy offers for a sparse S raises, with a number as an operand or as data.
RAISING = {
    "S @ z": lambda S: S @ vector(),
    "S.dot(z)": lambda S: S.dot(vector()),
    "S * z": lambda S: S * square(),
    "z * S": lambda S: square() * S,
    "S * scalar": lambda S: S * scalar(),
    "scalar * S": lambda S: scalar() * S,
    "S + z": lambda S: S + square(),
    "z + S": lambda S: square() + S,
    "z - S": lambda S: square() - S,
    "S / scalar": lambda S: S / scalar(),
    "z / S": lambda S: square() / S,
    "S ** scalar": lambda S: S ** scalar(),
    "z == S": lambda S: square() == S,
    "S.multiply": lambda S: S.multiply(square()),
    "S.maximum": lambda S: S.maximum(square()),
    "np.matmul": lambda S: np.matmul(S, vector()),
    "np.dot": lambda S: np.dot(S, vector()),
    "z.dot": lambda S: vector().dot(S),
    "@=": lambda S: operator.imatmul(S, square()),
    "S[0, 0] = z": lambda S: operator.setitem(S, (0, 0), scalar()),
    "S[0] = z": lambda S: operator.setitem(S, 0, vector()),
    "S.data[:] = z": lambda S: operator.setitem(S.data, slice(4), vector()),
    "S.setdiag": lambda S: S.setdiag(vector()),
    "constructor": lambda S: type(S)(square()),
    "data": lambda S: type(S)((vector(), (range(4), range(4))), shape=(4, 4)),
    "list of data": lambda S: type(S)(([scalar()] * 4, (range(4), range(4))), shape=(4, 4)),
    "list of rows": lambda S: type(S)([[scalar(), 1.0], [0.0, 2.0]]),
    "diags": lambda S: sparse.diags_array([vector()]),
    "kron": lambda S: sparse.kron(S, square()),
    "hstack": lambda S: sparse.hstack([S, square()]),
    "block_array": lambda S: sparse.block_array([[S, square()]]),
    "spsolve": lambda S: linalg.spsolve(S, vector()),
    "splu": lambda S: linalg.splu(S).solve(vector()),
    "cg": lambda S: linalg.cg(S, vector()),
    "expm_multiply": lambda S: linalg.expm_multiply(S, vector()),
    "LinearOperator": lambda S: linalg.aslinearoperator(S) @ vector(),
}


@pytest.mark.filterwarnings("ignore::scipy.sparse.SparseEfficiencyWarning")
@pytest.mark.parametrize("kind", ["csr_array", "csr_matrix", "csc_array", "coo_array"])
@pytest.mark.parametrize("probe", RAISING.values(), ids=RAISING)
def test_the_rest_raises(probe, kind):
    S = getattr(sparse, kind)(np.arange(1.0, 17).reshape(4, 4) + 3 * np.eye(4))
    with pytest.raises((TypeError, ValueError, NotImplementedError)):
        probe(S)


def test_the_error_names_the_remedy(matrix):
    with pytest.raises(mcx.ImplicitConversionError, match=r"S @ z, mcx\.sparse_matmul"):
        sparse.csr_array(matrix) @ vector()


def test_a_linear_solver_of_sparse_equations_registers_as_linear(rng):
    """The remedy for spsolve: the factorization is data, its solution linear in the right side."""
    A = sparse.csc_array(np.diag(rng.uniform(2, 3, 4)) + 0.1)
    solve = mcx.register_linear(lambda b, lu: lu.solve(b))
    lu = linalg.splu(A)
    slopes = mcx.jacobian(lambda b: solve(b, lu) ** 2, np.arange(1.0, 5))
    inverse = np.linalg.inv(A.toarray())
    x = inverse @ np.arange(1.0, 5)
    np.testing.assert_allclose(slopes, 2 * x[:, None] * inverse, rtol=1e-12)


def test_sparse_matrices_of_cupy_are_known_by_their_module(monkeypatch):
    class Doubling:
        def __matmul__(self, x):
            return 2.0 * x

        __rmatmul__ = __matmul__
        __array_ufunc__ = None

    module = types.SimpleNamespace(issparse=lambda x: isinstance(x, Doubling))
    monkeypatch.setitem(sys.modules, "cupyx.scipy.sparse", module)
    np.testing.assert_array_equal((vector() @ Doubling()).im(1), [2.0] * 4)
    np.testing.assert_array_equal(mcx.sparse_matmul(Doubling(), vector()).im(1), [2.0] * 4)
