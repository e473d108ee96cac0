"""Calls of the functions of mcx.rules.polynomials."""

import numpy as np
from core.calls import Call, existing, plain
from numpy.polynomial import polynomial


def dispatched(func):
    """Return a function that NumPy lets types override from 2.4 on, None before."""
    return func if np.lib.NumpyVersion(np.__version__) >= "2.4.0" else None


polyval2d, polygrid2d = dispatched(polynomial.polyval2d), dispatched(polynomial.polygrid2d)


def _call(func, run, shape=(3, 4), wide=True):
    return Call(func, run, shape, standin=False, wide=wide)


DERIVATIVES = existing(
    _call(np.polyval, lambda x: np.polyval(x, x[0] * 0.5)),
    _call(np.polyval, lambda x: np.polyval(x[0], 0.5)),
    _call(np.polyval, lambda x: np.polyval([x[0, 0], 2.0, x[0, 1]], x)),
    _call(np.polyadd, lambda x: np.polyadd(x[0], 1.5)),
    _call(np.polyadd, lambda x: np.polyadd(plain(x, 2), x[0])),
    _call(np.polysub, lambda x: np.polysub(plain(x, 5), x[0])),
    _call(np.polymul, lambda x: np.polymul([0.0, 2.0, 1.0], x[0])),
    _call(np.polymul, lambda x: np.polymul(x[0], x[1] * x[2])),
    _call(np.polydiv, lambda x: np.polydiv(x[0], np.stack([2.0, x[1, 1]]))),
    _call(np.polydiv, lambda x: np.polydiv(plain(x, 5), x[1, :2] + 2)),
    _call(np.polydiv, lambda x: np.polydiv(x[0], [2.0, 1.0, -0.5])),
    _call(np.polydiv, lambda x: np.polydiv(x[0, :2], x[1, :3])),
    _call(np.polyder, lambda x: np.polyder(x[0] * x[1], m=2)),
    _call(np.polyint, lambda x: np.polyint(x[0], 2, [x[1, 0], 3.0])),
    _call(np.polyint, lambda x: np.polyint(x[0], m=3, k=x[1, 0] * x[1, 1])),
    _call(np.vander, lambda x: np.vander(x, increasing=True), (4,)),
    _call(np.vander, lambda x: np.vander(x, 1), (4,)),
    _call(
        np.polyfit,
        lambda x: np.polyfit(np.arange(5.0) + 0.125 * x, plain(x, 5), 2),
        (5,),
        wide=False,
    ),
    _call(
        np.polyfit,
        lambda x: np.polyfit(np.arange(-2.0, 3.0), x, 2, w=x * x + 1, cov=True),
        (5,),
        wide=False,
    ),
    _call(polyval2d, lambda x: polyval2d(x[0], x[1], x[:2, :3])),
    _call(polyval2d, lambda x: polyval2d(0.5, x[0, 0], plain(x, 3, 2))),
    _call(polygrid2d, lambda x: polygrid2d(x[0], x[1, :2], x[:2, :3])),
    _call(polygrid2d, lambda x: polygrid2d([0.5, 2.0], -1.5, x)),
)
VALUES = existing()
