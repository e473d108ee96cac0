"""Test functions of Moré, Garbow and Hillstrom: residuals, standard starts and known minima.

J. Moré, B. Garbow and K. Hillstrom, "Testing unconstrained optimization software", ACM Trans. Math.
Softw. 7 (1981) 17-41. f(x) = Σ r_i(x)²; the numbers in front are those of the paper. In NumPy
syntax that works on Multicomplex x.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Problem:
    """Residuals, the standard start, the minimum f* from there, and x* where it has a short form.

    The paper gives six digits of an f* that is not zero. `other` is one more of its minima that a
    run from there may end at.
    """

    residuals: Callable
    start: tuple
    minimum: float = 0.0
    minimizer: tuple | None = None
    other: float | None = None

    def __call__(self, x):
        """Return f(x)."""
        r = self.residuals(x)
        return np.sum(r * r)

    @property
    def x0(self):
        """Return the start (n,)."""
        return np.array(self.start, float)


def rosenbrock(x):  # 1, 21
    return np.concatenate([10 * (x[1::2] - x[::2] ** 2), 1 - x[::2]])


def freudenstein_roth(x):  # 2
    return np.stack(
        [
            -13 + x[0] + ((5 - x[1]) * x[1] - 2) * x[1],
            -29 + x[0] + ((x[1] + 1) * x[1] - 14) * x[1],
        ]
    )


def powell_badly_scaled(x):  # 3
    return np.stack([1e4 * x[0] * x[1] - 1, np.exp(-x[0]) + np.exp(-x[1]) - 1.0001])


def brown_badly_scaled(x):  # 4
    return np.stack([x[0] - 1e6, x[1] - 2e-6, x[0] * x[1] - 2])


def beale(x):  # 5
    i = np.arange(1, 4)
    return np.array([1.5, 2.25, 2.625]) - x[0] * (1 - x[1] ** i)


def jennrich_sampson(x):  # 6, m = 10
    i = np.arange(1, 11)
    return 2 + 2 * i - (np.exp(i * x[0]) + np.exp(i * x[1]))


def helical_valley(x):  # 7
    theta = np.arctan(x[1] / x[0]) / (2 * np.pi) + np.where(x[0] > 0, 0.0, 0.5)
    radius = np.sqrt(x[0] ** 2 + x[1] ** 2)
    return np.stack([10 * (x[2] - 10 * theta), 10 * (radius - 1), x[2]])


BARD = (0.14, 0.18, 0.22, 0.25, 0.29, 0.32, 0.35, 0.39, 0.37, 0.58, 0.73, 0.96, 1.34, 2.10, 4.39)


def bard(x):  # 8
    u = np.arange(1, 16)
    v = 16 - u
    return np.array(BARD) - (x[0] + u / (v * x[1] + np.minimum(u, v) * x[2]))


GAUSSIAN = (0.0009, 0.0044, 0.0175, 0.0540, 0.1295, 0.2420, 0.3521, 0.3989)


def gaussian(x):  # 9
    t = (8 - np.arange(1, 16)) / 2
    return x[0] * np.exp(-x[1] * (t - x[2]) ** 2 / 2) - np.array(GAUSSIAN + GAUSSIAN[-2::-1])


def gulf(x):  # 11, m = 99
    t = np.arange(1, 100) / 100
    y = 25 + (-50 * np.log(t)) ** (2 / 3)
    return np.exp(-(np.abs(y - x[1]) ** x[2]) / x[0]) - t


def box(x):  # 12, m = 10
    t = 0.1 * np.arange(1, 11)
    return np.exp(-t * x[0]) - np.exp(-t * x[1]) - x[2] * (np.exp(-t) - np.exp(-10 * t))


def powell_singular(x):  # 13
    return np.stack(
        [
            x[0] + 10 * x[1],
            np.sqrt(5) * (x[2] - x[3]),
            (x[1] - 2 * x[2]) ** 2,
            np.sqrt(10) * (x[0] - x[3]) ** 2,
        ]
    )


def wood(x):  # 14
    return np.stack(
        [
            10 * (x[1] - x[0] ** 2),
            1 - x[0],
            np.sqrt(90) * (x[3] - x[2] ** 2),
            1 - x[2],
            np.sqrt(10) * (x[1] + x[3] - 2),
            (x[1] - x[3]) / np.sqrt(10),
        ]
    )


KOWALIK_Y = (0.1957, 0.1947, 0.1735, 0.1600, 0.0844, 0.0627, 0.0456, 0.0342, 0.0323, 0.0235, 0.0246)
KOWALIK_U = (4.0, 2.0, 1.0, 0.5, 0.25, 0.167, 0.125, 0.1, 0.0833, 0.0714, 0.0625)


def kowalik_osborne(x):  # 15
    u = np.array(KOWALIK_U)
    return np.array(KOWALIK_Y) - x[0] * (u**2 + u * x[1]) / (u**2 + u * x[2] + x[3])


def brown_dennis(x):  # 16, m = 20
    t = np.arange(1, 21) / 5
    return (x[0] + t * x[1] - np.exp(t)) ** 2 + (x[2] + x[3] * np.sin(t) - np.cos(t)) ** 2


def biggs_exp6(x):  # 18, m = 13
    t = 0.1 * np.arange(1, 14)
    y = np.exp(-t) - 5 * np.exp(-10 * t) + 3 * np.exp(-4 * t)
    return x[2] * np.exp(-t * x[0]) - x[3] * np.exp(-t * x[1]) + x[5] * np.exp(-t * x[4]) - y


def watson(x):  # 20
    t = np.arange(1, 30)[:, None] / 29
    j = np.arange(x.shape[0])
    slope = np.sum(j[1:] * x[1:] * t ** (j[1:] - 1), axis=1)
    return np.concatenate(
        [
            slope - np.sum(x * t**j, axis=1) ** 2 - 1,
            np.stack([x[0], x[1] - x[0] ** 2 - 1]),
        ]
    )


def penalty_1(x):  # 23
    return np.concatenate([np.sqrt(1e-5) * (x - 1), np.sum(x**2, keepdims=True) - 0.25])


def variably_dimensioned(x):  # 25
    s = np.sum(np.arange(1, x.shape[0] + 1) * (x - 1), keepdims=True)
    return np.concatenate([x - 1, s, s**2])


def brown_almost_linear(x):  # 27
    n = x.shape[0]
    return np.concatenate([x[:-1] + np.sum(x) - (n + 1), np.prod(x, keepdims=True) - 1])


def discrete_boundary_value(x):  # 28
    n = x.shape[0]
    t = np.arange(1, n + 1) / (n + 1)
    padded = np.concatenate([np.zeros_like(x[:1]), x, np.zeros_like(x[:1])])
    return 2 * x - padded[:-2] - padded[2:] + (x + t + 1) ** 3 / (2 * (n + 1) ** 2)


def broyden_tridiagonal(x):  # 30
    padded = np.concatenate([np.zeros_like(x[:1]), x, np.zeros_like(x[:1])])
    return (3 - 2 * x) * x - padded[:-2] - 2 * padded[2:] + 1


def linear_full_rank(x):  # 32, m = 2 n
    n = x.shape[0]
    mean = np.sum(x, keepdims=True) / n
    return np.concatenate([x - mean - 1, (0 * x - mean - 1)])


def chebyquad(x):  # 35, m = n
    n = x.shape[0]
    y = 2 * x - 1
    before, last, means = 0 * y + 1, y, [np.mean(y)]
    for _ in range(n - 1):
        before, last = last, 2 * y * last - before
        means.append(np.mean(last))
    integrals = [-1 / (i * i - 1) if i % 2 == 0 else 0.0 for i in range(1, n + 1)]
    return np.stack(means) - np.array(integrals)


def _boundary_start(n):
    t = np.arange(1, n + 1) / (n + 1)
    return tuple(t * (t - 1))


PROBLEMS = {
    "rosenbrock": Problem(rosenbrock, (-1.2, 1), 0, (1, 1)),
    "freudenstein_roth": Problem(freudenstein_roth, (0.5, -2), 48.9842),
    "powell_badly_scaled": Problem(powell_badly_scaled, (0, 1)),
    "brown_badly_scaled": Problem(brown_badly_scaled, (1, 1), 0, (1e6, 2e-6)),
    "beale": Problem(beale, (1, 1), 0, (3, 0.5)),
    "jennrich_sampson": Problem(jennrich_sampson, (0.3, 0.4), 124.362),
    "helical_valley": Problem(helical_valley, (-1, 0, 0), 0, (1, 0, 0)),
    "bard": Problem(bard, (1, 1, 1), 8.21487e-3),
    "gaussian": Problem(gaussian, (0.4, 1, 0), 1.12793e-8),
    "gulf": Problem(gulf, (5, 2.5, 0.15), 0, (50, 25, 1.5)),
    "box": Problem(box, (0, 10, 20), 0, (1, 10, 1)),
    "powell_singular": Problem(powell_singular, (3, -1, 0, 1), 0, (0, 0, 0, 0)),
    "wood": Problem(wood, (-3, -1, -3, -1), 0, (1, 1, 1, 1)),
    "kowalik_osborne": Problem(kowalik_osborne, (0.25, 0.39, 0.415, 0.39), 3.07505e-4),
    "brown_dennis": Problem(brown_dennis, (25, 5, -5, -1), 85822.2),
    "biggs_exp6": Problem(biggs_exp6, (1, 2, 1, 1, 1, 1), 5.65565e-3, None, 0),
    "watson": Problem(watson, (0,) * 6, 2.28767e-3),
    "extended_rosenbrock": Problem(rosenbrock, (-1.2, 1) * 5, 0, (1,) * 10),
    "penalty_1": Problem(penalty_1, (1, 2, 3, 4), 2.24997e-5),
    "variably_dimensioned": Problem(
        variably_dimensioned, tuple(1 - j / 8 for j in range(1, 9)), 0, (1,) * 8
    ),
    "brown_almost_linear": Problem(brown_almost_linear, (0.5,) * 6),
    "discrete_boundary_value": Problem(discrete_boundary_value, _boundary_start(10)),
    "broyden_tridiagonal": Problem(broyden_tridiagonal, (-1,) * 10),
    "linear_full_rank": Problem(linear_full_rank, (1,) * 5, 5, (-1,) * 5),
    "chebyquad": Problem(chebyquad, tuple(j / 9 for j in range(1, 9)), 3.51687e-3),
}
"""Name -> Problem."""
