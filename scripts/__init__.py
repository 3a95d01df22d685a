"""Benchmarks, endurance tests and one-off commands; not part of the installed package."""
