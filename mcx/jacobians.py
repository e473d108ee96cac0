"""Jacobians, gradients and Hessians in forward mode, by blocks of directions."""

from __future__ import annotations

import numpy as np

from mcx.algebra import algebra_of, degree_indices, fresh_factor
from mcx.derivatives import bound, scalar_valued
from mcx.seeding import as_point, coefficient, seeded
from mcx.tree import tree_map, tree_zip

_BLOCK = 64  # directions in one evaluation
_BLOCK_ELEMENTS = 1 << 22  # and elements of the perturbed argument, so that memory stays bounded


def _blocks(size: int, generators: int = 1):
    """Yield ranges of flat positions, few enough for the memory bound."""
    limit = int((_BLOCK_ELEMENTS / max(size, 1)) ** (1 / generators))
    length = max(1, min(_BLOCK if generators == 1 else 16, limit, size))
    for start in range(0, size, length):
        yield range(start, min(start + length, size))


def _basis(x, positions):
    """Return the directions along the flat positions, one array of the shape of x each."""
    out = []
    for position in positions:
        p = np.zeros(x.size, dtype=x.dtype)
        p[position] = 1
        p = p.reshape(x.shape)
        out.append(
            p
            if isinstance(getattr(x, "buffer", x), np.ndarray) or not x.shape
            else np.asarray(p, like=getattr(x, "buffer", x))
        )
    return out


def _read(y, factor, k: int):
    return tree_map(lambda leaf: coefficient(leaf, factor, k), y)


def jacobian(f, x, *, args=(), argnum: int = 0):
    """Return the Jacobian in forward mode, a block of directions in each evaluation.

    Parameters
    ----------
    f, args, argnum
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
    f = bound(f, args, argnum)
    columns = []
    for block in _blocks(x.size):
        factor = fresh_factor(degree_indices(len(block), 1))
        seeds = dict(enumerate(_basis(x, block), 1))
        y = f(seeded(x, algebra_of((factor,)), seeds))
        columns.extend(_read(y, factor, k) for k in seeds)

    def gathered(*leaves):
        stacked = np.stack(leaves, axis=-1)
        return np.reshape(stacked, (*np.shape(leaves[0]), *x.shape))

    if not columns:
        return tree_map(lambda leaf: np.zeros((*np.shape(leaf), *x.shape)), f(x))
    return tree_zip(gathered, *columns)


def gradient(f, x, *, args=(), argnum: int = 0):
    """Return the gradient of a scalar function in forward mode, a block of directions at a time.

    Parameters
    ----------
    f : callable
        ``f(x, *args)`` with a result of shape ().
    x : array_like
    args, argnum
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
    return jacobian(scalar_valued(bound(f, args, argnum), "gradient"), x)


def hessian(f, x, *, grad=None, args=(), argnum: int = 0):
    """Return the Hessian of a scalar function.

    Without `grad`, blocks of second-order evaluations of f; with it, the Jacobian of the gradient
    (a Hessian-vector product for every direction).

    Parameters
    ----------
    f : callable
        ``f(x, *args)`` with a result of shape (); not called if `grad` is given.
    x : array_like
    grad : callable, optional
        ``grad(x, *args)``, the gradient of f, of the shape of x.
    args, argnum
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
        return jacobian(bound(grad, args, argnum), x)
    f = scalar_valued(bound(f, args, argnum), "hessian")
    rows = [[None] * x.size for _ in range(x.size)]
    blocks = list(_blocks(x.size, 2))
    for i, block in enumerate(blocks):
        for a, b, entry in _diagonal_block(f, x, block):
            rows[a][b] = rows[b][a] = entry
        for other in blocks[i + 1 :]:
            for a, b, entry in _mixed_block(f, x, block, other):
                rows[a][b] = rows[b][a] = entry
    if not rows:
        return np.zeros((*x.shape, *x.shape))
    return np.reshape(np.stack([np.stack(row) for row in rows]), (*x.shape, *x.shape))


def _diagonal_block(f, x, block):
    """Yield (a, b, ∂²f/∂x_a∂x_b) for a ≤ b in one block, over the algebra {|α| ≤ 2}."""
    indices = degree_indices(len(block), 2)
    factor = fresh_factor(indices)
    y = f(seeded(x, algebra_of((factor,)), dict(enumerate(_basis(x, block), 1))))
    for plane, index in enumerate(indices):
        if sum(index) == 2:
            where = [block[k] for k, exponent in enumerate(index) for _ in range(exponent)]
            scale = 2 if where[0] == where[1] else 1
            yield *where, scale * coefficient(y, factor, plane)


def _mixed_block(f, x, rows, columns):
    """Yield (a, b, ∂²f/∂x_a∂x_b) for a, b of two blocks, over the product of two first orders."""
    first = fresh_factor(degree_indices(len(rows), 1))
    second = fresh_factor(degree_indices(len(columns), 1))
    seeds = dict(enumerate(_basis(x, rows), 1))
    stride = len(first.indices)
    seeds.update({stride * k: p for k, p in enumerate(_basis(x, columns), 1)})
    y = f(seeded(x, algebra_of((first, second)), seeds))
    for k, b in enumerate(columns, 1):
        part = coefficient(y, second, k)
        for j, a in enumerate(rows, 1):
            yield a, b, coefficient(part, first, j)
