"""Runs on Weights & Biases, through a process of its own."""
