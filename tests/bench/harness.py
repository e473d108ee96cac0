"""What the benchmarks share: the same threads for everybody, timing, tables, checks of equality.

Import this module before NumPy or a peer: it fixes the number of threads of all of them, one or
what the environment variable MCX_BENCH_THREADS says.
"""

from __future__ import annotations

import os

THREADS = int(os.environ.get("MCX_BENCH_THREADS", "1"))
_VARIABLES = (
    *("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS", "NUMBA_NUM_THREADS"),
    *("VECLIB_MAXIMUM_THREADS", "MCX_NUM_THREADS"),
)
os.environ.update(dict.fromkeys(_VARIABLES, str(THREADS)))
if "MCX_BENCH_BLAS_THREADS" in os.environ:  # of NumPy alone
    os.environ["OPENBLAS_NUM_THREADS"] = os.environ["MCX_BENCH_BLAS_THREADS"]
# OpenBLAS's threads wait for work at full speed, in the way of all others; 4 is the least.
os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")
if THREADS == 1:
    os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")
os.environ.setdefault("NPROC", str(THREADS))  # from which JAX takes the size of its pool of threads
os.environ.setdefault("JAX_ENABLE_X64", "1")
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import importlib.metadata  # noqa: E402 - after the environment is set
import math  # noqa: E402 - after the environment is set
import platform  # noqa: E402 - after the environment is set
import time  # noqa: E402 - after the environment is set

import numpy as np  # noqa: E402 - after the environment is set


def peer(name: str):
    """Return a peer's module with its threads fixed, or None if it is not installed."""
    try:
        module = importlib.import_module(name)
    except ImportError:
        return None
    if name == "torch":
        module.set_num_threads(THREADS)
    return module


def machine() -> str:
    """Describe the machine, the versions and the threads."""
    model = platform.processor() or platform.machine()
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo") as lines:
            names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
        model = names[0] if names else model
    versions = [f"Python {platform.python_version()}", f"NumPy {np.__version__}"]
    for name in ("numba", "jax", "torch", "autograd", "algopy", "numdifftools", "astropy"):
        try:
            versions.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            versions.append(f"{name} not installed")
    threads = "one thread" if THREADS == 1 else f"{THREADS} threads"
    sides = f"{threads} on every side; {openblas()}"
    return f"{model}, {os.cpu_count()} cores; " + ", ".join(versions) + f"; {sides}"


def openblas() -> str:
    """Name the core whose kernels NumPy's OpenBLAS uses: its own choice or the environment's."""
    try:
        import threadpoolctl
    except ImportError:
        return "OpenBLAS core unknown (threadpoolctl is not installed)"
    chosen = os.environ.get("OPENBLAS_CORETYPE")
    for library in threadpoolctl.threadpool_info():
        if library["internal_api"] == "openblas" and "scipy.libs" not in library["filepath"]:
            why = f"OPENBLAS_CORETYPE={chosen}" if chosen else "its own choice"
            return f"OpenBLAS {library['version']}, core {library['architecture']} ({why})"
    return "NumPy without OpenBLAS"


def best(call, seconds: float = 0.5, least: int = 3) -> float:
    """Return the shortest time of one call in seconds, after two calls to warm up.

    Calls are repeated for about `seconds`, at least `least` times; calls of a few microseconds are
    timed in runs of many.
    """
    start = time.perf_counter()
    call()
    once = time.perf_counter() - start
    if once < seconds:
        start = time.perf_counter()
        call()
        once = time.perf_counter() - start
    inner = max(1, min(10_000, int(1e-3 / max(once, 1e-9))))
    shortest, end, rounds = math.inf, time.perf_counter() + seconds, 0
    while rounds < least or time.perf_counter() < end:
        start = time.perf_counter()
        for _ in range(inner):
            call()
        shortest = min(shortest, (time.perf_counter() - start) / inner)
        rounds += 1
    return shortest


def same(ours, theirs, what: str, rtol: float, atol: float = 0.0) -> None:
    """Check that two sides computed the same numbers.

    Raises
    ------
    AssertionError
        Naming what differs and by how much.
    """
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    if ours.shape != theirs.shape:
        raise AssertionError(f"{what}: shapes {ours.shape} and {theirs.shape}")
    scale = np.max(np.abs(theirs), initial=0.0)
    error = np.max(np.abs(ours - theirs), initial=0.0)
    if not error <= atol + rtol * scale:
        raise AssertionError(f"{what}: differs by {error:.3g} at a scale of {scale:.3g}")


def distance(ours, theirs, what: str, tolerance: float) -> float:
    """Return ‖ours − theirs‖/‖theirs‖ after checking that it is within the tolerance.

    Raises
    ------
    AssertionError
        Naming what differs and by how much.
    """
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    if ours.shape != theirs.shape:
        raise AssertionError(f"{what}: shapes {ours.shape} and {theirs.shape}")
    difference = scale = 0.0
    for a, b in zip(np.atleast_2d(ours), np.atleast_2d(theirs), strict=True):  # rows may be large
        difference += np.square(np.subtract(a, b, dtype=np.float64)).sum()
        scale += np.square(b, dtype=np.float64).sum()
    error = math.sqrt(difference / scale)
    if not error <= tolerance:
        raise AssertionError(f"{what}: relative norm of the difference {error:.3g}")
    return error


def duration(seconds: float | None) -> str:
    """Return a time with its unit."""
    if seconds is None:
        return "-"
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"


def table(title: str, columns: list[str], rows: list[list]) -> None:
    """Print a table in Markdown, ready for the README."""
    cells = [[str(cell) for cell in row] for row in [columns, *rows]]
    widths = [max(len(row[k]) for row in cells) for k in range(len(columns))]
    print(f"\n{title}\n")
    for number, row in enumerate(cells):
        print("| " + " | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + " |")
        if number == 0:
            print("|" + "|".join("-" * (w + 2) for w in widths) + "|")
    print(flush=True)
