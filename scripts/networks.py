"""``python -m scripts.networks [NAME ...]``: which method compresses which widely used network.

Each network is compressed by each method, takes a step, is saved, read back and computed in all its
forms; its dense form is exported to ONNX once. What is refused is kept with its line, in
``results/networks.csv``, from which the table of rps_bench/README.md is written.
"""

import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd
import torch
import torch.nn.functional as F
from torch import nn

from rps_bench.core import checks
from rps_bench.core.atomic import write_text
from rps_bench.core.console import say
from rps_bench.core.errors import CompressionWarning, ExplainedError, UserError
from rps_bench.core.output import command
from rps_bench.core.plain_attention import plain_attention
from rps_bench.export import ONNX_PACKAGES, compare_onnx, to_onnx
from rps_bench.methods import METHODS, build_method, load_compressed
from rps_bench.methods.base import Probe
from rps_bench.methods.cautions import collapsed_layers
from rps_bench.methods.compressed import CompressedModel
from rps_bench.methods.layerwise import recover_by_layer

PATH = Path(__file__).resolve().parents[1] / "results" / "networks.csv"
COLUMNS = ("network", "method", "refused")
NUM_CLASSES, NUM_TOKENS, LENGTH = 4, 50, 8
OPTIONS: dict[str, dict[str, Any]] = {"synflow": {"rounds": 2}, "roast": {"tile": 4}}


class Encoder(nn.Module):
    """A small encoder of text as BERT's: tables of words and places, attention, a head."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(NUM_TOKENS, 32), nn.Embedding(LENGTH, 32)
        layer = nn.TransformerEncoderLayer(32, 4, 64, activation="gelu", batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.norm, self.head = nn.LayerNorm(32), nn.Linear(32, NUM_CLASSES)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """(B, LENGTH) int64 tokens -> logits."""
        places = self.places(torch.arange(LENGTH, device=tokens.device))
        hidden = self.encoder(self.words(tokens) + places)
        logits: torch.Tensor = self.head(self.norm(hidden).mean(1))
        return logits


def _vision(name: str, **options: int) -> nn.Module:
    from torchvision import models

    network: nn.Module = getattr(models, name)(num_classes=NUM_CLASSES, **options)
    return network


def _vision_transformer() -> nn.Module:
    """vit_b_16 at a quarter of its width; the head, which starts at zero, is drawn."""
    from torchvision.models import VisionTransformer

    network: nn.Module = VisionTransformer(
        image_size=32,
        patch_size=16,
        num_layers=12,
        num_heads=12,
        hidden_dim=192,
        mlp_dim=768,
        num_classes=NUM_CLASSES,
    )
    nn.init.normal_(network.get_parameter("heads.head.weight"), std=0.02)
    return network


# Name -> how to build it, and the side of its images; 0: it takes tokens.
NETWORKS: dict[str, tuple[Callable[[], nn.Module], int]] = {
    "resnet18": (lambda: _vision("resnet18"), 64),
    "mobilenet_v3_small": (lambda: _vision("mobilenet_v3_small"), 64),
    "convnext_tiny": (lambda: _vision("convnext_tiny"), 32),
    "vit_b_16, 192 wide": (_vision_transformer, 32),
    "text encoder": (Encoder, 0),
    "embedding, linear": (
        lambda: nn.Sequential(
            nn.Embedding(NUM_TOKENS, 8), nn.Flatten(), nn.Linear(8 * LENGTH, NUM_CLASSES)
        ),
        0,
    ),
    "embedding bag, linear": (
        lambda: nn.Sequential(nn.EmbeddingBag(NUM_TOKENS, 8), nn.Linear(8, NUM_CLASSES)),
        0,
    ),
}
SMALL = ("text encoder", "embedding, linear", "embedding bag, linear")


@command
def main() -> int:
    """Try everything, or the networks that are named; returns the exit status."""
    names = sys.argv[1:] or list(NETWORKS)
    for name in names:
        checks.choice("network", name, NETWORKS)
        found = [(name, method, line) for method, line in try_all(name)]
        rows = [row for row in read_lines() if row[0] in NETWORKS and row[0] != name] + found
        rows.sort(key=lambda row: list(NETWORKS).index(row[0]))
        table = pd.DataFrame(rows, columns=COLUMNS)
        write_text(PATH, table.to_csv(index=False, lineterminator="\n"))
    return 0


def try_all(name: str) -> Iterator[tuple[str, str]]:
    """Each method, and why the network cannot be compressed so, or nothing."""
    network, probe = build(name)
    for method in METHODS:
        line = try_method(network, probe, method)
        say(f"{name}, {method}: {line or 'works'}")
        yield method, line
    export(network, probe)


def build(name: str) -> tuple[nn.Module, Probe]:
    """A network of its own init, and eight inputs that it takes."""
    make, size = NETWORKS[name]
    torch.manual_seed(0)
    network = make()
    tokens = torch.randint(0, NUM_TOKENS, (8, LENGTH))
    inputs = torch.randn(8, 3, size, size) if size else tokens
    return network, (inputs, torch.arange(8) % NUM_CLASSES)


def try_method(network: nn.Module, probe: Probe, method: str) -> str:
    """Why the network cannot be compressed so, as a line; empty where all works.

    That a method keeps no weight of so many layers that none of the others learns is such a reason.
    """
    compression = 1 if method == "dense" else 10
    built = build_method(method, compression, **OPTIONS.get(method, {}))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CompressionWarning)
            compressed = built.compress(network, probe)
    except (UserError, ExplainedError) as error:
        return str(error)
    if not _learns(compressed, probe):
        num_empty, num_layers = len(collapsed_layers(compressed)), len(compressed.layout)
        return f"at 10x it keeps no weight of {num_empty} of {num_layers} layers: none learns"
    with tempfile.TemporaryDirectory() as folder:
        compressed.save(Path(folder) / "model")
        loaded = load_compressed(Path(folder) / "model", network)
    _require_alike(compressed, loaded, probe[0])
    return ""


def _learns(compressed: CompressedModel, probe: Probe) -> bool:
    """Take a training step; whether it changes what is stored."""
    before = compressed.stored.detach().clone()
    optimizer = torch.optim.SGD(compressed.parameters(), lr=0.1, momentum=0.9)
    F.cross_entropy(compressed.train()(probe[0]), probe[1]).backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    assert compressed.stored.isfinite().all()
    return not torch.equal(before, compressed.stored)


@torch.no_grad()
def _require_alike(
    compressed: CompressedModel, loaded: CompressedModel, inputs: torch.Tensor
) -> None:
    """Raise an AssertionError unless all forms give the same outputs."""
    outputs = compressed.eval()(inputs)
    for model in (loaded, compressed.to_dense(), recover_by_layer(compressed)):
        torch.testing.assert_close(model.eval()(inputs), outputs)
    with plain_attention():  # attention's other way of computing
        torch.testing.assert_close(compressed(inputs), outputs, rtol=1e-3, atol=1e-4)


def export(network: nn.Module, probe: Probe) -> None:
    """Export the dense form of a compressed network to ONNX, if the packages are there.

    Raises:
        UserError: It computes something else.
    """
    if any(find_spec(package) is None for package in ONNX_PACKAGES):
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dense = build_method("stable_rps", 10).compress(network, probe).to_dense().eval()
        compare_onnx(to_onnx(dense, probe[0]), dense, probe[0])


def read_lines() -> Iterator[tuple[str, str, str]]:
    """The network, the method and the line of each row of the file."""
    if not PATH.exists():
        return
    table = pd.read_csv(PATH, keep_default_na=False)
    yield from table.itertuples(index=False, name=None)


if __name__ == "__main__":
    sys.exit(main())
