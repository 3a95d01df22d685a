"""The real compressed file: what is in it, and files that are none."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from rps_bench.errors import UserError
from rps_bench.methods import build_method, load_compressed
from rps_bench.methods.base import Probe
from rps_bench.methods.compressed import CompressedModel
from rps_bench.models import build_model

Change = Callable[[dict[str, Any], dict[str, torch.Tensor]], object]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.safetensors"


def save(name: str, compression: float, path: Path, **options: Any) -> CompressedModel:
    """A ResNet-20 two channels wide, compressed and saved."""
    model = build_model("resnet20", 10, 2, torch.Generator().manual_seed(0))
    probe = torch.zeros(2, 3, 8, 8), torch.arange(2)
    compressed = build_method(name, compression, **options).compress(model, probe)
    compressed.save(path)
    return compressed


@pytest.mark.parametrize("name", ["stable_rps", "roast", "hashednet", "rpg"])
def test_sharing_stores_theta_and_a_description(name: str, path: Path) -> None:
    save(name, 10, path, **({"tile": 4} if name == "roast" else {}))
    tensors = load_file(path)
    n = sum(p.numel() for p in build_model("resnet20", 10, 2).parameters() if p.dim() > 1)
    assert tensors["stored"].shape == (n // 10,)
    others = [tensor for key, tensor in tensors.items() if key != "stored"]
    assert all(tensor.dim() <= 1 and tensor.numel() <= 10 for tensor in others)


@pytest.mark.parametrize("compression", [1.5, 31, 33, 100])
def test_pruning_stores_values_and_the_smaller_index(compression: float, path: Path) -> None:
    compressed = save("mag", compression, path)
    tensors = load_file(path)
    slots = compressed.weight_map.slots().numpy()
    kept, n = np.flatnonzero(slots >= 0), slots.size
    if compression < 32:  # a bit for each of n weights against 32 for each of n / c
        assert "kept" not in tensors
        mask = tensors["mask"]
        assert mask.numel() == -(-n // 8)
        bits = np.unpackbits(mask.numpy(), bitorder="little")
        assert np.flatnonzero(bits).tolist() == kept.tolist()
    else:
        assert "mask" not in tensors
        assert tensors["kept"].element_size() == 4
        assert tensors["kept"].tolist() == kept.tolist()
    index_bytes = min(-(-n // 8), 4 * len(kept))
    weight_bytes = 4 * len(kept) + index_bytes
    skeleton = sum(t.nbytes for key, t in tensors.items() if key.startswith("skeleton."))
    header = path.stat().st_size - weight_bytes - skeleton
    assert 0 < header < 20_000


@pytest.mark.parametrize("name", ["dense", "stable_rps", "mag"])
def test_double_precision_comes_back(name: str, path: Path, probe: Probe) -> None:
    model = build_model("resnet20", 10, 2, torch.Generator().manual_seed(0)).double()
    compressed = build_method(name, 1 if name == "dense" else 10).compress(model, probe)
    images = probe[0].double()
    compressed(images)
    compressed.save(path)
    loaded = load_compressed(path)
    for key, tensor in compressed.state_dict().items():
        assert torch.equal(loaded.state_dict()[key], tensor), key
    assert torch.equal(loaded.eval()(images), compressed.eval()(images))


def test_saving_leaves_no_other_file_and_replaces_an_older_one(path: Path) -> None:
    path.write_text("older")
    save("stable_rps", 10, path)
    assert load_compressed(path).stored.numel() > 0
    assert list(path.parent.iterdir()) == [path]


def test_a_missing_file(path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        load_compressed(path)


def test_a_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError):
        load_compressed(tmp_path)


@pytest.mark.parametrize("length", [0, 1, 7, 8, 100, 3000, -1000, -1])
@pytest.mark.parametrize("name", ["stable_rps", "mag"])
def test_a_truncated_file(name: str, length: int, path: Path) -> None:
    save(name, 10, path)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(UserError, match=path.name):
        load_compressed(path)


@pytest.mark.parametrize("content", [b"garbage", b"\x00" * 5000, b"\xff" * 5000, b"{}" * 3000])
def test_garbage(content: bytes, path: Path) -> None:
    path.write_bytes(content)
    with pytest.raises(UserError, match=path.name):
        load_compressed(path)


@pytest.mark.parametrize(
    "metadata",
    [None, {"format": "pt"}, {"format": "rps_bench-compressed-1"}],
    ids=["none", "other", "no header"],
)
def test_a_foreign_safetensors_file(metadata: dict[str, str] | None, path: Path) -> None:
    save_file({"weight": torch.zeros(3)}, path, metadata)
    with pytest.raises(UserError, match=path.name):
        load_compressed(path)


def test_another_network(path: Path) -> None:
    save("stable_rps", 10, path)
    with pytest.raises(UserError, match="layer table"):
        load_compressed(path, build_model("resnet20", 10, 4))
    with pytest.raises(UserError, match="layer table"):
        load_compressed(path, nn.Linear(3, 2))


def rewrite(path: Path, change: Change) -> None:
    """Change the header and the tensors of a file."""
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    tensors, header = load_file(path), json.loads(metadata["header"])
    change(header, tensors)
    save_file(tensors, path, metadata | {"header": json.dumps(header)})


CHANGES: dict[str, tuple[str, Change]] = {
    "no map": ("stable_rps", lambda h, t: h.pop("map")),
    "unknown map": ("stable_rps", lambda h, t: h["map"].update(kind="folded")),
    "map of no table": ("stable_rps", lambda h, t: h.update(map=3)),
    "other m": ("stable_rps", lambda h, t: h["map"].update(num_stored=5)),
    "missing scale": ("stable_rps", lambda h, t: h["map"]["scales"].pop()),
    "scales of text": ("stable_rps", lambda h, t: h["map"].update(scales="abc")),
    "no seed": ("stable_rps", lambda h, t: h["map"].pop("seed")),
    "tile above m": ("roast", lambda h, t: h["map"].update(tile=1000)),
    "tile of text": ("roast", lambda h, t: h["map"].update(tile="4")),
    "tile zero": ("roast", lambda h, t: h["map"].update(tile=0)),
    "unknown scaling": ("stable_rps", lambda h, t: h.update(scaling="gramm")),
    "no layout": ("stable_rps", lambda h, t: h.pop("layout")),
    "other layout": ("stable_rps", lambda h, t: h["layout"].reverse()),
    "unknown network": ("stable_rps", lambda h, t: h["architecture"].update(name="net")),
    "width zero": ("stable_rps", lambda h, t: h["architecture"].update(width=0)),
    "width of text": ("stable_rps", lambda h, t: h["architecture"].update(width="2")),
    "huge width": ("stable_rps", lambda h, t: h["architecture"].update(width=10**7)),
    "other width": ("stable_rps", lambda h, t: h["architecture"].update(width=3)),
    "no theta": ("stable_rps", lambda h, t: t.pop("stored")),
    "short theta": ("stable_rps", lambda h, t: t.update(stored=t["stored"][1:].clone())),
    "whole-number theta": ("stable_rps", lambda h, t: t.update(stored=t["stored"].long())),
    "no bias": ("stable_rps", lambda h, t: t.pop("skeleton.classifier.bias")),
    "extra tensor": ("stable_rps", lambda h, t: t.update(more=torch.zeros(2))),
    "long bias": ("stable_rps", lambda h, t: t.update({"skeleton.bn.bias": torch.zeros(9)})),
    "no mask": ("mag", lambda h, t: t.pop("mask")),
    "short mask": ("mag", lambda h, t: t.update(mask=t["mask"][:5].clone())),
    "empty mask": ("mag", lambda h, t: t.update(mask=torch.zeros_like(t["mask"]))),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_file_that_contradicts_itself(change: str, path: Path) -> None:
    """One clear error at the door, not a wrong network or a crash in its first pass."""
    name, edit = CHANGES[change]
    save(name, 10, path, **({"tile": 4} if name == "roast" else {}))
    rewrite(path, lambda header, tensors: None)
    load_compressed(path)
    rewrite(path, edit)
    with pytest.raises(UserError):
        load_compressed(path)


@pytest.mark.parametrize(
    "kept",
    [lambda k: k.flip(0), lambda k: k - 10**6, lambda k: k + 10**6, lambda k: k[:1].expand(len(k))],
    ids=["falling", "negative", "beyond", "repeated"],
)
def test_an_impossible_list_of_kept_weights(
    kept: Callable[[torch.Tensor], torch.Tensor], path: Path
) -> None:
    save("mag", 100, path)
    rewrite(path, lambda header, tensors: tensors.update(kept=kept(tensors["kept"]).clone()))
    with pytest.raises(UserError, match=r"kept|agree"):
        load_compressed(path)
