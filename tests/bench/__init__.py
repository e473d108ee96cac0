"""Benchmarks, run by hand: ``python -m tests.bench.<name>`` from the root of the repository."""
