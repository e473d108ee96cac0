"""Every supported NumPy function: value, dtype, first and second derivatives, structure."""

import itertools

import numpy as np
import pytest
from core import (
    calls_calculus,
    calls_domains,
    calls_equations,
    calls_factorizations,
    calls_fourier,
    calls_making,
    calls_mathematics,
    calls_ordering,
    calls_polynomials,
    calls_statistics,
    calls_structure,
    calls_writing,
)
from core.calls import point
from core.checkers import assert_near, check_call, directions, host, host_tree, leaves
from core.oracles import along
from standin import StandIn

import mcx
from mcx import dispatch

CHAPTERS = (
    calls_calculus,
    calls_domains,
    calls_equations,
    calls_factorizations,
    calls_fourier,
    calls_making,
    calls_ordering,
    calls_polynomials,
    calls_statistics,
    calls_writing,
)
DERIVATIVES = (
    *calls_structure.MANIPULATION,
    *calls_structure.SELECTION,
    *calls_mathematics.REDUCTIONS,
    *calls_mathematics.PRODUCTS,
    *calls_mathematics.UFUNC_METHODS,
    *(call for chapter in CHAPTERS for call in chapter.DERIVATIVES),
)
VALUES = (
    *calls_mathematics.VALUES,
    *(call for chapter in CHAPTERS for call in chapter.VALUES),
)


def supported(table):
    """Return the rows whose function has a rule, as parameters of a test."""
    rows = [call for call in table if dispatch.classify(call.func) != "refused"]
    return pytest.mark.parametrize("call", rows, ids=str)


def refused(table):
    """Return the rows whose function is refused (not yet, or for good)."""
    rows = [call for call in table if dispatch.classify(call.func) == "refused"]
    return pytest.mark.parametrize("call", rows, ids=str)


@supported(DERIVATIVES)
def test_value_and_derivatives(call, dtype, rng):
    check_call(call, dtype, rng)


CURVED = [c for c in DERIVATIVES if dispatch.classify(c.func) not in ("refused", "linear")]


@pytest.mark.parametrize("call", CURVED, ids=str)
def test_orders_three_and_four(call, rng):
    """Against lower orders: planes of at most two units, then differences of the plane i_1 i_2."""
    x = point(call.shape, np.float64, call.positive)
    p = directions(rng, x, 4)
    full = leaves(call.run(mcx.perturb(x, *p)))

    def second(at, a, b):
        """Return the plane of units a and b, as if there were no others, for all results."""
        z = mcx.perturb(at, p[a - 1], p[b - 1])
        return [y.im(1, 2) for y in leaves(call.run(z))]

    step = 2.0**-8
    for k, y in enumerate(full):
        for a, b in itertools.combinations((1, 2, 3, 4), 2):
            assert_near(y.im(a, b), second(x, a, b)[k], 1e-13)
            c = min({1, 2, 3, 4} - {a, b})
            third = along(lambda t, a=a, b=b, c=c, k=k: second(x + t * p[c - 1], a, b)[k], step)
            assert_near(y.im(a, b, c), third, 1e-10)
        fourth = along(
            lambda s, k=k: along(lambda t, s=s: second(x + t * p[2] + s * p[3], 1, 2)[k], step),
            step,
        )
        assert_near(y.im(1, 2, 3, 4), fourth, 1e-7)


@supported([c for c in DERIVATIVES if c.standin])
def test_stand_in_agrees(call, rng):
    x = point(call.shape, np.float64, call.positive)
    p, q = directions(rng, x)
    expected = call.run(mcx.perturb(x, p, q))
    result = call.run(mcx.perturb(*map(StandIn.wrap, (x, p, q))))
    for y, z in zip(leaves(result), leaves(expected), strict=True):
        assert isinstance(y.planes, StandIn)
        np.testing.assert_array_equal(host(y.planes), z.planes)


@supported(VALUES)
def test_answers_from_the_value_plane(call, dtype, rng):
    x = point(call.shape, dtype)
    z = mcx.perturb(x, *directions(rng, x))
    result, expected = call.run(z), call.run(x)
    assert type(result) is type(expected)
    for y, value in zip(leaves(result), leaves(expected), strict=True):
        np.testing.assert_array_equal(y, value)


@supported([c for c in VALUES if c.standin])
def test_stand_in_answers(call):
    x = point(call.shape, np.float64)
    z = mcx.perturb(StandIn.wrap(x), StandIn.wrap(np.ones_like(x)))
    for y, value in zip(leaves(call.run(z)), leaves(call.run(x)), strict=True):
        np.testing.assert_array_equal(host_tree(y), value)


@refused(DERIVATIVES + VALUES)
def test_refused_raises_by_name(call, rng):
    x = point(call.shape, np.float64, call.positive)
    with pytest.raises(mcx.UnsupportedFunctionError, match=call.func.__name__):
        call.run(mcx.perturb(x, *directions(rng, x)))


def is_homogeneous(call):
    """Tell whether a row is linear in x without a constant part (padding with 3, say)."""
    if dispatch.classify(call.func) != "linear":
        return False
    x = point(call.shape, np.float64, call.positive)
    pairs = zip(leaves(call.run(-2.0 * x)), leaves(call.run(x)), strict=True)
    return all(np.array_equal(y, -2.0 * z) for y, z in pairs)


HOMOGENEOUS = [
    call
    for call in (*calls_structure.MANIPULATION, *calls_mathematics.REDUCTIONS)
    if is_homogeneous(call)
]


@pytest.mark.parametrize("call", HOMOGENEOUS, ids=str)
def test_linear_functions_act_on_every_plane(call, rng):
    x = point(call.shape, np.float64, call.positive)
    p, q = directions(rng, x)
    for unit, tangent in ((1, p), (2, q)):
        results = leaves(call.run(mcx.perturb(x, p, q)))
        for y, plane in zip(results, leaves(call.run(tangent)), strict=True):
            np.testing.assert_array_equal(y.im(unit), plane)
            assert not np.any(y.im(1, 2))


def test_most_linear_rows_are_checked_plane_by_plane():
    assert len(HOMOGENEOUS) > 60
