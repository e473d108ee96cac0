"""Einstein sums on stacks of planes: a letter that the subscripts do not use stands for planes."""

from __future__ import annotations

from string import ascii_letters

import numpy as np

from mcx.dispatch import is_number
from mcx.verbs.folding import Form, evaluated


def einsum(args, kwargs):
    """Return np.einsum of one number or two in few calls, None where it has no such form."""
    subscripts, *operands = args
    places = [k for k, x in enumerate(operands) if is_number(x)]
    if not isinstance(subscripts, str) or not kwargs.keys() <= {"optimize"} or len(places) > 2:
        return None
    terms, result = parsed(subscripts)
    letter = next((c for c in ascii_letters if c not in subscripts), None)
    if letter is None or not all(hasattr(x, "shape") for x in operands):
        return None
    shape = shape_of_sum(terms, result, [x.shape for x in operands])
    if shape is None:
        return None
    numbers = [operands[k] for k in places]
    product = _Sum(terms, result, letter, operands, places, kwargs)
    left, right = (*(n._planes for n in numbers), None)[:2]
    dtype = np.result_type(*(x.dtype for x in operands))
    return evaluated(Form(product, left, right, shape, shape, dtype), numbers, True)


def parsed(subscripts: str):
    """Return the terms of the operands and of the result, which may be implied."""
    given, arrow, result = subscripts.replace(" ", "").partition("->")
    if not arrow:
        once = sorted(c for c in set(given) if c.isalpha() and given.count(c) == 1)
        result = "".join(["..."] * ("..." in given) + once)
    return given.split(","), result


def shape_of_sum(terms, result: str, shapes):
    """Return the shape of a sum whose subscripts fit the shapes in the plain way, else None."""
    lengths: dict[str, int] = {}
    extra: tuple[int, ...] = ()
    if len(terms) != len(shapes):
        return None
    for term, shape in zip(terms, shapes, strict=True):
        head, dots, tail = term.partition("...")
        free = len(shape) - len(head) - len(tail)
        if (not (head + tail).isalpha() and head + tail) or free < 0 or (free and not dots):
            return None
        try:
            extra = np.broadcast_shapes(extra, shape[len(head) : len(head) + free])
        except ValueError:
            return None
        fixed = (*shape[: len(head)], *shape[len(head) + free :])
        for c, length in zip(head + tail, fixed, strict=True):
            if lengths.setdefault(c, length) != length:
                return None
    head, dots, tail = result.partition("...")
    letters = head + tail
    if len(set(letters)) < len(letters) or not set(letters) <= set(lengths):
        return None
    sides = (tuple(lengths[c] for c in part) for part in (head, tail))
    return (*next(sides), *extra, *next(sides))


class _Sum:
    """The sum for a stack of one operand and a plane of the other (None where there is none)."""

    def __init__(self, terms, result, letter, operands, places, options):
        self.terms, self.result, self.letter = terms, result, letter
        self.operands, self.places, self.options = operands, places, options

    def __call__(self, x, y, out):
        terms, operands = list(self.terms), list(self.operands)
        for place, operand in zip(self.places, (x, y), strict=False):
            if operand.ndim > operands[place].ndim:
                terms[place] = self.letter + terms[place]
            operands[place] = operand
        subscripts = f"{','.join(terms)}->{self.letter}{self.result}"
        if type(out) is np.ndarray:
            np.einsum(subscripts, *operands, out=out, **self.options)
        else:  # CuPy's has no out=
            out[...] = np.einsum(subscripts, *operands, **self.options)
