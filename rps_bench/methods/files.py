"""Compressed models as real files: safetensors with a small header, nothing to unpickle.

Sharing stores theta and what its map is computed from; pruning stores the kept values and the
smaller of a bitmask and an index list. Biases and BatchNorm are stored as they are.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_safetensors
from torch import nn

from rps_bench import checks
from rps_bench.atomic import write_bytes
from rps_bench.errors import UserError
from rps_bench.methods.compressed import CompressedModel
from rps_bench.methods.layout import Layout, layout_of, num_weights
from rps_bench.methods.scaling import SCALINGS
from rps_bench.methods.sharing.balanced import BalancedMap
from rps_bench.methods.sharing.hashed import HashedMap
from rps_bench.methods.sharing.randomfold import RandomFoldMap
from rps_bench.methods.sharing.sharing_map import SharingMap
from rps_bench.methods.sharing.tiles import TiledMap
from rps_bench.methods.weight_map import IdentityMap, SelectionMap, WeightMap
from rps_bench.models import ARCHITECTURES, build_model

FORMAT = "rps_bench-compressed-1"
SHARING_MAPS: dict[str, Callable[..., SharingMap]] = {
    map_type.kind: map_type for map_type in (RandomFoldMap, HashedMap, BalancedMap, TiledMap)
}


def to_bytes(compressed: CompressedModel) -> bytes:
    """The compressed file's content; its length is the ``stored_bytes`` of a record."""
    tensors = {f"skeleton.{k}": v for k, v in compressed.skeleton.state_dict().items()}
    tensors["stored"] = compressed.stored.detach()
    description, mask = _describe_map(compressed.weight_map)
    header = {
        "architecture": _describe_architecture(compressed.skeleton),
        "layout": compressed.layout,
        "map": description,
        "scaling": compressed.scaling,
    }
    on_cpu = {name: tensor.cpu().contiguous() for name, tensor in (tensors | mask).items()}
    return to_safetensors(on_cpu, {"format": FORMAT, "header": json.dumps(header)})


def save_compressed(compressed: CompressedModel, path: str | Path) -> None:
    """Write the compressed file, in place of an older one only when it is whole."""
    write_bytes(Path(path), to_bytes(compressed))


def load_compressed(path: str | Path, model: nn.Module | None = None) -> CompressedModel:
    """Read a compressed file back: the same outputs, bit for bit.

    Args:
        path: A file that ``CompressedModel.save`` wrote.
        model: The dense network to fill, of any weights; needed only where the file's network is
            not one of this package's architectures.

    Raises:
        UserError: The file is missing, broken or no compressed model, or does not fit ``model``.
    """
    header, tensors = _read(Path(path))
    try:
        return _rebuild(header, tensors, model)
    except (LookupError, TypeError, AttributeError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"{path}: not a whole compressed model ({reason})") from error


def _rebuild(
    header: dict[str, Any], tensors: dict[str, torch.Tensor], model: nn.Module | None
) -> CompressedModel:
    """The model of a file's header and tensors."""
    dense = _build_architecture(header["architecture"]) if model is None else model
    layout = layout_of(dense)
    if [[name, list(shape)] for name, shape in layout] != header["layout"]:
        raise ValueError("its layer table does not fit the network")
    stored = tensors.pop("stored")
    weight_map = _build_map(header["map"], layout, tensors)
    if header["scaling"] not in SCALINGS or stored.shape != (weight_map.num_stored,):
        raise ValueError("its header and its stored values do not agree")
    if model is None:  # built without storage so far: nothing of a bad file's size was allocated
        dense = dense.to_empty(device=stored.device)
    compressed = CompressedModel(dense.to(stored.dtype), weight_map, stored, header["scaling"])
    skeleton = {k.removeprefix("skeleton."): v for k, v in tensors.items()}
    compressed.skeleton.load_state_dict(skeleton)
    return compressed


def _read(path: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """The header and the tensors of a file."""
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT:
                raise UserError(f"{path}: not a compressed model of the format {FORMAT}")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        header = json.loads(metadata["header"])
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{path}: not a readable compressed model ({error})") from error
    if not isinstance(header, dict):
        raise UserError(f"{path}: its header is not a table")
    return header, tensors


def _describe_architecture(skeleton: nn.Module) -> dict[str, Any] | None:
    for name, architecture in ARCHITECTURES.items():
        if type(skeleton) is architecture:
            return {
                "name": name,
                "num_classes": skeleton.num_classes,
                "width": skeleton.width,
            }
    return None


def _build_architecture(description: dict[str, Any] | None) -> nn.Module:
    """The network of a description, without storage."""
    if description is None:
        raise ValueError("its network is not one of this package's: pass it as model")
    with torch.device("meta"):
        return build_model(**description)


def _describe_map(weight_map: WeightMap) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """What the map is computed from, and the tensors it needs beside that."""
    if isinstance(weight_map, SharingMap):
        return weight_map.description(), {}
    if isinstance(weight_map, SelectionMap):
        n, kept = weight_map.num_weights, weight_map.kept.cpu()
        if 4 * kept.numel() < n / 8:
            return {"kind": "selection"}, {"kept": kept.to(torch.int32)}
        return {"kind": "selection"}, {"mask": _pack_bits(kept, n)}
    assert isinstance(weight_map, IdentityMap)
    return {"kind": "identity"}, {}


def _build_map(
    description: dict[str, Any], layout: Layout, tensors: dict[str, torch.Tensor]
) -> WeightMap:
    """The map of a description; takes what it needs out of ``tensors``."""
    description = dict(description)
    kind, n = description.pop("kind"), num_weights(layout)
    if kind == "identity":
        return IdentityMap(n)
    if kind == "selection":
        if "mask" in tensors:
            return SelectionMap(n, _unpack_bits(tensors.pop("mask"), n))
        kept = tensors.pop("kept").long()
        if kept.numel() and (kept[0] < 0 or kept[-1] >= n or bool((kept.diff() <= 0).any())):
            raise ValueError("its list of kept weights is not ascending within the network")
        return SelectionMap(n, kept)
    if kind not in SHARING_MAPS:
        raise ValueError(f"unknown map {kind!r}")
    _check_sharing(description, layout)
    return SHARING_MAPS[kind](layout, **description)


def _check_sharing(description: dict[str, Any], layout: Layout) -> None:
    """Raise a UserError unless a sharing map can be computed from the description."""
    m = checks.whole_number("its num_stored", description["num_stored"], 1, num_weights(layout))
    tile = checks.whole_number("its tile", description.get("tile", 1), 1)
    checks.whole_number("its seed", description["seed"], 0)
    if len(description["scales"]) != len(layout) or tile**2 > m:
        raise ValueError("its scales or its tile do not fit the network")
    for scale in description["scales"]:
        checks.positive_number("its scale", scale)


def _pack_bits(kept: torch.Tensor, num_bits: int) -> torch.Tensor:
    """(ceil(n / 8),) uint8: bit i mod 8 of byte i div 8 is set for a kept weight i."""
    bits = torch.zeros(-(-num_bits // 8) * 8, dtype=torch.uint8)
    bits[kept] = 1
    return (bits.view(-1, 8) << torch.arange(8, dtype=torch.uint8)).sum(1, dtype=torch.uint8)


def _unpack_bits(mask: torch.Tensor, num_bits: int) -> torch.Tensor:
    """Positions of the set bits, ascending, (m,) int64."""
    bits = (mask[:, None] >> torch.arange(8, dtype=torch.uint8)) & 1
    return bits.view(-1)[:num_bits].nonzero().view(-1)
