"""Calls of the functions of mcx.rules.polynomials."""

from core.calls import existing

DERIVATIVES = existing()
VALUES = existing()
