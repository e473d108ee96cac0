"""What layers made of layers have in common: dotted names."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from mcx_nn.layer import Array, Backward, Layer

Shape = tuple[int, ...] | None

_NOTE = "In layer "


class Step(NamedTuple):
    """One layer that has run inside a combinator: what it was given and what it returned."""

    name: str
    layer: Layer
    params: dict[str, Array]
    x: Array
    context: dict[str, Any]
    y: Array
    backward: Backward


class Combinator(Layer):
    """A layer made of named layers; subclasses override `parts`, `forward` and `output_shape`.

    What belongs to `weight` of the part called `body` is called "body.weight": its parameter, and
    in the same way running statistics and masks. An error in a part carries a note with its name.
    Here every part is given the same x; `Sequential` overrides that.
    """

    # Of one sample, where the model knows it: for `print`.
    input_shape: Shape = None

    @property
    def parts(self) -> Mapping[str, Layer]:
        """The layers by name, in their order."""
        raise NotImplementedError(f"{type(self).__name__}.parts")

    def shapes(self, shape) -> Iterator[tuple[str, Layer, Shape, Shape]]:
        """Yield (name, layer, shape of one sample going in, and coming out), None if unknown."""
        for name, layer in self.parts.items():
            yield name, layer, shape, shape_after(name, layer, shape)

    def steps(self, params, x, context) -> Iterator[Step]:
        """Run the parts in their order and yield a `Step` after each; see `Layer.forward`."""
        own = narrow(params, context)
        for name, layer in self.parts.items():
            yield run(name, layer, *own(name), x)

    @property
    def parameters(self):
        """Shapes of the parameters of all parts."""
        return join({name: layer.parameters for name, layer in self.parts.items()})

    @property
    def state(self):
        """Shapes of the running statistics of all parts."""
        return join({name: layer.state for name, layer in self.parts.items()})

    def init(self, rng):
        """Draw the parameters of all parts, in their order."""
        return join({name: layer.init(rng) for name, layer in self.parts.items()})

    def init_state(self):
        """Return the initial running statistics of all parts."""
        return join({name: layer.init_state() for name, layer in self.parts.items()})

    def draw_masks(self, rng, batch, shape):
        """Draw the masks of all parts, in their order."""
        return join(
            {
                name: layer.draw_masks(rng, batch, before)
                for name, layer, before, _ in self.shapes(shape)
            }
        )

    def update_state(self, params, x, context):
        """Return the running statistics of all parts after a pass; see `Layer.update_state`."""
        return join(
            {
                step.name: step.layer.update_state(step.params, step.x, step.context)
                for step in self.steps(params, x, context)
            }
        )

    def __str__(self):
        from mcx_nn.summary import summary  # which imports this module

        return summary(self, self.input_shape)


def split(named):
    """Group a mapping with dotted names by what stands before the first dot.

    Examples
    --------
    >>> split({"0.weight": 1, "0.bias": 2, "3.body.weight": 3})
    {'0': {'weight': 1, 'bias': 2}, '3': {'body.weight': 3}}
    """
    groups = {}
    for dotted, value in named.items():
        head, _, tail = dotted.partition(".")
        groups.setdefault(head, {})[tail] = value
    return groups


def join(groups):
    """Merge mappings into one with dotted names: the inverse of `split`.

    Examples
    --------
    >>> join({"0": {"weight": 1, "bias": 2}, "3": {"body.weight": 3}, "4": {}})
    {'0.weight': 1, '0.bias': 2, '3.body.weight': 3}
    """
    return {
        f"{head}.{tail}": value for head, items in groups.items() for tail, value in items.items()
    }


def narrow(params, context):
    """Return a function from the name of a part to its own parameters and context."""
    own_params = split(params)
    own = {key: split(context[key]) for key in ("state", "masks", "observed") if key in context}

    def of(name):
        inner = {key: groups.get(name, {}) for key, groups in own.items()}
        return own_params.get(name, {}), {**context, **inner}

    return of


def run(name, layer, params, context, x):
    """Run one layer and return the `Step`."""
    with located(name, layer):
        y, backward = layer.forward(params, x, context)
    return Step(name, layer, params, x, context, y, backward)


def shape_after(name, layer, shape):
    """Return the shape of one sample of a layer's output, None if that of its input is None."""
    if shape is None:
        return None
    with located(name, layer):
        return layer.output_shape(shape)


@contextmanager
def located(name, layer):
    """Note on an error in which layer it arose, by its dotted name and class."""
    try:
        yield
    except Exception as error:  # whatever it is, it gets the note and goes on
        notes = getattr(error, "__notes__", [])
        if notes and notes[-1].startswith(_NOTE):  # from a combinator further in
            notes[-1] = f"{_NOTE}{name}.{notes[-1].removeprefix(_NOTE)}"
        else:
            error.add_note(f"{_NOTE}{name} {type(layer).__name__}")
        raise
