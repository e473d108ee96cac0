"""Bad input: a clear error each, which names what was expected, what came, and the remedy."""

import operator
import re

import numpy as np
import pytest
from standin import StandIn

import mcx

X = np.linspace(0.123456, 9.876543, 200).reshape(2, 100)
Z = mcx.perturb(X, np.ones_like(X))
SCALAR = mcx.perturb(2.0, 1.0)


def raises(kind, *parts):
    """Return a context that checks kind and message: all parts present, no array dumped."""
    return _Check(kind, parts)


class _Check:
    def __init__(self, kind, parts):
        self.kind, self.parts = kind, parts

    def __enter__(self):
        self.context = pytest.raises(self.kind)
        self.info = self.context.__enter__()

    def __exit__(self, *exception):
        caught = self.context.__exit__(*exception)
        message = str(self.info.value)
        for part in self.parts:
            assert re.search(part, message), f"{part!r} is not in the message: {message}"
        assert len(message) < 500, "the message is too long; does it dump an array?"
        assert "0.123456" not in message, "the message dumps array contents"
        assert not re.search(r"\[\s*[-\d.]+[ ,]+[-\d.]+[ ,]+[-\d.]+", message), "array contents"
        return caught


CONVERSIONS = {
    "np.asarray": lambda: np.asarray(Z),
    "np.array": lambda: np.array(Z),
    "np.array of a list": lambda: np.array([SCALAR, 1.0]),
    "np.array of numbers": lambda: np.array([SCALAR, SCALAR]),
    "np.asanyarray": lambda: np.asanyarray(Z),
    "np.ascontiguousarray": lambda: np.ascontiguousarray(Z),
    "np.float64": lambda: np.float64(SCALAR),
    "float": lambda: float(SCALAR),
    "int": lambda: int(SCALAR),
    "complex": lambda: complex(SCALAR),
    "operator.index": lambda: operator.index(SCALAR),
    "range": lambda: range(SCALAR),
    "list index": lambda: [1, 2, 3][SCALAR],
    "real[:] = z": lambda: operator.setitem(np.zeros((2, 100)), slice(None), Z),
    "memory": lambda: memoryview(np.asarray(Z)),
}


@pytest.mark.parametrize("convert", CONVERSIONS.values(), ids=CONVERSIONS)
def test_conversion_to_a_plain_number_or_array_raises(convert):
    with raises(mcx.ImplicitConversionError, r"z\.value", "Multicomplex", "order 1", "shape"):
        convert()


@pytest.mark.parametrize(
    "convert",
    [
        lambda: operator.setitem(np.zeros(3), 0, SCALAR),
        lambda: np.fromiter([SCALAR, SCALAR], float),
    ],
)
def test_numpy_wraps_the_error_of_an_element_in_its_own(convert):
    """Here NumPy raises a ValueError of its own, from ours."""
    with pytest.raises((ValueError, TypeError)) as caught:
        convert()
    error = caught.value
    while not isinstance(error, mcx.ImplicitConversionError):
        error = error.__cause__ or error.__context__
    assert "z.value" in str(error)


def test_message_of_conversion_names_the_way_to_build_arrays():
    with raises(mcx.ImplicitConversionError, r"np\.stack\(\[z0, 1\.0\]\)", "np.zeros_like"):
        np.array([SCALAR, 1.0])


class TestWritingIntoRealArrays:
    def test_in_place_operators(self):
        for in_place in (operator.iadd, operator.isub, operator.imul, operator.itruediv):
            a = X.copy()
            with raises(mcx.ImplicitConversionError, "real array", r"a = a \+ z"):
                in_place(a, Z)
            np.testing.assert_array_equal(a, X)

    def test_out_of_ufuncs_and_functions(self):
        out = np.zeros_like(X)
        for call in (
            lambda: np.exp(Z, out=out),
            lambda: np.add(X, Z, out),
            lambda: np.sum(Z, axis=0, out=out[0]),
            lambda: np.concatenate([Z[:1], X[1:]], out=out),
            lambda: np.clip(Z, 0, 1, out=out),
            lambda: np.modf(Z, out=(out, out)),
        ):
            with raises(mcx.ImplicitConversionError, "real array", "np.empty_like"):
                call()
        assert not np.any(out)

    def test_functions_that_write_into_their_argument(self):
        a = X.copy()
        for call in (
            lambda: np.copyto(a, Z),
            lambda: np.put(a, [0], SCALAR),
            lambda: np.place(a, a > 0, Z),
            lambda: np.putmask(a, a > 0, Z),
            lambda: np.fill_diagonal(a, SCALAR),
            lambda: np.add.at(a, 0, SCALAR),
        ):
            with pytest.raises(TypeError):
                call()
        np.testing.assert_array_equal(a, X)


class TestForeignTypes:
    class Foreign:
        """Knows how to combine with anything."""

        __array_ufunc__ = None

        def __radd__(self, other):
            return "foreign"

    class Answering:
        def __array_ufunc__(self, *args, **kwargs):
            return "answered"

        def __array_function__(self, *args, **kwargs):
            return "answered"

    def test_known_to_the_other_type_is_left_to_it(self):
        assert Z + self.Foreign() == "foreign"
        assert np.add(Z, self.Answering()) == "answered"
        assert np.concatenate([Z, self.Answering()]) == "answered"

    @pytest.mark.parametrize("other", ["text", b"bytes", {1: 2}, {1, 2}, object()])
    def test_unknown_to_all_raises_type_error(self, other):
        for op in (operator.add, operator.mul, operator.truediv):
            with pytest.raises(TypeError):
                op(Z, other)
            with pytest.raises(TypeError):
                op(other, Z)

    def test_other_kind_of_buffer_raises(self):
        with pytest.raises(TypeError):
            Z + StandIn.wrap(X)
        with pytest.raises(TypeError):
            StandIn.wrap(X) @ Z

    def test_none_raises(self):
        with pytest.raises(TypeError):
            Z + None


class TestDtypes:
    @pytest.mark.parametrize(
        "x",
        [
            np.array([True, False]),
            np.array([1, "a"], dtype=object),
            np.array(["a", "b"]),
            np.array([1.0, 2.0], dtype=np.float16),
            np.array([1.0, 2.0], dtype=np.longdouble),
            np.array([1.0, 2.0], dtype=np.clongdouble),
            np.array(["2020-01-01", "2020-01-02"], dtype="datetime64[D]"),
            np.zeros(2, dtype=[("a", float)]),
        ],
        ids=lambda x: str(x.dtype),
    )
    def test_other_types_of_coefficients_are_refused(self, x):
        message = ("expected float32, float64, complex64 or complex128", re.escape(str(x.dtype)))
        for call in (
            lambda: mcx.perturb(x, x),
            lambda: mcx.perturb(np.ones(2), x),
            lambda: mcx.derivative(np.sin, x),
            lambda: mcx.gradient(np.sum, x),
            lambda: mcx.linearize(np.sin, x),
        ):
            with raises(TypeError, *message):
                call()

    @pytest.mark.parametrize("kind", [np.int8, np.int64, np.uint16])
    def test_integers_are_promoted(self, kind):
        z = mcx.perturb(np.array([1, 2], kind), np.array([1, 1], kind))
        assert z.dtype == np.float64

    def test_operand_of_another_type_is_refused_or_promoted(self):
        assert (Z * np.ones(100, bool)).dtype == np.float64
        assert (Z * np.ones(100, np.int8)).dtype == np.float64
        with pytest.raises(TypeError):
            Z + np.array(["a"] * 100)

    def test_conversion_to_integers_is_piecewise_constant(self):
        for dtype in (bool, int, np.uint8):
            for result in (Z.astype(dtype), np.astype(Z, dtype)):
                assert not isinstance(result, mcx.Multicomplex)
                np.testing.assert_array_equal(result, X.astype(dtype))
            value, lin = mcx.linearize(lambda x, d=dtype: x.astype(d) * x, X)
            np.testing.assert_array_equal(value, X.astype(dtype) * X)
            np.testing.assert_array_equal(lin(X), X.astype(dtype) * X)

    def test_conversion_to_another_type_is_refused(self):
        for dtype in (object, np.float16, np.longdouble, "U3"):
            with raises(TypeError, "float32, float64, complex64 or complex128"):
                Z.astype(dtype)

    def test_conversion_to_another_type_is_refused_in_a_recording(self):
        for call in (
            lambda x: x.astype(np.float16),
            lambda x: np.sum(x, dtype=int),
            lambda x: x.astype(object),
        ):
            with raises(TypeError, "float32, float64, complex64 or complex128"):
                mcx.linearize(call, X)

    @pytest.mark.parametrize("dtype", [object, int, np.longdouble, np.float16, "U3"])
    def test_dtype_of_a_function_is_named(self, dtype):
        calls = {
            "numpy.sum": lambda x: np.sum(x, dtype=dtype),
            "numpy.mean": lambda x: np.mean(x, None, dtype),
            "numpy.cumsum": lambda x: np.cumsum(x, 0, dtype),
            "numpy.trace": lambda x: np.trace(x, dtype=dtype),
            "numpy.linalg.trace": lambda x: np.linalg.trace(x, dtype=dtype),
            "numpy.concatenate": lambda x: np.concatenate([x, x], dtype=dtype),
            "numpy.linspace": lambda x: np.linspace(x, 1.0, 3, dtype=dtype),
            "numpy.einsum": lambda x: np.einsum("ij,ij", x, x, dtype=dtype),
            "accumulate": lambda x: np.add.accumulate(x, dtype=dtype),
        }
        expected = "dtype: expected float32, float64, complex64 or complex128"
        for name, call in calls.items():
            message = (re.escape(name), expected, re.escape(f"got {np.dtype(dtype)}"), "z.value")
            with raises(TypeError, *message):
                call(Z)
            with raises(TypeError, *message):
                mcx.linearize(call, X)


class TestDirections:
    @pytest.mark.parametrize("p", [np.ones(100), np.ones((100, 2)), 1.0, np.ones((1, 2, 100))])
    def test_shape_that_does_not_match_is_refused(self, p):
        got = re.escape(str(np.shape(p)))
        for call in (
            lambda: mcx.perturb(X, p),
            lambda: mcx.perturb(X, X, p),
            lambda: mcx.jvp(np.sin, X, p),
            lambda: mcx.taylor(np.sin, X, p, order=2),
            lambda: mcx.directional(np.sin, X, p),
            lambda: mcx.csdd(np.sin, X, p),
            lambda: mcx.csdd2(np.sum, X, p),
            lambda: mcx.finite_difference(np.sin, X, p),
        ):
            with raises(ValueError, r"expected shape \(2, 100\)", f"got {got}"):
                call()

    def test_message_names_which_direction(self):
        with raises(ValueError, "direction 2"):
            mcx.perturb(X, X, np.ones(3))
        with raises(ValueError, "direction 3"):
            mcx.directional(np.sin, X, X, X, np.ones(3))

    def test_no_direction_is_refused(self):
        for call in (
            lambda: mcx.perturb(X),
            lambda: mcx.perturb(X, None),
            lambda: mcx.directional(np.sin, X),
        ):
            with raises(ValueError, "at least one direction", "none"):
                call()


@pytest.mark.parametrize("order", [0, -1, -3, 1.5])
def test_order_below_one_is_refused(order):
    for call in (
        lambda: mcx.derivative(np.sin, 1.0, order),
        lambda: mcx.taylor(np.sin, 1.0, 1.0, order=order),
    ):
        with raises(ValueError, "order: expected an integer of at least 1", str(order)):
            call()


@pytest.mark.parametrize("order", [0, -1])
def test_order_of_units_and_steps_is_at_least_one(order):
    with raises(ValueError, "order"):
        mcx.step(float, order)
    with raises(ValueError, "order"):
        mcx.unit(1, order)


def test_step_that_is_not_positive_is_refused():
    for h in (0.0, -1e-8, np.nan):
        with raises(ValueError, "h: expected a positive step"):
            mcx.perturb(1.0, 1.0, h=h)
        with raises(ValueError, "h: expected a positive step"):
            mcx.finite_difference(np.sin, 1.0, h=h)


def test_unknown_scheme_is_refused():
    with raises(ValueError, "'central' or 'forward'", "'backward'"):
        mcx.finite_difference(np.sin, 1.0, scheme="backward")


@pytest.mark.parametrize("units", [(2,), (0,), (-1,), (1, 1), (1, 2)])
def test_unit_that_does_not_exist_is_refused(units):
    with raises(mcx.AlgebraError, "distinct units", "mcx.perturb"):
        Z.im(*units)


def test_number_of_planes_must_fit_the_algebra():
    with raises(mcx.AlgebraError, "expected 2 planes", "got 3"):
        mcx.Multicomplex(np.zeros((3, 4)), Z.algebra)


def test_errors_have_the_builtin_kinds_as_bases():
    assert issubclass(mcx.UnsupportedFunctionError, TypeError)
    assert issubclass(mcx.ImplicitConversionError, TypeError)
    assert issubclass(mcx.AlgebraError, ValueError)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: np.bitwise_and(Z, 1), "numpy.bitwise_and"),
        (lambda: np.gcd(Z, 2), "numpy.gcd"),
        (lambda: np.packbits(Z), "numpy.packbits"),
        (lambda: np.array_str(Z), "numpy.array_str"),
        (lambda: np.save("nowhere", Z), "numpy.save"),
        (lambda: Z & 1, "numpy.bitwise_and"),
        (lambda: ~Z, "numpy.invert"),
    ],
)
def test_unsupported_function_names_itself_order_shape_and_remedy(call, name):
    with raises(mcx.UnsupportedFunctionError, re.escape(name), "order 1", r"\(2, 100\)", "z.value"):
        call()


def test_keywords_without_a_rule_raise_and_are_not_ignored():
    for call in (lambda: np.add(Z, 1.0, signature="dd->d"),):
        with pytest.raises(TypeError):
            call()


def test_shape_errors_are_those_of_numpy_without_contents():
    with raises(ValueError, "broadcast|shape"):
        Z + np.ones(7)
    with raises(ValueError, "matmul|mismatch|shape"):
        Z @ Z
    with raises(ValueError, "reshape|shape"):
        Z.reshape(7, 7)
    with raises(ValueError, "axis"):
        np.sum(Z, axis=2)


@pytest.mark.parametrize(
    "call",
    [np.max, np.min, np.nanmax, np.fmin.reduce, np.maximum.reduce, lambda x: np.max(x, axis=0)],
)
def test_extremum_of_nothing_is_the_error_of_numpy(call):
    x = np.empty((0, 3))
    with pytest.raises(ValueError, match="zero-size array to reduction") as numpys:
        call(x)
    for attempt in (lambda: call(mcx.perturb(x, x)), lambda: mcx.linearize(call, x)):
        with raises(ValueError, re.escape(str(numpys.value))):
            attempt()
