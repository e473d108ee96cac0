"""Checks of shapes and sizes, with one wording for every layer."""

from collections.abc import Sequence


def expect_shape(owner, name, array, expected):
    """Raise unless an array has the expected shape; a string in `expected` stands for any extent.

    Examples
    --------
    >>> import numpy as np
    >>> expect_shape("Dense", "x", np.zeros((2, 4)), ("B", 3))
    Traceback (most recent call last):
    ValueError: Dense: x: expected shape (B, 3), got (2, 4).
    """
    expect_extents(owner, name, tuple(array.shape), expected)


def expect_extents(owner, name, shape, expected):
    """Raise unless a shape is the expected one, as `expect_shape` does for that of an array.

    Examples
    --------
    >>> expect_extents("Dense", "one sample", (4,), (3,))
    Traceback (most recent call last):
    ValueError: Dense: one sample: expected shape (3,), got (4,).
    """
    fits = len(shape) == len(expected) and all(
        isinstance(extent, str) or extent == size
        for extent, size in zip(expected, shape, strict=True)
    )
    if not fits:
        letters = ", ".join(map(str, expected)) + ("," if len(expected) == 1 else "")
        raise ValueError(f"{owner}: {name}: expected shape ({letters}), got {shape}.")


def expect_parameters(layer, params):
    """Raise unless `params` holds every parameter of the layer in its shape."""
    for name, shape in layer.parameters.items():
        expect_shape(layer, name, params[name], shape)


def expect_at_least(minimum, owner, **sizes):
    """Raise unless every size, an integer or a pair of integers, is at least `minimum`."""
    for name, size in sizes.items():
        if min(pair(size)) < minimum:
            raise ValueError(f"{owner}: {name}: expected at least {minimum}, got {size}.")


def pair(size):
    """Return (height, width) of a size given as one integer or as a pair."""
    return tuple(size) if isinstance(size, Sequence) else (size, size)
