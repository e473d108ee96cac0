"""Exceptions. Messages say what, where, expected, got and the remedy, and never dump arrays."""


class UnsupportedFunctionError(TypeError):
    """A NumPy function without a rule was called with a Multicomplex (closed world, law 1)."""


class ImplicitConversionError(TypeError):
    """Something asked for a plain array or number, which would drop every plane but the value."""


class AlgebraError(ValueError):
    """Two numbers whose algebras do not fit, or an algebra that cannot exist."""
