"""Products on stacks of planes: values in every plane against long double, and dead planes."""

import numpy as np
import pytest
from core.algebras import ALGEBRAS, UNITS, number
from core.builders import filled
from core.calls import newer
from core.checkers import host

import mcx
from mcx.algebra import algebra_of, unit_factor

THIRD = newer("matvec"), newer("vecmat")
PRODUCTS = {
    "matmul": (np.matmul, ((4, 5), (5, 3))),
    "matmul, vectors": (np.matmul, ((5,), (5,))),
    "matmul, vector and stack": (np.matmul, ((5,), (2, 5, 3))),
    "matmul, stack and vector": (np.matmul, ((2, 4, 5), (5,))),
    "matmul, matrix and vector": (np.matmul, ((4, 5), (5,))),
    "matmul, matrix and stack": (np.matmul, ((4, 5), (2, 5, 3))),
    "matmul, stack and matrix": (np.matmul, ((2, 4, 5), (5, 3))),
    "matmul, stacks": (np.matmul, ((2, 1, 4, 5), (3, 5, 2))),
    "matmul, one column": (np.matmul, ((4, 5), (5, 1))),
    "matmul, nothing to sum": (np.matmul, ((4, 0), (0, 3))),
    "matmul, no columns": (np.matmul, ((4, 5), (5, 0))),
    "matmul, no rows": (np.matmul, ((0, 5), (5, 3))),
    "dot, scalars": (np.dot, ((), ())),
    "dot, scalar": (np.dot, ((), (4, 3))),
    "dot, scalar on the right": (np.dot, ((4, 3), ())),
    "dot, vectors": (np.dot, ((5,), (5,))),
    "dot, stack and vector": (np.dot, ((2, 4, 5), (5,))),
    "dot, vector and stack": (np.dot, ((5,), (2, 5, 3))),
    "dot, stacks": (np.dot, ((2, 4, 5), (3, 5, 2))),
    "inner": (np.inner, ((2, 4, 5), (3, 5))),
    "inner, scalar": (np.inner, ((4, 5), ())),
    "vdot": (np.vdot, ((2, 3), (6,))),
    "outer": (np.outer, ((2, 3), (4,))),
    "kron": (np.kron, ((2, 3), (4,))),
    "kron, vector first": (np.kron, ((3,), (2, 1, 2))),
    "tensordot, none": (lambda a, b: np.tensordot(a, b, 0), ((2, 3), (4,))),
    "tensordot, default": (np.tensordot, ((4, 2, 3), (2, 3))),
    "tensordot, all": (np.tensordot, ((2, 3), (2, 3))),
    "tensordot, crossed": (
        lambda a, b: np.tensordot(a, b, ((2, 0), (1, -1))), ((2, 3, 4), (5, 4, 2))
    ),
    "tensordot, leading": (lambda a, b: np.tensordot(a, b, axes=(0, 0)), ((4, 2, 3), (4, 5))),
    "vecdot": (np.vecdot, ((4, 1, 5), (3, 5))),
    "vecdot, axis": (lambda a, b: np.vecdot(a, b, axis=0), ((5, 2), (5, 2))),
    "matvec": (THIRD[0], ((2, 4, 5), (5,))),
    "matvec, stack of vectors": (THIRD[0], ((4, 5), (3, 5))),
    "vecmat": (THIRD[1], ((5,), (2, 5, 3))),
    "vecmat, stack of vectors": (THIRD[1], ((3, 5), (5, 2))),
    "linalg.matmul": (np.linalg.matmul, ((4, 5), (5, 3))),
    "linalg.tensordot": (lambda a, b: np.linalg.tensordot(a, b, axes=1), ((4, 5), (5, 3))),
    "linalg.vecdot": (np.linalg.vecdot, ((4, 5), (4, 5))),
    "linalg.outer": (np.linalg.outer, ((4,), (3,))),
    "einsum": (lambda a, b: np.einsum("ij,jk->ki", a, b), ((4, 5), (5, 3))),
    "einsum, implied": (lambda a, b: np.einsum("ba , bc", a, b), ((4, 5), (4, 3))),
    "einsum, ellipsis": (lambda a, b: np.einsum("...ij,j...->i...", a, b), ((2, 4, 5), (5, 3, 1))),
    "einsum, optimized": (lambda a, b: np.einsum("ij,kj", a, b, optimize=True), ((4, 5), (3, 5))),
    "einsum, three": (lambda a, b: np.einsum("ij,jk,kl", a, np.ones((5, 2)), b), ((4, 5), (2, 3))),
    "einsum, lists": (lambda a, b: np.einsum(a, [0, 1], b, [1, 2], [0, 2]), ((4, 5), (5, 3))),
    "einsum, broadcast": (lambda a, b: np.einsum("ij,jk->ik", a, b), ((4, 1), (5, 3))),
    "convolve": (np.convolve, ((5,), (3,))),
}  # fmt: skip


def summed(product, x, y, table):
    """Return the planes of a product by the table in long double, and those of absolute values."""
    wide = np.clongdouble if "c" in (x.dtype.kind, y.dtype.kind) else np.longdouble
    x, y = (a.astype(wide) for a in (x, y))
    out = np.zeros((table.size, *np.shape(product(x[0], y[0]))), wide)
    size = np.zeros_like(out)
    for a, b, c, sign in table.triples:
        out[c] += sign * product(x[a], y[b])
        size[c] += product(abs(x[a]), abs(y[b]))
    return out, size.real


def check(product, z, w, algebra):
    """Check all planes, shape, dtype, order and live planes of a product of z and w."""
    result = product(z, w)
    buffers = [_buffer(x, algebra) for x in (z, w)]
    expected, size = summed(product, *buffers, algebra.table)
    value = product(*(x.value if isinstance(x, mcx.Multicomplex) else x for x in (z, w)))
    assert result.algebra is algebra
    assert result.shape == np.shape(value)
    assert result.dtype == value.dtype
    assert result._planes.flags.c_contiguous
    error = abs(result._planes - expected)
    assert np.all(error <= 2 * 6 * algebra.size * np.finfo(result.dtype).eps * size)
    dead = [k for k in range(algebra.size) if not result.live >> k & 1]
    assert not np.any(result._planes[dead])
    return result


def _buffer(x, algebra):
    """Return all planes of an operand in an algebra, by the places of its exponents."""
    if not isinstance(x, mcx.Multicomplex):
        out = np.zeros((algebra.size, *x.shape), x.dtype)
        out[0] = x
        return out
    out = np.zeros((algebra.size, *x.shape), x.dtype)
    place = {u: k for k, u in enumerate(_exponents(algebra))}
    for k, u in enumerate(_exponents(x.algebra)):
        out[place[u]] = x._planes[k]
    return out


def _exponents(algebra):
    """Return the exponents ((serial, index), ...) of every plane, the oldest factor fastest."""
    planes = [frozenset()]
    for f in algebra.factors:
        planes = [u | {(f.serial, i)} if any(i) else u for i in f.indices for u in planes]
    return planes


@pytest.mark.parametrize("structure", ALGEBRAS)
@pytest.mark.parametrize("name", [n for n, (f, _) in PRODUCTS.items() if f is not None])
def test_planes_of_a_product(name, structure, rng):
    product, (first, second) = PRODUCTS[name]
    algebra = ALGEBRAS[structure]
    z, w = number(rng, algebra, first), number(rng, algebra, second)
    for x, y in ((z, w), (z, w.value), (z.value, w)):
        check(product, x, y, algebra)


@pytest.mark.parametrize("structure", ["order 2", "order 3", "series 5", "exact 2", "two factors"])
@pytest.mark.parametrize(
    "name", ["matmul", "matmul, stacks", "outer", "tensordot, crossed", "einsum", "convolve"]
)
def test_dead_planes_of_a_product(name, structure, rng):
    product, (first, second) = PRODUCTS[name]
    algebra = ALGEBRAS[structure]
    for _ in range(8):
        masks = rng.integers(0, algebra.full, size=2, endpoint=True) | 1
        z, w = (
            number(rng, algebra, s, int(m)) for s, m in zip((first, second), masks, strict=True)
        )
        for x, y in ((z, w), (z, w.value), (z.value, w)):
            result = check(product, x, y, algebra)
            pairs = [
                (_live(x) >> a & 1, _live(y) >> b & 1, c) for a, b, c, _ in algebra.table.triples
            ]
            assert result.live == sum({1 << c for a, b, c in pairs if a and b})


def _live(x):
    return x.live if isinstance(x, mcx.Multicomplex) else 1


@pytest.mark.parametrize("name", ["matmul", "kron", "einsum, ellipsis", "convolve"])
def test_numbers_over_different_units(name, rng):
    product, (first, second) = PRODUCTS[name]
    large = algebra_of(UNITS[3])
    for left, right in (((1,), (2, 3)), ((1, 3), (2,)), ((2, 3), (1, 3)), ((1, 2, 3), (2,))):
        a, b = (algebra_of(tuple(unit_factor(k) for k in units)) for units in (left, right))
        check(product, number(rng, a, first), number(rng, b, second), large)
        z, w = number(rng, a, first, 0b11), number(rng, b, second, 0b11)
        assert product(z, w).live != large.full
        check(product, z, w, large)


@pytest.mark.parametrize("name", ["matmul", "dot, stacks", "outer", "einsum", "convolve"])
@pytest.mark.parametrize(
    ("left", "right"), [("f", "d"), ("d", "f"), ("f", "D"), ("F", "d"), ("f", "F"), ("D", "D")]
)
def test_mixed_dtypes(name, left, right, rng):
    product, (first, second) = PRODUCTS[name]
    algebra = ALGEBRAS["series 2"]
    z, w = number(rng, algebra, first, dtype=left), number(rng, algebra, second, 0b101, dtype=right)
    for x, y in ((z, w), (z, w.value), (z.value, w)):
        check(product, x, y, algebra)


@pytest.mark.parametrize(
    "name", ["vdot", "vecdot", "linalg.vecdot", *(["matvec", "vecmat"] if all(THIRD) else [])]
)
def test_products_that_conjugate(name, rng):
    product, (first, second) = PRODUCTS[name]
    algebra = ALGEBRAS["order 2"]
    for left, right in (("D", "D"), ("d", "D"), ("D", "d")):
        z, w = number(rng, algebra, first, dtype=left), number(rng, algebra, second, dtype=right)
        for x, y in ((z, w), (z, w.value), (z.value, w)):
            check(product, x, y, algebra)


@pytest.mark.parametrize("name", ["matmul", "dot, scalar", "outer", "einsum", "vecdot", "inner"])
@pytest.mark.parametrize("kind", ["?", "b", "i", "l", "e"])
def test_plain_operands_of_other_dtypes(name, kind, rng):
    product, (first, second) = PRODUCTS[name]
    algebra = ALGEBRAS["order 2"]
    z, w = number(rng, algebra, first, dtype="f"), number(rng, algebra, second, 0b101)
    x, y = (np.asarray(4 * rng.normal(size=shape)).astype(kind) for shape in (first, second))
    check(product, z, y, algebra)
    check(product, x, w, algebra)


def test_sequences_as_plain_operands(rng):
    z, rows = filled(rng.normal(size=(4, 2, 2))), [[1.0, 2.0], [3.0, 5.0]]
    for product in (np.matmul, np.dot, np.inner, np.outer, np.kron):
        for x, y in ((z, rows), (rows, z)):
            expected = product(*(np.asarray(a) if a is rows else a for a in (x, y)))
            np.testing.assert_array_equal(product(x, y).planes, expected.planes)


MISMATCHED = {
    "matmul": (np.matmul, ((2, 3), (2, 3))),
    "matmul, stacks": (np.matmul, ((2, 4, 3), (5, 3, 4))),
    "matmul, scalar": (np.matmul, ((), (2, 3))),
    "dot": (np.dot, ((2, 3), (2, 3))),
    "dot, stacks": (np.dot, ((2, 2, 3), (2, 2, 3))),
    "inner": (np.inner, ((2, 3), (3, 2))),
    "vdot": (np.vdot, ((2, 3), (5,))),
    "tensordot": (np.tensordot, ((2, 3), (3, 2))),
    "tensordot, too many axes": (lambda a, b: np.tensordot(a, b, 3), ((2, 3), (2, 3))),
    "tensordot, no such axis": (lambda a, b: np.tensordot(a, b, (2, 0)), ((2, 3), (2, 3))),
    "tensordot, axes differ": (lambda a, b: np.tensordot(a, b, ((0, 1), (0,))), ((2, 3), (2, 3))),
    "vecdot": (np.vecdot, ((2, 3), (2,))),
    "matvec": (THIRD[0], ((3,), (3,))),
    "vecmat": (THIRD[1], ((3,), (3,))),
    "linalg.outer": (np.linalg.outer, ((2, 3), (4,))),
    "einsum": (lambda a, b: np.einsum("ij,jk", a, b), ((2, 3), (2, 3))),
    "einsum, too few letters": (lambda a, b: np.einsum("i,ij", a, b), ((2, 3), (2, 3))),
    "einsum, unknown letter": (lambda a, b: np.einsum("ij,ij->k", a, b), ((2, 3), (2, 3))),
    "einsum, lost ellipsis": (lambda a, b: np.einsum("...j,j->j", a, b), ((2, 3), (3,))),
    "einsum, wrong terms": (lambda a, b: np.einsum("ij->j", a, b), ((2, 3), (2, 3))),
}


@pytest.mark.parametrize("name", [n for n, (f, _) in MISMATCHED.items() if f is not None])
def test_arguments_that_numpy_refuses_raise_its_error(name, rng):
    product, (first, second) = MISMATCHED[name]
    z, w = (number(rng, ALGEBRAS["order 2"], shape) for shape in (first, second))
    with pytest.raises((ValueError, IndexError, TypeError)) as expected:
        product(z.value, w.value)
    for x, y in ((z, w), (z, w.value), (z.value, w)):
        if np.shape(x) or x is z:
            with pytest.raises(expected.type) as raised:
                product(x, y)
            assert str(raised.value) == str(expected.value)


@pytest.mark.parametrize(
    "name",
    ["matmul", "matmul, stacks", "dot, scalar", "outer", "kron", "tensordot, crossed", "inner"],
)
def test_stand_in_takes_the_same_calls(name, wrap, rng):
    product, shapes = PRODUCTS[name]
    left, right = (rng.normal(size=(4, *shape)) for shape in shapes)
    z, w = filled(left, wrap), filled(right, wrap)
    for x, y, expected in (
        (z, w, product(filled(left), filled(right))),
        (z, wrap(right[0]), product(filled(left), right[0])),
        (wrap(left[0]), w, product(left[0], filled(right))),
    ):
        np.testing.assert_array_equal(host(product(x, y).planes), expected.planes)


def test_stand_in_with_dead_planes(wrap, rng):
    a, b, p, q = rng.normal(size=(4, 3, 3))
    z, w = mcx.perturb(wrap(a), wrap(p), wrap(q)), mcx.perturb(wrap(b), None, wrap(q))
    for result, live in ((z @ w, 0b1111), (z @ wrap(b), 0b111), (wrap(a) @ w, 0b11)):
        assert result.live == live
        assert type(result.value) is type(wrap(a))
    np.testing.assert_allclose(host((z @ w).im(1, 2)), p @ q, atol=1e-14)
    np.testing.assert_array_equal(host((z @ wrap(b)).im(1, 2)), 0)


def test_value_in_any_layout_stays_within_the_bound_of_law_2(dtype, rng):
    a, b = (rng.normal(size=(8, 70, 70)).astype(dtype) for _ in range(2))
    z, w = filled(a), filled(b)
    for x, y, left, right in (
        (z, w, a[0], b[0]),
        (z.T, w, a[0].T, b[0]),
        (z[::2], w.value[:, ::-1], a[0][::2], b[0][:, ::-1]),
        (z[:, 3:40], w[3:40], a[0][:, 3:40], b[0][3:40]),
    ):
        bound = 2 * 70 * np.finfo(dtype).eps * (abs(left) @ abs(right))
        assert np.all(abs((x @ y).value - left @ right) <= bound)


def test_results_never_share_memory_with_operands(rng):
    z = filled(rng.normal(size=(4, 3, 3)))
    for result in (np.einsum("ij->ji", z), np.einsum("ii->i", z), np.outer(z[0], np.ones(1))):
        assert not np.shares_memory(result.planes, z.planes)
