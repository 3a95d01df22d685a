"""rps_bench: Pareto sweeps of parameter sharing against pruning."""

__version__ = "0.1.0"
