"""Elementwise functions of the activations and losses, with their Taylor series.

Plain arrays in, plain arrays out; `mcx_nn.primitives` registers every row of `SERIES` with mcx.
A function has the dtype of x and neither overflows nor cancels in its tails. A series takes the
value a, y = f(a) and an order n ≥ 1 and returns [f′(a), f″(a)/2!, …, f⁽ⁿ⁾(a)/n!]. On complex arrays
every formula is analytic on either side of the imaginary axis, and sides are told by the real part,
so that complex steps see the derivatives of the real function.
"""

import importlib
import math

import numpy as np

LEAK = 0.01  # slope of leaky_relu at x ≤ 0


def _real(x):
    """Return the real part, which is x itself for real x."""
    return x.real if x.dtype.kind == "c" else x


def _larger(x, y):
    """Return the one with the larger real part, y where they are equal."""
    return np.where(x.real <= y.real, y, x) if x.dtype.kind == "c" else np.maximum(x, y)


def _smaller(x, bound):
    """Return the one with the smaller real part, x where they are equal."""
    return np.where(x.real > bound, bound, x) if x.dtype.kind == "c" else np.minimum(x, bound)


def _in_place(ufunc, x, *others):
    """Return ufunc(x, *others), in the memory of x: an array made on the way, or a scalar."""
    return ufunc(x, *others, out=x) if x.ndim else ufunc(x, *others)


def _magnitude(x):
    """Return |x|, for complex x −x left of the imaginary axis and on it, else x: analytic."""
    return np.where(x.real <= 0, -x, x) if x.dtype.kind == "c" else np.abs(x)


def _decay(x):
    """Return exp(−|x|), which cannot overflow."""
    magnitude = -_magnitude(x)
    return _in_place(np.exp, magnitude)


# ---- piecewise linear


def relu(x):
    """Return max(x, 0), with derivative 0 at 0."""
    return _larger(x, 0)


def relu_series(a, y, n):
    """Return a step behind 0, then zeros."""
    return [(_real(a) > 0) * np.ones_like(a), *[np.zeros_like(a)] * (n - 1)]


def leaky_relu(x):
    """Return x where x > 0, else x/100."""
    return _larger(x, LEAK * x)


def leaky_relu_series(a, y, n):
    """Return a step from 1/100 to 1 behind 0, then zeros."""
    left, right = _real(a) <= 0, _real(a) > 0
    return [LEAK * np.ones_like(a) * left + right, *[np.zeros_like(a)] * (n - 1)]


# ---- exponential on the left


def elu(x):
    """Return eˣ − 1 where x ≤ 0, else x."""
    left = _in_place(np.expm1, _smaller(x, 0))
    if x.dtype.kind == "c":
        return np.where(x.real > 0, x, left)
    return _in_place(np.maximum, left, x)  # x ≤ eˣ − 1


def elu_series(a, y, n):
    """Return eᵃ/k! where a ≤ 0, else 1, 0, 0, …."""
    e = (_real(a) <= 0) * _decay(a)
    return [e + (_real(a) > 0), *(e * (1 / math.factorial(k)) for k in range(2, n + 1))]


def elu_slope(x):
    """Return elu′(x) = eˣ where x ≤ 0, else 1."""
    return _in_place(np.exp, _smaller(x, 0))


def elu_slope_series(a, y, n):
    """Return eᵃ/k! where a ≤ 0, else 0."""
    e = (_real(a) <= 0) * y
    return [e * (1 / math.factorial(k)) for k in range(1, n + 1)]


# ---- logistic function


def sigmoid(x):
    """Return 1/(1 + e⁻ˣ)."""
    if x.dtype.kind == "c":
        e = _decay(x)
        return np.where(x.real <= 0, e, 1) / (1 + e)
    e = _in_place(np.exp, np.minimum(x, 40))  # where e/(1 + e) is 1
    return _in_place(np.divide, e, 1 + e)


def sigmoid_series(a, y, n):
    """Integrate the series of sigmoid′."""
    e = _decay(a)
    return _integrated(_bell(e / ((1 + e) * (1 + e)), lambda: np.tanh(a * 0.5), 1, 2, n - 1))


def sigmoid_slope(x):
    """Return sigmoid′(x) = sigmoid(x) sigmoid(−x)."""
    e = _decay(x)
    return _in_place(np.divide, e, _in_place(np.square, 1 + e))


def sigmoid_slope_series(a, y, n):
    """Use sigmoid″ = −t sigmoid′ with t = tanh(a/2), t′ = 2 sigmoid′."""
    return _bell(y, lambda: np.tanh(a * 0.5), 1, 2, n)[1:]


def tanh_slope(x):
    """Return tanh′(x) = 1/cosh² x; 1 − tanh² x would cancel in the tails."""
    e = np.square(_decay(x))
    return 4 * e / np.square(1 + e)


def tanh_slope_series(a, y, n):
    """Use tanh″ = −2 tanh tanh′."""
    return _bell(y, lambda: np.tanh(a), 2, 1, n)[1:]


def softplus(x):
    """Return log(1 + eˣ) = max(x, 0) + log(1 + e^(−|x|)), whose derivative is sigmoid."""
    e = _decay(x)
    return _larger(x, 0) + 2 * np.arctanh(e / (2 + e))  # complex log1p loses small real parts


def softplus_series(a, y, n):
    """Integrate the series of sigmoid(a) = 1 − e⁻ʸ = 2t/(1 + t), t = tanh(y/2)."""
    t = np.tanh(y * 0.5)
    return _integrated([2 * t / (1 + t), *(sigmoid_series(a, None, n - 1) if n > 1 else [])])


# ---- normal distribution function Φ with density φ


def normal_distribution(x):
    """Return Φ(x) = erfc(−x/√2)/2, which keeps its digits on the left."""
    return erfc_of(type(x))(x * -math.sqrt(0.5)) * 0.5


def normal_distribution_series(a, y, n):
    """Integrate the series of φ."""
    density = normal_density(a)
    return _integrated([density, *(normal_density_series(a, density, n - 1) if n > 1 else [])])


def normal_density(x):
    """Return φ(x) = exp(−x²/2)/√(2π)."""
    near = _smaller(_magnitude(x), 40)  # beyond φ is 0, and x² may overflow
    return np.exp(near * near * -0.5) * (1 / math.sqrt(2 * math.pi))


def normal_density_series(a, y, n):
    """Use φ′ = −a φ: (k + 1) c_(k+1) = −a c_k − c_(k−1)."""
    terms = [y, -a * y]
    for k in range(2, n + 1):
        terms.append((a * terms[k - 1] + terms[k - 2]) * (-1 / k))
    return terms[1:]


ERFC: dict = {}  # array type -> its complementary error function, which NumPy lacks


def erfc_of(array_type):
    """Return the erfc of an array type: SciPy's, CuPy's, or one entered above.

    Raises
    ------
    ImportError
        Where SciPy is not installed.
    """
    if array_type not in ERFC:
        cupy = array_type.__module__.startswith("cupy")
        try:
            special = importlib.import_module("cupyx.scipy.special" if cupy else "scipy.special")
        except ImportError as error:
            raise ImportError(
                "gelu: the error function is SciPy's, which is not installed: `pip install scipy`."
            ) from error
        ERFC[array_type] = special.erfc
    return ERFC[array_type]


# ---- arithmetic of series


def _bell(s, tanh, p, q, n):
    """Return coefficients 0 to n of s, where s′ = −p t s and t′ = q s for t = tanh()."""
    ss, ts = [s], []
    for k in range(n):
        ts.append(ss[k - 1] * (q / k) if k else tanh())
        total = ss[0] * ts[k]
        for i in range(1, k + 1):
            total = total + ss[i] * ts[k - i]
        ss.append(total * (-p / (k + 1)))
    return ss


def _integrated(series):
    """Return coefficients 1, 2, … of F from the coefficients 0, 1, … of F′."""
    return [c if k == 1 else c * (1 / k) for k, c in enumerate(series, 1)]


# function: its series
SERIES = {
    relu: relu_series,
    leaky_relu: leaky_relu_series,
    elu: elu_series,
    elu_slope: elu_slope_series,
    sigmoid: sigmoid_series,
    sigmoid_slope: sigmoid_slope_series,
    tanh_slope: tanh_slope_series,
    softplus: softplus_series,
    normal_distribution: normal_distribution_series,
    normal_density: normal_density_series,
}
# those whose series take more than arithmetic and comparisons
UNTRACED = {normal_distribution}
