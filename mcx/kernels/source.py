"""Two printers of a program: Numba-flavoured Python for the CPU, CUDA C for a GPU.

The body of both is the same list of statements; they differ in the loop around it, in how
constants get the type of the coefficients and in the spelling of four operations.
"""

from __future__ import annotations

from mcx.kernels.program import Program
from mcx.kernels.symbols import COMPARISONS, Symbol

_PYTHON = {
    "negative": "-{0}",
    "absolute": "abs({0})",
    "sqrt": "math.sqrt({0})",
    "guarded": "ZERO if {1} == ZERO else {0} * {1}",
    **{op: f"ONE if {{0}} {op} {{1}} else ZERO" for op in COMPARISONS.values()},
}
_CUDA = {
    "negative": "-{0}",
    "absolute": "fabs({0})",
    "sqrt": "sqrt({0})",
    "guarded": "{1} == ZERO ? ZERO : {0} * {1}",
    **{op: f"{{0}} {op} {{1}} ? ONE : ZERO" for op in COMPARISONS.values()},
}
_TYPES = {"f": ("float32", "f4", "float"), "d": ("float64", "f8", "double")}

_MODULE = '''\
"""Compiled by mcx: {name} on {size} planes of {dtype}. Safe to delete."""
import math

import numba
import numpy as np

clear_flags = numba.types.ExternalFunction("feclearexcept", numba.types.int32(numba.types.int32))
raised_flags = numba.types.ExternalFunction("fetestexcept", numba.types.int32(numba.types.int32))
{constants}


@numba.njit("i4({signature})", cache=True, nogil=True, error_model="numpy")
def kernel({arguments}, start, stop):
    if raised_flags({flags}):
        clear_flags({flags})
{views}
    for i in range(stop - start):
{loads}
{body}
{stores}
    return raised_flags({flags})
'''

_CUDA_KERNEL = """\
typedef {ctype} T;
extern "C" __global__ void kernel({arguments}, const long long n) {{
    const T ZERO = 0, ONE = 1;
{constants}
    const long long step = (long long)gridDim.x * blockDim.x;
    for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < n; i += step) {{
{loads}
{body}
{stores}
    }}
}}
"""


class _Names:
    """Names of the nodes and constants of a program."""

    def __init__(self, program: Program):
        self.of = {node: f"{node.args[0]}{node.args[1]}" for node in program.rows}
        self.of.update({node: f"c{k}" for k, node in enumerate(program.calls)})
        self.of.update({node: f"v{k}" for k, node in enumerate(program.nodes)})
        values = [x for node in program.nodes for x in node.args if not isinstance(x, Symbol)]
        self.constants = {x: f"K{k}" for k, x in enumerate(dict.fromkeys(map(float, values)))}

    def __getitem__(self, x) -> str:
        return self.of[x] if isinstance(x, Symbol) else self.constants[float(x)]

    def statements(self, program: Program, spelling: dict):
        """Yield (name, expression) of every operation."""
        for node in program.nodes:
            args = [self[x] for x in node.args]
            text = spelling[node.op].format(*args) if node.op in spelling else None
            yield self[node], text or f"{args[0]} {node.op} {args[1]}"


def python_source(program: Program, char: str, flags: int) -> str:
    """Return a Python module whose `kernel` runs a program on plane buffers of one dtype.

    ``kernel(*inputs, *calls, out, start, stop)``: buffers of shape (planes, n), results of the
    program's NumPy calls of shape (stop − start,); it returns the floating-point exceptions.
    """
    names, (dtype, short, _) = _Names(program), _TYPES[char]
    used = _calls_used(program, names)
    rows = [(node.args[0], node.args[1]) for node in program.rows]
    views = [
        (name, k) for name, k in dict.fromkeys([*rows, *(("out", k) for k in program.results)])
    ]
    arguments = [*program.inputs, *(f"{c}_" for c in map(names.of.get, program.calls)), "out"]
    types = ["{}[:,::1]"] * len(program.inputs) + ["{}[::1]"] * len(program.calls) + ["{}[:,::1]"]
    constants = [f"{name} = np.{dtype}({x!r})" for x, name in names.constants.items()]
    return _MODULE.format(
        name=program.name,
        size=program.size,
        dtype=dtype,
        flags=flags,
        constants="\n".join([f"ZERO = np.{dtype}(0)", f"ONE = np.{dtype}(1)", *constants]),
        signature=", ".join([*(t.format(short) for t in types), "i8", "i8"]),
        arguments=", ".join(arguments),
        views="\n".join(f"    {name}_{k} = {name}[{k}, start:stop]" for name, k in views),
        loads=_lines(
            [f"{name}{k} = {name}_{k}[i]" for name, k in rows]
            + [f"{name} = {name}_[i]" for name in used]
        ),
        body=_lines(f"{name} = {text}" for name, text in names.statements(program, _PYTHON)),
        stores=_lines(f"out_{k}[i] = {names[node]}" for k, node in program.results.items())
        or "        pass",
    )


def cuda_source(program: Program, char: str) -> str:
    """Return CUDA C whose `kernel` runs a program on plane buffers of one dtype.

    ``kernel(*inputs, *calls, out, n)``: contiguous buffers of shape (planes, n), results of the
    program's NumPy calls of shape (n,).
    """
    names, ctype = _Names(program), _TYPES[char][2]
    used = _calls_used(program, names)
    arguments = [
        *(f"const T* {name}" for name in program.inputs),
        *(f"const T* {names.of[c]}_" for c in program.calls),
        "T* out",
    ]
    constants = [f"    const T {name} = (T){x!r};" for x, name in names.constants.items()]
    return _CUDA_KERNEL.format(
        ctype=ctype,
        arguments=", ".join(arguments),
        constants="\n".join(constants),
        loads=_lines(
            [
                f"const T {n.args[0]}{n.args[1]} = {n.args[0]}[{n.args[1]} * n + i];"
                for n in program.rows
            ]
            + [f"const T {name} = {name}_[i];" for name in used]
        ),
        body=_lines(f"const T {name} = {text};" for name, text in names.statements(program, _CUDA)),
        stores=_lines(f"out[{k} * n + i] = {names[node]};" for k, node in program.results.items()),
    )


def _calls_used(program: Program, names: _Names) -> list[str]:
    """Return the names of the NumPy results that the body reads itself."""
    read = {x for node in program.nodes for x in node.args if isinstance(x, Symbol)}
    read.update(program.results.values())
    return [names[c] for c in program.calls if c in read]


def _lines(statements) -> str:
    return "\n".join(f"        {line}" for line in statements)
