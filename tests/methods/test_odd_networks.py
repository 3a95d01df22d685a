"""What holds for any network: its ties, frozen weights and dtypes stay, in memory and in files."""

import copy
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import parametrizations, prune

from rps_bench.core.errors import UserError
from rps_bench.methods import build_method, load_compressed
from rps_bench.methods.base import Probe
from rps_bench.methods.compressed import CompressedModel
from rps_bench.methods.files import write
from rps_bench.methods.layerwise import recover_by_layer
from rps_bench.methods.layout import count_parameters, num_weights
from tests.methods.odd_networks import NETWORKS, LayerTwice, TiedLinear, build

# Which parameters stay dense is said; what is said has tests of its own.
pytestmark = pytest.mark.filterwarnings("ignore:the compression leaves")

METHODS = ("dense", "stable_rps", "mag")


@pytest.fixture(scope="module")
def probe(make_probe: Callable[..., Probe]) -> Probe:
    return make_probe(20, 8, 4)


def compress(method: str, network: nn.Module, probe: Probe, seed: int = 0) -> CompressedModel:
    compression = 1 if method == "dense" else 4
    return build_method(method, compression, seed).compress(network, probe)


def train_two_steps(model: nn.Module, probe: Probe) -> None:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    for _ in range(2):
        optimizer.zero_grad()
        F.cross_entropy(model(probe[0]), probe[1]).backward()  # type: ignore[no-untyped-call]
        optimizer.step()


@pytest.mark.parametrize("name", NETWORKS)
def test_the_dense_method_trains_as_the_network_itself(name: str, probe: Probe) -> None:
    """Bit for bit: a tie gets the sum of its gradients, a frozen layer none."""
    network = build(name).train()
    compressed = compress("dense", network, probe).train()
    assert torch.equal(compressed(probe[0]), copy.deepcopy(network)(probe[0]))
    for model in (network, compressed):
        train_two_steps(model, probe)
    dense = compressed.to_dense()
    for (key, own), (other, found) in zip(
        network.named_parameters(), dense.named_parameters(), strict=True
    ):
        assert key == other
        assert own.requires_grad == found.requires_grad
        torch.testing.assert_close(found, own, rtol=1e-5, atol=1e-7, msg=key)
    assert count_parameters(dense) == count_parameters(compressed) == count_parameters(network)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", NETWORKS)
def test_outputs_agree_in_all_forms(name: str, method: str, probe: Probe) -> None:
    compressed = compress(method, build(name), probe).eval()
    with torch.no_grad():  # attention has another way of computing where a gradient is wanted
        expected = compressed(probe[0])
        assert torch.equal(compressed.to_dense().eval()(probe[0]), expected)
        assert torch.equal(recover_by_layer(compressed)(probe[0]), expected)
        assert torch.equal(copy.deepcopy(recover_by_layer(compressed))(probe[0]), expected)


@pytest.mark.parametrize(
    ("name", "n", "places"),
    [
        ("tied layers", 3072 + 256 + 64, ("middle.weight", "again.weight")),
        ("tied embedding", 192 * 192 + 768, ("table.weight", "head.weight")),
        ("layer twice", 3072 + 256 + 64, ("middle.weight", "again.weight")),
    ],
)
def test_a_tied_weight_counts_once(
    name: str, n: int, places: tuple[str, ...], probe: Probe
) -> None:
    network = build(name)
    compressed = compress("stable_rps", network, probe)
    assert num_weights(compressed.layout) == n
    assert compressed.stored.numel() == n // 4
    assert places in compressed.places
    assert count_parameters(compressed) == count_parameters(network) - n + n // 4
    dense = compressed.to_dense()
    first, second = (dense.get_parameter(place) for place in places)
    assert first is second


def test_frozen_weights_stay_as_they_are(probe: Probe) -> None:
    for method in (*METHODS, "snip", "grasp", "synflow"):
        network = build("frozen layer")
        before = network[0].weight.clone()  # type: ignore[index]
        compressed = compress(method, network, probe)
        assert [name for name, _ in compressed.layout] == ["4.weight"], method
        train_two_steps(compressed, probe)
        after = compressed.to_dense()[0].weight  # type: ignore[index]
        assert torch.equal(after, before), method
        assert not after.requires_grad
        assert count_parameters(compressed) == 216 + 8 + 4 + (32 if method == "dense" else 8)


def computed_weight(make: Callable[[nn.Module], object]) -> Callable[[], nn.Module]:
    def build() -> nn.Module:
        layer = nn.Conv2d(3, 8, 3)
        made = make(layer)
        return nn.Sequential(made if isinstance(made, nn.Module) else layer, nn.Flatten())

    return build


WAYS_OUT: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "weight_norm": (computed_weight(parametrizations.weight_norm), "remove_parametrizations"),
    "spectral_norm": (computed_weight(parametrizations.spectral_norm), "remove_parametrizations"),
    "orthogonal": (computed_weight(parametrizations.orthogonal), "remove_parametrizations"),
    "prune": (
        computed_weight(lambda layer: prune.l1_unstructured(layer, "weight", 0.5)),  # type: ignore[no-untyped-call]
        "prune.remove",
    ),
    "older spectral_norm": (
        computed_weight(torch.nn.utils.spectral_norm),
        "remove_spectral_norm",
    ),
    "lazy": (computed_weight(lambda layer: nn.LazyConv2d(8, 3)), "run one batch"),
    "none": (
        computed_weight(lambda layer: layer.register_parameter("weight", None)),
        "no weight of its own",
    ),
}


@pytest.mark.filterwarnings("ignore:.*(spectral_norm|Lazy modules):")
@pytest.mark.parametrize("method", ["dense", "stable_rps", "mag", "snip", "synflow"])
@pytest.mark.parametrize("kind", WAYS_OUT)
def test_a_weight_that_is_no_parameter_names_the_layer_and_the_way_out(
    kind: str, method: str, probe: Probe
) -> None:
    make, way = WAYS_OUT[kind]
    with pytest.raises(UserError) as caught:
        compress(method, make(), probe)
    assert "layer '0'" in str(caught.value)
    assert way in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_network_that_is_frozen_throughout(probe: Probe) -> None:
    with pytest.raises(UserError, match=r"all 4 .* frozen"):
        compress("mag", build("grouped and transposed").requires_grad_(False), probe)


DTYPES = {
    "as it is": None,
    "half": torch.float16,
    "bfloat16": torch.bfloat16,
    "double": torch.float64,
}


def assert_same_state(found: CompressedModel, wanted: CompressedModel) -> None:
    own, other = wanted.state_dict(), found.state_dict()
    assert own.keys() == other.keys()
    for key, tensor in own.items():
        assert tensor.dtype == other[key].dtype, key
        assert torch.equal(tensor, other[key]), key


@given(
    name=st.sampled_from(sorted(NETWORKS)),
    method=st.sampled_from((*METHODS, "rand", "hashednet")),
    dtype=st.sampled_from(sorted(DTYPES)),
    when=st.sampled_from(("before", "after")),
    seed=st.integers(0, 5),
)
def test_what_is_saved_can_be_read(
    name: str,
    method: str,
    dtype: str,
    when: str,
    seed: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Into a network of another init and dtype, which is left untouched."""
    network, kind = build(name, seed), DTYPES[dtype]
    probe = torch.zeros(4, 3, 8, 8), torch.arange(4)
    if kind is not None and when == "before":
        network = network.to(kind)
    compressed = compress(method, network, probe, seed)
    if kind is not None and when == "after":
        compressed = compressed.to(kind)
    path = tmp_path_factory.mktemp("files") / "model.safetensors"
    compressed.save(path)
    other = build(name, seed + 1).requires_grad_(True)
    before = copy.deepcopy(other.state_dict())
    found = load_compressed(path, other)
    assert_same_state(found, compressed)
    assert found.places == compressed.places
    assert [p.dtype for p in found.parameters()] == [p.dtype for p in compressed.parameters()]
    assert all(torch.equal(tensor, before[key]) for key, tensor in other.state_dict().items())


def test_a_file_of_tied_weights_wants_a_network_that_ties_them(
    probe: Probe, tmp_path: Path
) -> None:
    compress("mag", LayerTwice(), probe).save(tmp_path / "twice")
    untied = LayerTwice()
    untied.again = copy.deepcopy(untied.middle)
    with pytest.raises(UserError, match="ties other weights"):
        load_compressed(tmp_path / "twice", untied)
    torn = TiedLinear()
    torn.again.weight = torn.first.weight  # never run: of another shape
    compress("mag", TiedLinear(), probe).save(tmp_path / "tied")
    with pytest.raises(UserError, match="ties other weights"):
        load_compressed(tmp_path / "tied", torn)


def test_a_frozen_layer_of_our_own_network_comes_back(resnet: nn.Module, tmp_path: Path) -> None:
    resnet.stem.weight.requires_grad_(False)  # type: ignore[union-attr]
    probe = torch.zeros(2, 3, 8, 8), torch.arange(2)
    compressed = build_method("stable_rps", 10).compress(resnet, probe)
    compressed.save(tmp_path / "model")
    found = load_compressed(tmp_path / "model")
    assert_same_state(found, compressed)
    assert not found.skeleton.stem.weight.requires_grad  # type: ignore[union-attr]


class Stubborn(nn.Module):
    """Keeps a state that is no tensor."""

    def __init__(self, state: object) -> None:
        super().__init__()
        self.head, self.state = nn.Linear(192, 4), state

    def get_extra_state(self) -> object:
        return self.state

    def set_extra_state(self, state: object) -> None:
        self.state = state

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(images.flatten(1))
        return logits


def test_what_a_file_cannot_hold_is_refused_before_anything_is_written(
    probe: Probe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model"
    path.write_text("older")
    with pytest.raises(UserError, match="_extra_state"):
        compress("mag", Stubborn({"calls": 3}), probe).save(path)
    sound = compress("mag", TiedLinear(), probe)
    monkeypatch.setattr(write, "name_ties", lambda places: [])
    monkeypatch.setattr(write, "odd_dtypes", lambda state, dtype: {"no": "int8"})
    with pytest.raises(UserError, match="cannot be saved"):
        sound.save(path)
    assert path.read_text() == "older"
    assert list(tmp_path.iterdir()) == [path]
