#!/usr/bin/env bash
# A table of numbers that a module computes once (functools.cache) and the first use of which is torch.export.
#
# Guessed: export sees the table as a constant, or a later eager call with what the tracer left raises an error.
# Seen, torch 2.13.0: the cache keeps the tracer's FakeTensor. Eager calls go on without an error:
#   x * table()                    a FakeTensor, without numbers
#   torch.mul(x, table(), out=y)   y is a plain tensor, and nothing was written into it
# The second hands on whatever memory held, and looks like any result. A module that is called once before it is
# exported has neither.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT; cd "$folder"
python3 -m venv venv && venv/bin/pip -q install torch==2.13.0 numpy

cat >show.py <<'PY'
import functools

import torch
from torch import nn


@functools.cache
def table():
    return torch.arange(4.0) + 1


class Scaled(nn.Module):
    def forward(self, x):
        return x * table()


class ScaledInto(nn.Module):
    def forward(self, x):
        y = torch.full_like(x, -1.0)
        torch.mul(x, table(), out=y)
        return y


x = torch.ones(4)
for make in (Scaled, ScaledInto):
    for calls_first in (True, False):
        table.cache_clear()
        module = make()
        if calls_first:
            module(x)
        torch.export.export(module, (x,))
        result = module(x)
        shown = result.tolist() if type(result) is torch.Tensor else "no numbers"
        print(make.__name__, "called first" if calls_first else "exported first", type(result).__name__, shown)
PY
found=$(venv/bin/python -W ignore show.py)
echo "$found"
diff <(echo "$found") - <<'SEEN'
Scaled called first Tensor [1.0, 2.0, 3.0, 4.0]
Scaled exported first FakeTensor no numbers
ScaledInto called first Tensor [1.0, 2.0, 3.0, 4.0]
ScaledInto exported first Tensor [-1.0, -1.0, -1.0, -1.0]
SEEN
echo "as described"
