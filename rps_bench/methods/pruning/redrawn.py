"""The weights of a network drawn anew: a control for scores that look at the drawn values.

Su et al. 2020 (arXiv 2009.11094) and Frankle et al. 2021 (arXiv 2009.08576): if a mask does as well
with other values, it is not the values that it has found.
"""

import torch
from torch import nn

from rps_bench.core.errors import UserError
from rps_bench.core.seeds import named_generator
from rps_bench.methods.choice import chosen_names, mark, marked_names
from rps_bench.methods.dense import Narrowable
from rps_bench.methods.layout import flatten_weights, layout_of


def redraw_weights(model: nn.Module, seed: int) -> torch.Tensor:
    """(n,) flat weights as the network's own init draws them, from another stream of the seed.

    Raises:
        UserError: The network cannot be built again, or its layers were changed since it was built.
    """
    if not isinstance(model, Narrowable):
        raise UserError(
            "method.reinit=true needs a network that can be drawn anew: one with a width and "
            "narrowed(width)"
        )
    with torch.random.fork_rng(
        devices=[]
    ):  # layers draw from PyTorch's own before the network does
        fresh = model.narrowed(model.width, named_generator(seed, "reinit"))
    names = chosen_names(model)
    has_all = set(names) <= dict(fresh.named_parameters(remove_duplicate=False)).keys()
    if has_all and marked_names(model) is not None:
        mark(fresh, names)
    if not has_all or layout_of(fresh) != layout_of(model):
        raise UserError(
            "method.reinit=true draws a network anew as it was built, and this one has other "
            "layers since, or frozen ones"
        )
    weights = flatten_weights(model)
    return flatten_weights(fresh).to(weights.device, weights.dtype)
