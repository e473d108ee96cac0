"""Matrices over the limit algebra of distinct directions, without mcx: as larger real matrices.

A number of planes z_S (S a bit mask of units, i_k² = 0) acts on the planes of another by
multiplication: the matrix with z_(T − S) at row T, column S ⊂ T. A matrix of numbers becomes a
block matrix of such blocks, a ring homomorphism: inverses and solutions are those of the large
matrix, computed in long double. Determinants are computed in fractions, Taylor series by mpmath.
"""

from fractions import Fraction
from itertools import permutations

import numpy as np
from mpmath import mp

DIGITS = 50


def represented(planes):
    """Return the block matrix of a matrix of numbers, planes (2^n, rows, columns)."""
    size, rows, columns = planes.shape
    kind = np.clongdouble if np.iscomplexobj(planes) else np.longdouble
    out = np.zeros((size, rows, size, columns), kind)
    for t, s in np.ndindex(size, size):
        if s & t == s:
            out[t, :, s] = planes[t ^ s]
    return out.reshape(size * rows, size * columns)


def planes_of(matrix, size):
    """Return the planes of a matrix of numbers from its block matrix: the first block column."""
    rows, columns = (k // size for k in matrix.shape)
    return matrix.reshape(size, rows, size, columns)[:, :, 0]


def _inverse(a, block):
    """Return the inverse by Gauss-Jordan elimination with row pivots, in the type of a.

    The matrix is lower triangular in blocks of so many rows, and stays so: pivots are of a block.
    """
    n = len(a)
    both = np.concatenate([a, np.eye(n, dtype=a.dtype)], axis=1)
    for k in range(n):
        pivot = k + np.argmax(abs(both[k : k + block - k % block, k]))
        both[[k, pivot]] = both[[pivot, k]]
        both[k] /= both[k, k]
        others = np.arange(n) != k
        both[others] -= both[others, k, None] * both[k]
    return both[:, n:]


def evaluated(formula, *operands):
    """Return the planes of formula(inverse, block matrices) of matrices of numbers by planes."""
    size = len(operands[0])

    def inverse(a):
        return _inverse(a, len(a) // size)

    return planes_of(formula(inverse, *map(represented, operands)), size)


def _longdouble(x):
    return np.longdouble(mp.nstr(x, 25))


def transposed(planes):
    """Return the planes of the conjugate transpose."""
    return np.conj(np.swapaxes(planes, -1, -2))


def determinant(planes):
    """Return the planes of the determinant by Leibniz' formula, in exact fractions."""
    size, n, _ = planes.shape
    exact = [
        [[Fraction(float(planes[s, i, j])) for s in range(size)] for j in range(n)]
        for i in range(n)
    ]
    total = [Fraction(0)] * size
    for order in permutations(range(n)):
        swaps = sum(order[i] > order[j] for j in range(n) for i in range(j))
        term = [Fraction((-1) ** swaps)] + [Fraction(0)] * (size - 1)
        for i, j in enumerate(order):
            term = _product(term, exact[i][j])
        total = [x + y for x, y in zip(total, term, strict=True)]
    with mp.workdps(DIGITS):
        return np.array([_longdouble(mp.mpf(x.numerator) / x.denominator) for x in total])


def _product(x, y):
    """Return the planes of a product of two numbers."""
    planes = range(len(x))
    return [sum(x[s] * y[t ^ s] for s in planes if s & t == s and x[s]) for t in planes]


def series(function, a, p, order):
    """Return the Taylor coefficients at t = 0 of function(A + t P), of an mpmath matrix."""
    with mp.workdps(DIGITS):
        start, step = (mp.matrix(m.tolist()) for m in (a, p))
        found = mp.taylor(lambda t: function(start + t * step), 0, order)
        return np.array([_longdouble(x.real) for x in found])


def random_planes(rng, order, *shape, kind="d"):
    """Return planes with entries of size about 1, exact in float32."""
    planes = rng.normal(size=(2**order, *shape)).astype(np.float32)
    if kind in "FD":
        planes = planes + 1j * rng.normal(size=planes.shape).astype(np.float32)
    return planes.astype(kind)


def condition(planes):
    """Return the condition of the value of a matrix of numbers."""
    return float(np.linalg.cond(planes[0].astype("D")))


def assert_near_planes(z, expected, condition=1.0, floor=None):
    """Check the planes of a number beyond its value, which is NumPy's own.

    `floor` has a further scale of the error for every plane.
    """
    eps = np.finfo(z.dtype).eps
    for k in range(1, len(expected)):
        scale = condition * float(np.max(abs(expected), initial=0)) if floor is None else floor[k]
        bound = 50 * eps * scale
        error = float(np.max(abs(z.planes[k] - expected[k]), initial=0))
        assert error <= bound, f"plane {k:b}: error {error:.3g}, bound {bound:.3g}"


def assert_near_series(got, expected, tolerance):
    """Check Taylor coefficients, relative to the largest."""
    bound = tolerance * float(np.max(abs(expected)))
    np.testing.assert_allclose(got, expected.astype(float), rtol=0, atol=bound)
