"""Matrices for tests of factorizations, and Taylor series along a line in 60 digits (mpmath)."""

import mpmath
import numpy as np
from core.builders import filled
from mpmath import mp

from mcx.array import Multicomplex

DTYPES = ("float32", "float64", "complex64", "complex128")
REACH = 5  # points on either side of the value


def random(rng, shape, dtype):
    """Return a random array of a dtype, complex where that is."""
    x = rng.normal(size=shape)
    if np.dtype(dtype).kind == "c":
        x = x + 1j * rng.normal(size=shape)
    return x.astype(dtype)


def spread(rng, shape, dtype, values):
    """Return U diag(values) Vᴴ with orthonormal random U and V: singular values far apart."""
    m, n = shape[-2:]
    k = min(m, n)
    u, v = (np.linalg.qr(random(rng, (*shape[:-2], s, k), "complex128"))[0] for s in (m, n))
    if np.dtype(dtype).kind == "f":
        u, v = np.linalg.qr(u.real)[0], np.linalg.qr(v.real)[0]
    return ((u * np.array(values[:k])) @ adjoint(v)).astype(dtype)


def number(rng, x, order=4):
    """Return a number over units i_1 … i_order with value x and random planes, all of them."""
    planes = np.stack([random(rng, x.shape, x.dtype) / 2 for _ in range(2**order)])
    planes[0] = x
    return filled(planes)


def adjoint(a):
    """Return Aᴴ."""
    return np.conj(np.matrix_transpose(a))


def size(*factors):
    """Return the product of the numbers with all planes replaced by their absolute values."""
    result = None
    for x in factors:
        x = Multicomplex(abs(x.planes), x.algebra)
        result = x if result is None else result @ x
    return result


def assert_zero(residual, scale, factor=50):
    """Check that a number vanishes: every plane to factor eps times the largest entry of a scale's.

    LAPACK promises no more than that of a matrix as a whole.
    """
    bound = factor * float(np.finfo(residual.dtype).eps) * largest(scale.planes)
    error = largest(residual.planes)
    assert np.all(error <= bound), f"off by {error}, bound {bound}"


def largest(planes):
    """Return the largest absolute value of each plane, 0 if it is empty."""
    return np.max(abs(planes), axis=tuple(range(1, planes.ndim)), initial=0).astype(float)


def whole(z, upper=False):
    """Return the Hermitian number of a triangle, by other means than the rules."""
    strict = np.triu(z, 1) if upper else np.tril(z, -1)
    return strict + adjoint(strict) + np.real(z) * np.eye(z.shape[-1], dtype=z.dtype)


def symmetric(rng, dtype, shape=(4, 4)):
    """Return Hermitian matrices whose eigenvalues are -2, 0.25, 1 and 3."""
    q = spread(rng, shape, dtype, (1, 1, 1, 1))
    a = (q * np.array([-2, 0.25, 1, 3])[: shape[-1]]) @ adjoint(q)
    return ((a + adjoint(a)) / 2).astype(dtype)


def turned(columns, like, place=None):
    """Return vectors of mpmath with the phase of others in one entry, the largest by default."""
    for j in range(columns.shape[1]):
        k = np.argmax(abs(like[:, j])) if place is None else place
        wanted = mp.mpmathify(complex(like[k, j]))
        columns[:, j] *= abs(columns[k, j]) / columns[k, j] * wanted / abs(wanted)
    return columns


def exact(x):
    """Return an array as an mpmath matrix."""
    x = np.asarray(x)
    return mp.matrix([[mp.mpmathify(complex(e) if x.dtype.kind == "c" else float(e)) for e in row]
                      for row in x])  # fmt: skip


def array(x):
    """Return an mpmath matrix as a nested list of complex numbers, in full precision."""
    return np.array([[x[i, j] for j in range(x.cols)] for i in range(x.rows)], dtype=object)


def series(f, a, p, order=4):
    """Return the Taylor coefficients of f(a + t p), f of an mpmath matrix to an object array.

    They are those of the polynomial through 11 points so close that it is exact to 40 digits.
    """
    with mp.workdps(120):
        step = mp.mpf(10) ** -9
        a, p = exact(a), exact(p)
        places, powers = range(-REACH, REACH + 1), range(2 * REACH + 1)
        values = [np.asarray(f(a + k * step * p), dtype=object) for k in places]
        weights = mpmath.inverse(mp.matrix([[mp.mpf(k) ** j for j in powers] for k in places]))
        return np.stack(
            [
                np.vectorize(complex)(
                    sum(weights[j, i] * value for i, value in enumerate(values)) / step**j
                )
                for j in range(order + 1)
            ]
        )


def assert_series(found, expected, factor):
    """Check Taylor coefficients to factor eps times the largest entry of them and of lower ones."""
    eps = float(np.finfo(found.dtype).eps)
    error, bound = largest(found - expected), factor * eps * largest(expected)
    bound[1:] = np.maximum.accumulate(bound[1:])
    assert np.all(error <= bound), f"off by {error}, bound {bound}"
