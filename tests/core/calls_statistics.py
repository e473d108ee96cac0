"""Calls of the functions of mcx.rules.statistics."""

from core.calls import existing

DERIVATIVES = existing()
VALUES = existing()
