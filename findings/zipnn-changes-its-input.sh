#!/usr/bin/env bash
# zipnn, the lossless coder of weights, asked how small a tensor gets.
#
# Guessed: what was compressed comes back bit for bit, and the tensor that was handed over is as it was.
# Seen, zipnn 0.5.4 with torch 2.13.0 and 2.14.1:
#   The first is true. But float32 and bfloat16 tensors are rearranged where they lie: all their numbers differ afterwards
#     (weights near 0.05 become 1e36), and a layer whose weight was measured so computes with them, without a word.
#   Even a bytes object, which Python never changes, has other bytes then, under the hash that it had.
#   float16, NumPy arrays and tensors that are not contiguous, which are copied first, stay as they were.
# So weights are to be cloned before they are measured, or they are gone for the evaluation that follows.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT; cd "$folder"
python3 -m venv venv && venv/bin/pip -q install zipnn==0.5.4 torch==2.13.0 numpy==2.2.6 zstandard

cat >show.py <<'PY'
import numpy as np
import torch
from zipnn import ZipNN

torch.manual_seed(0)


def compress(kind, data, **options):
    return ZipNN(input_format=kind, **options).compress(data)


def same(first, second):
    return "the same" if first else "changed", "comes back" if second else "is lost"


for dtype in (torch.float32, torch.bfloat16, torch.float16):
    weight = (torch.randn(2**18) * 0.05).to(dtype)
    before = weight.clone()
    back = ZipNN(input_format="torch").decompress(compress("torch", weight))
    print(dtype, *same(torch.equal(weight, before), torch.equal(back, before)), end="; ")
    print(f"numbers that differ: {(weight != before).float().mean():.0%}")

array = np.random.default_rng(0).normal(size=2**16).astype(np.float32)
before, text = array.copy(), array.tobytes()
compress("numpy", array)
print("numpy array", *same((array == before).all(), True)[:1])
hashed = hash(text)
compress("byte", text, bytearray_dtype="float32")
print("bytes", *same(text == before.tobytes(), True)[:1], "with the old hash:", hash(text) == hashed)
matrix = torch.randn(512, 512)
before = matrix.clone()
compress("torch", matrix.t())
print("transposed", *same(torch.equal(matrix, before), True)[:1])

layer, inputs = torch.nn.Linear(256, 256), torch.randn(4, 256)
outputs = layer(inputs)
compress("torch", layer.weight.data)
print("a layer's largest output grows a million times:", bool(layer(inputs).abs().max() > 1e6 * outputs.abs().max()))
PY
found=$(venv/bin/python -W ignore show.py)
echo "$found"
diff <(echo "$found") - <<'SEEN'
torch.float32 changed comes back; numbers that differ: 100%
torch.bfloat16 changed comes back; numbers that differ: 100%
torch.float16 the same comes back; numbers that differ: 0%
numpy array the same
bytes changed with the old hash: True
transposed the same
a layer's largest output grows a million times: True
SEEN
echo "as described"
