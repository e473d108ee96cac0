"""Derivatives of functions written in NumPy syntax. Every call makes fresh generators."""

from __future__ import annotations

import math

import numpy as np

from mcx.algebra import algebra_of, degree_indices, fresh_factor, taylor_indices
from mcx.seeding import as_direction, as_point, coefficient, seeded
from mcx.tree import tree_leaves, tree_map, tree_zip

_BLOCK = 64  # directions in one evaluation
_BLOCK_ELEMENTS = 1 << 22  # and elements of the perturbed argument, so that memory stays bounded


def bound(f, args, argnum: int):
    """Return f as a function of its argument number `argnum` alone; `args` are the others."""
    args = tuple(args)
    if not 0 <= argnum <= len(args):
        raise ValueError(f"argnum: expected 0 to {len(args)} (len(args)), got {argnum}")
    return lambda x: f(*args[:argnum], x, *args[argnum:])


def _checked_order(order: int, name: str) -> int:
    if order != int(order) or order < 1:
        raise ValueError(f"{name}: order: expected an integer of at least 1, got {order}")
    return int(order)


def _series(f, x, p, order: int):
    """Return (f(x + p t), factor of t) over one direction to the given order."""
    factor = fresh_factor(taylor_indices(order))
    return f(seeded(x, algebra_of((factor,)), {1: p})), factor


def derivative(f, x, order: int = 1, *, args=(), argnum: int = 0):
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
    """
    order = _checked_order(order, "derivative")
    x = as_point(x)
    y, factor = _series(bound(f, args, argnum), x, np.ones_like(x), order)
    return tree_map(lambda leaf: math.factorial(order) * coefficient(leaf, factor, order), y)


def taylor(f, x, p, order: int, *, args=(), argnum: int = 0):
    """Return the Taylor coefficients of f(x + p t) in t, of all orders, from one evaluation.

    Parameters
    ----------
    f, args, argnum
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
    """
    order = _checked_order(order, "taylor")
    x = as_point(x)
    y, factor = _series(bound(f, args, argnum), x, as_direction(p, x, "p"), order)
    return tree_map(
        lambda leaf: np.stack([coefficient(leaf, factor, k) for k in range(order + 1)]), y
    )


def directional(f, x, *directions, args=(), argnum: int = 0):
    """Return the mixed directional derivative Dᵏf(x)[p_1, …, p_k].

    Directions that are the same object share a generator, which costs less.

    Parameters
    ----------
    f, args, argnum
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
    y = bound(f, args, argnum)(seeded(x, algebra, seeds))
    scale = math.prod(math.factorial(len(group)) for group in groups)

    def read(leaf):
        for factor, group in zip(factors, groups, strict=True):
            leaf = coefficient(leaf, factor, len(group))
        return scale * leaf

    return tree_map(read, y)


def jvp(f, x, p, *, args=(), argnum: int = 0):
    """Return (f(x), Df(x)[p]): value and Jacobian-vector product, from one evaluation.

    Parameters
    ----------
    f, x, p, args, argnum
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
    """
    x = as_point(x)
    y, factor = _series(bound(f, args, argnum), x, as_direction(p, x, "p"), 1)
    return tuple(tree_map(lambda leaf, k=k: coefficient(leaf, factor, k), y) for k in (0, 1))


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
        out.append(p if isinstance(getattr(x, "buffer", x), np.ndarray) or not x.shape
                   else np.asarray(p, like=getattr(x, "buffer", x)))
    return out


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

    Examples
    --------
    >>> import mcx, numpy as np
    >>> mcx.jacobian(lambda x: x[:2] * x[1:], np.array([1.0, 2.0, 3.0]))
    array([[2., 1., 0.],
           [0., 3., 2.]])
    """
    x = as_point(x)
    f = bound(f, args, argnum)
    columns = []
    for block in _blocks(x.size):
        factor = fresh_factor(degree_indices(len(block), 1))
        seeds = dict(enumerate(_basis(x, block), 1))
        y = f(seeded(x, algebra_of((factor,)), seeds))
        columns.extend(
            tree_map(lambda leaf, k=k: coefficient(leaf, factor, k), y) for k in seeds
        )

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
    """
    return jacobian(_scalar(bound(f, args, argnum), "gradient"), x)


def _scalar(f, name: str):
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
    """
    x = as_point(x)
    if grad is not None:
        return jacobian(bound(grad, args, argnum), x)
    f = _scalar(bound(f, args, argnum), "hessian")
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
    """Yield (a, b, ∂²f/∂x_a∂x_b) for a and b of two blocks, over the product of two first orders."""
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


def csdd(grad, w, p, *, args=(), argnum: int = 0):
    """Return (g, Hp): gradient and Hessian-vector product from one evaluation of the gradient.

    Parameters
    ----------
    grad : callable
        ``grad(w, *args)``, of the shape of w.
    w, p : array_like of one shape
        Point and direction.
    args, argnum
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
    return jvp(grad, w, p, args=args, argnum=argnum)


def csdd2(f, w, p, *, args=(), argnum: int = 0):
    """Return pᵀHp from one forward evaluation of f.

    Parameters
    ----------
    f : callable
        ``f(w, *args)`` with a result of shape ().
    w, p : array_like of one shape
    args, argnum
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
    f = _scalar(bound(f, args, argnum), "csdd2")
    y, factor = _series(f, w, as_direction(p, w, "p"), 2)
    return 2 * coefficient(y, factor, 2)


def finite_difference(f, x, p=None, *, h: float = 1e-6, scheme: str = "central", args=(), argnum=0):
    """Return a finite difference along p, for comparison: it loses half the digits or more.

    Parameters
    ----------
    f, args, argnum
        As in `taylor`.
    x : array_like
    p : array_like of the shape of x, optional
        Direction; ones by default.
    h : float
        Step.
    scheme : {"central", "forward"}
        (f(x+hp) − f(x−hp))/2h (eq. 3 of Shen et al. 2020) or (f(x+hp) − f(x))/h (eq. 2).

    Returns
    -------
    array of the shape of f(x), or the same structure of arrays

    Raises
    ------
    ValueError
        For another scheme, h ≤ 0, or a p that has not the shape of x.

    Examples
    --------
    >>> import mcx, numpy as np
    >>> round(float(mcx.finite_difference(np.sin, 0.0, h=1e-5)), 8)
    1.0
    """
    if scheme not in ("central", "forward"):
        raise ValueError(f"scheme: expected 'central' or 'forward', got {scheme!r}")
    if not h > 0:
        raise ValueError(f"h: expected a positive step, got {h}")
    x = as_point(x)
    p = np.ones_like(x) if p is None else as_direction(p, x, "p")
    f = bound(f, args, argnum)
    low, width = (f(x - h * p), 2 * h) if scheme == "central" else (f(x), h)
    return tree_zip(lambda high, low: (high - low) / width, f(x + h * p), low)
