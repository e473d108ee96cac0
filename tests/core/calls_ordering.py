"""Calls of the functions of mcx.rules.ordering."""

from core.calls import existing

DERIVATIVES = existing()
VALUES = existing()
