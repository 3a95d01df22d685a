"""Costs of a model: stored numbers, bytes of its file, multiply-accumulates, latency, memory."""
