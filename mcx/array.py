"""`Multicomplex`: an array of numbers of an algebra, on one plane buffer."""

from __future__ import annotations

import numpy as np

from mcx.algebra import Algebra, algebra_of, common_algebra, unit_factor
from mcx.dispatch import is_number, numbers_of, value_of
from mcx.errors import AlgebraError, ImplicitConversionError, UnsupportedFunctionError
from mcx.planes import embed
from mcx.surface import Surface

_COEFFICIENTS = frozenset("fdFD")


def coefficients(x, what: str = "x"):
    """Return x as a plain array of an admitted dtype: integers are promoted to float64.

    Raises
    ------
    TypeError
        For bool, object, string, float16, longdouble and other dtypes.
    """
    array = x if hasattr(x, "dtype") and not isinstance(x, np.generic) else np.asarray(x)
    if array.dtype.kind in "iu":
        return array.astype(np.float64)
    if array.dtype.char not in _COEFFICIENTS:
        raise TypeError(
            f"{what}: expected float32, float64, complex64 or complex128 (integers are promoted to "
            f"float64), got {array.dtype}; convert it with .astype(np.float64)"
        )
    return array


class Multicomplex(Surface):
    """An array of multicomplex numbers that behaves as its value plane and carries derivatives.

    Made by `mcx.perturb` and the derivative functions, seldom directly. NumPy functions, operators,
    indexing and the methods of `numpy.ndarray` work on it; what has no rule raises.

    Parameters
    ----------
    planes : array of shape (planes, *shape), float or complex
        Coefficients c_α of t^α, the value first; kept by reference.
    algebra : Algebra
        Which plane is which.

    Raises
    ------
    AlgebraError
        If the number of planes is not that of the algebra.
    TypeError
        If the dtype is not float32, float64, complex64 or complex128.

    Examples
    --------
    >>> import mcx, numpy as np
    >>> z = mcx.perturb(np.array([1.0, 2.0]), np.array([1.0, 1.0]))
    >>> (z * np.exp(z)).im(1)
    array([ 5.43656366, 22.1671683 ])
    """

    __slots__ = ("_planes", "algebra", "dtype", "shape")
    rank = 0

    def __init__(self, planes, algebra: Algebra):
        if planes.shape[0] != algebra.size:
            raise AlgebraError(
                f"planes: expected {algebra.size} planes for {algebra!r}, got {planes.shape[0]}"
            )
        if planes.dtype.char not in _COEFFICIENTS:
            raise TypeError(
                "planes: expected float32, float64, complex64 or complex128 coefficients, got "
                f"{planes.dtype}, which would drop digits of the derivatives"
            )
        self._planes = planes
        self.algebra = algebra
        self.shape = planes.shape[1:]
        self.dtype = planes.dtype

    def __reduce__(self):
        return Multicomplex, (self._planes, self.algebra)

    @property
    def planes(self):
        """Raw coefficients of t^α = derivative/α!, shape (planes, *shape), the value first."""
        return self._planes

    buffer = planes

    @property
    def value(self):
        """The value plane (a view): what NumPy computes without derivatives."""
        return self._planes[0]

    @property
    def order(self) -> int:
        """Highest total degree: the n of Cⁿ."""
        return self.algebra.order

    @property
    def nbytes(self) -> int:
        """Bytes of all planes."""
        return self._planes.nbytes

    def im(self, *units: int):
        """Return the coefficient of i_a i_b …: the mixed derivative along these units.

        In the limit algebra it is the derivative itself; in the exact one it still holds the
        factor h for every unit (eq. 5 and 7 of Shen et al. 2020).

        Parameters
        ----------
        *units : int
            Numbers of distinct imaginary units, 1 and up; none gives the value.

        Raises
        ------
        AlgebraError
            If a unit is repeated, or is not one of this number's units.
        """
        own = {f.serial for f in self.algebra.factors}
        if len(set(units)) != len(units) or not own.issuperset(units):
            known = sorted(s for s in own if s < 1 << 20)
            raise AlgebraError(
                f"im{units}: expected distinct units out of {known or 'none'}; a unit exists where "
                "mcx.perturb was given a direction at its position"
            )
        return self._planes[self.algebra.plane(dict.fromkeys(units, (1,)))]

    def copy(self, order="C"):
        """Return a copy on a buffer of its own."""
        if order == "F":
            raise UnsupportedFunctionError(
                "Multicomplex.copy: order='F' has no rule; expected 'C', 'A' or 'K'"
            )
        return Multicomplex(self._planes.copy(order=order), self.algebra)

    def __getitem__(self, index):
        if numbers_of(index):
            raise TypeError("index: expected integers or a mask, got a Multicomplex; use z.value")
        planes = self._planes
        if _is_separated(index):
            parts = [plane[index] for plane in planes]
            return Multicomplex(np.stack(parts), self.algebra)
        index = index if isinstance(index, tuple) else (index,)
        chosen = planes[(slice(None), *index)]
        if chosen.ndim == 1 and not any(i is ... for i in index):
            chosen = chosen.copy()  # one element is a scalar, which NumPy never makes a view
        return Multicomplex(chosen, self.algebra)

    def __setitem__(self, index, item):
        if numbers_of(index):
            raise TypeError("index: expected integers or a mask, got a Multicomplex; use z.value")
        if is_number(item):
            source = self._fitting(item)
            for k in range(self.algebra.size):
                self._planes[k, ...][index] = source[k]
            return
        item = coefficients(item, "item") if not np.isscalar(item) else item
        if np.iscomplexobj(item) and self.dtype.kind != "c":
            raise TypeError(f"item: expected real coefficients ({self.dtype}), got complex ones")
        self._planes[0, ...][index] = item
        for k in range(1, self.algebra.size):
            self._planes[k, ...][index] = 0

    def _fitting(self, item):
        """Return the planes of item in this number's algebra and dtype, or say why it cannot be."""
        if not isinstance(item, Multicomplex):
            raise ImplicitConversionError(
                "assignment: a number that is being recorded cannot be written into a Multicomplex "
                "made outside; make the array with np.zeros_like of the recorded one"
            )
        if common_algebra([self.algebra, item.algebra]) is not self.algebra:
            raise AlgebraError(
                f"assignment: expected a number over {self.algebra!r}, got {item.algebra!r} with "
                "more directions, which would be lost; make the target with np.zeros_like of it"
            )
        if item.dtype.kind == "c" and self.dtype.kind != "c":
            raise TypeError(f"item: expected real coefficients ({self.dtype}), got {item.dtype}")
        return embed(item.planes, item.algebra, self.algebra)

    def __repr__(self) -> str:
        reading = ", exact" if self.algebra.exact else ""
        value = np.array2string(value_of(self), prefix="  value=") if self.shape else self.value
        head = f"Multicomplex(order={self.order}, shape={self.shape}, dtype={self.dtype}{reading}"
        return f"{head},\n  value={value})"


def _is_separated(index) -> bool:
    """Tell whether array indices stand apart, so that NumPy moves their axes to the front."""
    if not isinstance(index, tuple):
        return False
    arrays = any(
        not (isinstance(i, (slice, int, np.integer)) or i is None or i is ...) for i in index
    )
    if not arrays:
        return False
    advanced = [not (isinstance(i, slice) or i is None or i is ...) for i in index]
    first, last = advanced.index(True), len(advanced) - 1 - advanced[::-1].index(True)
    return not all(advanced[first : last + 1])


def unit(k: int, order: int) -> Multicomplex:
    """Return the imaginary unit i_k of Cⁿ, in the exact reading: i_k² = −1.

    Parameters
    ----------
    k : int
        Number of the unit, 1 ≤ k ≤ order.
    order : int
        The n of Cⁿ.

    Raises
    ------
    AlgebraError
        If k is not between 1 and the order.

    Examples
    --------
    >>> import mcx
    >>> i1, i2 = mcx.unit(1, 2), mcx.unit(2, 2)
    >>> (i1 * i1).planes.tolist(), (i1 * i2).planes.tolist()
    ([-1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0])
    """
    if not 1 <= k <= order:
        raise AlgebraError(f"unit: expected 1 <= k <= order, got k={k}, order={order}")
    algebra = algebra_of(tuple(unit_factor(j) for j in range(1, order + 1)), exact=True)
    planes = np.zeros(algebra.size)
    planes[1 << (k - 1)] = 1.0
    return Multicomplex(planes, algebra)
