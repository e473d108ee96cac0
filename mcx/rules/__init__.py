"""The rules: tables by chapter of the NumPy reference. Importing them fills the registry."""

from mcx.rules import arithmetic, creation, logic, products, reductions, shaping
from mcx.rules.refused import NOT_YET

__all__ = ["NOT_YET", "arithmetic", "creation", "logic", "products", "reductions", "shaping"]
