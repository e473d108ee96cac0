"""The two ways in which an objective can be unusable."""


class NonFiniteError(ArithmeticError):
    """The loss or the gradient at the current w, or w after a step, is NaN or infinite."""


class NonDeterministicError(RuntimeError):
    """Two evaluations of the same batch at the same w differ."""
