"""SynFlow by hand, its conservation law, and that its rounds keep every layer alive."""

import copy
import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from rps_bench.methods import build_method
from rps_bench.methods.base import Probe
from rps_bench.methods.choice import mark
from rps_bench.methods.layout import layer_sizes, layout_of
from rps_bench.methods.pruning.rounds import ScoreError
from rps_bench.methods.pruning.synflow import SynFlow, make_positive
from rps_bench.models import build_model
from tests.methods.pruning.odd_networks import IMAGES, Applied, casting, indexing, masked


def linear_chain() -> nn.Sequential:
    first, second = nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False)
    with torch.no_grad():
        first.weight.copy_(torch.tensor([[1.0, -2.0], [3.0, 4.0]]))
        second.weight.copy_(torch.tensor([[-5.0, 6.0], [7.0, -8.0]]))
    return nn.Sequential(first, second)


def test_scores_are_sums_over_paths() -> None:
    """abs(W1[j, i]) times what leaves j, and abs(W2[k, j]) times what enters j."""
    probe = torch.zeros(3, 2), torch.zeros(3, dtype=torch.int64)
    scores = SynFlow(2).scores(linear_chain(), probe)
    assert scores.dtype == torch.float64
    assert scores.tolist() == [1 * 12, 2 * 12, 3 * 14, 4 * 14, 5 * 3, 6 * 7, 7 * 3, 8 * 7]


def test_every_parameter_and_buffer_is_made_positive() -> None:
    """One weight, one channel: R = 2 pixels x (3 (2 x - 4) / sqrt(9) + 1) at x = 1."""
    convolution, norm = nn.Conv2d(1, 1, 1, bias=False), nn.BatchNorm2d(1, eps=0.0)
    model = nn.Sequential(convolution, norm)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    with torch.no_grad():
        convolution.weight.fill_(-2.0)
        norm.weight.fill_(-3.0)
        norm.bias.fill_(-1.0)
        norm.running_mean.fill_(-4.0)
        norm.running_var.fill_(9.0)
    probe = torch.randn(5, 1, 1, 2), torch.zeros(5, dtype=torch.int64)
    # dR/dw = 2 pixels x 3 / 3, times |w| = 2. In train mode it would be 0.
    assert SynFlow(1).scores(model.train(), probe).tolist() == pytest.approx([4.0])
    # A ReLU sees (2 - 4) 3 / 3 + 1 = -1 and stops the flow; with the mean at -4 it would see 7.
    assert SynFlow(1).scores(nn.Sequential(model, nn.ReLU()), probe).tolist() == [0.0]


def test_rounds_by_hand() -> None:
    """In two rounds of the chain 8 -> 4 -> 2, rescored after the first."""
    probe = torch.zeros(3, 2), torch.zeros(3, dtype=torch.int64)
    compressed = build_method("synflow", 4, rounds=2).compress(linear_chain(), probe)
    # Round 1 keeps 56 (W1[1,1]), 56 (W2[1,1]), 42 (W1[1,0]), 42 (W2[0,1]). Scores then:
    # W1[1,1] 4 x 14 = 56, W1[1,0] 3 x 14 = 42, W2[0,1] 6 x 7 = 42, W2[1,1] 8 x 7 = 56.
    assert (compressed.weight_map.slots() >= 0).nonzero().view(-1).tolist() == [3, 7]
    assert compressed.stored.tolist() == [4.0, -8.0]


def test_flow_is_conserved_without_biases() -> None:
    """Every layer's scores sum to R."""
    torch.manual_seed(0)
    sizes = (6, 11, 3, 8, 5)
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(sizes):
        layers += [nn.Linear(inputs, outputs, bias=False), nn.ReLU()]
    model = nn.Sequential(*layers)
    scores = SynFlow(2).scores(model, (torch.randn(4, 6), torch.arange(4)))
    sums = [
        piece.sum().item() for piece in scores.split_with_sizes(list(layer_sizes(layout_of(model))))
    ]
    flow = torch.ones(6, dtype=torch.float64)
    for layer in layers[::2]:
        assert isinstance(layer, nn.Linear)
        flow = layer.weight.detach().double().abs() @ flow
    assert sums == pytest.approx([flow.sum().item()] * 4, rel=1e-12)


def test_scores_equal_autograd_on_a_resnet(resnet: nn.Module, probe: Probe) -> None:
    scores = SynFlow(2).scores(resnet, probe)
    state = {
        name: tensor.double().abs() if tensor.is_floating_point() else tensor
        for name, tensor in resnet.state_dict().items()
    }
    weights = [
        state[name].requires_grad_()
        for name, parameter in resnet.named_parameters()
        if parameter.dim() > 1
    ]
    ones = torch.ones(1, 3, 8, 8, dtype=torch.float64)
    flow = torch.func.functional_call(resnet.double().eval(), state, (ones,)).sum()
    grads = torch.autograd.grad(flow, weights)
    expected = torch.cat([(w * g).flatten() for w, g in zip(weights, grads, strict=True)])
    torch.testing.assert_close(scores, expected.detach(), rtol=1e-10, atol=0)


def test_labels_and_pixels_do_not_matter(make_plain: Callable[[], nn.Module], probe: Probe) -> None:
    images, labels = probe
    first = SynFlow(2).scores(make_plain(), probe)
    second = SynFlow(2).scores(make_plain(), (images * 7 - 3, labels.flip(0)))
    assert torch.equal(first, second)


def test_a_hundred_rounds_keep_every_layer_alive(probe: Probe) -> None:
    """The default at c = 100 on ResNet-20; its authors' reason for iterating."""
    model = build_model("resnet20", 10, 16, torch.Generator().manual_seed(0))
    compressed = build_method("synflow", 100).compress(model, probe)
    kept = (compressed.weight_map.slots() >= 0).split_with_sizes(
        list(layer_sizes(compressed.layout))
    )
    assert compressed.stored.numel() == 2708
    assert all(bool(piece.any()) for piece in kept)


def scores_of(model: nn.Module, images: torch.Tensor) -> torch.Tensor:
    return SynFlow(2).scores(model, (images, torch.zeros(len(images), dtype=torch.int64)))


def test_a_network_that_indexes_is_scored_as_one_that_does_not() -> None:
    """On ones the order of the pixels does not matter; a pixel hidden is a column of zeros."""
    torch.manual_seed(2)
    network = indexing()
    plain = copy.deepcopy(network.get_submodule("rest"))
    with torch.no_grad():
        plain[1].weight[:, 7] = 0  # type: ignore[index]
    found, expected = scores_of(network, IMAGES), scores_of(plain, IMAGES)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)
    assert int((found == 0).sum()) == 8


def test_integer_buffers_still_index_what_they_did() -> None:
    positive = make_positive(indexing())
    assert positive.get_buffer("order").tolist() == list(range(-1, -49, -1))
    assert positive.get_buffer("hidden").dtype == torch.bool


@pytest.mark.parametrize("closed", [-torch.inf, -1e9, -1e4, torch.finfo(torch.float32).min])
def test_a_mask_stays_closed(closed: float) -> None:
    """As the same network with its mask made in its forward."""
    torch.manual_seed(2)
    network = masked(closed)
    found = scores_of(network, IMAGES)
    layers = network.get_submodule("first"), network.get_submodule("last")
    places = network.get_buffer("places").double()

    def forward(self: Any, images: torch.Tensor) -> torch.Tensor:
        hidden = self.first(images.flatten(2).transpose(1, 2)) + places
        is_open = torch.ones(16, 16, dtype=torch.bool).tril()
        products = (hidden @ hidden.transpose(1, 2)).masked_fill(~is_open, -torch.inf)
        mixed = products.softmax(-1) @ hidden
        logits: torch.Tensor = self.last(mixed.mean(1))
        return logits

    expected = scores_of(Applied(forward, first=layers[0], last=layers[1]), IMAGES)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=0)
    assert found.isfinite().all()
    assert found.any()


def test_casts_lose_nothing() -> None:
    """As the same network without them, to all digits of float64."""
    torch.manual_seed(2)
    network = casting()

    def forward(self: Any, images: torch.Tensor) -> torch.Tensor:
        hidden = torch.relu(self.first(images.flatten(1)))
        logits: torch.Tensor = self.last(hidden)
        return logits

    plain = Applied(forward, **dict(network.named_children()))
    assert torch.equal(scores_of(network, IMAGES), scores_of(plain, IMAGES))


@pytest.mark.parametrize("kind", [nn.Embedding, nn.EmbeddingBag])
def test_a_table_is_scored_as_a_linear_layer_on_ones(kind: type[nn.Module]) -> None:
    """R = W (sum of all rows), whichever rows are looked up; flow is conserved."""
    table, linear = kind(3, 2), nn.Linear(2, 1, bias=False)
    rows = torch.tensor([[1.0, -2.0], [3.0, 4.0], [50.0, 60.0]])
    with torch.no_grad():
        table.weight.copy_(rows)  # type: ignore[operator]
        linear.weight.copy_(torch.tensor([[-5.0, 6.0]]))
    network = nn.Sequential(table, linear)
    expected = [5, 12, 15, 24, 250, 360, 5 * 54, 6 * 66]
    assert scores_of(network, torch.tensor([[0]])).tolist() == expected
    dense = nn.Sequential(nn.Linear(3, 2, bias=False), copy.deepcopy(linear))
    with torch.no_grad():
        dense[0].weight.copy_(rows.t())  # type: ignore[operator]
    found = scores_of(dense, torch.zeros(1, 3))
    assert found[:6].view(2, 3).t().reshape(-1).tolist() + found[6:].tolist() == expected
    many = torch.tensor([[0], [1]] * 300)  # more than one pass
    assert scores_of(network, many).tolist() == [600 * score for score in expected]


def test_a_table_that_stays_dense_is_read_alike() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Embedding(5, 3), nn.Linear(3, 2))
    tokens = torch.tensor([[4], [1]])
    whole = SynFlow(2).scores(network, (tokens, tokens))
    mark(network, ["1.weight"])
    assert torch.equal(SynFlow(2).scores(network, (tokens, tokens)), whole[15:])


def test_flow_beyond_the_range_is_said() -> None:
    layers = [nn.Linear(2, 2, bias=False) for _ in range(30)]
    for layer in layers:
        nn.init.constant_(layer.weight, 1e12)
    with pytest.raises(ScoreError, match=r"overflow torch\.float64 in round 1"):
        SynFlow(2).compress(nn.Sequential(*layers), (torch.ones(1, 2), torch.tensor([0])))
    for layer in layers:
        nn.init.constant_(layer.weight, 1e-12)
    with pytest.raises(ScoreError, match=r"all zero.*too small for its depth in torch\.float64"):
        SynFlow(2).compress(nn.Sequential(*layers), (torch.ones(1, 2), torch.tensor([0])))
