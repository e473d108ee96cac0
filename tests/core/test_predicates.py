"""Functions answered from the value plane, piecewise constants, and creation by example."""

import numpy as np
import pytest
from core.builders import filled
from core.checkers import host

import mcx

X = np.array([-2.5, -1.0, 0.0, 0.75, 1.0, 3.0])
Y = np.array([1.0, -1.0, 2.0, 0.75, -4.0, 0.5])


def number(x=X, seed=0):
    """Return a number of order 2 with all planes filled."""
    rng = np.random.default_rng(seed)
    return filled(np.stack([x, *rng.normal(size=(3, *x.shape))]))


COMPARISONS = (
    np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal,
    np.logical_and, np.logical_or, np.logical_xor,
)  # fmt: skip


@pytest.mark.parametrize("ufunc", COMPARISONS, ids=lambda u: u.__name__)
def test_comparison_sees_the_value_plane_only(ufunc):
    z, w = number(), number(Y, 1)
    for result in (ufunc(z, w), ufunc(X, w), ufunc(z, Y)):
        assert isinstance(result, np.ndarray)
        np.testing.assert_array_equal(result, ufunc(X, Y))
    np.testing.assert_array_equal(ufunc(z, 0.75), ufunc(X, 0.75))


@pytest.mark.parametrize(
    "ufunc", [np.isfinite, np.isinf, np.isnan, np.signbit, np.logical_not], ids=lambda u: u.__name__
)
def test_predicate_sees_the_value_plane_only(ufunc):
    x = np.array([np.nan, -np.inf, np.inf, 0.0, -0.0, 2.0])
    np.testing.assert_array_equal(ufunc(number(x)), ufunc(x))


def test_predicate_ignores_what_is_not_finite_in_other_planes():
    z = number()
    z.planes[1:] = np.nan
    assert np.isfinite(z).all()
    assert not np.isnan(z).any()


@pytest.mark.parametrize(
    "call",
    [
        lambda x: np.heaviside(x, 0.5),
        lambda x: np.round(x, 1),
        lambda x: np.around(x),
        lambda x: np.fix(x),
        np.sign,
        np.floor,
        np.ceil,
        np.trunc,
        np.rint,
    ],
)
def test_piecewise_constant_has_derivative_exactly_zero(call):
    z = number(X + 0.1)
    y = call(z) if call is not round else np.round(z)
    np.testing.assert_array_equal(
        y.value, call(X + 0.1) if call is not round else np.round(X + 0.1)
    )
    assert not np.any(y.planes[1:])


def test_functions_with_two_results():
    z = number(X + 0.1)
    fraction, whole = np.modf(z)
    np.testing.assert_array_equal(fraction.value, np.modf(X + 0.1)[0])
    np.testing.assert_array_equal(whole.value, np.modf(X + 0.1)[1])
    np.testing.assert_array_equal(fraction.planes[1:], z.planes[1:])
    assert not np.any(whole.planes[1:])
    quotient, rest = divmod(z, 0.75)
    np.testing.assert_array_equal(quotient.value, divmod(X + 0.1, 0.75)[0])
    np.testing.assert_array_equal(rest.value, divmod(X + 0.1, 0.75)[1])
    np.testing.assert_array_equal(rest.planes[1:], z.planes[1:])
    assert not np.any(quotient.planes[1:])


def test_ldexp_scales_every_plane():
    z = number()
    np.testing.assert_array_equal(np.ldexp(z, 3).planes, 8 * z.planes)


@pytest.mark.parametrize(
    ("create", "expected"),
    [
        (lambda z: np.zeros((2, 3), like=z), np.zeros((2, 3))),
        (lambda z: np.ones((2, 3), like=z), np.ones((2, 3))),
        (lambda z: np.full((2, 3), 4.0, like=z), np.full((2, 3), 4.0)),
        (lambda z: np.eye(3, like=z), np.eye(3)),
        (lambda z: np.identity(3, like=z), np.identity(3)),
        (lambda z: np.zeros_like(z), np.zeros(6)),
        (lambda z: np.ones_like(z), np.ones(6)),
        (lambda z: np.full_like(z, 4.0), np.full(6, 4.0)),
        (lambda z: np.zeros_like(z, shape=(2, 2)), np.zeros((2, 2))),
        (lambda z: np.zeros_like(z, dtype=np.float32), np.zeros(6, np.float32)),
    ],
)
def test_creation_by_example_is_a_constant_that_holds_derivatives(create, expected):
    z = number()
    made = create(z)
    assert isinstance(made, mcx.Multicomplex)
    assert made.dtype == expected.dtype
    np.testing.assert_array_equal(made.value, expected)
    assert not np.any(made.planes[1:])
    made[0] = z[0]
    np.testing.assert_array_equal(made.reshape(-1)[0].planes, z[0].planes.astype(made.dtype))


def test_empty_by_example_holds_derivatives(wrap):
    z = mcx.perturb(wrap(X), wrap(Y))
    for made in (np.empty_like(z), np.empty(6, like=z)):
        made[...] = z
        np.testing.assert_array_equal(host(made.planes), host(z.planes))


def test_where_of_a_condition_alone_gives_indices():
    (indices,) = np.where(number())
    np.testing.assert_array_equal(indices, np.where(X)[0])


def test_min_scalar_type_tells_the_type_of_the_value():
    assert np.min_scalar_type(number()) == np.float64
