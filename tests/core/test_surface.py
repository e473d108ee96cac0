"""The public surface of numpy.ndarray: every name is supported (and agrees) or refused."""

import copy
import operator
import pickle

import numpy as np
import pytest
from core.builders import filled
from core.checkers import host, leaves

import mcx

X = np.array([[0.5, -1.25, 2.0, 0.875], [1.5, 0.25, -0.75, 3.0], [-2.0, 1.0, -3.5, 0.125]])


def number(x=X, wrap=np.array):
    rng = np.random.default_rng(5)
    return filled(np.stack([x, *rng.normal(size=(3, *x.shape))]), wrap)


# Methods and attributes with derivatives: a call that works on an ndarray and on a number.
WITH_DERIVATIVES = {
    "T": lambda a: a.T,
    "mT": lambda a: a.mT,
    "astype": lambda a: a.astype(np.float32),
    "clip": lambda a: a.clip(-1, 1),
    "compress": lambda a: a.compress([True, False, True], axis=0),
    "conj": lambda a: a.conj(),
    "conjugate": lambda a: a.conjugate(),
    "copy": lambda a: a.copy(),
    "cumprod": lambda a: a.cumprod(axis=1),
    "cumsum": lambda a: a.cumsum(axis=1),
    "diagonal": lambda a: a.diagonal(1),
    "dot": lambda a: a.dot(a.T),
    "flatten": lambda a: a.flatten(),
    "imag": lambda a: a.imag,
    "max": lambda a: a.max(axis=0),
    "mean": lambda a: a.mean(0, keepdims=True),
    "min": lambda a: a.min(),
    "prod": lambda a: a.prod(axis=1),
    "ravel": lambda a: a.ravel(),
    "real": lambda a: a.real,
    "repeat": lambda a: a.repeat(2, axis=1),
    "reshape": lambda a: a.reshape(4, 3),
    "round": lambda a: a.round(1),
    "squeeze": lambda a: a[:, :1].squeeze(),
    "std": lambda a: a.std(axis=1),
    "sum": lambda a: a.sum(0),
    "swapaxes": lambda a: a.swapaxes(0, 1),
    "take": lambda a: a.take([1, -1], axis=1),
    "trace": lambda a: a.trace(),
    "transpose": lambda a: a.transpose(1, 0),
    "var": lambda a: a.var(ddof=1),
}

# Those that answer from the value plane.
FROM_VALUE = {
    "all": lambda a: a.all(axis=0),
    "any": lambda a: a.any(),
    "argmax": lambda a: a.argmax(axis=1),
    "argmin": lambda a: a.argmin(),
    "argsort": lambda a: a.argsort(axis=0),
    "argpartition": lambda a: a.argpartition(1),
    "device": lambda a: a.device,
    "dtype": lambda a: a.dtype,
    "flags": lambda a: a.flags.c_contiguous,
    "itemsize": lambda a: a.itemsize,
    "ndim": lambda a: a.ndim,
    "nonzero": lambda a: a.nonzero(),
    "searchsorted": lambda a: a[0].searchsorted([0.3]),
    "shape": lambda a: a.shape,
    "size": lambda a: a.size,
    "strides": lambda a: a.strides,
}

# Those with a meaning of their own, tested in the tests named.
OWN = {
    "fill": "test_fill_assigns_a_constant",
    "flat": "test_writing.py",
    "nbytes": "test_nbytes_counts_all_planes",
    "partition": "test_writing.py",
    "put": "test_writing.py",
    "sort": "test_writing.py",
    "choose": "test_method_without_a_rule_raises",
}

# Names that NumPy 2.0 still lists only to say that they are gone have no attribute; `tostring`,
# removed in 2.3, is `tobytes`.
PUBLIC = [
    name
    for name in dir(np.ndarray)
    if not name.startswith("_") and name != "tostring" and hasattr(np.eye(2), name)
]


@pytest.mark.parametrize("name", PUBLIC)
def test_name_is_supported_or_refused_by_message(name):
    if name in {**WITH_DERIVATIVES, **FROM_VALUE, **OWN}:
        assert hasattr(mcx.Multicomplex, name)
        return
    with pytest.raises(mcx.UnsupportedFunctionError, match=name):
        getattr(number(), name)()


@pytest.mark.parametrize("name", PUBLIC)
def test_recorded_number_has_the_same_surface(name):
    """As the argument of linearize: the same names agree with ndarray, the others refuse."""
    seen = []

    def f(x):
        if name in {**WITH_DERIVATIVES, **FROM_VALUE}:
            seen.append({**WITH_DERIVATIVES, **FROM_VALUE}[name](x))
        elif name not in OWN:
            with pytest.raises(mcx.UnsupportedFunctionError, match=name):
                getattr(x, name)()
        return x

    mcx.linearize(f, X)
    for result in seen:
        expected = {**WITH_DERIVATIVES, **FROM_VALUE}[name](X)
        if name in WITH_DERIVATIVES:
            assert not isinstance(result, np.ndarray)
            assert result.dtype == expected.dtype
            result = result.value
        for one, other in zip(leaves(result), leaves(expected), strict=True):
            np.testing.assert_array_equal(one, other)


def test_tables_name_only_what_ndarray_has():
    assert set(WITH_DERIVATIVES) | set(FROM_VALUE) | set(OWN) <= set(PUBLIC)


@pytest.mark.parametrize("name", WITH_DERIVATIVES)
def test_method_agrees_with_ndarray(name):
    call = WITH_DERIVATIVES[name]
    result, expected = call(number()), call(X)
    assert isinstance(result, mcx.Multicomplex)
    assert result.dtype == expected.dtype
    np.testing.assert_array_equal(result.value, expected)


@pytest.mark.parametrize("name", FROM_VALUE)
def test_answer_agrees_with_ndarray(name):
    call = FROM_VALUE[name]
    result, expected = call(number()), call(X)
    assert type(result) is type(expected)
    for one, other in zip(leaves(result), leaves(expected), strict=True):
        np.testing.assert_array_equal(one, other)


LINEAR_METHODS = (
    "T", "mT", "compress", "conj", "copy", "cumsum", "diagonal", "flatten", "mean", "ravel",
    "real", "imag", "repeat", "reshape", "squeeze", "sum", "swapaxes", "take", "trace", "transpose",
)  # fmt: skip


@pytest.mark.parametrize("name", LINEAR_METHODS)
def test_linear_method_acts_on_every_plane(name, wrap):
    call, z = WITH_DERIVATIVES[name], number(wrap=wrap)
    for plane, result in zip(host(z.planes), host(call(z).planes), strict=True):
        np.testing.assert_array_equal(result, call(plane))


def test_method_without_a_rule_raises():
    """They can move to the tables above, and only there."""
    with pytest.raises(mcx.UnsupportedFunctionError, match="choose"):
        number().choose([X, X])


def test_fill_assigns_a_constant():
    z = number()
    z.fill(2.5)
    np.testing.assert_array_equal(z.value, np.full_like(X, 2.5))
    assert not np.any(z.planes[1:])


def test_nbytes_counts_all_planes():
    assert number().nbytes == 4 * X.nbytes


def test_reshape_takes_what_ndarray_takes():
    z = number()
    for shape in ((-1,), (2, 6), ((2, 6),), ([4, 3],)):
        assert z.reshape(*shape).shape == X.reshape(*shape).shape
    for axes in ((), (None,), (1, 0), ((1, 0),)):
        np.testing.assert_array_equal(z.transpose(*axes).value, X.transpose(*axes))


def test_astype_converts_every_plane():
    z = number().astype(np.float32)
    assert z.dtype == z.planes.dtype == np.float32
    assert number().astype(np.complex128).planes.dtype == np.complex128


def test_conversion_between_protocols(wrap):
    z = number(wrap=wrap)
    for again in (pickle.loads(pickle.dumps(z)), copy.copy(z), copy.deepcopy(z), z.copy()):
        assert again.algebra is z.algebra
        np.testing.assert_array_equal(host(again.planes), host(z.planes))
        again[0, 0] = 7.0
        assert float(z.value[0, 0]) == 0.5


def test_pickled_number_keeps_working_with_its_original():
    z = number()
    total = z + pickle.loads(pickle.dumps(z))
    np.testing.assert_array_equal(total.planes, 2 * z.planes)


def test_recorded_number_cannot_leave_its_recording_as_bytes():
    with pytest.raises(mcx.ImplicitConversionError, match=r"pickle.*z\.value"):
        mcx.linearize(lambda x: pickle.loads(pickle.dumps(x)) * x, X)
    _, lin = mcx.linearize(lambda x: copy.deepcopy([x])[0] * x, X)
    np.testing.assert_array_equal(lin(X), 2 * X * X)


def test_shape_and_dtype_cannot_be_set():
    z = number()
    for name, item in (("shape", (X.size,)), ("dtype", np.dtype(np.float32))):
        with pytest.raises(AttributeError):
            setattr(z, name, item)


@pytest.mark.parametrize("order", ["C", "F", "A", "K"])
def test_copy_in_every_memory_order(order):
    for z in (number(), number(np.asfortranarray(X))):
        copied = z.copy(order)
        np.testing.assert_array_equal(copied.planes, z.planes)
        assert not np.shares_memory(copied.planes, z.planes)
        assert copied.flags.f_contiguous == z.value.copy(order).flags.f_contiguous


def test_equality_with_what_is_no_number_is_that_of_the_value():
    z, recorded = number(), []
    mcx.linearize(lambda x: recorded.append(x) or x, X)
    for x in (z, recorded[0]):
        for other in ("name", None, X, X[0].tolist(), 2.0, z, x):
            plain = X if mcx.dispatch.is_number(other) else other
            for same in (operator.eq, operator.ne):
                np.testing.assert_array_equal(same(x, other), same(X, plain))


def test_format_specification_names_the_remedy():
    z = mcx.perturb(2.0, 1.0)
    assert f"{z}" == str(z)
    with pytest.raises(mcx.ImplicitConversionError, match=r"'\.3f'.*z\.value"):
        f"{z:.3f}"


def test_repr_shows_order_shape_dtype_and_value():
    text = repr(mcx.perturb(np.array([1.0, 2.0], np.float32), np.ones(2, np.float32)))
    for part in ("order=1", "shape=(2,)", "float32", "1. 2."):
        assert part in text
    assert "exact" in repr(mcx.unit(1, 2))
    assert "shape=()" in repr(mcx.perturb(1.0, 1.0))
    assert len(repr(mcx.perturb(np.zeros(10**5), np.zeros(10**5)))) < 1000


def test_length_iteration_and_membership():
    z = number()
    assert len(z) == 3
    rows = list(z)
    assert all(isinstance(row, mcx.Multicomplex) for row in rows)
    np.testing.assert_array_equal(np.stack(rows).planes, z.planes)
    first, *_ = z
    np.testing.assert_array_equal(first.planes, z.planes[:, 0])
    assert 3.0 in z
    assert 17.0 not in z
    with pytest.raises(TypeError, match="len"):
        len(z[0, 0])
    with pytest.raises(TypeError, match="iteration"):
        iter(z[0, 0])


def test_truth_is_that_of_the_value():
    z = mcx.perturb(np.array([0.0, 2.0]), np.array([1.0, 0.0]))
    assert not z[0]
    assert z[1]
    with pytest.raises(ValueError, match="ambiguous"):
        bool(z)


def test_is_not_hashable_as_ndarray():
    with pytest.raises(TypeError, match="unhashable"):
        hash(number())


def test_neither_cuda_attribute_exists():
    """Else CuPy would take a number for an array of its own and never ask our rules."""
    for name in ("__cuda_array_interface__", "__cupy_get_ndarray__", "__array_interface__"):
        assert not hasattr(mcx.Multicomplex, name)
    assert mcx.Multicomplex.__array_priority__ > 100
