"""Benchmark programs. Nothing imports them; they are run from the root as ``python -m benchmarks.NAME``."""
