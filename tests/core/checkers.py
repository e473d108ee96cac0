"""Checks that the tests share; `test_harness.py` shows that each of them can fail."""

import numpy as np
from core.builders import filled
from core.calls import point
from core.oracles import chain, directional_differences
from standin import StandIn

import mcx


def host(x):
    """Return a buffer as ndarray."""
    return x.get() if isinstance(x, StandIn) else np.asarray(x)


def host_tree(x):
    """Return x with every buffer as ndarray, in tuples and lists too."""
    return type(x)(map(host_tree, x)) if isinstance(x, (tuple, list)) else host(x)


def assert_close_planes(planes, expected, scale, factor=50):
    """Check law 5: |planes − expected| ≤ factor · eps · scale, in every plane.

    A result whose exact value lies beyond the dtype's range is left out.
    """
    planes = host(planes)
    info = np.finfo(planes.dtype)
    assert planes.shape == expected.shape, f"shape {planes.shape}, expected {expected.shape}"
    inside = np.broadcast_to(np.max(scale, axis=0) < info.max / 1024, scale.shape)
    bound = factor * np.longdouble(info.eps) * scale
    with np.errstate(invalid="ignore"):
        error = abs(planes.astype(np.longdouble) - expected)
    bad = inside & ~(error <= bound)
    if np.any(bad):
        k = np.argmax(np.where(bad, error / bound, 0))
        at = tuple(map(int, np.unravel_index(k, bad.shape)))
        raise AssertionError(
            f"plane {at[0]:b}, point {at[1:]}: got {planes[at]!r}, expected {expected[at]!r}, "
            f"error {error[at] / bound[at]:.3g} times the bound; {np.sum(bad)} of {bad.size} wrong"
        )


def assert_same_value(z, expected):
    """Check law 2: the value plane equals NumPy's result bit for bit, dtype and shape included."""
    value, expected = host(z.value), np.asarray(expected)
    assert value.dtype == expected.dtype, f"dtype {value.dtype}, expected {expected.dtype}"
    np.testing.assert_array_equal(value, expected, strict=True)
    np.testing.assert_array_equal(np.signbit(value.real), np.signbit(expected.real))


def random_planes(rng, x, order):
    """Return planes (2^order, *x.shape) with value x and all others random of size about 1."""
    planes = rng.uniform(0.5, 1.5, size=(2**order, *x.shape))
    planes *= rng.choice([-1.0, 1.0], size=planes.shape)
    planes[0] = x
    return planes.astype(x.dtype)


def check_unary(case, planes):
    """Check a ufunc of one argument at a number with the given planes: laws 2 and 5."""
    x = planes[0]
    y = case.func(filled(planes))
    assert_same_value(y, case.func(x))
    expected, scale = chain(
        case.derivatives(x), planes.astype(np.longdouble), np.finfo(x.dtype).tiny
    )
    expected[0] = y.value  # checked above, bit for bit
    assert_close_planes(y.planes, expected, scale)


def directions(rng, x, count=2):
    """Return random directions of the shape of x, exactly representable in float32."""
    return [rng.uniform(-1, 1, x.shape).astype(np.float32).astype(x.dtype) for _ in range(count)]


def leaves(result):
    """Return the arrays of a result that may be a tuple or list of arrays."""
    return list(result) if isinstance(result, (tuple, list)) else [result]


def check_call(call, dtype, rng):
    """Check value, dtype and the planes of a row of the tables of calls, to second order.

    The differences are taken in long double with an eighth-order formula (about 1e-15 relative
    for a first, 1e-13 for a second derivative), so the bound for float64 is 50 eps of the largest
    entry plus that; for functions that NumPy computes in float64 only it is 1e-7.
    """
    x = point(call.shape, dtype, call.positive)
    p, q = directions(rng, x)
    result, value = call.run(mcx.perturb(x, p, q)), call.run(x)
    assert isinstance(result, mcx.Multicomplex) or type(result) is type(value)
    for y, part in zip(leaves(result), leaves(value), strict=True):
        assert isinstance(y, mcx.Multicomplex), f"{call} dropped the derivatives"
        assert_same_value(y, part)
    bound = 50 * np.finfo(dtype).eps + (1e-13 if call.wide else 1e-7)
    oracle_type = np.longdouble if call.wide else np.float64
    for k, y in enumerate(leaves(result)):
        expected = directional_differences(
            lambda at, k=k: np.asarray(leaves(call.run(at))[k], np.longdouble), x, p, q, oracle_type
        )
        size = max(1.0, *(float(np.max(abs(e), initial=0)) for e in expected))
        for units, plane in zip(((1,), (2,), (1, 2)), expected, strict=True):
            assert_near(y.im(*units), plane, bound, size)


def assert_near(got, expected, bound, size=1.0):
    """Check the largest error against bound times the largest entry (or `size`, if larger)."""
    error = np.max(abs(host(got) - expected), initial=0)
    size = max(size, float(np.max(abs(expected), initial=0)))
    assert error <= bound * size, f"off by {error:.3g}, bound {bound * size:.3g}"


def check_recorded(call, rng):
    """Check the recorded program of a row of the tables of calls against jvp."""
    x = point(call.shape, np.float64, call.positive)
    value, lin = mcx.linearize(call.run, x)
    for y, expected in zip(leaves(value), leaves(call.run(x)), strict=True):
        np.testing.assert_array_equal(y, expected)
    block = rng.normal(size=(3, *x.shape))
    together = leaves(lin(block))
    for k, p in enumerate(block):
        expected = leaves(mcx.jvp(call.run, x, p)[1])
        for one, many, slope in zip(leaves(lin(p)), together, expected, strict=True):
            assert not isinstance(one, mcx.Multicomplex)
            np.testing.assert_allclose(one, slope, rtol=1e-12, atol=1e-12)
            np.testing.assert_allclose(many[k], slope, rtol=1e-12, atol=1e-12)
