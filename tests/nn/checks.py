"""Checkers of layers and losses, and the independent derivatives that they compare with.

A checker takes a `Problem`, a scalar function of one flat vector with its hand-written gradient,
and raises AssertionError where the two disagree. `test_checks.py` shows that each can fail.
"""

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

import mcx
from tests.standin import StandIn

EPS = np.finfo(float).eps
EMPTY = MappingProxyType({})


@dataclass(frozen=True)
class Problem:
    """A scalar function `value` of a flat vector with its `gradient`, and the point `z`."""

    value: Callable
    gradient: Callable
    z: np.ndarray


def is_differentiable(x):
    """Tell whether an input has a gradient: indices have none."""
    return x.dtype.kind in "fc"


def layer_problem(layer, params, x, dy, context=EMPTY):
    """Return ⟨dy, sin(layer(params, x))⟩ as a function of all parameters, and of x if it can be.

    The sine makes dL/dy depend on y, so that linear layers have second derivatives as well.
    """
    variables = {**params, "x": x} if is_differentiable(x) else params
    ends = np.cumsum([0, *(array.size for array in variables.values())])

    def forward(z):
        arrays = {
            name: z[start:end].reshape(array.shape)
            for (name, array), start, end in zip(
                variables.items(), ends[:-1], ends[1:], strict=True
            )
        }
        return layer.forward(arrays, arrays.pop("x", x), context)

    def gradient(z):
        y, backward = forward(z)
        dx, grads = backward(dy * np.cos(y))
        assert (dx is not None) == is_differentiable(x), "dx: given for indices, or missing"
        parts = [*grads.values(), dx] if is_differentiable(x) else grads.values()
        return np.concatenate([array.reshape(-1) for array in parts])

    z = np.concatenate([array.reshape(-1) for array in variables.values()])
    return Problem(lambda z: (dy * np.sin(forward(z)[0])).sum(), gradient, z)


def loss_problem(loss, output, target):
    """Return a loss as a function of the model's output."""
    return Problem(
        lambda z: loss(z.reshape(output.shape), target)[0],
        lambda z: loss(z.reshape(output.shape), target)[1].reshape(-1),
        output.reshape(-1),
    )


def supervised_problem(supervised, w, batch):
    """Return the loss on a batch as a function of the flat parameter vector."""
    return Problem(
        lambda w: supervised.value(w, batch), lambda w: supervised.value_and_grad(w, batch)[1], w
    )


# ---- independent derivatives, on NumPy's complex numbers


def complex_step(f, z, p, h=1e-30):
    """Return the derivative of f at z along p, f real-valued for real arguments."""
    return np.imag(f(z + 1j * h * p)) / h


def dense_gradient(problem):
    """Return the gradient of the value, one complex step per component."""
    return np.array([complex_step(problem.value, problem.z, p) for p in np.eye(problem.z.size)])


def dense_hessian(problem):
    """Return the matrix whose columns are complex steps of the hand-written gradient."""
    columns = [complex_step(problem.gradient, problem.z, p) for p in np.eye(problem.z.size)]
    return np.stack(columns, axis=1)


def cauchy_curvature(value, z, p, radius=0.05, points=16):
    """Return d²/dt² value(z + t p) at t = 0 by the trapezoidal rule on Cauchy's integral.

    It uses nothing but values: no gradient and no step that cancels. Its rounding error is
    2 eps |value| / radius², its truncation error falls like (radius/ρ)^points, ρ the distance to
    the next singularity.
    """
    nodes = np.exp(2j * np.pi * np.arange(points) / points)
    values = np.array([value(z + radius * node * p) for node in nodes])
    return 2 * np.mean(values / nodes**2).real / radius**2


# ---- checkers


def assert_close(actual, expected, tolerance, what):
    """Raise unless |actual − expected| ≤ tolerance · max |expected| everywhere, same shapes."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape, f"{what}: shapes {actual.shape} and {expected.shape}"
    error = np.max(np.abs(actual - expected), initial=0)
    bound = tolerance * np.max(np.abs(expected), initial=0)
    assert error <= bound, f"{what}: error {error:.2e} above {bound:.2e}"


def check_gradient(problem, tolerance=256 * EPS):
    """Compare the hand-written gradient with complex steps of the value."""
    assert_close(problem.gradient(problem.z), dense_gradient(problem), tolerance, "gradient")


def check_hessian(problem, p, tolerance=1024 * EPS):
    """Compare Hp and pᵀHp of mcx with a dense Hessian, and that Hessian with its transpose."""
    hessian = dense_hessian(problem)
    assert_close(hessian, hessian.T, tolerance, "symmetry")
    gradient, product = mcx.csdd(problem.gradient, problem.z, p)
    assert_close(gradient, problem.gradient(problem.z), tolerance, "gradient by csdd")
    scale = np.abs(hessian) @ np.abs(p)  # a product may cancel; its rounding errors do not
    error = np.abs(product - hessian @ p)
    assert np.all(error <= tolerance * np.max(scale)), f"Hp: error {error.max():.2e}"
    error = abs(mcx.csdd2(problem.value, problem.z, p) - p @ hessian @ p)
    bound = tolerance * (np.abs(p) @ scale + abs(problem.value(problem.z)))
    assert error <= bound, f"pᵀHp: error {error:.2e} above {bound:.2e}"


def check_curvature(problem, p, tolerance=1e-10):
    """Compare pᵀHp from the hand-written gradient with one that uses values only."""
    curvature = p @ complex_step(problem.gradient, problem.z, p)
    expected = cauchy_curvature(problem.value, problem.z, p)
    bound = tolerance * (abs(expected) + abs(problem.value(problem.z)) + np.linalg.norm(p))
    assert abs(curvature - expected) <= bound, f"curvature {curvature}, from values {expected}"


def check_multicomplex(problem, p, q, tolerance=1024 * EPS):
    """Compare every plane of value and gradient, over one and two units, with complex steps."""
    gradient, value = problem.gradient(problem.z), problem.value(problem.z)
    along_p = complex_step(problem.gradient, problem.z, p)
    along_q = complex_step(problem.gradient, problem.z, q)
    for directions in ((p,), (p, q)):
        z = mcx.perturb(problem.z, *directions)
        y, dz = problem.value(z), problem.gradient(z)
        size = np.sum(np.abs(gradient * p)) + np.sum(np.abs(p * along_q)) + abs(value)
        assert_close(y.value, value, tolerance, "value plane of the value")
        assert_close(dz.value, gradient, tolerance, "value plane of the gradient")
        assert_close(dz.im(1), along_p, tolerance, "i_1 plane of the gradient")
        assert abs(y.im(1) - gradient @ p) <= tolerance * size, "i_1 plane of the value"
        if len(directions) == 2:
            assert_close(dz.im(2), along_q, tolerance, "i_2 plane of the gradient")
            assert abs(y.im(1, 2) - p @ along_q) <= tolerance * size, "i_1 i_2 plane of the value"


def check_linearize(problem, directions, tolerance=1024 * EPS):
    """Compare the linearised gradient, along one direction and all at once, with complex steps."""
    columns = [complex_step(problem.gradient, problem.z, p) for p in directions]
    gradient, tangent = mcx.linearize(problem.gradient, problem.z)
    assert_close(gradient, problem.gradient(problem.z), tolerance, "gradient by linearize")
    assert_close(tangent(directions[0]), columns[0], tolerance, "one direction")
    assert_close(tangent(directions), np.stack(columns), tolerance, "several directions")


def leaves(context):
    """Return the arrays of a context."""
    parts = [part for part in context.values() if isinstance(part, dict)]
    return [array for part in parts for array in part.values()]


def converted(context, convert):
    """Return a context with all arrays converted."""
    return {
        key: {name: convert(array) for name, array in part.items()}
        if isinstance(part, dict)
        else part
        for key, part in context.items()
    }


def check_pure(layer, params, x, dy, context=EMPTY):
    """Require that nothing given is written to and that gradients are fresh and repeatable."""
    given = [*params.values(), x, dy, *leaves(context)]
    copies = [array.copy() for array in given]
    state = dict(vars(layer))
    y, backward = layer.forward(params, x, context)
    kept = y.copy()
    dx, grads = backward(dy)
    again, grads_again = backward(dy)
    assert all(map(np.array_equal, [*given, y], [*copies, kept])), "an argument was written to"
    assert vars(layer) == state, "the layer keeps state"
    assert np.array_equal(dx, again), "dx changes between two calls of backward"
    assert grads.keys() == grads_again.keys() == layer.parameters.keys()
    given += [y, dx] if is_differentiable(x) else [y]
    for name, grad in grads.items():
        assert grad.shape == layer.parameters[name], f"shape of {name}"
        assert np.array_equal(grad, grads_again[name]), f"{name} changes between two calls"
        aliases = [array for array in given if np.shares_memory(grad, array)]
        assert not aliases, f"{name} aliases"


def check_dtype(layer, params, x, dy, dtype, context=EMPTY):
    """Require that output and gradients keep the dtype of parameters and input."""
    params = {name: array.astype(dtype) for name, array in params.items()}
    y, backward = layer.forward(params, x.astype(dtype) if is_differentiable(x) else x, context)
    dx, grads = backward(dy.astype(dtype))
    got = {"y": y.dtype, **{name: grad.dtype for name, grad in grads.items()}}
    if is_differentiable(x):
        got["dx"] = dx.dtype
    assert set(got.values()) == {np.dtype(dtype)}, f"expected {dtype}, got {got}"


def check_standin(layer, params, x, dy, context=EMPTY):
    """Compare with the layer on an array type that refuses all that CuPy refuses."""
    y, backward = layer.forward(params, x, context)
    dx, grads = backward(dy)
    wrapped = {name: StandIn.wrap(array) for name, array in params.items()}
    device_context = converted(context, StandIn.wrap)
    device_y, device_backward = layer.forward(wrapped, StandIn.wrap(x), device_context)
    device_dx, device_grads = device_backward(StandIn.wrap(dy))
    assert np.array_equal(device_y.get(), y)
    assert dx is device_dx is None or np.array_equal(device_dx.get(), dx)
    assert device_grads.keys() == grads.keys()
    assert all(np.array_equal(device_grads[name].get(), grad) for name, grad in grads.items())
