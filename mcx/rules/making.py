"""New arrays, choices between arrays, and functions applied along axes."""

from __future__ import annotations
