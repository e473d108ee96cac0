"""Derivatives of the loss in the learning rates of groups of parameters, of any order."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

import mcx
from mcx.derivatives import scalar_valued
from mcx.tensors import directional_tensors


@dataclass(frozen=True)
class Summary:
    """What a step u_s of every group s does to the loss f, up to third order.

    With u_s = u in group s and 0 elsewhere, gradient g and Hessian H of f at w:

    Attributes
    ----------
    slope : ndarray (S,) of float64
        ḡ_s = u_s·g.
    curvature : ndarray (S, S) of float64
        H̄_st = u_sᵀ H u_t. Row s comes from the evaluation along u_s and is left as it is:
        curvature and its transpose differ by rounding.
    third : ndarray (S,) of float64
        D³f[u_s, u_s, u_s], with its sign.

    References
    ----------
    P. Wolinski, "Adapting Newton's method to neural networks through a summary of higher-order
    derivatives", arXiv:2312.03885. His D is ``np.cbrt(np.abs(third))``.
    """

    slope: np.ndarray
    curvature: np.ndarray
    third: np.ndarray

    @classmethod
    def of(cls, taylor: Callable, u, partition) -> "Summary":
        """Return the summary of a gradient whose Taylor expansions are given.

        Parameters
        ----------
        taylor : callable
            direction p (P,) -> coefficients (3, P) of the gradient at w + t p in t:
            g, Hp and ½ D²g[p, p]. Called once for every group.
        u : array (P,)
        partition : Partition

        Raises
        ------
        ValueError
            If u has not the size of the partition.
        """
        wide = u.astype(np.float64)  # products of float32 are exact
        curvature, third = [], []
        for group in range(partition.groups):
            g, Hp, half = taylor(partition.restrict(u, group))
            curvature.append(partition.sums(wide * Hp))
            third.append(2 * partition.sums(wide * half)[group])
        return cls(partition.sums(wide * g), np.array(curvature), np.array(third))


def gradient_summary(grad, w, u, partition) -> Summary:
    """Return the summary of a function by one second-order Taylor pass of its gradient a group.

    Parameters
    ----------
    grad : callable
        Gradient (P,) of f at w (P,), in NumPy syntax that works on Multicomplex w.
    w, u : arrays (P,)
        Point and direction.
    partition : Partition
        S groups of P parameters.

    Returns
    -------
    Summary

    Raises
    ------
    ValueError
        If u or w has not the size of the partition.

    Examples
    --------
    f(w) = w₀² w₁ along the coordinates:

    >>> from mcx_optim.partition import Partition
    >>> grad = lambda w: np.stack([2 * w[0] * w[1], w[0] ** 2])
    >>> w, groups = np.array([1.0, 3.0]), Partition.by_parameter(2)
    >>> summary = gradient_summary(grad, w, np.ones(2), groups)
    >>> summary.slope, summary.curvature, summary.third
    (array([6., 1.]), array([[6., 2.],
           [2., 0.]]), array([0., 0.]))

    References
    ----------
    P. Wolinski, arXiv:2312.03885. Differs: no automatic differentiation, order by order.
    """
    return Summary.of(lambda p: mcx.taylor(grad, w, p, 2), u, partition)


def summary(f, w, u, partition, order: int) -> tuple[np.ndarray, ...]:
    """Return the summary tensors of all orders up to the given one, from one forward pass.

    T_d[s_1, …, s_d] = Σ_{p_1 in s_1, …, p_d in s_d} ∂ᵈf/∂w_{p_1}…∂w_{p_d} u_{p_1}…u_{p_d}
                     = Dᵈf(w)[u_{s_1}, …, u_{s_d}].

    Parameters
    ----------
    f : callable
        f(w) of shape (), in NumPy syntax that works on Multicomplex w.
    w, u : arrays (P,)
        Point and direction.
    partition : Partition
        S groups of P parameters.
    order : int
        Highest order d, 1 and up. The pass holds C(S + d, d) coefficients of every number that
        depends on all groups.

    Returns
    -------
    tuple of order + 1 ndarrays of float64
        Number d has the shape (S,)*d: f(w), ḡ, H̄, the whole tensor of order 3, ….

    Raises
    ------
    ValueError
        If u or w has not the size of the partition, the order is below 1, or the result of f is not
        a scalar.

    Examples
    --------
    >>> from mcx_optim.partition import Partition
    >>> f = lambda w: w[0] ** 2 * w[1]
    >>> w, groups = np.array([1.0, 3.0]), Partition.by_parameter(2)
    >>> value, slope, curvature, third = summary(f, w, np.ones(2), groups, order=3)
    >>> slope, curvature
    (array([6., 1.]), array([[6., 2.],
           [2., 0.]]))
    >>> third
    array([[[0., 2.],
            [2., 0.]],
           [[2., 0.],
            [0., 0.]]])

    References
    ----------
    P. Wolinski, arXiv:2312.03885. Differs: no derivative of a derivative is taken.
    """
    directions = np.stack([partition.restrict(u, group) for group in range(partition.groups)])
    tensors = directional_tensors(scalar_valued(f, "summary"), w, directions, order)
    return tuple(np.array(tensor.tolist(), np.float64) for tensor in tensors)
