#!/usr/bin/env bash
# PyTorch's own magnitude pruner of blocks, torch.ao.pruning.WeightNormSparsifier, on layers other than wide linear ones.
#
# Guessed: a convolution's weight is pruned along its flattened inputs, as a linear layer's is; on matrices that no whole
# number of blocks fills, about the asked share of the numbers is zero.
# Seen, torch 2.14.1:
#   prepare() takes a convolution's weight without a word, and step() then fails: with blocks in an error of a pooling
#     function about batch dimensions, number by number in one about a shape. Linear layers alone can be pruned.
#   Blocks at an edge count whole, whatever part of them lies inside: of 3 x 3 numbers 67% are zero for a level of 0.9 as
#     for 0.5. In wide matrices the share is right.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT; cd "$folder"
python3 -m venv venv && venv/bin/pip -q install torch==2.14.1 numpy==2.2.6

cat >show.py <<'PY'
import torch
from torch import nn
from torch.ao.pruning import WeightNormSparsifier

torch.manual_seed(0)


def prune(layer, level, block, zeros):
    model = nn.Sequential(layer)
    sparsifier = WeightNormSparsifier(sparsity_level=level, sparse_block_shape=block, zeros_per_block=zeros)
    sparsifier.prepare(model, [{"tensor_fqn": "0.weight"}])
    try:
        sparsifier.step()
    except RuntimeError as error:
        return f"RuntimeError: {str(error).splitlines()[0][:70]}"
    return f"{(model[0].weight == 0).float().mean():.3f} zero"


for level in (0.5, 0.9):
    for name, layer in (("linear 64 x 64", nn.Linear(64, 64)), ("linear 3 x 3", nn.Linear(3, 3))):
        print(name, "level", level, prune(layer, level, (1, 4), 4))
print("convolution 3 x 3, blocks:", prune(nn.Conv2d(16, 16, 3), 0.9, (1, 4), 4))
print("convolution 1 x 1, single numbers:", prune(nn.Conv2d(16, 16, 1), 0.9, (1, 1), 1))
PY
found=$(venv/bin/python show.py)
echo "$found"
diff <(echo "$found") - <<'SEEN'
linear 64 x 64 level 0.5 0.500 zero
linear 3 x 3 level 0.5 0.667 zero
linear 64 x 64 level 0.9 0.900 zero
linear 3 x 3 level 0.9 0.667 zero
convolution 3 x 3, blocks: RuntimeError: Expected 3D or 4D (batch mode) tensor with optional 0 dim batch size f
convolution 1 x 1, single numbers: RuntimeError: shape '[1, 1, 256]' is invalid for input of size 1
SEEN
echo "as described"
