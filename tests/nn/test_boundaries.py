"""mcx_nn is plain NumPy: two modules import mcx, and importing the package stays light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import mcx_nn

PACKAGE = Path(mcx_nn.__file__).parent
MODULES = sorted(PACKAGE.glob("**/*.py"))
EXTRA = {  # what a module may import beyond numpy
    "primitives.py": {"mcx"},  # registers
    "compiled.py": {"mcx", "llvmlite"},  # compiles
    "digits.py": {"sklearn"},
    "libsvm.py": {"scipy", "sklearn"},
}


def imports(source):
    """Return the top-level names that a module imports, anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_imports(path):
    foreign = imports(path.read_text("utf-8")) - set(sys.stdlib_module_names)
    allowed = {"numpy", "mcx_nn"}
    allowed |= EXTRA.get(path.name, set())
    assert foreign <= allowed


def test_imports_are_found():
    assert imports("def f():\n    import mcx.array as a\n    from cupy.linalg import b") == {
        "mcx",
        "cupy",
    }


@pytest.mark.parametrize(
    "name",
    [
        *("activations", "concatenation", "convolution", "dense", "dropout"),
        *("embedding", "flatten", "losses", "normalization", "pooling", "primitives"),
        *("regularization", "residual", "sequential", "softmax"),
    ],
)
def test_blind(name):
    """Layers never ask what an array is, never convert one, and allocate only like another."""
    calls = [
        node
        for node in ast.walk(ast.parse((PACKAGE / f"{name}.py").read_text("utf-8")))
        if isinstance(node, ast.Call) and not any(word.arg == "like" for word in node.keywords)
    ]
    names = {getattr(call.func, "attr", getattr(call.func, "id", "")) for call in calls}
    if name in {"convolution", "dense", "normalization"}:
        names -= {"zeros", "ones"}  # initial parameters, which are ndarrays
    assert not names & {"isinstance", "type", "hasattr", "asarray", "array", "zeros", "ones"}
    assert not names & {"empty", "full", "arange", "eye"}


def test_import_is_light():
    """In a fresh interpreter, neither heavy libraries nor a backend come along."""
    code = (
        "import sys, mcx_nn\n"
        "print(*sorted({'cupy', 'numba', 'scipy', 'sklearn', 'matplotlib', 'mcx_optim'}"
        " & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PACKAGE.parent
    )
    assert result.stdout.split() == []


STUB = """
import sys
from types import ModuleType, SimpleNamespace
import numpy as np

def register_linear(function=None, shape=None):
    if function is None:
        return lambda function: register_linear(function, shape)
    if shape is None:
        return function
    def call(x, *static):
        out = np.empty(shape(x.shape, *static), x.dtype)
        function(x, *static, out=out)
        return out
    return call

def register_bilinear(shape):
    def decorate(function):
        def call(x, y, *static):
            out = np.empty(shape(x.shape, y.shape, *static), x.dtype)
            function([(x, y)], *static, out=out)
            return out
        return call
    return decorate

def register_analytic(series, *options):
    return lambda function: function

for name in ("mcx", "mcx.kernels", "mcx.memory"):
    sys.modules[name] = ModuleType(name)
mcx, kernels = sys.modules["mcx"], sys.modules["mcx.kernels"]
mcx.register_linear, mcx.register_bilinear = register_linear, register_bilinear
mcx.register_analytic = register_analytic
kernels.cache, kernels.launch = SimpleNamespace(numba_ready=lambda: False), SimpleNamespace(WORK=0)
memory = sys.modules["mcx.memory"]
memory.new_buffer, memory.empty_like = None, lambda x, shape: np.empty(shape, x.dtype)
memory.frozen = lambda x: x
"""


def test_layers_run_without_mcx():
    """With mcx replaced by the few lines that plain arrays need, a model trains one step."""
    code = STUB + (
        "import mcx_nn\n"
        "problem = mcx_nn.Supervised(mcx_nn.lenet5(), mcx_nn.softmax_cross_entropy)\n"
        "w = problem.init(np.random.default_rng(0))\n"
        "batch = np.ones((2, 28, 28, 1)), np.array([1, 7])\n"
        "loss, grad = problem.value_and_grad(w, batch)\n"
        "print(problem.value(w - 0.1 * grad, batch) < loss)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PACKAGE.parent
    )
    assert result.stdout.split() == ["True"]
