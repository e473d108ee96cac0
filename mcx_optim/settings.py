"""Checks of settings. Each returns the setting as a plain float, int or str of Python.

A NumPy float64 among the settings would turn a float32 w into float64. All raise ValueError, with a
message "name: expected …, got …"; a bool is no number.
"""

import math
from collections.abc import Iterable
from numbers import Integral, Real


def number(name: str, value, expected: str = "a number", fits=lambda x: True, suffix="") -> float:
    """Return a setting that is a real number which fits.

    Examples
    --------
    >>> number("c1", 1)
    1.0
    >>> number("c1", "1")
    Traceback (most recent call last):
        ...
    ValueError: c1: expected a number, got '1'
    """
    if isinstance(value, bool) or not isinstance(value, Real) or not fits(value):
        raise ValueError(f"{name}: expected {expected}, got {value!r}{suffix}")
    return float(value)


def positive(name: str, value, suffix: str = "") -> float:
    """Return a setting that is a positive, finite number.

    Examples
    --------
    >>> positive("lr", -0.1)
    Traceback (most recent call last):
        ...
    ValueError: lr: expected a positive number, got -0.1
    """
    return number(name, value, "a positive number", lambda x: 0 < x < math.inf, suffix)


def at_least(name: str, value, least: int) -> float:
    """Return a setting that is a finite number of at least `least`.

    Examples
    --------
    >>> at_least("damping", -1.0, 0)
    Traceback (most recent call last):
        ...
    ValueError: damping: expected a number of at least 0, got -1.0
    """
    expected = f"a number of at least {least}"
    return number(name, value, expected, lambda x: least <= x < math.inf)


def fraction(name: str, value, brackets: str = "[)") -> float:
    """Return a setting that is a number between 0 and 1, which belong to it as the brackets say.

    Examples
    --------
    >>> fraction("momentum", 0), fraction("factor", 1, "(]")
    (0.0, 1.0)
    >>> fraction("momentum", 1)
    Traceback (most recent call last):
        ...
    ValueError: momentum: expected a number in [0, 1), got 1
    """
    left, right = brackets
    ends = {0} if left == "[" else set()
    ends |= {1} if right == "]" else set()
    expected = f"a number in {left}0, 1{right}"
    return number(name, value, expected, lambda x: 0 < x < 1 or x in ends)


def integer(name: str, value, least: int) -> int:
    """Return a setting that is an integer of at least `least`.

    Examples
    --------
    >>> integer("max_cg", 0, 1)
    Traceback (most recent call last):
        ...
    ValueError: max_cg: expected an integer of at least 1, got 0
    """
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise ValueError(f"{name}: expected an integer of at least {least}, got {value!r}")
    return int(value)


def word(name: str, value, words: Iterable[str]) -> str:
    """Return a setting that is one of some words.

    Examples
    --------
    >>> word("curvature", "fisher", ("hessian", "gauss_newton"))
    Traceback (most recent call last):
        ...
    ValueError: curvature: expected 'hessian' or 'gauss_newton', got 'fisher'
    """
    if not isinstance(value, str) or value not in words:
        *others, last = map(repr, words)
        expected = f"{', '.join(others)} or {last}" if others else last
        raise ValueError(f"{name}: expected {expected}, got {value!r}")
    return str(value)
