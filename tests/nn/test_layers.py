"""Every layer crossed with every check."""

import numpy as np
import pytest

from tests.nn import checks
from tests.nn.cases import CASES

pytestmark = pytest.mark.parametrize("case", CASES, ids=str)


def directions(problem, seed=1):
    return np.random.default_rng(seed).normal(size=(2, problem.z.size))


def test_value(case):
    params, x, _ = case.arrays()
    y, _ = case.layer.forward(params, x, {})
    checks.assert_close(y, case.reference(params, x), 64 * checks.EPS, "value")


def test_backward(case):
    checks.check_gradient(checks.layer_problem(case.layer, *case.arrays()))


def test_hessian(case):
    problem = checks.layer_problem(case.layer, *case.arrays())
    checks.check_hessian(problem, directions(problem)[0])


def test_curvature(case):
    problem = checks.layer_problem(case.layer, *case.arrays())
    checks.check_curvature(problem, directions(problem)[0])


def test_multicomplex(case):
    problem = checks.layer_problem(case.layer, *case.arrays())
    checks.check_multicomplex(problem, *directions(problem))


def test_pure(case):
    checks.check_pure(case.layer, *case.arrays())


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
def test_dtype(case, dtype):
    checks.check_dtype(case.layer, *case.arrays(), dtype)


def test_standin(case):
    checks.check_standin(case.layer, *case.arrays())


def test_float32_agrees(case):
    params, x, dy = case.arrays()
    y, backward = case.layer.forward(params, x, {})
    narrow = {name: array.astype("float32") for name, array in params.items()}
    y32, backward32 = case.layer.forward(narrow, x.astype("float32"), {})
    tolerance = 64 * np.finfo("float32").eps
    checks.assert_close(y32, y, tolerance, "value")
    checks.assert_close(backward32(dy.astype("float32"))[0], backward(dy)[0], tolerance, "dx")


def test_constant_input(case):
    """Without dx the gradients of the parameters are the same."""
    params, x, dy = case.arrays()
    _, grads = case.layer.forward(params, x, {})[1](dy)
    dx, constant = case.layer.forward(params, x, {"constant_input": True})[1](dy)
    assert grads.keys() == constant.keys()
    assert all(np.array_equal(constant[name], grad) for name, grad in grads.items())
    assert (dx is None) == bool(params)


def test_initial_parameters(case):
    params = case.layer.init(np.random.default_rng(3))
    assert {name: array.shape for name, array in params.items()} == dict(case.layer.parameters)
    assert all(array.dtype == np.float64 for array in params.values())
    same = case.layer.init(np.random.default_rng(3))
    assert all(np.array_equal(params[name], same[name]) for name in params)
    assert all(not array.any() for name, array in params.items() if name.endswith("bias"))
