"""Factorizations of matrices, eigenvalues and singular values."""

from __future__ import annotations
