"""Hypergeometric functions and orthogonal polynomials: derivatives have shifted parameters.

They are as precise as SciPy computes the function at the shifted parameters.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import special

from mcx.special.coefficients import of_argument


def _family(func, coefficient):
    """Return the series with terms coefficient(k, *parameters)·func(k, x, *parameters)."""

    def series(a, y, n, *parameters):
        return [
            coefficient(k, *parameters) * func(k, a, *parameters) / math.factorial(k)
            for k in range(1, n + 1)
        ]

    return series


def _rising(x, k: int):
    """Return x (x + 1) … (x + k − 1)."""
    product = 1.0
    for j in range(k):
        product = product * (x + j)
    return product


hyp0f1 = _family(lambda k, x, b: special.hyp0f1(b + k, x), lambda k, b: 1 / _rising(b, k))
hyp1f1 = _family(
    lambda k, x, a, b: special.hyp1f1(a + k, b + k, x),
    lambda k, a, b: _rising(a, k) / _rising(b, k),
)
hyp2f1 = _family(
    lambda k, x, a, b, c: special.hyp2f1(a + k, b + k, c + k, x),
    lambda k, a, b, c: _rising(a, k) * _rising(b, k) / _rising(c, k),
)


def _lowered(func):
    """Return func(k, x, degree, *parameters) of degree less k, 0 for a negative whole degree."""

    def lowered(k, x, degree, *parameters):
        lower = np.asarray(degree) - k
        gone = (lower < 0) & (lower == np.rint(lower))
        return np.where(gone, 0, func(k, x, np.where(gone, 0, lower), *parameters))

    return lowered


def _polynomials(func, coefficient):
    return _family(_lowered(func), coefficient)


def _gegenbauer(k, x, degree, p=0.0):
    return special.eval_gegenbauer(degree, p + k, x)


def _falling(x, k: int):
    """Return x (x − 1) … (x − k + 1)."""
    return (-1.0) ** k * _rising(-np.asarray(x, dtype=float), k)


gegenbauer = _polynomials(_gegenbauer, lambda k, n, p: 2.0**k * _rising(p, k))
legendre = _polynomials(
    lambda k, x, n: _gegenbauer(k, x, n, 0.5), lambda k, n: 2.0**k * _rising(0.5, k)
)
chebyt = _polynomials(_gegenbauer, lambda k, n: n * 2.0 ** (k - 1) * math.factorial(k - 1))
chebyu = _polynomials(
    lambda k, x, n: _gegenbauer(k, x, n, 1.0), lambda k, n: 2.0**k * math.factorial(k)
)
jacobi = _polynomials(
    lambda k, x, n, a, b: special.eval_jacobi(n, a + k, b + k, x),
    lambda k, n, a, b: 0.5**k * _rising(n + a + b + 1, k),
)
genlaguerre = _polynomials(
    lambda k, x, n, a: special.eval_genlaguerre(n, a + k, x), lambda k, n, a: (-1.0) ** k
)
laguerre = _polynomials(lambda k, x, n: special.eval_genlaguerre(n, k, x), lambda k, n: (-1.0) ** k)
hermite = _polynomials(
    lambda k, x, n: special.eval_hermite(n, x), lambda k, n: 2.0**k * _falling(n, k)
)
hermitenorm = _polynomials(
    lambda k, x, n: special.eval_hermitenorm(n, x), lambda k, n: _falling(n, k)
)
chebyc = of_argument(chebyt, 0.5, factor=2.0)
chebys = of_argument(chebyu, 0.5)
sh_legendre = of_argument(legendre, 2.0, -1.0)
sh_chebyt = of_argument(chebyt, 2.0, -1.0)
sh_chebyu = of_argument(chebyu, 2.0, -1.0)
