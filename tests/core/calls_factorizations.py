"""Calls of the functions of mcx.rules.factorizations."""

import numpy as np
from core.calls import Call, existing, index

linalg = np.linalg


def _near(x, *items):
    """Return a constant array of x's dtype and kind of buffer."""
    return index(x, *items).astype(x.dtype)


def _grown(x):
    """Return x/4 with 1, 3, 6 added to the diagonal: its eigenvalues are real and simple."""
    return np.diag(_near(x, 1, 3, 6)) + x / 4


def _row(func, run, shape=(3, 3), **options):
    return Call(func, run, shape, wide=False, **options)


DERIVATIVES = existing(
    _row(linalg.cholesky, lambda x: linalg.cholesky(_grown(x))),
    _row(linalg.cholesky, lambda x: linalg.cholesky(_grown(x)), (2, 3, 3)),
    _row(linalg.cholesky, lambda x: linalg.cholesky(_grown(x), upper=True), standin=False),
    _row(linalg.qr, lambda x: linalg.qr(_grown(x))),
    _row(linalg.qr, lambda x: linalg.qr(_grown(x[:, 1:]) + x[:, :3] ** 2), (2, 4, 3)),
    _row(linalg.qr, lambda x: linalg.qr(_grown(x)[:2])),
    _row(linalg.qr, lambda x: linalg.qr(_grown(x)[:, :2], "complete")),
    _row(linalg.qr, lambda x: linalg.qr(_grown(x)[:, :2], mode="r")),
    _row(linalg.eigh, lambda x: linalg.eigh(_grown(x))),
    _row(linalg.eigh, lambda x: linalg.eigh(_grown(x), "U"), (2, 3, 3)),
    _row(linalg.eigvalsh, lambda x: linalg.eigvalsh(_grown(x), UPLO="U")),
    _row(linalg.eigvalsh, lambda x: linalg.eigvalsh(_grown(x))),
    _row(linalg.eig, lambda x: linalg.eig(_grown(x))),
    _row(linalg.eigvals, lambda x: linalg.eigvals(_grown(x)), (2, 3, 3)),
    _row(linalg.svd, lambda x: linalg.svd(_grown(x))),
    _row(linalg.svd, lambda x: linalg.svd(_grown(x)[:, :2])),
    _row(linalg.svd, lambda x: linalg.svd(_grown(x)[:2], full_matrices=False)),
    _row(linalg.svd, lambda x: linalg.svd(_grown(x), compute_uv=False), (2, 3, 3)),
    _row(linalg.svd, lambda x: linalg.svd(_grown(x), hermitian=True), standin=False),
    _row(linalg.svdvals, lambda x: linalg.svdvals(_grown(x)), standin=False),
    _row(np.roots, lambda x: np.roots(_near(x, 1, -10, 27, -18) + x / 8), (4,)),
    _row(np.poly, lambda x: np.poly(x), (4,)),
    _row(np.poly, lambda x: np.poly(x), (3, 3)),
)
VALUES = existing()
