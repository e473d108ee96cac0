"""Calls of the functions of mcx.rules.equations, determinants and norms."""

from functools import partial

import numpy as np
from core.calls import Call, existing, plain

linalg = np.linalg


def regular(x):
    """Return square matrices of x that are far from singular."""
    n = x.shape[-1]
    shift = np.zeros_like(getattr(x, "value", x), shape=(n, n))
    shift[list(range(n)), list(range(n))] = 2.5
    return x + shift


def of_rank_two(x):
    """Return a (4, 3) matrix of rank 2 from a (4, 3) matrix."""
    return x[:, :2] @ np.concatenate([x[:2, :2], x[2:4, :1]], axis=1)


NARROW = partial(Call, wide=False)  # LAPACK computes in float64
HOST = partial(Call, wide=False, standin=False)

DERIVATIVES = existing(
    HOST(linalg.solve, lambda x: linalg.solve(regular(x), x[:, 0]), (3, 3)),
    NARROW(linalg.solve, lambda x: linalg.solve(regular(x), plain(x, 3, 2)), (2, 3, 3)),
    HOST(linalg.solve, lambda x: linalg.solve(regular(plain(x, 3, 3)), x), (2, 3, 4)),
    NARROW(linalg.solve, lambda x: linalg.solve(regular(plain(x, 2, 3, 3)), x), (3,)),
    NARROW(linalg.solve, lambda x: linalg.solve(regular(x), x[0] ** 2), (2, 3, 3)),
    NARROW(linalg.solve, lambda x: linalg.solve(regular(x), x[0, :, 0]), (2, 3, 3)),
    NARROW(linalg.solve, lambda x: linalg.solve(regular(x[:, None]), x[None]), (2, 3, 3)),
    NARROW(linalg.inv, lambda x: linalg.inv(regular(x)), (2, 3, 3)),
    NARROW(linalg.inv, lambda x: linalg.inv(x + 1), (1, 1)),
    NARROW(linalg.det, lambda x: linalg.det(regular(x)), (2, 2, 3, 3)),
    NARROW(linalg.det, lambda x: linalg.det(x), (1, 1)),
    NARROW(linalg.det, lambda x: linalg.det(x[:, :, None] * x[0]), (3, 3)),
    NARROW(linalg.slogdet, lambda x: linalg.slogdet(regular(x)), (2, 3, 3)),
    HOST(linalg.slogdet, lambda x: linalg.slogdet(x - 1), (1, 1)),
    HOST(linalg.matrix_power, lambda x: linalg.matrix_power(regular(x), -3), (3, 3)),
    HOST(linalg.matrix_power, lambda x: linalg.matrix_power(x, 1), (2, 3, 3)),
    HOST(linalg.matrix_power, lambda x: linalg.matrix_power(x, 0), (2, 3, 3)),
    HOST(linalg.matrix_power, lambda x: linalg.matrix_power(x, 7), (2, 3, 3)),
    HOST(linalg.multi_dot, lambda x: linalg.multi_dot([x[0], plain(x, 4, 2), x[:2]])),
    HOST(linalg.multi_dot, lambda x: linalg.multi_dot([x[0], x.T, x, x[1]])),
    HOST(linalg.multi_dot, lambda x: linalg.multi_dot([x, x.T])),
    HOST(linalg.multi_dot, lambda x: linalg.multi_dot([x, x.T, x, x[1]])),
    HOST(linalg.tensorsolve,
         lambda x: linalg.tensorsolve(regular(x).reshape(2, 3, 6), x[0].reshape(2, 3)), (6, 6)),
    HOST(linalg.tensorsolve,
         lambda x: linalg.tensorsolve(
             np.moveaxis(regular(x).reshape(2, 3, 6), 2, 0), plain(x, 2, 3), axes=(0,)), (6, 6)),
    NARROW(linalg.tensorinv, lambda x: linalg.tensorinv(regular(x).reshape(6, 2, 3), ind=1),
           (6, 6)),
    NARROW(linalg.pinv, lambda x: linalg.pinv(x), (2, 4, 3)),
    NARROW(linalg.pinv, lambda x: linalg.pinv(x), (3, 5)),
    HOST(linalg.pinv, lambda x: linalg.pinv(of_rank_two(x), rcond=1e-5), (4, 3)),
    HOST(linalg.pinv, lambda x: linalg.pinv(of_rank_two(x).T, rtol=1e-5), (4, 3)),
    HOST(linalg.pinv, lambda x: linalg.pinv(regular(x), hermitian=True), (3, 3)),
    HOST(linalg.lstsq, lambda x: linalg.lstsq(x, x[:, 0] ** 2)[0], (4, 3)),
    HOST(linalg.lstsq, lambda x: linalg.lstsq(x, plain(x, 4, 2))[:2], (4, 3)),
    HOST(linalg.lstsq, lambda x: linalg.lstsq(plain(x, 4, 3), x)[:2], (4, 2)),
    HOST(linalg.lstsq, lambda x: linalg.lstsq(x[:2], x[2:, 0])[0], (4, 3)),
    HOST(linalg.lstsq, lambda x: linalg.lstsq(of_rank_two(x), x[:, 0], rcond=1e-5)[0], (4, 3)),
    HOST(linalg.lstsq, lambda x: linalg.lstsq(x, x[:, 0])[3], (4, 3)),
    *(HOST(linalg.cond, lambda x, p=p: linalg.cond(regular(x + x * x), p), (2, 3, 3))
      for p in (None, 2, -2)),
    *(HOST(linalg.cond, lambda x, p=p: linalg.cond(regular(x - x * x), p), (2, 3, 3))
      for p in (1, -1, np.inf, -np.inf, "fro", "nuc")),
    HOST(linalg.cond, lambda x: linalg.cond(x), (4, 3)),
    *(HOST(linalg.norm, lambda x, p=p: linalg.norm(x, p), (4, 3)) for p in (2, -2, "nuc", "f")),
    HOST(linalg.norm, lambda x: linalg.norm(x, "nuc", axis=(2, 0), keepdims=True), (3, 2, 4)),
    HOST(linalg.norm, lambda x: linalg.norm(x, 2, axis=(0, 2)), (3, 2, 4)),
    HOST(linalg.norm, lambda x: linalg.norm(x, 0, axis=1)),
    HOST(linalg.vector_norm, lambda x: linalg.vector_norm(x, ord=0)),
    HOST(linalg.vector_norm, lambda x: linalg.vector_norm(x, ord=3, axis=(0, 1), keepdims=True)),
    *(HOST(linalg.matrix_norm, lambda x, p=p: linalg.matrix_norm(x, ord=p), (2, 3, 4))
      for p in (1, -1, 2, -2, -np.inf, "nuc")),
    HOST(linalg.matrix_norm, lambda x: linalg.matrix_norm(x, keepdims=True), (2, 3, 4)),
)  # fmt: skip

VALUES = existing(
    Call(linalg.matrix_rank, lambda x: linalg.matrix_rank(x), (3, 3)),
    Call(linalg.matrix_rank, lambda x: linalg.matrix_rank(of_rank_two(x), rtol=1e-5), (4, 3),
         standin=False),
    Call(linalg.matrix_rank, lambda x: linalg.matrix_rank(x @ x.T, tol=1e-5, hermitian=True),
         (4, 3), standin=False),
)  # fmt: skip
