"""Networks that train by a set of kernels: the same mathematics, in the same modules."""

import copy
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from rps_bench.core.errors import UserError
from rps_bench.engine.choose import (
    list_names,
    name_build,
    resolve_kernels,
    training_by,
    use_kernels,
)
from rps_bench.engine.names import ENGINES, KERNEL_SETS
from rps_bench.engine.native import Native
from rps_bench.methods import build_method
from rps_bench.models import build_model
from tests.engine.reference import CL, draw, relative_error


class OwnConv(nn.Conv2d):
    """A layer that a user has derived, with a forward of its own."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return super().forward(images) * 2


class OwnNetwork(nn.Module):
    """A user's network, with a layer that is used twice and functions between layers."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 3, padding=1)
        self.own = OwnConv(32, 32, 3, padding=1)
        self.twice = nn.Conv2d(32, 32, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(32)
        self.head = nn.Linear(32, 4)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features = F.gelu(self.stem(images))
        features = self.own(features) + features
        features = self.norm(self.twice(self.twice(features)))
        return self.head(F.max_pool2d(features, 2).mean((2, 3)))  # type: ignore[no-any-return]


def resnet() -> nn.Module:
    return build_model("resnet20", 4, 16, torch.Generator().manual_seed(0))


def vgg() -> nn.Module:
    return build_model("vgg11", 4, 32, torch.Generator().manual_seed(0))


def own_network() -> nn.Module:
    torch.manual_seed(0)
    return OwnNetwork()


CPU = torch.device("cpu")
NETWORKS = [resnet, vgg, own_network]
Make = Callable[[], nn.Module]


def name_of(kernels: str) -> str:
    return resolve_kernels(kernels, CPU, lambda line: None)


def train(network: nn.Module, num_steps: int = 2) -> list[torch.Tensor]:
    """The losses of some steps of SGD on fixed images."""
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9)
    dtype = next(network.parameters()).dtype
    images = draw(8, 3, 16, 16).to(dtype).contiguous(memory_format=CL)
    losses = []
    network.train()
    for _ in range(num_steps):
        loss = F.cross_entropy(network(images), torch.arange(8) % 4)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(loss.detach())
    return losses


@pytest.mark.parametrize("kernels", KERNEL_SETS)
@pytest.mark.parametrize("make", NETWORKS)
def test_a_network_trains_as_in_float64(make: Make, kernels: str, native: Native) -> None:
    network = make()
    exact = copy.deepcopy(network).double()
    use_kernels(network, name_of(kernels))
    found, expected = train(network), train(exact)
    # A number next to 0 that rounds to the ReLU's other side moves later losses by a thousandth.
    for own, right in zip(found, expected, strict=True):
        assert relative_error(own, right) < 1e-3
    for own, right in zip(network.buffers(), exact.buffers(), strict=True):
        assert relative_error(own, right) < 1e-3


@pytest.mark.parametrize("make", NETWORKS)
def test_plain_is_pytorch_bit_for_bit(make: Make, native: Native) -> None:
    network, plain = make(), make()
    use_kernels(network, name_of("native"))
    use_kernels(network, "plain")
    assert [type(module) for module in network.modules()] == [type(m) for m in plain.modules()]
    assert all(torch.equal(a, b) for a, b in zip(train(network), train(plain), strict=True))


@pytest.mark.parametrize("kernels", ["products", "native"])
@pytest.mark.parametrize("make", NETWORKS)
def test_evaluation_is_pytorch_bit_for_bit(make: Make, kernels: str, native: Native) -> None:
    network, plain = make(), make()
    use_kernels(network, name_of(kernels))
    images = draw(4, 3, 16, 16)
    with torch.inference_mode():
        assert torch.equal(network.eval()(images), plain.eval()(images))


@pytest.mark.parametrize("make", NETWORKS)
def test_the_modules_stay_what_they_are(make: Make, native: Native) -> None:
    network, plain = make(), make()
    use_kernels(network, name_of("native"))
    assert list(network.state_dict()) == list(plain.state_dict())
    for own, other in zip(network.modules(), plain.modules(), strict=True):
        assert isinstance(own, type(other))
        assert own.__dict__.keys() == other.__dict__.keys()
    plain.load_state_dict(network.state_dict())


@pytest.mark.parametrize("make", [resnet, vgg])
def test_an_export_sees_pytorch_s_own_operations(make: Make, native: Native) -> None:
    network, plain = make(), make()
    use_kernels(network, name_of("native"))
    images = draw(4, 3, 16, 16)
    exported = torch.export.export(network.train(), (images,)).module()
    assert torch.equal(exported(images), plain.train()(images))


def test_derived_layers_are_left_alone(native: Native) -> None:
    network = OwnNetwork()
    use_kernels(network, name_of("native"))
    assert type(network.own) is OwnConv
    assert type(network.twice) is not nn.Conv2d


@pytest.mark.parametrize("method", ["stable_rps", "mag", "dense"])
@pytest.mark.parametrize("make", NETWORKS)
def test_gradients_reach_the_stored_values(make: Make, method: str, native: Native) -> None:
    probe = (draw(8, 3, 16, 16), torch.arange(8) % 4)
    compression = 1 if method == "dense" else 4
    compressed = build_method(method, compression, seed=0).compress(make(), probe)
    plain = copy.deepcopy(compressed)
    use_kernels(compressed, name_of("native"))
    for network in (compressed, plain):
        network.train()
        network(probe[0]).square().sum().backward()
    assert compressed.stored.grad is not None
    assert plain.stored.grad is not None
    assert relative_error(compressed.stored.grad, plain.stored.grad) < 1e-2  # cut numbers next to 0
    use_kernels(compressed, "plain")
    weights, expected = compressed.to_dense().parameters(), plain.to_dense().parameters()
    assert all(torch.equal(a, b) for a, b in zip(weights, expected, strict=True))


def test_a_run_is_the_same_bit_for_bit_whatever_the_number_of_threads(native: Native) -> None:
    """But for PyTorch's own passes; here all sums that threads share are native."""
    before, found = torch.get_num_threads(), []
    network = nn.Sequential(
        nn.Conv2d(16, 16, 3, padding=1),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, padding=1),
    )
    use_kernels(network, name_of("native"))
    images = draw(32, 16, 16, 16)
    for num_threads in (1, 2, 2):
        torch.set_num_threads(num_threads)
        own = copy.deepcopy(network)
        own(images).square().mean().backward()
        found.append([p.grad for p in own.parameters() if p.ndim > 1])
    torch.set_num_threads(before)
    for again in found[1:]:
        for a, b in zip(found[0], again, strict=True):
            assert a is not None
            assert b is not None
            assert torch.equal(a, b)


def test_names_tell_the_set_and_its_version(native: Native) -> None:
    assert name_of("plain") == "plain"
    assert name_of("products") == "products-1"
    assert name_of("native") == f"native-{native.instructions}-1" == name_of("auto")
    builds = [name_build(name_of(kernels)) for kernels in KERNEL_SETS]
    assert builds == [None, None, native.build]


@pytest.mark.parametrize("kernels", ENGINES)
def test_a_name_is_among_those_that_are_told_beforehand(kernels: str, native: Native) -> None:
    assert name_of(kernels) in list_names(kernels, CPU)


@pytest.mark.parametrize("kernels", ENGINES)
@pytest.mark.parametrize("device", ["cuda:0", "meta"])
def test_other_devices_train_by_pytorch(kernels: str, device: str) -> None:
    def fail(line: str) -> None:
        raise AssertionError(line)

    assert resolve_kernels(kernels, torch.device(device), fail) == "plain"
    assert list_names(kernels, torch.device(device)) == ("plain",)


def test_layers_are_plain_again_however_training_ends(native: Native) -> None:
    network = OwnNetwork()

    def train_until_interrupted() -> None:
        with training_by(network, name_of("native")):
            assert type(network.twice) is not nn.Conv2d
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_until_interrupted()
    assert [type(network.twice), type(network.norm)] == [nn.Conv2d, nn.BatchNorm2d]


def test_an_unknown_set_is_one_line_that_names_them_all() -> None:
    with pytest.raises(UserError, match="engine must be one of plain, products, native, auto"):
        name_of("fast")
