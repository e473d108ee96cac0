"""What every curvature operator of one batch offers."""

import numpy as np

from mcx_optim.parts import on_each, weighted


class Curvature:
    """A symmetric matrix (P, P) at w, known by its products with vectors.

    Made by its subclasses, which say what matrix it is.

    Parameters
    ----------
    loss : float
        f(w).
    gradient : array (P,)
        ∇f(w).
    product : callable
        Direction (P,) to product (P,), and rows (k, P) to rows; with the attribute `nbytes`.

    Attributes
    ----------
    loss, gradient
        As given.
    nbytes : int
        Bytes of the arrays that the products need.
    """

    letter: str  # what errors call the matrix

    def __init__(self, loss, gradient, product):
        self.loss = loss
        self.gradient = gradient
        self.nbytes = product.nbytes
        self._product = product

    def __matmul__(self, p):
        """Return the product with one direction p (P,).

        Raises
        ------
        ValueError
            If p has another shape. Several directions are rows, for `block`, and not columns.
        """
        if np.shape(p) != self.gradient.shape:
            raise ValueError(
                f"{self.letter} @ p: expected p of shape {self.gradient.shape}, got "
                f"{np.shape(p)}; for several directions, as rows, call {self.letter}.block"
            )
        return self._product(p)

    def block(self, directions):
        """Return the products with the rows of `directions` (k, P), as rows, at once.

        Raises
        ------
        ValueError
            If the directions are no rows of length P.
        """
        if np.shape(directions)[1:] != self.gradient.shape:
            raise ValueError(
                f"block: expected rows of length {self.gradient.size}, got shape "
                f"{np.shape(directions)}; for one direction use {self.letter} @ p"
            )
        return self._product(directions)


class Product:
    """The function p -> Ap of one batch, replayed from recordings. Made by `Objective`.

    Parameters
    ----------
    terms : list of (float, tuple of callables)
        Share of every part of the batch, and what to apply to p one after another.
    count : callable
        Called with the number of products formed.

    Attributes
    ----------
    nbytes : int
        Bytes of the arrays that the recordings keep; they are freed with this object.
    """

    def __init__(self, terms, count):
        self._shares, self._terms = zip(*terms, strict=True)
        self._count = count
        self.nbytes = sum(getattr(step, "nbytes", 0) for steps in self._terms for step in steps)

    def __call__(self, p):
        """Return Ap for p (P,), or the rows A p_1, …, A p_k for p (k, P), counted as k products."""

        def product(steps):
            x = p
            for step in steps:
                x = step(x)
            return x

        products = weighted(self._shares, on_each(product, self._terms))
        self._count(1 if products.ndim == 1 else len(products))
        return products
