"""Calls of the functions of mcx.rules.writing."""

from core.calls import existing

DERIVATIVES = existing()
VALUES = existing()
