"""What a live compressed model stores, and that it leaves nothing behind."""

import copy
import gc
from collections.abc import Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from rps_bench.methods import build_method, methods_of
from rps_bench.methods.base import Probe
from rps_bench.methods.compressed import CompressedModel
from rps_bench.models import build_model

SHARING = methods_of("sharing")
N = 270_896


@pytest.fixture(scope="module")
def dense() -> nn.Module:
    return build_model("resnet20", 10, None, torch.Generator().manual_seed(0))


@pytest.fixture(scope="module", params=SHARING)
def compressed(request: pytest.FixtureRequest, dense: nn.Module, probe: Probe) -> CompressedModel:
    """A whole ResNet-20 at c = 100, after a training step."""
    shared = build_method(request.param, 100).compress(dense, probe)
    logits = shared(probe[0])
    F.cross_entropy(logits, probe[1]).backward()  # type: ignore[no-untyped-call]
    return shared


def reachable_tensors(root: object) -> Iterator[torch.Tensor]:
    """Every tensor that the object's attributes, lists and tables lead to."""
    seen: set[int] = set()
    waiting: list[Any] = [root]
    while waiting:
        thing = waiting.pop()
        if id(thing) in seen or isinstance(thing, type):
            continue
        seen.add(id(thing))
        if isinstance(thing, torch.Tensor):
            yield thing
            if thing.grad_fn is None and thing.grad is not None:
                waiting.append(thing.grad)
        elif isinstance(thing, dict):
            waiting += thing.values()
        elif isinstance(thing, list | tuple | set | frozenset):
            waiting += thing
        elif type(thing).__module__.startswith(("rps_bench", "torch.nn")):
            waiting += vars(thing).values()


def test_nothing_of_the_networks_size_is_stored(compressed: CompressedModel) -> None:
    m = N // 100
    tensors = {
        tensor.untyped_storage().data_ptr(): tensor for tensor in reachable_tensors(compressed)
    }
    assert any(tensor is compressed.stored for tensor in tensors.values())
    assert max(tensor.numel() for tensor in tensors.values()) == m
    # theta, its gradient and what that is divided by; the rest and its gradient; BatchNorm's
    # statistics and counters.
    rest = 272_474 - N
    statistics = sum(buffer.numel() for buffer in compressed.skeleton.buffers())
    num_stored = sum(tensor.untyped_storage().nbytes() for tensor in tensors.values()) / 4
    assert num_stored <= 3 * m + 2 * rest + 2 * statistics


def test_no_weights_remain_after_a_step(dense: nn.Module, probe: Probe) -> None:
    def num_large() -> int:
        gc.collect()
        found = [thing for thing in gc.get_objects() if type(thing) is torch.Tensor]
        return sum(tensor.untyped_storage().nbytes() >= N * 2 for tensor in found)

    compressed = build_method("stable_rps", 100).compress(dense, probe)
    before = num_large()
    logits = compressed(probe[0])
    for layer in compressed.skeleton.modules():
        assert "weight" not in vars(layer)
        if isinstance(layer, nn.Conv2d | nn.Linear):
            assert layer.weight is None
    F.cross_entropy(logits, probe[1]).backward()  # type: ignore[no-untyped-call]
    del logits
    assert num_large() == before


def test_no_weights_remain_after_a_failed_pass(plain: nn.Module, probe: Probe) -> None:
    compressed = build_method("stable_rps", 10).compress(plain, probe)
    with pytest.raises(RuntimeError):
        compressed(torch.zeros(2, 5, 8, 8))
    assert not any("weight" in vars(layer) for layer in compressed.modules())
    assert compressed(probe[0]).isfinite().all()


def test_parameters_are_theta_biases_and_batchnorm(
    compressed: CompressedModel, dense: nn.Module
) -> None:
    names = {name for name, _ in compressed.named_parameters()}
    others = {name for name, tensor in dense.named_parameters() if tensor.dim() == 1}
    assert names == {"stored"} | {f"skeleton.{name}" for name in others}
    assert sum(p.numel() for p in compressed.parameters()) == N // 100 + 272_474 - N
    assert all(parameter.requires_grad for parameter in compressed.parameters())
    assert all(parameter.grad is not None for parameter in compressed.parameters())


def test_forward_is_the_dense_network_with_the_recovered_weights(
    plain: nn.Module, probe: Probe
) -> None:
    """Outputs, and the gradients of theta, biases and BatchNorm, in train mode."""
    images, labels = probe[0].double(), probe[1]
    compressed = build_method("stable_rps", 7).compress(plain.double(), probe)
    parameters: dict[str, torch.Tensor] = dict(plain.named_parameters())
    theta = compressed.stored.detach().clone().requires_grad_()
    slots, coefficients = compressed.weight_map.slots(), compressed.weight_map.coefficients()
    weights = theta[slots] * coefficients
    parameters["0.weight"] = weights[:108].view(4, 3, 3, 3)
    parameters["5.weight"] = weights[108:].view(10, 16)
    expected = torch.func.functional_call(plain, parameters, (images,))
    found = compressed(images)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    F.cross_entropy(expected, labels).backward()  # type: ignore[no-untyped-call]
    F.cross_entropy(found, labels).backward()  # type: ignore[no-untyped-call]
    assert theta.grad is not None
    scaled = theta.grad / compressed.gradient_scale()
    torch.testing.assert_close(compressed.stored.grad, scaled, rtol=1e-11, atol=1e-14)
    for name, parameter in compressed.skeleton.named_parameters():
        torch.testing.assert_close(parameter.grad, parameters[name].grad, rtol=1e-11, atol=1e-14)


def test_two_passes_before_one_backward(plain: nn.Module, probe: Probe) -> None:
    compressed = build_method("rpg", 7).compress(plain, probe).eval()
    images = probe[0]
    total = compressed(images[:10]).sum() + compressed(images[10:]).sum()
    (both,) = torch.autograd.grad(total, [compressed.stored])
    (whole,) = torch.autograd.grad(compressed(images).sum(), [compressed.stored])
    torch.testing.assert_close(both, whole, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["stable_rps", "mag", "dense"])
def test_a_deep_copy_stands_alone(name: str, plain: nn.Module, probe: Probe) -> None:
    compression = 1 if name == "dense" else 5
    original = build_method(name, compression).compress(plain, probe).eval()
    expected = original(probe[0]).detach()
    twin = copy.deepcopy(original)
    assert torch.equal(twin(probe[0]), expected)
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.add_(1)
    assert torch.equal(original(probe[0]), expected)
    assert not torch.equal(twin(probe[0]), expected)
    mine = {tensor.untyped_storage().data_ptr() for tensor in original.parameters()}
    assert all(tensor.untyped_storage().data_ptr() not in mine for tensor in twin.parameters())


@pytest.mark.parametrize("name", [*SHARING, "mag", "dense"])
def test_a_new_dtype_keeps_the_map(name: str, plain: nn.Module, probe: Probe) -> None:
    options = {"tile": 2} if name == "roast" else {}
    compression = 1 if name == "dense" else 5
    compressed = build_method(name, compression, **options).compress(plain, probe)
    single, slots = compressed.weights().detach(), compressed.weight_map.slots()
    compressed = compressed.double()
    weights = compressed.weights().detach()
    assert weights.dtype == torch.float64
    assert torch.equal(compressed.weight_map.slots(), slots)
    stored, coefficients = compressed.stored.detach(), compressed.weight_map.coefficients()
    gathered = stored[slots.clamp(min=0)] * coefficients * (slots >= 0)
    torch.testing.assert_close(weights, gathered, rtol=1e-14, atol=0)
    torch.testing.assert_close(weights.float(), single, rtol=1e-6, atol=0)
    assert compressed.gradient_scale().dtype == torch.float64
    assert compressed(probe[0].double()).dtype == torch.float64


def test_the_state_dict_is_the_parameters_and_statistics(plain: nn.Module, probe: Probe) -> None:
    first = build_method("stable_rps", 5, seed=3).compress(plain, probe)
    first(probe[0])
    second = build_method("stable_rps", 5, seed=3).compress(plain, probe)
    second.load_state_dict(first.state_dict())
    assert torch.equal(first.eval()(probe[0]), second.eval()(probe[0]))


def test_to_dense_shares_no_memory(plain: nn.Module, probe: Probe) -> None:
    compressed = build_method("dense", 1).compress(plain, probe).eval()
    dense = compressed.to_dense()
    expected = compressed(probe[0]).detach()
    with torch.no_grad():
        for parameter in dense.parameters():
            parameter.zero_()
    assert torch.equal(compressed(probe[0]), expected)
