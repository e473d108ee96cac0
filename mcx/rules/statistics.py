"""Averages, order statistics, correlations and histograms; sums and products without NaN."""

from __future__ import annotations
