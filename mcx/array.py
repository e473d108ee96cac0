"""`Multicomplex`: an array of numbers of an algebra, on one plane buffer."""

from __future__ import annotations

import operator

import numpy as np

from mcx.algebra import Algebra, algebra_of, common_algebra, unit_factor
from mcx.dispatch import COEFFICIENTS, RULES, is_number, numbers_of, value_of
from mcx.errors import AlgebraError, ImplicitConversionError
from mcx.nested import stacked
from mcx.planes import assembled
from mcx.support import Support, embedded, planes_in, supported
from mcx.surface import Surface


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
    if array.dtype.char not in COEFFICIENTS:
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
    support : Support, optional
        Which planes can be nonzero, where some cannot; numbers on one buffer share it.

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

    __slots__ = ("_dtype", "_planes", "_shape", "_support", "algebra")
    rank = 0
    shape = property(operator.attrgetter("_shape"), doc="Shape of every plane.")
    dtype = property(operator.attrgetter("_dtype"), doc="Type of the coefficients.")

    def __init__(self, planes, algebra: Algebra, support: Support | None = None):
        if planes.shape[0] != algebra.size:
            raise AlgebraError(
                f"planes: expected {algebra.size} planes for {algebra!r}, got {planes.shape[0]}"
            )
        if planes.dtype.char not in COEFFICIENTS:
            raise TypeError(
                "planes: expected float32, float64, complex64 or complex128 coefficients, got "
                f"{planes.dtype}, which would drop digits of the derivatives"
            )
        self._planes = planes
        self._support = support
        self.algebra = algebra
        self._shape = planes.shape[1:]
        self._dtype = planes.dtype

    def __reduce__(self):
        return Multicomplex, (self._planes, self.algebra, supported(self.live, self.algebra))

    @property
    def planes(self):
        """Raw coefficients of t^α = derivative/α!, shape (planes, *shape), the value first."""
        self._enliven(self.algebra.full)  # the caller may write into any of them
        return self._planes

    @property
    def _buffer(self):
        """The array that holds the planes, for its type and device."""
        return self._planes

    @property
    def live(self) -> int:
        """Bit mask of the planes that can be nonzero; arithmetic leaves the others out."""
        return self.algebra.full if self._support is None else self._support.mask

    def _enliven(self, mask: int) -> None:
        """Note that planes have become nonzero, for this number and all views of its buffer."""
        if self._support is not None:
            self._support.mask |= mask

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
        plane = self.algebra.plane(dict.fromkeys(units, (1,)))
        self._enliven(1 << plane)  # the caller may write into it
        return self._planes[plane]

    def copy(self, order="C"):
        """Return a copy on a buffer of its own."""
        if order == "F":
            return np.copy(self, order="F")
        planes = self._planes.copy(order=order)
        return Multicomplex(planes, self.algebra, supported(self.live, self.algebra))

    def __getitem__(self, index):
        if numbers_of(index):
            raise TypeError("index: expected integers or a mask, got a Multicomplex; use z.value")
        if not isinstance(index, tuple):
            index = (index,)
        if _is_basic(index):
            try:
                chosen = self._planes[(slice(None), *index)]
            except IndexError:
                self._planes[0, ...][index]  # raises with axes counted without that of the planes
                raise
            if chosen.ndim == 1 and ... not in index:
                chosen = chosen.copy()  # one element is a scalar, which NumPy never makes a view
            return Multicomplex(chosen, self.algebra, self._support)
        live = self.live
        parts = [self._planes[k, ...][index] for k in planes_in(live)]
        planes = assembled(parts, live, self.algebra.size)
        return Multicomplex(planes, self.algebra, supported(live, self.algebra))

    def __setitem__(self, index, item):
        if numbers_of(index):
            raise TypeError("index: expected integers or a mask, got a Multicomplex; use z.value")
        if not (np.isscalar(item) or hasattr(item, "dtype")):
            item = stacked(item)
        if is_number(item):
            self._check_fits(item)
            written = embedded(item.live, item.algebra, self.algebra)
            source = (item._planes[k, ...] for k in planes_in(item.live))
        else:
            if not np.isscalar(item):
                truth = item.dtype.kind == "b"  # written as 0 and 1, as NumPy does
                item = item.astype(self.dtype) if truth else coefficients(item, "item")
            if np.iscomplexobj(item) and self.dtype.kind != "c":
                raise TypeError(f"item: expected real coefficients ({self.dtype}), got complex")
            written, source = 1, iter((item,))
        for k in planes_in(self.live | written):
            self._planes[k, ...][index] = next(source) if written >> k & 1 else 0
        self._enliven(written)

    def _check_fits(self, item):
        """Raise where an item has planes, or a dtype, that this number cannot hold."""
        if not isinstance(item, Multicomplex):
            raise ImplicitConversionError(
                "assignment: a number that is being recorded cannot be written into a Multicomplex "
                "made outside; make the array with np.zeros_like of the recorded one"
            )
        if common_algebra([self.algebra, item.algebra]) is not self.algebra:
            raise AlgebraError(
                f"assignment: expected a number over {self.algebra!r}, got {item.algebra!r} with "
                "other directions, which would be lost; make the target with np.zeros_like of it"
            )
        if item.dtype.kind == "c" and self.dtype.kind != "c":
            raise TypeError(f"item: expected real coefficients ({self.dtype}), got {item.dtype}")

    def __repr__(self) -> str:
        reading = ", exact" if self.algebra.exact else ""
        value = np.array2string(value_of(self), prefix="  value=") if self.shape else self.value
        head = f"Multicomplex(order={self.order}, shape={self.shape}, dtype={self.dtype}{reading}"
        return f"{head},\n  value={value})"


def _operator(ufunc, name: str, reverse: bool = False):
    """Return an operator that goes to the rule at once where NumPy has no say in it."""
    own, general = (Multicomplex, float, int), getattr(Surface, name)

    def method(self, other):
        if type(other) not in own:
            return general(self, other)
        args = (other, self) if reverse else (self, other)
        return RULES[ufunc].planes(ufunc, args, {}, self)

    method.__name__ = name
    return method


for _name, _ufunc in {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "truediv": np.divide,
}.items():
    for _method, _reverse in ((f"__{_name}__", False), (f"__r{_name}__", True)):
        setattr(Multicomplex, _method, _operator(_ufunc, _method, _reverse))


def _is_basic(index: tuple) -> bool:
    """Tell whether an index makes a view: integers, slices, None and ... alone."""
    for i in index:
        kind = type(i)
        if kind is int or kind is slice or i is None or i is ...:
            continue
        if not isinstance(i, (int, np.integer)) or isinstance(i, (bool, np.bool_)):
            return False
    return True


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
