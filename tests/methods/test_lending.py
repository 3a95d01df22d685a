"""Weights are there wherever a network computes with them, and nowhere else afterwards."""

import copy
import gc
import json
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call, grad, vmap
from torch.optim.swa_utils import AveragedModel
from torch.utils.checkpoint import checkpoint

from rps_bench.core.errors import UserError
from rps_bench.methods import build_method
from rps_bench.methods.base import Probe
from rps_bench.methods.compressed import CompressedModel
from rps_bench.models import build_model
from tests.methods.odd_networks import HiddenTie, build

# Of attention's packed projection, which is not compressed.
pytestmark = pytest.mark.filterwarnings("ignore:the compression leaves")

METHODS = ("dense", "stable_rps", "mag", "rpg")


@pytest.fixture(params=METHODS)
def method(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def images(make_probe: Callable[..., Probe]) -> torch.Tensor:
    return make_probe(6, 8)[0]


def compress(method: str, network: nn.Module, images: torch.Tensor) -> CompressedModel:
    probe = images, torch.arange(len(images)) % 4
    return build_method(method, 1 if method == "dense" else 4).compress(network, probe)


@pytest.fixture
def model(method: str, images: torch.Tensor) -> CompressedModel:
    network = build_model("resnet20", 10, 2, torch.Generator().manual_seed(0))
    return compress(method, network, images).eval()


def test_many_threads_may_use_one_model(model: CompressedModel, images: torch.Tensor) -> None:
    expected, results = model(images).detach(), list[torch.Tensor | BaseException]()

    def work() -> None:
        for _ in range(10):
            try:
                with torch.no_grad():
                    results.append(model(images))
            except Exception as error:
                results.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 40
    assert all(
        isinstance(found, torch.Tensor) and torch.equal(found, expected) for found in results
    )


class Checkpointed(nn.Module):
    """A block of it is computed again in the backward pass."""

    def __init__(self, way: bool | None) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.block, self.head = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3), nn.Linear(8, 4)
        self.way = way  # None: kept as usual

    def inner(self, images: torch.Tensor) -> torch.Tensor:
        return F.relu(self.block(images))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        hidden = F.relu(self.first(images))
        if self.way is None:
            hidden = self.inner(hidden)
        else:
            hidden = checkpoint(self.inner, hidden, use_reentrant=self.way)
        logits: torch.Tensor = self.head(hidden.mean((2, 3)))
        return logits


@pytest.mark.parametrize("reentrant", [False, True])
def test_checkpointed_blocks(method: str, reentrant: bool, images: torch.Tensor) -> None:
    gradients = []
    for way in (None, reentrant):
        compressed = compress(method, Checkpointed(way), images)
        F.cross_entropy(compressed(images), torch.arange(6) % 4).backward()  # type: ignore[no-untyped-call]
        gradients.append(compressed.stored.grad)
    torch.testing.assert_close(gradients[1], gradients[0])


def replicate(model: nn.Module) -> nn.Module:
    """What DataParallel makes of a model for one device: copies of modules with plain tensors."""
    copies = {module: module._replicate_for_data_parallel() for module in model.modules()}  # type: ignore[no-untyped-call]
    for module, twin in copies.items():
        for name, child in module._modules.items():
            twin._modules[name] = None if child is None else copies[child]
        for name, parameter in module._parameters.items():
            if parameter is None:
                twin._parameters[name] = None
            else:
                setattr(twin, name, parameter.clone())
        twin._buffers.update(module._buffers)
    twin = copies[model]
    assert isinstance(twin, nn.Module)
    return twin


def test_replicas_of_data_parallel(model: CompressedModel, images: torch.Tensor) -> None:
    expected = model(images)
    replica = replicate(model)
    with torch.no_grad():
        model.stored.zero_()  # a replica has values of its own
    assert torch.equal(replica(images), expected)


def parameters_of(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: parameter.detach() for name, parameter in model.named_parameters()}


def test_an_ensemble_by_vmap(model: CompressedModel, images: torch.Tensor) -> None:
    own = parameters_of(model)
    members = [{name: value * factor for name, value in own.items()} for factor in (1, 1.5)]
    stacked = {name: torch.stack([member[name] for member in members]) for name in own}
    together = vmap(lambda parameters: functional_call(model, parameters, (images,)))(stacked)
    for found, member in zip(together, members, strict=True):
        expected = functional_call(model, member, (images,))
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_gradients_of_each_image(model: CompressedModel, images: torch.Tensor) -> None:
    labels = torch.arange(6)

    def loss(
        parameters: dict[str, torch.Tensor], image: torch.Tensor, label: torch.Tensor
    ) -> torch.Tensor:
        return F.cross_entropy(functional_call(model, parameters, (image[None],)), label[None])

    each = vmap(grad(loss), in_dims=(None, 0, 0))(parameters_of(model), images, labels)["stored"]
    for image, label, found in zip(images, labels, each, strict=True):
        model.zero_grad()
        F.cross_entropy(model(image[None]), label[None]).backward()  # type: ignore[no-untyped-call]
        torch.testing.assert_close(found, model.stored.grad, rtol=1e-4, atol=1e-6)


def test_an_averaged_model(model: CompressedModel, images: torch.Tensor) -> None:
    averaged = AveragedModel(model, use_buffers=True)
    averaged.update_parameters(model)
    with torch.no_grad():
        model.stored.mul_(3)
    averaged.update_parameters(model)
    torch.testing.assert_close(averaged.module.stored, model.stored * 2 / 3)
    with torch.no_grad():
        model.stored.mul_(2 / 3)
    torch.testing.assert_close(averaged(images), model(images), rtol=1e-4, atol=1e-5)


@pytest.mark.filterwarnings("ignore")  # the compiler's own, of what it does not follow
def test_a_compiler_sees_the_same_network(
    method: str, model: CompressedModel, images: torch.Tensor
) -> None:
    if method not in ("stable_rps", "mag"):
        pytest.skip("takes long, and two kinds of map say it all")
    expected = model(images)
    torch.compiler.reset()
    assert torch.equal(torch.compile(model, backend="eager")(images), expected)
    assert "weight" not in vars(model.skeleton.stem)


def test_an_exported_program(method: str, model: CompressedModel, images: torch.Tensor) -> None:
    if method == "rpg":
        pytest.skip("its permutation walks until it arrives, which no program can hold")
    program = torch.export.export(model, (images,))
    torch.testing.assert_close(program.module()(images), model(images))


EXPORT_FIRST = """
import torch
from rps_bench.methods import build_method
from rps_bench.models import build_model

images = torch.ones(2, 3, 8, 8)
network = build_model("resnet20", 10, 2, torch.Generator().manual_seed(0))
compressed = build_method("METHOD", 4).compress(network, (images, torch.arange(2))).eval()
program = torch.export.export(compressed, (images,)).module()
print(program(images).flatten().tolist())
print(compressed.weights().tolist())
"""


@pytest.mark.parametrize("name", ["stable_rps", "hashednet", "roast", "mag"])
def test_an_export_before_all_else_leaves_nothing_behind(name: str) -> None:
    """What a tracer has for a tensor must be in no table that later passes read."""
    script = EXPORT_FIRST.replace("METHOD", name)
    if name == "roast":
        script = script.replace('"roast", 4', '"roast", 4, tile=4')
    command = [sys.executable, "-W", "ignore", "-c", script]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    logits, weights = map(json.loads, result.stdout.splitlines())
    images = torch.ones(2, 3, 8, 8)
    network = build_model("resnet20", 10, 2, torch.Generator().manual_seed(0))
    options = {"tile": 4} if name == "roast" else {}
    method = build_method(name, 4, **options)
    compressed = method.compress(network, (images, torch.arange(2))).eval()
    assert torch.equal(torch.tensor(weights), compressed.weights())
    torch.testing.assert_close(torch.tensor(logits).view(2, 10), compressed(images))


def test_moved_by_way_of_no_memory(model: CompressedModel, images: torch.Tensor) -> None:
    """What a network is, such as the kept positions, is not lost with the values of its tensors."""
    moved = copy.deepcopy(model).to("meta").to_empty(device="cpu")
    rubbish = [torch.full((1 << 18,), 7) for _ in range(8)]  # what freed memory may hold
    moved.load_state_dict(model.state_dict())
    assert torch.equal(moved(images), model(images))
    assert len(rubbish) == 8


class Stateful(nn.Module):
    """Its pass leaves things behind, as networks with an auxiliary loss do."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.convolution, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
        self.head = nn.Linear(4, 4)
        self.num_calls = 0
        self.penalty: torch.Tensor | None = None

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        hidden = self.norm(self.convolution(images)).mean((2, 3))
        self.num_calls += 1
        self.penalty = hidden.square().mean()
        logits: torch.Tensor = self.head(hidden)
        return logits


def test_what_a_pass_sets_stays_set(method: str, images: torch.Tensor) -> None:
    compressed = compress(method, Stateful(), images).train()
    for _ in range(3):
        compressed(images)
    network = compressed.skeleton
    assert network.num_calls == 3
    assert network.norm.num_batches_tracked == 3  # type: ignore[union-attr]
    assert isinstance(network.penalty, torch.Tensor)
    network.penalty.backward()  # type: ignore[no-untyped-call]
    assert compressed.stored.grad is not None


def test_hooks_see_the_weights(model: CompressedModel, images: torch.Tensor) -> None:
    seen: list[torch.Tensor] = []
    for layer in model.skeleton.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.register_forward_hook(
                lambda layer, inputs, output: seen.append(layer.weight.detach().reshape(-1))
            )
    model(images)
    assert torch.equal(torch.cat(seen), model.weights().detach())


def test_a_layer_behind_pytorchs_back_has_its_weight(method: str, images: torch.Tensor) -> None:
    network = HiddenTie()
    compressed = compress(method, network, images)
    dense = HiddenTie()
    dense.load_state_dict(compressed.to_dense().state_dict())
    assert torch.equal(compressed(images), dense(images))
    assert compressed.skeleton.tied[0] is compressed.skeleton.encoder  # type: ignore[index]


def test_nothing_is_left_after_a_pass(method: str, images: torch.Tensor) -> None:
    compressed = compress(method, build("attention"), images).eval()
    taken: list[weakref.ref[torch.Tensor]] = []
    for layer in compressed.skeleton.modules():
        layer.register_forward_hook(
            lambda layer, inputs, output: taken.extend(
                weakref.ref(value)
                for name, value in vars(layer).items()
                if name == "weight" and method != "dense"
            )
        )
    before = {id(module): dict(vars(module)) for module in compressed.modules()}
    with torch.no_grad():
        compressed(images)
    assert taken or method == "dense"
    gc.collect()
    assert all(reference() is None for reference in taken)
    for module in compressed.modules():
        assert vars(module).keys() == before[id(module)].keys()


class Clinging(nn.Module):
    """A function of its ``__init__`` holds on to the module."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.head = nn.Linear(192, 16), nn.Linear(192, 4)
        self.decode = lambda hidden: F.linear(hidden, self.encoder.weight.t())

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.decode(F.relu(self.encoder(images.flatten(1)))))  # type: ignore[no-untyped-call]
        return logits


def test_a_function_that_would_use_the_originals_weights_is_refused(images: torch.Tensor) -> None:
    for network, name in ((Clinging(), "decode"), (nn.Sequential(Clinging()), "0.decode")):
        with pytest.raises(UserError, match=f"the function {name} holds on"):
            compress("mag", network, images)


def compiled(module: nn.Module) -> nn.Module:
    result = torch.compile(module, backend="eager")
    assert isinstance(result, nn.Module)
    return result


@pytest.mark.filterwarnings("ignore")  # the compiler's own
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_part_that_is_compiled(when: str, images: torch.Tensor) -> None:
    torch.compiler.reset()
    network = build("1-d")
    if when == "before":
        network.add_module("head", compiled(network.get_submodule("head")))
    compressed = compress("mag", network, images)
    if when == "after":
        compressed.skeleton.get_submodule("head").compile(backend="eager")
    expected = compressed.to_dense()(images)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()  # the copy has weights of its own
    assert torch.equal(compressed(images), expected)
