"""Nothing loses derivatives in silence: each probe raises or keeps them (style, section 3)."""

import copy
import functools
import json
import math
import random
import statistics

import numpy as np
import pytest
import scipy.special

import mcx

X = np.array([0.5, 1.25, 2.0, 3.5])


def number(x=X):
    return mcx.perturb(np.array(x), np.ones_like(np.array(x)))


def zero():
    return mcx.perturb(0.5, 1.0)


RAISING = {
    **{
        f"math.{name}": lambda name=name: getattr(math, name)(zero())
        for name in ("sin", "exp", "sqrt", "log", "floor", "tanh", "gamma", "isnan")
    },
    "math.fsum": lambda: math.fsum(number()),
    "math.hypot": lambda: math.hypot(zero(), 1.0),
    "statistics.fmean": lambda: statistics.fmean(number()),
    "random.permutation": lambda: np.random.default_rng(0).permutation(number()),
    "random.choice": lambda: np.random.default_rng(0).choice(number()),
    "random.normal": lambda: np.random.default_rng(0).normal(number()),
    "random.poisson": lambda: np.random.default_rng(0).poisson(number()),
    "vectorize": lambda: np.vectorize(lambda v: v * 2)(number()),
    "frompyfunc": lambda: np.frompyfunc(lambda v: v * 2, 1, 1)(number()),
    "np.linalg.inv": lambda: np.linalg.inv(number([[1.0, 2.0], [3.0, 5.0]])),
    "np.linalg.svd": lambda: np.linalg.svd(number([[1.0, 2.0], [3.0, 5.0]])),
    "np.fft.rfft": lambda: np.fft.rfft(number()),
    "np.polynomial": lambda: np.polynomial.polynomial.polyfromroots(number()),
    "np.strings.upper": lambda: np.strings.upper(number()),
    "np.nditer": lambda: np.nditer(number()),
    "np.broadcast": lambda: np.broadcast(number(), number()),
    "np.ma": lambda: np.ma.masked_array(number()),
    "np.lib.scimath": lambda: np.emath.sqrt(number()),
    "ufunc out of a real in a loop": lambda: functools.reduce(
        lambda a, b: np.add(a, b, out=np.zeros(())), list(number())
    ),
    "json": lambda: json.dumps(number()),
    "bytes": lambda: bytes(number()),
    "format as a float": lambda: f"{zero():.3f}",
    "item": lambda: number().item(0),
    "tolist": lambda: number().tolist(),
    "scipy.special.erf": lambda: scipy.special.erf(number()),
    "scipy.special.logsumexp": lambda: scipy.special.logsumexp(number()),
}


@pytest.mark.parametrize("probe", RAISING.values(), ids=RAISING)
def test_probe_raises(probe):
    with pytest.raises((TypeError, mcx.UnsupportedFunctionError)):
        probe()


KEEPING = {
    "list": lambda z: np.stack(list(z)),
    "tuple unpacking": lambda z: np.stack([*z]),
    "sum of a generator": lambda z: sum(v * v for v in z),
    "builtin sum": lambda z: sum(z),
    "builtin max": lambda z: max(z),
    "builtin min": lambda z: min(z, default=None),
    "sorted": lambda z: np.stack(sorted(z, reverse=True)),
    "reversed": lambda z: np.stack(list(reversed(z))),
    "abs": abs,
    "pow": lambda z: pow(z, 2),
    "divmod": lambda z: divmod(z, 0.75)[1],
    "functools.reduce": lambda z: functools.reduce(lambda a, b: a * b, z),
    "copy": copy.copy,
    "deepcopy in a container": lambda z: copy.deepcopy({"z": [z]})["z"][0],
    "zip": lambda z: np.stack([a * b for a, b in zip(z, z[::-1], strict=True)]),
    "comparison and branch": lambda z: np.stack([v if v > 1 else v * v for v in z]),
    "Horner in Python": lambda z: functools.reduce(lambda acc, c: acc * z + c, [1.0, 2.0, 3.0]),
    "real scalar on the left": lambda z: np.float64(2.0) * z + np.float32(1.0),
}


@pytest.mark.parametrize("probe", KEEPING.values(), ids=KEEPING)
def test_probe_keeps_derivatives(probe):
    p = np.array([1.0, -2.0, 0.5, 3.0])
    result = probe(mcx.perturb(X, p))
    assert isinstance(result, mcx.Multicomplex)
    h = 2.0**-20
    expected = (np.asarray(probe(X + h * p)) - np.asarray(probe(X - h * p))) / (2 * h)
    np.testing.assert_allclose(result.im(1), expected, rtol=1e-6, atol=1e-8)


def test_lists_of_numbers_given_to_functions_raise_or_keep():
    """np.sum([z0, z1]) dispatches on no argument: it must not return a real."""
    z = number()
    for func in (np.sum, np.prod, np.max, np.mean, np.sort, np.array, np.exp, np.cumsum):
        try:
            result = func([z[0], z[1]])
        except TypeError:
            continue
        assert isinstance(result, mcx.Multicomplex)


def test_one_zero_tangent_does_not_silence_the_others():
    z = mcx.perturb(np.array([1.0, -2.0]), np.array([1.0, 0.0]))
    np.testing.assert_array_equal(np.abs(z).im(1), [1.0, 0.0])
    w = mcx.perturb(np.array([1.0, -2.0]), np.array([0.0, 1.0]))
    np.testing.assert_array_equal(np.abs(w).im(1), [0.0, -1.0])


def test_random_numbers_do_not_take_a_number_for_a_size():
    with pytest.raises(TypeError):
        random.seed(zero()) or random.randrange(zero())


@pytest.mark.parametrize("h", [1e-10, 1e-20, 1e-100, 1e-150])
def test_second_derivative_does_not_vanish_at_small_steps(h):
    """The idempotent representation gives 0 here."""
    z = np.exp(mcx.perturb(1.0, 1.0, 1.0, h=h))
    np.testing.assert_allclose(z.im(1, 2) / h / h, np.e, rtol=1e-15)
    np.testing.assert_allclose(z.im(1) / h, np.e, rtol=1e-15)


@pytest.mark.parametrize(
    ("func", "x", "slope"),
    [
        (np.tanh, 20.0, 4 * np.exp(-40.0)),
        (np.tanh, -20.0, 4 * np.exp(-40.0)),
        (np.tanh, 300.0, 4 * np.exp(-600.0)),
        (np.exp, -700.0, np.exp(-700.0)),
        (np.log1p, 1e-12, 1 / (1 + 1e-12)),
        (np.log1p, -1e-12, 1 / (1 - 1e-12)),
        (np.expm1, 1e-12, np.exp(1e-12)),
        (np.arcsinh, -1e4, 1 / np.sqrt(1e8 + 1)),
        (np.arctanh, 1e-9, 1.0),
        (lambda t: 1 / (1 + np.exp(-t)), -30.0, np.exp(-30.0)),
    ],
)
def test_tails_keep_their_digits(func, x, slope):
    np.testing.assert_allclose(mcx.derivative(func, x), slope, rtol=1e-12)
