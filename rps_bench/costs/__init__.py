"""What a model costs: stored numbers, bytes of its file, multiply-accumulates, memory."""
