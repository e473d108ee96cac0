"""Calls of the functions of mcx.rules.statistics, quantiles and histograms, and of reductions."""

import numpy as np
from core.calls import Call, existing, mask, newer, plain


def with_nan(x):
    """Return x with NaN where x is 0 or less, for functions that pass over NaN."""
    return np.where(x > 0, x, np.nan)


SUMS = existing(
    Call(np.sum, lambda x: np.sum(x, axis=1, initial=x[0, 0]), standin=False),
    Call(np.prod, lambda x: np.prod(x, axis=1, initial=x[0, 0]), standin=False),
    Call(np.prod, lambda x: np.prod(x, axis=0, where=mask(x, 3, 4)), standin=False),
    Call(np.max, lambda x: np.max(x, axis=0, initial=x[1, 1]), standin=False),
    Call(np.min, lambda x: np.min(x, axis=(0, 2), where=x > 0, initial=0.5), (2, 3, 4),
         standin=False),
    Call(np.amax, lambda x: np.amax(x, axis=1, keepdims=True)),
    Call(np.amin, lambda x: np.amin(x, axis=None)),
    Call(np.cumprod, lambda x: np.cumprod(x)),
    Call(np.cumprod, lambda x: np.cumprod(x - x[:, :1], axis=1)),
    Call(newer("cumulative_prod"), lambda x: np.cumulative_prod(x[0], include_initial=True),
         standin=False),
    Call(newer("cumulative_sum"), lambda x: np.cumulative_sum(x[0] ** 2), standin=False),
    Call(np.var, lambda x: np.var(x, axis=0, where=mask(x, 3, 4)), standin=False),
    Call(np.var, lambda x: np.var(x, axis=1, mean=x[:, :1], ddof=1), standin=False),
    Call(np.var, lambda x: np.var(plain(x, 3, 4), axis=0, mean=x[:1]), standin=False),
    Call(np.std, lambda x: np.std(x, axis=(0, 2), correction=1), (2, 3, 4), standin=False),
    Call(np.std, lambda x: np.std(x, where=x > -1, keepdims=True), standin=False),
    Call(np.diff, lambda x: np.diff(x[0, :3], prepend=x[1, 1], append=[1.0, 2.0]), standin=False),
)  # fmt: skip

AVERAGES = existing(
    Call(np.average, lambda x: np.average(x, axis=0, returned=True)[0], standin=False),
    Call(np.average, lambda x: np.average(x, weights=x * x + 1, returned=True), standin=False),
    Call(np.average, lambda x: np.average(x, (2, 0), weights=x[:, 1].T ** 2 + 1), (2, 3, 4),
         standin=False),
    Call(np.ptp, lambda x: np.ptp(x, axis=0)),
    Call(np.ptp, lambda x: np.ptp(x, keepdims=True), standin=False),
    Call(np.cov, lambda x: np.cov(x), standin=False),
    Call(np.cov, lambda x: np.cov(x[0], x[1], bias=True), standin=False),
    Call(np.cov, lambda x: np.cov(x, x[:, 0] ** 2, rowvar=False, ddof=0), standin=False),
    Call(np.cov, lambda x: np.cov(x, fweights=[1, 2, 0, 3]), standin=False),
    Call(np.cov, lambda x: np.cov(x, fweights=[1, 2, 0, 3], aweights=x[0] ** 2 + 1),
         standin=False, wide=False),
    Call(np.cov, lambda x: np.cov(plain(x, 2, 4), aweights=x[0] ** 2 + 1, ddof=0),
         standin=False, wide=False),
    Call(np.corrcoef, lambda x: np.corrcoef(x), standin=False),
    Call(np.corrcoef, lambda x: np.corrcoef(x, x[:, 0] ** 2, rowvar=False), standin=False),
)  # fmt: skip

WITHOUT_NAN = existing(
    Call(np.nansum, lambda x: np.nansum(with_nan(x), axis=0, initial=x[0, 1]), standin=False),
    Call(np.nansum, lambda x: np.nansum(with_nan(x))),
    Call(np.nanprod, lambda x: np.nanprod(with_nan(x), axis=1, keepdims=True)),
    Call(np.nanmean, lambda x: np.nanmean(with_nan(x), axis=1)),
    Call(np.nanmean, lambda x: np.nanmean(with_nan(x), where=mask(x, 3, 4)), standin=False),
    Call(np.nancumsum, lambda x: np.nancumsum(with_nan(x))),
    Call(np.nancumprod, lambda x: np.nancumprod(with_nan(x), axis=1)),
    Call(np.nanvar, lambda x: np.nanvar(with_nan(x), axis=1)),
    Call(np.nanvar, lambda x: np.nanvar(with_nan(x), mean=x[0, 0], ddof=1), standin=False),
    Call(np.nanstd, lambda x: np.nanstd(with_nan(x), keepdims=True)),
    Call(np.nanmax, lambda x: np.nanmax(with_nan(x), axis=0)),
    Call(np.nanmax, lambda x: np.nanmax(with_nan(-x), axis=1, initial=0.25), standin=False),
    Call(np.nanmin, lambda x: np.nanmin(with_nan(x))),
)  # fmt: skip

# A quantile's weights are float64, whatever the data are.
ORDER_STATISTICS = existing(
    Call(np.median, lambda x: np.median(x, axis=0)),
    Call(np.median, lambda x: np.median(x, axis=(0, 2), keepdims=True), (2, 3, 4)),
    Call(np.nanmedian, lambda x: np.nanmedian(with_nan(x), axis=1)),
    *(
        Call(np.pad, lambda x, m=m: np.pad(x, ((1, 2), (0, 3)), mode=m) ** 2, standin=False)
        for m in ("maximum", "minimum", "median")
    ),
    Call(np.pad, lambda x: np.pad(x, 2, "median", stat_length=((3, 2), (1, 2))), standin=False),
    Call(np.pad, lambda x: np.pad(x * x, ((0, 0), (1, 2)), "maximum"), standin=False),
    *(
        Call(np.quantile, lambda x, m=m: np.quantile(x, [0.125, 0.5], axis=1, method=m),
             standin=False, wide=False)
        for m in ("inverted_cdf", "averaged_inverted_cdf", "closest_observation", "hazen",
                  "interpolated_inverted_cdf", "weibull", "linear", "median_unbiased",
                  "normal_unbiased", "lower", "higher", "midpoint", "nearest")
    ),
    Call(np.quantile, lambda x: np.quantile(x, 0.375)),
    Call(np.quantile, lambda x: np.quantile(x, 0.2 + x[0, :2] ** 2 / 16, axis=1), standin=False,
         wide=False),
    Call(np.quantile, lambda x: np.quantile(plain(x, 7), 0.45 + x[0, :2] / 64, method="weibull"),
         standin=False, wide=False),
    Call(np.quantile,
         lambda x: np.quantile(x, 0.625, 1, weights=[1, 2, 3, 1], method="inverted_cdf"),
         standin=False),
    Call(np.percentile, lambda x: np.percentile(x, 37.5, axis=0)),
    Call(np.percentile, lambda x: np.percentile(x, 50 * abs(x[0, 0]), axis=0), standin=False,
         wide=False),
    Call(np.nanquantile, lambda x: np.nanquantile(with_nan(x), [0.25, 0.75], axis=1),
         standin=False, wide=False),
    Call(np.nanpercentile, lambda x: np.nanpercentile(with_nan(x), 25, keepdims=True),
         standin=False, wide=False),
)  # fmt: skip

HISTOGRAMS = existing(
    Call(np.histogram, lambda x: np.histogram(x, bins=5)[1], standin=False),
    Call(np.histogram, lambda x: np.histogram(x[0], 3, (x[0, 0] - 1, x[0, 0] + 2.5), density=True),
         standin=False),
    Call(np.histogram, lambda x: np.histogram(plain(x, 3, 4), 3, weights=x**2)[0], standin=False,
         wide=False),
    Call(np.histogram_bin_edges, lambda x: np.histogram_bin_edges(x, "sturges"), standin=False),
    Call(np.histogram2d,
         lambda x: np.histogram2d(x[0], x[1], 3, density=True, weights=x[2] ** 2 + 1),
         standin=False, wide=False),
    Call(np.histogramdd, lambda x: np.histogramdd(x.T, (2, 3, 1), density=True)[0], (3, 6),
         standin=False, wide=False),
    Call(np.bincount, lambda x: np.bincount([0, 2, 2, 4], weights=x[0], minlength=6),
         standin=False, wide=False),
)  # fmt: skip

METHODS = existing(
    Call(np.add, lambda x: np.add.reduce(x, axis=(0, 1), initial=x[0, 0]),
         standin=False),
    Call(np.add, lambda x: np.add.reduceat(x, [0, 3, 1, 1], axis=1), standin=False),
    Call(np.subtract, lambda x: np.subtract.reduce(x, axis=1), standin=False),
    Call(np.subtract, lambda x: np.subtract.reduce(x, initial=x[1, 0]), standin=False),
    Call(np.subtract, lambda x: np.subtract.accumulate(x, axis=1), standin=False),
    Call(np.subtract, lambda x: np.subtract.reduceat(x, [0, 2], axis=1), standin=False),
    Call(np.multiply, lambda x: np.multiply.reduceat(x, [0, 2, 1], axis=1), standin=False),
    Call(np.multiply, lambda x: np.multiply.reduce(x, None, where=x > -1, initial=x[0, 0]),
         standin=False),
    Call(np.divide, lambda x: np.divide.reduce(x + 1, axis=1, initial=x[0, 0] * 2), positive=True,
         standin=False),
    Call(np.divide, lambda x: np.divide.accumulate(x + 1, axis=0), positive=True, standin=False),
    Call(np.power, lambda x: np.power.reduce(x[:2] + 1), positive=True, standin=False),
    Call(np.minimum, lambda x: np.minimum.accumulate(x, axis=0), standin=False),
    Call(np.maximum, lambda x: np.maximum.reduceat(x, [0, 2], axis=1), standin=False),
    Call(np.maximum, lambda x: np.maximum.reduce(x, axis=1, where=x < 1, initial=-1.25),
         standin=False),
    Call(np.fmax, lambda x: np.fmax.reduce(with_nan(x), axis=0), standin=False),
    Call(np.fmin, lambda x: np.fmin.reduce(with_nan(x), axis=None, keepdims=True), standin=False),
    Call(np.fmin, lambda x: np.fmin.accumulate(with_nan(x)[:, 1]), standin=False),
    Call(np.hypot, lambda x: np.hypot.reduce(x, axis=1, where=x > 0), standin=False),
    Call(np.hypot, lambda x: np.hypot.accumulate(x, axis=1), standin=False),
    Call(np.logaddexp, lambda x: np.logaddexp.accumulate(x, axis=1), standin=False),
    Call(np.logaddexp, lambda x: np.logaddexp.reduce(x, (0, 1), where=x > 0), standin=False),
    Call(np.logaddexp2, lambda x: np.logaddexp2.reduce(x, axis=None, keepdims=True),
         standin=False),
    Call(np.arctan2, lambda x: np.arctan2.accumulate(x, axis=0), positive=True, standin=False),
)  # fmt: skip

DERIVATIVES = (*SUMS, *AVERAGES, *WITHOUT_NAN, *ORDER_STATISTICS, *HISTOGRAMS, *METHODS)
VALUES = existing(
    Call(np.less, lambda x: np.less.outer(x[0], x[1])),
    Call(np.logical_and, lambda x: np.logical_and.reduce(x > 0, axis=1), standin=False),
    Call(np.logical_or, lambda x: np.logical_or.accumulate(x, axis=1), standin=False),
    Call(np.histogram, lambda x: np.histogram(x, bins=[-2, 0, 1, 2])[0], standin=False),
)
