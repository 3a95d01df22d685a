"""Probes and networks that do not fit end in one line that names the method and what it needs."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from rps_bench.core.errors import UserError
from rps_bench.methods import build_method
from tests.methods.pruning.odd_networks import (
    IMAGES,
    LABELS,
    TOKENS,
    Applied,
    convolutions,
    draw_images,
    language_model,
    mlp,
)


def returning(make_outputs: Callable[[torch.Tensor], Any]) -> nn.Module:
    return Applied(lambda self, images: make_outputs(self.rest(images)), rest=mlp())


EMPTY = IMAGES[:0], LABELS[:0]
DATA = ("snip", "grasp")
ALL = (*DATA, "synflow")
# kind -> network, probe, methods that refuse it, what their line says beside their name
CASES: dict[str, tuple[Callable[[], nn.Module], Any, tuple[str, ...], str]] = {
    "nothing": (mlp, None, ALL, "two tensors"),
    "three things": (mlp, [1, 2, 3], ALL, "two tensors.*a list of 3"),
    "no image": (mlp, EMPTY, ALL, "at least one image"),
    "a single number": (mlp, (torch.tensor(1.0), LABELS), ALL, "at least one image"),
    "fewer labels": (mlp, (IMAGES, LABELS[:5]), DATA, "each of the probe's 20 images"),
    "floating labels": (mlp, (IMAGES, LABELS.float()), DATA, "an int64 label"),
    "labels beyond": (mlp, (IMAGES, LABELS + 1), DATA, "from 0 to 3.*from 1 to 4"),
    "labels below": (mlp, (IMAGES, LABELS - 1), DATA, "from 0 to 3.*from -1 to 2"),
    "uint8 images": (mlp, (IMAGES.to(torch.uint8), LABELS), DATA, "uint8.*normalised"),
    "int64 images": (mlp, (IMAGES.long(), LABELS), ALL, "int64.*normalised"),
    "wider images": (mlp, (IMAGES.double(), LABELS), DATA, "float64.*float32"),
    "tokens beyond": (language_model, (TOKENS + 10, LABELS), ALL, "within the tables"),
    "floating tokens": (language_model, (TOKENS.float(), LABELS), ALL, "int64 indices"),
    "smaller images": (mlp, (IMAGES[..., :3], LABELS), ALL, r"3, 4, 3\).*shapes"),
    "flat images": (convolutions, (IMAGES.flatten(1), LABELS), ALL, r"48\)"),
    "other channels": (
        lambda: nn.Sequential(nn.Conv2d(1, 4, 4), nn.Flatten()),
        (IMAGES, LABELS),
        ALL,
        r"3, 4, 4\).*channels",
    ),
    "one image": (lambda: mlp(nn.BatchNorm1d(8)), (IMAGES[:1], LABELS[:1]), DATA, "one image"),
    "images of NaN": (mlp, (IMAGES * torch.nan, LABELS), DATA, "finite loss.*images hold NaN"),
    "outputs of NaN": (
        lambda: returning(lambda logits: logits * torch.nan),
        (IMAGES, LABELS),
        ALL,
        "finite.*outputs.*NaN",
    ),
    "infinite outputs": (
        lambda: returning(lambda logits: logits * torch.inf),
        (IMAGES, LABELS),
        DATA,
        "finite loss.*outputs.*infinity",
    ),
    "two outputs": (
        lambda: returning(lambda logits: (logits, logits)),
        (IMAGES, LABELS),
        ALL,
        "one tensor.*a tuple of 2",
    ),
    "named outputs": (
        lambda: returning(lambda logits: {"logits": logits}),
        (IMAGES, LABELS),
        ALL,
        "one tensor.*a dict",
    ),
    "one number each": (
        lambda: returning(lambda logits: logits[:, 0]),
        (IMAGES, LABELS),
        DATA,
        r"logits \(B, classes\).*\(20,\)",
    ),
    "rows lost": (
        lambda: returning(lambda logits: logits[:3]),
        (IMAGES, LABELS),
        DATA,
        r"logits \(B, classes\).*\(3, 4\)",
    ),
    "whole outputs": (
        lambda: returning(lambda logits: logits.argmax(1, keepdim=True)),
        (IMAGES, LABELS),
        ALL,
        "int64",
    ),
    "a softmax": (
        lambda: returning(lambda logits: logits.softmax(1)),
        (IMAGES, LABELS),
        ("synflow",),
        "sum to one",
    ),
}


@pytest.mark.parametrize("method", ALL)
@pytest.mark.parametrize("kind", CASES)
@pytest.mark.filterwarnings("ignore:the compression leaves")
def test_what_does_not_fit_is_one_line(kind: str, method: str) -> None:
    make, probe, refusing, line = CASES[kind]
    torch.manual_seed(2)
    built = build_method(method, 2)
    if method not in refusing:  # it does not look there
        if kind != "infinite outputs":  # an overflow of the score
            built.compress(make(), probe)
        return
    with pytest.raises(UserError, match=line) as caught:
        built.compress(make(), probe)
    message = str(caught.value)
    assert message.startswith(method)
    assert "\n" not in message
    assert len(message) < 250


@pytest.mark.parametrize("kind", CASES)
@pytest.mark.filterwarnings("ignore:the compression leaves")
def test_methods_that_look_at_no_probe_take_any(kind: str) -> None:
    make, probe, _, _ = CASES[kind]
    build_method("mag", 2).compress(make(), probe)


@pytest.mark.parametrize("method", ["rand", "mag", *ALL])
def test_networks_without_values(method: str) -> None:
    with torch.device("meta"):
        network = mlp()
    with pytest.raises(UserError, match=f"^{method} .*meta device"):
        build_method(method, 2).compress(network, (IMAGES, LABELS))


def test_other_failures_of_a_network_stay_what_they_are() -> None:
    def fail(logits: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("a fault of its own")

    with pytest.raises(RuntimeError, match="of its own"):
        build_method("snip", 2).compress(returning(fail), (IMAGES, LABELS))


def test_probes_longer_than_a_pass_are_checked_to_the_end() -> None:
    labels = torch.arange(600) % 4
    labels[-1] = 4
    with pytest.raises(UserError, match="labels from 0 to 3"):
        build_method("snip", 2).compress(mlp(), (draw_images(600, 3, 4, 4), labels))
