"""Calls of the functions of mcx.rules.factorizations."""

from core.calls import existing

DERIVATIVES = existing()
VALUES = existing()
