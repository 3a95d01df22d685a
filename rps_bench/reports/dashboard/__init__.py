"""What W&B shows of a whole results folder: one run with its tables and figures, and two views."""
