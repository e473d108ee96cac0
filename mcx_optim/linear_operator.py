"""A curvature operator for the sparse solvers of SciPy and CuPy."""

import importlib

import numpy as np


def as_linear_operator(curvature):
    """Return a curvature operator as a `LinearOperator` of SciPy, or of CuPy for device arrays.

    For `scipy.sparse.linalg.cg`, `minres`, `eigsh`, `lobpcg` and alike, which know nothing of the
    loss: products with one vector and with the columns of a matrix. It is symmetric, and equal to
    its adjoint. Vectors of another precision are converted to that of w.

    Parameters
    ----------
    curvature : Curvature
        `Hessian` or `GaussNewton` of one batch.

    Returns
    -------
    scipy.sparse.linalg.LinearOperator or cupyx.scipy.sparse.linalg.LinearOperator
        Of shape (P, P).

    Raises
    ------
    ImportError
        If SciPy, or CuPy, is not installed.
    TypeError
        In a product, if the vector is complex.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.sparse.linalg import minres
    >>> from mcx_optim import Hessian, Objective
    >>> objective = Objective(lambda w, batch: (w[0] * w[1], np.stack([w[1], w[0]])))
    >>> H = as_linear_operator(Hessian(objective, np.array([1.0, 2.0]), None))
    >>> H @ np.eye(2)
    array([[0., 1.],
           [1., 0.]])
    >>> minres(H, np.array([3.0, 5.0]))[0].round(6)
    array([5., 3.])
    """
    gradient = curvature.gradient

    def converted(p):
        if p.dtype.kind == "c":
            raise TypeError(
                "as_linear_operator: expected real vectors, got complex ones; multiply real and "
                "imaginary parts one after the other"
            )
        return p.astype(gradient.dtype, copy=False)

    def matvec(p):
        return curvature @ converted(np.reshape(p, -1))

    def matmat(columns):
        return curvature.block(converted(columns.T)).T

    return _library(type(gradient)).LinearOperator(
        (gradient.size, gradient.size),
        matvec=matvec,
        rmatvec=matvec,
        matmat=matmat,
        rmatmat=matmat,
        dtype=gradient.dtype,
    )


def _library(array_type):
    cupy = array_type.__module__.startswith("cupy")
    try:
        return importlib.import_module(
            "cupyx.scipy.sparse.linalg" if cupy else "scipy.sparse.linalg"
        )
    except ImportError as error:
        needed = "CuPy" if cupy else "SciPy"
        raise ImportError(
            f"as_linear_operator needs {needed}; install it by: pip install {needed.lower()}"
        ) from error
