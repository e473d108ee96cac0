"""Polynomials by their coefficients."""

from __future__ import annotations
