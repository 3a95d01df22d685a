#!/usr/bin/env bash
# Parameters and multiply-adds of layers whose weight is computed or shared, as the counters of this field give them.
#
# Guessed: torchinfo counts a shared weight once per layer; a parametrization costs counters nothing, since the layer's own
# forward still runs.
# Seen, as parts of the right values (torch 2.13.0, torchinfo 1.8.0, ptflops 0.7.5, torch-pruning 1.6.1, thop
# 0.1.1.post2209072238, fvcore 0.1.5.post20221221):
#   A layer with a parametrization of torch.nn.utils.parametrize has a class of its own, ParametrizedConv2d. torchinfo,
#     ptflops, torch-pruning and thop choose formulas by class and give it no multiply-adds at all, without a word; weight
#     normalisation is enough. fvcore traces operations and is right.
#   The parameters are wrong the other way for torchinfo, and thop, which count a shared tensor once for each layer that has it.
#   torch-pruning's and ptflops's parameters are right; thop has none for layers with a parametrization.
# So a table of costs made by these shows networks that share parameters, or are normalised, as nearly free.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT; cd "$folder"
python3 -m venv venv && venv/bin/pip -q install torch==2.13.0 numpy setuptools thop==0.1.1.post2209072238 \
  torchinfo==1.8.0 ptflops==0.7.5 torch-pruning==1.6.1 fvcore==0.1.5.post20221221

cat >show.py <<'PY'
import logging

import ptflops
import thop
import torch
import torch_pruning
import torchinfo
from fvcore.nn import FlopCountAnalysis, parameter_count
from torch import nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import weight_norm

logging.disable(logging.WARNING)
SIZE, WIDTH, SLOTS = 8, 16, 100
PER_LAYER = WIDTH * WIDTH * 9


class Read(nn.Module):
    """The weight of a layer, read from a few shared numbers."""

    def __init__(self, repository):
        super().__init__()
        self.repository = repository

    def forward(self, weight):
        return self.repository[torch.arange(PER_LAYER) % SLOTS].view(weight.shape)


def plain():
    return nn.Sequential(*(nn.Conv2d(WIDTH, WIDTH, 3, padding=1, bias=False) for _ in range(2)))


def tied():
    model = plain()
    model[1].weight = model[0].weight
    return model


def normalised():
    return nn.Sequential(*(weight_norm(layer, dim=None) for layer in plain()))


def shared():
    model, repository = plain(), nn.Parameter(torch.randn(SLOTS) / 10)
    for layer in model:
        parametrize.register_parametrization(layer, "weight", Read(repository), unsafe=True)
        del layer.parametrizations.weight.original
        layer.parametrizations.weight.register_buffer("original", torch.empty(WIDTH, WIDTH, 3, 3))
    return model


cases = {"plain": plain, "tied": tied, "weight norm": normalised, "shared repository": shared}
x = torch.randn(1, WIDTH, SIZE, SIZE)


def by_torchinfo(model):
    found = torchinfo.summary(model, input_data=x, verbose=0)
    return found.total_params, found.total_mult_adds


def by_ptflops(model):
    return ptflops.get_model_complexity_info(
        model, (WIDTH, SIZE, SIZE), as_strings=False, print_per_layer_stat=False, verbose=False, backend="pytorch"
    )[::-1]


def by_torch_pruning(model):
    return torch_pruning.utils.count_ops_and_params(model, x)[::-1]


def by_thop(model):
    return thop.profile(model, (x,), verbose=False)[::-1]


def by_fvcore(model):
    return parameter_count(model)[""], FlopCountAnalysis(model, x).total()


counters = {
    "fvcore": by_fvcore, "torchinfo": by_torchinfo, "ptflops": by_ptflops,
    "torch-pruning": by_torch_pruning, "thop": by_thop,
}
for case, make in cases.items():
    words = []
    for name, count in counters.items():
        model = make()
        right = sum(parameter.numel() for parameter in model.parameters())
        parameters, multiply_adds = count(model)
        words.append(f"{name} {parameters / right:.2f} {multiply_adds / (2 * PER_LAYER * SIZE * SIZE):.2f}")
    print(f"{case}: {', '.join(words)}")
PY
found=$(venv/bin/python -W ignore show.py)
echo "$found"
diff <(echo "$found") - <<'SEEN'
plain: fvcore 1.00 1.00, torchinfo 1.00 1.00, ptflops 1.00 1.00, torch-pruning 1.00 1.00, thop 1.00 1.00
tied: fvcore 1.00 1.00, torchinfo 2.00 1.00, ptflops 1.00 1.00, torch-pruning 1.00 1.00, thop 2.00 1.00
weight norm: fvcore 1.00 1.00, torchinfo 1.00 0.00, ptflops 1.00 0.00, torch-pruning 1.00 0.00, thop 0.00 0.00
shared repository: fvcore 1.00 1.00, torchinfo 2.00 0.00, ptflops 1.00 0.00, torch-pruning 1.00 0.00, thop 0.00 0.00
SEEN
echo "as described"
