"""Doors through which a number could lose its derivatives, by hand: functions of one scalar z.

Each must raise for a number. Those that do not dispatch must be real doors: `test_silent_loss.py`
opens the conversions of numbers and demands that every such probe then loses the derivative.
"""

import array
import cmath
import ctypes
import decimal
import fractions
import functools
import io
import json
import math
import operator
import statistics
import struct

import numpy as np
from scipy import (
    cluster,
    constants,
    fft,
    integrate,
    interpolate,
    linalg,
    ndimage,
    optimize,
    signal,
    sparse,
    spatial,
    stats,
)  # fmt: skip

X = np.array([0.5, 1.25, 2.0, 3.5])
Y = np.array([1.0, -0.5, 2.0, 0.25])
M = np.array([[4.0, 1.0, 0.5], [1.0, 3.0, 0.25], [0.5, 0.25, 2.0]])
rng = np.random.default_rng


def written(write):
    """Return the plain array that `write` was let to change."""
    a = X.copy()
    write(a)
    return a


def assigned(a, index, item):
    operator.setitem(a, index, item)


PYTHON = {
    "float": float,
    "complex": complex,
    "int": lambda z: float(int(100 * z)) + float(z),
    "str of a float": lambda z: float(f"{z:.15f}"),
    "percent format": lambda z: float("%.15f" % z),  # noqa: UP031
    "str.format": lambda z: float("{:.15f}".format(z)),  # noqa: UP032
    "format": lambda z: float(format(z, ".15e")),
    "math.sin": math.sin,
    "math.exp": math.exp,
    "math.hypot": lambda z: math.hypot(z, 1.0),
    "math.fsum": lambda z: math.fsum([z, 1.0]),
    "math.dist": lambda z: math.dist([z, 1.0], [0.0, 0.0]),
    "math.fma or pow": lambda z: math.pow(z, 2.0),
    "cmath.exp": cmath.exp,
    "statistics.fmean": lambda z: statistics.fmean(z * X),
    "statistics.fmean of a list": lambda z: statistics.fmean([z, 1.0]),
    "statistics.linear_regression": lambda z: statistics.linear_regression([z, 1.0, 2.0], Y[:3]),
    "decimal": lambda z: float(decimal.Decimal(float(z))),
    "fractions": lambda z: float(fractions.Fraction(float(z))),
    "struct": lambda z: struct.unpack("d", struct.pack("d", z)),
    "array.array": lambda z: list(array.array("d", [z, 1.0])),
    "ctypes": lambda z: ctypes.c_double(z).value,
    "json": lambda z: json.loads(json.dumps(float(z))),
}

CONSTRUCTORS = {
    "asarray": lambda z: np.asarray(z * X),
    "array of a list": lambda z: np.array([z, 1.0]),
    "array of nested lists": lambda z: np.array([[z, 1.0], [0.0, z]]),
    "array with dtype": lambda z: np.array([z], dtype=float),
    "asanyarray": lambda z: np.asanyarray(z * X),
    "ascontiguousarray": lambda z: np.ascontiguousarray(z * X),
    "asarray_chkfinite": lambda z: np.asarray_chkfinite(z * X),
    "fromiter": lambda z: np.fromiter((z * x for x in X), float),
    "float64": np.float64,
    "float32": lambda z: np.float32(z).astype(float),
    "complex128": np.complex128,
    "full": lambda z: np.full(3, z),
    "asmatrix": lambda z: np.asmatrix(z * X),
    "matrix": lambda z: np.matrix([[z, 1.0]]),
    "poly1d": lambda z: np.poly1d([z, 1.0])(2.0),
    "Polynomial": lambda z: np.polynomial.Polynomial([z, 1.0])(2.0),
    "masked": lambda z: np.ma.masked_array(z * X, X > 1),
    "ma.array": lambda z: np.ma.array([z, 1.0]),
    "ma.sum": lambda z: np.ma.sum(np.ma.asarray(z * X)),
    "r_": lambda z: np.r_[z, 1.0, X],
    "r_ of vectors": lambda z: np.r_[z * X, X],
    "c_": lambda z: np.c_[z * X, X],
    "mgrid": lambda z: np.mgrid[0.0 : 1.0 : z],
    "nditer": lambda z: [float(v) for v in np.nditer(z * X)],
    "ndenumerate": lambda z: [float(v) for _, v in np.ndenumerate(z * X)],
    "broadcast": lambda z: [float(v) for v, _ in np.broadcast(z * X, X)],
    "flatiter": lambda z: written(lambda a: assigned(a.flat, 0, z)),
    "rec.fromarrays": lambda z: np.rec.fromarrays([z * X, X], names="a,b")["a"].astype(float),
    "structured": lambda z: np.array([(z, 1.0)], dtype=[("a", float), ("b", float)])["a"],
    "vectorize": lambda z: np.vectorize(lambda v: v * 2)(z * X),
    "memoryview": lambda z: np.array(memoryview(np.asarray(z * X))),
}  # fmt: skip


def _through_text(x):
    text = io.StringIO()
    np.savetxt(text, x)
    return np.loadtxt(io.StringIO(text.getvalue()))


def _through_file(x):
    file = io.BytesIO()
    np.save(file, x)
    return np.load(io.BytesIO(file.getvalue()))


WRITING = {
    "a[...] = z": lambda z: written(lambda a: assigned(a, ..., z)),
    "a[0] = z": lambda z: written(lambda a: assigned(a, 0, z)),
    "a[1:3] = z": lambda z: written(lambda a: assigned(a, slice(1, 3), z * X[:2])),
    "a[mask] = z": lambda z: written(lambda a: assigned(a, a > 1, z)),
    "a[indices] = list": lambda z: written(lambda a: assigned(a, [0, 1], [z, z])),
    "a.fill": lambda z: written(lambda a: a.fill(z)),
    "a.put": lambda z: written(lambda a: a.put([0, 1], [z, z])),
    "a.itemset": lambda z: written(lambda a: assigned(a, (0,), z)),
    "place": lambda z: written(lambda a: np.place(a, a > 1, [z])),
    "fill_diagonal": lambda z: _diagonal_filled(z),
}


def _diagonal_filled(z):
    a = M.copy()
    np.fill_diagonal(a, z)
    return a


RANDOM = {
    "normal": lambda z: rng(0).normal(z, 1.0, 3),
    "normal scale": lambda z: rng(0).normal(0.0, z, 3),
    "uniform": lambda z: rng(0).uniform(0.0, z * X),
    "exponential": lambda z: rng(0).exponential(z, 2),
    "permutation": lambda z: rng(0).permutation(z * X),
    "choice": lambda z: rng(0).choice(z * X),
    "shuffle": lambda z: _shuffled(list(z * X)),
    "multivariate_normal": lambda z: rng(0).multivariate_normal(z * X[:3], M),
    "legacy normal": lambda z: np.random.RandomState(0).normal(z, 1.0, 3),
}


def _shuffled(items):
    rng(0).shuffle(items)
    return [float(item) for item in items]


def _flow(t, y):
    return -y


SCIPY = {
    "optimize.minimize": lambda z: optimize.minimize(lambda x: (x[0] - z) ** 2, [0.0]).x,
    "optimize.minimize from": lambda z: optimize.rosen(z * X),
    "optimize.minimize_scalar": lambda z: optimize.minimize_scalar(
        lambda x: float((x - z) ** 2)
    ).x,
    "optimize.brentq": lambda z: optimize.brentq(lambda x: x - z, 0.0, 4.0),
    "optimize.bisect": lambda z: optimize.bisect(lambda x: x - z, 0.0, 4.0),
    "optimize.fsolve": lambda z: optimize.fsolve(lambda x: x**2 - z, [1.0]),
    "optimize.root": lambda z: optimize.root(lambda x: x**3 - z, [1.0]).x,
    "optimize.least_squares": lambda z: optimize.least_squares(lambda x: z * X - x, [1.0]).x,
    "optimize.curve_fit": lambda z: optimize.curve_fit(lambda t, a: a * t, X, z * Y)[0],
    "optimize.nnls": lambda z: optimize.nnls(M, z * M[0]),
    "optimize.linprog": lambda z: optimize.linprog([-1.0], A_ub=[[1.0]], b_ub=[z]).x,
    "optimize.approx_fprime": lambda z: optimize.approx_fprime(X, lambda x: np.sum(z * x)),
    "integrate.quad": lambda z: integrate.quad(lambda t: t * z, 0.0, 1.0)[0],
    "integrate.quad bound": lambda z: integrate.quad(math.exp, 0.0, z)[0],
    "integrate.dblquad": lambda z: integrate.dblquad(lambda s, t: z, 0.0, 1.0, 0.0, 1.0)[0],
    "integrate.odeint": lambda z: integrate.odeint(lambda y, t: -z * y, [1.0], [0.0, 1.0])[-1],
    "integrate.odeint from": lambda z: integrate.odeint(_flow, z, [0.0, 1.0], tfirst=True)[-1],
    "integrate.solve_ivp": lambda z: integrate.solve_ivp(_flow, (0.0, 1.0), [z]).y[:, -1],
    "integrate.solve_ivp field": lambda z: integrate.solve_ivp(
        lambda t, y: -z * y, (0.0, 1.0), [1.0]
    ).y[:, -1],
    "integrate.simpson": lambda z: integrate.simpson(z * Y, x=X),
    "integrate.cumulative_trapezoid": lambda z: integrate.cumulative_trapezoid(z * Y, X),
    "interpolate.CubicSpline": lambda z: interpolate.CubicSpline(X, z * Y)(1.0),
    "interpolate.CubicSpline at": lambda z: interpolate.CubicSpline(X, Y)(z),
    "interpolate.interp1d": lambda z: interpolate.interp1d(X, Y)(z),
    "interpolate.PchipInterpolator": lambda z: interpolate.PchipInterpolator(X, z * Y)(1.0),
    "interpolate.make_interp_spline": lambda z: interpolate.make_interp_spline(X, z * Y)(1.0),
    "interpolate.RegularGridInterpolator": lambda z: interpolate.RegularGridInterpolator(
        (X,), Y
    )([[z]]),
    "linalg.inv": lambda z: linalg.inv(z * M),
    "linalg.solve": lambda z: linalg.solve(M, z * M[0]),
    "linalg.det": lambda z: linalg.det(z * M),
    "linalg.expm": lambda z: linalg.expm(z * M),
    "linalg.eigh": lambda z: linalg.eigh(z * M, eigvals_only=True),
    "linalg.svd": lambda z: linalg.svd(z * M, compute_uv=False),
    "linalg.lu_factor": lambda z: linalg.lu_factor(z * M)[0],
    "linalg.cholesky": lambda z: linalg.cholesky(z * M),
    "linalg.lstsq": lambda z: linalg.lstsq(M, z * M[0])[0],
    "linalg.norm": lambda z: linalg.norm(z * M),
    "linalg.toeplitz": lambda z: linalg.toeplitz(z * X),
    "linalg.block_diag": lambda z: linalg.block_diag(z * M, M),
    "fft.fft": lambda z: fft.fft(z * X),
    "fft.rfft": lambda z: fft.rfft(z * X),
    "fft.dct": lambda z: fft.dct(z * X),
    "signal.convolve": lambda z: signal.convolve(z * X, Y),
    "signal.fftconvolve": lambda z: signal.fftconvolve(z * X, Y),
    "signal.lfilter": lambda z: signal.lfilter([z], [1.0, 0.5], X),
    "signal.butter": lambda z: signal.butter(2, z / 8)[0],
    "signal.savgol_filter": lambda z: signal.savgol_filter(z * X, 3, 1),
    "signal.detrend": lambda z: signal.detrend(z * X**2),
    "ndimage.gaussian_filter": lambda z: ndimage.gaussian_filter(z * X, 1.0),
    "ndimage.gaussian_filter sigma": lambda z: ndimage.gaussian_filter(X, sigma=z),
    "ndimage.zoom": lambda z: ndimage.shift(z * X, 0.5, order=1),
    "stats.norm.pdf": lambda z: stats.norm.pdf(z * X),
    "stats.norm.logpdf loc": lambda z: stats.norm.logpdf(X, loc=z),
    "stats.norm frozen": lambda z: stats.norm(z, 1.0).cdf(X),
    "stats.gamma.cdf": lambda z: stats.gamma.cdf(1.0, z),
    "stats.pearsonr": lambda z: stats.pearsonr(X + z * X**2, Y).statistic,
    "stats.zscore": lambda z: stats.zscore(X + z * X**2),
    "stats.gmean": lambda z: stats.gmean(z * X),
    "stats.gaussian_kde": lambda z: stats.gaussian_kde(z * X)(1.0),
    "sparse data": lambda z: sparse.csr_array(z * M).toarray(),
    "sparse product": lambda z: sparse.csr_array(M) @ (z * X[:3]),
    "sparse solve": lambda z: sparse.linalg.spsolve(sparse.csc_array(M), z * X[:3]),
    "sparse.cg": lambda z: sparse.linalg.cg(M, z * X[:3])[0],
    "spatial.cdist": lambda z: spatial.distance.cdist(z * M, M),
    "spatial.euclidean": lambda z: spatial.distance.euclidean(z * X, Y),
    "spatial.KDTree": lambda z: spatial.KDTree(z * M).query(X[:3])[0],
    "spatial.Rotation": lambda z: spatial.transform.Rotation.from_rotvec(z * X[:3]).as_matrix(),
    "cluster.whiten": lambda z: cluster.vq.vq(z * M, M)[1],
    "constants.convert_temperature": lambda z: constants.convert_temperature(z, "C", "K"),
}  # fmt: skip

# Functions that dispatch, and must not write to a plain array or a file.
DISPATCHING = {
    "full with dtype": lambda z: np.full((2, 2), z, dtype=float),
    "frompyfunc": lambda z: np.frompyfunc(lambda v: v * 2, 1, 1)(z * X).astype(float),
    "functools.reduce into an array": lambda z: functools.reduce(
        lambda a, b: np.add(a, b, out=a), list(z * X), np.zeros(())
    ),
    "savetxt": lambda z: _through_text(z * X),
    "np.save": lambda z: _through_file(z * X),
    "a += z": lambda z: written(lambda a: operator.iadd(a, z)),
    "a *= z": lambda z: written(lambda a: operator.imul(a, z * X)),
    "a **= z": lambda z: written(lambda a: operator.ipow(a, z)),
    "out=": lambda z: written(lambda a: np.multiply(X, z, out=a)),
    "out= by position": lambda z: written(lambda a: np.exp(z * X, a)),
    "sum(out=)": lambda z: written(lambda a: np.sum([X, X] * z, axis=0, out=a)),
    "add.at": lambda z: written(lambda a: np.add.at(a, [0, 1], z)),
    "copyto": lambda z: written(lambda a: np.copyto(a, z)),
    "putmask": lambda z: written(lambda a: np.putmask(a, a > 1, z)),
    "put": lambda z: written(lambda a: np.put(a, [0], z)),
    "put_along_axis": lambda z: written(lambda a: np.put_along_axis(a, np.array([1]), z, 0)),
    "nan_to_num without a copy": lambda z: written(lambda a: np.nan_to_num(a, False, z)),
}

# Functions that do not.
PROBES = {
    f"{group}: {name}": probe
    for group, probes in (
        ("Python", PYTHON),
        ("constructors", CONSTRUCTORS),
        ("writing", WRITING),
        ("random", RANDOM),
        ("SciPy", SCIPY),
    )
    for name, probe in probes.items()
}
