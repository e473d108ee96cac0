"""Matrix factorizations, eigenvalues, singular values and roots: functions given by equations.

The table is at the end. Every rule is a differential that the verb `Lifted` takes to all orders;
what is a free choice in a factorization (signs, phases, bases) stays the one that NumPy made at the
value.

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
    Factorization,
    adjoint,
    complement,
    eps_of,
    halved,
    hermitian,
    spoiled,
    warn_of_nan,
)
from mcx.verbs import Lifted, primitive


def _cholesky(state, a, /, *, upper=False):
    """Return dL = L Φ, with Φ the halved lower triangle of L⁻¹ dA L⁻ᴴ; the upper factor is Lᴴ."""
    factor, inverse = state
    turned = adjoint(inverse)

    def push(da):
        da = hermitian(da, upper)
        middle = turned @ da @ inverse if upper else inverse @ da @ turned
        half = halved(hermitian(middle))
        yield adjoint(half) @ factor if upper else factor @ half
        yield -(inverse @ adjoint(half)) if upper else -(half @ inverse)

    return push


def _inverse(factor, *_, **__):
    return (np.linalg.inv(factor),)


def _qr(state, a, *_):
    """Return dQ = Q Ω + (I − Q Qᴴ) dA R⁻¹ and dR = Qᴴ dA − Ω R.

    Ω is the part of Qᴴ dA R⁻¹ below the diagonal minus its adjoint; R⁻¹ is that of the leading
    columns, which determine Q.
    """
    q, r, inverse = state
    count, size = inverse.shape[-1], q.shape[-1]

    def push(da):
        image = da[..., :count] @ inverse
        change = adjoint(q) @ image
        last = np.zeros_like(change, shape=(*change.shape[:-1], size - count))
        half = halved(np.concatenate([change, last], axis=-1))
        turn = half - adjoint(half)
        dq = q @ turn
        if q.shape[-2] > size:
            dq = dq + (image - q @ change)
        yield dq
        yield (dr := np.triu(adjoint(q) @ da - turn @ r))
        yield -(inverse @ dr[..., :count, :count] @ inverse)

    return push


_reduced = primitive(
    lambda a, q, r, _: (q, r), Lifted(_qr, lambda result, a, q, r, inverse: (inverse,))
)


def _factors(a, mode="reduced"):
    """Return Q and R, or R alone (mode "r").

    The signs, and for complex matrices the real diagonal of R, are those of NumPy. The columns that
    mode "complete" adds are determined but for a rotation: see `complement`. The leading columns
    of A must be linearly independent, as many as R has rows; of a real matrix with no more rows
    than columns one less.
    """
    if mode not in ("reduced", "complete", "r"):
        np.linalg.qr(value_of(a), mode)  # NumPy's own error for what it does not know
        reason = f"mode={mode!r} returns the reflectors of LAPACK; take 'reduced' or 'complete'"
        raise unsupported(np.linalg.qr, (a,), reason)
    q, r = np.linalg.qr(value_of(a), "complete" if mode == "complete" else "reduced")
    m, n = a.shape[-2:]
    size = min(m, n)
    count = min(m - (a.dtype.kind == "f"), n) if size else 0
    basis, leading = q[..., size:], r[..., :count, :count]
    diagonal = abs(np.diagonal(leading, axis1=-2, axis2=-1))
    columns = np.linalg.norm(leading, axis=-2)
    dependent = np.any(diagonal <= 16 * eps_of(r) * columns, axis=-1)[..., None, None]
    warn_of_nan("linalg.qr", "columns linearly dependent", dependent)
    identity = np.identity(count, dtype=bool, like=r)
    inverse = np.triu(np.linalg.inv(np.where(dependent, identity, leading)))
    q, r = _reduced(a, q[..., :size], r[..., :size, :], inverse)
    if basis.shape[-1]:
        q = np.concatenate([q, complement(q, basis)], axis=-1)
        r = np.concatenate([r, np.zeros_like(r, shape=(*r.shape[:-2], m - size, n))], axis=-2)
    r = spoiled(r, dependent)
    return r if mode == "r" else (spoiled(q, dependent), r)


register(np.linalg.cholesky, Lifted(_cholesky, _inverse))
register(np.linalg.qr, Factorization(_factors))
register(np.linalg.eigh, Factorization(eigensystems.eigh))
register(np.linalg.eigvalsh, Factorization(eigensystems.eigvalsh))
register(np.linalg.eig, Factorization(eigensystems.eig))
register(np.linalg.eigvals, Factorization(eigensystems.eigvals))
register(np.linalg.svd, Factorization(singular_values.svd))
register(np.linalg.svdvals, Factorization(singular_values.svdvals))
register(np.roots, roots.OfSequence(roots.roots))
register(np.poly, roots.Polynomial(roots.polynomial))
