"""Registered functions: what they refuse, and arguments by keyword."""

import numpy as np
import pytest
from core.algebras import ALGEBRAS
from core.primitives import (
    assert_equal_numbers,
    by_definition_once,
    correlated,
    number,
    pairs_of_rows,
    poisoned,
    simple_correlated,
    simple_pairs_of_rows,
    times,
    whole,
)

import mcx


@pytest.fixture(autouse=True)
def _poisoned():
    with poisoned():
        yield


class TestErrors:
    @pytest.fixture(params=["number", "recorded"])
    def z(self, request, rng):
        x = whole(rng, (6,))
        if request.param == "number":
            return mcx.perturb(x, x)
        kept = []
        mcx.linearize(lambda x: kept.append(x) or x, x)
        return kept[0]

    @pytest.mark.parametrize(
        "call",
        [
            lambda z: correlated(z, z[:3], scale=2),
            lambda z: correlated(z, y=z[:3], scale=2),
            lambda z: correlated(np.ones(6), y=z[:3], scale=2),
            lambda z: correlated(x=z, y=z, scale=1),
            lambda z: correlated(np.ones(6), np.ones(3), z[0]),
            lambda z: correlated(np.ones(6), np.ones(3), [z[0], 1]),
            lambda z: correlated([z[0], z[1]], np.ones(1), 1),
            lambda z: correlated(z[:2], [z[0], 1.0], 1),
            lambda z: correlated(z),
        ],
    )
    def test_numbers_elsewhere_than_in_the_operands(self, call, z):
        with pytest.raises(mcx.UnsupportedFunctionError, match=r"correlated .* first 2 arguments"):
            call(z)

    @pytest.mark.parametrize(
        "call",
        [
            lambda z: pairs_of_rows(z, scale=2),
            lambda z: pairs_of_rows(x=z, scale=2),
            lambda z: pairs_of_rows(np.ones(3), z),
            lambda z: pairs_of_rows(np.ones(3), {"scale": z}),
            lambda z: pairs_of_rows([z[0], z[1]], 1),
        ],
    )
    def test_numbers_elsewhere_than_in_the_operand(self, call, z):
        with pytest.raises(mcx.UnsupportedFunctionError, match=r"pairs_of_rows .* first argument"):
            call(z)

    @pytest.mark.parametrize(
        "call",
        [
            lambda x: pairs_of_rows(x, scale=2),
            lambda x: pairs_of_rows(x=x),
            lambda x: correlated(x, x, scale=1),
            lambda x: correlated(x=x, y=x),
        ],
    )
    def test_keywords_for_plain_arrays(self, call):
        with pytest.raises(TypeError, match=r"(pairs_of_rows|correlated).*(keyword|positional)"):
            call(np.ones(4))

    @pytest.mark.parametrize("other", [[1.0, 2.0, 3.0], (1.0, 2.0, 3.0)])
    def test_lists(self, other):
        z = mcx.perturb(np.ones(3), np.ones(3))
        for call in (
            lambda: times(z, other), lambda: times(other, z), lambda: times(np.ones(3), other),
            lambda: pairs_of_rows(other, 1),
            lambda: mcx.linearize(lambda x: times(x, other), np.ones(3)),
        ):  # fmt: skip
            with pytest.raises(TypeError, match=r"expected arrays, got a (list|tuple).*asarray"):
                call()

    def test_shapes_that_do_not_fit(self):
        """The function's own error comes through, of arrays and of numbers."""
        x = np.ones(4)
        z = mcx.perturb(x, x)
        for a, b in ((x, x[:3]), (z, x[:3]), (x, z[:3]), (z, z[:3])):
            with pytest.raises(ValueError, match="broadcast"):
                times(a, b)

        @mcx.register_linear(shape=lambda shape: (9,))
        def wrong(x, out):
            out[...] = x

        for a in (x, z):
            with pytest.raises(ValueError, match="broadcast"):
                wrong(a)

    def test_two_readings(self, rng):
        x = whole(rng, (6,))
        with pytest.raises(mcx.AlgebraError, match="one reading"):
            correlated(mcx.perturb(x, x), mcx.perturb(x, x, h=0.5)[:3], 1)


class TestSimpleWay:
    """Functions registered without shape=: the same arguments by keyword, numbers or not."""

    def test_operands_by_keyword(self, rng):
        z = number(rng, ALGEBRAS["order 2"], (6,))
        y = simple_pairs_of_rows(scale=3, x=z)
        assert_equal_numbers(y, simple_pairs_of_rows(z, 3))
        y = simple_correlated(scale=2, y=z[:3], x=z)
        assert_equal_numbers(y, simple_correlated(z, z[:3], 2))
        _, lin = mcx.linearize(lambda x: simple_correlated(y=x[:3], x=x, scale=1), z.value)
        p = whole(rng, (6,))
        expected = by_definition_once(p, z.value[:3]) + by_definition_once(z.value, p[:3])
        np.testing.assert_array_equal(lin(p), expected)

    def test_numbers_among_static_arguments(self, rng):
        z = number(rng, ALGEBRAS["order 2"], (6,))
        for call in (
            lambda: simple_pairs_of_rows(z, z), lambda: simple_pairs_of_rows(np.ones(3), scale=z),
            lambda: simple_correlated(z, z, scale=[z]),
        ):  # fmt: skip
            with pytest.raises(mcx.UnsupportedFunctionError, match="must be plain"):
                call()


def test_names_and_documentation_stay():
    for func, name in ((correlated, "correlated"), (pairs_of_rows, "pairs_of_rows")):
        assert func.__name__ == func.__qualname__ == name
        assert func.__module__ == "core.primitives"
