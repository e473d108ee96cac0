"""Calls of the functions of mcx.rules.making."""

from core.calls import existing

DERIVATIVES = existing()
VALUES = existing()
