"""What a recorded program keeps, to the byte, and blocks of directions through every verb."""

import gc
import weakref

import numpy as np
import pytest
from core.calls import point
from core.checkers import leaves
from core.test_linearize import RECORDED

import mcx

N = 1000
FIXED = np.linspace(1, 2, N).copy()  # which is no view, so that no one can write to it below
FIXED.setflags(write=False)
ROWS = np.ones((2, N))
ROWS.setflags(write=False)


@pytest.fixture
def _no_collector():
    """Leave all freeing to reference counts."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


# Of u = 2x: a function, the bytes that its program keeps, and whether the value of u is among them.
KEPT = {
    "linear": (lambda u: np.cumsum(u), 0, False),
    "reduction": (lambda u: u.sum(), 0, False),
    "two results": (lambda u: np.split(u[::-1] * 1.0, 2)[0], 0, False),
    "list": (lambda u: np.concatenate([u, FIXED]), 0, False),
    "padding": (lambda u: np.pad(u, 1, constant_values=3.0), 0, False),
    "indices": (lambda u: np.take(u, [1, 2]), 0, False),
    "selection": (lambda u: np.max(u), 0, False),
    "matrix": (lambda u: ROWS @ u, ROWS.nbytes, False),
    "product": (lambda u: u * FIXED, FIXED.nbytes, False),
    "einsum": (lambda u: np.einsum("i,i->", u, FIXED), FIXED.nbytes, False),
    "quotient": (lambda u: u / FIXED, FIXED.nbytes, False),
    "slope": (lambda u: np.tanh(u), 8 * N, False),
    "square": (lambda u: u * u, 8 * N, True),
    "dot": (lambda u: np.dot(u, u), 8 * N, True),
    "divisor": (lambda u: FIXED / u, 16 * N, True),  # and the quotient
    "registered": (mcx.register_linear(lambda u: u[1:] - u[:-1]), 0, False),
    "bilinear": (lambda u: registered(u, FIXED), 8 * N, False),
    "both move": (lambda u: registered(u, u), 8 * N, True),
}


@mcx.register_bilinear
def registered(x, y):
    return x * y


@pytest.mark.usefixtures("_no_collector")
class TestKept:
    @pytest.mark.parametrize(("f", "nbytes", "own"), KEPT.values(), ids=KEPT)
    def test_of_one_step(self, f, nbytes, own):
        """The operand lives as long as the program where it is a factor, else it is freed."""
        operands = []

        def g(x):
            u = x * 2.0
            operands.append(weakref.ref(u.number))
            return f(u)

        _, lin = mcx.linearize(g, np.ones(N))
        assert lin.nbytes == nbytes
        assert (operands[0]() is not None) == own
        del lin
        assert operands[0]() is None

    @pytest.mark.parametrize(
        ("f", "nbytes"),
        [
            (lambda x, a: x * a + x * a + x * a, 8 * N),  # one array, by reference
            (lambda x, a: x * a[:10], 80),  # of a part, the part
            (lambda x, a: x * a[:10] + x * a[10:20], 160),
            (lambda x, a: np.sum(x) * a[:600] + np.sum(x) * a[400:], 8 * N),  # no more than all
            (lambda x, a: np.sum(x) * a[::2] + np.sum(x) * a[1::2], 8 * N),
            (lambda x, a: x * a.copy()[:10], 80),
            (lambda x, a: (x * 2.0) * (x * 3.0), 160),
            (lambda x, a: (u := x * 2.0) * u + np.sin(u) * u, 80 + 80 + 80),  # u, sin u, cos u
        ],
        ids=range(8),
    )
    def test_bytes_by_owner(self, f, nbytes):
        assert (
            mcx.linearize(lambda x: f(x, FIXED), np.ones(10 if nbytes < 8 * N else 1))[1].nbytes
            == nbytes
        )

    def test_what_others_may_write_to_is_copied(self):
        a = FIXED.copy()
        _, lin = mcx.linearize(lambda x: x * a + x * a, np.ones(N))
        assert lin.nbytes == 2 * a.nbytes
        expected = lin(np.ones(N))
        a[:] = np.nan
        np.testing.assert_array_equal(lin(np.ones(N)), expected)


@pytest.mark.parametrize("call", RECORDED, ids=str)
def test_value_plane_of_a_block_is_a_direction(call, rng):
    """Nothing looks at it as at a value: it may be 0, huge, or have any sign."""
    x = point(call.shape, np.float64, call.positive)
    block = rng.normal(size=(4, *x.shape)) * np.array([0, 1, -1, 1e3]).reshape(4, *[1] * x.ndim)
    _, lin = mcx.linearize(call.run, x)
    single = [leaves(lin(p)) for p in block]
    for first in range(4):
        turned = [(first + k) % 4 for k in range(4)]
        for k, many in enumerate(leaves(lin(block[turned]))):
            expected = np.stack([single[t][k] for t in turned])
            assert many.dtype == expected.dtype
            size = max(1.0, float(np.max(np.abs(expected), initial=0)))
            np.testing.assert_allclose(many, expected, rtol=1e-12, atol=1e-13 * size)


INFINITE = {
    "sqrt": (np.sqrt, [0.0, 4.0]),
    "power": (lambda x: x**0.5, [0.0, 4.0]),
    "cbrt": (np.cbrt, [0.0, 8.0]),
    "arcsin": (np.arcsin, [1.0, 0.5]),
    "log": (np.log, [0.0, 2.0]),
}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(("f", "x"), INFINITE.values(), ids=INFINITE)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128])
def test_infinite_slopes(f, x, dtype):
    """Direction by direction: 0 where it is 0, whatever the others are."""
    _, lin = mcx.linearize(f, np.array(x))
    block = np.array([[0, 1], [1, 2], [0, -1], [-1, 0], [0, 0]], dtype)
    got = lin(block)
    slope = f(mcx.perturb(np.array(x[1]), np.array(1.0))).im(1)
    np.testing.assert_array_equal(got[:, 0] == 0, block[:, 0] == 0)
    assert not np.isfinite(got[[1, 3], 0]).any()
    np.testing.assert_allclose(got[:, 1], slope * block[:, 1], rtol=1e-6)
    for row, p in zip(got, block, strict=True):
        np.testing.assert_array_equal(lin(p), row)


class TestDtypes:
    """The tangent has the type of the value, in which it loses no more digits."""

    X = np.array([0.3, 0.7, 0.2], np.float32)
    P = np.array([1.0, -2.0, 0.5], np.float32)
    WIDE = np.array([0.5, 0.2, 0.1])

    @pytest.mark.parametrize(
        "f",
        [
            lambda x: x + TestDtypes.WIDE,
            lambda x: TestDtypes.WIDE - x,
            lambda x: np.fmod(x, TestDtypes.WIDE),
            lambda x: np.copysign(x, TestDtypes.WIDE),
            lambda x: np.clip(TestDtypes.WIDE, x, 1.0),
            lambda x: np.heaviside(x, 2),
            lambda x: np.polyadd(x, [1.0, 2.0]),
            lambda x: np.geomspace(x, TestDtypes.WIDE, 3),
            lambda x: np.percentile(x, 40),
            lambda x: np.gradient(x, 0.5),
            np.sort_complex,
        ],
    )
    def test_are_those_of_numpy(self, f):
        value, lin = mcx.linearize(f, self.X)
        tangent = lin(self.P)
        assert value.dtype == tangent.dtype == f(self.X).dtype
        np.testing.assert_allclose(tangent, mcx.jvp(f, self.X, self.P)[1], rtol=1e-6)

    def test_no_digits_are_lost_after_a_sum_with_a_wider_type(self):
        p = np.array([1.0, 2.0**-30, -1.0], np.float32)
        _, lin = mcx.linearize(lambda x: np.sum(x + self.WIDE), self.X)
        assert lin(p) == 2.0**-30

    def test_of_what_does_not_move(self):
        def spectrum(x):
            return mcx.linearize(np.fft.fft, x)[1](self.P)

        def constants(x):
            return np.fft.fft(self.P), 1j, np.ones(2), 3, "label"

        x = self.X.astype(float)
        for p in (x, np.stack([x, x]), mcx.perturb(x, x)):
            still = mcx.linearize(spectrum, x)[1](p)
            assert still.dtype == np.complex128
            assert still.shape == p.shape
            dtypes = [part.dtype for part in mcx.linearize(constants, x)[1](p)]
            assert dtypes == [np.complex128, np.complex128, *[np.float64] * 3]
