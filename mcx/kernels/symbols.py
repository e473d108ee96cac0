"""Symbols: run the plain NumPy arithmetic of planes on names instead of numbers, and write it down.

`mcx.planes` and `mcx.series` are the one description of the arithmetic. Called with an object array
of symbols, one per plane, they leave the straight-line program of one element, in the very order of
operations in which NumPy does them: a kernel printed from it gives the same bits. A plane that is
structurally zero is the Python int 0; products with it vanish here. Equal operations are one node.
"""

from __future__ import annotations

import numpy as np

# By name: while a door is open (`mcx.door`), numpy binds other functions to these names.
_CONSTANTS = {"zeros_like": 0, "empty_like": 0, "ones_like": 1}


class Symbol:
    """A node of a program: an operation and what it is applied to (symbols and Python numbers).

    Attributes
    ----------
    program : Trace
        Where the node was made.
    op : str
        "row" (a plane of an input), "+", "-", "*", "/", "negative", "absolute", "sqrt", "<", "<=",
        ">", ">=", "==", "!=" (1 where it holds, else 0), "guarded" (0 where the second argument is
        0, else the product) or "call" (a NumPy function).
    args : tuple
    """

    __slots__ = ("args", "op", "program")
    dtype = np.dtype(object)  # of real numbers: complex ones have no kernels
    shape = ()
    ndim = 0

    def __init__(self, program: Trace, op: str, args: tuple):
        self.program, self.op, self.args = program, op, args

    def __array_function__(self, func, types, args, kwargs):
        constant = _CONSTANTS.get(func.__name__)
        if constant is None:
            return NotImplemented
        return np.full(kwargs["shape"], constant, dtype=object) if "shape" in kwargs else constant

    def __bool__(self):
        raise TypeError(
            "a traced series decides on a value (if, and, np.maximum, np.less, …): write it with "
            "<, <=, >, >=, ==, != as factors, or register it with traced=False"
        )

    __hash__ = object.__hash__

    def __neg__(self):
        return self.program.node("negative", self)

    def __abs__(self):
        return self.program.node("absolute", self)

    def __pow__(self, exponent):
        return self.program.node("call", np.power, self, exponent)

    # NumPy's loops over objects call the method named like the function.
    def sqrt(self):
        """Square root: exactly rounded everywhere, so it may stand in a kernel."""
        return self.program.node("sqrt", self)


def _binary(op: str, reverse: bool):
    def method(self, other):
        return self.program.node(op, other, self) if reverse else self.program.node(op, self, other)

    return method


for _name, _op in {"add": "+", "sub": "-", "mul": "*", "truediv": "/"}.items():
    setattr(Symbol, f"__{_name}__", _binary(_op, False))
    setattr(Symbol, f"__r{_name}__", _binary(_op, True))
COMPARISONS = {"lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!="}
for _name, _op in COMPARISONS.items():
    setattr(Symbol, f"__{_name}__", _binary(_op, False))


def _call(ufunc):
    def method(self, *others):
        return self.program.node("call", ufunc, self, *others)

    method.__doc__ = f"np.{ufunc.__name__}, which stays NumPy's own."
    return method


for _ufunc in (np.exp, np.cos, np.sin, np.cosh, np.sinh, np.tanh, np.hypot):
    setattr(Symbol, _ufunc.__name__, _call(_ufunc))


def guarded(coefficient, tangent):
    """Return coefficient·tangent, 0 where the tangent is 0, on symbols and numbers."""
    if _is_zero(coefficient) or _is_zero(tangent):
        return 0
    symbol = coefficient if isinstance(coefficient, Symbol) else tangent
    if not isinstance(coefficient, Symbol):
        return coefficient * tangent
    return symbol.program.node("guarded", coefficient, tangent)


def _is_zero(x) -> bool:
    return type(x) is int and x == 0


class Trace:
    """The nodes of one program, in order; equal ones are made once."""

    def __init__(self):
        self.nodes: dict[tuple, Symbol] = {}

    def row(self, name: str, plane: int) -> Symbol:
        """Return the symbol of a plane of an input."""
        return self._made("row", (name, plane))

    def node(self, op: str, *args):
        """Return the node of an operation, simplified where a zero plane or a factor 1 allows."""
        if len(args) == 2 and op in "+-*/":
            left, right = args
            if not isinstance(left, (Symbol, int, float)):
                return NotImplemented  # an array: its loop calls back with every element
            if not isinstance(right, (Symbol, int, float)):
                return NotImplemented
            short = _simplified(op, left, right)
            if short is not None:
                return short
            if op in "+*" and isinstance(left, Symbol) and isinstance(right, Symbol):
                twin = self.nodes.get(self._key(op, (right, left)))
                if twin is not None:
                    return twin
        return self._made(op, args)

    def _made(self, op, args):
        key = self._key(op, args)
        if key not in self.nodes:
            self.nodes[key] = Symbol(self, op, args)
        return self.nodes[key]

    @staticmethod
    def _key(op, args):
        return (op, *(id(x) if isinstance(x, Symbol) else (type(x), x) for x in args))


def _simplified(op: str, left, right):
    """Return the result where an operand is a structural 0 or a 1, else None."""
    if op == "+" and _is_zero(left):
        return right
    if op in "+-" and _is_zero(right):
        return left
    if op == "-" and _is_zero(left):
        return -right
    if op == "*" and (_is_zero(left) or _is_zero(right)):
        return 0
    if op == "/" and _is_zero(left):
        return 0
    if op == "*" and not isinstance(left, Symbol) and left == 1:
        return right
    if op in "*/" and not isinstance(right, Symbol) and right == 1:
        return left
    return None
