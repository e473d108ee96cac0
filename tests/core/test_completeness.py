"""The closed world: every function that NumPy lets types override is in exactly one group."""

import inspect

import numpy as np
import numpy.char
import numpy.fft
import numpy.polynomial
import numpy.rec
import numpy.strings
import pytest
from core import cases
from core.test_calls import DERIVATIVES, VALUES
from numpy.testing import overrides

import mcx
from mcx import dispatch
from mcx.rules.matrices import Decomposition
from mcx.verbs import Lifted

UFUNCS = sorted(overrides.get_overridable_numpy_ufuncs(), key=lambda f: f.__name__)
FUNCTIONS = sorted(
    overrides.get_overridable_numpy_array_functions(), key=lambda f: (f.__module__, f.__name__)
)
EVERY = [*UFUNCS, *FUNCTIONS]
VERBS = {
    "linear",
    "bilinear",
    "analytic",
    "selection",
    "value",
    "constant",
    "composed",
    "lifted",
    "assigning",
}

# Supported functions that are tested by name in another file, and where.
ELSEWHERE = {
    **dict.fromkeys((c.func for c in cases.UNARY + cases.LEFT), "test_unary.py"),
    **dict.fromkeys((c.func for c in cases.BINARY), "test_binary.py"),
    **dict.fromkeys(
        (np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal,
         np.logical_and, np.logical_or, np.logical_xor, np.logical_not, np.isfinite, np.isinf,
         np.isnan, np.signbit, np.heaviside, np.ldexp, np.divmod, np.modf, np.round, np.around,
         np.fix, np.zeros, np.ones, np.empty, np.full, np.eye, np.identity,
         np.min_scalar_type),
        "test_predicates.py",
    ),
}  # fmt: skip


def name(func):
    return f"{getattr(func, '__module__', None) or 'numpy'}.{func.__name__}"


@pytest.mark.parametrize("func", EVERY, ids=name)
def test_function_is_in_exactly_one_group(func):
    assert dispatch.classify(func) in VERBS | {"refused"}


def test_whole_list_is_walked():
    assert len(UFUNCS) >= 116  # NumPy 2.0; 127 in 2.4
    assert len(FUNCTIONS) >= 300


def test_unknown_function_is_in_no_group():
    with pytest.raises(KeyError, match="expected exactly one group"):
        dispatch.classify(np.random.default_rng)


@pytest.mark.parametrize("func", [f for f in EVERY if dispatch.classify(f) != "refused"], ids=name)
def test_supported_function_has_a_test(func):
    tested = {c.func for c in (*DERIVATIVES, *VALUES)} | set(ELSEWHERE)
    assert name(func) in map(name, tested), "it has a rule but no row in the tables of calls"


def formula_of(func):
    """Return the formula of a rule that has one (or its differential), None else."""
    rule = dispatch.RULES.get(dispatch.public(func))
    names = ("formula", "differential", "assign")
    formula = next((f for n in names if (f := getattr(rule, n, None)) is not None), None)
    return getattr(formula, "formula", formula)


WITH_FORMULA = [f for f in FUNCTIONS if formula_of(f) is not None]
GATHERING = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
BY_PLACE = inspect.Parameter.POSITIONAL_ONLY


def refused_arguments(func, formula, skip=False):
    """Return the arguments of NumPy's function that a formula does not take, or not at their place.

    out= and like= are taken by the dispatch; `skip` leaves out the first parameter of the formula.
    """
    theirs = list(inspect.signature(func).parameters.values())
    ours = list(inspect.signature(formula).parameters.values())[int(skip) :]
    taken = {"out", "like", *(p.name for p in ours)}
    gathers = any(p.kind in GATHERING for p in ours)
    found = [
        p.name
        for p in theirs
        if not gathers and p.kind not in (*GATHERING, BY_PLACE) and p.name not in taken
    ]
    known = [p.name for p in theirs]
    for p, q in zip(theirs, ours, strict=False):
        by_place = p.kind is q.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
        if by_place and q.name != p.name and q.name in known:
            found.append(f"{q.name} in place of {p.name}")
    return found


def is_numeric(func):
    """Tell whether a function is about numbers: not strings, records, dates or files."""
    module = getattr(func, "__module__", None) or ""
    others = ("numpy.strings", "numpy.char", "numpy.lib.recfunctions", "numpy.rec")
    private = func.__name__.startswith("_") or not hasattr(np, func.__name__)
    return not module.startswith(others) and not (isinstance(func, np.ufunc) and private)


def test_few_numeric_functions_are_refused():
    numeric = {name(f): f for f in EVERY if is_numeric(f)}
    refused = [key for key, f in numeric.items() if dispatch.classify(f) == "refused"]
    assert len(numeric) > 280
    assert len(refused) < 0.12 * len(numeric), refused


@pytest.mark.parametrize("func", WITH_FORMULA, ids=name)
def test_rule_accepts_what_numpy_accepts(func):
    rule = dispatch.RULES[dispatch.public(func)]
    first = isinstance(rule, Lifted | Decomposition)  # the state, or NumPy's own result
    assert refused_arguments(func, formula_of(func), skip=first) == []


def test_most_formulas_are_compared():
    assert len(WITH_FORMULA) > 80


def test_refused_arguments_are_seen():
    def formula(a, axis=None, *, keepdims=False, dtype=0):
        raise NotImplementedError

    found = refused_arguments(np.var, formula)
    assert {"ddof", "where", "mean", "correction"} <= set(found)
    assert refused_arguments(np.median, lambda a, out=None: a)[-1] == "out in place of axis"
    assert refused_arguments(np.roots, lambda p: p) == []


@pytest.mark.parametrize(
    "ufunc",
    [u for u in UFUNCS if dispatch.classify(u) == "refused" and u.signature is None],
    ids=name,
)
def test_refused_ufunc_raises_by_name(ufunc):
    z = mcx.perturb(np.array([0.5, 1.5]), np.ones(2))
    with pytest.raises(mcx.UnsupportedFunctionError) as caught:
        ufunc(*[z] * ufunc.nin)
    assert ufunc.__name__ in str(caught.value)


def test_two_rules_for_one_function_are_refused():
    with pytest.raises(ValueError, match="already has a rule"):
        dispatch.register(np.exp, dispatch.RULES[np.exp])


def test_function_without_any_rule_is_refused(monkeypatch):
    """A function newer than the newest NumPy known here: refused generically, with its name."""
    monkeypatch.delitem(dispatch.RULES, np.exp)
    with pytest.raises(mcx.UnsupportedFunctionError, match=r"numpy\.exp .*order 1, shape \(2,\)"):
        np.exp(mcx.perturb(np.ones(2), np.ones(2)))
