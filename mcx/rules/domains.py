"""Functions that turn complex outside their real domain: numpy.emath."""

from __future__ import annotations
