"""Nothing loses derivatives in silence: each probe raises or keeps them (style, section 3)."""

import copy
import functools
import importlib
import random
import types

import numpy as np
import pytest
from core import doors, probes

import mcx
from mcx.surface import Surface

X = np.array([0.5, 1.25, 2.0, 3.5])

# What a walk leaves out, by namespace, and why.
SKIPPED_EVERYWHERE = {
    "test": "runs the tests of the package",
    "__dlpack__": "hands the memory of an array over",
    "__class_getitem__": "makes a type annotation",
}
NEW_AXES = "gives coefficients of several dimensions new axes only where x is an ndarray"
SKIPPED = {
    "numpy": {
        "empty_like": "its elements are not set",
        "setbufsize": "sets a global state",
        "bmat": "returns None for what is no ndarray",
    },
    "numpy.polynomial.polynomial": dict.fromkeys(("polyval", "polyvalfromroots"), NEW_AXES),
    "numpy.polynomial.chebyshev": dict.fromkeys(("chebval", "chebgrid2d"), NEW_AXES),
    "numpy.polynomial.hermite": dict.fromkeys(("hermval", "hermgrid2d"), NEW_AXES),
    "numpy.ma": {"empty_like": "its elements are not set"},
    "builtins": dict.fromkeys(
        ("input", "breakpoint", "exit", "quit", "help", "exec", "eval", "compile", "open"),
        "talks to the terminal, runs a text or opens a file",
    )
    | {"property": "holds a function"},
    "functools": dict.fromkeys(
        ("GenericAlias", "RLock", "cached_property", "cmp_to_key"),
        "holds a function, a type or a lock",
    ),
    "operator": {"itemgetter": "holds an index"},
    "numpy.random": {
        "set_bit_generator": "sets a global state",
        "shuffle": "warns that it cannot shuffle what is no ndarray",
    },
    "scipy.fft": {"set_global_backend": "sets a global state"},
    "scipy.signal": {"choose_conv_method": "returns measured seconds"},
    "scipy.ndimage": dict.fromkeys(
        ("binary_closing", "binary_dilation", "binary_erosion", "binary_fill_holes",
         "binary_hit_or_miss", "binary_opening", "binary_propagation", "label",
         "distance_transform_edt"),
        "ignores an array to write to that is no ndarray: of truth values, counts, distances of x",
    ),
    "scipy.optimize": {"golden": "compares values and nothing else, like any bisection"},
    "scipy.special": {"lambertw": "its third argument is a tolerance, and its values are as rough"},
    "scipy.stats.qmc": {"MultivariateNormalQMC": "draws random numbers"},
}  # fmt: skip
PYTHON = (
    "builtins", "builtins.float", "builtins.list", "math", "cmath", "statistics", "operator",
    "itertools", "functools", "copy", "random", "fractions", "decimal", "json", "array", "struct",
)  # fmt: skip
NUMPY = (
    "numpy", "numpy.ndarray", "numpy.float64", "numpy.complex128", "numpy.linalg", "numpy.fft",
    "numpy.ma", "numpy.ma.MaskedArray", "numpy.matrix", "numpy.random", "numpy.polynomial",
    "numpy.polynomial.polynomial", "numpy.polynomial.chebyshev", "numpy.polynomial.hermite",
    "numpy.emath", "numpy.lib", "numpy.lib.stride_tricks", "numpy.lib.array_utils",
    "numpy.lib.recfunctions", "numpy.strings", "numpy.char", "numpy.rec", "numpy.testing",
    "numpy.ctypeslib",
)  # fmt: skip
SCIPY = (
    "scipy.special", "scipy.linalg", "scipy.linalg.interpolative", "scipy.fft", "scipy.signal",
    "scipy.signal.windows", "scipy.ndimage", "scipy.integrate", "scipy.interpolate",
    "scipy.optimize", "scipy.sparse", "scipy.sparse.linalg", "scipy.sparse.csgraph",
    "scipy.spatial", "scipy.spatial.distance", "scipy.spatial.transform",
    "scipy.cluster.hierarchy", "scipy.cluster.vq", "scipy.constants", "scipy.io", "scipy.stats",
    "scipy.stats.norm", "scipy.stats.mstats", "scipy.stats.contingency", "scipy.stats.qmc",
    "scipy.fftpack",
)  # fmt: skip


def namespace(name):
    """Return a module, or an attribute of one."""
    try:
        return importlib.import_module(name)
    except ImportError:
        module, _, attribute = name.rpartition(".")
        return getattr(importlib.import_module(module), attribute)


def walked(name):
    """Return the functions of a namespace to call; distributions have one representative."""
    found = doors.functions_of(namespace(name), {*SKIPPED_EVERYWHERE, *SKIPPED.get(name, ())})
    if name == "scipy.stats":
        plain = (type, types.FunctionType)
        found = {key: func for key, func in found.items() if isinstance(func, plain)}
    return found


@pytest.mark.parametrize("name", [*PYTHON, *NUMPY, *SCIPY])
def test_whole_namespace_raises_or_keeps_derivatives(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert doors.losses(walked(name)) == {}


def scalar(shift):
    return [doors.number(np.array(0.6875 + shift))], {}


EVERY_PROBE = {**probes.PROBES, **probes.DISPATCHING}


@pytest.mark.parametrize("probe", EVERY_PROBE.values(), ids=EVERY_PROBE)
def test_probe_raises(probe):
    with pytest.raises(doors.RaisedError):
        doors.wrong(scalar, probe)


@pytest.fixture
def leaky(monkeypatch):
    """Make numbers convert to plain ones in silence, as a careless array type does."""

    def array(self, dtype=None, copy=None):
        return np.array(self.value, dtype=dtype)

    monkeypatch.setattr(Surface, "__array__", array)
    for kind in (float, int, complex):
        monkeypatch.setattr(Surface, f"__{kind.__name__}__", lambda self, k=kind: k(self.value))
    monkeypatch.setattr(Surface, "__format__", lambda self, spec: format(float(self.value), spec))


@pytest.mark.usefixtures("leaky")
@pytest.mark.parametrize("probe", probes.PROBES.values(), ids=probes.PROBES)
def test_probe_is_a_door(probe):
    """Were numbers to convert in silence, the probe would lose the derivative and show it."""
    assert "a tangent 0+0j where differences are" in doors.wrong(scalar, probe)


@pytest.mark.usefixtures("leaky")
@pytest.mark.parametrize(
    ("name", "count"),
    [("math", 30), ("numpy.ma", 40), ("numpy.random", 20), ("scipy.linalg", 40), ("scipy.fft", 20)],
)
def test_walk_finds_losses(name, count):
    assert len(doors.losses(walked(name))) >= count


def _scaled_in_place(a, z):
    a *= z.value


@pytest.mark.parametrize(
    "func",
    [
        lambda z: z.value,
        lambda z: [z, {"x": (1, z.value * 2)}],
        lambda a, b=1.0: a * float(b.value),
        lambda z: functools.partial(print, z.value),
        lambda z: (lambda: x) if (x := z.value) is not None else None,
        lambda z: (v.value for v in z),
        lambda z: z * z.value,
        lambda z: np.array([z.value, None], dtype=object),
        lambda f, t: f(t).value,
        _scaled_in_place,
    ],
)
def test_walk_sees_every_kind_of_loss(func):
    assert "where differences are" in doors.lost(func)


@pytest.mark.parametrize("func", [lambda z: z * z, lambda z: np.floor(z), lambda z, a: [z, a]])
def test_walk_passes_what_keeps_derivatives(func):
    assert doors.lost(func) is None


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
    z = doors.number(X)
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
        random.seed(doors.number(X[0])) or random.randrange(doors.number(X[0]))


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
