"""The verbs: how a rule acts on planes, and what it leaves on a tape.

A rule is an instance of a verb: `linear` (apply to every plane), `multilinear` (table of products),
`analytic` (Taylor coefficients at the value), `selection` (indices from the value plane, gather on
all), `value` (answer from the value plane), `constant` (piecewise constant: derivative zero),
`composed` (a formula in NumPy syntax), `lifted` (a differential, lifted by degrees; with an
equation from the value alone) and `assigning` (writes into its first argument). Each has two
methods: `planes` for Multicomplex operands, `record` for a recorder's. The mathematics is in
`mcx.rules`.
"""

from mcx.verbs.analytic import Analytic, Bivariate, Divide
from mcx.verbs.assigning import Assigning
from mcx.verbs.base import Rule
from mcx.verbs.composed import Composed, Direct
from mcx.verbs.constant import Constant, Fresh, Value
from mcx.verbs.implicit import Implicit
from mcx.verbs.lifted import Lifted
from mcx.verbs.linear import Elementwise, Linear, Reduction, Sum
from mcx.verbs.multilinear import Multilinear
from mcx.verbs.primitive import primitive, register_analytic, register_bilinear, register_linear
from mcx.verbs.selection import Choice, Selection

__all__ = [
    "Analytic",
    "Assigning",
    "Bivariate",
    "Choice",
    "Composed",
    "Constant",
    "Direct",
    "Divide",
    "Elementwise",
    "Fresh",
    "Implicit",
    "Lifted",
    "Linear",
    "Multilinear",
    "Reduction",
    "Rule",
    "Selection",
    "Sum",
    "Value",
    "primitive",
    "register_analytic",
    "register_bilinear",
    "register_linear",
]
