"""Determinants, at singular matrices too."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from mcx.dispatch import is_number, register, unsupported, value_of
from mcx.record import Recorded
from mcx.rules.matrices import adjoint
from mcx.verbs import Composed
from mcx.verbs.solving import Factorized

_FEW = 8  # so many rows have few minors


def check_square(name: str, a) -> None:
    """Raise NumPy's error unless a is a stack of square matrices."""
    if np.ndim(a) < 2 or a.shape[-1] != a.shape[-2]:
        raise np.linalg.LinAlgError(
            f"numpy.linalg.{name}: expected square matrices (…, M, M), got shape {np.shape(a)}"
        )


def is_exact(a) -> bool:
    """Tell whether a number is one of the exact reading."""
    while isinstance(a, Recorded):
        a = a.number
    return is_number(a) and a.algebra.exact


def departure(func, a):
    """Return a less its value, which is nilpotent: a product of more than a.order of it is 0."""
    if is_exact(a):
        raise unsupported(func, (a,), "it has no recursion in the exact reading; leave h out")
    return a - value_of(a)


def without_singular(a):
    """Return a with NaN in place of every singular matrix, of which there is no derivative."""
    singular = np.linalg.slogdet(value_of(a))[0] == 0
    return np.where(singular[..., np.newaxis, np.newaxis], np.nan, a) if np.any(singular) else a


def diagonal_matrix(d):
    """Return the stack of matrices with the given diagonals."""
    places = list(range(d.shape[-1]))
    out = np.zeros_like(d, shape=(*d.shape, d.shape[-1]))
    out[..., places, places] = d
    return out


def _wide(x):
    """Return x in the precision in which NumPy computes determinants."""
    return x.astype(np.result_type(x.dtype, np.float64))


def _traces(x, count: int):
    """Return tr x, tr x², …, tr x^count."""
    powers = [x]
    while 2 * len(powers) < count:
        powers.append(powers[-1] @ x)
    traces = [np.trace(x, axis1=-2, axis2=-1)]
    for k in range(2, count + 1):
        left, right = powers[k // 2 - 1], powers[k - k // 2 - 1]
        traces.append(np.sum(left * np.swapaxes(right, -1, -2), axis=(-2, -1)))
    return traces[:count]


def _slogdet(a):
    """Log det A_0 and the series of log det(I + A_0⁻¹ N), whose terms are traces."""
    check_square("slogdet", a)
    nilpotent = departure(np.linalg.slogdet, a)
    value = _wide(value_of(a))
    sign, log = np.linalg.slogdet(value)
    value = np.where((sign == 0)[..., np.newaxis, np.newaxis], np.nan, value)
    traces = _traces(Factorized(value)(nilpotent), a.order)
    change = sum(trace * ((-1) ** k / (k + 1)) for k, trace in enumerate(traces))
    if a.dtype.kind == "f":
        return np.zeros_like(change) + sign, change + log
    return np.exp(1j * np.imag(change)) * sign, np.real(change) + log


def _by_minors(a):
    """Return det A from the minors of its first 1, 2, … rows: no division, no other product."""
    size = a.shape[-1]
    minors, known = a[..., 0, :], {(j,): j for j in range(size)}
    for row in range(1, size):
        chosen = list(combinations(range(size), row + 1))
        left = [[known[c[:k] + c[k + 1 :]] for k in range(row + 1)] for c in chosen]
        terms = a[..., row, :][..., [list(c) for c in chosen]] * minors[..., left]
        minors = np.sum(terms[..., ::-2], axis=-1) - np.sum(terms[..., -2::-2], axis=-1)
        known = {c: k for k, c in enumerate(chosen)}
    return minors[..., 0]


def _by_products(a):
    """Return det A by Bird's M − 1 products, without a division.

    R. Bird, "A simple division-free algorithm for computing determinants", Inf. Process. Lett. 111
    (2011), 1072-1074.
    """
    size, x = a.shape[-1], a
    for _ in range(size - 1):
        sums = np.cumsum(np.flip(np.diagonal(x, axis1=-2, axis2=-1)[..., 1:], -1), axis=-1)
        below = np.concatenate([np.flip(sums, -1), np.zeros_like(x[..., 0, :1])], axis=-1)
        x = np.triu(x, 1) @ a - below[..., np.newaxis] * a
    return x[..., 0, 0] * (-1.0) ** (size - 1)


def _division_free(a):
    return _by_minors(a) if a.shape[-1] <= _FEW else _by_products(a)


def _one_plus(x, count: int):
    """Return det(I + x) for a nilpotent x from its traces, by Newton's identities."""
    traces, terms = _traces(x, count), [1.0]
    for k in range(1, count + 1):
        signed = (trace * (-1) ** i * terms[k - 1 - i] for i, trace in enumerate(traces[:k]))
        terms.append(sum(signed) * (1.0 / k))
    return sum(terms)


def _product(s):
    """Return the product of positive numbers as three factors that do not overflow on the way."""
    fraction, exponent = np.frexp(s)
    half = np.exp2(np.clip(np.sum(exponent - 0.5, axis=-1) / 2, -1000, 1000))
    return np.prod(fraction * 2**0.5, axis=-1), half, half


def _by_singular_values(x, s, order: int):
    """Return det(S + X) for a nilpotent X and descending S.

    det [[A, B], [C, D]] = det A · det(D − C A⁻¹ B). There are no divisions by the last singular
    values, as many as the order is. A division by another costs no digits: in a term of that order
    it is made good by a factor s_i from the last, which is no larger.
    """
    first = s.shape[-1] - order
    rest = x[..., first:, first:] + diagonal_matrix(s[..., first:])
    if first <= 0:
        return _division_free(x + diagonal_matrix(s))
    largest = s[..., :1]
    head = np.maximum(s[..., :first], np.finfo(s.dtype).eps * largest)
    head = np.where(largest > 0, head, 1)
    nilpotent = x[..., :first, :first] / head[..., np.newaxis]
    above = x[..., :first, first:] / head[..., np.newaxis]
    solved = np.linalg.solve(diagonal_matrix(np.ones_like(head)) + nilpotent, above)
    det = _one_plus(nilpotent, min(order, first))
    det = det * _division_free(rest - x[..., first:, :first] @ solved)
    for factor in _product(head):
        det = det * factor
    return det * (largest[..., 0] > 0)


def _det(a):
    """By singular vectors of the value: det U · det(S + Uᴴ N V) · det Vᴴ; small ones by minors."""
    check_square("det", a)
    size, value = a.shape[-1], _wide(value_of(a))
    if a.size == 0:
        return np.zeros_like(a, shape=a.shape[:-2])
    if size < 4 or is_exact(a):
        return _division_free(_wide(a))
    finite = np.all(np.isfinite(value), axis=(-2, -1))[..., np.newaxis, np.newaxis]
    u, s, vh = np.linalg.svd(np.where(finite, value, 0))
    phase = np.linalg.det(u) * np.linalg.det(vh)
    x = adjoint(u) @ np.where(finite, a - value_of(a), np.nan) @ adjoint(vh)
    return _by_singular_values(x, s, a.order) * (phase / np.abs(phase))


register(np.linalg.det, Composed(_det))
register(np.linalg.slogdet, Composed(_slogdet))
