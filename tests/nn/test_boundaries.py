"""mcx_nn is plain NumPy: one module imports mcx, and importing the package stays light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import mcx_nn

PACKAGE = Path(mcx_nn.__file__).parent
MODULES = sorted(PACKAGE.glob("**/*.py"))
EXTRA = {  # what a module may import beyond numpy
    "primitives.py": {"mcx"},
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


def test_layers_run_without_mcx():
    """With mcx replaced by a single identity function, a model trains one step on ndarrays."""
    code = (
        "import sys, types\n"
        "mcx = types.ModuleType('mcx')\n"
        "mcx.register_linear = lambda function: function\n"
        "sys.modules['mcx'] = mcx\n"
        "import numpy as np, mcx_nn\n"
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
