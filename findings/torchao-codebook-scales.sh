#!/usr/bin/env bash
# The error that a codebook of 16 values leaves of a linear layer's weights in torchao, by the size of the blocks that
# share a scale.
#
# Guessed: 0.0095 of the energy, as Lloyd and Max give for normal weights and 4 bits, and a little less the smaller the
# blocks, since each has a scale of its own.
# Seen (torch 2.13.0, torchao 0.18.0): so from whole rows down to blocks of 64. The scale of a block is its largest weight,
# though, not its largest magnitude. Where all weights of a block are negative it is clamped to 1e-9, the block becomes
# numbers of 1e8 and more, and the one codebook of the layer is spent on these: the error of *all* its weights is a
# billion times their energy. In blocks of 8 one in 256 is all negative; with whole rows, the default, one row suffices, such as that of a
# class which a head has learned to turn down. No word is said.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT; cd "$folder"
python3 -m venv venv && venv/bin/pip -q install torch==2.13.0 numpy torchao==0.18.0

cat >show.py <<'PY'
import torch
from torch import nn
from torchao.prototype.quantization.codebook import codebook_weight_only
from torchao.quantization import quantize_

torch.set_num_threads(1)


def error(weight, block):
    layer = nn.Linear(*weight.shape[::-1], bias=False)
    layer.weight.data.copy_(weight)
    quantize_(layer, codebook_weight_only(scale_block_size=block))
    return float((layer.weight.dequantize() - weight).square().sum() / weight.square().sum())


torch.manual_seed(0)
normal = torch.randn(64, 512)
for block in (None, 64, 8):
    print(f"normal weights, {'rows' if block is None else f'blocks of {block}'}: error {error(normal, block):.0e}")
one_row = torch.cat([normal[:-1], -normal[-1:].abs()])
print(f"one row of 64 negative, rows: error {error(one_row, None):.0e}")
PY
found=$(venv/bin/python -W ignore show.py 2>/dev/null)
echo "$found"
diff <(echo "$found") - <<'SEEN'
normal weights, rows: error 1e-02
normal weights, blocks of 64: error 9e-03
normal weights, blocks of 8: error 1e+09
one row of 64 negative, rows: error 7e+10
SEEN
echo "as described"
