"""Averages, correlations, ranges; sums, products, extrema and variances without NaN."""

from __future__ import annotations

import numpy as np

from mcx.dispatch import is_number, register, unsupported, value_of
from mcx.rules.axes import arrayed, axes_of, given, keeps, weights_along
from mcx.rules.reductions import Extremum, passing_nan, std, var
from mcx.verbs import Composed

# From NumPy 2.2 on, cov takes a single row as observations where rowvar=False says so.
_ROW_IS_TURNED = np.ndim(np.cov(np.zeros((1, 2)), rowvar=False, ddof=0)) == 2


def _average(a, axis=None, weights=None, returned=False, *, keepdims=np._NoValue):
    a, total = arrayed(a), None
    how = {"axis": axis, "keepdims": keeps(keepdims)}
    if weights is None:
        average = np.mean(a, **how)
    else:
        weights = weights_along(arrayed(weights), a.shape, axes_of(axis, a.ndim))
        total = np.sum(weights, **how)
        with np.errstate(divide="ignore", invalid="ignore"):  # NumPy's own call raises
            average = np.sum(a * weights, **how) / total
    return (average, total) if returned else average


def _rows(m, y, rowvar, dtype):
    """Return the observations of cov, every variable a row."""
    m = arrayed(m)
    turned = not rowvar and m.ndim == 2 and (m.shape[0] != 1 or _ROW_IS_TURNED)
    rows = [m.T if turned else np.atleast_2d(m)]
    if y is not None:
        y = np.atleast_2d(arrayed(y))
        rows.append(y if rowvar or y.shape[0] == 1 else y.T)
    rows = np.concatenate(rows) if y is not None else rows[0]
    return rows.astype(np.result_type(rows.dtype, np.float64) if dtype is None else dtype)


def _cov(
    m, y=None, rowvar=True, bias=False, ddof=None, fweights=None, aweights=None, *, dtype=None
):
    """Σ w d d* / N of the deviations d from the mean, N by the degrees of freedom."""
    if is_number(fweights):
        raise unsupported(np.cov, (fweights,), "fweights= are counts, which have no derivative")
    rows = _rows(m, y, rowvar, dtype)
    ddof = (0 if bias else 1) if ddof is None else ddof
    weights = 1.0 if fweights is None else arrayed(fweights)
    weights = weights if aweights is None else weights * arrayed(aweights)
    weights = np.broadcast_to(weights, rows.shape[1:])
    with np.errstate(divide="ignore", invalid="ignore"):  # NumPy's own call warns
        total = np.sum(weights)
        lost = ddof if aweights is None else ddof * np.sum(weights * arrayed(aweights)) / total
        freedom = total - lost
        d = rows - np.sum(rows * weights, axis=1, keepdims=True) / total
        products = d @ np.conj(d * weights).T
        return np.squeeze(products / (freedom if value_of(freedom) > 0 else 0.0))


def _corrcoef(x, y=None, rowvar=True, bias=np._NoValue, ddof=np._NoValue, *, dtype=None):
    """Covariances over deviations, not clipped: at ±1 derivatives are those of the quotient."""
    c = _cov(x, y, rowvar, dtype=dtype)
    with np.errstate(divide="ignore", invalid="ignore"):
        if not c.ndim:
            return c / c
        deviation = np.sqrt(np.real(np.diagonal(c)))
        return c / deviation[:, None] / deviation[None, :]


def _ptp(a, axis=None, out=None, keepdims=np._NoValue):
    how = {"axis": axis, "keepdims": keeps(keepdims)}
    return np.max(a, **how) - np.min(a, **how)


def _without_nan(func, fill):
    """Return the formula of a function that takes NaN as `fill`."""

    def formula(a, axis=None, dtype=None, out=None, keepdims=np._NoValue, initial=np._NoValue,
                where=np._NoValue):  # fmt: skip
        filled = np.where(np.isnan(value_of(a)), fill, a)
        options = given(keepdims=keepdims, initial=initial, where=where)
        return func(filled, axis=axis, dtype=dtype, **options)

    return formula


def _present(a, where):
    """Return where there are numbers."""
    present = ~np.isnan(value_of(a))
    return present if where is np._NoValue else present & where


def _nan_mean(a, axis=None, dtype=None, out=None, keepdims=np._NoValue, *, where=np._NoValue):
    present, how = _present(a, where), {"axis": axis, "keepdims": keeps(keepdims)}
    with np.errstate(divide="ignore", invalid="ignore"):  # NumPy's own call warns
        return np.sum(np.where(present, a, 0), dtype=dtype, **how) / np.sum(present, **how)


def _nan_spread(spread):
    """Return nanvar or nanstd from var or std."""

    def formula(
        a, axis=None, dtype=None, out=None, ddof=0, keepdims=np._NoValue, *, where=np._NoValue,
        mean=np._NoValue, correction=np._NoValue,
    ):  # fmt: skip
        a = arrayed(a)
        ddof = ddof if correction is np._NoValue else correction
        present, keepdims = _present(a, where), keeps(keepdims)
        result = spread(a, axis, dtype, None, ddof, keepdims, where=present, mean=mean)
        few = np.sum(present, axis=axis, keepdims=keepdims) <= ddof
        return result * np.where(few, np.nan, 1) if np.any(few) else result

    return formula


class _NanExtremum(Extremum):
    """nanmax or nanmin; where there are no numbers, all planes are NaN."""

    def __init__(self, find, worst):
        super().__init__(passing_nan(find, worst), worst)

    def apply(self, func, args, kwargs, like=None):
        result = super().apply(func, args, kwargs, like)
        lost = np.isnan(value_of(result))
        return result * np.where(lost, np.nan, 1).astype(result.dtype) if np.any(lost) else result


register(np.nanmax, _NanExtremum(np.argmax, -np.inf))
register(np.nanmin, _NanExtremum(np.argmin, np.inf))

COMPOSED = {
    np.average: _average,
    np.cov: _cov,
    np.corrcoef: _corrcoef,
    np.ptp: _ptp,
    np.nansum: _without_nan(np.sum, 0),
    np.nanprod: _without_nan(np.prod, 1),
    np.nancumsum: _without_nan(np.cumsum, 0),
    np.nancumprod: _without_nan(np.cumprod, 1),
    np.nanmean: _nan_mean,
    np.nanvar: _nan_spread(var),
    np.nanstd: _nan_spread(std),
}
for _func, _formula in COMPOSED.items():
    register(_func, Composed(_formula))
