"""Derivatives along several directions, of all orders and combinations, from one evaluation."""

from __future__ import annotations

import itertools
import math
from functools import lru_cache

import numpy as np

from mcx.algebra import algebra_of, fresh_factor
from mcx.derivatives import bound, checked_order
from mcx.dispatch import is_number
from mcx.seeding import as_point, coefficients_from, seeded
from mcx.table import degree_indices
from mcx.tree import tree_map


def directional_tensors(
    f, x, directions, order: int, *, args=(), argnum: int = 0, patch: bool = False
):
    """Return the derivatives of f along k directions, of every order up to the given one.

    T_d[s_1, …, s_d] = Dᵈf(x)[p_{s_1}, …, p_{s_d}],   d = 0, …, order,

    from one evaluation of f at x + Σ_s t_s p_s in the algebra {|α| ≤ order} of k generators, which
    has C(k + order, order) planes: T_d[s_1, …, s_d] = α! c_α with α = e_{s_1} + … + e_{s_d}.

    Parameters
    ----------
    f, args, argnum, patch
        As in `taylor`.
    x : array_like
        The point, any shape.
    directions : array_like of shape (k, *shape of x)
        k ≥ 1 directions.
    order : int
        1 and up.

    Returns
    -------
    tuple of order + 1 arrays, or of so many structures as f returns
        Number d is T_d, of shape (k, …, k, *shape of f(x)) with d leading axes, in which it is
        symmetric to the bit; number 0 is f(x).

    Raises
    ------
    ValueError
        If the order is below 1 or `directions` has another shape.

    Examples
    --------
    >>> x, p = np.array([1.0, 2.0]), np.array([[1.0, 0.0], [1.0, 1.0]])
    >>> value, slopes, curvatures = directional_tensors(lambda x: x[0] * x[1] ** 2, x, p, 2)
    >>> value.item(), slopes
    (4.0, array([4., 8.]))
    >>> curvatures
    array([[ 0.,  4.],
           [ 4., 10.]])

    References
    ----------
    A. Griewank, J. Utke and A. Walther, "Evaluating higher derivative tensors by forward
    propagation of univariate Taylor series", Math. Comp. 69 (2000). Differs: one multivariate
    series takes the place of a family of univariate ones, and nothing is interpolated.
    """
    order = checked_order(order, "directional_tensors")
    x, directions = as_point(x), as_point(directions, "directions")
    shape = np.shape(directions)
    if not shape or not shape[0] or shape[1:] != np.shape(x):
        raise ValueError(
            "directions: expected at least one direction of the shape of x, together of shape "
            f"(k, *{np.shape(x)}), got {shape}; p[None] makes one direction p an array of them"
        )
    k = shape[0]
    factor = fresh_factor(degree_indices(k, order))
    seeds = {1 + s: directions[s] for s in range(k)}
    y = bound(f, args, argnum, patch)(seeded(x, algebra_of((factor,)), seeds))
    coefficients = tree_map(lambda leaf: coefficients_from(leaf, factor, 0), y)
    return tuple(
        tree_map(lambda leaf, d=d: _tensor(leaf, k, d), coefficients) for d in range(order + 1)
    )


def _tensor(coefficients, k: int, degree: int):
    """Return T_degree from the coefficients c_α (planes, *shape) over k generators."""
    if degree == 0:
        return coefficients[0]
    positions, factorials = _places(k, degree)
    start = math.comb(k + degree - 1, k)  # so many indices have a lower degree
    rows = coefficients[start : start + factorials.size]
    scale = factorials.reshape(-1, *(1,) * (rows.ndim - 1))
    real = np.finfo(rows.dtype).dtype
    like = rows._buffer if is_number(rows) else rows
    return (rows * np.asarray(scale, dtype=real, like=like))[positions]


@lru_cache(maxsize=64)
def _places(k: int, degree: int):
    """Return where T[s_1, …, s_d] is among the α of degree d, of shape (k,)*d, and every α!."""
    choices = np.array(list(itertools.combinations_with_replacement(range(k), degree)))
    positions = np.empty((k,) * degree, np.intp)
    for axes in itertools.permutations(range(degree)):
        positions[tuple(choices[:, axes].T)] = np.arange(len(choices))
    arrangements = np.bincount(positions.reshape(-1))  # d!/α! ways to write one α
    return positions, math.factorial(degree) / arrangements
