"""Honest evaluation and benchmarks."""
