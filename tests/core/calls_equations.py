"""Calls of the functions of mcx.rules.equations."""

from core.calls import existing

DERIVATIVES = existing()
VALUES = existing()
