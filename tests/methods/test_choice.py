"""What is compressed of networks of many kinds, by default and as chosen; choices that fit none."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from rps_bench.core.errors import UserError
from rps_bench.methods import METHODS, build_method, load_compressed, restore
from rps_bench.methods.base import Probe
from rps_bench.methods.choice import WeightChoice, choose, judge
from rps_bench.methods.layerwise import recover_by_layer
from rps_bench.methods.layout import layout_of

pytestmark = pytest.mark.filterwarnings("ignore:the compression leaves")


class Everything(nn.Module):
    """A parameter of every kind."""

    def __init__(self) -> None:
        super().__init__()
        self.free = nn.Parameter(torch.full((1, 5, 4), 0.5))
        self.table, self.bag = nn.Embedding(6, 4), nn.EmbeddingBag(6, 4)
        self.line, self.up = nn.Conv1d(4, 4, 3, padding=1, groups=2), nn.ConvTranspose1d(4, 4, 1)
        self.norm, self.packed = nn.LayerNorm(4), nn.MultiheadAttention(4, 2, batch_first=True)
        self.apart = nn.MultiheadAttention(4, 2, kdim=3, vdim=5, batch_first=True)
        self.frozen = nn.Linear(4, 4).requires_grad_(False)
        self.states = nn.GRU(4, 4, batch_first=True)
        self.scales = nn.ParameterList([torch.ones(4), torch.ones(4)])
        self.head = nn.Linear(4, 3)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        hidden = self.table(tokens) + self.free + self.bag(tokens)[:, None]
        hidden = self.up(self.line(hidden.transpose(1, 2))).transpose(1, 2)
        hidden = self.norm(self.frozen(hidden) * self.scales[0] * self.scales[1])
        hidden = hidden + self.packed(hidden, hidden, hidden)[0]
        keys, values = hidden[..., :3], torch.nn.functional.pad(hidden, (0, 1))
        hidden = self.states(hidden + self.apart(hidden, keys, values)[0])[0]
        logits: torch.Tensor = self.head(hidden.mean(1))
        return logits


WEIGHTS = [
    *("table.weight", "bag.weight", "line.weight", "up.weight"),
    *("packed.in_proj_weight", "packed.out_proj.weight"),
    *("apart.q_proj_weight", "apart.k_proj_weight", "apart.v_proj_weight", "apart.out_proj.weight"),
    "head.weight",
]


def make() -> nn.Module:
    torch.manual_seed(3)
    return Everything()


def draw_tokens() -> Probe:
    generator = torch.Generator().manual_seed(4)
    return torch.randint(0, 6, (12, 5), generator=generator), torch.arange(12) % 3


def chosen(model: nn.Module, **options: Any) -> list[str]:
    method = build_method("mag", 2, **options)
    return [name for name, _ in layout_of(method.choose(model))]


def test_by_default_all_weights_of_layers_are_compressed() -> None:
    assert chosen(make()) == WEIGHTS


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"include": ["*"]}, WEIGHTS),
        ({"include": ["head"]}, ["head.weight"]),
        ({"include": "head,line"}, ["line.weight", "head.weight"]),
        ({"include": ["packed"]}, ["packed.in_proj_weight", "packed.out_proj.weight"]),
        ({"include": ["*.out_proj"]}, ["packed.out_proj.weight", "apart.out_proj.weight"]),
        ({"include": ["apart.?_proj*"]}, [f"apart.{x}_proj_weight" for x in "qkv"]),
        ({"include": ["*", "free"]}, ["free", *WEIGHTS]),
        ({"include": ["scales.0", "norm.bias"]}, ["norm.bias", "scales.0"]),
        ({"include": ["*"], "exclude": ["*.weight"]}, [n for n in WEIGHTS if "_proj_weight" in n]),
        ({"exclude": ["table", "[abp]*"]}, ["line.weight", "up.weight", "head.weight"]),
        ({"min_size": 24}, ["table.weight", "bag.weight", "line.weight", "packed.in_proj_weight"]),
        ({"min_size": 0}, WEIGHTS),
        ({"include": ["head", "*.weight"], "min_size": 25}, []),
    ],
)
def test_choices_by_hand(options: dict[str, Any], expected: list[str]) -> None:
    if expected:
        # The grouped convolution has 4 x 2 x 3 numbers, the packed projection 12 x 4.
        assert chosen(make(), **options) == expected
    else:
        with pytest.raises(UserError, match="leave nothing to compress"):
            chosen(make(), **options)


def test_why_the_rest_is_dense() -> None:
    found = {own.names[0]: own.reason for own in judge(make(), WeightChoice())}
    assert [name for name, reason in found.items() if reason is None] == WEIGHTS
    assert found["norm.weight"] == "normalisation"
    assert found["packed.in_proj_bias"] == found["head.bias"] == "bias"
    assert found["frozen.weight"] == "frozen"
    assert found["states.weight_hh_l0"] == "recurrent layer"
    assert found["free"] == found["scales.1"] == "compressed only where include has its own name"
    wished = {
        own.names[0]: own.reason for own in judge(make(), WeightChoice(("*",), ("head",), 20))
    }
    assert wished["head.weight"] == "excluded"
    assert wished["up.weight"] == "below min_size"
    assert wished["head.bias"] == "bias"
    assert judge(make(), WeightChoice(("head",)))[1].reason == "not included"


def sparse() -> nn.Module:
    return nn.Sequential(nn.Embedding(4, 4, sparse=True), nn.Linear(4, 4))


def mixed() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4).double())


class Scaled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale, self.head = nn.Parameter(torch.tensor(2.0)), nn.Linear(4, 2)
        self.read = [self.head.weight]


REFUSED: dict[str, tuple[Callable[[], nn.Module], dict[str, Any], str]] = {
    "matches nothing": (make, {"include": ["heads"]}, r"matches no parameter.*did you mean head\?"),
    "excludes nothing": (make, {"exclude": ["tabel"]}, r"matches no.*did you mean table\?"),
    "only normalisation": (make, {"include": ["norm"]}, "no weight of.*such as norm.weight"),
    "only wildcards": (make, {"include": ["fre*"]}, "no weight of.*such as free"),
    "only frozen": (
        make,
        {"include": ["frozen"]},
        r"cannot be compressed: frozen.weight \(frozen\)",
    ),
    "recurrent": (make, {"include": ["states.weight_hh_l0"]}, "a list of its own"),
    "single": (Scaled, {"include": ["scale"]}, r"cannot be compressed: scale \(a single number\)"),
    "sparse": (sparse, {"include": ["0"]}, "sparse=False"),
    "dense anyway": (make, {"exclude": ["norm"]}, "takes nothing out"),
    "nothing left": (make, {"include": ["head"], "exclude": ["head"]}, "leave nothing to compress"),
    "all too small": (make, {"min_size": 1000}, "of 29 parameters, the largest of 48 numbers"),
    "negative size": (make, {"min_size": -1}, "method.min_size must be a whole number from 0 up"),
    "a word for a size": (make, {"min_size": "big"}, "method.min_size must be a whole number"),
    "no pattern": (make, {"include": [2.5]}, r"method.include must be null or a list of name pat"),
    "an empty list": (make, {"include": []}, "method.include must be null or a list"),
    "an empty word": (make, {"exclude": "head,"}, "method.exclude must be null or a list"),
    "dtypes": (mixed, {}, "one dtype and device: 0.weight is torch.float32 on cpu, 1.weight torch"),
    "nothing at all": (lambda: nn.LayerNorm(3), {}, "no convolution, linear layer, embedding or"),
    "kept elsewhere": (Scaled, {}, r"head.weight is also kept in read.*exclude=head.weight"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_fits_no_network_is_one_line(kind: str) -> None:
    build, options, line = REFUSED[kind]
    with pytest.raises(UserError, match=line) as caught:
        build_method("mag", 2, **options).compress(build(), draw_tokens())
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_a_layer_that_is_excluded_may_be_as_it_likes() -> None:
    network = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(4, 4)), nn.Linear(4, 4))
    network[0].train()
    assert choose(network, WeightChoice(exclude=("0",))) == ("1.weight",)
    assert choose(mixed(), WeightChoice(exclude=("0",))) == ("1.weight",)
    assert choose(sparse(), WeightChoice()) == ("1.weight",)


CHOICES: dict[str, dict[str, Any]] = {
    "all": {},
    "named": {"include": ["*", "free", "scales.1", "norm.weight"]},
    "few": {"include": ["packed", "table"], "exclude": ["packed.out_proj"]},
    "large": {"min_size": 20},
}
OPTIONS: dict[str, dict[str, Any]] = {"roast": {"tile": 2}, "synflow": {"rounds": 3}}
PICKY = [name for name in METHODS if name not in ("dense", "small")]


@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("name", PICKY)
@pytest.mark.filterwarnings("ignore:.*score exactly zero")
def test_every_method_takes_every_choice(name: str, choice: str, tmp_path: Path) -> None:
    """Trains a step, gives the same in all forms, comes back from a file and from a state."""
    model, (tokens, labels) = make(), draw_tokens()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    compression = 4 if name == "kmeans" else 2
    method = build_method(name, compression, **CHOICES[choice], **OPTIONS.get(name, {}))
    if name == "grasp" and "bag.weight" in chosen(model, **CHOICES[choice]):
        with pytest.raises(UserError, match=r"grasp needs second derivatives.*embedding_bag"):
            method.compress(model, (tokens, labels))
        method = dataclasses.replace(method, exclude="bag")
    compressed = method.compress(model, (tokens, labels))
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    expected = [place for place, _ in layout_of(method.choose(model))]
    assert [place for place, _ in compressed.layout] == expected
    dense = dict(compressed.skeleton.named_parameters())
    assert not dense.keys() & {place for places in compressed.places for place in places}

    optimizer = torch.optim.SGD(compressed.parameters(), lr=0.1)
    frozen = compressed.skeleton.get_parameter("frozen.weight")
    assert not frozen.requires_grad
    start = compressed.stored.detach().clone()
    torch.nn.functional.cross_entropy(compressed(tokens), labels).backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    assert not torch.equal(compressed.stored, start)
    assert torch.equal(frozen, before["frozen.weight"])

    compressed.eval()
    with torch.no_grad():
        outputs = compressed(tokens)
        # Copies lie elsewhere in memory, where products of few numbers round in another order.
        torch.testing.assert_close(compressed.to_dense().eval()(tokens), outputs)
        torch.testing.assert_close(recover_by_layer(compressed)(tokens), outputs)
        compressed.save(tmp_path / "model")
        loaded = load_compressed(tmp_path / "model", make())
        assert loaded.layout == compressed.layout
        assert torch.equal(loaded.eval()(tokens), outputs)
        state = compressed.state_dict()
        assert torch.equal(restore(make(), state).eval()(tokens), outputs)
    learning = {key: p.requires_grad for key, p in compressed.named_parameters()}
    assert {key: p.requires_grad for key, p in loaded.named_parameters()} == learning


def test_the_dense_form_has_no_memory_of_the_choice() -> None:
    compressed = build_method("mag", 2, include="head").compress(make(), draw_tokens())
    assert chosen(compressed.to_dense()) == WEIGHTS


def test_patterns_are_kept_as_one_text() -> None:
    first, second = (build_method("mag", 2, include=words) for words in (["a*", 0], "a*,0"))
    assert first == second
    assert hash(first) == hash(second)
    assert first.include == "a*,0"
