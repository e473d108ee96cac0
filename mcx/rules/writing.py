"""Functions that write into an array they are given."""

from __future__ import annotations
