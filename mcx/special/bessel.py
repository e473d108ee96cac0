"""Bessel and Hankel functions by their neighbours, I_0 and I_1 scaled by e^(−|x|), Airy functions.

For a function C_v of the first three kinds, 2^k C_v^(k) = Σ (−1)^j (k over j) C_(v−k+2j), with all
signs plus for I and (−1)^k in front for K: at most as much cancels as in the derivative itself.

References
----------
NIST Digital Library of Mathematical Functions, 10.6.7 and 10.29.5.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import special

from mcx.special.coefficients import choice
from mcx.special.quadrature import EVEN_LINE, moments


def by_neighbours(func, inner: float, outer: float = 1.0):
    """Return the series of func(v, x) for (inner)^j and (outer)^k as the signs above."""

    def series(a, y, n, v):
        terms = []
        for k in range(1, n + 1):
            total = 0
            for j in range(k + 1):
                total = total + (inner**j * math.comb(k, j)) * func(v - k + 2 * j, a)
            terms.append(total * ((outer / 2) ** k / math.factorial(k)))
        return terms

    return series


CYLINDER = {
    name: by_neighbours(getattr(special, name), -1.0) for name in ("jv", "yv", "hankel1", "hankel2")
}
MODIFIED = {
    "iv": by_neighbours(special.iv, 1.0),
    "kv": by_neighbours(special.kv, 1.0, -1.0),
}


def of_order(series, v: float):
    """Return the series of the function of one order."""
    return lambda a, y, n: series(a, y, n, v)


def _scaled_i0(a, n: int):
    """Coefficients 0 to n − 1 of e^(−x) I_0(x) at a > 0: (1/π) ∫ e^(−x(1 − cos θ)) dθ over [0, π].

    For large x in s, 1 − cos θ = s²/x.
    """
    near = a < 50
    inside, outside = np.where(near, a, 1), np.where(near, 50, a)
    count = 48 + n
    places = [1 - math.cos(math.pi * (j + 0.5) / count) for j in range(count)]
    found = moments(((np.exp(-inside * v) / count, -v) for v in places), n)
    factor = 1 / (math.pi * np.sqrt(outside))
    far = moments(
        (
            (factor * (w * math.exp(-s * s)) / np.sqrt(2 - s * s / outside), -s * s / outside)
            for s, w in EVEN_LINE
        ),
        n,
    )
    return [m / math.factorial(k) for k, m in enumerate(choice(near, found, far))]


def _scaled(order: int):
    """Return the series of e^(−|x|) I_0 or I_1; at 0, where it has a corner, that of I itself."""
    unscaled = of_order(MODIFIED["iv"], order)

    def series(a, y, n):
        size = np.abs(a)
        terms = _scaled_i0(size, n + 2)
        if order:
            terms = [c + (k + 1) * terms[k + 1] for k, c in enumerate(terms[:-1])]
        sign = np.where(a < 0, -1, 1)
        at_zero = unscaled(np.zeros_like(a), y, n)
        return [
            np.where(a == 0, z, terms[k] * sign ** (k + order)) for k, z in enumerate(at_zero, 1)
        ]

    return series


i0e, i1e = _scaled(0), _scaled(1)


def airy(index: int):
    """Return the series of Ai, Ai', Bi or Bi' (0 to 3): f'' = x·f."""

    def series(a, y, n):
        f = list(special.airy(a)[index - index % 2 :][:2])
        for k in range(n):
            f.append((a * f[k] + (f[k - 1] if k else 0)) / ((k + 1) * (k + 2)))
        return [(k + 1) * c for k, c in enumerate(f[2:], 1)][:n] if index % 2 else f[1 : n + 1]

    return series
