"""Checks of shapes and sizes, with one wording for every layer."""

from numbers import Integral


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
        if name not in params:
            raise ValueError(
                f"{layer}: params: expected {name!r}, got {sorted(params)}; draw them with init."
            )
        expect_shape(layer, name, params[name], shape)


def expect_at_least(minimum, owner, **sizes):
    """Raise unless every size is an integer of at least `minimum`.

    Examples
    --------
    >>> expect_at_least(1, "Dense", inputs=2.5)
    Traceback (most recent call last):
    ValueError: Dense: inputs: expected an integer, got 2.5.
    """
    for name, size in sizes.items():
        if not _is_integer(size):
            raise ValueError(f"{owner}: {name}: expected an integer, got {size!r}.")
        if size < minimum:
            raise ValueError(f"{owner}: {name}: expected at least {minimum}, got {size}.")


def expect_pairs_at_least(minimum, owner, **sizes):
    """Raise unless every size is an integer of at least `minimum`, or a pair of them.

    Examples
    --------
    >>> expect_pairs_at_least(1, "Conv2d", kernel=(3, 3, 3))
    Traceback (most recent call last):
    ValueError: Conv2d: kernel: expected an integer or a pair of integers, got (3, 3, 3).
    """
    for name, size in sizes.items():
        extents = pair(size)
        if len(extents) != 2 or not all(map(_is_integer, extents)):
            raise ValueError(
                f"{owner}: {name}: expected an integer or a pair of integers, got {size!r}."
            )
        if min(extents) < minimum:
            raise ValueError(f"{owner}: {name}: expected at least {minimum}, got {size}.")


def pair(size):
    """Return (height, width) of a size given as one integer or as a pair."""
    return tuple(size) if isinstance(size, (tuple, list)) else (size, size)


def _is_integer(size):
    return isinstance(size, Integral) and not isinstance(size, bool)
