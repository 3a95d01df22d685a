"""The layers in a network's training passes: what they compute, and what they leave to PyTorch."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

from rps_bench.engine import layers as layers_module
from rps_bench.engine.choose import use_kernels
from rps_bench.engine.layers import NativeBatchNorm2d, NativeConv2d, norm_relu
from rps_bench.engine.native import Native
from tests.engine.reference import CL, draw, relative_error

NATIVE = "native-test-1"


def norm_layer(channels: int, momentum: float = 0.1) -> nn.BatchNorm2d:
    """A BatchNorm that trains by native kernels, of no special numbers."""
    norm = nn.BatchNorm2d(channels, momentum=momentum)
    with torch.no_grad():
        norm.weight.copy_(draw(channels, seed=5))
        norm.bias.copy_(draw(channels, seed=6))
    use_kernels(norm, NATIVE)
    assert isinstance(norm, NativeBatchNorm2d)
    return norm


def plain_copy(module: nn.Module, dtype: torch.dtype) -> nn.Module:
    plain = copy.deepcopy(module).to(dtype)
    use_kernels(plain, "plain")
    return plain


def passes_of_norm(
    norm: nn.Module,
    images: torch.Tensor,
    other: torch.Tensor | None,
    gradient: torch.Tensor,
    has_relu: bool,
) -> list[torch.Tensor]:
    """The result, the gradients by images, other, weight and bias, and the running moments."""
    inputs = [images.detach().clone().requires_grad_()]
    if other is not None:
        inputs.append(other.detach().clone().requires_grad_())
    result = norm_relu(norm, *inputs) if has_relu else norm(inputs[0])
    result.backward(gradient)
    own = [tensor.grad for tensor in (*inputs, *norm.parameters())]
    assert all(tensor is not None for tensor in own)
    return [result, *own, *norm.buffers()]  # type: ignore[list-item]


SHAPES = [
    (128, 16, 8, 8),
    (33, 64, 4, 4),
    (7, 10, 5, 5),
    (3, 1, 1, 2),
    (5, 35, 3, 1),
    (3, 130, 9, 7),
]
CASES = [(False, False), (True, False), (True, True)]  # ReLU, sum


@pytest.mark.parametrize("offset", [0.0, 30.0])
@pytest.mark.parametrize(("has_relu", "has_sum"), CASES)
@pytest.mark.parametrize("shape", SHAPES)
def test_batch_norm(
    shape: tuple[int, ...], has_relu: bool, has_sum: bool, offset: float, native: Native
) -> None:
    images, gradient = draw(*shape, seed=1) * 2 + offset, draw(*shape, seed=2)
    other = draw(*shape, seed=3) if has_sum else None
    norm = norm_layer(shape[1], momentum=0.3)
    exact = plain_copy(norm, torch.float64)
    plain = plain_copy(norm, torch.float32)
    given = passes_of_norm(norm, images, other, gradient, has_relu)
    double = None if other is None else other.double()
    expected = passes_of_norm(exact, images.double(), double, gradient.double(), has_relu)
    theirs = passes_of_norm(plain, images, other, gradient, has_relu)
    # Where the ReLU cuts, numbers next to 0 may round to its other side: only there may they differ
    # by more than rounding.
    for own, right, pytorch in zip(given, expected, theirs, strict=True):
        if right.double().norm() > 1e-6:
            limit = max(2e-5, 4 * relative_error(pytorch, right))
            assert relative_error(own, right) < limit
    assert given[-1] == 1  # num_batches_tracked


@pytest.mark.parametrize(("has_relu", "has_sum"), CASES)
def test_batch_norm_of_bfloat16(has_relu: bool, has_sum: bool, native: Native) -> None:
    shape = (64, 48, 6, 6)
    images, gradient = (draw(*shape, seed=seed, dtype=torch.bfloat16) for seed in (1, 2))
    other = draw(*shape, seed=3, dtype=torch.bfloat16) if has_sum else None
    norm = norm_layer(48)
    exact, plain = plain_copy(norm, torch.float64), plain_copy(norm, torch.float32)
    given = passes_of_norm(norm, images, other, gradient, has_relu)
    double = None if other is None else other.double()
    expected = passes_of_norm(exact, images.double(), double, gradient.double(), has_relu)
    theirs = passes_of_norm(plain, images, other, gradient, has_relu)
    for own, right, pytorch in zip(given, expected, theirs, strict=True):
        assert own.dtype == pytorch.dtype
        assert relative_error(own, right) < max(1.2 * relative_error(pytorch, right), 1e-5)


def test_a_tiny_variance_is_kept_from_zero_by_eps(native: Native) -> None:
    images = torch.full((8, 16, 4, 4), 3.0).contiguous(memory_format=CL)
    images[0, :, 0, 0] += 1e-4
    norm = norm_layer(16)
    given = norm(images.requires_grad_())
    expected = plain_copy(norm, torch.float64)(images.double())
    assert relative_error(given, expected) < 1e-3
    assert bool(given.isfinite().all())


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_is_not_finite_spoils_its_channel(
    value: float, dtype: torch.dtype, native: Native
) -> None:
    images = draw(4, 33, 5, 5, dtype=dtype)
    images[1, 2, 3, 4] = images[0, 32, 0, 0] = value
    result = norm_relu(norm_layer(33), images.requires_grad_())
    result.sum().backward()  # type: ignore[no-untyped-call]
    assert images.grad is not None
    spoiled = [2, 32]
    others = [channel for channel in range(33) if channel not in spoiled]
    for tensor in (result, images.grad):
        assert not bool(tensor[:, spoiled].isfinite().any())
        assert bool(tensor[:, others].isfinite().all())


def test_threads_change_no_bit_of_batch_norm(native: Native) -> None:
    images, other, gradient = (draw(64, 32, 16, 16, seed=seed) for seed in (1, 2, 3))
    before = torch.get_num_threads()
    found = []
    for num_threads in (1, 2, 3, 2):
        torch.set_num_threads(num_threads)
        found.append(passes_of_norm(norm_layer(32), images, other, gradient, has_relu=True))
    torch.set_num_threads(before)
    for again in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], again, strict=True))


def conv_layer(bias: bool = True, **options: Any) -> nn.Conv2d:
    """A convolution that trains by native kernels."""
    layer = nn.Conv2d(32, 32, **({"kernel_size": 3, "padding": 1, "bias": bias} | options))
    use_kernels(layer, NATIVE)
    return layer


def count_passes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A list that grows with every pass that goes another way than PyTorch's."""
    seen: list[str] = []
    for name in ("Convolution", "Normalisation"):
        function = getattr(layers_module, name)

        def apply(*inputs: Any, own: Any = function.apply, label: str = name) -> Any:
            seen.append(label)
            return own(*inputs)

        monkeypatch.setattr(function, "apply", apply)
    return seen


IMAGES = (2, 32, 8, 8)


@pytest.mark.parametrize("bias", [True, False])
def test_a_layer_s_gradients(bias: bool, monkeypatch: pytest.MonkeyPatch, native: Native) -> None:
    seen = count_passes(monkeypatch)
    layer, images = conv_layer(bias), draw(*IMAGES).requires_grad_()
    exact = plain_copy(layer, torch.float64)
    doubled = images.detach().double().requires_grad_()
    for network, given in ((layer, images), (exact, doubled)):
        network(given).square().sum().backward()
    assert seen == ["Convolution"]
    tensors = [images, *layer.parameters()]
    for own, right in zip(tensors, [doubled, *exact.parameters()], strict=True):
        assert own.grad is not None
        assert right.grad is not None
        assert relative_error(own.grad, right.grad) < 2e-5


def no_grad(layer: nn.Module, images: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return layer(images)  # type: ignore[no-any-return]


def inference(layer: nn.Module, images: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        return layer(images).clone()  # type: ignore[no-any-return]


def evaluated(layer: nn.Module, images: torch.Tensor) -> torch.Tensor:
    return layer.eval()(images)  # type: ignore[no-any-return]


def in_float64(layer: nn.Module, images: torch.Tensor) -> torch.Tensor:
    return layer.double()(images.double())  # type: ignore[no-any-return]


def mapped(layer: nn.Module, images: torch.Tensor) -> torch.Tensor:
    if isinstance(layer, nn.BatchNorm2d):
        layer.running_mean = layer.running_var = layer.num_batches_tracked = None
        layer.track_running_stats = False
    return torch.func.vmap(layer, randomness="error")(images[None])[0]  # type: ignore[no-any-return]


def traced(layer: nn.Module, images: torch.Tensor) -> torch.Tensor:
    return torch.export.export(layer, (images,)).module()(images)  # type: ignore[no-any-return]


def counted(layer: nn.Module, images: torch.Tensor) -> torch.Tensor:
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        result: torch.Tensor = layer(images)
    if isinstance(layer, nn.Conv2d):
        assert counter.get_total_flops() == 2 * 2 * 64 * 32 * 32 * 9
    return result


LEFT_TO_PYTORCH = [no_grad, inference, evaluated, in_float64, mapped, traced, counted]


@pytest.mark.parametrize("call", LEFT_TO_PYTORCH)
@pytest.mark.parametrize("make", [conv_layer, lambda: norm_layer(32)])
def test_what_is_no_ordinary_training_pass_is_pytorch_s_own(
    call: Callable[[nn.Module, torch.Tensor], torch.Tensor],
    make: Callable[[], nn.Module],
    monkeypatch: pytest.MonkeyPatch,
    native: Native,
) -> None:
    layer = make()
    plain = plain_copy(layer, torch.float32)
    seen = count_passes(monkeypatch)
    images = draw(*IMAGES)
    given, expected = call(layer, images), call(plain, images)
    assert torch.equal(given, expected)
    assert seen == []


@pytest.mark.parametrize(
    "options",
    [
        {"kernel_size": 1, "padding": 0},
        {"stride": 2},
        {"padding": 0},
        {"padding": 2, "dilation": 2},
        {"groups": 2},
        {"padding_mode": "circular"},
        {"kernel_size": (3, 1), "padding": (1, 0)},
    ],
)
def test_other_convolutions_are_pytorch_s_own(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch, native: Native
) -> None:
    layer = conv_layer(**options)
    seen = count_passes(monkeypatch)
    images = draw(*IMAGES)
    assert torch.equal(layer(images), plain_copy(layer, torch.float32)(images))
    assert seen == []


def test_padding_the_same_is_padding_one(monkeypatch: pytest.MonkeyPatch, native: Native) -> None:
    layer = conv_layer(padding="same")
    seen = count_passes(monkeypatch)
    layer(draw(*IMAGES))
    assert seen == ["Convolution"]


@pytest.mark.parametrize("shape", [(2, 31, 8, 8), (32, 8, 8), (2, 32, 8)])
def test_wrong_shapes_end_as_in_the_plain_layer(shape: tuple[int, ...], native: Native) -> None:
    for layer in (conv_layer(), norm_layer(32)):
        plain = plain_copy(layer, torch.float32)
        images = torch.zeros(shape)
        assert outcome(layer, images) == outcome(plain, images)


def outcome(layer: nn.Module, images: torch.Tensor) -> object:
    try:
        return layer(images).shape
    except (RuntimeError, ValueError) as error:
        return str(error)


def test_one_number_a_channel_is_an_error_as_in_the_plain_layer(native: Native) -> None:
    with pytest.raises(ValueError, match="Expected more than 1 value per channel"):
        norm_layer(16)(draw(1, 16, 1, 1).requires_grad_())


@pytest.mark.parametrize(
    "options", [{"momentum": None}, {"affine": False}, {"track_running_stats": False}]
)
def test_other_batch_norms_are_pytorch_s_own(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch, native: Native
) -> None:
    norm = nn.BatchNorm2d(32, **options)
    use_kernels(norm, NATIVE)
    seen = count_passes(monkeypatch)
    images = draw(*IMAGES)
    plain = plain_copy(norm, torch.float32)
    assert torch.equal(norm(images), plain(images))
    assert all(torch.equal(a, b) for a, b in zip(norm.buffers(), plain.buffers(), strict=True))
    assert seen == []


def test_autocast_computes_in_its_own_dtype(
    monkeypatch: pytest.MonkeyPatch, native: Native
) -> None:
    network = nn.Sequential(nn.Conv2d(64, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU())
    plain = copy.deepcopy(network)
    use_kernels(network, NATIVE)
    seen = count_passes(monkeypatch)
    images = draw(4, 64, 4, 4)
    results = []
    for own in (network, plain):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            results.append(own(images))
        results[-1].float().sum().backward()
    assert seen == ["Convolution", "Normalisation"]
    assert results[0].dtype == results[1].dtype == torch.bfloat16
    assert relative_error(*results) < 2**-7
    for parameter in network.parameters():
        assert parameter.grad is not None
        assert parameter.grad.dtype == torch.float32


def test_gradients_can_be_differentiated_again(native: Native) -> None:
    network = nn.Sequential(nn.Conv2d(32, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU())
    use_kernels(network, NATIVE)
    found = []
    for own in (network, plain_copy(network, torch.float32)):
        images = draw(*IMAGES).contiguous().requires_grad_()  # no channels last
        loss = own(images).pow(3).mean()
        first = torch.autograd.grad(loss, [images, *own.parameters()], create_graph=True)
        again = torch.autograd.grad(sum(g.square().sum() for g in first), [images])  # type: ignore[arg-type]
        found.append(again[0])
    assert relative_error(*found) < 1e-4


def test_gradients_of_many_results_at_once(native: Native) -> None:
    network = nn.Sequential(nn.Conv2d(32, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU())
    use_kernels(network, NATIVE)
    found: list[torch.Tensor] = []
    for own in (network, plain_copy(network, torch.float32)):
        images = draw(*IMAGES).requires_grad_()
        result = own(images)
        directions = torch.stack([draw(*IMAGES, seed=seed) for seed in (1, 2)])
        found += torch.autograd.grad(result, [images], directions, is_grads_batched=True)
    assert relative_error(*found) < 1e-4


def test_memory_is_read_and_made_as_the_kernels_want_it(native: Native) -> None:
    """Whatever the strides of what is given are, and PyTorch's defaults."""
    network = nn.Sequential(nn.Conv2d(32, 48, 3, padding=1), nn.BatchNorm2d(48), nn.ReLU())
    use_kernels(network, NATIVE)
    exact = plain_copy(network, torch.float64)
    with torch.no_grad():
        for parameter in network[0].parameters():  # every second number of its memory
            spread = torch.stack([parameter, torch.full_like(parameter, 1e6)], dim=-1)
            parameter.set_(spread[..., 0])  # type: ignore[call-overload]
    images = draw(2, 8, 32, 8).permute(0, 2, 1, 3)
    results = [network(images.requires_grad_()), exact(images.double())]
    torch.set_default_dtype(torch.float64)
    try:
        results[0].square().sum().backward()
    finally:
        torch.set_default_dtype(torch.float32)
    results[1].square().sum().backward()
    assert relative_error(*results) < 2e-5
    for own, right in zip(network.parameters(), exact.parameters(), strict=True):
        assert own.grad is not None
        assert right.grad is not None
        assert (own.grad.double() - right.grad).norm() < 1e-3 * max(right.grad.norm(), 1.0)


def test_checkpointed_blocks(native: Native) -> None:
    network = nn.Sequential(nn.Conv2d(32, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU())
    use_kernels(network, NATIVE)
    gradients = []
    for is_checkpointed in (True, False):
        network.zero_grad()
        images = draw(*IMAGES).requires_grad_()
        if is_checkpointed:
            result = checkpoint(network, images, use_reentrant=False)
        else:
            result = network(images)
        result.square().sum().backward()
        gradients.append([p.grad for p in network.parameters()])
    for own, right in zip(*gradients, strict=True):
        assert own is not None
        assert right is not None
        assert torch.equal(own, right)


@pytest.mark.parametrize(
    "watch",
    [
        lambda layer, see: layer.register_forward_hook(lambda *_: see()),
        lambda layer, see: layer.register_forward_pre_hook(lambda *_: see()),
        lambda layer, see: layer.register_full_backward_hook(lambda *_: see()),
        lambda layer, see: nn.modules.module.register_module_forward_hook(
            lambda module, *_: see() if module is layer else None
        ),
    ],
)
@pytest.mark.parametrize("place", [1, 2])
def test_hooks_see_the_layer_that_they_watch(
    watch: Callable[..., Any], place: int, native: Native
) -> None:
    network = nn.Sequential(nn.Conv2d(32, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU())
    use_kernels(network, NATIVE)
    seen: list[int] = []
    handle = watch(network[place], lambda: seen.append(1))
    try:
        network(draw(*IMAGES)).sum().backward()
    finally:
        handle.remove()
    assert seen == [1]


def test_copies_and_pickles_train_the_same(native: Native) -> None:
    network = nn.Sequential(nn.Conv2d(32, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU())
    use_kernels(network, NATIVE)
    others = [copy.copy(network), copy.deepcopy(network), pickle.loads(pickle.dumps(network))]
    expected = network(draw(*IMAGES))
    for other in others:
        assert isinstance(other[0], NativeConv2d)
        assert list(other.state_dict()) == list(network.state_dict())
        assert torch.equal(other(draw(*IMAGES)), expected)


def test_the_fused_sum_is_not_taken_of_other_shapes(native: Native) -> None:
    norm, images = norm_layer(16), draw(4, 16, 8, 8)
    other = draw(4, 16, 1, 1)
    expected = F.relu(plain_copy(norm, torch.float32)(images) + other)
    assert relative_error(norm_relu(norm, images, other), expected) < 1e-5
