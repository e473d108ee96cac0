"""What the benchmarks share: one thread for everybody, timing, tables, checks of equality.

Import this module before NumPy or a peer: it fixes the number of threads by the environment.
"""

from __future__ import annotations

import os

_THREADS = (
    *("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS", "NUMBA_NUM_THREADS"),
    *("VECLIB_MAXIMUM_THREADS", "MCX_NUM_THREADS"),
)
os.environ.update(dict.fromkeys(_THREADS, "1"))
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")
os.environ.setdefault("NPROC", "1")  # from which JAX takes the size of its pool of threads
os.environ.setdefault("JAX_ENABLE_X64", "1")
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import importlib.metadata  # noqa: E402
import math  # noqa: E402
import platform  # noqa: E402
import time  # noqa: E402

import numpy as np  # noqa: E402


def peer(name: str):
    """Return a peer's module with its threads fixed to one, or None if it is not installed."""
    try:
        module = importlib.import_module(name)
    except ImportError:
        return None
    if name == "torch":
        module.set_num_threads(1)
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
    cores = os.cpu_count()
    return f"{model}, {cores} cores; " + ", ".join(versions) + "; one thread on every side"


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
