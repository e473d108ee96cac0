"""Blocks of directions in gradient, jacobian and hessian: seeding, reading, joining, memory."""

import numpy as np
import pytest
from core.checkers import host
from standin import StandIn

import mcx
from mcx import seeding
from mcx.algebra import algebra_of, fresh_factor
from mcx.jacobians import _pair_indices
from mcx.table import degree_indices

EPS = np.finfo(float).eps


class Cubic:
    """f(x) = Σ_r (a_r·x)³/6 with its derivatives in closed form."""

    def __init__(self, rng, size, rows=6):
        self.a = rng.normal(size=(rows, size)) / np.sqrt(size)

    def __call__(self, x):
        return np.sum((self.a @ x) ** 3) / 6

    def gradient(self, x):
        return self.a.T @ (self.a @ x) ** 2 / 2

    def hessian(self, x):
        return self.a.T @ ((self.a @ x)[:, None] * self.a)

    def third(self, p):
        """Derivative of the Hessian along p, the same everywhere."""
        return self.hessian(p)


@pytest.fixture
def evaluations():
    """Return f -> (f counted, the list of the plane counts that it has seen)."""

    def counted(f):
        sizes = []

        def wrapper(x):
            sizes.append(x.algebra.size)
            return f(x)

        return wrapper, sizes

    return counted


class TestSeeds:
    @pytest.mark.parametrize("shape", [(), (7,), (2, 5)])
    def test_unit_directions_are_those_given_one_by_one(self, shape, wrap, rng):
        x = rng.normal(size=shape)
        blocks = (range(1),) if shape == () else (range(1, 4), range(5, 7))
        positions = [q for block in blocks for q in block]
        factor = fresh_factor(degree_indices(len(positions), 2))
        expected = np.zeros((len(factor.indices), x.size))
        expected[0] = x.ravel()
        for plane, position in enumerate(positions, 1):
            expected[plane, position] = 1
        z = seeding.seeded_by_units(wrap(x), factor, *blocks)
        np.testing.assert_array_equal(host(z.planes).reshape(expected.shape), expected)

    def test_directions_of_a_number_extend_it(self, rng):
        x = mcx.perturb(rng.normal(size=3), np.arange(3.0))
        factor = fresh_factor(degree_indices(2, 1))
        z = seeding.seeded_by_units(x, factor, range(1, 3))
        np.testing.assert_array_equal(seeding.coefficient(z, factor, 0).planes, x.planes)
        np.testing.assert_array_equal(z.im(1), [0.0, 1.0, 2.0])
        for plane in (1, 2):
            unit = seeding.coefficient(z, factor, plane)
            np.testing.assert_array_equal(unit.value, np.eye(3)[plane])
            assert not unit.im(1).any()

    @pytest.mark.parametrize("place", range(3), ids=["oldest", "middle", "youngest"])
    def test_reading_many_is_reading_each(self, place, wrap, rng):
        factors = [fresh_factor(degree_indices(k, 2)) for k in (1, 2, 3)]
        algebra = algebra_of(tuple(factors))
        y = mcx.Multicomplex(wrap(rng.normal(size=(algebra.size, 2, 3))), algebra)
        factor = factors[place]
        rows = seeding.coefficients_from(y, factor, 1)
        assert rows.shape == (len(factor.indices) - 1, 2, 3)
        for k in range(1, len(factor.indices)):
            each = seeding.coefficient(y, factor, k)
            assert rows.algebra is each.algebra
            np.testing.assert_array_equal(host(rows[k - 1].planes), host(each.planes))

    def test_reading_what_does_not_depend_on_the_directions(self):
        factor = fresh_factor(degree_indices(3, 1))
        for y in (2.0, np.ones((2, 2)), mcx.perturb(np.ones((2, 2)), np.ones((2, 2)))):
            rows = seeding.coefficients_from(y, factor, 1)
            assert rows.shape == (3, *np.shape(y))
            assert not np.any(rows != 0)

    def test_pairs_are_a_graded_lower_set(self):
        pairs = _pair_indices(2, 3)
        assert len(pairs) == 3 * 4
        degrees = [sum(index) for index in pairs]
        assert degrees == sorted(degrees)
        assert pairs[-1] == (0, 1, 0, 0, 1)
        for index in pairs:
            for g, e in enumerate(index):
                assert e == 0 or (*index[:g], e - 1, *index[g + 1 :]) in pairs


class TestBlocks:
    @pytest.mark.parametrize("size", [49, 50, 51, 101, 130])
    def test_join_without_a_seam(self, size, rng):
        f, x = Cubic(rng, size), rng.normal(size=size)
        bound = 200 * EPS
        np.testing.assert_allclose(mcx.gradient(f, x), f.gradient(x), rtol=0, atol=bound)
        result, expected = mcx.hessian(f, x), f.hessian(x)
        np.testing.assert_allclose(result, expected, rtol=0, atol=bound)
        np.testing.assert_array_equal(result, result.T)

    def test_small_arguments_take_one_evaluation(self, rng, evaluations):
        for size in (1, 10, 50):
            f, sizes = evaluations(Cubic(rng, size))
            mcx.hessian(f, rng.normal(size=size))
            assert sizes == [(size + 1) * (size + 2) // 2]
        f, sizes = evaluations(Cubic(rng, 52))
        mcx.hessian(f, rng.normal(size=52))
        assert sizes == [27 * 28 // 2, 27 * 27, 27 * 28 // 2]
        f, sizes = evaluations(Cubic(rng, 128))
        mcx.gradient(f, rng.normal(size=128))
        assert sizes == [129]

    @pytest.mark.parametrize("size", [60, 300, 3000])
    def test_planes_are_bounded_as_documented(self, size, evaluations):
        """Of a function of few of many arguments, so that the test is quick."""
        f, sizes = evaluations(lambda x: x[0] * x[-1] ** 2)
        x = np.full(size, 2.0)
        g = mcx.gradient(f, x)
        assert g[0] == 4.0
        assert g[-1] == 8.0
        assert max(sizes) <= max(17, min(129, 2**18 // size))
        sizes.clear()
        if size < 3000:
            H = mcx.hessian(f, x)
            assert H[0, -1] == H[-1, 0] == H[-1, -1] == 4.0
            assert np.count_nonzero(H) == 3
            assert max(sizes) <= max(81, min(2601, 2**18 // size))

    def test_blocks_are_smaller_where_the_argument_is_large(self, monkeypatch, rng, evaluations):
        monkeypatch.setattr("mcx.jacobians._ELEMENTS", 1 << 10)
        f = Cubic(rng, 40)
        counted, sizes = evaluations(f)
        x = rng.normal(size=40)
        np.testing.assert_allclose(mcx.hessian(counted, x), f.hessian(x), rtol=0, atol=200 * EPS)
        assert max(sizes) == 81
        assert len(sizes) == 5 * 6 // 2
        sizes.clear()
        np.testing.assert_allclose(mcx.gradient(counted, x), f.gradient(x), rtol=0, atol=200 * EPS)
        assert max(sizes) <= 1 + 1024 // 40

    def test_results_are_contiguous_and_their_own(self, rng):
        x = rng.normal(size=(2, 3))
        seen = []

        def f(x):
            seen.append(x)
            return x

        jacobian = mcx.jacobian(f, x)
        assert jacobian.flags.c_contiguous
        assert jacobian.flags.writeable
        assert not np.may_share_memory(jacobian, seen[0].planes)
        np.testing.assert_array_equal(jacobian.reshape(6, 6), np.eye(6))


class TestKinds:
    @pytest.mark.parametrize("size", [3, 53])
    def test_on_a_stand_in(self, size, rng):
        x = rng.normal(size=size)
        f = lambda x: np.sum(np.tanh(x[1:] * x[:-1]) ** 2)  # noqa: E731 - one line of mathematics
        for driver in (mcx.gradient, mcx.hessian):
            result = driver(f, StandIn.wrap(x))
            assert isinstance(result, StandIn)
            np.testing.assert_array_equal(result.get(), driver(f, x))
        tree = mcx.jacobian(lambda x: {"a": x[:2] * x[1:3], "b": [np.sum(x)]}, StandIn.wrap(x))
        assert tree["a"].shape == (2, size)
        np.testing.assert_array_equal(tree["a"][:, :3].get(), [[x[1], x[0], 0], [0, x[2], x[1]]])
        np.testing.assert_array_equal(tree["b"][0].get(), np.ones(size))

    def test_keeps_the_dtype(self, dtype):
        x = np.array([1.0, 2.0, 3.0], dtype)
        for driver in (mcx.gradient, mcx.hessian, mcx.jacobian):
            assert driver(lambda x: x[0] * x[1] * x[2], x).dtype == dtype

    def test_of_a_complex_point(self):
        x = np.array([1 + 2j, -0.5j, 3.0])
        np.testing.assert_allclose(mcx.gradient(lambda x: np.sum(x**3), x), 3 * x**2, rtol=1e-15)
        hessian = mcx.hessian(lambda x: np.sum(x**3) + x[0] * x[1] * 1j, x)
        expected = np.diag(6 * x)
        expected[0, 1] = expected[1, 0] = 1j
        np.testing.assert_allclose(hessian, expected, rtol=1e-15)

    def test_of_a_complex_function_of_a_real_point(self):
        x = np.array([0.5, 2.0])
        hessian = mcx.hessian(lambda x: np.exp(1j * x[0]) * x[1], x)
        slope = 1j * np.exp(0.5j)
        expected = np.array([[-2 * np.exp(0.5j), slope], [slope, 0]])
        np.testing.assert_allclose(hessian, expected, rtol=1e-15)

    def test_trees_with_leaves_that_do_not_depend_on_the_point(self, rng):
        x = rng.normal(size=(3, 67))
        tree = mcx.jacobian(lambda x: (np.ones(2), {"s": np.sum(x**2)}, 3.0), x)
        np.testing.assert_array_equal(tree[0], np.zeros((2, 3, 67)))
        np.testing.assert_allclose(tree[1]["s"], 2 * x, rtol=1e-15)
        np.testing.assert_array_equal(tree[2], np.zeros((3, 67)))

    def test_of_no_argument(self):
        for shape in ((0,), (2, 0)):
            assert mcx.hessian(lambda x: np.sum(x**2), np.zeros(shape)).shape == (*shape, *shape)
            assert mcx.gradient(lambda x: np.sum(x**2), np.zeros(shape)).shape == shape
        assert mcx.hessian(lambda x: x**3, 2.0) == 12.0

    @pytest.mark.parametrize(
        "x",
        [
            np.asfortranarray(np.arange(6.0).reshape(2, 3)),
            np.arange(24.0).reshape(2, 3, 4).transpose(1, 2, 0),
            np.arange(24.0).reshape(4, 6)[::2, ::-2],
        ],
        ids=["Fortran", "transposed", "strided"],
    )
    def test_of_a_function_that_looks_at_the_memory_layout(self, x):
        """The rows are in the order of f(x), as those of linearize are."""
        rows = np.ravel(x.copy(order="K"), order="K")
        units = (rows[:, None] == x.reshape(1, -1)).reshape(x.size, *x.shape)
        weights = np.arange(1.0, x.size + 1)

        def f(x):
            return np.ravel(x * x, order="K")

        np.testing.assert_array_equal(f(x), rows**2)
        _, lin = mcx.linearize(f, x)
        for jacobian in (mcx.jacobian(f, x), mcx.jvp(lambda x: mcx.jacobian(f, x), x, x)[0]):
            np.testing.assert_array_equal(jacobian, 2 * units * x)
            np.testing.assert_array_equal(
                np.sum(jacobian * x, axis=(*range(1, x.ndim + 1),)), lin(x)
            )
        diagonal = 2 * np.tensordot(weights, units, 1)
        hessian = mcx.hessian(lambda x: f(x) @ weights, x).reshape(x.size, x.size)
        np.testing.assert_array_equal(hessian, np.diag(diagonal.ravel()))

    def test_infinite_entries_stay_where_they_are(self):
        x = np.array([0.0, 4.0])
        with np.errstate(all="ignore"):
            hessian = mcx.hessian(lambda x: np.sum(np.sqrt(x)), x)
        assert hessian[0, 0] == -np.inf
        np.testing.assert_array_equal(hessian[1], [0.0, -0.25 * 4.0**-1.5])


@pytest.mark.parametrize("size", [4, 52])
class TestNested:
    """Third derivatives of a cubic, through blocks of the inner driver, one and several."""

    def test_hessian_at_a_perturbed_point(self, size, rng):
        f, x, p = Cubic(rng, size), rng.normal(size=size), rng.normal(size=size)
        result = mcx.hessian(f, mcx.perturb(x, p))
        np.testing.assert_allclose(result.value, f.hessian(x), rtol=0, atol=200 * EPS)
        np.testing.assert_allclose(result.im(1), f.third(p), rtol=0, atol=200 * EPS)

    def test_hessian_of_a_function_of_an_outer_variable(self, size, rng):
        f, x = Cubic(rng, size), rng.normal(size=size)
        slope = mcx.derivative(lambda t: mcx.hessian(lambda x: f(x * t), x), 2.0)
        np.testing.assert_allclose(slope, 12 * f.hessian(x), rtol=0, atol=2000 * EPS)

    def test_jacobian_at_a_perturbed_point(self, size, rng):
        f, x, p = Cubic(rng, size), rng.normal(size=size), rng.normal(size=size)
        result = mcx.jacobian(f.gradient, mcx.perturb(x, p))
        np.testing.assert_allclose(result.value, f.hessian(x), rtol=0, atol=200 * EPS)
        np.testing.assert_allclose(result.im(1), f.third(p), rtol=0, atol=200 * EPS)

    def test_linearized_hessian(self, size, rng):
        f, x, p = Cubic(rng, size), rng.normal(size=size), rng.normal(size=size)
        for g in (lambda x: mcx.hessian(f, x), lambda x: mcx.jacobian(f.gradient, x)):
            value, lin = mcx.linearize(g, x)
            np.testing.assert_allclose(value, f.hessian(x), rtol=0, atol=200 * EPS)
            np.testing.assert_allclose(lin(p), f.third(p), rtol=0, atol=200 * EPS)

    def test_hessian_of_a_linearized_function(self, size, rng):
        f, x, p = Cubic(rng, size), rng.normal(size=size), rng.normal(size=size)
        result = mcx.hessian(lambda x: mcx.linearize(f, x)[1](p), x)
        np.testing.assert_allclose(result, f.third(p), rtol=0, atol=200 * EPS)

    def test_on_a_stand_in(self, size, rng):
        x, p = rng.normal(size=size), rng.normal(size=size)
        f = lambda x: np.sum(x[1:] * x[:-1] ** 2)  # noqa: E731 - one line of mathematics
        result = mcx.hessian(f, mcx.perturb(StandIn.wrap(x), StandIn.wrap(p)))
        expected = mcx.hessian(f, mcx.perturb(x, p))
        np.testing.assert_array_equal(result.planes.get(), expected.planes)
        _, lin = mcx.linearize(lambda x: mcx.hessian(f, x), StandIn.wrap(x))
        np.testing.assert_array_equal(lin(StandIn.wrap(p)).get(), expected.im(1))
