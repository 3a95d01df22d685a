"""Doing the runs of a plan: one by one, several at once, or through a launcher."""
