"""Complete elliptic integrals of the parameter m: moments near 0, elsewhere their equations."""

from __future__ import annotations

import math

import numpy as np
from scipy import special

from mcx.series import binomials
from mcx.special.coefficients import choice
from mcx.special.quadrature import moments


def _near(m, power: float, n: int):
    """Coefficients 1 to n of ∫ (1 − m sin²θ)^power dθ over [0, π/2], by equidistant nodes."""
    count = 40 + 2 * n
    squares = [math.sin((j + 0.5) * math.pi / (2 * count)) ** 2 for j in range(count)]
    step = math.pi / (2 * count)
    terms = ((step * (1 - m * s) ** power, -s / (1 - m * s)) for s in squares)
    found = moments(terms, n + 1)
    return [c * f for c, f in zip(binomials(power, n), found[1:], strict=True)]


def _of_k(m, complement, n: int):
    """Coefficients 0 to n of K: m(1 − m)K'' + (1 − 2m)K' = K/4; the complement is 1 − m."""
    k, e = special.ellipkm1(complement), special.ellipe(m)
    both = m * complement
    terms = [k, (e - complement * k) / (2 * both)]
    for j in range(n - 1):
        top = (j + 0.5) ** 2 * terms[j] - (complement - m) * (j + 1) ** 2 * terms[j + 1]
        terms.append(top / (both * ((j + 1) * (j + 2))))
    return terms


def _split(a):
    """Tell where the integrals are taken, and return a there and elsewhere."""
    near = (a > -8) & (a < 0.5)
    return near, np.where(near, a, 0), np.where(near, 0.75, a)


def ellipk(a, y, n):
    """K(m)."""
    near, inside, outside = _split(a)
    return choice(near, _near(inside, -0.5, n), _of_k(outside, 1 - outside, n)[1:])


def ellipkm1(a, y, n):
    """K(1 − x), whose argument is known to all digits near the singularity."""
    near, inside, outside = _split(1 - a)
    complement = np.where(near, 0.25, a)
    terms = choice(near, _near(inside, -0.5, n), _of_k(outside, complement, n)[1:])
    return [c * (-1.0) ** k for k, c in enumerate(terms, 1)]


def ellipe(a, y, n):
    """2m E' = E − K."""
    near, inside, outside = _split(a)
    k, e = _of_k(outside, 1 - outside, n), [y]
    for j in range(n):
        e.append(((1 - 2 * j) * e[j] - k[j]) / (2 * (j + 1) * outside))
    return choice(near, _near(inside, 0.5, n), e[1:])
