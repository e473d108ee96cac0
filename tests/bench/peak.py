"""Peak memory of one computation, in a process of its own.

    python -m tests.bench.peak NETWORK BATCH DTYPE QUANTITY [WAY]

prints the bytes that it held at most beyond what there was before; WAY is one of PyTorch's, without
it the computation is ours. What is read is the highest resident size since a reset, as Linux keeps
it of this process, not `ru_maxrss`, which a process inherits from the one that started it.
"""

from __future__ import annotations

import ctypes
import gc
import os
import subprocess
import sys
from pathlib import Path

from tests.bench.harness import THREADS  # before NumPy
from tests.bench.networks import Case
from tests.bench.ways import KRYLOV, OURS, pytorch

from mcx import memory as blocks  # isort: skip

AVAILABLE = os.path.exists("/proc/self/clear_refs")
PRODUCTS = 3  # of a Krylov loop


def peak(case: Case, quantity: str, way: str | None) -> str:
    """Return the peak memory of ours, or of a way of PyTorch's, measured in a new process."""
    if not AVAILABLE:
        return "-"
    name, batch, dtype = case.key
    command = [sys.executable, "-m", "tests.bench.peak", name, str(batch), dtype, quantity]
    done = subprocess.run(
        [*command, way] if way else command,
        env={**os.environ, "MCX_BENCH_THREADS": str(THREADS)},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        return f"failed: {done.stderr.strip().splitlines()[-1][:80] if done.stderr else 'killed'}"
    return f"{int(done.stdout) / 1e6:.0f} MB"


def resident(field: str) -> int:
    """Return a size that Linux keeps of this process, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(field))


def settle() -> int:
    """Give back what is free and return what this process holds, the peak from now on."""
    gc.collect()
    blocks.forget()
    if hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
        libc.malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    return resident("VmRSS")


def measure(prepare, times: int) -> int:
    """Return the bytes held at most by a call, prepared and made so many times."""

    def run(times):
        call, _ = prepare()
        for _ in range(times):
            call()

    run(1)  # compiles, and loads what libraries load late
    before = settle()
    run(times)
    return resident("VmHWM") - before


def main(name, batch, dtype, quantity, way=None):
    """Print the bytes of one computation."""
    case = Case(name, int(batch), dtype)
    prepare = pytorch(case)[quantity][way] if way else lambda: (OURS[quantity](case), None)
    print(measure(prepare, PRODUCTS if quantity == KRYLOV else 1))


if __name__ == "__main__":
    main(*sys.argv[1:])
