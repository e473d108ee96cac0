"""Interpolation, differences, phases and special functions of the numpy namespace."""

from __future__ import annotations
