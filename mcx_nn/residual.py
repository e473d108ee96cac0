"""A shortcut around layers."""

from dataclasses import dataclass

from mcx_nn.combinator import Combinator, join
from mcx_nn.layer import Layer


@dataclass(frozen=True)
class Residual(Combinator):
    """Sum of a body and of a shortcut around it: y = body(x) + shortcut(x).

    Parameters
    ----------
    body : Layer
        Its parameter "0.weight" is called "body.0.weight".
    shortcut : Layer, optional
        The identity where it is None; its outputs must have the shape of those of the body.

    References
    ----------
    K. He, X. Zhang, S. Ren, J. Sun, Deep residual learning for image recognition, CVPR 2016,
    eqs. (1) and (2).

    Examples
    --------
    >>> import numpy as np
    >>> from mcx_nn import Activation
    >>> y, backward = Residual(Activation("relu")).forward({}, np.array([[-1.0, 2.0]]), {})
    >>> y
    array([[-1., 4.]])
    >>> backward(np.ones((1, 2)))
    (array([[1., 2.]]), {})
    """

    body: Layer
    shortcut: Layer | None = None

    @property
    def parts(self):
        """The body, and the shortcut unless it is the identity."""
        return {"body": self.body} | ({} if self.shortcut is None else {"shortcut": self.shortcut})

    def output_shape(self, shape):
        """Return the shape of one sample of y; see `Layer.output_shape`."""
        body, *shortcut = [after for _, _, _, after in self.shapes(shape)]
        return self._common_shape(body, *(shortcut or [shape]))

    def forward(self, params, x, context):
        """Return body(x) + shortcut(x) and the backward; see `Layer.forward`."""
        body, *shortcut = self.steps(params, x, context)
        around = shortcut[0].y if shortcut else x
        self._common_shape(body.y.shape, around.shape)
        through_body = body.backward
        through_shortcut = shortcut[0].backward if shortcut else lambda dy: (dy, {})

        def backward(dy):
            dx, grads = through_body(dy)
            dx_around, grads_around = through_shortcut(dy)
            unwanted = dx is None or dx_around is None
            grads = join({"body": grads, "shortcut": grads_around})
            return None if unwanted else dx + dx_around, grads

        return body.y + around, backward

    @staticmethod
    def _common_shape(body, shortcut):
        """Return the shape of both; raise if they differ, for they would be broadcast."""
        if tuple(body) != tuple(shortcut):
            raise ValueError(
                f"Residual: expected body and shortcut of one shape, got body {tuple(body)} and "
                f"shortcut {tuple(shortcut)}; give a shortcut that maps x to the shape of the body."
            )
        return tuple(body)
