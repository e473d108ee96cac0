"""Programs: the arithmetic of one element, traced from the plain NumPy code."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mcx import planes, recurrences
from mcx.kernels.symbols import Symbol, Trace, guarded
from mcx.support import mask_of, planes_in
from mcx.table import Table

# Longer programs (of more than some 150 products) are not unrolled, nor those with so many
# planes that a compiler takes long to see that none overlap: `mcx.kernels.loops`.
MOST_NODES = 300
MOST_PAIRS = 750  # of a plane written and one read or written


@dataclass(frozen=True, eq=False)
class Program:
    """What a kernel computes for one element, and which planes it reads and writes.

    Attributes
    ----------
    name : str
        For messages and file names.
    rows : tuple of (input name, plane)
        What is read. Inputs are "x", "y" (buffers) and "out" (its value plane, computed before).
    calls : tuple of Symbol
        NumPy functions to be evaluated before, in order; the kernel gets their results.
    nodes : tuple of Symbol
        The operations, in order.
    results : dict of int to Symbol
        What is written: plane of the result to node. Other planes are structural zeros.
    size : int
        Planes of the result.
    kept : tuple of int
        Planes that NumPy computes before and the kernel leaves as they are.
    quiet : bool
        Whether the NumPy calls are not to warn: those of a recurrence, whose result is checked.
    """

    name: str
    inputs: tuple[str, ...]
    rows: tuple[Symbol, ...]
    calls: tuple[Symbol, ...]
    nodes: tuple[Symbol, ...]
    results: dict[int, Symbol]
    size: int
    kept: tuple[int, ...]
    quiet: bool

    @property
    def live(self) -> int:
        """Mask of the planes that are written, and the value."""
        return mask_of(self.results)

    @property
    def unwritten(self) -> tuple[int, ...]:
        """Planes that no one computes: structural zeros, the value itself among them perhaps."""
        return tuple(k for k in range(self.size) if k not in self.results and k not in self.kept)


@dataclass(frozen=True)
class Operand:
    """An input of a program: its live planes, and where in the algebra its rows lie.

    `where` is None for a number of the algebra itself, else the plane of every row.
    """

    live: int
    where: tuple[int, ...] | None = None

    def symbols(self, trace: Trace, name: str, size: int):
        """Return the operand as symbols of the planes of the algebra, 0 where it has none."""
        out = np.zeros(size, dtype=object)
        for row in planes_in(self.live):
            out[row if self.where is None else self.where[row]] = trace.row(name, row)
        return out


def product(table: Table, x: Operand, y: Operand) -> Program | None:
    """Program of x·y."""
    left, right = _pair(table, x, y)
    return traced("multiply", ("x", "y"), planes.multiply(left, right, table))


def total(table: Table, x: Operand, y: Operand) -> Program | None:
    """Program of x + y."""
    left, right = _pair(table, x, y)
    return traced("add", ("x", "y"), left + right)


def difference(table: Table, x: Operand, y: Operand) -> Program | None:
    """Program of x − y."""
    left, right = _pair(table, x, y)
    return traced("subtract", ("x", "y"), left - right)


def quotient(table: Table, x: Operand, y: Operand) -> Program | None:
    """Program of x / y in the limit algebra."""
    left, right = _pair(table, x, y)
    return traced("divide", ("x", "y"), planes.divide(left, right, table))


def composition(name: str, series, table: Table, live: int) -> Program | None:
    """Program of an analytic function by its Taylor coefficients; the value is computed before."""
    trace = Trace()
    z = Operand(live).symbols(trace, "x", table.size)
    y = trace.row("out", 0)
    terms = [y, *series(z[0], y, table.order)]
    times = np.frompyfunc(guarded, 2, 1)
    return traced(name, ("x",), planes.compose(terms, z, table, times), kept=(0,))


def slope(name: str, formula, table: Table, live: int) -> Program | None:
    """Program of the derivative f⁽ᵏ⁾(z) for a formula (series, k); y is f at the value."""
    series, k = formula
    trace = Trace()
    z = Operand(live).symbols(trace, "x", table.size)
    terms = series(z[0], trace.row("y", 0), table.order + k)[k - 1 :]
    terms = [math.perm(j, k) * term for j, term in enumerate(terms, k)]
    times = np.frompyfunc(guarded, 2, 1)
    return traced(f"{name}_slope", ("x", "y"), planes.compose(terms, z, table, times))


def recurrence(name: str, formula, table: Table, live: int) -> Program | None:
    """Program of an analytic function of a series by its recurrence (`mcx.recurrences`)."""
    trace = Trace()
    z = Operand(live).symbols(trace, "x", table.size)
    out = formula(z, trace.row("out", 0), planes_in(live)[1:], recurrences.dot)
    return traced(name, ("x",), out, kept=(0,), quiet=True)


def _pair(table, x, y):
    trace = Trace()
    return x.symbols(trace, "x", table.size), y.symbols(trace, "y", table.size)


def traced(name: str, inputs: tuple[str, ...], result, kept=(), quiet=False) -> Program | None:
    """Return the program that computes `result` (an object array of symbols, a plane each).

    Planes in `kept` are computed by NumPy before, and not written. None if it is too long, has a
    constant that is not finite, or a result that is one.
    """
    results = {
        k: node
        for k, node in enumerate(result)
        if k not in kept and (isinstance(node, Symbol) or node != 0)
    }
    if not all(isinstance(node, Symbol) for node in results.values()):
        return None
    inside = _below(results.values(), ("row", "call"))
    nodes = tuple(node for node in inside if node.op not in ("row", "call"))
    constants = [x for node in nodes for x in node.args if not isinstance(x, Symbol)]
    pairs = len(results) * (len(inside) - len(nodes) + len(results) // 2)
    if len(nodes) > MOST_NODES or pairs > MOST_PAIRS or not all(map(math.isfinite, constants)):
        return None
    rows = tuple(sorted((node for node in inside if node.op == "row"), key=lambda n: n.args))
    calls = tuple(n for n in _below(results.values(), ("row",)) if n.op == "call")
    return Program(name, inputs, rows, calls, nodes, results, len(result), kept, quiet)


def _below(results, leaves) -> list:
    """Return the nodes that results need, every one after its arguments; leaves have none."""
    order, seen = [], set()
    stack = [(node, False) for node in results]
    while stack:
        node, ready = stack.pop()
        if ready:
            order.append(node)
        elif isinstance(node, Symbol) and node not in seen:
            seen.add(node)
            stack.append((node, True))
            if node.op not in leaves:
                stack.extend((arg, False) for arg in node.args)
    return order
