"""Calls of the functions of mcx.rules.domains."""

from core.calls import existing

DERIVATIVES = existing()
VALUES = existing()
