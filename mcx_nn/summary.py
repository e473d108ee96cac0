"""A table of the layers of a model."""

from dataclasses import MISSING, fields, is_dataclass
from math import prod

from mcx_nn.combinator import Combinator


def summary(model, shape=None):
    """Return a table of the layers of a model, their output shapes and numbers of parameters.

    Parameters
    ----------
    model : Layer
    shape : tuple of int, optional
        Shape of one sample of the input; without it the output shapes are shown as "-".

    Returns
    -------
    str
        One line per layer, by its dotted name, and the total.

    Raises
    ------
    ValueError
        If the model does not take such samples.

    Examples
    --------
    >>> from mcx_nn import Activation, Dense, Residual, Sequential
    >>> model = Sequential([Residual(Sequential([Dense(4, 4), Activation("sin")])), Dense(4, 1)])
    >>> print(summary(model, (4,)))
    layer                            output shape   parameters
    0 Residual                       (4,)
      0.body Sequential              (4,)
        0.body.0 Dense(4, 4)         (4,)                   20
        0.body.1 Activation('sin')   (4,)                    0
    1 Dense(4, 1)                    (1,)                    5
    total                                                   25
    """
    after = None if shape is None else model.output_shape(shape)
    leaf = not isinstance(model, Combinator)
    rows = [_row("", model, after)] if leaf else _rows(model, shape, "", "")
    rows = [("layer", "output shape", "parameters"), *rows, ("total", "", _count(model))]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        f"{layer:{widths[0]}}   {shape:{widths[1]}}   {count:>{widths[2]}}".rstrip()
        for layer, shape, count in rows
    )


def _rows(combinator, shape, prefix, indent):
    """Yield the rows of the parts of a combinator, depth first."""
    for name, layer, before, after in combinator.shapes(shape):
        yield _row(f"{indent}{prefix}{name} ", layer, after)
        if isinstance(layer, Combinator):
            yield from _rows(layer, before, f"{prefix}{name}.", indent + "  ")


def _row(name, layer, shape):
    """Return the cells of one layer; what a combinator holds is counted in its parts."""
    count = "" if isinstance(layer, Combinator) else _count(layer)
    return name + _describe(layer), "-" if shape is None else str(shape), count


def _count(layer):
    """Return the number of parameters, its digits in groups of three."""
    return f"{sum(prod(shape) for shape in layer.parameters.values()):,}"


def _describe(layer):
    """Return class and arguments, those that have their default value left out."""
    name = type(layer).__name__
    if isinstance(layer, Combinator) or not is_dataclass(layer):
        return name
    arguments = []
    for field in fields(layer):
        value = getattr(layer, field.name)
        if field.default is MISSING:
            arguments.append(repr(value))
        elif field.repr and value != field.default:
            arguments.append(f"{field.name}={value!r}")
    return f"{name}({', '.join(arguments)})"
