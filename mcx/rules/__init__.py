"""The rules: tables by chapter of the NumPy reference. Importing them fills the registry.

Arithmetic, products, reductions and shapes are there from the start; `LATER` lists the chapters
that the first function without a rule brings in, if their package is in use.
"""

from mcx.dispatch import CHAPTERS
from mcx.rules import (
    arithmetic,
    creation,
    logic,
    products,
    reductions,
    refused,
    shaping,
    ufunc_methods,
)

LATER = {
    "mcx.rules.equations": "numpy",
    "mcx.rules.determinants": "numpy",
    "mcx.rules.norms": "numpy",
    "mcx.rules.factorizations": "numpy",
    "mcx.rules.statistics": "numpy",
    "mcx.rules.quantiles": "numpy",
    "mcx.rules.histograms": "numpy",
    "mcx.rules.ordering": "numpy",
    "mcx.rules.writing": "numpy",
    "mcx.rules.making": "numpy",
    "mcx.rules.fourier": "numpy",
    "mcx.rules.polynomials": "numpy",
    "mcx.rules.calculus": "numpy",
    "mcx.rules.domains": "numpy",
    "mcx.rules.special": "scipy.special",
}
CHAPTERS.update(LATER)

__all__ = [
    "LATER",
    "arithmetic",
    "creation",
    "logic",
    "products",
    "reductions",
    "refused",
    "shaping",
    "ufunc_methods",
]
