"""Published code that nobody here wrote, unmodified, against derivatives that are not from mcx.

The references are the code's own analytic derivatives, closed forms, inverse functions, the complex
step, SymPy and mpmath.
"""

import colorsys
import importlib
import warnings

import matplotlib.bezier
import matplotlib.colors
import mpmath
import numpy as np
import pytest
import scipy.special
import sympy
from core.published import X, assert_close, complex_step
from sklearn.gaussian_process import kernels

import mcx


def published(name):
    """Import a package that may warn of its own past while it is imported."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module(name)


financial = published("numpy_financial")
pymap3d = published("pymap3d")
rcurve = published("pymap3d.rcurve")
seawater = published("seawater")
quaternions = published("transforms3d.quaternions")
KalmanFilter = published("filterpy.kalman").KalmanFilter
discrete_white_noise = published("filterpy.common").Q_discrete_white_noise


class TestMatplotlib:
    def test_hue_saturation_value(self):
        """For r < g < b: h = (4 + (r − g)/(b − r))/6, s = (b − r)/b, v = b."""
        r, g, b = 0.2, 0.5, 0.8
        by_hue = np.array([(b - g) / (b - r) ** 2, -1 / (b - r), (g - r) / (b - r) ** 2]) / 6
        expected = np.array([by_hue, [-1 / b, 0, r / b**2], [0, 0, 1]])
        run = matplotlib.colors.rgb_to_hsv
        assert_close(mcx.jacobian(run, np.array([r, g, b]), patch=True), expected)

    def test_hue_saturation_value_and_back(self):
        """The sector of the hue is h.astype(int), piecewise constant."""
        rgb = np.array([0.2, 0.5, 0.8])
        hsv = matplotlib.colors.rgb_to_hsv(rgb)
        there = mcx.jacobian(matplotlib.colors.rgb_to_hsv, rgb, patch=True)
        back = mcx.jacobian(matplotlib.colors.hsv_to_rgb, hsv, patch=True)
        assert_close(back @ there, np.eye(3))

    def test_bezier(self):
        points = np.array([[0.0, 0.0], [1.0, 2.0], [3.0, 1.0], [4.0, 4.0]])

        def run(t):
            return matplotlib.bezier.BezierSegment(points)(t)

        first, last, t = 3 * np.diff(points, axis=0), points[0], 0.3
        slope = (1 - t) ** 2 * first[0] + 2 * t * (1 - t) * first[1] + t**2 * first[2]
        assert last @ last == 0
        assert_close(mcx.jvp(run, t, 1.0, patch=True)[1], slope)


def test_colorsys():
    """The standard library knows nothing of NumPy; one conversion is the inverse of the other."""

    def there(c):
        return np.stack(colorsys.rgb_to_hls(*c))

    def back(c):
        return np.stack(colorsys.hls_to_rgb(*c))

    rgb = np.array([0.2, 0.5, 0.7])
    product = mcx.jacobian(back, there(rgb)) @ mcx.jacobian(there, rgb)
    assert_close(product, np.eye(3))


def test_gaussian_process_kernels():
    """scikit-learn has the gradients with respect to the logarithms of the parameters."""
    points = np.array([[0.1, 0.5], [1.0, 0.2], [0.4, 1.5]])
    for kernel in (
        kernels.RationalQuadratic(length_scale=1.3, alpha=0.7),
        kernels.ExpSineSquared(length_scale=0.8, periodicity=2.1),
        kernels.DotProduct(sigma_0=1.7),
    ):
        names = [h.name for h in kernel.hyperparameters]

        def run(theta, kernel=kernel, names=names):
            return type(kernel)(**dict(zip(names, np.exp(theta), strict=True)))(points)

        own = kernel(points, eval_gradient=True)[1]
        assert_close(mcx.jacobian(run, kernel.theta), own)


class TestSympy:
    def test_lambdified_matrix(self):
        x, y, z = symbols = sympy.symbols("x y z", real=True)
        form = sympy.Matrix(
            [
                sympy.sin(x) * sympy.exp(y) / (1 + z**2),
                sympy.Piecewise((x**2 * y, x > 1), (sympy.log(y), True)),
                sympy.Max(x, y) * sympy.Abs(z),
                sympy.atan2(y, x) ** sympy.Rational(3, 2),
                sympy.sqrt(x**2 + y**2) + sympy.tanh(x * y * z),
            ]
        )
        f = sympy.lambdify([symbols], form, "numpy", cse=True)
        J = sympy.lambdify([symbols], form.jacobian(symbols), "numpy")
        for point in ([0.7, 1.3, -2.1], [1.7, 1.3, 2.1]):
            assert_close(mcx.jacobian(f, np.array(point), patch=True)[:, 0], J(point))


class TestNumpyFinancial:
    FLOWS = np.array([-100.0, 39.0, 59.0, 55.0, 20.0])

    def test_net_present_value(self):
        k = np.arange(5)
        for order in (1, 2, 3, 4):
            falling = (-1) ** order * scipy.special.poch(k, order)
            expected = np.sum(self.FLOWS * falling / 1.08 ** (k + order))

            def run(r):
                return financial.npv(r, self.FLOWS)

            assert_close(mcx.derivative(run, 0.08, order, patch=True), expected, 1e-12)

        def run(flows):
            return financial.npv(0.08, flows)

        assert_close(mcx.gradient(run, self.FLOWS, patch=True), 1.08**-k)

    def test_internal_rate_of_return(self):
        """Roots of a polynomial inside: eigenvalues of its companion matrix."""
        k, r = np.arange(5), financial.irr(self.FLOWS)
        slope = np.sum(-k * self.FLOWS / (1 + r) ** (k + 1))
        expected = -((1 + r) ** -k) / slope
        assert_close(mcx.gradient(financial.irr, self.FLOWS, patch=True), expected, 1e-11)

    @pytest.mark.parametrize("name", ["pmt", "fv", "pv", "nper"])
    def test_annuities(self, name):
        forms = {
            "fv": lambda r, n, a, b: -(b * (1 + r) ** n + a * ((1 + r) ** n - 1) / r),
            "pv": lambda r, n, a, b: -(b + a * ((1 + r) ** n - 1) / r) / (1 + r) ** n,
            "pmt": lambda r, n, a, b: -(b + a * (1 + r) ** n) * r / ((1 + r) ** n - 1),
            "nper": lambda r, n, a, b: mpmath.log((n / r - b) / (n / r + a)) / mpmath.log(1 + r),
        }
        at = {"nper": (0.01, -150.0, 8000.0, 500.0)}.get(name, (0.01, 24.0, -300.0, 1e4))

        def run(v):
            return getattr(financial, name)(*v)

        with mpmath.workdps(40):
            point = [mpmath.mpf(v) for v in at]
            units = np.eye(4, dtype=int).tolist()
            slopes = [float(mpmath.diff(forms[name], point, n=tuple(unit))) for unit in units]
        assert_close(mcx.gradient(run, np.array(at), patch=True), slopes, 1e-11)


class TestPymap3d:
    POINT = np.array([42.0, -82.0, 200.0])

    def test_metric_of_the_ellipsoid(self):
        """∂ecef/∂(lat, lon, alt): orthogonal, with lengths from the radii of curvature."""

        def run(v):
            return np.stack(pymap3d.geodetic2ecef(*v))

        J = mcx.jacobian(run, self.POINT, patch=True)
        lat, _, alt = self.POINT
        along = (rcurve.meridian(lat) + alt) * np.pi / 180
        across = (rcurve.transverse(lat) + alt) * np.cos(np.radians(lat)) * np.pi / 180
        assert_close(J.T @ J, np.diag([along, across, 1.0]) ** 2, 1e-12)

    def test_inverse(self):
        def there(v):
            return np.stack(pymap3d.geodetic2ecef(*v))

        def back(v):
            return np.stack(pymap3d.ecef2geodetic(*v))

        J = mcx.jacobian(there, self.POINT, patch=True)
        K = mcx.jacobian(back, there(self.POINT), patch=True)
        scale = np.array([111e3, 82e3, 1.0])
        assert_close(scale[:, None] * (K @ J) / scale, np.eye(3), 1e-8)


class TestSeawater:
    """The UNESCO equation of state EOS-80."""

    @pytest.mark.parametrize("name", ["dens", "svel", "cp", "adtg", "ptmp"])
    def test_of_salinity_temperature_and_pressure(self, name):
        reference = (500.0,) if name == "ptmp" else ()

        def run(v):
            return np.reshape(getattr(seawater, name)(*v, *reference), ())

        v = np.array([35.0, 12.0, 1500.0])
        J = mcx.gradient(run, v, patch=True)
        assert_close(J, complex_step(run, v), 1e-12)

    def test_salinity_of_conductivity(self):
        """salt(cndr(S, T, P), T, P) = S."""

        def S(v):
            return np.reshape(seawater.salt(v[0], v[1], v[2]), ())

        v = np.array([1.1, 12.0, 1500.0])
        assert_close(mcx.gradient(S, v, patch=True), complex_step(S, v), 1e-12)


def test_kalman_filter():
    """filterpy: the likelihood of noise variances, against that of all measurements at once."""
    measured = np.array([1.0, 2.1, 2.9, 4.2, 5.05])
    F, H = np.array([[1.0, 1.0], [0.0, 1.0]]), np.array([[1.0, 0.0]])
    noise = discrete_white_noise(2, dt=1.0, var=1.0)

    def loss(p):
        kalman = KalmanFilter(dim_x=2, dim_z=1)
        kalman.x, kalman.F, kalman.H = np.array([0.0, 1.0]), F, H
        kalman.P *= 10.0
        kalman.R *= p[0]
        kalman.Q = noise * p[1]
        total = 0.0
        for z in measured:
            kalman.predict()
            kalman.update(z)
            total = total + (kalman.y[0] ** 2 / kalman.S[0, 0] + np.log(kalman.S[0, 0])) / 2
        return total

    powers = [np.linalg.matrix_power(F, k) for k in range(6)]
    rows = np.stack([(H @ F_k)[0] for F_k in powers])
    by_q = np.array(
        [[sum(rows[i - k] @ noise @ rows[j - k] for k in range(1, min(i, j) + 1))
          for j in range(1, 6)] for i in range(1, 6)]
    )  # fmt: skip
    r, q = p = np.array([0.5, 0.1])
    parts = (np.eye(5), by_q)
    inverse = np.linalg.inv(10 * rows[1:] @ rows[1:].T + r * parts[0] + q * parts[1])
    weighted = inverse @ (measured - rows[1:] @ np.array([0.0, 1.0]))
    slopes = [np.trace(inverse @ A) / 2 - weighted @ A @ weighted / 2 for A in parts]
    curvatures = [
        [weighted @ A @ inverse @ B @ weighted - np.trace(inverse @ A @ inverse @ B) / 2
         for B in parts] for A in parts
    ]  # fmt: skip
    assert_close(mcx.gradient(loss, p, patch=True), slopes, 1e-12)
    assert_close(mcx.hessian(loss, p, patch=True), curvatures, 1e-12)


def test_quaternions():
    """transforms3d: R of a quaternion of any length, against SymPy."""
    symbols = sympy.symbols("w x y z", real=True)
    w, x, y, z = symbols
    R = sympy.Matrix(
        [
            [w**2 + x**2 - y**2 - z**2, 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), w**2 - x**2 + y**2 - z**2, 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), w**2 - x**2 - y**2 + z**2],
        ]
    ) / (w**2 + x**2 + y**2 + z**2)
    slopes = [np.array(R.diff(s).subs(dict(zip(symbols, X, strict=True))), float) for s in symbols]
    J = mcx.jacobian(quaternions.quat2mat, X, patch=True)
    assert_close(J, np.stack(slopes, -1))
