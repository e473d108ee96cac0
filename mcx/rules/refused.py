"""What has no rule, each with its reason. `NOT_YET` can only shrink."""

from __future__ import annotations

import numpy as np

from mcx.dispatch import REFUSED, REFUSED_MODULES
from mcx.rules.versions import available

_LATER = "it has no rule yet"

NOT_YET = dict.fromkeys(
    (
        np.angle, np.apply_along_axis, np.apply_over_axes, np.choose, np.copyto,
        np.corrcoef, np.cov, np.cumprod, np.ediff1d, np.fill_diagonal, np.frexp,
        np.gradient, np.histogram, np.histogram2d, np.histogram_bin_edges, np.histogramdd, np.i0,
        np.insert, np.interp, np.intersect1d, np.isin, np.ix_, np.linspace, np.geomspace,
        np.logspace, np.median, np.meshgrid, np.nancumprod, np.nancumsum, np.nanmax, np.nanmean,
        np.nanmedian, np.nanmin, np.nanpercentile, np.nanprod, np.nanquantile, np.nanstd, np.nansum,
        np.nanvar, np.partition, np.percentile, np.piecewise, np.place, np.poly, np.polyadd,
        np.polyder, np.polydiv, np.polyfit, np.polyint, np.polymul, np.polysub, np.polyval, np.ptp,
        np.put, np.put_along_axis, np.putmask, np.quantile, np.real_if_close, np.resize, np.roots,
        np.select, np.setdiff1d, np.setxor1d, np.sinc, np.sort_complex, np.trim_zeros, np.union1d,
        np.unique, np.unique_all, np.unique_counts, np.unique_inverse, np.unique_values, np.unwrap,
        np.vander, np.arange, np.tri, np.fromfunction, np.array, np.asarray, np.asanyarray,
        np.ascontiguousarray, np.asfortranarray, np.require,
        np.linalg.cholesky, np.linalg.cond, np.linalg.det, np.linalg.eig, np.linalg.eigh,
        np.linalg.eigvals, np.linalg.eigvalsh, np.linalg.lstsq,
        np.linalg.matrix_norm, np.linalg.matrix_power, np.linalg.matrix_rank, np.linalg.multi_dot,
        np.linalg.pinv, np.linalg.qr, np.linalg.slogdet, np.linalg.solve, np.linalg.svd,
        np.linalg.svdvals, np.linalg.tensorinv, np.linalg.tensorsolve,
        *available("cumulative_prod", "in1d"),
    ),
    _LATER,
)  # fmt: skip

_INDICES = "its arguments are integers (indices, counts, dates or bits), which have no derivative"
_FILES = "it reads or writes text or bytes and would drop the derivative planes; pickle the number"
_PRINTING = "it would show the value plane alone; use repr(z), or np.array2string(z.value)"

_WITH_REASON = {
    _INDICES: (
        np.bincount, np.busday_count, np.busday_offset, np.datetime_as_string, np.is_busday,
        np.packbits, np.unpackbits, np.ravel_multi_index, np.unravel_index, np.diag_indices_from,
        np.tril_indices_from, np.triu_indices_from,
    ),
    _FILES: (
        np.frombuffer, np.fromfile, np.fromiter, np.fromstring, np.genfromtxt, np.loadtxt, np.save,
        np.savetxt, np.savez, np.savez_compressed,
    ),
    _PRINTING: (np.array2string, np.array_repr, np.array_str),
    "it asks for the spacing of floating-point numbers, which has no derivative": (
        np.nextafter, np.spacing,
    ),
}  # fmt: skip

REFUSED.update({func: reason for reason, funcs in _WITH_REASON.items() for func in funcs})
REFUSED.update(NOT_YET)

REFUSED_MODULES.update(
    {
        "numpy.fft": _LATER,
        "numpy.lib.scimath": _LATER,
        "numpy.lib._scimath_impl": _LATER,  # its name in NumPy 2.0
        "numpy.polynomial": _LATER,
        "numpy.strings": "strings have no derivative",
        "numpy.char": "strings have no derivative",
        "numpy.lib.recfunctions": "structured arrays have no planes; differentiate each field",
    }
)
