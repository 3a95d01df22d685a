"""Benchmarks, tests of endurance and one-off doors; no part of the installed package."""
