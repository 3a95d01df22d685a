"""Pruning at initialisation: a score for every weight, one exact top-k for all methods."""
