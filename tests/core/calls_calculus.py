"""Calls of the functions of mcx.rules.calculus."""

from core.calls import existing

DERIVATIVES = existing()
VALUES = existing()
