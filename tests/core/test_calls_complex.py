"""The rows of the tables of calls for complex functions of real parameters, x + s p + t q.

Value bit for bit, first and second derivatives against differences in complex long double. A row
for which NumPy has no complex loop is skipped by NumPy's own error.
"""

import numpy as np
import pytest
from core.calls import point
from core.checkers import assert_near, assert_same_value, directions, leaves
from core.oracles import along
from core.test_calls import DERIVATIVES, supported

import mcx
from mcx import dispatch

WIDE = np.clongdouble
EPS = np.finfo(float).eps
# Rows that multiply single elements, or ufunc.at: NumPy does it without fused multiply-add there.
ROUNDED = (np.piecewise, np.apply_along_axis, np.polyint, np.multiply)


def complex_point(call):
    """Return x + i (0.75 − 0.3 y) for the point x of a row, y it shifted: no modulus is small."""
    x = point(call.shape, np.float64, call.positive)
    return x + 1j * (0.75 - 0.3 * np.roll(x, 1))


def complex_directions(rng, x):
    parts = directions(rng, x.real, 4)
    return parts[0] + 1j * parts[1], parts[2] + 1j * parts[3]


def differences(f, x, p, q, dtype):
    """Return ∂f/∂s, ∂f/∂t and ∂²f/∂s∂t at x + s p + t q, f being evaluated in the given type."""
    x, p, q = (a.astype(WIDE) for a in (x, p, q))
    fine, coarse = (np.longdouble(2) ** k for k in ((-11, -9) if dtype is WIDE else (-9, -8)))

    def at(s, t):
        return f((x + s * p + t * q).astype(dtype))

    return (
        along(lambda s: at(s, 0), fine),
        along(lambda t: at(0, t), fine),
        along(lambda s: along(lambda t: at(s, t), coarse), coarse),
    )


def parts_of(call, result):
    """Return the arrays of a result; what NumPy leaves free is replaced by what it determines.

    The columns of a square Q or U beyond the range may be multiplied by any unitary matrix: by the
    projector onto them. Complex `unique_values` come in the order of their hashes: sorted.
    """
    parts = leaves(result)
    if call.func is np.unique_values:
        return [np.sort(parts[0])]
    if call.func in (np.linalg.qr, np.linalg.svd) and len(parts) > 1:
        columns = parts[1].shape[-1]
        raw = call.func is np.linalg.qr and np.ndim(parts[1]) < np.ndim(parts[0])
        if parts[0].shape[-1] > columns and not raw:
            outside = parts[0][..., columns:]
            projector = outside @ np.conj(np.swapaxes(outside, -1, -2))
            return [parts[0][..., :columns], projector, *parts[1:]]
    return parts


def value_of_row(call, x):
    """Return NumPy's own result, or skip the row."""
    try:
        return call.run(x)
    except (TypeError, ValueError, np.exceptions.ComplexWarning) as error:
        pytest.skip(f"NumPy: {error}")


def assert_value(call, y, own, size):
    """Check law 2, bit for bit; sums of K products to 2K eps, products of elements to 2 eps."""
    bilinear = dispatch.classify(call.func) == "bilinear"
    if not bilinear and call.func not in ROUNDED:
        assert_same_value(y, own)
        return
    assert y.dtype == np.asarray(own).dtype
    assert_near(y.value, own, 2 * EPS * (size if bilinear else 1))


@supported(DERIVATIVES)
def test_complex_value_and_derivatives(call, rng):
    x = complex_point(call)
    p, q = complex_directions(rng, x)
    value = value_of_row(call, x)
    result = call.run(mcx.perturb(x, p, q))
    for y, own in zip(leaves(result), leaves(value), strict=True):
        assert isinstance(y, mcx.Multicomplex), f"{call} dropped the derivatives"
        assert_value(call, y, own, x.size)
    bound = 50 * EPS + (1e-13 if call.wide else 1e-7)
    dtype = WIDE if call.wide and call.func is not np.fromstring else np.complex128
    for k, y in enumerate(parts_of(call, result)):
        expected = differences(
            lambda at, k=k: np.asarray(parts_of(call, call.run(at))[k]), x, p, q, dtype
        )
        size = max(1.0, *(float(np.max(abs(e), initial=0)) for e in expected))
        for units, plane in zip(((1,), (2,), (1, 2)), expected, strict=True):
            assert_near(y.im(*units), plane, bound, size)
