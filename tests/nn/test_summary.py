"""The table of a model: names, shapes, counts, and where it is not printed."""

import numpy as np
import pytest

from mcx_nn import (
    Activation,
    Concatenation,
    Conv2d,
    Dense,
    Flatten,
    Layer,
    Residual,
    Sequential,
    summary,
)

MODEL = Sequential(
    [
        Conv2d(1, 2, 3, padding=1),
        Residual(Sequential([Conv2d(2, 2, 1), Activation("sin")])),
        Flatten(),
        Concatenation([Dense(32, 40), Dense(32, 2)]),
    ]
)
TABLE = """\
layer                            output shape   parameters
0 Conv2d(1, 2, 3, padding=1)     (4, 4, 2)              20
1 Residual                       (4, 4, 2)
  1.body Sequential              (4, 4, 2)
    1.body.0 Conv2d(2, 2, 1)     (4, 4, 2)               6
    1.body.1 Activation('sin')   (4, 4, 2)               0
2 Flatten()                      (32,)                   0
3 Concatenation                  (42,)
  3.0 Dense(32, 40)              (40,)               1,320
  3.1 Dense(32, 2)               (2,)                   66
total                                                1,412"""


def test_table():
    assert summary(MODEL, (4, 4, 1)) == TABLE


def test_unknown_shapes():
    header, *rows, total = TABLE.split("\n")
    start = header.index("output shape")
    rows = [(row[:start] + "-".ljust(12) + row[start + 12 :]).rstrip() for row in rows]
    assert summary(MODEL) == str(MODEL) == "\n".join([header, *rows, total])


def test_str_knows_the_input_shape():
    model = Sequential(MODEL.layers, input_shape=(4, 4, 1))
    assert str(model) == summary(MODEL, (4, 4, 1))
    assert str(Residual(Dense(2, 2))).count("-") == 1


def test_one_layer():
    assert summary(Dense(3, 2), (3,)).split("\n") == [
        "layer         output shape   parameters",
        "Dense(3, 2)   (2,)                    8",
        "total                                 8",
    ]


def test_layers_that_are_no_dataclasses():
    class Twice(Layer):
        def forward(self, params, x, context):
            return 2 * x, lambda dy: (2 * dy, {})

    assert "0 Twice" in str(Sequential([Twice()])).split("\n")[1]


def test_initializer_is_not_shown():
    def ones(rng, shape, fan_in, fan_out):
        return np.ones(shape)

    assert "0 Dense(3, 2) " in str(Sequential([Dense(3, 2, initializer=ones)]))


def test_repr_is_one_line():
    """`print` shows a table; messages and the interpreter show the expression that builds it."""
    assert repr(Sequential([Dense(3, 2)])) == (
        "Sequential(layers=[Dense(inputs=3, outputs=2)], input_shape=None)"
    )
    assert repr(Residual(Dense(2, 2))) == (
        "Residual(body=Dense(inputs=2, outputs=2), shortcut=None)"
    )
    assert str(Dense(3, 2)) == repr(Dense(3, 2)) == "Dense(inputs=3, outputs=2)"


def test_wrong_shape():
    with pytest.raises(ValueError, match=r"\(32,\), got \(50,\)[\s\S]*In layer 3\.0 Dense$"):
        summary(MODEL, (5, 5, 1))


def test_model_that_does_not_fit_is_not_built():
    with pytest.raises(ValueError, match=r"\(3,\), got \(4,\)\.\nIn layer 1 Dense$"):
        Sequential([Dense(2, 4), Dense(3, 1)], input_shape=(2,))
