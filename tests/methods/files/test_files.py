"""The real compressed file: what is in it, and files that are none."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from rps_bench.core.errors import UserError
from rps_bench.methods import build_method, load_compressed, methods_of
from rps_bench.methods.base import Probe
from rps_bench.methods.compressed import CompressedModel
from rps_bench.methods.files.positions import decode_positions
from rps_bench.methods.files.read import read_facts
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


@pytest.mark.parametrize("name", methods_of("sharing"))
def test_sharing_stores_theta_and_a_description(name: str, path: Path) -> None:
    save(name, 10, path, **({"tile": 4} if name == "roast" else {}))
    tensors = load_file(path)
    n = sum(p.numel() for p in build_model("resnet20", 10, 2).parameters() if p.dim() > 1)
    assert tensors["stored"].shape == (n // 10,)
    model = build_model("resnet20", 10, 2)
    rest = sum(p.numel() for p in model.parameters() if p.dim() == 1)
    running = sum(b.numel() for b in model.buffers() if b.dim() == 1)
    assert tensors["rest.float32"].shape == (rest + running,)
    assert tensors["rest.int64"].shape == (21,)
    assert set(tensors) == {"stored", "rest.float32", "rest.int64"}


@pytest.mark.parametrize(("compression", "coding"), [(1.5, "mask"), (10, "gaps"), (31, "gaps")])
def test_pruning_stores_values_and_the_smallest_coding(
    compression: float, coding: str, path: Path
) -> None:
    compressed = save("mag", compression, path)
    tensors = load_file(path)
    slots = compressed.weight_map.slots()
    kept = (slots >= 0).nonzero().view(-1)
    assert read_header(path)["map"] == {"kind": "selection", "coding": coding}
    assert torch.equal(decode_positions(coding, tensors["kept"], slots.numel()), kept)
    assert tensors["kept"].nbytes <= min(-(-slots.numel() // 8), 4 * kept.numel())


@pytest.mark.parametrize("storage", ["fp16", "bf16", "int8"])
@pytest.mark.parametrize("name", ["dense", "stable_rps", "mag"])
def test_a_rounded_file_holds_the_rounded_model(name: str, storage: str, path: Path) -> None:
    compressed = save(name, 1 if name == "dense" else 10, path)
    exact_bytes = path.stat().st_size
    compressed.save(path, storage=storage)
    m = compressed.stored.numel()
    scales = 4 * -(-m // 64) if storage == "int8" else 0
    saved = (2 if storage != "int8" else 3) * m - scales
    assert exact_bytes - path.stat().st_size == pytest.approx(saved, abs=100)  # the header
    images = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    exact = compressed.eval()(images)
    compressed.round_stored(storage)
    loaded = load_compressed(path).eval()
    assert torch.equal(loaded.stored, compressed.stored)
    assert torch.equal(loaded(images), compressed(images))
    assert not torch.equal(loaded(images), exact)


def test_facts_are_read_back(path: Path) -> None:
    facts = {"dataset": "digits", "test_accuracy": 91.5, "note": "ä <b>"}
    save("stable_rps", 10, path).save(path, facts=facts)
    assert read_facts(path) == facts
    rewrite(path, lambda header, tensors: header.update(facts=[1]))
    with pytest.raises(UserError, match="facts"):
        read_facts(path)


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
    [None, {"format": "pt"}, {"format": "rps_bench-compressed-2"}],
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


def read_header(path: Path) -> dict[str, Any]:
    with safe_open(path, framework="pt") as file:
        header: dict[str, Any] = json.loads(file.metadata()["header"])
    return header


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
    "no network": ("stable_rps", lambda h, t: h.update(architecture=None)),
    "unknown network": ("stable_rps", lambda h, t: h["architecture"].update(name="net")),
    "width zero": ("stable_rps", lambda h, t: h["architecture"].update(width=0)),
    "width of text": ("stable_rps", lambda h, t: h["architecture"].update(width="2")),
    "huge width": ("stable_rps", lambda h, t: h["architecture"].update(width=10**7)),
    "other width": ("stable_rps", lambda h, t: h["architecture"].update(width=3)),
    "unknown dtype": ("stable_rps", lambda h, t: h.update(dtype="int8")),
    "other dtype": ("stable_rps", lambda h, t: h.update(dtype="float64")),
    "no theta": ("stable_rps", lambda h, t: t.pop("stored")),
    "short theta": ("stable_rps", lambda h, t: t.update(stored=t["stored"][1:].clone())),
    "whole-number theta": ("stable_rps", lambda h, t: t.update(stored=t["stored"].long())),
    "theta of scales": ("stable_rps", lambda h, t: t.update(stored_scales=torch.ones(3))),
    "matrix theta": ("stable_rps", lambda h, t: t.update(stored=t["stored"][None].clone())),
    "int8 without scales": ("stable_rps", lambda h, t: t.update(stored=t["stored"].char())),
    "no BatchNorm": ("stable_rps", lambda h, t: t.pop("rest.float32")),
    "no counters": ("stable_rps", lambda h, t: t.pop("rest.int64")),
    "extra tensor": ("stable_rps", lambda h, t: t.update(more=torch.zeros(2))),
    "long BatchNorm": ("stable_rps", lambda h, t: t.update({"rest.float32": torch.zeros(999)})),
    "short BatchNorm": ("stable_rps", lambda h, t: t.update({"rest.float32": torch.zeros(9)})),
    "no positions": ("mag", lambda h, t: t.pop("kept")),
    "short positions": ("mag", lambda h, t: t.update(kept=t["kept"][:5].clone())),
    "positions for sharing": ("stable_rps", lambda h, t: t.update(kept=torch.zeros(9).byte())),
    "other coding": ("mag", lambda h, t: h["map"].update(coding="mask")),
    "unknown coding": ("mag", lambda h, t: h["map"].update(coding="zip")),
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


class Text(nn.Module):
    """A table, a frozen layer, a layer."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.middle = nn.Embedding(6, 4), nn.Linear(4, 4).requires_grad_(False)
        self.head = nn.Linear(4, 2)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.middle(self.table(tokens)).mean(1))
        return logits


TOKENS = torch.tensor([[0, 5], [1, 2]])
LEARNING = {"table.weight": True, "middle.weight": False, "middle.bias": False, "head.bias": True}


def learning(compressed: CompressedModel) -> dict[str, bool]:
    return {name: p.requires_grad for name, p in compressed.skeleton.named_parameters()}


@pytest.mark.filterwarnings("ignore:the compression leaves")
def test_what_is_dense_by_choice_learns_on_and_what_is_frozen_does_not(path: Path) -> None:
    compressed = build_method("mag", 2, exclude="table").compress(Text(), (TOKENS, TOKENS))
    assert learning(compressed) == LEARNING
    compressed.save(path)
    assert read_header(path)["left_dense"] == ["table.weight"]
    for network in (Text(), Text().requires_grad_(True)):
        loaded = load_compressed(path, network)
        assert torch.equal(loaded(TOKENS), compressed(TOKENS))
        assert {name: learning(loaded)[name] for name in ("table.weight", "middle.weight")} == {
            "table.weight": True,
            "middle.weight": False,
        }


@pytest.mark.filterwarnings("ignore:the compression leaves")
def test_a_file_from_before_tables_were_compressed_is_read_as_it_was(path: Path) -> None:
    """Such files do not say what was left dense: all but convolutions and linear layers."""
    compressed = build_method("mag", 2, exclude="table").compress(Text(), (TOKENS, TOKENS))
    compressed.save(path)
    rewrite(path, lambda header, tensors: header.pop("left_dense"))
    loaded = load_compressed(path, Text())
    assert learning(loaded) == LEARNING
    assert torch.equal(loaded(TOKENS), compressed(TOKENS))


@pytest.mark.filterwarnings("ignore:the compression leaves")
@pytest.mark.parametrize("left", [["no"], "table.weight", 3, [["a"]]])
def test_a_file_that_leaves_dense_what_is_not_there(left: object, path: Path) -> None:
    build_method("mag", 2, exclude="table").compress(Text(), (TOKENS, TOKENS)).save(path)
    rewrite(path, lambda header, tensors: header.update(left_dense=left))
    with pytest.raises(UserError, match=path.name):
        load_compressed(path, Text())


@pytest.mark.parametrize("options", [{"exclude": "classifier"}, {"include": "blocks.*.conv1"}])
def test_our_own_networks_come_back_as_they_were_chosen(
    options: dict[str, Any], path: Path
) -> None:
    compressed = save("mag", 4, path, **options)
    loaded = load_compressed(path)
    assert loaded.layout == compressed.layout
    assert learning(loaded) == learning(compressed)
    assert all(learning(loaded).values())
