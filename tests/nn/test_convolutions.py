"""Convolution algorithms: exact identities, SciPy's correlation, adjoints, and machine code."""

from fractions import Fraction

import numpy as np
import pytest

import mcx
from mcx_nn import Conv2d, get_convolution, set_convolution
from mcx_nn.convolutions import compiled, products
from mcx_nn.convolutions.algorithms import KARATSUBA, WINOGRAD2, WINOGRAD4
from mcx_nn.convolutions.choice import tiling_of
from mcx_nn.convolutions.direct import Direct
from mcx_nn.convolutions.source import one_dimensional
from mcx_nn.convolutions.tiling import Tiling, transposed
from tests.nn import checks
from tests.nn.cases import convolve, convolve_in_groups
from tests.standin import StandIn

ALGORITHMS = (WINOGRAD2, WINOGRAD4, KARATSUBA)
TILINGS = [
    Tiling(WINOGRAD2, WINOGRAD2, (2, 5, 7, 3), 4, (1, 1)),
    Tiling(WINOGRAD2, WINOGRAD2, (1, 3, 4, 2), 5, (2, 0)),
    Tiling(WINOGRAD4, WINOGRAD4, (2, 9, 6, 3), 4, (1, 0)),
    Tiling(WINOGRAD4, WINOGRAD2, (1, 4, 4, 70), 33, (1, 1)),
    Tiling(WINOGRAD2, WINOGRAD4, (3, 3, 3, 2), 2, (0, 0)),
    Tiling(KARATSUBA, KARATSUBA, (3, 2, 2, 17), 40, (1, 1)),
    Direct((3, 5, 7, 6), 8, (3, 2), (2, 1), (1, 2), (1, 2), 2),
    Direct((2, 6, 5, 4), 4, (2, 2), (1, 1), (0, 0), (2, 1), 4),
    Direct((2, 6, 5, 3), 5, (5, 3), (1, 1), (2, 1), (1, 1), 1),
    Direct((1, 1, 1, 1), 1, (1, 1), (1, 1), (0, 0), (1, 1), 1),
]
TRANSFORMS = {  # name: shapes of argument and result
    "images": ("shape", "image_tiles"),
    "kernels": ("kernel_shape", "kernel_tiles"),
    "outputs_transposed": ("output_shape", "output_tiles"),
}


@pytest.fixture
def machine_code(monkeypatch):
    """Compile at once, whatever the work."""
    monkeypatch.setattr(compiled, "_work", 1 << 62)


@pytest.fixture
def plain(monkeypatch):
    monkeypatch.setattr(compiled, "_work", -(1 << 62))


@pytest.fixture(autouse=True)
def choice():
    yield
    set_convolution("auto")


def draw(shape, dtype="float64", seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(dtype)


def tiles_of(tiling, dtype="float64", seed=0):
    """Return V, U, D of random images, kernels and outputs, and these."""
    given, tiles = [], []
    for k, (name, (shape, stored)) in enumerate(TRANSFORMS.items()):
        x = draw(getattr(tiling, shape), dtype, seed + k)
        out = np.full(getattr(tiling, stored), np.nan, dtype)
        products.transform(name, x, tiling, out)
        given.append(x)
        tiles.append(out)
    return tiles, given


def results_of(tiling, pairs):
    """Return y, dx and dw for pairs of tiles (V, U), (D, U), (V, D)."""
    out = []
    for name, shape, operands in zip(
        ("outputs", "images_transposed", "kernels_transposed"),
        (tiling.output_shape, tiling.shape, tiling.kernel_shape),
        pairs,
        strict=True,
    ):
        out.append(np.full(shape, np.nan, operands[0][0].dtype))
        products.transform_products(name, operands, tiling, out[-1])
    return out


def reference(tiling, x, w):
    """Convolution by SciPy."""
    if isinstance(tiling, Tiling):
        return convolve(x, w, np.zeros(tiling.filters), (1, 1), tiling.padding)
    geometry = {"stride": tiling.stride, "padding": tiling.padding, "dilation": tiling.dilation}
    return convolve_in_groups(x, w, np.zeros(tiling.filters), tiling.groups, **geometry)


@pytest.mark.parametrize("algorithm", ALGORITHMS, ids=lambda a: a.name)
def test_algorithms_are_exact(algorithm):
    """In rational arithmetic, for every unit input and tap."""
    names = "images", "kernels", "outputs"
    rows = {
        name: [
            [Fraction(c).limit_denominator(1000) for c in row] for row in getattr(algorithm, name)
        ]
        for name in names
    }
    for name in names:
        exact = np.array(getattr(algorithm, name))
        np.testing.assert_allclose(np.array(rows[name], float), exact, rtol=1e-15)
    for n in range(algorithm.inputs):
        for tap in range(3):
            pairs = zip(rows["images"], rows["kernels"], strict=True)
            points = [b[n] * g[tap] for b, g in pairs]
            y = [sum(a * p for a, p in zip(row, points, strict=True)) for row in rows["outputs"]]
            first = 1 - algorithm.before  # input on which the window of output 0 begins
            assert y == [int(n + first == i + tap) for i in range(algorithm.step)]


@pytest.mark.parametrize("algorithm", ALGORITHMS, ids=lambda a: a.name)
@pytest.mark.parametrize("name", ["images", "kernels", "outputs"])
def test_printed_transforms(algorithm, name):
    for rows in (getattr(algorithm, name), transposed(getattr(algorithm, name))):
        x = draw((len(rows[0]),))
        names = {f"x{k}": value for k, value in enumerate(x)} | {"T": float}
        exec("\n".join(one_dimensional(rows)), names)
        got = [names[f"y{k}"] for k in range(len(rows))]
        np.testing.assert_allclose(got, np.array(rows) @ x, rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("tiling", TILINGS, ids=str)
@pytest.mark.parametrize("way", ["plain", "machine_code"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_value_and_adjoints(tiling, way, dtype, request):
    """Y against SciPy; ⟨dy, y⟩ = ⟨dx, x⟩ = ⟨dw, w⟩ for the gradients of ⟨dy, y(x, w)⟩."""
    request.getfixturevalue(way)
    (v, u, d), (x, w, dy) = tiles_of(tiling, dtype)
    if way == "machine_code":
        assert compiled.machine(tiling, v) is not None
    y, dx, dw = results_of(tiling, ([(v, u)], [(d, u)], [(v, d)]))
    eps = np.finfo(dtype).eps
    checks.assert_close(y, reference(tiling, x.astype(float), w.astype(float)), 64 * eps, "y")
    expected = np.vdot(dy, y)
    scale = np.linalg.norm(dy) * np.linalg.norm(y)
    assert abs(np.vdot(dx, x) - expected) <= 64 * eps * scale
    assert abs(np.vdot(dw, w) - expected) <= 64 * eps * scale


@pytest.mark.parametrize("tiling", TILINGS, ids=str)
@pytest.mark.parametrize("way", ["plain", "machine_code"])
def test_sums_of_products(tiling, way, request):
    request.getfixturevalue(way)
    (v, u, d), _ = tiles_of(tiling)
    (v2, u2, d2), _ = tiles_of(tiling, seed=5)
    together = results_of(tiling, ([(v, u2), (v2, u)], [(d, u2), (d2, u)], [(v, d2), (v2, d)]))
    first = results_of(tiling, ([(v, u2)], [(d, u2)], [(v, d2)]))
    second = results_of(tiling, ([(v2, u)], [(d2, u)], [(v2, d)]))
    for total, a, b in zip(together, first, second, strict=True):
        checks.assert_close(total, a + b, 32 * checks.EPS, "sum")


@pytest.mark.parametrize("threads", [1, 3])
def test_blocks_and_threads(machine_code, monkeypatch, threads):
    """Many small blocks, on several threads, give what one block gives."""
    tiling = Tiling(WINOGRAD4, WINOGRAD2, (9, 10, 9, 40), 37, (1, 1))
    windows = Direct((9, 10, 9, 6), 10, (3, 3), (1, 1), (1, 1), (1, 1), 2)
    before = mcx.get_num_threads()
    in_place = Direct((9, 10, 9, 6), 10, (3, 3), (1, 1), (1, 1), (1, 1), 1)
    for plan in (tiling, windows, in_place):
        tiles, _ = tiles_of(plan)
        v, u, d = tiles
        pairs = [(v, u)], [(d, u)], [(v, d)]
        whole = results_of(plan, pairs)
        with monkeypatch.context() as patch:
            patch.setattr(compiled, "_BLOCK", 1)
            patch.setattr(compiled, "_LEAST", 7)
            patch.setattr(compiled, "_PARALLEL", 1)
            patch.setattr(compiled, "_ROWS", 1)
            mcx.set_num_threads(threads)
            try:
                parts = results_of(plan, pairs)
                again, _ = tiles_of(plan)
            finally:
                mcx.set_num_threads(before)
        for a, b in zip(parts, whole, strict=True):
            checks.assert_close(a, b, 8 * checks.EPS, "blocks")
        for a, b, cut in zip(again, tiles, ("images", "kernels", "outputs"), strict=True):
            seen = getattr(plan, f"as_{cut}")
            np.testing.assert_array_equal(seen(a), seen(b))


@pytest.mark.parametrize(
    "tiling",
    [
        Tiling(WINOGRAD2, WINOGRAD2, (0, 8, 8, 16), 16, (1, 1)),
        Tiling(WINOGRAD4, WINOGRAD2, (0, 4, 4, 70), 33, (1, 1)),
        Direct((0, 5, 7, 6), 8, (3, 2), (2, 1), (1, 2), (1, 2), 2),
        Direct((0, 6, 5, 3), 5, (5, 3), (1, 1), (2, 1), (1, 1), 1),
    ],
    ids=str,
)
def test_no_images(machine_code, tiling):
    """Sums over no images are zero, not what was in memory."""
    v, u, d = tiles_of(tiling)[0]
    y, dx, dw = results_of(tiling, ([(v, u)], [(d, u)], [(v, d)]))
    assert y.size == dx.size == 0
    assert not dw.any()


@pytest.mark.parametrize("tiling", [TILINGS[0], TILINGS[6]], ids=["tiling", "windows"])
def test_several_dtypes_take_machine_code(machine_code, monkeypatch, tiling):
    """Operands in single precision count as the same numbers in double precision."""
    (v, u, d), _ = tiles_of(tiling)
    singles, doubles, used = [], [], []
    for tiles, seen in ((u, tiling.as_kernels), (d, tiling.as_outputs)):
        single = np.full(tiles.shape, 0x7FA00000, "uint32").view("float32")  # signalling NaN
        seen(single)[...] = seen(tiles)
        double = tiles.copy()
        seen(double)[...] = seen(single)
        singles.append(single)
        doubles.append(double)

    def machine(*arrays):
        used.append(compiled.machine(*arrays))
        return used[-1]

    monkeypatch.setattr(products, "machine", machine)
    (u, d), (exact_u, exact_d) = singles, doubles
    mixed = results_of(tiling, ([(v, u)], [(exact_d, u)], [(v, d)]))
    assert len(used) == 3
    assert None not in used
    alike = results_of(tiling, ([(v, exact_u)], [(exact_d, exact_u)], [(v, exact_d)]))
    for got, expected in zip(mixed, alike, strict=True):
        assert np.array_equal(got, expected)


@pytest.mark.parametrize("name", ["direct", "winograd2", "winograd4", "auto"])
@pytest.mark.parametrize("shape", [(2, 2, 2, 16), (2, 6, 5, 16), (1, 4, 4, 3)])
def test_layer_with_every_algorithm(name, shape):
    """Gradient by complex step, Hp by mcx against complex steps of the gradient."""
    set_convolution(name)
    assert get_convolution() == name
    layer = Conv2d(shape[3], 16, 3, padding=1)
    params = {key: draw(s) for key, s in layer.parameters.items()}
    x, dy = draw(shape), draw((*shape[:3], 16))
    y, _ = layer.forward(params, x, {})
    checks.assert_close(
        y, convolve(x, params["weight"], params["bias"], padding=(1, 1)), 256 * checks.EPS, "y"
    )
    problem = checks.layer_problem(layer, params, x, dy)
    p, q = (draw(problem.z.shape, seed=k) for k in (1, 2))
    expected = checks.complex_step(problem.value, problem.z, p)
    gradient = problem.gradient(problem.z)
    assert abs(gradient @ p - expected) <= 1e-12 * np.abs(gradient * p).sum()
    along_p = checks.complex_step(problem.gradient, problem.z, p)
    checks.assert_close(mcx.csdd(problem.gradient, problem.z, p)[1], along_p, 1e-12, "csdd")
    _, hvp = mcx.linearize(problem.gradient, problem.z)
    checks.assert_close(hvp(p), along_p, 1e-12, "linearize")
    block = hvp(np.stack([p, q, p - q]))
    checks.assert_close(block[0], along_p, 1e-12, "block")
    checks.assert_close(block[2], block[0] - block[1], 1e-11, "block")
    curvature = mcx.csdd2(problem.value, problem.z, p)
    assert abs(curvature - p @ along_p) <= 1e-12 * np.abs(p * along_p).sum()


@pytest.mark.parametrize("tiling", TILINGS, ids=str)
def test_standin_and_complex(tiling):
    """Arrays without machine code take the plain way, to the same numbers."""
    (v, u, d), (x, w, dy) = tiles_of(tiling)
    y, dx, dw = results_of(tiling, ([(v, u)], [(d, u)], [(v, d)]))
    for wrap, unwrap in (
        (StandIn.wrap, StandIn.get),
        (lambda a: a * (1 + 2j), lambda a: a),
    ):
        layer = Conv2dOf(tiling)
        got_y, got_dx, got_dw = (unwrap(a) for a in layer(*(wrap(a) for a in (x, w, dy))))
        factor = (1 + 2j) ** 2 if got_y.dtype.kind == "c" else 1
        for got, expected in ((got_y, y), (got_dx, dx), (got_dw, dw)):
            checks.assert_close(got, factor * expected, 64 * checks.EPS, "plain way")


class Conv2dOf:
    """y, dx and dw by the registered primitives for one tiling."""

    def __init__(self, tiling):
        self.tiling = tiling

    def __call__(self, x, w, dy):
        from mcx_nn import primitives as p

        v, u, d = (f(a, self.tiling) for f, a in (
            (p.image_tiles, x), (p.kernel_tiles, w), (p.output_tiles, dy)))  # fmt: skip
        return (
            p.outputs_of_tiles(v, u, self.tiling),
            p.images_of_tiles(d, u, self.tiling),
            p.kernels_of_tiles(v, d, self.tiling),
        )


def test_accuracy_of_winograd4_in_float32(machine_code):
    """What `set_convolution` states: relative errors of 1 to 3e-6 at most; direct 3 to 5e-7."""
    x, w = draw((2, 16, 16, 64)), draw((3, 3, 64, 64))
    errors = {}
    for name in ("direct", "winograd2", "winograd4"):
        set_convolution(name)
        layer = Conv2d(64, 64, 3, padding=1)
        params = {"weight": w, "bias": np.zeros(64)}
        exact, _ = layer.forward(params, x, {})
        single = {key: a.astype("float32") for key, a in params.items()}
        y, _ = layer.forward(single, x.astype("float32"), {})
        errors[name] = np.linalg.norm(y - exact) / np.linalg.norm(exact)
    assert errors["direct"] <= 5e-7
    assert errors["winograd2"] <= 6e-7
    assert errors["winograd4"] <= 3.5e-6


def test_choice():
    def chosen(shape, filters, kernel=(3, 3), stride=(1, 1), dilation=(1, 1), groups=1):
        plan = tiling_of(shape, filters, kernel, stride, (1, 1), dilation, groups)
        return "direct" if isinstance(plan, Direct) else (plan.down.name, plan.across.name)

    assert chosen((16, 32, 32, 64), 64) == ("winograd4", "winograd4")
    assert chosen((16, 4, 4, 512), 512) == ("winograd4", "winograd2")
    assert chosen((128, 4, 4, 512), 512) == ("winograd4", "winograd4")
    assert chosen((16, 2, 2, 512), 512) == ("karatsuba", "karatsuba")
    assert chosen((16, 2, 1, 512), 512) == ("winograd2", "winograd2")
    assert chosen((16, 32, 32, 3), 64) == "direct"
    assert chosen((16, 32, 32, 64), 64, stride=(2, 2)) == "direct"
    assert chosen((16, 32, 32, 64), 64, dilation=(2, 2)) == "direct"
    assert chosen((16, 32, 32, 64), 64, groups=2) == "direct"
    assert chosen((16, 32, 32, 64), 64, kernel=(5, 5)) == "direct"
    set_convolution("winograd2")
    assert chosen((16, 32, 32, 3), 3) == ("winograd2", "winograd2")
    set_convolution("direct")
    assert chosen((16, 32, 32, 64), 64) == "direct"
    with pytest.raises(ValueError, match=r"set_convolution: expected one of 'auto', .*got 'fft'"):
        set_convolution("fft")
