"""Linear equations: the value by NumPy, every other plane by one more factorization.

A x = b says A_0 x_c = b_c − Σ A_a x_(c−a) over a ≠ 0 for every plane c: matrices of the same value
with other right-hand sides, degree by degree, all planes of one degree in one call.

References
----------
S. Walter and L. Lehmann, "Algorithmic differentiation in Python with AlgoPy", J. Comput. Sci. 4
(2013), 334-344.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from mcx.array import Multicomplex, coefficients
from mcx.dispatch import is_number, numbers_of, positional, unsupported, value_of
from mcx.planes import add_products, aligned, buffer_like, embed, zeros_like
from mcx.record import Recorded
from mcx.support import (
    closure,
    embedded,
    live_levels,
    live_rows,
    planes_in,
    product_mask,
    supported,
)
from mcx.table import selector
from mcx.verbs.base import Rule, is_moving, lifted, moving_among, number_on


class Factorized:
    """The solution of A x = b for any number of right-hand sides, by one factorization of A.

    LU where the library of the array offers it, for one matrix; else the inverse and a correction
    by the residual. Float32 matrices are factorized in float64, as NumPy does.

    Parameters
    ----------
    a : array (…, M, M)
    """

    def __init__(self, a):
        self.a = a
        wide = a.astype(np.result_type(a.dtype, np.float64)) if type(a) is np.ndarray else a
        self.arrays = _lu(wide) if a.ndim == 2 and a.size else ()
        self._by_lu = bool(self.arrays)
        if not self._by_lu:
            self.arrays = wide, np.linalg.inv(wide)

    def __call__(self, b):
        """Return x for b of shape (…, M, K), an array or a number."""
        if isinstance(b, Recorded):
            return np.linalg.solve(self.a, b)
        if is_number(b):
            rows = live_rows(b.live, b.algebra.size)
            solved = self(aligned(b._planes, max(b.ndim, self.a.ndim))[rows])
            planes = buffer_like(solved[0, ...], b.algebra.size, zeros=True)
            planes[rows] = solved
            return Multicomplex(planes, b.algebra, supported(b.live, b.algebra))
        x = self._columns(b) if self._by_lu else self._corrected(b)
        return x.astype(np.result_type(self.a.dtype, b.dtype), copy=False)

    def _columns(self, b):
        front = np.moveaxis(b, -2, 0)
        x = _lu_solve(type(b))(self.arrays, front.reshape(len(front), -1), check_finite=False)
        return np.moveaxis(x.reshape(front.shape), 0, -2)

    def _corrected(self, b):
        a, inverse = self.arrays
        x = inverse @ b
        return x + inverse @ (b - a @ x)


def _lu(a) -> tuple:
    """Return the LU factorization of a matrix and its pivots; nothing if there is no library."""
    if type(a).__module__.partition(".")[0] == "cupy":
        from cupyx.scipy.linalg import lu_factor

        return lu_factor(a, check_finite=False)
    if type(a) is not np.ndarray:
        return ()
    try:
        from scipy.linalg import get_lapack_funcs
    except ImportError:
        return ()
    (factorize,) = get_lapack_funcs(("getrf",), (a,))
    return factorize(a)[:2]  # NumPy has found the matrix not singular


def _lu_solve(array_type):
    """Return the solver that belongs to `_lu`."""
    if array_type is np.ndarray:
        from scipy.linalg import lu_solve
    else:
        from cupyx.scipy.linalg import lu_solve
    return lu_solve


def graded(value, rest, matrices, solve, levels):
    """Return the planes of x from A x = b.

    Parameters
    ----------
    value : array (…, M, K)
        A_0⁻¹ b_0.
    rest : buffer (planes, …, M, K)
        The planes of b; it is overwritten.
    matrices : buffer
        The planes of A.
    solve : callable
        ``solve(c) = A_0⁻¹ c`` for a stack of planes.
    levels : as `mcx.table.Table.levels`
    """
    out = zeros_like(rest)
    out[0, ...] = value
    matrices = aligned(matrices, rest.ndim - 1)
    for members, steps in levels:
        if members != slice(0, 1):
            out[members] = solve(rest[members])
        add_products(rest, out, matrices, steps, lambda x, a: a @ x)
    return out


class Solve(Rule):
    """np.linalg.solve."""

    verb = "lifted"

    def __init__(self):
        super().__init__((0, 1))

    def planes(self, func, args, kwargs, like):
        (a, b), _ = positional(func, args, kwargs, 2)
        algebra = lifted(numbers_of([a, b]))
        value = func(value_of(a), value_of(b))
        columns = value if np.ndim(b) != 1 else value[..., np.newaxis]
        rest, top = buffer_like(columns, algebra.size, zeros=True), 1
        if is_number(b):
            planes = embed(b._planes, b.algebra, algebra)
            planes = planes if b.ndim != 1 else planes[..., np.newaxis]
            rest[...] = aligned(planes, columns.ndim)
            top = embedded(b.live, b.algebra, algebra)
        solve = Factorized(coefficients(value_of(a), "a"))
        moving = list(planes_in(top))[1:]
        live, levels, matrices = top, [(selector(moving), ())] if moving else [], rest[:1]
        if is_number(a):
            live, levels = _quotient(func, args, algebra, top, a)
            matrices = embed(a._planes, a.algebra, algebra)
        x = graded(columns, rest, matrices, solve, levels)
        x = x if np.ndim(b) != 1 else x[..., 0]
        return Multicomplex(x, algebra, supported(live, algebra))

    def record(self, func, args, kwargs, tape):
        (a, b), _ = positional(func, args, kwargs, 2)
        x = func(number_on(a, tape), number_on(b, tape))
        moving = moving_among([a, b], tape)
        if not moving:
            return tape.constant(x)
        vector = np.ndim(b) == 1
        columns = tape.own(x[..., np.newaxis] if vector else x) if is_moving(a, tape) else None
        solve = _solver(a, tape)
        with_b = is_moving(b, tape)

        def step(*tangents):
            total = tangents[-1] if with_b else 0
            total = total[..., np.newaxis] if with_b and vector else total
            if columns is not None:
                total = total - tangents[0] @ columns
            solved = solve(total)
            return solved[..., 0] if vector else solved

        out = tape.emit(x, step, moving)
        tape.hold(out)
        return out


def _solver(a, tape):
    """Return ``solve(b)`` with the value of a on a tape."""
    a = tape.hold(a)
    if is_number(a):
        return partial(np.linalg.solve, a)
    solve = Factorized(coefficients(a, "a"))
    for array in solve.arrays:
        tape.own(array)
    return solve


def _quotient(func, args, algebra, top: int, a):
    """Return the live planes of A⁻¹ b and the levels in which they follow."""
    if algebra.exact:
        raise unsupported(func, args, "it has no recursion in the exact reading; leave h out")
    table, bottom = algebra.table, embedded(a.live, a.algebra, algebra)
    levels = live_levels(table, top, bottom)
    live = product_mask(table, top, closure(table, bottom))
    return live, table.levels if levels is None else levels


class Inverse(Rule):
    """np.linalg.inv: A x = I, solved by the value of the inverse itself."""

    verb = "lifted"

    def planes(self, func, args, kwargs, like):
        (a,), _ = positional(func, args, kwargs, 1)
        live, levels = _quotient(func, args, a.algebra, 1, a)
        value = func(a._planes[0, ...])
        rest = buffer_like(value, a.algebra.size, zeros=True)
        planes = graded(value, rest, a._planes, lambda b: value @ b, levels)
        return Multicomplex(planes, a.algebra, supported(live, a.algebra))

    def record(self, func, args, kwargs, tape):
        (a,), _ = positional(func, args, kwargs, 1)
        inverse = func(a.number)
        out = tape.emit(inverse, lambda da: -(inverse @ da @ inverse), (a,))
        tape.hold(out)
        return out
