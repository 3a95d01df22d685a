#!/usr/bin/env bash
# What torch-pruning makes of a network whose embedding and head share one weight.
#
# Guessed: its graph of dependencies either misses that the two are one tensor, and the network breaks, or prunes it once.
# Seen (torch 2.13.0, torch-pruning 1.6.1): the network works on, with the right shapes, and the weight is two tensors
# from then on, without a word: each layer got a pruned copy of its own. Half of the hidden units of this network are gone
# and 58% of its numbers are left, where 36% were with the tie; the optimizer trains both halves apart. Its own counter
# reports the larger number, so nothing looks wrong. Two equal Linear layers that share a weight shrink to half as many
# units and not by a single number.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT; cd "$folder"
python3 -m venv venv && venv/bin/pip -q install torch==2.13.0 numpy torch-pruning==1.6.1

cat >show.py <<'PY'
import torch
import torch_pruning
from torch import nn

WORDS, WIDTH = 100, 32


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.head = nn.Embedding(WORDS, WIDTH), nn.Linear(WIDTH, WORDS, bias=False)
        self.up, self.down = nn.Linear(WIDTH, 2 * WIDTH), nn.Linear(2 * WIDTH, WIDTH)
        self.head.weight = self.embedding.weight

    def forward(self, x):
        h = self.embedding(x)
        return self.head(h + self.down(torch.relu(self.up(h))))


def linear_pair():
    first, second = (nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(2))
    second.weight = first.weight
    return nn.Sequential(first, nn.ReLU(), second)


def show(model, x, first, last):
    before = sum(parameter.numel() for parameter in model.parameters())
    importance = torch_pruning.importance.MagnitudeImportance(p=2)
    pruner = torch_pruning.pruner.BasePruner(model, x, importance, pruning_ratio=0.5, ignored_layers=[last])
    pruner.step()
    counted = torch_pruning.utils.count_ops_and_params(model, x)[1]
    shapes = f"{tuple(first.weight.shape)} and {tuple(last.weight.shape)}"
    print(f"{before} to {counted} numbers, {shapes}, one tensor: {first.weight is last.weight}, output {tuple(model(x).shape)}")


torch.manual_seed(0)
tied = Tied()
show(tied, torch.arange(10)[None], tied.embedding, tied.head)
pair = linear_pair()
show(pair, torch.randn(1, WIDTH), pair[0], pair[2])
PY
found=$(venv/bin/python -W ignore show.py)
echo "$found"
diff <(echo "$found") - <<'SEEN'
7392 to 4272 numbers, (100, 16) and (100, 16), one tensor: False, output (1, 10, 100)
1024 to 1024 numbers, (16, 32) and (32, 16), one tensor: False, output (1, 32)
SEEN
echo "as described"
