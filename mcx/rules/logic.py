"""Comparisons, predicates, indices and shapes: answered from the value plane."""

from __future__ import annotations

import numpy as np

from mcx.dispatch import register
from mcx.verbs import Value

VALUE = (
    np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal,
    np.logical_and, np.logical_or, np.logical_xor, np.logical_not,
    np.isfinite, np.isinf, np.isnan, np.signbit, np.isneginf, np.isposinf,
    np.iscomplex, np.isreal, np.iscomplexobj, np.isrealobj,
    np.all, np.any, np.allclose, np.isclose, np.array_equal, np.array_equiv,
    np.argmax, np.argmin, np.nanargmax, np.nanargmin, np.argsort, np.argpartition, np.argwhere,
    np.nonzero, np.flatnonzero, np.count_nonzero, np.searchsorted, np.digitize, np.lexsort,
    np.shape, np.ndim, np.size, np.result_type, np.can_cast, np.common_type, np.min_scalar_type,
    np.shares_memory, np.may_share_memory, np.einsum_path,
)  # fmt: skip
for _func in VALUE:
    register(_func, Value(None))
