"""Functions with axes, shapes and options on random arrays: NumPy's own result, bit for bit.

Shapes (empty and 0-d ones too), types, memory layouts and arguments are drawn. The value plane must
be what NumPy makes of the value plane, down to strides and shared memory, and an error where
NumPy raises one. A linear function does the same to every plane; a selection picks the same
elements from every plane.
"""

import warnings

import numpy as np
import pytest
from core import drawn
from core.checkers import leaves
from core.drawn import Draw, joined, optional, options, picked, plain, two
from core.test_completeness import EVERY, name
from hypothesis import given, settings
from hypothesis import strategies as st

from mcx import dispatch
from mcx.dispatch import is_number

linalg = np.linalg
REDUCING = optional({}, axis=drawn.axes, keepdims=drawn.flag)
MASKED = optional({}, axis=drawn.axes, keepdims=drawn.flag, where=drawn.where)
STARTED = optional(
    {}, axis=drawn.axes, keepdims=drawn.flag, where=drawn.where, initial=drawn.initial
)
EXTREME = optional({"initial": drawn.initial}, axis=drawn.axes, where=drawn.where)
ALONG = optional({}, axis=drawn.maybe_axis)
PICKING = optional({}, axis=drawn.maybe_axis, keepdims=drawn.flag)
QUANTILE = optional(
    {"q": drawn.probability},
    axis=drawn.axes,
    keepdims=drawn.flag,
    method=picked("linear", "lower", "nearest", "median_unbiased"),
)
DIAGONAL = optional({}, offset=drawn.integers(-2, 2))
TRANSFORM = optional(
    {}, n=drawn.integers(1, 6), axis=drawn.axis, norm=picked("ortho", "forward", None)
)
TRANSFORMS = optional({}, axes=drawn.axes_or_none, norm=picked("ortho", "forward", None))
PLANAR = optional({}, norm=picked("ortho", "forward", None))
SPREAD = optional({}, n=drawn.integers(2, 6), axis=drawn.axis)


def sections(func, d, x):
    """Equal parts, or cuts, along an axis."""
    cuts = d.one_of(1, 2, [1], [1, 2])
    along = {} if func in (np.hsplit, np.vsplit, np.dsplit) else {"axis": drawn.axis(d, x)}
    return lambda a: func(a, cuts, **along)


def with_axis_first(func, d, x):
    along = drawn.axis(d, x)
    return lambda a: np.apply_along_axis(lambda v: np.cumsum(v)[::-1], along, a)


def over_axes(func, d, x):
    over = d.one_of(drawn.axis(d, x), drawn.some_axes(d, x))
    return lambda a: np.apply_over_axes(np.sum, a, over)


def weighted(func, d, x):
    along = drawn.maybe_axis(d, x)
    shape = x.shape if along is None or d.flag() else (x.shape[along] if x.ndim else 1,)
    weights = d.one_of(None, d.rng.uniform(1, 2, shape))
    kept = d.flag()
    return lambda a: np.average(a, axis=along, weights=weights, keepdims=kept)


def taken_along(func, d, x):
    along = drawn.axis(d, x)
    chosen = np.argsort(d.rng.random(x.shape), axis=along) if x.ndim else np.zeros(1, int)
    return lambda a: np.take_along_axis(a, chosen, axis=along)


def compressed(func, d, x):
    along = drawn.maybe_axis(d, x)
    condition = d.rng.random(x.size if along is None else (x.shape or (1,))[along]) < 0.5
    return lambda a: np.compress(condition, a, axis=along)


def extracted(func, d, x):
    condition = drawn.where(d, x)
    return lambda a: np.extract(condition, a)


def padded(func, d, x):
    width = drawn.widths(d, x)
    mode = d.one_of("constant", "edge", "linear_ramp", "mean", "reflect", "symmetric", "wrap")
    return lambda a: np.pad(a, width, mode)


def interval(func, d, x):
    other = d.beside(x)
    count, along = d.integer(0, 5), d.integer(0, x.ndim)
    ends = {"num": count, "endpoint": d.flag(), "axis": along}
    if d.flag():
        return lambda a: func(a, d.like(other, a), **ends)
    return lambda a: func(d.like(other, a), a, **ends)


def chosen_by_mask(func, d, x):
    mask, other = drawn.where(d, x), d.beside(x)
    if d.flag():
        return lambda a: np.where(mask, a, d.like(other, a))
    return lambda a: np.where(mask, d.like(other, a), a)


def clipped(func, d, x):
    low, high = d.one_of(None, -1.0, d.beside(x)), d.one_of(1.0, d.beside(x))
    return lambda a: np.clip(a, None if low is None else d.like(low, a), d.like(high, a))


def spaced(func, d, x):
    along, order = drawn.axis(d, x), d.integer(1, 2)
    step = d.one_of(0.5, 2.0)
    return lambda a: np.gradient(a, step, axis=along, edge_order=order)


def appended(func, d, x):
    other, along = d.other(x.shape, x.dtype), drawn.maybe_axis(d, x)
    return lambda a: np.append(a, d.like(other, a), axis=along)


def inserted(func, d, x):
    along = drawn.axis(d, x)
    places, item = d.one_of(0, [0, 1], slice(0, 2)), d.one_of(2.0, d.other((), x.dtype))
    return lambda a: np.insert(a, places, d.like(item, a), axis=along)


def grids(func, d, x):
    other, ways = d.other((2,), x.dtype), {"indexing": d.one_of("ij", "xy"), "sparse": d.flag()}
    return lambda a: np.meshgrid(a, d.like(other, a), **ways)


def contracted(func, d, x):
    along = drawn.some_axes(d, x)
    other = d.other(x.shape, x.dtype)
    return lambda a: func(a, d.like(other, a), axes=(along, along))


def product(func, d, x):
    """A product with something whose shape fits matmul, dot and vecdot alike."""
    other = d.other(x.shape[-1:], x.dtype)
    other = d.one_of(other, other.value)
    return lambda a: func(a, d.like(other, a))


def kronecker(func, d, x):
    other = d.other((2,), x.dtype)
    return lambda a: func(a, d.like(other, a))


def crossed(func, d, x):
    other = d.other((3,), x.dtype)
    return lambda a: func(np.stack([a, 2 * a, a[..., ::-1]], axis=-1), d.like(other, a))


def normed(func, d, x):
    along = d.integer(-x.ndim, x.ndim - 1) if x.ndim else None
    order = d.one_of(None, 1, 2, 3, np.inf, -np.inf)
    kept = d.flag()
    return lambda a: linalg.norm(a, order, axis=along, keepdims=kept)


def solved(func, d, x):
    right = d.other((*x.shape[:-1], 2), x.dtype)
    return lambda a: linalg.solve(a, d.like(right, a))


def both_vectors(func, d, x):
    other = d.other((d.integer(1, 4),), x.dtype)
    modes = {"mode": d.one_of("full", "same", "valid")}
    modes = modes if func in (np.convolve, np.correlate) else {}
    return lambda a: func(a, d.like(other, a), **modes)


ANYTHING = {
    **dict.fromkeys((np.sum, np.prod, np.nansum, np.nanprod), STARTED),
    **dict.fromkeys((np.mean, np.var, np.std, np.nanmean, np.nanvar, np.nanstd, np.all, np.any),
                    MASKED),
    **dict.fromkeys((np.max, np.min), EXTREME),
    **dict.fromkeys((np.ptp, np.median, np.nanmedian, np.count_nonzero), REDUCING),
    **dict.fromkeys((np.argmax, np.argmin, np.nanargmax, np.nanargmin), PICKING),
    **dict.fromkeys((np.cumsum, np.cumprod, np.nancumsum, np.nancumprod, np.sort, np.argsort,
                     np.unique, np.flip), ALONG),
    **dict.fromkeys((np.quantile, np.percentile, np.nanquantile, np.nanpercentile), QUANTILE),
    **dict.fromkeys((np.diagonal, linalg.diagonal, np.trace, linalg.trace), DIAGONAL),
    **dict.fromkeys((np.tril, np.triu), optional({}, k=drawn.integers(-2, 2))),
    **dict.fromkeys((np.split, np.array_split, np.hsplit, np.vsplit, np.dsplit), sections),
    **dict.fromkeys((np.concatenate, np.stack), joined("axis")),
    **dict.fromkeys((np.hstack, np.vstack, np.dstack, np.column_stack, np.block), joined()),
    **dict.fromkeys((np.atleast_1d, np.atleast_2d, np.atleast_3d, np.ravel, np.fliplr, np.flipud,
                     np.matrix_transpose, linalg.matrix_transpose, np.copy, np.real, np.imag,
                     np.nan_to_num, np.argwhere, np.nonzero, np.flatnonzero, np.sort_complex,
                     np.isfinite, np.shape, np.size, np.ndim, np.iscomplexobj, np.unique_values,
                     np.unique_counts, np.unique_all, np.unique_inverse, np.diagflat, np.fix,
                     np.i0, np.sinc, np.ediff1d), plain),
    **dict.fromkeys((np.fft.fftshift, np.fft.ifftshift), optional({}, axes=drawn.axes)),
    **dict.fromkeys((np.linspace, np.geomspace, np.logspace), interval),
    **dict.fromkeys((np.tensordot, linalg.tensordot), contracted),
    **dict.fromkeys((np.dot, np.inner, np.matmul, np.vecdot, linalg.matmul, linalg.vecdot),
                    product),
    **dict.fromkeys((np.zeros_like, np.ones_like), optional({}, shape=drawn.any_shape)),
    **dict.fromkeys((np.round, np.around), optional({}, decimals=drawn.integers(-1, 2))),
    **dict.fromkeys((np.isclose, np.allclose, np.array_equal, np.array_equiv, np.broadcast_arrays,
                     np.vdot, np.outer), two),
    np.full_like: options(fill_value=drawn.initial, shape=drawn.any_shape),
    np.kron: kronecker,
    np.cross: crossed,
    linalg.cross: crossed,
    np.reshape: options(shape=drawn.new_shape, order=picked("C", "F", "A")),
    np.resize: options(new_shape=drawn.any_shape),
    np.transpose: options(axes=drawn.order_of_axes),
    np.moveaxis: options(source=drawn.axis, destination=drawn.axis),
    np.rollaxis: options(axis=drawn.axis, start=drawn.axis),
    np.swapaxes: options(axis1=drawn.axis, axis2=drawn.axis),
    np.expand_dims: options(axis=picked(0, -1, (0, -1))),
    np.squeeze: optional({}, axis=drawn.axes_or_none),
    np.broadcast_to: options(shape=drawn.wider_shape),
    np.roll: optional({"shift": drawn.integers(-5, 5)}, axis=drawn.maybe_axis),
    np.rot90: optional({}, k=drawn.integers(-3, 5)),
    np.repeat: optional({"repeats": drawn.integers(0, 3)}, axis=drawn.maybe_axis),
    np.tile: options(reps=picked(2, (2, 1), (1, 2, 3), 0)),
    np.pad: padded,
    np.take: optional({"indices": drawn.indices}, axis=drawn.maybe_axis,
                      mode=picked("wrap", "clip")),
    np.take_along_axis: taken_along,
    np.compress: compressed,
    np.extract: extracted,
    np.delete: optional({"obj": picked(0, [0, 1], slice(0, 2))}, axis=drawn.maybe_axis),
    np.append: appended,
    np.insert: inserted,
    np.where: chosen_by_mask,
    np.clip: clipped,
    np.diff: optional({}, n=drawn.integers(0, 3), axis=drawn.axis),
    np.gradient: spaced,
    np.trapezoid: optional({}, dx=picked(0.5, 2.0), axis=drawn.axis),
    np.unwrap: optional({}, axis=drawn.axis),
    np.average: weighted,
    np.partition: optional({"kth": picked(0, -1)}, axis=drawn.maybe_axis),
    np.argpartition: optional({"kth": picked(0, -1)}, axis=drawn.maybe_axis),
    np.apply_along_axis: with_axis_first,
    np.apply_over_axes: over_axes,
    np.lib.stride_tricks.sliding_window_view: options(window_shape=drawn.windows),
    linalg.norm: normed,
    linalg.vector_norm: optional({}, axis=drawn.axes, keepdims=drawn.flag,
                                 ord=picked(1, 2, 3, np.inf, -np.inf)),
    linalg.matrix_norm: optional({}, keepdims=drawn.flag,
                                 ord=picked("fro", 1, -1, np.inf, -np.inf)),
}  # fmt: skip
SOLID = {
    # Of a NaN without axes NumPy itself says NaN or `initial`, as it is a scalar or an array.
    **dict.fromkeys((np.nanmax, np.nanmin), EXTREME),
    **dict.fromkeys((np.fft.fft, np.fft.ifft, np.fft.rfft, np.fft.ihfft), TRANSFORM),
    **dict.fromkeys((np.fft.fftn, np.fft.ifftn, np.fft.rfftn, np.fft.irfftn), TRANSFORMS),
    **dict.fromkeys((np.fft.fft2, np.fft.ifft2, np.fft.rfft2, np.fft.irfft2), PLANAR),
    **dict.fromkeys((np.fft.irfft, np.fft.hfft), SPREAD),
}
VECTORS = {
    **dict.fromkeys((np.convolve, np.correlate, np.polyadd, np.polysub, np.polymul), both_vectors),
    np.diag: optional({}, k=drawn.integers(-2, 2)),
    np.vander: optional({}, N=drawn.integers(0, 4), increasing=drawn.flag),
    np.polyder: optional({}, m=drawn.integers(0, 2)),
    np.polyint: optional({}, m=drawn.integers(0, 2)),
    np.polyval: kronecker,
    np.trim_zeros: plain,
    np.real_if_close: plain,
    np.cov: optional({}, ddof=drawn.integers(0, 1), bias=drawn.flag),
    np.meshgrid: grids,
}
MATRICES = {
    **dict.fromkeys((linalg.inv, linalg.det, linalg.slogdet, linalg.pinv, linalg.qr, linalg.eig,
                     linalg.eigvals, linalg.svdvals, linalg.cond), plain),
    linalg.svd: options(full_matrices=drawn.flag),
    linalg.matrix_power: options(n=drawn.integers(-2, 4)),
    linalg.solve: solved,
}  # fmt: skip
COMPLEX = {np.angle: optional({}, deg=drawn.flag)}
ELEMENTWISE = {
    ufunc: plain if ufunc.nin == 1 else two
    for ufunc in EVERY
    if isinstance(ufunc, np.ufunc) and ufunc.nin < 3 and ufunc.signature is None
    if ufunc is not np.ldexp
}


def rows():
    """Return (function, what draws its operand, how it is called) of all that is supported."""
    tables = (
        (Draw.anything, ELEMENTWISE),
        (Draw.anything, ANYTHING),
        (Draw.solid, SOLID),
        (Draw.vector, VECTORS),
        (Draw.matrices, MATRICES),
        (Draw.complex, COMPLEX),
    )
    found = [(func, operand, bind) for operand, table in tables for func, bind in table.items()]
    return [row for row in found if dispatch.classify(row[0]) != "refused"]


# Verbs whose value plane is what NumPy's own call returned, in its memory order.
DIRECT = ("linear", "selection", "constant", "analytic")


def quietly(call, a):
    """Return call(a), or the exception that it raises."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            return call(a)
        except Exception as error:
            return error


def strides_of(x):
    """Return the strides of the axes that have any meaning."""
    return [s for s, n in zip(x.strides, x.shape, strict=True) if n > 1] if x.size else []


def assert_as_numpy(func, result, expected, planes, x):
    """Check value, type, shape, memory order and shared memory of every part of a result."""
    direct = func in ELEMENTWISE or dispatch.classify(func) in DIRECT
    for part, own in zip(leaves(result), leaves(expected), strict=True):
        value, whole = (part.value if is_number(part) else part), np.asarray(own)
        np.testing.assert_array_equal(value, own)
        assert np.shape(value) == whole.shape
        if not is_number(part):
            assert type(value) is type(own)
            continue
        assert value.dtype == whole.dtype
        np.testing.assert_array_equal(np.signbit(value.real), np.signbit(whole.real))
        if direct and 0 not in strides_of(x):  # the order of repeated elements has no meaning
            assert strides_of(value) == strides_of(whole)
        if whole.size and (direct or x.ndim):  # the value of a 0-d number is a scalar
            shared = np.may_share_memory(part.planes, planes)
            assert shared == np.may_share_memory(whole, x)


def assert_same_linear_map(call, d, result, planes):
    """Check the plane i_1 against a central difference in float64, whose only error is rounding."""
    step, wide = 2.0**-20, np.result_type(planes.dtype, np.float64)
    x, p = planes[:2].astype(wide)
    ahead, behind = (_moved(call, d, x, p, shift) for shift in (step, -step))
    for part, high, low in zip(*map(leaves, (result, ahead, behind)), strict=True):
        if is_number(part):
            eps = np.finfo(wide).eps / step + np.finfo(part.dtype).eps
            slack = 64 * eps * np.max(abs(low[np.isfinite(low)]), initial=1.0)
            slope = (high - low) / (2 * step)
            np.testing.assert_allclose(part.im(1), slope, rtol=1e-6, atol=slack)


def _moved(call, d, x, p, shift):
    """Return the call with every operand moved along its tangent."""
    d.shift = shift
    result = quietly(call, x + shift * p)
    d.shift = 0.0
    return result


def check(func, operand, bind, data):
    """Check one call with drawn arguments."""
    d = Draw(data)
    z = operand(d)
    x = z.planes[0, ...]  # an array, of no dimensions too
    call = bind(func, d, x)
    expected, result = quietly(call, x), quietly(call, z)
    if isinstance(expected, Exception):
        assert isinstance(result, Exception), f"NumPy raises {expected!r}"
        return
    if isinstance(result, Exception):
        raise result
    assert_as_numpy(func, result, expected, z.planes, x)
    if dispatch.classify(func) in ("linear", "selection"):
        assert_same_linear_map(call, d, result, z.planes)


ROWS = pytest.mark.parametrize("row", rows(), ids=lambda row: name(row[0]))


@ROWS
@settings(max_examples=5)
@given(data=st.data())
def test_value_plane_is_the_result_of_numpy(row, data):
    check(*row, data)


@pytest.mark.slow
@ROWS
@settings(max_examples=200)
@given(data=st.data())
def test_value_plane_is_the_result_of_numpy_at_length(row, data):
    check(*row, data)
