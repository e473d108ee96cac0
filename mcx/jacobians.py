"""Jacobians, gradients and Hessians in forward mode, by blocks of directions."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from mcx.algebra import fresh_factor
from mcx.derivatives import bound, scalar_valued
from mcx.seeding import as_point, coefficients_from, seeded_by_units
from mcx.table import LowerSet, degree_indices
from mcx.tree import tree_map, tree_zip

_ELEMENTS = 1 << 18  # of the perturbed argument: what a cache holds, and few evaluations
_DIRECTIONS = (16, 128)  # in an evaluation of first order, at least and at most
_SIDE = (8, 50)  # in a block of the Hessian


def _blocks(size: int, fitting: int, bounds):
    """Return the flat positions in as few blocks as allowed, of one length but for the last."""
    least, most = bounds
    longest = min(max(fitting, least), most)
    length = -(-size // -(-size // longest))
    return [range(start, min(start + length, size)) for start in range(0, size, length)]


def jacobian(f, x, *, args=(), argnum: int = 0, patch: bool = False):
    """Return the Jacobian in forward mode, a block of directions in each evaluation.

    A block has 16 to 128 directions, so an evaluation of f holds at most 129 coefficients for
    every element that it computes; within these bounds the argument takes 2^18 coefficients.

    Parameters
    ----------
    f, args, argnum, patch
        As in `taylor`.
    x : array_like

    Returns
    -------
    array of shape (*shape of f(x), *shape of x), or the same structure of arrays

    Raises
    ------
    ValueError
        If argnum is not a position among the arguments.

    Examples
    --------
    >>> import mcx, numpy as np
    >>> mcx.jacobian(lambda x: x[:2] * x[1:], np.array([1.0, 2.0, 3.0]))
    array([[2., 1., 0.],
           [0., 3., 2.]])

    References
    ----------
    A. Griewank and A. Walther, "Evaluating Derivatives", 2nd ed., SIAM 2008, section 3.1
    (forward mode, vector version).
    """
    x = as_point(x)
    f = bound(f, args, argnum, patch)
    if not x.size:
        return tree_map(lambda leaf: np.zeros((*np.shape(leaf), *x.shape)), f(x))
    parts = []
    for block in _blocks(x.size, _ELEMENTS // x.size - 1, _DIRECTIONS):
        factor = fresh_factor(degree_indices(len(block), 1))
        y = f(seeded_by_units(x, factor, block))
        parts.append(tree_map(lambda leaf, factor=factor: coefficients_from(leaf, factor, 1), y))

    def joined(*leaves):
        columns = np.moveaxis(np.concatenate(leaves), 0, -1)
        return np.reshape(columns.copy(), (*columns.shape[:-1], *x.shape))

    return tree_zip(joined, *parts)


def gradient(f, x, *, args=(), argnum: int = 0, patch: bool = False):
    """Return the gradient of a scalar function in forward mode, a block of directions at a time.

    Parameters
    ----------
    f : callable
        ``f(x, *args)`` with a result of shape ().
    x : array_like
    args, argnum, patch
        As in `derivative`.

    Returns
    -------
    array of the shape of x

    Raises
    ------
    ValueError
        If the result of f is not a scalar.

    Examples
    --------
    >>> import mcx, numpy as np
    >>> mcx.gradient(lambda x: np.sum(x**3), np.array([1.0, 2.0]))
    array([ 3., 12.])

    References
    ----------
    A. Griewank and A. Walther, "Evaluating Derivatives", 2nd ed., SIAM 2008, section 3.1.
    """
    return jacobian(scalar_valued(bound(f, args, argnum, patch), "gradient"), x)


def hessian(f, x, *, grad=None, args=(), argnum: int = 0, patch: bool = False):
    """Return the Hessian of a scalar function.

    Without `grad`, evaluations of f to second order, each for one pair of blocks of directions (up
    to n = 50 one evaluation altogether). A block has 8 to 50 directions, so an evaluation holds at
    most 2601 coefficients for every element that f computes; within these bounds the argument takes
    2^18 coefficients. With `grad`, the Jacobian of the gradient: a Hessian-vector product for every
    direction.

    Parameters
    ----------
    f : callable
        ``f(x, *args)`` with a result of shape (); not called if `grad` is given.
    x : array_like
    grad : callable, optional
        ``grad(x, *args)``, the gradient of f, of the shape of x.
    args, argnum, patch
        As in `derivative`.

    Returns
    -------
    array of shape (*shape of x, *shape of x)

    Raises
    ------
    ValueError
        If the result of f is not a scalar.

    Examples
    --------
    >>> import mcx, numpy as np
    >>> mcx.hessian(lambda x: x[0] ** 2 * x[1], np.array([1.0, 3.0]))
    array([[6., 2.],
           [2., 0.]])

    References
    ----------
    J. Fike and J. Alonso, "The development of hyper-dual numbers for exact second-derivative
    calculations", AIAA 2011-886, for the mixed blocks; eq. (10) of Shen et al. 2020 with `grad`.
    """
    x = as_point(x)
    if grad is not None:
        return jacobian(bound(grad, args, argnum, patch), x)
    f = scalar_valued(bound(f, args, argnum, patch), "hessian")
    if not x.size:
        return np.zeros((*x.shape, *x.shape))
    blocks = _blocks(x.size, math.isqrt(_ELEMENTS // x.size) - 1, _SIDE)
    half = None  # upper triangle, half the diagonal
    for i, rows in enumerate(blocks):
        for columns in blocks[i:]:
            part = _diagonal(f, x, rows) if rows is columns else _mixed(f, x, rows, columns)
            if half is None:
                half = np.zeros_like(part, shape=(x.size, x.size))
            half[rows.start : rows.stop, columns.start : columns.stop] = part
    return np.reshape(half + half.T, (*x.shape, *x.shape))


def _diagonal(f, x, block):
    """Return c_{e_a + e_b} for a ≤ b in one block, others 0, over the algebra {|α| ≤ 2}."""
    k = len(block)
    factor = fresh_factor(degree_indices(k, 2))
    y = f(seeded_by_units(x, factor, block))
    coefficients = coefficients_from(y, factor, 1 + k)
    part = np.zeros_like(coefficients, shape=(k, k))
    part[np.triu_indices(k)] = coefficients
    return part


def _mixed(f, x, rows, columns):
    """Return ∂²f/∂x_a∂x_b for a, b of two blocks, over the algebra {α ≤ e_a + e_b}."""
    factor = fresh_factor(_pair_indices(len(rows), len(columns)))
    y = f(seeded_by_units(x, factor, rows, columns))
    coefficients = coefficients_from(y, factor, 1 + len(rows) + len(columns))
    return np.reshape(coefficients, (len(rows), len(columns)))


@lru_cache(maxsize=64)
def _pair_indices(rows: int, columns: int) -> LowerSet:
    """Lower set {0, e_i, e_j, e_i + e_j} for i of a first block of directions, j of a second."""
    low = degree_indices(rows + columns, 1)
    first, second = low[1 : 1 + rows], low[1 + rows :]
    return LowerSet(
        [*low, *(tuple(map(sum, zip(i, j, strict=True))) for i in first for j in second)]
    )
