"""Sorting, unique elements and sets."""

from __future__ import annotations
