"""The watched training is the ordinary one, and what it notes is what autograd says of a layer."""

import copy

import pytest
import torch
import torch.nn.functional as F

from rps_bench.core.seeds import named_generator
from rps_bench.datasets import load_dataset
from rps_bench.datasets.probe import probe_batch
from rps_bench.datasets.shrinking import shrink
from rps_bench.methods.compressed import CompressedModel
from rps_bench.methods.layout import layer_ranges
from rps_bench.models import build_model
from rps_bench.studies.layer_course import (
    LayerCourse,
    LayerTrainer,
    scale_invariant_layers,
    train_watched,
)
from rps_bench.studies.variants import build_variant
from rps_bench.sweep.planning import plan_runs
from rps_bench.training.loop import Trainer, Training

VARIANTS = ["dense", "rand", "stable_rps", "stable_rps scaling=none"]


def training() -> Training:
    """Six steps on digits of 16 pixels."""
    recipe = plan_runs(["dataset=digits", "recipe=smoke"], is_sweep=False).configs[0].recipe
    return Training(shrink(load_dataset("digits"), 16), recipe, 0, "fp32")


def compress(variant: str, arch: str = "resnet20") -> CompressedModel:
    own = training()
    model = build_model(arch, 10, 4, named_generator(0, "init"))
    compression = 1.0 if variant == "dense" else 10.0
    return build_variant(variant, compression, 0).compress(model, probe_batch(own.dataset, 0))


def per_layer(flat: torch.Tensor, model: CompressedModel) -> torch.Tensor:
    pieces = [flat[start:stop] for start, stop in layer_ranges(model.layout)]
    return torch.stack([piece.double().norm() for piece in pieces])


@pytest.mark.parametrize("variant", VARIANTS)
def test_watching_changes_no_bit_of_the_training(variant: str) -> None:
    watched, plain = compress(variant), compress(variant)
    course = train_watched(watched, training())
    trainer = Trainer(plain, training())
    for epoch in (1, 2):
        trainer.train_epoch(epoch)
    assert len(course.angles) == trainer.step == 6
    assert len(course.norms) == 7
    for name, tensor in plain.state_dict().items():
        torch.testing.assert_close(watched.state_dict()[name], tensor, rtol=0, atol=0)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_step_by_hand(variant: str) -> None:
    model = compress(variant)
    before = copy.deepcopy(model)
    trainer = LayerTrainer(model, training())
    trainer.course = LayerCourse()
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(16, 3, 16, 16, generator=generator)
    labels = torch.arange(16) % 10
    trainer.train_step(images, labels)
    course = trainer.course

    dense = before.to_dense().train()
    weights = dict(dense.named_parameters())
    loss = F.cross_entropy(dense(images), labels)
    gradients = torch.autograd.grad(loss, [weights[name] for name, _ in model.layout])
    gradient = torch.cat([one.reshape(-1) for one in gradients])
    torch.testing.assert_close(course.gradients[0], per_layer(gradient, model), rtol=1e-4, atol=0)
    start, end = before.weights().detach(), model.weights().detach()
    torch.testing.assert_close(course.norms[0], per_layer(start, model))
    # The first step of SGD is the rate times (what the map lets through + weight decay).
    rate, decay = course.rates[0], trainer.recipe.weight_decay
    step = (start - end) / rate - decay * start
    is_alive = course.norms[0] > 0
    torch.testing.assert_close(
        course.steps[0][is_alive], per_layer(step, model)[is_alive], rtol=2e-3, atol=1e-5
    )
    for layer, (begin, stop) in enumerate(layer_ranges(model.layout)):
        if is_alive[layer]:
            one, other = start[begin:stop].double(), end[begin:stop].double()
            cosine = (one @ other / one.norm() / other.norm()).clamp(max=1.0)
            assert abs(float(course.angles[0][layer] - torch.arccos(cosine))) < 1e-5


@pytest.mark.parametrize("arch", ["resnet20", "vgg11"])
def test_the_chosen_layers_are_the_scale_invariant_ones(arch: str) -> None:
    model = compress("dense", arch)
    chosen = scale_invariant_layers(model.skeleton)
    names = [name for name, _ in model.layout]
    assert [names[k] for k in range(len(names)) if k not in chosen] == ["classifier.weight"]
    cosines = torch.stack(train_watched(model, training()).cosines).abs()
    assert cosines[:, chosen].max() < 1e-3
    assert cosines[:, -1].max() > 1e-2
