"""Numbers over many distinct directions as pairs over one direction fewer: z = z1 + t·z2.

Beyond the algebras whose tables are unrolled, a product is three products of halves and f(z) is
f(z1) + t·f'(z1)·z2: the kernels of the halves do the work, 3ⁿ real products in all.
"""

from __future__ import annotations

from mcx.algebra import without
from mcx.array import Multicomplex
from mcx.planes import buffer_like
from mcx.support import supported
from mcx.table import taylor_indices

_UNROLLED = 16  # planes: up to here the kernels of {0,1}^n are straight-line code


def is_pair(algebra) -> bool:
    """Tell whether the numbers of an algebra are computed by halves."""
    if algebra.size <= _UNROLLED or algebra.exact or len(algebra.factors) == 1:
        return False
    return algebra.factors[-1].indices == taylor_indices(1)


def halves(z):
    """Return (z1, z2) with z = z1 + t·z2 and t the youngest generator; z2 is None where it is 0."""
    inner = without(z.algebra, z.algebra.factors[-1])
    live, full = z.live, inner.full
    first = Multicomplex(z._planes[: inner.size], inner, supported(live & full, inner))
    if not live >> inner.size:
        return first, None
    upper = supported(live >> inner.size | 1, inner)
    return first, Multicomplex(z._planes[inner.size :], inner, upper)


def joined(first, second, algebra):
    """Return first + t·second as a number of the larger algebra."""
    size = first.algebra.size
    out = buffer_like(first._planes[0, ...], algebra.size, zeros=second is None)
    out[:size] = first._planes
    live = first.live
    if second is not None:
        out[size:] = second._planes
        live |= second.live << size
    return Multicomplex(out, algebra, supported(live, algebra))


def product_of_pairs(product, total, x, y):
    """Return x·y = x1·y1 + t (x1·y2 + x2·y1) by the product and the sum of halves."""
    (x1, x2), (y1, y2) = halves(x), halves(y)
    terms = []
    if y2 is not None:
        terms.append(product(x1, y2))
    if x2 is not None:
        terms.append(product(x2, y1))
    second = terms[0] if terms else None
    for term in terms[1:]:
        second = total(second, term)
    return joined(product(x1, y1), second, x.algebra)
