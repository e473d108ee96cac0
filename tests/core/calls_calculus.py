"""Calls of the functions of mcx.rules.calculus."""

import numpy as np
from core.calls import Call, existing, plain


def _call(func, run, shape=(3, 4), wide=True):
    return Call(func, run, shape, standin=False, wide=wide)


def _frexp(x):
    return np.frexp(1.4 + x / 16)[0]


KNOTS = [-1.7, -1.0, -0.5, 0.3, 1.3, 1.8]

DERIVATIVES = existing(
    _call(np.interp, lambda x: np.interp(x, KNOTS, np.array(KNOTS) ** 2), wide=False),
    _call(np.interp, lambda x: np.interp(0.7 * x[0, 0], KNOTS, x.reshape(-1)[:6]), wide=False),
    _call(np.interp, lambda x: np.interp([-0.4, 2.5, 9.0], np.arange(4.0) + 0.125 * x[0], x[1]),
          wide=False),
    _call(np.interp, lambda x: np.interp(2 * x, [-0.5, 0.7], [1.0, 2.0], left=x[0, 0] * x[0, 1],
                                         right=-1.0), wide=False),
    _call(np.interp, lambda x: np.interp(4 * x, [1.1, 0.4, 2.2], [x[0, 0], x[1, 1], 3.0],
                                         period=3.0 + 0.0625 * x[2, 0]), wide=False),
    _call(np.gradient, lambda x: np.gradient(x * x), (3, 4)),
    _call(np.gradient, lambda x: np.gradient(x, np.array([0.0, 1.0, 2.5, 3.0]), axis=1)),
    _call(np.gradient, lambda x: np.gradient(x, np.arange(3.0) + x[:, 0] / 4,
                                             x[0, 0] + 3, edge_order=2)),
    _call(np.gradient, lambda x: np.gradient(plain(x, 2, 4), np.arange(4.0) + x[0] / 4, axis=-1)),
    _call(np.gradient, lambda x: np.gradient(x * x, 2 + x[0, 0], axis=(1, 0))),
    _call(np.ediff1d, lambda x: np.ediff1d(x * x, to_end=[1.0, x[0, 0]], to_begin=x[:, :1])),
    _call(np.ediff1d, lambda x: np.ediff1d(plain(x, 3), to_begin=x[0])),
    _call(np.unwrap, lambda x: np.unwrap(9 * x[0] * x[1])),
    _call(np.unwrap, lambda x: np.unwrap(5 * x, discont=4.0, axis=0, period=6 + x[0, 0])),
    _call(np.sinc, lambda x: np.sinc(2 * x)),
    _call(np.i0, lambda x: np.i0(4 * x), wide=False),
    _call(np.angle, lambda x: np.angle(np.exp(1j * x) * (1 + x * x))),
    _call(np.angle, lambda x: np.angle(x[0] + 1j * x[1], deg=True)),
    _call(np.real_if_close, lambda x: np.real_if_close(np.fft.ifft(np.fft.fft(x)))),
    _call(np.real_if_close, lambda x: np.real_if_close((x + 1j) ** 2, tol=10).imag),
    _call(np.frexp, _frexp),
    _call(np.convolve, lambda x: np.convolve(x[0], x[1, :3], "same")),
    _call(np.convolve, lambda x: np.convolve(x[0, :2], x[1], mode="valid")),
    _call(np.convolve, lambda x: np.convolve(x[0] * (1 + 2j), x[1] + 1j * x[2]).imag),
    _call(np.correlate, lambda x: np.correlate(x[0], x[1, :2])),
    _call(np.correlate, lambda x: np.correlate(x[0, :3], x[1], "same")),
    _call(np.correlate, lambda x: np.correlate(x[0] * (1 + 2j), x[1] + 1j * x[2], "full").imag),
)  # fmt: skip
VALUES = existing()
