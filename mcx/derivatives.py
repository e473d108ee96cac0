"""Derivatives along directions. Every call makes fresh generators."""

from __future__ import annotations

import math

import numpy as np

from mcx.algebra import algebra_of, fresh_factor
from mcx.door import through_door
from mcx.seeding import as_direction, as_point, coefficient, coefficients_from, seeded
from mcx.table import taylor_indices
from mcx.tree import tree_leaves, tree_map


def bound(f, args, argnum: int, patch: bool = False):
    """Return f as a function of its argument number `argnum` alone; `args` are the others.

    With `patch`, or where a door is open, every call of it is behind a door (`patched_numpy`).
    """
    args = tuple(args)
    if not 0 <= argnum <= len(args):
        raise ValueError(f"argnum: expected 0 to {len(args)} (len(args)), got {argnum}")
    return through_door(lambda x: f(*args[:argnum], x, *args[argnum:]), patch, f)


def checked_order(order: int, name: str) -> int:
    """Return an order of derivatives as an int; raise ValueError unless it is one, from 1 up."""
    if order != int(order) or order < 1:
        raise ValueError(f"{name}: order: expected an integer of at least 1, got {order}")
    return int(order)


def _series(f, x, p, order: int):
    """Return (f(x + p t), factor of t) over one direction to the given order."""
    factor = fresh_factor(taylor_indices(order))
    return f(seeded(x, algebra_of((factor,)), {1: p})), factor


def derivative(f, x, order: int = 1, *, args=(), argnum: int = 0, patch: bool = False):
    """Return the derivative of a scalar or elementwise function, of any order.

    One evaluation in the algebra of Taylor series: (n+1)(n+2)/2 real products for order n.

    Parameters
    ----------
    f : callable
        ``f(x, *args)``, each element of whose result depends on the same element of x alone (or on
        a scalar x). It may return a tuple, list or dict of arrays.
    x : array_like
        The point, any shape.
    order : int
        1 and up.
    args : tuple
        Further arguments of f.
    argnum : int
        Position of x among the arguments.
    patch : bool
        Whether to call f within `mcx.patched_numpy`: for code one cannot change that opens with
        np.asarray(x) or fills np.zeros(n).

    Returns
    -------
    array of the shape of f(x), or the same structure of arrays

    Raises
    ------
    ValueError
        If the order is below 1.

    Examples
    --------
    >>> import mcx, numpy as np
    >>> mcx.derivative(np.sin, np.array([0.0, 1.0]), order=3)
    array([-1.        , -0.54030231])

    References
    ----------
    A. Griewank and A. Walther, "Evaluating Derivatives", 2nd ed., SIAM 2008, chapter 13 (truncated
    Taylor series); eq. (6) of Shen et al. 2020 in the limit h → 0, with one direction.
    """
    order = checked_order(order, "derivative")
    x = as_point(x)
    y, factor = _series(bound(f, args, argnum, patch), x, np.ones_like(x), order)
    return tree_map(lambda leaf: math.factorial(order) * coefficient(leaf, factor, order), y)


def taylor(f, x, p, order: int, *, args=(), argnum: int = 0, patch: bool = False):
    """Return the Taylor coefficients of f(x + p t) in t, of all orders, from one evaluation.

    Parameters
    ----------
    f, args, argnum, patch
        As in `derivative`; f may be any function of an array.
    x, p : array_like of one shape
        Point and direction.
    order : int
        Highest power of t, 1 and up.

    Returns
    -------
    array of shape (order+1, *shape of f(x)), or the same structure of arrays

    Raises
    ------
    ValueError
        If the order is below 1 or p has not the shape of x.

    Examples
    --------
    >>> import mcx, numpy as np
    >>> mcx.taylor(np.exp, 0.0, 1.0, order=3)
    array([1.        , 1.        , 0.5       , 0.16666667])

    References
    ----------
    A. Griewank and A. Walther, "Evaluating Derivatives", 2nd ed., SIAM 2008, chapter 13.
    """
    order = checked_order(order, "taylor")
    x = as_point(x)
    y, factor = _series(bound(f, args, argnum, patch), x, as_direction(p, x, "p"), order)
    return tree_map(lambda leaf: coefficients_from(leaf, factor, 0), y)


def directional(f, x, *directions, args=(), argnum: int = 0, patch: bool = False):
    """Return the mixed directional derivative Dᵏf(x)[p_1, …, p_k].

    Directions that are the same object share a generator, which costs less.

    Parameters
    ----------
    f, args, argnum, patch
        As in `taylor`.
    x, *directions : array_like of one shape

    Returns
    -------
    array of the shape of f(x), or the same structure of arrays

    Raises
    ------
    ValueError
        If there is no direction, or one has not the shape of x.

    Examples
    --------
    >>> import mcx, numpy as np
    >>> x, p, q = np.array([1.0, 2.0]), np.array([1.0, 0.0]), np.array([0.0, 1.0])
    >>> mcx.directional(lambda x: x[0] * x[1] ** 2, x, p, q).item()
    4.0

    References
    ----------
    Shen et al. 2020, eq. (6) and (7), in the limit h → 0.
    """
    if not directions:
        raise ValueError("directional: expected at least one direction, got none")
    x = as_point(x)
    times: dict[int, list] = {}
    for k, p in enumerate(directions, 1):
        times.setdefault(id(p), []).append(as_direction(p, x, f"direction {k}"))
    groups = list(times.values())
    factors = [fresh_factor(taylor_indices(len(group))) for group in groups]
    algebra = algebra_of(tuple(factors))
    seeds = {
        algebra.plane({factor.serial: (1,)}): group[0]
        for factor, group in zip(factors, groups, strict=True)
    }
    y = bound(f, args, argnum, patch)(seeded(x, algebra, seeds))
    scale = math.prod(math.factorial(len(group)) for group in groups)

    def read(leaf):
        for factor, group in zip(factors, groups, strict=True):
            leaf = coefficient(leaf, factor, len(group))
        return scale * leaf

    return tree_map(read, y)


def jvp(f, x, p, *, args=(), argnum: int = 0, patch: bool = False):
    """Return (f(x), Df(x)[p]): value and Jacobian-vector product, from one evaluation.

    Parameters
    ----------
    f, x, p, args, argnum, patch
        As in `taylor`.

    Returns
    -------
    tuple of two arrays of the shape of f(x), or two such structures

    Raises
    ------
    ValueError
        If p has not the shape of x.

    Examples
    --------
    >>> import mcx, numpy as np
    >>> value, slope = mcx.jvp(lambda x: x @ x, np.array([1.0, 2.0]), np.array([1.0, 1.0]))
    >>> value.item(), slope.item()
    (5.0, 6.0)

    References
    ----------
    Shen et al. 2020, eq. (5), in the limit h → 0.
    """
    x = as_point(x)
    y, factor = _series(bound(f, args, argnum, patch), x, as_direction(p, x, "p"), 1)
    return tuple(tree_map(lambda leaf, k=k: coefficient(leaf, factor, k), y) for k in (0, 1))


def scalar_valued(f, name: str):
    """Return f, checked to have results of shape ()."""

    def checked(x):
        y = f(x)
        leaves = tree_leaves(y)
        if len(leaves) != 1 or np.shape(leaves[0]) != ():
            shapes = [np.shape(leaf) for leaf in leaves]
            raise ValueError(
                f"{name}: f: expected one result of shape (), got shapes {shapes}; use mcx.jacobian"
            )
        return leaves[0]

    return checked


def csdd(grad, w, p, *, args=(), argnum: int = 0, patch: bool = False):
    """Return (g, Hp): gradient and Hessian-vector product from one evaluation of the gradient.

    Parameters
    ----------
    grad : callable
        ``grad(w, *args)``, of the shape of w.
    w, p : array_like of one shape
        Point and direction.
    args, argnum, patch
        As in `derivative`.

    Returns
    -------
    tuple of two arrays of the shape of w

    Raises
    ------
    ValueError
        If p has not the shape of w.

    Examples
    --------
    >>> import mcx, numpy as np
    >>> A = np.array([[2.0, 1.0], [1.0, 3.0]])
    >>> mcx.csdd(lambda w: A @ w, np.array([1.0, 1.0]), np.array([1.0, 0.0]))
    (array([3., 4.]), array([2., 1.]))

    References
    ----------
    Shen et al. 2020, eq. (10), in the limit h → 0.
    """
    return jvp(grad, w, p, args=args, argnum=argnum, patch=patch)


def csdd2(f, w, p, *, args=(), argnum: int = 0, patch: bool = False):
    """Return pᵀHp from one forward evaluation of f.

    Parameters
    ----------
    f : callable
        ``f(w, *args)`` with a result of shape ().
    w, p : array_like of one shape
    args, argnum, patch
        As in `derivative`.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If p has not the shape of w, or the result of f is not a scalar.

    Examples
    --------
    >>> import mcx, numpy as np
    >>> mcx.csdd2(lambda w: w[0] ** 2 * w[1], np.array([1.0, 3.0]), np.array([1.0, 1.0])).item()
    10.0

    References
    ----------
    Shen et al. 2020, eq. (11), in the limit h → 0 and with one direction.
    """
    w = as_point(w, "w")
    f = scalar_valued(bound(f, args, argnum, patch), "csdd2")
    y, factor = _series(f, w, as_direction(p, w, "p"), 2)
    return 2 * coefficient(y, factor, 2)
