"""Direct convolutions against plain loops over the outputs, for geometries of every kind."""

import math
from itertools import product

import numpy as np
import pytest

import mcx
from mcx_nn import primitives as p
from mcx_nn.convolutions import compiled, products
from mcx_nn.convolutions.direct import Direct
from tests.nn import checks

UNIT, NONE = (1, 1), (0, 0)
EDGES = [  # shape, filters, kernel, stride, padding, dilation, groups
    ((3, 28, 28, 1), 6, (5, 5), UNIT, (2, 2), UNIT, 1),  # LeNet
    ((3, 14, 14, 6), 16, (5, 5), UNIT, NONE, UNIT, 1),
    ((2, 4, 1, 2), 3, (2, 3), UNIT, (0, 1), UNIT, 1),  # one output in a row
    ((2, 3, 5, 2), 3, (2, 5), UNIT, NONE, UNIT, 1),
    ((2, 5, 9, 2), 3, (3, 3), UNIT, NONE, UNIT, 1),  # 7 of them
    ((1, 5, 13, 1), 1, (3, 3), UNIT, (1, 1), UNIT, 1),
    ((2, 5, 13, 2), 5, (3, 3), UNIT, (1, 1), UNIT, 1),
    ((2, 6, 37, 1), 1, (3, 3), UNIT, (1, 1), UNIT, 1),
    ((2, 3, 64, 1), 1, (2, 4), UNIT, (0, 2), UNIT, 1),
    ((1, 4, 6, 2), 2, (3, 3), UNIT, (5, 5), UNIT, 1),  # windows outside the image
    ((1, 1, 1, 3), 2, (2, 2), UNIT, (4, 4), UNIT, 1),
    ((2, 3, 4, 2), 3, (2, 2), (2, 2), (4, 4), UNIT, 1),
    ((2, 3, 5, 3), 2, (1, 1), UNIT, (3, 3), UNIT, 1),
    ((1, 1, 1, 3), 2, (1, 1), (5, 5), (0, 2), UNIT, 1),
    ((2, 2, 3, 2), 3, (1, 4), (2, 3), (3, 6), UNIT, 1),
    ((2, 7, 16, 3), 4, (3, 3), (2, 2), (1, 1), UNIT, 1),  # strides within a window
    ((2, 7, 17, 3), 4, (5, 4), (3, 2), (2, 1), UNIT, 1),
    ((1, 9, 12, 2), 3, (3, 3), UNIT, (2, 2), (2, 1), 1),  # holes in height alone
    ((1, 9, 12, 2), 3, (3, 3), UNIT, (2, 2), (1, 2), 1),
    ((2, 5, 8, 40), 40, (3, 3), UNIT, (1, 1), UNIT, 1),
    ((2, 5, 8, 12), 8, (3, 3), UNIT, (1, 1), UNIT, 4),
    ((2, 5, 8, 6), 6, (2, 3), UNIT, (0, 1), UNIT, 6),
]


def drawn(seed):
    """Draw a geometry."""
    rng = np.random.default_rng([14, seed])
    groups = int(rng.choice([1, 1, 1, 2, 3]))
    channels, filters = (groups * int(rng.integers(1, 40 // groups + 1)) for _ in range(2))
    kernel, stride = (tuple(map(int, rng.integers(1, n + 1, 2))) for n in (5, 3))
    dilation = tuple(map(int, rng.choice([1, 1, 1, 2], 2)))
    padding = tuple(int(rng.integers(0, k + 3)) for k in kernel)
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    extents = [
        int(rng.integers(max(1, r - 2 * q), max(1, r - 2 * q) + 12))
        for r, q in zip(reach, padding, strict=True)
    ]
    shape = int(rng.integers(1, 4)), *extents, channels
    return shape, filters, kernel, stride, padding, dilation, groups


PLANS = [Direct(*geometry) for geometry in [*EDGES, *map(drawn, range(60))]]


def loops(plan, x, w, dy):
    """Return y, and dx and dw of ⟨dy, y⟩, output by output in double precision."""
    x, w, dy = (a.astype(float) for a in (x, w, dy))
    (rise, step), (top, left), groups = plan.stride, plan.padding, plan.groups
    x = np.pad(x, ((0, 0), (top, top), (left, left), (0, 0)))
    y, dx, dw = np.zeros(dy.shape), np.zeros(x.shape), np.zeros(w.shape)
    sees, gives = (np.split(np.arange(n), groups) for n in (x.shape[3], dy.shape[3]))
    for i, j, g in np.ndindex(*dy.shape[1:3], groups):
        rows = i * rise + np.arange(w.shape[0]) * plan.dilation[0]
        columns = j * step + np.arange(w.shape[1]) * plan.dilation[1]
        window = np.ix_(range(len(x)), rows, columns, sees[g])
        y[:, i, j, gives[g]] = np.einsum("buvc,uvco->bo", x[window], w[..., gives[g]])
        dx[window] += np.einsum("bo,uvco->buvc", dy[:, i, j, gives[g]], w[..., gives[g]])
        dw[..., gives[g]] += np.einsum("buvc,bo->uvco", x[window], dy[:, i, j, gives[g]])
    inside = slice(top, x.shape[1] - top), slice(left, x.shape[2] - left)
    return y, dx[:, inside[0], inside[1]], dw


def operands(plan, dtype=float, seed=0):
    rng = np.random.default_rng(seed)
    shapes = plan.shape, plan.kernel_shape, plan.output_shape
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


def convolved(plan, x, w, dy):
    """Return y, dx and dw as the layer computes them."""
    v, u, d = p.image_tiles(x, plan), p.kernel_tiles(w, plan), p.output_tiles(dy, plan)
    return (
        p.outputs_of_tiles(v, u, plan),
        p.images_of_tiles(d, u, plan),
        p.kernels_of_tiles(v, d, plan),
    )


@pytest.fixture(params=["plain", "one thread", "two threads"])
def way(request, monkeypatch):
    """NumPy alone, or machine code in small blocks and many partial sums."""
    if request.param == "plain":
        monkeypatch.setattr(compiled, "_work", -math.inf)
        yield request.param
        return
    monkeypatch.setattr(compiled, "_work", math.inf)
    for name, size in (("_BLOCK", 1), ("_LEAST", 5), ("_ROWS", 1), ("_DEPTH", 7)):
        monkeypatch.setattr(compiled, name, size)
    before = mcx.get_num_threads()
    mcx.set_num_threads(1 if request.param == "one thread" else 2)
    yield request.param
    mcx.set_num_threads(before)


def assert_all_close(got, expected, tolerance):
    for name, a, b in zip(("y", "dx", "dw"), got, expected, strict=True):
        assert a.shape == b.shape
        checks.assert_close(a, b, tolerance, name)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("plan", PLANS, ids=str)
def test_convolution_and_its_transposes(plan, dtype, way):
    given = operands(plan, dtype)
    got = convolved(plan, *given)
    assert {a.dtype for a in got} == {np.dtype(dtype)}
    assert (compiled.machine(plan, given[0]) is None) == (way == "plain")
    assert_all_close(got, loops(plan, *given), 64 * np.finfo(dtype).eps)


UNITS = (), (1,), (2,)  # planes that the operands have


@pytest.mark.parametrize("square", [0, -1], ids=["limit", "exact"])
@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("plan", PLANS[1 : len(EDGES)], ids=str)
def test_planes(plan, order, square, way):
    """Every plane is the sum over the pairs of planes that make it, the square of a unit given."""
    planes = [operands(plan, seed=seed) for seed in range(order + 1)]
    step = {"h": 1.0} if square else {}
    got = convolved(plan, *(mcx.perturb(*parts, **step) for parts in zip(*planes, strict=True)))
    expected = {}
    for (a, left), (b, right) in product(zip(UNITS, planes, strict=False), repeat=2):
        (x, _, dy), (_, w, other) = left, right
        terms = *loops(plan, x, w, dy)[:2], loops(plan, x, w, other)[2]
        factor = square if a and a == b else 1
        units = () if a == b else tuple(sorted(a + b))
        sums = expected.get(units, (0, 0, 0))
        expected[units] = [s + factor * term for s, term in zip(sums, terms, strict=True)]
    assert len(expected) == 2**order
    for units, parts in expected.items():
        seen = [z.im(*units) if units else z.value for z in got]
        assert_all_close(seen, parts, 64 * checks.EPS)


@pytest.mark.parametrize("plan", PLANS[: len(EDGES)], ids=str)
def test_blocks_of_directions(plan, way):
    """Derivatives along three directions at once, of images and of kernels."""
    x, w, dy = operands(plan)
    others = [operands(plan, seed=seed) for seed in (1, 2, 3)]
    _, of_images = mcx.linearize(lambda x: convolved(plan, x, w, dy)[::2], x)
    _, of_kernels = mcx.linearize(lambda w: convolved(plan, x, w, dy)[:2], w)
    along_x = of_images(np.stack([other[0] for other in others]))
    along_w = of_kernels(np.stack([other[1] for other in others]))
    for k, (p_x, p_w, _) in enumerate(others):
        y, _, dw = loops(plan, p_x, w, dy)
        y_of_w, dx, _ = loops(plan, x, p_w, dy)
        got = along_x[0][k], along_x[1][k], along_w[0][k], along_w[1][k]
        for a, b in zip(got, (y, dw, y_of_w, dx), strict=True):
            checks.assert_close(a, b, 64 * checks.EPS, "direction")


@pytest.mark.parametrize("plan", PLANS[: len(EDGES)], ids=str)
def test_nothing_is_written_beyond_the_result(plan, way):
    x, w, dy = operands(plan)
    v, u, d = p.image_tiles(x, plan), p.kernel_tiles(w, plan), p.output_tiles(dy, plan)

    def within_guards(write, name, given, like):
        memory = np.full(like.size + 128, np.nan)
        write(name, given, plan, memory[64:-64].reshape(like.shape))
        assert np.isnan(memory[:64]).all()
        assert not np.isnan(memory[64:-64]).any()
        assert np.isnan(memory[-64:]).all()

    within_guards(products.transform, "images", x, v)
    within_guards(products.transform, "kernels", w, u)
    within_guards(products.transform, "outputs_transposed", dy, d)
    within_guards(products.transform_products, "outputs", [(v, u)], dy)
    within_guards(products.transform_products, "images_transposed", [(d, u)], x)
    within_guards(products.transform_products, "kernels_transposed", [(v, d)], w)


LARGE = [  # enough windows for several partial sums as they are
    Direct((40, 28, 28, 1), 6, (5, 5), UNIT, (2, 2), UNIT, 1),
    Direct((80, 14, 14, 6), 16, (5, 5), UNIT, NONE, UNIT, 1),
    Direct((33, 23, 19, 4), 6, (3, 3), UNIT, (1, 1), UNIT, 2),
    Direct((12, 30, 31, 5), 70, (3, 3), UNIT, NONE, UNIT, 1),
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("plan", LARGE, ids=str)
def test_the_number_of_threads_changes_no_bit(plan, dtype, monkeypatch):
    monkeypatch.setattr(compiled, "_work", math.inf)
    given = operands(plan, dtype)
    before = mcx.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 3, 5):
            mcx.set_num_threads(threads)
            results.append(convolved(plan, *given))
    finally:
        mcx.set_num_threads(before)
    assert plan.tiles > compiled._DEPTH
    for other in results[1:]:
        for a, b in zip(other, results[0], strict=True):
            np.testing.assert_array_equal(a, b)


def span(shape, filters, kernel=(3, 3), stride=UNIT, padding=(1, 1), dilation=UNIT, groups=1):
    return Direct(shape, filters, kernel, stride, padding, dilation, groups).span


def test_span():
    """A divisor of OW; 1 where outputs share no pixels, or filters fill the registers anyway."""
    lenet = (8, 28, 28, 1), 6, (5, 5), UNIT, (2, 2)
    assert span(*lenet) > 1
    assert span((8, 14, 14, 6), 16, (5, 5), padding=NONE) > 1
    assert span((8, 32, 32, 3), 8) > 1
    assert span((8, 32, 32, 3), 8, stride=(3, 2)) > 1
    assert span((8, 32, 32, 3), 8, dilation=(2, 1)) > 1
    assert span((8, 32, 32, 4), 8, groups=4) == 1
    assert span((8, 32, 32, 3), 8, dilation=(1, 2)) == 1
    assert span((8, 33, 33, 3), 8, stride=(1, 3)) == 1
    assert span((8, 32, 32, 3), 8, kernel=(3, 1)) == 1
    assert span((8, 32, 1, 3), 8) == 1
    assert span((8, 32, 32, 16), 256) == span((8, 32, 32, 16), 256, (5, 5), UNIT, (2, 2)) == 1
    assert all(plan.grid[1] % plan.span == 0 for plan in PLANS)
    assert sum(plan.span > 1 for plan in PLANS) > len(PLANS) // 4


def test_windows_of_large_images_stay_small():
    """However few the filters, a span takes less memory than a window for every output."""
    for channels, filters, (kernel, extent) in product((1, 16), (1, 4), ((3, 512), (5, 480))):
        shape = 1, extent, extent, channels
        plan = Direct(shape, filters, (kernel, kernel), UNIT, NONE, UNIT, 1)
        outputs = math.prod(plan.grid)
        assert plan.span > 1
        assert plan.span * filters <= 64
        assert plan.tiles * plan.sizes[1] < outputs * kernel**2 * channels
        assert math.prod(plan.kernel_tiles) < outputs
