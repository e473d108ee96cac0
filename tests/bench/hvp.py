"""Gradients and products with the Hessian of whole networks against PyTorch's fastest way.

    python -m tests.bench.hvp [--threads 1 2] [--networks …] [--dtypes …] [--quantities …]

For VGG-19 and VGG-11, LeNet-5 and a deep autoencoder: the gradient, one product with the Hessian
from scratch ("fresh") and in a Krylov loop (everything that does not depend on the direction
computed beforehand), p'Hp, and a block of products, beside every way that PyTorch has to the same
numbers, in both its memory formats of images. Then peak memory, and the paper's own way: the
gradient on NumPy's complex numbers (Shen et al. 2020, eq. 10). Threads are fixed
before NumPy loads, so every number of them gets a process of its own.
"""

from __future__ import annotations

import argparse
import gc
import math
import os
import resource
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.bench.floor import floor, products
from tests.bench.harness import THREADS, distance, duration, machine, peer, table  # before NumPy
from tests.bench.networks import NETWORKS, Case
from tests.bench.peak import peak
from tests.bench.ways import (
    BLOCK,
    CURVATURE,
    FRESH,
    GRADIENT,
    KRYLOV,
    NAMED,
    OURS,
    complex_step,
    pytorch,
)

import numpy as np  # isort: skip

SECONDS, LEAST, LONG = 1.0, 3, 30.0  # for which a call is repeated, rounds, seconds of one round
BEHIND = 1.5  # a way that many times slower than the fastest is not repeated
# ‖ours − theirs‖/‖theirs‖. With kinks rounding decides, in float32, which of two nearly equal
# pixels a pooling takes and on which side of 0 an activation is: the second allows such flips.
TOLERANCES = {"float32": 1e-5, "float64": 1e-10}
TOLERANCES_WITH_KINKS = {"float32": 1e-2, "float64": 1e-10}
PAPER = "the same, NumPy's complex dtype"

# PyTorch's time over ours in float32 and float64; of VGG-19's nine tenths at larger batches.
BARS = {
    "VGG-19": {GRADIENT: (2, 5), FRESH: (2.8, 8), KRYLOV: (2.4, 8), CURVATURE: (3, 8)},
    "VGG-11 with batch norm": {},
    "LeNet-5": {KRYLOV: (1.8, 1.8)},
    "autoencoder": dict.fromkeys((GRADIENT, FRESH, KRYLOV, CURVATURE, BLOCK), (1, 1)),
}


@dataclass
class Entry:
    """A way to a quantity: its call, None once it is out, and the shortest time so far.

    error is the relative norm of its difference from ours.
    """

    name: str
    call: Callable | None
    convert: Callable = np.asarray  # what makes our vector of a result
    seconds: float = math.inf
    error: float = 0.0

    def run(self):
        """Call once and return the result."""
        start = time.perf_counter()
        result = self.call()
        self.seconds = min(self.seconds, time.perf_counter() - start)
        return result

    def start(self):
        """Make the first calls, more of quick ones, and return the result in our layout."""
        result = self.run()
        for limit in (10.0, 0.3, 0.3, 0.3):
            if self.seconds < limit:
                result = self.run()
        return self.convert(result)


@dataclass
class Contest:
    """Ours, the paper's and PyTorch's ways to one quantity of a case, with their times.

    Ways named in `skipped` failed or were far behind at a smaller batch and are not tried.
    """

    case: Case
    quantity: str
    skipped: set[str]
    theirs: list[Entry] = field(default_factory=list)
    paper: Entry | None = None
    notes: list[str] = field(default_factory=list)
    failed: set[str] = field(default_factory=set)

    def __post_init__(self):
        """Run everything."""
        self.ours = Entry("mcx", OURS[self.quantity](self.case))
        self.expected = self.ours.start()
        for name, prepare in pytorch(self.case)[self.quantity].items():
            if name not in self.skipped:
                self.enter(name, prepare)
        if self.quantity == FRESH:
            self.paper = Entry(PAPER, complex_step(self.case))
            self.check(self.paper, self.paper.start())
        self.alternate()

    def enter(self, name, prepare):
        """Try a way of PyTorch's; whoever is far behind loses its call and what it keeps.

        The first must agree with us; a later one that does not is PyTorch against itself.
        """
        try:
            entry = Entry(name, *prepare())
            result = entry.start()
            self.check(entry, result)
        except (RuntimeError, MemoryError, NotImplementedError, AssertionError) as error:
            if not self.theirs:
                raise
            self.notes.append(f"{name} failed: {str(error).splitlines()[0][:150]}")
            self.failed.add(name)
            return
        self.theirs.append(entry)
        for entry in self.theirs:
            if entry.seconds > BEHIND * self.fastest.seconds and entry.name not in NAMED.values():
                entry.call = None
        gc.collect()

    def check(self, entry, result):
        """Compare a result with ours."""
        name, batch, dtype = self.case.key
        what = f"{name}, batch {batch}, {dtype}, {self.quantity}, mcx and {entry.name}"
        tolerances = TOLERANCES if NETWORKS[name].smooth else TOLERANCES_WITH_KINKS
        entry.error = distance(self.expected, result, what, tolerances[dtype])

    def alternate(self):
        """Repeat all that are still in, in turn; at last check that repetition changed nothing."""
        entries = [self.ours, *self.theirs, *([self.paper] if self.paper else [])]
        entries = [entry for entry in entries if entry.call]
        start, rounds, spent = time.perf_counter(), 0, 0.0
        while rounds < LEAST or spent < SECONDS * len(entries):
            for entry in entries:
                entry.run()
            rounds, spent = rounds + 1, time.perf_counter() - start
            if spent > LONG * len(entries):
                break
        if self.fastest.seconds < LONG:
            self.expected = self.ours.run()
            self.check(self.fastest, self.fastest.convert(self.fastest.run()))
        for entry in entries:
            entry.call = None

    @property
    def fastest(self) -> Entry:
        """PyTorch's fastest way."""
        return min(self.theirs, key=lambda entry: entry.seconds)

    def behind(self) -> set[str]:
        """Name the ways that need not be tried at a larger batch."""
        limit = BEHIND * self.fastest.seconds
        slow = {entry.name for entry in self.theirs if entry.seconds > limit} - {*NAMED.values()}
        return self.skipped | self.failed | slow

    def rows(self, seconds: float) -> list[list]:
        """Return the rows of the table, given the time of the bare products."""
        floor = [duration(seconds), f"{self.ours.seconds / seconds:.2f}"]
        rows = [[self.quantity, *self.cells(self.ours, self.fastest.error), *floor, self.bar()]]
        if self.paper:
            rows.append([PAPER, *self.cells(self.paper, self.paper.error), "-", "-", "-"])
        return rows

    def cells(self, entry, error) -> list[str]:
        """Return the cells that compare an entry with PyTorch's fastest way."""
        times = [duration(entry.seconds), duration(self.fastest.seconds)]
        ratio = f"{self.fastest.seconds / entry.seconds:.2f}"
        return [*times, ratio, self.fastest.name, f"{error:.1e}"]

    def bar(self) -> str:
        """Return the bar of this quantity, and whether it is met."""
        name, batch, dtype = self.case.key
        bars = BARS[name].get(self.quantity)
        if bars is None or (name == "VGG-19" and THREADS > 1):
            return "-"
        bar = bars[dtype == "float64"] * (0.9 if name == "VGG-19" and batch > 16 else 1)
        named = (entry for entry in self.theirs if entry.name == NAMED.get(self.quantity))
        peer = next(named, self.fastest)
        ratio = peer.seconds / self.ours.seconds
        return f"{peer.name} {bar:.3g}: {ratio:.2f} {'met' if ratio >= bar else 'missed'}"

    def others(self) -> str:
        """Return the times of PyTorch's other ways."""
        entries = sorted(self.theirs, key=lambda entry: entry.seconds)[1:]
        times = [f"{entry.name} {duration(entry.seconds)}" for entry in entries]
        skipped = [f"{name} skipped" for name in sorted(self.skipped)]
        return "; ".join([*times, *skipped, *self.notes]) or "none"


def report_case(case: Case, quantities, skipped: dict[str, set[str]]):
    """Print the tables of one case; update the ways to be skipped at a larger batch."""
    name, batch, dtype = case.key
    shapes, rows, others, winners = products(case), [], [], {}
    for quantity in quantities:
        contest = Contest(case, quantity, skipped.get(quantity, set()))
        rows += contest.rows(floor(shapes[quantity], dtype))
        others.append(f"- {quantity}: {contest.others()}")
        winners[quantity] = contest.fastest.name
        skipped[quantity] = contest.behind()
    title = f"{name}, batch {batch}, {dtype}, threads: {THREADS}"
    columns = ["quantity", "mcx", "PyTorch", "PyTorch/mcx", "PyTorch's fastest way", "difference"]
    table(title, [*columns, "bare products", "mcx/bare", "bar"], rows)
    print("PyTorch's other ways:", *others, sep="\n")
    memory = [
        [quantity, peak(case, quantity, None), peak(case, quantity, way), way]
        for quantity, way in winners.items()
        if quantity in (GRADIENT, KRYLOV)
    ]
    table(f"Peak memory: {title}", ["quantity", "mcx", "PyTorch", "PyTorch's way"], memory)


def report(options):
    """Print the tables of all cases with the threads of this process."""
    print(machine())
    print(f"PyTorch: {peer('torch').backends.cpu.get_cpu_capability()}, {THREADS} threads")
    print(f"difference: norm of the difference / norm, at most {TOLERANCES},")
    print(f"for VGG with its kinks {TOLERANCES_WITH_KINKS}")
    for name in options.networks:
        for dtype in options.dtypes:
            skipped = {}
            for batch in options.batches or NETWORKS[name].batches:
                report_case(Case(name, batch, dtype), options.quantities, skipped)


def limit_memory():
    """Let an allocation beyond nine tenths of the memory fail, instead of ending the process."""
    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (int(0.9 * pages * size), resource.RLIM_INFINITY))


def main():
    """Run what the command line selects, every number of threads in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--dtypes", nargs="+", choices=TOLERANCES, default=list(TOLERANCES))
    parser.add_argument("--quantities", nargs="+", choices=OURS, default=list(OURS))
    parser.add_argument("--batches", type=int, nargs="+", help="other sizes, in rising order")
    options = parser.parse_args()
    if options.threads == [THREADS]:
        warnings.filterwarnings("ignore", module="torch")
        limit_memory()
        report(options)
        return
    for threads in options.threads:
        command = [sys.executable, "-m", "tests.bench.hvp", *sys.argv[1:]]
        environment = {**os.environ, "MCX_BENCH_THREADS": str(threads)}
        subprocess.run([*command, "--threads", str(threads)], env=environment, check=True)


if __name__ == "__main__":
    main()
