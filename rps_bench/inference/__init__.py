"""What a compressed model costs when it is used: time and memory of a batch, by way of running it.

The door is `python -m rps_bench.inference`.
"""
