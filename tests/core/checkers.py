"""Checks that the tests share; `test_harness.py` shows that each of them can fail."""

import numpy as np
from core.oracles import directional_differences
from standin import StandIn


def host(x):
    """Return a buffer as ndarray."""
    return x.get() if isinstance(x, StandIn) else np.asarray(x)


def host_tree(x):
    """Return x with every buffer as ndarray, in tuples and lists too."""
    return type(x)(map(host_tree, x)) if isinstance(x, (tuple, list)) else host(x)


def assert_close_planes(planes, expected, scale, factor=50):
    """Check law 5: |planes − expected| ≤ factor · eps · scale, in every plane.

    A result whose exact value lies beyond the dtype's range is left out. One unit of the smallest
    subnormal is granted, as no format resolves less.
    """
    planes = host(planes)
    info = np.finfo(planes.dtype)
    assert planes.shape == expected.shape, f"shape {planes.shape}, expected {expected.shape}"
    inside = np.broadcast_to(np.max(scale, axis=0) < info.max / 1024, scale.shape)
    bound = factor * np.longdouble(info.eps) * scale + info.smallest_subnormal
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


def leaves(result):
    """Return the arrays of a result that may be a tuple or list of arrays."""
    return list(result) if isinstance(result, (tuple, list)) else [result]


def assert_derivatives(call, results, x, p, q):
    """Check planes i_1, i_2, i_1 i_2 of a call's results against central differences.

    The differences are taken in long double with an eighth-order formula (about 1e-15 relative
    for a first, 1e-13 for a second derivative), so the bound for float64 is 50 eps of the largest
    entry plus that; for functions that NumPy computes in float64 only it is 1e-7.
    """
    floor = 1e-13 if call.wide else 1e-7
    eps = np.finfo(x.dtype).eps
    oracle_type = np.longdouble if call.wide else np.float64

    def parts(at):
        return [np.asarray(y, np.longdouble) for y in leaves(call.run(at))]

    for k, y in enumerate(results):
        expected = directional_differences(lambda at, k=k: parts(at)[k], x, p, q, oracle_type)
        size = max(1.0, *(float(np.max(abs(e), initial=0)) for e in expected))
        for units, plane in zip(((1,), (2,), (1, 2)), expected, strict=True):
            error = float(np.max(abs(host(y.im(*units)) - plane), initial=0))
            ratio = error / ((50 * eps + floor) * size)
            assert ratio <= 1, f"{call}: plane {units} is {ratio:.3g} times the bound off"
