"""Names of the ways to write stored values; what they do is in `methods/files/storage.py`."""

EXACT, FP16, BF16, INT8 = "exact", "fp16", "bf16", "int8"
STORAGES = (EXACT, FP16, BF16, INT8)
