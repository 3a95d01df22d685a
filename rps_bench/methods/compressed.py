"""A network whose compressible weights are recovered from the stored values theta."""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from rps_bench.core.errors import UserError
from rps_bench.core.storages import EXACT
from rps_bench.methods.choice import chosen_names, mark, unmark
from rps_bench.methods.files.storage import round_values
from rps_bench.methods.files.write import save_compressed
from rps_bench.methods.layout import (
    compressible_weights,
    flatten_weights,
    layout_of,
    num_weights,
    places_of,
    split_weights,
)
from rps_bench.methods.lending import (
    give_weights,
    hold_weights,
    is_partly_compiled,
    lend_weights,
    require_copyable,
    require_reachable,
    take_weights,
)
from rps_bench.methods.map_state import KEY, decode_map, encode_map, name_difference, names_of_map
from rps_bench.methods.scaling import gradient_scale, scale_gradient
from rps_bench.methods.weight_map import WeightMap


class CompressedModel(nn.Module):
    """theta, the map A, and a skeleton: the network without its compressible weights.

    Its parameters are ``stored`` plus the skeleton's biases, BatchNorm and frozen weights, nothing
    else. The weights exist only during a forward pass and, through the autograd graph, until the
    backward pass has used them. ``backward`` gives theta its scaled gradient (section 2 of the
    method: the gradient divided by s), so any optimizer trains it as the method says.

    ``state_dict`` holds what theta's numbers stand for, too: the map, the kept positions, the
    scaling. ``load_state_dict`` refuses the state of another map.

    Args:
        model: The dense network, marked where its weights are chosen by names; copied, left
            untouched.
        weight_map: A, of n rows and m columns.
        stored: (m,) initial values of theta.
        scaling: Name of the gradient scaling.
    """

    def __init__(
        self, model: nn.Module, weight_map: WeightMap, stored: torch.Tensor, scaling: str = "none"
    ) -> None:
        super().__init__()
        self.layout, self.places = layout_of(model), places_of(model)
        assert weight_map.num_weights == num_weights(self.layout)
        assert stored.shape == (weight_map.num_stored,)
        self.scaling = scaling
        self.stored = nn.Parameter(stored.detach().clone())
        self.weight_map = weight_map.to(stored.device, stored.dtype)
        require_copyable(model)
        require_reachable(model, compressible_weights(model))
        self.skeleton = copy.deepcopy(model)
        unmark(self.skeleton)
        take_weights(self.skeleton, self.places)
        self._scales: dict[tuple[torch.device, torch.dtype], torch.Tensor] = {}

    def weights(self) -> torch.Tensor:
        """(n,) recovered flat weights w = A theta; for a dense network a view of theta."""
        stored: torch.Tensor = self.stored
        wants_gradient = torch.is_grad_enabled() and stored.requires_grad
        if self.scaling != "none" and wants_gradient and not torch.compiler.is_exporting():
            stored = scale_gradient(stored, self._scale())
        return self.weight_map.recover(stored)

    def gradient_scale(self) -> torch.Tensor:
        """(m,) s, by which the backward pass divides theta's gradient."""
        return gradient_scale(self.weight_map, self.scaling)

    def forward(self, *inputs: Any, **options: Any) -> Any:
        """What the network gives: (B, 3, H, W) normalised images -> (B, num_classes) logits."""
        pieces = split_weights(self.weights(), self.layout)
        # A compiler follows attributes of modules that stay, and runs its trace for one caller.
        is_compiled = torch.compiler.is_compiling() or is_partly_compiled(self.skeleton)
        lend = hold_weights if is_compiled else lend_weights
        with lend(self.skeleton, pieces) as network:
            return network(*inputs, **options)

    def to_dense(self) -> nn.Module:
        """A plain module of the network's own class that holds the recovered weights."""
        dense = copy.deepcopy(self.skeleton)
        pieces = split_weights(self.weights().detach(), self.layout)
        give_weights(dense, [piece.clone() for piece in pieces])
        return dense

    def save(
        self, path: str | Path, storage: str = EXACT, facts: Mapping[str, Any] | None = None
    ) -> int:
        """Write the real compressed file (see ``rps_bench.methods.files.write``); return its bytes.

        Args:
            path: A file, replaced only when the new one is whole and can be read back.
            storage: exact, fp16, bf16 or int8, for theta.
            facts: What its header should tell a reader, JSON-ready.
        """
        return save_compressed(self, path, storage, facts)

    @torch.no_grad()
    def round_stored(self, storage: str) -> None:
        """Round theta in place to what a file of this storage holds."""
        self.stored.copy_(round_values(self.stored, storage))

    def get_extra_state(self) -> torch.Tensor:
        """(bytes,) uint8: what theta's numbers stand for (see ``rps_bench.methods.map_state``)."""
        return encode_map(self.weight_map, self.layout, self.scaling)

    def set_extra_state(self, state: torch.Tensor) -> None:
        """Nothing to set: ``load_state_dict`` has found the state's map to be the model's."""

    def _load_from_state_dict(self, state: dict[str, Any], prefix: str, *others: Any) -> None:
        """Refuse the state of another map before any of its tensors is copied."""
        if f"{prefix}stored" in state:
            difference = name_difference(self.get_extra_state(), state.get(f"{prefix}{KEY}"))
            if difference is not None:
                raise UserError(
                    f"this state is not of this model ({difference}); "
                    "rps_bench.methods.restore(network, state) builds the model that it is of"
                )
        super()._load_from_state_dict(state, prefix, *others)

    def _scale(self) -> torch.Tensor:
        """s on theta's device and in its dtype, computed once for each."""
        key = self.stored.device, self.stored.dtype
        if key not in self._scales:
            self._scales[key] = self.gradient_scale()
        return self._scales[key]

    def __getstate__(self) -> dict[str, Any]:
        """Of a copy or a pickle: without what can be computed again."""
        return self.__dict__ | {"_scales": {}}


def restore(model: nn.Module, state: Mapping[str, Any]) -> CompressedModel:
    """The compressed network that a ``state_dict`` was taken of, with the map that it had.

    Args:
        model: The dense network, of any weights, on the device to use; left untouched.
        state: What ``CompressedModel.state_dict`` gave.

    Raises:
        UserError: The state is of no compressed model, or of another network.
    """
    stored, encoded = state.get("stored"), state.get(KEY)
    if not isinstance(stored, torch.Tensor) or not isinstance(encoded, torch.Tensor):
        raise UserError("this is not the state_dict of a compressed model")
    model = _choose_as(model, encoded)
    weight_map, scaling = decode_map(encoded, layout_of(model))
    if stored.shape != (weight_map.num_stored,):
        raise UserError(
            f"this state holds {stored.numel()} values, its map {weight_map.num_stored}"
        )
    device = flatten_weights(model).device
    compressed = CompressedModel(model, weight_map, stored.to(device), scaling)
    compressed.load_state_dict(state)
    return compressed


def _choose_as(model: nn.Module, encoded: torch.Tensor) -> nn.Module:
    """The network, or a copy in which the weights that a state compresses are chosen."""
    names = names_of_map(encoded)
    if names == chosen_names(model):
        return model
    missing = set(names) - dict(model.named_parameters(remove_duplicate=False)).keys()
    if missing:
        raise UserError(f"this state does not fit the network (it has no {min(missing)})")
    require_copyable(model)
    model = copy.deepcopy(model)
    mark(model, names)
    return model
