"""The tests can fail: planted errors are caught by the checkers that the other tests use."""

import mpmath
import numpy as np
import pytest
from core import cases, oracles
from core.calls import Call
from core.checkers import (
    assert_close_planes,
    assert_same_value,
    check_call,
    check_recorded,
    check_unary,
    random_planes,
)
from core.test_completeness import test_function_is_in_exactly_one_group

import mcx
from mcx import dispatch
from mcx.verbs import Analytic, Composed, Constant, Linear, Multilinear, Rule, Selection

CASES = {case.func: case for case in cases.UNARY}
CALLS = {
    np.sum: Call(np.sum, lambda x: np.sum(x, axis=0)),
    np.sort: Call(np.sort, lambda x: np.sort(x)),
    np.dot: Call(np.dot, lambda x: np.dot(x, x.T)),
    np.var: Call(np.var, lambda x: np.var(x)),
    np.take: Call(np.take, lambda x: np.take(x, [1, 0], axis=0)),
    np.square: Call(np.square, lambda x: np.square(x)),
}


def plant(monkeypatch, func, rule):
    monkeypatch.setitem(dispatch.RULES, func, rule)


def fails(check, *args):
    """Tell whether a check fails by assertion or by an error on the way."""
    try:
        check(*args)
    except (AssertionError, TypeError, AttributeError, ValueError):
        return True
    return False


def altered(func, change):
    """Return the rule of an analytic function with its Taylor coefficients changed."""
    series = dispatch.RULES[func].series
    return Analytic(lambda a, y, n: change(series(a, y, n)))


def negated(k):
    """Return the change that negates coefficient k + 1."""
    return lambda terms: [-t if i == k else t for i, t in enumerate(terms)]


@pytest.mark.parametrize("func", [np.sin, np.log, np.tanh, np.sqrt, np.exp])
@pytest.mark.parametrize("k", [0, 1, 2, 3])
def test_sign_error_in_a_derivative_is_caught(func, k, monkeypatch, rng):
    planes = random_planes(rng, CASES[func].sample(np.float64), 4)
    assert not fails(check_unary, CASES[func], planes)
    plant(monkeypatch, func, altered(func, negated(k)))
    assert fails(check_unary, CASES[func], planes)


@pytest.mark.parametrize("size", [1e-11, 1e-13])
def test_small_relative_error_in_a_derivative_is_caught(size, monkeypatch, rng):
    plant(monkeypatch, np.exp, altered(np.exp, lambda terms: [t * (1 + size) for t in terms]))
    planes = random_planes(rng, np.array([0.5, 0.75]), 2)
    assert fails(check_unary, CASES[np.exp], planes)


def test_cancelling_formula_is_caught_in_the_tail(monkeypatch, rng):
    """1 − y² for the derivative of tanh, which peers ship."""
    planes = random_planes(rng, np.array([20.0]), 1)
    assert not fails(check_unary, CASES[np.tanh], planes)
    plant(monkeypatch, np.tanh, Analytic(lambda a, y, n: [1 - y * y]))
    assert fails(check_unary, CASES[np.tanh], planes)
    assert not fails(check_unary, CASES[np.tanh], random_planes(rng, np.array([0.5]), 1))


@pytest.mark.parametrize("plane", range(1, 8))
def test_dropped_plane_is_caught(plane, monkeypatch, rng):
    class Dropping(Analytic):
        def planes(self, func, args, kwargs, like):
            result = super().planes(func, args, kwargs, like)
            result.planes[plane] = 0
            return result

    plant(monkeypatch, np.exp, Dropping(dispatch.RULES[np.exp].series))
    assert fails(check_unary, CASES[np.exp], random_planes(rng, np.array([0.5, 2.0]), 3))


class ReturningNone(Rule):
    verb = "analytic"

    def apply(self, func, args, kwargs, like=None):
        return None


class ReturningValue(Rule):
    """Falls through to the value: the field's signature bug."""

    verb = "analytic"

    def apply(self, func, args, kwargs, like=None):
        return func(*dispatch.value_of(tuple(args)), **kwargs)


@pytest.mark.parametrize("rule", [ReturningNone(), ReturningValue(), Constant()])
@pytest.mark.parametrize("func", CALLS, ids=lambda f: f.__name__)
def test_rule_without_derivatives_is_caught(rule, func, monkeypatch, rng):
    assert not fails(check_call, CALLS[func], np.dtype(float), rng)
    plant(monkeypatch, func, rule)
    assert fails(check_call, CALLS[func], np.dtype(float), rng)


def test_ufunc_rule_that_returns_none_is_caught(monkeypatch, rng):
    plant(monkeypatch, np.sin, ReturningNone())
    assert fails(check_unary, CASES[np.sin], random_planes(rng, np.ones(2), 1))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_other_formula_for_the_value_is_caught(dtype, monkeypatch, rng):
    """exp(x) − 1 for expm1: right to eps·1, wrong in the last bits of the value."""

    class Sloppy(Analytic):
        def planes(self, func, args, kwargs, like):
            result = super().planes(func, args, kwargs, like)
            result.planes[0] = np.exp(args[0].planes[0]) - 1
            return result

    plant(monkeypatch, np.expm1, Sloppy(dispatch.RULES[np.expm1].series))
    assert fails(check_unary, CASES[np.expm1], random_planes(rng, np.array([0.1], dtype), 1))


def test_one_unit_in_the_last_place_of_a_value_is_caught():
    x = np.array([1.0, 2.0])
    z = mcx.perturb(x, x)
    assert not fails(assert_same_value, z, x)
    assert fails(assert_same_value, z, np.nextafter(x, 3))
    assert fails(assert_same_value, z, x.astype(np.float32))
    assert fails(assert_same_value, z, x[:1])
    assert fails(assert_same_value, mcx.perturb(0.0, 1.0), np.array(-0.0))


def test_wrong_element_of_a_selection_is_caught(monkeypatch, rng):
    def choose(a, axis=-1):
        order = np.argsort(a, axis=axis)[..., ::-1]
        return lambda u: np.take_along_axis(u, order, axis)

    plant(monkeypatch, np.sort, Selection((0,), choose))
    assert fails(check_call, CALLS[np.sort], np.dtype(float), rng)


def test_missing_cross_term_of_a_product_is_caught(monkeypatch, rng):
    class Half(Multilinear):
        def planes(self, func, args, kwargs, like):
            x, y = args
            return super().planes(func, (x, dispatch.value_of(y)), kwargs, like)

    plant(monkeypatch, np.dot, Half((0, 1)))
    assert fails(check_call, CALLS[np.dot], np.dtype(float), rng)


def test_wrong_formula_of_a_composition_is_caught(monkeypatch, rng):
    biased = Composed(lambda x: np.sum((x - np.mean(x)) ** 2) / (x.size - 1))
    plant(monkeypatch, np.var, biased)
    assert fails(check_call, CALLS[np.var], np.dtype(float), rng)


def test_wrong_step_of_a_recorded_program_is_caught(monkeypatch, rng):
    class Forgetful(Analytic):
        def record(self, func, args, kwargs, tape):
            return tape.constant(func(args[0].number))

    class Sign(Linear):
        def record(self, func, args, kwargs, tape):
            result = super().record(func, args, kwargs, tape)
            return tape.emit(result.number, lambda tangent: -tangent, (result,))

    for func, rule in (
        (np.square, Forgetful(dispatch.RULES[np.square].series)),
        (np.sum, Sign((0,))),
    ):
        assert not fails(check_recorded, CALLS[func], rng)
        plant(monkeypatch, func, rule)
        assert fails(check_recorded, CALLS[func], rng)


def test_unclassified_function_is_caught(monkeypatch):
    monkeypatch.delitem(dispatch.RULES, np.exp)
    with pytest.raises(KeyError, match=r"numpy\.exp: expected exactly one group, got none"):
        test_function_is_in_exactly_one_group(np.exp)
    monkeypatch.setitem(dispatch.REFUSED, np.sin, "twice")
    with pytest.raises(KeyError, match="expected exactly one group"):
        test_function_is_in_exactly_one_group(np.sin)


class TestOracles:
    """The oracles against closed forms, and against one another."""

    @pytest.mark.parametrize("x", [0.0, 0.7, -2.0])
    def test_derivatives_of_the_exponential(self, x):
        found = oracles.derivatives(mpmath.exp, x, 7)
        assert all(abs(d - np.exp(np.longdouble(x))) < 1e-18 * np.exp(x) for d in found)

    def test_derivatives_agree_with_mpmaths_differences(self):
        f = lambda t: mpmath.atan(t) * mpmath.exp(-t)  # noqa: E731 - one line of mathematics
        with mpmath.workdps(60):
            expected = [oracles.to_longdouble(mpmath.diff(f, 0.75, k)) for k in range(8)]
        np.testing.assert_allclose(oracles.derivatives(f, 0.75, 7), expected, rtol=1e-17)

    def test_oracle_refuses_what_it_does_not_resolve(self):
        with pytest.raises(ArithmeticError, match="does not resolve"):
            oracles.derivatives(mpmath.sqrt, 0.01, 7, radius=10.0)

    def test_chain_on_a_product(self, rng):
        left, right = rng.normal(size=(2, 8, 3)).astype(np.longdouble)
        one, zero = np.ones(3, np.longdouble), np.zeros(3, np.longdouble)
        f = dict.fromkeys(oracles.degrees(4), zero)
        f |= {(0, 0): left[0] * right[0], (1, 0): right[0], (0, 1): left[0], (1, 1): one}
        expected = np.zeros_like(left)
        for a in range(8):
            for b in range(8):
                if not a & b:
                    expected[a | b] += left[a] * right[b]
        np.testing.assert_allclose(oracles.chain2(f, left, right)[0], expected, rtol=1e-17)

    def test_chain_in_one_and_two_variables_agree(self, rng):
        planes = rng.normal(size=(16, 2)).astype(np.longdouble)
        f = rng.normal(size=(6, 2)).astype(np.longdouble)
        nothing = np.zeros_like(planes)
        table = {(i, j): f[i] if j == 0 else np.zeros(2) for i, j in oracles.degrees(5)}
        expected, scale = oracles.chain(f, planes)
        got, scale2 = oracles.chain2(table, planes, nothing)
        np.testing.assert_allclose(got, expected, rtol=1e-16)
        np.testing.assert_allclose(scale2, scale, rtol=1e-16)

    def test_differences_of_a_polynomial(self, rng):
        x, p, q = rng.normal(size=(3, 4))
        first, second, mixed = oracles.directional_differences(lambda t: t**4, x, p, q)
        np.testing.assert_allclose(first, 4 * x**3 * p, rtol=1e-13, atol=1e-15)
        np.testing.assert_allclose(second, 4 * x**3 * q, rtol=1e-13, atol=1e-15)
        np.testing.assert_allclose(mixed, 12 * x**2 * p * q, rtol=1e-12, atol=1e-13)

    def test_bound_of_law_5_is_not_vacuous(self):
        expected = np.ones((2, 3), np.longdouble)
        planes = np.ones((2, 3))
        assert_close_planes(planes, expected, expected)
        for error in (np.nan, np.inf, 1.0 + 60 * np.finfo(float).eps, -1.0):
            wrong = planes.copy()
            wrong[1, 2] = error
            assert fails(assert_close_planes, wrong, expected, expected)
