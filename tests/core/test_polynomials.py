"""Polynomials against exact arithmetic: NumPy's own code on exact numbers, in every plane."""

import math
from fractions import Fraction

import numpy as np
import pytest
from core.calls_polynomials import polygrid2d, polyval2d

import mcx

ORDER = 4
DISJOINT = [(s, t) for s in range(2**ORDER) for t in range(2**ORDER) if not s & t]


class Exact:
    """An exact number over units i_1 … i_4 with i_k² = 0: a Fraction for every set of units."""

    def __init__(self, planes):
        self.planes = [Fraction(p) for p in planes]

    @staticmethod
    def of(x):
        return x if isinstance(x, Exact) else Exact([Fraction(x), *[0] * (2**ORDER - 1)])

    def __add__(self, other):
        pairs = zip(self.planes, Exact.of(other).planes, strict=True)
        return Exact([a + b for a, b in pairs])

    def __neg__(self):
        return Exact([-p for p in self.planes])

    def __sub__(self, other):
        return self + -Exact.of(other)

    def __rsub__(self, other):
        return Exact.of(other) - self

    def __mul__(self, other):
        a, b, out = self.planes, Exact.of(other).planes, [Fraction(0)] * 2**ORDER
        for s, t in DISJOINT:
            if a[s] and b[t]:
                out[s | t] += a[s] * b[t]
        return Exact(out)

    def __truediv__(self, other):
        """By the geometric series in what the divisor is beyond its value: it ends."""
        other = Exact.of(other)
        value = other.planes[0]
        rest = Exact([0, *(p / value for p in other.planes[1:])])
        inverse, power = Exact.of(1), Exact.of(1)
        for _ in range(ORDER):
            power = -(power * rest)
            inverse = inverse + power
        return self * inverse * Exact.of(1 / value)

    def __rtruediv__(self, other):
        return Exact.of(other) / self

    __radd__, __rmul__ = __add__, __mul__

    def __abs__(self):
        return self if self.planes[0] >= 0 else -self


def exact(z):
    """Return a number or an array as an object array of exact numbers."""
    if not isinstance(z, mcx.Multicomplex):
        z = np.asarray(z)
        return np.array([Exact.of(v.item()) for v in z.ravel()] or [], object).reshape(z.shape)
    out = np.empty(z.shape, object)
    for at in np.ndindex(z.shape):
        out[at] = Exact([p[at].item() for p in z.planes])
    return out


def operand(rng, shape, dtype, offset=0.0):
    """Return a number all of whose planes are small multiples of 1/8."""
    planes = rng.integers(-16, 17, (2**ORDER, *shape)) / 8
    planes[0] += offset
    x = planes[0].astype(dtype)
    return mcx.Multicomplex(planes.astype(dtype), mcx.perturb(x, *[x] * ORDER).algebra)


def assert_exact(z, expected, value, eps, factor=40):
    """Check the value bit for bit, and the planes against exact numbers to factor·eps."""
    np.testing.assert_array_equal(z.value, value)
    assert z.dtype == np.asarray(value).dtype
    expected = np.asarray(expected, object)
    assert z.shape == expected.shape
    for at in np.ndindex(z.shape):
        planes = [float(p) for p in Exact.of(expected[at]).planes]
        size = max(1.0, *map(abs, planes))
        for got, plane in zip(z.planes[(slice(None), *at)], planes, strict=True):
            assert abs(float(got) - plane) <= factor * eps * size, (at, got, plane)


def both(func, *args):
    """Return func of numbers, of their values, and of exact numbers."""
    values = [a.value if isinstance(a, mcx.Multicomplex) else a for a in args]
    return func(*args), func(*values), func(*(exact(a) for a in args))


BINARY = (np.polyval, np.polyadd, np.polysub)
SIZES = ((5, 3), (3, 5), (4, 4), (1, 3))


@pytest.mark.parametrize("func", BINARY, ids=lambda f: f.__name__)
@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("which", ["both", "first", "second"])
def test_two_polynomials(func, sizes, which, dtype, rng):
    a, b = (operand(rng, (n,), dtype) for n in sizes)
    a, b = (a if which != "second" else a.value), (b if which != "first" else b.value)
    y, value, expected = both(func, a, b)
    assert_exact(y, expected, value, np.finfo(dtype).eps)


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("which", ["both", "first", "second"])
def test_product_and_quotient(sizes, which, dtype, rng):
    a, b = (operand(rng, (n,), dtype, offset=3.0) for n in sizes)
    a, b = (a if which != "second" else a.value), (b if which != "first" else b.value)
    values = [x.value if isinstance(x, mcx.Multicomplex) else x for x in (a, b)]
    u, v = exact(a), exact(b)
    eps = np.finfo(dtype).eps
    assert_exact(np.polymul(a, b), np.convolve(u, v), np.polymul(*values), eps)
    quotient, rest = list(np.zeros(max(len(u) - len(v) + 1, 1))), list(u)
    for k in range(len(u) - len(v) + 1):
        quotient[k] = rest[k] / v[0]
        for j in range(len(v)):
            rest[k + j] = rest[k + j] - quotient[k] * v[j]
    q, r = np.polydiv(a, b)
    expected = np.polydiv(*values)
    grown = 40 * 4.0 ** (len(u) - len(v) + 1)  # of rounding errors, in so many steps
    assert_exact(q, quotient, expected[0], eps, grown) if isinstance(q, mcx.Multicomplex) else None
    assert_exact(r, rest[len(rest) - len(r) :], expected[1], eps, grown)


@pytest.mark.parametrize("m", [0, 1, 2, 5])
def test_derivative_and_integral(m, dtype, rng):
    p, k = operand(rng, (5,), dtype), operand(rng, (max(m, 1),), dtype)
    eps = np.finfo(dtype).eps
    y, value, expected = both(lambda p: np.polyder(p, m), p)
    assert_exact(y, expected, value, eps)
    for constants in (k, k[:1], list(k), k.value, 2.5):
        y = np.polyint(p, m, constants)
        plain = [c.value for c in constants] if isinstance(constants, list) else constants
        plain = plain.value if isinstance(plain, mcx.Multicomplex) else plain
        integral = list(exact(p))
        each = exact(np.stack(constants) if isinstance(constants, list) else constants)
        each = np.broadcast_to(each, (m,)) if each.size == 1 else each
        for constant in each[:m]:
            integral = [c / (len(integral) - j) for j, c in enumerate(integral)] + [constant]
        assert_exact(y, integral, np.polyint(p.value, m, plain), eps)


@pytest.mark.parametrize("increasing", [False, True])
@pytest.mark.parametrize("n", [None, 0, 1, 3])
def test_vander(n, increasing, dtype, rng):
    x = operand(rng, (4,), dtype)
    y = np.vander(x, n, increasing)
    assert y.dtype == np.float64
    powers = range(4 if n is None else n)
    expected = [
        [
            math.prod([v] * k, start=Exact.of(1))
            for k in (powers if increasing else reversed(powers))
        ]
        for v in exact(x)
    ]
    expected = np.array(expected, object).reshape(y.shape)
    assert_exact(y, expected, np.vander(x.value, n, increasing), np.finfo(float).eps)


@pytest.mark.parametrize("func", [f for f in (polyval2d, polygrid2d) if f])
@pytest.mark.parametrize("which", range(1, 8))
def test_polynomials_of_two_variables(func, which, dtype, rng):
    x, y, c = (operand(rng, shape, dtype) for shape in ((2,), (2,), (3, 4, 2)))
    args = [a if which >> k & 1 else a.value for k, a in enumerate((x, y, c))]
    z, value, _ = both(lambda *a: 0 if a[0].dtype == object else func(*a), *args)
    x, y, c = (exact(a) for a in args)
    power = lambda v, k: math.prod([v] * k, start=Exact.of(1))  # noqa: E731 - one line of mathematics
    expected = np.empty(z.shape, object)
    for at in np.ndindex(z.shape):
        e, *points = at
        u, v = (x[points[0]], y[points[-1]])
        terms = [c[i, j, e] * power(u, i) * power(v, j) for i in range(3) for j in range(4)]
        expected[at] = sum(terms, start=Exact.of(0))
    assert_exact(z, expected, value, np.finfo(dtype).eps, 400)


def solved(a, b):
    """Solve a small linear system of exact numbers by elimination."""
    n = len(a)
    rows = [[*a[i], *b[i]] for i in range(n)]
    for i in range(n):
        pivot = next(k for k in range(i, n) if rows[k][i].planes[0])
        rows[i], rows[pivot] = rows[pivot], rows[i]
        rows[i] = [entry / rows[i][i] for entry in rows[i]]
        for k in range(n):
            if k != i:
                factor = rows[k][i]
                rows[k] = [u - factor * v for u, v in zip(rows[k], rows[i], strict=True)]
    return np.array([row[n:] for row in rows], object)


def fit(x, y, deg, w):
    """Return coefficients, sum of squares and inverse of the normal equations, exactly."""
    a = np.array([[math.prod([v] * k, start=Exact.of(1)) for k in range(deg, -1, -1)] for v in x])
    a, y = a * w[:, None], (y.T * w).T
    columns = y if y.ndim == 2 else y[:, None]
    normal = a.T @ a
    c = solved(normal, a.T @ columns)
    rest = columns - a @ c
    identity = np.array([[Exact.of(int(i == j)) for j in range(deg + 1)] for i in range(deg + 1)])
    return (c if y.ndim == 2 else c[:, 0]), np.sum(rest * rest, axis=0), solved(normal, identity)


@pytest.mark.parametrize("columns", [(), (2,)])
@pytest.mark.parametrize("which", range(1, 8))
def test_fit(columns, which, rng):
    """All results, whichever of points, data and weights are numbers."""
    x = operand(rng, (6,), float) / 16 + np.arange(-2.0, 4.0)
    y, w = operand(rng, (6, *columns), float), operand(rng, (6,), float) / 16 + 1.5
    x, y, w = (a if which >> k & 1 else a.value for k, a in enumerate((x, y, w)))
    plain = [a.value if isinstance(a, mcx.Multicomplex) else a for a in (x, y, w)]
    c, total, inverse = fit(exact(x), exact(y), 2, exact(w))
    call = lambda a, b, v, **options: np.polyfit(a, b, 2, w=v, **options)  # noqa: E731
    eps = np.finfo(float).eps
    assert_exact(call(x, y, w), c, call(*plain), eps, 5000)
    full, expected = call(x, y, w, full=True), call(*plain, full=True)
    assert_exact(full[0], c, expected[0], eps, 5000)
    assert_exact(full[1], total, expected[1], eps, 5000)
    assert full[2] == expected[2] == 3
    np.testing.assert_array_equal(full[3] if which == 2 else full[3].value, expected[3])
    assert full[4] == expected[4]
    for cov, factor in (("unscaled", [Exact.of(1)] * len(total)), (True, total / Exact.of(3))):
        covariance = call(x, y, w, cov=cov)[1]
        scaled = np.array([inverse * f for f in factor])
        scaled = np.moveaxis(scaled, 0, -1) if columns and cov is True else scaled[0]
        value = call(*plain, cov=cov)[1]
        if columns and cov == "unscaled":
            scaled = scaled[..., None]
        if isinstance(covariance, mcx.Multicomplex):
            assert_exact(covariance, scaled, value, eps, 5000)
        else:
            np.testing.assert_array_equal(covariance, value)


def test_fit_on_orthogonal_columns(rng):
    """Equal singular values are no singular points of a fit."""
    x, y = np.array([-1.0, 0.0, 1.0]), operand(rng, (3,), float)
    t = operand(rng, (), float, offset=2.0)
    slope, offset = np.polyfit(x * t, y, 1)
    u = exact(y)
    assert_exact(slope, (u[2] - u[0]) / (2 * exact(t)[()]), np.polyfit(x * t.value, y.value, 1)[0],
                 np.finfo(float).eps, 500)  # fmt: skip
    np.testing.assert_allclose(offset.planes, np.mean(y.planes, axis=1), atol=1e-14)


def test_poor_fit_warns_once(rng):
    x = mcx.perturb(np.ones(4), np.ones(4))
    with pytest.warns(np.exceptions.RankWarning) as caught:
        np.polyfit(np.ones(4), x, 2)
    assert len(caught) == 1


def test_leading_zeros_go_as_in_numpy(rng):
    """The value plane says which coefficients of a product, or of a rest, there are."""
    p = mcx.perturb(np.array([0.0, 0.0, 2.0, 3.0]), np.arange(4.0))
    y = np.polymul(p, [0, 1, -1])
    np.testing.assert_array_equal(y.value, np.polymul(p.value, [0, 1, -1]))
    np.testing.assert_array_equal(y.im(1), [2.0, 1.0, -3.0])
    zero = mcx.perturb(np.zeros(3), np.arange(3.0))
    np.testing.assert_array_equal(np.polymul(zero, [2.0]).im(1), [4.0])


def test_poly1d_beside_a_number(rng):
    """A np.poly1d with plain coefficients mixes with numbers; at one it composes."""
    p, z = np.poly1d([2.0, -1.0, 3.0]), mcx.perturb(np.array([1.0, 0.5]), np.array([1.0, -2.0]))
    np.testing.assert_array_equal(p(z).im(1), np.polyval([4.0, -1.0], z.value) * z.im(1))
    for func in (np.polyadd, np.polysub, np.polymul):
        y = func(p, z)
        assert isinstance(y, np.poly1d)
        np.testing.assert_array_equal(y.coeffs.value, func(p, z.value).coeffs)
        np.testing.assert_array_equal(y.coeffs.im(1), func(p.coeffs, z).im(1))
    q, r = np.polydiv(p, z)
    assert isinstance(q, np.poly1d)
    assert isinstance(r, np.poly1d)
    composed = np.polyval(z, p)
    np.testing.assert_array_equal(composed.coeffs.value, np.polyval(z.value, p).coeffs)
    np.testing.assert_array_equal(composed.coeffs.im(1), [2.0, -1.0, 1.0])


def test_poly1d_of_numbers():
    z = mcx.perturb(np.array([1.0, 0.5, -2.0]), np.array([1.0, -2.0, 3.0]))
    p = np.poly1d(z)
    np.testing.assert_array_equal((p * p).coeffs.planes, np.polymul(z, z).planes)
    np.testing.assert_array_equal(p.deriv().coeffs.planes, np.polyder(z).planes)
    assert p(0.5).im(1) == 0.25 - 1 + 3


def test_complex_coefficients(rng):
    """A complex polynomial of real parameters, against the product of its linear factors."""
    t = rng.normal(size=4)
    z = np.exp(1j * mcx.perturb(t, *np.eye(4)))
    p = np.ones(1)
    for root in z:
        p = np.polymul(p, np.stack([1.0, -root]))
    at = 0.5 + 0.25j
    y = np.polyval(p, at)
    w = np.exp(1j * t)
    np.testing.assert_allclose(y.im(1, 2, 3, 4), np.prod(-1j * w), rtol=1e-13)
    np.testing.assert_allclose(
        y.im(2, 3), np.prod(-1j * w[1:3]) * np.prod(at - w[[0, 3]]), rtol=1e-13
    )


def test_recorder_of_a_fit(rng):
    x, y = np.arange(6.0), rng.normal(size=6)

    def fitted(v):
        return np.polyfit(x + v[0], y * v[1], 2, cov=True)

    at = np.array([0.125, 1.5])
    value, lin = mcx.linearize(fitted, at)
    for k, part in enumerate(lin(np.eye(2))):
        expected = mcx.jacobian(lambda v, k=k: fitted(v)[k], at)
        np.testing.assert_allclose(np.moveaxis(part, 0, -1), expected, atol=1e-11)
        np.testing.assert_array_equal(value[k], fitted(at)[k])


def test_recorder_where_numpy_sees_no_number(rng):
    p, k, dp, dk = rng.normal(size=(4, 2))

    def integral(p):
        return mcx.jvp(lambda k: np.polyint(p**2, 2, k * p[0]), k, dk)[1]

    tangent = mcx.linearize(integral, p)[1](dp)
    np.testing.assert_allclose(tangent, [0, 0, dk[0] * dp[0], dk[1] * dp[0]], rtol=1e-15)
