"""Matrix factorizations, eigenvalues, singular values and roots: functions given by equations.

The table is at the end. Every rule is a differential that the verb `Lifted` takes to all orders,
or, together with the equation, `Implicit` from the value alone; what is a free choice in a
factorization (signs, phases, bases) stays the one that NumPy made at the value.

References
----------
S. Walter and L. Lehmann, "Algorithmic differentiation in Python with AlgoPy", J. Comput. Sci. 4
(2013), 334-344.
I. Murray, "Differentiation of the Cholesky decomposition", arXiv:1602.07527, 2016.
"""

from __future__ import annotations

import numpy as np

from mcx.dispatch import register, unsupported, value_of
from mcx.rules import eigensystems, roots, singular_values
from mcx.rules.matrices import (
    Decomposition,
    Factorization,
    adjoint,
    complement,
    eps_of,
    halved,
    spoiled,
    triangular_inverse,
    warn_of_nan,
)
from mcx.verbs import Implicit, primitive


def _cholesky(state, a, /, *, upper=False):
    """Return dL = L Φ, with Φ the halved lower triangle of L⁻¹ dA L⁻ᴴ; the upper factor is Lᴴ."""
    (factor,) = state
    turned = triangular_inverse(factor if upper else adjoint(factor))
    inverse = adjoint(turned)

    def push(da):
        half = halved(da, upper)
        middle = inverse @ (adjoint(half) if upper else half) @ turned
        change = halved(middle + adjoint(middle))
        return (adjoint(change) @ factor if upper else factor @ change,)

    return push


def _square(times, factor, *, upper=False):
    """Return the defect of A = L Lᴴ."""
    turned = adjoint(factor)
    return (-(times(turned, factor) if upper else times(factor, turned)),)


def _qr(state, a, q, r, count, dependent):
    """Return dQ = Q Ω + (I − Q Qᴴ) dA R⁻¹ and dR = Qᴴ dA − Ω R, where A = Q R and Qᴴ Q = G.

    With R⁻¹ that of the leading columns, which determine Q, Ω is the part of Qᴴ dA R⁻¹ below the
    diagonal minus its adjoint, plus the halved upper triangle of dG.
    """
    q, r = state
    size = q.shape[-1]
    identity = np.identity(count, dtype=bool, like=value_of(r))
    leading = np.where(dependent, identity, r[..., :count, :count])
    inverse = triangular_inverse(leading)

    def push(da, gram=None):
        image = da[..., :count] @ inverse
        change = adjoint(q) @ image
        last = np.zeros_like(change, shape=(*change.shape[:-1], size - count))
        half = halved(np.concatenate([change, last], axis=-1))
        turn = half - adjoint(half)
        if gram is not None:
            turn = turn + halved(gram, upper=True)
        dq = q @ turn
        if q.shape[-2] > size:
            dq = dq + (image - q @ change)
        return dq, np.triu(adjoint(q) @ da - turn @ r)

    return push


def _orthogonal(times, q, r):
    """Return the defects of A = Q R and Qᴴ Q = I."""
    return -times(q, r), -times(adjoint(q), q)


_reduced = primitive(lambda a, q, r, *_: (q, r), Implicit(_orthogonal, _qr))


def _factors(value, a, mode="reduced"):
    """Return Q and R, or R alone (mode "r").

    The signs, and for complex matrices the real diagonal of R, are those of NumPy. The columns that
    mode "complete" adds are determined but for a rotation: see `complement`. The leading columns
    of A must be linearly independent, as many as R has rows; of a real matrix with no more rows
    than columns one less.
    """
    if mode not in ("reduced", "complete", "r"):
        reason = f"mode={mode!r} has no rule; take 'reduced', 'complete' or 'r'"
        raise unsupported(np.linalg.qr, (a,), reason)
    q, r = np.linalg.qr(value_of(a)) if mode == "r" else value
    m, n = a.shape[-2:]
    size = min(m, n)
    count = min(m - (a.dtype.kind == "f"), n) if size else 0
    basis, leading = q[..., size:], r[..., :count, :count]
    diagonal = abs(np.diagonal(leading, axis1=-2, axis2=-1))
    columns = np.linalg.norm(leading, axis=-2)
    dependent = np.any(diagonal <= 16 * eps_of(r) * columns, axis=-1)[..., None, None]
    warn_of_nan("linalg.qr", "columns linearly dependent", dependent)
    q, r = _reduced(a, q[..., :size], r[..., :size, :], count, dependent)
    if basis.shape[-1]:
        q = np.concatenate([q, complement(q, basis)], axis=-1)
        r = np.concatenate([r, np.zeros_like(r, shape=(*r.shape[:-2], m - size, n))], axis=-2)
    r = spoiled(r, dependent)
    return r if mode == "r" else (spoiled(q, dependent), r)


register(np.linalg.cholesky, Implicit(_square, _cholesky))
register(np.linalg.qr, Decomposition(_factors))
register(np.linalg.eigh, Decomposition(eigensystems.eigh))
register(np.linalg.eigvalsh, Factorization(eigensystems.eigvalsh))
register(np.linalg.eig, Decomposition(eigensystems.eig))
register(np.linalg.eigvals, Factorization(eigensystems.eigvals))
register(np.linalg.svd, Decomposition(singular_values.svd))
register(np.linalg.svdvals, Decomposition(singular_values.svdvals))
register(np.roots, roots.OfSequence(roots.roots))
register(np.poly, roots.Polynomial(roots.polynomial))
