"""A map and its method in one file: saved, restored and run with nothing else edited."""

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from torch import nn

from rps_bench.core import checks
from rps_bench.core.errors import UserError
from rps_bench.methods import METHODS, build_method, load_compressed, restore
from rps_bench.methods.base import Probe
from rps_bench.methods.compressed import CompressedModel
from rps_bench.methods.layout import Layout
from rps_bench.methods.sharing.base import SharingMethod
from rps_bench.methods.sharing.hashed import HashedMap
from rps_bench.methods.sharing.sharing_map import MAP_TYPES, SharingMap
from rps_bench.models import build_model


class StridedMap(SharingMap):
    """slot = stride * i mod m."""

    kind = "strided"

    def __init__(
        self, layout: Layout, scales: Sequence[float], num_stored: int, seed: int, stride: int = 1
    ) -> None:
        super().__init__(layout, scales, num_stored, seed)
        self.stride = stride

    @classmethod
    def check_options(cls, layout: Layout, options: Mapping[str, Any]) -> None:
        super().check_options(layout, options)
        checks.whole_number("its stride", options["stride"], 1)

    def slots_between(self, start: int, stop: int) -> torch.Tensor:
        return self.positions_between(start, stop) * self.stride % self.num_stored


@dataclass(frozen=True)
class Strided(SharingMethod):
    name: ClassVar[str] = "strided"
    map_type: ClassVar[type[SharingMap]] = StridedMap
    stride: int = 3

    def build_map(self, layout: Layout, scales: tuple[float, ...]) -> SharingMap:
        return StridedMap(layout, scales, self.num_stored(layout), self.seed, self.stride)


@pytest.fixture
def compressed(resnet: nn.Module, probe: Probe, monkeypatch: pytest.MonkeyPatch) -> CompressedModel:
    """By its line in the registry; a stride other than any default."""
    monkeypatch.setitem(METHODS, "strided", Strided)
    return build_method("strided", 10, seed=4, stride=7).compress(resnet, probe)


@pytest.fixture
def forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """The map's file was never loaded, once called for."""
    monkeypatch.delitem(MAP_TYPES, "strided")


def assert_alike(found: CompressedModel, wanted: CompressedModel, probe: Probe) -> None:
    assert type(found.weight_map) is StridedMap
    assert found.weight_map.stride == 7
    assert torch.equal(found.weights(), wanted.weights())
    assert torch.equal(found.eval()(probe[0]), wanted.eval()(probe[0]))


def test_its_file_is_read_back(compressed: CompressedModel, probe: Probe, tmp_path: Path) -> None:
    compressed.save(tmp_path / "model.safetensors")
    assert_alike(load_compressed(tmp_path / "model.safetensors"), compressed, probe)


def test_its_rows_are_shuffled_and_read_back_like_those_of_any_map(
    compressed: CompressedModel, resnet: nn.Module, probe: Probe, tmp_path: Path
) -> None:
    method = build_method("strided", 10, seed=4, stride=7, shuffle="layer")
    shuffled = method.compress(resnet, probe)
    assert not torch.equal(shuffled.weights(), compressed.weights())
    shuffled.save(tmp_path / "model.safetensors")
    found = load_compressed(tmp_path / "model.safetensors")
    assert torch.equal(found.weights(), shuffled.weights())


def test_its_state_is_restored(compressed: CompressedModel, probe: Probe) -> None:
    found = restore(build_model("resnet20", 10, 4), compressed.state_dict())
    assert_alike(found, compressed, probe)


def test_it_checks_its_own_options(compressed: CompressedModel, resnet: nn.Module) -> None:
    assert isinstance(compressed.weight_map, StridedMap)
    compressed.weight_map.stride = -7
    with pytest.raises(UserError, match="its stride must be a whole number from 1 up, got -7"):
        restore(resnet, compressed.state_dict())


UNKNOWN = "unknown map strided; known are identity, selection, .*hashed.*; .*plugins="


def test_a_file_whose_map_is_not_loaded(
    compressed: CompressedModel, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    path = tmp_path / "model.safetensors"
    compressed.save(path)
    request.getfixturevalue("forgotten")
    with pytest.raises(UserError, match=f"{path}: {UNKNOWN}") as caught:
        load_compressed(path)
    assert "\n" not in str(caught.value)


def test_a_state_whose_map_is_not_loaded(
    compressed: CompressedModel, resnet: nn.Module, request: pytest.FixtureRequest
) -> None:
    state = compressed.state_dict()
    request.getfixturevalue("forgotten")
    with pytest.raises(UserError, match=f"^{UNKNOWN}"):
        restore(resnet, state)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("hashed", r"'hashed' of .*\.Twin is that of rps_bench\.methods.*\.HashedMap"),
        ("selection", "'selection' is that of a map of another nature"),
        ("codebook", "'codebook' is that of a map of another nature"),
        ("", "the kind of Twin must be a non-empty text"),
        (3, "the kind of Twin must be a non-empty text"),
    ],
)
def test_a_kind_that_cannot_be(kind: Any, message: str) -> None:
    before = dict(MAP_TYPES)
    with pytest.raises(UserError, match=message):
        type("Twin", (SharingMap,), {"kind": kind, "__module__": __name__})
    assert before == MAP_TYPES


PLUGIN = """
from rps_bench.methods.sharing.sharing_map import SharingMap

class Mine(SharingMap):
    kind = "of_a_plugin"

    def slots_between(self, start, stop):
        return self.positions_between(start, stop) % self.num_stored
"""


def load(path: Path, name: str) -> type[SharingMap]:
    """Its map, from a module of this name."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    map_type: type[SharingMap] = module.Mine
    return map_type


def test_a_file_may_be_loaded_again_but_no_other_have_its_kind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest counts, as for a notebook's cell that is run again."""
    monkeypatch.setitem(MAP_TYPES, "of_a_plugin", StridedMap)
    del MAP_TYPES["of_a_plugin"]
    path, other = tmp_path / "my_methods.py", tmp_path / "other_methods.py"
    for file in (path, other):
        file.write_text(PLUGIN)
    for name in ("my_methods", "my_methods", "plugin_2"):
        assert load(path, name) is MAP_TYPES["of_a_plugin"]
    with pytest.raises(UserError, match=r"other_methods\.Mine is that of plugin_2\.Mine already"):
        load(other, "other_methods")
    assert MAP_TYPES["of_a_plugin"].__module__ == "plugin_2"


class OddlyHashedMap(HashedMap):
    """Other slots than its parent's under no kind of its own."""

    def slots_between(self, start: int, stop: int) -> torch.Tensor:
        return super().slots_between(start, stop) * 0


def test_neither_kind_nor_kernel_is_inherited(resnet: nn.Module) -> None:
    """Both would stand for the parent's slots."""
    assert HashedMap.kernel is not None
    assert OddlyHashedMap.kernel is None
    n = sum(p.numel() for p in resnet.parameters() if p.dim() > 1)
    plain = build_method("hashednet", 10).compress(resnet, (torch.zeros(1), torch.zeros(1)))
    odd = OddlyHashedMap(plain.layout, [1.0] * len(plain.layout), n // 10, 0)
    with pytest.raises(UserError, match="OddlyHashedMap has no kind of its own"):
        CompressedModel(resnet, odd, torch.zeros(n // 10)).state_dict()


def test_a_map_defined_again_otherwise_is_not_saved(
    compressed: CompressedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a notebook whose cell was changed since: the file would be read as other weights."""

    path = tmp_path / "model.safetensors"
    monkeypatch.setitem(MAP_TYPES, "strided", StridedMap)  # to be put back afterwards
    named = {"__module__": StridedMap.__module__, "__qualname__": StridedMap.__qualname__}
    again = type("StridedMap", (StridedMap,), {"kind": "strided"} | named)
    assert MAP_TYPES["strided"] is again
    compressed.save(path)  # as long as the numbers are the same
    before = path.read_bytes()
    monkeypatch.setattr(again, "slots_between", HashedMap.slots_between)
    with pytest.raises(UserError, match="would give other values of the map"):
        compressed.save(path)
    assert path.read_bytes() == before
