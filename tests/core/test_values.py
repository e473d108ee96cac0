"""Law 2 away from the beaten track: special values, keywords, layouts, empty arrays."""

import numpy as np
import pytest
from core import cases
from core.checkers import assert_same_value

import mcx

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

SPECIAL = np.array(
    [0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, -np.nan, 1e-320, -1e-320, 1e308, -1e308,
     0.5, -2.5, 2.0**53, 709.9, -745.2, np.pi / 2, 1e-8, 3.0]
)  # fmt: skip
X, Y = (a.ravel() for a in np.meshgrid(SPECIAL, SPECIAL))


def number(x, order=2):
    return mcx.perturb(x, *[np.full_like(x, k + 1.0) for k in range(order)])


@pytest.mark.parametrize("order", [1, 3])
@pytest.mark.parametrize("case", cases.UNARY + cases.LEFT, ids=str)
def test_special_values_of_one_argument(case, order, dtype):
    x = SPECIAL.astype(dtype)
    assert_same_value(case.func(number(x, order)), case.func(x))


@pytest.mark.parametrize("case", cases.BINARY, ids=str)
def test_special_values_of_two_arguments(case, dtype):
    x, y = X.astype(dtype), Y.astype(dtype)
    z, w = number(x), number(y, 1)
    for a, b, plain in ((z, w, (x, y)), (z, y, (x, y)), (x, w, (x, y)), (z, x[3], (x, x[3]))):
        assert_same_value(case.func(a, b), case.func(*plain))


@pytest.mark.parametrize("case", cases.BINARY, ids=str)
def test_recorded_special_values(case):
    value, _ = mcx.linearize(lambda x: case.func(x, Y), X)
    np.testing.assert_array_equal(value, case.func(X, Y))
    value, _ = mcx.linearize(lambda y: case.func(X, y), Y)
    np.testing.assert_array_equal(value, case.func(X, Y))


@pytest.mark.parametrize("case", cases.UNARY + cases.LEFT, ids=str)
def test_an_element_does_not_depend_on_its_neighbours_in_one_argument(case):
    """Law 3: no branch on the whole array; singular points beside regular ones."""
    x = np.append(SPECIAL, case.sample(np.float64))
    whole = case.func(number(x, 3)).planes
    alone = np.stack([case.func(number(x[k : k + 1], 3)).planes[:, 0] for k in range(x.size)], 1)
    np.testing.assert_allclose(whole, alone, rtol=1e-14)
    lin = mcx.linearize(case.func, x)[1]
    slopes = [mcx.linearize(case.func, x[k : k + 1])[1](np.ones(1))[0] for k in range(x.size)]
    np.testing.assert_allclose(lin(np.ones_like(x)), slopes, rtol=1e-14)


@pytest.mark.parametrize("case", cases.BINARY, ids=str)
def test_an_element_does_not_depend_on_its_neighbours_in_two_arguments(case):
    x, y = (np.append(a[::7], b) for a, b in zip((X, Y), case.sample(np.float64), strict=True))
    whole = case.func(number(x), number(y)).planes
    pairs = ((number(x[k : k + 1]), number(y[k : k + 1])) for k in range(x.size))
    alone = np.stack([case.func(z, w).planes[:, 0] for z, w in pairs], 1)
    np.testing.assert_allclose(whole, alone, rtol=1e-14)


REDUCTIONS = {
    "max": lambda a: np.max(a, axis=0),
    "min": lambda a: np.min(a, axis=1),
    "max of all": np.max,
    "sort": lambda a: np.sort(a, axis=0),
    "sum": lambda a: np.sum(a, axis=1),
    "mean": np.mean,
    "prod": lambda a: np.prod(a, axis=0),
    "var": lambda a: np.var(a, axis=1),
    "std": lambda a: np.std(a, axis=0),
    "cumsum": lambda a: np.cumsum(a, axis=0),
    "clip": lambda a: np.clip(a, -1.0, 2.0),
    "clip with crossed bounds": lambda a: np.clip(a, 2.0, -1.0),
    "clip by nan": lambda a: np.clip(a, np.nan, 1.0),
    "nan_to_num": lambda a: np.nan_to_num(a),
    "nan_to_num with values": lambda a: np.nan_to_num(a, nan=1.0, posinf=2.0, neginf=-3.0),
    "norm": lambda a: np.linalg.norm(a, axis=0),
    "norm of all": np.linalg.norm,
    "trace": np.trace,
    "diff": lambda a: np.diff(a, axis=0),
    "where": lambda a: np.where(a, a, 3.0),
    "round": lambda a: np.round(a, 2),
    "integer power": lambda a: a**3,
    "square by operator": lambda a: a**2,
    "root by operator": lambda a: a**0.5,
    "reciprocal by operator": lambda a: a**-1,
    "zeroth power": lambda a: a**0,
    "power of a scalar": lambda a: 2.0**a,
}


@pytest.mark.parametrize("call", REDUCTIONS.values(), ids=REDUCTIONS)
@pytest.mark.parametrize("layout", ["C", "F", "strided", "reversed"])
def test_value_is_numpys_for_any_layout_and_special_values(call, layout, dtype, rng):
    x = rng.normal(size=(40, 30)).astype(dtype)
    x[::7, ::5] = np.resize(SPECIAL, x[::7, ::5].shape)
    p = np.ones_like(x)
    arranged = {
        "C": lambda a: a,
        "F": lambda a: a.T.copy().T,
        "strided": lambda a: a[::2, 1::3],
        "reversed": lambda a: a[::-1, ::-1],
    }[layout]
    z = arranged(mcx.perturb(x, p, p))
    assert_same_value(call(z), call(z.value))
    base = mcx.perturb(arranged(x), arranged(p), arranged(p))
    assert_same_value(call(base), call(base.value))


def test_layout_of_the_value_plane_is_that_of_the_value():
    z = mcx.perturb(np.ones((3, 4)), np.ones((3, 4)))
    for view in (lambda a: a.T, lambda a: a[::2], lambda a: a[:, ::-1]):
        assert view(z).strides == view(np.ones((3, 4))).strides
        assert view(z).value.flags.c_contiguous == view(np.ones((3, 4))).flags.c_contiguous


EMPTY = {
    "sum": lambda a: np.sum(a, axis=0),
    "prod": lambda a: np.prod(a, axis=0),
    "cumsum": lambda a: np.cumsum(a, axis=1),
    "matmul": lambda a: a @ a.T,
    "outer": lambda a: np.outer(a, a),
    "reshape": lambda a: a.reshape(3, 0),
    "concatenate": lambda a: np.concatenate([a, a], axis=1),
    "sort": np.sort,
    "exp": np.exp,
    "broadcast": lambda a: a + np.ones((4, 1, 3)),
    "take": lambda a: np.take(a, [], axis=1),
    "where": lambda a: np.where(a > 0, a, 0),
    "pad": lambda a: np.pad(a, 1),
    "norm": lambda a: np.linalg.norm(a),
    "clip": lambda a: np.clip(a, 0, 1),
    "max of no axis": lambda a: np.max(a, axis=()),
}


@pytest.mark.parametrize("call", EMPTY.values(), ids=EMPTY)
def test_empty_arrays(call):
    x = np.zeros((0, 3))
    assert_same_value(call(mcx.perturb(x, x, x)), call(x))


Z = mcx.perturb(np.array([[1.0, -2.0, 0.5], [3.0, 0.25, -1.5]]), np.ones((2, 3)))

SPELLINGS = (
    lambda a: np.sum(a=a, axis=0, keepdims=True),
    lambda a: np.mean(a=a, axis=1),
    lambda a: np.prod(a=a, axis=0),
    lambda a: np.var(a=a, axis=0, ddof=1),
    lambda a: np.std(a=a, axis=1, keepdims=True),
    lambda a: np.var(a, axis=0, correction=1),
    lambda a: np.max(a=a, axis=0),
    lambda a: np.min(a, 1, None, True),
    lambda a: np.sum(a, 0, None, None, True),
    lambda a: np.sort(a=a, axis=0),
    lambda a: np.cumsum(a=a, axis=1),
    lambda a: np.diff(a=a, n=1, axis=0),
    lambda a: np.trace(a=a, offset=1),
    lambda a: np.reshape(a, (3, 2), order="F"),
    lambda a: np.transpose(a=a, axes=(1, 0)),
    lambda a: np.moveaxis(a=a, source=0, destination=1),
    lambda a: np.expand_dims(a=a, axis=0),
    lambda a: np.squeeze(a=a[None], axis=0),
    lambda a: np.ravel(a=a, order="F"),
    lambda a: np.repeat(a=a, repeats=2, axis=1),
    lambda a: np.tile(A=a, reps=2),
    lambda a: np.roll(a=a, shift=1, axis=0),
    lambda a: np.flip(m=a, axis=1),
    lambda a: np.rot90(m=a, k=2, axes=(1, 0)),
    lambda a: np.pad(array=a, pad_width=1, mode="constant", constant_values=2.0),
    lambda a: np.pad(a, ((1, 0), (0, 2)), "edge"),
    lambda a: np.take(a=a, indices=[1, 0], axis=0),
    lambda a: np.take(a, [7, -1], axis=1, mode="clip"),
    lambda a: np.take_along_axis(arr=a, indices=np.array([[0], [1]]), axis=1),
    lambda a: np.compress(condition=[True, False], a=a, axis=0),
    lambda a: np.extract(condition=np.array([[True, False, True]] * 2), arr=a),
    lambda a: np.append(arr=a, values=a, axis=0),
    lambda a: np.delete(arr=a, obj=[0], axis=1),
    lambda a: np.concatenate((a, a), axis=1),
    lambda a: np.concatenate([a, a], 0),
    lambda a: np.stack(arrays=[a, a], axis=-1),
    lambda a: np.vstack(tup=(a, a)),
    lambda a: np.split(ary=a, indices_or_sections=3, axis=1)[1],
    lambda a: np.broadcast_to(array=a, shape=(4, 2, 3)),
    lambda a: np.clip(a=a, a_min=-1.2, a_max=1.2),
    lambda a: np.clip(a, a_min=None, a_max=0.6),
    lambda a: np.clip(a, 0.4, None),
    lambda a: np.dot(a=a, b=a.T),
    lambda a: np.outer(a=a, b=a),
    lambda a: np.inner(a, a),
    lambda a: np.tensordot(a=a, b=a, axes=2),
    lambda a: np.tensordot(a, a, ([0, 1], [0, 1])),
    lambda a: np.kron(a=a, b=a),
    lambda a: np.cross(a=a, b=a[::-1], axis=1),
    lambda a: np.einsum("ij,ij->i", a, a),
    lambda a: np.einsum(a, [0, 1], a, [2, 1], [0, 2]),
    lambda a: np.einsum("ij->ji", a),
    lambda a: np.einsum("ij,kj", a, a, optimize="greedy"),
    lambda a: np.linalg.norm(x=a, ord=None, axis=1, keepdims=True),
    lambda a: np.linalg.norm(a, 2, 1),
    lambda a: np.trapezoid(y=a, dx=0.5, axis=1),
    lambda a: np.full_like(a=a, fill_value=3.0) + a,
    lambda a: np.where(np.array([[True], [False]]), a, a * 2),
    lambda a: np.tril(m=a, k=0),
    lambda a: np.diagonal(a=a, offset=1),
    lambda a: np.add.reduce(a, axis=None),
    lambda a: np.add.reduce(a, axis=1, keepdims=True),
    lambda a: np.add.reduce(a),
    lambda a: np.maximum.reduce(a, axis=1),
    lambda a: np.multiply.outer(a, a),
    lambda a: np.subtract.outer(a, np.ones(2)),
    lambda a: np.add.outer(np.ones(2), a),
    lambda a: np.add(a, 1.0, order="C", casting="same_kind", subok=True),
    lambda a: np.lib.stride_tricks.sliding_window_view(x=a, window_shape=2, axis=1),
)


NEWER_SPELLINGS = (  # NumPy 2.1
    lambda a: np.reshape(a, shape=(3, 2)),
    lambda a: np.reshape(a, shape=(3, 2), order="C"),
    lambda a: np.clip(a, min=-1.2, max=1.2),
)
if hasattr(np, "unstack"):
    SPELLINGS += NEWER_SPELLINGS


@pytest.mark.parametrize("call", SPELLINGS)
def test_arguments_may_be_spelled_as_in_numpy(call):
    result = call(Z)
    assert_same_value(result, call(Z.value))
    h = 2.0**-20
    slope = (call(Z.value + h) - call(Z.value - h)) / (2 * h)
    np.testing.assert_allclose(result.im(1), slope, rtol=1e-7, atol=1e-8)
    recorded, lin = mcx.linearize(call, Z.value)
    np.testing.assert_array_equal(recorded, result.value)
    np.testing.assert_allclose(lin(Z.im(1)), result.im(1), rtol=1e-13, atol=1e-14)
