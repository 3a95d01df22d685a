#!/usr/bin/env bash
# Multiply-adds of attention and of a linear layer on tokens, as four counters of this field give them on a CPU.
#
# Guessed: PyTorch's own FlopCounterMode counts scaled_dot_product_attention, as its table of formulas names it;
# the others miss functional calls, but all count a Linear right, whatever stands before its last axis.
# Seen, as parts of the count by hand (torch 2.13.0, thop 0.1.1.post2209072238, torchinfo 1.8.0, ptflops 0.7.5):
#   FlopCounterMode gives attention on a CPU nothing: the fused operation there is another one than a GPU's, and has no
#     formula. nn.MultiheadAttention lacks its two products of tokens, with need_weights=True it has them.
#   torchinfo counts a Linear once for all 17 tokens, so a layer of a transformer has 1/26 of its multiply-adds.
#   thop and ptflops see no functional attention; thop no nn.MultiheadAttention either.
# So two networks of equal multiply-adds by one counter can differ many times by another.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT; cd "$folder"
python3 -m venv venv && venv/bin/pip -q install torch==2.13.0 numpy setuptools thop==0.1.1.post2209072238 \
  torchinfo==1.8.0 ptflops==0.7.5

cat >show.py <<'PY'
import ptflops
import thop
import torch
import torchinfo
from torch import nn
from torch.nn.functional import scaled_dot_product_attention
from torch.utils.flop_counter import FlopCounterMode

TOKENS, WIDTH = 17, 48


class Attention(nn.Module):
    def forward(self, x):
        return scaled_dot_product_attention(x[:, None], x[:, None], x[:, None])[:, 0]


class MultiHead(nn.Module):
    def __init__(self, need_weights):
        super().__init__()
        self.attention, self.need_weights = nn.MultiheadAttention(WIDTH, 3, batch_first=True), need_weights

    def forward(self, x):
        return self.attention(x, x, x, need_weights=self.need_weights)[0]


linear, products = WIDTH * WIDTH * TOKENS, 2 * TOKENS * TOKENS * WIDTH
cases = {
    "linear": (lambda: nn.Linear(WIDTH, WIDTH), linear),
    "attention": (Attention, products),
    "multi-head": (lambda: MultiHead(False), 4 * linear + products),
    "multi-head, weights": (lambda: MultiHead(True), 4 * linear + products),
    "encoder layer": (lambda: nn.TransformerEncoderLayer(WIDTH, 3, 4 * WIDTH, 0.0, batch_first=True), 12 * linear + products),
}
x = torch.randn(1, TOKENS, WIDTH)


def by_torch(model):
    with FlopCounterMode(display=False) as counter:
        model(x)
    return counter.get_total_flops() / 2


counters = {
    "torch": by_torch,
    "thop": lambda model: thop.profile(model, (x,), verbose=False)[0],
    "torchinfo": lambda model: torchinfo.summary(model, input_data=x, verbose=0).total_mult_adds,
    "ptflops": lambda model: ptflops.get_model_complexity_info(
        model, (TOKENS, WIDTH), as_strings=False, print_per_layer_stat=False, verbose=False
    )[0],
}
for case, (make, by_hand) in cases.items():
    shares = [f"{name} {count(make().train()) / by_hand:.2f}" for name, count in counters.items()]
    print(f"{case}: {', '.join(shares)}")
PY
found=$(venv/bin/python -W ignore show.py)
echo "$found"
diff <(echo "$found") - <<'SEEN'
linear: torch 1.00, thop 1.00, torchinfo 0.06, ptflops 1.02
attention: torch 0.00, thop 0.00, torchinfo 0.00, ptflops 0.00
multi-head: torch 0.85, thop 0.00, torchinfo 0.00, ptflops 1.03
multi-head, weights: torch 1.00, thop 0.00, torchinfo 0.00, ptflops 1.18
encoder layer: torch 0.94, thop 0.64, torchinfo 0.04, ptflops 1.02
SEEN
echo "as described"
