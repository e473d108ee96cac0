"""Calls of the functions of mcx.rules.making."""

import io
import tempfile

import numpy as np
from core.calls import Call, existing, index, mask, plain


def constant(make):
    """Return a function of x that adds what `make` makes in the image of x to x."""
    return lambda x: make(x) * x.reshape(-1)[:1]


def _from_file(x):
    with tempfile.TemporaryFile() as file:
        file.write(np.arange(3, dtype=x.dtype).tobytes())
        file.seek(0)
        return np.fromfile(file, x.dtype, like=x)


DERIVATIVES = existing(
    Call(np.array, lambda x: np.array([[x[0, 0], 1.0], [2, x[1, 1] ** 2]], like=x), standin=False),
    Call(np.array, lambda x: np.array([x[0], x[1] ** 2], x.dtype, ndmin=3, like=x), standin=False),
    Call(np.array, lambda x: np.array(x, order="F", copy=True, like=x), standin=False),
    Call(np.array, constant(lambda x: np.array([1.5, 2.5], x.dtype, like=x))),
    Call(np.asarray, lambda x: np.asarray(x, like=x) ** 2, standin=False),
    Call(np.asarray, constant(lambda x: np.asarray([1.5, 2.5], x.dtype, like=x))),
    Call(np.asarray, lambda x: np.asarray((x[0, 0], 3.0), like=x), standin=False),
    Call(np.asanyarray, lambda x: np.asanyarray([x[0, 1], x[0, 0]], like=x)),
    Call(np.ascontiguousarray, lambda x: np.ascontiguousarray(x.T, like=x), standin=False),
    Call(np.ascontiguousarray, lambda x: np.ascontiguousarray(x[0, 0], like=x), standin=False),
    Call(np.asfortranarray, lambda x: np.asfortranarray(x, like=x) * 2, standin=False),
    Call(np.require, lambda x: np.require(x.T, requirements=["C", "W"], like=x), standin=False),
    Call(np.require, lambda x: np.require([x[0, 0], 1.0], x.dtype, "F", like=x), standin=False),
    Call(np.tri, constant(lambda x: np.tri(3, 2, 1, x.dtype, like=x)), standin=False),
    Call(np.frombuffer, constant(lambda x: np.frombuffer(
        np.arange(3, dtype=x.dtype).tobytes(), x.dtype, like=x)), standin=False),
    Call(np.fromfile, constant(_from_file), standin=False),
    Call(np.fromiter, constant(lambda x: np.fromiter((k**2 for k in range(3)), x.dtype, like=x)),
         standin=False),
    Call(np.fromstring, constant(lambda x: np.fromstring("1.5 2", x.dtype, sep=" ", like=x)),
         standin=False),
    Call(np.loadtxt, constant(lambda x: np.loadtxt(io.StringIO("1 2\n3 4"), x.dtype, like=x)),
         standin=False),
    Call(np.genfromtxt, constant(lambda x: np.genfromtxt(
        io.StringIO("1,2\n3,4"), x.dtype, delimiter=",", like=x)), standin=False),
    Call(np.fromfunction, lambda x: np.fromfunction(
        lambda i, j: x[0, 0] ** i * (j + 1), (2, 3), like=x), standin=False),
    Call(np.fromfunction, constant(lambda x: np.fromfunction(
        lambda i, j: i - j, (2, 3), dtype=x.dtype, like=x)), standin=False),
    Call(np.full, lambda x: np.full((2, 3), x[0, 1], like=x), standin=False),
    Call(np.full, lambda x: np.full((2, 4), x[0] ** 2, x.dtype, "F", like=x), standin=False),
    Call(np.full, constant(lambda x: np.full(3, 2.5, x.dtype, like=x)), standin=False),
    Call(np.full_like, lambda x: np.full_like(x, [x[0, 0], 1.0, 2, 0], shape=(2, 4)),
         standin=False),
    Call(np.arange, lambda x: np.arange(x[0, 0], x[0, 0] + 3.2, x[1, 1] ** 2 + 0.5, like=x),
         standin=False, wide=False),
    Call(np.arange, lambda x: np.arange(2.5 + x[0, 0], like=x) * x[0, 0], standin=False,
         wide=False),
    Call(np.arange, constant(lambda x: np.arange(1, 4, 1, x.dtype, like=x)), standin=False),
    Call(np.linspace, lambda x: np.linspace(x, 2.0, 3, axis=-1) ** 2),
    Call(np.linspace, lambda x: np.linspace(1, x[0], num=1)),
    Call(np.linspace, lambda x: np.linspace(x[0, 0], x[1] ** 2, 4, retstep=True), standin=False),
    Call(np.linspace, lambda x: np.linspace(x[0], x[1], 4, False, True, axis=1), standin=False),
    Call(np.linspace, lambda x: np.linspace([x[0, 0], 1.0], x[1, :2], 4), standin=False),
    Call(np.geomspace, lambda x: np.geomspace(x[0] + 1, x[1] + 1, 4), positive=True, standin=False,
         wide=False),
    Call(np.geomspace, lambda x: np.geomspace(-x[0] - 1, -2, 3, False, axis=1), positive=True,
         standin=False, wide=False),
    Call(np.geomspace, lambda x: np.geomspace(8.0, x[0, 0], 4), positive=True, standin=False,
         wide=False),
    Call(np.logspace, lambda x: np.logspace(x[0], x[1], 4), wide=False),
    Call(np.logspace, lambda x: np.logspace(0.0, x[0] ** 2, 3, base=2.0, endpoint=False),
         wide=False),
    Call(np.logspace, lambda x: np.logspace(-1, 1, 3, base=x[0, 1]), positive=True, standin=False,
         wide=False),
    Call(np.logspace, lambda x: np.logspace(-1, x[0], 3, base=x[1] + 1, axis=-1), positive=True,
         standin=False, wide=False),
    Call(np.meshgrid, lambda x: np.meshgrid(x[0], x[1, :2], x[:, 0] ** 2)),
    Call(np.meshgrid, lambda x: np.meshgrid(x[0], x[1, :2], sparse=True, copy=False)),
    Call(np.meshgrid, lambda x: np.meshgrid([1.0, 2.0], x[0])[1]),
    Call(np.meshgrid, lambda x: np.meshgrid(x)),
    Call(np.ix_, lambda x: np.ix_(x[0], x[1, :2])),
    Call(np.ix_, lambda x: np.ix_([1, 2], x[0])[1], standin=False),
    Call(np.insert, lambda x: np.insert(x, [1, 1, 3], x[0, :3] ** 2), standin=False),
    Call(np.insert, lambda x: np.insert(x, slice(0, 2), [x[0, 0], 1.0], axis=1), standin=False),
    Call(np.insert, lambda x: np.insert(plain(x, 2, 4), 1, x[0], axis=0), standin=False),
    Call(np.insert, lambda x: np.insert(x, np.array([-1, 0]), 2.0, axis=0),
         standin=False),
    Call(np.resize, lambda x: np.resize(x, 0)),
    Call(np.choose, lambda x: np.choose([2, -1, 5, 0], [x[0], plain(x, 4), x[1] ** 2], mode="wrap"),
         standin=False),
    Call(np.choose, lambda x: np.choose(index(x, 0, 2, 5), x, mode="clip"), (3, 3)),
    Call(np.select, lambda x: np.select([mask(x, 3, 4), x > 0], [1, x**2], x[0]), standin=False),
    Call(np.piecewise, lambda x: np.piecewise(x, x < 0, [np.square, 2.5]), (4,), standin=False),
    Call(np.piecewise, lambda x: np.piecewise(x, [x < -0.5, x > 0.5], [x[0, 0], np.exp, np.sin]),
         standin=False),
    Call(np.piecewise, lambda x: np.piecewise(
        x, [x > 0], [lambda v, a, b=1.0: a * v**2 + b * x[0, 0]], 3.0, b=x[0, 1]), standin=False),
    Call(np.piecewise, lambda x: np.piecewise(x, [x > 9], [1.0, lambda v: v * v]), ()),
    Call(np.apply_along_axis, lambda x: np.apply_along_axis(np.cumsum, 0, x) * x, standin=False),
    Call(np.apply_along_axis, lambda x: np.apply_along_axis(
        lambda v, n: np.outer(v, v)[:n], 1, x, 2), (2, 3, 2), standin=False),
    Call(np.apply_along_axis, lambda x: np.apply_along_axis(
        lambda v: [v[0] * v[1], 1.0], axis=-1, arr=x), standin=False),
    Call(np.apply_along_axis, lambda x: np.apply_along_axis(np.sum, 0, x), (3,), standin=False),
    Call(np.apply_over_axes, lambda x: np.apply_over_axes(np.sum, x**2, (0, -1)), (2, 3, 4)),
    Call(np.apply_over_axes, lambda x: np.apply_over_axes(np.sort, x, 1)),
)  # fmt: skip

VALUES = existing(
    Call(np.apply_along_axis, lambda x: np.apply_along_axis(np.argmax, 0, x), standin=False),
)
