"""Products with sparse matrices (SciPy's, CuPy's), which are plain data: linear in the number."""

from __future__ import annotations

import operator

from mcx.dispatch import is_number, is_sparse, register
from mcx.verbs import Linear

register(operator.matmul, Linear((0,)))  # z @ S; SciPy never lets S @ z reach the number
_TIMES = Linear((1,))


def sparse_matmul(a, b):
    """Return a @ b, for a sparse matrix `a` and a Multicomplex `b` too.

    SciPy converts what stands to the right of ``S @ z`` to an array, which raises for numbers. To
    the left of a sparse matrix, ``z @ S``, they stand as arrays do.

    Parameters
    ----------
    a, b : arrays, numbers or sparse matrices with shapes that fit
        What is sparse is plain data: it carries no derivatives.

    Returns
    -------
    array or number
        As SciPy's own product, in every plane.

    Raises
    ------
    ValueError
        If the shapes do not fit.

    Examples
    --------
    >>> import mcx, numpy as np
    >>> from scipy.sparse import csr_array
    >>> S = csr_array([[0.0, 2.0], [1.0, 0.0]])
    >>> mcx.gradient(lambda x: np.sum(mcx.sparse_matmul(S, x) ** 2), np.array([1.0, 3.0]))
    array([ 2., 24.])
    >>> mcx.gradient(lambda x: np.sum((x @ S) ** 2), np.array([1.0, 3.0]))
    array([8., 6.])
    """
    if is_sparse(a) and is_number(b):
        return _TIMES.apply(sparse_matmul, (a, b), {})
    return a @ b
