"""Taylor coefficients as moments: f(a + t) = ∫ g(a, s) φ(r(a, s) t) ds gives Σ weight·ratio^k.

A function that is such an integral with g and r of one sign (e^(−as), 1/(a + s), …) has derivatives
without cancellation, which differences of neighbouring functions do not give.
"""

from __future__ import annotations

import numpy as np


def moments(terms, n: int):
    """Return [Σ w, Σ w·r, …, Σ w·r^(n−1)] over pairs (w, r) of arrays."""
    totals = None
    for weight, ratio in terms:
        powers = [weight]
        for _ in range(n - 1):
            powers.append(powers[-1] * ratio)
        totals = powers if totals is None else [t + p for t, p in zip(totals, powers, strict=True)]
    return totals


def _legendre(count: int):
    nodes, weights = np.polynomial.legendre.leggauss(count)
    return [(float(s + 1) / 2, float(w) / 2) for s, w in zip(nodes, weights, strict=True)]


def _even(step: float, count: int):
    """Nodes and weights of the trapezoidal rule for even functions on the line."""
    return [(0.0, step), *((step * j, 2 * step) for j in range(1, count + 1))]


def _double_exponential(step: float, low: int, high: int):
    """Nodes and weights of ∫ f(s) ds over s > 0 for f that decays like e^(−s)."""
    places = step * np.arange(low, high + 1)
    nodes = np.exp(places - np.exp(-places))
    return list(zip(nodes.tolist(), (step * nodes * (1 + np.exp(-places))).tolist(), strict=True))


# Pairs (node, weight) of the integral over [0, 1], over the line of even functions, and over s > 0.
UNIT_INTERVAL = _legendre(28)
EVEN_LINE = _even(0.125, 72)
HALF_LINE = _double_exponential(0.1, -36, 48)
