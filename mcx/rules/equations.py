"""Linear equations, inverses and determinants."""

from __future__ import annotations

import numpy as np

from mcx.dispatch import register
from mcx.verbs import Lifted


def _inverse(state, a):
    (inverse,) = state
    return lambda da: (-(inverse @ da @ inverse),)


register(np.linalg.inv, Lifted(_inverse))
