"""Many distinct directions, computed by halves: every plane against closed forms."""

import itertools
import math

import numpy as np
import pytest
from core.ways import by_kernels, plainly

import mcx
from mcx import memory

# f, and its k-th derivative.
FUNCTIONS = {
    "square": (np.square, lambda x, k: (x * x, 2 * x, 2 + 0 * x)[k] if k < 3 else 0 * x),
    "cube": (lambda x: x**3, lambda x, k: math.perm(3, k) * x ** max(3 - k, 0)),
    "exp": (np.exp, lambda x, k: np.exp(x)),
    "sin": (np.sin, lambda x, k: np.sin(x + k * np.pi / 2)),
    "reciprocal": (np.reciprocal, lambda x, k: (-1) ** k * math.factorial(k) / x ** (k + 1)),
    "product": (lambda x: x * x * x, lambda x, k: math.perm(3, k) * x ** max(3 - k, 0)),
}


@pytest.mark.parametrize("way", [by_kernels, plainly])
@pytest.mark.parametrize("order", [5, 6, 7, 8])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_plane(name, order, way, rng):
    func, derivative = FUNCTIONS[name]
    x = rng.uniform(0.5, 2, 40)
    p = rng.choice([-1.0, 0.5, 2.0], (order, 40))
    used = memory.new_buffer((2**order, 40), np.dtype(float))
    used.fill(np.nan)  # memory that a kernel does not write must not show
    del used
    with way():
        z = func(mcx.perturb(x, *p))
    for count in range(order + 1):
        for units in itertools.combinations(range(order), count):
            expected = derivative(x, count) * math.prod(p[k] for k in units)
            got = z.im(*(k + 1 for k in units))
            np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12, err_msg=f"{units}")
