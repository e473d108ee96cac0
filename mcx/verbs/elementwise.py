"""Elementwise arithmetic of numbers: by a kernel, or the plain way where there is none."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from mcx.algebra import common_algebra, planes_in_larger
from mcx.array import Multicomplex
from mcx.kernels import loops, program
from mcx.kernels.launch import Kernel
from mcx.memory import SMALLEST
from mcx.planes import add_products, divide, embed, multiply, together
from mcx.support import (
    closure,
    embedded,
    live_levels,
    live_steps,
    product_mask,
    supported,
)
from mcx.verbs.base import buffer_in
from mcx.verbs.pairs import is_pair, product_of_pairs

MOST_TRIPLES = 800  # larger tables are not traced
NO_KERNEL = Kernel(None)


@lru_cache(maxsize=4096)
def binary_kernel(make, table, x, x_rows, y, y_rows) -> Kernel:
    """Return the kernel of a binary program for the masks and rows of its operands."""
    if len(table.triples) > MOST_TRIPLES:
        return NO_KERNEL
    return Kernel(make(table, program.Operand(x, x_rows), program.Operand(y, y_rows)))


@lru_cache(maxsize=4096)
def function_kernel(make, name: str, formula, table, live: int) -> Kernel:
    """Return the kernel of an analytic function for the mask of its operand.

    `make` is `program.composition` or `program.slope` for Taylor coefficients,
    `program.recurrence` for a recurrence.
    """
    if len(table.triples) > MOST_TRIPLES:
        return NO_KERNEL
    return Kernel(make(name, formula, table, live))


def is_apart(target, algebra, shape, inputs) -> bool:
    """Tell whether a kernel can write its result to a target: it fits, and no input lies there."""
    return (
        type(target) is Multicomplex
        and type(target._planes) is np.ndarray
        and target.algebra is algebra
        and target.shape == shape
        and target.dtype == inputs[0].dtype
        and target._planes.flags.c_contiguous
        and target._planes.flags.writeable
        and not any(np.may_share_memory(target._planes, buffer) for buffer in inputs)
    )


def written(kernel, inputs, target, value=None) -> bool:
    """Write a kernel's result to a target, and tell whether it could be done."""
    target._enliven(kernel.live)  # what a kernel leaves there counts, even if an exception follows
    if kernel.run(inputs, target.shape, value, target._planes) is None:
        return False
    for k in kernel.dead:
        if target.live >> k & 1:
            target._planes[k, ...] = 0
    return True


class Binary:
    """A binary operation on two numbers of the limit or exact algebra.

    Parameters
    ----------
    make : callable
        ``make(table, x, y)``, its program for two operands.
    plain : callable
        ``plain(x, y, table, masks, add_products)``, the same on buffers of one algebra.
    mask : callable
        ``mask(table, x, y)``, the mask of the result.
    """

    def __init__(self, make, plain, mask):
        self.make, self.plain, self.mask = make, plain, mask

    def __call__(self, x, y, target=None):
        """Return the result for two numbers: the target itself where it could be written there."""
        algebra = x.algebra
        if self is PRODUCT and y.algebra is algebra and is_pair(algebra):
            return product_of_pairs(PRODUCT, SUM, x, y)
        if y.algebra is algebra:
            kernel = binary_kernel(self.make, algebra.table, x.live, None, y.live, None)
        else:
            algebra = common_algebra([algebra, y.algebra])
            rows = [planes_in_larger(n.algebra, algebra) for n in (x, y)]
            kernel = binary_kernel(self.make, algebra.table, x.live, rows[0], y.live, rows[1])
        shape = x.shape if x.shape == y.shape else np.broadcast_shapes(x.shape, y.shape)
        inputs = x._planes, y._planes
        apart = target is not None and is_apart(target, algebra, shape, inputs)
        if apart and written(kernel, inputs, target):
            return target
        planes = kernel.run(inputs, shape)
        if planes is None:
            left, right = (embed(n._planes, n.algebra, algebra) for n in (x, y))
            masks = (embedded(n.live, n.algebra, algebra) for n in (x, y))
            return self._by_planes(left, right, algebra, *masks)
        return Multicomplex(planes, algebra, supported(kernel.live, algebra))

    def with_plain_left(self, x, y):
        """Return the result for an array or scalar x and a number y."""
        algebra = y.algebra
        kernel = binary_kernel(self.make, algebra.table, 1, (0,), y.live, None)
        shape = np.broadcast_shapes(np.shape(x), y.shape)
        if np.ndim(x):
            first = x[np.newaxis]
        else:
            dtype = y.dtype if type(x) in (int, float) else np.result_type(x, y.dtype)
            first = np.full_like(y._planes, x, shape=(1,), dtype=dtype)
        planes = kernel.run((first, y._planes), shape)
        if planes is None:
            left = buffer_in(algebra, x, y._planes)
            return self._by_planes(left, y._planes, algebra, 1, y.live)
        return Multicomplex(planes, algebra, supported(kernel.live, algebra))

    def _by_planes(self, x, y, algebra, *masks):
        """Return the result without a kernel of its own."""
        table = algebra.table
        try:
            planes = self.plain(x, y, table, masks, loops.add_products)
        except loops.Declined:
            planes = self.plain(x, y, table, masks, add_products)
        return Multicomplex(planes, algebra, supported(self.mask(table, *masks), algebra))


def product(x, y, table, masks, add_products):
    """Return x·y."""
    steps = live_steps(table, *masks)
    if y.nbytes < SMALLEST and masks[0] == masks[1] == (1 << table.size) - 1:
        steps = None  # fewer calls for small arrays
    return multiply(x, y, table, np.multiply, add_products, steps)


def quotient(x, y, table, masks, add_products):
    """Return x / y in the limit algebra."""
    return divide(x, y, table, add_products, live_levels(table, *masks))


def quotient_mask(table, x: int, y: int) -> int:
    """Return the mask of x / y."""
    return product_mask(table, x, closure(table, y))


def add(x, y, table, masks, add_products):
    """Return x + y."""
    return np.add(*together(x, y))


def subtract(x, y, table, masks, add_products):
    """Return x − y."""
    return np.subtract(*together(x, y))


PRODUCT = Binary(program.product, product, product_mask)
QUOTIENT = Binary(program.quotient, quotient, quotient_mask)
SUM = Binary(program.total, add, lambda table, x, y: x | y)
DIFFERENCE = Binary(program.difference, subtract, lambda table, x, y: x | y)
