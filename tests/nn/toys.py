"""Small layers and a model that show how combinators pass on context, state and masks."""

import numpy as np

from mcx_nn import Concatenation, Dense, Layer, Residual, Sequential


class Spy(Layer):
    """Identity that counts its backward passes."""

    def __init__(self):
        self.backwards = 0

    def forward(self, params, x, context):
        def backward(dy):
            self.backwards += 1
            return dy, {}

        return x, backward


class Drifting(Layer):
    """x · keep in train mode, x − mean otherwise: one mask and one running statistic."""

    state = {"mean": ()}  # noqa: RUF012

    def init_state(self):
        return {"mean": np.zeros(())}

    def draw_masks(self, rng, batch, shape):
        return {"keep": rng.integers(0, 2, (batch, *shape)).astype(bool)}

    def forward(self, params, x, context):
        if context.get("train"):
            keep = context["masks"]["keep"]
            return x * keep, lambda dy: (dy * keep, {})
        return x - context["state"]["mean"], lambda dy: (dy, {})

    def update_state(self, params, x, context):
        return {"mean": (context["state"]["mean"] + x.mean()) / 2}


class Probe(Layer):
    """Identity that remembers its context."""

    def forward(self, params, x, context):
        self.context = context
        return x, lambda dy: (dy, {})


DRIFTING = Sequential(
    [
        Drifting(),
        Dense(3, 2),
        Residual(Sequential([Drifting()])),
        Concatenation([Sequential([]), Drifting()]),
    ]
)
