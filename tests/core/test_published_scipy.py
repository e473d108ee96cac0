"""SciPy's own Python code, unmodified, against derivatives that do not come from mcx.

The references are its own analytic derivatives, closed forms, implicit functions, its runs at unit
vectors (of linear code) and on variational equations.
"""

import numpy as np
import pytest
import scipy.integrate
import scipy.interpolate
import scipy.linalg
import scipy.optimize
import scipy.signal
import scipy.spatial.distance
import scipy.special
import scipy.stats
import sympy
from core.published import X, assert_close, images_of_units

import mcx


class TestScipySpecial:
    """logsumexp, softmax and log_softmax are written in Python."""

    def test_logsumexp(self):
        s = scipy.special.softmax(X)
        f = scipy.special.logsumexp
        assert_close(mcx.gradient(f, X, patch=True), s)
        assert_close(mcx.hessian(f, X, patch=True), np.diag(s) - np.outer(s, s))

    def test_logsumexp_weighted(self):
        b = np.array([1.0, 2.0, -0.5, 3.0])
        w = b * np.exp(X) / np.sum(b * np.exp(X))

        def f(x):
            return scipy.special.logsumexp(x, b=b)

        assert_close(mcx.gradient(f, X, patch=True), w)
        assert_close(mcx.hessian(f, X, patch=True), np.diag(w) - np.outer(w, w))

    def test_softmax(self):
        s = scipy.special.softmax(X)
        slope = np.diag(s) - np.outer(s, s)
        assert_close(mcx.jacobian(scipy.special.softmax, X, patch=True), slope)
        _, lin = mcx.linearize(scipy.special.log_softmax, X, patch=True)
        assert_close(lin(np.eye(4)), np.eye(4) - s[:, None])


def predator_prey(t, y, a, b, c, d):
    return np.array([a * y[0] - b * y[0] * y[1], d * y[0] * y[1] - c * y[1]])


def variational(t, Y, a, b, c, d):
    """Lotka and Volterra with the sensitivities to y0 and to the four parameters, by hand."""
    y, S = Y[:2], Y[2:].reshape(2, 6)
    J = np.array([[a - b * y[1], -b * y[0]], [d * y[1], d * y[0] - c]])
    P = np.array([[y[0], -y[0] * y[1], 0, 0], [0, 0, -y[1], y[0] * y[1]]])
    slope = J @ S
    slope[:, 2:] += P
    return np.concatenate([predator_prey(t, y, a, b, c, d), slope.ravel()])


class TestSolveIvp:
    Y0, RATES = np.array([1.5, 0.8]), np.array([1.1, 0.4, 0.9, 0.3])

    @pytest.mark.parametrize("method", ["RK23", "RK45", "DOP853"])
    def test_equal_steps(self, method):
        """The derivative of the method is the method, applied to the variational equations."""
        steps = {"method": method, "first_step": 0.25, "max_step": 0.25, "rtol": 1.0, "atol": 1e3}

        def run(p):
            found = scipy.integrate.solve_ivp(predator_prey, (0, 3), p[:2], args=p[2:], **steps)
            assert len(found.t) == 13
            return found.y[:, -1]

        start = np.concatenate([self.Y0, np.eye(2, 6).ravel()])
        exact = scipy.integrate.solve_ivp(variational, (0, 3), start, args=self.RATES, **steps)
        p = np.concatenate([self.Y0, self.RATES])
        assert_close(mcx.jacobian(run, p, patch=True), exact.y[2:, -1].reshape(2, 6))

    @pytest.mark.parametrize("method", ["RK45", "DOP853"])
    def test_steps_of_its_own_and_second_derivatives(self, method):
        """Y' = r y (1 − y) has y = 1/(1 + (1/y0 − 1) e^(−rt))."""

        def run(p):
            def slope(t, y):
                return p[0] * y * (1 - y)

            found = scipy.integrate.solve_ivp(
                slope, (0, 2.5), p[1:], method=method, rtol=1e-11, atol=1e-12
            )
            return found.y[0, -1]

        r, y0 = sympy.symbols("r y0")
        y = 1 / (1 + (1 / y0 - 1) * sympy.exp(-2.5 * r))
        at = {r: 0.7, y0: 0.2}
        p = np.array([0.7, 0.2])
        slopes = [float(sympy.diff(y, s).subs(at)) for s in (r, y0)]
        curvatures = [[float(sympy.diff(y, s, q).subs(at)) for s in (r, y0)] for q in (r, y0)]
        assert_close(mcx.gradient(run, p, patch=True), slopes, 1e-9)
        assert_close(mcx.hessian(run, p, patch=True), curvatures, 1e-8)


class TestQuadrature:
    @pytest.mark.parametrize(
        "rule",
        [
            lambda y: scipy.integrate.trapezoid(y, dx=0.1),
            lambda y: scipy.integrate.simpson(y, x=X.cumsum()),
            lambda y: scipy.integrate.cumulative_trapezoid(y, X.cumsum()),
            lambda y: scipy.integrate.cumulative_simpson(y, dx=0.1),
        ],
    )
    def test_weights(self, rule):
        assert_close(mcx.jacobian(rule, X, patch=True), images_of_units(rule, 4))

    def test_parameters_and_ends(self):
        """∫₀ᵇ e^(−at) dt by Gauss and Legendre."""

        def run(p):
            return scipy.integrate.fixed_quad(lambda t: np.exp(-p[0] * t), 0, p[1], n=12)[0]

        a, b = 0.7, 1.3
        e = np.exp(-a * b)
        slope = [(b * e) / a - (1 - e) / a**2, e]
        assert_close(mcx.gradient(run, np.array([a, b])), slope)


class TestRoots:
    @pytest.mark.parametrize("fprime", [None, lambda x, a: 3 * x**2 - 1])
    def test_newton(self, fprime):
        """x³ − x = a: x' = 1/(3x² − 1), x'' = −6x x'³."""

        def f(x, a):
            return x**3 - x - a

        def run(a):
            return scipy.optimize.newton(f, 1.6, fprime=fprime, args=(a,), tol=1e-14)

        x = run(2.0)
        slope = 1 / (3 * x**2 - 1)
        assert_close(mcx.derivative(run, 2.0), slope, 1e-12)
        assert_close(mcx.derivative(run, 2.0, order=2), -6 * x * slope**3, 1e-10)

    def test_fixed_point(self):
        """x² = ax + b."""

        def f(x, a, b):
            return np.sqrt(a * x + b)

        def run(p):
            return scipy.optimize.fixed_point(f, 1.2, args=(p[0], p[1]), xtol=1e-13)

        p = np.array([1.0, 2.0])
        x = run(p)
        assert_close(mcx.gradient(run, p, patch=True), np.array([x, 1.0]) / (2 * x - p[0]), 1e-9)


class TestInterpolation:
    NODES = np.array([0.0, 1.0, 2.0, 4.0])

    def test_krogh_to_all_orders(self):
        """KroghInterpolator has derivatives of its own."""
        poly = scipy.interpolate.KroghInterpolator(self.NODES, X)
        t = np.array([0.3, 1.7, 3.1])
        series = mcx.taylor(poly, t, np.ones(3), 4, patch=True)
        own = poly.derivatives(t, 5) / np.array([1, 1, 2, 6, 24])[:, None]
        assert_close(series, own, 1e-12)

    def test_barycentric(self):
        poly = scipy.interpolate.BarycentricInterpolator(self.NODES, X)
        own = scipy.interpolate.KroghInterpolator(self.NODES, X).derivative(1.7)
        assert_close(mcx.derivative(poly, 1.7, patch=True), own, 1e-12)

        def values(y):
            return scipy.interpolate.BarycentricInterpolator(self.NODES, y)(1.7)

        assert_close(mcx.gradient(values, X, patch=True), images_of_units(values, 4))


class TestSignal:
    def test_frequency_response(self):
        """H = b(iω)/a(iω): a complex function of real coefficients."""
        w = np.linspace(0.1, 2, 5)
        b, a = np.array([1.0, 0.5]), np.array([1.0, 0.3, 2.0])
        s = 1j * w
        H = np.polyval(b, s) / np.polyval(a, s)
        powers = np.stack([s, s**0], -1) / np.polyval(a, s)[:, None]

        def run(b):
            return scipy.signal.freqs(b, a, w)[1]

        assert_close(mcx.jacobian(run, b, patch=True), powers)

        def run(a):
            return scipy.signal.freqs(b, a, w)[1]

        slopes = -H[:, None] * np.stack([s**2, s, s**0], -1) / np.polyval(a, s)[:, None]
        assert_close(mcx.jacobian(run, a, patch=True), slopes)

    def test_windows(self):
        n = np.arange(11) - 5

        def run(p):
            return scipy.signal.windows.general_gaussian(11, p[0], p[1])

        shape, width = 1.4, 2.2
        with np.errstate(divide="ignore", invalid="ignore"):
            u = np.abs(n / width) ** (2 * shape)
            by_shape = np.where(n == 0, 0, -u * np.log(np.abs(n / width)) * np.exp(-u / 2))
        by_width = u * shape / width * np.exp(-u / 2)
        expected = np.stack([by_shape, by_width], -1)
        assert_close(mcx.jacobian(run, np.array([shape, width])), expected)


class TestStats:
    def test_normal(self):
        def run(p):
            return np.sum(scipy.stats.norm.logpdf(X, p[0], p[1]))

        m, s = 0.3, 1.2
        d = X - m
        assert_close(
            mcx.gradient(run, np.array([m, s]), patch=True),
            [np.sum(d) / s**2, np.sum(d**2) / s**3 - 4 / s],
        )
        corner = -2 * np.sum(d) / s**3
        expected = [[-4 / s**2, corner], [corner, 4 / s**2 - 3 * np.sum(d**2) / s**4]]
        assert_close(mcx.hessian(run, np.array([m, s]), patch=True), expected)

    def test_multivariate_normal(self):
        root = np.array([[2.0, 0, 0, 0], [1, 1, 0, 0], [0, 0.5, 3, 0], [1, 1, 1, 1]])
        cov, mean = root @ root.T, X[::-1]

        def run(x):
            return scipy.stats.multivariate_normal.logpdf(x, mean, cov)

        inverse = np.linalg.inv(cov)
        assert_close(mcx.gradient(run, X, patch=True), -inverse @ (X - mean), 1e-12)
        assert_close(mcx.hessian(run, X, patch=True), -inverse, 1e-12)

    def test_means(self):
        g, h = scipy.stats.gmean(X), scipy.stats.hmean(X)
        assert_close(mcx.gradient(scipy.stats.gmean, X, patch=True), g / (4 * X))
        assert_close(mcx.gradient(scipy.stats.hmean, X, patch=True), h**2 / (4 * X**2))

    @pytest.mark.parametrize("power", [3, 4])
    def test_skew_and_kurtosis(self, power):
        """The mean of zᵏ has the slope (k/n)(z^(k−1) − mean z^(k−1) − z·mean zᵏ)/std."""
        run = {3: scipy.stats.skew, 4: scipy.stats.kurtosis}[power]
        z, s = (X - X.mean()) / X.std(), X.std()
        slope = z ** (power - 1) - np.mean(z ** (power - 1)) - z * np.mean(z**power)
        assert_close(mcx.gradient(run, X, patch=True), power * slope / (4 * s), 1e-12)

    def test_zscore(self):
        z = scipy.stats.zscore(X)
        expected = (np.eye(4) - 0.25 - np.outer(z, z) / 4) / X.std()
        assert_close(mcx.jacobian(scipy.stats.zscore, X, patch=True), expected)


class TestMatrices:
    @pytest.mark.parametrize(
        "make",
        [
            lambda c: scipy.linalg.toeplitz(c, c**0 * 2),
            scipy.linalg.hankel,
            lambda c: scipy.linalg.leslie(c, X[:3]),
            lambda c: scipy.linalg.block_diag(c.reshape(2, 2), c),
        ],
    )
    def test_linear_ones(self, make):
        constant = make(np.zeros(4))[..., None]
        assert_close(mcx.jacobian(make, X, patch=True), images_of_units(make, 4) - constant)

    def test_distances(self):
        v = np.array([1.0, 0.3, 0.2, 0.9])
        d = X - v
        VI = np.diag([1.0, 2.0, 3.0, 4.0]) + 0.1

        def f(x):
            return scipy.spatial.distance.mahalanobis(x, v, VI)

        assert_close(mcx.gradient(f, X, patch=True), VI @ d / f(X))

        def f(x):
            return scipy.spatial.distance.minkowski(x, v, 3)

        assert_close(mcx.gradient(f, X, patch=True), d * np.abs(d) / f(X) ** 2)
