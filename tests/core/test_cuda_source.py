"""The CUDA printer: NVRTC compiles its output, and as C it computes the same bits as Numba."""

import ctypes
import importlib.util
import itertools
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from core.algebras import UNITS
from core.ways import assert_same, plainly
from numpy.testing import assert_array_equal
from standin import StandIn

import mcx
from mcx.algebra import algebra_of, unit_factor
from mcx.kernels import cuda
from mcx.kernels.launch import _evaluated
from mcx.kernels.program import Operand, composition, product, quotient
from mcx.kernels.source import cuda_source
from mcx.rules.arithmetic import ANALYTIC
from mcx.support import supported

ORDERS = {n: algebra_of(UNITS[n]) for n in (1, 2, 3)} | {4: algebra_of((*UNITS[3], unit_factor(4)))}
BINARY = {np.multiply: product, np.divide: quotient}
FUNCTIONS = (np.exp, np.tanh, np.arctan, np.sqrt, np.log)
MASKS = {"all planes": -1, "single units": 0b1_0001_0111}


def masked(algebra, mask):
    return algebra.full & mask


def traced(func, algebra, mask):
    """Return the program of a function, all operands with the given live planes."""
    live = masked(algebra, mask)
    if func in BINARY:
        return BINARY[func](algebra.table, Operand(live), Operand(live))
    return composition(func.__name__, ANALYTIC[func], algebra.table, live)


CASES = [
    pytest.param(func, order, mask, id=f"{func.__name__}-{order}-{name}")
    for func in (*BINARY, *FUNCTIONS)
    for order in ORDERS
    for name, mask in MASKS.items()
]


@cache
def nvrtc():
    """Return the NVRTC library of NVIDIA's wheel; skip where it is not installed."""
    try:
        spec = importlib.util.find_spec("nvidia.cuda_nvrtc")
    except ModuleNotFoundError:
        spec = None
    folders = map(Path, spec.submodule_search_locations or ()) if spec else ()
    found = [path for folder in folders for path in sorted(folder.glob("lib/libnvrtc.so.*"))]
    if not found:
        pytest.skip("NVRTC is absent: the wheel nvidia-cuda-nvrtc-cu12 exists for Linux alone")
    return ctypes.CDLL(str(found[0]))


def compiled(source, architecture):
    """Compile CUDA C to machine code; return (status, bytes of it, the compiler's log)."""
    library, handle, size = nvrtc(), ctypes.c_void_p(), ctypes.c_size_t()
    text = source.encode()
    assert library.nvrtcCreateProgram(ctypes.byref(handle), text, b"kernel.cu", 0, None, None) == 0
    try:
        options = (ctypes.c_char_p * 1)(f"--gpu-architecture={architecture}".encode())
        status = library.nvrtcCompileProgram(handle, 1, options)
        library.nvrtcGetProgramLogSize(handle, ctypes.byref(size))
        log = ctypes.create_string_buffer(size.value)
        library.nvrtcGetProgramLog(handle, log)
        size.value = 0
        if status == 0:
            assert library.nvrtcGetCUBINSize(handle, ctypes.byref(size)) == 0
        return status, size.value, log.value.decode()
    finally:
        library.nvrtcDestroyProgram(ctypes.byref(handle))


class TestNvrtc:
    @pytest.mark.parametrize("architecture", ["sm_80", "sm_90"])
    @pytest.mark.parametrize(("func", "order", "mask"), CASES)
    def test_compiles(self, func, order, mask, architecture, dtype):
        program = traced(func, ORDERS[order], mask)
        status, size, log = compiled(cuda_source(program, dtype.char), architecture)
        assert status == 0, log
        assert size > 0, log

    def test_a_planted_syntax_error_is_caught(self):
        source = cuda_source(traced(np.multiply, ORDERS[1], -1), "d")
        status, size, log = compiled(source.replace("const T v0 =", "const T v0"), "sm_80")
        assert status != 0
        assert size == 0
        assert "error" in log


LAUNCH = """\
#include <math.h>
static const struct { long long x; } gridDim = {1}, blockDim = {1}, blockIdx = {0}, threadIdx = {0};
"""


@cache
def compiler():
    """Return the system's C compiler; skip where there is none."""
    found = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
    if found is None or sys.platform == "win32":
        pytest.skip("no C compiler on this machine")
    return found


def as_c(source, folder):
    """Return the kernel of CUDA C compiled as C: one thread strides over all elements."""
    path = folder / "kernel.c"
    path.write_text(LAUNCH + source.replace('extern "C" __global__', ""), encoding="utf-8")
    shared = folder / "kernel.so"
    options = ("-O2", "-ffp-contract=off", "-shared", "-fPIC")
    done = subprocess.run(
        [compiler(), *options, str(path), "-o", str(shared), "-lm"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return ctypes.CDLL(str(shared)).kernel


def number(rng, algebra, mask, dtype):
    live = masked(algebra, mask)
    planes = np.zeros((algebra.size, 9), dtype)
    for k in range(algebra.size):
        if live >> k & 1:
            planes[k] = rng.uniform(0.25, 0.75, 9) * (rng.choice([-1, 1], 9) if k else 1)
    return mcx.Multicomplex(planes, algebra, supported(live, algebra))


def prepared(func, program, numbers):
    """Return (inputs, results of the NumPy calls, output with its value) of a program."""
    inputs = [z._planes for z in numbers]
    out = np.zeros((program.size, inputs[0].shape[1]), inputs[0].dtype)
    if func not in BINARY:
        out[0] = func(inputs[0][0])
    known = {}
    calls = [_evaluated(c, inputs, out, 0, out.shape[1], known) for c in program.calls]
    return inputs, calls, out


@pytest.mark.parametrize(("func", "order", "mask"), CASES)
def test_as_c_it_computes_the_bits_of_numpy(func, order, mask, dtype, rng, tmp_path):
    algebra = ORDERS[order]
    numbers = [number(rng, algebra, mask, dtype) for _ in range(2 if func in BINARY else 1)]
    program = traced(func, algebra, mask)
    inputs, calls, out = prepared(func, program, numbers)
    kernel = as_c(cuda_source(program, dtype.char), tmp_path)
    arrays = [*inputs, *map(np.ascontiguousarray, calls), out]
    pointers = [ctypes.c_void_p(a.ctypes.data) for a in arrays]
    kernel(*pointers, ctypes.c_longlong(out.shape[1]))
    with plainly():
        expected = func(*numbers)
    live = supported(program.live, algebra)
    assert_same(mcx.Multicomplex(out, algebra, live), expected)


@pytest.fixture
def launches(monkeypatch):
    """Put a module in CuPy's place that records the kernels made and their launches."""
    seen = SimpleNamespace(made=[], launched=[])

    class RawKernel:
        def __init__(self, code, name, options=()):
            seen.made.append((code, name, options))

        def __call__(self, grid, block, args):
            seen.launched.append((grid, block, args))

    monkeypatch.setitem(sys.modules, "cupy", SimpleNamespace(RawKernel=RawKernel))
    cuda._compiled.cache_clear()
    yield seen
    cuda._compiled.cache_clear()


class TestRun:
    @pytest.mark.parametrize("size", [1, 256, 257, 10**8])
    def test_arguments(self, size, launches, dtype):
        program = traced(np.tanh, ORDERS[2], -1)
        like = np.empty((0, size), dtype)
        x, call, out = (np.broadcast_to(like[:0], (0, size)) for _ in range(3))
        cuda.run(program, [x], [call], out)
        (code, name, options), ((grid, block, args),) = launches.made[0], launches.launched
        assert (code, name) == (cuda_source(program, dtype.char), "kernel")
        assert options == ("--fmad=false",)
        assert [id(a) for a in args[:-1]] == [id(x), id(call), id(out)]
        assert args[-1] == size
        assert type(args[-1]) is np.int64  # `long long`; a Python int is not converted
        assert block == (256,)
        assert 1 <= grid[0] <= 1 << 16
        assert grid[0] == 1 << 16 or (grid[0] - 1) * 256 < size <= grid[0] * 256

    def test_compiles_once_for_each_program_and_dtype(self, launches):
        first, second = (traced(f, ORDERS[1], -1) for f in (np.multiply, np.divide))
        for program in (first, second, first):
            for char in "fd":
                x = np.empty((2, 3), char)
                cuda.run(program, [x, x], [], x)
        assert len(launches.made) == 4
        assert len(launches.launched) == 6

    def test_nothing_is_launched_for_no_elements(self, launches):
        x = np.empty((2, 0))
        cuda.run(traced(np.multiply, ORDERS[1], -1), [x, x], [], x)
        assert not launches.launched


@pytest.fixture
def pretended(monkeypatch, tmp_path):
    """Make the stand-in pass for CuPy's array, its kernels run on the CPU; count launches."""
    launched = []

    class RawKernel:
        def __init__(self, code, name, options=()):
            folder = tmp_path / str(len(list(tmp_path.iterdir())))
            folder.mkdir()
            self.kernel = as_c(code, folder)

        def __call__(self, grid, block, args):
            *arrays, size = args
            assert all(a.flags.c_contiguous for a in arrays)
            pointers = [ctypes.c_void_p(a._array.ctypes.data) for a in arrays]
            self.kernel(*pointers, ctypes.c_longlong(size))
            launched.append(args)

    monkeypatch.setitem(sys.modules, "cupy", SimpleNamespace(RawKernel=RawKernel))
    monkeypatch.setattr(StandIn, "__module__", "cupy")
    cuda._compiled.cache_clear()
    yield launched
    cuda._compiled.cache_clear()


@pytest.mark.parametrize(
    "func",
    [
        np.multiply, np.divide, lambda x, y: np.tanh(x), lambda x, y: np.sqrt(y),
        lambda x, y: 1 / y, lambda x, y: x**2.5, lambda x, y: np.log(x.T) * y.T,
        lambda x, y: x[1:] * y[:-1], lambda x, y: x * y[0], lambda x, y: np.exp(x * 0.0 + 1.0) / y,
    ],
)  # fmt: skip
def test_numbers_on_a_pretended_device(func, dtype, rng, pretended):
    """Numbers of device arrays through the whole of mcx: the bits are those of NumPy."""
    algebra = ORDERS[2]
    for masks in itertools.product((0b1111, 0b0111), (0b1111, 0b0101)):
        x, y = (
            mcx.Multicomplex(z._planes.reshape(-1, 3, 3), algebra, supported(z.live, algebra))
            for z in (number(rng, algebra, mask, dtype) for mask in masks)
        )
        on_device = [
            mcx.Multicomplex(StandIn.wrap(z._planes), algebra, supported(z.live, algebra))
            for z in (x, y)
        ]
        result = func(*on_device)
        with plainly():
            expected = func(x, y)
        assert type(result._planes) is StandIn
        assert_array_equal(result._planes.get(), expected._planes, strict=True)
        assert result.live == expected.live
    if func in BINARY:
        assert len(pretended) == 4


@pytest.mark.gpu
@pytest.mark.parametrize(("func", "order", "mask"), CASES)
def test_on_a_device(func, order, mask, dtype, rng):
    cupy = pytest.importorskip("cupy")
    algebra = ORDERS[order]
    numbers = [number(rng, algebra, mask, dtype) for _ in range(2 if func in BINARY else 1)]
    program = traced(func, algebra, mask)
    arrays = prepared(func, program, numbers)
    inputs, calls, out = (
        [cupy.array(a) for a in arrays[0]],
        [*map(cupy.array, arrays[1])],
        arrays[2],
    )
    result = cupy.array(out)
    cuda.run(program, inputs, calls, result)
    with plainly():
        expected = func(*numbers)
    assert_array_equal(result.get(), expected._planes)
