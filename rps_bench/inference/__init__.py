"""Costs of a compressed model at inference: time and memory of a batch, by way of running it.

The entry point is `python -m rps_bench.inference`.
"""
