"""Random arguments for NumPy functions (Hypothesis): numbers in all layouts, axes, shapes.

An argument is a function of (d, x): what draws, and the array that stands first.
"""

import numpy as np
from core.builders import filled
from hypothesis import strategies as st

from mcx.dispatch import is_number

DTYPES = (np.float32, np.float64, np.complex128)
# Ways to a number whose value plane has another layout than that of a new array.
LAYOUTS = {
    "C": lambda z: z,
    "Fortran": np.transpose,
    "reversed": lambda z: z[::-1],
    "strided": lambda z: z[..., ::2],
    "offset": lambda z: z[1:],
    "axes moved": lambda z: np.moveaxis(z, 0, -1),
    "broadcast": lambda z: np.broadcast_to(z, (2, *z.shape)),
    "empty": lambda z: z[:0],
}


class Draw:
    """Draws arguments; `rng` is for the elements of arrays."""

    def __init__(self, data):
        self.draw = data.draw
        self.shift = 0.0  # how far along their tangents other operands are, in a plain call
        self.rng = np.random.default_rng(self.integer(0, 2**16))

    def integer(self, low, high):
        return self.draw(st.integers(low, high))

    def flag(self):
        return self.draw(st.booleans())

    def one_of(self, *items):
        return self.draw(st.sampled_from(items))

    def elements(self, shape, dtype):
        """Return an array of distinct multiples of 1/8 about 0: sums of a few are exact."""
        size = int(np.prod(shape))
        parts = [(self.rng.permutation(size) - size // 2) / 8 for _ in range(2)]
        x = parts[0] + 1j * parts[1] if np.dtype(dtype).kind == "c" else parts[0]
        return x.reshape(shape).astype(dtype)

    def number(self, shape, dtype, layout="C", offset=1 / 16):
        """Return a number of order 2 with all planes filled; offsets keep two from being equal."""
        planes = np.stack([self.elements(shape, dtype) for _ in range(4)])
        planes[0] += offset
        return LAYOUTS[layout](filled(planes))

    def other(self, shape, dtype):
        """Return a number to stand beside the first operand."""
        return self.number(shape, dtype, offset=1 / 32)

    def anything(self, layouts=tuple(LAYOUTS), axes=0):
        """Return a number of any shape of up to four axes, type and layout."""
        shape = tuple(self.draw(st.lists(st.integers(1, 4), min_size=axes, max_size=3)))
        layout = self.one_of(*(layouts if shape else ("C", "broadcast")))
        return self.number(shape, self.one_of(*DTYPES), layout)

    def solid(self):
        """Return a number with at least one axis, and elements."""
        layouts = ("C", "Fortran", "reversed", "strided", "axes moved", "broadcast")
        return self.anything(layouts, axes=1)

    def complex(self):
        return self.number((self.integer(1, 4),), np.complex128)

    def vector(self):
        """Return a number with one axis, of two to six elements."""
        layout = self.one_of("C", "reversed", "strided")
        return self.number((2 * self.integer(2, 6),), self.one_of(*DTYPES), layout)

    def matrices(self):
        """Return well-conditioned square matrices, alone or in a stack."""
        n, stack = self.integer(1, 3), self.draw(st.lists(st.integers(1, 2), max_size=2))
        z = self.number((*stack, n, n), self.one_of(*DTYPES)) / 8
        layout = self.one_of("C", "Fortran") if not stack else "C"
        return LAYOUTS[layout](z + (4 * np.eye(n)).astype(z.dtype))

    def beside(self, x):
        """Return an array or a number that broadcasts with x."""
        shape = tuple(1 if self.flag() else n for n in np.shape(x))[self.integer(0, np.ndim(x)) :]
        z = self.other(shape, x.dtype)
        return self.one_of(z, z.value, 1.5)

    def like(self, operand, a):
        """Return an operand as it is beside a number, as a plain one beside a plain array."""
        if is_number(a) or not is_number(operand):
            return operand
        return operand.value.astype(a.dtype) + (self.shift * operand.im(1)).astype(a.dtype)


# -- Arguments -----------------------------------------------------------------------------------


def flag(d, x):
    return d.flag()


def axis(d, x):
    return d.integer(-x.ndim, x.ndim - 1) if x.ndim else 0


def maybe_axis(d, x):
    return None if d.flag() else axis(d, x)


def some_axes(d, x):
    order = d.draw(st.permutations(range(x.ndim)))
    return tuple(order[: d.integer(0, x.ndim)])


def axes(d, x):
    """Return None, an axis, or a tuple of axes."""
    return d.one_of(maybe_axis, some_axes)(d, x)


def axes_or_none(d, x):
    return None if d.flag() else some_axes(d, x) or None


def order_of_axes(d, x):
    return None if d.flag() else tuple(d.draw(st.permutations(range(x.ndim))))


def integers(low, high):
    return lambda d, x: d.integer(low, high)


def picked(*items):
    return lambda d, x: d.one_of(*items)


def indices(d, x):
    size = (min(x.shape) if x.ndim else 1) or 1
    shape = d.one_of((), (3,), (2, 2))
    return d.rng.integers(-size, size, size=shape)


def per_axis(d, x):
    return None if d.flag() else d.integer(0, 3)


def new_shape(d, x):
    """Return a shape with as many elements as x, one extent left open now and then."""
    size, shape = x.size, []
    while size > 1 and d.flag():
        factor = d.one_of(*(k for k in range(1, size + 1) if size % k == 0))
        shape.append(factor)
        size //= factor
    shape.append(size if not x.size or d.flag() else -1)
    return tuple(shape)


def wider_shape(d, x):
    return (*d.one_of((), (1,), (2, 3)), *(d.integer(1, 3) if n == 1 else n for n in x.shape))


def any_shape(d, x):
    return tuple(d.draw(st.lists(st.integers(0, 4), max_size=3)))


def widths(d, x):
    return [(d.integer(0, 2), d.integer(0, 2)) for _ in range(x.ndim)]


def windows(d, x):
    return tuple(d.integer(1, max(n, 1)) for n in x.shape)


def probability(d, x):
    return d.one_of(0.25, 0.5, 1.0, np.array([0.0, 0.3, 0.7]))


def where(d, x):
    return d.rng.random(x.shape) < 0.7


def initial(d, x):
    return d.one_of(0.5, 2.0, -40.0)


# -- Calls: functions of (func, d, x) that return a function of the operand alone ----------------


def options(**arguments):
    """Return calls with these arguments by keyword; some are left at their defaults."""

    def bind(func, d, x):
        chosen = {name: argument(d, x) for name, argument in arguments.items()}
        return lambda a: func(a, **chosen)

    return bind


def optional(required, **arguments):
    """Return calls with the required arguments and any of the others, by keyword."""

    def bind(func, d, x):
        chosen = {name: argument(d, x) for name, argument in required.items()}
        chosen |= {name: argument(d, x) for name, argument in arguments.items() if d.flag()}
        return lambda a: func(a, **chosen)

    return bind


def plain(func, d, x):
    return func


def two(func, d, x):
    """Return calls with a second operand that broadcasts, on either side."""
    other = d.beside(x)
    if d.flag():
        return lambda a: func(a, d.like(other, a))
    return lambda a: func(d.like(other, a), a)


def joined(*names):
    """Return calls on a sequence of the operand and something of its shape."""

    def bind(func, d, x):
        other = d.other(x.shape, x.dtype)
        other = d.one_of(other, other.value)
        chosen = {name: axis(d, x) for name in names}
        return lambda a: func([a, d.like(other, a), a], **chosen)

    return bind
