"""Analytic functions: Taylor coefficients at the value, composed."""

from __future__ import annotations

import math

import numpy as np

from mcx import exact
from mcx.array import Multicomplex
from mcx.dispatch import is_number, numbers_of, unsupported, value_of
from mcx.kernels import loops, program
from mcx.planes import composed, embed, multiply, times_unless_zero, together
from mcx.record import Recorded
from mcx.support import closure, live_rows, planes_in, supported, tangent_steps
from mcx.verbs.base import (
    Rule,
    buffer_in,
    is_moving,
    lifted,
    moving_among,
    number_on,
    scaled,
)
from mcx.verbs.elementwise import (
    NO_KERNEL,
    PRODUCT,
    QUOTIENT,
    function_kernel,
    is_apart,
    written,
)
from mcx.verbs.pairs import halves, is_pair, joined

KERNELS = (program.composition, program.recurrence)


class Analytic(Rule):
    """An analytic function of one operand: Taylor coefficients at the value, composed.

    Parameters
    ----------
    series : callable
        ``series(a, y, n)``, see `mcx.series`.
    exact : callable, optional
        The function of a buffer in the exact reading.
    recurrence : callable, optional
        ``recurrence(z, y0, live, dot)``, see `mcx.recurrences`: for one direction, from order 5 on.
    compiled : tuple
        Of which of the two kernels can be made: those that make no choice among elements.
    """

    verb = "analytic"

    def __init__(self, series, exact=None, recurrence=None, compiled=KERNELS):
        super().__init__((0,))
        self.series, self.exact = series, exact
        self.recurrence, self.compiled = recurrence, compiled

    def planes(self, func, args, kwargs, like):
        (z,) = args
        algebra = z.algebra
        if algebra.exact:
            if self.exact is None:
                raise unsupported(
                    func, args, "it has no recursion in the exact reading; leave h out"
                )
            planes, live = self.exact(z._planes), closure(algebra.table, z.live)
            return Multicomplex(planes, algebra, supported(live, algebra))
        if is_pair(algebra):
            result = self._of_pair(func, z)
            if np.isfinite(result._planes).all():
                return result
        kernel = self._kernel(func, algebra.table, z.live)
        planes = kernel.run((z._planes,), z.shape, value=func)
        if algebra.table.is_long_series and planes is not None and not np.isfinite(planes).all():
            planes = None
        if planes is None:
            planes = self._by_planes(func, z)
        live = kernel.live or closure(algebra.table, z.live)
        return Multicomplex(planes, algebra, supported(live, algebra))

    def into(self, func, args, kwargs, target):
        (z,) = args
        if type(z) is not Multicomplex or z.algebra.exact or z.algebra.table.is_long_series:
            return self.apply(func, args, kwargs)
        kernel = self._kernel(func, z.algebra.table, z.live)
        apart = is_apart(target, z.algebra, z.shape, (z._planes,))
        if apart and written(kernel, (z._planes,), target, func):
            return target
        return self.apply(func, args, kwargs)

    def _of_pair(self, func, z):
        """Return f(z1 + t·z2) = f(z1) + t·f'(z1)·z2."""
        z1, z2 = halves(z)
        with np.errstate(all="ignore"):  # what is not finite is computed once more, and warns
            first = self.planes(func, (z1,), {}, z1)
            second = None if z2 is None else PRODUCT(self._slope(func, z1, first, 1), z2)
        return joined(first, second, z.algebra)

    def _slope(self, func, z, y, k: int):
        """Return f⁽ᵏ⁾(z) for a number y with the value f(z)."""
        algebra, live = z.algebra, z.live
        if is_pair(algebra):
            z1, z2 = halves(z)
            first = self._slope(func, z1, y, k)
            second = None if z2 is None else PRODUCT(self._slope(func, z1, y, k + 1), z2)
            return joined(first, second, algebra)
        kernel = NO_KERNEL
        if program.composition in self.compiled:
            formula = self.series, k
            kernel = function_kernel(program.slope, func.__name__, formula, algebra.table, live)
        planes = kernel.run((z._planes, y._planes[:1]), z.shape)
        if planes is None:
            return self.coefficient(func, z, y, k) * float(math.factorial(k))
        return Multicomplex(planes, algebra, supported(kernel.live, algebra))

    def _kernel(self, func, table, live: int):
        """Return the kernel: of the recurrence for a long series in one direction."""
        if self.recurrence is not None and table.is_long_series:
            make, formula = program.recurrence, self.recurrence
        else:
            make, formula = program.composition, self.series
        if make not in self.compiled:
            return NO_KERNEL
        return function_kernel(make, func.__name__, formula, table, live)

    def _by_planes(self, func, z):
        """Return the planes of the result without a kernel of their own."""
        table, live, a = z.algebra.table, z.live, z._planes[0, ...]
        y = func(a)
        if self.recurrence is not None and table.is_long_series:
            out = loops.by_recurrence(self.recurrence, z._planes, y, planes_in(live)[1:])
            if out is not None:
                return out
        series = [y, *self.series(a, y, table.order)]
        some = None
        if live != z.algebra.full:
            some = tangent_steps(table, closure(table, live), live), live_rows(live, table.size)
        try:
            return composed(series, z._planes, table, loops.add_products, some)
        except loops.Declined:
            return composed(series, z._planes, table, live=some)

    def coefficient(self, func, number, y, k: int):
        """Return f⁽ᵏ⁾/k! at a number (y = f there), as a number of the same kind."""
        if isinstance(number, Recorded):
            inner = self.coefficient(func, number.number, y.number, k)
            if number.storage.slot is None:
                return number.tape.constant(inner)
            slope = (k + 1) * self.coefficient(func, number.number, y.number, k + 1)
            return number.tape.emit(inner, scaling(number.tape.own(slope)), (number,))
        if not is_number(number):
            return self.series(number, y, k)[k - 1]
        table, a = number.algebra.table, number._planes[0]
        higher = self.series(a, y._planes[0], table.order + k)
        shifted = [math.comb(j, k) * c for j, c in enumerate(higher, 1) if j >= k]
        return Multicomplex(composed(shifted, number._planes, table), number.algebra)

    def record(self, func, args, kwargs, tape):
        (x,) = args
        number = func(x.number)
        if x.storage.slot is None:
            return tape.constant(number)
        slope = tape.own(self.coefficient(func, x.number, number, 1))
        return tape.emit(number, scaling(slope), (x,))


def scaling(slope):
    """Return the step tangent -> slope·tangent, 0 where the tangent is, even at infinite slopes."""
    if np.isfinite(slope).all():
        return lambda tangent: slope * tangent

    def guarded(tangent):
        if type(tangent) is not Multicomplex or isinstance(slope, Recorded):
            return times_unless_zero(slope, tangent)
        if is_number(slope):
            algebra = lifted([slope, tangent])
            pair = (embed(n._planes, n.algebra, algebra) for n in (slope, tangent))
            return Multicomplex(multiply(*pair, algebra.table, times_unless_zero), algebra)
        planes = times_unless_zero(slope, tangent._planes)  # each of them a direction
        return Multicomplex(planes, tangent.algebra, supported(tangent.live, tangent.algebra))

    return guarded


class Divide(Rule):
    """x / y."""

    verb = "analytic"

    def into(self, func, args, kwargs, target):
        if not all(type(x) is Multicomplex and not x.algebra.exact for x in args):
            return self.apply(func, args, kwargs)
        return QUOTIENT(*args, target)

    def planes(self, func, args, kwargs, like):
        x, y = args
        if not is_number(y):
            return scaled(func, x, y)
        algebra = lifted(numbers_of(args))
        if algebra.exact:
            top, bottom = buffer_in(algebra, x, y._planes), buffer_in(algebra, y, y._planes)
            return Multicomplex(exact.divide(*together(top, bottom)), algebra)
        return QUOTIENT(x, y) if is_number(x) else QUOTIENT.with_plain_left(x, y)

    def record(self, func, args, kwargs, tape):
        x, y = (number_on(n, tape) for n in args)
        quotient = func(x, y)
        moving = [is_moving(n, tape) for n in args]
        y = tape.hold(args[1])
        if not moving[1]:
            return tape.emit(quotient, lambda tangent: tangent / y, moving_among(args, tape))

        def step(*tangents):
            term = quotient * tangents[-1]
            return (tangents[0] - term if moving[0] else -term) / y

        out = tape.emit(quotient, step, moving_among(args, tape))
        tape.hold(out)
        return out


class Bivariate(Rule):
    """An analytic function of two operands, by its planes and (for a recorder) its partials.

    `on_planes(x, y, table)` has two buffers of one algebra and returns that of the result, whose
    value is then NumPy's own; `partials(x, y)` are the derivatives by x and by y, in NumPy syntax.
    """

    verb = "analytic"

    def __init__(self, on_planes, partials):
        super().__init__((0, 1))
        self.on_planes, self.partials = on_planes, partials

    def planes(self, func, args, kwargs, like):
        algebra = lifted(numbers_of(args))
        if algebra.exact:
            raise unsupported(func, args, "it has no recursion in the exact reading; leave h out")
        x, y = together(*(buffer_in(algebra, n, like._planes) for n in args))
        out = self.on_planes(x, y, algebra.table)
        out[0, ...] = func(*value_of(tuple(args)))
        return Multicomplex(out, algebra)

    def record(self, func, args, kwargs, tape):
        x, y = (number_on(n, tape) for n in args)
        number = func(x, y)
        slopes = [
            tape.own(slope)
            for slope, n in zip(self.partials(x, y), args, strict=True)
            if is_moving(n, tape)
        ]

        def step(*tangents):
            terms = [scaling(s)(t) for s, t in zip(slopes, tangents, strict=True)]
            return terms[0] if len(terms) == 1 else terms[0] + terms[1]

        return tape.emit(number, step, moving_among(args, tape))
