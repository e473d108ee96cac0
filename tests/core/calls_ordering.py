"""Calls of the functions of mcx.rules.ordering."""

import warnings

import numpy as np
from core.calls import Call, existing, newer, plain


def _in1d(x, y):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return newer("in1d")(x, y)


# Where a partition leaves the elements beside the pivots depends on the dtype: test_ordering.py.
DERIVATIVES = existing(
    Call(np.partition, lambda x: np.partition(x, (0, 2))[:, ::2], standin=False),
    Call(np.partition, lambda x: np.partition(x, 4, axis=None)[4] * x, standin=False),
    Call(np.partition, lambda x: np.partition(x, -1, axis=0, kind="introselect")[-1],
         standin=False),
    Call(np.sort, lambda x: np.sort(x, axis=-2, kind="heapsort"), standin=False),
    Call(np.sort, lambda x: np.sort(x, stable=True), standin=False),
    Call(np.sort_complex, lambda x: np.real(np.sort_complex(x)), standin=False),
    Call(np.unique, lambda x: np.unique(x[0] ** 2), standin=False),
    Call(np.unique, lambda x: np.unique(x, return_index=True)[0], standin=False),
    Call(np.unique, lambda x: np.unique(x, return_inverse=True, return_counts=True)[0],
         standin=False),
    Call(np.unique, lambda x: np.unique(x, axis=1), standin=False),
    Call(np.unique, lambda x: np.unique(x, axis=-1, equal_nan=False), (2, 3, 4), standin=False),
    Call(np.unique_all, lambda x: np.unique_all(x).values, standin=False),
    Call(np.unique_counts, lambda x: np.unique_counts(x).values, standin=False),
    Call(np.unique_inverse, lambda x: np.unique_inverse(x).values, standin=False),
    Call(np.unique_values, lambda x: np.unique_values(x), standin=False),
    Call(np.union1d, lambda x: np.union1d(x, 2 * x), standin=False),
    Call(np.union1d, lambda x: np.union1d([0.25, 5.0], x), standin=False),
    Call(np.intersect1d, lambda x: np.intersect1d(x[:2], x[1:]), standin=False),
    Call(np.intersect1d, lambda x: np.intersect1d(x, plain(x, 3, 4), assume_unique=True),
         standin=False),
    Call(np.setdiff1d, lambda x: np.setdiff1d(x, x[0]), standin=False),
    Call(np.setdiff1d, lambda x: np.setdiff1d(x, plain(x, 5), assume_unique=True), standin=False),
    Call(np.setxor1d, lambda x: np.setxor1d(x[:2], x[1:]), standin=False),
    Call(np.setxor1d, lambda x: np.setxor1d(plain(x, 3), x[0], assume_unique=True), standin=False),
    Call(np.trim_zeros, lambda x: np.trim_zeros(np.pad(x, (1, 3)), "b"), (4,), standin=False),
)  # fmt: skip

VALUES = existing(
    Call(np.isin, lambda x: np.isin(x, x[0]), standin=False),
    Call(np.isin, lambda x: np.isin([0.25, 9.0], x, invert=True), standin=False),
    Call(newer("in1d"), lambda x: _in1d(x, x[0]), standin=False),
    Call(np.unique, lambda x: np.unique(x, return_index=True, return_counts=True)[1:],
         standin=False),
    Call(np.unique_all, lambda x: np.unique_all(x)[1:], standin=False),
)  # fmt: skip
