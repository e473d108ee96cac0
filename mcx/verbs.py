"""The verbs: how a rule acts on planes, and what it leaves on a tape.

A rule is an instance of a verb: `linear` (apply to every plane), `multilinear` (table of products),
`analytic` (Taylor coefficients at the value), `selection` (indices from the value plane, gather on
all), `value` (answer from the value plane), `constant` (piecewise constant: derivative zero) and
`composed` (a formula in NumPy syntax). Each has two methods: `planes` for Multicomplex operands,
`record` for a recorder's. The mathematics is in `mcx.rules`.
"""

from __future__ import annotations

import functools
import math

import numpy as np

from mcx import exact
from mcx.algebra import common_algebra
from mcx.array import Multicomplex, coefficients
from mcx.dispatch import contains_number, is_number, positional, signature_of, unsupported, value_of
from mcx.planes import (
    aligned,
    as_strided_of,
    compose,
    divide,
    embed,
    from_value,
    stacked,
    times_unless_zero,
    together,
)
from mcx.record import Recorded, buffer_of, shares_memory


def numbers_of(x):
    """Return the numbers in (nested) arguments, in order."""
    if is_number(x):
        return [x]
    if isinstance(x, (list, tuple)):
        return [n for item in x for n in numbers_of(item)]
    if isinstance(x, dict):
        return numbers_of(list(x.values()))
    return []


def replaced(x, change):
    """Return (nested) operands with every leaf replaced by change(leaf)."""
    if isinstance(x, (list, tuple)):
        return type(x)(replaced(item, change) for item in x)
    return change(x)


def zero_like(x):
    """Return the zero an operand without a tangent contributes to a linear function."""
    if x is None:
        return None
    return np.zeros_like(x) if hasattr(x, "dtype") else type(x)(0)


class Rule:
    """A rule. `operands` are the positions of the arguments that may carry derivatives.

    Arguments named in `value_only` (an initial value, a padding constant) belong to the value: the
    other planes see zero in their place.
    """

    verb = ""

    def __init__(self, operands: tuple[int, ...] | None = (0,), value_only: tuple[str, ...] = ()):
        self.operands = operands
        self.value_only = value_only

    def apply(self, func, args, kwargs, like=None):
        """Evaluate func for arguments with at least one number (or made in the image of one)."""
        numbers = numbers_of(args) + numbers_of(kwargs)
        top = max(numbers, key=lambda n: n.rank) if numbers else like
        if isinstance(top, Recorded):
            return self.record(func, args, kwargs, top.tape)
        return self.planes(func, args, kwargs, top)

    def places(self, args):
        """Return the positions of the operands among the arguments given."""
        if self.operands is None:
            return [k for k, x in enumerate(args) if hasattr(x, "shape")]
        return [k for k in self.operands if k < len(args)]

    def split(self, func, args, kwargs):
        """Return the operands, and call(operands, tangent=False) with the other arguments fixed.

        Raises
        ------
        UnsupportedFunctionError
            If a number stands where only plain arguments have a rule.
        """
        if self.operands is not None:
            args, kwargs = positional(func, args, kwargs, max(self.operands) + 1)
        places = self.places(args)
        if self.value_only:
            names = signature_of(func)[len(places) : len(args)]
            kwargs = {**dict(zip(names, args[len(places) :], strict=False)), **kwargs}
            args = args[: len(places)]
        others = [a for k, a in enumerate(args) if k not in places]
        if contains_number(others) or numbers_of(kwargs):
            raise unsupported(func, (args, kwargs), "an argument that must be plain is a number")
        zeros = {k: replaced(v, zero_like) for k, v in kwargs.items() if k in self.value_only}

        def call(operands, tangent=False):
            full = list(args)
            for place, operand in zip(places, operands, strict=True):
                full[place] = operand
            return func(*full, **({**kwargs, **zeros} if tangent and zeros else kwargs))

        return [args[k] for k in places], call


def lifted(numbers):
    """Return the common algebra of numbers."""
    return common_algebra([n.algebra for n in numbers])


def plane_of(x, k: int, algebra, cache):
    """Return plane k of an operand in an algebra: a plain operand has plane 0 alone."""
    if not isinstance(x, Multicomplex):
        return x if k == 0 else zero_like(x)
    if x.algebra is algebra:
        return x.planes[k]
    if id(x) not in cache:
        cache[id(x)] = embed(x.planes, x.algebra, algebra)
    return cache[id(x)][k]


def wrapped(parts, algebra):
    """Return per-plane results (arrays, or tuples and lists of arrays) as Multicomplex."""
    first = parts[0]
    if isinstance(first, (list, tuple)):
        items = [wrapped([part[i] for part in parts], algebra) for i in range(len(first))]
        return _rebuilt(first, items)
    return Multicomplex(stacked(parts), algebra)


def _rebuilt(like, items):
    return type(like)(*items) if hasattr(like, "_fields") else type(like)(items)


def strided(first, planes):
    """Return the buffer whose plane 0 is `first`, a view of plane 0 of `planes`."""
    shape, strides = (planes.shape[0], *first.shape), (planes.strides[0], *first.strides)
    if isinstance(first, np.ndarray):
        writeable = first.flags.writeable
        return np.lib.stride_tricks.as_strided(first, shape, strides, writeable=writeable)
    return as_strided_of(type(first))(first, shape, strides)


class Linear(Rule):
    """Linear in its operands together: the function itself, plane by plane; views stay views."""

    verb = "linear"

    def planes(self, func, args, kwargs, like):
        operands, call = self.split(func, args, kwargs)
        numbers = numbers_of(operands)
        algebra = lifted(numbers)
        if len(operands) == 1 and numbers[0] is operands[0]:
            return self._single(operands[0], call, algebra)
        cache: dict = {}
        parts = [
            call(replaced(operands, lambda x, k=k: plane_of(x, k, algebra, cache)), k > 0)
            for k in range(algebra.size)
        ]
        return wrapped(parts, algebra)

    def _single(self, number, call, algebra):
        planes = number.planes
        start = planes[0, ...]
        first = call([start])
        if isinstance(first, (list, tuple)):
            views = all(_is_view(part, start) for part in first)
            if views:
                items = [Multicomplex(strided(part, planes), algebra) for part in first]
                return _rebuilt(first, items)
        elif _is_view(first, start):
            return Multicomplex(strided(first, planes), algebra)
        rest = (call([planes[k, ...]], True) for k in range(1, len(planes)))
        return wrapped([first, *rest], algebra)

    def record(self, func, args, kwargs, tape):
        operands, call = self.split(func, args, kwargs)
        number = call(replaced(operands, lambda x: _number(x, tape)))
        moving = _moving(operands, tape)
        if len(operands) == 1 and moving and moving[0] is operands[0]:
            return self._record_single(number, call, moving[0], tape)

        fixed = replaced(
            operands, lambda x: _MOVING if _is_moving(x, tape) else zero_like(_number(x, tape))
        )

        def step(*tangents):
            source = iter(tangents)
            return call(replaced(fixed, lambda x: next(source) if x is _MOVING else x), True)

        return _emit_tree(tape, number, step, moving)

    def _record_single(self, number, call, operand, tape):
        source = operand.number
        parts = number if isinstance(number, (list, tuple)) else [number]
        out = []
        for k, part in enumerate(parts):
            if parts is number:
                pick = lambda x, k=k: call([x], True)[k]
            else:
                pick = lambda x: call([x], True)

            if shares_memory(part, source):
                out.append(operand.view(pick))
            else:
                out.append(tape.emit(part, pick, (operand,)))
        return _rebuilt(number, out) if parts is number else out[0]


class _Moving:
    """Placeholder of an operand whose tangent arrives when the program runs."""


_MOVING = _Moving()


def _is_view(part, start) -> bool:
    return hasattr(part, "strides") and part.size > 0 and bool(np.may_share_memory(part, start))


def _number(x, tape):
    """Return the value of an operand of this tape; others as they are."""
    return x.number if isinstance(x, Recorded) and x.tape is tape else x


def _is_moving(x, tape) -> bool:
    return isinstance(x, Recorded) and x.tape is tape and x.storage.slot is not None


def _moving(operands, tape):
    return [n for n in numbers_of(operands) if _is_moving(n, tape)]


def _emit_tree(tape, number, step, moving):
    """Record a result that may be a tuple or list of arrays."""
    if not isinstance(number, (list, tuple)):
        return tape.emit(number, step, moving)
    items = [
        tape.emit(part, lambda *values, k=k: step(*values)[k], moving)
        for k, part in enumerate(number)
    ]
    return _rebuilt(number, items)


class Sum(Rule):
    """x + y or x − y: elementwise and linear in both, with no pass over absent planes."""

    verb = "linear"

    def __init__(self, sign: int):
        super().__init__((0, 1))
        self.sign = sign

    def planes(self, func, args, kwargs, like):
        x, y = args
        if not is_number(y):
            return self._with_plain(func, x, y, 1)
        if not is_number(x):
            return self._with_plain(lambda a, b: func(b, a), y, x, self.sign)
        algebra = lifted([x, y])
        ndim = max(x.ndim, y.ndim)
        left = aligned(embed(x.planes, x.algebra, algebra), ndim)
        right = aligned(embed(y.planes, y.algebra, algebra), ndim)
        return Multicomplex(func(left, right), algebra)

    def _with_plain(self, func, number, plain, sign):
        first = func(number.planes[0], plain)
        planes = number.planes
        out = np.empty_like(first, shape=(len(planes), *first.shape))
        out[0, ...] = first
        out[1:] = aligned(planes, first.ndim)[1:]
        if sign < 0:
            np.negative(out[1:], out=out[1:])
        return Multicomplex(out, number.algebra)

    def record(self, func, args, kwargs, tape):
        x, y = args
        number = func(_number(x, tape), _number(y, tape))
        moving = _moving(args, tape)
        if len(moving) == 2:
            return tape.emit(number, func, moving)
        shape = np.shape(number)
        sign = self.sign if moving and moving[0] is y and moving[0] is not x else 1

        def step(tangent):
            tangent = tangent if sign > 0 else -tangent
            return tangent if np.shape(tangent) == shape else np.broadcast_to(tangent, shape)

        return tape.emit(number, step, moving)


class Multilinear(Rule):
    """Linear in each operand: the products of planes that the table names."""

    verb = "bilinear"

    def __init__(self, operands: tuple[int, ...] | None = (0, 1), elementwise=None):
        super().__init__(operands)
        self.elementwise = elementwise

    def planes(self, func, args, kwargs, like):
        operands, call = self.split(func, args, kwargs)
        places = [k for k, x in enumerate(operands) if is_number(x)]
        algebra = lifted([operands[k] for k in places])
        if self.elementwise is not None and len(places) == 2:
            x, y = (embed(n.planes, n.algebra, algebra) for n in operands)
            return Multicomplex(self.elementwise(x, y, algebra.table), algebra)
        if self.elementwise is not None:
            return self._scaled(func, operands, places[0], algebra)
        buffers = [embed(operands[k].planes, operands[k].algebra, algebra) for k in places]
        parts: list = [None] * algebra.size
        for chosen, plane, sign in _terms(algebra.table, len(places)):
            full = list(operands)
            for place, buffer, k in zip(places, buffers, chosen, strict=True):
                full[place] = buffer[k]
            term = call(full) if sign > 0 else -call(full)
            parts[plane] = term if parts[plane] is None else parts[plane] + term
        return wrapped(parts, algebra)

    @staticmethod
    def _scaled(func, operands, place, algebra):
        number, plain = operands[place], operands[1 - place]
        planes = aligned(number.planes, np.ndim(plain))
        return Multicomplex(func(*((planes, plain) if place == 0 else (plain, planes))), algebra)

    def record(self, func, args, kwargs, tape):
        operands, call = self.split(func, args, kwargs)
        number = call([_number(x, tape) for x in operands])
        moving = [k for k, x in enumerate(operands) if _is_moving(x, tape)]
        held = [tape.hold(x) if len(moving) > 1 or k not in moving else None
                for k, x in enumerate(operands)]

        def step(*tangents):
            total = None
            for k, tangent in zip(moving, tangents, strict=True):
                term = call([tangent if j == k else x for j, x in enumerate(held)])
                total = term if total is None else total + term
            return total

        return tape.emit(number, step, [operands[k] for k in moving])


def _terms(table, count: int):
    """Return ((planes), plane of their product, sign) for products of `count` operands."""
    if count == 1:
        return [((k,), k, 1) for k in range(table.size)]
    terms = [((a, b), c, s) for a, b, c, s in table.triples]
    for _ in range(count - 2):
        by_left: dict[int, list] = {}
        for a, b, c, s in table.triples:
            by_left.setdefault(a, []).append((b, c, s))
        terms = [((*t, b), c, s * s2) for t, a, s in terms for b, c, s2 in by_left.get(a, ())]
    return terms


class Analytic(Rule):
    """An analytic function of one operand: Taylor coefficients at the value, composed."""

    verb = "analytic"

    def __init__(self, series, exact=None):
        super().__init__((0,))
        self.series, self.exact = series, exact

    def planes(self, func, args, kwargs, like):
        (z,) = args
        if z.algebra.exact:
            if self.exact is None:
                raise unsupported(func, args, "it has no recursion in the exact reading; leave h out")
            return Multicomplex(self.exact(z.planes), z.algebra)
        table, a = z.algebra.table, z.planes[0]
        y = func(a)
        return Multicomplex(compose([y, *self.series(a, y, table.order)], z.planes, table), z.algebra)

    def coefficient(self, func, number, y, k: int):
        """Return f⁽ᵏ⁾/k! at a number (y = f there), as a number of the same kind."""
        if isinstance(number, Recorded):
            inner = self.coefficient(func, number.number, y.number, k)
            if number.storage.slot is None:
                return number.tape.constant(inner)
            slope = (k + 1) * self.coefficient(func, number.number, y.number, k + 1)
            return number.tape.emit(inner, _scaling(number.tape.hold(slope)), (number,))
        if not is_number(number):
            return self.series(number, y, k)[k - 1]
        table, a = number.algebra.table, number.planes[0]
        higher = self.series(a, y.planes[0], table.order + k)
        shifted = [math.comb(j, k) * c for j, c in enumerate(higher, 1) if j >= k]
        return Multicomplex(compose(shifted, number.planes, table), number.algebra)

    def record(self, func, args, kwargs, tape):
        (x,) = args
        number = func(x.number)
        if x.storage.slot is None:
            return tape.constant(number)
        slope = tape.hold(self.coefficient(func, x.number, number, 1))
        return tape.emit(number, _scaling(slope), (x,))


def _scaling(slope):
    """Return the step tangent -> slope·tangent, 0 where the tangent is, even at infinite slopes."""
    if np.isfinite(slope).all():
        return lambda tangent: slope * tangent
    return lambda tangent: times_unless_zero(slope, tangent)


class Divide(Rule):
    """x / y."""

    verb = "analytic"

    def planes(self, func, args, kwargs, like):
        x, y = args
        if not is_number(y):
            return Multicomplex(func(aligned(x.planes, np.ndim(y)), y), x.algebra)
        algebra = lifted(numbers_of(args))
        top, bottom = _buffer_in(algebra, x, y.planes), _buffer_in(algebra, y, y.planes)
        if algebra.exact:
            return Multicomplex(exact.divide(*together(top, bottom)), algebra)
        return Multicomplex(divide(top, bottom, algebra.table), algebra)

    def record(self, func, args, kwargs, tape):
        x, y = (_number(n, tape) for n in args)
        quotient = func(x, y)
        moving = [_is_moving(n, tape) for n in args]
        y = tape.hold(args[1])
        if not moving[1]:
            return tape.emit(quotient, lambda tangent: tangent / y, _moving(args, tape))
        kept = tape.hold(tape.constant(quotient))

        def step(*tangents):
            term = kept * tangents[-1]
            return (tangents[0] - term if moving[0] else -term) / y

        return tape.emit(quotient, step, _moving(args, tape))


class Selection(Rule):
    """A choice among elements, made by the value plane and applied to every plane.

    `choose(*plain args, **kwargs)` returns the function of the operands' planes that picks them.
    """

    verb = "selection"

    def __init__(self, operands, choose):
        super().__init__(operands)
        self.choose = choose

    def _pick(self, func, args, kwargs):
        args, kwargs = positional(func, args, kwargs, max(self.operands) + 1)
        pick = self.choose(*value_of(tuple(args)), **{k: value_of(v) for k, v in kwargs.items()})
        return args, kwargs, [args[k] for k in self.operands if k < len(args)], pick

    def planes(self, func, args, kwargs, like):
        args, kwargs, operands, pick = self._pick(func, args, kwargs)
        first = func(*value_of(tuple(args)), **kwargs)
        algebra, cache = lifted(numbers_of(args) + numbers_of(kwargs)), {}
        rest = (
            pick(*replaced(operands, lambda x, k=k: plane_of(x, k, algebra, cache)))
            for k in range(1, algebra.size)
        )
        return Multicomplex(stacked([first, *rest]), algebra)

    def record(self, func, args, kwargs, tape):
        args, kwargs, operands, pick = self._pick(func, args, kwargs)
        number = func(*(_number(x, tape) for x in args), **kwargs)
        moving = _moving(operands, tape)
        fixed = [
            _MOVING if _is_moving(x, tape) else zero_like(_number(x, tape)) for x in operands
        ]

        def step(*tangents):
            source = iter(tangents)
            return pick(*(next(source) if x is _MOVING else x for x in fixed))

        return tape.emit(number, step, moving)


class Value(Rule):
    """Answered from the value plane: comparisons, indices, shapes. The result is plain."""

    verb = "value"

    def apply(self, func, args, kwargs, like=None):
        return func(*value_of(tuple(args)), **{k: value_of(v) for k, v in kwargs.items()})


class Constant(Rule):
    """Piecewise constant: NumPy's value, every derivative zero."""

    verb = "constant"

    def planes(self, func, args, kwargs, like):
        value = func(*value_of(tuple(args)), **kwargs)
        return Multicomplex(from_value(value, lifted(numbers_of(args))), lifted(numbers_of(args)))

    def record(self, func, args, kwargs, tape):
        return tape.constant(func(*(_number(x, tape) for x in args), **kwargs))


class Fresh(Rule):
    """A new array in the image of a number (np.zeros_like(z), np.zeros(shape, like=z))."""

    verb = "constant"

    def planes(self, func, args, kwargs, like):
        if numbers_of(args):
            value = func(*value_of(tuple(args)), **kwargs)
        else:
            value = func(*args, **kwargs, like=like.buffer)
        if value.dtype.kind not in "fc":
            return value
        return Multicomplex(from_value(value, like.algebra), like.algebra)

    def record(self, func, args, kwargs, tape):
        if numbers_of(args):
            number = func(*(_number(x, tape) for x in args), **kwargs)
        else:
            number = func(*args, **kwargs)
        return tape.constant(number) if number.dtype.kind in "fc" else number


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
        x, y = together(*(_buffer_in(algebra, n, like.planes) for n in args))
        out = self.on_planes(x, y, algebra.table)
        out[0, ...] = func(*value_of(tuple(args)))
        return Multicomplex(out, algebra)

    def record(self, func, args, kwargs, tape):
        x, y = (_number(n, tape) for n in args)
        number = func(x, y)
        slopes = [
            tape.hold(slope)
            for slope, n in zip(self.partials(x, y), args, strict=True)
            if _is_moving(n, tape)
        ]

        def step(*tangents):
            terms = [_scaling(s)(t) for s, t in zip(slopes, tangents, strict=True)]
            return terms[0] if len(terms) == 1 else terms[0] + terms[1]

        return tape.emit(number, step, _moving(args, tape))


def _buffer_in(algebra, x, like):
    """Return an operand, number or plain, as a buffer of an algebra; scalars go where `like` is."""
    if is_number(x):
        return embed(x.planes, x.algebra, algebra)
    if np.ndim(x):
        return from_value(coefficients(x, "operand"), algebra)
    dtype = np.result_type(like.dtype, x)
    out = np.zeros_like(like, shape=(algebra.size,), dtype=dtype)
    out[0] = x
    return out


class Composed(Rule):
    """A formula in NumPy syntax over other rules; the value plane is NumPy's own call."""

    verb = "composed"

    def __init__(self, formula):
        super().__init__(None)
        self.formula = formula

    def planes(self, func, args, kwargs, like):
        result = self.formula(*args, **kwargs)
        if not result.algebra.exact:
            plain = {k: value_of(v) for k, v in kwargs.items()}
            result.planes[0, ...] = func(*value_of(tuple(args)), **plain)
        return result

    def record(self, func, args, kwargs, tape):
        result = self.formula(*args, **kwargs)
        plain = {k: _number(v, tape) for k, v in kwargs.items()}
        return Recorded(tape, func(*(_number(x, tape) for x in args), **plain), result.slot)


def primitive(func, rule):
    """Return a function that runs `func` on plain arrays and the rule on numbers."""

    @functools.wraps(func)
    def dispatching(*args, **kwargs):
        if numbers_of(args):
            return rule.apply(dispatching, args, kwargs)
        return func(*args, **kwargs)

    return dispatching


def register_linear(func):
    """Make a function that is linear in its first argument work on Multicomplex arrays.

    Parameters
    ----------
    func : callable
        ``func(x, *static, **static)`` on plain arrays, linear in x; the rest is not differentiated.

    Returns
    -------
    callable
        The same function, which also accepts numbers as x.

    Examples
    --------
    >>> import mcx, numpy as np
    >>> double = mcx.register_linear(lambda x: 2.0 * x)
    >>> mcx.derivative(lambda x: double(x) ** 2, 3.0).item()
    24.0
    """
    return primitive(func, Linear((0,)))


def register_bilinear(func):
    """Make a function that is linear in each of its first two arguments work on Multicomplex.

    Parameters
    ----------
    func : callable
        ``func(x, y, *static, **static)`` on plain arrays, linear in x and in y.

    Returns
    -------
    callable
        The same function, which also accepts numbers as x, y or both.

    Examples
    --------
    >>> import mcx, numpy as np
    >>> inner = mcx.register_bilinear(lambda x, y: (x * y).sum())
    >>> mcx.gradient(lambda x: inner(x, x), np.array([1.0, 2.0]))
    array([2., 4.])
    """
    return primitive(func, Multilinear((0, 1)))

