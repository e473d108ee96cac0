"""Products of vectors and matrices: linear in each factor."""

from __future__ import annotations

from functools import partial

import numpy as np

from mcx.dispatch import register
from mcx.rules.versions import available
from mcx.verbs import Multilinear
from mcx.verbs import contractions as forms
from mcx.verbs.einsums import einsum
from mcx.verbs.folding import folded

# Products that have a form for stacks of planes, and the options that it knows.
FOLDED = {
    np.matmul: (forms.matmul, ()),
    np.dot: (forms.dot, ("out",)),
    np.vdot: (forms.vdot, ()),
    np.inner: (forms.inner, ()),
    np.outer: (forms.outer, ("out",)),
    np.tensordot: (forms.tensordot, ("axes",)),
    np.kron: (forms.kron, ()),
    np.vecdot: (forms.vecdot, ()),
    np.linalg.matmul: (forms.matmul, ()),
    np.linalg.outer: (forms.linalg_outer, ()),
    np.linalg.tensordot: (forms.tensordot, ("axes",)),
    np.linalg.vecdot: (forms.vecdot, ()),
    **{func: (getattr(forms, func.__name__), ()) for func in available("matvec", "vecmat")},
}
for _func, (_lower, _names) in FOLDED.items():
    register(_func, Multilinear((0, 1), fold=partial(folded, _lower, _names)))

for _func in (np.cross, np.convolve, np.correlate, np.linalg.cross):
    register(_func, Multilinear((0, 1)))

register(np.einsum, Multilinear(None, fold=einsum))
