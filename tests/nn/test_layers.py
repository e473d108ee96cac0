"""Every layer crossed with every check."""

import numpy as np
import pytest

from tests.nn import checks
from tests.nn.cases import CASES

pytestmark = pytest.mark.parametrize("case", CASES, ids=str)


def problem_of(case):
    return checks.layer_problem(case.layer, *case.arrays(), case.context)


def directions(problem, count):
    return np.random.default_rng(1).normal(size=(count, problem.z.size))


def test_value(case):
    params, x, _ = case.arrays()
    y, _ = case.layer.forward(params, x, case.context)
    checks.assert_close(y, case.reference(params, x), 64 * checks.EPS, "value")


def test_backward(case):
    checks.check_gradient(problem_of(case))


def test_hessian(case):
    problem = problem_of(case)
    checks.check_hessian(problem, directions(problem, 1)[0])


def test_curvature(case):
    problem = problem_of(case)
    checks.check_curvature(problem, directions(problem, 1)[0])


def test_multicomplex(case):
    problem = problem_of(case)
    checks.check_multicomplex(problem, *directions(problem, 2))


def test_linearize(case):
    problem = problem_of(case)
    checks.check_linearize(problem, directions(problem, 3))


def test_pure(case):
    checks.check_pure(case.layer, *case.arrays(), case.context)


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
def test_dtype(case, dtype):
    checks.check_dtype(case.layer, *case.arrays(), dtype, case.context)


def test_standin(case):
    checks.check_standin(case.layer, *case.arrays(), case.context)


def test_float32_agrees(case):
    params, x, dy = case.arrays()
    y, backward = case.layer.forward(params, x, case.context)
    narrow = {name: array.astype("float32") for name, array in params.items()}
    x32 = x.astype("float32") if checks.is_differentiable(x) else x
    y32, backward32 = case.layer.forward(narrow, x32, case.context)
    tolerance = 64 * np.finfo("float32").eps
    checks.assert_close(y32, y, tolerance, "value")
    (dx32, grads32), (dx, grads) = backward32(dy.astype("float32")), backward(dy)
    for name, grad in grads.items():
        checks.assert_close(grads32[name], grad, tolerance, name)
    if checks.is_differentiable(x):
        checks.assert_close(dx32, dx, tolerance, "dx")


def test_constant_input(case):
    """Without dx the gradients of the parameters are the same."""
    params, x, dy = case.arrays()
    _, grads = case.layer.forward(params, x, case.context)[1](dy)
    context = {**case.context, "constant_input": True}
    dx, constant = case.layer.forward(params, x, context)[1](dy)
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


def test_initial_state(case):
    state = case.layer.init_state()
    assert {name: array.shape for name, array in state.items()} == dict(case.layer.state)
    assert all(array.dtype == np.float64 for array in state.values())


def test_output_shape(case):
    params, x, _ = case.arrays()
    y, _ = case.layer.forward(params, x, case.context)
    assert case.layer.output_shape(case.shape[1:]) == y.shape[1:]
