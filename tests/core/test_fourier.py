"""Fourier transforms against direct summation: in every plane, with every option."""

import itertools

import numpy as np
import pytest
from core.algebras import ALGEBRAS, number
from core.checkers import assert_same_value, random_planes
from standin import StandIn

import mcx

fft = np.fft
NORMS = (None, "backward", "ortho", "forward")
ALONG_ONE = (fft.fft, fft.ifft, fft.rfft, fft.irfft, fft.hfft, fft.ihfft)
IN_A_PLANE = (fft.fft2, fft.ifft2, fft.rfft2, fft.irfft2)
IN_SPACE = (fft.fftn, fft.ifftn, fft.rfftn, fft.irfftn)
SHIFTS = (fft.fftshift, fft.ifftshift)


def matrix(n, sign):
    """Return exp(sign·2πi jk/n) in long double, its entries exact at multiples of a quarter."""
    turns = np.outer(np.arange(n), np.arange(n)) % n
    angle = 2 * np.arctan(np.longdouble(1)) * 4 * turns / n
    return np.cos(angle) + sign * 1j * np.sin(angle)


def fitted(x, n, axis):
    """Return x cut or padded with zeros to n along an axis."""
    x = np.moveaxis(x, axis, -1)
    out = np.zeros((*x.shape[:-1], n), np.clongdouble)
    out[..., : x.shape[-1]] = x[..., :n]
    return np.moveaxis(out, -1, axis)


def summed(x, n, axis, sign, norm):
    """Return the transform along one axis by direct summation."""
    inverse = sign > 0
    if norm == "ortho":
        scale = 1 / np.sqrt(np.longdouble(n))
    else:
        scale = 1 / np.longdouble(n) if inverse == (norm != "forward") else 1
    x = np.moveaxis(fitted(x, n, axis), axis, -1)
    return np.moveaxis(np.einsum("...j,jk->...k", x, matrix(n, sign)) * scale, -1, axis)


def half(x, n, axis):
    """Return the first n//2 + 1 entries along an axis."""
    return np.take(x, range(n // 2 + 1), axis)


def whole(x, n, axis):
    """Return the n entries, symmetric up to conjugation, of which x has the first half."""
    x = fitted(x, n // 2 + 1, axis)
    x = np.moveaxis(x, axis, -1)
    x[..., 0] = x[..., 0].real
    if n % 2 == 0:
        x[..., -1] = x[..., -1].real
    rest = np.conj(x[..., 1 : (n + 1) // 2][..., ::-1])
    return np.moveaxis(np.concatenate([x, rest], axis=-1), -1, axis)


def oracle(func, x, n=None, axis=-1, norm=None):
    """Return a transform along one axis in long double."""
    name = func.__name__
    size = x.shape[axis]
    if name in ("fft", "ifft"):
        return summed(x, n or size, axis, 1 if name == "ifft" else -1, norm)
    if name == "rfft":
        return half(summed(x, n or size, axis, -1, norm), n or size, axis)
    if name == "ihfft":
        return half(summed(x, n or size, axis, 1, norm), n or size, axis)
    n = n or 2 * (size - 1)
    if name == "irfft":
        return summed(whole(x, n, axis), n, axis, 1, norm).real
    return summed(whole(x, n, axis), n, axis, -1, norm).real  # hfft


def signal(rng, func, shape, dtype, order=2):
    """Return a number with random planes, complex where the function takes complex signals."""
    x = rng.uniform(-1, 1, shape).astype(dtype)
    planes = random_planes(rng, x, order)
    if func.__name__ not in ("rfft", "ihfft", "rfft2", "rfftn"):
        planes = planes + np.complex64(1j) * random_planes(rng, x, order)
    algebra = mcx.perturb(x, *[x] * order).algebra
    return mcx.Multicomplex(planes, algebra)


def check_planes(func, z, expected, **options):
    """Check value bit for bit, and every plane to 20 eps of the largest entries."""
    y = func(z, **options)
    assert_same_value(y, func(z.value, **options))
    for plane, tangent in zip(y.planes, z.planes, strict=True):
        exact = expected(tangent)
        bound = 20 * np.finfo(z.dtype).eps * max(1.0, np.max(abs(exact)))
        assert plane.shape == exact.shape
        assert np.max(abs(plane - exact)) <= bound


@pytest.mark.parametrize("func", ALONG_ONE, ids=lambda f: f.__name__)
@pytest.mark.parametrize("n", [None, 1, 4, 7, 8])
def test_transform_along_one_axis(func, n, dtype, rng):
    z = signal(rng, func, (5, 6, 3), dtype)
    for axis, norm in itertools.product((-1, 0, 1, -2), NORMS):
        if func in (fft.irfft, fft.hfft) and n == 1:
            continue
        options = {"n": n, "axis": axis, "norm": norm}
        check_planes(func, z, lambda x, o=options: oracle(func, x.astype(np.clongdouble), **o),
                     **options)  # fmt: skip


BOXES = (
    (None, (0, 2)),
    ((4, 5), (-1, 1)),
    ((4, 3), (1, 0)),
    (None, None),
    (None, ()),
)
OVER_BOXES = [
    (func, s, axes)
    for func in IN_A_PLANE + IN_SPACE
    for s, axes in BOXES
    if axes != () or not func.__name__.lstrip("i").startswith("r")
]


@pytest.mark.parametrize(("func", "s", "axes"), OVER_BOXES)
@pytest.mark.parametrize("norm", NORMS)
def test_transform_along_several_axes(func, s, axes, norm, dtype, rng):
    """It is that along the last of the axes (of half the entries) and those along the others."""
    real, inverse = func.__name__.lstrip("i").startswith("r"), func.__name__.startswith("i")
    z = signal(rng, func, (4, 3, 5), dtype)
    options = {"norm": norm, **({} if s is None else {"s": s})}
    if axes is not None:
        options["axes"] = axes
    chosen = axes if axes is not None else (-2, -1) if func in IN_A_PLANE else (0, 1, 2)
    sizes = s or [None] * len(chosen)
    full = fft.ifft if inverse else fft.fft
    last = (fft.irfft if inverse else fft.rfft) if real else full
    steps = [(last, sizes[-1], chosen[-1])] if chosen else []
    rest = [(full, n, k) for n, k in zip(sizes[:-1], chosen[:-1], strict=True)]
    steps = rest + steps if real and inverse else steps + rest

    def expected(x):
        x = x.astype(np.clongdouble)
        for one, n, axis in steps:
            x = oracle(one, x, n, axis, norm)
        return x

    check_planes(func, z, expected, **options)


@pytest.mark.parametrize("func", SHIFTS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("axes", [None, 0, -1, (1,), (0, -1)])
def test_shift(func, axes, dtype, rng):
    z = signal(rng, func, (4, 3, 5), dtype)
    y = func(z, axes)
    for plane, tangent in zip(y.planes, z.planes, strict=True):
        np.testing.assert_array_equal(plane, func(tangent, axes))


def test_a_size_without_axes_is_that_of_the_last_ones(rng):
    z = signal(rng, fft.fftn, (4, 3, 5), np.float64)
    with pytest.warns(DeprecationWarning, match="axes"):
        y = fft.fftn(z, s=(2, 6))
    np.testing.assert_array_equal(y.planes, fft.fftn(z.planes, s=(2, 6), axes=(-2, -1)))


@pytest.mark.parametrize("func", ALONG_ONE + IN_A_PLANE + IN_SPACE, ids=lambda f: f.__name__)
def test_dead_planes_stay_dead_and_others_agree(func, rng):
    """In every kind of algebra, whichever planes are live, each plane is transformed by itself."""
    for algebra in ALGEBRAS.values():
        for live in (None, 1, 3):
            z = number(rng, algebra, (4, 3), live and live & algebra.full)
            y = func(z)
            assert y.live == z.live
            for plane, tangent in zip(y._planes, z._planes, strict=True):
                np.testing.assert_array_equal(plane, func(tangent))


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_round_trip_loses_nothing(order, dtype, rng):
    x = rng.uniform(-1, 1, (3, 8)).astype(dtype)
    p = [rng.uniform(-1, 1, x.shape).astype(dtype) for _ in range(order)]
    z = np.exp(mcx.perturb(x, *p))
    back = fft.ifft(fft.fft(z)).real
    assert back.dtype == dtype
    np.testing.assert_allclose(back.planes, z.planes, rtol=0, atol=30 * np.finfo(dtype).eps)
    back = fft.irfft2(fft.rfft2(z), s=x.shape)
    np.testing.assert_allclose(back.planes, z.planes, rtol=0, atol=30 * np.finfo(dtype).eps)
    np.testing.assert_array_equal(fft.ifftshift(fft.fftshift(z)).planes, z.planes)


def test_convolution_theorem(dtype, rng):
    """The product of transforms is the transform of the circular convolution: all four orders."""
    x, y = (mcx.perturb(*(rng.uniform(-1, 1, 9).astype(dtype) for _ in range(5))) for _ in range(2))
    product = fft.ifft(fft.fft(x) * fft.fft(y)).real
    direct = np.stack([sum(x[j] * y[k - j] for j in range(9)) for k in range(9)])
    np.testing.assert_allclose(product.planes, direct.planes, atol=100 * np.finfo(dtype).eps)


def test_energy_has_the_hessian_of_parseval(rng):
    """Σ|F_k|² = n Σ x²: gradient 2n x, Hessian 2n, and nothing beyond."""
    x = rng.normal(size=12)

    def energy(x):
        return np.sum(np.abs(fft.fft(x)) ** 2)

    np.testing.assert_allclose(mcx.gradient(energy, x), 24 * x, rtol=1e-13)
    np.testing.assert_allclose(mcx.hessian(energy, x), 24 * np.eye(12), atol=1e-11)


@pytest.mark.parametrize("func", ALONG_ONE, ids=lambda f: f.__name__)
def test_recorder_and_out(func, rng):
    x = rng.normal(size=(4, 6))
    value, lin = mcx.linearize(func, x)
    np.testing.assert_array_equal(value, func(x))
    block = rng.normal(size=(3, 4, 6))
    np.testing.assert_array_equal(lin(block), np.stack([func(p) for p in block]))
    z = mcx.perturb(x, block[0])
    out = np.zeros_like(func(z))
    assert func(z, out=out) is out
    np.testing.assert_array_equal(out.planes, func(z).planes)
    with pytest.raises(mcx.ImplicitConversionError, match="real array"):
        func(z, out=func(x))


def test_arguments_by_name_and_position(rng):
    z = signal(rng, fft.rfft, (4, 6), np.float64)
    y = fft.rfft(z, 5, 0, "ortho")
    np.testing.assert_array_equal(fft.rfft(a=z, n=5, axis=0, norm="ortho").planes, y.planes)
    np.testing.assert_array_equal(fft.fftshift(x=z, axes=1).planes, fft.fftshift(z, 1).planes)


@pytest.mark.parametrize(
    "call",
    [lambda z: fft.fft(z, axis=2), lambda z: fft.fft2(z, axes=(0, 5)), lambda z: fft.fft(z, 0),
     lambda z: fft.rfft(z, norm="both"), lambda z: fft.rfft(z * 1j)],
)  # fmt: skip
def test_what_numpy_refuses_is_refused(call):
    z = mcx.perturb(np.ones((3, 4)), np.ones((3, 4)))
    with pytest.raises(Exception) as expected:  # noqa: PT011 - whatever NumPy raises
        call(z.value)
    with pytest.raises(type(expected.value)):
        call(z)


def test_a_number_among_the_options_is_refused():
    z = mcx.perturb(np.ones(4), np.ones(4))
    with pytest.raises(mcx.UnsupportedFunctionError, match=r"numpy\.fft\.fft .*must be plain"):
        fft.fft(z, z[0])


def test_on_the_device(rng):
    x, p, q = rng.normal(size=(3, 4, 6))
    y = fft.rfft2(mcx.perturb(*map(StandIn.wrap, (x, p, q))), norm="ortho")
    expected = fft.rfft2(mcx.perturb(x, p, q), norm="ortho")
    np.testing.assert_array_equal(y.planes.get(), expected.planes)
