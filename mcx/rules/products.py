"""Products of vectors and matrices: linear in each factor."""

from __future__ import annotations

import numpy as np

from mcx.dispatch import register
from mcx.rules.versions import available
from mcx.verbs import Multilinear

BILINEAR = (
    np.matmul, np.dot, np.vdot, np.inner, np.outer, np.tensordot, np.kron, np.cross,
    np.convolve, np.correlate, np.vecdot, np.linalg.matmul, np.linalg.outer, np.linalg.tensordot,
    np.linalg.vecdot, np.linalg.cross, *available("matvec", "vecmat"),
)  # fmt: skip
for _func in BILINEAR:
    register(_func, Multilinear((0, 1)))

register(np.einsum, Multilinear(None))
