"""What records say: one table of all runs, statistics, frontiers, warnings."""
