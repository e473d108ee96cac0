"""What does not depend on the size of the arrays: one small operation, the import, the compilation.

Run ``python -m tests.bench.overhead``. Three tables:

* one operation on 10 elements and on a scalar, at orders 1 and 2 with every plane nonzero, beside
  `astropy.units.Quantity`, PyTorch's forward mode (`torch.autograd.forward_ad` at order 1, nested
  `torch.func.jvp` at order 2, timed from within) and plain NumPy;
* ``import mcx, mcx_nn, mcx_optim`` after ``import numpy``, in processes of their own;
* the first call of a kernel in a process with an empty cache, and in the next process.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from tests.bench.harness import best, duration, machine, peer, same, table  # it fixes the threads

import mcx  # isort: skip
from mcx.kernels import launch

import numpy as np  # isort: skip

BARS = {  # microseconds
    **dict.fromkeys(("add", "add a float", "multiply", "multiply by a float"), 6.0),
    **dict.fromkeys(("exp", "tanh"), 10.0),
}
IMPORT_BAR, COMPILE_BAR = 0.15, 3.0  # seconds
POINTS = {
    "10 elements": np.linspace(0.2, 1.1, 10),
    "3 x 3": np.linspace(0.2, 1.1, 9).reshape(3, 3),
    "scalar": np.float64(0.7),
}
DERIVATIVES = ("value", "first derivative", "second derivative")
IMPORTS = """
import time
start = time.perf_counter()
import numpy
middle = time.perf_counter()
import mcx, mcx_nn, mcx_optim
print(middle - start, time.perf_counter() - middle)
"""

# Each is called with a namespace (numpy or torch) and two operands.
OPERATIONS = {
    "add": lambda xp, u, v: u + v,
    "add a float": lambda xp, u, v: u + 2.0,
    "multiply": lambda xp, u, v: u * v,
    "multiply by a float": lambda xp, u, v: u * 2.0,
    "divide": lambda xp, u, v: u / v,
    "exp": lambda xp, u, v: xp.exp(u),
    "tanh": lambda xp, u, v: xp.tanh(u),
    "sum": lambda xp, u, v: xp.sum(u),
    "reshape": lambda xp, u, v: u.reshape(-1, 1),
    "getitem": lambda xp, u, v: u[3],
    "matmul": lambda xp, u, v: u @ v,
}
UNITS = {"exp": "", "tanh": "rad", "add a float": ""}  # what a Quantity must have; others metres


def operands(x):
    """Return two operands that carry derivatives of every order, from the point x."""
    return x * x, x * x + x


def cases():
    """Return the rows of the table: (operation, size)."""
    everywhere = [name for name in OPERATIONS if name not in ("getitem", "matmul")]
    rows = [(name, "10 elements") for name in (*everywhere, "getitem")]
    return [*rows, ("matmul", "3 x 3"), *((name, "scalar") for name in everywhere)]


def with_numpy(name: str, x):
    """Return the time and the value of an operation on plain arrays."""
    call = partial(OPERATIONS[name], np, *operands(x))
    return best(call, seconds=0.1), [call()]


def with_mcx(order: int, name: str, x):
    """Return the time of an operation on Multicomplex numbers, the value and the derivatives."""
    u, v = (n.copy() for n in operands(mcx.perturb(x, *[np.ones_like(x)] * order)))
    if not all(np.all(n.planes) for n in (u, v)):
        raise AssertionError(f"{name}: an operand has zeros")
    call = partial(OPERATIONS[name], np, u, v)
    result = call()
    return best(call, seconds=0.1), [result.im(*range(1, k + 1)) for k in range(order + 1)]


def with_quantity(name: str, x):
    """Return the time and the value of an operation on quantities in metres, or the unit needed."""
    units = peer("astropy.units")
    unit = units.Unit(UNITS.get(name, "m"))
    call = partial(OPERATIONS[name], np, *(n * unit for n in operands(x)))
    return best(call, seconds=0.1), [call().value]


def with_dual(name: str, x):
    """Return the time of an operation on PyTorch's dual tensors, the value and the derivative."""
    torch, forward_ad = peer("torch"), peer("torch.autograd.forward_ad")
    point = torch.as_tensor(x)
    with forward_ad.dual_level():
        u, v = operands(forward_ad.make_dual(point, torch.ones_like(point)))
        call = partial(OPERATIONS[name], torch, u, v)
        return best(call, seconds=0.1), list(forward_ad.unpack_dual(call()))


def with_nested_jvp(name: str, x):
    """Return the same to order 2, the operation timed inside of two nested `torch.func.jvp`."""
    torch, times = peer("torch"), []
    point = torch.as_tensor(x)
    ones = torch.ones_like(point)

    def inner(x):
        call = partial(OPERATIONS[name], torch, *operands(x))
        times.append(best(call, seconds=0.1))
        return call()

    def outer(x):
        return torch.func.jvp(inner, (x,), (ones,))

    (value, first), (_, second) = torch.func.jvp(outer, (point,), (ones,))
    return times[0], [value, first, second]


SIDES = {
    "mcx, order 1": partial(with_mcx, 1),
    "mcx, order 2": partial(with_mcx, 2),
    "Quantity": with_quantity,
    "torch, order 1": with_dual,
    "torch, order 2": with_nested_jvp,
}


def missing() -> dict[str, str]:
    """Return the sides whose package is not installed, with the reason to print."""
    packages = {"Quantity": "astropy", "torch, order 1": "torch", "torch, order 2": "torch"}
    return {
        side: f"{package} is not installed"
        for side, package in packages.items()
        if peer(package) is None
    }


def operation_row(name: str, size: str, absent: dict[str, str], notes: list[str]):
    """Time one operation on every side and check that all have the same derivatives."""
    x = POINTS[size]
    plain, _ = with_numpy(name, x)
    _, reference = with_mcx(2, name, x)
    same(reference[0], with_numpy(name, x)[1][0], f"{name}, {size}, value", rtol=1e-15)
    cells, slowest = [], 0.0
    for side, measure in SIDES.items():
        if side in absent:
            cells.append("-")
            continue
        try:
            seconds, numbers = measure(name, x)
        except Exception as reason:  # a peer that fails is printed as such
            if side.startswith("mcx"):
                raise
            notes.append(f"{side}: {name}, {size}: {type(reason).__name__}: {reason}")
            cells.append("fails")
            continue
        for k, number in enumerate(numbers):
            what = f"{name}, {size}, {DERIVATIVES[k]}, {side}"
            same(number, reference[k], what, rtol=1e-14)
        if side.startswith("mcx"):
            slowest = max(slowest, seconds)
        cells.append(f"{seconds * 1e6:.2f}")
    bar = BARS.get(name)
    word = "-" if bar is None else f"<= {bar:g}: {'met' if slowest <= bar * 1e-6 else 'missed'}"
    return [name, size, *cells[:2], word, *cells[2:], f"{plain * 1e6:.2f}"]


def operation_table():
    """Print the small operations in microseconds."""
    absent = missing()
    notes = [f"{side}: {reason}" for side, reason in absent.items()]
    rows = [operation_row(name, size, absent, notes) for name, size in cases()]
    columns = [*SIDES, "NumPy"]
    columns.insert(2, "bar, both orders")
    title = "one small operation, microseconds; 1 thread on every side"
    table(title, ["operation", "size", *columns], rows)
    for note in notes:
        print(note)


def python(source: str, **environment: str) -> str:
    """Run Python source in a process of its own and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", source],
        env={**os.environ, **environment},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return done.stdout


def import_table(runs: int = 7):
    """Print the time of the imports, the median over processes."""
    times = [[float(t) for t in python(IMPORTS).split()] for _ in range(runs)]
    numpy, ours = (statistics.median(column) for column in zip(*times, strict=True))
    bar = f"<= {duration(IMPORT_BAR)}: {'met' if ours <= IMPORT_BAR else 'missed'}"
    columns = ["import numpy", "then import mcx, mcx_nn, mcx_optim", "bar"]
    table(f"imports, median of {runs} processes", columns, [[*map(duration, (numpy, ours)), bar]])


def first_calls(order: int) -> None:
    """Time four calls of some kernels, with Numba already imported; print the times as JSON."""
    launch.WORK = 0  # compile at the first call, not when it pays
    algebra = mcx.perturb(1.0, *[1.0] * order).algebra
    planes = np.random.default_rng(0).uniform(1, 2, (2, algebra.size, 10**5))
    x, y = (mcx.Multicomplex(p, algebra) for p in planes)
    z, times = np.empty_like(x), {}
    peer("numba")
    calls = {"multiply": (np.multiply, x, y), "divide": (np.divide, x, y), "exp": (np.exp, x)}
    for name, (func, *args) in calls.items():
        times[name] = []
        for _ in range(4):
            start = time.perf_counter()
            func(*args, out=z)
            times[name].append(time.perf_counter() - start)
        same(z.value, func(*(n.value for n in args)), f"{name}, order {order}", rtol=1e-15)
    print(json.dumps(times))


def kernel_files(folder: str) -> dict[str, int]:
    """Return the files in a cache folder with the times when they were written."""
    paths = (path for path in Path(folder).rglob("*") if path.is_file())
    return {str(path): path.stat().st_mtime_ns for path in paths}


def compile_rows(order: int):
    """Time first calls with an empty cache folder and, in a second process, with what it left."""
    source = f"from tests.bench import overhead; overhead.first_calls({order})"
    with tempfile.TemporaryDirectory() as folder:
        first = json.loads(python(source, MCX_CACHE_DIR=folder))
        left = kernel_files(folder)
        second = json.loads(python(source, MCX_CACHE_DIR=folder))
        changed = set(kernel_files(folder).items()) - set(left.items())
    if not left:
        return [[order, name, "no kernel", *"----"] for name in first]
    compiled = f"nothing: {f'missed, {len(changed)} files written' if changed else 'met'}"
    rows = []
    for name in first:
        # What the first call takes beyond the fastest of the next ones.
        fresh, again = (max(0.0, t[name][0] - min(t[name][1:])) for t in (first, second))
        bar = f"<= {duration(COMPILE_BAR)}: {'met' if fresh <= COMPILE_BAR else 'missed'}"
        rows.append([order, name, duration(fresh), bar, duration(again), compiled, len(left)])
    return rows


def compile_table():
    """Print the first call of kernels in a first process and in a second one."""
    rows = [row for order in (1, 2, 3, 4) for row in compile_rows(order)]
    columns = ["order", "first call of", "empty cache", "bar", "next process"]
    columns += ["compiled in it", "files"]
    table(
        "first call of a kernel on 10⁵ elements, less an ordinary call and the import of Numba.\n"
        "multiply, divide and exp follow one another in a process; 1 thread",
        columns,
        rows,
    )


def main():
    """Print all tables."""
    print(f"overhead\n{machine()}")
    operation_table()
    import_table()
    compile_table()


if __name__ == "__main__":
    main()
