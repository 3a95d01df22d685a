"""What every registered method must hold; a new method is tested here by its line in METHODS."""

import copy
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from rps_bench.core.errors import UserError
from rps_bench.core.kinds import KINDS
from rps_bench.methods import (
    METHODS,
    build_method,
    default_options,
    load_compressed,
    methods_of,
)
from rps_bench.methods.base import Method, Probe
from rps_bench.methods.compressed import CompressedModel
from rps_bench.models import build_model

COMPRESSION = 10
WHOLE_NETWORKS = methods_of("dense", "narrower")  # these store all their weights as they are


def compression_of(name: str) -> float:
    return 1 if METHODS[name].kind == "dense" else COMPRESSION


def build(name: str, seed: int = 0) -> Method:
    """The method at its defaults, SynFlow in fewer rounds."""
    options = {"rounds": 5} if name == "synflow" else {}
    return build_method(name, compression_of(name), seed, **options)


def dense_resnet(width: int = 4) -> nn.Module:
    return build_model("resnet20", 10, width, torch.Generator().manual_seed(1))


@pytest.fixture(scope="module", params=METHODS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def compressed(name: str, probe: Probe) -> CompressedModel:
    """A ResNet-20 that no test here changes."""
    return build(name).compress(dense_resnet(), probe)


@pytest.fixture(scope="module")
def dense(compressed: CompressedModel) -> nn.Module:
    """The network that the compressed one stands for: narrower for ``small``."""
    width = compressed.skeleton.width
    assert isinstance(width, int)
    return dense_resnet(width)


def test_a_method_says_its_name_and_its_kind(name: str) -> None:
    assert METHODS[name].name == name
    assert METHODS[name].kind in KINDS


def require_budget(compressed: CompressedModel, num_numbers: int) -> None:
    """m stored numbers; of a codebook at most so many, with 32 bits of its indices as one."""
    beside = compressed.weight_map.num_beside
    assert compressed.stored.dim() == 1
    if beside == 0:
        assert compressed.stored.numel() == num_numbers
    else:
        assert compressed.stored.numel() + beside <= num_numbers + 1


def test_layout_is_the_dense_models(compressed: CompressedModel, dense: nn.Module) -> None:
    """Weights with more than one axis, in the order of ``named_parameters``."""
    expected = [(key, tuple(p.shape)) for key, p in dense.named_parameters() if p.dim() > 1]
    assert [(key, tuple(shape)) for key, shape in compressed.layout] == expected


def test_shapes(name: str, compressed: CompressedModel) -> None:
    n = sum(math.prod(shape) for _, shape in compressed.layout)
    m = n if name in WHOLE_NETWORKS else n // COMPRESSION
    assert isinstance(compressed.stored, nn.Parameter)
    require_budget(compressed, m)
    m = compressed.stored.numel()
    assert compressed.weights().shape == (n,)
    weight_map = compressed.weight_map
    slots, coefficients, gram = weight_map.slots(), weight_map.coefficients(), weight_map.gram()
    assert (slots.shape, slots.dtype) == ((n,), torch.int64)
    assert (coefficients.shape, coefficients.dtype) == ((n,), torch.float32)
    assert gram.shape == (m,)
    scale = compressed.gradient_scale()
    assert scale.shape == (m,)
    assert bool((scale > 0).all())
    assert scale.isfinite().all()


def test_slots_coefficients_and_gram_agree(name: str, compressed: CompressedModel) -> None:
    slots = compressed.weight_map.slots().numpy()
    coefficients = compressed.weight_map.coefficients().numpy()
    stored = compressed.stored.detach().numpy()
    assert slots.min() >= (-1 if METHODS[name].kind == "pruning" else 0)
    assert slots.max() < stored.size
    assert np.array_equal(coefficients == 0, slots == -1)
    expected = np.where(slots >= 0, stored[slots] * coefficients, 0)
    np.testing.assert_allclose(compressed.weights().detach().numpy(), expected, rtol=1e-6)
    gram = np.zeros(stored.size)
    np.add.at(gram, slots[slots >= 0], coefficients[slots >= 0].astype(np.float64) ** 2)
    np.testing.assert_allclose(compressed.weight_map.gram().numpy(), gram, rtol=1e-5)
    if METHODS[name].kind not in ("sharing", "post-training"):
        assert bool((compressed.weight_map.gram() == 1).all())
        assert bool((compressed.gradient_scale() == 1).all())


def test_forward_and_backward(compressed: CompressedModel, probe: Probe) -> None:
    live = copy.deepcopy(compressed).train()
    logits = live(probe[0])
    assert logits.shape == (20, 10)
    assert logits.isfinite().all()
    F.cross_entropy(logits, probe[1]).backward()  # type: ignore[no-untyped-call]
    for key, parameter in live.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.isfinite().all(), key
    assert live.stored.grad is not None
    assert live.stored.grad.any()


def test_an_sgd_step_moves_theta_and_keeps_pruned_weights_at_zero(
    compressed: CompressedModel, probe: Probe
) -> None:
    live = copy.deepcopy(compressed).train()
    optimizer = torch.optim.SGD(live.parameters(), 0.1, momentum=0.9, weight_decay=1e-2)
    before = live.weights().detach().clone()
    for _ in range(2):
        optimizer.zero_grad()
        F.cross_entropy(live(probe[0]), probe[1]).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    after = live.weights().detach()
    assert not torch.equal(before, after)
    assert not after[live.weight_map.slots() < 0].any()


def test_the_model_is_left_untouched(name: str, probe: Probe) -> None:
    model = dense_resnet()
    model.get_submodule("blocks.3").eval()
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    modes = [layer.training for layer in model.modules()]
    images, labels = probe[0].clone(), probe[1].clone()
    compressed = build(name).compress(model, (images, labels))
    with torch.no_grad():
        for tensor in compressed.parameters():
            tensor.add_(1)
    compressed(images)
    after = model.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert [layer.training for layer in model.modules()] == modes
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
    assert torch.equal(images, probe[0])
    assert torch.equal(labels, probe[1])


def test_biases_and_batchnorm_start_as_the_dense_models(
    name: str, compressed: CompressedModel, dense: nn.Module
) -> None:
    """Also the running statistics: scoring in train mode must not have moved them."""
    state, expected = compressed.skeleton.state_dict(), dense.state_dict()
    weights = {key for key, _ in compressed.layout}
    assert set(state) == set(expected) - weights
    if METHODS[name].kind != "narrower":
        assert all(torch.equal(state[key], expected[key]) for key in state)


def test_one_seed_one_result(name: str, compressed: CompressedModel, probe: Probe) -> None:
    torch.manual_seed(torch.seed())
    again = build(name).compress(dense_resnet(), probe)
    assert torch.equal(again.stored, compressed.stored)
    assert torch.equal(again.weights(), compressed.weights())


def test_to_dense_gives_the_same_outputs(
    compressed: CompressedModel, dense: nn.Module, probe: Probe
) -> None:
    live = copy.deepcopy(compressed).train()
    live(probe[0])  # moves the running statistics
    plain = live.to_dense()
    assert type(plain) is type(dense)
    assert set(plain.state_dict()) == set(dense.state_dict())
    assert dict(plain.named_parameters()).keys() == dict(dense.named_parameters()).keys()
    plain.load_state_dict(plain.state_dict())
    assert torch.equal(plain.eval()(probe[0]), live.eval()(probe[0]))
    flat = torch.cat([p.detach().flatten() for _, p in plain.named_parameters() if p.dim() > 1])
    assert torch.equal(flat, live.weights())


def test_files_come_back_bit_for_bit(
    compressed: CompressedModel, probe: Probe, tmp_path: Path
) -> None:
    live = copy.deepcopy(compressed).train()
    live(probe[0])  # moves the running statistics
    with torch.no_grad():
        live.stored.mul_(1.1)
    path = tmp_path / "model.safetensors"
    live.save(path)
    loaded = load_compressed(path)
    assert loaded.layout == live.layout
    assert loaded.scaling == live.scaling
    mine, theirs = live.state_dict(), loaded.state_dict()
    assert list(mine) == list(theirs)
    for key, tensor in mine.items():
        assert tensor.dtype == theirs[key].dtype, key
        assert torch.equal(tensor, theirs[key]), key
    assert torch.equal(loaded.weight_map.slots(), live.weight_map.slots())
    assert torch.equal(loaded.weights(), live.weights())
    assert torch.equal(loaded.gradient_scale(), live.gradient_scale())
    assert torch.equal(loaded.eval()(probe[0]), live.eval()(probe[0]))


def test_a_users_own_network(
    name: str, make_plain: Callable[[], nn.Module], probe: Probe, tmp_path: Path
) -> None:
    if METHODS[name].kind == "narrower":
        pytest.skip("it needs a network that knows its width")
    options = {"tile": 4} if name == "roast" else {}
    method = build_method(name, compression_of(name), **options)
    compressed = method.compress(make_plain(), probe)
    require_budget(compressed, int(268 / compression_of(name)))
    F.cross_entropy(compressed(probe[0]), probe[1]).backward()  # type: ignore[no-untyped-call]
    assert compressed.stored.grad is not None
    assert compressed.stored.grad.isfinite().all()
    assert torch.equal(compressed.to_dense().eval()(probe[0]), compressed.eval()(probe[0]))
    path = tmp_path / "model.safetensors"
    compressed.save(path)
    loaded = load_compressed(path, make_plain())
    assert torch.equal(loaded.eval()(probe[0]), compressed(probe[0]))
    with pytest.raises(UserError, match="model"):
        load_compressed(path)


@pytest.mark.parametrize("compression", [math.nan, math.inf, -math.inf, 0, 0.5, -1, 0.999])
def test_impossible_compressions(name: str, compression: float) -> None:
    with pytest.raises(UserError, match="compression"):
        build_method(name, compression)


def test_too_much_compression(name: str, probe: Probe) -> None:
    if name in WHOLE_NETWORKS:
        pytest.skip("these store whole networks")
    with pytest.raises(UserError, match="compression"):
        build_method(name, 1e6).compress(dense_resnet(), probe)


@pytest.mark.parametrize("name", [name for name in METHODS if name not in WHOLE_NETWORKS])
def test_a_single_stored_value_is_enough(
    name: str, make_plain: Callable[[], nn.Module], probe: Probe
) -> None:
    if name == "kmeans":
        pytest.skip("it stores an index for each weight")
    options = {"tile": 1} if name == "roast" else {}
    compressed = build_method(name, 268, **options).compress(make_plain(), probe)
    assert compressed.stored.numel() == 1
    assert compressed(probe[0]).isfinite().all()
    with pytest.raises(UserError, match="268"):
        build_method(name, 268.5, **options).compress(make_plain(), probe)


def test_unknown_options_name_the_allowed_ones(name: str) -> None:
    with pytest.raises(UserError) as caught:
        build_method(name, compression_of(name), sparsity=0.9)
    message = str(caught.value)
    assert "sparsity" in message
    allowed = default_options(name)
    assert all(option in message for option in allowed)
    assert allowed or "none" in message


def test_unknown_method_names_the_allowed_ones() -> None:
    with pytest.raises(UserError) as caught:
        build_method("stable-rps", 10)
    assert all(name in str(caught.value) for name in METHODS)


def test_default_options_are_those_of_the_spec() -> None:
    def own_options(name: str) -> dict[str, object]:
        return dict(sorted(default_options(name).items() - of_all.items()))

    of_all = {"include": None, "exclude": None, "min_size": None}
    assert all(default_options(name).items() >= of_all.items() for name in METHODS)
    assert own_options("dense") == {}
    assert own_options("small") == {}
    shared = {"init_std": 0.04, "repository_init": "normal", "scaling": "none", "shuffle": "none"}
    assert own_options("stable_rps") == shared | {"scaling": "gram"}
    assert own_options("roast") == shared | {"tile": 16}
    assert own_options("hashednet") == shared
    assert own_options("rpg") == shared
    chosen = {"rounds": 1, "shuffle": "none", "reinit": False}
    assert own_options("rand") == chosen | {"density": "uniform"}
    assert own_options("mag") == chosen
    assert own_options("snip") == chosen | {"score_mode": "train"}
    assert own_options("grasp") == chosen | {"score_mode": "train"}
    assert own_options("synflow") == chosen | {"rounds": 100}
    levels = {"rewind_steps": None, "level_fraction": 0.2}
    assert own_options("ltr") == levels | {"rewind": True}
    assert own_options("mag_trained") == levels | {"rewind": False}
    again = {"rewind_steps": None, "retrainings": None}
    assert own_options("stable_rps_trained") == again
    assert own_options("kmeans") == again | {"weighting": "none"}
