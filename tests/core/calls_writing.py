"""Calls of the functions of mcx.rules.writing."""

import numpy as np
from core.calls import Call, existing, index, plain


def written(write):
    """Return a function that lets `write` change an array made of x, and returns the array."""

    def run(x):
        y = 2 * x
        write(y, x)
        return y * x

    return run


def into_view(write):
    """Return a function that lets `write` change a view with strides of an array made of x."""

    def run(x):
        y = np.concatenate([x, 3 * x], axis=1)
        write(y.T[::2], x)
        return y

    return run


def call(func, write, *shape, **options):
    return Call(func, written(write), *shape, **{"standin": False, **options})


DERIVATIVES = existing(
    call(np.copyto, lambda y, x: np.copyto(y, 3.0)),
    call(np.copyto, lambda y, x: np.copyto(src=x[0] ** 2, dst=y)),
    call(np.copyto, lambda y, x: np.copyto(y, [[x[0, 0]], [1.0], [2]], where=[True, False] * 2)),
    call(np.copyto, lambda y, x: np.copyto(y, plain(x, 3, 4), "unsafe", x < 0)),
    Call(np.copyto, into_view(lambda y, x: np.copyto(y, x.T))),
    call(np.put, lambda y, x: np.put(y, [[0, -1], [5, 5]], x[0, :3] ** 2)),
    call(np.put, lambda y, x: np.put(y, [14, -15], x[1], mode="wrap")),
    call(np.put, lambda y, x: np.put(y, [14, -15, 3], [x[1, 1], 2.0], "clip")),
    Call(np.put, into_view(lambda y, x: np.put(y, [1, 7, 10], x[0])), standin=False),
    call(np.place, lambda y, x: np.place(y, x > 0, x[0, :3])),
    Call(np.place, into_view(lambda y, x: np.place(y, y > 0, [x[0, 0], 1.0])), standin=False),
    call(np.putmask, lambda y, x: np.putmask(y, x < 0, x[0, :3])),
    call(np.putmask, lambda y, x: np.putmask(y, x < 0, 7)),
    Call(np.putmask, into_view(lambda y, x: np.putmask(y, y > 0, y**2)), standin=False),
    call(np.put_along_axis, lambda y, x: np.put_along_axis(
        y, np.argsort(x, axis=0)[:2], x[0] ** 2, 0)),
    call(np.put_along_axis, lambda y, x: np.put_along_axis(y, index(x, 0, 7, 0), x[0, :3], None)),
    Call(np.put_along_axis, into_view(lambda y, x: np.put_along_axis(
        y, index(x, [1, 2, 2]), x[0, 0], axis=-2)), standin=False),
    call(np.fill_diagonal, lambda y, x: np.fill_diagonal(y, x[2, :2] ** 2)),
    call(np.fill_diagonal, lambda y, x: np.fill_diagonal(y, x[0], wrap=True), (7, 2)),
    call(np.fill_diagonal, lambda y, x: np.fill_diagonal(y, x[0, 0, 1]), (3, 3, 3)),
    call(np.add, lambda y, x: np.add.at(y, [0, 2, 0], x**2)),
    call(np.add, lambda y, x: np.add.at(y, (slice(None), [3, 3]), x[:, :2] * x[0, 0])),
    Call(np.add, into_view(lambda y, x: np.add.at(y, index(x, 1, 1), x[:, 0]))),
    call(np.subtract, lambda y, x: np.subtract.at(y, ([0, 0], [1, 1]), [x[0, 0], 2.0])),
    call(np.subtract, lambda y, x: np.subtract.at(y, x > 0, 1.5)),
    call(np.multiply, lambda y, x: np.multiply.at(y, [0, 2, 0], x**2)),
    call(np.multiply, lambda y, x: np.multiply.at(y, ([0, 0, 0], [1, 1, 2]), x[1, :3])),
    call(np.divide, lambda y, x: np.divide.at(y, (slice(None), [3, 3]), x[:, :2] + 4)),
    call(np.maximum, lambda y, x: np.maximum.at(y, [1, 1, 2], x[::-1])),
    call(np.sin, lambda y, x: np.sin.at(y, (0, [1, 1, 2]))),
    call(np.negative, lambda y, x: np.negative.at(y, [0, 0, 1])),
    call(np.floor, lambda y, x: np.floor.at(y, [0, 0, 1])),
)  # fmt: skip

VALUES = existing()
