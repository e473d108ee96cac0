"""Ways to compute gradients and products with the Hessian: ours and PyTorch's.

A way of ours is a function of a `Case`, one of PyTorch's of a `Torch`; it prepares what a Krylov
loop prepares once and returns the call to be timed.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from tests.bench.networks import DIRECTIONS, IN_STEPS, Torch  # before NumPy

import numpy as np  # isort: skip

import mcx

# h of the complex step: h² vanishes, h times the smallest numbers in use does not.
STEPS = {"float32": 1e-10, "float64": 1e-20}

GRADIENT, FRESH, KRYLOV = "gradient", "Hv fresh", "Hv in a Krylov loop"
CURVATURE, BLOCK = "p'Hp", "block Hv"


def _gradient(case):
    """Return the gradient as a function of w."""
    return lambda w: case.problem.value_and_grad(w, case.batch)[1]


def _linearized(case):
    """Return w -> Hp with everything that does not depend on p computed."""
    return mcx.linearize(_gradient(case), case.w)[1]


def _krylov(case):
    lin = _linearized(case)
    return lambda: lin(case.p)


def _block(case):
    lin, block = _linearized(case), case.block
    return lambda: lin(block)


def complex_step(case):
    """Prepare the paper's own way: Hp ≈ imag(g(w + ihp))/h with NumPy's complex numbers."""
    h = STEPS[case.w.dtype.name]
    gradient, step = _gradient(case), np.array(h, case.w.dtype)
    return lambda: gradient(case.w + 1j * (step * case.p)).imag / step


OURS = {
    GRADIENT: lambda case: lambda: _gradient(case)(case.w),
    FRESH: lambda case: lambda: _linearized(case)(case.p),
    KRYLOV: _krylov,
    CURVATURE: lambda case: (
        lambda: mcx.csdd2(lambda w: case.problem.value(w, case.batch), case.w, case.p)
    ),
    BLOCK: _block,
}


def _grad(side, outputs, inputs, **options):
    return side.torch.autograd.grad(outputs, inputs, **options)


def autograd(side):
    """Prepare autograd.grad of the loss."""
    return lambda: _grad(side, side.loss(side.leaves), side.leaves)


def _graph(side):
    """Return the gradient with the graph that made it."""
    return _grad(side, side.loss(side.leaves), side.leaves, create_graph=True)


def double_backward(side):
    """Prepare the gradient and its backward pass."""
    p = side.p
    return lambda: _grad(side, _graph(side), side.leaves, grad_outputs=p)


def graph_kept(side):
    """Prepare the second backward pass alone."""
    p, graph = side.p, _graph(side)
    return lambda: _grad(side, graph, side.leaves, grad_outputs=p, retain_graph=True)


def jvp_of_grad(side):
    """Prepare torch.func.jvp of torch.func.grad."""
    func, p = side.torch.func, side.p
    return lambda: func.jvp(func.grad(side.loss), (side.values,), (p,))[1]


def forward_of_backward(side):
    """Prepare autograd.grad on dual numbers, without torch.func."""
    forward, p = side.torch.autograd.forward_ad, side.p

    def call():
        with forward.dual_level():
            duals = tuple(map(forward.make_dual, side.leaves, p))
            grads = _grad(side, side.loss(duals), duals)
            return tuple(forward.unpack_dual(grad).tangent for grad in grads)

    return call


def linearize_of_grad(side):
    """Prepare torch.func.linearize of torch.func.grad."""
    func, p = side.torch.func, side.p
    lin = func.linearize(func.grad(side.loss), side.values)[1]
    return lambda: lin(p)


def jvp_of_jvp(side):
    """Prepare torch.func.jvp of torch.func.jvp of the loss."""
    jvp, p = side.torch.func.jvp, side.p

    def slope(params):
        return jvp(partial(side.loss, operations=IN_STEPS), (params,), (p,))[1]

    return lambda: jvp(slope, (side.values,), (p,))[1]


def dotted(way):
    """Return the way to p·(Hp) from a way to Hp."""

    def prepare(side):
        call, p = way(side), side.p
        return lambda: sum((a * b).sum() for a, b in zip(p, call(), strict=True))

    return prepare


def loop_over_graph(side):
    """Prepare one backward pass through the graph kept for every direction."""
    block, graph = side.block, _graph(side)

    def product(k):
        p = tuple(part[k] for part in block)
        return _grad(side, graph, side.leaves, grad_outputs=p, retain_graph=True)

    def call():
        rows = [product(k) for k in range(DIRECTIONS)]
        return tuple(side.torch.stack(parts) for parts in zip(*rows, strict=True))

    return call


def batched_over_graph(side):
    """Prepare one backward pass through the graph kept for all directions, by autograd's vmap."""
    block, graph = side.block, _graph(side)
    options = {"grad_outputs": block, "retain_graph": True, "is_grads_batched": True}
    return lambda: _grad(side, graph, side.leaves, **options)


def vmap_of_jvp(side):
    """Prepare torch.func.vmap of jvp of grad."""
    func, block = side.torch.func, side.block

    def product(p):
        return func.jvp(func.grad(side.loss), (side.values,), (p,))[1]

    return lambda: func.vmap(product)(block)


def vmap_of_linearize(side):
    """Prepare torch.func.vmap of the function that torch.func.linearize made."""
    func, block = side.torch.func, side.block
    lin = func.linearize(func.grad(side.loss), side.values)[1]
    return lambda: func.vmap(lin)(block)


HESSIAN_VECTOR = {
    "double backward": double_backward,
    "jvp of grad": jvp_of_grad,
    "forward AD of grad": forward_of_backward,
}
PYTORCH = {  # in each row the plainest first
    GRADIENT: {"autograd.grad": autograd},
    FRESH: HESSIAN_VECTOR,
    KRYLOV: {"graph kept": graph_kept, "linearize of grad": linearize_of_grad},
    CURVATURE: {
        **{f"p·({name})": dotted(way) for name, way in HESSIAN_VECTOR.items()},
        "jvp of jvp": jvp_of_jvp,
    },
    BLOCK: {
        "loop over the graph kept": loop_over_graph,
        "batched over the graph kept": batched_over_graph,
        "vmap of jvp of grad": vmap_of_jvp,
        "vmap of linearize": vmap_of_linearize,
    },
}
LAST = ", channels last"
# What the bars are set against, in PyTorch's default memory format; elsewhere its fastest way.
NAMED = {
    **{GRADIENT: "autograd.grad", FRESH: "double backward"},
    **{KRYLOV: "graph kept", CURVATURE: "jvp of jvp"},
}


def pytorch(case) -> dict[str, dict[str, Callable]]:
    """Return what prepares each of PyTorch's ways to each quantity of a case."""
    sides = {"": Torch(case, False)}
    if len(case.network.shape) == 3:
        sides[LAST] = Torch(case, True)
    return {
        quantity: {
            name + suffix: partial(prepare, side, way)
            for suffix, side in sides.items()
            for name, way in ways.items()
        }
        for quantity, ways in PYTORCH.items()
    }


def prepare(side, way) -> Callable:
    """Return a call of one of PyTorch's ways and what turns its result into ours."""
    call = way(side)
    return call, lambda result: side.join(result) if isinstance(result, tuple) else result.numpy()
