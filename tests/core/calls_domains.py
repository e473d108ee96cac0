"""Calls of the functions of mcx.rules.domains, and of floating-point neighbours."""

import numpy as np
from core.calls import Call, existing, plain

emath = np.emath


def _parts(func, run):
    """Return a row with the real and the imaginary part of a call."""
    parts = lambda x: (np.real(run(x)), np.imag(run(x)))  # noqa: E731 - one line of mathematics
    return Call(func, parts, (3, 4), standin=False, wide=False)


DERIVATIVES = existing(
    *(
        _parts(func, lambda x, func=func, shift=shift: func(x + shift))
        for func in (emath.sqrt, emath.log, emath.log2, emath.log10)
        for shift in (4.0, -4.0, [4.0, -4.0, 5.0, -6.0])
    ),
    *(
        _parts(func, lambda x, func=func, shift=shift: func(x / 4 + shift))
        for func in (emath.arccos, emath.arcsin, emath.arctanh)
        for shift in (0.125, 3.0, -3.0, [2.0, 0.25, -4.0, -0.25])
    ),
    _parts(emath.logn, lambda x: emath.logn(3.0, x - 3)),
    _parts(emath.logn, lambda x: emath.logn(x[0] + 4, x[1] - 4)),
    _parts(emath.logn, lambda x: emath.logn(-x[0] - 4, 2.0)),
    _parts(emath.power, lambda x: emath.power(x - 3, 1.5)),
    _parts(emath.power, lambda x: emath.power(x + 3, -2)),
    _parts(emath.power, lambda x: emath.power([-2.0, 3.0, -0.5, 1.0], x)),
    _parts(emath.power, lambda x: emath.power(x[0] + 3, x[1])),
    _parts(emath.power, lambda x: emath.power(x[0] - 3, x[1])),
    Call(np.spacing, lambda x: np.spacing(x) + x, standin=False),
    Call(np.nextafter, lambda x: np.nextafter(x[0] * x[1], x[2])),
    Call(np.nextafter, lambda x: np.nextafter(x * x, 0.0)),
    Call(np.nextafter, lambda x: np.nextafter(1.0, x) * x),
    Call(np.nextafter, lambda x: np.nextafter(x[0], plain(x, 4)) * x[0]),
)
VALUES = existing()
