#!/usr/bin/env bash
# PyTorch's scaled_dot_product_attention on a CPU with bf16 of its own, trained on few tokens, as of a ViT on small images.
#
# Guessed: in bf16 its backward pass takes as long as in float32 or less, and longer the more tokens there are.
# Seen, torch 2.13.0 and 2.14.1, one thread, a batch of 128 with 3 heads of 32 (AMD EPYC with AVX-512 bf16):
#   Backward takes 1.5 ms for 8 tokens, 17 for 12, and still 18 for 32, where float32 takes 0.6, 0.8 and 3.7; forward less
#     than 2 in both. The jump lies where a head's product passes 16^3 multiplications (width 16: from 16 to 17 tokens):
#     larger ones go to oneDNN (ONEDNN_VERBOSE=1 lists them), five for each head of each image, some 9 microseconds apiece.
#   The formula written out, softmax(q k^T / sqrt(d)) v, whose products are batched, takes 2 to 3 ms forward and backward in
#     bf16 for 16 tokens, where the function takes 17.
# So a small transformer trains in bf16 several times slower than it could, and slower than in float32.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT; cd "$folder"
python3 -m venv venv && venv/bin/pip -q install torch==2.13.0 numpy==2.2.6

cat >show.py <<'PY'
import math
import time

import torch
import torch.nn.functional as F

torch.set_num_threads(1)


def written_out(query, key, value):
    return (query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])).softmax(-1) @ value


def milliseconds(attend, tokens, dtype):
    """The least processor time of a forward and of a backward pass of 7."""
    query, key, value = (torch.randn(128, 3, tokens, 32, dtype=dtype, requires_grad=True) for _ in range(3))
    times = []
    for _ in range(7):
        start = time.process_time()
        result = attend(query, key, value)
        middle = time.process_time()
        result.backward(torch.ones_like(result))
        times.append(((middle - start) * 1000, (time.process_time() - middle) * 1000))
    return [min(column) for column in zip(*times)]


if not torch.ops.mkldnn._is_mkldnn_bf16_supported():
    print("this processor has no bf16 of its own: nothing to see")
    raise SystemExit
named = {"the function": F.scaled_dot_product_attention, "written out": written_out}
found = {}
for name, attend in named.items():
    for tokens in (8, 12, 16, 32):
        for dtype in (torch.float32, torch.bfloat16):
            found[name, tokens, dtype] = forward, backward = milliseconds(attend, tokens, dtype)
            print(f"{name}, {tokens} tokens, {dtype}: forward {forward:.2f} ms, backward {backward:.2f} ms")
backward = {(tokens, dtype): found["the function", tokens, dtype][1] for _, tokens, dtype in found}
single, half = torch.float32, torch.bfloat16
assert backward[12, half] > 5 * backward[8, half], "no jump in bf16"
assert backward[12, single] < 4 * backward[8, single], "a jump in float32, too"
assert backward[32, half] < 2 * backward[12, half], "more tokens take longer"
assert backward[16, half] > 4 * backward[16, single], "bf16 is no longer slower"
function, formula = (sum(found[name, 16, half]) for name in named)
assert function > 3 * formula, "written out is no faster"
PY
venv/bin/python show.py
echo "as described"
