"""Products of matrices: every plane against long double, within 2K·eps·(|A||B|) (law 2)."""

import numpy as np
import pytest
from core.builders import filled
from core.checkers import host

import mcx

PRODUCTS = {
    "matmul": (np.matmul, ((7, 5), (5, 6))),
    "matmul, vector on the left": (np.matmul, ((5,), (5, 6))),
    "matmul, vector on the right": (np.matmul, ((7, 5), (5,))),
    "matmul, two vectors": (np.matmul, ((5,), (5,))),
    "matmul, stacks": (np.matmul, ((3, 1, 2, 5), (4, 5, 3))),
    "matmul, large": (np.matmul, ((65, 130), (130, 33))),
    "matmul, empty": (np.matmul, ((3, 0), (0, 2))),
    "dot": (np.dot, ((4, 5), (5, 3))),
    "dot, stacks": (np.dot, ((2, 4, 5), (3, 5, 2))),
    "dot, scalar": (np.dot, ((), (3, 2))),
    "vdot": (np.vdot, ((3, 4), (3, 4))),
    "inner": (np.inner, ((2, 5), (3, 5))),
    "outer": (np.outer, ((3,), (4,))),
    "outer of matrices": (np.outer, ((2, 3), (2, 2))),
    "tensordot": (lambda a, b: np.tensordot(a, b, 2), ((2, 3, 4), (3, 4, 5))),
    "tensordot, axes": (lambda a, b: np.tensordot(a, b, ((2, 0), (1, 2))), ((2, 3, 4), (5, 4, 2))),
    "einsum": (lambda a, b: np.einsum("ijk,kl->jil", a, b), ((2, 3, 4), (4, 5))),
    "einsum, diagonal": (lambda a, b: np.einsum("ii,ij->j", a, b), ((3, 3), (3, 4))),
    "einsum, ellipsis": (lambda a, b: np.einsum("...ij,...j->...i", a, b), ((5, 2, 3), (5, 3))),
    "einsum, optimized": (
        lambda a, b: np.einsum("ij,jk,ik->j", a, b, a @ b, optimize=True), ((3, 4), (4, 5))
    ),
    "kron": (np.kron, ((2, 3), (4, 2))),
    "cross": (np.cross, ((4, 3), (4, 3))),
    "convolve": (lambda a, b: np.convolve(a, b, "same"), ((9,), (4,))),
    "correlate": (lambda a, b: np.correlate(a, b, "full"), ((9,), (4,))),
    "multiply": (np.multiply, ((3, 1, 4), (2, 1))),
}  # fmt: skip


def draw(rng, shape, dtype, order=2):
    planes = rng.normal(size=(2**order, *shape))
    if np.dtype(dtype).kind == "c":
        planes = planes + 1j * rng.normal(size=planes.shape)
    return planes.astype(dtype)


def expected_planes(product, left, right):
    """Return the planes of a bilinear product in long double, and the sum of absolute values."""
    wide = np.clongdouble if left.dtype.kind == "c" else np.longdouble
    a, b = left.astype(wide), right.astype(wide)
    out = [0] * len(left)
    size = [0] * len(left)
    for i in range(len(left)):
        for j in range(len(left)):
            if not i & j:
                out[i | j] = out[i | j] + product(a[i], b[j])
                size[i | j] = size[i | j] + product(abs(a[i]), abs(b[j]))
    return np.array(out), np.array(size)


# The bound of these is not the product of absolute values.
OTHERS = ("cross", "vdot", "correlate", "einsum, optimized")


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.complex64, np.complex128])
@pytest.mark.parametrize("name", [name for name in PRODUCTS if name not in OTHERS])
def test_every_plane_of_a_product(name, kind, rng):
    product, shapes = PRODUCTS[name]
    left, right = (draw(rng, shape, kind) for shape in shapes)
    expected, size = expected_planes(product, left, right)
    terms = max(4, 2 * max((max(shape, default=1) for shape in shapes), default=1))
    for z, w in ((filled(left), filled(right)), (filled(left), right[0]), (left[0], filled(right))):
        result = product(z, w)
        if not isinstance(w, mcx.Multicomplex) or not isinstance(z, mcx.Multicomplex):
            a = left if isinstance(z, mcx.Multicomplex) else _value_only(left)
            b = right if isinstance(w, mcx.Multicomplex) else _value_only(right)
            expected, size = expected_planes(product, a, b)
        assert result.dtype == product(left[0], right[0]).dtype
        error = abs(result.planes - expected)
        assert np.all(error <= 2 * terms * np.finfo(kind).eps * size)


def _value_only(planes):
    kept = np.zeros_like(planes)
    kept[0] = planes[0]
    return kept


@pytest.mark.parametrize("name", OTHERS)
def test_products_of_real_coefficients(name, rng):
    product, shapes = PRODUCTS[name]
    left, right = (draw(rng, shape, np.float64) for shape in shapes)
    z, w = filled(left), filled(right)
    value, slope = mcx.jvp(lambda a: product(a, right[0]), left[0], left[1])
    np.testing.assert_allclose(value, product(left[0], right[0]), rtol=1e-12, atol=1e-12)
    h = 2.0**-20
    up, down = (product(left[0] + s * h * left[1], right[0] + s * h * right[1]) for s in (1, -1))
    np.testing.assert_allclose(product(z, w).im(1), (up - down) / (2 * h), rtol=1e-7, atol=1e-7)
    assert np.shape(slope) == np.shape(value)


@pytest.mark.parametrize("size", [1, 3, 17, 64, 200])
@pytest.mark.parametrize(
    "product",
    [
        lambda a, b: a @ b,
        lambda a, b: a @ a.T,
        lambda a, b: a.T @ a,
        lambda a, b: np.dot(a.T, b),
        lambda a, b: a[::2] @ b[:, ::-1],
        lambda a, b: a @ b[:, 0],
        lambda a, b: np.tensordot(a, b, 1),
        lambda a, b: np.einsum("ij,jk->ik", a, b),
        lambda a, b: np.inner(a, b),
    ],
)
def test_value_of_a_product_in_any_layout(product, size, dtype, rng):
    a, b = draw(rng, (size, size), dtype), draw(rng, (size, size), dtype)
    value = product(filled(a), filled(b)).value
    expected = product(a[0], b[0])
    bound = 2 * size * np.finfo(dtype).eps * product(abs(a[0]), abs(b[0]))
    assert value.dtype == expected.dtype
    assert np.all(abs(value - expected) <= bound)


@pytest.mark.parametrize("order", [1, 3, 4])
def test_products_of_higher_order(order, rng):
    left, right = draw(rng, (3, 4), float, order), draw(rng, (4, 2), float, order)
    expected, size = expected_planes(np.matmul, left, right)
    error = abs((filled(left) @ filled(right)).planes - expected)
    assert np.all(error <= 100 * np.finfo(float).eps * size)


def test_products_on_a_stand_in(wrap, rng):
    left, right = draw(rng, (3, 4), float), draw(rng, (4, 2), float)
    result = filled(left, wrap) @ filled(right, wrap)
    np.testing.assert_array_equal(host(result.planes), (filled(left) @ filled(right)).planes)
    mixed = wrap(left[0]) @ filled(right, wrap)
    np.testing.assert_array_equal(host(mixed.planes), (left[0] @ filled(right)).planes)
    mixed = filled(left, wrap) @ wrap(right[0])
    np.testing.assert_array_equal(host(mixed.planes), (filled(left) @ right[0]).planes)


def test_operands_over_different_units(rng):
    a, b, p, q = (rng.normal(size=(3, 3)) for _ in range(4))
    result = mcx.perturb(a, p) @ mcx.perturb(b, None, q)
    np.testing.assert_allclose(result.im(1), p @ b, rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(result.im(2), a @ q, rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(result.im(1, 2), p @ q, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("shapes", [((2, 3), (2, 3)), ((3,), (4,)), ((2, 2, 3), (3, 3, 2))])
def test_shapes_that_do_not_match_raise_as_in_numpy(shapes, rng):
    left, right = (draw(rng, shape, float) for shape in shapes)
    with pytest.raises(ValueError, match=r"mismatch|broadcast"):
        filled(left) @ filled(right)


METHODS = {
    "dot": lambda r, z: r.dot(z),
    "searchsorted": lambda r, z: r.searchsorted(z),
    "take": lambda r, z: r.take(z),
    "clip": lambda r, z: r.clip(z, z + 1),
    "fill": lambda r, z: r.fill(z[0]),
    "put": lambda r, z: r.put([0], z[0]),
    "repeat": lambda r, z: r.repeat(z),
    "sum with out": lambda r, z: r.sum(out=z[0, ...] if z.ndim else z),
    "compress": lambda r, z: r.compress(z),
    "choose": lambda r, z: r.astype(int).choose([z, z]),
    "reshape": lambda r, z: r.reshape(z),
}


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_methods_of_a_real_array_raise_or_keep_derivatives(method):
    real, z = np.array([0.0, 1.0, 1.0]), mcx.perturb(np.ones(3), np.ones(3))
    try:
        result = method(real, z)
    except (TypeError, ValueError):
        return
    assert isinstance(result, mcx.Multicomplex)
