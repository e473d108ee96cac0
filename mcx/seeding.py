"""Putting perturbations into arguments and reading them from results."""

from __future__ import annotations

import math

import numpy as np

from mcx.algebra import Algebra, Factor, algebra_of, unit_factor, without
from mcx.array import Multicomplex, coefficients
from mcx.dispatch import COEFFICIENTS, is_number, value_of
from mcx.door import note
from mcx.errors import AlgebraError
from mcx.planes import buffer_like
from mcx.record import Recorded
from mcx.support import mask_of, supported


def as_point(x, what: str = "x"):
    """Return x as an array of coefficients, a number as it is."""
    return x if is_number(x) else coefficients(x, what)


def as_direction(p, x, what: str):
    """Return a direction as an array of coefficients of the shape of x.

    Raises
    ------
    ValueError
        If its shape is not that of x.
    """
    p = as_point(p, what)
    if np.shape(p) != np.shape(x):
        raise ValueError(
            f"{what}: expected shape {np.shape(x)}, got {np.shape(p)}; a direction has the shape "
            "of x (np.ones_like(x) perturbs every element by itself)"
        )
    return p


def seeded(x, algebra: Algebra, directions: dict):
    """Return x + Σ p_k t^(plane k) over an algebra, for directions {plane: p}.

    Parameters
    ----------
    x : array or number
    algebra : Algebra
        What the perturbations are over; a number x is extended by it.
    directions : dict of int to array or number
        All of the shape of x.
    """
    if not is_number(x) and not any(is_number(p) for p in directions.values()):
        dtype = np.result_type(x.dtype, *(p.dtype for p in directions.values()))
        planes = buffer_like(x, algebra.size, zeros=True, dtype=dtype)
        planes[0, ...] = x
        for k, p in directions.items():
            planes[k, ...] = p
        return Multicomplex(planes, algebra, supported(mask_of(directions), algebra))
    total = x
    like = x._buffer if is_number(x) else x
    for k, p in directions.items():
        generator = np.zeros(algebra.size, dtype=p.dtype, like=like)
        generator[k] = 1
        seed = Multicomplex(generator, algebra, supported(mask_of([k]), algebra))
        total = total + p * seed
    return total


def seeded_by_units(x, factor: Factor, *blocks):
    """Return x + Σ e_q t_k for blocks of flat positions q, each a range, counted through by k.

    Parameters
    ----------
    x : array or number
    factor : Factor
        Whose multi-indices 1, 2, … are t_1, t_2, …; a number x is extended by it.
    *blocks : range
        Where e_q is 1.
    """
    algebra = algebra_of((factor,))
    like = x._buffer if is_number(x) else x
    planes = np.zeros((algebra.size, *x.shape), dtype=x.dtype, like=like)
    size, flat, plane = math.prod(x.shape), planes.reshape(-1), 1
    for block in blocks:
        # the next direction is one plane and one position further
        flat[plane * size + block.start :: size + 1][: len(block)] = 1
        plane += len(block)
    if not x.flags.c_contiguous:  # f may look at the layout of its argument
        planes, units = buffer_like(value_of(x), algebra.size, dtype=x.dtype), planes
        planes[...] = units
    seeds = Multicomplex(planes, algebra, supported((1 << plane) - 1, algebra))
    if is_number(x):
        return x + seeds
    planes[0, ...] = x
    return seeds


def coefficient(y, factor: Factor, index: int):
    """Return the coefficient of one multi-index of a factor: a number over the other factors."""
    if isinstance(y, Recorded):
        number = coefficient(y.number, factor, index)
        return y.tape.emit(number, lambda tangent: coefficient(tangent, factor, index), (y,))
    if not isinstance(y, Multicomplex):
        y = as_point(y, "the result of f")
        return y + 0 if index == 0 else np.zeros_like(y)
    factors = y.algebra.factors
    if factor not in factors:
        return y.copy() if index == 0 else np.zeros_like(y)
    if len(factors) == 1:
        return y._planes[index]
    planes, rest = _by_index(y, factor)
    return Multicomplex(planes[:, index].reshape(rest.size, *y.shape), rest)


def coefficients_from(y, factor: Factor, start: int):
    """Return the coefficients of the multi-indices of a factor from one on, along a new first axis.

    As `coefficient` for start, start + 1, …: an array, or a number over the other factors.
    """
    if isinstance(y, Recorded):
        number = coefficients_from(y.number, factor, start)
        return y.tape.emit(number, lambda tangent: coefficients_from(tangent, factor, start), (y,))
    count = len(factor.indices) - start
    if not isinstance(y, Multicomplex) or factor not in y.algebra.factors:
        y = as_point(y, "the result of f")
        out = np.zeros_like(y, shape=(count, *y.shape))
        if start == 0:
            out[0, ...] = y
        return out
    if len(y.algebra.factors) == 1:
        return y._planes[start:]
    planes, rest = _by_index(y, factor)
    moved = np.moveaxis(planes[:, start:], 1, 2)
    return Multicomplex(moved.reshape(rest.size, count, *y.shape), rest)


def _by_index(y, factor: Factor):
    """Return a buffer as (younger factors, indices, older ones, *shape), and the other algebra."""
    factors = y.algebra.factors
    place = factors.index(factor)
    sizes = [len(f.indices) for f in factors]
    inner, outer = math.prod(sizes[:place]), math.prod(sizes[place + 1 :])
    planes = y._planes.reshape(outer, sizes[place], inner, *y.shape)
    return planes, without(y.algebra, factor)


def step(dtype, order: int) -> float:
    """Return the automatic step of the exact reading for a dtype and an order.

    The largest power of two with h² ≤ eps/8, so that the square of a unit is lost to rounding;
    lowered where needed only as far as hⁿ stays at least tiny/eps, so that planes keep digits.

    Parameters
    ----------
    dtype : dtype
        Of the coefficients.
    order : int
        The n of Cⁿ, at least 1.

    Raises
    ------
    AlgebraError
        If no step satisfies both (float32 from order 7 or so).

    Examples
    --------
    >>> import mcx, numpy as np
    >>> mcx.step(np.float64, 2) == 2.0**-28
    True
    """
    if order < 1:
        raise AlgebraError(f"step: order: expected at least 1, got {order}")
    if np.dtype(dtype).char not in COEFFICIENTS:
        raise TypeError(f"step: dtype: expected a float or complex type, got {np.dtype(dtype)}")
    info = np.finfo(dtype)
    h = 2.0 ** math.floor(math.log2(float(info.eps) / 8) / 2)
    if h**order < float(info.tiny) / float(info.eps):
        raise AlgebraError(
            f"step: no h for order {order} in {np.dtype(dtype)}: h**2 <= eps/8 gives h = {h:.3g} "
            "and h**order below tiny/eps; use float64, a lower order, or the limit algebra (no h)"
        )
    return h


def perturb(x, *directions, h=None):
    """Return x + p_1 i_1 + p_2 i_2 + …, over the units given by position.

    In the limit algebra (the default) i_k² = 0: `z.im(1, 2)` of a result is the mixed derivative
    itself. With `h`, the exact reading i_k² = −1 and x + h p_1 i_1 + …, the literal multicomplex
    step: divide `z.im(1, 2)` by h².

    Parameters
    ----------
    x : array_like, float or complex, or Multicomplex
        The point. Integers are promoted to float64.
    *directions : array_like of the shape of x, or None
        Direction of unit i_1, i_2, …; None skips a unit.
    h : float or "auto", optional
        Step of the exact reading; "auto" is `mcx.step` of the dtype and order.

    Returns
    -------
    Multicomplex

    Raises
    ------
    ValueError
        If no direction is given, a direction has another shape, or h is not positive.
    TypeError
        For dtypes other than float32, float64, complex64, complex128 and integers.
    AlgebraError
        If no automatic step exists.

    Examples
    --------
    Mixed partial derivative of x·y² (eq. 7 of Shen et al. 2020):

    >>> import mcx
    >>> x, y = mcx.perturb(3.0, 1.0, None), mcx.perturb(2.0, None, 1.0)
    >>> float((x * y**2).im(1, 2))
    4.0
    """
    x = as_point(x)
    given = {k: p for k, p in enumerate(directions, 1) if p is not None}
    if not given:
        raise ValueError("perturb: expected at least one direction (order 1), got none")
    given = {k: as_direction(p, x, f"direction {k}") for k, p in given.items()}
    if h is not None:
        if h == "auto":
            h = step(np.result_type(x.dtype, *(p.dtype for p in given.values())), len(directions))
        if isinstance(h, str) or not h > 0:
            raise ValueError(f"perturb: h: expected a positive step or 'auto', got {h!r}")
        given = {k: p * h for k, p in given.items()}
    algebra = algebra_of(tuple(unit_factor(k) for k in given), exact=h is not None)
    number = seeded(x, algebra, {1 << place: p for place, p in enumerate(given.values())})
    note(number)
    return number
