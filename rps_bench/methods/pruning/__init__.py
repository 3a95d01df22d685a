"""Pruning, at initialisation or after training: scores for all weights, one exact top-k."""
