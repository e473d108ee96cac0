"""Functions registered with shape=, which write into memory that mcx gives, and numbers for them.

Every operand is of small whole numbers, so all results are exact: they are compared bit for bit
with the definition of the algebra, and with the same function registered the simple way.
"""

import importlib
from contextlib import contextmanager

import numpy as np
import pytest
from core.bilinear import coefficients
from core.ways import assert_dead_planes_are_zero

import mcx
from mcx.support import mask_of, supported
from mcx.verbs import into

DTYPES = ("float32", "float64", "complex64", "complex128")
VIEWS = {
    "backwards": lambda z: z[::-1],
    "every other row": lambda z: z[::2],
    "transposed": lambda z: z.T,
    "a column": lambda z: z[:, 1],
    "a corner": lambda z: z[1:, ::-2],
    "broadcast": lambda z: np.broadcast_to(z[0], (3, *z.shape[1:])),
    "reshaped": lambda z: z.reshape(-1)[3:],
}
calls = []  # of the functions below: (pairs in one call, shape of out)


@contextmanager
def poisoned():
    """Plant NaN in all memory that a function is to fill; forget the calls made so far."""
    original = into.memory

    def planted(operands, shape, zeros=()):
        out = original(operands, shape, zeros)
        if not zeros:
            out[...] = np.nan
        for k in set(range(len(out))) - set(zeros) if zeros else ():
            out[k, ...] = np.nan
        return out

    calls.clear()
    with pytest.MonkeyPatch.context() as patch:
        for module in (into, importlib.import_module("mcx.verbs.primitive")):
            patch.setattr(module, "memory", planted)
        yield


# ---- the functions: y_i = scale · (x_(i+1) + 2 x_i) and z_i = scale · Σ_j x_(i+j) y_j


@mcx.register_linear(shape=lambda shape, scale: (shape[0] - 1, *shape[1:]))
def pairs_of_rows(x, scale, out):
    calls.append((1, out.shape))
    np.add(x[1:], 2 * x[:-1], out=out)
    out *= scale


@mcx.register_linear
def simple_pairs_of_rows(x, scale):
    return (x[1:] + 2 * x[:-1]) * scale


@mcx.register_bilinear(shape=lambda x, y, scale: (x[0] - y[0] + 1,))
def correlated(pairs, scale, out):
    calls.append((len(pairs), out.shape))
    out[...] = 0
    for x, y in pairs:
        for j in range(y.shape[0]):
            out += (scale * x[j : j + len(out)]) * y[j]


@mcx.register_bilinear
def simple_correlated(x, y, scale):
    length = x.shape[0] - y.shape[0] + 1
    return sum((scale * x[j : j + length]) * y[j] for j in range(y.shape[0]))


WINDOWS = np.array([[[float(i + j == k) for k in range(6)] for j in range(3)] for i in range(4)])


def by_definition(x, y, scale=2):
    """Σ over a dense tensor of ones."""
    return scale * np.einsum("ijk,k,j->i", WINDOWS, x, y)


@mcx.register_bilinear(shape=lambda x, y: np.broadcast_shapes(x, y))
def times(pairs, out):
    calls.append((len(pairs), out.shape))
    first, *rest = pairs
    np.multiply(*first, out=out)
    for x, y in rest:
        out += x * y


simple_times = mcx.register_bilinear(np.multiply)


@mcx.register_bilinear(shape=lambda x, y: ())
def dot(pairs, out):
    calls.append((len(pairs), out.shape))
    out[...] = sum((x * y).sum() for x, y in pairs)


def by_definition_once(x, y):
    return by_definition(x, y, 1)


def as_number(x):
    """Return a plain array as a number, so that all have coefficients."""
    return x if isinstance(x, mcx.Multicomplex) else mcx.perturb(x, np.zeros_like(x))


# ---- numbers


def whole(rng, shape, dtype="float64"):
    """Return an array of whole numbers from −3 to 3, none of them 0."""
    x = rng.choice([-3, -2, -1, 1, 2, 3], size=shape).astype(dtype)
    return x + 1j * rng.choice([-2, 1, 3], size=shape) if x.dtype.kind == "c" else x


def number(rng, algebra, shape, mask=None, dtype="float64"):
    mask = algebra.full if mask is None else mask
    planes = np.zeros((algebra.size, *shape), dtype)
    for k in range(algebra.size):
        if mask >> k & 1:
            planes[k] = whole(rng, shape, dtype)
    return mcx.Multicomplex(planes, algebra, supported(mask, algebra))


def masks_of(algebra, rng):
    """Return masks: all planes, value and first degree, the value, one at random."""
    first = mask_of(k for k, d in enumerate(algebra.table.degrees) if d == 1)
    chosen = int(rng.integers(1 << min(algebra.size, 62))) | 1
    return tuple(dict.fromkeys([algebra.full, first, 1, chosen & algebra.full]))


def assert_coefficients(z, expected):
    """Check all coefficients; those that are not named must be 0. Dead planes are zero."""
    assert isinstance(z, mcx.Multicomplex)
    for name, plane in coefficients(z).items():
        wanted = expected.get(name, np.zeros(z.shape, z.dtype))
        np.testing.assert_array_equal(plane, wanted, err_msg=str(name))
        assert np.shape(plane) == np.shape(wanted)
    assert expected.keys() <= coefficients(z).keys()
    assert_dead_planes_are_zero(z)


def assert_equal_numbers(z, expected):
    assert z.algebra is expected.algebra
    assert z.dtype == expected.dtype
    assert bin(z.live) == bin(expected.live)
    np.testing.assert_array_equal(z._planes, expected._planes, strict=True)
