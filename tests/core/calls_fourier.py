"""Calls of the functions of mcx.rules.fourier."""

from core.calls import existing

DERIVATIVES = existing()
VALUES = existing()
