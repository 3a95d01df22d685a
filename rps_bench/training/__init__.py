"""Training: one loop for every compressed model. It asks no method's name."""
